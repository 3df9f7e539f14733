/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The readers of reports, evidence and certificate tables: what they take, what they refuse, and in which words. */
#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/appraisal/chain.h"
#include "policy/appraisal/words.h"
#include "tests/unit/corpus-fixture.h"

static void plain_report(guint8 raw[APPRAISAL_REPORT_SIZE], guint32 version)
{
    memset(raw, 0, APPRAISAL_REPORT_SIZE);
    measure_put_u32(raw, version);
    measure_put_u64(raw + 8, 0x30000);
    measure_put_u32(raw + 0x34, 1);
    if (version >= 3) {
        raw[0x188] = 0x19;
        raw[0x189] = 1;
    }
}

static AppraisalReport *parse(const guint8 raw[APPRAISAL_REPORT_SIZE])
{
    g_autoptr(GError) error = NULL;
    AppraisalReport *report = appraisal_report_parse(raw, APPRAISAL_REPORT_SIZE, &error);

    g_assert_no_error(error);
    return report;
}

static void assert_refused(const guint8 raw[APPRAISAL_REPORT_SIZE], const char *reason)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalReport) report = appraisal_report_parse(raw, APPRAISAL_REPORT_SIZE, &error);

    if (report)
        g_error("not refused: %s", reason);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, reason))
        g_error("'%s' instead of '%s'", error->message, reason);
}

/* Reserved bytes by version, from the specification: each of them, with each of its bits. */
static void test_reserved(void)
{
    static const struct {
        gsize from, to;
        guint32 first, last; /* versions in which they are reserved */
    } rows[] = {
        {0x04c, 0x050, 2, 5}, {0x188, 0x18b, 2, 2}, {0x18b, 0x1a0, 2, 5}, {0x1eb, 0x1ec, 2, 5}, {0x1ef, 0x1f0, 2, 5},
        {0x1f8, 0x208, 2, 4}, {0x208, 0x2a0, 2, 5}, {0x330, 0x4a0, 2, 5},
    };
    guint8 raw[APPRAISAL_REPORT_SIZE];

    for (guint32 version = 2; version <= 5; version++) {
        gboolean reserved[APPRAISAL_REPORT_SIZE] = {FALSE};

        plain_report(raw, version);
        appraisal_report_free(parse(raw));
        for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
            for (gsize at = rows[i].from; at < rows[i].to; at++)
                reserved[at] = version >= rows[i].first && version <= rows[i].last;
        }
        for (gsize at = 0x4c; at < APPRAISAL_REPORT_SIZE; at++) {
            g_autofree gchar *reason = g_strdup_printf("byte 0x%" G_GSIZE_MODIFIER "x is reserved", at);
            guint8 before = raw[at];
            gboolean number = at >= 0x2a0 && at < 0x330;

            raw[at] ^= (guint8)(1u << at % 8);
            if (reserved[at])
                assert_refused(raw, reason);
            else if (!number)
                appraisal_report_free(parse(raw));
            raw[at] = before;
        }
    }
}

static void test_words_of_refusal(void)
{
    static const struct {
        gsize offset;
        guint64 value; /* eight bytes */
        const char *reason;
    } rows[] = {
        {0x00, 1, "version 1; this program knows versions 2 to 5"},
        {0x08, 0x10000, "bit 17 of the guest policy at 0x8 must be one"},
        {0x08, 0x4030000, "bits 63:26 of the guest policy at 0x8 must be zero, and it is 0x4030000"},
        {0x08, G_GUINT64_CONSTANT(0x8000000000030000), "bits 63:26"},
        {0x30, 4 | G_GUINT64_CONSTANT(1) << 32, "there is no VMPL 4"},
        {0x30, 0xfffffffe | G_GUINT64_CONSTANT(1) << 32, "there is no VMPL 4294967294"},
        {0x30, 0, "unsupported signature algorithm 0"},
        {0x30, G_GUINT64_CONSTANT(2) << 32, "unsupported signature algorithm 2"},
        {0x48, 0x20, "bits 31:5 of the key information at 0x48"},
        {0x48, 0x80000000, "bits 31:5 of the key information at 0x48"},
        {0x48, 2 << 2, "signing key 2 at 0x48 is reserved"},
        {0x48, 6 << 2, "signing key 6 at 0x48 is reserved"},
        {0x2a0 + 48, 1, "R of the signature at 0x2a0 has more than 384 bits"},
        {0x2e8 + 64, G_GUINT64_CONSTANT(1) << 63, "S of the signature at 0x2e8 has more than 384 bits"},
    };
    guint8 raw[APPRAISAL_REPORT_SIZE];

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        plain_report(raw, 3);
        measure_put_u64(raw + rows[i].offset, rows[i].value);
        assert_refused(raw, rows[i].reason);
    }
}

