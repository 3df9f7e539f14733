/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/sign-options.h"

#include <string.h>

#include "measure/error.h"
#include "policy/text.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/report.h"

#define BOTH (POLICY_KEY_P384 | POLICY_KEY_ED25519)

PolicyKey *cmd_sign_key(const CmdContext *context, const char *option, GError **error)
{
    const char *source = cmd_context_get(context, option);
    guint64 fd = 0;
    if (!source) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--%s is missing: the private key to sign with; to make one: openssl genpkey -algorithm ED25519 "
                    "-out "
                    "FILE",
                    option);
        return NULL;
    }
    if (!cmd_arguments_number(context->arguments, "passphrase-fd", 0, G_MAXINT, &fd, error)) {
        return NULL;
    }
    return policy_key_load_private(source, BOTH, "signing key",
                                   cmd_context_has(context, "passphrase-fd") ? (int)fd : -1, error);
}

PolicyEnvelope *cmd_sign_reference(const PolicyReference *reference, const PolicyKey *key, GError **error)
{
    gchar *text = policy_reference_format(reference, POLICY_REFERENCE_PORTABLE);
    g_autoptr(GBytes) payload = g_bytes_new_take(text, strlen(text));
    g_autoptr(PolicyEnvelope) envelope = policy_envelope_new(POLICY_ENVELOPE_TYPE_REFERENCE, payload);
    return policy_envelope_sign(envelope, key, error) ? g_steal_pointer(&envelope) : NULL;
}

GPtrArray *cmd_verify_keys(CmdContext *context, GError **error)
{
    if (cmd_context_has(context, "key")) {
        g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func((GDestroyNotify)policy_key_free);
        const GPtrArray *paths = cmd_arguments_all(context->arguments, "key");
        for (guint i = 0; i < paths->len; i++) {
            PolicyKey *key = policy_key_load_public(g_ptr_array_index(paths, i), BOTH, "public key", error);
            if (!key) {
                return NULL;
            }
            g_ptr_array_add(keys, key);
        }
        return g_steal_pointer(&keys);
    }
    const PolicyConfig *config = cmd_context_config(context, error);
    g_autoptr(GPtrArray) keys = config ? policy_trusted_keys_load(config, error) : NULL;
    if (keys && keys->len == 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "there is no key to verify with: name one with --key, or put it into '%s' as NAME.pem",
                    config->trusted_keys);
        return NULL;
    }
    return g_steal_pointer(&keys);
}

GPtrArray *cmd_signers(const PolicyEnvelope *envelope, const GPtrArray *keys)
{
    GPtrArray *signers = g_ptr_array_new_with_free_func(g_free);
    guint known = 0;
    for (guint i = 0; i < envelope->signatures->len; i++) {
        CmdSigner *signer = g_new0(CmdSigner, 1);
        signer->key_id = ((const PolicySignature *)g_ptr_array_index(envelope->signatures, i))->key_id;
        for (guint j = 0; j < keys->len && !signer->key; j++) {
            g_autofree gchar *id = policy_key_id(g_ptr_array_index(keys, j));
            if (g_str_equal(id, signer->key_id)) {
                signer->key = g_ptr_array_index(keys, j);
            }
        }
        g_ptr_array_insert(signers, signer->key ? (gint)known++ : -1, signer);
    }
    return signers;
}

gchar *cmd_signer_describe(const CmdSigner *signer)
{
    g_autofree gchar *id = policy_short_digest(signer->key_id);
    if (!signer->key) {
        return g_strdup_printf("%s (not one of the keys; not verified)", id);
    }
    const char *label = policy_key_label(signer->key);
    return g_strdup_printf("%s (%s, %s)", label ? label : "key", policy_key_kind_name(policy_key_kind(signer->key)),
                           id);
}

gboolean cmd_check_envelope(CmdContext *context, const PolicyEnvelope *envelope, const char *label, GError **error)
{
    const PolicyConfig *config = cmd_context_config(context, error);
    g_autoptr(GPtrArray) keys = config ? policy_trusted_keys_load(config, error) : NULL;
    if (!keys) {
        return FALSE;
    }
    if (keys->len == 0) {
        if (!cmd_context_quiet(context)) {
            cmd_warn("%s is signed, and its signatures were not verified: no key is trusted", label);
        }
        return TRUE;
    }
    if (!policy_envelope_verify(envelope, keys, NULL, error)) {
        g_prefix_error(error, "%s does not count, by the keys in '%s': ", label, config->trusted_keys);
        return FALSE;
    }
    return TRUE;
}

gboolean cmd_check_cosigners(CmdContext *context, const PolicyEnvelope *envelope, const PolicyKey *key,
                             const char *label, GError **error)
{
    const PolicyConfig *config = cmd_context_config(context, error);
    g_autoptr(GPtrArray) keys = config ? policy_trusted_keys_load(config, error) : NULL;
    g_autofree gchar *own = policy_key_id(key);
    g_autoptr(GString) unknown = g_string_new(NULL);
    gboolean known = FALSE;
    if (!keys) {
        return FALSE;
    }
    g_autoptr(GPtrArray) signers = cmd_signers(envelope, keys);
    for (guint i = 0; i < signers->len; i++) {
        const CmdSigner *signer = g_ptr_array_index(signers, i);
        known = known || signer->key;
        if (!signer->key && !g_str_equal(signer->key_id, own)) {
            g_autofree gchar *id = policy_short_digest(signer->key_id);
            g_string_append_printf(unknown, "%s%s", unknown->len > 0 ? ", " : "", id);
        }
    }
    if (known && !policy_envelope_verify(envelope, keys, NULL, error)) {
        g_prefix_error(error, "%s was not signed: ", label);
        return FALSE;
    }
    if (unknown->len > 0 && !cmd_context_quiet(context)) {
        cmd_warn("%s: the signature%s by %s %s not verified: no such key is trusted", label,
                 strchr(unknown->str, ',') ? "s" : "", unknown->str, strchr(unknown->str, ',') ? "were" : "was");
    }
    return TRUE;
}

PolicyReference *cmd_read_reference(const char *path, PolicyEnvelope **envelope, GError **error)
{
    g_autofree gchar *shown = cmd_printable(path);
    g_autofree gchar *label =
        g_str_equal(path, "-") ? g_strdup("standard input") : g_strdup_printf("reference '%s'", shown);
    g_autofree gchar *text = NULL;
    gsize size = 0;
    if (g_str_equal(path, "-") ? !cmd_read_xml(path, &text, &size, error)
                               : !cmd_read_file(path, label, POLICY_ENVELOPE_MAX_SIZE, &text, &size, error)) {
        return NULL;
    }
    if (text[strspn(text, " \t\r\n")] == '<') {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "%s: this is XML, and no reference document; to make the reference of a domain XML: virt-attest "
                    "reference --output REFERENCE.json DOMAIN.xml",
                    label);
        return NULL;
    }
    PolicyReference *reference = policy_reference_read(text, (gssize)size, envelope, error);
    if (!reference) {
        g_prefix_error(error, "%s: ", label);
    }
    return reference;
}
