/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* References that travel: the portable, the pinned and the binding form, fleets, the owner's rules, the identity. */
#include "policy/reference-private.h"
#include "tests/unit/confidential-fixture.h"
#include "tests/unit/schema-fixture.h"

#define SCHEMA "policy/reference.schema.json"
#define DIGEST_A "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362f390ef83a92046c042e706363b4b08fa"
#define DIGEST_B "5061fffb019493a903613d56d54b94912a1a2f9e4502385f5c194616753720a92441310ba6c4933de877c36e23046ad5"
#define DIGEST_C "4953b1fb416fa874980e8442b3706d345926d5f38879134e00813c5d7abcbe78eafe7b422907be0b4698e2414a631942"
#define SHA_A "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
/* SHA-256 of "console=ttyS0" and one NUL, by sha256sum. */
#define SHA_CMDLINE "f18aae9b3c09e55bc3047ad361e2442d7c53372470b2958fb83293209a784f71"

/* Written by hand from reference.h. */
#define MEASUREMENTS                                                                                                   \
    "  \"measurements\" : [\n"                                                                                         \
    "    {\n"                                                                                                          \
    "      \"cpu\" : \"EPYC-Milan\",\n"                                                                                \
    "      \"signature\" : \"0xa00f11\",\n"                                                                            \
    "      \"features\" : \"0x1\",\n"                                                                                  \
    "      \"vcpus\" : 1,\n"                                                                                           \
    "      \"digest\" : \"" DIGEST_A "\"\n"                                                                            \
    "    },\n"                                                                                                         \
    "    {\n"                                                                                                          \
    "      \"cpu\" : \"EPYC-Milan-v2\",\n"                                                                             \
    "      \"signature\" : \"0xa00f11\",\n"                                                                            \
    "      \"features\" : \"0x1\",\n"                                                                                  \
    "      \"vcpus\" : 1,\n"                                                                                           \
    "      \"digest\" : \"" DIGEST_A "\"\n"                                                                            \
    "    },\n"                                                                                                         \
    "    {\n"                                                                                                          \
    "      \"cpu\" : \"EPYC-Milan\",\n"                                                                                \
    "      \"signature\" : \"0xa00f11\",\n"                                                                            \
    "      \"features\" : \"0x1\",\n"                                                                                  \
    "      \"vcpus\" : 4,\n"                                                                                           \
    "      \"digest\" : \"" DIGEST_B "\"\n"                                                                            \
    "    },\n"                                                                                                         \
    "    {\n"                                                                                                          \
    "      \"cpu\" : \"0xa10f11\",\n"                                                                                  \
    "      \"signature\" : \"0xa10f11\",\n"                                                                            \
    "      \"features\" : \"0x1\",\n"                                                                                  \
    "      \"vcpus\" : 1,\n"                                                                                           \
    "      \"digest\" : \"" DIGEST_C "\"\n"                                                                            \
    "    }\n"                                                                                                          \
    "  ],\n"
#define IDENTITY                                                                                                       \
    "  \"idBlock\" : {\n"                                                                                              \
    "    \"idKeyDigest\" : \"" DIGEST_B "\",\n"                                                                        \
    "    \"authorKeyDigest\" : \"" DIGEST_C "\",\n"                                                                    \
    "    \"familyId\" : \"000102030405060708090a0b0c0d0e0f\",\n"                                                       \
    "    \"imageId\" : \"f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\",\n"                                                        \
    "    \"guestSvn\" : 4294967295\n"                                                                                  \
    "  },\n"
#define RULES                                                                                                          \
    "  \"product\" : \"Turin\",\n"                                                                                     \
    "  \"minimumTcb\" : {\n"                                                                                           \
    "    \"bootloader\" : 3,\n"                                                                                        \
    "    \"tee\" : 0,\n"                                                                                               \
    "    \"snp\" : 14,\n"                                                                                              \
    "    \"microcode\" : 255,\n"                                                                                       \
    "    \"fmc\" : 1\n"                                                                                                \
    "  },\n"                                                                                                           \
    "  \"platformInfo\" : {\n"                                                                                         \
    "    \"value\" : \"0x1\",\n"                                                                                       \
    "    \"mask\" : \"0xffffffffffffffff\"\n"                                                                          \
    "  }"
