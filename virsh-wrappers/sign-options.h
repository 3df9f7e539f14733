/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys and signatures, as commands take and show them. */
#pragma once

#include "policy/envelope.h"
#include "virsh-wrappers/context.h"

/**
 * cmd_sign_key:
 * @option: the option that names the private key: "key", "sign-key"
 *
 * Reads the key, its passphrase from --passphrase-fd. %ATTEST_ERROR_USAGE when the option was not given.
 */
PolicyKey *cmd_sign_key(const CmdContext *context, const char *option, GError **error);

/* @reference in its portable form and a signature of @key around it. */
PolicyEnvelope *cmd_sign_reference(const PolicyReference *reference, const PolicyKey *key, GError **error);

/**
 * cmd_verify_keys:
 *
 * The keys one of which must have signed: those of --key, or the trusted ones of the configuration.
 * Errors: %ATTEST_ERROR_NOT_CONFIGURED when there is neither.
 */
GPtrArray *cmd_verify_keys(CmdContext *context, GError **error);

/**
 * CmdSigner:
 * @key_id: 64 hexadecimal digits
 * @key: (nullable): the key among those that count, whose signature is good; %NULL: a key that was not given
 */
typedef struct {
    const char *key_id;
    const PolicyKey *key;
} CmdSigner;
/* (element-type CmdSigner): who has signed, those who count first. Both arguments must outlive it. */
GPtrArray *cmd_signers(const PolicyEnvelope *envelope, const GPtrArray *keys);
/* "owner.pem (ed25519, 12ab34…)" */
gchar *cmd_signer_describe(const CmdSigner *signer);

/**
 * cmd_check_envelope:
 * @label: "reference 'x.json'"
 *
 * Before a document is used that came signed: one of the configuration's trusted keys must have signed it
 * (%ATTEST_ERROR_REJECTED otherwise). Without any such key a warning says that nobody has looked.
 */
gboolean cmd_check_envelope(CmdContext *context, const PolicyEnvelope *envelope, const char *label, GError **error);
/**
 * cmd_check_cosigners:
 * @key: the one that is about to sign: its own former signature is policy_envelope_sign()'s to judge
 *
 * Of the signatures that are there already those by the configuration's trusted keys must be good
 * (%ATTEST_ERROR_REJECTED otherwise); a warning names the others.
 */
gboolean cmd_check_cosigners(CmdContext *context, const PolicyEnvelope *envelope, const PolicyKey *key,
                             const char *label, GError **error);

/* A reference document, signed or not, in a file or on standard input ("-"). @envelope as in policy_reference_read().
 * */
PolicyReference *cmd_read_reference(const char *path, PolicyEnvelope **envelope, GError **error);
