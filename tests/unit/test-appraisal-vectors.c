/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verifier against real evidence: every collected report parses to the values that others read in it, verifies, and
 * chains to the built-in keys; every change of it that the table of mutations names, and every single flipped bit, is
 * refused for its own reason.
 */
#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/appraisal/rules.h"
#include "tests/unit/appraisal-vectors.h"

#include "measure/foreign-autoptr.h"

static GPtrArray *read_table(const char *name)
{
    g_autoptr(GBytes) data = vectors_read("reports", name);
    g_autofree gchar *text = g_strndup(g_bytes_get_data(data, NULL), g_bytes_get_size(data));
    g_auto(GStrv) lines = g_strsplit(text, "\n", 0);
    GPtrArray *rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);

    for (guint i = 0; lines[i]; i++) {
        if (*lines[i])
            g_ptr_array_add(rows, g_strsplit(lines[i], "\t", 0));
    }
    g_assert_cmpuint(rows->len, >, 1);
    return rows;
}

/* The cell below @heading in the row whose first cell is @key. */
static const char *cell(GPtrArray *rows, const char *key, const char *heading)
{
    gchar **headings = g_ptr_array_index(rows, 0);

    for (guint i = 1; i < rows->len; i++) {
        gchar **row = g_ptr_array_index(rows, i);

        for (guint k = 0; g_str_equal(row[0], key) && row[k]; k++) {
            if (g_str_equal(headings[k], heading))
                return row[k];
        }
    }
    g_error("no %s of %s", heading, key);
}

static void check_number(GPtrArray *rows, const char *key, const char *heading, guint64 value)
{
    const char *text = cell(rows, key, heading);
    guint64 expected = g_ascii_strtoull(text, NULL, g_str_has_prefix(text, "0x") ? 16 : 10);

    g_test_message("%s %s", key, heading);
    g_assert_cmpuint(value, ==, expected);
}

/* "0" stands for all zero. */
static void check_bytes(GPtrArray *rows, const char *key, const char *heading, const guint8 *data, gsize size)
{
    g_autofree gchar *hex = measure_hex_encode(data, size);
    g_autofree gchar *zero = g_strnfill(2 * size, '0');
    const char *expected = cell(rows, key, heading);

    g_test_message("%s %s", key, heading);
    g_assert_cmpstr(hex, ==, g_str_equal(expected, "0") ? zero : expected);
}

static void check_version(GPtrArray *rows, const char *key, const char *heading, const guint8 version[3])
{
    g_autofree gchar *text = g_strdup_printf("%u.%u.%u", version[0], version[1], version[2]);

    g_assert_cmpstr(text, ==, cell(rows, key, heading));
}

static void test_values(void)
{
    g_autoptr(GPtrArray) rows = read_table("reports.tsv");

    g_assert_cmpuint(rows->len - 1, ==, VECTORS_REPORTS);
    for (gsize i = 0; i < VECTORS_REPORTS; i++) {
        const char *key = vectors_reports[i].folder;
        g_autoptr(AppraisalReport) report = vectors_report(i);
        g_autofree gchar *cpu = report->has_cpuid ? g_strdup_printf("%02x/%02x/%x", report->cpuid_family,
                                                                    report->cpuid_model, report->cpuid_stepping)
                                                  : g_strdup("-");
        guint32 info = report->author_key | report->mask_chip_key << 1 | (guint32)report->signer << 2;

        check_number(rows, key, "version", report->version);
        check_number(rows, key, "guest_svn", report->guest_svn);
        check_number(rows, key, "policy", report->policy);
        check_number(rows, key, "vmpl", report->vmpl);
        check_number(rows, key, "sig_algo", report->signature_algorithm);
        check_bytes(rows, key, "current_tcb", report->current_tcb, 8);
        check_number(rows, key, "platform_info", report->platform_info);
        check_number(rows, key, "key_info", info);
        check_bytes(rows, key, "reported_tcb", report->reported_tcb, 8);
        check_bytes(rows, key, "committed_tcb", report->committed_tcb, 8);
        check_bytes(rows, key, "launch_tcb", report->launch_tcb, 8);
        g_assert_cmpstr(cpu, ==, cell(rows, key, "cpuid_fms"));
        check_version(rows, key, "current_fw", report->current_version);
        check_version(rows, key, "committed_fw", report->committed_version);
        check_number(rows, key, "launch_mit", report->launch_mitigation);
        check_number(rows, key, "current_mit", report->current_mitigation);
        check_bytes(rows, key, "family_id", report->family_id, 16);
        check_bytes(rows, key, "image_id", report->image_id, 16);
        check_bytes(rows, key, "report_data", report->report_data, 64);
        check_bytes(rows, key, "measurement", report->measurement, 48);
        check_bytes(rows, key, "host_data", report->host_data, 32);
        check_bytes(rows, key, "id_key_digest", report->id_key_digest, 48);
        check_bytes(rows, key, "author_key_digest", report->author_key_digest, 48);
        check_bytes(rows, key, "report_id", report->report_id, 32);
        check_bytes(rows, key, "report_id_ma", report->report_id_ma, 32);
        check_bytes(rows, key, "chip_id", report->chip_id, 64);
        g_assert_cmpint(report->has_mitigation, ==, report->version >= 5);
        g_assert_cmpint(report->line, ==, report->has_cpuid ? vectors_reports[i].line : APPRAISAL_LINE_UNKNOWN);
        /* Platform information bit 6 of a real Turin: worth a word, nothing to fail for. */
        g_assert_cmpuint(report->unusual->len, ==, vectors_reports[i].line == APPRAISAL_LINE_TURIN ? 1 : 0);
    }
}

