/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/subject.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "measure/error.h"

void cmd_subject_free(CmdSubject *subject)
{
    if (!subject) {
        return;
    }
    g_free(subject->xml);
    g_clear_pointer(&subject->domain, xml_domain_free);
    g_clear_pointer(&subject->evaluation, policy_evaluation_free);
    g_clear_pointer(&subject->pinned, policy_reference_free);
    g_free(subject);
}

/* The CPU types that were pinned: where libvirt chooses at start, these are the ones that may come. */
GPtrArray *cmd_reference_cpus(const PolicyReference *pinned)
{
    GPtrArray *cpus = g_ptr_array_new_with_free_func((GDestroyNotify)measure_cpu_free);
    for (guint i = 0; i < pinned->measurements->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(pinned->measurements, i);
        gboolean named = each->cpu && !g_str_has_prefix(each->cpu, "0x");
        /* Once, however many vCPU counts were pinned for it. */
        gboolean known = FALSE;
        for (guint j = 0; j < cpus->len && !known; j++) {
            const MeasureCpu *other = g_ptr_array_index(cpus, j);
            known = other->signature == each->signature && g_strcmp0(other->name, named ? each->cpu : NULL) == 0;
        }
        if (known) {
            continue;
        }
        g_ptr_array_add(cpus, measure_cpu_new(named ? each->cpu : NULL, each->signature));
    }
    return cpus;
}

static CmdSubject *subject_new(CmdContext *context, const char *xml, gsize size, PolicyReference *pinned,
                               const CmdFleet *fleet, gboolean every_cpu, gboolean on_launch_host,
                               PolicyReferenceState state, GError **error)
{
    g_autoptr(CmdSubject) subject = g_new0(CmdSubject, 1);
    subject->pinned = pinned;
    PolicyConfig *config = cmd_context_config(context, error);
    if (!config) {
        return NULL;
    }
    subject->xml = g_strndup(xml, size);
    subject->domain = xml_domain_parse(xml, (gssize)size, error);
    if (!subject->domain) {
        return NULL;
    }
    g_autoptr(GPtrArray) from_pin = NULL;
    if (!fleet->cpus && pinned && pinned->measurements->len > 0 && subject->domain->cpu_mode == XML_CPU_HOST_MODEL) {
        from_pin = cmd_reference_cpus(pinned);
    }
    PolicyEvaluateOptions options = {
        .config = config,
        .cache = context->store ? policy_store_cache(context->store) : NULL,
        .cpus = fleet->cpus ? fleet->cpus : from_pin,
        .on_launch_host = on_launch_host,
        .reference = state,
        .vcpus = fleet->vcpus,
        .every_cpu = every_cpu,
        .all_fpu = fleet->all_fpu,
    };
    subject->evaluation = policy_evaluate(subject->domain, &options);
    return g_steal_pointer(&subject);
}

CmdSubject *cmd_subject_new(CmdContext *context, const char *xml, gsize size, PolicyReference *pinned, GPtrArray *cpus,
                            gboolean on_launch_host, PolicyReferenceState state, GError **error)
{
    CmdFleet fleet = {.cpus = cpus};
    return subject_new(context, xml, size, pinned, &fleet, FALSE, on_launch_host, state, error);
}

CmdSubject *cmd_subject_new_fleet(CmdContext *context, const char *xml, gsize size, PolicyReference *pinned,
                                  const CmdFleet *fleet, gboolean on_launch_host, PolicyReferenceState state,
                                  GError **error)
{
    return subject_new(context, xml, size, pinned, fleet, fleet->cpus != NULL, on_launch_host, state, error);
}

gboolean cmd_pinned_reference(CmdContext *context, virDomainPtr domain, PolicyReference **out, GError **error)
{
    g_autofree gchar *uuid = NULL;
    PolicyStore *store = cmd_context_store_for(context, virDomainGetConnect(domain), error);
    if (!store || !cmd_domain_uuid(domain, &uuid, error)) {
        return FALSE;
    }
    g_autoptr(GError) cause = NULL;
    *out = policy_store_get_reference(store, uuid, &cause);
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    return TRUE;
}

/* @assumed: count the measurement as the reference value, whether one is pinned or not. */
static CmdSubject *subject_from_domain(CmdContext *context, virDomainPtr domain, const CmdFleet *fleet,
                                       gboolean assumed, GError **error)
{
    g_autoptr(PolicyReference) pinned = NULL;
    if (!cmd_require_local(virDomainGetConnect(domain), error) ||
        !cmd_pinned_reference(context, domain, &pinned, error)) {
        return NULL;
    }
    g_autofree gchar *xml = cmd_domain_xml(domain, error);
    if (!xml) {
        return NULL;
    }
    PolicyReferenceState state = assumed  ? POLICY_REFERENCE_ASSUMED
                                 : pinned ? POLICY_REFERENCE_EXISTS
                                          : POLICY_REFERENCE_ABSENT;
    return cmd_subject_new_fleet(context, xml, strlen(xml), g_steal_pointer(&pinned), fleet, TRUE, state, error);
}

CmdSubject *cmd_subject_from_domain(CmdContext *context, virDomainPtr domain, GError **error)
{
    CmdFleet none = {.cpus = NULL};
    return subject_from_domain(context, domain, &none, FALSE, error);
}

CmdSubject *cmd_subject_from_domain_fleet(CmdContext *context, virDomainPtr domain, const CmdFleet *fleet,
                                          GError **error)
{
    return subject_from_domain(context, domain, fleet, TRUE, error);
}

const HookLaunch *cmd_last_launch(const HookRecord *record)
{
    return record && record->launches->len > 0 ? g_ptr_array_index(record->launches, record->launches->len - 1) : NULL;
}

gboolean cmd_hook_installed(void)
{
    return g_file_test(CMD_HOOK_FILE, G_FILE_TEST_IS_REGULAR) && g_file_test(CMD_HOOK_FILE, G_FILE_TEST_IS_EXECUTABLE);
}

void cmd_print_expected(GPtrArray *measurements)
{
    for (guint i = 0; i < measurements->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(measurements, i);
        g_autofree gchar *digest = measure_digest_hex(&each->digest);
        g_autofree gchar *text = each->cpu ? g_strdup_printf("%s (%s)", digest, each->cpu) : g_strdup(digest);
        cmd_print_field(i == 0 ? "Expected" : "or", text);
    }
}
