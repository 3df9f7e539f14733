/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A reference document for people. */
#include "virsh-wrappers/reference-source.h"

#include "virsh-wrappers/identity.h"

static void field(GString *out, const char *name, const char *value)
{
    if (value) {
        g_autofree gchar *line = cmd_field_format(name, value);
        g_string_append(out, line);
    }
}

static void hex_field(GString *out, const char *name, const guint8 *data, gsize size)
{
    g_autofree gchar *text = measure_hex_encode(data, size);
    field(out, name, text);
}

static void add_identity(GString *out, const PolicyIdentity *identity)
{
    g_autofree gchar *svn = g_strdup_printf("%u", identity->guest_svn);
    hex_field(out, "ID key", identity->id_key_digest, sizeof(identity->id_key_digest));
    if (identity->has_author_key) {
        hex_field(out, "Author key", identity->author_key_digest, sizeof(identity->author_key_digest));
    }
    hex_field(out, "Family ID", identity->family_id, sizeof(identity->family_id));
    hex_field(out, "Image ID", identity->image_id, sizeof(identity->image_id));
    field(out, "Guest SVN", svn);
}

gchar *cmd_owner_rules_format(const PolicyReference *reference)
{
    GString *out = g_string_new(NULL);
    field(out, "Product", reference->product);
    if (reference->has_minimum_tcb) {
        g_autofree gchar *tcb = policy_tcb_describe(&reference->minimum_tcb);
        field(out, "Minimum TCB", tcb);
    }
    if (reference->has_platform_info) {
        g_autofree gchar *info =
            g_strdup_printf("0x%" G_GINT64_MODIFIER "x under mask 0x%" G_GINT64_MODIFIER "x", reference->platform_info,
                            reference->platform_info_mask);
        field(out, "Platform info", info);
    }
    return g_string_free(out, FALSE);
}

gchar *cmd_reference_rules_format(const PolicyReference *reference)
{
    g_autofree gchar *rules = cmd_owner_rules_format(reference);
    GString *out = g_string_new(rules);
    if (reference->identity) {
        add_identity(out, reference->identity);
    }
    if (reference->host_data) {
        g_autofree gchar *host_data =
            g_strdup_printf("%s (%s)", reference->host_data,
                            cmd_reference_is_bound(reference) ? "binds this reference" : "does not bind this reference");
        field(out, "Host data", host_data);
    }
    field(out, "Source", reference->source);
    field(out, "Signed", reference->signed_text ? "yes" : NULL);
    return g_string_free(out, FALSE);
}

static void add_verity(GString *out, const PolicyReferenceVerity *verity)
{
    g_autofree gchar *blocks = g_strdup_printf("%" G_GUINT64_FORMAT " of %u bytes, hashed with %s in blocks of %u",
                                               verity->data_blocks, verity->data_block_size, verity->hash,
                                               verity->hash_block_size);
    field(out, "Root hash", verity->root_hash);
    field(out, "Root blocks", blocks);
    field(out, "Root salt", *verity->salt ? verity->salt : "none");
}

static void add_findings(GString *out, const GPtrArray *findings, gboolean bare)
{
    g_autoptr(CmdTable) table = cmd_table_new("Level", "Rule", "Result", "Finding", NULL);
    guint bad = 0;
    for (guint i = 0; i < findings->len; i++) {
        const PolicyFinding *each = g_ptr_array_index(findings, i);
        if (each->outcome != POLICY_PASS) {
            g_autofree gchar *level = g_strdup_printf("%u", each->level);
            cmd_table_row(table, level, each->rule, policy_outcome_name(each->outcome), each->text);
            bad++;
        }
    }
    if (bad > 0) {
        g_autofree gchar *text = cmd_table_format(table, bare);
        g_string_append(out, text);
    }
}

gchar *cmd_reference_table(const PolicyReference *reference, gboolean bare)
{
    GString *out = g_string_new(NULL);
    g_autofree gchar *level = g_strdup_printf("%u", reference->level);
    g_autofree gchar *policy = policy_guest_describe(reference->platform, reference->policy);
    g_autofree gchar *rules = cmd_reference_rules_format(reference);
    g_autofree gchar *measurements = cmd_measurements_format(reference->measurements, bare);
    g_autofree gchar *inputs = cmd_inputs_format(reference->inputs, bare);
    guint8 binding[MEASURE_SHA256_SIZE];

    field(out, "Name", reference->name);
    field(out, "UUID", reference->uuid);
    field(out, "Platform", measure_platform_name(reference->platform));
    field(out, "Level", level);
    field(out, "Guest policy", policy);
    field(out, "Kernel hashes", reference->kernel_hashes ? "yes" : "no");
    field(out, "Firmware build", reference->firmware_version);
    if (reference->verity) {
        add_verity(out, reference->verity);
    }
    g_string_append(out, rules);
    field(out, "Made by", reference->tool);
    policy_reference_binding(reference, binding);
    hex_field(out, "Binding", binding, sizeof(binding));
    g_string_append_c(out, '\n');
    g_string_append(out, measurements);
    if (reference->inputs->len > 0) {
        g_string_append(out, inputs);
    }
    add_findings(out, reference->findings, bare);
    return g_string_free(out, FALSE);
}
