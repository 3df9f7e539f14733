/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/id-block-choice.h"

#include "measure/bytes.h"
#include "measure/error.h"
#include "virsh-wrappers/output.h"

gboolean cmd_require_snp(const PolicyReference *reference, GError **error)
{
    if (reference->platform == MEASURE_PLATFORM_SNP) {
        return TRUE;
    }
    g_autofree gchar *shown = cmd_printable(reference->name ? reference->name : "the domain");
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "ID blocks are for SEV-SNP, and '%s' is for %s", shown,
                measure_platform_name(reference->platform));
    return FALSE;
}

static gboolean is_wanted(const XmlMeasurement *measurement, const GPtrArray *cpus, const GArray *vcpus)
{
    gboolean cpu_wanted = !cpus, count_wanted = !vcpus;
    for (guint i = 0; cpus && i < cpus->len; i++) {
        const MeasureCpu *cpu = g_ptr_array_index(cpus, i);
        cpu_wanted = cpu_wanted || cpu->signature == measurement->signature;
    }
    for (guint i = 0; vcpus && i < vcpus->len; i++) {
        count_wanted = count_wanted || g_array_index(vcpus, guint, i) == measurement->vcpus;
    }
    return cpu_wanted && count_wanted;
}

GPtrArray *cmd_choose_measurements(const CmdContext *context, const PolicyReference *reference, GError **error)
{
    g_autoptr(GPtrArray) cpus = NULL;
    g_autoptr(GArray) vcpus = NULL;
    g_autoptr(GPtrArray) chosen = g_ptr_array_new();
    if (!cmd_fleet_options(context, &cpus, &vcpus, error)) {
        return NULL;
    }
    for (guint i = 0; i < reference->measurements->len; i++) {
        XmlMeasurement *each = g_ptr_array_index(reference->measurements, i);
        if (is_wanted(each, cpus, vcpus)) {
            g_ptr_array_add(chosen, each);
        }
    }
    if (chosen->len == 0) {
        g_autofree gchar *shown = cmd_printable(reference->name ? reference->name : "the domain");
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "the reference of '%s' has no measurement for this CPU type and number of vCPUs", shown);
        return NULL;
    }
    return g_steal_pointer(&chosen);
}

const XmlMeasurement *cmd_choose_measurement(const CmdContext *context, const PolicyReference *reference,
                                             GError **error)
{
    if (!cmd_require_snp(reference, error)) {
        return NULL;
    }
    g_autoptr(GPtrArray) chosen = cmd_choose_measurements(context, reference, error);
    if (!chosen) {
        return NULL;
    }
    const XmlMeasurement *first = g_ptr_array_index(chosen, 0);
    g_autoptr(GString) text = g_string_new(NULL);
    gboolean several = FALSE;
    for (guint i = 0; i < chosen->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(chosen, i);
        several = several || !measure_digest_equal(each->digest.bytes, first->digest.bytes, MEASURE_SHA384_SIZE);
        if (i < 16) {
            g_string_append_printf(text, "\n  %s, %u vCPUs", each->cpu, each->vcpus);
        }
    }
    if (!several) {
        return first;
    }
    g_autofree gchar *shown = cmd_printable(reference->name ? reference->name : "the domain");
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "an ID block holds one launch digest, and '%s' has %u of them: choose one with --cpu and --vcpus%s",
                shown, chosen->len, text->str);
    return NULL;
}
