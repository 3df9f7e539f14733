/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the formats hold, against texts written by hand and, for CBOR, bytes of another encoder (python3-cbor2). What
 * the formats' own programs make of them is in tests/golden/cli/consumers.py.
 */
#include <glib/gstdio.h>

#include "measure/error.h"
#include "policy/exchange/corim.h"
#include "policy/exchange/launch-config.h"
#include "policy/exchange/savs.h"
#include "policy/exchange/shell.h"
#include "policy/exchange/toml.h"
#include "policy/exchange/trustee.h"
#include "policy/exchange/vm-config.h"
#include "policy/json.h"
#include "tests/unit/corpus-fixture.h"
#include "tests/unit/exchange-fixture.h"

/* ---- TOML ---- */

static const ExchangeTomlEntry *toml_only(const char *text, GPtrArray **owner)
{
    g_autoptr(GError) error = NULL;

    *owner = exchange_toml_parse(text, -1, "test", &error);
    g_assert_no_error(error);
    g_assert_cmpuint((*owner)->len, ==, 1);
    return g_ptr_array_index(*owner, 0);
}

static void test_toml_integers(void)
{
    static const struct {
        const char *text;
        gint64 value;
    } good[] = {{"0", 0},        {"+5", 5},     {"-17", -17},
                {"1_000", 1000}, {"0x1F", 31},  {"0xdead_beef", 0xdeadbeef},
                {"0o17", 15},    {"0b1_01", 5}, {"9223372036854775807", G_MAXINT64}};
    static const char *const bad[] = {
        "",    "01", "0x",  "0xg", "1_", "_1",  "1__0", "0X1",        "+0x1",  "1.0",
        "1e3", "1a", "0b2", "--1", "+",  "inf", "1 2",  "2026-01-01", "12:00", "9223372036854775808",
        NULL};

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autofree gchar *text = g_strdup_printf("a = %s # comment", good[i].text);
        g_autoptr(GPtrArray) owner = NULL;
        const ExchangeTomlEntry *entry = toml_only(text, &owner);

        g_assert_cmpint(entry->kind, ==, EXCHANGE_TOML_INTEGER);
        g_assert_cmpint(entry->integer, ==, good[i].value);
    }
    for (guint i = 0; bad[i]; i++) {
        g_autofree gchar *text = g_strdup_printf("x = 1\na = %s\n", bad[i]);
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) entries = exchange_toml_parse(text, -1, "test", &error);

        if (entries)
            g_error("taken: %s", text);
        assert_refused(error, ATTEST_ERROR_UNREADABLE, "test, line 2");
    }
}

static void test_toml_strings(void)
{
    static const struct {
        const char *text, *value;
    } good[] = {{"\"\"", ""},
                {"''", ""},
                {"'C:\\x\"#'", "C:\\x\"#"},
                {"\"a\\tb\\n\\\"\\\\\\b\\f\\r\"", "a\tb\n\"\\\b\f\r"},
                {"\"\\u00fc\\U0001F600\"", "ü😀"},
                {"\"tab\there\"", "tab\there"},
                {"\"ü\"", "ü"}};
    static const char *const bad[] = {"\"",
                                      "'",
                                      "\"a",
                                      "'a\"",
                                      "\"\\x41\"",
                                      "\"\\u12\"",
                                      "\"\\ud800\"",
                                      "\"\\u0000\"",
                                      "\"\\U00110000\"",
                                      "\"\\e\"",
                                      "\"\"\"a\"\"\"",
                                      "'''a'''",
                                      "\"a\" b",
                                      "\"a\x7f\"",
                                      NULL};

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autofree gchar *text = g_strdup_printf("[\"t x\"]\r\n'k y'\t=\t%s\r\n", good[i].text);
        g_autofree gchar *quoted = exchange_toml_quote(good[i].value);
        g_autofree gchar *round = g_strdup_printf("q = %s", quoted);
        g_autoptr(GPtrArray) owner = NULL;
        g_autoptr(GPtrArray) again = NULL;
        const ExchangeTomlEntry *entry = toml_only(text, &owner);

        g_assert_cmpstr(entry->table, ==, "t x");
        g_assert_cmpstr(entry->key, ==, "k y");
        g_assert_cmpuint(entry->line, ==, 2);
        g_assert_cmpstr(entry->string, ==, good[i].value);
        g_assert_cmpstr(toml_only(round, &again)->string, ==, good[i].value);
    }
    for (guint i = 0; bad[i]; i++) {
        g_autofree gchar *text = g_strdup_printf("a = %s\n", bad[i]);
        g_autoptr(GPtrArray) entries = exchange_toml_parse(text, -1, "test", NULL);

        if (entries)
            g_error("taken: %s", text);
    }
}

static void test_toml_other(void)
{
    static const char array_text[] = "a = [ # first\n  1,\n\n  -2, 0x10,\n]\n";
    g_autoptr(GPtrArray) arrays = NULL;
    g_autoptr(GPtrArray) booleans = NULL;
    const ExchangeTomlEntry *entry = toml_only(array_text, &arrays);
    static const char *const bad[] = {"a = 1\na = 2",
                                      "[t]\n[t]",
                                      "[t]\na=1\n\"a\"=2",
                                      "t = 1\n[t]",
                                      "[[t]]",
                                      "[t.u]",
                                      "a.b = 1",
                                      "a = {b = 1}",
                                      "a = [\"x\"]",
                                      "a = [1",
                                      "a = [1 2]",
                                      "a = [,]",
                                      "a",
                                      "= 1",
                                      "a = ",
                                      "[t",
                                      "[t] x",
                                      "a = truth",
                                      "a = 1 b = 2",
                                      "a = 1\rb = 2",
                                      "# \x01",
                                      "[]",
                                      "a = [true]",
                                      NULL};

    g_assert_cmpint(entry->kind, ==, EXCHANGE_TOML_INTEGERS);
    g_assert_cmpuint(entry->integers->len, ==, 3);
    g_assert_cmpint(g_array_index(entry->integers, gint64, 1), ==, -2);
    g_assert_cmpint(g_array_index(entry->integers, gint64, 2), ==, 16);
    g_assert_true(toml_only("a-b_1=true", &booleans)->boolean);
    for (guint i = 0; bad[i]; i++) {
        g_autoptr(GPtrArray) entries = exchange_toml_parse(bad[i], -1, "test", NULL);

        if (entries)
            g_error("taken: %s", bad[i]);
    }
    g_assert_null(exchange_toml_parse("a = 1\0b = 2", 11, "test", NULL));
}

