/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reference document: canonical writing, strict reading, and the schema that describes it. */
#include "tests/unit/confidential-fixture.h"
#include "tests/unit/corpus-fixture.h"
#include "tests/unit/schema-fixture.h"

#define SCHEMA "policy/reference.schema.json"
#define DIGEST96 "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e706363b4b08fa"
#define SHA_A "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
/* SHA-256 of "console=ttyS0" and one NUL, by sha256sum. */
#define SHA_CMDLINE "f18aae9b3c09e55bc3047ad361e2442d7c53372470b2958fb83293209a784f71"

#define VERITY                                                                                                         \
    "  \"verity\" : {\n"                                                                                               \
    "    \"rootHash\" : \"" SHA_A "\",\n"                                                                              \
    "    \"hash\" : \"sha256\",\n"                                                                                     \
    "    \"salt\" : \"0011\",\n"                                                                                       \
    "    \"uuid\" : \"11111111-2222-3333-4444-555555555555\",\n"                                                       \
    "    \"dataBlocks\" : 4096000,\n"                                                                                  \
    "    \"dataBlockSize\" : 4096,\n"                                                                                  \
    "    \"hashBlockSize\" : 512\n"                                                                                    \
    "  },\n"

/* Written by hand from the schema, not by the code. */
static const char pinned_text[] = "{\n"
                                  "  \"format\" : \"virt-attest-reference-1\",\n"
                                  "  \"domain\" : {\n"
                                  "    \"name\" : \"guest1\",\n"
                                  "    \"uuid\" : \"" FIXTURE_UUID "\"\n"
                                  "  },\n"
                                  "  \"onMismatch\" : \"refuse\",\n"
                                  "  \"platform\" : \"sev-snp\",\n"
                                  "  \"level\" : 3,\n"
                                  "  \"findings\" : [\n"
                                  "    {\n"
                                  "      \"rule\" : \"launch-security\",\n"
                                  "      \"level\" : 1,\n"
                                  "      \"outcome\" : \"pass\",\n"
                                  "      \"text\" : \"launchSecurity asks for sev-snp\"\n"
                                  "    }\n"
                                  "  ],\n"
                                  "  \"measurements\" : [\n"
                                  "    {\n"
                                  "      \"cpu\" : \"EPYC-Milan\",\n"
                                  "      \"signature\" : \"0xa00f11\",\n"
                                  "      \"features\" : \"0x1\",\n"
                                  "      \"vcpus\" : 2,\n"
                                  "      \"digest\" : \"" DIGEST96 "\"\n"
                                  "    }\n"
                                  "  ],\n"
                                  "  \"inputs\" : {\n"
                                  "    \"firmware\" : {\n"
                                  "      \"path\" : \"/fw/OVMF.fd\",\n"
                                  "      \"size\" : 4194304,\n"
                                  "      \"sha256\" : \"" SHA_A "\"\n"
                                  "    },\n"
                                  "    \"cmdline\" : {\n"
                                  "      \"text\" : \"console=ttyS0\",\n"
                                  "      \"size\" : 13,\n"
                                  "      \"sha256\" : \"" SHA_CMDLINE "\"\n"
                                  "    }\n"
                                  "  },\n"
                                  "  \"policy\" : \"0x30000\",\n"
                                  "  \"kernelHashes\" : true,\n"
                                  "  \"fpu\" : \"init2\",\n"
                                  "  \"verifier\" : \"present\",\n"
                                  "  \"firmwareVersion\" : \"2026.08\",\n"
                                  "  \"guestVisibleWorkarounds\" : \"000102030405060708090a0b0c0d0e0f\",\n"
                                  "  \"authorKey\" : true,\n"
                                  "  \"vcek\" : false,\n"
                                  VERITY
                                  "  \"domainType\" : \"kvm\",\n"
                                  "  \"emulator\" : \"/usr/bin/qemu-system-x86_64\",\n"
                                  "  \"created\" : \"2026-11-22T12:00:00Z\",\n"
                                  "  \"tool\" : \"virt-attest 0.1.0\"\n"
                                  "}\n";

