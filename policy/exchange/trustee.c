/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/exchange/trustee.h"

#include <string.h>

#include "measure/error.h"
#include "policy/exchange/json-text.h"
#include "policy/guest-policy.h"

#define MEASUREMENTS "snp_launch_measurement"
#define MESSAGE_VERSION "0.1.0"

/* Bits of the guest policy and of PLATFORM_INFO, SEV-SNP Firmware ABI (56860), that Trustee makes claims of. */
#define POLICY_MIGRATE_MA (G_GUINT64_CONSTANT(1) << 18)
#define POLICY_SINGLE_SOCKET (G_GUINT64_CONSTANT(1) << 20)
#define PLATFORM_SMT (G_GUINT64_CONSTANT(1) << 0)
#define PLATFORM_TSME (G_GUINT64_CONSTANT(1) << 1)

/* A rule that Trustee cannot check must not look as if it were checked. */
static gboolean expressible(const PolicyReference *reference, const char *what, GError **error)
{
    if (!exchange_require_snp(reference, what, error))
        return FALSE;
    if (reference->has_minimum_tcb && reference->minimum_tcb.fmc >= 0)
        return exchange_fail(error, ATTEST_ERROR_USAGE,
                             "%s has no fmc, and the minimum TCB has one: give --minimum-tcb without it", what);
    if (reference->has_platform_info && reference->platform_info_mask & ~(PLATFORM_SMT | PLATFORM_TSME))
        return exchange_fail(error, ATTEST_ERROR_USAGE,
                             "%s knows SMT and TSME of the platform information, and the rule has other bits in its "
                             "mask: give --platform-info VALUE/MASK with a mask of at most 0x3",
                             what);
    return TRUE;
}

/* Lower-case hexadecimal, each once, in the reference's order. */
static GPtrArray *digest_texts(const PolicyReference *reference)
{
    GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < reference->measurements->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(reference->measurements, i);
        g_autofree gchar *text = measure_digest_hex(&each->digest);

        if (!g_ptr_array_find_with_equal_func(texts, text, g_str_equal, NULL))
            g_ptr_array_add(texts, g_steal_pointer(&text));
    }
    return texts;
}

static void add_range(JsonObject *root, const char *name, guint8 lowest)
{
    JsonArray *list = json_array_new();

    for (guint i = lowest; i <= G_MAXUINT8; i++)
        json_array_add_int_element(list, i);
    json_object_set_array_member(root, name, list);
}

static JsonObject *values(const PolicyReference *reference)
{
    JsonObject *root = json_object_new();
    JsonArray *measurements = json_array_new();
    g_autoptr(GPtrArray) texts = digest_texts(reference);
    guint64 mask = reference->has_platform_info ? reference->platform_info_mask : 0;

    for (guint i = 0; i < texts->len; i++)
        json_array_add_string_element(measurements, g_ptr_array_index(texts, i));
    json_object_set_array_member(root, MEASUREMENTS, measurements);
    if (reference->has_minimum_tcb) {
        add_range(root, "snp_bootloader", reference->minimum_tcb.bootloader);
        add_range(root, "snp_tee_svn", reference->minimum_tcb.tee);
        add_range(root, "snp_snp_svn", reference->minimum_tcb.snp);
        add_range(root, "snp_microcode", reference->minimum_tcb.microcode);
    }
    json_object_set_int_member(root, "snp_guest_abi_major", (gint64)(reference->policy >> 8 & 0xff));
    json_object_set_int_member(root, "snp_guest_abi_minor", (gint64)(reference->policy & 0xff));
    json_object_set_boolean_member(root, "snp_smt_allowed", (reference->policy & POLICY_SNP_SMT) != 0);
    json_object_set_boolean_member(root, "snp_single_socket", (reference->policy & POLICY_SINGLE_SOCKET) != 0);
    if (mask & PLATFORM_SMT)
        json_object_set_boolean_member(root, "snp_smt_enabled", (reference->platform_info & PLATFORM_SMT) != 0);
    if (mask & PLATFORM_TSME)
        json_object_set_boolean_member(root, "snp_tsme_enabled", (reference->platform_info & PLATFORM_TSME) != 0);
    return root;
}

