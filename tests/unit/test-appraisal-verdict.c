/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verdict: each check with rules that it meets, that it does not meet, and without a rule; real reports accepted
 * with fitting rules and rejected for their own reason without.
 */
#include "policy/appraisal/rules.h"

#include <string.h>

#include "measure/error.h"
#include "tests/unit/appraisal-vectors.h"

#define HEX16 "0123456789abcdef"
#define HEX32 HEX16 HEX16
#define HEX64 HEX32 HEX32
#define HEX96 HEX64 HEX32
#define HEX128 HEX64 HEX64
#define ZERO32 "00000000000000000000000000000000"
#define ZERO64 ZERO32 ZERO32
#define ZERO96 ZERO64 ZERO32

static AppraisalRules *parse_rules(const char *members)
{
    g_autofree gchar *text = g_strdup_printf("{\"format\": \"virt-attest-policy-1\"%s%s}",
                                             members && *members ? ", " : "", members ? members : "");
    g_autoptr(GError) error = NULL;
    AppraisalRules *rules = appraisal_rules_parse(text, -1, &error);

    g_assert_no_error(error);
    return rules;
}

/* ---- One check at a time, over a report that nobody signed ---- */

/* A version 5 report of a Milan: "OFFSET=HEX OFFSET=HEX …" says what is different, from the specification's table. */
static AppraisalEvidence *make_evidence(const char *changes)
{
    guint8 raw[APPRAISAL_REPORT_SIZE] = {0};
    g_auto(GStrv) parts = g_strsplit(changes, " ", -1);
    static const guint8 tcb[8] = {4, 0, 0, 0, 0, 0, 24, 219};
    g_autoptr(GError) error = NULL;
    AppraisalEvidence *evidence = NULL;

    raw[0x000] = 5;
    raw[0x00a] = 3; /* policy 0x30000 */
    raw[0x034] = 1;
    memset(raw + 0x160, 0xff, 32);
    raw[0x188] = 0x19;
    raw[0x189] = 1;
    raw[0x18a] = 1;
    memset(raw + 0x1a0, 0x11, 64);
    memcpy(raw + 0x038, tcb, 8);
    memcpy(raw + 0x180, tcb, 8);
    memcpy(raw + 0x1e0, tcb, 8);
    memcpy(raw + 0x1f0, tcb, 8);
    raw[0x1e8] = raw[0x1ec] = 29;
    raw[0x1e9] = raw[0x1ed] = 55;
    raw[0x1ea] = raw[0x1ee] = 1;
    for (gchar **part = parts; *part; part++) {
        gchar *hex = strchr(*part, '=');

        if (!hex)
            continue;
        g_assert_true(measure_hex_decode(hex + 1, raw + g_ascii_strtoull(*part, NULL, 16), strlen(hex + 1) / 2));
    }
    evidence = appraisal_evidence_parse(raw, sizeof(raw), NULL, &error);
    g_assert_no_error(error);
    return evidence;
}

static AppraisalVerdict *judge(const AppraisalEvidence *evidence, const AppraisalRules *rules,
                               const AppraisalCase *more)
{
    g_autoptr(AppraisalAnchors) anchors = appraisal_anchors_builtin();
    AppraisalCase input = {.nonce_issued = -1, .at = VECTORS_TIME};

    if (more)
        input = *more;
    input.evidence = evidence;
    input.rules = rules;
    input.anchors = anchors;
    return appraisal_verdict_new(&input);
}

typedef struct {
    const char *check, *changes, *rules;
    AppraisalOutcome outcome;
    const char *says;
} Row;

