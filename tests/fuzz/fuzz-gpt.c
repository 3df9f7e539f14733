/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk with a GUID partition table: as it is, and once more with the checksums put right, without which nearly every
 * mutation would be stopped at the door. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "measure/bytes.h"
#include "storage/gpt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static gboolean read_bytes(gpointer user_data, guint64 offset, void *out, gsize size, GError **error)
{
    const MeasureBytes *disk = user_data;
    /* Whoever parses must have checked this. */
    if (offset > disk->size || size > disk->size - offset)
        abort();
    memcpy(out, disk->data + offset, size);
    return TRUE;
}

static void find_all(const guint8 *data, gsize size)
{
    MeasureBytes disk = {data, size};
    for (guint number = 0; number < 6; number++) {
        g_autoptr(GError) error = NULL;
        guint64 offset = 0, length = 0;
        gboolean found = storage_gpt_find(read_bytes, &disk, size, number, &offset, &length, &error);
        if (found == (error != NULL))
            abort();
        if (found && (length == 0 || offset < 1024 || offset > size || length > size - offset))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const guint8 nothing[1];
    find_all(data ? data : nothing, size);
    if (size < 1024)
        return 0;
    g_autofree guint8 *copy = g_memdup2(data, size);
    MeasureBytes bytes = {copy, size}, table;
    guint64 lba = 0;
    guint32 entries = 0, entry_size = 0, header_size = 0;
    (void)measure_bytes_u32(bytes, 512 + 12, &header_size);
    (void)measure_bytes_u64(bytes, 512 + 72, &lba);
    (void)measure_bytes_u32(bytes, 512 + 80, &entries);
    (void)measure_bytes_u32(bytes, 512 + 84, &entry_size);
    if (lba < size && measure_bytes_slice(bytes, lba * 512, (gsize)entries * entry_size, &table) && table.size < size)
        measure_put_u32(copy + 512 + 88, (guint32)crc32(0, table.data, (uInt)table.size));
    measure_put_u32(copy + 512 + 16, 0);
    if (header_size <= 512)
        measure_put_u32(copy + 512 + 16, (guint32)crc32(0, copy + 512, header_size));
    find_all(copy, size);
    return 0;
}
