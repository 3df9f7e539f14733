/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/verdict-keep.h"

#include <stdio.h>
#include <string.h>

#include "virsh-wrappers/output.h"
#include "virsh-wrappers/subject.h"

static gchar *sha256_hex(const void *data, gsize size)
{
    guint8 digest[MEASURE_SHA256_SIZE];
    policy_sha256(data, size, digest);
    return measure_hex_encode(digest, sizeof(digest));
}

static gchar *time_text(gint64 seconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(seconds);
    return time ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ") : NULL;
}

/* The launch that runs, if the report has its measurement: the record of another one says nothing of this report. */
static gchar *find_launch(PolicyStore *store, const char *uuid, const char *measurement)
{
    g_autoptr(HookRecord) record = hook_record_read(store, uuid, NULL);
    const HookLaunch *last = cmd_last_launch(record);
    gboolean runs = last && g_str_equal(last->state, "running");
    return runs && g_strcmp0(last->digest, measurement) == 0 ? g_strdup(last->id) : NULL;
}

static PolicyVerdictEntry *make_entry(PolicyStore *store, const CmdVerdictKeep *keep)
{
    const AppraisalCase *input = keep->input;
    const AppraisalReport *report = input->evidence->report;
    g_autofree gchar *reference = policy_reference_format(keep->reference, POLICY_REFERENCE_PINNED);
    PolicyVerdictEntry *entry = policy_verdict_entry_new();
    PolicyTcb tcb;
    appraisal_tcb_decode(report->line, report->reported_tcb, &tcb);
    entry->time = policy_time_now();
    entry->at = keep->stored ? time_text(input->at) : NULL;
    entry->verdict = g_strdup(keep->verdict->accepted     ? "accepted"
                              : keep->verdict->incomplete ? "incomplete"
                                                          : "rejected");
    entry->source = g_strdup(keep->source);
    entry->form = g_strdup(input->evidence->form);
    entry->trust_anchor = g_strdup(appraisal_anchors_are_builtin(input->anchors) ? "amd" : "file");
    entry->fresh = keep->fresh && appraisal_verdict_find(keep->verdict, "nonce")->outcome == APPRAISAL_PASS;
    entry->report = sha256_hex(report->raw, sizeof(report->raw));
    entry->report_id = measure_hex_encode(report->report_id, sizeof(report->report_id));
    entry->measurement = measure_hex_encode(report->measurement, sizeof(report->measurement));
    entry->reported_tcb = policy_tcb_describe(&tcb);
    entry->chip = appraisal_report_chip(report, report->line);
    entry->reference = sha256_hex(reference, strlen(reference));
    entry->launch = keep->stored ? NULL : find_launch(store, keep->reference->uuid, entry->measurement);
    for (guint i = 0; i < keep->verdict->checks->len; i++) {
        const AppraisalCheck *check = g_ptr_array_index(keep->verdict->checks, i);
        if (check->outcome == APPRAISAL_FAIL) {
            policy_verdict_entry_fail(entry, check->name, check->text);
        }
    }
    return entry;
}

void cmd_verdict_keep(CmdContext *context, const CmdVerdictKeep *keep)
{
    const PolicyReference *reference = keep->reference;
    g_autoptr(GError) error = NULL;
    if (!reference || !reference->uuid || !policy_uuid_valid(reference->uuid)) {
        return;
    }
    /* A store of its own: that of @context is borrowed by what the caller still has, nonce and certificates. */
    PolicyConfig *config = cmd_context_config(context, &error);
    g_autoptr(PolicyStore) store = config ? policy_store_open(config->state_directory, TRUE, &error) : NULL;
    g_autoptr(PolicyVerdictEntry) entry = store ? make_entry(store, keep) : NULL;
    g_autofree gchar *aside = NULL;
    if (!entry || !policy_verdicts_append(store, reference->uuid, reference->name, entry, config->history, &aside, &error)) {
        if (!cmd_context_quiet(context)) {
            cmd_warn("the verdict is not kept: %s", error->message);
        }
    }
    if (aside) {
        cmd_warn("the verdicts about domain %s before this one were damaged and are kept as %s", reference->uuid,
                 aside);
    }
}

/* ---- Shown ---- */

const PolicyVerdictEntry *cmd_verdict_newest(const GPtrArray *entries)
{
    return entries && entries->len > 0 ? g_ptr_array_index(entries, entries->len - 1) : NULL;
}

