/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keys: PEM and DER of public and private ones. What is taken signs and verifies, or verifies nothing of its own
 * making; its name is the same when it is read again; a message is one clean line. No passphrase, so that no derivation
 * is run.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/key-private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_message(const GError *error)
{
    if (!error || !g_utf8_validate(error->message, -1, NULL))
        abort();
    for (const char *at = error->message; *at; at++) {
        if (g_ascii_iscntrl(*at))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "virt-attest";
    const PolicyKeyKind both = POLICY_KEY_P384 | POLICY_KEY_ED25519;
    const void *bytes = data ? (const void *)data : "";
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyKey) public = policy_key_parse_public(bytes, size, both, "public key", &error);

    if (public) {
        g_autofree gchar *id = policy_key_id(public);

        if (strlen(id) != 64 || policy_key_verify(public, text, sizeof(text), bytes, size))
            abort();
    } else {
        check_message(error);
        g_clear_error(&error);
    }
    g_autoptr(PolicyKey) private = policy_key_parse_private(bytes, size, both, "private key", NULL, -1, &error);
    if (private) {
        g_autoptr(GBytes) signature = policy_key_sign(private, text, sizeof(text), NULL);

        /* What was taken as a private key is no public one. */
        if (public || !signature ||
            !policy_key_verify(private, text, sizeof(text), g_bytes_get_data(signature, NULL),
                               g_bytes_get_size(signature)))
            abort();
    } else {
        check_message(error);
    }
    return 0;
}