static const char portable_text[] = "{\n"
                                    "  \"format\" : \"virt-attest-reference-1\",\n"
                                    "  \"domain\" : {\n"
                                    "    \"name\" : \"guest1\"\n"
                                    "  },\n"
                                    "  \"platform\" : \"sev-snp\",\n"
                                    "  \"level\" : 3,\n"
                                    "  \"findings\" : [\n"
                                    "    {\n"
                                    "      \"rule\" : \"launch-security\",\n"
                                    "      \"level\" : 1,\n"
                                    "      \"outcome\" : \"pass\",\n"
                                    "      \"text\" : \"launchSecurity asks for sev-snp\"\n"
                                    "    }\n"
                                    "  ],\n" MEASUREMENTS
                                    "  \"inputs\" : {\n"
                                    "    \"firmware\" : {\n"
                                    "      \"path\" : \"/fw/OVMF.fd\",\n"
                                    "      \"size\" : 4194304,\n"
                                    "      \"sha256\" : \"" SHA_A "\",\n"
                                    "      \"obtained\" : \"alman\"\n"
                                    "    },\n"
                                    "    \"cmdline\" : {\n"
                                    "      \"text\" : \"console=ttyS0\",\n"
                                    "      \"size\" : 13,\n"
                                    "      \"sha256\" : \"" SHA_CMDLINE "\",\n"
                                    "      \"obtained\" : \"openend2e\"\n"
                                    "    }\n"
                                    "  },\n"
                                    "  \"policy\" : \"0x30000\",\n"
                                    "  \"kernelHashes\" : true,\n"
                                    "  \"fpu\" : \"init2\",\n"
                                    "  \"idBlockSha256\" : \"" SHA_A "\",\n"
                                    "  \"hostData\" : \"" SHA_A "\",\n"
                                    "  \"authorKey\" : true,\n"
                                    "  \"vcek\" : true,\n" IDENTITY RULES ",\n"
                                    "  \"domainType\" : \"kvm\",\n"
                                    "  \"source\" : \"bundle\",\n"
                                    "  \"tool\" : \"virt-attest 0.1.0\"\n"
                                    "}\n";
static const char binding_text[] = "{\n"
                                   "  \"format\" : \"virt-attest-binding-1\",\n"
                                   "  \"platform\" : \"sev-snp\",\n"
                                   "  \"level\" : 3,\n"
                                   "  \"measurements\" : [\n"
                                   "    {\n"
                                   "      \"signature\" : \"0xa00f11\",\n"
                                   "      \"features\" : \"0x1\",\n"
                                   "      \"vcpus\" : 1,\n"
                                   "      \"digest\" : \"" DIGEST_A "\"\n"
                                   "    },\n"
                                   "    {\n"
                                   "      \"signature\" : \"0xa00f11\",\n"
                                   "      \"features\" : \"0x1\",\n"
                                   "      \"vcpus\" : 4,\n"
                                   "      \"digest\" : \"" DIGEST_B "\"\n"
                                   "    },\n"
                                   "    {\n"
                                   "      \"signature\" : \"0xa10f11\",\n"
                                   "      \"features\" : \"0x1\",\n"
                                   "      \"vcpus\" : 1,\n"
                                   "      \"digest\" : \"" DIGEST_C "\"\n"
                                   "    }\n"
                                   "  ],\n"
                                   "  \"inputs\" : {\n"
                                   "    \"firmware\" : {\n"
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
                                   "  \"authorKey\" : true,\n"
                                   "  \"vcek\" : true,\n" IDENTITY RULES "\n"
                                   "}\n";
#define ENVELOPE                                                                                                       \
    "{\n"                                                                                                              \
    "    \"payload\" : \"e30=\",\n"                                                                                    \
    "    \"payloadType\" : \"application/vnd.virt-attest.reference+json\",\n"                                          \
    "    \"signatures\" : [\n"                                                                                         \
    "      {\n"                                                                                                        \
    "        \"keyid\" : \"" SHA_A "\",\n"                                                                             \
    "        \"sig\" : \"AAAA\"\n"                                                                                     \
    "      }\n"                                                                                                        \
    "    ]\n"                                                                                                          \
    "  }"
