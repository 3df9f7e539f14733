/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fleets: lists of CPU types and vCPU counts, and what is measured for all of them at once. */
#include "policy/fleet.h"
#include "policy/reference.h"
#include "tests/unit/confidential-fixture.h"
#include "tests/unit/corpus-fixture.h"
#include "tests/unit/schema-fixture.h"

static gchar *describe(const GPtrArray *cpus)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < cpus->len; i++) {
        const MeasureCpu *cpu = g_ptr_array_index(cpus, i);

        g_string_append_printf(text, "%s%s/0x%x", i ? " " : "", cpu->name ? cpu->name : "-", cpu->signature);
    }
    return g_string_free(text, FALSE);
}

static void test_cpu_list(void)
{
    /* Signatures from the table of family, model and stepping in the AMD manuals: 25/1/1, 25/17/0, 25/17/1, 26/2/1. */
    static const struct {
        const char *text, *expected;
    } good[] = {
        {"[\"EPYC-Milan\", \"EPYC-Genoa\"]", "EPYC-Milan/0xa00f11 EPYC-Genoa/0xa10f10"},
        {"[\"0xa00f11\"]", "-/0xa00f11"},
        {"[{\"vcpu_sig\": \"0xa10f11\"}, {\"sig\": 10489617}]", "-/0xa10f11 -/0xa00f11"},
        {"  [{\"family\": 25, \"model\": 17, \"stepping\": 1}]\n", "-/0xa10f11"},
        {"[{\"stepping\": 1, \"model\": 2, \"family\": 26}]", "-/0xb00f21"},
        {"EPYC-Milan\n", "EPYC-Milan/0xa00f11"},
        {"# the whole list\n\nEPYC-Milan # first\r\n  0xa10f11\n25.1.1", "EPYC-Milan/0xa00f11 -/0xa10f11 -/0xa00f11"},
        {"epyc-milan-v2\nEPYC-Milan", "EPYC-Milan-v2/0xa00f11 EPYC-Milan/0xa00f11"},
    };
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "no CPU type in it"},
        {"\n# nothing\n", "no CPU type in it"},
        {"[]", "no CPU type in it"},
        {"[\"EPYC-Millan\"]", "entry 1"},
        {"EPYC-Milan\nEPYC-Millan", "line 2"},
        {"[\"EPYC-Milan\", \"EPYC-Milan\"]", "in the list already"},
        {"0xa00f11\n25.1.1", "in the list already"},
        {"[1]", "entry 1"},
        {"[null]", "entry 1"},
        {"[[]]", "entry 1"},
        {"[{}]", "family"},
        {"[{\"family\": 25, \"model\": 17}]", "stepping"},
        {"[{\"family\": 25, \"model\": 17, \"stepping\": 16}]", "stepping"},
        {"[{\"family\": 1000, \"model\": 17, \"stepping\": 1}]", "family"},
        {"[{\"family\": 25, \"model\": 17, \"stepping\": 1, \"name\": \"x\"}]", "name"},
        {"[{\"vcpu_sig\": \"EPYC-Milan\"}]", "entry 1"},
        {"[{\"vcpu_sig\": 4294967296}]", "vcpu_sig"},
        {"[{\"vcpu_sig\": -1}]", "vcpu_sig"},
        {"[{\"vcpu_sig\": null}]", "vcpu_sig"},
        {"[{\"vcpu_sig\": \"0xa00f11\", \"sig\": \"0xa00f11\"}]", "sig"},
        {"{\"cpus\": []}", "list"},
        {"[\"EPYC-Milan\"], \"more\": [1]", "more"},
        {"[\"EPYC-Milan\"], \"list\": [1]", "twice"},
        {"[\"EPYC-Milan\"]}", ""},
        {"[\"EPYC-Milan\",]", ""},
        {"[\"EPYC-Milan\"", ""},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) cpus = policy_cpu_list_parse(good[i].text, strlen(good[i].text), "the list", &error);
        g_autofree gchar *found = NULL;

        g_assert_no_error(error);
        found = describe(cpus);
        g_assert_cmpstr(found, ==, good[i].expected);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) cpus = policy_cpu_list_parse(bad[i].text, strlen(bad[i].text), "the list", &error);

        if (cpus)
            g_error("'%s' was taken", bad[i].text);
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        if (!strstr(error->message, bad[i].says))
            g_error("'%s' is not in '%s'", bad[i].says, error->message);
    }
    g_assert_null(policy_cpu_list_parse("EPYC-Milan\0x", 12, "the list", NULL));
    g_assert_null(policy_cpu_list_parse("EPYC-\xff", 6, "the list", NULL));
}

