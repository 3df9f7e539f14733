/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/verify-show.h"

#include <stdio.h>
#include <string.h>

#include "policy/text.h"
#include "virsh-wrappers/output.h"

static const char *verdict_word(const AppraisalVerdict *verdict)
{
    return verdict->accepted ? "accepted" : verdict->incomplete ? "incomplete" : "rejected";
}

/* Digests are cut in the table; below it and in JSON they are whole. */
static gchar *cell(const char *value)
{
    gboolean hex = value && strspn(value, "0123456789abcdef") == strlen(value);
    return hex ? policy_short_digest(value) : g_strdup(value);
}

static void print_failures(const AppraisalVerdict *verdict)
{
    for (guint i = 0; i < verdict->checks->len; i++) {
        const AppraisalCheck *check = g_ptr_array_index(verdict->checks, i);
        if (check->outcome != APPRAISAL_FAIL) {
            continue;
        }
        g_autofree gchar *text = cmd_printable(check->text);
        printf("%s: %s\n", check->name, text);
        const char *const labels[] = {"found", "expected"};
        const char *const values[] = {check->found, check->expected};
        for (gsize n = 0; n < G_N_ELEMENTS(values); n++) {
            g_autofree gchar *value = values[n] ? cmd_printable(values[n]) : NULL;
            if (value) {
                printf("  %-9s %s\n", labels[n], value);
            }
        }
    }
}

void cmd_verdict_print(const AppraisalVerdict *verdict, const AppraisalCase *input, gboolean bare)
{
    if (bare) {
        printf("%s\n", verdict_word(verdict));
        return;
    }
    g_autofree gchar *measurement = measure_hex_encode(input->evidence->report->measurement, 48);
    cmd_print_field("Verdict", verdict_word(verdict));
    cmd_print_field("Measurement", measurement);
    printf("\n");
    g_autoptr(CmdTable) table = cmd_table_new("Check", "Result", "Found", "Expected", "Finding", NULL);
    for (guint i = 0; i < verdict->checks->len; i++) {
        const AppraisalCheck *check = g_ptr_array_index(verdict->checks, i);
        g_autofree gchar *found = cell(check->found);
        g_autofree gchar *expected = cell(check->expected);
        cmd_table_row(table, check->name, appraisal_outcome_name(check->outcome), found, expected, check->text);
    }
    cmd_table_print(table, FALSE);
    print_failures(verdict);
}

static void print_report(JsonBuilder *builder, const AppraisalCase *input)
{
    const AppraisalReport *report = input->evidence->report;
    g_autofree gchar *measurement = measure_hex_encode(report->measurement, sizeof(report->measurement));
    g_autofree gchar *data = measure_hex_encode(report->report_data, sizeof(report->report_data));
    g_autofree gchar *id = measure_hex_encode(report->report_id, sizeof(report->report_id));
    json_builder_set_member_name(builder, "report");
    json_builder_begin_object(builder);
    cmd_json_integer(builder, "version", report->version);
    cmd_json_string(builder, "form", input->evidence->form);
    cmd_json_string(builder, "measurement", measurement);
    cmd_json_string(builder, "reportData", data);
    cmd_json_string(builder, "reportId", id);
    json_builder_end_object(builder);
}

void cmd_verdict_print_json(const AppraisalVerdict *verdict, const AppraisalCase *input, const char *domain,
                            const char *uuid)
{
    g_autoptr(GDateTime) at = g_date_time_new_from_unix_utc(input->at);
    g_autofree gchar *time = at ? g_date_time_format(at, "%Y-%m-%dT%H:%M:%SZ") : NULL;
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    cmd_json_string(builder, "format", "virt-attest-verdict-1");
    cmd_json_string(builder, "verdict", verdict_word(verdict));
    cmd_json_string(builder, "time", time);
    cmd_json_string(builder, "trustAnchor", appraisal_anchors_are_builtin(input->anchors) ? "amd" : "file");
    cmd_json_string(builder, "domain", domain);
    cmd_json_string(builder, "uuid", uuid);
    print_report(builder, input);
    json_builder_set_member_name(builder, "checks");
    json_builder_begin_array(builder);
    for (guint i = 0; i < verdict->checks->len; i++) {
        const AppraisalCheck *check = g_ptr_array_index(verdict->checks, i);
        json_builder_begin_object(builder);
        cmd_json_string(builder, "name", check->name);
        cmd_json_string(builder, "outcome", appraisal_outcome_name(check->outcome));
        cmd_json_string(builder, "found", check->found);
        cmd_json_string(builder, "expected", check->expected);
        cmd_json_string(builder, "text", check->text);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    cmd_json_print(builder);
}
