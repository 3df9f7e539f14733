/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is pinned is measured here, always; a signed document comes beside it, when it foresees what was measured. The
 * hook asks for both.
 */
#include "virsh-wrappers/define-signed.h"

#include <string.h>

#include "measure/error.h"
#include "policy/text.h"
#include "virsh-wrappers/output.h"

void cmd_define_signing_free(CmdDefineSigning *signing)
{
    if (!signing) {
        return;
    }
    g_clear_pointer(&signing->trusted, g_ptr_array_unref);
    policy_key_free(signing->key);
    policy_reference_free(signing->document);
    g_free(signing->label);
    g_free(signing->signed_text);
    g_free(signing);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CmdDefineSigning, cmd_define_signing_free)

/* ---- What was given ---- */

static gboolean check_options(const CmdContext *context, GError **error)
{
    static const char *const rules[] = {"product", "minimum-tcb", "platform-info"};
    if (cmd_context_has(context, "sign-key") && cmd_context_has(context, "print-xml")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--sign-key signs what is pinned, and --print-xml pins nothing: use 'virt-attest reference' and "
                    "'virt-attest reference-sign'");
        return FALSE;
    }
    if (!cmd_context_has(context, "reference")) {
        return TRUE;
    }
    if (cmd_context_has(context, "sign-key")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--reference pins what that document foresees, --sign-key what is measured now: give one of them, "
                    "or sign the document with 'virt-attest reference-sign' first");
        return FALSE;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(rules); i++) {
        if (cmd_context_has(context, rules[i])) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                        "--%s is a rule that --reference brings with it: make the document with 'virt-attest reference "
                        "--%s'",
                        rules[i], rules[i]);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean is_trusted(const CmdDefineSigning *signing)
{
    g_autofree gchar *id = policy_key_id(signing->key);
    for (guint i = 0; i < signing->trusted->len; i++) {
        g_autofree gchar *trusted = policy_key_id(g_ptr_array_index(signing->trusted, i));
        if (g_str_equal(id, trusted)) {
            return TRUE;
        }
    }
    return signing->trusted->len == 0;
}

static gboolean read_key(CmdContext *context, CmdDefineSigning *signing, GError **error)
{
    signing->key = cmd_sign_key(context, "sign-key", error);
    if (!signing->key || is_trusted(signing)) {
        return signing->key != NULL;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "signing key '%s': it is not one of the keys in '%s', so the hook would refuse what it signs; nothing "
                "was changed",
                policy_key_label(signing->key), context->config->trusted_keys);
    return FALSE;
}

static gboolean set_document(CmdContext *context, CmdDefineSigning *signing, PolicyReference *document,
                             const PolicyEnvelope *envelope, const char *label, GError **error)
{
    signing->document = document;
    signing->label = g_strdup(label);
    signing->signed_text = envelope ? policy_envelope_format(envelope, FALSE) : NULL;
    if (signing->trusted->len == 0) {
        return TRUE;
    }
    if (!envelope && !signing->required) {
        return TRUE;
    }
    if (!envelope) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "%s is not signed, and one of the keys in '%s' must have signed it; nothing was changed; to sign "
                    "it: virt-attest reference-sign --key KEY FILE",
                    label, context->config->trusted_keys);
        return FALSE;
    }
    if (!policy_envelope_verify(envelope, signing->trusted, NULL, error)) {
        g_prefix_error(error, "%s does not count, by the keys in '%s', and nothing was changed: ", label,
                       context->config->trusted_keys);
        return FALSE;
    }
    return TRUE;
}

static gboolean read_document(CmdContext *context, CmdDefineSigning *signing, GError **error)
{
    const char *path = cmd_context_get(context, "reference");
    g_autofree gchar *shown = cmd_printable(path);
    g_autofree gchar *label = g_strdup_printf("reference '%s'", shown);
    g_autoptr(PolicyEnvelope) envelope = NULL;
    PolicyReference *document = cmd_read_reference(path, &envelope, error);
    if (!document) {
        return FALSE;
    }
    return set_document(context, signing, document, envelope, label, error);
}

static CmdDefineSigning *signing_new(CmdContext *context, GError **error)
{
    const PolicyConfig *config = cmd_context_config(context, error);
    CmdDefineSigning *signing = NULL;
    GPtrArray *trusted = config ? policy_trusted_keys_load(config, error) : NULL;
    if (trusted) {
        signing = g_new0(CmdDefineSigning, 1);
        signing->trusted = trusted;
        /* Nothing is pinned with --print-xml. */
        signing->required = trusted->len > 0 && !cmd_context_has(context, "print-xml");
    }
    return signing;
}