static PolicyReference *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    PolicyReference *reference = policy_reference_parse(text, -1, &error);

    g_assert_no_error(error);
    return reference;
}

static void test_read(void)
{
    g_autoptr(PolicyReference) reference = parse(pinned_text);
    const XmlMeasurement *measurement = g_ptr_array_index(reference->measurements, 0);
    const PolicyReferenceInput *firmware = g_ptr_array_index(reference->inputs, 0);
    const PolicyReferenceInput *cmdline = g_ptr_array_index(reference->inputs, 1);
    g_autofree gchar *again = policy_reference_format(reference, POLICY_REFERENCE_PINNED);
    g_autofree gchar *digest = measure_digest_hex(&measurement->digest);

    g_assert_cmpstr(reference->name, ==, "guest1");
    g_assert_cmpstr(reference->uuid, ==, FIXTURE_UUID);
    g_assert_cmpint(reference->platform, ==, MEASURE_PLATFORM_SNP);
    g_assert_cmpint(reference->on_mismatch, ==, XML_ON_MISMATCH_REFUSE);
    g_assert_cmpuint(reference->level, ==, 3);
    g_assert_cmphex(reference->policy, ==, 0x30000);
    g_assert_true(reference->kernel_hashes);
    g_assert_cmpuint(reference->findings->len, ==, 1);
    g_assert_cmpstr(measurement->cpu, ==, "EPYC-Milan");
    g_assert_cmphex(measurement->signature, ==, 0xa00f11);
    g_assert_cmpuint(measurement->vcpus, ==, 2);
    g_assert_cmpstr(digest, ==, DIGEST96);
    g_assert_cmpstr(firmware->role, ==, "firmware");
    g_assert_cmpuint(firmware->size, ==, 4194304);
    g_assert_cmpstr(cmdline->text, ==, "console=ttyS0");
    g_assert_null(reference->host_data);
    g_assert_cmpstr(reference->guest_visible_workarounds, ==, "000102030405060708090a0b0c0d0e0f");
    g_assert_true(reference->author_key);
    g_assert_true(reference->vcek_disabled);
    g_assert_false(reference->session);
    g_assert_cmpstr(reference->domain_type, ==, "kvm");
    g_assert_cmpstr(reference->emulator, ==, "/usr/bin/qemu-system-x86_64");
    g_assert_cmpstr(reference->verity->root_hash, ==, SHA_A);
    g_assert_cmpstr(reference->verity->hash, ==, "sha256");
    g_assert_cmpstr(reference->verity->salt, ==, "0011");
    g_assert_cmpstr(reference->verity->uuid, ==, "11111111-2222-3333-4444-555555555555");
    g_assert_cmpuint(reference->verity->data_blocks, ==, 4096000);
    g_assert_cmpuint(reference->verity->data_block_size, ==, 4096);
    g_assert_cmpuint(reference->verity->hash_block_size, ==, 512);
    /* Same facts, same bytes. */
    g_assert_cmpstr(again, ==, pinned_text);
}

static gchar *replace(const char *text, const char *old_part, const char *new_part)
{
    const char *at = strstr(text, old_part);
    g_autofree gchar *head = NULL;

    if (!at)
        g_error("'%s' is not in the document", old_part);
    head = g_strndup(text, (gsize)(at - text));
    return g_strconcat(head, new_part, at + strlen(old_part), NULL);
}

static void refuse_changed(const char *text, const char *old_part, const char *new_part, const char *says)
{
    g_autofree gchar *changed = replace(text, old_part, new_part);
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyReference) reference = policy_reference_parse(changed, -1, &error);

    if (reference)
        g_error("this was taken: %s", new_part);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, says))
        g_error("'%s': '%s' is not in '%s'", new_part, says, error->message);
}