static void test_fields(void)
{
    guint8 raw[APPRAISAL_REPORT_SIZE];

    plain_report(raw, 5);
    measure_put_u32(raw + 0x30, 0xffffffff);
    measure_put_u32(raw + 0x48, 1 | 2 | 7 << 2);
    measure_put_u64(raw + 0x1f8, G_GUINT64_CONSTANT(0x0102030405060708));
    measure_put_u64(raw + 0x200, 3);
    memcpy(raw + 0x1e8, "\x1d\x37\x01\x00\x1c\x36\x02\x00", 8);
    g_autoptr(AppraisalReport) report = parse(raw);
    g_assert_cmpuint(report->vmpl, ==, 0xffffffff);
    g_assert_true(report->author_key);
    g_assert_true(report->mask_chip_key);
    g_assert_cmpint(report->signer, ==, APPRAISAL_SIGNER_NONE);
    g_assert_cmpstr(appraisal_signer_name(report->signer), ==, "none");
    g_assert_true(report->has_mitigation);
    g_assert_cmpuint(report->launch_mitigation, ==, G_GUINT64_CONSTANT(0x0102030405060708));
    g_assert_cmpuint(report->current_mitigation, ==, 3);
    g_assert_cmpmem(report->current_version, 3, "\x01\x37\x1d", 3);
    g_assert_cmpmem(report->committed_version, 3, "\x02\x36\x1c", 3);
    g_assert_cmpmem(report->raw, sizeof(raw), raw, sizeof(raw));
    g_assert_null(appraisal_report_chip(report, report->line));
}

static void test_lines(void)
{
    static const struct {
        guint8 family, model;
        AppraisalLine line;
    } rows[] = {
        {0x19, 0x00, APPRAISAL_LINE_MILAN}, {0x19, 0x0f, APPRAISAL_LINE_MILAN},
        {0x19, 0x10, APPRAISAL_LINE_GENOA}, {0x19, 0x1f, APPRAISAL_LINE_GENOA},
        {0x19, 0x20, APPRAISAL_LINE_UNKNOWN}, {0x19, 0x9f, APPRAISAL_LINE_UNKNOWN},
        {0x19, 0xa0, APPRAISAL_LINE_GENOA}, {0x19, 0xaf, APPRAISAL_LINE_GENOA},
        {0x19, 0xb0, APPRAISAL_LINE_UNKNOWN}, {0x1a, 0x00, APPRAISAL_LINE_TURIN},
        {0x1a, 0x11, APPRAISAL_LINE_TURIN}, {0x1a, 0x12, APPRAISAL_LINE_UNKNOWN},
        {0x1a, 0x50, APPRAISAL_LINE_UNKNOWN}, {0x17, 0x31, APPRAISAL_LINE_UNKNOWN},
        {0x00, 0x00, APPRAISAL_LINE_UNKNOWN},
    };
    guint8 raw[APPRAISAL_REPORT_SIZE];

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        plain_report(raw, 3);
        raw[0x188] = rows[i].family;
        raw[0x189] = rows[i].model;
        g_autoptr(AppraisalReport) report = parse(raw);
        g_assert_cmpint(report->line, ==, rows[i].line);
        g_assert_cmpuint(report->unusual->len, ==, rows[i].line == APPRAISAL_LINE_UNKNOWN ? 1 : 0);
    }
    /* Version 2 has only the chip id to go by. */
    plain_report(raw, 2);
    g_autoptr(AppraisalReport) masked = parse(raw);
    g_assert_cmpint(masked->line, ==, APPRAISAL_LINE_UNKNOWN);
    raw[0x1a7] = 1;
    g_autoptr(AppraisalReport) turin = parse(raw);
    g_assert_cmpint(turin->line, ==, APPRAISAL_LINE_TURIN);
    g_autofree gchar *chip = appraisal_report_chip(turin, turin->line);
    g_assert_cmpstr(chip, ==, "0000000000000001");
    raw[0x1a8] = 1;
    g_autoptr(AppraisalReport) older = parse(raw);
    g_assert_cmpint(older->line, ==, APPRAISAL_LINE_UNKNOWN);
    g_autofree gchar *longer = appraisal_report_chip(older, APPRAISAL_LINE_MILAN);
    g_assert_cmpuint(strlen(longer), ==, 128);
}