/* Of the blob with @at changed by one bit (0: none) and cut to @size. */
static AppraisalEvidence *read_hcl(const guint8 *blob, gsize size, gsize at)
{
    g_autofree guint8 *copy = g_memdup2(blob, size);
    g_autoptr(GError) error = NULL;
    AppraisalEvidence *evidence = NULL;

    if (at)
        copy[at] ^= 1;
    evidence = appraisal_evidence_parse(copy, size, NULL, &error);
    g_assert_no_error(error);
    return evidence;
}

static AppraisalVerdict *judge_hcl(const AppraisalEvidence *evidence, AppraisalRule rule)
{
    g_autoptr(AppraisalRules) rules = appraisal_rules_new();
    g_autoptr(AppraisalAnchors) anchors = appraisal_anchors_builtin();
    AppraisalCase input = {
        .evidence = evidence, .anchors = anchors, .rules = rules, .at = VECTORS_TIME, .nonce_issued = -1};

    rules->fields[APPRAISAL_FIELD_REPORT_DATA].rule = rule;
    memcpy(rules->fields[APPRAISAL_FIELD_REPORT_DATA].bytes, evidence->report->report_data, 64);
    return appraisal_verdict_new(&input);
}

/* The report of a real Azure blob vouches for the JSON beside it, and for no other. */
static void test_runtime_data(void)
{
    g_autoptr(GBytes) data = vectors_read_report("milan-v2-azure", "hcl-report.bin");
    const guint8 *blob = g_bytes_get_data(data, NULL);
    const gsize whole = g_bytes_get_size(data), behind = 32 + APPRAISAL_REPORT_SIZE, runtime = behind + 20;
    const gsize runtime_size = blob[behind + 16] | blob[behind + 17] << 8;
    const AppraisalRule rules[] = {APPRAISAL_RULE_EXACT, APPRAISAL_RULE_ANY};
    const AppraisalOutcome good[] = {APPRAISAL_PASS, APPRAISAL_WARN};

    g_assert_cmpuint(runtime_size, ==, 1110);
    g_assert_cmpint(blob[runtime], ==, '{');
    for (gsize i = 0; i < G_N_ELEMENTS(rules); i++) {
        g_autoptr(AppraisalEvidence) evidence = read_hcl(blob, whole, 0);
        g_autoptr(AppraisalVerdict) verdict = judge_hcl(evidence, rules[i]);
        g_autoptr(AppraisalEvidence) changed = read_hcl(blob, whole, runtime);
        g_autoptr(AppraisalVerdict) refused = judge_hcl(changed, rules[i]);
        const AppraisalCheck *check = appraisal_verdict_find(verdict, "nonce");

        g_assert_cmpint(check->outcome, ==, good[i]);
        g_assert_nonnull(strstr(check->text, "runtime data"));
        check = appraisal_verdict_find(refused, "nonce");
        g_assert_cmpint(check->outcome, ==, APPRAISAL_FAIL);
        g_assert_nonnull(strstr(check->text, "is not what the report vouches for"));
    }
    for (gsize at = runtime; at < runtime + runtime_size; at++) {
        g_autoptr(AppraisalEvidence) evidence = read_hcl(blob, whole, at);

        g_assert_true(evidence->has_runtime);
        g_assert_nonnull(evidence->runtime_fault);
    }
    /* The kind of digest, the size, and the report data itself. */
    const gsize also[] = {behind + 12, behind + 16, behind + 18, 32 + 0x50, 32 + 0x50 + 31};
    for (gsize i = 0; i < G_N_ELEMENTS(also); i++) {
        g_autoptr(AppraisalEvidence) evidence = read_hcl(blob, whole, also[i]);

        g_assert_nonnull(evidence->runtime_fault);
    }
    /* The room behind is not covered, and the report alone has nothing beside it. */
    g_autoptr(AppraisalEvidence) room = read_hcl(blob, whole, whole - 1);
    g_autoptr(AppraisalEvidence) alone =
        appraisal_evidence_parse(blob + 32, APPRAISAL_REPORT_SIZE, NULL, NULL);
    g_autoptr(AppraisalVerdict) plain = judge_hcl(alone, APPRAISAL_RULE_EXACT);
    g_assert_null(room->runtime_fault);
    g_assert_false(alone->has_runtime);
    g_assert_null(strstr(appraisal_verdict_find(plain, "nonce")->text, "runtime"));
}

