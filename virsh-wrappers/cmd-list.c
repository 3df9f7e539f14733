/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* list: the domains of a libvirt with their level, the verdict about their last start and that about their report. */
#include "virsh-wrappers/commands.h"

#include <string.h>

#include "virsh-wrappers/subject.h"
#include "virsh-wrappers/verdict-keep.h"

typedef struct {
    gchar *id, *name, *uuid, *platform, *verdict, *time, *level;
    const char *state;
    gint pinned_level;
    HookRecord *record;
    GPtrArray *verdicts; /* (element-type PolicyVerdictEntry), or NULL */
} Row;

static void row_clear(Row *row)
{
    g_free(row->id);
    g_free(row->name);
    g_free(row->uuid);
    g_free(row->platform);
    g_free(row->verdict);
    g_free(row->time);
    g_free(row->level);
    g_clear_pointer(&row->record, hook_record_free);
    g_clear_pointer(&row->verdicts, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Row, row_clear)

static gchar *read_platform(virDomainPtr domain)
{
    g_autofree gchar *xml = cmd_domain_xml(domain, NULL);
    g_autoptr(XmlDomain) parsed = xml ? xml_domain_parse(xml, -1, NULL) : NULL;
    MeasurePlatform platform;
    if (!parsed) {
        return NULL;
    }
    if (xml_domain_platform(parsed, &platform)) {
        return g_strdup(measure_platform_name(platform));
    }
    return parsed->launch_type == XML_LAUNCH_NONE ? g_strdup("none") : g_strdup(parsed->launch_type_name);
}

static void read_state(CmdContext *context, Row *row)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyReference) pinned = policy_store_get_reference(context->store, row->uuid, &error);
    row->record = error ? NULL : hook_record_read(context->store, row->uuid, &error);
    const HookLaunch *last = cmd_last_launch(row->record);
    /* Without the launches nobody can tell whether a verdict is about the last one. */
    row->verdicts = error ? NULL : policy_verdicts_read(context->store, row->uuid, &error);
    if (error) {
        cmd_warn("domain '%s': %s", row->name, error->message);
    }
    row->pinned_level = pinned ? (gint)pinned->level : -1;
    row->level = pinned ? g_strdup_printf("%u", pinned->level) : NULL;
    row->verdict = last ? g_strdup(last->verdict) : NULL;
    row->time = last ? g_strdup(last->time) : NULL;
}

/* A domain that went away between the listing and the question is left out. */
static gboolean read_row(CmdContext *context, virDomainPtr domain, Row *row)
{
    unsigned int id = virDomainGetID(domain);
    const char *name = virDomainGetName(domain);
    if (!name || !cmd_domain_uuid(domain, &row->uuid, NULL)) {
        return FALSE;
    }
    row->pinned_level = -1;
    row->id = id == (unsigned int)-1 ? NULL : g_strdup_printf("%u", id);
    row->name = g_strdup(name);
    row->state = cmd_domain_state(domain);
    row->platform = read_platform(domain);
    if (context->store) {
        read_state(context, row);
    }
    return TRUE;
}

static void json_row(JsonBuilder *builder, const Row *row)
{
    json_builder_begin_object(builder);
    cmd_json_string(builder, "name", row->name);
    cmd_json_string(builder, "uuid", row->uuid);
    json_builder_set_member_name(builder, "id");
    if (row->id) {
        json_builder_add_int_value(builder, g_ascii_strtoll(row->id, NULL, 10));
    } else {
        json_builder_add_null_value(builder);
    }
    cmd_json_string(builder, "state", row->state);
    cmd_json_string(builder, "platform", row->platform);
    json_builder_set_member_name(builder, "level");
    if (row->pinned_level >= 0) {
        json_builder_add_int_value(builder, row->pinned_level);
    } else {
        json_builder_add_null_value(builder);
    }
    cmd_json_string(builder, "verdict", row->verdict);
    cmd_json_string(builder, "lastLaunch", row->time);
    const PolicyVerdictEntry *attested = cmd_verdict_newest(row->verdicts);
    json_builder_set_member_name(builder, "attested");
    if (attested) {
        cmd_verdict_json(builder, attested, row->record);
    } else {
        json_builder_add_null_value(builder);
    }
    json_builder_end_object(builder);
}

/* virsh's order: running domains by id, the others by name. */
static int by_id_and_name(const void *a, const void *b)
{
    virDomainPtr left = *(const virDomainPtr *)a, right = *(const virDomainPtr *)b;
    unsigned int left_id = virDomainGetID(left), right_id = virDomainGetID(right);
    if (left_id != right_id) {
        return left_id < right_id ? -1 : 1;
    }
    return g_strcmp0(virDomainGetName(left), virDomainGetName(right));
}

int cmd_list(CmdContext *context, GError **error)
{
    g_autoptr(VirConnection) connection = cmd_connect(context, error);
    if (!connection) {
        return -1;
    }
    unsigned int flags = cmd_context_has(context, "inactive") ? VIR_CONNECT_LIST_DOMAINS_INACTIVE
                                                              : VIR_CONNECT_LIST_DOMAINS_ACTIVE;
    if (cmd_context_has(context, "all")) {
        flags = VIR_CONNECT_LIST_DOMAINS_ACTIVE | VIR_CONNECT_LIST_DOMAINS_INACTIVE;
    }
    g_autoptr(GError) problem = NULL;
    if (!cmd_context_store_for(context, connection, &problem)) {
        if (!context->config) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return -1;
        }
        cmd_warn("levels and verdicts are not shown: %s", problem->message);
    }
    virDomainPtr *domains = NULL;
    int n = virConnectListAllDomains(connection, &domains, flags);
    if (n < 0) {
        cmd_libvirt_error(error, "cannot list the domains");
        return -1;
    }
    qsort(domains, (size_t)n, sizeof(*domains), by_id_and_name);
    gboolean json = cmd_context_json(context);
    g_autoptr(CmdTable)
        table = cmd_table_new("Id", "Name", "State", "Platform", "Level", "Last verdict", "Attested", NULL);
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_array(builder);
    for (int i = 0; i < n; i++) {
        g_auto(Row) row = {NULL};
        if (read_row(context, domains[i], &row)) {
            g_autofree gchar *attested = cmd_verdict_cell(cmd_verdict_newest(row.verdicts), row.record);
            cmd_table_row(table, row.id, row.name, row.state, row.platform, row.level, row.verdict, attested);
            json_row(builder, &row);
        }
        virDomainFree(domains[i]);
    }
    free(domains);
    json_builder_end_array(builder);
    if (json) {
        cmd_json_print(builder);
    } else {
        cmd_table_print(table, cmd_context_quiet(context));
    }
    return 0;
}