/* ---- vm-config.toml ---- */

static const char vm_config[] = "host_cpu_family = \"Milan\"\n"
                                "vcpu_count = 2\n"
                                "ovmf_file = \"/fw/OVMF.fd\"\n"
                                "guest_features = 0x1\n"
                                "kernel_file = \"/boot/vmlinuz\"\n"
                                "initrd_file = \"/boot/initrd\"\n"
                                "kernel_cmdline = \"root=/dev/vda2 a=\\\"b c\\\" 'quoted' $(x) `y` \\\\ &\"\n"
                                "platform_info = 0x1\n"
                                "guest_policy = 0x30000\n"
                                "family_id = \"000102030405060708090a0b0c0d0e0f\"\n"
                                "image_id = \"101112131415161718191a1b1c1d1e1f\"\n"
                                "\n"
                                "[min_commited_tcb]\n"
                                "bootloader = 3\n"
                                "tee = 0\n"
                                "snp = 14\n"
                                "microcode = 209\n"
                                "_reserved = [0, 0, 0, 0]\n";

static PolicyReference *openend2e_fixture(void)
{
    return fixture_changed(FIXTURE_MEASUREMENT_MILAN "," FIXTURE_MEASUREMENT_SIGNATURE,
                           "{\"cpu\":\"EPYC-v4\",\"signature\":\"0x800f12\",\"features\":\"0x1\",\"vcpus\":2,"
                           "\"digest\":\"" DIGEST_MILAN "\"}");
}

static void test_vm_config_write(void)
{
    g_autoptr(PolicyReference) reference = openend2e_fixture();
    g_autoptr(GError) error = NULL;
    g_autoptr(ExchangeVmConfig) config = exchange_vm_config_from_reference(reference, &error);
    g_autofree gchar *text = config ? exchange_vm_config_format(config) : NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, vm_config);
}

static void test_vm_config_read(void)
{
    g_autofree gchar *text = g_strconcat("mine = true\n", vm_config, "more = 1\n[other]\nx = 'y'\n", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(ExchangeVmConfig) config = exchange_vm_config_parse(text, -1, &error);
    g_autoptr(XmlCompose) compose = NULL;
    g_autoptr(PolicyReference) reference = fixture();
    g_autofree gchar *xml = NULL;
    g_autofree gchar *again = NULL;

    g_assert_no_error(error);
    g_assert_cmpuint(config->unknown->len, ==, 3);
    g_assert_cmpstr(config->unknown->pdata[0], ==, "mine");
    g_assert_cmpstr(config->unknown->pdata[1], ==, "min_commited_tcb.more");
    g_assert_cmpstr(config->unknown->pdata[2], ==, "other.x");
    again = exchange_vm_config_format(config);
    g_assert_cmpstr(again, ==, vm_config);
    compose = exchange_vm_config_to_compose(config, "guest", &error);
    g_assert_no_error(error);
    xml = xml_compose_format(compose, &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(xml, "<cmdline>root=/dev/vda2 a=\"b c\" 'quoted' $(x) `y` \\ &amp;</cmdline>"));
    g_assert_nonnull(strstr(xml, "EPYC-v4"));
    g_assert_nonnull(strstr(xml, "kernelHashes=\"yes\""));
    reference->has_platform_info = reference->has_minimum_tcb = FALSE;
    exchange_vm_config_to_reference(config, reference);
    g_assert_cmpstr(reference->product, ==, "Milan");
    g_assert_cmpuint(reference->minimum_tcb.microcode, ==, 209);
    g_assert_cmpint(reference->minimum_tcb.fmc, ==, -1);
    g_assert_cmphex(reference->platform_info_mask, ==, G_MAXUINT64);
    g_assert_null(policy_reference_rules_invalid(reference));
}

/* Without any of its keys, and with any of them wrong, the file is refused. */
static void test_vm_config_refused(void)
{
    static const struct {
        const char *line, *instead, *says;
    } bad[] = {
        {"host_cpu_family = \"Milan\"", "host_cpu_family = \"Turin\"", "Turin"},
        {"vcpu_count = 2", "vcpu_count = 0", "vcpu_count"},
        {"vcpu_count = 2", "vcpu_count = -1", "vcpu_count"},
        {"vcpu_count = 2", "vcpu_count = \"2\"", "vcpu_count"},
        {"guest_features = 0x1", "guest_features = -1", "guest_features"},
        {"kernel_file = \"/boot/vmlinuz\"", "kernel_file = \"\"", "empty"},
        {"kernel_file = \"/boot/vmlinuz\"", "kernel_file = 1", "string"},
        {"image_id = \"10", "image_id = \"", "image_id"},
        {"image_id = \"10", "image_id = \"1g", "image_id"},
        {"microcode = 209", "microcode = 256", "microcode"},
        {"[0, 0, 0, 0]", "[0, 0, 0, 1]", "_reserved"},
        {"[0, 0, 0, 0]", "[0, 0, 0]", "_reserved"},
        {"[min_commited_tcb]", "[min_committed_tcb]", "min_commited_tcb.bootloader"},
    };
    g_auto(GStrv) lines = g_strsplit(vm_config, "\n", -1);

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        const char *at = strstr(vm_config, bad[i].line);
        g_autofree gchar *head = g_strndup(vm_config, (gsize)(at - vm_config));
        g_autofree gchar *text = g_strconcat(head, bad[i].instead, at + strlen(bad[i].line), NULL);
        g_autoptr(GError) error = NULL;

        g_assert_null(exchange_vm_config_parse(text, -1, &error));
        assert_refused(error, ATTEST_ERROR_UNREADABLE, bad[i].says);
    }
    for (guint skip = 0; lines[skip] && *lines[skip + 1]; skip++) {
        g_autoptr(GString) text = g_string_new(NULL);
        g_autoptr(GError) error = NULL;

        if (!strchr(lines[skip], '='))
            continue;
        for (guint i = 0; lines[i]; i++)
            g_string_append_printf(text, "%s\n", i == skip ? "" : lines[i]);
        g_assert_null(exchange_vm_config_parse(text->str, -1, &error));
        assert_refused(error, ATTEST_ERROR_UNREADABLE, "has no");
    }
}