static void test_unusual(void)
{
    static const struct {
        gsize offset;
        guint8 value;
        const char *word; /* NULL: nothing unusual */
    } rows[] = {
        {0x40, 0xbf, NULL},     {0x40, 0x40, "0x40"},     {0x41, 0x01, "0x100"},   {0x47, 0x80, "0x8000000000000000"},
        {0x3a, 1, "current"},   {0x185, 1, "reported"},   {0x1e3, 1, "committed"}, {0x1f4, 1, "launch"},
        {0x38, 1, NULL},        {0x187, 1, NULL},         {0x110, 1, "author key"},
    };
    guint8 raw[APPRAISAL_REPORT_SIZE];

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        plain_report(raw, 3);
        raw[rows[i].offset] = rows[i].value;
        g_autoptr(AppraisalReport) report = parse(raw);
        g_assert_cmpuint(report->unusual->len, ==, rows[i].word ? 1 : 0);
        if (rows[i].word)
            g_assert_nonnull(strstr(g_ptr_array_index(report->unusual, 0), rows[i].word));
    }
}

static void test_names(void)
{
    static const struct {
        const char *name;
        AppraisalLine line;
    } rows[] = {
        {"Milan", APPRAISAL_LINE_MILAN},   {"Milan-B0", APPRAISAL_LINE_MILAN},  {"Genoa", APPRAISAL_LINE_GENOA},
        {"Bergamo", APPRAISAL_LINE_GENOA}, {"Siena-A1", APPRAISAL_LINE_GENOA},  {"Turin", APPRAISAL_LINE_TURIN},
        {"Rome", APPRAISAL_LINE_UNKNOWN},  {"milan", APPRAISAL_LINE_UNKNOWN},   {"Milan-", APPRAISAL_LINE_UNKNOWN},
        {"", APPRAISAL_LINE_UNKNOWN},      {"MilanB0", APPRAISAL_LINE_UNKNOWN}, {"Milan-B 0", APPRAISAL_LINE_UNKNOWN},
        {"Mila", APPRAISAL_LINE_UNKNOWN},  {"unknown", APPRAISAL_LINE_UNKNOWN},
        {"Milan-B0B0B0B0B", APPRAISAL_LINE_UNKNOWN},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        AppraisalLine line = APPRAISAL_LINE_UNKNOWN;
        gboolean known = appraisal_line_from_name(rows[i].name, &line);

        g_assert_cmpint(known, ==, rows[i].line != APPRAISAL_LINE_UNKNOWN);
        g_assert_cmpint(line, ==, rows[i].line);
    }
    g_assert_cmpstr(appraisal_line_name(APPRAISAL_LINE_GENOA), ==, "Genoa");
    g_assert_cmpstr(appraisal_line_name(APPRAISAL_LINE_UNKNOWN), ==, "unknown");
}

