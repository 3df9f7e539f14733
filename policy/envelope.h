/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A signed document: the envelope of DSSE 1.0 (Dead Simple Signing Envelope), JSON with the document's own bytes in
 * base64. The signatures are over PAE("DSSEv1", type, bytes), so that nothing has to be made canonical to verify them.
 *
 *   {"payload": BASE64, "payloadType": "application/vnd.virt-attest.reference+json",
 *    "signatures": [{"keyid": 64 hexadecimal digits, "sig": BASE64}]}
 */
#pragma once

#include "policy/config.h"
#include "policy/key.h"
#include "policy/reference.h"

#define POLICY_ENVELOPE_TYPE_REFERENCE "application/vnd.virt-attest.reference+json"
#define POLICY_ENVELOPE_MAX_SIZE (6u * 1024 * 1024)
#define POLICY_ENVELOPE_MAX_SIGNATURES 16

typedef struct {
    gchar *key_id;
    GBytes *signature;
} PolicySignature;

typedef struct {
    gchar *payload_type;
    GBytes *payload;
    GPtrArray *signatures; /* PolicySignature */
} PolicyEnvelope;

PolicyEnvelope *policy_envelope_new(const char *payload_type, GBytes *payload);
void policy_envelope_free(PolicyEnvelope *envelope);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyEnvelope, policy_envelope_free)
/* Whether @text looks like one, so that a reader can take both: an object with a member "payloadType". */
gboolean policy_envelope_recognise(const char *text, gsize size);
/* Strict. Errors: %ATTEST_ERROR_UNREADABLE. */
PolicyEnvelope *policy_envelope_parse(const char *text, gssize size, GError **error);
/* Canonical: members sorted, signatures sorted by key. @pretty as in policy_json_format(). */
gchar *policy_envelope_format(const PolicyEnvelope *envelope, gboolean pretty);
/* What is signed: "DSSEv1", length and text of the type, length and bytes of the document, with blanks between. */
GByteArray *policy_envelope_signed_bytes(const PolicyEnvelope *envelope);
/* A second signature by the same key replaces the first. %ATTEST_ERROR_REJECTED when the first is not good: what the
 * owner of @key has signed was another document. */
gboolean policy_envelope_sign(PolicyEnvelope *envelope, const PolicyKey *key, GError **error);
/**
 * policy_envelope_verify:
 * @keys: (element-type PolicyKey)
 * @key_id: (out) (nullable): of the key whose signature is good
 *
 * Errors: %ATTEST_ERROR_REJECTED: no signature by any of @keys, or one that names one of them and is not good: which.
 */
gboolean policy_envelope_verify(const PolicyEnvelope *envelope, GPtrArray *keys, gchar **key_id, GError **error);

/**
 * policy_trusted_keys_load:
 * @config: whose folder [reference] trusted-keys
 *
 * Every file NAME.pem in it, sorted. Other names are left alone beside such files, and an error without one: somebody
 * meant to trust a key. README* and names that begin with a dot are always left alone. Errors:
 * %ATTEST_ERROR_NOT_CONFIGURED: that; the folder or a key in it cannot be read, or others than root and the user may
 * write to it; the folder is missing and the configuration names it, or it is a link to nothing.
 *
 * Returns: (transfer full) (element-type PolicyKey): empty when the folder is empty, or the default one is missing: then
 * signatures are not asked for.
 */
GPtrArray *policy_trusted_keys_load(const PolicyConfig *config, GError **error);

/**
 * policy_reference_read:
 * @text: a reference document of any form, or an envelope around a portable one
 * @envelope: (out) (optional) (nullable): the envelope, whose signatures are not verified here
 */
PolicyReference *policy_reference_read(const char *text, gssize size, PolicyEnvelope **envelope, GError **error);
