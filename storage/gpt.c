/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/gpt.h"

#include <string.h>
#include <zlib.h>

#include "measure/bytes.h"
#include "measure/error.h"

enum {
    SECTOR = 512,
    HEADER_SIZE = 92, /* what every header has; it may say more */
    ENTRY_SIZE = 128, /* likewise */
    MAX_ENTRY_SIZE = 4096,
    MAX_TABLE_SIZE = 1024 * 1024,
    MBR_ENTRY = 446, /* the first of four, 16 bytes each */
    MBR_TYPE_PROTECTIVE = 0xee,
};

typedef struct {
    guint64 first_usable, last_usable, table_lba;
    guint32 entries, entry_size, table_crc;
} Header;

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean fail(GError **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree gchar *what = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s", what);
    return FALSE;
}

static guint32 crc(const guint8 *data, gsize size)
{
    return (guint32)crc32(crc32(0, NULL, 0), data, (uInt)size);
}

/* Without it Linux takes the disk for one with an old partition table. */
static gboolean check_protective(MeasureBytes sector, GError **error)
{
    if (sector.data[SECTOR - 2] != 0x55 || sector.data[SECTOR - 1] != 0xaa) {
        return fail(error, "no partition table");
    }
    for (guint i = 0; i < 4; i++) {
        gsize entry = MBR_ENTRY + 16 * i;
        guint32 start = 0;
        if (sector.data[entry + 4] == MBR_TYPE_PROTECTIVE && measure_bytes_u32(sector, entry + 8, &start) &&
            start == 1) {
            return TRUE;
        }
    }
    return fail(error, "no GUID partition table: partitions of an MBR are not read");
}

static gboolean parse_header(MeasureBytes sector, guint64 last_lba, Header *header, GError **error)
{
    guint32 size = 0, stated_crc = 0;
    guint64 own_lba = 0;
    if (memcmp(sector.data, "EFI PART", 8) != 0) {
        return fail(error, "no GUID partition table");
    }
    (void)measure_bytes_u32(sector, 12, &size);
    (void)measure_bytes_u32(sector, 16, &stated_crc);
    (void)measure_bytes_u64(sector, 24, &own_lba);
    (void)measure_bytes_u64(sector, 40, &header->first_usable);
    (void)measure_bytes_u64(sector, 48, &header->last_usable);
    (void)measure_bytes_u64(sector, 72, &header->table_lba);
    (void)measure_bytes_u32(sector, 80, &header->entries);
    (void)measure_bytes_u32(sector, 84, &header->entry_size);
    (void)measure_bytes_u32(sector, 88, &header->table_crc);
    if (size < HEADER_SIZE || size > SECTOR) {
        return fail(error, "partition table: a header of %u bytes is not possible", size);
    }
    guint8 zeroed[SECTOR];
    memcpy(zeroed, sector.data, SECTOR);
    memset(zeroed + 16, 0, 4);
    if (crc(zeroed, size) != stated_crc) {
        return fail(error, "partition table: the header's checksum is wrong; repair the table (sfdisk, sgdisk)");
    }
    if (own_lba != 1) {
        return fail(error, "partition table: the header belongs to sector %" G_GUINT64_FORMAT, own_lba);
    }
    if (header->first_usable > header->last_usable || header->last_usable > last_lba) {
        return fail(error, "partition table: made for a larger disk: the image was cut off, or never finished");
    }
    if (header->entry_size < ENTRY_SIZE || header->entry_size > MAX_ENTRY_SIZE || header->entry_size % 8 != 0 ||
        header->entries == 0 || (guint64)header->entries * header->entry_size > MAX_TABLE_SIZE) {
        return fail(error, "partition table: %u entries of %u bytes are not possible", header->entries,
                    header->entry_size);
    }
    /* Both products are below 2^64 once table_lba is inside the disk. */
    guint64 table_size = (guint64)header->entries * header->entry_size;
    if (header->table_lba < 2 || header->table_lba > last_lba ||
        table_size > (last_lba - header->table_lba + 1) * SECTOR) {
        return fail(error, "partition table: the entries lie outside the disk");
    }
    /* Or a partition could hold the table that says where it is. */
    if (header->first_usable < header->table_lba + (table_size + SECTOR - 1) / SECTOR) {
        return fail(error, "partition table: the entries lie where partitions may be");
    }
    return TRUE;
}

static gboolean is_used(MeasureBytes entry)
{
    static const guint8 unused[MEASURE_GUID_SIZE] = {0};
    return memcmp(entry.data, unused, sizeof unused) != 0;
}

/* First and last sector of an entry in use. */
static gboolean parse_entry(MeasureBytes table, const Header *header, guint number, guint64 *first, guint64 *last,
                            GError **error)
{
    MeasureBytes entry;
    if (number > header->entries ||
        !measure_bytes_slice(table, (gsize)(number - 1) * header->entry_size, ENTRY_SIZE, &entry) || !is_used(entry)) {
        return fail(error, "no partition %u", number);
    }
    (void)measure_bytes_u64(entry, 32, first);
    (void)measure_bytes_u64(entry, 40, last);
    if (*first > *last || *first < header->first_usable || *last > header->last_usable) {
        return fail(error, "partition %u: its sectors %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " are not possible",
                    number, *first, *last);
    }
    return TRUE;
}

gboolean storage_gpt_find(StorageGptRead read, gpointer user_data, guint64 disk_size, guint number, guint64 *offset,
                          guint64 *length, GError **error)
{
    guint8 sectors[2 * SECTOR];
    Header header = {0};
    guint64 first = 0, last = 0;
    if (number < 1 || number > STORAGE_GPT_MAX_PARTITION) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "partition %u: numbers go from 1 to %u", number,
                    STORAGE_GPT_MAX_PARTITION);
        return FALSE;
    }
    if (disk_size < 3 * SECTOR) {
        return fail(error, "no partition table: too short");
    }
    if (!read(user_data, 0, sectors, sizeof sectors, error) ||
        !check_protective((MeasureBytes){sectors, SECTOR}, error) ||
        !parse_header((MeasureBytes){sectors + SECTOR, SECTOR}, disk_size / SECTOR - 1, &header, error)) {
        return FALSE;
    }
    gsize size = (gsize)header.entries * header.entry_size;
    g_autofree guint8 *data = g_malloc(size);
    MeasureBytes table = {data, size};
    if (!read(user_data, header.table_lba * SECTOR, data, size, error)) {
        return FALSE;
    }
    if (crc(data, size) != header.table_crc) {
        return fail(error, "partition table: the entries' checksum is wrong; repair the table (sfdisk, sgdisk)");
    }
    if (!parse_entry(table, &header, number, &first, &last, error)) {
        return FALSE;
    }
    /* A partition inside another one is two names for one range: what is sealed as one is written as the other. */
    for (guint other = 1; other <= header.entries; other++) {
        guint64 other_first = 0, other_last = 0;
        if (other != number && parse_entry(table, &header, other, &other_first, &other_last, NULL) &&
            other_first <= last && first <= other_last) {
            return fail(error, "partitions %u and %u overlap", number, other);
        }
    }
    *offset = first * SECTOR;
    *length = (last - first + 1) * SECTOR;
    return TRUE;
}
