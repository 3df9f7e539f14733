/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where keys are trusted, a pin counts for what its owner has signed, and for nothing else in it: the file lies on this
 * host, and who may write there can make one.
 */
#include "policy/gate.h"

#include <string.h>

#include "measure/error.h"
#include "policy/envelope.h"
#include "policy/reference-private.h"
#include "policy/text.h"

GPtrArray *policy_compare_document(const PolicyReference *document, const XmlDomain *domain,
                                   const PolicyEvaluation *evaluation)
{
    XmlDomain launch = *domain;
    PolicyReference travelled = *document;

    launch.attestation = NULL;
    travelled.emulator = NULL;
    return policy_compare(&travelled, &launch, evaluation);
}

/* The owner's rules for the report, which no launch shows: the pin may not say anything else than the signed document.
 * */
static gboolean same_rules(const PolicyReference *pin, const PolicyReference *document)
{
    g_autofree gchar *pinned = pin->has_minimum_tcb ? policy_tcb_describe(&pin->minimum_tcb) : NULL;
    g_autofree gchar *is_signed = document->has_minimum_tcb ? policy_tcb_describe(&document->minimum_tcb) : NULL;

    return !g_strcmp0(pin->product, document->product) && !g_strcmp0(pinned, is_signed) &&
           pin->has_platform_info == document->has_platform_info &&
           pin->platform_info == document->platform_info && pin->platform_info_mask == document->platform_info_mask;
}

PolicyReference *policy_signed_reference(const PolicyReference *pin, GPtrArray *keys, gchar **key_id, GError **error)
{
    g_autoptr(PolicyEnvelope) envelope = NULL;
    g_autoptr(PolicyReference) document = NULL;

    if (key_id)
        *key_id = NULL;
    if (!pin->signed_text) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "its reference is not signed");
        return NULL;
    }
    document = policy_reference_read(pin->signed_text, -1, &envelope, error);
    if (document && !envelope)
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "there is no signature around it");
    if (!document || !envelope) {
        g_prefix_error(error, "the signed document in its reference cannot be used: ");
        return NULL;
    }
    if (keys && !policy_envelope_verify(envelope, keys, key_id, error)) {
        g_prefix_error(error, "the signed document in its reference does not count: ");
        return NULL;
    }
    if (!same_rules(pin, document)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "its reference has another product, minimum TCB or platform information than the signed document "
                    "in it");
        return NULL;
    }
    return g_steal_pointer(&document);
}

gboolean policy_check_signature(const PolicyConfig *config, const PolicyReference *pin, const XmlDomain *domain,
                                const PolicyEvaluation *evaluation, gchar **key_id, GPtrArray **changes,
                                GError **error)
{
    g_autoptr(GPtrArray) keys = policy_trusted_keys_load(config, error);
    g_autoptr(PolicyReference) document = NULL;

    *changes = NULL;
    *key_id = NULL;
    if (!keys)
        return FALSE;
    if (!keys->len)
        return TRUE;
    document = policy_signed_reference(pin, keys, key_id, error);
    if (!document)
        return FALSE;
    *changes = policy_compare_document(document, domain, evaluation);
    return TRUE;
}
