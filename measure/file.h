/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One input file, opened once: identified, hashed and read through the same descriptor, and checked
 * afterwards for a change while that happened. Internal to measure/.
 */
#pragma once

#include <sys/stat.h>

#include "measure/launch.h"

/**
 * MeasureFile:
 * @role: what the file is for, for messages ("kernel"); not owned
 * @input: its path, identity and, once known, its digest
 * @fd: open for reading
 * @opened_at: time of opening, ns
 * @null_device: /dev/null, which stands for an empty file
 * @keeps_ctime: on a file system that measure_file_system_keeps_ctime() knows
 * @needs_hash: @input->sha256 is still to be computed
 * @error: what went wrong while hashing on another thread
 */
typedef struct {
    const char *role;
    MeasureInput *input;
    int fd;
    gint64 opened_at;
    gboolean null_device;
    gboolean keeps_ctime;
    gboolean needs_hash;
    GError *error;
} MeasureFile;

/**
 * measure_file_open:
 * @role: what the file is for; a literal
 * @path: of a regular file, or of the null device
 * @max_size: largest size to accept, bytes
 *
 * Never blocks on a FIFO and never becomes the controlling terminal's owner.
 */
MeasureFile *measure_file_open(const char *role, const char *path, guint64 max_size, GError **error);
void measure_file_free(MeasureFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MeasureFile, measure_file_free)

/**
 * measure_file_system_keeps_ctime:
 * @type: f_type of statfs()
 *
 * TRUE for the file systems that give a file a change time of their own at every change, so that device, inode, size
 * and times tell one content from another. Image formats (squashfs, erofs, iso9660) have none: ctime is the mtime that
 * the image's builder chose, and the next image has the same device and inodes. What network and stacked file systems
 * make of it depends on what is behind them. So only the ones that are known are named.
 */
gboolean measure_file_system_keeps_ctime(guint32 type);

/* Tells the kernel that the whole file will be read soon, in order. */
void measure_file_read_ahead(const MeasureFile *file);

/* SHA-256 of the whole file into @file->input->sha256, through a buffer of 256 KiB. */
gboolean measure_file_hash(MeasureFile *file, GError **error);

/* The @size bytes at @offset. */
gboolean measure_file_read(const MeasureFile *file, guint64 offset, guint8 *out, gsize size, GError **error);

/* FALSE, with an error, when the file is not the one that was opened any more. */
gboolean measure_file_unchanged(const MeasureFile *file, GError **error);

/* TRUE when the identity of the file stands for its content: what is remembered about it may be used. */
gboolean measure_file_is_identified(const MeasureFile *file);

/*
 * TRUE when it also will be later on, so that the file is worth remembering: two writes within one tick of the file
 * system's clock leave the same time, so the times must be old enough to tell a later change.
 */
gboolean measure_file_is_settled(const MeasureFile *file);
