/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Levels and findings, rule by rule; digests against known answers of other implementations. */
#include "tests/unit/confidential-fixture.h"

#define REAL_AMDSEV "/usr/share/ovmf/OVMF.amdsev.fd"
#define REAL_GENERIC "/usr/share/ovmf/OVMF.fd"

static const PolicyFinding *find(const PolicyEvaluation *evaluation, const char *rule, PolicyOutcome outcome)
{
    for (guint i = 0; i < evaluation->findings->len; i++) {
        const PolicyFinding *finding = g_ptr_array_index(evaluation->findings, i);

        if (!strcmp(finding->rule, rule) && finding->outcome == outcome)
            return finding;
    }
    return NULL;
}

/* The one place where a level and the finding behind it are checked. */
static void check_evaluation(const PolicyEvaluation *evaluation, guint level, const char *rule, guint rule_level,
                             PolicyOutcome outcome, const char *says)
{
    const PolicyFinding *finding = find(evaluation, rule, outcome);
    guint last = 0;

    if (!finding)
        g_error("no finding '%s' with outcome %s", rule, policy_outcome_name(outcome));
    if (!strstr(finding->text, says))
        g_error("'%s' is not in '%s'", says, finding->text);
    g_assert_cmpuint(finding->level, ==, rule_level);
    g_assert_cmpuint(evaluation->level, ==, level);
    for (guint i = 0; i < evaluation->findings->len; i++) {
        const PolicyFinding *each = g_ptr_array_index(evaluation->findings, i);

        g_assert_cmpuint(each->level, >=, last);
        last = each->level;
        g_assert_false(each->outcome == POLICY_FAIL && each->level <= evaluation->level);
    }
}

static void expect(Fixture *fixture, const char *os, const char *rest, guint level, const char *rule, guint rule_level,
                   PolicyOutcome outcome, const char *says)
{
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, os, rest);
    g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);

    check_evaluation(evaluation, level, rule, rule_level, outcome, says);
}

static void test_level_three(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, NULL, FIXTURE_MILAN FIXTURE_SNP);
    g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_EXISTS);
    static const char *const rules[] = {
        "launch-security",  "host-arguments",    "debug-policy", "policy-bits",
        "firmware-file",    "firmware-metadata", "cpu",          "reference",
        "kernel",           "kernel-hashes",     "hash-area",    "hash-verifier",
        "guest-words",      "root-hash",         "boot-shell",   "initrd",
        "root-disks",       "writable-layer",
    };

    g_assert_true(evaluation->confidential);
    g_assert_no_error(evaluation->unmeasurable);
    g_assert_cmphex(evaluation->policy, ==, 0x30000);
    g_assert_cmpuint(evaluation->findings->len, ==, G_N_ELEMENTS(rules));
    for (gsize i = 0; i < G_N_ELEMENTS(rules); i++) {
        const PolicyFinding *finding = g_ptr_array_index(evaluation->findings, i);
        g_assert_cmpstr(finding->rule, ==, rules[i]);
    }
    check_evaluation(evaluation, 3, "guest-words", 4, POLICY_FAIL, "says nothing of the root file system");
    check_evaluation(evaluation, 3, "hash-verifier", 3, POLICY_NOTE, "word of its owner");
    g_assert_cmpuint(evaluation->measurements->len, ==, 1);
}

static void test_level_one(void)
{
    g_autoptr(Fixture) fixture = fixture_new();

    expect(fixture, "", "", 0, "launch-security", 1, POLICY_FAIL, "no <launchSecurity>");
    expect(fixture, "", "<launchSecurity type='s390-pv'/>", 0, "launch-security", 1, POLICY_FAIL, "s390-pv");
    expect(fixture, NULL,
           FIXTURE_MILAN "<launchSecurity type='sev-snp' "
                         "kernelHashes='yes'><policy>0xb0000</policy></launchSecurity>",
           0, "debug-policy", 1, POLICY_FAIL, "clear bit 19");
    expect(fixture, NULL, FIXTURE_MILAN "<launchSecurity type='sev'><policy>0x2</policy></launchSecurity>", 0,
           "debug-policy", 1, POLICY_FAIL, "set bit 0");
    expect(fixture, NULL, FIXTURE_MILAN "<launchSecurity type='sev-snp'><policy>0x10000</policy></launchSecurity>", 0,
           "policy-bits", 1, POLICY_FAIL, "bit 17");
    expect(fixture, NULL, FIXTURE_MILAN "<launchSecurity type='sev-snp'/>", 0, "policy-bits", 1, POLICY_FAIL,
           "<policy>");
    expect(fixture, NULL,
           FIXTURE_MILAN FIXTURE_SNP "<qemu:commandline "
                                     "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg "
                                     "value='-S'/></qemu:commandline>",
           0, "host-arguments", 1, POLICY_FAIL, "<qemu:commandline>");
    expect(fixture, NULL,
           FIXTURE_MILAN FIXTURE_SNP "<qemu:override "
                                     "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:device "
                                     "alias='x'/></qemu:override>",
           0, "host-arguments", 1, POLICY_FAIL, "<qemu:override>");
}