static void test_cpu_list_size(void)
{
    g_autoptr(GString) many = g_string_new(NULL);
    g_autofree gchar *blanks = g_strnfill(POLICY_CPU_LIST_MAX_SIZE, '\n');
    g_autofree gchar *huge = g_strconcat(blanks, "EPYC-Milan", NULL);
    g_autoptr(GPtrArray) cpus = NULL;

    for (guint i = 0; i < POLICY_CPU_LIST_MAX; i++)
        g_string_append_printf(many, "0x%x\n", 0x800000 + i);
    cpus = policy_cpu_list_parse(many->str, many->len, "the list", NULL);
    g_assert_cmpuint(cpus->len, ==, POLICY_CPU_LIST_MAX);
    g_string_append(many, "EPYC-Milan\n");
    g_assert_null(policy_cpu_list_parse(many->str, many->len, "the list", NULL));
    g_assert_null(policy_cpu_list_parse(huge, strlen(huge), "the list", NULL));
}

static void test_vcpu_list(void)
{
    static const struct {
        const char *text, *expected;
    } good[] = {
        {"1", "1 "}, {"4096", "4096 "}, {"1,2,4-8", "1 2 4 5 6 7 8 "}, {"8,1-3,2", "1 2 3 8 "}, {"7-7", "7 "},
    };
    static const char *const bad[] = {"", "0", "4097", "1,", ",1", "1-", "-1", "3-2", "1-4097", "0-2", "1 2", " 1",
                                      "0x2", "1-2-3", "a", "1,,2", "+1"};

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GArray) counts = policy_vcpu_list_parse(good[i].text, &error);
        g_autoptr(GString) found = g_string_new(NULL);

        g_assert_no_error(error);
        for (guint j = 0; j < counts->len; j++)
            g_string_append_printf(found, "%u ", g_array_index(counts, guint, j));
        g_assert_cmpstr(found->str, ==, good[i].expected);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        if (policy_vcpu_list_parse(bad[i], &error))
            g_error("'%s' was taken", bad[i]);
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
    }
}

/* ---- Measured ---- */

static guint lookups;

static gchar *count_lookup(const MeasureInput *input, const char *kind, gpointer user_data)
{
    lookups++;
    return NULL;
}

static void store_nothing(const MeasureInput *input, const char *kind, const char *value, gpointer user_data) {}

static PolicyEvaluation *evaluate_fleet(const Fixture *fixture, const XmlDomain *domain, const char *cpus,
                                        const char *vcpus, const MeasureCache *cache)
{
    g_autoptr(GPtrArray) types = cpus ? policy_cpu_list_parse(cpus, strlen(cpus), "the list", NULL) : NULL;
    g_autoptr(GArray) counts = vcpus ? policy_vcpu_list_parse(vcpus, NULL) : NULL;
    PolicyEvaluateOptions options = {
        .config = fixture->config,
        .reference = POLICY_REFERENCE_ASSUMED,
        .cache = cache,
        .cpus = types,
        .every_cpu = TRUE,
        .vcpus = counts,
        .all_fpu = TRUE,
    };

    return policy_evaluate(domain, &options);
}