static const Row rows[] = {
    {"form", "", "", APPRAISAL_PASS, "well-formed"},
    {"form", "040=40", "", APPRAISAL_WARN, "0x40"},
    {"signer", "", "", APPRAISAL_PASS, "the chip's own key"},
    {"signer", "048=04", "", APPRAISAL_FAIL, "cloud provider"},
    {"signer", "048=04", "\"signingKey\": \"vlek\"", APPRAISAL_PASS, "cloud provider"},
    {"signer", "048=04", "\"signingKey\": \"any\"", APPRAISAL_PASS, "cloud provider"},
    {"signer", "", "\"signingKey\": \"vlek\"", APPRAISAL_FAIL, "the chip's own key"},
    {"signer", "048=1c", "\"signingKey\": \"any\"", APPRAISAL_FAIL, "no key signed it"},
    {"certificate", "", "", APPRAISAL_FAIL, "there is no certificate"},
    {"certificate", "048=1c", "", APPRAISAL_SKIP, "no key signed"},
    {"chain", "", "", APPRAISAL_SKIP, "there is no certificate"},
    {"revocation", "", "\"revocation\": \"required\"", APPRAISAL_SKIP, "there is no certificate"},
    {"signature", "", "", APPRAISAL_SKIP, "there is no certificate"},
    {"signature", "048=02", "", APPRAISAL_FAIL, "MASK_CHIP_KEY"},
    {"chip", "", "", APPRAISAL_SKIP, "there is no certificate"},
    {"certificate-tcb", "", "", APPRAISAL_SKIP, "there is no certificate"},
    {"product", "", "", APPRAISAL_PASS, "Milan"},
    {"product", "", "\"products\": [\"Milan\"]", APPRAISAL_PASS, "Milan"},
    {"product", "", "\"products\": [\"Genoa\", \"Turin\"]", APPRAISAL_FAIL, "other products"},
    {"product", "189=11", "\"products\": [\"Genoa\"]", APPRAISAL_PASS, "Genoa"},
    {"product", "189=11", "\"products\": [\"Siena\"]", APPRAISAL_FAIL, "other products"},
    {"product", "189=a0", "\"products\": [\"Siena\"]", APPRAISAL_PASS, "Genoa"},
    {"product", "189=a0", "\"products\": [\"Genoa\"]", APPRAISAL_PASS, "Genoa"},
    {"product", "000=02 188=000000", "", APPRAISAL_SKIP, "neither the report nor a certificate"},
    {"product", "000=02 188=000000", "\"products\": [\"Milan\"]", APPRAISAL_FAIL, "too old to tell"},
    {"chip-list", "", "", APPRAISAL_SKIP, "no rule names chips"},
    {"chip-list", "1a0=" HEX128, "\"chips\": [\"" HEX128 "\"]", APPRAISAL_PASS, "accept this chip"},
    {"chip-list", "", "\"chips\": [\"" HEX128 "\"]", APPRAISAL_FAIL, "not among those"},
    {"chip-list", "1a0=" HEX128, "\"deniedChips\": [\"" HEX128 "\"]", APPRAISAL_FAIL, "deny this chip"},
    {"chip-list", "", "\"deniedChips\": [\"" HEX128 "\"]", APPRAISAL_PASS, "accept this chip"},
    {"chip-list", "1a0=" HEX16 ZERO96 "0000000000000000", "\"chips\": [\"" HEX16 "\"]", APPRAISAL_PASS,
     "accept this chip"},
    {"chip-list", "1a0=" ZERO64 ZERO64, "\"deniedChips\": [\"" HEX128 "\"]", APPRAISAL_FAIL, "neither the report"},
    {"nonce", "", "", APPRAISAL_FAIL, "nothing to compare with"},
    {"nonce", "050=" HEX128, "\"reportData\": \"" HEX128 "\"", APPRAISAL_PASS, "what was asked for"},
    {"nonce", "", "\"reportData\": \"" HEX128 "\"", APPRAISAL_FAIL, "another report, or an old one"},
    {"nonce", "", "\"reportData\": \"any\"", APPRAISAL_WARN, "may be an old report"},
    {"age", "", "", APPRAISAL_SKIP, "no rule"},
    {"age", "", "\"maximumAge\": 60", APPRAISAL_FAIL, "nobody knows how old"},
    {"measurement", "", "", APPRAISAL_FAIL, "nothing to compare with"},
    {"measurement", "090=" HEX96, "\"measurements\": [{\"digest\": \"" HEX96 "\"}]", APPRAISAL_PASS,
     "expected was launched"},
    {"measurement", "090=" HEX96,
     "\"measurements\": [{\"digest\": \"" ZERO96 "\", \"label\": \"a\"}, {\"digest\": \"" HEX96
     "\", \"label\": \"web 2\"}]",
     APPRAISAL_PASS, "web 2"},
    {"measurement", "", "\"measurements\": [{\"digest\": \"" HEX96 "\"}]", APPRAISAL_FAIL,
     "something else was launched"},
    {"id-key", "", "", APPRAISAL_PASS, "there is no ID key"},
    {"id-key", "0e0=" HEX96, "", APPRAISAL_FAIL, "no rule expects one"},
    {"id-key", "0e0=" HEX96, "\"idBlock\": \"none\"", APPRAISAL_FAIL, "no rule expects one"},
    {"id-key", "0e0=" HEX96, "\"idBlock\": \"any\"", APPRAISAL_PASS, "no rule says whose"},
    {"id-key", "", "\"idBlock\": \"any\"", APPRAISAL_PASS, "there is no ID key"},
    {"id-key", "0e0=" HEX96, "\"idBlock\": \"required\"", APPRAISAL_PASS, "no rule says whose"},
    {"id-key", "", "\"idBlock\": \"required\"", APPRAISAL_FAIL, "without an ID key"},
    {"id-key", "0e0=" HEX96, "\"idKeyDigests\": [\"" ZERO64 HEX32 "\", \"" HEX96 "\"]", APPRAISAL_PASS,
     "the rules name"},
    {"id-key", "0e0=" HEX96, "\"idKeyDigests\": [\"" ZERO64 HEX32 "\"]", APPRAISAL_FAIL, "foreign"},
    {"id-key", "", "\"idKeyDigests\": [\"" HEX96 "\"]", APPRAISAL_FAIL, "without an ID key"},
    {"author-key", "", "", APPRAISAL_PASS, "there is no author key"},
    {"author-key", "048=01 110=" HEX96, "", APPRAISAL_FAIL, "no rule expects one"},
    {"author-key", "048=01", "", APPRAISAL_FAIL, "no rule expects one"},
    {"author-key", "048=01 110=" HEX96, "\"authorKeyDigests\": [\"" HEX96 "\"]", APPRAISAL_PASS, "the rules name"},
    {"author-key", "048=01 110=" HEX96, "\"authorKeyDigests\": [\"" ZERO64 HEX32 "\"]", APPRAISAL_FAIL, "foreign"},
    {"author-key", "", "\"authorKey\": \"required\"", APPRAISAL_FAIL, "without an author key"},
    {"family-id", "", "", APPRAISAL_PASS, "expected"},
    {"family-id", "010=" HEX32, "", APPRAISAL_FAIL, "without an ID block this must be zero"},
    {"family-id", "010=" HEX32 " 0e0=" HEX96, "", APPRAISAL_SKIP, "no rule"},
    {"family-id", "010=" HEX32, "\"familyId\": \"" HEX32 "\"", APPRAISAL_PASS, "expected"},
    {"family-id", "010=" HEX32, "\"familyId\": \"" ZERO32 "\"", APPRAISAL_FAIL, "not the value"},
    {"image-id", "020=" HEX32, "", APPRAISAL_FAIL, "without an ID block"},
    {"image-id", "020=" HEX32, "\"imageId\": \"any\"", APPRAISAL_SKIP, "no rule"},
    {"image-id", "020=" HEX32, "\"imageId\": \"" HEX32 "\"", APPRAISAL_PASS, "expected"},
    {"image-id", "", "\"imageId\": \"" HEX32 "\"", APPRAISAL_FAIL, "not the value"},
    {"host-data", "", "", APPRAISAL_PASS, "expected"},
    {"host-data", "0c0=" HEX64, "", APPRAISAL_FAIL, "no rule expects any"},
    {"host-data", "0c0=" HEX64, "\"hostData\": \"" HEX64 "\"", APPRAISAL_PASS, "expected"},
    {"host-data", "0c0=" HEX64, "\"hostData\": \"any\"", APPRAISAL_SKIP, "no rule"},
    {"host-data", "", "\"hostData\": \"" HEX64 "\"", APPRAISAL_FAIL, "not the value"},
    {"guest-svn", "", "", APPRAISAL_PASS, "expected"},
    {"guest-svn", "004=05000000", "", APPRAISAL_FAIL, "without an ID block"},
    {"guest-svn", "004=05000000 0e0=" HEX96, "", APPRAISAL_SKIP, "no rule"},
    {"guest-svn", "004=05000000", "\"minimumGuestSvn\": 5", APPRAISAL_PASS, "new enough"},
    {"guest-svn", "004=05000000", "\"minimumGuestSvn\": 6", APPRAISAL_FAIL, "older version"},
    {"policy", "", "", APPRAISAL_PASS, "as the rules ask"},
    {"policy", "", "\"policy\": {\"allowed\": []}", APPRAISAL_FAIL, "smt"},
    {"policy", "008=000007", "", APPRAISAL_FAIL, "migrate-ma"},
    {"policy", "008=000007", "\"policy\": {\"allowed\": [\"smt\", \"migrate-ma\"]}", APPRAISAL_PASS,
     "as the rules ask"},
    {"policy", "008=000007", "\"policy\": {\"value\": \"0x70000\"}", APPRAISAL_PASS, "as the rules ask"},
    {"policy", "008=000023", "", APPRAISAL_FAIL, "cxl"},
    {"policy", "008=000023", "\"policy\": {\"allowed\": [\"smt\", \"cxl\"]}", APPRAISAL_PASS, "as the rules ask"},
    {"policy", "", "\"policy\": {\"value\": \"0x30000\"}", APPRAISAL_PASS, "as the rules ask"},
    {"policy", "008=1f0003", "\"policy\": {\"value\": \"0x30000\"}", APPRAISAL_FAIL, "another policy"},
    {"policy", "008=1f0003", "\"policy\": {\"value\": \"0x30000\", \"mask\": \"0x3ff0000\"}", APPRAISAL_PASS,
     "as the rules"},
    {"policy", "008=000013", "\"policy\": {\"required\": [\"single-socket\"]}", APPRAISAL_PASS, "as the rules"},
    {"policy", "", "\"policy\": {\"required\": [\"single-socket\", \"ciphertext-hiding\"]}", APPRAISAL_FAIL,
     "ciphertext-hiding"},
    {"policy", "008=370103", "\"policy\": {\"minimumAbi\": \"1.55\"}", APPRAISAL_PASS, "as the rules"},
    {"policy", "008=360103", "\"policy\": {\"minimumAbi\": \"1.55\"}", APPRAISAL_FAIL, "older firmware"},
    {"policy", "008=000203", "\"policy\": {\"minimumAbi\": \"1.55\"}", APPRAISAL_PASS, "as the rules"},
    {"debug", "", "", APPRAISAL_PASS, "cannot debug"},
    {"debug", "008=00000b", "", APPRAISAL_FAIL, "debug"},
    {"debug", "008=00000b", "\"policy\": {\"value\": \"0xb0000\"}", APPRAISAL_FAIL, "debug"},
    {"debug", "008=00000b", "\"policy\": {\"allowed\": [\"smt\"]}", APPRAISAL_FAIL, "debug"},
    {"debug", "008=00000b", "\"policy\": {\"allowed\": [\"smt\", \"debug\"]}", APPRAISAL_WARN, "the rules allow it"},
    {"vmpl", "", "", APPRAISAL_PASS, "expected"},
    {"vmpl", "030=01", "", APPRAISAL_FAIL, "another privilege level"},
    {"vmpl", "030=01", "\"vmpl\": 1", APPRAISAL_PASS, "expected"},
    {"vmpl", "", "\"vmpl\": 1", APPRAISAL_FAIL, "another privilege level"},
    {"vmpl", "030=ffffffff", "", APPRAISAL_FAIL, "the host asked"},
    {"report-id", "", "", APPRAISAL_SKIP, "no rule"},
    {"report-id", "140=" HEX64, "\"reportId\": \"" HEX64 "\"", APPRAISAL_PASS, "expected"},
    {"report-id", "", "\"reportId\": \"" HEX64 "\"", APPRAISAL_FAIL, "not the value"},
    {"report-id-ma", "", "", APPRAISAL_PASS, "expected"},
    {"report-id-ma", "160=" HEX64, "", APPRAISAL_FAIL, "migration agent"},
    {"report-id-ma", "160=" HEX64, "\"reportIdMa\": \"" HEX64 "\"", APPRAISAL_PASS, "expected"},
    {"report-id-ma", "160=" HEX64, "\"reportIdMa\": \"any\"", APPRAISAL_SKIP, "no rule"},
#define MILAN(kind, b, t, s, m)                                                                                        \
    "\"minimumTcb\": {\"" kind "\": {\"Milan\": {\"bootloader\": " b ", \"tee\": " t ", \"snp\": " s                   \
    ", \"microcode\": " m "}}}"
    {"reported-tcb", "", "", APPRAISAL_SKIP, "no rule"},
    {"reported-tcb", "", MILAN("reported", "4", "0", "24", "219"), APPRAISAL_PASS, "new enough"},
    {"reported-tcb", "", MILAN("reported", "5", "0", "0", "0"), APPRAISAL_FAIL, "older"},
    {"reported-tcb", "", MILAN("reported", "0", "1", "0", "0"), APPRAISAL_FAIL, "older"},
    {"reported-tcb", "", MILAN("reported", "0", "0", "25", "0"), APPRAISAL_FAIL, "older"},
    {"reported-tcb", "", MILAN("reported", "0", "0", "0", "220"), APPRAISAL_FAIL, "older"},
    {"reported-tcb", "", MILAN("committed", "5", "0", "0", "0"), APPRAISAL_SKIP, "no rule"},
    {"committed-tcb", "", MILAN("committed", "5", "0", "0", "0"), APPRAISAL_FAIL, "older"},
    {"committed-tcb", "", MILAN("committed", "4", "0", "0", "0"), APPRAISAL_PASS, "new enough"},
    {"current-tcb", "", MILAN("current", "5", "0", "0", "0"), APPRAISAL_FAIL, "older"},
    {"current-tcb", "", MILAN("current", "4", "0", "0", "0"), APPRAISAL_PASS, "new enough"},
    {"launch-tcb", "", MILAN("launch", "5", "0", "0", "0"), APPRAISAL_FAIL, "older"},
    {"launch-tcb", "", MILAN("launch", "4", "0", "0", "0"), APPRAISAL_PASS, "new enough"},
    {"launch-tcb", "189=11", MILAN("launch", "4", "0", "0", "0"), APPRAISAL_FAIL, "none for a Genoa"},
    {"launch-tcb", "000=02 188=000000", MILAN("launch", "0", "0", "0", "0"), APPRAISAL_FAIL, "which processor"},
#define TURIN(kind, f, b, t, s, m)                                                                                     \
    "\"minimumTcb\": {\"" kind "\": {\"Turin\": {\"fmc\": " f ", \"bootloader\": " b ", \"tee\": " t ", \"snp\": " s   \
    ", \"microcode\": " m "}}}"
    {"reported-tcb", "188=1a0201 180=0102030400000005", TURIN("reported", "1", "2", "3", "4", "5"), APPRAISAL_PASS,
     "new"},
    {"reported-tcb", "188=1a0201 180=0102030400000005", TURIN("reported", "2", "2", "3", "4", "5"), APPRAISAL_FAIL,
     "older"},
    {"reported-tcb", "188=1a0201 180=0102030400000005", TURIN("reported", "1", "2", "3", "5", "5"), APPRAISAL_FAIL,
     "older"},
    {"provisional", "", "", APPRAISAL_PASS, "committed"},
    {"provisional", "038=04000000000018dc", "", APPRAISAL_FAIL, "provisional"},
    {"provisional", "1e8=1e", "", APPRAISAL_FAIL, "provisional"},
    {"provisional", "038=04000000000018dc", "\"provisionalFirmware\": true", APPRAISAL_WARN, "provisional"},
    {"provisional", "038=04000000000018dc", "\"provisionalFirmware\": false", APPRAISAL_FAIL, "provisional"},
    {"provisional", "038=04000000000018da", "\"provisionalFirmware\": true", APPRAISAL_FAIL, "cannot be"},
    {"provisional", "1e8=1c", "\"provisionalFirmware\": true", APPRAISAL_FAIL, "cannot be"},
    {"firmware", "", "", APPRAISAL_SKIP, "no rule"},
    {"firmware", "", "\"minimumFirmware\": \"1.55.29\"", APPRAISAL_PASS, "new enough"},
    {"firmware", "", "\"minimumFirmware\": \"1.55\"", APPRAISAL_PASS, "new enough"},
    {"firmware", "", "\"minimumFirmware\": \"1.55.30\"", APPRAISAL_FAIL, "running"},
    {"firmware", "1e8=1e", "\"minimumFirmware\": \"1.55.30\"", APPRAISAL_FAIL, "committed"},
    {"firmware", "", "\"minimumFirmware\": \"1.56\"", APPRAISAL_FAIL, "running"},
    {"firmware", "", "\"minimumFirmware\": \"0.99.99\"", APPRAISAL_PASS, "new enough"},
    {"platform-info", "040=25", "", APPRAISAL_SKIP, "no rule"},
    {"platform-info", "040=25", "\"platformInfo\": {\"required\": [\"ecc\"], \"forbidden\": [\"tsme\"]}",
     APPRAISAL_PASS, "as the"},
    {"platform-info", "040=25", "\"platformInfo\": {\"required\": [\"tsme\"]}", APPRAISAL_FAIL, "tsme"},
    {"platform-info", "040=25", "\"platformInfo\": {\"forbidden\": [\"smt\"]}", APPRAISAL_FAIL, "smt"},
    {"platform-info", "040=65", "\"platformInfo\": {\"value\": \"0x25\"}", APPRAISAL_FAIL, "bit 6"},
    {"platform-info", "040=65", "\"platformInfo\": {\"value\": \"0x25\", \"mask\": \"0x3f\"}", APPRAISAL_PASS,
     "as the"},
    {"mitigation", "", "", APPRAISAL_SKIP, "no rule"},
    {"mitigation", "1f8=3f 200=3f", "\"mitigation\": {\"launch\": \"0x3f\", \"current\": \"0x1\"}", APPRAISAL_PASS,
     "the firmware has"},
    {"mitigation", "1f8=1f 200=3f", "\"mitigation\": {\"launch\": \"0x3f\"}", APPRAISAL_FAIL, "lacks"},
    {"mitigation", "1f8=3f 200=1f", "\"mitigation\": {\"current\": \"0x20\"}", APPRAISAL_FAIL, "lacks"},
    {"mitigation", "000=03", "\"mitigation\": {\"launch\": \"0x1\"}", APPRAISAL_FAIL,
     "version 3 has no mitigation vector"},
};