/* What QEMU refuses: metadata with a section of no bytes. */
static void fixture_empty_section(Fixture *fixture)
{
    g_autofree gchar *data = NULL;
    gsize size = 0;

    g_assert_true(g_file_get_contents(fixture->firmware, &data, &size, NULL));
    memset(data + FIXTURE_FIRMWARE_SIZE - 4096 + 16 + 4, 0, 4);
    fixture_put(fixture->firmware, data, size);
}

static void test_level_two(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *absent_initrd =
        g_strdup_printf("<kernel>%s</kernel><initrd>/nowhere/initrd</initrd>", fixture->kernel);
    g_autofree gchar *kernel_only = g_strdup_printf("<kernel>%s</kernel>", fixture->kernel);
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, NULL, FIXTURE_MILAN FIXTURE_SNP);
    g_autoptr(PolicyEvaluation) unpinned = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ABSENT);

    check_evaluation(unpinned, 1, "reference", 2, POLICY_FAIL, "virt-attest define");
    g_assert_cmpuint(unpinned->measurements->len, ==, 1);

    expect(fixture, NULL, "<cpu mode='custom'><model>EPYC-Rome</model></cpu>" FIXTURE_SNP, 1, "cpu", 2, POLICY_FAIL,
           "'allowed-cpus'");
    expect(fixture, NULL, "<cpu mode='custom'><model>Skylake-Server</model></cpu>" FIXTURE_SNP, 1, "cpu", 2,
           POLICY_FAIL, "Skylake-Server");
    expect(fixture, NULL, FIXTURE_SNP, 1, "cpu", 2, POLICY_FAIL, "qemu64");
    /* Rome is fine for SEV-ES; the kernel is not measured without kernelHashes. */
    expect(fixture, NULL,
           "<cpu mode='custom'><model>EPYC-Rome</model></cpu><launchSecurity "
           "type='sev'><policy>0x5</policy>"
           "</launchSecurity>",
           2, "kernel-hashes", 3, POLICY_FAIL, "kernelHashes='yes'");
    expect(fixture, NULL,
           FIXTURE_MILAN "<launchSecurity type='sev-snp' "
                         "kernelHashes='yes'><policy>0x30000</policy><novelty/>"
                         "</launchSecurity>",
           1, "launch-security", 2, POLICY_FAIL, "novelty");
    expect(fixture, "<shim>/s</shim>", FIXTURE_MILAN FIXTURE_SNP, 1, "launch-security", 2, POLICY_FAIL, "shim");
    /* kernelHashes without a kernel: QEMU would not start. */
    expect(fixture, "", FIXTURE_MILAN FIXTURE_SNP, 1, "launch-security", 2, POLICY_FAIL, "kernelHashes");

    fixture_empty_section(fixture);
    expect(fixture, NULL, FIXTURE_MILAN FIXTURE_SNP, 1, "firmware-metadata", 2, POLICY_FAIL,
           "empty SEV metadata section");
    expect(fixture, NULL, FIXTURE_MILAN "<launchSecurity type='sev'><policy>0x5</policy></launchSecurity>", 2,
           "firmware-metadata", 2, POLICY_PASS, "sev-es");
    fixture_firmware(fixture, FIXTURE_WHOLE);
    expect(fixture, absent_initrd, FIXTURE_MILAN FIXTURE_SNP, 1, "kernel", 3, POLICY_FAIL,
           "initrd '/nowhere/initrd': No such file");
    g_unlink(fixture->kernel);
    expect(fixture, kernel_only, FIXTURE_MILAN FIXTURE_SNP, 1, "firmware-file", 2, POLICY_FAIL,
           "another input cannot be: see rule 'kernel'");
    expect(fixture, kernel_only, FIXTURE_MILAN FIXTURE_SNP, 1, "kernel", 3, POLICY_FAIL, fixture->kernel);
    expect(fixture, "<kernel>/nowhere/a&#10;error: all is well</kernel>", FIXTURE_MILAN FIXTURE_SNP, 1, "kernel", 3,
           POLICY_FAIL, "kernel '/nowhere/a\\x0aerror: all is well': No such file");
    fixture_firmware(fixture, FIXTURE_NO_METADATA);
    expect(fixture, "", FIXTURE_MILAN "<launchSecurity type='sev-snp'><policy>0x30000</policy></launchSecurity>", 1,
           "firmware-metadata", 2, POLICY_FAIL, "AmdSev");
    g_unlink(fixture->firmware);
    expect(fixture, "", FIXTURE_MILAN "<launchSecurity type='sev-snp'><policy>0x30000</policy></launchSecurity>", 1,
           "firmware-file", 2, POLICY_FAIL, fixture->firmware);
}