/* Each digest alone, of a domain that has that CPU model and that number of vCPUs. */
static void assert_alone(Fixture *fixture, const char *security, const XmlMeasurement *each)
{
    g_autofree gchar *rest =
        g_strdup_printf("<cpu mode='custom' match='exact'><model fallback='forbid'>%s</model></cpu>%s", each->cpu,
                        security);
    g_autofree gchar *whole = fixture_xml(fixture, NULL, rest);
    g_autofree gchar *count = g_strdup_printf("<vcpu>%u</vcpu>", each->vcpus);
    g_auto(GStrv) parts = g_strsplit(whole, "<vcpu>2</vcpu>", 2);
    g_autofree gchar *xml = g_strjoinv(count, parts);
    g_autoptr(XmlDomain) domain = xml_domain_parse(xml, -1, NULL);
    g_autoptr(PolicyEvaluation) evaluation = NULL;
    const XmlMeasurement *alone = NULL;

    if (each->has_fpu)
        fixture->config->sev_es_fpu = each->fpu;
    evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);
    fixture->config->sev_es_fpu = MEASURE_FPU_LEGACY;
    g_assert_cmpuint(evaluation->measurements->len, ==, 1);
    alone = g_ptr_array_index(evaluation->measurements, 0);
    g_assert_cmpuint(alone->vcpus, ==, each->vcpus);
    g_assert_cmpuint(alone->digest.size, ==, each->digest.size);
    g_assert_cmpint(memcmp(alone->digest.bytes, each->digest.bytes, each->digest.size), ==, 0);
}

static void test_measured(void)
{
    static const struct {
        const char *security;
        guint per_launch;
    } rows[] = {
        {FIXTURE_SNP, 1},
        {"<launchSecurity type='sev' kernelHashes='yes'><policy>0x5</policy></launchSecurity>", 2},
    };
    g_autoptr(Fixture) fixture = fixture_new();
    MeasureCache cache = {count_lookup, store_nothing, NULL};

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree gchar *rest = g_strconcat(FIXTURE_MILAN, rows[i].security, NULL);
        g_autoptr(XmlDomain) domain = fixture_domain(fixture, NULL, rest);
        g_autoptr(PolicyEvaluation) evaluation = NULL;
        g_autoptr(PolicyEvaluation) own = NULL;
        g_autoptr(GHashTable) digests = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        guint one = 0;

        lookups = 0;
        own = evaluate_fleet(fixture, domain, NULL, NULL, &cache);
        one = lookups;
        g_assert_cmpuint(one, >, 0);
        g_assert_cmpuint(own->measurements->len, ==, rows[i].per_launch);
        lookups = 0;
        evaluation = evaluate_fleet(fixture, domain, "EPYC-Milan\nEPYC-Genoa\nEPYC-Turin", "1-3,17", &cache);
        /* One pass over the files, however many launches. */
        g_assert_cmpuint(lookups, ==, one);
        g_assert_cmpuint(evaluation->measurements->len, ==, 12 * rows[i].per_launch);
        g_assert_cmpuint(evaluation->level, ==, own->level);
        for (guint j = 0; j < evaluation->measurements->len; j++) {
            const XmlMeasurement *each = g_ptr_array_index(evaluation->measurements, j);

            g_assert_true(g_hash_table_add(digests, measure_digest_hex(&each->digest)));
            assert_alone(fixture, rows[i].security, each);
        }
    }
}

/* Plain SEV has one measurement whatever is asked for. */
static void test_sev(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(XmlDomain) domain =
        fixture_domain(fixture, NULL,
                       "<launchSecurity type='sev' kernelHashes='yes'><policy>0x1</policy></launchSecurity>");
    g_autoptr(PolicyEvaluation) evaluation = evaluate_fleet(fixture, domain, "EPYC-Milan\nEPYC-Genoa", "1-3", NULL);

    g_assert_cmpuint(evaluation->measurements->len, ==, 1);
}