static void test_tcb(void)
{
    static const guint8 raw[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    PolicyTcb milan, turin, unknown;

    appraisal_tcb_decode(APPRAISAL_LINE_MILAN, raw, &milan);
    appraisal_tcb_decode(APPRAISAL_LINE_TURIN, raw, &turin);
    appraisal_tcb_decode(APPRAISAL_LINE_UNKNOWN, raw, &unknown);
    g_autofree gchar *old = policy_tcb_describe(&milan);
    g_autofree gchar *new = policy_tcb_describe(&turin);
    g_assert_cmpstr(old, ==, "bootloader=1,tee=2,snp=7,microcode=8");
    g_assert_cmpstr(new, ==, "bootloader=2,tee=3,snp=4,microcode=8,fmc=1");
    g_assert_true(appraisal_tcb_equal(&milan, &unknown));
    g_assert_false(appraisal_tcb_equal(&milan, &turin));
    /* Part by part: a high one makes up for no low one, an FMC that is asked for must be there. */
    PolicyTcb all = {.bootloader = 2, .tee = 3, .snp = 4, .microcode = 8, .fmc = 1};
    guint8 *parts[] = {&all.bootloader, &all.tee, &all.snp, &all.microcode};
    g_assert_true(appraisal_tcb_at_least(&turin, &all));
    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
        *parts[i] = (guint8)(*parts[i] + 1);
        g_assert_false(appraisal_tcb_at_least(&turin, &all));
        g_assert_true(appraisal_tcb_at_least(&all, &turin));
        g_assert_false(appraisal_tcb_equal(&turin, &all));
        *parts[i] = (guint8)(*parts[i] - 1);
    }
    all.fmc = 2;
    g_assert_false(appraisal_tcb_at_least(&turin, &all));
    all.fmc = 0;
    all.tee = 0;
    all.bootloader = 0;
    all.snp = 0;
    all.microcode = 0;
    g_assert_false(appraisal_tcb_at_least(&milan, &all));
    all.fmc = -1;
    g_assert_true(appraisal_tcb_at_least(&milan, &all));
    g_assert_true(appraisal_tcb_at_least(&turin, &all));
}