/* The same firmware through other <loader> elements. */
static void test_loaders(void)
{
    static const struct {
        const char *os, *launch;
        guint level;
        PolicyOutcome outcome;
        const char *says;
    } rows[] = {
        {"<loader type='pflash'>%s</loader>", "type='sev-snp'><policy>0x30000</policy>", 1, POLICY_FAIL, "pflash"},
        /* libvirt gives it an NVRAM when it is defined. */
        {"<loader type='pflash'>%s</loader>", "type='sev'><policy>0x5</policy>", 1, POLICY_FAIL, "libvirt adds"},
        {"<loader type='pflash' stateless='yes'>%s</loader><nvram template='/t.fd'/>",
         "type='sev'><policy>0x5</policy>", 1, POLICY_FAIL, "NVRAM"},
        {"<loader type='pflash' stateless='yes'>%s</loader>", "type='sev'><policy>0x5</policy>", 2, POLICY_PASS,
         "pflash"},
        {"<loader type='pflash' stateless='yes'>%s</loader>", "type='sev'><policy>0x1</policy>", 2, POLICY_PASS,
         "pflash"},
        {"<loader type='pflash'>%s</loader><nvram>/vars.fd</nvram>", "type='sev'><policy>0x5</policy>", 1, POLICY_FAIL,
         "'/vars.fd'"},
        {"<loader type='pflash' format='qcow2'>%s</loader>", "type='sev'><policy>0x5</policy>", 1, POLICY_FAIL,
         "qcow2"},
        {"", "type='sev-snp'><policy>0x30000</policy>", 1, POLICY_FAIL, "names no firmware"},
    };
    g_autoptr(Fixture) fixture = fixture_new();

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_auto(GStrv) parts = g_strsplit(rows[i].os, "%s", 2);
        g_autofree gchar *os = g_strjoinv(fixture->firmware, parts);
        g_autofree gchar *xml = g_strdup_printf("<domain "
                                                "type='kvm'><name>g</name><uuid>" FIXTURE_UUID "</uuid><vcpu>1</vcpu>"
                                                "<os><type arch='x86_64' machine='q35'>hvm</type>%s</os>" FIXTURE_MILAN
                                                "<launchSecurity %s</launchSecurity></domain>",
                                                os, rows[i].launch);
        g_autoptr(GError) error = NULL;
        g_autoptr(XmlDomain) domain = xml_domain_parse(xml, -1, &error);
        g_autoptr(PolicyEvaluation) evaluation = NULL;

        g_assert_no_error(error);
        evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);
        check_evaluation(evaluation, rows[i].level, "firmware-file", 2, rows[i].outcome, rows[i].says);
    }
}

/* QEMU takes a rom in units of 64 KiB, a pflash in units of 4 KiB; the digest of the file stays what it is. */
static void test_firmware_size(void)
{
    static const char *const loaders[] = {"type='rom'", "type='pflash' stateless='yes'"};
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *data = NULL;
    g_autofree guint8 *longer = g_malloc0(FIXTURE_FIRMWARE_SIZE + 4096);
    gsize size = 0;

    g_assert_true(g_file_get_contents(fixture->firmware, &data, &size, NULL));
    memcpy(longer + 4096, data, size);
    fixture_put(fixture->firmware, longer, size + 4096);
    for (gsize i = 0; i < G_N_ELEMENTS(loaders); i++) {
        g_autofree gchar *xml = fixture_xml(
            fixture, "", FIXTURE_MILAN "<launchSecurity type='sev'><policy>0x5</policy></launchSecurity>");
        g_auto(GStrv) parts = g_strsplit(xml, "type='rom'", 2);
        g_autofree gchar *loaded = g_strjoinv(loaders[i], parts);
        g_autoptr(XmlDomain) domain = xml_domain_parse(loaded, -1, NULL);
        g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);

        check_evaluation(evaluation, i == 0 ? 1 : 2, "firmware-file", 2, i == 0 ? POLICY_FAIL : POLICY_PASS,
                         i == 0 ? "69632 bytes, which is no multiple of 64 KiB" : "was measured");
        g_assert_cmpuint(evaluation->measurements->len, ==, 1);
    }
}

