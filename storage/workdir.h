/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A temporary folder for programs that need one, below $TMPDIR or /var/tmp. It goes with its owner; one that a killed run
 * has left is removed by the next run, which tells it by a lock that nobody holds.
 */
#pragma once

#include <glib.h>

#include "measure/error.h"

typedef struct StorageWorkdir StorageWorkdir;

/* Errors: %ATTEST_ERROR_UNREADABLE: no folder, not writable, or a path with characters that other programs trip over. */
StorageWorkdir *storage_workdir_new(GError **error);
const char *storage_workdir_path(const StorageWorkdir *workdir);
/* A file in it, readable for everybody who knows its name (which cannot be listed). Returns its path. */
gchar *storage_workdir_put(StorageWorkdir *workdir, const char *name, guint32 mode, const char *text, gsize size,
                           GError **error);
/* Removes the folder and everything in it, never following a link or entering another file system. */
void storage_workdir_free(StorageWorkdir *workdir);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageWorkdir, storage_workdir_free)
