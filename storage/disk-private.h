/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of disk.c tell each other. Internal to storage/. */
#pragma once

#include "storage/disk.h"

/* Sets an %ATTEST_ERROR_UNREADABLE about @path and returns %FALSE: "'PATH': WHAT". */
gboolean storage_disk_fail(GError **error, const char *path, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* The same for an errno, with what to do where that is known. */
gboolean storage_disk_fail_errno(GError **error, const char *path, int number);

/* Opens a regular file or block device for reading; never blocks on a FIFO. -1 with @error. */
int storage_disk_open_file(const char *path, GError **error);

/**
 * storage_disk_lock:
 * @fd: open for reading
 *
 * Takes the shared locks that QEMU takes for reading an image that nobody may write meanwhile, and fails when somebody
 * writes it. They are given back when @fd is closed. A file system without such locks goes without, as with QEMU.
 */
gboolean storage_disk_lock(int fd, const char *path, GError **error);

/* Appends to @extents (element-type StorageExtent); widens the last one where it touches and is of the same kind. */
void storage_extents_add(GArray *extents, guint64 offset, guint64 length, gboolean zero, gboolean own);

/* A qemu-nbd of our own, with several connections to it, which does not outlive this process however that dies. */
typedef struct StorageNbd StorageNbd;

/**
 * storage_nbd_open:
 * @path: a qcow2 image whose chain was looked at before (storage_qcow2_chain())
 * @layered: it has a backing file
 *
 * Errors: %ATTEST_ERROR_NOT_CONFIGURED: no qemu-nbd; %ATTEST_ERROR_UNREADABLE: what qemu-nbd says.
 */
StorageNbd *storage_nbd_open(const char *path, gboolean layered, GError **error);
void storage_nbd_free(StorageNbd *nbd);
guint64 storage_nbd_size(const StorageNbd *nbd);
gboolean storage_nbd_read(StorageNbd *nbd, guint64 offset, guint8 *out, gsize size, GError **error);
gboolean storage_nbd_extents(StorageNbd *nbd, guint64 offset, guint64 length, GArray *extents, GError **error);
