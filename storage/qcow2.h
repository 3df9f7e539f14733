/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The header of a qcow2 file, as far as it says which other files QEMU would open with it. */
#pragma once

#include "measure/bytes.h"

#define STORAGE_QCOW2_HEADER_MAX 65536 /* bytes that are looked at */

/**
 * StorageQcow2:
 * @virtual_size: bytes
 * @backing: (nullable): name of the backing file, as written
 * @backing_format: (nullable): "raw", "qcow2", …; %NULL when not stated
 */
typedef struct {
    guint64 virtual_size;
    gchar *backing, *backing_format;
} StorageQcow2;
void storage_qcow2_clear(StorageQcow2 *header);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(StorageQcow2, storage_qcow2_clear)

gboolean storage_qcow2_has_magic(MeasureBytes bytes);

/**
 * storage_qcow2_parse:
 * @bytes: the first STORAGE_QCOW2_HEADER_MAX bytes of the file, or all of it
 *
 * Errors: %ATTEST_ERROR_UNREADABLE for no qcow2, a broken header, encryption, an external data file, a backing file
 * that is no plain file name.
 */
gboolean storage_qcow2_parse(MeasureBytes bytes, StorageQcow2 *out, GError **error);

/**
 * storage_qcow2_chain:
 * @path: a qcow2 file
 *
 * Follows the backing files. A backing file whose format is not stated is refused: QEMU would guess it from contents
 * that a guest may have written. So is a file of the chain that somebody writes.
 *
 * Returns: (element-type utf8): the paths, @path first
 */
GPtrArray *storage_qcow2_chain(const char *path, GError **error);
