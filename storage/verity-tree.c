/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "measure/error.h"
#include "storage/verity-private.h"

void storage_verity_tree_init(StorageVerityTree *tree, const StorageVerity *verity, const StorageVerityLayout *layout,
                              const StorageVerityConstants *constants, int fd, gboolean compare)
{
    memset(tree, 0, sizeof *tree);
    tree->layout = layout;
    tree->constants = constants;
    tree->fd = fd;
    tree->compare = compare;
    tree->blocks = g_malloc0((gsize)layout->hash_block_size * MAX(layout->levels, 1));
    storage_verity_hasher_init(&tree->hasher, verity);
}

void storage_verity_tree_clear(StorageVerityTree *tree)
{
    storage_verity_hasher_clear(&tree->hasher);
    g_clear_pointer(&tree->blocks, g_free);
}

static guint8 *block_of(StorageVerityTree *tree, guint level)
{
    return tree->blocks + (gsize)level * tree->layout->hash_block_size;
}

/* Writes the block of @level, or compares it with what is there. */
static gboolean put_block(StorageVerityTree *tree, guint level, GError **error)
{
    const StorageVerityLayout *layout = tree->layout;
    guint64 offset = layout->start[level] + tree->next[level] * layout->hash_block_size;
    tree->next[level]++;
    if (!tree->compare) {
        return storage_verity_pwrite(tree->fd, block_of(tree, level), layout->hash_block_size, offset, error);
    }
    g_autofree guint8 *found = g_malloc(layout->hash_block_size);
    if (!storage_verity_pread(tree->fd, found, layout->hash_block_size, offset, error)) {
        return FALSE;
    }
    if (memcmp(found, block_of(tree, level), layout->hash_block_size) != 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "hash file: the block at byte %" G_GUINT64_FORMAT " does not follow from the ones below it",
                    offset);
        return FALSE;
    }
    return TRUE;
}

/* The block of @level is complete: out with it, and its digest one level up. */
static gboolean close_block(StorageVerityTree *tree, guint level, GError **error)
{
    guint8 digest[STORAGE_VERITY_MAX_DIGEST];
    storage_verity_digest(&tree->hasher, block_of(tree, level), tree->layout->hash_block_size, digest);
    if (!put_block(tree, level, error)) {
        return FALSE;
    }
    memset(block_of(tree, level), 0, tree->layout->hash_block_size);
    tree->used[level] = 0;
    return storage_verity_tree_add(tree, level + 1, digest, error);
}

gboolean storage_verity_tree_add(StorageVerityTree *tree, guint level, const guint8 *digest, GError **error)
{
    const StorageVerityLayout *layout = tree->layout;
    if (level == layout->levels) {
        memcpy(tree->root, digest, layout->digest_size);
        return TRUE;
    }
    memcpy(block_of(tree, level) + (gsize)tree->used[level] * layout->entry_size, digest, layout->digest_size);
    tree->used[level]++;
    return tree->used[level] < layout->per_block || close_block(tree, level, error);
}

gboolean storage_verity_tree_add_constant(StorageVerityTree *tree, guint level, guint64 count, GError **error)
{
    const StorageVerityLayout *layout = tree->layout;
    const guint8 *digest = tree->constants->digests[level];
    while (count > 0) {
        if (level == layout->levels || tree->used[level] > 0 || count < layout->per_block) {
            if (!storage_verity_tree_add(tree, level, digest, error)) {
                return FALSE;
            }
            count--;
            continue;
        }
        /* Whole blocks of one content: its digest is known. */
        guint64 whole = count / layout->per_block;
        for (guint i = 0; i < layout->per_block; i++) {
            memcpy(block_of(tree, level) + (gsize)i * layout->entry_size, digest, layout->digest_size);
        }
        for (guint64 i = 0; i < whole; i++) {
            if (!put_block(tree, level, error)) {
                return FALSE;
            }
        }
        memset(block_of(tree, level), 0, layout->hash_block_size);
        if (!storage_verity_tree_add_constant(tree, level + 1, whole, error)) {
            return FALSE;
        }
        count %= layout->per_block;
    }
    return TRUE;
}

gboolean storage_verity_tree_finish(StorageVerityTree *tree, GError **error)
{
    for (guint level = 1; level < tree->layout->levels; level++) {
        if (tree->used[level] > 0 && !close_block(tree, level, error)) {
            return FALSE;
        }
    }
    return TRUE;
}