static void test_table(void)
{
    g_autoptr(GPtrArray) blobs = appraisal_blobs_new();
    g_autoptr(GPtrArray) again = appraisal_blobs_new();
    static const char *const roles[] = {"vcek", "ask", "ark", "crl", "vlek", "00112233-4455-6677-8899-aabbccddeeff"};
    g_autoptr(GError) error = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(roles); i++) {
        g_autoptr(GBytes) data = g_bytes_new(roles[i], i + 1);
        appraisal_blobs_add(blobs, roles[i], data);
    }
    g_autoptr(GBytes) table = appraisal_table_format(blobs);
    gsize size = 0;
    const guint8 *bytes = g_bytes_get_data(table, &size);
    g_assert_cmpuint(size, ==, 7 * 24 + 21);
    /* RFC 4122 byte order, not that of EFI; offsets from the start. */
    g_assert_cmpmem(bytes, 4, "\x63\xda\x75\x8d", 4);
    g_assert_cmpmem(bytes + 5 * 24, 16, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16);
    g_assert_cmpmem(bytes + 16, 8, "\xa8\x00\x00\x00\x01\x00\x00\x00", 8);
    appraisal_table_parse(bytes, size, again, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(again->len, ==, blobs->len);
    for (guint i = 0; i < again->len; i++) {
        const AppraisalBlob *one = g_ptr_array_index(blobs, i), *other = g_ptr_array_index(again, i);
        g_assert_cmpstr(one->role, ==, other->role);
        g_assert_true(g_bytes_equal(one->data, other->data));
    }
    /* Nothing of a bad table is handed on. */
    g_assert_false(appraisal_table_parse(bytes, size - 1, again, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_assert_cmpuint(again->len, ==, blobs->len);
}

static void test_tsm(void)
{
    guint8 raw[APPRAISAL_REPORT_SIZE];
    g_autoptr(GPtrArray) blobs = appraisal_blobs_new();
    g_autoptr(GBytes) data = g_bytes_new("x", 1);
    g_autoptr(GBytes) nothing = g_bytes_new("", 0);
    g_autoptr(GError) error = NULL;

    plain_report(raw, 3);
    appraisal_blobs_add(blobs, "vlek", data);
    g_autoptr(GBytes) table = appraisal_table_format(blobs);
    g_autoptr(AppraisalEvidence) evidence = appraisal_evidence_parse(raw, sizeof(raw), table, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(evidence->form, ==, "tsm");
    g_assert_cmpuint(evidence->certificates->len, ==, 1);
    g_autoptr(AppraisalEvidence) bare = appraisal_evidence_parse(raw, sizeof(raw), nothing, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(bare->certificates->len, ==, 0);
    g_assert_null(appraisal_evidence_parse(raw, sizeof(raw), data, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_clear_error(&error);
    g_autoptr(GByteArray) extended = g_byte_array_new();
    g_byte_array_append(extended, raw, sizeof(raw));
    g_byte_array_append(extended, g_bytes_get_data(table, NULL), (guint)g_bytes_get_size(table));
    g_assert_null(appraisal_evidence_parse(extended->data, extended->len, table, &error));
    g_assert_nonnull(strstr(error->message, "already has certificates"));
}

/* What is written as JSON is read back to the byte: of every version, with every byte that a report may have set. */
static void test_json(void)
{
    guint8 raw[APPRAISAL_REPORT_SIZE];

    for (guint32 version = 2; version <= 5; version++) {
        g_autoptr(GError) error = NULL;

        plain_report(raw, version);
        for (gsize i = 0x50; i < 0x180; i++)
            raw[i] = (guint8)(i * 7 + version);
        memcpy(raw + 0x38, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
        memcpy(raw + 0x180, "\x11\x12\x13\x14\x15\x16\x17\x18", 8);
        for (gsize i = 0x1a0; i < 0x1eb; i++)
            raw[i] = (guint8)i;
        if (version == 5)
            memset(raw + 0x1f8, 0xff, 16);
        memset(raw + 0x2a0, 0x9c, 48);
        memset(raw + 0x2e8, 0xc9, 48);
        g_autoptr(AppraisalReport) report = parse(raw);
        g_autofree gchar *json = appraisal_report_to_json(report);
        g_autoptr(AppraisalEvidence) evidence = appraisal_evidence_parse(json, strlen(json), NULL, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(evidence->form, ==, "json");
        g_assert_cmpmem(evidence->report->raw, sizeof(raw), raw, sizeof(raw));
        g_assert_nonnull(strstr(json, "\"_author_key_en\":0"));
        g_assert_nonnull(strstr(json, "{\"bootloader\":1,\"tee\":2,\"_reserved\":[3,4,5,6],\"snp\":7,"));
    }
}

static gboolean read_report(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(AppraisalReport) report = appraisal_report_parse(text, size, error);

    return report != NULL;
}

static gboolean read_evidence(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(AppraisalEvidence) evidence = appraisal_evidence_parse(text, size, NULL, error);

    return evidence != NULL;
}

static gboolean read_table(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(GPtrArray) blobs = appraisal_blobs_new();

    return appraisal_table_parse(text, size, blobs, error);
}

static gboolean read_endorsement(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(AppraisalEndorsement) endorsement = appraisal_endorsement_parse(text, size, error);

    return endorsement != NULL;
}

static gboolean read_list(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(AppraisalCrl) crl = appraisal_crl_parse(text, size, error);

    return crl != NULL;
}

static void test_corpora(void)
{
    corpus_walk("report", read_report, NULL);
    corpus_walk("evidence", read_evidence, NULL);
    corpus_walk("certificate-table", read_table, NULL);
    corpus_walk("endorsement", read_endorsement, NULL);
    corpus_walk("revocation-list", read_list, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/appraisal-report/reserved", test_reserved);
    g_test_add_func("/appraisal-report/words-of-refusal", test_words_of_refusal);
    g_test_add_func("/appraisal-report/fields", test_fields);
    g_test_add_func("/appraisal-report/lines", test_lines);
    g_test_add_func("/appraisal-report/unusual", test_unusual);
    g_test_add_func("/appraisal-report/names", test_names);
    g_test_add_func("/appraisal-report/tcb", test_tcb);
    g_test_add_func("/appraisal-report/table", test_table);
    g_test_add_func("/appraisal-report/tsm", test_tsm);
    g_test_add_func("/appraisal-report/json", test_json);
    g_test_add_func("/appraisal-report/corpora", test_corpora);
    return g_test_run();
}