#define PIN "  \"onMismatch\" : \"refuse\",\n"
#define CREATED "  \"created\" : \"2026-11-22T12:00:00Z\",\n"

static PolicyReference *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    PolicyReference *reference = policy_reference_parse(text, -1, &error);

    g_assert_no_error(error);
    return reference;
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

/* The same facts, pinned and signed. */
static gchar *pinned_text(void)
{
    g_autofree gchar *uuid =
        replace(portable_text, "\"guest1\"\n", "\"guest1\",\n    \"uuid\" : \"" FIXTURE_UUID "\"\n");
    g_autofree gchar *head = replace(uuid, "  \"platform\" :", PIN "  \"platform\" :");
    g_autofree gchar *time = replace(head, "  \"tool\"", CREATED "  \"tool\"");

    return replace(time, "\"virt-attest 0.1.0\"\n", "\"virt-attest 0.1.0\",\n  \"signed\" : " ENVELOPE "\n");
}

static void test_portable(void)
{
    g_autoptr(PolicyReference) reference = parse(portable_text);
    g_autofree gchar *again = policy_reference_format(reference, POLICY_REFERENCE_PORTABLE);
    const XmlMeasurement *last = g_ptr_array_index(reference->measurements, 2);

    g_assert_cmpint(reference->form, ==, POLICY_REFERENCE_PORTABLE);
    g_assert_null(reference->uuid);
    g_assert_cmpuint(reference->measurements->len, ==, 4);
    g_assert_cmpuint(last->vcpus, ==, 4);
    g_assert_cmpstr(reference->product, ==, "Turin");
    g_assert_true(reference->has_minimum_tcb);
    g_assert_cmpuint(reference->minimum_tcb.microcode, ==, 255);
    g_assert_cmpint(reference->minimum_tcb.fmc, ==, 1);
    g_assert_cmphex(reference->platform_info_mask, ==, G_MAXUINT64);
    g_assert_cmpuint(reference->identity->guest_svn, ==, G_MAXUINT32);
    g_assert_cmpuint(reference->identity->image_id[0], ==, 0xf0);
    g_assert_true(reference->identity->has_author_key);
    g_assert_cmpstr(reference->source, ==, "bundle");
    g_assert_cmpstr(policy_reference_find_input(reference, "cmdline")->obtained, ==, "openend2e");
    g_assert_cmpstr(again, ==, portable_text);
    g_assert_cmpint(schema_validate(SCHEMA, portable_text), !=, SCHEMA_CONTRADICTED);
}

/* Members and measurements in another order, and other blanks: the same facts. */
static void test_canonical(void)
{
    static const char before[] = "{\"tool\":\"virt-attest 0.1.0\",\n\"platform\":\"sev-snp\", \"format\" : "
                                 "\"virt-attest-reference-1\", \"domain\":{\"name\":\"guest1\"}, \"level\":3,";
    static const char *const first[] = {"\"vcpus\" : 1,\n      \"digest\" : \"" DIGEST_A,
                                        "\"vcpus\" : 4,\n      \"digest\" : \"" DIGEST_B};
    g_autofree gchar *head = g_strdup(strstr(portable_text, "  \"findings\""));
    g_autofree gchar *tail = replace(head, ",\n  \"tool\" : \"virt-attest 0.1.0\"\n}", "\t}");
    g_autofree gchar *one = replace(tail, first[0], "\"vcpus\" : 4,\n\"digest\" : \"" DIGEST_B);
    g_autofree gchar *two = replace(one, first[1], "\"digest\" : \"" DIGEST_A "\", \"vcpus\" : 1, \"x\" : \"");
    g_autofree gchar *three = replace(two, ", \"x\" : \"\"", "");
    g_autofree gchar *text = g_strconcat(before, three, NULL);
    g_autoptr(PolicyReference) reference = parse(text);
    g_autofree gchar *again = policy_reference_format(reference, POLICY_REFERENCE_PORTABLE);

    g_assert_cmpstr(again, ==, portable_text);
}

