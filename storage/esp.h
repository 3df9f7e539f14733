/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The EFI system partition: a FAT32 file system made with mtools, the same bytes for the same contents. */
#pragma once

#include <glib.h>

#include "measure/error.h"

/**
 * StorageEspFile:
 * @path: "EFI/BOOT/BOOTX64.EFI"; the folders are made
 * @data: contents
 */
typedef struct {
    const char *path;
    GBytes *data;
} StorageEspFile;

/**
 * storage_esp_write:
 * @offset, @length: where the partition lies in @fd, bytes; zeros
 * @serial: of the volume
 * @epoch: time of all files, seconds since 1970
 *
 * Errors: %ATTEST_ERROR_NOT_CONFIGURED: no mtools; %ATTEST_ERROR_UNREADABLE: no room, or writing.
 */
gboolean storage_esp_write(int fd, guint64 offset, guint64 length, guint32 serial, gint64 epoch, const StorageEspFile *files,
                           guint count, GError **error);
