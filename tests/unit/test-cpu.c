/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <string.h>

#include "measure/cpu.h"
#include "measure/error.h"

/* CPUID signatures as processors and QEMU's models report them (AMD revision guides, QEMU's target/i386). */
static const struct {
    guint family, model, stepping;
    guint32 signature;
} signatures[] = {
    { 23, 1, 2, 0x800f12 },  { 23, 49, 0, 0x830f10 }, { 25, 1, 0, 0xa00f10 },  { 25, 1, 1, 0xa00f11 },
    { 25, 1, 2, 0xa00f12 },  { 25, 17, 0, 0xa10f10 }, { 25, 17, 1, 0xa10f11 }, { 25, 160, 2, 0xaa0f02 },
    { 26, 0, 0, 0xb00f00 },  { 26, 2, 1, 0xb00f21 },  { 26, 17, 0, 0xb10f10 }, { 24, 0, 1, 0x900f01 },
    { 15, 107, 1, 0x60fb1 }, { 15, 6, 1, 0xf61 },     { 6, 2, 3, 0x623 },
};

static void test_signature(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(signatures); i++) {
        guint family, model, stepping;

        g_assert_cmphex(measure_cpu_signature(signatures[i].family, signatures[i].model, signatures[i].stepping), ==,
                        signatures[i].signature);
        measure_cpu_signature_split(signatures[i].signature, &family, &model, &stepping);
        g_assert_cmpuint(family, ==, signatures[i].family);
        g_assert_cmpuint(model, ==, signatures[i].model);
        g_assert_cmpuint(stepping, ==, signatures[i].stepping);
    }
}

static void test_names(void)
{
    static const struct {
        const char *given, *name;
        guint32 signature;
    } rows[] = {
        { "EPYC", "EPYC", 0x800f12 },
        { "epyc-v4", "EPYC-v4", 0x800f12 },
        { "EPYC-v5", "EPYC-v5", 0x800f12 },
        { "EPYC-ibpb", "EPYC-IBPB", 0x800f12 },
        { "EPYC-ROME-V5", "EPYC-Rome-v5", 0x830f10 },
        { "EPYC-Milan", "EPYC-Milan", 0xa00f11 },
        { "epyc-milan-v3", "EPYC-Milan-v3", 0xa00f11 },
        { "EPYC-Genoa-v2", "EPYC-Genoa-v2", 0xa10f10 },
        { "EPYC-Turin", "EPYC-Turin", 0xb00f00 },
        { "EPYC-Turin-v2", "EPYC-Turin-v2", 0xb00f00 },
        { "dhyana-v2", "Dhyana-v2", 0x900f01 },
        { "qemu64", "qemu64", 0x60fb1 },
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MeasureCpu) cpu = measure_cpu_from_name(rows[i].given, &error);

        g_assert_no_error(error);
        g_assert_cmpstr(cpu->name, ==, rows[i].name);
        g_assert_cmphex(cpu->signature, ==, rows[i].signature);
        g_autoptr(MeasureCpu) copy = measure_cpu_copy(cpu);
        g_autofree gchar *label = measure_cpu_label(copy);
        g_assert_cmpstr(label, ==, rows[i].name);
    }
}

static void test_unknown_names(void)
{
    static const struct {
        const char *name, *words;
    } rows[] = {
        { "EPYC-Milam", "EPYC-Milan" },
        { "EPYC-Genoa-v9", "EPYC-Genoa-v" },
        { "", "unknown CPU model ''" },
        { "host", "launching processor itself" },
        { "max", "launching processor itself" },
        { "KVM64", "imitates an Intel processor" },
        { "base", "not a processor" },
        { "EPYC-Milan ", "unknown CPU model" },
        { "Skylake-Server", "unknown CPU model" },
        { "a name that is far longer than any processor will ever have got from anybody", "known names begin with" },
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(measure_cpu_from_name(rows[i].name, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, rows[i].words));
    }
}

