/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of an appraisal: strict reading of policy files, the schema that describes them, references, and merging.
 */
#include "policy/appraisal/rules.h"

#include <string.h>

#include "measure/error.h"
#include "tests/unit/corpus-fixture.h"
#include "tests/unit/schema-fixture.h"

#define SCHEMA "policy/appraisal/policy.schema.json"
#define HEX16 "0123456789abcdef"
#define HEX32 HEX16 HEX16
#define HEX64 HEX32 HEX32
#define HEX96 HEX64 HEX32
#define HEX96_B HEX32 HEX64
#define ZERO96 "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
#define HEX128 HEX64 HEX64

static const char full[] =
    "{\"format\": \"virt-attest-policy-1\", \"description\": \"all of it\","
    " \"measurements\": [{\"digest\": \"" HEX96 "\", \"label\": \"web\"}, {\"digest\": \"" ZERO96 "\"}],"
    " \"reportData\": \"any\", \"hostData\": \"" HEX64 "\", \"familyId\": \"" HEX32 "\", \"imageId\": \"any\","
    " \"reportId\": \"" HEX64 "\", \"reportIdMa\": \"any\", \"products\": [\"Milan\", \"Siena\"],"
    " \"minimumTcb\": {\"reported\": {\"Milan\": {\"bootloader\": 1, \"tee\": 2, \"snp\": 3, \"microcode\": 4}},"
    " \"launch\": {\"Turin\": {\"bootloader\": 1, \"tee\": 2, \"snp\": 3, \"microcode\": 4, \"fmc\": 5}}},"
    " \"policy\": {\"value\": \"0x20000\", \"mask\": \"0x20000\", \"allowed\": [\"smt\"], \"required\": "
    "[\"single-socket\"],"
    " \"minimumAbi\": \"1.55\"}, \"platformInfo\": {\"value\": \"0x0\", \"mask\": \"0x2\", \"required\": [\"ecc\"],"
    " \"forbidden\": [\"tio\"]}, \"vmpl\": 1, \"minimumGuestSvn\": 7, \"idBlock\": \"required\","
    " \"idKeyDigests\": [\"" HEX96 "\"], \"authorKey\": \"any\", \"chips\": [\"" HEX16 "\", \"" HEX128 "\"],"
    " \"deniedChips\": [\"" HEX16 "\"], \"cspIds\": [\"CN=a\", \"CN=b c\"], \"signingKey\": \"vlek\", \"provisionalFirmware\": true,"
    " \"mitigation\": {\"launch\": \"0x3\", \"current\": \"0x1\"}, \"revocation\": \"required\","
    " \"minimumFirmware\": \"1.55.29\", \"maximumAge\": 60}";

static AppraisalRules *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    AppraisalRules *rules = appraisal_rules_parse(text, -1, &error);

    g_assert_no_error(error);
    return rules;
}

/* The members between the braces of a policy file. */
static AppraisalRules *parse_members(const char *members)
{
    g_autofree gchar *text =
        g_strdup_printf("{\"format\": \"virt-attest-policy-1\"%s%s}", *members ? ", " : "", members);

    return parse(text);
}

