/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtee's Rust library derives its JSON from the members of a structure, and the structure has changed: up to version
 * 5 every reserved byte has a member of its own (names that start with '_'), later ones name what newer reports put
 * there and leave the rest out. Members of both shapes are taken, each at most in one of its forms; everything ends in
 * the bytes that the processor signed. Services wrap it as {"attestation_report": …, "cert_chain": […]}.
 */
#include "policy/appraisal/evidence-json.h"

#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/json.h"

/* Integers of @size bytes; byte arrays where @array. */
typedef struct {
    const char *name;
    guint16 offset, size;
    gboolean array, optional;
} Field;

static const Field fields[] = {
    {"version", 0x000, 4, FALSE, FALSE},
    {"guest_svn", 0x004, 4, FALSE, FALSE},
    {"policy", 0x008, 8, FALSE, FALSE},
    {"family_id", 0x010, 16, TRUE, FALSE},
    {"image_id", 0x020, 16, TRUE, FALSE},
    {"vmpl", 0x030, 4, FALSE, FALSE},
    {"sig_algo", 0x034, 4, FALSE, FALSE},
    {"plat_info", 0x040, 8, FALSE, FALSE},
    {"key_info", 0x048, 4, FALSE, TRUE},
    {"_author_key_en", 0x048, 4, FALSE, TRUE},
    {"_reserved_0", 0x04c, 4, FALSE, TRUE},
    {"report_data", 0x050, 64, TRUE, FALSE},
    {"measurement", 0x090, 48, TRUE, FALSE},
    {"host_data", 0x0c0, 32, TRUE, FALSE},
    {"id_key_digest", 0x0e0, 48, TRUE, FALSE},
    {"author_key_digest", 0x110, 48, TRUE, FALSE},
    {"report_id", 0x140, 32, TRUE, FALSE},
    {"report_id_ma", 0x160, 32, TRUE, FALSE},
    {"_reserved_1", 0x188, 24, TRUE, TRUE},
    {"cpuid_fam_id", 0x188, 1, FALSE, TRUE},
    {"cpuid_mod_id", 0x189, 1, FALSE, TRUE},
    {"cpuid_step", 0x18a, 1, FALSE, TRUE},
    {"chip_id", 0x1a0, 64, TRUE, FALSE},
    {"current_build", 0x1e8, 1, FALSE, TRUE},
    {"current_minor", 0x1e9, 1, FALSE, TRUE},
    {"current_major", 0x1ea, 1, FALSE, TRUE},
    {"_reserved_2", 0x1eb, 1, FALSE, TRUE},
    {"committed_build", 0x1ec, 1, FALSE, TRUE},
    {"committed_minor", 0x1ed, 1, FALSE, TRUE},
    {"committed_major", 0x1ee, 1, FALSE, TRUE},
    {"_reserved_3", 0x1ef, 1, FALSE, TRUE},
    {"_reserved_4", 0x1f8, 168, TRUE, TRUE},
    {"launch_mit_vector", 0x1f8, 8, FALSE, TRUE},
    {"current_mit_vector", 0x200, 8, FALSE, TRUE},
};

static const struct {
    const char *name;
    guint16 offset;
} tcbs[] = {{"current_tcb", 0x038}, {"reported_tcb", 0x180}, {"committed_tcb", 0x1e0}, {"launch_tcb", 0x1f0}};

static const struct {
    const char *name;
    guint16 offset;
} versions[] = {{"current", 0x1e8}, {"committed", 0x1ec}};

/* Of each row one member has to be there, and not both: they hold the same bytes. */
static const char *const either[][2] = {
    {"key_info", "_author_key_en"}, {"current", "current_build"},     {"current", "current_minor"},
    {"current", "current_major"},   {"committed", "committed_build"}, {"committed", "committed_minor"},
    {"committed", "committed_major"},
};
static const char *const not_both[][2] = {
    {"_reserved_1", "cpuid_fam_id"},      {"_reserved_1", "cpuid_mod_id"},       {"_reserved_1", "cpuid_step"},
    {"_reserved_4", "launch_mit_vector"}, {"_reserved_4", "current_mit_vector"},
};

/* Rust's Option writes None as null, or not at all. */
static gboolean has(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && !JSON_NODE_HOLDS_NULL(node);
}

static gboolean get_integer(JsonObject *object, const char *where, const char *name, gsize size, guint8 *out,
                            GError **error)
{
    guint64 max = size == 8 ? (guint64)G_MAXINT64 : (G_GUINT64_CONSTANT(1) << (8 * size)) - 1;
    guint64 value = 0;

    if (!policy_json_uint(object, where, name, FALSE, max, &value, error))
        return FALSE;
    for (gsize i = 0; i < size; i++)
        out[i] = (guint8)(value >> (8 * i));
    return TRUE;
}

static gboolean get_byte(JsonNode *node, guint8 *out)
{
    gint64 value = 0;

    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64)
        return FALSE;
    value = json_node_get_int(node);
    *out = (guint8)value;
    return value >= 0 && value <= 255;
}