static void test_text(void)
{
    static const struct {
        const char *text, *label;
        guint32 signature;
    } rows[] = {
        { "EPYC-Milan-v2", "EPYC-Milan-v2", 0xa00f11 },
        { "0xa00f11", "0xa00f11", 0xa00f11 },
        { "0XA00F11", "0xa00f11", 0xa00f11 },
        { "10489617", "0xa00f11", 0xa00f11 },
        { "0o50007421", "0xa00f11", 0xa00f11 },
        { "0b101000000000111100010001", "0xa00f11", 0xa00f11 },
        { "25.1.1", "0xa00f11", 0xa00f11 },
        { "26.17.0", "0xb10f10", 0xb10f10 },
        { "4294967295", "0xffffffff", 0xffffffff },
        { "0", "0x0", 0 },
    };
    static const char *const wrong[] = {
        "0x",    "0b2",     "0o8",      "1.2",     "1.2.3.4", "25.1.",      "25.1.16",     "25.256.0",
        "0x-1",  "271.0.0", "0xa00f1g", "1 ",      "1e3",     "4294967296", "0x100000000", "99999999999999999999",
        "0x 1",  "25. 1.1", "25.-1.1",  "-1",      "+1",      "",
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MeasureCpu) cpu = measure_cpu_from_text(rows[i].text, &error);

        g_assert_no_error(error);
        g_assert_cmphex(cpu->signature, ==, rows[i].signature);
        g_autofree gchar *label = measure_cpu_label(cpu);
        g_assert_cmpstr(label, ==, rows[i].label);
    }
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(measure_cpu_from_text(wrong[i], &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
    }
}

/* What /proc/cpuinfo says about this machine; the kernel reads the same instruction by its own code. */
static void test_host(void)
{
    g_autofree gchar *text = NULL;
    guint family = 0, model = 0, stepping = 0;

    if (!g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL) || !strstr(text, "vendor_id")) {
        g_test_skip("this machine's /proc/cpuinfo does not name a vendor");
        return;
    }
    gboolean amd = strstr(text, "AuthenticAMD") || strstr(text, "HygonGenuine");
    g_assert_cmpint(measure_cpu_host_is_amd(), ==, amd);
    g_auto(GStrv) lines = g_strsplit(text, "\n", 0);
    measure_cpu_signature_split(measure_cpu_host_signature(), &family, &model, &stepping);
    for (guint i = 0; lines[i] && *lines[i]; i++) {
        const char *colon = strchr(lines[i], ':');

        if (g_str_has_prefix(lines[i], "cpu family"))
            g_assert_cmpuint(family, ==, g_ascii_strtoull(colon + 1, NULL, 10));
        else if (g_str_has_prefix(lines[i], "model\t"))
            g_assert_cmpuint(model, ==, g_ascii_strtoull(colon + 1, NULL, 10));
        else if (g_str_has_prefix(lines[i], "stepping"))
            g_assert_cmpuint(stepping, ==, g_ascii_strtoull(colon + 1, NULL, 10));
    }
}

/* One QMP command to a QEMU that waits on its standard input; events between are dropped. */
static JsonNode *qmp(GDataInputStream *from, GOutputStream *to, const char *command)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(g_output_stream_write_all(to, command, strlen(command), NULL, NULL, &error));
    for (;;) {
        g_autofree gchar *line = g_data_input_stream_read_line(from, NULL, NULL, &error);

        g_assert_no_error(error);
        g_assert_nonnull(line);
        g_autoptr(JsonNode) answer = json_from_string(line, &error);
        g_assert_no_error(error);
        JsonObject *object = json_node_get_object(answer);
        if (json_object_has_member(object, "return") || json_object_has_member(object, "error"))
            return g_steal_pointer(&answer);
    }
}