static void test_checks(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(AppraisalEvidence) evidence = make_evidence(rows[i].changes);
        g_autoptr(AppraisalRules) rules = parse_rules(rows[i].rules);
        g_autoptr(AppraisalVerdict) verdict = judge(evidence, rules, NULL);
        const AppraisalCheck *check = appraisal_verdict_find(verdict, rows[i].check);

        g_test_message("%s, %s, %s: %s", rows[i].check, rows[i].changes, rows[i].rules, check->text);
        g_assert_cmpstr(appraisal_outcome_name(check->outcome), ==, appraisal_outcome_name(rows[i].outcome));
        g_assert_nonnull(strstr(check->text, rows[i].says));
        g_assert_false(verdict->accepted);
    }
}

/* Every check is there, once, in the documented order, and every one has rows above. */
static void test_names(void)
{
    static const char *const names[] = {
        "form",          "signer",       "certificate",  "chain",       "revocation",   "signature",     "product",
        "chip",          "chip-list",    "certificate-tcb", "nonce",    "age",          "measurement",   "id-key",
        "author-key",    "family-id",    "image-id",     "host-data",   "guest-svn",    "policy",        "debug",
        "vmpl",          "report-id",    "report-id-ma", "reported-tcb", "committed-tcb", "current-tcb", "launch-tcb",
        "provisional",   "firmware",     "platform-info", "mitigation",
    };
    g_autoptr(AppraisalEvidence) evidence = make_evidence("");
    g_autoptr(AppraisalRules) rules = parse_rules("");
    g_autoptr(AppraisalVerdict) verdict = judge(evidence, rules, NULL);

    g_assert_cmpuint(verdict->checks->len, ==, G_N_ELEMENTS(names));
    for (guint i = 0; i < verdict->checks->len; i++) {
        guint tested = 0;

        g_assert_cmpstr(((const AppraisalCheck *)g_ptr_array_index(verdict->checks, i))->name, ==, names[i]);
        for (gsize k = 0; k < G_N_ELEMENTS(rows); k++)
            tested += !strcmp(rows[k].check, names[i]);
        g_test_message("%s", names[i]);
        g_assert_cmpuint(tested, >, 0);
    }
}