const CmdDefineSigning *cmd_define_signing(CmdContext *context, GError **error)
{
    if (context->signing) {
        return context->signing;
    }
    g_autoptr(CmdDefineSigning) signing = check_options(context, error) ? signing_new(context, error) : NULL;
    if (!signing || (cmd_context_has(context, "sign-key") && !read_key(context, signing, error)) ||
        (cmd_context_has(context, "reference") && !read_document(context, signing, error))) {
        return NULL;
    }
    context->signing = g_steal_pointer(&signing);
    return context->signing;
}

gboolean cmd_define_signing_use(CmdContext *context, const PolicyReference *document, const PolicyEnvelope *envelope,
                                const char *label, GError **error)
{
    g_autoptr(CmdDefineSigning) signing = signing_new(context, error);
    g_autofree gchar *text = policy_reference_format(document, POLICY_REFERENCE_PORTABLE);
    PolicyReference *copy = signing ? policy_reference_parse(text, -1, error) : NULL;
    if (!copy || !set_document(context, signing, copy, envelope, label, error)) {
        return FALSE;
    }
    cmd_define_signing_free(context->signing);
    context->signing = g_steal_pointer(&signing);
    return TRUE;
}

/* ---- What follows for a domain ---- */

GPtrArray *cmd_define_signing_cpus(const CmdContext *context)
{
    const CmdDefineSigning *signing = context->signing;
    return signing && signing->document && signing->document->platform != MEASURE_PLATFORM_SEV
               ? cmd_reference_cpus(signing->document)
               : NULL;
}

gboolean cmd_define_signing_rules(CmdContext *context, PolicyReference *reference, GError **error)
{
    const CmdDefineSigning *signing = cmd_define_signing(context, error);
    if (signing && signing->document && signing->document->platform == reference->platform) {
        policy_reference_keep_rules(reference, signing->document);
        /* A fleet stays one. Where the document does not foresee the domain, applying it says so. */
        policy_reference_widen(reference, signing->document);
    }
    return signing != NULL;
}

/* What to do for a domain whose reference has to be signed and is not. */
static gboolean not_signed(CmdContext *context, const char *name, GError **error)
{
    g_autofree gchar *shown = cmd_printable(name);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "domain '%s': one of the keys in '%s' must have signed its reference, or the hook would refuse every "
                "start; nothing was changed; sign it with --sign-key KEY, or give a signed document with "
                "--reference FILE",
                shown, context->config->trusted_keys);
    return FALSE;
}

gboolean cmd_define_signing_expected(CmdContext *context, const CmdSubject *subject, GError **error)
{
    const CmdDefineSigning *signing = cmd_define_signing(context, error);
    if (!signing) {
        return FALSE;
    }
    if (!signing->required || signing->key || signing->document) {
        return TRUE;
    }
    if (!subject) {
        return not_signed(context, cmd_context_get(context, "name"), error);
    }
    return !subject->evaluation->confidential || (subject->pinned && subject->pinned->signed_text) ||
           not_signed(context, subject->domain->name, error);
}

static gchar *list_changes(const GPtrArray *changes)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < changes->len; i++) {
        g_string_append_printf(text, "\n  %s", ((const PolicyChange *)g_ptr_array_index(changes, i))->text);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/*
 * How what would be pinned differs from @document, "" when it does not. A start is compared with both, and a domain that
 * leaves the choice of its CPU type to the host agrees as soon as one type is foreseen: so every launch that the pin would
 * let through has to be in the document as well.
 */
static gchar *differences(const PolicyReference *document, const CmdSubject *subject, const PolicyReference *reference)
{
    g_autoptr(GPtrArray) changes = policy_compare_document(document, subject->domain, subject->evaluation);
    const XmlMeasurement *other = changes->len ? NULL : policy_reference_unforeseen(reference, document);
    return other ? g_strdup_printf("\n  it does not foresee every launch that would be pinned: not the one for %s with %u "
                                   "vCPUs (see --cpu)",
                                   other->cpu ? other->cpu : "this platform", other->vcpus)
                 : list_changes(changes);
}

/* The domain must be one that @signing->document foresees. */
static gboolean check_document(const CmdDefineSigning *signing, const CmdSubject *subject,
                               const PolicyReference *reference, gboolean id_block, GError **error)
{
    g_autofree gchar *text = differences(signing->document, subject, reference);
    if (!*text) {
        return TRUE;
    }
    /* Signatures of ECDSA are new every time, so no document can foresee those of an ID block that is made now. */
    const char *hint = id_block && strstr(text, "ID authentication block")
                           ? "\nThe ID block is made anew by --id-key: make the reference of the domain that has it, or "
                             "sign what is pinned with --sign-key"
                           : "";
    g_autofree gchar *shown = cmd_printable(subject->domain->name);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "domain '%s' is not what %s foresees; nothing was changed%s%s", shown, signing->label, text, hint);
    return FALSE;
}