/* A document that was written before these members existed says nothing, or what libvirt does without them. */
static void test_older(void)
{
    static const char *const later[] = {
        "  \"guestVisibleWorkarounds\" : \"000102030405060708090a0b0c0d0e0f\",\n",
        "  \"authorKey\" : true,\n",
        "  \"vcek\" : false,\n",
        VERITY,
        "  \"domainType\" : \"kvm\",\n",
        "  \"emulator\" : \"/usr/bin/qemu-system-x86_64\",\n",
    };
    g_autofree gchar *text = g_strdup(pinned_text);
    g_autoptr(PolicyReference) reference = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(later); i++) {
        g_autofree gchar *before = g_steal_pointer(&text);

        text = replace(before, later[i], "");
    }
    reference = parse(text);
    g_assert_null(reference->guest_visible_workarounds);
    g_assert_false(reference->author_key);
    g_assert_false(reference->vcek_disabled);
    g_assert_false(reference->session);
    g_assert_null(reference->verity);
    g_assert_null(reference->domain_type);
    g_assert_null(reference->emulator);
    g_assert_cmpint(schema_validate(SCHEMA, text), !=, SCHEMA_CONTRADICTED);
    refuse_changed(text, "\"sev-snp\"", "\"sev-es\"", "digest of 64");
    refuse_changed(text, "\"sev-snp\"", "\"sev\"", "fpu");
}