static void test_age(void)
{
    static const struct {
        gint64 issued, at;
        const char *fault;
        AppraisalOutcome age, nonce;
    } ages[] = {
        {1000, 1060, NULL, APPRAISAL_PASS, APPRAISAL_PASS},
        {1000, 1061, NULL, APPRAISAL_FAIL, APPRAISAL_PASS},
        {1000, 999, NULL, APPRAISAL_FAIL, APPRAISAL_PASS},
        {1000, 1000, "this nonce was used before", APPRAISAL_PASS, APPRAISAL_FAIL},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(ages); i++) {
        g_autoptr(AppraisalEvidence) evidence = make_evidence("050=" HEX128);
        g_autoptr(AppraisalRules) rules = parse_rules("\"maximumAge\": 60, \"reportData\": \"" HEX128 "\"");
        AppraisalCase input = {.at = ages[i].at, .nonce_issued = ages[i].issued, .nonce_fault = ages[i].fault};
        g_autoptr(AppraisalVerdict) verdict = judge(evidence, rules, &input);

        g_assert_cmpint(appraisal_verdict_find(verdict, "age")->outcome, ==, ages[i].age);
        g_assert_cmpint(appraisal_verdict_find(verdict, "nonce")->outcome, ==, ages[i].nonce);
    }
}