static void test_level_three_fails(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    const char *plain = FIXTURE_MILAN "<launchSecurity type='sev-snp'><policy>0x30000</policy></launchSecurity>";

    expect(fixture, "", plain, 2, "kernel", 3, POLICY_FAIL, "boots from its disk");
    expect(fixture, NULL, plain, 2, "kernel-hashes", 3, POLICY_FAIL, "kernelHashes='yes'");
    fixture_load_config(fixture, "");
    expect(fixture, NULL, FIXTURE_MILAN FIXTURE_SNP, 2, "hash-verifier", 3, POLICY_FAIL, "'trusted'");
    fixture_firmware(fixture, FIXTURE_NO_HASH_AREA);
    expect(fixture, NULL, plain, 2, "hash-area", 3, POLICY_FAIL, "AmdSev");
    fixture_firmware(fixture, FIXTURE_NO_HASH_SECTION);
    expect(fixture, NULL, plain, 2, "hash-area", 3, POLICY_FAIL, "KERNEL_HASHES");
}

/* Trust is in one file, by its digest: another file does not inherit it. */
static void test_trust_is_exact(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *data = NULL;
    gsize size = 0;

    g_assert_true(g_file_get_contents(fixture->firmware, &data, &size, NULL));
    data[100] ^= 1;
    fixture_put(fixture->firmware, data, size);
    expect(fixture, NULL, FIXTURE_MILAN FIXTURE_SNP, 2, "hash-verifier", 3, POLICY_FAIL, "'trusted'");
}

static void test_real_firmware(void)
{
    g_autoptr(Fixture) fixture = fixture_new();

    if (!g_file_test(REAL_AMDSEV, G_FILE_TEST_EXISTS) || !g_file_test(REAL_GENERIC, G_FILE_TEST_EXISTS)) {
        g_test_skip("the packages ovmf and ovmf-amdsev are not installed");
        return;
    }
    fixture_load_config(fixture, "");
    g_free(fixture->firmware);
    fixture->firmware = g_strdup(REAL_AMDSEV);
    expect(fixture, NULL, FIXTURE_MILAN FIXTURE_SNP, 3, "hash-verifier", 3, POLICY_PASS, "halts on a mismatch");
    g_free(fixture->firmware);
    fixture->firmware = g_strdup(REAL_GENERIC);
    expect(fixture, NULL, FIXTURE_MILAN FIXTURE_SNP, 2, "hash-verifier", 3, POLICY_FAIL, "would boot any kernel");
}

static void test_cpu_candidates(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(XmlDomain) model = fixture_domain(fixture, NULL, "<cpu mode='host-model'/>" FIXTURE_SNP);
    g_autoptr(XmlDomain) pass = fixture_domain(fixture, NULL, "<cpu mode='host-passthrough'/>" FIXTURE_SNP);
    g_autoptr(PolicyEvaluation) models = fixture_evaluate(fixture, model, POLICY_REFERENCE_ASSUMED);
    g_autoptr(PolicyEvaluation) all = fixture_evaluate(fixture, pass, POLICY_REFERENCE_ASSUMED);
    g_autoptr(GPtrArray) chosen = g_ptr_array_new_with_free_func((GDestroyNotify)measure_cpu_free);
    PolicyEvaluateOptions options = {.config = fixture->config, .cpus = chosen, .reference = POLICY_REFERENCE_ASSUMED};
    g_autoptr(PolicyEvaluation) given = NULL;
    static const char *const names[] = {"EPYC-Milan", "EPYC-Genoa", "EPYC-Turin"};

    check_evaluation(models, 3, "cpu", 2, POLICY_PASS, "3 allowed");
    g_assert_cmpuint(models->measurements->len, ==, 3);
    for (guint i = 0; i < 3; i++) {
        const XmlMeasurement *measurement = g_ptr_array_index(models->measurements, i);
        g_assert_cmpstr(measurement->cpu, ==, names[i]);
        g_assert_cmpuint(measurement->vcpus, ==, 2);
        g_assert_cmphex(measurement->features, ==, 1);
    }
    check_evaluation(all, 3, "cpu", 2, POLICY_PASS, "8 allowed");

    g_ptr_array_add(chosen, measure_cpu_new("EPYC-Genoa", 0xa10f10));
    given = policy_evaluate(model, &options);
    g_assert_cmpuint(given->measurements->len, ==, 1);
    check_evaluation(given, 3, "cpu", 2, POLICY_PASS, "EPYC-Genoa");
}

