/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state folder: references/UUID.json, records/UUID.json, volumes/POOL.NAME.json, cache/, certificates/, nonces/,
 * verdicts/UUID.json; and the folders of policy_store_folder(). Everything is written to a temporary file,
 * synchronised, renamed, and the folder synchronised; readers see the old file or the new one, after a crash too.
 */
#pragma once

#include "policy/reference.h"

typedef struct PolicyStore PolicyStore;

/* A file descriptor that closes itself: g_auto(PolicyFd) fd = -1; */
typedef int PolicyFd;
void policy_close(PolicyFd *fd);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PolicyFd, policy_close)

/**
 * policy_store_open:
 * @directory: the state folder
 * @create: make it (0700) and its subfolders when missing
 *
 * Refuses a folder that others can write or that belongs to somebody else (%ATTEST_ERROR_NOT_CONFIGURED).
 * A missing folder without @create opens as an empty store; writing makes it, always with all its subfolders. So a
 * subfolder that is missing from a state folder was taken away, and reading from it is an error, not an empty answer;
 * only "volumes", "certificates", "nonces" and "verdicts", which came later, are empty then.
 */
PolicyStore *policy_store_open(const char *directory, gboolean create, GError **error);
void policy_store_free(PolicyStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyStore, policy_store_free)
const char *policy_store_directory(const PolicyStore *store);

/**
 * policy_store_read / policy_store_write / policy_store_remove:
 * @kind: subfolder: "references", "records", "volumes", "cache", "certificates", "nonces" or
 * "verdicts"
 * @name: file name; letters, digits, '-', '.' and '_' only, no leading '.'
 *
 * read: sets @text to %NULL and returns %TRUE when the file does not exist. @max_size bytes at most; not a symbolic
 * link, not somebody else's file. Errors: %ATTEST_ERROR_NOT_CONFIGURED when the folders cannot be used, so that nobody
 * can tell whether there is such a file; %ATTEST_ERROR_UNREADABLE for the file itself. write: atomic and durable
 * (durable %FALSE skips the syncs: for the cache).
 */
gboolean policy_store_read(PolicyStore *store, const char *kind, const char *name, gsize max_size, gchar **text,
                           gsize *size, GError **error);
gboolean policy_store_write(PolicyStore *store, const char *kind, const char *name, const char *text, gsize size,
                            gboolean durable, GError **error);
gboolean policy_store_remove(PolicyStore *store, const char *kind, const char *name, GError **error);
/* Names of the files of a kind, sorted; temporary and lock files left out. */
GPtrArray *policy_store_list(PolicyStore *store, const char *kind, GError **error);
/* Renames a file that cannot be used, so that it is neither lost nor in the way; @aside must not exist. */
gboolean policy_store_keep_aside(PolicyStore *store, const char *kind, const char *name, const char *aside,
                                 GError **error);
/* Removes old temporary files, which writers that were killed have left: their names never come again, so it can wait
 * until nobody else does. policy_store_open() with @create does it too. */
void policy_store_sweep(PolicyStore *store, const char *kind);
/**
 * policy_store_lock:
 * Takes an exclusive lock that lives until the returned descriptor is closed; -1 on error. Waits at most @timeout_ms.
 */
int policy_store_lock(PolicyStore *store, const char *kind, const char *name, guint timeout_ms, GError **error);

/* The subfolder with what QEMU opens for a domain, which runs as an unprivileged user. */
#define POLICY_STORE_BOOT "boot"
/* The subfolder with hash trees of images, which can be made again at any time. */
#define POLICY_STORE_VERITY "verity"

/**
 * policy_store_folder:
 * @name: %POLICY_STORE_BOOT or %POLICY_STORE_VERITY
 *
 * Makes a subfolder for files that are no documents and opens it. Using the boot folder for the first time lets others
 * pass through the state folder (mode 0711), whose other subfolders stay closed (0700): who knows the name of a file in
 * it, which is its digest, may read it.
 *
 * Returns: a descriptor of the folder, or -1. Errors: %ATTEST_ERROR_NOT_CONFIGURED.
 */
int policy_store_folder(PolicyStore *store, const char *name, GError **error);

/* The pinned reference of a domain: NULL without @error when there is none. */
PolicyReference *policy_store_get_reference(PolicyStore *store, const char *uuid, GError **error);
gboolean policy_store_put_reference(PolicyStore *store, const PolicyReference *reference, GError **error);
gboolean policy_store_remove_reference(PolicyStore *store, const char *uuid, GError **error);

/* Digest cache in the store, for measure_inputs_open(); entries that are torn, foreign or do not fit are ignored.
 * Borrowed from @store. */
const MeasureCache *policy_store_cache(PolicyStore *store);
