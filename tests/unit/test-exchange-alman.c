/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ALman's files. The expected texts were written by hand, or by Python's json.dump() where that is said. */
#include "measure/error.h"
#include "policy/exchange/alman.h"
#include "policy/exchange/json-text.h"
#include "tests/unit/corpus-fixture.h"
#include "tests/unit/exchange-fixture.h"

/* ---- alman.conf ---- */

static void test_conf(void)
{
    static const char text[] = "# comment\n\n  export QEMU_BIN = '/usr/bin/qemu x'  \r\nOVMF_CODE=\"/fw/a=b.fd\"\n"
                               "export\tOVMF_AL34=/fw/al34.fd\nOVMF_VARS=\nOVMF_AL2='/fw/it's.fd'\n";
    g_autoptr(GError) error = NULL;
    g_autoptr(ExchangeAlmanConf) conf = exchange_alman_conf_parse(text, -1, &error);
    g_autofree gchar *written = NULL;
    g_autofree gchar *again = NULL;
    g_autoptr(ExchangeAlmanConf) back = NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(conf->qemu_bin, ==, "/usr/bin/qemu x");
    g_assert_cmpstr(conf->ovmf_code, ==, "/fw/a=b.fd");
    g_assert_cmpstr(conf->ovmf_al34, ==, "/fw/al34.fd");
    g_assert_cmpstr(conf->ovmf_al2, ==, "/fw/it's.fd");
    g_assert_null(conf->ovmf_vars);
    g_assert_null(conf->measure_py);
    written = exchange_alman_conf_format(conf, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(written, ==,
                    "QEMU_BIN=/usr/bin/qemu x\nOVMF_CODE=/fw/a=b.fd\nOVMF_AL2=/fw/it's.fd\nOVMF_AL34=/fw/al34.fd\n");
    back = exchange_alman_conf_parse(written, -1, &error);
    g_assert_no_error(error);
    again = exchange_alman_conf_format(back, &error);
    g_assert_cmpstr(again, ==, written);
}

/* Values that the reader would change unless they are quoted. */
static void test_conf_quotes(void)
{
    static const char *const values[] = {" blanks ", "'quoted'", "\"",      "'", "\"half",
                                         "tail'",    "#hash",    "a\"b\"c", NULL};

    for (guint i = 0; values[i]; i++) {
        ExchangeAlmanConf conf = {.qemu_bin = (gchar *)values[i], .ovmf_code = (gchar *)"/x"};
        g_autoptr(GError) error = NULL;
        g_autofree gchar *text = exchange_alman_conf_format(&conf, &error);
        g_autoptr(ExchangeAlmanConf) back = text ? exchange_alman_conf_parse(text, -1, &error) : NULL;

        g_assert_no_error(error);
        g_assert_cmpstr(back->qemu_bin, ==, values[i]);
    }
}

static void test_conf_refused(void)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"QEMU_BIN=/q\n", "OVMF_CODE"},
        {"OVMF_CODE=/q\n", "QEMU_BIN"},
        {"QEMU_BIN=\nOVMF_CODE=/q\n", "QEMU_BIN"},
        {"QEMU_BIN=/q\nOVMF_CODE=/c\nOVMF=/x\n", "line 3"},
        {"QEMU_BIN=/q\nQEMU_BIN=/q\nOVMF_CODE=/c\n", "given twice"},
        {"QEMU_BIN\nOVMF_CODE=/c\n", "line 1"},
        {"QEMU_BIN='\nOVMF_CODE=/c\n", "lone quote"},
        {"QEMU_BIN=/q\tx\nOVMF_CODE=/c\n", "control character"},
        {"QEMU_BIN=/q\033[1m\nOVMF_CODE=/c\n", "control character"},
        {"exportQEMU_BIN=/q\nOVMF_CODE=/c\n", "exportQEMU_BIN"},
        {"QEMU_BIN=/\xff\nOVMF_CODE=/c\n", "UTF-8"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(ExchangeAlmanConf) conf = exchange_alman_conf_parse(bad[i].text, -1, &error);

        g_assert_null(conf);
        assert_refused(error, ATTEST_ERROR_UNREADABLE, bad[i].says);
    }
}