static void test_pinned(void)
{
    g_autofree gchar *text = pinned_text();
    g_autoptr(PolicyReference) reference = parse(text);
    g_autofree gchar *again = policy_reference_format(reference, POLICY_REFERENCE_PINNED);
    g_autofree gchar *unsigned_text = replace(text, ",\n  \"signed\" : " ENVELOPE, "");
    g_autoptr(PolicyReference) plain = parse(unsigned_text);

    g_assert_cmpint(reference->form, ==, POLICY_REFERENCE_PINNED);
    g_assert_cmpstr(reference->signed_text, ==,
                    "{\"payload\":\"e30=\",\"payloadType\":\"application/vnd.virt-attest.reference+json\","
                    "\"signatures\":[{\"keyid\":\"" SHA_A "\",\"sig\":\"AAAA\"}]}");
    g_assert_cmpstr(again, ==, text);
    g_assert_null(plain->signed_text);
    g_assert_cmpint(schema_validate(SCHEMA, text), !=, SCHEMA_CONTRADICTED);
}

static void test_binding(void)
{
    g_autoptr(PolicyReference) reference = parse(portable_text);
    g_autofree gchar *text = policy_reference_format(reference, POLICY_REFERENCE_BINDING);
    g_autofree gchar *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, binding_text, -1);
    g_autofree gchar *elsewhere = NULL;
    g_autofree gchar *hex = NULL;
    g_autoptr(PolicyReference) other = NULL;
    guint8 digest[MEASURE_SHA256_SIZE];

    g_assert_cmpstr(text, ==, binding_text);
    policy_reference_binding(reference, digest);
    hex = measure_hex_encode(digest, sizeof(digest));
    g_assert_cmpstr(hex, ==, sum);
    /* Nobody reads it back as a reference. */
    g_assert_null(policy_reference_parse(binding_text, -1, NULL));
    /* On another host, of another version: other names, paths, host data, the same digest. */
    elsewhere = pinned_text();
    for (gsize i = 0; i < 6; i++) {
        static const char *const rows[][2] = {
            {"guest1", "guest2"},
            {"/fw/OVMF.fd", "/elsewhere/fw"},
            {"\"hostData\" : \"" SHA_A, "\"hostData\" : \"" SHA_CMDLINE},
            {"  \"source\" : \"bundle\",\n", ""},
            {"virt-attest 0.1.0", "virt-attest 0.2.0"},
            {"EPYC-Milan-v2", "EPYC-Milan-v1"},
        };
        g_autofree gchar *before = g_steal_pointer(&elsewhere);

        elsewhere = replace(before, rows[i][0], rows[i][1]);
    }
    other = parse(elsewhere);
    g_clear_pointer(&text, g_free);
    text = policy_reference_format(other, POLICY_REFERENCE_BINDING);
    g_assert_cmpstr(text, ==, binding_text);
}

/* Every fact that the owner answers for moves the digest. */
static void test_binding_covers(void)
{
    static const struct {
        const char *old_part, *new_part;
    } rows[] = {
        {"\"level\" : 3", "\"level\" : 2"},
        {"6d287813", "6d287814"},
        {"\"vcpus\" : 4", "\"vcpus\" : 3"},
        {"\"size\" : 4194304", "\"size\" : 4194305"},
        {"\"0x30000\"", "\"0x20000\""},
        {"\"kernelHashes\" : true", "\"kernelHashes\" : false"},
        {"\"authorKey\" : true", "\"authorKey\" : false"},
        {"\"vcek\" : true", "\"vcek\" : false"},
        {"\"idKeyDigest\" : \"5061", "\"idKeyDigest\" : \"5062"},
        {"    \"authorKeyDigest\" : \"" DIGEST_C "\",\n", ""},
        {"0001020304", "0001020305"},
        {"f0f1f2", "f0f1f3"},
        {"4294967295", "0"},
        {"\"snp\" : 14", "\"snp\" : 15"},
        {",\n    \"fmc\" : 1", ""},
        {"\"value\" : \"0x1\"", "\"value\" : \"0x3\""},
        {"0xffffffffffffffff", "0x1"},
        {"  \"product\" : \"Turin\",\n", ""},
        {"\"vcek\" : true,\n", "\"vcek\" : true, \"guestVisibleWorkarounds\" : \"000102030405060708090a0b0c0d0e0f\","},
    };
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    g_hash_table_add(seen, g_strdup(binding_text));
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree gchar *text = replace(portable_text, rows[i].old_part, rows[i].new_part);
        g_autoptr(PolicyReference) reference = NULL;
        guint8 digest[MEASURE_SHA256_SIZE];

        /* Both Milan types are one launch, so that both have to change. */
        if (!strcmp(rows[i].old_part, "6d287813")) {
            g_autofree gchar *once = g_steal_pointer(&text);

            text = replace(once, rows[i].old_part, rows[i].new_part);
        }
        reference = parse(text);
        policy_reference_binding(reference, digest);
        if (!g_hash_table_add(seen, measure_hex_encode(digest, sizeof(digest))))
            g_error("'%s' does not move the binding", rows[i].new_part);
    }
}

