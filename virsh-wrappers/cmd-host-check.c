/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* host-check: asks libvirt what only libvirt knows, and shows the rows. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/host-check.h"
#include "virsh-wrappers/report.h"

static CmdDomcaps *caps_from_file(const char *path, GError **error)
{
    g_autofree gchar *text = NULL;
    gsize size = 0;
    if (!cmd_read_xml(path, &text, &size, error)) {
        return NULL;
    }
    CmdDomcaps *caps = cmd_domcaps_parse(text, size, error);
    if (!caps) {
        g_prefix_error(error, "'%s': ", path);
    }
    return caps;
}

/* A libvirt that cannot be reached is a row, not the end of the check. */
static CmdDomcaps *ask_libvirt(CmdContext *context, unsigned long *version, GError **problem)
{
    g_autoptr(VirConnection) connection = cmd_connect(context, problem);
    if (!connection) {
        return NULL;
    }
    if (virConnectGetLibVersion(connection, version) < 0) {
        *version = 0;
    }
    return cmd_domcaps_get(connection, NULL, NULL, problem);
}

static void print_table(const CmdContext *context, const GPtrArray *rows)
{
    g_autoptr(CmdTable) table = cmd_table_new("Check", "Result", "Why, and what to do", NULL);
    for (guint i = 0; i < rows->len; i++) {
        const CmdHostRow *row = g_ptr_array_index(rows, i);
        if (cmd_context_quiet(context) && row->result == CMD_HOST_PASS) {
            continue;
        }
        cmd_table_row(table, row->check, cmd_host_result_name(row->result), row->why);
        if (row->todo) {
            g_autofree gchar *todo = g_strconcat("-> ", row->todo, NULL);
            cmd_table_row(table, "", "", todo);
        }
    }
    cmd_table_print(table, cmd_context_quiet(context));
}

static void print_json(const GPtrArray *rows)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    cmd_json_boolean(builder, "ready", cmd_host_rows_good(rows));
    json_builder_set_member_name(builder, "checks");
    json_builder_begin_array(builder);
    for (guint i = 0; i < rows->len; i++) {
        const CmdHostRow *row = g_ptr_array_index(rows, i);
        json_builder_begin_object(builder);
        cmd_json_string(builder, "check", row->check);
        cmd_json_string(builder, "result", cmd_host_result_name(row->result));
        cmd_json_string(builder, "why", row->why);
        cmd_json_string(builder, "todo", row->todo);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    cmd_json_print(builder);
}

/* "" for this machine; a trailing slash would double the one that every path begins with. */
static gchar *read_root(const CmdContext *context, GError **error)
{
    const char *root = cmd_context_get(context, "root");
    if (!root || g_str_equal(root, "/")) {
        return g_strdup("");
    }
    if (!g_file_test(root, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "--root: there is no folder '%s'", root);
        return NULL;
    }
    return g_canonicalize_filename(root, NULL);
}

/* What this command reads of a configuration, where the file itself is what is wrong. */
static PolicyConfig *default_config(void)
{
    PolicyConfig *config = g_new0(PolicyConfig, 1);
    config->state_directory = policy_config_default_state_directory();
    return config;
}

int cmd_host_check_command(CmdContext *context, GError **error)
{
    g_autofree gchar *root = read_root(context, error);
    const char *caps_file = cmd_context_get(context, "domcapabilities");
    g_autoptr(CmdDomcaps) caps = NULL;
    g_autoptr(GError) problem = NULL;
    g_autoptr(GError) config_problem = NULL;
    g_autoptr(PolicyConfig) fallback = NULL;
    CmdHostProbe probe = {.root = root};
    if (!root || (caps_file && !(caps = caps_from_file(caps_file, error)))) {
        return -1;
    }
    probe.config = cmd_context_config(context, &config_problem);
    if (!probe.config) {
        probe.config = fallback = default_config();
        probe.config_problem = config_problem->message;
    }
    if (!caps_file && !*root) {
        caps = ask_libvirt(context, &probe.libvirt_version, &problem);
    }
    probe.caps = caps;
    if (problem) {
        problem->message[strcspn(problem->message, "\n")] = '\0'; /* the hint behind it is another row's business */
    }
    probe.caps_problem = problem ? problem->message : NULL;
    g_autoptr(GPtrArray) rows = cmd_host_check(&probe);
    if (cmd_context_json(context)) {
        print_json(rows);
    } else {
        print_table(context, rows);
    }
    return cmd_host_rows_good(rows) ? 0 : ATTEST_ERROR_NOT_CONFIGURED;
}
