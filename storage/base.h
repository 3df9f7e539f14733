/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Base images: what an overlay is based on must stay what it was, since every byte that the overlay does not hold comes
 * from there. A base is pinned by its SHA-256; its identity spares hashing it again while nothing changed.
 */
#pragma once

#include "policy/store.h"

/**
 * StorageIdentity:
 * @device, @inode, @size: bytes
 * @mtime_ns, @ctime_ns: times since 1970
 *
 * What a file system says about one content of one file.
 */
typedef struct {
    guint64 device, inode, size;
    gint64 mtime_ns, ctime_ns;
} StorageIdentity;

gboolean storage_identity_equal(const StorageIdentity *a, const StorageIdentity *b);

/**
 * StorageFact:
 * @identity, @sha256: of a whole file
 */
typedef struct {
    StorageIdentity identity;
    guint8 sha256[MEASURE_SHA256_SIZE];
} StorageFact;

/**
 * storage_fact_read:
 * @role: what the file is for, a literal for messages
 * @store: (nullable): its digest cache is used
 * @known: (nullable): what was true at @known_at (seconds since 1970): spares hashing when the identity is still the same
 *   and was old enough then to tell a later change
 *
 * Errors: %ATTEST_ERROR_UNREADABLE: missing, no regular file, changed while it was read.
 */
gboolean storage_fact_read(const char *role, const char *path, PolicyStore *store, const StorageFact *known,
                           gint64 known_at, StorageFact *out, GError **error);

/* TRUE when the qcow2 image @path needs no other file; FALSE also when that cannot be told. */
gboolean storage_base_is_flat(const char *path);

/**
 * storage_base_check:
 * @path: absolute
 * @warning: (out) (nullable): a sentence when others than root and its owner can write to it
 *
 * A base is a qcow2 or raw file without a backing file of its own. Its digest must be the one that every volume based on
 * it was made with, and the one in PATH.manifest.json (image-build, image-import) where that is.
 *
 * Errors: %ATTEST_ERROR_REJECTED for another digest, with the volumes concerned; %ATTEST_ERROR_USAGE for a relative path
 * or an overlay; %ATTEST_ERROR_UNREADABLE.
 */
gboolean storage_base_check(const char *path, PolicyStore *store, StorageFact *out, gchar **warning, GError **error);

/**
 * storage_base_in_use:
 * @path: of an image that is to be replaced or removed
 * @store: (nullable)
 *
 * Whether volumes are based on @path, by its path or by the file that it leads to. Sets %ATTEST_ERROR_REJECTED with their
 * names and returns %TRUE when so, and when that cannot be found out.
 */
gboolean storage_base_in_use(const char *path, PolicyStore *store, GError **error);
