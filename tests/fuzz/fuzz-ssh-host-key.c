/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A public key file: what is taken is bound by the digest of its blob, and the line that goes to the verifier gives the
 * same digest again. What is not taken has a printable reason.
 */
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/report/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t max)
{
    if (!*text || strlen(text) >= max)
        abort();
    for (; *text; text++) {
        if (*text < ' ' || *text > '~')
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static GuestReportKey key;
    GuestReportError error = {.code = 0};
    g_autofree guchar *blob = NULL;
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    guint8 digest[32];
    gsize blob_size = 0, digest_size = sizeof(digest);
    const char *space;

    if (!guest_report_key_parse((const char *)data, size, &key, &error)) {
        if (error.code != 3)
            abort();
        check_text(error.text, sizeof(error.text));
        return 0;
    }
    check_text(key.line, sizeof(key.line));
    /* Type and base64 as they stood there: a quotation mark would end the string in the document. */
    space = strchr(key.line, ' ');
    if (!space || strpbrk(key.line, "\"\\") || strchr(space + 1, ' ') || size < strlen(key.line) ||
        memcmp(data, key.line, strlen(key.line)) != 0)
        abort();
    blob = g_base64_decode(space + 1, &blob_size);
    g_checksum_update(sum, blob, (gssize)blob_size);
    g_checksum_get_digest(sum, digest, &digest_size);
    if (memcmp(digest, key.digest, sizeof(digest)) != 0)
        abort();
    return 0;
}