static void test_verify(void)
{
    g_autoptr(AppraisalAnchors) anchors = appraisal_anchors_builtin();

    for (gsize i = 0; i < VECTORS_REPORTS; i++) {
        g_autoptr(AppraisalReport) report = vectors_report(i);
        g_autoptr(GPtrArray) others = appraisal_blobs_new();
        g_autoptr(AppraisalEndorsement) endorsement =
            vectors_endorsement(vectors_reports[i].folder, vectors_reports[i].certificate, others);
        g_autofree gchar *chip = appraisal_report_chip(report, endorsement->line);
        g_autofree gchar *hwid = NULL;
        g_autoptr(GError) error = NULL;
        PolicyTcb reported;

        g_test_message("%s", vectors_reports[i].folder);
        g_assert_cmpint(endorsement->line, ==, vectors_reports[i].line);
        g_assert_cmpint(endorsement->kind, ==, report->signer);
        /* Twice: once by the arithmetic, once remembered. */
        for (int round = 0; round < 2; round++) {
            appraisal_chain_verify(endorsement, anchors, others, vectors_reports[i].at, &error);
            g_assert_no_error(error);
            appraisal_signature_verify(report, endorsement, &error);
            g_assert_no_error(error);
        }
        appraisal_tcb_decode(endorsement->line, report->reported_tcb, &reported);
        g_assert_true(appraisal_tcb_equal(&reported, &endorsement->tcb));
        if (endorsement->hwid) {
            hwid = measure_hex_encode(g_bytes_get_data(endorsement->hwid, NULL), g_bytes_get_size(endorsement->hwid));
            g_assert_cmpstr(chip, ==, hwid);
        } else {
            g_assert_null(chip);
            g_assert_cmpstr(endorsement->csp_id, ==, "CN=cc-us-east-2.amazonaws.com");
        }
    }
}

static void assert_extension(const AppraisalEndorsement *endorsement, const char *name, const char *value)
{
    g_autofree gchar *hwid = NULL;
    int number = -1;

    if (g_str_equal(name, "2")) {
        g_assert_cmpstr(endorsement->product, ==, value);
    } else if (g_str_equal(name, "4")) {
        hwid = measure_hex_encode(g_bytes_get_data(endorsement->hwid, NULL), g_bytes_get_size(endorsement->hwid));
        g_assert_cmpstr(hwid, ==, value);
    } else if (g_str_equal(name, "5")) {
        g_assert_cmpstr(endorsement->csp_id, ==, value);
    } else {
        if (g_str_equal(name, "3.1"))
            number = endorsement->tcb.bootloader;
        else if (g_str_equal(name, "3.2"))
            number = endorsement->tcb.tee;
        else if (g_str_equal(name, "3.3"))
            number = endorsement->tcb.snp;
        else if (g_str_equal(name, "3.8"))
            number = endorsement->tcb.microcode;
        else if (g_str_equal(name, "3.9"))
            number = endorsement->tcb.fmc;
        else
            return;
        g_assert_cmpint(number, ==, (int)g_ascii_strtoll(value, NULL, 10));
    }
}

