/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hash trees of base images, kept in STATE/verity so that sealing an overlay hashes only what the overlay holds itself.
 * They may be removed at any time.
 */
#pragma once

#include "policy/store.h"
#include "storage/verity.h"

/**
 * StorageHashTree:
 * @path: of the hash file
 * @root_hash, @digest_size: bytes; what the file has to give
 */
typedef struct {
    gchar *path;
    guint8 root_hash[STORAGE_VERITY_MAX_DIGEST];
    gsize digest_size;
} StorageHashTree;
void storage_hash_tree_free(StorageHashTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageHashTree, storage_hash_tree_free)

/**
 * storage_hash_tree_get:
 * @disk: the base image
 * @sha256: of its file
 * @verity: hash, sizes and salt of the tree; its UUID does not matter
 * @offset, @length: range of the disk
 *
 * From the cache, or made now and kept there; the oldest ones make room.
 */
StorageHashTree *storage_hash_tree_get(PolicyStore *store, StorageDisk *disk, const guint8 *sha256, const StorageVerity *verity,
                              guint64 offset, guint64 length, StorageProgress progress, gpointer progress_data,
                              GError **error);

/* Removes it from the cache. */
void storage_hash_tree_drop(const StorageHashTree *tree);