/* Each row makes one thing wrong with the pinned document. @by_schema: the schema can see it too. */
static const struct {
    const char *old_part, *new_part, *says;
    gboolean by_schema;
} wrong[] = {
    {CREATED, "", "created: this member is missing", TRUE},
    {PIN, "", "onMismatch: this member is missing", TRUE},
    {",\n    \"uuid\" : \"" FIXTURE_UUID "\"", "", "domain.uuid: this member is missing", TRUE},
    {"\"name\" : \"guest1\",", "", "domain.name: this member is missing", TRUE},
    {"\"Turin\"", "\"Rome\"", "product: this is none of Milan, ", TRUE},
    {"\"Turin\"", "\"turin\"", "product", TRUE},
    {"\"Turin\"", "\"Milan\"", "fmc", TRUE},
    {"\"tee\" : 0,", "", "minimumTcb.tee: this member is missing", TRUE},
    {"\"tee\" : 0", "\"tee\" : 256", "minimumTcb.tee", TRUE},
    {"\"tee\" : 0", "\"tee\" : \"0\"", "minimumTcb.tee", TRUE},
    {"\"tee\" : 0", "\"tee\" : -1", "minimumTcb.tee", TRUE},
    {"\"fmc\" : 1", "\"fmc\" : null", "minimumTcb.fmc", TRUE},
    {"\"fmc\" : 1", "\"hsp\" : 1", "minimumTcb.hsp: this member is not known", TRUE},
    {"\"minimumTcb\" : {", "\"minimumTcb\" : [], \"x\" : {", "x: this member is not known", TRUE},
    {"\"value\" : \"0x1\",", "", "platformInfo.value: this member is missing", TRUE},
    {"\"value\" : \"0x1\"", "\"value\" : 1", "platformInfo.value", TRUE},
    {"0xffffffffffffffff", "0xfe", "platformInfo", FALSE},
    {"\"mask\" : ", "\"bits\" : ", "platformInfo.bits: this member is not known", TRUE},
    {"\"idKeyDigest\" : \"5061", "\"idKeyDigest\" : \"506", "idBlock.idKeyDigest", TRUE},
    {"\"idKeyDigest\" : \"" DIGEST_B "\",", "", "idBlock.idKeyDigest: this member is missing", TRUE},
    {"0001020304", "000102030", "idBlock.familyId", TRUE},
    {"f0f1f2f3", "F0f1f2f3", "idBlock.imageId", TRUE},
    {"4294967295", "4294967296", "idBlock.guestSvn", TRUE},
    {"\"guestSvn\"", "\"svn\"", "idBlock.svn: this member is not known", TRUE},
    {"\"source\" : \"bundle\"", "\"source\" : \"rumour\"", "source: this is none of", TRUE},
    {"\"source\" : \"bundle\"", "\"source\" : true", "source", TRUE},
    {"\"obtained\" : \"alman\"", "\"obtained\" : \"\"", "inputs.firmware.obtained", TRUE},
    {"\"obtained\" : \"openend2e\"", "\"obtained\" : 1", "inputs.cmdline.obtained", TRUE},
    {"\"vcpus\" : 4,", "\"vcpus\" : 4, \"fpu\" : \"legacy\",", "measurements[2].fpu", TRUE},
    {"\"vcpus\" : 4", "\"vcpus\" : 1", "measurements[2].digest: it contradicts another", FALSE},
    {"\"0xa10f11\",\n      \"features\"", "\"0xa00f11\",\n      \"features\"", "measurements[3].digest: it contradicts",
     FALSE},
    {"\"signed\" : {", "\"signed\" : [], \"x\" : {", "x: this member is not known", TRUE},
    {"\"sev-snp\"", "\"sev-es\"", "this goes with sev-snp only", TRUE},
    {"\"virt-attest-reference-1\"", "\"virt-attest-binding-1\"", "format", TRUE},
};