gboolean cmd_verdict_is_stale(const PolicyVerdictEntry *entry, const HookRecord *record)
{
    const HookLaunch *last = cmd_last_launch(record);
    if (!last) {
        return FALSE;
    }
    return entry->launch ? !g_str_equal(entry->launch, last->id) : strcmp(last->time, entry->time) >= 0;
}

/* Most serious first. What was not accepted needs no reservation but whose certificates it was about. */
static gchar *reservations(const PolicyVerdictEntry *entry)
{
    gboolean accepted = g_str_equal(entry->verdict, "accepted");
    const struct {
        gboolean holds;
        const char *text;
    } all[] = {
        {!g_str_equal(entry->trust_anchor, "amd"), "own trust anchor"},
        {entry->at != NULL, "old evidence"},
        {accepted && !entry->at && !entry->fresh, "no nonce"},
        {accepted && !entry->at && !entry->launch, "launch not on record"},
    };
    g_autoptr(GString) text = g_string_new(NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(all); i++) {
        if (all[i].holds) {
            g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", all[i].text);
        }
    }
    return text->len > 0 ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

/* 2026-11-28T05:40:12Z: to the minute. */
static gchar *short_time(const char *time)
{
    return g_strdup_printf("%.10s %.5s", time, time + 11);
}

gchar *cmd_verdict_cell(const PolicyVerdictEntry *entry, const HookRecord *record)
{
    if (!entry) {
        return NULL;
    }
    g_autofree gchar *time = short_time(entry->time);
    g_autofree gchar *but = reservations(entry);
    return g_strdup_printf("%s%s %s%s%s%s", cmd_verdict_is_stale(entry, record) ? "stale: " : "", entry->verdict, time,
                           but ? " (" : "", but ? but : "", but ? ")" : "");
}

void cmd_verdict_json(JsonBuilder *builder, const PolicyVerdictEntry *entry, const HookRecord *record)
{
    json_builder_begin_object(builder);
    cmd_json_string(builder, "time", entry->time);
    cmd_json_string(builder, "at", entry->at);
    cmd_json_string(builder, "verdict", entry->verdict);
    cmd_json_boolean(builder, "stale", cmd_verdict_is_stale(entry, record));
    cmd_json_boolean(builder, "fresh", entry->fresh);
    cmd_json_string(builder, "trustAnchor", entry->trust_anchor);
    cmd_json_string(builder, "source", entry->source);
    cmd_json_string(builder, "form", entry->form);
    cmd_json_string(builder, "launch", entry->launch);
    cmd_json_string(builder, "report", entry->report);
    cmd_json_string(builder, "reportId", entry->report_id);
    cmd_json_string(builder, "measurement", entry->measurement);
    cmd_json_string(builder, "reportedTcb", entry->reported_tcb);
    cmd_json_string(builder, "chip", entry->chip);
    cmd_json_string(builder, "reference", entry->reference);
    json_builder_set_member_name(builder, "failed");
    json_builder_begin_array(builder);
    for (guint i = 0; i < entry->failed->len; i++) {
        const PolicyVerdictCheck *check = g_ptr_array_index(entry->failed, i);
        json_builder_begin_object(builder);
        cmd_json_string(builder, "name", check->name);
        cmd_json_string(builder, "text", check->text);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
}

void cmd_verdicts_print(const GPtrArray *entries, guint first, const HookRecord *record, gboolean bare)
{
    const PolicyVerdictEntry *newest = cmd_verdict_newest(entries);
    if (!newest) {
        printf("No report was judged.\n");
        return;
    }
    g_autoptr(CmdTable)
        table = cmd_table_new("Judged", "Verdict", "Reservations", "Evidence", "Launch", "Reported TCB", NULL);
    for (guint i = first; i < entries->len; i++) {
        const PolicyVerdictEntry *each = g_ptr_array_index(entries, i);
        g_autofree gchar *but = reservations(each);
        const char *stale = cmd_verdict_is_stale(each, record) ? "stale: " : "";
        g_autofree gchar *verdict = g_strconcat(stale, each->verdict, NULL);
        cmd_table_row(table, each->time, verdict, but, each->source, each->launch, each->reported_tcb);
    }
    cmd_table_print(table, bare);
    for (guint i = 0; i < newest->failed->len; i++) {
        const PolicyVerdictCheck *check = g_ptr_array_index(newest->failed, i);
        g_autofree gchar *name = cmd_printable(check->name);
        g_autofree gchar *text = cmd_printable(check->text);
        printf("Last verdict: %s: %s\n", name, text);
    }
}
