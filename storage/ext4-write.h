/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing a whole ext4 file system from a stream of entries, with libext2fs: nothing is mounted, nobody needs to be root,
 * and the same entries in the same order give the same bytes. Entries may be hostile.
 */
#pragma once

#include <glib.h>

#include "measure/error.h"

#define STORAGE_EXT4_BLOCK_SIZE 4096
#define STORAGE_EXT4_PATH_MAX 4096
#define STORAGE_EXT4_ENTRIES_MAX 2000000
#define STORAGE_EXT4_XATTRS_MAX 64 /* for each entry */

/* An extended attribute; @name with its prefix: "security.capability". */
typedef struct {
    const char *name;
    gconstpointer value;
    gsize size;
} StorageXattr;

/**
 * StorageEntry:
 * @path: relative to the root, components separated by one '/' each, no "." and "..", not ended by '/'; "" is the root
 * @mode: type (S_IFMT) and permissions
 * @mtime: seconds since 1970
 * @size: bytes of a regular file
 * @target: of a symbolic link
 * @hard_link: (nullable): path of an entry added before that this is another name of; then only @path counts beside it
 * @major, @minor: of a device
 * @xattrs, @n_xattrs: extended attributes
 */
typedef struct {
    const char *path;
    guint32 mode, uid, gid;
    gint64 mtime;
    guint64 size;
    const char *target, *hard_link;
    guint32 major, minor;
    const StorageXattr *xattrs;
    gsize n_xattrs;
} StorageEntry;

/**
 * StorageEntryRead:
 * @data, @size, @offset: (out): the next piece of the file; pieces come in order, what is between them is zeros
 * Returns: 1, 0 at the end, -1 with @error
 */
typedef int (*StorageEntryRead)(gpointer user_data, gconstpointer *data, gsize *size, guint64 *offset, GError **error);

typedef struct StorageExt4 StorageExt4;

/**
 * storage_ext4_new:
 * @fd: open for reading and writing; zeros (holes) from @offset on
 * @offset, @length: where the file system lies, bytes, multiples of the block size
 * @uuid: 16 bytes; the seed of directory hashes follows from it
 * @epoch: seconds since 1970: the time of everything, and the newest that an entry may have
 *
 * Makes an empty file system (mkfs.ext4) and opens it for filling. Errors: %ATTEST_ERROR_NOT_CONFIGURED: no mkfs.ext4;
 * %ATTEST_ERROR_UNREADABLE: writing.
 */
StorageExt4 *storage_ext4_new(int fd, guint64 offset, guint64 length, const guint8 uuid[16], gint64 epoch, GError **error);
/* What was not finished is not usable. */
void storage_ext4_free(StorageExt4 *ext4);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageExt4, storage_ext4_free)

/**
 * storage_ext4_add:
 * @read, @user_data: (nullable): contents of a regular file; %NULL: none
 *
 * Folders that are missing on the way are made (root, 0755). A folder may come twice, the last one counts; anything else
 * may not.
 *
 * Errors: %ATTEST_ERROR_UNREADABLE: a path that is absolute, too long, has "..", leads through something that is no
 * folder, or is there already; a hard link to nothing; contents longer than said; too many entries; no room.
 */
gboolean storage_ext4_add(StorageExt4 *ext4, const StorageEntry *entry, StorageEntryRead read, gpointer user_data,
                          GError **error);
/* The same with contents from memory. */
gboolean storage_ext4_add_bytes(StorageExt4 *ext4, const StorageEntry *entry, gconstpointer data, GError **error);
/* Whether @path was added, and as what: its mode, or 0. */
guint32 storage_ext4_has(StorageExt4 *ext4, const char *path);

/* Writes the folders and closes the file system. */
gboolean storage_ext4_finish(StorageExt4 *ext4, GError **error);
