/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything that a reference says of a report, as rules. */
#include <string.h>

#include "measure/error.h"
#include "policy/appraisal/rules.h"

static gchar *label_of(const XmlMeasurement *measurement)
{
    g_autofree gchar *vcpus = measurement->vcpus ? g_strdup_printf(", %u vCPU%s", measurement->vcpus,
                                                                   measurement->vcpus == 1 ? "" : "s")
                                                 : g_strdup("");

    return g_strdup_printf("%s%s, features 0x%" G_GINT64_MODIFIER "x", measurement->cpu ? measurement->cpu : "any CPU",
                           vcpus, measurement->features);
}

static gboolean add_measurements(AppraisalRules *rules, const PolicyReference *reference, GError **error)
{
    for (guint i = 0; i < reference->measurements->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(reference->measurements, i);
        g_autofree gchar *label = label_of(each);

        if (each->platform == MEASURE_PLATFORM_SNP && each->digest.size == 48)
            appraisal_rules_add_measurement(rules, each->digest.bytes, label);
    }
    if (!rules->measurements)
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "the reference has no measurement of SEV-SNP, so a report cannot be compared with it");
    return rules->measurements != NULL;
}

static void add_identity(AppraisalRules *rules, const PolicyReference *reference)
{
    const PolicyIdentity *identity = reference->identity;

    if (identity) {
        appraisal_rules_add_key(&rules->id_key, identity->id_key_digest);
        rules->author_key.rule = APPRAISAL_RULE_NONE;
        if (identity->has_author_key)
            appraisal_rules_add_key(&rules->author_key, identity->author_key_digest);
        rules->fields[APPRAISAL_FIELD_FAMILY_ID].rule = APPRAISAL_RULE_EXACT;
        rules->fields[APPRAISAL_FIELD_IMAGE_ID].rule = APPRAISAL_RULE_EXACT;
        memcpy(rules->fields[APPRAISAL_FIELD_FAMILY_ID].bytes, identity->family_id, sizeof(identity->family_id));
        memcpy(rules->fields[APPRAISAL_FIELD_IMAGE_ID].bytes, identity->image_id, sizeof(identity->image_id));
        rules->minimum_svn = identity->guest_svn;
        return;
    }
    /* A document of an older version knows of the pages but not what is in them. */
    if (reference->id_block_sha256)
        rules->id_key.rule = APPRAISAL_RULE_EXACT;
    if (reference->author_key)
        rules->author_key.rule = APPRAISAL_RULE_EXACT;
}

static void add_tcb(AppraisalRules *rules, const PolicyReference *reference)
{
    AppraisalLine line = APPRAISAL_LINE_UNKNOWN;

    if (reference->product)
        appraisal_line_from_name(reference->product, &line);
    for (guint kind = 0; kind < APPRAISAL_N_TCBS; kind++) {
        rules->has_tcb[kind][line] = TRUE;
        rules->tcb[kind][line] = reference->minimum_tcb;
    }
}

AppraisalRules *appraisal_rules_from_reference(const PolicyReference *reference, GError **error)
{
    g_autoptr(AppraisalRules) rules = appraisal_rules_new();

    if (reference->platform != MEASURE_PLATFORM_SNP) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "the reference is of a %s domain, and only SEV-SNP has attestation reports of this kind",
                    measure_platform_name(reference->platform));
        return NULL;
    }
    if (!add_measurements(rules, reference, error))
        return NULL;
    rules->policy_value = reference->policy;
    rules->policy_mask = G_MAXUINT64;
    if (reference->host_data) {
        AppraisalField *field = &rules->fields[APPRAISAL_FIELD_HOST_DATA];

        field->rule = APPRAISAL_RULE_EXACT;
        if (!measure_hex_decode(reference->host_data, field->bytes, 32)) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "the reference has host data that are not 32 bytes");
            return NULL;
        }
    }
    add_identity(rules, reference);
    if (reference->vcek_disabled) {
        rules->signer = APPRAISAL_RULE_EXACT;
        rules->signer_kind = APPRAISAL_SIGNER_VLEK;
    }
    if (reference->product)
        rules->products = appraisal_product_from_name(reference->product);
    if (reference->has_minimum_tcb)
        add_tcb(rules, reference);
    if (reference->has_platform_info) {
        rules->platform_value = reference->platform_info;
        rules->platform_mask = reference->platform_info_mask;
    }
    return g_steal_pointer(&rules);
}
