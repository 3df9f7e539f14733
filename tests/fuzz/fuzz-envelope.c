/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A signed document: what is taken is written back the same, and nobody's signature is good. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static GPtrArray *some_keys(void)
{
    static GPtrArray *keys;

    if (!keys) {
        keys = g_ptr_array_new();
        g_ptr_array_add(keys,
                        policy_key_from_evp(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), POLICY_KEY_ED25519, "key", NULL));
    }
    return keys;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = data ? (const char *)data : "";
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyEnvelope) envelope = policy_envelope_parse(text, (gssize)size, &error);

    policy_reference_free(policy_reference_read(text, (gssize)size, NULL, NULL));
    if (!envelope) {
        if (!g_utf8_validate(error->message, -1, NULL))
            abort();
        for (const char *at = error->message; *at; at++) {
            if (g_ascii_iscntrl(*at))
                abort();
        }
        return 0;
    }
    {
        g_autofree gchar *once = policy_envelope_format(envelope, TRUE);
        g_autoptr(PolicyEnvelope) again = policy_envelope_parse(once, -1, NULL);
        g_autofree gchar *twice = again ? policy_envelope_format(again, TRUE) : NULL;

        /* Indentation can make a document that was just small enough too large. */
        if (!again)
            return strlen(once) > POLICY_ENVELOPE_MAX_SIZE ? 0 : (abort(), 0);
        if (strcmp(once, twice) || !policy_envelope_recognise(text, size) ||
            policy_envelope_verify(envelope, some_keys(), NULL, NULL))
            abort();
    }
    return 0;
}