static void test_full(void)
{
    g_autoptr(AppraisalRules) rules = parse(full);
    const AppraisalExpected *first = g_ptr_array_index(rules->measurements, 0);

    g_assert_cmpuint(rules->measurements->len, ==, 2);
    g_assert_cmpstr(first->label, ==, "web");
    g_assert_cmpint(first->digest[1], ==, 0x23);
    g_assert_cmpint(rules->fields[APPRAISAL_FIELD_REPORT_DATA].rule, ==, APPRAISAL_RULE_ANY);
    g_assert_cmpint(rules->fields[APPRAISAL_FIELD_HOST_DATA].rule, ==, APPRAISAL_RULE_EXACT);
    g_assert_cmpint(rules->fields[APPRAISAL_FIELD_HOST_DATA].bytes[31], ==, 0xef);
    g_assert_cmpint(rules->fields[APPRAISAL_FIELD_FAMILY_ID].bytes[15], ==, 0xef);
    g_assert_cmphex(rules->products, ==, APPRAISAL_PRODUCT_MILAN | APPRAISAL_PRODUCT_BERGAMO);
    g_assert_true(rules->has_tcb[APPRAISAL_TCB_REPORTED][APPRAISAL_LINE_MILAN]);
    g_assert_false(rules->has_tcb[APPRAISAL_TCB_REPORTED][APPRAISAL_LINE_TURIN]);
    g_assert_cmpint(rules->tcb[APPRAISAL_TCB_REPORTED][APPRAISAL_LINE_MILAN].snp, ==, 3);
    g_assert_cmpint(rules->tcb[APPRAISAL_TCB_LAUNCH][APPRAISAL_LINE_TURIN].fmc, ==, 5);
    g_assert_cmphex(rules->policy_value, ==, 0x20000);
    g_assert_cmphex(rules->policy_mask, ==, 0x20000);
    g_assert_cmphex(rules->allowed, ==, 0x10000);
    g_assert_cmphex(rules->required, ==, 0x100000);
    g_assert_cmphex(rules->minimum_abi, ==, 0x137);
    g_assert_cmphex(rules->platform_value, ==, 0x4);
    g_assert_cmphex(rules->platform_mask, ==, 0x86);
    g_assert_cmpint(rules->vmpl, ==, 1);
    g_assert_cmpint(rules->minimum_svn, ==, 7);
    g_assert_cmpint(rules->id_key.rule, ==, APPRAISAL_RULE_EXACT);
    g_assert_cmpuint(rules->id_key.digests->len, ==, 1);
    g_assert_cmpint(rules->author_key.rule, ==, APPRAISAL_RULE_ANY);
    g_assert_null(rules->author_key.digests);
    g_assert_cmpuint(rules->chips->len, ==, 2);
    g_assert_cmpuint(g_bytes_get_size(g_ptr_array_index(rules->chips, 0)), ==, 64);
    g_assert_cmpuint(rules->denied_chips->len, ==, 1);
    g_assert_cmpuint(rules->csp_ids->len, ==, 2);
    g_assert_cmpstr(g_ptr_array_index(rules->csp_ids, 1), ==, "CN=b c");
    g_assert_cmpint(rules->signer, ==, APPRAISAL_RULE_EXACT);
    g_assert_cmpint(rules->signer_kind, ==, APPRAISAL_SIGNER_VLEK);
    g_assert_cmpint(rules->provisional, ==, APPRAISAL_RULE_ANY);
    g_assert_cmphex(rules->launch_mitigation, ==, 3);
    g_assert_cmphex(rules->current_mitigation, ==, 1);
    g_assert_true(rules->revocation_required);
    g_assert_cmphex((guint)rules->minimum_firmware, ==, 0x01371d);
    g_assert_cmpint(rules->maximum_age, ==, 60);
}

static void test_empty(void)
{
    g_autoptr(AppraisalRules) rules = parse_members("");

    g_assert_null(rules->measurements);
    g_assert_cmpint(rules->vmpl, ==, -1);
    g_assert_cmpint(rules->provisional, ==, APPRAISAL_RULE_UNSET);
    g_assert_cmpint(rules->signer, ==, APPRAISAL_RULE_UNSET);
    g_assert_cmpint(rules->id_key.rule, ==, APPRAISAL_RULE_UNSET);
    g_assert_false(rules->has_allowed);
    g_assert_false(rules->revocation_required);
    g_assert_cmpint(rules->minimum_firmware, ==, -1);
    for (guint i = 0; i < APPRAISAL_N_FIELDS; i++)
        g_assert_cmpint(rules->fields[i].rule, ==, APPRAISAL_RULE_UNSET);
}