static void test_conf_from_reference(void)
{
    g_autoptr(PolicyReference) reference = fixture();
    g_autoptr(PolicyReference) bare = fixture_changed("\"emulator\":\"/usr/bin/qemu-system-x86_64\",", "");
    g_autoptr(GError) error = NULL;
    g_autoptr(ExchangeAlmanConf) conf = exchange_alman_conf_from_reference(reference, &error);
    g_autofree gchar *text = conf ? exchange_alman_conf_format(conf, &error) : NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, "QEMU_BIN=/usr/bin/qemu-system-x86_64\nOVMF_CODE=/fw/OVMF.fd\nOVMF_AL34=/fw/OVMF.fd\n");
    g_assert_null(exchange_alman_conf_from_reference(bare, &error));
    assert_refused(error, ATTEST_ERROR_USAGE, "QEMU");
}

/* ---- lists of CPU types ---- */

static void test_cpus(void)
{
    static const char text[] = "[\" EPYC-Milan \", \"0x0A201009\", {\"vcpu_sig\": \"0xA00F11\"}, {\"sig\": 8392466},\n"
                               "{\"stepping\": 1, \"family\": 25, \"model\": 17}]";
    static const char written[] = "[\n  \"EPYC-Milan\",\n  \"0x0a201009\",\n  \"0xa00f11\",\n  \"0x800f12\",\n"
                                  "  {\n    \"family\": 25,\n    \"model\": 17,\n    \"stepping\": 1\n  }\n]\n";
    static const char *const labels[] = {"EPYC-Milan", "vcpu-sig=0x0a201009", "vcpu-sig=0xa00f11", "vcpu-sig=0x800f12",
                                         "vcpu-family=25,vcpu-model=17,vcpu-stepping=1"};
    static const guint32 signatures[] = {0xa00f11, 0xa201009, 0xa00f11, 0x800f12, 0xa10f11};
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) cpus = exchange_alman_cpus_parse(text, -1, &error);
    g_autoptr(GPtrArray) back = NULL;
    g_autofree gchar *formatted = NULL;
    g_autofree gchar *again = NULL;

    g_assert_no_error(error);
    g_assert_cmpuint(cpus->len, ==, G_N_ELEMENTS(labels));
    for (guint i = 0; i < cpus->len; i++) {
        g_autofree gchar *label = exchange_alman_cpu_label(g_ptr_array_index(cpus, i));
        g_autoptr(MeasureCpu) cpu = exchange_alman_cpu_resolve(g_ptr_array_index(cpus, i), &error);

        g_assert_no_error(error);
        g_assert_cmpstr(label, ==, labels[i]);
        g_assert_cmphex(cpu->signature, ==, signatures[i]);
    }
    formatted = exchange_alman_cpus_format(cpus);
    g_assert_cmpstr(formatted, ==, written);
    back = exchange_alman_cpus_parse(formatted, -1, &error);
    g_assert_no_error(error);
    again = exchange_alman_cpus_format(back);
    g_assert_cmpstr(again, ==, written);
}

static void test_cpus_refused(void)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"[]", "empty"},
        {"{}", "list"},
        {"\"EPYC\"", "array"},
        {"[\"EPYC\",\"EPYC\"]", "twice"},
        {"[\"0xA\",\"0xa\"]", "twice"},
        {"[\"\"]", "CPU type"},
        {"[\"a b\"]", "CPU type"},
        {"[\"0x100000000\"]", "signature"},
        {"[{\"vcpu_sig\":-1}]", "signature"},
        {"[{\"vcpu_sig\":null}]", "signature"},
        {"[{\"vcpu_sig\":\"10\"}]", "signature"},
        {"[{\"sig\":\"0x1\",\"vcpu_sig\":\"0x2\"}]", "not known"},
        {"[{\"family\":25,\"model\":1}]", "stepping"},
        {"[{\"family\":999,\"model\":1,\"stepping\":1}]", "family"},
        {"[{\"family\":25,\"model\":1,\"stepping\":16}]", "stepping"},
        {"[{\"family\":\"25\",\"model\":1,\"stepping\":1}]", "family"},
        {"[1]", "neither"},
        {"[[\"EPYC\"]]", "neither"},
        {"[\"EPYC\"", "valid JSON"},
        {"[\"EPYC\"],\"other\":[1]", "not known"},
        {"[\"EPYC\"],\"list\":[\"EPYC\"]", "twice"},
        {"[\"EPYC\"]} {\"a\":[1]", "valid JSON"},
        {"", "valid JSON"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) cpus = exchange_alman_cpus_parse(bad[i].text, -1, &error);

        if (cpus)
            g_error("taken: %s", bad[i].text);
        assert_refused(error, ATTEST_ERROR_UNREADABLE, bad[i].says);
    }
}