/* Nothing is wrong but that the certificate is missing, or something else is too. */
static void test_incomplete(void)
{
    static const char good[] = "\"reportData\": \"any\", \"measurements\": [{\"digest\": \"" ZERO96 "\"}]";
    g_autoptr(AppraisalEvidence) evidence = make_evidence("");
    g_autoptr(AppraisalRules) rules = parse_rules(good);
    g_autoptr(AppraisalRules) none = parse_rules("");
    g_autoptr(AppraisalVerdict) incomplete = judge(evidence, rules, NULL);
    g_autoptr(AppraisalVerdict) rejected = judge(evidence, none, NULL);

    g_assert_false(incomplete->accepted);
    g_assert_true(incomplete->incomplete);
    g_assert_false(rejected->accepted);
    g_assert_false(rejected->incomplete);
}

/* ---- Real reports ---- */

typedef struct {
    AppraisalEvidence *evidence;
    GPtrArray *certificates;
} Real;

static void real_clear(Real *real)
{
    /* Where the vectors are not here, nothing was loaded. */
    g_clear_pointer(&real->evidence, appraisal_evidence_free);
    g_clear_pointer(&real->certificates, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Real, real_clear)

static gsize real_index(const char *folder)
{
    gsize i = 0;

    while (strcmp(vectors_reports[i].folder, folder))
        i++;
    return i;
}

static void add_certificate(GPtrArray *list, const char *folder, const char *name)
{
    g_autoptr(GBytes) data = vectors_read_report(folder, name);
    g_autoptr(GError) error = NULL;

    appraisal_certificates_read(g_bytes_get_data(data, NULL), g_bytes_get_size(data), list, &error);
    g_assert_no_error(error);
}

/* @patch: (nullable): "OFFSET=HEX" into the raw report. @folder, @name: (nullable): another certificate */
static void real_load(Real *real, gsize index, const char *patch, const char *folder, const char *name)
{
    g_autoptr(GBytes) data = vectors_read_report(vectors_reports[index].folder, vectors_reports[index].report);
    gsize size = 0;
    g_autofree guint8 *raw = g_memdup2(g_bytes_get_data(data, &size), APPRAISAL_REPORT_SIZE);
    g_autoptr(GError) error = NULL;

    if (patch) {
        const char *hex = strchr(patch, '=') + 1;

        g_assert_true(measure_hex_decode(hex, raw + g_ascii_strtoull(patch, NULL, 16), strlen(hex) / 2));
    }
    real->evidence = appraisal_evidence_parse(raw, size, NULL, &error);
    g_assert_no_error(error);
    real->certificates = appraisal_blobs_new();
    add_certificate(real->certificates, folder ? folder : vectors_reports[index].folder,
                    name ? name : vectors_reports[index].certificate);
}

/* What this report must say, as its owner would write it down. @drop: (nullable): a rule that is left out. */
static AppraisalRules *real_rules(const AppraisalReport *report, const char *drop)
{
    g_autoptr(GString) text = g_string_new("\"provisionalFirmware\": true");
    g_autofree gchar *measurement = measure_hex_encode(report->measurement, 48);
    g_autofree gchar *data = measure_hex_encode(report->report_data, 64);
    g_autofree gchar *host = measure_hex_encode(report->host_data, 32);
    const struct {
        const char *name;
        gchar *rule;
    } rules[] = {
        {"measurements", g_strdup_printf("[{\"digest\": \"%s\"}]", measurement)},
        {"reportData", g_strdup_printf("\"%s\"", data)},
        {"hostData", g_strdup_printf("\"%s\"", host)},
        {"idBlock", g_strdup("\"any\"")},
        {"vmpl", g_strdup_printf("%u", report->vmpl)},
        {"signingKey", g_strdup(report->signer == APPRAISAL_SIGNER_VLEK ? "\"vlek\"" : "\"vcek\"")},
        {"policy", g_strdup("{\"allowed\": [\"smt\", \"debug\"]}")},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rules); i++) {
        if (g_strcmp0(rules[i].name, drop))
            g_string_append_printf(text, ", \"%s\": %s", rules[i].name, rules[i].rule);
        g_free(rules[i].rule);
    }
    if (!g_strcmp0(drop, "provisionalFirmware"))
        g_string_erase(text, 0, strlen("\"provisionalFirmware\": true, "));
    return parse_rules(text->str);
}