static void test_vm_config_usage(void)
{
    static const struct {
        const char *old_part, *new_part, *says;
    } bad[] = {
        {"\"product\":\"Milan\",", "", "--product"},
        {"\"product\":\"Milan\"", "\"product\":\"Turin\"", "Turin"},
        {"\"minimumTcb\":{\"bootloader\":3,\"tee\":0,\"snp\":14,\"microcode\":209},", "", "--minimum-tcb"},
        {"\"mask\":\"0xffffffffffffffff\"", "\"mask\":\"0x1f\"", "--platform-info"},
        {"\"policy\":\"0x30000\"", "\"policy\":\"0x30000\"", "no measurement for it"},
        /* With other CPU types beside the one that openend2e launches with, these would be lost. */
        {"\"cpu\":\"0xa00f12\",\"signature\":\"0xa00f12\"", "\"cpu\":\"EPYC-v4\",\"signature\":\"0x800f12\"",
         "choose EPYC-v4 with --cpu"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(PolicyReference) reference = fixture_changed(bad[i].old_part, bad[i].new_part);
        g_autoptr(GError) error = NULL;

        g_assert_null(exchange_vm_config_from_reference(reference, &error));
        assert_refused(error, ATTEST_ERROR_USAGE, bad[i].says);
    }
}

/* ---- launch-config.json, kernel-params.txt ---- */

static void test_launch_config(void)
{
    static const char written[] =
        "{\n  \"vcpu-model\": \"EPYC-Milan\",\n  \"vcpu-count\": 2,\n  \"guest-policy\": \"0x30000\"\n}";
    g_autoptr(PolicyReference) reference = fixture_single();
    g_autoptr(PolicyReference) two = fixture();
    g_autoptr(PolicyReference) unnamed = fixture_changed(FIXTURE_MEASUREMENT_MILAN ",", "");
    g_autoptr(GError) error = NULL;
    g_autoptr(ExchangeLaunchConfig) config = exchange_launch_config_from_reference(reference, &error);
    g_autofree gchar *text = config ? exchange_launch_config_format(config) : NULL;
    g_autoptr(ExchangeLaunchConfig) back = NULL;
    g_autofree gchar *again = NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, written);
    back = exchange_launch_config_parse(text, -1, &error);
    g_assert_no_error(error);
    again = exchange_launch_config_format(back);
    g_assert_cmpstr(again, ==, written);
    g_clear_pointer(&back, exchange_launch_config_free);
    back = exchange_launch_config_parse(
        "{\"later\":[{}],\"guest-policy\":\"0xB0000\",\"vcpu-count\":4,\"vcpu-model\":\"EPYC-Turin\"}", -1, &error);
    g_assert_no_error(error);
    g_assert_cmphex(back->guest_policy, ==, 0xb0000);
    g_assert_cmpstr(back->vcpu_model, ==, "EPYC-Turin");
    g_assert_null(exchange_launch_config_from_reference(two, &error));
    assert_refused(error, ATTEST_ERROR_USAGE, "--cpu");
    g_clear_error(&error);
    g_assert_null(exchange_launch_config_from_reference(unnamed, &error));
    assert_refused(error, ATTEST_ERROR_USAGE, "signature only");
}

static void test_launch_config_refused(void)
{
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"vcpu-model\":\"EPYC-Milan\",\"vcpu-count\":2}",
        "{\"vcpu-model\":\"Z80\",\"vcpu-count\":2,\"guest-policy\":\"0x30000\"}",
        "{\"vcpu-model\":\"EPYC-Milan\",\"vcpu-count\":0,\"guest-policy\":\"0x30000\"}",
        "{\"vcpu-model\":\"EPYC-Milan\",\"vcpu-count\":5000,\"guest-policy\":\"0x30000\"}",
        "{\"vcpu-model\":\"EPYC-Milan\",\"vcpu-count\":\"2\",\"guest-policy\":\"0x30000\"}",
        "{\"vcpu-model\":\"EPYC-Milan\",\"vcpu-count\":2,\"guest-policy\":196608}",
        "{\"vcpu-model\":\"EPYC-Milan\",\"vcpu-count\":2,\"guest-policy\":\"30000\"}",
        "{\"vcpu-model\":\"EPYC-Milan\",\"vcpu-count\":2,\"guest-policy\":\"0x30000\",\"vcpu-count\":2}",
        NULL};

    for (guint i = 0; bad[i]; i++) {
        g_autoptr(GError) error = NULL;

        if (exchange_launch_config_parse(bad[i], -1, &error))
            g_error("taken: %s", bad[i]);
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
}