static void test_refused(void)
{
    g_autofree gchar *good = pinned_text();
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    g_autofree gchar *in_portable =
        replace(portable_text, "\"tool\" :", "\"signed\" : " ENVELOPE ", \"tool\" :");
    g_autofree gchar *empty = replace(portable_text, MEASUREMENTS, "  \"measurements\" : [],\n");
    const char *const portable[] = {in_portable, empty};

    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree gchar *text = replace(good, wrong[i].old_part, wrong[i].new_part);
        g_autoptr(GError) error = NULL;
        g_autoptr(PolicyReference) reference = policy_reference_parse(text, -1, &error);

        if (reference)
            g_error("this was taken: %s", wrong[i].new_part);
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        if (!strstr(error->message, wrong[i].says))
            g_error("'%s': '%s' is not in '%s'", wrong[i].new_part, wrong[i].says, error->message);
        if (wrong[i].by_schema)
            g_ptr_array_add(texts, g_steal_pointer(&text));
    }
    for (gsize i = 0; i < G_N_ELEMENTS(portable); i++) {
        g_assert_null(policy_reference_parse(portable[i], -1, NULL));
        g_ptr_array_add(texts, g_strdup(portable[i]));
    }
    if (schema_check(SCHEMA, texts, FALSE) == SCHEMA_UNKNOWN)
        g_test_message("python3-jsonschema is not installed: the schema was not asked");
    else
        g_assert_cmpint(schema_check(SCHEMA, texts, FALSE), ==, SCHEMA_AGREED);
}

static void test_tcb(void)
{
    static const struct {
        const char *text;
        PolicyTcb tcb;
    } good[] = {
        {"bootloader=3,tee=0,snp=14,microcode=209", {3, 0, 14, 209, -1}},
        {"bootloader=0,tee=255,snp=0,microcode=0,fmc=255", {0, 255, 0, 0, 255}},
    };
    static const char *const bad[] = {
        "", ",", "bootloader=3", "bootloader=3,tee=0,snp=14", "bootloader=3,tee=0,snp=14,microcode=256",
        "bootloader=3,tee=0,snp=14,microcode=-1", "bootloader=3,tee=0,snp=14,microcode=0x1",
        "bootloader=3,tee=0,snp=14,microcode=", "bootloader=3,tee=0,snp=14,microcode=1,",
        "bootloader=3,tee=0,snp=14,microcode=1,snp=14", "bootloader=3,tee=0,snp=14,microcode=1,psp=1",
        "bootloader=3,tee=0,snp=14,microcode", " bootloader=3,tee=0,snp=14,microcode=1",
    };
    g_autoptr(GError) error = NULL;
    g_autofree gchar *turned = NULL;
    PolicyTcb tcb;

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autofree gchar *text = NULL;

        g_assert_true(policy_tcb_parse(good[i].text, &tcb, &error));
        g_assert_no_error(error);
        g_assert_cmpuint(tcb.bootloader, ==, good[i].tcb.bootloader);
        g_assert_cmpuint(tcb.tee, ==, good[i].tcb.tee);
        g_assert_cmpuint(tcb.snp, ==, good[i].tcb.snp);
        g_assert_cmpuint(tcb.microcode, ==, good[i].tcb.microcode);
        g_assert_cmpint(tcb.fmc, ==, good[i].tcb.fmc);
        text = policy_tcb_describe(&tcb);
        g_assert_cmpstr(text, ==, good[i].text);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        if (policy_tcb_parse(bad[i], &tcb, &error))
            g_error("'%s' was taken", bad[i]);
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
        g_clear_error(&error);
    }
    g_assert_true(policy_tcb_parse("microcode=209,snp=14,tee=0,bootloader=3", &tcb, NULL));
    turned = policy_tcb_describe(&tcb);
    g_assert_cmpstr(turned, ==, good[0].text);
}