/* Written and read back, the variant that is not the document's is told; the text is the same for any order. */
static void test_document(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(XmlDomain) domain = fixture_domain(
        fixture, NULL, FIXTURE_MILAN "<launchSecurity type='sev'><policy>0x5</policy></launchSecurity>");
    g_autoptr(PolicyEvaluation) evaluation = evaluate_fleet(fixture, domain, "EPYC-Genoa\nEPYC-Milan", "1,4", NULL);
    g_autoptr(PolicyEvaluation) turned = evaluate_fleet(fixture, domain, "EPYC-Milan\nEPYC-Genoa", "4,1", NULL);
    g_autoptr(PolicyReference) reference = policy_reference_new(domain, evaluation, XML_ON_MISMATCH_REFUSE, NULL);
    g_autoptr(PolicyReference) other = policy_reference_new(domain, turned, XML_ON_MISMATCH_REFUSE, NULL);
    g_autofree gchar *text = policy_reference_format(reference, POLICY_REFERENCE_PORTABLE);
    g_autofree gchar *same = policy_reference_format(other, POLICY_REFERENCE_PORTABLE);
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyReference) back = policy_reference_parse(text, -1, &error);
    g_autofree gchar *again = NULL;
    guint variants[2] = {0, 0};

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, same);
    again = policy_reference_format(back, POLICY_REFERENCE_PORTABLE);
    g_assert_cmpstr(again, ==, text);
    g_assert_nonnull(strstr(text, "\"fpu\" : \"legacy\""));
    g_assert_cmpint(schema_validate("policy/reference.schema.json", text), !=, SCHEMA_CONTRADICTED);
    for (guint i = 0; i < back->measurements->len; i++)
        variants[((XmlMeasurement *)g_ptr_array_index(back->measurements, i))->fpu]++;
    g_assert_cmpuint(variants[MEASURE_FPU_LEGACY], ==, 4);
    g_assert_cmpuint(variants[MEASURE_FPU_INIT2], ==, 4);
}

/* ---- The decision about a start ---- */

static PolicyDecision *start(const Fixture *fixture, const char *vcpus, const char *cpu, const char *security)
{
    g_autofree gchar *rest = g_strdup_printf(
        "<cpu mode='custom' match='exact'><model fallback='forbid'>%s</model></cpu>%s", cpu, security);
    g_autofree gchar *whole = fixture_xml(fixture, NULL, rest);
    g_autofree gchar *count = g_strdup_printf("<vcpu>%s</vcpu>", vcpus);
    g_auto(GStrv) parts = g_strsplit(whole, "<vcpu>2</vcpu>", 2);
    g_autofree gchar *xml = g_strjoinv(count, parts);

    return policy_gate_decide(xml, strlen(xml), fixture->config, NULL, fixture->store, NULL);
}

static void assert_start(const Fixture *fixture, const char *vcpus, const char *cpu, const char *security,
                         const char *what, const char *says)
{
    PolicyDecision *decision = start(fixture, vcpus, cpu, security);

    if (!what) {
        if (decision->verdict != POLICY_VERDICT_MATCH)
            g_error("%s, %s vCPUs: %s", cpu, vcpus, decision->summary);
    } else {
        gboolean found = FALSE;

        g_assert_cmpint(decision->verdict, ==, POLICY_VERDICT_REFUSED);
        for (guint i = 0; i < decision->changes->len; i++)
            found = found || !strcmp(((PolicyChange *)g_ptr_array_index(decision->changes, i))->what, what);
        if (!found || !strstr(decision->summary, says))
            g_error("'%s', '%s' are not in '%s'", what, says, decision->summary);
    }
    policy_decision_free(decision);
}

static void pin_fleet(const Fixture *fixture, const char *security, const char *cpus, const char *vcpus)
{
    g_autofree gchar *rest = g_strconcat(FIXTURE_MILAN, security, NULL);
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, NULL, rest);
    g_autoptr(PolicyEvaluation) evaluation = evaluate_fleet(fixture, domain, cpus, vcpus, NULL);
    g_autoptr(PolicyReference) reference = policy_reference_new(domain, evaluation, XML_ON_MISMATCH_REFUSE, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(reference);
    policy_store_put_reference(fixture->store, reference, &error);
    g_assert_no_error(error);
}

