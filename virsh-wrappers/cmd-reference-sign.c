/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reference-sign: a signature around a portable reference, or one more of them. */
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/reference-source.h"
#include "virsh-wrappers/sign-options.h"

/* What has no owner's facts, or facts of one host in it, is not what an owner answers for. */
static gboolean check_form(const PolicyReference *reference, GError **error)
{
    if (reference->form == POLICY_REFERENCE_PORTABLE) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                reference->form == POLICY_REFERENCE_PINNED
                    ? "this is what one host has pinned; what is signed is the portable reference: virt-attest "
                      "reference "
                      "DOMAIN --output FILE"
                    : "this is what 'measure' prints, without the domain and the owner's rules; what is signed is the "
                      "portable reference: virt-attest reference DOMAIN --output FILE");
    return FALSE;
}

static gboolean countersign(CmdContext *context, PolicyEnvelope *envelope, const PolicyKey *key, GError **error)
{
    const char *path = cmd_context_word(context, 0);
    g_autofree gchar *shown = cmd_printable(path);
    g_autofree gchar *label =
        g_str_equal(path, "-") ? g_strdup("standard input") : g_strdup_printf("reference '%s'", shown);
    if (!cmd_check_cosigners(context, envelope, key, label, error)) {
        return FALSE;
    }
    if (!policy_envelope_sign(envelope, key, error)) {
        g_prefix_error(error, "%s was not signed: ", label);
        return FALSE;
    }
    return TRUE;
}

int cmd_reference_sign(CmdContext *context, GError **error)
{
    g_autoptr(PolicyEnvelope) envelope = NULL;
    g_autoptr(PolicyReference) reference = cmd_read_reference(cmd_context_word(context, 0), &envelope, error);
    if (!reference || !check_form(reference, error) ||
        !policy_guest_check(reference->platform, reference->policy, cmd_context_has(context, "allow-debug"), error)) {
        return -1;
    }
    /* The key comes last: a passphrase is not asked for in vain. */
    g_autoptr(PolicyKey) key = cmd_sign_key(context, "key", error);
    if (!key) {
        return -1;
    }
    if (envelope && !countersign(context, envelope, key, error)) {
        return -1;
    }
    if (!envelope && !(envelope = cmd_sign_reference(reference, key, error))) {
        return -1;
    }
    g_autofree gchar *text = policy_envelope_format(envelope, TRUE);
    return cmd_write_output(context, text, strlen(text), FALSE, error) ? 0 : -1;
}
