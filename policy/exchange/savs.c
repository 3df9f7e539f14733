/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/exchange/savs.h"

#include <string.h>

#include "measure/error.h"
#include "policy/exchange/json-text.h"
#include "policy/text.h"

#define FILE_NAME "policies.json"

/* Attestation report, SEV-SNP Firmware ABI (56860), table of ATTESTATION_REPORT. */
#define REPORT_SIZE 0x4a0
#define FLAG_AUTHOR_KEY 0x1   /* AUTHOR_KEY_EN */
#define FLAG_SIGNING_KEY 0x1c /* 0 is the VCEK */

/* ---- writing ---- */

static void add_field(JsonArray *fields, const char *name, guint offset, const guint8 *bytes, gsize size)
{
    JsonObject *field = json_object_new();

    json_object_set_string_member(field, "name", name);
    json_object_set_int_member(field, "offset", offset);
    json_object_set_int_member(field, "length", (gint64)size);
    policy_json_add_hex_bytes(field, "expected_hex", bytes, size);
    json_array_add_object_element(fields, field);
}

static void add_number_field(JsonArray *fields, const char *name, guint offset, guint64 value, gsize size)
{
    guint8 bytes[8];

    measure_put_u64(bytes, value);
    add_field(fields, name, offset, bytes, size);
}

static JsonArray *expected_fields(const PolicyReference *reference)
{
    JsonArray *fields = json_array_new();
    const PolicyIdentity *identity = reference->identity;
    guint8 host_data[MEASURE_SHA256_SIZE];

    if (identity) {
        add_number_field(fields, "guest_svn", 0x4, identity->guest_svn, 4);
        add_field(fields, "family_id", 0x10, identity->family_id, sizeof(identity->family_id));
        add_field(fields, "image_id", 0x20, identity->image_id, sizeof(identity->image_id));
        add_field(fields, "id_key_digest", 0xe0, identity->id_key_digest, sizeof(identity->id_key_digest));
    }
    if (identity && identity->has_author_key)
        add_field(fields, "author_key_digest", 0x110, identity->author_key_digest, sizeof(identity->author_key_digest));
    if (reference->host_data && measure_hex_decode(reference->host_data, host_data, sizeof(host_data)))
        add_field(fields, "host_data", 0xc0, host_data, sizeof(host_data));
    if (reference->has_platform_info)
        add_number_field(fields, "platform_info", 0x40, reference->platform_info, 8);
    return fields;
}

/* It becomes part of the address from which SAVS fetches certificates, and there these three are one. */
static const char *kds_product(const char *product)
{
    return !strcmp(product, "Siena") || !strcmp(product, "Bergamo") ? "Genoa" : product;
}

static JsonObject *deployment(const PolicyReference *reference, const XmlMeasurement *measurement)
{
    JsonObject *policy = json_object_new();
    JsonArray *fields = expected_fields(reference);
    gboolean author = reference->identity ? reference->identity->has_author_key : reference->author_key;

    json_object_set_string_member(policy, "product_name", kds_product(reference->product));
    json_object_set_int_member(policy, "nonce_ttl_seconds", 300);
    json_object_set_boolean_member(policy, "delete_session_after_success", TRUE);
    policy_json_add_hex_bytes(policy, "expected_measurement_hex", measurement->digest.bytes, measurement->digest.size);
    policy_json_add_hex_number(policy, "required_policy_bits_set", reference->policy);
    policy_json_add_hex_number(policy, "forbidden_policy_bits_set", ~reference->policy);
    policy_json_add_hex_number(policy, "required_flags_bits_set", author ? FLAG_AUTHOR_KEY : 0);
    policy_json_add_hex_number(policy, "forbidden_flags_bits_set", FLAG_SIGNING_KEY | (author ? 0 : FLAG_AUTHOR_KEY));
    if (reference->has_minimum_tcb) {
        JsonObject *tcb = json_object_new();

        json_object_set_int_member(tcb, "blSPL", reference->minimum_tcb.bootloader);
        json_object_set_int_member(tcb, "teeSPL", reference->minimum_tcb.tee);
        json_object_set_int_member(tcb, "snpSPL", reference->minimum_tcb.snp);
        json_object_set_int_member(tcb, "ucodeSPL", reference->minimum_tcb.microcode);
        json_object_set_object_member(policy, "min_tcb", tcb);
    }
    if (json_array_get_length(fields))
        json_object_set_array_member(policy, "expected_fields", fields);
    else
        json_array_unref(fields);
    return policy;
}

