/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Our metadata element, which anybody who may edit the domain may edit: what is accepted must survive a round trip. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xml/attestation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_message(const char *message)
{
    if (!g_utf8_validate(message, -1, NULL)) {
        abort();
    }
    for (; *message != '\0'; message++) {
        if (g_ascii_iscntrl(*message)) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(XmlAttestation) first =
        xml_attestation_parse(data != NULL ? (const char *)data : "", (gssize)size, &error);
    g_autoptr(XmlAttestation) second = NULL;
    g_autofree gchar *text = NULL;
    g_autofree gchar *again = NULL;

    if (first == NULL) {
        check_message(error->message);
        return 0;
    }
    text = xml_attestation_format(first);
    second = xml_attestation_parse(text, -1, NULL);
    if (second == NULL) {
        abort();
    }
    again = xml_attestation_format(second);
    if (strcmp(text, again) != 0) {
        abort();
    }
    return 0;
}
