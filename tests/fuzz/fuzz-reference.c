/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A reference document: what the strict reader takes, the writer gives back, to the byte from then on. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyReference) reference = policy_reference_parse(data ? (const char *)data : "", (gssize)size, &error);

    if (!reference) {
        if (!g_utf8_validate(error->message, -1, NULL))
            abort();
        for (const char *at = error->message; *at; at++) {
            if (g_ascii_iscntrl(*at))
                abort();
        }
        return 0;
    }
    {
        g_autofree gchar *text = policy_reference_format(reference, reference->form);
        g_autoptr(PolicyReference) again = policy_reference_parse(text, -1, NULL);
        g_autofree gchar *same = again ? policy_reference_format(again, again->form) : NULL;
        g_autoptr(XmlAttestation) attestation = policy_reference_to_attestation(reference);
        g_autofree gchar *element = xml_attestation_format(attestation);
        g_autoptr(GPtrArray) changes = NULL;

        /* Indentation can make a document that was just small enough too large. */
        if (!again)
            return strlen(text) > POLICY_REFERENCE_MAX_SIZE ? 0 : (abort(), 0);
        guint8 binding[MEASURE_SHA256_SIZE], other[MEASURE_SHA256_SIZE];
        policy_reference_binding(reference, binding);
        policy_reference_binding(again, other);
        if (reference->form != again->form || memcmp(binding, other, sizeof(binding)))
            abort();
        if (strcmp(same, text) || !g_utf8_validate(element, -1, NULL))
            abort();
        changes = policy_reference_diff(reference, again);
        if (changes->len)
            abort();
    }
    return 0;
}
