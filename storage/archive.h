/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Archives from strangers, through libarchive: a fixed set of member names, each a regular file of bounded size,
 * unpacked into a folder of ours by descriptor. Absolute names lose their '/' where the format is known to have them;
 * "..", links, devices, duplicates, sparse tricks, unknown names, too much data (compressed or not), anything behind
 * the end are refused before anything of them is used.
 */
#pragma once

#include "storage/disk.h"
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

/* How much compressed data may grow (a kernel gives 1, firmware 4, an empty initrd 20), and bytes that may always. */
enum { STORAGE_ARCHIVE_RATIO_MAX = 200, STORAGE_ARCHIVE_RATIO_FREE = 64 * 1024 * 1024 };

typedef enum {
    STORAGE_ARCHIVE_PLAIN_NAMES = 0,
    STORAGE_ARCHIVE_ABSOLUTE_NAMES = 1 << 0, /* "/vmlinuz" is taken as "vmlinuz"; both at once are a duplicate */
} StorageArchiveFlags;

/* Whether the file begins as a tar archive does, or as what gzip, xz and zstd write: not whether it is a good one. */
gboolean storage_archive_recognise(const char *path);

/**
 * storage_archive_unpack:
 * @path: a tar archive, or one compressed with gzip, xz or zstd
 * @members: what may be in it
 * @folder_fd: an empty folder; files get mode 0600
 *
 * Besides the caps of @members there is one on the whole, what the members may have together and 16 KiB of headers for
 * each, and one on the ratio: data that grow more than two hundredfold may have 64 MiB. SIGINT, SIGTERM and SIGHUP are
 * looked for between the pieces, see storage_interrupt_begin().
 *
 * Errors: %ATTEST_ERROR_UNREADABLE for a file that is no such archive, ends early or lacks a member,
 * %ATTEST_ERROR_REJECTED for hostile contents; the folder may then hold some of the files: throw it away.
 */
gboolean storage_archive_unpack(const char *path, const StorageArchiveMember *members, StorageArchiveFlags flags,
                                int folder_fd, GError **error);
/* The same for an open file, @shown in messages. It is read from where it stands. */
gboolean storage_archive_unpack_fd(int fd, const char *shown, const StorageArchiveMember *members,
                                   StorageArchiveFlags flags, int folder_fd, GError **error);

/**
 * StorageArchiveEntry:
 * @name: in the archive
 * @data: (nullable): contents; else @path
 * @path: a regular file
 * @size, @sha256: (nullable): what the file at @path must have, or packing it is an error
 */
typedef struct {
    const char *name;
    GBytes *data;
    const char *path;
    guint64 size;
    const guint8 *sha256;
} StorageArchiveEntry;

/* Before storage_archive_write(): every entry is one of @members, within its size, and no file is empty. Errors:
 * %ATTEST_ERROR_REJECTED. */
gboolean storage_archive_check_sizes(const StorageArchiveEntry *entries, gsize n_entries,
                                     const StorageArchiveMember *members, GError **error);

/**
 * storage_archive_write:
 * @gzip: compressed, without name or time
 * @output: gets the archive; the caller commits it
 * @progress: (nullable)
 *
 * The same files give the same bytes: ustar, in the order given, owner 0, mode 0644, time 0. Errors:
 * %ATTEST_ERROR_UNREADABLE: a file that cannot be read, changes while it is packed or is not what @sha256 says; a full
 * disk; interrupted. %ATTEST_ERROR_REJECTED: what shrinks so much that storage_archive_unpack() would refuse it.
 */
gboolean storage_archive_write(const StorageArchiveEntry *entries, gsize n_entries, gboolean gzip,
                               StorageOutput *output, StorageProgress progress, gpointer progress_data, GError **error);