static void test_kernel_params(void)
{
    static const char blanks[] = "  a=b  c ";
    g_autofree gchar *longest = g_strnfill(2047, 'x');
    g_autofree gchar *longer = g_strnfill(2048, 'x');
    g_autoptr(GError) error = NULL;
    g_autofree gchar *same = exchange_kernel_params_parse(blanks, strlen(blanks), &error);
    g_autofree gchar *none = exchange_kernel_params_parse("", 0, &error);
    g_autofree gchar *most = exchange_kernel_params_parse(longest, 2047, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(same, ==, blanks);
    g_assert_cmpstr(none, ==, "");
    g_assert_cmpstr(most, ==, longest);
    g_assert_null(exchange_kernel_params_parse("quiet\n", 6, &error));
    assert_refused(error, ATTEST_ERROR_UNREADABLE, "newline");
    g_assert_null(exchange_kernel_params_parse("a\0b", 3, NULL));
    g_assert_null(exchange_kernel_params_parse("a\tb", 3, NULL));
    g_assert_null(exchange_kernel_params_parse("\xff", 1, NULL));
    g_assert_null(exchange_kernel_params_parse(longer, 2048, NULL));
}

/* ---- SAVS ---- */

static const char savs_text[] =
    "{\n  \"guest\": {\n    \"delete_session_after_success\": true,\n"
    "    \"expected_fields\": [\n"
    "      {\n        \"expected_hex\": \"2c010000\",\n        \"length\": 4,\n        \"name\": \"guest_svn\",\n      "
    "  \"offset\": 4\n      },\n"
    "      {\n        \"expected_hex\": \"000102030405060708090a0b0c0d0e0f\",\n        \"length\": 16,\n        "
    "\"name\": \"family_id\",\n        \"offset\": 16\n      },\n"
    "      {\n        \"expected_hex\": \"101112131415161718191a1b1c1d1e1f\",\n        \"length\": 16,\n        "
    "\"name\": \"image_id\",\n        \"offset\": 32\n      },\n"
    "      {\n        \"expected_hex\": \"" HEX48(
        "11") "\",\n        \"length\": 48,\n        \"name\": \"id_key_digest\",\n        \"offset\": 224\n      },\n"
              "      {\n        \"expected_hex\": \"" HEX48(
                  "22") "\",\n        \"length\": 48,\n        \"name\": \"author_key_digest\",\n        \"offset\": "
                        "272\n      },\n"
                        "      {\n        \"expected_hex\": \"" HOST_DATA
                        "\",\n        \"length\": 32,\n        \"name\": \"host_data\",\n        \"offset\": 192\n     "
                        " },\n"
                        "      {\n        \"expected_hex\": \"0100000000000000\",\n        \"length\": 8,\n        "
                        "\"name\": \"platform_info\",\n        \"offset\": 64\n      }\n"
                        "    ],\n"
                        "    \"expected_measurement_hex\": \"" DIGEST_MILAN "\",\n"
                        "    \"forbidden_flags_bits_set\": \"0x1c\",\n"
                        "    \"forbidden_policy_bits_set\": \"0xfffffffffffcffff\",\n"
                        "    \"min_tcb\": {\n      \"blSPL\": 3,\n      \"snpSPL\": 14,\n      \"teeSPL\": 0,\n      "
                        "\"ucodeSPL\": 209\n    },\n"
                        "    \"nonce_ttl_seconds\": 300,\n    \"product_name\": \"Milan\",\n"
                        "    \"required_flags_bits_set\": \"0x1\",\n    \"required_policy_bits_set\": \"0x30000\"\n  "
                        "}\n}\n";

static void test_savs(void)
{
    g_autoptr(PolicyReference) one = fixture_single();
    g_autoptr(PolicyReference) two = fixture();
    g_autoptr(GError) error = NULL;
    g_autofree gchar *text = exchange_savs_format(one, &error);
    g_autofree gchar *both = exchange_savs_format(two, &error);
    g_autoptr(GPtrArray) unbound = NULL;
    g_autoptr(GPtrArray) digests = NULL;
    const ExchangeDigest *first = NULL, *second = NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, savs_text);
    digests = exchange_savs_parse(both, -1, &unbound, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(unbound->len, ==, 0);
    g_assert_cmpuint(digests->len, ==, 2);
    first = g_ptr_array_index(digests, 0);
    second = g_ptr_array_index(digests, 1);
    g_assert_cmpstr(first->label, ==, "guest-0xa00f12");
    g_assert_cmphex(first->bytes[0], ==, 0xb2);
    g_assert_cmpstr(second->label, ==, "guest-EPYC-Milan");
    g_assert_cmphex(second->bytes[0], ==, 0xa1);
}

static void test_savs_read(void)
{
    static const char text[] =
        "{\"open\":{\"product_name\":\"Milan\"},"
        "\"UPPER\":{\"product_name\":\"Milan\",\"expected_measurement_hex\":\"" HEX48(
            "AB") "\","
                  "\"required_policy_bits_set\":196608,\"forbidden_policy_bits_set\":\"0xB0000\","
                  "\"allowed_report_versions\":[2,4],\"chip_id_allowlist_hex\":[\"" HEX48("01") HEX8("02")
                      HEX8("03") "\"],"
                                 "\"min_tcb\":{\"blSPL\":1},\"expected_fields\":[{\"offset\":0,\"length\":1,\"expected_"
                                 "hex\":\"02\"}]}}";
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) unbound = NULL;
    g_autoptr(GPtrArray) digests = exchange_savs_parse(text, -1, &unbound, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(digests->len, ==, 1);
    g_assert_cmphex(((const ExchangeDigest *)digests->pdata[0])->bytes[47], ==, 0xab);
    g_assert_cmpuint(unbound->len, ==, 1);
    g_assert_cmpstr(unbound->pdata[0], ==, "open");
}

#define MEASUREMENT(cpu, signature, byte)                                                                              \
    "{\"cpu\":\"" cpu "\",\"signature\":\"" signature                                                                  \
    "\",\"features\":\"0x1\",\"vcpus\":2,\"digest\":\"" HEX48(byte) "\"}"

/* One CPU type with three signatures: no measurement takes another's name. */
static void test_savs_names(void)
{
    static const struct {
        const char *label;
        guint8 byte;
    } expected[] = {
        {"guest-EPYC-Milan", 0xa1}, {"guest-EPYC-Milan-2-0x1", 0xb2}, {"guest-EPYC-Milan-2-0x1-0xa00f13", 0xb3}};
    g_autoptr(PolicyReference) reference =
        fixture_changed(FIXTURE_MEASUREMENT_SIGNATURE, MEASUREMENT("EPYC-Milan", "0xa00f12", "b2") "," MEASUREMENT(
                                                           "EPYC-Milan", "0xa00f13", "b3"));
    g_autoptr(GError) error = NULL;
    g_autofree gchar *text = exchange_savs_format(reference, &error);
    g_autoptr(GPtrArray) unbound = NULL;
    g_autoptr(GPtrArray) digests = NULL;

    g_assert_no_error(error);
    digests = exchange_savs_parse(text, -1, &unbound, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(digests->len, ==, G_N_ELEMENTS(expected));
    for (gsize i = 0; i < G_N_ELEMENTS(expected); i++) {
        const ExchangeDigest *each = g_ptr_array_index(digests, i);

        g_assert_cmpstr(each->label, ==, expected[i].label);
        g_assert_cmphex(each->bytes[0], ==, expected[i].byte);
    }
}

static void test_savs_usage(void)
{
    static const struct {
        const char *old_part, *new_part, *says;
    } bad[] = {
        {"\"product\":\"Milan\",", "", "--product"},
        {"\"product\":\"Milan\"", "\"product\":\"Turin\"", "Turin"},
        {"\"vcek\":true", "\"vcek\":false", "VCEK"},
        /* The third name, with the signature in it, is that of another CPU type. */
        {FIXTURE_MEASUREMENT_SIGNATURE,
         MEASUREMENT("EPYC-Milan", "0xa00f12", "b2") "," MEASUREMENT("EPYC-Milan-2-0x1-0xa00f13", "0xa00f14", "b3") ","
         MEASUREMENT("EPYC-Milan", "0xa00f13", "b4"), "guest-EPYC-Milan-2-0x1-0xa00f13"},
        {"\"mask\":\"0xffffffffffffffff\"", "\"mask\":\"0x1f\"", "mask"},
    };
    g_autoptr(PolicyReference) siena = fixture_changed("\"product\":\"Milan\"", "\"product\":\"Siena\"");
    g_autofree gchar *text = exchange_savs_format(siena, NULL);

    /* The key server has no Siena: it is Genoa there. */
    g_assert_nonnull(strstr(text, "\"product_name\": \"Genoa\""));
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(PolicyReference) reference = fixture_changed(bad[i].old_part, bad[i].new_part);
        g_autoptr(GError) error = NULL;

        g_assert_null(exchange_savs_format(reference, &error));
        assert_refused(error, ATTEST_ERROR_USAGE, bad[i].says);
    }
}

/* ---- Trustee ---- */

static JsonArray *array_of(JsonNode *root, const char *name)
{
    JsonArray *array = NULL;
    g_autoptr(GError) error = NULL;

    policy_json_array(json_node_get_object(root), "", name, FALSE, &array, &error);
    g_assert_no_error(error);
    return array;
}

static void check_values(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) root = policy_json_parse(text, -1, 1 << 20, "values", &error);
    JsonObject *object = NULL;

    g_assert_no_error(error);
    object = json_node_get_object(root);
    g_assert_cmpuint(json_object_get_size(object), ==, 11);
    g_assert_cmpuint(json_array_get_length(array_of(root, "snp_launch_measurement")), ==, 2);
    g_assert_cmpstr(json_array_get_string_element(array_of(root, "snp_launch_measurement"), 0), ==, DIGEST_MILAN);
    g_assert_cmpstr(json_array_get_string_element(array_of(root, "snp_launch_measurement"), 1), ==, DIGEST_SIGNATURE);
    g_assert_cmpuint(json_array_get_length(array_of(root, "snp_microcode")), ==, 256 - 209);
    g_assert_cmpint(json_array_get_int_element(array_of(root, "snp_microcode"), 0), ==, 209);
    g_assert_cmpint(json_array_get_int_element(array_of(root, "snp_bootloader"), 0), ==, 3);
    g_assert_cmpint(json_array_get_int_element(array_of(root, "snp_snp_svn"), 0), ==, 14);
    g_assert_cmpint(json_array_get_int_element(array_of(root, "snp_tee_svn"), 255), ==, 255);
    g_assert_true(json_object_get_boolean_member(object, "snp_smt_allowed"));
    g_assert_false(json_object_get_boolean_member(object, "snp_single_socket"));
    g_assert_true(json_object_get_boolean_member(object, "snp_smt_enabled"));
    g_assert_false(json_object_get_boolean_member(object, "snp_tsme_enabled"));
    g_assert_cmpint(json_object_get_int_member(object, "snp_guest_abi_major"), ==, 0);
    g_assert_cmpint(json_object_get_int_member(object, "snp_guest_abi_minor"), ==, 0);
}