/* The signature that the pin of @subject has, as long as it holds for what will be pinned. */
static gboolean keep_signature(CmdContext *context, const CmdDefineSigning *signing, const CmdSubject *subject,
                               PolicyReference *reference, GError **error)
{
    g_autoptr(PolicyReference) document = NULL;
    g_autoptr(GError) cause = NULL;
    g_autofree gchar *text = NULL;
    if (!subject->pinned || !subject->pinned->signed_text) {
        return TRUE;
    }
    reference->signed_text = g_strdup(subject->pinned->signed_text);
    document = policy_signed_reference(reference, signing->trusted->len > 0 ? signing->trusted : NULL, NULL, &cause);
    text = document ? differences(document, subject, reference) : NULL;
    if (text && !*text) {
        return TRUE;
    }
    g_autofree gchar *shown = cmd_printable(subject->domain->name);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "domain '%s': its reference is signed, and the signature does not hold for what would be pinned; "
                "nothing was changed; sign it anew with --sign-key KEY, or give another signed document with "
                "--reference FILE%s%s%s",
                shown, cause ? "\n  " : "", cause ? cause->message : "", text ? text : "");
    if (signing->trusted->len == 0 && error && *error) {
        g_autofree gchar *whole = g_strdup_printf(
            "%s\nTo go on without a signature, remove '%s/references/%s.json' first", (*error)->message,
            policy_store_directory(context->store), subject->pinned->uuid);
        g_free((*error)->message);
        (*error)->message = g_steal_pointer(&whole);
    }
    return FALSE;
}

static gboolean sign(const CmdDefineSigning *signing, PolicyReference *reference, GError **error)
{
    g_autoptr(PolicyEnvelope) envelope = cmd_sign_reference(reference, signing->key, error);
    g_autoptr(GPtrArray) keys = g_ptr_array_new();
    g_autoptr(PolicyReference) again = NULL;
    if (!envelope) {
        return FALSE;
    }
    g_free(reference->signed_text);
    reference->signed_text = policy_envelope_format(envelope, FALSE);
    /* What the hook would not take must not be pinned: it is read here as it will be read there. */
    g_ptr_array_add(keys, signing->key);
    again = policy_signed_reference(reference, keys, NULL, error);
    if (!again) {
        g_prefix_error(error, "the reference cannot be signed: ");
    }
    return again != NULL;
}

gboolean cmd_define_signing_apply(CmdContext *context, const CmdSubject *subject, PolicyReference *reference,
                                  gboolean make, GError **error)
{
    const CmdDefineSigning *signing = cmd_define_signing(context, error);
    if (!signing) {
        return FALSE;
    }
    if (!reference) {
        if (!signing->key && !signing->document) {
            return TRUE;
        }
        g_autofree gchar *shown = cmd_printable(subject->domain->name);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "domain '%s' gets no reference, so %s is of no use: it carries no measurement",
                    shown,
                    signing->key ? "--sign-key" : signing->label);
        return FALSE;
    }
    g_clear_pointer(&reference->signed_text, g_free);
    if (signing->key && !make) {
        /* It will have one. */
        reference->signed_text = g_strdup(subject->pinned ? subject->pinned->signed_text : NULL);
        return TRUE;
    }
    if (signing->key) {
        return sign(signing, reference, error);
    }
    if (signing->document) {
        reference->signed_text = g_strdup(signing->signed_text);
        return check_document(signing, subject, reference, cmd_context_has(context, "id-key"), error);
    }
    return keep_signature(context, signing, subject, reference, error) &&
           (!signing->required || reference->signed_text || not_signed(context, subject->domain->name, error));
}

void cmd_define_signing_drop(GPtrArray *changes)
{
    for (guint i = changes->len; i-- > 0;) {
        const PolicyChange *change = g_ptr_array_index(changes, i);
        if (g_str_equal(change->what, "signed") && g_str_equal(change->pinned, "no")) {
            g_ptr_array_remove_index(changes, i);
        }
    }
}