/* Each row makes one thing wrong. @by_schema: the schema can see it too. */
static const struct {
    const char *members, *says;
    gboolean by_schema;
} wrong[] = {
    {"\"format\": \"virt-attest-policy-2\"", "twice", FALSE},
    {"\"unknown\": 1", "unknown: this member is not known", TRUE},
    {"\"description\": 1", "description: this is not a string", TRUE},
    {"\"measurements\": []", "measurements: this list is empty", TRUE},
    {"\"measurements\": [\"" HEX96 "\"]", "measurements[0]: this is not an object", TRUE},
    {"\"measurements\": [{\"digest\": \"" HEX64 "\"}]", "measurements[0].digest", TRUE},
    {"\"measurements\": [{\"digest\": \"" HEX96 "\", \"label\": \"\"}]", "measurements[0].label", TRUE},
    {"\"measurements\": [{\"label\": \"x\"}]", "measurements[0].digest: this member is missing", TRUE},
    {"\"measurements\": [{\"digest\": \"" HEX96 "\", \"name\": \"x\"}]", "measurements[0].name", TRUE},
    {"\"measurements\": {}", "measurements: this is not an array", TRUE},
    {"\"reportData\": \"" HEX64 "\"", "reportData", TRUE},
    {"\"reportData\": \"none\"", "reportData", TRUE},
    {"\"hostData\": \"" HEX96 "\"", "hostData", TRUE},
    {"\"hostData\": 1", "hostData: this is not a string", TRUE},
    {"\"familyId\": \"0123456789ABCDEF0123456789ABCDEF\"", "familyId", TRUE},
    {"\"imageId\": \"\"", "imageId", TRUE},
    {"\"products\": []", "products: this list is empty", TRUE},
    {"\"products\": [\"Rome\"]", "products[0]", TRUE},
    {"\"products\": [\"milan\"]", "products[0]", TRUE},
    {"\"products\": [1]", "products[0]", TRUE},
    {"\"products\": \"Milan\"", "products: this is not an array", TRUE},
    {"\"minimumTcb\": {\"reported\": {}}", "names no product", TRUE},
    {"\"minimumTcb\": {}", "minimumTcb: this has no rule in it", TRUE},
    {"\"policy\": {}", "policy: this has no rule in it", TRUE},
    {"\"platformInfo\": {}", "platformInfo: this has no rule in it", TRUE},
    {"\"mitigation\": {}", "mitigation: this has no rule in it", TRUE},
    {"\"minimumTcb\": {\"all\": {}}", "minimumTcb.all", TRUE},
    {"\"minimumTcb\": {\"reported\": {\"Rome\": {}}}", "minimumTcb.reported.Rome", TRUE},
    {"\"minimumTcb\": {\"reported\": {\"Milan\": {\"bootloader\": 1, \"tee\": 0, \"snp\": 1}}}",
     "minimumTcb.reported.Milan.microcode: this member is missing", TRUE},
    {"\"minimumTcb\": {\"reported\": {\"Milan\": {\"bootloader\": 256, \"tee\": 0, \"snp\": 1, \"microcode\": 1}}}",
     "bootloader: this number", TRUE},
    {"\"minimumTcb\": {\"reported\": {\"Milan\": {\"bootloader\": 1, \"tee\": 0, \"snp\": 1, \"microcode\": 1, "
     "\"fmc\": 1}}}",
     "fmc: a TCB has this part on Turin", TRUE},
    {"\"policy\": {\"mask\": \"0x1\"}", "policy.mask: a mask needs a value", TRUE},
    {"\"policy\": {\"value\": \"0x3\", \"mask\": \"0x1\"}", "no report could have it", FALSE},
    {"\"policy\": {\"value\": 196608}", "policy.value: this is not a string", TRUE},
    {"\"policy\": {\"value\": \"0x030000\"}", "policy.value", TRUE},
    {"\"policy\": {\"allowed\": [\"single-socket\"]}", "policy.allowed[0]", TRUE},
    {"\"policy\": {\"allowed\": [\"SMT\"]}", "policy.allowed[0]", TRUE},
    {"\"policy\": {\"allowed\": [\"0x10000\"]}", "policy.allowed[0]", TRUE},
    {"\"policy\": {\"allowed\": [\"10000\"]}", "policy.allowed[0]", TRUE},
    {"\"policy\": {\"allowed\": [\"smt,debug\"]}", "policy.allowed[0]", TRUE},
    {"\"policy\": {\"allowed\": [\"smt \"]}", "policy.allowed[0]", TRUE},
    {"\"policy\": {\"allowed\": [\"\"]}", "policy.allowed[0]", TRUE},
    {"\"policy\": {\"required\": [\"debug\"]}", "policy.required[0]", TRUE},
    {"\"policy\": {\"required\": []}", "policy.required: this list is empty", TRUE},
    {"\"policy\": {\"minimumAbi\": \"1.55.29\"}", "policy.minimumAbi", TRUE},
    {"\"policy\": {\"minimumAbi\": \"155\"}", "policy.minimumAbi", TRUE},
    {"\"policy\": {\"minimumAbi\": \"1.256\"}", "policy.minimumAbi", FALSE},
    {"\"policy\": {\"forbidden\": [\"debug\"]}", "policy.forbidden", TRUE},
    {"\"policy\": {\"value\": \"0x30000\", \"allowed\": []}", "contradict", FALSE},
    {"\"policy\": {\"value\": \"0x30000\", \"required\": [\"single-socket\"]}", "contradict", FALSE},
    {"\"policy\": {\"value\": \"0x30000\", \"minimumAbi\": \"1.55\"}", "contradict", FALSE},
    {"\"platformInfo\": {\"required\": [\"magic\"]}", "platformInfo.required[0]", TRUE},
    {"\"platformInfo\": {\"required\": [\"ecc\"], \"forbidden\": [\"ecc\"]}", "platformInfo.forbidden[0]", FALSE},
    {"\"platformInfo\": {\"value\": \"0x0\", \"mask\": \"0x4\", \"required\": [\"ecc\"]}", "contradict", FALSE},
    {"\"vmpl\": 4", "vmpl", TRUE},
    {"\"vmpl\": -1", "vmpl", TRUE},
    {"\"vmpl\": \"0\"", "vmpl", TRUE},
    {"\"minimumGuestSvn\": 4294967296", "minimumGuestSvn", TRUE},
    {"\"idBlock\": \"maybe\"", "idBlock: this is none of none, any, required", TRUE},
    {"\"idBlock\": true", "idBlock: this is not a string", TRUE},
    {"\"idBlock\": \"none\", \"idKeyDigests\": [\"" HEX96 "\"]", "idBlock", FALSE},
    {"\"idKeyDigests\": []", "idKeyDigests: this list is empty", TRUE},
    {"\"idKeyDigests\": [\"" HEX64 "\"]", "idKeyDigests[0]", TRUE},
    {"\"authorKeyDigests\": [null]", "authorKeyDigests[0]", TRUE},
    {"\"chips\": [\"" HEX32 "\"]", "chips[0]", TRUE},
    {"\"chips\": [\"0123456789ABCDEF\"]", "chips[0]", TRUE},
    {"\"chips\": [\"" HEX16 "\"], \"deniedChips\": [\"" HEX16 "\"]", "contradict", FALSE},
    {"\"cspIds\": []", "cspIds: this list is empty", TRUE},
    {"\"cspIds\": [\"\"]", "cspIds[0]", TRUE},
    {"\"cspIds\": [\"CN=\u00fc\"]", "cspIds[0]", TRUE},
    {"\"cspIds\": \"CN=a\"", "cspIds: this is not an array", TRUE},
    {"\"signingKey\": \"VCEK\"", "signingKey", TRUE},
    {"\"provisionalFirmware\": \"yes\"", "provisionalFirmware", TRUE},
    {"\"mitigation\": {\"launch\": 3}", "mitigation.launch", TRUE},
    {"\"mitigation\": {\"boot\": \"0x1\"}", "mitigation.boot", TRUE},
    {"\"revocation\": \"yes\"", "revocation", TRUE},
    {"\"minimumFirmware\": \"1\"", "minimumFirmware", TRUE},
    {"\"minimumFirmware\": \"1.2.3.4\"", "minimumFirmware", TRUE},
    {"\"minimumFirmware\": \"1.2.x\"", "minimumFirmware", TRUE},
    {"\"minimumFirmware\": \"1.2.\"", "minimumFirmware", TRUE},
    {"\"maximumAge\": -1", "maximumAge", TRUE},
};

