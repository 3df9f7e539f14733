/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The header of a qcow2 file: what is accepted must be safe to hand to QEMU. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/qcow2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const guint8 nothing[1];
    g_auto(StorageQcow2) header = {0};
    g_autoptr(GError) error = NULL;
    MeasureBytes bytes = {data ? data : nothing, MIN(size, STORAGE_QCOW2_HEADER_MAX)};
    gboolean good = storage_qcow2_parse(bytes, &header, &error);
    if (good == (error != NULL))
        abort();
    if (good && header.backing && (!*header.backing || header.backing[strcspn(header.backing, ":/")] == ':'))
        abort();
    return 0;
}
