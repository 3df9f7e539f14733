/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A volume's document: what the strict reader takes, the writer gives back, to the byte from then on. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StorageVolume) volume = storage_volume_parse(data ? (const char *)data : "", (gssize)size, &error);

    if (!volume) {
        if (!g_utf8_validate(error->message, -1, NULL))
            abort();
        for (const char *at = error->message; *at; at++) {
            if (g_ascii_iscntrl(*at))
                abort();
        }
        return 0;
    }
    {
        g_autofree gchar *text = storage_volume_format(volume);
        g_autoptr(StorageVolume) again = storage_volume_parse(text, -1, NULL);
        g_autofree gchar *same = again ? storage_volume_format(again) : NULL;

        /* Indentation can make a document that was just small enough too large. */
        if (!again)
            return strlen(text) > STORAGE_VOLUME_MAX_SIZE ? 0 : (abort(), 0);
        if (strcmp(same, text))
            abort();
    }
    return 0;
}
