/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two halves of the ext4 writer share: ext4-write.c has entries and their data, ext4-tree.c names and folders. */
#pragma once

#include <ext2fs/ext2fs.h>
#include <ext2fs/ext3_extents.h>

#include "storage/ext4-write.h"

/**
 * StorageNode:
 * @children: of a folder: name (owned by the child) to #StorageNode, and @order the same in the order they came in
 * @fixed: lost+found, which is not ours to fill
 *
 * A name. Folders are written when everything is known, so that a large one costs no more for each name than a small one.
 */
typedef struct StorageNode StorageNode;
struct StorageNode {
    gchar *name;
    StorageNode *parent;
    ext2_ino_t ino;
    guint32 mode;
    gboolean fixed;
    guint32 folders;
    GHashTable *children;
    GPtrArray *order;
};

struct StorageExt4 {
    ext2_filsys fs;
    int fd;
    guint64 offset;
    gint64 epoch;
    StorageNode *root;
    guint entries;
    ext2_ino_t next_ino;
    blk64_t next_block;
    guint8 *chunk;
};

gboolean storage_ext4_fail(GError **error, const char *path, const char *format, ...) G_GNUC_PRINTF(3, 4);
gboolean storage_ext4_fail_code(GError **error, const char *path, long code);

/* The next free inode, marked as used; 0 with @error. */
ext2_ino_t storage_ext4_take_inode(StorageExt4 *ext4, gboolean folder, const char *path, GError **error);
/* Writes owner, mode and times of @entry (NULL: root's folder, 0755, epoch) into an inode that has nothing else. */
void storage_ext4_fill_inode(const StorageExt4 *ext4, const StorageEntry *entry, guint32 mode,
                             struct ext2_inode_large *inode);

/* An empty extent tree, for files and folders. */
void storage_ext4_start_extents(struct ext2_inode_large *inode);

StorageNode *storage_node_new(const char *name, ext2_ino_t ino, guint32 mode);
void storage_node_free(StorageNode *node);
void storage_node_add(StorageNode *folder, StorageNode *node);
StorageNode *storage_node_find(StorageNode *root, const char *path);
/* The folder that @path lies in, made where it is missing; @name: (out): the last component, inside @path. */
StorageNode *storage_node_parent(StorageExt4 *ext4, const char *path, const char **name, GError **error);
gboolean storage_node_make_folder(StorageExt4 *ext4, StorageNode *parent, const char *name, const char *path,
                                  StorageNode **out, GError **error);
/* Writes the names below @folder, and below that. */
gboolean storage_node_write(StorageExt4 *ext4, StorageNode *folder, GError **error);