/* Each row makes one thing wrong. @by_schema: the schema can see it too. */
static const struct {
    const char *old_part, *new_part, *says;
    gboolean by_schema;
} wrong[] = {
    {"\"level\" : 3", "\"level\" : 5", "level", TRUE},
    {"\"level\" : 3", "\"level\" : -1", "level", TRUE},
    {"\"level\" : 3", "\"level\" : 3.0", "a word or number", FALSE},
    {"\"level\" : 3", "\"level\" : 03", "a word or number", FALSE},
    {"\"level\" : 3", "\"level\" : \"3\"", "level: this is not a whole number", TRUE},
    {"\"level\" : 3", "\"level\" : null", "level: this is not a whole number", TRUE},
    {"\"level\" : 3", "\"level\" : 3, \"level\" : 2", "gives a member twice", FALSE},
    {"\"level\" : 3", "\"levels\" : 3", "levels: this member is not known", TRUE},
    {"\"level\" : 3,", "", "level: this member is missing", TRUE},
    {"\"level\" : 3", "\"level\" : 3 /* comment */", "a word or number", FALSE},
    {"\"level\" : 3", "'level' : 3", "a word or number", FALSE},
    {"\"level\" : 3,", "\"level\" : 3,,", "not valid JSON", FALSE},
    {"\"level\" : 3,", "\"level\" : 99999999999999999999,", "a word or number", TRUE},
    {"virt-attest-reference-1", "virt-attest-reference-2", "format: 'virt-attest-reference-2'", TRUE},
    {"\"sev-snp\"", "\"tdx\"", "platform", TRUE},
    {"\"sev-snp\"", "\"sev-es\"", "guestVisibleWorkarounds", TRUE},
    {"\"sev-snp\"", "\"sev\"", "guestVisibleWorkarounds", TRUE},
    {"\"refuse\"", "\"ignore\"", "onMismatch", TRUE},
    {FIXTURE_UUID, "4628B277-cd81-4b55-b30c-ba36606ea5b6", "uuid", TRUE},
    {FIXTURE_UUID, "4628b277-cd81-4b55-b30c-ba36606ea5b", "uuid", TRUE},
    {"\"uuid\"", "\"UUID\"", "domain.UUID", TRUE},
    {"\"outcome\" : \"pass\"", "\"outcome\" : \"fine\"", "findings[0].outcome", TRUE},
    {"\"text\" : \"launch", "\"hint\" : \"launch", "findings[0].hint", TRUE},
    {"\"rule\" : \"launch-security\"", "\"rule\" : \"a rule\"", "findings[0].rule", TRUE},
    {"\"signature\" : \"0xa00f11\"", "\"signature\" : \"0xA00F11\"", "signature", TRUE},
    {"\"signature\" : \"0xa00f11\"", "\"signature\" : \"0x0a00f11\"", "signature", TRUE},
    {"\"signature\" : \"0xa00f11\"", "\"signature\" : \"0x1a0000f11\"", "32-bit", TRUE},
    {"\"signature\" : \"0xa00f11\"", "\"signature\" : 10489617", "signature", TRUE},
    {"\"vcpus\" : 2", "\"vcpus\" : 0", "vcpus", TRUE},
    {"\"vcpus\" : 2", "\"vcpus\" : 4097", "vcpus", TRUE},
    {"\"vcpus\" : 2,", "", "measurements[0].vcpus: this member is missing", TRUE},
    {DIGEST96, "6d28", "digest of 96", TRUE},
    {DIGEST96, "6D287813EB5222D770F75005C664E34C204F385CE832CC2CE7D0D6F354454362F390EF83A92046C042E706363B4B08FA",
     "digest of 96 lower-case", TRUE},
    {"\"cpu\" : \"EPYC-Milan\"", "\"cpu\" : \"EPYC Milan\"", "measurements[0].cpu", TRUE},
    {"\"path\" : \"/fw", "\"path\" : \"fw", "inputs.firmware.path", TRUE},
    {"\"size\" : 4194304", "\"size\" : -1", "inputs.firmware.size", TRUE},
    {"\"firmware\" : {", "\"bios\" : {", "inputs.bios", TRUE},
    {"console=ttyS0", "console=ttyS1", "inputs.cmdline.text", FALSE},
    {"\"size\" : 13", "\"size\" : 14", "inputs.cmdline.text", FALSE},
    {"console=ttyS0", "console=\\u0000ttyS0", "escape", FALSE},
    {"console=ttyS0", "console=\\xttyS0", "escape", FALSE},
    {"console=ttyS0", "\\ud800", "escape", FALSE},
    {"console=ttyS0", "\\ud800\\u0041", "escape", FALSE},
    {"console=ttyS0", "\\udc00", "escape", FALSE},
    {"\"0x30000\"", "\"30000\"", "policy", TRUE},
    {"\"0x30000\"", "\"0x30000000000000000\"", "policy", TRUE},
    {"\"kernelHashes\" : true", "\"kernelHashes\" : \"yes\"", "kernelHashes", TRUE},
    {"\"fpu\" : \"init2\"", "\"fpu\" : \"new\"", "fpu", TRUE},
    {"\"verifier\" : \"present\"", "\"verifier\" : \"good\"", "verifier", TRUE},
    {"2026-11-22T12:00:00Z", "2026-13-22T12:00:00Z", "created", FALSE},
    {"2026-11-22T12:00:00Z", "yesterday", "created", TRUE},
    {"\"tool\" : \"virt-attest 0.1.0\"", "\"tool\" : \"virt-attest 0.1.0\", \"hostData\" : \"00\"", "hostData", TRUE},
    {"\"authorKey\" : true", "\"authorKey\" : \"yes\"", "authorKey", TRUE},
    {"\"vcek\" : false", "\"vcek\" : 0", "vcek", TRUE},
    {"\"vcek\" : false", "\"vcek\" : false, \"session\" : true", "session", TRUE},
    {"\"vcek\" : false", "\"vcek\" : false, \"session\" : false", "session", TRUE},
    {"000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e", "guestVisibleWorkarounds", TRUE},
    {"\"domainType\" : \"kvm\"", "\"domainType\" : \"\"", "domainType", TRUE},
    {"\"domainType\" : \"kvm\"", "\"domainType\" : null", "domainType", TRUE},
    {"\"/usr/bin/qemu-system-x86_64\"", "\"\"", "emulator", TRUE},
    {"\"/usr/bin/qemu-system-x86_64\"", "[]", "emulator", TRUE},
    {"\"verity\" : {", "\"verity\" : {\"level\" : 4,", "verity.level", TRUE},
    {"    \"salt\" : \"0011\",\n", "", "verity.salt: this member is missing", TRUE},
    {"\"salt\" : \"0011\"", "\"salt\" : \"001\"", "verity.salt", TRUE},
    {"\"salt\" : \"0011\"", "\"salt\" : \"-\"", "verity.salt", TRUE},
    {"\"rootHash\" : \"" SHA_A, "\"rootHash\" : \"" SHA_A "00", "verity.rootHash", TRUE},
    {"\"rootHash\" : \"" SHA_A, "\"rootHash\" : \"" SHA_A SHA_A, "verity.rootHash", TRUE},
    {"\"hash\" : \"sha256\"", "\"hash\" : \"sha512\"", "verity.rootHash", TRUE},
    {"\"hash\" : \"sha256\"", "\"hash\" : \"md5\"", "verity.hash", TRUE},
    {"11111111-2222-3333-4444-555555555555", "11111111-2222-3333-4444-55555555555", "verity.uuid", TRUE},
    {"\"dataBlocks\" : 4096000", "\"dataBlocks\" : 0", "verity.dataBlocks", TRUE},
    {"\"dataBlockSize\" : 4096", "\"dataBlockSize\" : 4000", "verity.dataBlockSize", TRUE},
    {"\"hashBlockSize\" : 512", "\"hashBlockSize\" : 256", "verity.hashBlockSize", TRUE},
};

