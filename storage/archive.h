/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Archives from strangers, through libarchive: a fixed set of member names, each a regular file of bounded size, unpacked
 * into a folder of ours by descriptor. Absolute names lose their '/' where the format is known to have them; "..", links,
 * devices, duplicates, sparse tricks, unknown names, too much data (compressed or not) are refused before anything of them
 * is used.
 */
#pragma once

#include "storage/output.h"

/**
 * StorageArchiveMember:
 * @name: of the member, without folders; %NULL ends a table
 * @max_size: bytes
 * @optional: may be missing
 */
typedef struct {
    const char *name;
    guint64 max_size;
    gboolean optional;
} StorageArchiveMember;

/**
 * storage_archive_unpack:
 * @path: a tar archive, or one compressed with gzip, xz or zstd
 * @members: what may be in it
 * @folder_fd: an empty folder; files get mode 0600
 *
 * Errors: %ATTEST_ERROR_UNREADABLE for a file that is no such archive or ends early, %ATTEST_ERROR_REJECTED for hostile
 * contents; the folder may then hold some of the files: throw it away.
 */
gboolean storage_archive_unpack(const char *path, const StorageArchiveMember *members, int folder_fd, GError **error);

/**
 * StorageArchiveEntry:
 * @name: in the archive
 * @data: (nullable): contents; else @path
 */
typedef struct {
    const char *name;
    GBytes *data;
    const char *path;
} StorageArchiveEntry;

/* The same files give the same bytes: order as given, owner 0, mode 0644, time 0. @gzip: compressed, without name or time. */
gboolean storage_archive_write(const StorageArchiveEntry *entries, gsize n_entries, gboolean gzip, StorageOutput *output,
                               GError **error);