/* Pages whose every byte is known; the digests of the keys by GLib. */
static void test_identity(void)
{
    guint8 block[96], auth[4096];
    g_autofree gchar *id_digest = NULL;
    g_autofree gchar *author_digest = NULL;
    g_autofree gchar *found = NULL;
    g_autofree gchar *found_author = NULL;
    g_autoptr(GBytes) id_block = NULL;
    g_autoptr(GBytes) id_auth = NULL;
    g_autofree PolicyIdentity *identity = NULL;
    g_autofree PolicyIdentity *without = NULL;

    for (gsize i = 0; i < sizeof(block); i++)
        block[i] = (guint8)i;
    measure_put_u32(block + 0x50, 1);
    measure_put_u32(block + 0x54, 7);
    for (gsize i = 0; i < sizeof(auth); i++)
        auth[i] = (guint8)(i * 3 + i / 256);
    measure_put_u32(auth, 1);
    measure_put_u32(auth + 4, 1);
    id_digest = g_compute_checksum_for_data(G_CHECKSUM_SHA384, auth + 0x240, 0x404);
    author_digest = g_compute_checksum_for_data(G_CHECKSUM_SHA384, auth + 0x880, 0x404);
    id_block = g_bytes_new(block, sizeof(block));
    id_auth = g_bytes_new(auth, sizeof(auth));

    identity = policy_identity_new(id_block, id_auth, TRUE);
    found = measure_hex_encode(identity->id_key_digest, 48);
    found_author = measure_hex_encode(identity->author_key_digest, 48);
    g_assert_cmpstr(found, ==, id_digest);
    g_assert_cmpstr(found_author, ==, author_digest);
    g_assert_true(identity->has_author_key);
    g_assert_cmpuint(identity->guest_svn, ==, 7);
    g_assert_cmpuint(identity->family_id[0], ==, 0x30);
    g_assert_cmpuint(identity->family_id[15], ==, 0x3f);
    g_assert_cmpuint(identity->image_id[0], ==, 0x40);
    /* The launch does not use the author key. */
    without = policy_identity_new(id_block, id_auth, FALSE);
    g_assert_false(without->has_author_key);
    g_assert_null(policy_identity_new(id_block, NULL, TRUE));
    g_assert_null(policy_identity_new(NULL, id_auth, TRUE));
    /* Another version, another algorithm: who knows where things are. */
    for (guint i = 0; i < 2; i++) {
        g_autoptr(GBytes) other_block = NULL;
        g_autoptr(GBytes) other_auth = NULL;

        measure_put_u32(block + 0x50, i ? 1 : 2);
        measure_put_u32(auth, i ? 2 : 1);
        other_block = g_bytes_new(block, sizeof(block));
        other_auth = g_bytes_new(auth, sizeof(auth));
        g_assert_null(policy_identity_new(other_block, other_auth, TRUE));
    }
    g_assert_null(policy_identity_new(id_auth, id_block, TRUE));
}

static void assert_one_change(const char *old_text, const char *new_text, const char *what, const char *pinned,
                              const char *found)
{
    g_autoptr(PolicyReference) old_reference = parse(old_text);
    g_autoptr(PolicyReference) new_reference = parse(new_text);
    g_autoptr(GPtrArray) changes = policy_reference_diff(old_reference, new_reference);
    const PolicyChange *change = NULL;

    if (changes->len != 1)
        g_error("%s: %u changes", what, changes->len);
    change = g_ptr_array_index(changes, 0);
    g_assert_cmpstr(change->what, ==, what);
    g_assert_cmpstr(change->pinned, ==, pinned);
    g_assert_cmpstr(change->found, ==, found);
}