static void test_refused(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        refuse_changed(pinned_text, wrong[i].old_part, wrong[i].new_part, wrong[i].says);
}

static void refuse_bytes(const char *text, gssize size, const char *says)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyReference) reference = policy_reference_parse(text, size, &error);

    g_assert_null(reference);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, says))
        g_error("'%s' is not in '%s'", says, error->message);
}

static void test_refused_bytes(void)
{
    g_autofree gchar *deep = g_strnfill(100000, '[');
    g_autofree gchar *huge = g_strnfill(POLICY_REFERENCE_MAX_SIZE + 1, ' ');

    refuse_bytes("", 0, "not a JSON object");
    refuse_bytes("[]", -1, "not a JSON object");
    refuse_bytes("{}", -1, "platform");
    refuse_bytes("{\"a\": \"\xff\"}", -1, "UTF-8");
    refuse_bytes("{}\0{}", 5, "UTF-8");
    refuse_bytes("{\"a\": \"", -1, "a string without end");
    refuse_bytes("{\"a\": \"\\", -1, "escape");
    refuse_bytes("{\"a\": \"\\u12", -1, "escape");
    refuse_bytes("{\"a\": \"\n\"}", -1, "a control character");
    refuse_bytes("{", -1, "never closed");
    refuse_bytes("}", -1, "a bracket too many");
    refuse_bytes("var a = {}", -1, "a word or number");
    refuse_bytes("{}{}", -1, "behind its end");
    refuse_bytes("{} 1", -1, "behind its end");
    refuse_bytes("{}}", -1, "behind its end");
    refuse_bytes("\"a\" {}", -1, "outside");
    refuse_bytes(deep, -1, "too many brackets");
    refuse_bytes(huge, -1, "larger than");
    /* Every prefix of a good document is a torn file. */
    for (gsize size = 0; size + 2 < sizeof(pinned_text); size++) {
        g_autofree gchar *torn = g_memdup2(pinned_text, size + 1);
        g_autoptr(PolicyReference) reference = NULL;

        torn[size] = '\0';
        reference = policy_reference_parse(torn, (gssize)size, NULL);
        g_assert_null(reference);
    }
}

#define FIXTURE_SNP_HOST_DATA                                                                                          \
    "<launchSecurity type='sev-snp' kernelHashes='yes'><policy>0x30000</policy>"                                       \
    "<hostData>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</hostData></launchSecurity>"

