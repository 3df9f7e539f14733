/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* show: everything that is known about one domain: pin, metadata, last launches, and verdicts about its reports. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/identity.h"
#include "virsh-wrappers/reference-source.h"
#include "virsh-wrappers/subject.h"
#include "virsh-wrappers/undefine-volumes.h"
#include "virsh-wrappers/verdict-keep.h"

typedef struct {
    virDomainPtr domain;
    gchar *uuid;
    XmlDomain *parsed;
    PolicyReference *pinned;
    HookRecord *record;
    gboolean damaged; /* there is a record, and it cannot be read */
    guint first; /* index of the oldest launch to show */
    GPtrArray *verdicts; /* (element-type PolicyVerdictEntry); NULL when they cannot be read */
    guint first_verdict;
    gchar *volume; /* name, or NULL */
} Shown;

static void shown_clear(Shown *shown)
{
    g_free(shown->uuid);
    g_free(shown->volume);
    g_clear_pointer(&shown->parsed, xml_domain_free);
    g_clear_pointer(&shown->pinned, policy_reference_free);
    g_clear_pointer(&shown->record, hook_record_free);
    g_clear_pointer(&shown->verdicts, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Shown, shown_clear)

/* "agrees", "differs", "absent": the element in the XML against the pin, which is what counts. */
static const char *metadata_state(const Shown *shown)
{
    if (!shown->parsed->attestation) {
        return "absent";
    }
    if (!shown->pinned) {
        return "unpinned";
    }
    g_autoptr(XmlAttestation) expected = policy_reference_to_attestation(shown->pinned);
    g_autofree gchar *wanted = xml_attestation_format(expected);
    g_autofree gchar *found = xml_attestation_format(shown->parsed->attestation);
    return g_str_equal(wanted, found) ? "agrees" : "differs";
}

static const char *metadata_sentence(const char *state)
{
    if (g_str_equal(state, "agrees")) {
        return "agrees with the pinned reference";
    }
    if (g_str_equal(state, "differs")) {
        return "DIFFERS from the pinned reference, which is what counts";
    }
    return g_str_equal(state, "unpinned") ? "present, but nothing is pinned" : "none";
}

static void print_launches(const Shown *shown, gboolean bare)
{
    if (shown->damaged) {
        printf("The launches cannot be shown: their record cannot be read.\n");
        return;
    }
    if (!shown->record || shown->record->launches->len == 0) {
        printf("No launch was recorded.\n");
        return;
    }
    g_autoptr(CmdTable)
        table = cmd_table_new("Launched", "Verdict", "CPU", "vCPUs", "Measurement", "State", "Ended", NULL);
    for (guint i = shown->first; i < shown->record->launches->len; i++) {
        const HookLaunch *each = g_ptr_array_index(shown->record->launches, i);
        g_autofree gchar *vcpus = each->vcpus ? g_strdup_printf("%u", each->vcpus) : NULL;
        g_autofree gchar *ended = each->ended ? g_strdup_printf("%s%s%s%s", each->ended, each->end_reason ? " (" : "",
                                                                each->end_reason ? each->end_reason : "",
                                                                each->end_reason ? ")" : "")
                                              : NULL;
        cmd_table_row(table, each->time, each->verdict, each->cpu, vcpus, each->digest, each->state, ended);
    }
    cmd_table_print(table, bare);
    const HookLaunch *last = cmd_last_launch(shown->record);
    if (last->summary && !g_str_equal(last->verdict, policy_verdict_name(POLICY_VERDICT_MATCH))) {
        g_autofree gchar *summary = cmd_printable(last->summary);
        printf("Last launch: %s\n", summary);
    }
}

static void print_table(const CmdContext *context, const Shown *shown)
{
    gboolean bare = cmd_context_quiet(context);
    const PolicyReference *pinned = shown->pinned;
    MeasurePlatform platform;
    gboolean confidential = xml_domain_platform(shown->parsed, &platform);
    const char *tee = confidential ? measure_platform_name(platform)
                      : shown->parsed->launch_type_name ? shown->parsed->launch_type_name : "none";
    cmd_print_field("Name", shown->parsed->name);
    cmd_print_field("UUID", shown->uuid);
    cmd_print_field("State", cmd_domain_state(shown->domain));
    cmd_print_field("Platform", tee);
    if (shown->volume) {
        cmd_print_field("Volume", shown->volume);
    }
    if (pinned) {
        g_autofree gchar *level = g_strdup_printf("%u", pinned->level);
        g_autofree gchar *policy = policy_guest_describe(pinned->platform, pinned->policy);
        cmd_print_field("Pinned level", level);
        cmd_print_field("Guest policy", policy);
        cmd_print_field("On mismatch", pinned->on_mismatch == XML_ON_MISMATCH_OBSERVE ? "observe" : "refuse");
        cmd_print_field("Pinned", pinned->created);
        cmd_print_field("Pinned by", pinned->tool);
        if (pinned->firmware_version || pinned->verifier) {
            g_autofree gchar *build = g_strdup_printf(
                "%s, hash verifier %s", pinned->firmware_version ? pinned->firmware_version : "unknown build",
                pinned->verifier ? pinned->verifier : "unknown");
            cmd_print_field("Firmware build", build);
        }
        g_autofree gchar *rules = cmd_reference_rules_format(pinned);
        fputs(rules, stdout);
    } else {
        cmd_print_field("Pinned level", "not pinned");
    }
    cmd_print_field("Metadata", metadata_sentence(metadata_state(shown)));
    printf("\n");
    if (pinned) {
        cmd_report_measurements(pinned->measurements, bare);
        cmd_report_inputs(pinned->inputs, bare);
    }
    print_launches(shown, bare);
    if (shown->verdicts) {
        cmd_verdicts_print(shown->verdicts, shown->first_verdict, shown->record, bare);
    } else {
        printf("The verdicts about reports cannot be shown: they, or the launches, cannot be read.\n");
    }
}

static void json_launch(JsonBuilder *builder, const HookLaunch *launch)
{
    json_builder_begin_object(builder);
    cmd_json_string(builder, "id", launch->id);
    cmd_json_string(builder, "time", launch->time);
    cmd_json_string(builder, "state", launch->state);
    cmd_json_string(builder, "verdict", launch->verdict);
    cmd_json_string(builder, "summary", launch->summary);
    cmd_json_string(builder, "platform", launch->platform);
    cmd_json_integer(builder, "level", launch->level);
    cmd_json_string(builder, "cpu", launch->cpu);
    cmd_json_integer(builder, "vcpus", launch->vcpus);
    cmd_json_string(builder, "digest", launch->digest);
    cmd_json_changes(builder, "changes", launch->changes);
    cmd_json_string(builder, "ended", launch->ended);
    cmd_json_string(builder, "endReason", launch->end_reason);
    json_builder_end_object(builder);
}

/* Beside the reference, which is the document as it is. */
static void json_identity(JsonBuilder *builder, const PolicyReference *pinned)
{
    g_autofree gchar *flags = pinned ? policy_guest_flags(pinned->platform, pinned->policy) : NULL;
    cmd_json_string(builder, "policyFlags", flags);
    if (pinned && pinned->host_data) {
        cmd_json_boolean(builder, "hostDataBinds", cmd_reference_is_bound(pinned));
    } else {
        cmd_json_string(builder, "hostDataBinds", NULL);
    }
}

static void print_json(const Shown *shown)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    cmd_json_string(builder, "name", shown->parsed->name);
    cmd_json_string(builder, "uuid", shown->uuid);
    cmd_json_string(builder, "state", cmd_domain_state(shown->domain));
    if (shown->pinned) {
        g_autofree gchar *reference = policy_reference_format(shown->pinned, POLICY_REFERENCE_PINNED);
        cmd_json_document(builder, "reference", reference);
    } else {
        cmd_json_string(builder, "reference", NULL);
    }
    json_identity(builder, shown->pinned);
    cmd_json_string(builder, "metadata", metadata_state(shown));
    cmd_json_string(builder, "volume", shown->volume);
    if (shown->damaged) {
        cmd_json_string(builder, "launches", NULL);
    } else {
        json_builder_set_member_name(builder, "launches");
        json_builder_begin_array(builder);
        for (guint i = shown->first; shown->record && i < shown->record->launches->len; i++) {
            json_launch(builder, g_ptr_array_index(shown->record->launches, i));
        }
        json_builder_end_array(builder);
    }
    if (!shown->verdicts) {
        cmd_json_string(builder, "verdicts", NULL);
    } else {
        json_builder_set_member_name(builder, "verdicts");
        json_builder_begin_array(builder);
        for (guint i = shown->first_verdict; i < shown->verdicts->len; i++) {
            cmd_verdict_json(builder, g_ptr_array_index(shown->verdicts, i), shown->record);
        }
        json_builder_end_array(builder);
    }
    json_builder_end_object(builder);
    cmd_json_print(builder);
}

