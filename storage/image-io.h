/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libext2fs over a range of a StorageDisk, for reading. Internal to storage/. */
#pragma once

#include <ext2fs/ext2fs.h>

#include "storage/disk.h"

/**
 * storage_ext_open:
 * @disk: stays the caller's, and must live as long as the file system
 * @offset, @length: bytes: where on @disk the file system lies
 *
 * Opens an ext2, ext3 or ext4 file system that nobody trusts. Its superblock is checked before libext2fs believes it:
 * sizes that leave the range are refused, as are features that are not read here.
 *
 * Errors: %ATTEST_ERROR_UNREADABLE: no such file system, damaged, or with a journal that has to be replayed first (the
 * guest that used it was not shut down).
 */
ext2_filsys storage_ext_open(StorageDisk *disk, guint64 offset, guint64 length, GError **error);

/* "cannot read …: WHY" as %ATTEST_ERROR_UNREADABLE; @what is made printable. Returns %FALSE. */
gboolean storage_ext_error(GError **error, StorageDisk *disk, const char *what, errcode_t code);