gchar *exchange_rvps_format(const PolicyReference *reference, GError **error)
{
    return expressible(reference, "Trustee's list", error) ? exchange_json_format_object(values(reference)) : NULL;
}

gchar *exchange_rvps_message_format(const PolicyReference *reference, GError **error)
{
    g_autofree gchar *payload = exchange_rvps_format(reference, error);
    g_autofree gchar *encoded = NULL;
    JsonObject *message = NULL;

    if (!payload)
        return NULL;
    encoded = g_base64_encode((const guchar *)payload, strlen(payload));
    message = json_object_new();
    json_object_set_string_member(message, "version", MESSAGE_VERSION);
    json_object_set_string_member(message, "type", "sample");
    json_object_set_string_member(message, "payload", encoded);
    return exchange_json_format_object(message);
}

/* ---- reading ---- */

/* Canonical base64 of text; NULL otherwise. */
static gchar *decode_payload(const char *encoded)
{
    gsize size = 0;
    g_autofree guchar *data = g_base64_decode(encoded, &size);
    g_autofree gchar *again = g_base64_encode(data, size);

    /* g_base64_decode() skips what it does not know, and a NUL would hide what follows it. */
    if (!size || strcmp(again, encoded) || memchr(data, '\0', size))
        return NULL;
    return g_strndup((const gchar *)data, size);
}

/* The text of the values: @text itself, or a message's payload. */
static gchar *unwrap(JsonObject *root, GError **error)
{
    static const char *const known[] = {"version", "type", "payload", NULL};
    g_autofree gchar *version = NULL;
    g_autofree gchar *type = NULL;
    g_autofree gchar *encoded = NULL;
    gchar *payload = NULL;

    if (!policy_json_members(root, "", known, error) ||
        !policy_json_string(root, "", "version", FALSE, &version, error) ||
        !policy_json_string(root, "", "type", FALSE, &type, error) ||
        !policy_json_string(root, "", "payload", FALSE, &encoded, error))
        return NULL;
    if (strcmp(version, MESSAGE_VERSION) || strcmp(type, "sample")) {
        exchange_fail(error, ATTEST_ERROR_UNREADABLE,
                      "a message of version '%s' and type '%s' is not read here, only "
                      "'" MESSAGE_VERSION "' and 'sample'",
                      version, type);
        return NULL;
    }
    payload = decode_payload(encoded);
    if (!payload)
        policy_json_error(error, "", "payload", "this is not base64 of text");
    return payload;
}

static GPtrArray *read_values(JsonObject *root, GError **error)
{
    g_autoptr(GPtrArray) digests = exchange_digests_new();
    JsonArray *list = NULL;

    if (!policy_json_array(root, "", MEASUREMENTS, FALSE, &list, error))
        return NULL;
    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonNode *node = json_array_get_element(list, i);
        gboolean string = JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING;
        const char *hex = string ? json_node_get_string(node) : "";
        guint8 bytes[MEASURE_SHA384_SIZE];

        if (!measure_hex_decode(hex, bytes, sizeof(bytes)) || strspn(hex, "0123456789abcdef") != 2 * sizeof(bytes)) {
            policy_json_error(error, "", MEASUREMENTS, "element %u is not a digest of 96 lower-case hexadecimal digits",
                              i + 1);
            return NULL;
        }
        g_ptr_array_add(digests, exchange_digest_new(MEASUREMENTS, bytes));
    }
    return g_steal_pointer(&digests);
}

GPtrArray *exchange_rvps_parse(const char *text, gssize size, GError **error)
{
    static const char what[] = "the reference values";
    g_autoptr(JsonNode) node = policy_json_parse(text, size, EXCHANGE_JSON_MAX_SIZE, what, error);
    g_autoptr(JsonNode) inner = NULL;
    g_autofree gchar *payload = NULL;
    GPtrArray *digests = NULL;

    if (!node)
        return NULL;
    if (json_object_has_member(json_node_get_object(node), "payload")) {
        payload = unwrap(json_node_get_object(node), error);
        inner = payload ? policy_json_parse(payload, -1, EXCHANGE_JSON_MAX_SIZE, what, error) : NULL;
        digests = inner ? read_values(json_node_get_object(inner), error) : NULL;
    } else {
        digests = read_values(json_node_get_object(node), error);
    }
    return digests;
}