static void test_gate(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *config = NULL;

    pin_fleet(fixture, FIXTURE_SNP, "EPYC-Milan\nEPYC-Genoa", "1,2,4-6");
    assert_start(fixture, "1", "EPYC-Milan", FIXTURE_SNP, NULL, NULL);
    assert_start(fixture, "2", "EPYC-Genoa", FIXTURE_SNP, NULL, NULL);
    assert_start(fixture, "6", "EPYC-Milan-v2", FIXTURE_SNP, NULL, NULL);
    assert_start(fixture, "3", "EPYC-Milan", FIXTURE_SNP, "vcpus",
                 "number of vCPUs at start is not one that the reference foresees: it has 1, 2, 4-6, this is 3");
    assert_start(fixture, "2", "EPYC-Turin", FIXTURE_SNP, "cpu",
                 "CPU type is not one that the reference foresees: it has EPYC-Milan (signature 0xa00f11), EPYC-Genoa "
                 "(signature 0xa10f10), this is EPYC-Turin (signature 0xb00f00)");
    config = g_strdup_printf("[measure]\nguest-features = 0x21\n[firmware]\ntrusted = %s", fixture->firmware_sha256);
    fixture_load_config(fixture, config);
    assert_start(fixture, "2", "EPYC-Milan", FIXTURE_SNP, "features",
                 "SEV features of the vCPUs changed: was 0x1, is 0x21");
}

/* What was foreseen apart is not foreseen together. */
static void test_gate_combination(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyReference) reference = NULL;

    pin_fleet(fixture, FIXTURE_SNP, "EPYC-Milan\nEPYC-Genoa", "1,2");
    reference = policy_store_get_reference(fixture->store, FIXTURE_UUID, &error);
    g_assert_no_error(error);
    /* EPYC-Milan with 1, EPYC-Genoa with 2. */
    g_ptr_array_remove_index(reference->measurements, 2);
    g_ptr_array_remove_index(reference->measurements, 1);
    policy_store_put_reference(fixture->store, reference, &error);
    g_assert_no_error(error);
    assert_start(fixture, "1", "EPYC-Milan", FIXTURE_SNP, NULL, NULL);
    assert_start(fixture, "2", "EPYC-Genoa", FIXTURE_SNP, NULL, NULL);
    assert_start(fixture, "2", "EPYC-Milan", FIXTURE_SNP, "cpu", "but not together");
    assert_start(fixture, "1", "EPYC-Genoa", FIXTURE_SNP, "cpu", "but not together");
}

#define SEV_ES "<launchSecurity type='sev' kernelHashes='yes'><policy>0x5</policy></launchSecurity>"

static void test_gate_fpu(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(PolicyReference) reference = NULL;
    g_autoptr(GError) error = NULL;

    pin_fleet(fixture, SEV_ES, NULL, NULL);
    assert_start(fixture, "2", "EPYC-Milan", SEV_ES, NULL, NULL);
    fixture->config->sev_es_fpu = MEASURE_FPU_INIT2;
    assert_start(fixture, "2", "EPYC-Milan", SEV_ES, NULL, NULL);
    /* Only the first of them is left. */
    reference = policy_store_get_reference(fixture->store, FIXTURE_UUID, &error);
    g_assert_no_error(error);
    g_ptr_array_remove_index(reference->measurements, 1);
    policy_store_put_reference(fixture->store, reference, &error);
    g_assert_no_error(error);
    assert_start(fixture, "2", "EPYC-Milan", SEV_ES, "features",
                 "floating-point words of the vCPUs changed: was legacy, is init2");
}

static gboolean corpus_read(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(GPtrArray) cpus = policy_cpu_list_parse(text, size, "the list", error);

    return cpus != NULL;
}

static void test_corpus(void)
{
    corpus_walk("cpu-list", corpus_read, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fleet/cpu-list", test_cpu_list);
    g_test_add_func("/fleet/cpu-list-size", test_cpu_list_size);
    g_test_add_func("/fleet/vcpu-list", test_vcpu_list);
    g_test_add_func("/fleet/measured", test_measured);
    g_test_add_func("/fleet/sev", test_sev);
    g_test_add_func("/fleet/document", test_document);
    g_test_add_func("/fleet/gate", test_gate);
    g_test_add_func("/fleet/gate-combination", test_gate_combination);
    g_test_add_func("/fleet/gate-fpu", test_gate_fpu);
    g_test_add_func("/fleet/corpus", test_corpus);
    return g_test_run();
}