/* Of the platform information Trustee knows two bits. */
static PolicyReference *trustee_fixture(void)
{
    return fixture_changed("\"mask\":\"0xffffffffffffffff\"", "\"mask\":\"0x3\"");
}

static void test_rvps(void)
{
    g_autoptr(PolicyReference) reference = trustee_fixture();
    g_autoptr(GError) error = NULL;
    g_autofree gchar *text = exchange_rvps_format(reference, &error);
    g_autofree gchar *message = exchange_rvps_message_format(reference, &error);
    g_autoptr(GPtrArray) direct = NULL;
    g_autoptr(GPtrArray) wrapped = NULL;
    g_autoptr(JsonNode) root = NULL;
    g_autofree guchar *payload = NULL;
    g_autofree gchar *inner = NULL;
    gsize size = 0;

    g_assert_no_error(error);
    check_values(text);
    root = policy_json_parse(message, -1, 1 << 20, "message", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(json_object_get_string_member(json_node_get_object(root), "version"), ==, "0.1.0");
    g_assert_cmpstr(json_object_get_string_member(json_node_get_object(root), "type"), ==, "sample");
    payload = g_base64_decode(json_object_get_string_member(json_node_get_object(root), "payload"), &size);
    inner = g_strndup((const gchar *)payload, size);
    check_values(inner);
    direct = exchange_rvps_parse(text, -1, &error);
    wrapped = exchange_rvps_parse(message, -1, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(direct->len, ==, 2);
    g_assert_cmpuint(wrapped->len, ==, 2);
    g_assert_cmphex(((const ExchangeDigest *)wrapped->pdata[1])->bytes[3], ==, 0xb2);
}

static void test_trustee_policy(void)
{
    static const char *const lines[] = {
        "package policy\n",
        "default executables := 33\n",
        "\nmeasurements := [\n\t\"" DIGEST_MILAN "\",\n\t\"" DIGEST_SIGNATURE "\"\n]\n",
        "\nexecutables := 3 if {\n\tinput.snp.measurement in measurements\n}\n",
        "\nhardware := 2 if {\n\tinput.snp.reported_tcb_bootloader >= 3\n\tinput.snp.reported_tcb_tee >= 0\n"
        "\tinput.snp.reported_tcb_snp >= 14\n\tinput.snp.reported_tcb_microcode >= 209\n}\n",
        "\tinput.snp.policy_smt_allowed == true\n\tinput.snp.policy_migrate_ma == false\n"
        "\tinput.snp.policy_debug_allowed == false\n\tinput.snp.policy_single_socket == false\n"
        "\tinput.snp.platform_smt_enabled == true\n\tinput.snp.platform_tsme_enabled == false\n"
        "\tinput.snp.init_data == \"" HOST_DATA "\"\n}\n",
        NULL};
    g_autoptr(PolicyReference) reference = trustee_fixture();
    g_autoptr(PolicyReference) bare = fixture_changed(FIXTURE_RULES, "");
    g_autofree gchar *text = exchange_trustee_policy_format(reference, NULL);
    g_autofree gchar *less = exchange_trustee_policy_format(bare, NULL);

    for (guint i = 0; lines[i]; i++) {
        if (!strstr(text, lines[i]))
            g_error("not in the policy: %s", lines[i]);
    }
    g_assert_null(strstr(less, "hardware := 2"));
    g_assert_null(strstr(less, "platform_"));
}

/* Rules that Trustee would not check. */
static void test_trustee_usage(void)
{
    gchar *(*const writers[])(const PolicyReference *, GError **) = {
        exchange_rvps_format, exchange_rvps_message_format, exchange_trustee_policy_format};

    for (gsize i = 0; i < G_N_ELEMENTS(writers); i++) {
        g_autoptr(PolicyReference) fmc = trustee_fixture();
        g_autoptr(PolicyReference) third = trustee_fixture();
        g_autoptr(GError) no_fmc = NULL;
        g_autoptr(GError) no_third = NULL;

        fmc->minimum_tcb.fmc = 0;
        g_assert_null(writers[i](fmc, &no_fmc));
        assert_refused(no_fmc, ATTEST_ERROR_USAGE, "fmc");
        third->platform_info_mask = 0x4;
        third->platform_info = 0;
        g_assert_null(writers[i](third, &no_third));
        assert_refused(no_third, ATTEST_ERROR_USAGE, "0x3");
    }
}

static void check_left_out(const PolicyReference *reference, guint has, guint64 bits, const char *expected)
{
    g_autofree gchar *text = exchange_left_out(reference, has, bits);

    g_assert_cmpstr(text, ==, expected);
}

static void test_left_out(void)
{
    g_autoptr(PolicyReference) reference = fixture();
    g_autoptr(PolicyReference) bare = fixture_changed(FIXTURE_RULES, "");

    check_left_out(reference, 0, 0,
                   "host data, key digests, family and image ID, guest SVN, product, minimum TCB, platform "
                   "information");
    check_left_out(reference, EXCHANGE_HAS_HOST_DATA | EXCHANGE_HAS_PRODUCT, 0,
                   "key digests, family and image ID, guest SVN, minimum TCB, platform information");
    check_left_out(reference, G_MAXUINT, 0, NULL);
    g_clear_pointer(&bare->identity, g_free);
    g_clear_pointer(&bare->host_data, g_free);
    check_left_out(bare, 0, 0, NULL);
    bare->id_block_sha256 = g_strdup(SHA_A);
    check_left_out(bare, G_MAXUINT, 0, "the ID block, of which only a digest is known");
    g_clear_pointer(&bare->id_block_sha256, g_free);
    /* Bits of a policy, SEV-SNP Firmware ABI (56860), section 4.3. */
    bare->policy = 0x20000 | 0x137 | 1 << 19 | 1 << 21 | 1 << 24;
    check_left_out(bare, 0, G_MAXUINT64, NULL);
    check_left_out(bare, 0, EXCHANGE_TRUSTEE_POLICY_BITS, "guest policy 0x1200000 (cxl,ciphertext-hiding)");
    check_left_out(bare, 0, EXCHANGE_RVPS_POLICY_BITS, "guest policy 0x1280000 (debug,cxl,ciphertext-hiding)");
    check_left_out(bare, 0, 0, "guest policy 0x1290137 (smt,debug,cxl,ciphertext-hiding,abi=1.55)");
}

/* ---- CoRIM ---- */

/* cbor2.dumps() of the structure that the profile describes, with 48 bytes 0xa1 and version 300. */
static const char corim_hex[] =
    "d901f5a300781e414d442f5345562d534e502f6c61756e63682d6d6561737572656d656e740181d901fa58f1a201a100"
    "782437376538303631652d343633342d356535332d613834382d64316430396539393638343304a2008182a100a20163"
    "414d4402675345562d534e5081a2006b4d4541535552454d454e5401a1028182075830a1a1a1a1a1a1a1a1a1a1a1a1a1"
    "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a108818282a100a20163414d4402"
    "675345562d534e5080818281a2006b4d4541535552454d454e5401a1028182075830a1a1a1a1a1a1a1a1a1a1a1a1a1a1"
    "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a181a101a101d9022819012c03d820"
    "782c7461673a6d6963726f736f66742e636f6d2c323032363a6c61756e63682d6d6561737572656d656e742f7631";

static void test_corim(void)
{
    g_autoptr(PolicyReference) reference = fixture_single();
    g_autoptr(PolicyReference) two = fixture();
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = exchange_corim_format(reference, &error);
    g_autofree gchar *hex = NULL;
    g_autoptr(GPtrArray) digests = NULL;
    const ExchangeDigest *digest = NULL;

    g_assert_no_error(error);
    hex = measure_hex_encode(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    g_assert_cmpstr(hex, ==, corim_hex);
    digests = exchange_corim_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &error);
    g_assert_no_error(error);
    g_assert_cmpuint(digests->len, ==, 1);
    digest = g_ptr_array_index(digests, 0);
    g_assert_cmphex(digest->bytes[0], ==, 0xa1);
    g_assert_true(digest->has_svn);
    g_assert_cmpuint(digest->svn, ==, 300);
    g_assert_null(exchange_corim_format(two, &error));
    assert_refused(error, ATTEST_ERROR_USAGE, "--cpu");
}

/* A launch without an ID block has version 0; one with an ID block that nobody explains has none that is known. */
static void test_corim_version(void)
{
    g_autoptr(PolicyReference) plain = fixture_single();
    g_autoptr(PolicyReference) unknown = fixture_single();
    g_autoptr(GBytes) zero = NULL;
    g_autoptr(GBytes) none = NULL;
    g_autoptr(GPtrArray) with = NULL;
    g_autoptr(GPtrArray) without = NULL;

    g_clear_pointer(&plain->identity, g_free);
    g_clear_pointer(&unknown->identity, g_free);
    unknown->id_block_sha256 = g_strdup(SHA_A);
    zero = exchange_corim_format(plain, NULL);
    none = exchange_corim_format(unknown, NULL);
    with = exchange_corim_parse(g_bytes_get_data(zero, NULL), g_bytes_get_size(zero), NULL);
    without = exchange_corim_parse(g_bytes_get_data(none, NULL), g_bytes_get_size(none), NULL);
    g_assert_true(((const ExchangeDigest *)with->pdata[0])->has_svn);
    g_assert_cmpuint(((const ExchangeDigest *)with->pdata[0])->svn, ==, 0);
    g_assert_false(((const ExchangeDigest *)without->pdata[0])->has_svn);
}

/* Every single changed byte is refused or gives another digest or version, never a crash or the old answer. */
static void test_corim_bytes(void)
{
    gsize size = strlen(corim_hex) / 2;
    g_autofree guint8 *good = g_malloc(size);
    guint refused = 0, other = 0;

    g_assert_true(measure_hex_decode(corim_hex, good, size));
    for (gsize i = 0; i < size; i++) {
        for (guint bit = 0; bit < 8; bit++) {
            g_autofree guint8 *bad = g_memdup2(good, size);
            g_autoptr(GPtrArray) digests = NULL;

            bad[i] ^= (guint8)(1 << bit);
            digests = exchange_corim_parse(bad, size, NULL);
            refused += !digests;
            other += digests != NULL;
            if (digests) {
                const ExchangeDigest *digest = g_ptr_array_index(digests, 0);
                gboolean same = digest->svn == 300;

                for (guint j = 0; j < sizeof(digest->bytes); j++)
                    same = same && digest->bytes[j] == 0xa1;
                /* The ID of the document is free text, and letters of the tag's ID may be of either case. */
                if (same && (i < 5 || i >= 36) && !g_ascii_isalpha(good[i]))
                    g_error("byte %" G_GSIZE_FORMAT " may be anything", i);
            }
        }
        g_assert_null(exchange_corim_parse(good, i, NULL));
    }
    g_assert_cmpuint(refused, >, 2000);
    g_assert_cmpuint(other, >, 10);
}

/* ---- shell ---- */

static gchar *shell_value(const char *file, const char *name)
{
    g_autofree gchar *command = g_strdup_printf(". '%s'; printf '%%s' \"$%s\"", file, name);
    const char *const argv[] = {"/bin/dash", "-eu", "-c", command, NULL};
    gchar *output = NULL;
    g_autofree gchar *errors = NULL;
    gint status = 0;

    g_assert_true(
        g_spawn_sync(NULL, (gchar **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output, &errors, &status, NULL));
    g_assert_cmpint(status, ==, 0);
    g_assert_cmpstr(errors, ==, "");
    return output;
}

static void check_shell(const char *cmdline)
{
    g_autoptr(PolicyReference) reference = fixture();
    g_autofree gchar *folder = g_dir_make_tmp("virt-attest-XXXXXX", NULL);
    g_autofree gchar *file = g_build_filename(folder, "values", NULL);
    g_autofree gchar *text = NULL;
    static const struct {
        const char *name, *value;
    } expected[] = {{"ATTEST_NAME", "guest"},
                    {"ATTEST_POLICY", "0x30000"},
                    {"ATTEST_MEASUREMENTS", "2"},
                    {"ATTEST_CPU_2", "0xa00f12"},
                    {"ATTEST_VCPUS_1", "2"},
                    {"ATTEST_FPU_2", ""},
                    {"ATTEST_MEASUREMENT_1", DIGEST_MILAN},
                    {"ATTEST_KERNEL_SHA256", SHA_B},
                    {"ATTEST_ROOT_HASH", ""},
                    {"ATTEST_HOST_DATA", HOST_DATA},
                    {"ATTEST_PLATFORM", "sev-snp"},
                    {"ATTEST_FIRMWARE", "/fw/OVMF.fd"},
                    {"ATTEST_MINIMUM_TCB", "bootloader=3,tee=0,snp=14,microcode=209"}};

    if (cmdline) {
        PolicyReferenceInput *input = g_ptr_array_index(reference->inputs, 3);

        g_assert_cmpstr(input->role, ==, "cmdline");
        g_free(input->text);
        input->text = g_strdup(cmdline);
    }
    text = exchange_shell_format(reference);
    g_assert_true(g_file_set_contents(file, text, -1, NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(expected) && !cmdline; i++) {
        g_autofree gchar *value = shell_value(file, expected[i].name);

        g_assert_cmpstr(value, ==, expected[i].value);
    }
    {
        g_autofree gchar *value = shell_value(file, "ATTEST_CMDLINE");

        g_assert_cmpstr(value, ==, cmdline ? cmdline : CMDLINE);
    }
    g_assert_cmpint(g_unlink(file), ==, 0);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
}

static void test_shell(void)
{
    static const char *const lines[] = {
        "'", "''\\'''", "'; touch /nonexistent/x; '", "\n$(exit 3)\n", "\\", "a\\", "\"$HOME\" `id`", "ü ~ * ? # !",
        "",  NULL};

    if (!g_file_test("/bin/dash", G_FILE_TEST_IS_EXECUTABLE)) {
        g_test_skip("no dash");
        return;
    }
    check_shell(NULL);
    for (guint i = 0; lines[i]; i++)
        check_shell(lines[i]);
}

/* ---- other platforms, corpora ---- */

static void test_snp_only(void)
{
    g_autoptr(PolicyReference) reference = fixture_single();
    g_autofree gchar *text = NULL;
    g_autoptr(GError) errors = NULL;

    reference->platform = MEASURE_PLATFORM_SEV_ES;
    g_assert_null(exchange_savs_format(reference, NULL));
    g_assert_null(exchange_rvps_format(reference, NULL));
    g_assert_null(exchange_rvps_message_format(reference, NULL));
    g_assert_null(exchange_trustee_policy_format(reference, NULL));
    g_assert_null(exchange_vm_config_from_reference(reference, NULL));
    g_assert_null(exchange_launch_config_from_reference(reference, NULL));
    g_assert_null(exchange_corim_format(reference, &errors));
    assert_refused(errors, ATTEST_ERROR_USAGE, "sev-es");
    text = exchange_shell_format(reference);
    g_assert_nonnull(strstr(text, "ATTEST_PLATFORM='sev-es'\n"));
}

static gboolean read_toml(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(ExchangeVmConfig) config = exchange_vm_config_parse(text, (gssize)size, error);

    return config != NULL;
}

static gboolean read_savs(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(GPtrArray) unbound = NULL;
    g_autoptr(GPtrArray) digests = exchange_savs_parse(text, (gssize)size, &unbound, error);

    return digests != NULL;
}

static gboolean read_rvps(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(GPtrArray) digests = exchange_rvps_parse(text, (gssize)size, error);

    return digests != NULL;
}

static gboolean read_corim(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(GPtrArray) digests = exchange_corim_parse((const guint8 *)text, size, error);

    return digests != NULL;
}

static void test_corpus(void)
{
    corpus_walk("toml", read_toml, NULL);
    corpus_walk("savs", read_savs, NULL);
    corpus_walk("savs/rvps", read_rvps, NULL);
    corpus_walk("corim", read_corim, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/exchange/toml/integers", test_toml_integers);
    g_test_add_func("/exchange/toml/strings", test_toml_strings);
    g_test_add_func("/exchange/toml/other", test_toml_other);
    g_test_add_func("/exchange/vm-config/write", test_vm_config_write);
    g_test_add_func("/exchange/vm-config/read", test_vm_config_read);
    g_test_add_func("/exchange/vm-config/refused", test_vm_config_refused);
    g_test_add_func("/exchange/vm-config/usage", test_vm_config_usage);
    g_test_add_func("/exchange/launch-config", test_launch_config);
    g_test_add_func("/exchange/launch-config/refused", test_launch_config_refused);
    g_test_add_func("/exchange/kernel-params", test_kernel_params);
    g_test_add_func("/exchange/savs", test_savs);
    g_test_add_func("/exchange/savs/read", test_savs_read);
    g_test_add_func("/exchange/savs/names", test_savs_names);
    g_test_add_func("/exchange/savs/usage", test_savs_usage);
    g_test_add_func("/exchange/rvps", test_rvps);
    g_test_add_func("/exchange/trustee-policy", test_trustee_policy);
    g_test_add_func("/exchange/trustee/usage", test_trustee_usage);
    g_test_add_func("/exchange/left-out", test_left_out);
    g_test_add_func("/exchange/corim", test_corim);
    g_test_add_func("/exchange/corim/version", test_corim_version);
    g_test_add_func("/exchange/corim/bytes", test_corim_bytes);
    g_test_add_func("/exchange/shell", test_shell);
    g_test_add_func("/exchange/snp-only", test_snp_only);
    g_test_add_func("/exchange/corpus", test_corpus);
    return g_test_run();
}
