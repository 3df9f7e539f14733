/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reference-verify: who has signed a reference, and what. */
#include <stdio.h>

#include "measure/error.h"
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/reference-source.h"
#include "virsh-wrappers/sign-options.h"

static void print_table(const CmdContext *context, const PolicyReference *reference, const GPtrArray *signers)
{
    g_autofree gchar *document = cmd_reference_table(reference, cmd_context_quiet(context));
    for (guint i = 0; i < signers->len; i++) {
        const CmdSigner *signer = g_ptr_array_index(signers, i);
        g_autofree gchar *text = cmd_signer_describe(signer);
        cmd_print_field(signer->key ? "Signed by" : "Also signed by", text);
    }
    fputs(document, stdout);
}

static void print_json(const PolicyReference *reference, const GPtrArray *signers)
{
    g_autofree gchar *document = policy_reference_format(reference, POLICY_REFERENCE_PORTABLE);
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    cmd_json_string(builder, "result", "good");
    json_builder_set_member_name(builder, "signatures");
    json_builder_begin_array(builder);
    for (guint i = 0; i < signers->len; i++) {
        const CmdSigner *signer = g_ptr_array_index(signers, i);
        json_builder_begin_object(builder);
        cmd_json_string(builder, "keyid", signer->key_id);
        cmd_json_boolean(builder, "verified", signer->key != NULL);
        cmd_json_string(builder, "key", signer->key ? policy_key_label(signer->key) : NULL);
        cmd_json_string(builder, "algorithm", signer->key ? policy_key_kind_name(policy_key_kind(signer->key)) : NULL);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    cmd_json_document(builder, "reference", document);
    json_builder_end_object(builder);
    cmd_json_print(builder);
}

int cmd_reference_verify(CmdContext *context, GError **error)
{
    g_autoptr(PolicyEnvelope) envelope = NULL;
    g_autoptr(GPtrArray) keys = cmd_verify_keys(context, error);
    g_autoptr(PolicyReference) reference =
        keys ? cmd_read_reference(cmd_context_word(context, 0), &envelope, error) : NULL;
    if (!reference) {
        return -1;
    }
    if (!envelope) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "the reference is not signed; to sign it: virt-attest reference-sign --key KEY FILE");
        return -1;
    }
    if (!policy_envelope_verify(envelope, keys, NULL, error)) {
        g_prefix_error(error, "the reference is rejected: ");
        return -1;
    }
    g_autoptr(GPtrArray) signers = cmd_signers(envelope, keys);
    if (cmd_context_json(context)) {
        print_json(reference, signers);
    } else {
        print_table(context, reference, signers);
    }
    return 0;
}