static void test_legal(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) names = exchange_alman_legal_parse("[\"EPYC\", \" EPYC-v1\", \"EPYC\"]", -1, &error);
    g_autofree gchar *text = names ? exchange_alman_legal_format(names) : NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, "[\n  \"EPYC\",\n  \"EPYC-v1\"\n]\n");
    g_assert_null(exchange_alman_legal_parse("[\"EPYC\", 1]", -1, &error));
    assert_refused(error, ATTEST_ERROR_UNREADABLE, "entry 2");
    g_clear_error(&error);
    g_assert_null(exchange_alman_legal_parse("[]", -1, &error));
    assert_refused(error, ATTEST_ERROR_UNREADABLE, "empty");
}

static void test_cpus_from_reference(void)
{
    g_autoptr(PolicyReference) reference = fixture();
    g_autoptr(GPtrArray) cpus = exchange_alman_cpus_from_reference(reference);
    g_autofree gchar *text = exchange_alman_cpus_format(cpus);

    g_assert_cmpstr(text, ==, "[\n  \"EPYC-Milan\",\n  \"0xa00f12\"\n]\n");
}

/* ---- expected-measurements.json ---- */

/* As Python's json.dump(indent=2, sort_keys=True) writes it. */
#define ENTRY_GUEST                                                                                                    \
    "  \"guest\": {\n    \"al\": 3,\n"                                                                                 \
    "    \"append\": \"root=/dev/vda2 a=\\\"b c\\\" 'quoted' $(x) `y` \\\\ &\",\n"                                     \
    "    \"cpu_types\": [\n      {\n        \"kind\": \"type\",\n        \"type\": \"EPYC-Milan\"\n      },\n"         \
    "      {\n        \"kind\": \"sig\",\n        \"sig\": \"0xa00f12\"\n      }\n    ],\n"                            \
    "    \"cpu_types_config\": \"/alman/cpu-types.json\",\n    \"errors\": {},\n"                                      \
    "    \"initrd\": \"/boot/initrd\",\n    \"kernel\": \"/boot/vmlinuz\",\n    \"measurements\": {\n"                 \
    "      \"EPYC-Milan\": {\n        \"cpu_spec\": {\n          \"kind\": \"type\",\n"                                \
    "          \"type\": \"EPYC-Milan\"\n        },\n        \"measurement_hex\": \"" DIGEST_MILAN "\"\n      },\n"    \
    "      \"vcpu-sig=0xa00f12\": {\n        \"cpu_spec\": {\n          \"kind\": \"sig\",\n"                          \
    "          \"sig\": \"0xa00f12\"\n        },\n        \"measurement_hex\": \"" DIGEST_SIGNATURE "\"\n      }\n"    \
    "    },\n    \"mode\": \"snp\",\n    \"ovmf\": \"/fw/OVMF.fd\",\n"                                                 \
    "    \"timestamp_utc\": \"2026-11-22T08:04:26Z\",\n    \"vcpus\": 2,\n    \"vmm_type\": \"QEMU\"\n  }"

static ExchangeAlmanGuest *fixture_guest(void)
{
    g_autoptr(PolicyReference) reference = fixture();
    g_autoptr(GError) error = NULL;
    ExchangeAlmanGuest *guest =
        exchange_alman_guest_from_reference(reference, "2026-11-22T08:04:26Z", "/alman/cpu-types.json", &error);

    g_assert_no_error(error);
    return guest;
}

