/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A root tree, as a tar stream, through the cleaning into a new ext4 file system; and what was learned on the way. */
#pragma once

#include "storage/clean.h"
#include "storage/disk.h"

/* A Debian package as dpkg has it. */
typedef struct {
    gchar *name, *version, *architecture;
} StoragePackage;
void storage_package_free(StoragePackage *package);

/**
 * StorageRoot:
 * @id, @version, @pretty: from os-release: "debian", "13", "Debian GNU/Linux 13 (trixie)"
 * @packages: (element-type StoragePackage): installed ones, sorted by name and architecture
 * @kernels: (element-type utf8): releases that have modules and a kernel file, oldest first
 * @entries, @bytes: of the stream that were kept: number, contents
 * @dropped: number of entries that the cleaning took away
 * @broken_links: number of hard links to something that the cleaning took away
 */
typedef struct {
    gchar *id, *version, *pretty;
    GPtrArray *packages, *kernels;
    guint64 entries, bytes, dropped, broken_links;
} StorageRoot;
void storage_root_free(StorageRoot *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageRoot, storage_root_free)

/**
 * storage_root_write:
 * @tar: to read an uncompressed tar archive (ustar, pax, GNU) from, to its end; hostile
 * @ext4: new and empty; not finished by this
 * @progress, @progress_data: (nullable): "copying files", bytes so far, of 0 (not known)
 *
 * Errors: those of storage_ext4_add() and of the cleaning; %ATTEST_ERROR_UNREADABLE for a damaged or cut archive.
 */
StorageRoot *storage_root_write(int tar, const StorageCleanOptions *options, StorageExt4 *ext4, gint64 epoch,
                                StorageProgress progress, gpointer progress_data, GError **error);

/* Entries of dpkg's status file that are installed; %NULL with %ATTEST_ERROR_UNREADABLE when it is damaged. */
GPtrArray *storage_root_read_packages(const char *text, gsize size, GError **error);