static AppraisalVerdict *real_judge(const Real *real, const AppraisalRules *rules, gint64 at)
{
    AppraisalCase input = {.at = at, .nonce_issued = -1, .certificates = real->certificates};

    return judge(real->evidence, rules, &input);
}

static gchar *failures(const AppraisalVerdict *verdict)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < verdict->checks->len; i++) {
        const AppraisalCheck *check = g_ptr_array_index(verdict->checks, i);

        if (check->outcome == APPRAISAL_FAIL)
            g_string_append_printf(text, "%s%s", text->len ? " " : "", check->name);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static gboolean skip_without_vectors(void)
{
    if (vectors_folder())
        return FALSE;
    g_test_skip("the collected vectors are not here");
    return TRUE;
}

static void test_real_accepted(void)
{
    if (skip_without_vectors())
        return;
    for (gsize i = 0; i < VECTORS_REPORTS; i++) {
        g_auto(Real) real = {NULL};
        g_autoptr(AppraisalRules) rules = NULL;
        g_autoptr(AppraisalVerdict) verdict = NULL;
        g_autofree gchar *failed = NULL;

        real_load(&real, i, NULL, NULL, NULL);
        rules = real_rules(real.evidence->report, NULL);
        verdict = real_judge(&real, rules, vectors_reports[i].at);
        failed = failures(verdict);
        g_test_message("%s", vectors_reports[i].folder);
        g_assert_cmpstr(failed, ==, "");
        g_assert_true(verdict->accepted);
        g_assert_cmpint(appraisal_verdict_find(verdict, "chain")->outcome, ==, APPRAISAL_PASS);
        g_assert_cmpint(appraisal_verdict_find(verdict, "signature")->outcome, ==, APPRAISAL_PASS);
    }
}

/* The rows of mutations.tsv that a verdict sees, and others of their kind: each fails exactly these checks. */
static void test_real_rejected(void)
{
    static const struct {
        const char *id, *base, *patch, *folder, *certificate, *drop;
        gint64 at;
        const char *failed;
    } mutations[] = {
        {"sig-flip", "milan-v2-virtee", "015=80", NULL, NULL, NULL, VECTORS_TIME, "signature family-id"},
        {"sig-r0", "genoa-v3-microsoft", "2a0=" HEX96, NULL, NULL, NULL, VECTORS_TIME, "signature"},
        {"sig-r0", "genoa-v3-microsoft", "2a0=" ZERO96, NULL, NULL, NULL, VECTORS_TIME, "signature"},
        {"sig-s0", "milan-v3-azure", "2e8=" ZERO96, NULL, NULL, NULL, VECTORS_TIME, "signature"},
        {"cert-other", "turin-v5-microsoft", NULL, "turin-vcek-only-virtee", "vcek.der", NULL, VECTORS_TIME,
         "signature chip certificate-tcb"},
        {"cert-tcb", "milan-v2-google", NULL, "milan-v2-virtee", "vcek.der", NULL, VECTORS_TIME,
         "signature chip certificate-tcb"},
        {"cert-swap-kind", "vlek-trustee", NULL, "milan-v2-virtee", "vcek.der", NULL, VECTORS_VLEK_TIME, "certificate"},
        {"other-line", "genoa-v3-microsoft", NULL, "milan-v3-microsoft", "vcek.pem", NULL, VECTORS_TIME,
         "signature product chip certificate-tcb"},
        {"vlek-expired", "vlek-trustee", NULL, NULL, NULL, NULL, VECTORS_TIME, "chain"},
        {"not-yet", "milan-v2-google", NULL, NULL, NULL, NULL, 1000000000, "chain"},
        {"vlek-policy", "vlek-trustee", NULL, NULL, NULL, "vmpl", VECTORS_VLEK_TIME, "vmpl"},
        {"vlek-signer", "vlek-trustee", NULL, NULL, NULL, "signingKey", VECTORS_VLEK_TIME, "signer"},
        {"debug-policy", "milan-v2-google", NULL, NULL, NULL, "policy", VECTORS_TIME, "debug"},
        {"provisional", "milan-v2-azure", NULL, NULL, NULL, "provisionalFirmware", VECTORS_TIME, "provisional"},
        {"provisional", "vlek-trustee", NULL, NULL, NULL, "provisionalFirmware", VECTORS_VLEK_TIME, "provisional"},
        {"no-measurement", "milan-v2-virtee", NULL, NULL, NULL, "measurements", VECTORS_TIME, "measurement"},
        {"no-nonce", "milan-v2-virtee", NULL, NULL, NULL, "reportData", VECTORS_TIME, "nonce"},
        {"host-data", "genoa-v3-microsoft", NULL, NULL, NULL, "hostData", VECTORS_TIME, "host-data"},
        {"id-block", "genoa-v3-microsoft", NULL, NULL, NULL, "idBlock", VECTORS_TIME, "id-key"},
    };

    if (skip_without_vectors())
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(mutations); i++) {
        g_auto(Real) real = {NULL};
        g_autoptr(AppraisalRules) rules = NULL;
        g_autoptr(AppraisalVerdict) verdict = NULL;
        g_autofree gchar *failed = NULL;

        real_load(&real, real_index(mutations[i].base), mutations[i].patch, mutations[i].folder,
                  mutations[i].certificate);
        rules = real_rules(real.evidence->report, mutations[i].drop);
        verdict = real_judge(&real, rules, mutations[i].at);
        failed = failures(verdict);
        g_test_message("%s: %s", mutations[i].id, failed);
        g_assert_cmpstr(failed, ==, mutations[i].failed);
        g_assert_false(verdict->accepted);
        g_assert_false(verdict->incomplete);
    }
}

