/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names and folders of the file system being written. A folder becomes a row of plain blocks without a hash index: the
 * kernel takes both, and the plain form depends on nothing but the names.
 */
#include "storage/ext4-private.h"

#include <string.h>
#include <sys/stat.h>

#define NAME_BYTES_MAX 255
#define DEPTH_MAX 256
/* More links than this ext4 does not count: 1 then stands for "many" on a folder. */
#define LINKS_MAX 65000

StorageNode *storage_node_new(const char *name, ext2_ino_t ino, guint32 mode)
{
    StorageNode *node = g_new0(StorageNode, 1);

    node->name = g_strdup(name);
    node->ino = ino;
    node->mode = mode;
    if (S_ISDIR(mode)) {
        node->children = g_hash_table_new(g_str_hash, g_str_equal);
        node->order = g_ptr_array_new_with_free_func((GDestroyNotify)storage_node_free);
    }
    return node;
}

void storage_node_free(StorageNode *node)
{
    if (!node)
        return;
    g_clear_pointer(&node->children, g_hash_table_unref);
    g_clear_pointer(&node->order, g_ptr_array_unref);
    g_free(node->name);
    g_free(node);
}

void storage_node_add(StorageNode *folder, StorageNode *node)
{
    node->parent = folder;
    folder->folders += S_ISDIR(node->mode) ? 1 : 0;
    g_hash_table_insert(folder->children, node->name, node);
    g_ptr_array_add(folder->order, node);
}

StorageNode *storage_node_find(StorageNode *root, const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    StorageNode *node = root;

    for (gchar **part = parts; *part && node && **parts; part++)
        node = node->children ? g_hash_table_lookup(node->children, *part) : NULL;
    return node;
}

gboolean storage_node_make_folder(StorageExt4 *ext4, StorageNode *parent, const char *name, const char *path,
                                  StorageNode **out, GError **error)
{
    struct ext2_inode_large inode;
    ext2_ino_t ino = storage_ext4_take_inode(ext4, TRUE, path, error);
    long code;

    if (!ino)
        return FALSE;
    storage_ext4_fill_inode(ext4, NULL, S_IFDIR | 0755, &inode);
    storage_ext4_start_extents(&inode);
    code = ext2fs_write_inode_full(ext4->fs, ino, (struct ext2_inode *)&inode, sizeof inode);
    if (code)
        return storage_ext4_fail_code(error, path, code);
    *out = storage_node_new(name, ino, S_IFDIR | 0755);
    storage_node_add(parent, *out);
    return TRUE;
}

StorageNode *storage_node_parent(StorageExt4 *ext4, const char *path, const char **name, GError **error)
{
    StorageNode *node = ext4->root;
    const char *at = path;

    if (*path == '/' || strlen(path) > STORAGE_EXT4_PATH_MAX) {
        storage_ext4_fail(error, path, "the path is absolute or too long");
        return NULL;
    }
    for (guint depth = 0;; depth++) {
        gsize length = strcspn(at, "/");
        g_autofree gchar *part = g_strndup(at, length);
        StorageNode *next;

        if (!length || length > NAME_BYTES_MAX || depth >= DEPTH_MAX || !strcmp(part, ".") || !strcmp(part, "..")) {
            storage_ext4_fail(error, path, "a part of the path is empty, '.', '..' or too long, or there are too many");
            return NULL;
        }
        if (node->fixed) {
            storage_ext4_fail(error, path, "lost+found has to stay empty");
            return NULL;
        }
        if (!at[length]) {
            *name = at;
            return node;
        }
        next = g_hash_table_lookup(node->children, part);
        if (!next && !storage_node_make_folder(ext4, node, part, path, &next, error))
            return NULL;
        if (!S_ISDIR(next->mode)) {
            storage_ext4_fail(error, path, "the path leads through '%s', which is no folder", part);
            return NULL;
        }
        node = next;
        at += length + 1;
    }
}

static guint8 file_type(guint32 mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return EXT2_FT_DIR;
    case S_IFLNK:
        return EXT2_FT_SYMLINK;
    case S_IFCHR:
        return EXT2_FT_CHRDEV;
    case S_IFBLK:
        return EXT2_FT_BLKDEV;
    case S_IFIFO:
        return EXT2_FT_FIFO;
    case S_IFSOCK:
        return EXT2_FT_SOCK;
    default:
        return EXT2_FT_REG_FILE;
    }
}

