/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/gpt-write.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "measure/error.h"

#define ENTRIES 128
#define ENTRY_SIZE 128
#define ENTRIES_SIZE (ENTRIES * ENTRY_SIZE)
#define HEADER_SIZE 92

static gboolean put(int fd, guint64 offset, const guint8 *data, gsize size, GError **error)
{
    while (size) {
        ssize_t done = pwrite(fd, data, size, (off_t)offset);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot write the partition table: %s",
                        g_strerror(errno));
            return FALSE;
        }
        data += done;
        size -= (gsize)done;
        offset += (guint64)done;
    }
    return TRUE;
}

static guint32 checksum(const guint8 *data, gsize size)
{
    return (guint32)crc32(crc32(0, NULL, 0), data, (uInt)size);
}

static void fill_entries(guint8 *entries, guint64 size, const StorageGptPartition *partitions, guint count)
{
    g_assert(count <= ENTRIES);
    for (guint i = 0; i < count; i++) {
        const StorageGptPartition *each = &partitions[i];
        guint8 *entry = entries + (gsize)i * ENTRY_SIZE;

        g_assert(each->length && each->offset >= STORAGE_GPT_HEAD && each->offset + each->length <= size - STORAGE_GPT_TAIL &&
                 (i == 0 || partitions[i - 1].offset + partitions[i - 1].length <= each->offset) && strlen(each->name) <= 36);
        memcpy(entry, each->type, MEASURE_GUID_SIZE);
        memcpy(entry + 16, each->id, MEASURE_GUID_SIZE);
        measure_put_u64(entry + 32, each->offset / STORAGE_GPT_SECTOR);
        measure_put_u64(entry + 40, (each->offset + each->length) / STORAGE_GPT_SECTOR - 1);
        for (gsize c = 0; each->name[c]; c++)
            entry[56 + 2 * c] = (guint8)each->name[c];
    }
}

/* @own, @other: sectors of this header and of the other one; @table: first sector of the entries that belong to it. */
static void fill_header(guint8 *header, guint64 own, guint64 other, guint64 table, guint64 sectors, const guint8 *id,
                        guint32 entries_checksum)
{
    memset(header, 0, STORAGE_GPT_SECTOR);
    memcpy(header, "EFI PART", 8);
    measure_put_u32(header + 8, 0x10000);
    measure_put_u32(header + 12, HEADER_SIZE);
    measure_put_u64(header + 24, own);
    measure_put_u64(header + 32, other);
    measure_put_u64(header + 40, STORAGE_GPT_HEAD / STORAGE_GPT_SECTOR);
    measure_put_u64(header + 48, sectors - STORAGE_GPT_TAIL / STORAGE_GPT_SECTOR - 1);
    memcpy(header + 56, id, MEASURE_GUID_SIZE);
    measure_put_u64(header + 72, table);
    measure_put_u32(header + 80, ENTRIES);
    measure_put_u32(header + 84, ENTRY_SIZE);
    measure_put_u32(header + 88, entries_checksum);
    measure_put_u32(header + 16, checksum(header, HEADER_SIZE));
}

/* One partition of type 0xee that covers everything, so that old tools do not take the disk for empty. */
static void fill_mbr(guint8 *mbr, guint64 sectors)
{
    memset(mbr, 0, STORAGE_GPT_SECTOR);
    mbr[446 + 2] = 2;
    mbr[446 + 4] = 0xee;
    memset(mbr + 446 + 5, 0xff, 3);
    measure_put_u32(mbr + 446 + 8, 1);
    measure_put_u32(mbr + 446 + 12, sectors - 1 > G_MAXUINT32 ? G_MAXUINT32 : (guint32)(sectors - 1));
    mbr[510] = 0x55;
    mbr[511] = 0xaa;
}

gboolean storage_gpt_write(int fd, guint64 size, const guint8 id[MEASURE_GUID_SIZE], const StorageGptPartition *partitions,
                           guint count, GError **error)
{
    g_autofree guint8 *entries = g_malloc0(ENTRIES_SIZE);
    guint64 sectors = size / STORAGE_GPT_SECTOR, tail = sectors - STORAGE_GPT_TAIL / STORAGE_GPT_SECTOR;
    guint8 mbr[STORAGE_GPT_SECTOR], first[STORAGE_GPT_SECTOR], last[STORAGE_GPT_SECTOR];
    guint32 sum;

    g_assert(size % STORAGE_GPT_SECTOR == 0 && size > STORAGE_GPT_HEAD + STORAGE_GPT_TAIL);
    fill_entries(entries, size, partitions, count);
    sum = checksum(entries, ENTRIES_SIZE);
    fill_mbr(mbr, sectors);
    fill_header(first, 1, sectors - 1, 2, sectors, id, sum);
    fill_header(last, sectors - 1, 1, tail, sectors, id, sum);
    return put(fd, 0, mbr, sizeof mbr, error) && put(fd, STORAGE_GPT_SECTOR, first, sizeof first, error) &&
           put(fd, 2 * STORAGE_GPT_SECTOR, entries, ENTRIES_SIZE, error) &&
           put(fd, tail * STORAGE_GPT_SECTOR, entries, ENTRIES_SIZE, error) &&
           put(fd, (sectors - 1) * STORAGE_GPT_SECTOR, last, sizeof last, error);
}