/* tcb-rollback: REPORTED d9 is what the certificate says, and below a minimum of da; svn-policy: 10 against 10 and 11.
 */
static void test_real_minimums(void)
{
    static const struct {
        const char *base, *rule, *failed;
        gint64 at;
    } minimums[] = {
        {"vlek-trustee", MILAN("reported", "4", "0", "24", "217"), "", VECTORS_VLEK_TIME},
        {"vlek-trustee", MILAN("reported", "4", "0", "24", "218"), "reported-tcb", VECTORS_VLEK_TIME},
        {"vlek-trustee", MILAN("committed", "4", "0", "24", "219"), "", VECTORS_VLEK_TIME},
        {"vlek-trustee", MILAN("committed", "4", "0", "24", "220"), "committed-tcb", VECTORS_VLEK_TIME},
        {"vlek-trustee", MILAN("current", "4", "0", "24", "220"), "", VECTORS_VLEK_TIME},
        {"vlek-trustee", MILAN("current", "4", "0", "24", "221"), "current-tcb", VECTORS_VLEK_TIME},
        {"vlek-trustee", MILAN("launch", "4", "0", "24", "220"), "launch-tcb", VECTORS_VLEK_TIME},
        {"turin-v5-microsoft", TURIN("reported", "1", "1", "1", "4", "81"), "", VECTORS_TIME},
        {"turin-v5-microsoft", TURIN("reported", "2", "1", "1", "4", "81"), "reported-tcb", VECTORS_TIME},
        {"turin-v5-microsoft", "\"mitigation\": {\"launch\": \"0x3f\", \"current\": \"0x3f\"}", "", VECTORS_TIME},
        {"turin-v5-microsoft", "\"mitigation\": {\"launch\": \"0x40\"}", "mitigation", VECTORS_TIME},
        {"milan-v3-azure", "\"minimumGuestSvn\": 10", "", VECTORS_TIME},
        {"milan-v3-azure", "\"minimumGuestSvn\": 11", "guest-svn", VECTORS_TIME},
        {"milan-v2-google", "\"minimumFirmware\": \"1.49.3\"", "", VECTORS_TIME},
        {"milan-v2-google", "\"minimumFirmware\": \"1.49.4\"", "firmware", VECTORS_TIME},
        {"milan-v2-google", "\"products\": [\"Milan\"]", "", VECTORS_TIME},
        {"milan-v2-google", "\"products\": [\"Genoa\"]", "product", VECTORS_TIME},
        {"vlek-trustee", "\"deniedChips\": [\"" HEX16 "\"]", "chip-list", VECTORS_VLEK_TIME},
        {"vlek-trustee", "\"cspIds\": [\"CN=x\", \"CN=cc-us-east-2.amazonaws.com\"]", "", VECTORS_VLEK_TIME},
        {"vlek-trustee", "\"cspIds\": [\"CN=cc-us-east-1.amazonaws.com\"]", "chip", VECTORS_VLEK_TIME},
        {"vlek-trustee", "\"cspIds\": [\"CN=cc-us-east-2.amazonaws.co\"]", "chip", VECTORS_VLEK_TIME},
        {"milan-v2-google", "\"cspIds\": [\"CN=x\"]", "chip", VECTORS_TIME},
        {"milan-v3-azure", "\"revocation\": \"required\"", "revocation", VECTORS_TIME},
    };

    if (skip_without_vectors())
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(minimums); i++) {
        g_auto(Real) real = {NULL};
        g_autoptr(AppraisalRules) rules = NULL;
        g_autoptr(AppraisalRules) more = parse_rules(minimums[i].rule);
        g_autoptr(AppraisalVerdict) verdict = NULL;
        g_autofree gchar *failed = NULL;
        g_autoptr(GError) error = NULL;

        real_load(&real, real_index(minimums[i].base), NULL, NULL, NULL);
        rules = real_rules(real.evidence->report, NULL);
        g_assert_true(appraisal_rules_merge(rules, more, &error));
        verdict = real_judge(&real, rules, minimums[i].at);
        failed = failures(verdict);
        g_test_message("%s %s", minimums[i].base, minimums[i].rule);
        g_assert_cmpstr(failed, ==, minimums[i].failed);
    }
}