static void test_expected_new(void)
{
    g_autoptr(ExchangeAlmanGuest) guest = fixture_guest();
    g_autoptr(GError) error = NULL;
    g_autofree gchar *text = exchange_alman_expected_merge(NULL, 0, guest, &error);
    g_autoptr(GPtrArray) guests = NULL;
    const ExchangeAlmanGuest *back = NULL;
    const ExchangeAlmanMeasurement *measurement = NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, "{\n" ENTRY_GUEST "\n}");
    guests = exchange_alman_expected_parse(text, -1, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(guests->len, ==, 1);
    back = g_ptr_array_index(guests, 0);
    g_assert_no_error(back->broken);
    g_assert_cmpstr(back->name, ==, "guest");
    g_assert_cmpuint(back->al, ==, 3);
    g_assert_cmpuint(back->vcpus, ==, 2);
    g_assert_cmpstr(back->append, ==, CMDLINE);
    g_assert_cmpstr(back->ovmf, ==, "/fw/OVMF.fd");
    g_assert_cmpuint(back->cpus->len, ==, 2);
    g_assert_cmpuint(back->measurements->len, ==, 2);
    measurement = g_ptr_array_index(back->measurements, 1);
    g_assert_cmpstr(measurement->label, ==, "vcpu-sig=0xa00f12");
    g_assert_cmphex(measurement->digest[47], ==, 0xb2);
}

/* Others' entries stay to the byte, and what others have put into this one. */
static void test_expected_merge(void)
{
    static const char other[] =
        "  \"a-\\u00fc\\ud83d\\ude00\": {\n    \"deep\": [\n      1,\n      null,\n      {},\n      []\n"
        "    ],\n    \"n\": -7,\n    \"t\": \"a\\tb\\\"\\\\/\\u007f\"\n  }";
    g_autofree gchar *old =
        g_strdup_printf("{\n%s,\n  \"guest\": {\n    \"al\": 2,\n    \"zz_mine\": true\n  }\n}", other);
    g_autoptr(ExchangeAlmanGuest) guest = fixture_guest();
    g_autoptr(GError) error = NULL;
    g_autofree gchar *text = exchange_alman_expected_merge(old, -1, guest, &error);
    g_autofree gchar *again = NULL;
    g_autofree gchar *expected = g_strdup_printf("{\n%s,\n%.*s,\n    \"zz_mine\": true\n  }\n}", other,
                                                 (int)strlen(ENTRY_GUEST) - 4, ENTRY_GUEST);

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, expected);
    again = exchange_alman_expected_merge(text, -1, guest, &error);
    g_assert_cmpstr(again, ==, expected);
}

/* A file that is not right is never taken for an empty one. */
static void test_expected_corrupt(void)
{
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "{} {}",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"guest\":[]}",
                                      "{\"guest\":1}",
                                      "{\"other\":{\"x\":1.5}}",
                                      "null",
                                      "{\"a\":\"\\u0000\"}",
                                      NULL};
    g_autoptr(ExchangeAlmanGuest) guest = fixture_guest();

    for (guint i = 0; bad[i]; i++) {
        g_autoptr(GError) error = NULL;
        g_autofree gchar *text = exchange_alman_expected_merge(bad[i], -1, guest, &error);

        if (text)
            g_error("taken: %s", bad[i]);
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
}

#define GOOD_ENTRY "{\"al\":2,\"vcpus\":1,\"ovmf\":\"/o\"}"