/* One block of names on its way to the disk. */
typedef struct {
    StorageExt4 *ext4;
    StorageNode *folder;
    struct ext2_inode_large inode;
    guint8 *block;
    guint used, last; /* bytes; offset of the last name */
    blk64_t blocks;
} NameBlock;

/* struct ext2_dir_entry: inode, length of the record, length of the name, type, name. */
static void put_name(NameBlock *names, ext2_ino_t ino, const char *name, guint8 type)
{
    guint8 *at = names->block + names->used;
    gsize length = strlen(name);
    guint16 record = (guint16)((8 + length + 3) & ~(gsize)3);

    for (guint i = 0; i < 4; i++)
        at[i] = (guint8)(ino >> 8 * i);
    at[4] = (guint8)record;
    at[5] = (guint8)(record >> 8);
    at[6] = (guint8)length;
    at[7] = type;
    memcpy(at + 8, name, length);
    names->last = names->used;
    names->used += record;
}

static gboolean flush_names(NameBlock *names, GError **error)
{
    ext2_filsys fs = names->ext4->fs;
    guint room = STORAGE_EXT4_BLOCK_SIZE - (guint)sizeof(struct ext2_dir_entry_tail);
    guint16 record = (guint16)(room - names->last);
    blk64_t block = 0;
    long code = ext2fs_bmap2(fs, names->folder->ino, (struct ext2_inode *)&names->inode, NULL, BMAP_ALLOC, names->blocks,
                             NULL, &block);

    /* The last record of a block takes the rest of it. */
    names->block[names->last + 4] = (guint8)record;
    names->block[names->last + 5] = (guint8)(record >> 8);
    ext2fs_initialize_dirent_tail(fs, EXT2_DIRENT_TAIL(names->block, STORAGE_EXT4_BLOCK_SIZE));
    if (!code)
        code = ext2fs_write_dir_block4(fs, block, names->block, 0, names->folder->ino);
    if (code)
        return storage_ext4_fail_code(error, names->folder->name, code);
    names->blocks++;
    names->used = names->last = 0;
    memset(names->block, 0, STORAGE_EXT4_BLOCK_SIZE);
    return TRUE;
}

static gboolean write_names(NameBlock *names, GError **error)
{
    StorageNode *folder = names->folder;
    guint room = STORAGE_EXT4_BLOCK_SIZE - (guint)sizeof(struct ext2_dir_entry_tail);

    put_name(names, folder->ino, ".", EXT2_FT_DIR);
    put_name(names, folder->parent ? folder->parent->ino : folder->ino, "..", EXT2_FT_DIR);
    for (guint i = 0; i < folder->order->len; i++) {
        const StorageNode *child = g_ptr_array_index(folder->order, i);

        if (names->used + 8 + ((strlen(child->name) + 3) & ~(gsize)3) > room && !flush_names(names, error))
            return FALSE;
        put_name(names, child->ino, child->name, file_type(child->mode));
    }
    return flush_names(names, error);
}

gboolean storage_node_write(StorageExt4 *ext4, StorageNode *folder, GError **error)
{
    g_autofree guint8 *block = g_malloc0(STORAGE_EXT4_BLOCK_SIZE);
    NameBlock names = {.ext4 = ext4, .folder = folder, .block = block};
    guint links = folder->folders + 2;
    long code;

    if (folder->fixed)
        return TRUE;
    code = ext2fs_read_inode_full(ext4->fs, folder->ino, (struct ext2_inode *)&names.inode, sizeof names.inode);
    if (code)
        return storage_ext4_fail_code(error, folder->name, code);
    if (!write_names(&names, error))
        return FALSE;
    names.inode.i_links_count = (guint16)(links >= LINKS_MAX ? 1 : links);
    code = ext2fs_inode_size_set(ext4->fs, (struct ext2_inode *)&names.inode,
                                 (ext2_off64_t)(names.blocks * STORAGE_EXT4_BLOCK_SIZE));
    if (!code)
        code = ext2fs_write_inode_full(ext4->fs, folder->ino, (struct ext2_inode *)&names.inode, sizeof names.inode);
    if (code)
        return storage_ext4_fail_code(error, folder->name, code);
    for (guint i = 0; i < folder->order->len; i++) {
        StorageNode *child = g_ptr_array_index(folder->order, i);

        if (S_ISDIR(child->mode) && !storage_node_write(ext4, child, error))
            return FALSE;
    }
    return TRUE;
}