static gchar *wrong_text(gsize i)
{
    return g_strdup_printf("{\"format\": \"virt-attest-policy-1\", %s}", wrong[i].members);
}

static void test_wrong(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree gchar *text = wrong_text(i);
        g_autoptr(GError) error = NULL;
        g_autoptr(AppraisalRules) rules = appraisal_rules_parse(text, -1, &error);

        g_test_message("%s", text);
        g_assert_null(rules);
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        g_test_message("%s", error->message);
        g_assert_nonnull(strstr(error->message, wrong[i].says));
    }
}

static void test_schema(void)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

    if (schema_validate(SCHEMA, full) == SCHEMA_UNKNOWN) {
        g_test_skip("python3-jsonschema is not installed");
        return;
    }
    g_assert_cmpint(schema_validate(SCHEMA, full), ==, SCHEMA_AGREED);
    g_assert_cmpint(schema_validate(SCHEMA, "{\"format\": \"virt-attest-policy-1\"}"), ==, SCHEMA_AGREED);
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        if (wrong[i].by_schema)
            g_ptr_array_add(texts, wrong_text(i));
    }
    g_ptr_array_add(texts, g_strdup("{}"));
    g_assert_cmpint(schema_check(SCHEMA, texts, FALSE), ==, SCHEMA_AGREED);
}