/* The catalogue against the QEMU that is installed: every model of both must have the same signature. */
static void test_against_qemu(void)
{
    g_autofree gchar *program = g_find_program_in_path("qemu-system-x86_64");
    g_autoptr(GError) error = NULL;
    guint compared = 0;

    if (!program) {
        g_test_skip("qemu-system-x86_64 is not installed");
        return;
    }
    g_autoptr(GSubprocess) qemu =
        g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, program, "-machine",
                         "q35,accel=tcg", "-S", "-nodefaults", "-display", "none", "-qmp", "stdio", NULL);
    g_assert_no_error(error);
    GOutputStream *to = g_subprocess_get_stdin_pipe(qemu);
    g_autoptr(GDataInputStream) from = g_data_input_stream_new(g_subprocess_get_stdout_pipe(qemu));
    g_autoptr(JsonNode) ready = qmp(from, to, "{\"execute\":\"qmp_capabilities\"}\n");
    g_assert_nonnull(ready);
    g_autoptr(JsonNode) list = qmp(from, to, "{\"execute\":\"query-cpu-definitions\"}\n");
    JsonArray *definitions = json_object_get_array_member(json_node_get_object(list), "return");

    for (guint i = 0; i < json_array_get_length(definitions); i++) {
        const char *name = json_object_get_string_member(json_array_get_object_element(definitions, i), "name");
        g_autoptr(MeasureCpu) cpu = measure_cpu_from_name(name, NULL);

        if (g_str_has_prefix(name, "EPYC") || g_str_has_prefix(name, "Dhyana") || g_str_has_prefix(name, "Opteron"))
            g_assert_nonnull(cpu);
        if (!cpu)
            continue;
        g_autofree gchar *command = g_strdup_printf("{\"execute\":\"query-cpu-model-expansion\",\"arguments\":"
                                                    "{\"type\":\"full\",\"model\":{\"name\":\"%s\"}}}\n", name);
        g_autoptr(JsonNode) answer = qmp(from, to, command);
        JsonObject *result = json_object_get_object_member(json_node_get_object(answer), "return");
        JsonObject *props = json_object_get_object_member(json_object_get_object_member(result, "model"), "props");
        guint family, model, stepping;

        measure_cpu_signature_split(cpu->signature, &family, &model, &stepping);
        g_assert_cmpstr(cpu->name, ==, name);
        g_assert_cmpuint(family, ==, json_object_get_int_member(props, "family"));
        g_assert_cmpuint(model, ==, json_object_get_int_member(props, "model"));
        g_assert_cmpuint(stepping, ==, json_object_get_int_member(props, "stepping"));
        compared++;
    }
    g_autoptr(JsonNode) bye = qmp(from, to, "{\"execute\":\"quit\"}\n");
    g_assert_nonnull(bye);
    g_assert_true(g_subprocess_wait_check(qemu, NULL, &error));
    g_assert_no_error(error);
    /* QEMU 9.1, the first with SEV-SNP, has 16 models whose names begin with EPYC. */
    g_assert_cmpuint(compared, >=, 16);
}

static void test_catalogue(void)
{
    const char *const *names = measure_cpu_names();
    guint n = g_strv_length((gchar **)names);

    g_assert_cmpuint(n, >, 30);
    for (guint i = 0; i < n; i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MeasureCpu) cpu = measure_cpu_from_name(names[i], &error);

        g_assert_no_error(error);
        g_assert_cmpstr(cpu->name, ==, names[i]);
        for (guint j = 0; j < i; j++)
            g_assert_cmpint(g_ascii_strcasecmp(names[i], names[j]), !=, 0);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu/signature", test_signature);
    g_test_add_func("/cpu/names", test_names);
    g_test_add_func("/cpu/unknown-names", test_unknown_names);
    g_test_add_func("/cpu/text", test_text);
    g_test_add_func("/cpu/host", test_host);
    g_test_add_func("/cpu/catalogue", test_catalogue);
    g_test_add_func("/cpu/against-qemu", test_against_qemu);
    return g_test_run();
}