/* A certificate in the way, of another chip or broken, does not hide the right one behind it. */
static void test_real_candidates(void)
{
    g_auto(Real) real = {NULL};
    g_autoptr(AppraisalRules) rules = NULL;
    g_autoptr(AppraisalVerdict) verdict = NULL;
    g_autofree gchar *failed = NULL;
    g_autoptr(GBytes) garbage = g_bytes_new_static("garbage", 7);

    if (skip_without_vectors())
        return;
    real_load(&real, real_index("milan-v2-google"), NULL, NULL, NULL);
    appraisal_blobs_add(real.evidence->certificates, "vcek", garbage);
    add_certificate(real.evidence->certificates, "milan-v2-virtee", "vcek.der");
    add_certificate(real.evidence->certificates, "vlek-trustee", "vlek.der");
    appraisal_blobs_add(real.evidence->certificates, "crl", garbage);
    appraisal_blobs_add(real.certificates, "ask", garbage);
    rules = real_rules(real.evidence->report, NULL);
    verdict = real_judge(&real, rules, VECTORS_TIME);
    failed = failures(verdict);
    g_assert_cmpstr(failed, ==, "");
}

/* What came with the report must fit, although nothing rests on it. */
static void test_real_foreign_chain(void)
{
    g_auto(Real) real = {NULL};
    g_autoptr(AppraisalRules) rules = NULL;
    g_autoptr(AppraisalVerdict) verdict = NULL;
    g_autofree gchar *failed = NULL;

    if (skip_without_vectors())
        return;
    real_load(&real, real_index("genoa-v3-microsoft"), NULL, NULL, NULL);
    add_certificate(real.evidence->certificates, "milan-v3-microsoft", "ask.pem");
    rules = real_rules(real.evidence->report, NULL);
    verdict = real_judge(&real, rules, VECTORS_TIME);
    failed = failures(verdict);
    g_assert_cmpstr(failed, ==, "chain");
    g_assert_cmpint(appraisal_verdict_find(verdict, "revocation")->outcome, ==, APPRAISAL_SKIP);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/appraisal-verdict/checks", test_checks);
    g_test_add_func("/appraisal-verdict/names", test_names);
    g_test_add_func("/appraisal-verdict/age", test_age);
    g_test_add_func("/appraisal-verdict/incomplete", test_incomplete);
    g_test_add_func("/appraisal-verdict/real/accepted", test_real_accepted);
    g_test_add_func("/appraisal-verdict/real/rejected", test_real_rejected);
    g_test_add_func("/appraisal-verdict/real/minimums", test_real_minimums);
    g_test_add_func("/appraisal-verdict/real/candidates", test_real_candidates);
    g_test_add_func("/appraisal-verdict/real/foreign-chain", test_real_foreign_chain);
    return g_test_run();
}
