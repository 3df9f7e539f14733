/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bit numbers from the SEV-SNP firmware ABI (56860), section 4.3, and the SEV API (55766), chapter 3. */
#include <string.h>

#include "measure/error.h"
#include "policy/guest-policy.h"

#define SNP MEASURE_PLATFORM_SNP
#define SEV MEASURE_PLATFORM_SEV
#define ES MEASURE_PLATFORM_SEV_ES

static void test_debug(void)
{
    g_assert_false(policy_guest_allows_debug(SNP, 0x30000));
    g_assert_true(policy_guest_allows_debug(SNP, 0xb0000));
    g_assert_true(policy_guest_allows_debug(SEV, 0x0));
    g_assert_true(policy_guest_allows_debug(SEV, 0x4));
    g_assert_false(policy_guest_allows_debug(SEV, 0x1));
    g_assert_false(policy_guest_allows_debug(ES, 0x5));
}

static void test_invalid(void)
{
    static const struct {
        MeasurePlatform platform;
        guint64 policy;
        const char *says; /* NULL: valid */
    } rows[] = {
        {SNP, 0x30000, NULL},
        {SNP, 0x3001f, NULL},
        {SNP, 0x3ff0000 | 0xffff, NULL},
        {SNP, 0x10000, "bit 17"},
        {SNP, 0x7, "bit 17"},
        {SNP, 0x4030000, "reserved bits (0x4000000)"},
        {SNP, G_GUINT64_CONSTANT(0x8000000000030000), "reserved bits (0x8000000000000000)"},
        {SEV, 0x1, NULL},
        {SEV, 0x3f, NULL},
        {SEV, 0x16000001, NULL},
        {SEV, 0x40, "reserved bits (0x40)"},
        {SEV, 0x8001, "reserved bits (0x8000)"},
        {SEV, G_GUINT64_CONSTANT(0x100000001), "reserved bits (0x100000000)"},
        {ES, 0x5, NULL},
        {ES, 0x1, "bit 2"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree gchar *text = policy_guest_invalid(rows[i].platform, rows[i].policy);

        if (!rows[i].says)
            g_assert_null(text);
        else if (!text || !strstr(text, rows[i].says))
            g_error("row %" G_GSIZE_FORMAT ": '%s' is not in '%s'", i, rows[i].says, text);
    }
}

static void assert_described(MeasurePlatform platform, guint64 policy, const char *expected)
{
    g_autofree gchar *text = policy_guest_describe(platform, policy);

    g_assert_cmpstr(text, ==, expected);
}

static void test_describe(void)
{
    assert_described(SNP, 0x30000, "0x30000 (smt)");
    assert_described(SNP, 0x20000, "0x20000");
    assert_described(SNP, 0x3001f, "0x3001f (smt, abi=0.31)");
    assert_described(SNP, 0x20133, "0x20133 (abi=1.51)");
    assert_described(SNP, 0xb0000, "0xb0000 (smt, debug)");
    assert_described(SNP, 0x3fe0000,
                     "0x3fe0000 (migrate-ma, debug, single-socket, cxl, mem-aes-256-xts, rapl-dis, "
                     "ciphertext-hiding, page-swap-disable)");
    assert_described(SEV, 0x3f, "0x3f (nodbg, noks, es, nosend, domain, sev)");
    assert_described(SEV, 0x0, "0x0");
    /* Major in 23:16, minor in 31:24. */
    assert_described(ES, 0x16010005, "0x16010005 (nodbg, es, api=1.22)");
}

static void assert_parsed(MeasurePlatform platform, const char *text, guint64 expected)
{
    g_autoptr(GError) error = NULL;
    guint64 value = 0;

    g_assert_true(policy_guest_parse(platform, text, &value, &error));
    g_assert_no_error(error);
    g_assert_cmphex(value, ==, expected);
}

static void assert_refused(MeasurePlatform platform, const char *text)
{
    g_autoptr(GError) error = NULL;
    guint64 value = 77;

    if (policy_guest_parse(platform, text, &value, &error))
        g_error("'%s' was taken for 0x%" G_GINT64_MODIFIER "x", text, value);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
    g_assert_cmpuint(value, ==, 77);
}

static void test_parse(void)
{
    assert_parsed(SNP, "0x30000", 0x30000);
    assert_parsed(SNP, "30000", 0x30000);
    /* libvirt reads it in base 16 whatever it looks like. */
    assert_parsed(SNP, "196608", 0x196608);
    assert_parsed(SNP, "0X7", 7);
    assert_parsed(SNP, "ffffffffffffffff", G_MAXUINT64);
    assert_parsed(SNP, "smt", 0x30000);
    assert_parsed(SNP, "smt,single-socket", 0x130000);
    assert_parsed(SNP, " SMT , debug", 0xb0000);
    assert_parsed(SEV, "nodbg,es", 0x5);
    assert_parsed(SEV, "0x3", 3);
    assert_parsed(SEV, "ffffffff", G_MAXUINT32);
    assert_parsed(SNP, "abi=1.55", 0x20137);
    assert_parsed(SNP, "smt, ABI=0.31", 0x3001f);
    assert_parsed(SNP, "abi=0.0,smt", 0x30000);
    assert_parsed(ES, "nodbg,es,api=1.22", 0x16010005);

    assert_refused(SNP, "");
    assert_refused(SNP, "0x");
    assert_refused(SNP, "0x0x1");
    assert_refused(SNP, "-1");
    assert_refused(SNP, "+1");
    assert_refused(SNP, " 1");
    assert_refused(SNP, "1 ");
    assert_refused(SNP, "10000000000000000");
    assert_refused(SNP, "nodbg");
    assert_refused(SNP, "smt,");
    assert_refused(SNP, "smt;debug");
    assert_refused(SEV, "smt");
    assert_refused(SNP, "abi");
    assert_refused(SNP, "abi=");
    assert_refused(SNP, "abi=1");
    assert_refused(SNP, "abi=1.2.3");
    assert_refused(SNP, "abi=1.256");
    assert_refused(SNP, "abi=-1.2");
    assert_refused(SNP, "abi=1.+2");
    assert_refused(SNP, "abi=1. 2");
    assert_refused(SNP, "abi=0x1.2");
    assert_refused(SNP, "abi=1.2,abi=1.3");
    assert_refused(SNP, "api=1.2");
    assert_refused(SEV, "abi=1.2");
    assert_refused(SEV, "0x100000000");
}

/* Names out are names in, for every bit and both numbers. */
static void test_round_trip(void)
{
    for (guint bit = 0; bit < 26; bit++) {
        guint64 snp = 0x20000 | G_GUINT64_CONSTANT(1) << bit;
        g_autofree gchar *flags = policy_guest_flags(SNP, snp);

        if (*flags)
            assert_parsed(SNP, flags, snp);
        else
            g_assert_cmpuint(bit, ==, 17);
    }
    for (guint bit = 0; bit < 32; bit++) {
        guint64 sev = G_GUINT64_CONSTANT(1) << bit;
        g_autofree gchar *flags = policy_guest_flags(SEV, sev);

        if (*flags)
            assert_parsed(SEV, flags, sev);
        else
            g_assert_true(bit >= 6 && bit < 16);
    }
    g_autofree gchar *several = policy_guest_flags(SNP, 0x13001f);
    g_assert_cmpstr(several, ==, "smt,single-socket,abi=0.31");
}

static void assert_checked(MeasurePlatform platform, guint64 policy, gboolean allow_debug, const char *says)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(policy_guest_check(platform, policy, allow_debug, &error), ==, !says);
    if (!says) {
        g_assert_no_error(error);
        return;
    }
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
    g_assert_nonnull(strstr(error->message, says));
}

static void test_check(void)
{
    assert_checked(SNP, 0x30000, FALSE, NULL);
    assert_checked(SNP, 0xb0000, FALSE, "--allow-debug");
    assert_checked(SNP, 0xb0000, TRUE, NULL);
    assert_checked(SNP, 0x10000, TRUE, "bit 17");
    assert_checked(SNP, 0x4030000, TRUE, "reserved bits");
    assert_checked(SEV, 0x0, FALSE, "nodbg");
    assert_checked(SEV, 0x0, TRUE, NULL);
    assert_checked(ES, 0x1, TRUE, "bit 2");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/guest-policy/debug", test_debug);
    g_test_add_func("/guest-policy/invalid", test_invalid);
    g_test_add_func("/guest-policy/describe", test_describe);
    g_test_add_func("/guest-policy/parse", test_parse);
    g_test_add_func("/guest-policy/round-trip", test_round_trip);
    g_test_add_func("/guest-policy/check", test_check);
    return g_test_run();
}
