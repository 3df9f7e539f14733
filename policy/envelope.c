/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Signed documents. What is signed are bytes, and those bytes are in the envelope: nothing is parsed before its
 * signature can be verified, and nothing has to be written again in the same way to verify it. That a reference inside
 * has its canonical bytes all the same is asked for by policy_reference_read(): one set of facts, one document.
 */
#include "policy/envelope.h"

#include <string.h>

#include "measure/error.h"
#include "policy/json.h"
#include "policy/text.h"

#define MAX_TYPE 255
#define KEY_ID_SIZE 32

static void signature_free(PolicySignature *signature)
{
    g_free(signature->key_id);
    g_bytes_unref(signature->signature);
    g_free(signature);
}

static PolicySignature *signature_new(const char *key_id, GBytes *bytes)
{
    PolicySignature *signature = g_new0(PolicySignature, 1);

    signature->key_id = g_strdup(key_id);
    signature->signature = g_bytes_ref(bytes);
    return signature;
}

PolicyEnvelope *policy_envelope_new(const char *payload_type, GBytes *payload)
{
    PolicyEnvelope *envelope = g_new0(PolicyEnvelope, 1);

    envelope->payload_type = g_strdup(payload_type);
    envelope->payload = g_bytes_ref(payload);
    envelope->signatures = g_ptr_array_new_with_free_func((GDestroyNotify)signature_free);
    return envelope;
}

void policy_envelope_free(PolicyEnvelope *envelope)
{
    if (!envelope)
        return;
    g_free(envelope->payload_type);
    g_clear_pointer(&envelope->payload, g_bytes_unref);
    g_ptr_array_unref(envelope->signatures);
    g_free(envelope);
}

/* ---- Reading ---- */

gboolean policy_envelope_recognise(const char *text, gsize size)
{
    g_autoptr(JsonNode) root = policy_json_parse(text, (gssize)size, POLICY_ENVELOPE_MAX_SIZE, "the document", NULL);

    return root && json_object_has_member(json_node_get_object(root), "payloadType");
}

/* Base64 of RFC 4648, section 4, in the one form that it has for these bytes. */
static GBytes *read_base64(JsonObject *object, const char *where, const char *name, GError **error)
{
    g_autofree gchar *text = NULL;
    g_autofree gchar *again = NULL;
    g_autofree guchar *data = NULL;
    gsize size = 0;

    if (!policy_json_string(object, where, name, FALSE, &text, error))
        return NULL;
    data = g_base64_decode(text, &size);
    again = size ? g_base64_encode(data, size) : NULL;
    if (!again || strcmp(again, text)) {
        policy_json_error(error, where, name, "this is not base64 with its padding, or holds nothing");
        return NULL;
    }
    return g_bytes_new_take(g_steal_pointer(&data), size);
}

static gboolean is_type(const char *text)
{
    for (gsize i = 0; text[i]; i++) {
        if (!g_ascii_isgraph(text[i]) || i >= MAX_TYPE)
            return FALSE;
    }
    return *text;
}

static gint compare_signatures(gconstpointer a, gconstpointer b)
{
    const PolicySignature *one = *(PolicySignature *const *)a;
    const PolicySignature *two = *(PolicySignature *const *)b;

    return strcmp(one->key_id, two->key_id);
}

static gboolean read_signatures(JsonObject *root, PolicyEnvelope *envelope, GError **error)
{
    static const char *const known[] = {"keyid", "sig", NULL};
    JsonArray *array = NULL;

    if (!policy_json_array(root, "", "signatures", FALSE, &array, error))
        return FALSE;
    if (!json_array_get_length(array) || json_array_get_length(array) > POLICY_ENVELOPE_MAX_SIGNATURES)
        return policy_json_error(error, "", "signatures", "there is none, or there are more than %d",
                                 POLICY_ENVELOPE_MAX_SIGNATURES);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        g_autofree gchar *where = NULL;
        g_autofree gchar *key_id = NULL;
        g_autoptr(GBytes) bytes = NULL;
        guint8 id[KEY_ID_SIZE];
        JsonObject *object = policy_json_element(array, i, "", "signatures", &where, error);

        if (!object || !policy_json_members(object, where, known, error) ||
            !policy_json_hex_bytes(object, where, "keyid", sizeof(id), id, error) ||
            !(bytes = read_base64(object, where, "sig", error)))
            return FALSE;
        key_id = measure_hex_encode(id, sizeof(id));
        for (guint j = 0; j < envelope->signatures->len; j++) {
            if (!strcmp(((PolicySignature *)g_ptr_array_index(envelope->signatures, j))->key_id, key_id))
                return policy_json_error(error, where, "keyid", "this key has signed twice");
        }
        g_ptr_array_add(envelope->signatures, signature_new(key_id, bytes));
    }
    g_ptr_array_sort(envelope->signatures, compare_signatures);
    return TRUE;
}

