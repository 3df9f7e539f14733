/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/report.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "measure/error.h"

/* Reads up to one byte more than allowed, so that a file that grows or has no size (a pipe) is bounded as well. */
static gboolean read_all(int fd, const char *label, gsize max_size, gchar **text, gsize *size, GError **error)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autofree guint8 *buffer = g_malloc(64 * 1024);
    for (;;) {
        gssize got = read(fd, buffer, 64 * 1024);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot read %s: %s", label, g_strerror(errno));
            return FALSE;
        }
        if (got == 0) {
            break;
        }
        g_byte_array_append(bytes, buffer, (guint)got);
        if (bytes->len > max_size) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                        "%s is larger than %" G_GSIZE_FORMAT " bytes, so it cannot be one", label, max_size);
            return FALSE;
        }
    }
    *size = bytes->len;
    g_byte_array_append(bytes, (const guint8 *)"", 1);
    *text = (gchar *)g_byte_array_free(g_steal_pointer(&bytes), FALSE);
    return TRUE;
}

/*
 * A FIFO that lies in a folder, and most devices, would let the program wait for ever. What the caller has opened
 * itself is another thing: standard input under whatever name, and the pipe that a shell makes of <(command), which
 * lies in no folder.
 */
static gboolean make_readable(int fd, const char *label, GError **error)
{
    struct stat file, input;
    struct statfs system;
    int flags = fcntl(fd, F_GETFL);
    if (fstat(fd, &file) != 0 || flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot read %s: %s", label, g_strerror(errno));
        return FALSE;
    }
    if (S_ISREG(file.st_mode) || S_ISDIR(file.st_mode) ||
        (fstat(STDIN_FILENO, &input) == 0 && file.st_dev == input.st_dev && file.st_ino == input.st_ino) ||
        (S_ISFIFO(file.st_mode) && fstatfs(fd, &system) == 0 && system.f_type == PIPEFS_MAGIC)) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                "cannot read %s: it is a %s; give a file, or - for standard input", label,
                S_ISFIFO(file.st_mode) ? "FIFO" : "device");
    return FALSE;
}

gboolean cmd_read_file(const char *path, const char *label, gsize max_size, gchar **text, gsize *size, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot open %s: %s", label, g_strerror(errno));
        return FALSE;
    }
    gboolean done =
        make_readable(fd, label, error) && read_all(fd, label, max_size, text, size, error);
    close(fd);
    return done;
}

gboolean cmd_read_xml(const char *path, gchar **text, gsize *size, GError **error)
{
    if (g_str_equal(path, "-")) {
        return read_all(STDIN_FILENO, "standard input", XML_MAX_SIZE, text, size, error);
    }
    g_autofree gchar *shown = cmd_printable(path);
    g_autofree gchar *label = g_strdup_printf("domain XML '%s'", shown);
    return cmd_read_file(path, label, XML_MAX_SIZE, text, size, error);
}

gboolean cmd_word_is_file(const char *word)
{
    return g_str_equal(word, "-") || strchr(word, '/') || g_str_has_suffix(word, ".xml") ||
           g_str_has_suffix(word, ".tar");
}

void cmd_hint_file(const CmdContext *context, const char *word, const char *endings, GError **error)
{
    if (!word || !error || !*error || cmd_context_has(context, "domain") || cmd_word_is_file(word)) {
        return;
    }
    g_autofree gchar *shown = cmd_printable(word);
    g_autofree gchar *text = NULL;
    if (g_file_test(word, G_FILE_TEST_EXISTS)) {
        text = g_strdup_printf("%s\nThe file of that name is './%s': without a '/' in it the word names a domain",
                               (*error)->message, shown);
    } else {
        text = g_strdup_printf("%s\nThere is no file '%s' either; a word names a file when it has a '/' in it or ends "
                               "in %s",
                               (*error)->message, shown, endings);
    }
    g_free((*error)->message);
    (*error)->message = g_steal_pointer(&text);
}

void cmd_report_warnings(const CmdContext *context, const XmlDomain *domain)
{
    if (cmd_context_quiet(context) || !domain->warnings) {
        return;
    }
    for (guint i = 0; i < domain->warnings->len; i++) {
        cmd_warn("%s", (const char *)g_ptr_array_index(domain->warnings, i));
    }
}

const char *cmd_platform_label(const XmlDomain *domain, const PolicyEvaluation *evaluation)
{
    if (evaluation->confidential) {
        return measure_platform_name(evaluation->platform);
    }
    return domain->launch_type == XML_LAUNCH_NONE || !domain->launch_type_name ? "none" : domain->launch_type_name;
}

/* Whether the floating-point variant tells some of them apart. */
static gboolean both_variants(const GPtrArray *measurements)
{
    for (guint i = 1; i < measurements->len; i++) {
        const XmlMeasurement *first = g_ptr_array_index(measurements, 0);
        const XmlMeasurement *each = g_ptr_array_index(measurements, i);
        if (each->has_fpu != first->has_fpu || each->fpu != first->fpu) {
            return TRUE;
        }
    }
    return FALSE;
}

