/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/guest-policy.h"

#include <string.h>

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

/* Of the minimum version: SNP keeps that of its ABI as major 15:8, minor 7:0, SEV that of its API as 23:16 and 31:24. */
typedef struct {
    const char *name;
    guint major, minor; /* the lowest bit of each */
} PolicyVersion;

static PolicyVersion policy_version(MeasurePlatform platform)
{
    if (platform == MEASURE_PLATFORM_SNP)
        return (PolicyVersion){"abi", 8, 0};
    return (PolicyVersion){"api", 16, 24};
}

static gchar *policy_words(MeasurePlatform platform, guint64 policy, const char *separator)
{
    GString *words = g_string_new(NULL);
    gsize n = 0;
    const PolicyBit *bits = policy_bits(platform, &n);
    PolicyVersion version = policy_version(platform);
    guint major = (guint)(policy >> version.major) & 0xff;
    guint minor = (guint)(policy >> version.minor) & 0xff;

    for (gsize i = 0; i < n; i++) {
        if (policy >> bits[i].bit & 1)
            g_string_append_printf(words, "%s%s", words->len ? separator : "", bits[i].name);
    }
    if (major || minor)
        g_string_append_printf(words, "%s%s=%u.%u", words->len ? separator : "", version.name, major, minor);
    return g_string_free(words, FALSE);
}

gchar *policy_guest_flags(MeasurePlatform platform, guint64 policy)
{
    return policy_words(platform, policy, ",");
}

gchar *policy_guest_describe(MeasurePlatform platform, guint64 policy)
{
    g_autofree gchar *words = policy_words(platform, policy, ", ");

    if (!*words)
        return g_strdup_printf("0x%" G_GINT64_MODIFIER "x", policy);
    return g_strdup_printf("0x%" G_GINT64_MODIFIER "x (%s)", policy, words);
}

gboolean policy_guest_check(MeasurePlatform platform, guint64 policy, gboolean allow_debug, GError **error)
{
    g_autofree gchar *invalid = policy_guest_invalid(platform, policy);

    if (invalid) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "the processor would refuse this guest policy: %s",
                    invalid);
        return FALSE;
    }
    if (!allow_debug && policy_guest_allows_debug(platform, policy)) {
        g_autofree gchar *described = policy_guest_describe(platform, policy);

        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "guest policy %s lets the host read the guest's memory: %s, or give --allow-debug if that is wanted",
                    described, platform == MEASURE_PLATFORM_SNP ? "clear bit 19 (debug)" : "set bit 0 (nodbg)");
        return FALSE;
    }
    return TRUE;
}

static gboolean parse_number(const char *text, guint64 *out)
{
    if (g_str_has_prefix(text, "0x") || g_str_has_prefix(text, "0X"))
        text += 2;
    /* g_ascii_string_to_unsigned() takes a second prefix, a sign or blanks for what they are: not digits. */
    return g_ascii_isxdigit(*text) && g_ascii_string_to_unsigned(text, 16, 0, G_MAXUINT64, out, NULL);
}

/* "1.55": two decimal numbers of at most 255. */
static gboolean parse_version(const char *text, guint64 *major, guint64 *minor)
{
    g_auto(GStrv) parts = g_strsplit(text, ".", 3);

    return g_strv_length(parts) == 2 && g_ascii_isdigit(*parts[0]) && g_ascii_isdigit(*parts[1]) &&
           g_ascii_string_to_unsigned(parts[0], 10, 0, 0xff, major, NULL) &&
           g_ascii_string_to_unsigned(parts[1], 10, 0, 0xff, minor, NULL);
}

static gboolean parse_word(MeasurePlatform platform, const char *word, guint64 *value)
{
    PolicyVersion version = policy_version(platform);
    gsize n = 0, length = strlen(version.name);
    const PolicyBit *bits = policy_bits(platform, &n);
    guint64 major = 0, minor = 0;

    for (gsize i = 0; i < n; i++) {
        if (!g_ascii_strcasecmp(word, bits[i].name)) {
            *value |= G_GUINT64_CONSTANT(1) << bits[i].bit;
            return TRUE;
        }
    }
    if (g_ascii_strncasecmp(word, version.name, length) || word[length] != '=' ||
        !parse_version(word + length + 1, &major, &minor))
        return FALSE;
    /* A second version would be one that nobody can tell from the first. */
    if (*value >> version.major & 0xff || *value >> version.minor & 0xff)
        return FALSE;
    *value |= major << version.major | minor << version.minor;
    return TRUE;
}

static gchar *known_words(MeasurePlatform platform)
{
    GString *known = g_string_new(NULL);
    gsize n = 0;
    const PolicyBit *bits = policy_bits(platform, &n);

    for (gsize i = 0; i < n; i++)
        g_string_append_printf(known, "%s, ", bits[i].name);
    g_string_append_printf(known, "%s=MAJOR.MINOR", policy_version(platform).name);
    return g_string_free(known, FALSE);
}

gboolean policy_guest_parse(MeasurePlatform platform, const char *text, guint64 *out, GError **error)
{
    guint64 value = 0;

    if (!parse_number(text, &value)) {
        g_auto(GStrv) words = g_strsplit(text, ",", 65);

        value = platform == MEASURE_PLATFORM_SNP ? POLICY_SNP_RESERVED_ONE : 0;
        for (guint w = 0; words[w]; w++) {
            if (!parse_word(platform, g_strstrip(words[w]), &value)) {
                g_autofree gchar *known = known_words(platform);

                g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                            "guest policy '%s': '%s' is neither a hexadecimal number nor one of %s", text, words[w],
                            known);
                return FALSE;
            }
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