static void test_diff(void)
{
    static const struct {
        const char *old_part, *new_part, *what, *was, *is;
    } rows[] = {
        {"\"Turin\"", "\"Bergamo\"", "product", "Turin", "Bergamo"},
        {"\"snp\" : 14", "\"snp\" : 15", "minimum-tcb", "bootloader=3,tee=0,snp=14,microcode=255",
         "bootloader=3,tee=0,snp=15,microcode=255"},
        {"\"mask\" : \"0xffffffffffffffff\"", "\"mask\" : \"0x1\"", "platform-info", "0x1/0xffffffffffffffff",
         "0x1/0x1"},
        {"\"idKeyDigest\" : \"" DIGEST_B, "\"idKeyDigest\" : \"" DIGEST_A, "id-key", DIGEST_B, DIGEST_A},
        {"\"authorKeyDigest\" : \"" DIGEST_C, "\"authorKeyDigest\" : \"" DIGEST_A, "author-key-digest", DIGEST_C,
         DIGEST_A},
        {"    \"authorKeyDigest\" : \"" DIGEST_C "\",\n", "", "author-key-digest", DIGEST_C, ""},
        {"000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0eff", "family-id",
         "000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0eff"},
        {"f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "000102030405060708090a0b0c0d0e0f", "image-id",
         "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "000102030405060708090a0b0c0d0e0f"},
        {"4294967295", "3", "guest-svn", "4294967295", "3"},
        {"\"source\" : \"bundle\"", "\"source\" : \"libvirt\"", "source", "bundle", "libvirt"},
        {"\"obtained\" : \"alman\"", "\"obtained\" : \"snpguard\"", "obtained", "alman", "snpguard"},
        {"\"signed\" : " ENVELOPE, "\"domainType\" : \"kvm\"", "signed", "yes", "no"},
        {"\"refuse\"", "\"observe\"", "on-mismatch", "refuse", "observe"},
    };
    g_autofree gchar *with_fmc = pinned_text();
    g_autofree gchar *good = replace(with_fmc, ",\n    \"fmc\" : 1", "");
    g_autofree gchar *no_type = replace(good, "  \"domainType\" : \"kvm\",\n", "");

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        const char *from = strstr(rows[i].new_part, "domainType") ? no_type : good;
        g_autofree gchar *text = replace(from, rows[i].old_part, rows[i].new_part);

        assert_one_change(good, text, rows[i].what, rows[i].was, rows[i].is);
        assert_one_change(text, good, rows[i].what, rows[i].is, rows[i].was);
    }
}

/* Sets of launches: what came and went is named once, digests of what both have too. */
static void test_diff_fleet(void)
{
    static const char one[] = "    {\n"
                              "      \"cpu\" : \"EPYC-Milan\",\n"
                              "      \"signature\" : \"0xa00f11\",\n"
                              "      \"features\" : \"0x1\",\n"
                              "      \"vcpus\" : 4,\n"
                              "      \"digest\" : \"" DIGEST_B "\"\n"
                              "    },\n";
    g_autofree gchar *fewer = replace(portable_text, one, "");
    g_autofree gchar *more = replace(portable_text, "\"vcpus\" : 4", "\"vcpus\" : 2");
    g_autofree gchar *turned = replace(more, "\"0xa10f11\",\n      \"features\" : \"0x1\",\n      \"vcpus\" : 1",
                                       "\"0xa10f11\",\n      \"features\" : \"0x1\",\n      \"vcpus\" : 2");
    g_autofree gchar *changed = replace(portable_text, DIGEST_B, DIGEST_C);
    g_autofree gchar *renamed = replace(portable_text, "EPYC-Milan-v2", "EPYC-Milan-v1");
    g_autoptr(PolicyReference) left = parse(portable_text);
    g_autoptr(PolicyReference) right = parse(renamed);
    g_autoptr(GPtrArray) none = policy_reference_diff(left, right);

    assert_one_change(portable_text, fewer, "vcpus", "1, 4", "1");
    assert_one_change(fewer, portable_text, "vcpus", "1", "1, 4");
    assert_one_change(portable_text, more, "vcpus", "1, 4", "1, 2");
    assert_one_change(more, turned, "cpu", "3", "3");
    assert_one_change(portable_text, changed, "digest", DIGEST_B, DIGEST_C);
    /* How people call a type is no fact. */
    g_assert_cmpuint(none->len, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/reference-forms/portable", test_portable);
    g_test_add_func("/reference-forms/canonical", test_canonical);
    g_test_add_func("/reference-forms/pinned", test_pinned);
    g_test_add_func("/reference-forms/binding", test_binding);
    g_test_add_func("/reference-forms/binding-covers", test_binding_covers);
    g_test_add_func("/reference-forms/refused", test_refused);
    g_test_add_func("/reference-forms/tcb", test_tcb);
    g_test_add_func("/reference-forms/identity", test_identity);
    g_test_add_func("/reference-forms/diff", test_diff);
    g_test_add_func("/reference-forms/diff-fleet", test_diff_fleet);
    return g_test_run();
}