static gboolean expressible(const PolicyReference *reference, GError **error)
{
    if (!exchange_require_snp(reference, "SAVS", error))
        return FALSE;
    if (!reference->product)
        return exchange_fail(error, ATTEST_ERROR_USAGE, "SAVS must know the processor: give --product");
    if (reference->vcek_disabled)
        return exchange_fail(error, ATTEST_ERROR_USAGE,
                             "SAVS verifies reports signed by the VCEK only, and this guest's "
                             "are not: its domain has vcek='no'");
    if (!strcmp(reference->product, "Turin"))
        return exchange_fail(error, ATTEST_ERROR_USAGE,
                             "SAVS reads the TCB version of Turin in the order of older "
                             "processors, so its verdict would be wrong");
    if (reference->has_platform_info && reference->platform_info_mask != G_MAXUINT64)
        return exchange_fail(error, ATTEST_ERROR_USAGE,
                             "SAVS compares whole numbers, and the rule for the platform "
                             "information has a mask: give --platform-info without one");
    return TRUE;
}

gchar *exchange_savs_format(const PolicyReference *reference, GError **error)
{
    g_autoptr(JsonObject) root = NULL;

    if (!expressible(reference, error))
        return NULL;
    root = json_object_new();
    for (guint i = 0; i < reference->measurements->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(reference->measurements, i);
        const char *name = exchange_guest_name(reference);
        g_autofree gchar *label =
            reference->measurements->len > 1 ? g_strdup_printf("%s-%s", name, each->cpu) : g_strdup(name);

        if (json_object_has_member(root, label)) {
            g_autofree gchar *shorter = g_steal_pointer(&label);

            label = g_strdup_printf("%s-%u-0x%" G_GINT64_MODIFIER "x", shorter, each->vcpus, each->features);
        }
        if (json_object_has_member(root, label)) {
            g_autofree gchar *shorter = g_steal_pointer(&label);

            label = g_strdup_printf("%s-0x%x", shorter, each->signature);
        }
        if (json_object_has_member(root, label)) {
            exchange_fail(error, ATTEST_ERROR_USAGE,
                          "two measurements would both be deployment '%s' of SAVS: choose one with --cpu", label);
            return NULL;
        }
        json_object_set_object_member(root, label, deployment(reference, each));
    }
    return exchange_json_format_object(g_steal_pointer(&root));
}

/* ---- reading ---- */

static const char *const known[] = {"product_name",
                                    "nonce_ttl_seconds",
                                    "delete_session_after_success",
                                    "allowed_report_versions",
                                    "expected_measurement_hex",
                                    "required_policy_bits_set",
                                    "forbidden_policy_bits_set",
                                    "required_flags_bits_set",
                                    "forbidden_flags_bits_set",
                                    "chip_id_allowlist_hex",
                                    "min_tcb",
                                    "expected_fields",
                                    NULL};

/* A number, or one written as text in hexadecimal. */
static gboolean check_mask(JsonObject *policy, const char *where, const char *name, GError **error)
{
    JsonNode *node = json_object_get_member(policy, name);
    g_autofree gchar *text = NULL;
    guint64 value = 0;

    if (!node || (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_INT64))
        return policy_json_uint(policy, where, name, TRUE, G_MAXINT64, &value, error);
    if (!policy_json_string(policy, where, name, FALSE, &text, error))
        return FALSE;
    return (g_str_has_prefix(text, "0x") && g_ascii_string_to_unsigned(text + 2, 16, 0, G_MAXUINT64, NULL, NULL)) ||
           policy_json_error(error, where, name, "this is not a number such as 0x30000");
}

/* @size: bytes, 0 for any number of them. */
static gboolean check_hex(const char *text, gsize size)
{
    gsize digits = strlen(text);
    g_autofree guint8 *bytes = g_malloc(digits / 2 + 1);

    return digits && digits % 2 == 0 && (!size || digits == 2 * size) && measure_hex_decode(text, bytes, digits / 2);
}

static gboolean check_lists(JsonObject *policy, const char *where, GError **error)
{
    JsonArray *versions = NULL;
    JsonArray *chips = NULL;

    if (!policy_json_array(policy, where, "allowed_report_versions", TRUE, &versions, error) ||
        !policy_json_array(policy, where, "chip_id_allowlist_hex", TRUE, &chips, error))
        return FALSE;
    for (guint i = 0; versions && i < json_array_get_length(versions); i++) {
        JsonNode *node = json_array_get_element(versions, i);

        if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64)
            return policy_json_error(error, where, "allowed_report_versions", "element %u is not a whole number",
                                     i + 1);
    }
    for (guint i = 0; chips && i < json_array_get_length(chips); i++) {
        JsonNode *node = json_array_get_element(chips, i);

        /* 64 bytes; with more or fewer the guest can never pass, which ought to be known. */
        if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING ||
            !check_hex(json_node_get_string(node), 64))
            return policy_json_error(error, where, "chip_id_allowlist_hex", "element %u is not a chip ID of 64 bytes",
                                     i + 1);
    }
    return TRUE;
}