static gboolean get_array(JsonObject *object, const char *where, const char *name, gsize size, guint8 *out,
                          GError **error)
{
    JsonArray *array = NULL;

    if (!policy_json_array(object, where, name, FALSE, &array, error))
        return FALSE;
    if (json_array_get_length(array) != size)
        return policy_json_error(error, where, name, "it has %u numbers instead of %" G_GSIZE_FORMAT,
                                 json_array_get_length(array), size);
    for (guint i = 0; i < size; i++) {
        if (!get_byte(json_array_get_element(array, i), out + i))
            return policy_json_error(error, where, name, "number %u is no byte", i);
    }
    return TRUE;
}

static gboolean get_tcb(JsonObject *report, const char *name, guint8 out[8], GError **error)
{
    static const char *const known[] = {"fmc", "bootloader", "tee", "_reserved", "snp", "microcode", NULL};
    JsonObject *tcb = NULL;

    if (!policy_json_object(report, "", name, FALSE, &tcb, error) || !policy_json_members(tcb, name, known, error))
        return FALSE;
    if (has(tcb, "fmc")) {
        if (has(tcb, "_reserved"))
            return policy_json_error(error, name, "_reserved", "this layout, with fmc, has none");
        return get_integer(tcb, name, "fmc", 1, out, error) &&
               get_integer(tcb, name, "bootloader", 1, out + 1, error) &&
               get_integer(tcb, name, "tee", 1, out + 2, error) && get_integer(tcb, name, "snp", 1, out + 3, error) &&
               get_integer(tcb, name, "microcode", 1, out + 7, error);
    }
    return get_integer(tcb, name, "bootloader", 1, out, error) && get_integer(tcb, name, "tee", 1, out + 1, error) &&
           (!has(tcb, "_reserved") || get_array(tcb, name, "_reserved", 4, out + 2, error)) &&
           get_integer(tcb, name, "snp", 1, out + 6, error) && get_integer(tcb, name, "microcode", 1, out + 7, error);
}

