/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a disk image, raw or qcow2 with its chain of backing files, as one flat range of bytes that knows its holes.
 * Raw files are read directly; qcow2 through libnbd and a read-only qemu-nbd that lives exactly as long as the disk is
 * open.
 */
#pragma once

#include <glib.h>

#include "measure/error.h"

/* The format is never guessed from contents, which a guest may have written: a raw disk could pose as a qcow2 with a
 * backing file of its choice. */
typedef enum {
    STORAGE_FORMAT_BY_NAME, /* qcow2 for a path that ends in .qcow2, else raw */
    STORAGE_FORMAT_RAW,
    STORAGE_FORMAT_QCOW2,
} StorageFormat;

typedef struct StorageDisk StorageDisk;

/**
 * StorageExtent:
 * @offset, @length: bytes
 * @zero: reads as zeros, known without reading
 * @own: held by the image itself, not by its backing file; always %TRUE for raw and for an image without backing file
 */
typedef struct {
    guint64 offset, length;
    gboolean zero, own;
} StorageExtent;

/**
 * storage_disk_open:
 * @path: regular file or block device
 *
 * Errors: %ATTEST_ERROR_UNREADABLE: missing, not readable, a raw file that begins like a qcow2 (name the format), a
 * broken or missing backing file, in use by a writer (QEMU's image lock: a running domain);
 * %ATTEST_ERROR_NOT_CONFIGURED: no qemu-nbd. Opening takes QEMU's shared lock where the format is qcow2, so that no
 * guest starts writing meanwhile, and an OFD lock that is compatible with it for raw.
 */
StorageDisk *storage_disk_open(const char *path, StorageFormat format, GError **error);
void storage_disk_free(StorageDisk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageDisk, storage_disk_free)

guint64 storage_disk_size(const StorageDisk *disk); /* bytes */
const char *storage_disk_path(const StorageDisk *disk);
/* Whether @path is the image, one of its backing files, or another name of one of these. */
gboolean storage_disk_uses(const StorageDisk *disk, const char *path);
/* All @size bytes at @offset, or an error. May be called from several threads at once. */
gboolean storage_disk_read(StorageDisk *disk, guint64 offset, void *out, gsize size, GError **error);
/* (element-type StorageExtent): covers [@offset, @offset + @length) without gaps, in order, neighbours of one kind
 * merged. From one thread. */
GArray *storage_disk_extents(StorageDisk *disk, guint64 offset, guint64 length, GError **error);

/**
 * storage_disk_partition:
 * @number: 1 to 128; 0: the whole disk
 *
 * Where a GPT partition lies, in bytes. Errors: %ATTEST_ERROR_UNREADABLE for no GPT, a header or table with a wrong
 * CRC, an empty or missing entry, one that leaves the disk.
 */
gboolean storage_disk_partition(StorageDisk *disk, guint number, guint64 *offset, guint64 *length, GError **error);

/* Progress of long work: @done of @total in some unit; called from the calling thread, at most ten times a second. */
typedef void (*StorageProgress)(const char *what, guint64 done, guint64 total, gpointer user_data);