static gboolean read_corpus(const char *text, gsize size, G_GNUC_UNUSED gpointer user_data, GError **error)
{
    g_autoptr(AppraisalRules) rules = appraisal_rules_parse(text, (gssize)size, error);

    return rules != NULL;
}

static void test_corpus(void)
{
    corpus_walk("policy", read_corpus, NULL);
}

/* ---- Merging ---- */

/* Both ways round: who speaks first does not count. %NULL @says: no contradiction. */
static AppraisalRules *merge(const char *a, const char *b, const char *says)
{
    AppraisalRules *result = NULL;

    for (guint turn = 0; turn < 2; turn++) {
        g_autoptr(AppraisalRules) rules = parse_members(turn ? b : a);
        g_autoptr(AppraisalRules) more = parse_members(turn ? a : b);
        g_autoptr(GError) error = NULL;
        gboolean done = appraisal_rules_merge(rules, more, &error);

        g_test_message("%s + %s", a, b);
        if (says) {
            g_assert_false(done);
            g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
            g_assert_nonnull(strstr(error->message, says));
            continue;
        }
        g_assert_no_error(error);
        g_clear_pointer(&result, appraisal_rules_free);
        result = g_steal_pointer(&rules);
    }
    return result;
}

static void test_contradictions(void)
{
    static const struct {
        const char *a, *b, *says;
    } rows[] = {
        {"\"measurements\": [{\"digest\": \"" HEX96 "\"}]", "\"measurements\": [{\"digest\": \"" ZERO96 "\"}]",
         "measurements"},
        {"\"hostData\": \"" HEX64 "\"",
         "\"hostData\": \"0000000000000000000000000000000000000000000000000000000000000000\"", "hostData"},
        {"\"vmpl\": 0", "\"vmpl\": 1", "vmpl"},
        {"\"idBlock\": \"none\"", "\"idBlock\": \"required\"", "idBlock"},
        {"\"idBlock\": \"none\"", "\"idKeyDigests\": [\"" HEX96 "\"]", "idBlock"},
        {"\"idKeyDigests\": [\"" ZERO96 "\"]", "\"idKeyDigests\": [\"" HEX96 "\"]", "idBlock"},
        {"\"authorKeyDigests\": [\"" ZERO96 "\"]", "\"authorKey\": \"none\"", "authorKey"},
        {"\"signingKey\": \"vcek\"", "\"signingKey\": \"vlek\"", "signingKey"},
        {"\"products\": [\"Milan\"]", "\"products\": [\"Turin\", \"Genoa\"]", "products"},
        {"\"policy\": {\"value\": \"0x30000\"}", "\"policy\": {\"value\": \"0x20000\"}", "policy"},
        {"\"policy\": {\"value\": \"0x30000\"}", "\"policy\": {\"allowed\": []}", "policy"},
        {"\"policy\": {\"value\": \"0x30000\"}", "\"policy\": {\"required\": [\"single-socket\"]}", "policy"},
        {"\"policy\": {\"value\": \"0x30000\"}", "\"policy\": {\"minimumAbi\": \"1.0\"}", "minimumAbi"},
        {"\"platformInfo\": {\"required\": [\"ecc\"]}", "\"platformInfo\": {\"forbidden\": [\"ecc\"]}", "platformInfo"},
        {"\"chips\": [\"" HEX16 "\"]", "\"chips\": [\"ffffffffffffffff\"]", "chips"},
        {"\"chips\": [\"" HEX16 "\"]", "\"deniedChips\": [\"" HEX16 "\"]", "deniedChips"},
        {"\"cspIds\": [\"a\", \"b\"]", "\"cspIds\": [\"c\"]", "cspIds"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
        g_assert_null(merge(rows[i].a, rows[i].b, rows[i].says));
}

#define TCB(b, t, s, m) "{\"bootloader\": " b ", \"tee\": " t ", \"snp\": " s ", \"microcode\": " m "}"

/* The stricter rule stays, whoever brings it. */
static void test_stricter(void)
{
    g_autoptr(AppraisalRules) lists =
        merge("\"measurements\": [{\"digest\": \"" HEX96 "\"}, {\"digest\": \"" ZERO96 "\"}], \"idBlock\": \"any\","
              "\"products\": [\"Genoa\"], \"deniedChips\": [\"ffffffffffffffff\"], \"cspIds\": [\"a\", \"b\"]",
              "\"measurements\": [{\"digest\": \"" HEX96 "\", \"label\": \"b\"}], \"idKeyDigests\": [\"" HEX96 "\"],"
              "\"products\": [\"Siena\", \"Milan\"], \"deniedChips\": [\"" HEX16 "\"], \"cspIds\": [\"b\", \"c\"]",
              NULL);
    g_autoptr(AppraisalRules) numbers = merge(
        "\"minimumTcb\": {\"reported\": {\"Milan\": " TCB(
            "1", "9", "1", "1") "}}, \"minimumGuestSvn\": 5,"
                                "\"minimumFirmware\": \"1.54.9\", \"mitigation\": {\"launch\": \"0x1\"}, \"policy\": "
                                "{\"minimumAbi\": \"1.2\"}",
        "\"minimumTcb\": {\"reported\": {\"Milan\": " TCB("2", "3", "0", "1") ", \"Genoa\": " TCB(
            "1", "1", "1",
            "1") "}}, \"minimumGuestSvn\": 4, \"minimumFirmware\": \"1.55\", \"mitigation\": {\"launch\": \"0x2\"},"
                 "\"maximumAge\": 60",
        NULL);
    g_autoptr(AppraisalRules) words = merge(
        "\"provisionalFirmware\": true, \"signingKey\": \"any\", \"hostData\": \"any\", \"revocation\": \"optional\","
        "\"idBlock\": \"any\", \"policy\": {\"allowed\": [\"smt\", \"debug\"]}, \"maximumAge\": 90",
        "\"provisionalFirmware\": false, \"signingKey\": \"vlek\", \"hostData\": \"" HEX64 "\","
        "\"revocation\": \"required\", \"idBlock\": \"none\", \"policy\": {\"allowed\": [\"smt\"]}, \"maximumAge\": 60",
        NULL);
    const PolicyTcb *tcb = &numbers->tcb[APPRAISAL_TCB_REPORTED][APPRAISAL_LINE_MILAN];

    g_assert_cmpuint(lists->measurements->len, ==, 1);
    g_assert_cmpstr(((const AppraisalExpected *)g_ptr_array_index(lists->measurements, 0))->label, ==, "b");
    g_assert_cmpint(lists->id_key.rule, ==, APPRAISAL_RULE_EXACT);
    g_assert_cmpuint(lists->id_key.digests->len, ==, 1);
    g_assert_cmphex(lists->products, ==, APPRAISAL_PRODUCT_BERGAMO);
    g_assert_cmpuint(lists->denied_chips->len, ==, 2);
    g_assert_cmpuint(lists->csp_ids->len, ==, 1);
    g_assert_cmpstr(g_ptr_array_index(lists->csp_ids, 0), ==, "b");
    g_assert_cmpint(tcb->bootloader, ==, 2);
    g_assert_cmpint(tcb->tee, ==, 9);
    g_assert_cmpint(tcb->snp, ==, 1);
    g_assert_true(numbers->has_tcb[APPRAISAL_TCB_REPORTED][APPRAISAL_LINE_GENOA]);
    g_assert_cmpint(numbers->minimum_svn, ==, 5);
    g_assert_cmphex((guint)numbers->minimum_firmware, ==, 0x013700);
    g_assert_cmphex(numbers->launch_mitigation, ==, 3);
    g_assert_cmphex(numbers->minimum_abi, ==, 0x102);
    g_assert_cmpint(numbers->maximum_age, ==, 60);
    g_assert_cmpint(words->provisional, ==, APPRAISAL_RULE_NONE);
    g_assert_cmpint(words->signer, ==, APPRAISAL_RULE_EXACT);
    g_assert_cmpint(words->signer_kind, ==, APPRAISAL_SIGNER_VLEK);
    g_assert_cmpint(words->fields[APPRAISAL_FIELD_HOST_DATA].rule, ==, APPRAISAL_RULE_EXACT);
    g_assert_true(words->revocation_required);
    g_assert_cmpint(words->id_key.rule, ==, APPRAISAL_RULE_NONE);
    g_assert_cmphex(words->allowed, ==, POLICY_SNP_SMT);
    g_assert_cmpint(words->maximum_age, ==, 60);
}

/* ---- References ---- */

static const char reference_text[] =
    "{\"format\": \"virt-attest-reference-1\", \"domain\": {\"name\": \"web\"}, \"tool\": \"virt-attest 0.1.0\","
    " \"platform\": \"sev-snp\", \"level\": 2, \"findings\": [], \"policy\": \"0x30000\", \"kernelHashes\": false,"
    " \"fpu\": \"init2\", \"inputs\": {\"firmware\": {\"path\": \"/f\", \"size\": 65536, \"sha256\": \"" HEX64 "\"}},"
    " \"measurements\": [{\"cpu\": \"EPYC-Milan\", \"signature\": \"0xa00f11\", \"features\": \"0x1\", \"vcpus\": 2,"
    " \"digest\": \"" HEX96
    "\"}, {\"cpu\": \"EPYC-Milan\", \"signature\": \"0xa00f11\", \"features\": \"0x1\", \"vcpus\": 1,"
    " \"digest\": \"" HEX96_B "\"}], \"hostData\": \"" HEX64 "\", \"product\": \"Siena\","
    " \"minimumTcb\": {\"bootloader\": 1, \"tee\": 2, \"snp\": 3, \"microcode\": 4},"
    " \"platformInfo\": {\"value\": \"0x4\", \"mask\": \"0x6\"}, \"idBlockSha256\": \"" HEX64 "\","
    " \"idAuthSha256\": \"" HEX64 "\", \"idBlock\": {\"idKeyDigest\": \"" HEX96 "\", \"familyId\": \"" HEX32 "\","
    " \"imageId\": \"" HEX32 "\", \"guestSvn\": 3}}";

static void test_reference(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyReference) reference = policy_reference_parse(reference_text, -1, &error);
    g_autoptr(AppraisalRules) rules = NULL;

    g_assert_no_error(error);
    rules = appraisal_rules_from_reference(reference, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(rules->measurements->len, ==, 2);
    g_assert_cmpstr(((const AppraisalExpected *)g_ptr_array_index(rules->measurements, 0))->label, ==,
                    "EPYC-Milan, 2 vCPUs, features 0x1");
    g_assert_cmphex(rules->policy_value, ==, 0x30000);
    g_assert_cmphex(rules->policy_mask, ==, G_MAXUINT64);
    g_assert_cmpint(rules->fields[APPRAISAL_FIELD_HOST_DATA].rule, ==, APPRAISAL_RULE_EXACT);
    g_assert_cmpint(rules->fields[APPRAISAL_FIELD_FAMILY_ID].rule, ==, APPRAISAL_RULE_EXACT);
    g_assert_cmpint(rules->id_key.rule, ==, APPRAISAL_RULE_EXACT);
    g_assert_cmpint(rules->author_key.rule, ==, APPRAISAL_RULE_NONE);
    g_assert_cmpint(rules->minimum_svn, ==, 3);
    g_assert_cmphex(rules->products, ==, APPRAISAL_PRODUCT_BERGAMO);
    for (guint kind = 0; kind < APPRAISAL_N_TCBS; kind++) {
        g_assert_true(rules->has_tcb[kind][APPRAISAL_LINE_GENOA]);
        g_assert_cmpint(rules->tcb[kind][APPRAISAL_LINE_GENOA].microcode, ==, 4);
    }
    g_assert_cmphex(rules->platform_value, ==, 4);
    g_assert_cmphex(rules->platform_mask, ==, 6);
    reference->platform = MEASURE_PLATFORM_SEV_ES;
    g_assert_null(appraisal_rules_from_reference(reference, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/appraisal-rules/full", test_full);
    g_test_add_func("/appraisal-rules/empty", test_empty);
    g_test_add_func("/appraisal-rules/wrong", test_wrong);
    g_test_add_func("/appraisal-rules/schema", test_schema);
    g_test_add_func("/appraisal-rules/corpus", test_corpus);
    g_test_add_func("/appraisal-rules/contradictions", test_contradictions);
    g_test_add_func("/appraisal-rules/stricter", test_stricter);
    g_test_add_func("/appraisal-rules/reference", test_reference);
    return g_test_run();
}
