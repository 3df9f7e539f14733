/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding a partition in a GUID partition table (UEFI 2.10, section 5.3), sectors of 512 bytes. */
#pragma once

#include <glib.h>

#define STORAGE_GPT_MAX_PARTITION 128

/* Reads all @size bytes at @offset, or fails. */
typedef gboolean (*StorageGptRead)(gpointer user_data, guint64 offset, void *out, gsize size, GError **error);

/**
 * storage_gpt_find:
 * @read, @user_data: the disk
 * @disk_size: bytes
 * @number: 1 to STORAGE_GPT_MAX_PARTITION
 * @offset, @length: (out): bytes
 *
 * Only the primary table counts. Linux does not look at the backup either unless told to ("gpt" on its command line),
 * and two tables to choose from would be a choice for whoever wrote the disk.
 *
 * Errors: %ATTEST_ERROR_UNREADABLE, without the name of the disk.
 */
gboolean storage_gpt_find(StorageGptRead read, gpointer user_data, guint64 disk_size, guint number, guint64 *offset,
                          guint64 *length, GError **error);
