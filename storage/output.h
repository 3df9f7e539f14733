/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file that appears whole or not at all. It has no name while it is written, where the file system can do that
 * (O_TMPFILE); otherwise a name with a dot in front, and a lock by which the next run tells one that is being written
 * from one that a killed run has left behind, and removes the latter.
 */
#pragma once

#include <sys/types.h>

#include "measure/error.h"

typedef struct StorageOutput StorageOutput;

/**
 * storage_output_new:
 * @path: of the file to make
 * @replace: an existing regular file may be replaced
 * @mode: permissions, not reduced by the umask
 *
 * Errors: %ATTEST_ERROR_UNREADABLE: the folder cannot be written, @path exists and @replace is %FALSE, or it is no
 * regular file.
 */
StorageOutput *storage_output_new(const char *path, gboolean replace, mode_t mode, GError **error);
/* Throws away what was not committed. */
void storage_output_free(StorageOutput *output);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageOutput, storage_output_free)

/* Open for reading and writing; stays @output's. */
int storage_output_fd(const StorageOutput *output);
/* Appends. Errors: %ATTEST_ERROR_UNREADABLE: disk full, … */
gboolean storage_output_write(StorageOutput *output, gconstpointer data, gsize size, GError **error);
/* Makes it durable and gives it its name. On failure everything is as it was. */
gboolean storage_output_commit(StorageOutput *output, GError **error);