/* Every VCEK and VLEK of certs.tsv, to the value of each extension. */
static void test_certificates(void)
{
    g_autoptr(GPtrArray) rows = read_table("certs.tsv");
    guint checked = 0;

    for (guint i = 1; i < rows->len; i++) {
        gchar **row = g_ptr_array_index(rows, i);
        g_auto(GStrv) path = g_strsplit(row[0], "/", 3);
        g_auto(GStrv) extensions = g_strsplit(row[11], ";", 0);

        if (strcmp(row[2], "SEV-VCEK") != 0 && strcmp(row[2], "SEV-VLEK") != 0)
            continue;
        g_autoptr(AppraisalEndorsement) endorsement = vectors_endorsement(path[1], path[2], NULL);
        g_autofree gchar *from = appraisal_time_format(endorsement->not_before);
        g_autofree gchar *until = appraisal_time_format(endorsement->not_after);
        guint8 digest[MEASURE_SHA256_SIZE];
        unsigned int length = 0;
        X509_digest(endorsement->certificate, EVP_sha256(), digest, &length);
        g_autofree gchar *fingerprint = measure_hex_encode(digest, sizeof(digest));
        g_assert_cmpstr(fingerprint, ==, row[10]);
        g_assert_cmpstr(from, ==, row[6]);
        g_assert_cmpstr(until, ==, row[7]);
        for (guint k = 0; extensions[k]; k++) {
            g_auto(GStrv) pair = g_strsplit(extensions[k], "=", 2);
            assert_extension(endorsement, pair[0], pair[1]);
        }
        checked++;
    }
    g_assert_cmpuint(checked, ==, 9);
}

/* The built-in table is what AMD has published: every fact of it, and each ARK has signed its ASK and ASVK. */
static void test_roots(void)
{
    static const char *const files[] = {
        "ask_ark_milan.pem",      "ask_ark_milan_vlek.pem", "ask_ark_genoa.pem",    "ask_ark_genoa_vlek.pem",
        "ask_ark_turin_vcek.pem", "ask_ark_turin_vlek.pem", "virtee_milan_ark.pem", "virtee_milan_ask.pem",
        "virtee_genoa_ark.pem",   "virtee_genoa_ask.pem",   "virtee_turin_ark.pem", "virtee_turin_ask.pem",
    };
    g_autoptr(AppraisalAnchors) anchors = appraisal_anchors_builtin();
    guint seen[APPRAISAL_LINE_TURIN + 1][APPRAISAL_AUTHORITY_ASVK + 1] = {{0}};

    g_assert_true(appraisal_anchors_are_builtin(anchors));
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autoptr(GBytes) data = vectors_read("roots", files[i]);
        g_autoptr(GPtrArray) blobs = appraisal_blobs_new();
        g_autoptr(GError) error = NULL;

        appraisal_certificates_read(g_bytes_get_data(data, NULL), g_bytes_get_size(data), blobs, &error);
        g_assert_no_error(error);
        appraisal_intermediates_check(blobs, anchors, VECTORS_TIME, &error);
        g_assert_no_error(error);
        for (guint k = 0; k < blobs->len; k++) {
            const AppraisalBlob *blob = g_ptr_array_index(blobs, k);
            g_autoptr(X509) certificate = appraisal_certificate_parse(g_bytes_get_data(blob->data, NULL),
                                                                      g_bytes_get_size(blob->data), &error);
            g_autofree gchar *name = appraisal_name_common(X509_get_subject_name(certificate));
            AppraisalAuthorityKind kind;
            AppraisalLine line;
            gint64 from = 0, until = 0;
            guint8 digest[MEASURE_SHA256_SIZE];
            unsigned int length = 0;

            g_assert_true(appraisal_authority_from_name(name, &kind, &line));
            const AppraisalAuthority *authority = appraisal_anchors_find(anchors, kind, line);
            const AppraisalAuthority *root = appraisal_anchors_find(anchors, APPRAISAL_AUTHORITY_ARK, line);
            g_assert_cmpint(EVP_PKEY_eq(authority->key, X509_get0_pubkey(certificate)), ==, 1);
            g_assert_cmpint(X509_NAME_cmp(authority->name, X509_get_subject_name(certificate)), ==, 0);
            g_assert_cmpint(ASN1_INTEGER_cmp(authority->serial, X509_get0_serialNumber(certificate)), ==, 0);
            g_assert_true(appraisal_time_read(X509_get0_notBefore(certificate), &from));
            g_assert_true(appraisal_time_read(X509_get0_notAfter(certificate), &until));
            g_assert_cmpint(authority->not_before, ==, from);
            g_assert_cmpint(authority->not_after, ==, until);
            X509_digest(certificate, EVP_sha256(), digest, &length);
            g_assert_cmpmem(authority->fingerprint, sizeof(digest), digest, sizeof(digest));
            g_assert_true(appraisal_algorithm_is_pss(X509_get0_tbs_sigalg(certificate)));
            g_assert_cmpint(X509_verify(certificate, root->key), ==, 1);
            seen[line][kind]++;
        }
    }
    for (int line = APPRAISAL_LINE_MILAN; line <= APPRAISAL_LINE_TURIN; line++) {
        for (int kind = 0; kind <= APPRAISAL_AUTHORITY_ASVK; kind++)
            g_assert_cmpuint(seen[line][kind], >, 0);
    }
}