typedef struct {
    const char *cpu, *launch, *kernel, *initrd, *cmdline;
    guint vcpus;
    const char *expected;
} KnownAnswer;

/* Rows snp_01, cpu_EPYC-Milan and es_legacy_1 of the vectors: published by sev-snp-measure, or made by an independent
 * implementation. */
static void test_known_answers(void)
{
    static const KnownAnswer rows[] = {
        {"EPYC-v4", "type='sev-snp' kernelHashes='yes'><policy>0x30000</policy>", NULL, NULL,
         "console=ttyS0 loglevel=7", 1,
         "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e706363b4b08fa"},
        {"EPYC-Milan", "type='sev-snp' kernelHashes='yes'><policy>0x30000</policy>", "vmlinuz-fake", "initrd-fake",
         "console=ttyS0", 2,
         "9a26ebce9d086575e9f6ee59bad541d1f4310ab9f1e2e159113226b6508d0ae09cc6de9d3c5fce0601672df6959cb732"},
        {"EPYC-Milan", "type='sev' kernelHashes='yes'><policy>0x5</policy>", "vmlinuz-fake", "initrd-fake",
         "console=ttyS0", 1, "05432803867a4af6dc028a5bd0aa26563f625fc74d1171101bb6027aece0b54c"},
    };
    const char *vectors = g_getenv("VIRT_ATTEST_VECTORS");
    g_autoptr(Fixture) fixture = NULL;

    if (!vectors || !g_file_test(vectors, G_FILE_TEST_IS_DIR)) {
        g_test_skip("no folder of test vectors is configured");
        return;
    }
    fixture = fixture_new();
    g_free(fixture->firmware);
    fixture->firmware = g_build_filename(vectors, "measurement", "ovmf_AmdSev_suffix.bin", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree gchar *kernel =
            rows[i].kernel ? g_build_filename(vectors, "measurement", rows[i].kernel, NULL) : g_strdup("/dev/null");
        g_autofree gchar *initrd =
            rows[i].initrd ? g_build_filename(vectors, "measurement", rows[i].initrd, NULL) : g_strdup("/dev/null");
        g_autofree gchar *xml = g_strdup_printf(
            "<domain type='kvm'><name>g</name><uuid>" FIXTURE_UUID "</uuid><vcpu>%u</vcpu><os><type arch='x86_64' "
            "machine='q35'>hvm</type><loader "
            "type='rom'>%s</loader><kernel>%s</kernel><initrd>%s</initrd><cmdline>%s</cmdline>"
            "</os><cpu mode='custom'><model>%s</model></cpu><launchSecurity %s</launchSecurity></domain>",
            rows[i].vcpus, fixture->firmware, kernel, initrd, rows[i].cmdline, rows[i].cpu, rows[i].launch);
        g_autoptr(GError) error = NULL;
        g_autoptr(XmlDomain) domain = xml_domain_parse(xml, -1, &error);
        g_autoptr(PolicyEvaluation) evaluation = NULL;
        g_autofree gchar *digest = NULL;

        g_assert_no_error(error);
        evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);
        g_assert_no_error(evaluation->unmeasurable);
        g_assert_cmpuint(evaluation->measurements->len, ==, 1);
        digest = measure_digest_hex(&((XmlMeasurement *)g_ptr_array_index(evaluation->measurements, 0))->digest);
        g_assert_cmpstr(digest, ==, rows[i].expected);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/evaluate/level-three", test_level_three);
    g_test_add_func("/evaluate/level-one-rules", test_level_one);
    g_test_add_func("/evaluate/level-two-rules", test_level_two);
    g_test_add_func("/evaluate/loaders", test_loaders);
    g_test_add_func("/evaluate/firmware-size", test_firmware_size);
    g_test_add_func("/evaluate/level-three-rules", test_level_three_fails);
    g_test_add_func("/evaluate/trust-is-exact", test_trust_is_exact);
    g_test_add_func("/evaluate/real-firmware", test_real_firmware);
    g_test_add_func("/evaluate/cpu-candidates", test_cpu_candidates);
    g_test_add_func("/evaluate/known-answers", test_known_answers);
    return g_test_run();
}
