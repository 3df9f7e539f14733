/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/guest-policy.h"

#include "measure/error.h"

typedef struct {
    const char *name;
    guint bit;
} PolicyBit;

/* SEV-SNP Firmware ABI (56860), section 4.3; bit 17 must be one and has no name. */
static const PolicyBit snp_bits[] = {
    {"smt", 16},
    {"migrate-ma", 18},
    {"debug", 19},
    {"single-socket", 20},
    {"cxl", 21},
    {"mem-aes-256-xts", 22},
    {"rapl-dis", 23},
    {"ciphertext-hiding", 24},
    {"page-swap-disable", 25},
};

/* SEV API (55766), chapter 3, table 2. */
static const PolicyBit sev_bits[] = {
    {"nodbg", 0}, {"noks", 1}, {"es", 2}, {"nosend", 3}, {"domain", 4}, {"sev", 5},
};

#define SNP_MUST_BE_ZERO (~((G_GUINT64_CONSTANT(1) << 26) - 1))
#define SEV_MUST_BE_ZERO G_GUINT64_CONSTANT(0xffffffff0000ffc0)

static const PolicyBit *policy_bits(MeasurePlatform platform, gsize *n)
{
    *n = platform == MEASURE_PLATFORM_SNP ? G_N_ELEMENTS(snp_bits) : G_N_ELEMENTS(sev_bits);
    return platform == MEASURE_PLATFORM_SNP ? snp_bits : sev_bits;
}

gboolean policy_guest_allows_debug(MeasurePlatform platform, guint64 policy)
{
    if (platform == MEASURE_PLATFORM_SNP)
        return (policy & POLICY_SNP_DEBUG) != 0;
    return (policy & POLICY_SEV_NODBG) == 0;
}

gchar *policy_guest_invalid(MeasurePlatform platform, guint64 policy)
{
    if (platform == MEASURE_PLATFORM_SNP) {
        if (policy & SNP_MUST_BE_ZERO)
            return g_strdup_printf("policy 0x%" G_GINT64_MODIFIER "x sets reserved bits (0x%" G_GINT64_MODIFIER
                                   "x) that must be zero",
                                   policy, policy & SNP_MUST_BE_ZERO);
        if (!(policy & POLICY_SNP_RESERVED_ONE))
            return g_strdup_printf("policy 0x%" G_GINT64_MODIFIER "x has bit 17 clear, which must be one: the usual "
                                   "SEV-SNP policy is 0x30000",
                                   policy);
        return NULL;
    }
    if (policy & SEV_MUST_BE_ZERO)
        return g_strdup_printf("policy 0x%" G_GINT64_MODIFIER "x sets reserved bits (0x%" G_GINT64_MODIFIER
                               "x) that must be zero",
                               policy, policy & SEV_MUST_BE_ZERO);
    if (platform == MEASURE_PLATFORM_SEV_ES && !(policy & POLICY_SEV_ES))
        return g_strdup_printf("policy 0x%" G_GINT64_MODIFIER "x has bit 2 (es) clear, which SEV-ES needs", policy);
    return NULL;
}

gchar *policy_guest_describe(MeasurePlatform platform, guint64 policy)
{
    g_autoptr(GString) words = g_string_new(NULL);
    gsize n = 0;
    const PolicyBit *bits = policy_bits(platform, &n);
    /* SNP keeps the minimum firmware ABI as major 15:8, minor 7:0; SEV its API as major 23:16, minor 31:24. */
    gboolean snp = platform == MEASURE_PLATFORM_SNP;
    guint major = (guint)(policy >> (snp ? 8 : 16)) & 0xff;
    guint minor = (guint)(policy >> (snp ? 0 : 24)) & 0xff;

    for (gsize i = 0; i < n; i++) {
        if (policy >> bits[i].bit & 1)
            g_string_append_printf(words, "%s%s", words->len ? ", " : "", bits[i].name);
    }
    if (major || minor)
        g_string_append_printf(words, "%s%s >= %u.%u", words->len ? ", " : "", snp ? "ABI" : "API", major, minor);
    if (!words->len)
        return g_strdup_printf("0x%" G_GINT64_MODIFIER "x", policy);
    return g_strdup_printf("0x%" G_GINT64_MODIFIER "x (%s)", policy, words->str);
}

static gboolean parse_number(const char *text, guint64 *out)
{
    if (g_str_has_prefix(text, "0x") || g_str_has_prefix(text, "0X"))
        text += 2;
    /* g_ascii_string_to_unsigned() takes a second prefix, a sign or blanks for what they are: not digits. */
    return g_ascii_isxdigit(*text) && g_ascii_string_to_unsigned(text, 16, 0, G_MAXUINT64, out, NULL);
}

gboolean policy_guest_parse(MeasurePlatform platform, const char *text, guint64 *out, GError **error)
{
    gsize n = 0;
    const PolicyBit *bits = policy_bits(platform, &n);
    guint64 value = 0;

    if (!parse_number(text, &value)) {
        g_auto(GStrv) words = g_strsplit(text, ",", 65);

        value = platform == MEASURE_PLATFORM_SNP ? POLICY_SNP_RESERVED_ONE : 0;
        for (guint w = 0; words[w]; w++) {
            gsize i = 0;

            g_strstrip(words[w]);
            while (i < n && g_ascii_strcasecmp(words[w], bits[i].name))
                i++;
            if (i == n) {
                g_autoptr(GString) known = g_string_new(NULL);

                for (i = 0; i < n; i++)
                    g_string_append_printf(known, "%s%s", i ? ", " : "", bits[i].name);
                g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                            "guest policy '%s': '%s' is neither a hexadecimal number nor one of %s", text, words[w],
                            known->str);
                return FALSE;
            }
            value |= G_GUINT64_CONSTANT(1) << bits[i].bit;
        }
        /* No words at all: g_strsplit() of "". */
        if (!words[0]) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "the guest policy is empty: give a number or names");
            return FALSE;
        }
    }
    if (platform != MEASURE_PLATFORM_SNP && value > G_MAXUINT32) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "guest policy '%s' does not fit into the 32 bits of %s",
                    text, measure_platform_name(platform));
        return FALSE;
    }
    *out = value;
    return TRUE;
}