typedef enum { REFUSED_NOT, REFUSED_FORM, REFUSED_SIGNATURE } Refusal;

/* What becomes of @raw under the certificate of its report. */
static Refusal judge(const guint8 raw[APPRAISAL_REPORT_SIZE], const AppraisalEndorsement *endorsement)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalReport) report = appraisal_report_parse(raw, APPRAISAL_REPORT_SIZE, &error);

    if (!report) {
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        return REFUSED_FORM;
    }
    if (!appraisal_signature_verify(report, endorsement, &error)) {
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
        return REFUSED_SIGNATURE;
    }
    return REFUSED_NOT;
}

/* All 9,472 bits of one report, every 61st of the others: which bits those are differs from report to report. */
static void test_flips(void)
{
    guint64 refused[REFUSED_SIGNATURE + 1] = {0};

    for (gsize i = 0; i < VECTORS_REPORTS; i++) {
        g_autoptr(AppraisalReport) report = vectors_report(i);
        g_autoptr(AppraisalEndorsement) endorsement =
            vectors_endorsement(vectors_reports[i].folder, vectors_reports[i].certificate, NULL);
        guint8 raw[APPRAISAL_REPORT_SIZE];

        memcpy(raw, report->raw, sizeof(raw));
        g_assert_cmpint(judge(raw, endorsement), ==, REFUSED_NOT);
        for (gsize bit = i; bit < 8 * sizeof(raw); bit += i == 0 ? 1 : 61) {
            raw[bit / 8] ^= (guint8)(1u << bit % 8);
            Refusal refusal = judge(raw, endorsement);
            if (refusal == REFUSED_NOT)
                g_error("%s is accepted with bit %" G_GSIZE_FORMAT " flipped", vectors_reports[i].folder, bit);
            /* Nothing signs what follows the two numbers. */
            if (bit / 8 >= 0x330)
                g_assert_cmpint(refusal, ==, REFUSED_FORM);
            refused[refusal]++;
            raw[bit / 8] ^= (guint8)(1u << bit % 8);
        }
        g_assert_cmpmem(raw, sizeof(raw), report->raw, sizeof(raw));
    }
    g_test_message("refused by form %" G_GUINT64_FORMAT ", by signature %" G_GUINT64_FORMAT, refused[REFUSED_FORM],
                   refused[REFUSED_SIGNATURE]);
    g_assert_cmpuint(refused[REFUSED_FORM] + refused[REFUSED_SIGNATURE], >, 9472);
}

/* Whether one would take this certificate for that of the report. */
static gboolean certificate_accepted(const guint8 *der, gsize size, const AppraisalReport *report,
                                     const AppraisalAnchors *anchors)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalEndorsement) endorsement = appraisal_endorsement_parse(der, size, &error);

    return endorsement && appraisal_chain_verify(endorsement, anchors, NULL, VECTORS_TIME, &error) &&
           appraisal_signature_verify(report, endorsement, &error);
}

/* Every byte of a certificate, by one bit and by all: nothing in it is left to choose. */
static void test_certificate_flips(void)
{
    g_autoptr(AppraisalAnchors) anchors = appraisal_anchors_builtin();
    g_autoptr(AppraisalReport) report = vectors_report(1);
    g_autoptr(GBytes) data = vectors_read_report("milan-v2-virtee", "vcek.der");
    gsize size = 0;
    gconstpointer original = g_bytes_get_data(data, &size);
    g_autofree guint8 *der = g_memdup2(original, size);

    g_assert_true(certificate_accepted(der, size, report, anchors));
    for (gsize i = 0; i < 2 * size; i++) {
        guint8 mask = (guint8)(i % 2 ? 0xffu : 1u << i / 2 % 8);

        der[i / 2] ^= mask;
        if (certificate_accepted(der, size, report, anchors))
            g_error("the certificate is accepted with byte %" G_GSIZE_FORMAT " changed by 0x%02x", i / 2, mask);
        der[i / 2] ^= mask;
    }
    for (gsize i = 0; i < size; i++)
        g_assert_false(certificate_accepted(der, i, report, anchors));
}

