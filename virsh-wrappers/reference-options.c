/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options about fleets and about the owner's rules, which many commands have. */
#include <string.h>

#include "measure/error.h"
#include "policy/fleet.h"
#include "virsh-wrappers/reference-source.h"

/* What one document holds at most, and the metadata of a domain. */
#define MAX_MEMBERS XML_ATTESTATION_MAX_MEASUREMENTS

static gboolean read_cpu_types(const char *path, GPtrArray **cpus, GError **error)
{
    g_autofree gchar *shown = cmd_printable(path);
    g_autofree gchar *label = g_strdup_printf("CPU types '%s'", shown);
    g_autofree gchar *text = NULL;
    gsize size = 0;
    if (!cmd_read_file(path, label, POLICY_CPU_LIST_MAX_SIZE, &text, &size, error)) {
        return FALSE;
    }
    g_autoptr(GPtrArray) listed = policy_cpu_list_parse(text, size, label, error);
    if (!listed) {
        return FALSE;
    }
    if (!*cpus) {
        *cpus = g_steal_pointer(&listed);
        return TRUE;
    }
    for (guint i = 0; i < listed->len; i++) {
        g_ptr_array_add(*cpus, measure_cpu_copy(g_ptr_array_index(listed, i)));
    }
    return TRUE;
}

/* A type that was given twice is one. */
static void drop_repeated(GPtrArray *cpus)
{
    for (guint i = cpus->len; i-- > 0;) {
        const MeasureCpu *cpu = g_ptr_array_index(cpus, i);
        for (guint j = 0; j < i; j++) {
            const MeasureCpu *other = g_ptr_array_index(cpus, j);
            if (other->signature == cpu->signature && g_strcmp0(other->name, cpu->name) == 0) {
                g_ptr_array_remove_index(cpus, i);
                break;
            }
        }
    }
}

gboolean cmd_fleet_options(const CmdContext *context, GPtrArray **cpus, GArray **vcpus, GError **error)
{
    g_autoptr(GPtrArray) types = NULL;
    g_autoptr(GArray) counts = NULL;
    const char *file = cmd_context_get(context, "cpu-types");
    const char *list = cmd_context_get(context, "vcpus");
    if ((cmd_context_has(context, "cpu") && !cmd_context_cpus(context, &types, error)) ||
        (file && !read_cpu_types(file, &types, error))) {
        return FALSE;
    }
    if (types) {
        drop_repeated(types);
    }
    if (list && !(counts = policy_vcpu_list_parse(list, error))) {
        g_prefix_error(error, "--vcpus: ");
        return FALSE;
    }
    if ((guint64)(types ? types->len : 1) * (counts ? counts->len : 1) > MAX_MEMBERS) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "%u CPU types and %u vCPU counts are too many: a reference holds %d measurements at most; make "
                    "several references",
                    types ? types->len : 1, counts ? counts->len : 1, MAX_MEMBERS);
        return FALSE;
    }
    *cpus = g_steal_pointer(&types);
    *vcpus = g_steal_pointer(&counts);
    return TRUE;
}

/* "VALUE[/MASK]"; without a mask every bit counts. */
static gboolean read_platform_info(const char *text, PolicyReference *reference, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    guint64 value = 0, mask = G_MAXUINT64;
    if (!parts[0] || !cmd_number_parse(parts[0], &value) || (parts[1] && !cmd_number_parse(parts[1], &mask))) {
        g_autofree gchar *shown = cmd_printable(text);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--platform-info '%s' is not VALUE or VALUE/MASK, such as 0x1/0x3", shown);
        return FALSE;
    }
    reference->has_platform_info = TRUE;
    reference->platform_info = value;
    reference->platform_info_mask = mask;
    return TRUE;
}

gboolean cmd_reference_facts(const CmdContext *context, PolicyReference *reference, GError **error)
{
    const char *product = cmd_context_get(context, "product");
    const char *tcb = cmd_context_get(context, "minimum-tcb");
    const char *info = cmd_context_get(context, "platform-info");
    if (product) {
        g_free(reference->product);
        reference->product = g_strdup(policy_product_intern(product));
    }
    if (tcb) {
        if (!policy_tcb_parse(tcb, &reference->minimum_tcb, error)) {
            g_prefix_error(error, "--minimum-tcb: ");
            return FALSE;
        }
        reference->has_minimum_tcb = TRUE;
    }
    if (info && !read_platform_info(info, reference, error)) {
        return FALSE;
    }
    const char *invalid = policy_reference_rules_invalid(reference);
    if (invalid) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "%s%s%s", product || tcb || info ? "" : "the reference: ",
                    invalid, product || tcb || info ? " (--product, --minimum-tcb, --platform-info)" : "");
        return FALSE;
    }
    return TRUE;
}