PolicyEnvelope *policy_envelope_parse(const char *text, gssize size, GError **error)
{
    static const char *const known[] = {"payload", "payloadType", "signatures", NULL};
    g_autoptr(JsonNode) node =
        policy_json_parse(text, size, POLICY_ENVELOPE_MAX_SIZE, "the signed document", error);
    g_autoptr(PolicyEnvelope) envelope = NULL;
    g_autoptr(GBytes) payload = NULL;
    g_autofree gchar *type = NULL;
    JsonObject *root = NULL;

    if (!node)
        return NULL;
    root = json_node_get_object(node);
    if (!policy_json_members(root, "", known, error) ||
        !policy_json_string(root, "", "payloadType", FALSE, &type, error) ||
        !(payload = read_base64(root, "", "payload", error)))
        return NULL;
    if (!is_type(type)) {
        policy_json_error(error, "", "payloadType", "this is not the name of a type");
        return NULL;
    }
    envelope = policy_envelope_new(type, payload);
    return read_signatures(root, envelope, error) ? g_steal_pointer(&envelope) : NULL;
}

/* ---- Writing ---- */

gchar *policy_envelope_format(const PolicyEnvelope *envelope, gboolean pretty)
{
    JsonObject *root = json_object_new();
    JsonArray *signatures = json_array_new();
    g_autofree gchar *payload =
        g_base64_encode(g_bytes_get_data(envelope->payload, NULL), g_bytes_get_size(envelope->payload));

    for (guint i = 0; i < envelope->signatures->len; i++) {
        const PolicySignature *signature = g_ptr_array_index(envelope->signatures, i);
        JsonObject *object = json_object_new();
        g_autofree gchar *text = g_base64_encode(g_bytes_get_data(signature->signature, NULL),
                                                 g_bytes_get_size(signature->signature));

        policy_json_add_string(object, "keyid", signature->key_id);
        policy_json_add_string(object, "sig", text);
        json_array_add_object_element(signatures, object);
    }
    policy_json_add_string(root, "payload", payload);
    policy_json_add_string(root, "payloadType", envelope->payload_type);
    json_object_set_array_member(root, "signatures", signatures);
    return policy_json_format(root, pretty);
}

/* ---- Signatures ---- */

GByteArray *policy_envelope_signed_bytes(const PolicyEnvelope *envelope)
{
    GByteArray *bytes = g_byte_array_new();
    gsize size = 0;
    gconstpointer data = g_bytes_get_data(envelope->payload, &size);
    g_autofree gchar *head = g_strdup_printf("DSSEv1 %" G_GSIZE_FORMAT " %s %" G_GSIZE_FORMAT " ",
                                             strlen(envelope->payload_type), envelope->payload_type, size);

    g_byte_array_append(bytes, (const guint8 *)head, (guint)strlen(head));
    g_byte_array_append(bytes, data, (guint)size);
    return bytes;
}

static gint find_signature(const PolicyEnvelope *envelope, const char *key_id)
{
    for (guint i = 0; i < envelope->signatures->len; i++) {
        if (!strcmp(((PolicySignature *)g_ptr_array_index(envelope->signatures, i))->key_id, key_id))
            return (gint)i;
    }
    return -1;
}

static gboolean is_good(const PolicySignature *signature, const PolicyKey *key, const GByteArray *bytes)
{
    gsize size = 0;
    gconstpointer data = g_bytes_get_data(signature->signature, &size);

    return policy_key_verify(key, bytes->data, bytes->len, data, size);
}