/* What the domains of the fixture give, written and read back, both ways. */
static void test_made(void)
{
    static const char *const launches[] = {
        FIXTURE_SNP_HOST_DATA,
        "<launchSecurity type='sev' kernelHashes='yes'><policy>0x5</policy></launchSecurity>",
        "<launchSecurity type='sev'><policy>0x1</policy><dhCert>AAAA</dhCert><session>AAAA</session></launchSecurity>",
    };
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

    for (gsize i = 0; i < G_N_ELEMENTS(launches); i++) {
        g_autofree gchar *rest = g_strconcat(FIXTURE_MILAN, launches[i], NULL);
        g_autoptr(XmlDomain) domain = fixture_domain(fixture, NULL, rest);
        g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);
        g_autoptr(GError) error = NULL;
        g_autoptr(PolicyReference) reference =
            policy_reference_new(domain, evaluation, XML_ON_MISMATCH_OBSERVE, &error);
        g_autoptr(XmlAttestation) attestation = NULL;

        g_assert_no_error(error);
        for (guint pinned = 0; pinned < 2; pinned++) {
            g_autofree gchar *text = policy_reference_format(reference, pinned ? POLICY_REFERENCE_PINNED : POLICY_REFERENCE_SHARED);
            g_autoptr(PolicyReference) back = parse(text);
            g_autofree gchar *again = policy_reference_format(back, pinned ? POLICY_REFERENCE_PINNED : POLICY_REFERENCE_SHARED);
            g_autoptr(GPtrArray) changes = policy_reference_diff(reference, back);

            g_ptr_array_add(texts, g_strdup(text));
            g_assert_cmpstr(again, ==, text);
            g_assert_cmpuint(changes->len, ==, 0);
        }
        g_assert_cmpuint(reference->inputs->len, ==, i == 2 ? 1 : 4);
        g_assert_cmpstr(reference->host_data, ==,
                        i == 0 ? "0000000000000000000000000000000000000000000000000000000000000000" : NULL);
        g_assert_cmpint(reference->session, ==, i == 2);
        g_assert_cmpstr(reference->domain_type, ==, "kvm");
        attestation = policy_reference_to_attestation(reference);
        g_assert_cmpuint(attestation->level, ==, reference->level);
        g_assert_cmpuint(attestation->inputs->len, ==, reference->inputs->len);
        g_assert_cmpint(attestation->on_mismatch, ==, XML_ON_MISMATCH_OBSERVE);
    }
    g_assert_cmpint(schema_check(SCHEMA, texts, TRUE), !=, SCHEMA_CONTRADICTED);
}

static void test_unmeasurable(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, "", "");
    g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyReference) reference = policy_reference_new(domain, evaluation, XML_ON_MISMATCH_REFUSE, &error);

    g_assert_null(reference);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
}

/* The schema and the reader agree on the good document and on every wrong one that a schema can express. */
static void test_schema(void)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

    if (schema_validate(SCHEMA, pinned_text) == SCHEMA_UNKNOWN) {
        g_test_skip("python3-jsonschema is not installed");
        return;
    }
    g_assert_cmpint(schema_validate(SCHEMA, pinned_text), ==, SCHEMA_AGREED);
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        if (wrong[i].by_schema)
            g_ptr_array_add(texts, replace(pinned_text, wrong[i].old_part, wrong[i].new_part));
    }
    g_assert_cmpint(schema_check(SCHEMA, texts, FALSE), ==, SCHEMA_AGREED);
}

static void assert_change(const GPtrArray *changes, const char *what, const char *pinned, const char *found)
{
    for (guint i = 0; i < changes->len; i++) {
        const PolicyChange *change = g_ptr_array_index(changes, i);

        if (!strcmp(change->what, what)) {
            g_assert_cmpstr(change->pinned, ==, pinned);
            g_assert_cmpstr(change->found, ==, found);
            return;
        }
    }
    g_error("no change '%s'", what);
}

