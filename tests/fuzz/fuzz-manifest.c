/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bundle's manifest: whatever is taken comes out canonical, and canonical once more. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/bundle-manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StorageManifest) manifest = storage_manifest_parse(data ? (const char *)data : "", (gssize)size, &error);
    g_autoptr(StorageManifest) again = NULL;
    g_autofree gchar *text = NULL;
    g_autofree gchar *twice = NULL;

    if (!manifest == !error)
        abort();
    if (!manifest)
        return 0;
    text = storage_manifest_format(manifest);
    again = storage_manifest_parse(text, -1, NULL);
    twice = again ? storage_manifest_format(again) : NULL;
    if (g_strcmp0(text, twice))
        abort();
    return 0;
}