static void assert_refused(const guint8 *raw, gsize size, const char *reason)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalReport) report = appraisal_report_parse(raw, size, &error);

    g_assert_null(report);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, reason))
        g_error("'%s' instead of '%s'", error->message, reason);
}

static void test_mutation_form(void)
{
    static const struct {
        gsize offset;
        guint8 value;
        const char *reason;
    } rows[] = {
        {0x2a0 + 48, 1, "R of the signature"}, {0x2a0 + 71, 1, "R of the signature"},
        {0x2e8 + 48, 1, "S of the signature"}, {0x2e8 + 71, 1, "S of the signature"},
        {0x330, 1, "byte 0x330 is reserved"},  {0x49f, 0x80, "byte 0x49f is reserved"},
        {0x4c, 1, "byte 0x4c is reserved"},    {0x34, 0, "unsupported signature algorithm 0"},
        {0x34, 2, "signature algorithm 2"},    {0x00, 0, "version 0"},
        {0x00, 1, "version 1"},                {0x00, 6, "version 6"},
    };
    static const gsize sizes[] = {0, 0x2a0, 1183, 1185};
    g_autoptr(AppraisalReport) report = vectors_report(1);
    guint8 raw[APPRAISAL_REPORT_SIZE + 1] = {0};

    memcpy(raw, report->raw, APPRAISAL_REPORT_SIZE);
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        guint8 before = raw[rows[i].offset];
        raw[rows[i].offset] = rows[i].value;
        assert_refused(raw, APPRAISAL_REPORT_SIZE, rows[i].reason);
        raw[rows[i].offset] = before;
    }
    memset(raw, 0xff, 4);
    assert_refused(raw, APPRAISAL_REPORT_SIZE, "version 4294967295");
    memcpy(raw, report->raw, 4);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++)
        assert_refused(raw, sizes[i], "instead of 1184");
}

