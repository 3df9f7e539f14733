/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bundle-verify: a bundle's files against its manifest, its reference against its files, its signatures. Offline. */
#include <stdio.h>

#include "measure/error.h"
#include "virsh-wrappers/bundle-check.h"
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/output.h"

static const char *name_of(const CmdBundleCheck *check)
{
    if (check->bundle->domain && check->bundle->domain->name) {
        return check->bundle->domain->name;
    }
    return check->bundle->reference ? check->bundle->reference->name : NULL;
}

static void print_json(const CmdBundleCheck *check)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    cmd_json_string(builder, "name", name_of(check));
    cmd_json_string(builder, "result", check->failed > 0 ? "rejected" : "good");
    json_builder_set_member_name(builder, "checks");
    json_builder_begin_array(builder);
    for (guint i = 0; i < check->rows->len; i++) {
        const PolicyFinding *row = g_ptr_array_index(check->rows, i);
        json_builder_begin_object(builder);
        cmd_json_string(builder, "check", row->rule);
        cmd_json_string(builder, "result", policy_outcome_name(row->outcome));
        cmd_json_string(builder, "text", row->text);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    cmd_json_print(builder);
}

static void print_table(const CmdContext *context, const CmdBundleCheck *check)
{
    gboolean quiet = cmd_context_quiet(context);
    g_autoptr(CmdTable) table = cmd_table_new("Result", "Check", "Finding", NULL);
    for (guint i = 0; i < check->rows->len; i++) {
        const PolicyFinding *row = g_ptr_array_index(check->rows, i);
        cmd_table_row(table, policy_outcome_name(row->outcome), row->rule, row->text);
    }
    if (!quiet) {
        cmd_print_field("Name", name_of(check));
        cmd_print_field("Result", check->failed > 0 ? "rejected" : "good");
        printf("\n");
    }
    cmd_table_print(table, quiet);
}

int cmd_bundle_verify(CmdContext *context, GError **error)
{
    g_auto(CmdBundleCheck) check = {NULL};
    if (!cmd_bundle_check(context, cmd_context_word(context, 0), &check, error)) {
        return -1;
    }
    if (check.subject) {
        cmd_report_warnings(context, check.subject->domain);
    }
    if (cmd_context_json(context)) {
        print_json(&check);
    } else {
        print_table(context, &check);
    }
    return check.failed > 0 ? ATTEST_ERROR_REJECTED : 0;
}