/* The volume that the domain was defined with. Not being able to tell keeps nothing else from being shown. */
static void find_volume(CmdContext *context, Shown *shown)
{
    g_autoptr(GPtrArray) volumes = cmd_undefine_find(context->store, shown->uuid, NULL);
    if (volumes && volumes->len > 0) {
        const StorageVolume *volume = g_ptr_array_index(volumes, 0);
        shown->volume = g_strdup(volume->name);
    }
}

static gboolean read_record(CmdContext *context, Shown *shown, GError **error)
{
    guint64 wanted = 5;
    if (!cmd_arguments_number(context->arguments, "launches", 0, 10000, &wanted, error)) {
        return FALSE;
    }
    g_autoptr(GError) problem = NULL;
    shown->record = hook_record_read(context->store, shown->uuid, &problem);
    /* The pin decides about the next start, so it is shown all the same. */
    if (problem) {
        cmd_warn("%s; the next start moves a damaged record aside", problem->message);
        shown->damaged = TRUE;
    }
    guint len = shown->record ? shown->record->launches->len : 0;
    shown->first = len > wanted ? len - (guint)wanted : 0;
    /* Without the launches nobody can tell whether a verdict is about the last one. */
    if (shown->damaged) {
        return TRUE;
    }
    shown->verdicts = policy_verdicts_read(context->store, shown->uuid, &problem);
    if (problem) {
        cmd_warn("%s", problem->message);
    }
    len = shown->verdicts ? shown->verdicts->len : 0;
    shown->first_verdict = len > wanted ? len - (guint)wanted : 0;
    return TRUE;
}

int cmd_show(CmdContext *context, GError **error)
{
    g_autoptr(VirConnection) connection = cmd_connect(context, error);
    g_autoptr(VirDomainHandle) domain = connection ? cmd_domain_lookup(connection, cmd_domain_word(context), error)
                                                   : NULL;
    g_auto(Shown) shown = {.domain = domain};
    if (!domain || !cmd_domain_uuid(domain, &shown.uuid, error) ||
        !cmd_pinned_reference(context, domain, &shown.pinned, error) || !read_record(context, &shown, error)) {
        return -1;
    }
    g_autofree gchar *xml = cmd_domain_xml(domain, error);
    shown.parsed = xml ? xml_domain_parse(xml, -1, error) : NULL;
    if (!shown.parsed) {
        return -1;
    }
    find_volume(context, &shown);
    if (cmd_context_json(context)) {
        print_json(&shown);
    } else {
        print_table(context, &shown);
    }
    return 0;
}