static void assert_signature(const guint8 *raw, const AppraisalEndorsement *endorsement, const char *reason)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalReport) report = appraisal_report_parse(raw, APPRAISAL_REPORT_SIZE, &error);

    g_assert_no_error(error);
    g_assert_false(appraisal_signature_verify(report, endorsement, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
    if (!strstr(error->message, reason))
        g_error("'%s' instead of '%s'", error->message, reason);
}

static void test_mutation_signature(void)
{
    g_autoptr(AppraisalEndorsement) vcek = vectors_endorsement("milan-v2-virtee", "vcek.der", NULL);
    g_autoptr(AppraisalEndorsement) turin = vectors_endorsement("turin-vcek-only-virtee", "vcek.der", NULL);
    g_autoptr(AppraisalReport) report = vectors_report(1);
    g_autoptr(AppraisalReport) google = vectors_report(0);
    g_autoptr(AppraisalReport) turin_report = vectors_report(6);
    g_autoptr(AppraisalReport) vlek_report = vectors_report(7);
    g_autofree gchar *chip = appraisal_report_chip(turin_report, APPRAISAL_LINE_TURIN);
    g_autofree gchar *hwid = measure_hex_encode(g_bytes_get_data(turin->hwid, NULL), 8);
    guint8 raw[APPRAISAL_REPORT_SIZE];
    PolicyTcb tcb;

    /* sig-flip, as virtee/sev tries it; sig-r0, sig-s0. */
    memcpy(raw, report->raw, sizeof(raw));
    raw[21] ^= 0x80;
    assert_signature(raw, vcek, "this certificate's key has not made it");
    memcpy(raw, report->raw, sizeof(raw));
    memset(raw + 0x2a0, 0, 72);
    assert_signature(raw, vcek, "one of its numbers is zero");
    memcpy(raw, report->raw, sizeof(raw));
    memset(raw + 0x2e8, 0, 72);
    assert_signature(raw, vcek, "one of its numbers is zero");
    /* The order of the curve itself, and all ones. */
    memset(raw + 0x2a0, 0xff, 48);
    memset(raw + 0x2e8, 0xff, 48);
    assert_signature(raw, vcek, "this certificate's key has not made it");
    /* cert-other, cert-tcb, cert-swap-kind. */
    assert_signature(turin_report->raw, turin, "this certificate's key has not made it");
    g_assert_cmpstr(chip, !=, hwid);
    assert_signature(google->raw, vcek, "this certificate's key has not made it");
    appraisal_tcb_decode(APPRAISAL_LINE_MILAN, google->reported_tcb, &tcb);
    g_assert_false(appraisal_tcb_equal(&tcb, &vcek->tcb));
    assert_signature(vlek_report->raw, vcek, "made with a VLEK, and this is a VCEK");
    /* version: 4 has the layout of 3, so only the signature is wrong. */
    g_autoptr(AppraisalReport) third = vectors_report(4);
    memcpy(raw, third->raw, sizeof(raw));
    raw[0] = 4;
    assert_signature(raw, vcek, "this certificate's key has not made it");
    /* MASK_CHIP_KEY and a report without a key have their own words. */
    memcpy(raw, report->raw, sizeof(raw));
    raw[0x48] = 2;
    assert_signature(raw, vcek, "MASK_CHIP_KEY");
    raw[0x48] = 7 << 2;
    assert_signature(raw, vcek, "no key");
}

static void assert_chain(const AppraisalEndorsement *endorsement, const AppraisalAnchors *anchors,
                         const GPtrArray *intermediates, gint64 at, const char *reason)
{
    g_autoptr(GError) error = NULL;
    gboolean good = appraisal_chain_verify(endorsement, anchors, intermediates, at, &error);

    if (!reason) {
        g_assert_no_error(error);
        g_assert_true(good);
        return;
    }
    g_assert_false(good);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
    if (!strstr(error->message, reason))
        g_error("'%s' instead of '%s'", error->message, reason);
}

static GPtrArray *read_chain(const char *name)
{
    g_autoptr(GBytes) data = vectors_read("roots", name);
    g_autoptr(GError) error = NULL;
    GPtrArray *blobs = appraisal_blobs_new();

    appraisal_certificates_read(g_bytes_get_data(data, NULL), g_bytes_get_size(data), blobs, &error);
    g_assert_no_error(error);
    return blobs;
}

static void test_mutation_chain(void)
{
    g_autoptr(AppraisalAnchors) anchors = appraisal_anchors_builtin();
    g_autoptr(AppraisalEndorsement) genoa = vectors_endorsement("genoa-v3-microsoft", "vcek.pem", NULL);
    g_autoptr(AppraisalEndorsement) vlek = vectors_endorsement("vlek-trustee", "vlek.der", NULL);
    g_autoptr(GPtrArray) milan_chain = read_chain("ask_ark_milan.pem");
    g_autoptr(GPtrArray) genoa_chain = read_chain("ask_ark_genoa.pem");
    g_autoptr(GPtrArray) vlek_chain = read_chain("ask_ark_milan_vlek.pem");

    assert_chain(genoa, anchors, genoa_chain, VECTORS_TIME, NULL);
    /* chain-wrong-product, chain-wrong-kind. */
    assert_chain(genoa, anchors, milan_chain, VECTORS_TIME, "the ask that came along is not SEV-Genoa");
    assert_chain(vlek, anchors, milan_chain, VECTORS_VLEK_TIME, "the ask that came along is not SEV-VLEK-Milan");
    assert_chain(vlek, anchors, vlek_chain, VECTORS_VLEK_TIME, NULL);
    /* vlek-expired, to the second on both ends. */
    assert_chain(vlek, anchors, vlek_chain, VECTORS_TIME, "the VLEK has expired at 2025-12-10T22:14:21Z");
    assert_chain(vlek, anchors, NULL, vlek->not_after, NULL);
    assert_chain(vlek, anchors, NULL, vlek->not_after + 1, "the VLEK has expired");
    assert_chain(vlek, anchors, NULL, vlek->not_before, NULL);
    assert_chain(vlek, anchors, NULL, vlek->not_before - 1, "the VLEK is not valid before 2024-12-10T22:14:21Z");
    assert_chain(genoa, anchors, NULL, G_GINT64_CONSTANT(2000000000) + 2000000000, "ARK-Genoa has expired");
}

/* cert-flip, as virtee/sev tries it. */
static void test_mutation_certificate(void)
{
    g_autoptr(GBytes) data = vectors_read_report("milan-v2-virtee", "vcek.der");
    g_autofree guint8 *der = g_memdup2(g_bytes_get_data(data, NULL), g_bytes_get_size(data));
    g_autoptr(AppraisalAnchors) anchors = appraisal_anchors_builtin();
    g_autoptr(AppraisalReport) report = vectors_report(1);

    der[40] ^= 0xff;
    g_assert_false(certificate_accepted(der, g_bytes_get_size(data), report, anchors));
}

/* provisional, tcb-rollback, platinfo-bit6, fms-vs-cert and the rest, as far as they are facts and no rules. */
static void test_mutation_facts(void)
{
    g_autoptr(AppraisalReport) azure = vectors_report(2);
    g_autoptr(AppraisalReport) vlek = vectors_report(7);
    g_autoptr(AppraisalReport) turin = vectors_report(6);
    g_autoptr(AppraisalReport) milan = vectors_report(4);
    g_autoptr(AppraisalEndorsement) key = vectors_endorsement("milan-v3-microsoft", "vcek.pem", NULL);
    PolicyTcb current, committed, reported;

    appraisal_tcb_decode(APPRAISAL_LINE_MILAN, azure->current_tcb, &current);
    appraisal_tcb_decode(APPRAISAL_LINE_MILAN, azure->committed_tcb, &committed);
    g_assert_true(appraisal_tcb_at_least(&current, &committed));
    g_assert_false(appraisal_tcb_at_least(&committed, &current));
    appraisal_tcb_decode(APPRAISAL_LINE_MILAN, vlek->reported_tcb, &reported);
    appraisal_tcb_decode(APPRAISAL_LINE_MILAN, vlek->committed_tcb, &committed);
    g_assert_cmpuint(reported.microcode, ==, 0xd9);
    g_assert_true(appraisal_tcb_at_least(&committed, &reported));
    g_assert_false(appraisal_tcb_at_least(&reported, &committed));
    g_assert_cmpuint(turin->platform_info, ==, 0x65);
    g_assert_nonnull(strstr(g_ptr_array_index(turin->unusual, 0), "0x40"));
    /* Stepping 1 with a certificate for "Milan-B0" is real. */
    g_assert_cmpuint(milan->cpuid_stepping, ==, 1);
    g_assert_cmpstr(key->product, ==, "Milan-B0");
    g_assert_cmpint(key->line, ==, milan->line);
}

/* Every row of the table has its test, here or, where it is a rule that refuses, in test-appraisal-verdict.c. */
static void test_mutation_rows(void)
{
    static const char *const tested[] = {
        "sig-flip",       "sig-r0",           "sig-s0",       "sig-highbytes", "sig-tail",     "mbz-4c",
        "algo",           "len-short",        "len-long",     "version",       "cert-flip",    "cert-other",
        "cert-tcb",       "cert-swap-kind",   "chain-wrong-product",           "chain-wrong-kind",
        "vlek-expired",   "vlek-policy",      "debug-policy", "provisional",   "tcb-rollback", "platinfo-bit6",
        "fms-vs-cert",    "svn-policy",       NULL,
    };
    g_autoptr(GPtrArray) rows = read_table("mutations.tsv");

    g_assert_cmpuint(rows->len - 1, ==, g_strv_length((gchar **)tested));
    for (guint i = 1; i < rows->len; i++) {
        gchar **row = g_ptr_array_index(rows, i);

        g_test_message("%s", row[0]);
        g_assert_true(g_strv_contains(tested, row[0]));
    }
}

static void test_nothing(void)
{
    g_test_skip("VIRT_ATTEST_VECTORS names no folder");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!vectors_folder()) {
        g_test_add_func("/appraisal-vectors", test_nothing);
        return g_test_run();
    }
    g_test_add_func("/appraisal-vectors/values", test_values);
    g_test_add_func("/appraisal-vectors/verify", test_verify);
    g_test_add_func("/appraisal-vectors/runtime-data", test_runtime_data);
    g_test_add_func("/appraisal-vectors/certificates", test_certificates);
    g_test_add_func("/appraisal-vectors/roots", test_roots);
    g_test_add_func("/appraisal-vectors/flips", test_flips);
    g_test_add_func("/appraisal-vectors/certificate-flips", test_certificate_flips);
    g_test_add_func("/appraisal-vectors/mutation/form", test_mutation_form);
    g_test_add_func("/appraisal-vectors/mutation/signature", test_mutation_signature);
    g_test_add_func("/appraisal-vectors/mutation/chain", test_mutation_chain);
    g_test_add_func("/appraisal-vectors/mutation/certificate", test_mutation_certificate);
    g_test_add_func("/appraisal-vectors/mutation/facts", test_mutation_facts);
    g_test_add_func("/appraisal-vectors/mutation/rows", test_mutation_rows);
    return g_test_run();
}