/* One broken entry does not hide the others. */
static void test_expected_broken(void)
{
    static const struct {
        const char *entry, *says;
    } bad[] = {
        {"[]", "object"},
        {"{\"vcpus\":1,\"ovmf\":\"/o\"}", "al"},
        {"{\"al\":1,\"vcpus\":1,\"ovmf\":\"/o\"}", "level 2"},
        {"{\"al\":5,\"vcpus\":1,\"ovmf\":\"/o\"}", "al"},
        {"{\"al\":2,\"vcpus\":0,\"ovmf\":\"/o\"}", "vCPU"},
        {"{\"al\":2,\"vcpus\":1,\"ovmf\":\"\"}", "ovmf"},
        {"{\"al\":3,\"vcpus\":1,\"ovmf\":\"/o\",\"kernel\":\"\"}", "kernel"},
        {"{\"al\":2,\"vcpus\":1,\"ovmf\":\"/o\",\"mode\":\"sev\"}", "mode"},
        {"{\"al\":2,\"vcpus\":1,\"ovmf\":\"/o\",\"cpu_types\":[1]}", "cpu_types[0]"},
        {"{\"al\":2,\"vcpus\":1,\"ovmf\":\"/o\",\"cpu_types\":[{\"kind\":\"x\"}]}", "kind"},
        {"{\"al\":2,\"vcpus\":1,\"ovmf\":\"/o\",\"measurements\":{\"EPYC\":{\"cpu_spec\":{\"kind\":\"type\",\"type\":"
         "\"EPYC\"},\"measurement_hex\":\"12\"}}}",
         "measurement_hex"},
        {"{\"al\":2,\"vcpus\":1,\"ovmf\":\"/"
         "o\",\"measurements\":{\"EPYC-v1\":{\"cpu_spec\":{\"kind\":\"type\",\"type\":"
         "\"EPYC\"},\"measurement_hex\":\"" DIGEST_MILAN "\"}}}",
         "cpu_spec"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree gchar *text = g_strdup_printf("{\"a\\n\":%s,\"good\":" GOOD_ENTRY "}", bad[i].entry);
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) guests = exchange_alman_expected_parse(text, -1, &error);
        const ExchangeAlmanGuest *first = NULL, *second = NULL;

        g_assert_no_error(error);
        g_assert_cmpuint(guests->len, ==, 2);
        first = g_ptr_array_index(guests, 0);
        second = g_ptr_array_index(guests, 1);
        assert_refused(first->broken, ATTEST_ERROR_UNREADABLE, bad[i].says);
        g_assert_null(strchr(first->broken->message, '\n'));
        g_assert_no_error(second->broken);
        g_assert_cmpuint(second->al, ==, 2);
        g_assert_cmpstr(second->kernel, ==, "");
    }
}

static void test_expected_usage(void)
{
    g_autoptr(PolicyReference) vcpus = fixture_changed("\"features\":\"0x1\",\"vcpus\":2,\"digest\":\"" DIGEST_MILAN,
                                                       "\"features\":\"0x1\",\"vcpus\":4,\"digest\":\"" DIGEST_MILAN);
    g_autoptr(PolicyReference) features =
        fixture_changed("\"features\":\"0x1\",\"vcpus\":2,\"digest\":\"" DIGEST_MILAN,
                        "\"features\":\"0x21\",\"vcpus\":2,\"digest\":\"" DIGEST_MILAN);
    g_autoptr(GError) error = NULL;

    g_assert_null(exchange_alman_guest_from_reference(vcpus, "", NULL, &error));
    assert_refused(error, ATTEST_ERROR_USAGE, "--vcpus");
    g_clear_error(&error);
    g_assert_null(exchange_alman_guest_from_reference(features, "", NULL, &error));
    assert_refused(error, ATTEST_ERROR_USAGE, "guest features");
}

/* ---- the corpus: the file name's middle says which of the files it is ---- */

static gboolean read_conf(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(ExchangeAlmanConf) conf = exchange_alman_conf_parse(text, (gssize)size, error);

    return conf != NULL;
}

static gboolean read_json(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(GPtrArray) guests = exchange_alman_expected_parse(text, (gssize)size, error);
    gboolean good = guests != NULL;

    for (guint i = 0; good && i < guests->len; i++)
        good = !((const ExchangeAlmanGuest *)g_ptr_array_index(guests, i))->broken;
    return good;
}

static void test_corpus(void)
{
    corpus_walk("alman/conf", read_conf, NULL);
    corpus_walk("alman", read_json, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/exchange-alman/conf", test_conf);
    g_test_add_func("/exchange-alman/conf/quotes", test_conf_quotes);
    g_test_add_func("/exchange-alman/conf/refused", test_conf_refused);
    g_test_add_func("/exchange-alman/conf/from-reference", test_conf_from_reference);
    g_test_add_func("/exchange-alman/cpus", test_cpus);
    g_test_add_func("/exchange-alman/cpus/refused", test_cpus_refused);
    g_test_add_func("/exchange-alman/cpus/from-reference", test_cpus_from_reference);
    g_test_add_func("/exchange-alman/legal", test_legal);
    g_test_add_func("/exchange-alman/expected/new", test_expected_new);
    g_test_add_func("/exchange-alman/expected/merge", test_expected_merge);
    g_test_add_func("/exchange-alman/expected/corrupt", test_expected_corrupt);
    g_test_add_func("/exchange-alman/expected/broken", test_expected_broken);
    g_test_add_func("/exchange-alman/expected/usage", test_expected_usage);
    g_test_add_func("/exchange-alman/corpus", test_corpus);
    return g_test_run();
}