static gboolean check_tcb(JsonObject *policy, const char *where, GError **error)
{
    static const char *const parts[] = {"blSPL", "teeSPL", "snpSPL", "ucodeSPL", NULL};
    g_autofree gchar *position = g_strconcat(where, ".min_tcb", NULL);
    JsonObject *tcb = NULL;
    guint64 value = 0;

    if (!policy_json_object(policy, where, "min_tcb", TRUE, &tcb, error) ||
        (tcb && !policy_json_members(tcb, position, parts, error)))
        return FALSE;
    for (guint i = 0; tcb && parts[i]; i++) {
        if (!policy_json_uint(tcb, position, parts[i], TRUE, G_MAXUINT8, &value, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean check_fields(JsonObject *policy, const char *where, GError **error)
{
    static const char *const members[] = {"name", "offset", "length", "expected_hex", NULL};
    JsonArray *fields = NULL;

    if (!policy_json_array(policy, where, "expected_fields", TRUE, &fields, error))
        return FALSE;
    for (guint i = 0; fields && i < json_array_get_length(fields); i++) {
        g_autofree gchar *position = NULL;
        g_autofree gchar *name = NULL;
        g_autofree gchar *hex = NULL;
        guint64 offset = 0, length = 0;
        JsonObject *field = policy_json_element(fields, i, where, "expected_fields", &position, error);

        if (!field || !policy_json_members(field, position, members, error) ||
            !policy_json_string(field, position, "name", TRUE, &name, error) ||
            !policy_json_uint(field, position, "offset", FALSE, REPORT_SIZE, &offset, error) ||
            !policy_json_uint(field, position, "length", FALSE, REPORT_SIZE - offset, &length, error) ||
            !policy_json_string(field, position, "expected_hex", FALSE, &hex, error))
            return FALSE;
        if (!length || !check_hex(hex, (gsize)length))
            return policy_json_error(error, position, "expected_hex", "this is not as long as its length says");
    }
    return TRUE;
}

static gboolean check_deployment(JsonObject *policy, const char *where, GError **error)
{
    g_autofree gchar *product = NULL;
    gboolean deletes = FALSE;
    guint64 seconds = 0;

    return policy_json_members(policy, where, known, error) &&
           policy_json_string(policy, where, "product_name", FALSE, &product, error) &&
           policy_json_uint(policy, where, "nonce_ttl_seconds", TRUE, G_MAXINT32, &seconds, error) &&
           policy_json_boolean(policy, where, "delete_session_after_success", TRUE, &deletes, error) &&
           check_lists(policy, where, error) && check_mask(policy, where, "required_policy_bits_set", error) &&
           check_mask(policy, where, "forbidden_policy_bits_set", error) &&
           check_mask(policy, where, "required_flags_bits_set", error) &&
           check_mask(policy, where, "forbidden_flags_bits_set", error) && check_tcb(policy, where, error) &&
           check_fields(policy, where, error);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(a, b);
}

static gboolean read_deployment(JsonObject *root, const char *name, GPtrArray *digests, GPtrArray *unbound,
                                GError **error)
{
    g_autofree gchar *where = policy_one_line(name, 100);
    g_autofree gchar *text = NULL;
    guint8 bytes[MEASURE_SHA384_SIZE];
    JsonObject *policy = NULL;

    if (!policy_json_object(root, "", name, FALSE, &policy, error) || !check_deployment(policy, where, error) ||
        !policy_json_string(policy, where, "expected_measurement_hex", TRUE, &text, error))
        return FALSE;
    if (!text) {
        g_ptr_array_add(unbound, g_strdup(name));
        return TRUE;
    }
    /* In any case: SAVS compares bytes. */
    if (!measure_hex_decode(text, bytes, sizeof(bytes)))
        return policy_json_error(error, where, "expected_measurement_hex", "this is not a digest of 48 bytes");
    g_ptr_array_add(digests, exchange_digest_new(name, bytes));
    return TRUE;
}

GPtrArray *exchange_savs_parse(const char *text, gssize size, GPtrArray **unbound, GError **error)
{
    g_autoptr(GPtrArray) digests = exchange_digests_new();
    g_autoptr(GPtrArray) without = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(JsonNode) node = policy_json_parse(text, size, EXCHANGE_JSON_MAX_SIZE, FILE_NAME, error);
    JsonObject *root = node ? json_node_get_object(node) : NULL;
    g_autoptr(GList) names = root ? g_list_sort(json_object_get_members(root), compare_names) : NULL;

    if (!root)
        return NULL;
    for (GList *each = names; each; each = each->next) {
        if (!read_deployment(root, each->data, digests, without, error)) {
            g_prefix_error(error, FILE_NAME ": ");
            return NULL;
        }
    }
    *unbound = g_steal_pointer(&without);
    return g_steal_pointer(&digests);
}