static gboolean get_version(JsonObject *report, const char *name, guint8 out[3], GError **error)
{
    static const char *const known[] = {"build", "minor", "major", NULL};
    JsonObject *version = NULL;

    if (!has(report, name))
        return TRUE;
    if (!policy_json_object(report, "", name, FALSE, &version, error) ||
        !policy_json_members(version, name, known, error))
        return FALSE;
    for (guint i = 0; known[i]; i++) {
        if (!get_integer(version, name, known[i], 1, out + i, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean get_signature(JsonObject *report, guint8 *raw, GError **error)
{
    static const char *const known[] = {"r", "s", "_reserved", NULL};
    guint8 *at = raw + APPRAISAL_SIGNED_SIZE;
    JsonObject *signature = NULL;

    return policy_json_object(report, "", "signature", FALSE, &signature, error) &&
           policy_json_members(signature, "signature", known, error) &&
           get_array(signature, "signature", "r", 72, at, error) &&
           get_array(signature, "signature", "s", 72, at + 72, error) &&
           (!has(signature, "_reserved") || get_array(signature, "signature", "_reserved", 368, at + 144, error));
}

static gboolean check_members(JsonObject *report, GError **error)
{
    g_autoptr(GPtrArray) known = g_ptr_array_new();

    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        g_ptr_array_add(known, (gpointer)fields[i].name);
    for (gsize i = 0; i < G_N_ELEMENTS(tcbs); i++)
        g_ptr_array_add(known, (gpointer)tcbs[i].name);
    for (gsize i = 0; i < G_N_ELEMENTS(versions); i++)
        g_ptr_array_add(known, (gpointer)versions[i].name);
    g_ptr_array_add(known, (gpointer) "signature");
    g_ptr_array_add(known, NULL);
    if (!policy_json_members(report, "", (const char *const *)known->pdata, error))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(either); i++) {
        if (has(report, either[i][0]) == has(report, either[i][1]))
            return policy_json_error(error, "", either[i][0], "either this or '%s' has to be there", either[i][1]);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(not_both); i++) {
        if (has(report, not_both[i][0]) && has(report, not_both[i][1]))
            return policy_json_error(error, "", not_both[i][0], "it holds the same bytes as '%s'", not_both[i][1]);
    }
    return TRUE;
}

static gboolean get_report(JsonObject *report, guint8 raw[APPRAISAL_REPORT_SIZE], GError **error)
{
    memset(raw, 0, APPRAISAL_REPORT_SIZE);
    if (!check_members(report, error))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++) {
        const Field *field = &fields[i];

        if (field->optional && !has(report, field->name))
            continue;
        if (!(field->array ? get_array : get_integer)(report, "", field->name, field->size, raw + field->offset, error))
            return FALSE;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(tcbs); i++) {
        if (!get_tcb(report, tcbs[i].name, raw + tcbs[i].offset, error))
            return FALSE;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(versions); i++) {
        if (!get_version(report, versions[i].name, raw + versions[i].offset, error))
            return FALSE;
    }
    return get_signature(report, raw, error);
}

static gboolean get_certificate(JsonArray *chain, guint index, GPtrArray *certificates, GError **error)
{
    static const char *const known[] = {"cert_type", "data", NULL};
    g_autofree gchar *where = NULL;
    g_autofree gchar *type = NULL;
    g_autofree gchar *role = NULL;
    JsonArray *data = NULL;
    JsonObject *entry = policy_json_element(chain, index, "", "cert_chain", &where, error);

    if (!entry || !policy_json_members(entry, where, known, error) ||
        !policy_json_string(entry, where, "cert_type", FALSE, &type, error) ||
        !policy_json_array(entry, where, "data", FALSE, &data, error))
        return FALSE;
    role = g_ascii_strdown(type, -1);
    if (!g_strv_contains((const char *const[]){"vcek", "vlek", "ask", "ark", "crl", NULL}, role))
        return policy_json_error(error, where, "cert_type", "it must be VCEK, VLEK, ASK, ARK or CRL");
    gsize size = json_array_get_length(data);
    g_autofree guint8 *bytes = g_malloc(size ? size : 1);
    if (size == 0 || !get_array(entry, where, "data", size, bytes, error))
        return size ? FALSE : policy_json_error(error, where, "data", "it is empty");
    g_autoptr(GBytes) blob = g_bytes_new(bytes, size);
    appraisal_blobs_add(certificates, role, blob);
    return TRUE;
}

static gboolean get_evidence(JsonObject *object, guint8 raw[APPRAISAL_REPORT_SIZE], GPtrArray *certificates,
                             GError **error)
{
    static const char *const known[] = {"attestation_report", "cert_chain", NULL};
    JsonObject *report = NULL;
    JsonArray *chain = NULL;

    if (!json_object_has_member(object, "attestation_report"))
        return get_report(object, raw, error);
    if (!policy_json_members(object, "", known, error) ||
        !policy_json_object(object, "", "attestation_report", FALSE, &report, error) || !get_report(report, raw, error))
        return FALSE;
    if (!has(object, "cert_chain"))
        return TRUE;
    if (!policy_json_array(object, "", "cert_chain", FALSE, &chain, error))
        return FALSE;
    for (guint i = 0; i < json_array_get_length(chain); i++) {
        if (!get_certificate(chain, i, certificates, error))
            return FALSE;
    }
    return TRUE;
}

gboolean appraisal_json_parse(const char *text, gsize size, guint8 raw[APPRAISAL_REPORT_SIZE], GPtrArray *certificates,
                              gchar **ssh_host_key, GError **error)
{
    static const char what[] = "attestation report";
    g_autoptr(JsonNode) root = policy_json_parse(text, (gssize)size, APPRAISAL_EVIDENCE_MAX_SIZE, what, error);

    if (!root)
        return FALSE;
    JsonObject *object = json_node_get_object(root);
    if (appraisal_document_is(object)) {
        if (appraisal_document_read(object, raw, certificates, ssh_host_key, error))
            return TRUE;
        g_prefix_error(error, "evidence document: ");
        return FALSE;
    }
    if (!get_evidence(object, raw, certificates, error)) {
        g_prefix_error(error, "%s: ", what);
        return FALSE;
    }
    return TRUE;
}

static void add_array(JsonObject *object, const char *name, const guint8 *bytes, gsize size)
{
    JsonArray *array = json_array_sized_new((guint)size);

    for (gsize i = 0; i < size; i++)
        json_array_add_int_element(array, bytes[i]);
    json_object_set_array_member(object, name, array);
}

static void add_tcb(JsonObject *object, const char *name, const guint8 raw[8])
{
    JsonObject *tcb = json_object_new();

    json_object_set_int_member(tcb, "bootloader", raw[0]);
    json_object_set_int_member(tcb, "tee", raw[1]);
    add_array(tcb, "_reserved", raw + 2, 4);
    json_object_set_int_member(tcb, "snp", raw[6]);
    json_object_set_int_member(tcb, "microcode", raw[7]);
    json_object_set_object_member(object, name, tcb);
}

gchar *appraisal_report_to_json(const AppraisalReport *report)
{
    static const char *const newer[] = {"key_info",   "cpuid_fam_id",      "cpuid_mod_id",
                                        "cpuid_step", "launch_mit_vector", "current_mit_vector", NULL};
    JsonObject *object = json_object_new();
    JsonObject *signature = json_object_new();
    const guint8 *at = report->raw + APPRAISAL_SIGNED_SIZE;

    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++) {
        const Field *field = &fields[i];
        guint64 value = 0;

        if (g_strv_contains(newer, field->name))
            continue;
        if (field->array) {
            add_array(object, field->name, report->raw + field->offset, field->size);
            continue;
        }
        for (gsize k = field->size; k > 0; k--)
            value = value << 8 | report->raw[field->offset + k - 1];
        json_object_set_int_member(object, field->name, (gint64)value);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(tcbs); i++)
        add_tcb(object, tcbs[i].name, report->raw + tcbs[i].offset);
    add_array(signature, "r", at, 72);
    add_array(signature, "s", at + 72, 72);
    add_array(signature, "_reserved", at + 144, 368);
    json_object_set_object_member(object, "signature", signature);
    return policy_json_format(object, FALSE);
}