gchar *cmd_measurements_format(const GPtrArray *measurements, gboolean bare)
{
    gboolean both = both_variants(measurements);
    g_autoptr(CmdTable) table =
        both ? cmd_table_new("CPU", "Signature", "vCPUs", "Features", "FPU", "Measurement", NULL)
             : cmd_table_new("CPU", "Signature", "vCPUs", "Features", "Measurement", NULL);
    for (guint i = 0; i < measurements->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(measurements, i);
        gboolean has_cpu = each->platform != MEASURE_PLATFORM_SEV;
        g_autofree gchar *signature = has_cpu ? g_strdup_printf("0x%x", each->signature) : NULL;
        g_autofree gchar *vcpus = has_cpu ? g_strdup_printf("%u", each->vcpus) : NULL;
        g_autofree gchar *features = has_cpu ? g_strdup_printf("0x%" G_GINT64_MODIFIER "x", each->features) : NULL;
        g_autofree gchar *digest = measure_digest_hex(&each->digest);
        const char *cpu = has_cpu ? each->cpu : "any";
        if (both) {
            cmd_table_row(table, cpu, signature, vcpus, features, measure_fpu_name(each->fpu), digest);
        } else {
            cmd_table_row(table, cpu, signature, vcpus, features, digest);
        }
    }
    return cmd_table_format(table, bare);
}

void cmd_report_measurements(GPtrArray *measurements, gboolean bare)
{
    g_autofree gchar *text = cmd_measurements_format(measurements, bare);
    fputs(text, stdout);
}

static CmdTable *inputs_table(const GPtrArray *inputs)
{
    CmdTable *table = cmd_table_new("Input", "Size", "SHA-256", "What", NULL);
    for (guint i = 0; i < inputs->len; i++) {
        const PolicyReferenceInput *each = g_ptr_array_index(inputs, i);
        g_autofree gchar *size = g_strdup_printf("%" G_GUINT64_FORMAT, each->size);
        g_autofree gchar *digest = measure_hex_encode(each->sha256, sizeof(each->sha256));
        cmd_table_row(table, each->role, size, digest, each->path ? each->path : each->text);
    }
    return table;
}

gchar *cmd_inputs_format(const GPtrArray *inputs, gboolean bare)
{
    g_autoptr(CmdTable) table = inputs_table(inputs);
    return cmd_table_format(table, bare);
}

void cmd_report_inputs(GPtrArray *inputs, gboolean bare)
{
    g_autoptr(CmdTable) table = inputs_table(inputs);
    cmd_table_print(table, bare);
}

void cmd_report_findings(GPtrArray *findings, gboolean only_bad, gboolean bare)
{
    g_autoptr(CmdTable) table = cmd_table_new("Level", "Rule", "Result", "Finding", NULL);
    guint shown = 0;
    for (guint i = 0; i < findings->len; i++) {
        const PolicyFinding *each = g_ptr_array_index(findings, i);
        if (only_bad && each->outcome == POLICY_PASS) {
            continue;
        }
        g_autofree gchar *level = g_strdup_printf("%u", each->level);
        cmd_table_row(table, level, each->rule, policy_outcome_name(each->outcome), each->text);
        shown++;
    }
    if (shown > 0) {
        cmd_table_print(table, bare);
    }
}

static void report_changes(const GPtrArray *changes, const char *was, const char *is, gboolean bare)
{
    g_autoptr(CmdTable) table = cmd_table_new("What", was, is, NULL);
    for (guint i = 0; i < changes->len; i++) {
        const PolicyChange *each = g_ptr_array_index(changes, i);
        cmd_table_row(table, each->what, each->pinned, each->found);
    }
    cmd_table_print(table, bare);
}

void cmd_report_changes(GPtrArray *changes, gboolean bare)
{
    report_changes(changes, "Pinned", "Found", bare);
}

void cmd_report_differences(GPtrArray *changes, gboolean bare)
{
    report_changes(changes, "Old", "New", bare);
}

void cmd_json_findings(JsonBuilder *builder, const char *name, GPtrArray *findings)
{
    json_builder_set_member_name(builder, name);
    json_builder_begin_array(builder);
    for (guint i = 0; i < findings->len; i++) {
        const PolicyFinding *each = g_ptr_array_index(findings, i);
        json_builder_begin_object(builder);
        cmd_json_string(builder, "rule", each->rule);
        cmd_json_integer(builder, "level", each->level);
        cmd_json_string(builder, "outcome", policy_outcome_name(each->outcome));
        cmd_json_string(builder, "text", each->text);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

void cmd_json_changes(JsonBuilder *builder, const char *name, GPtrArray *changes)
{
    json_builder_set_member_name(builder, name);
    json_builder_begin_array(builder);
    for (guint i = 0; i < changes->len; i++) {
        const PolicyChange *each = g_ptr_array_index(changes, i);
        json_builder_begin_object(builder);
        cmd_json_string(builder, "what", each->what);
        cmd_json_string(builder, "pinned", each->pinned);
        cmd_json_string(builder, "found", each->found);
        cmd_json_string(builder, "text", each->text);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

gchar *cmd_failing_findings(GPtrArray *findings, guint level)
{
    GString *out = g_string_new(NULL);
    for (guint i = 0; i < findings->len; i++) {
        const PolicyFinding *each = g_ptr_array_index(findings, i);
        if (each->outcome == POLICY_FAIL && each->level <= level) {
            g_string_append_printf(out, "\n  level %u, %s: %s", each->level, each->rule, each->text);
        }
    }
    return g_string_free(out, FALSE);
}