/* ---- the policy ---- */

static const char policy_head[] =
    "# Attestation policy of Trustee for one guest, written by virt-attest.\n"
    "# It asks the reference value provider for nothing: everything it compares with is in here.\n"
    "package policy\n"
    "\n"
    "import rego.v1\n"
    "\n"
    "# Not recognised, unless a rule below says otherwise (AR4SI: 33, 97, 36); 0 is no assertion.\n"
    "default executables := 33\n"
    "\n"
    "default hardware := 97\n"
    "\n"
    "default configuration := 36\n"
    "\n"
    "trust_claims := {\n"
    "\t\"executables\": executables,\n"
    "\t\"hardware\": hardware,\n"
    "\t\"configuration\": configuration,\n"
    "\t\"file-system\": 0,\n"
    "\t\"instance-identity\": 0,\n"
    "\t\"runtime-opaque\": 0,\n"
    "\t\"storage-opaque\": 0,\n"
    "\t\"sourced-data\": 0,\n"
    "}\n";

static void add_boolean(GString *out, const char *name, gboolean value)
{
    g_string_append_printf(out, "\tinput.snp.%s == %s\n", name, value ? "true" : "false");
}

static void add_configuration(GString *out, const PolicyReference *reference)
{
    guint64 policy = reference->policy;
    guint64 mask = reference->has_platform_info ? reference->platform_info_mask : 0;

    g_string_append(out, "\n# The guest policy bit for bit, as far as there are claims of it.\n"
                         "configuration := 2 if {\n");
    g_string_append_printf(out, "\tinput.snp.policy_abi_major == %u\n", (guint)(policy >> 8 & 0xff));
    g_string_append_printf(out, "\tinput.snp.policy_abi_minor == %u\n", (guint)(policy & 0xff));
    add_boolean(out, "policy_smt_allowed", (policy & POLICY_SNP_SMT) != 0);
    add_boolean(out, "policy_migrate_ma", (policy & POLICY_MIGRATE_MA) != 0);
    add_boolean(out, "policy_debug_allowed", (policy & POLICY_SNP_DEBUG) != 0);
    add_boolean(out, "policy_single_socket", (policy & POLICY_SINGLE_SOCKET) != 0);
    if (mask & PLATFORM_SMT)
        add_boolean(out, "platform_smt_enabled", (reference->platform_info & PLATFORM_SMT) != 0);
    if (mask & PLATFORM_TSME)
        add_boolean(out, "platform_tsme_enabled", (reference->platform_info & PLATFORM_TSME) != 0);
    if (reference->host_data)
        g_string_append_printf(out, "\tinput.snp.init_data == \"%s\"\n", reference->host_data);
    g_string_append(out, "}\n");
}

gchar *exchange_trustee_policy_format(const PolicyReference *reference, GError **error)
{
    g_autoptr(GString) out = NULL;
    g_autoptr(GPtrArray) texts = NULL;

    if (!expressible(reference, "Trustee's policy", error))
        return NULL;
    out = g_string_new(policy_head);
    texts = digest_texts(reference);
    g_string_append(out, "\nmeasurements := [\n");
    for (guint i = 0; i < texts->len; i++)
        g_string_append_printf(out, "\t\"%s\"%s\n", (const char *)g_ptr_array_index(texts, i),
                               i + 1 < texts->len ? "," : "");
    g_string_append(out, "]\n\nexecutables := 3 if {\n\tinput.snp.measurement in measurements\n}\n");
    if (reference->has_minimum_tcb) {
        const PolicyTcb *tcb = &reference->minimum_tcb;

        g_string_append_printf(out,
                               "\nhardware := 2 if {\n"
                               "\tinput.snp.reported_tcb_bootloader >= %u\n"
                               "\tinput.snp.reported_tcb_tee >= %u\n"
                               "\tinput.snp.reported_tcb_snp >= %u\n"
                               "\tinput.snp.reported_tcb_microcode >= %u\n"
                               "}\n",
                               tcb->bootloader, tcb->tee, tcb->snp, tcb->microcode);
    }
    add_configuration(out, reference);
    return g_string_free(g_steal_pointer(&out), FALSE);
}