gboolean policy_envelope_sign(PolicyEnvelope *envelope, const PolicyKey *key, GError **error)
{
    g_autoptr(GByteArray) bytes = policy_envelope_signed_bytes(envelope);
    g_autoptr(GBytes) signature = policy_key_sign(key, bytes->data, bytes->len, error);
    g_autofree gchar *key_id = signature ? policy_key_id(key) : NULL;
    gint former;

    if (!signature)
        return FALSE;
    former = find_signature(envelope, key_id);
    if (former >= 0 && !is_good(g_ptr_array_index(envelope->signatures, (guint)former), key, bytes)) {
        g_autofree gchar *id = policy_short_digest(key_id);

        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "it has a signature by this key (%s) already, which is not good: the document was changed after it "
                    "was signed; make it anew with 'virt-attest reference', and sign that",
                    id);
        return FALSE;
    }
    if (former >= 0)
        g_ptr_array_remove_index(envelope->signatures, (guint)former);
    if (envelope->signatures->len >= POLICY_ENVELOPE_MAX_SIGNATURES) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "the document has %d signatures already, and room for no more", POLICY_ENVELOPE_MAX_SIGNATURES);
        return FALSE;
    }
    g_ptr_array_add(envelope->signatures, signature_new(key_id, signature));
    g_ptr_array_sort(envelope->signatures, compare_signatures);
    return TRUE;
}

static const PolicyKey *find_key(GPtrArray *keys, const char *key_id)
{
    for (guint i = 0; i < keys->len; i++) {
        g_autofree gchar *id = policy_key_id(g_ptr_array_index(keys, i));

        if (!strcmp(id, key_id))
            return g_ptr_array_index(keys, i);
    }
    return NULL;
}

/* "4f2a…, 77c0…" */
static gchar *list_signers(const PolicyEnvelope *envelope)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < envelope->signatures->len; i++) {
        const PolicySignature *signature = g_ptr_array_index(envelope->signatures, i);
        g_autofree gchar *id = policy_short_digest(signature->key_id);

        g_string_append_printf(text, "%s%s", text->len ? ", " : "", id);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

gboolean policy_envelope_verify(const PolicyEnvelope *envelope, GPtrArray *keys, gchar **key_id, GError **error)
{
    g_autoptr(GByteArray) bytes = policy_envelope_signed_bytes(envelope);
    g_autofree gchar *signers = NULL;
    const char *good = NULL;

    if (key_id)
        *key_id = NULL;
    for (guint i = 0; i < envelope->signatures->len; i++) {
        const PolicySignature *signature = g_ptr_array_index(envelope->signatures, i);
        const PolicyKey *key = find_key(keys, signature->key_id);

        if (!key)
            continue;
        if (!is_good(signature, key, bytes)) {
            g_autofree gchar *id = policy_short_digest(signature->key_id);

            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                        "the signature that names the key %s is not good: the document was changed after it was "
                        "signed, or "
                        "that key has not signed it",
                        id);
            return FALSE;
        }
        good = good ? good : signature->key_id;
    }
    if (good) {
        if (key_id)
            *key_id = g_strdup(good);
        return TRUE;
    }
    signers = list_signers(envelope);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "it is signed by %s, and none of the %u keys that count is "
                "among them", *signers ? signers : "nobody", keys->len);
    return FALSE;
}

/* ---- Documents of either kind ---- */

PolicyReference *policy_reference_read(const char *text, gssize size, PolicyEnvelope **envelope, GError **error)
{
    gsize length = size < 0 ? strlen(text) : (gsize)size;
    g_autoptr(PolicyEnvelope) found = NULL;
    g_autoptr(PolicyReference) reference = NULL;
    g_autofree gchar *again = NULL;
    const char *data = NULL;

    if (envelope)
        *envelope = NULL;
    if (!policy_envelope_recognise(text, length))
        return policy_reference_parse(text, (gssize)length, error);
    found = policy_envelope_parse(text, (gssize)length, error);
    if (!found)
        return NULL;
    if (strcmp(found->payload_type, POLICY_ENVELOPE_TYPE_REFERENCE)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the signed document is no reference but '%s'",
                    found->payload_type);
        return NULL;
    }
    data = g_bytes_get_data(found->payload, &length);
    reference = policy_reference_parse(data, (gssize)length, error);
    if (!reference) {
        g_prefix_error(error, "the document that is signed: ");
        return NULL;
    }
    again = policy_reference_format(reference, POLICY_REFERENCE_PORTABLE);
    if (reference->form != POLICY_REFERENCE_PORTABLE || strlen(again) != length || memcmp(again, data, length)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "the document that is signed is not in its portable form: what was signed is not what 'virt-attest "
                    "reference' writes; make it with that, and sign it with 'virt-attest reference-sign'");
        return NULL;
    }
    if (envelope)
        *envelope = g_steal_pointer(&found);
    return g_steal_pointer(&reference);
}