static void test_diff(void)
{
    static const struct {
        const char *old_part, *new_part, *what, *pinned, *found;
    } rows[] = {
        {SHA_A, SHA_CMDLINE, "firmware", SHA_A, SHA_CMDLINE},
        {"\"level\" : 3", "\"level\" : 2", "level", "3", "2"},
        {"\"refuse\"", "\"observe\"", "on-mismatch", "refuse", "observe"},
        {"\"0x30000\"", "\"0x20000\"", "policy", "0x30000 (smt)", "0x20000"},
        {"\"vcpus\" : 2", "\"vcpus\" : 3", "vcpus", "2", "3"},
        {"\"0x1\"", "\"0x21\"", "features", "0x1", "0x21"},
        {"\"kernelHashes\" : true", "\"kernelHashes\" : false", "kernel-hashes", "yes", "no"},
        {"6d287813", "6d287814", "digest", DIGEST96,
         "6d287814eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e706363b4b08fa"},
        {"\"EPYC-Milan\",\n      \"signature\" : \"0xa00f11\"", "\"EPYC-Genoa\",\n      \"signature\" : \"0xa10f10\"",
         "cpu", "EPYC-Milan (signature 0xa00f11)", "EPYC-Genoa (signature 0xa10f10)"},
        {"\"tool\" :", "\"hostData\" : \"" SHA_A "\",\n  \"tool\" :", "host-data", "", SHA_A},
        {"\"tool\" :", "\"idBlockSha256\" : \"" SHA_A "\",\n  \"tool\" :", "id-block", "", SHA_A},
        {"000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0eff", "guest-visible-workarounds",
         "000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0eff"},
        {"\"authorKey\" : true", "\"authorKey\" : false", "author-key", "yes", "no"},
        {"\"vcek\" : false", "\"vcek\" : true", "vcek", "no", "yes"},
        {"\"kvm\"", "\"qemu\"", "domain-type", "kvm", "qemu"},
        {"  \"domainType\" : \"kvm\",\n", "", "domain-type", "kvm", ""},
        {"/usr/bin/qemu-system-x86_64", "/tmp/qemu", "emulator", "/usr/bin/qemu-system-x86_64", "/tmp/qemu"},
        {"\"tool\" :", "\"idAuthSha256\" : \"" SHA_A "\",\n  \"tool\" :", "id-auth", "", SHA_A},
    };
    g_autoptr(PolicyReference) old_reference = parse(pinned_text);

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree gchar *text = replace(pinned_text, rows[i].old_part, rows[i].new_part);
        g_autoptr(PolicyReference) new_reference = parse(text);
        g_autoptr(GPtrArray) changes = policy_reference_diff(old_reference, new_reference);

        g_assert_cmpuint(changes->len, ==, 1);
        assert_change(changes, rows[i].what, rows[i].pinned, rows[i].found);
        /* And back. */
        g_ptr_array_unref(changes);
        changes = policy_reference_diff(new_reference, old_reference);
        g_assert_cmpuint(changes->len, ==, 1);
        assert_change(changes, rows[i].what, rows[i].found, rows[i].pinned);
    }
}

static gboolean corpus_read(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(PolicyReference) reference = policy_reference_parse(text, (gssize)size, error);

    return reference != NULL;
}

static void test_corpus(void)
{
    corpus_walk("reference", corpus_read, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/reference/read", test_read);
    g_test_add_func("/reference/older", test_older);
    g_test_add_func("/reference/refused", test_refused);
    g_test_add_func("/reference/refused-bytes", test_refused_bytes);
    g_test_add_func("/reference/made", test_made);
    g_test_add_func("/reference/unmeasurable", test_unmeasurable);
    g_test_add_func("/reference/schema", test_schema);
    g_test_add_func("/reference/diff", test_diff);
    g_test_add_func("/reference/corpus", test_corpus);
    return g_test_run();
}
