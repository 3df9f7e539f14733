/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing a GUID partition table (UEFI 2.10, section 5.3), sectors of 512 bytes, 128 entries. */
#pragma once

#include <glib.h>

#include "measure/bytes.h"

#define STORAGE_GPT_SECTOR 512
/* What the tables take at either end of the disk, bytes: protective MBR and header, header; 32 sectors of entries. */
#define STORAGE_GPT_HEAD (34 * STORAGE_GPT_SECTOR)
#define STORAGE_GPT_TAIL (33 * STORAGE_GPT_SECTOR)

/**
 * StorageGptPartition:
 * @type, @id: GUIDs as they lie on the disk (measure_guid_parse())
 * @offset, @length: bytes, multiples of the sector size
 * @name: ASCII, at most 36 characters
 */
typedef struct {
    guint8 type[MEASURE_GUID_SIZE], id[MEASURE_GUID_SIZE];
    guint64 offset, length;
    const char *name;
} StorageGptPartition;

/**
 * storage_gpt_write:
 * @size: of the disk, bytes, a multiple of the sector size
 * @id: GUID of the disk
 *
 * Writes both tables and the protective MBR. Errors: %ATTEST_ERROR_UNREADABLE when writing fails. Partitions that
 * overlap or leave the room between the tables are a mistake of the program and abort.
 */
gboolean storage_gpt_write(int fd, guint64 size, const guint8 id[MEASURE_GUID_SIZE], const StorageGptPartition *partitions,
                           guint count, GError **error);
