/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mkfs.ext4 makes the empty file system with features of our choice and nothing of the machine's own configuration; here
 * it is filled. Data goes straight to its place in the file, in long runs; libext2fs keeps the books. Nothing asks the
 * clock or the random number generator.
 */
#include "storage/ext4-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/foreign-autoptr.h"
#include "storage/process.h"

#define BLOCK STORAGE_EXT4_BLOCK_SIZE
#define CHUNK (1024 * 1024)
/* A shorter run of zeros inside a file gets blocks of its own, which are never written: a hole would cost an extent. */
#define HOLE_BLOCKS_MIN 16
#define EXTENT_BLOCKS_MAX 32768
#define XATTR_BYTES_MAX 65536

gboolean storage_ext4_fail(GError **error, const char *path, const char *format, ...)
{
    g_autofree gchar *printable = measure_printable(path);
    g_autofree gchar *text = NULL;
    g_autofree gchar *shown = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    shown = measure_printable(text);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot put '%s' into the file system: %s", printable, shown);
    return FALSE;
}

gboolean storage_ext4_fail_code(GError **error, const char *path, long code)
{
    if (code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL || code == ENOSPC)
        return storage_ext4_fail(error, path, "the new disk is too small for its contents; choose a larger --size");
    return storage_ext4_fail(error, path, "%s", error_message(code));
}

static gchar *format_uuid(const guint8 uuid[16])
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < 16; i++)
        g_string_append_printf(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
    return g_string_free(text, FALSE);
}

static gboolean make_empty(int fd, guint64 offset, guint64 length, const guint8 uuid[16], gint64 epoch, GError **error)
{
    /* All of it said here: an empty configuration leaves nothing to the machine's /etc/mke2fs.conf. */
    static const char features[] = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,"
                                   "sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum";
    g_autofree gchar *file = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree gchar *id = format_uuid(uuid);
    g_autofree gchar *extended = g_strdup_printf(
        "offset=%" G_GUINT64_FORMAT ",hash_seed=%s,nodiscard,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0", offset, id);
    g_autofree gchar *size = g_strdup_printf("%" G_GUINT64_FORMAT "k", length / 1024);
    g_autofree gchar *now = g_strdup_printf("E2FSPROGS_FAKE_TIME=%" G_GINT64_FORMAT, epoch);
    g_autofree gchar *date = g_strdup_printf("SOURCE_DATE_EPOCH=%" G_GINT64_FORMAT, epoch);
    const char *journal = length >= G_GUINT64_CONSTANT(1) << 30 ? "size=64" : length >= 1 << 26 ? "size=8" : "size=4";
    const char *argv[] = {"/sbin/mkfs.ext4", "-q", "-F", "-b", "4096", "-I", "256", "-i", "16384", "-m", "1", "-J", journal,
                          "-O", features, "-L", "root", "-U", id, "-E", extended, file, size, NULL};
    const char *environment[] = {now, date, "MKE2FS_CONFIG=/dev/null", "LC_ALL=C", NULL};
    const StorageProcessOptions options = {.environment = environment};
    return storage_process_run(argv, &options, "make the file system", error);
}

StorageExt4 *storage_ext4_new(int fd, guint64 offset, guint64 length, const guint8 uuid[16], gint64 epoch, GError **error)
{
    g_autoptr(StorageExt4) ext4 = g_new0(StorageExt4, 1);
    g_autofree gchar *file = NULL;
    g_autofree gchar *options = g_strdup_printf("offset=%" G_GUINT64_FORMAT, offset);
    StorageNode *lost;
    long code;

    initialize_ext2_error_table();
    /* Inherited by mkfs alone, and above the numbers that it gets itself. */
    ext4->fd = fcntl(fd, F_DUPFD, 10);
    if (ext4->fd < 0) {
        storage_ext4_fail(error, "/", "%s", g_strerror(errno));
        return NULL;
    }
    if (!make_empty(ext4->fd, offset, length, uuid, epoch, error))
        return NULL;
    fcntl(ext4->fd, F_SETFD, FD_CLOEXEC);
    file = g_strdup_printf("/proc/self/fd/%d", ext4->fd);
    code = ext2fs_open2(file, options, EXT2_FLAG_RW | EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &ext4->fs);
    if (!code)
        code = ext2fs_read_bitmaps(ext4->fs);
    if (code) {
        storage_ext4_fail_code(error, "/", code);
        return NULL;
    }
    ext4->fs->now = (time_t)epoch;
    ext4->offset = offset;
    ext4->epoch = epoch;
    ext4->next_ino = EXT2_FIRST_INO(ext4->fs->super);
    ext4->chunk = g_malloc(CHUNK);
    ext4->root = storage_node_new("", EXT2_ROOT_INO, S_IFDIR | 0755);
    lost = storage_node_new("lost+found", EXT2_FIRST_INO(ext4->fs->super), S_IFDIR | 0700);
    lost->fixed = TRUE;
    storage_node_add(ext4->root, lost);
    return g_steal_pointer(&ext4);
}

void storage_ext4_free(StorageExt4 *ext4)
{
    if (!ext4)
        return;
    if (ext4->fs) {
        /* Only storage_ext4_finish() writes. */
        ext4->fs->flags &= ~(EXT2_FLAG_DIRTY | EXT2_FLAG_CHANGED | EXT2_FLAG_BB_DIRTY | EXT2_FLAG_IB_DIRTY);
        ext2fs_close_free(&ext4->fs);
    }
    if (ext4->fd >= 0)
        close(ext4->fd);
    storage_node_free(ext4->root);
    g_free(ext4->chunk);
    g_free(ext4);
}

ext2_ino_t storage_ext4_take_inode(StorageExt4 *ext4, gboolean folder, const char *path, GError **error)
{
    ext2_filsys fs = ext4->fs;

    while (ext4->next_ino <= fs->super->s_inodes_count && ext2fs_test_inode_bitmap2(fs->inode_map, ext4->next_ino))
        ext4->next_ino++;
    if (ext4->next_ino > fs->super->s_inodes_count) {
        storage_ext4_fail_code(error, path, EXT2_ET_INODE_ALLOC_FAIL);
        return 0;
    }
    ext2fs_inode_alloc_stats2(fs, ext4->next_ino, 1, folder);
    return ext4->next_ino++;
}

/* Time stamps have 34 bits: the upper two live with the nanoseconds. */
static void put_time(gint64 seconds, guint32 *low, guint32 *high)
{
    *low = (guint32)seconds;
    *high = (guint32)((seconds - (gint32)seconds) >> 32) & 3;
}

void storage_ext4_fill_inode(const StorageExt4 *ext4, const StorageEntry *entry, guint32 mode,
                             struct ext2_inode_large *inode)
{
    gint64 mtime = entry ? CLAMP(entry->mtime, 0, ext4->epoch) : ext4->epoch;
    guint32 uid = entry ? entry->uid : 0, gid = entry ? entry->gid : 0;

    memset(inode, 0, sizeof *inode);
    inode->i_mode = (guint16)mode;
    inode->i_uid = (guint16)uid;
    inode->i_gid = (guint16)gid;
    inode->osd2.linux2.l_i_uid_high = (guint16)(uid >> 16);
    inode->osd2.linux2.l_i_gid_high = (guint16)(gid >> 16);
    inode->i_links_count = 1;
    inode->i_extra_isize = sizeof *inode - EXT2_GOOD_OLD_INODE_SIZE;
    put_time(mtime, &inode->i_mtime, &inode->i_mtime_extra);
    put_time(mtime, &inode->i_atime, &inode->i_atime_extra);
    put_time(mtime, &inode->i_ctime, &inode->i_ctime_extra);
    put_time(mtime, &inode->i_crtime, &inode->i_crtime_extra);
}

void storage_ext4_start_extents(struct ext2_inode_large *inode)
{
    /* struct ext3_extent_header: magic, entries; most entries that fit, depth; generation. */
    inode->i_flags = EXT4_EXTENTS_FL;
    inode->i_block[0] = EXT3_EXT_MAGIC;
    inode->i_block[1] = (sizeof inode->i_block - 12) / 12;
}

static gboolean set_xattrs(StorageExt4 *ext4, ext2_ino_t ino, const StorageEntry *entry, GError **error)
{
    struct ext2_xattr_handle *handle = NULL;
    long code;

    if (!entry->n_xattrs)
        return TRUE;
    if (entry->n_xattrs > STORAGE_EXT4_XATTRS_MAX)
        return storage_ext4_fail(error, entry->path, "it has too many extended attributes");
    code = ext2fs_xattrs_open(ext4->fs, ino, &handle);
    if (!code)
        code = ext2fs_xattrs_read(handle);
    for (gsize i = 0; !code && i < entry->n_xattrs; i++) {
        const StorageXattr *each = &entry->xattrs[i];

        code = each->size > XATTR_BYTES_MAX ? EXT2_ET_EA_NO_SPACE
                                            : ext2fs_xattr_set(handle, each->name, each->value, each->size);
    }
    if (handle)
        ext2fs_xattrs_close(&handle);
    return code ? storage_ext4_fail_code(error, entry->path, code) : TRUE;
}

static void add_extent(GArray *extents, blk64_t logical, blk64_t physical, guint32 count)
{
    struct ext2fs_extent *last = extents->len ? &g_array_index(extents, struct ext2fs_extent, extents->len - 1) : NULL;

    if (last && last->e_lblk + last->e_len == logical && last->e_pblk + last->e_len == physical &&
        last->e_len + count <= EXTENT_BLOCKS_MAX) {
        last->e_len += count;
    } else {
        struct ext2fs_extent extent = {.e_pblk = physical, .e_lblk = logical, .e_len = count};

        g_array_append_val(extents, extent);
    }
}

/* Up to @wanted free blocks in a row, marked as used. The search never goes back: nothing is ever freed. */
static gboolean take_blocks(StorageExt4 *ext4, guint32 wanted, blk64_t *start, guint32 *count, const char *path,
                            GError **error)
{
    ext2_filsys fs = ext4->fs;
    blk64_t last = ext2fs_blocks_count(fs->super) - 1, end = 0;

    if (ext4->next_block > last ||
        ext2fs_find_first_zero_block_bitmap2(fs->block_map, ext4->next_block, last, start) != 0)
        return storage_ext4_fail_code(error, path, EXT2_ET_BLOCK_ALLOC_FAIL);
    end = MIN(*start + wanted - 1, last);
    if (ext2fs_find_first_set_block_bitmap2(fs->block_map, *start, end, &end) != 0)
        end++;
    *count = (guint32)(end - *start);
    ext2fs_block_alloc_stats_range(fs, *start, (blk_t)*count, 1);
    ext4->next_block = end;
    return TRUE;
}

static gboolean put_bytes(StorageExt4 *ext4, blk64_t block, const guint8 *data, gsize size, const char *path, GError **error)
{
    guint64 at = ext4->offset + block * BLOCK;

    while (size) {
        ssize_t put = pwrite(ext4->fd, data, size, (off_t)at);

        if (put < 0 && errno == EINTR && storage_interrupt_check(NULL))
            continue;
        if (put <= 0)
            return storage_ext4_fail(error, path, "%s", g_strerror(errno));
        data += put;
        size -= (gsize)put;
        at += (gsize)put;
    }
    return TRUE;
}

static gboolean is_zero(const guint8 *block)
{
    static const guint8 zeros[BLOCK];

    return memcmp(block, zeros, BLOCK) == 0;
}

/* Number of blocks from @at on that are zeros (@zero) or are not, at most @limit. */
static guint32 run_length(const guint8 *data, guint32 at, guint32 limit, gboolean zero)
{
    guint32 n = at;

    while (n < limit && is_zero(data + (gsize)n * BLOCK) == zero)
        n++;
    return n - at;
}

/* Blocks of @data to the disk, at logical block @logical of the file that @extents describes. */
static gboolean put_run(StorageExt4 *ext4, GArray *extents, blk64_t logical, const guint8 *data, guint32 count,
                        gboolean zero, const char *path, GError **error)
{
    while (count) {
        blk64_t start = 0;
        guint32 got = 0;

        if (!take_blocks(ext4, count, &start, &got, path, error))
            return FALSE;
        /* The disk is zeros where nothing was written. */
        if (!zero && !put_bytes(ext4, start, data, (gsize)got * BLOCK, path, error))
            return FALSE;
        add_extent(extents, logical, start, got);
        logical += got;
        data += (gsize)got * BLOCK;
        count -= got;
    }
    return TRUE;
}

static gboolean put_chunk(StorageExt4 *ext4, GArray *extents, blk64_t logical, guint32 count, const char *path,
                          GError **error)
{
    for (guint32 at = 0; at < count;) {
        gboolean zero = is_zero(ext4->chunk + (gsize)at * BLOCK);
        guint32 run = run_length(ext4->chunk, at, count, zero);

        if ((!zero || run < HOLE_BLOCKS_MIN) &&
            !put_run(ext4, extents, logical + at, ext4->chunk + (gsize)at * BLOCK, run, zero, path, error))
            return FALSE;
        at += run;
    }
    return TRUE;
}

/* A file on its way: one chunk of it in memory, from block @first on, filled up to @used bytes. */
typedef struct {
    StorageExt4 *ext4;
    const char *path;
    GArray *extents;
    guint64 first, end;
    gsize used;
} FileState;

static gboolean flush_chunk(FileState *file, GError **error)
{
    gsize whole = (file->used + BLOCK - 1) / BLOCK * BLOCK;

    if (!file->used)
        return TRUE;
    memset(file->ext4->chunk + file->used, 0, whole - file->used);
    if (!put_chunk(file->ext4, file->extents, file->first, (guint32)(whole / BLOCK), file->path, error))
        return FALSE;
    file->first += whole / BLOCK;
    file->used = 0;
    return TRUE;
}

static gboolean put_piece(FileState *file, const guint8 *data, gsize size, guint64 offset, GError **error)
{
    guint64 at = file->first * BLOCK + file->used;

    /* Zeros up to the piece: those that end in this chunk as bytes, whole blocks behind it as a hole. */
    if (offset > at) {
        guint64 gap = offset - at;

        if (gap <= CHUNK - file->used) {
            memset(file->ext4->chunk + file->used, 0, (gsize)gap);
            file->used += (gsize)gap;
        } else {
            if (!flush_chunk(file, error))
                return FALSE;
            file->first = offset / BLOCK;
            file->used = (gsize)(offset % BLOCK);
            memset(file->ext4->chunk, 0, file->used);
        }
    }
    while (size) {
        gsize part = MIN(size, CHUNK - file->used);

        memcpy(file->ext4->chunk + file->used, data, part);
        file->used += part;
        data += part;
        size -= part;
        if (file->used == CHUNK && !flush_chunk(file, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean put_contents(FileState *file, guint64 size, StorageEntryRead read, gpointer user_data, GError **error)
{
    for (;;) {
        gconstpointer data = NULL;
        gsize length = 0;
        guint64 offset = 0;
        int more = read(user_data, &data, &length, &offset, error);

        if (more <= 0)
            return more == 0 && flush_chunk(file, error);
        if (offset < file->end || offset > size || length > size - offset)
            return storage_ext4_fail(error, file->path, "its contents are longer than it says, or out of order");
        if (!put_piece(file, data, length, offset, error))
            return FALSE;
        file->end = offset + length;
    }
}

static gboolean set_extents(StorageExt4 *ext4, ext2_ino_t ino, const GArray *extents, const char *path, GError **error)
{
    struct ext2_inode_large inode;
    ext2_extent_handle_t handle = NULL;
    blk64_t blocks = 0;
    long code;

    if (!extents->len)
        return TRUE;
    code = ext2fs_extent_open(ext4->fs, ino, &handle);
    for (guint i = 0; !code && i < extents->len; i++) {
        struct ext2fs_extent extent = g_array_index(extents, struct ext2fs_extent, i);

        blocks += extent.e_len;
        code = ext2fs_extent_insert(handle, EXT2_EXTENT_INSERT_AFTER, &extent);
        if (!code)
            code = ext2fs_extent_fix_parents(handle);
    }
    if (handle)
        ext2fs_extent_free(handle);
    if (!code)
        code = ext2fs_read_inode_full(ext4->fs, ino, (struct ext2_inode *)&inode, sizeof inode);
    if (!code)
        code = ext2fs_iblk_add_blocks(ext4->fs, (struct ext2_inode *)&inode, blocks);
    if (!code)
        code = ext2fs_write_inode_full(ext4->fs, ino, (struct ext2_inode *)&inode, sizeof inode);
    return code ? storage_ext4_fail_code(error, path, code) : TRUE;
}

static void put_device(struct ext2_inode_large *inode, guint32 major, guint32 minor)
{
    if (major < 256 && minor < 256)
        inode->i_block[0] = major << 8 | minor;
    else
        inode->i_block[1] = (minor & 0xff) | major << 8 | (minor & ~0xffU) << 12;
}

typedef struct {
    gconstpointer data;
    gsize size;
} Memory;

static int read_memory(gpointer user_data, gconstpointer *data, gsize *size, guint64 *offset, GError **error)
{
    Memory *memory = user_data;

    if (!memory->data)
        return 0;
    *data = g_steal_pointer(&memory->data);
    *size = memory->size;
    *offset = 0;
    return 1;
}

/* Everything but folders and hard links. */
static gboolean add_inode(StorageExt4 *ext4, const StorageEntry *entry, StorageEntryRead read, gpointer user_data,
                          ext2_ino_t *out, GError **error)
{
    g_autoptr(GArray) extents = g_array_new(FALSE, FALSE, sizeof(struct ext2fs_extent));
    FileState file = {.ext4 = ext4, .path = entry->path, .extents = extents};
    struct ext2_inode_large inode;
    gsize length = S_ISLNK(entry->mode) ? strlen(entry->target) : 0;
    Memory target = {entry->target, length};
    guint64 size = S_ISREG(entry->mode) ? entry->size : length;
    ext2_ino_t ino = storage_ext4_take_inode(ext4, FALSE, entry->path, error);
    long code;

    if (!ino)
        return FALSE;
    storage_ext4_fill_inode(ext4, entry, entry->mode, &inode);
    /* A short target lives in the inode. */
    if (S_ISLNK(entry->mode) && length < sizeof inode.i_block)
        memcpy(inode.i_block, entry->target, length);
    else if (S_ISREG(entry->mode) || S_ISLNK(entry->mode))
        storage_ext4_start_extents(&inode);
    if (S_ISCHR(entry->mode) || S_ISBLK(entry->mode))
        put_device(&inode, entry->major, entry->minor);
    code = ext2fs_inode_size_set(ext4->fs, (struct ext2_inode *)&inode, (ext2_off64_t)size);
    if (!code)
        code = ext2fs_write_inode_full(ext4->fs, ino, (struct ext2_inode *)&inode, sizeof inode);
    if (code)
        return storage_ext4_fail_code(error, entry->path, code);
    if (inode.i_flags && S_ISLNK(entry->mode) && !put_contents(&file, size, read_memory, &target, error))
        return FALSE;
    if (S_ISREG(entry->mode) && read && !put_contents(&file, size, read, user_data, error))
        return FALSE;
    *out = ino;
    return set_extents(ext4, ino, extents, entry->path, error);
}

static gboolean add_link(StorageExt4 *ext4, const StorageEntry *entry, StorageNode *parent, const char *name, GError **error)
{
    StorageNode *target = storage_node_find(ext4->root, entry->hard_link);
    struct ext2_inode_large inode;
    long code;

    if (!target || S_ISDIR(target->mode))
        return storage_ext4_fail(error, entry->path, "it is another name of '%s', which is not there or is a folder",
                                 entry->hard_link);
    code = ext2fs_read_inode_full(ext4->fs, target->ino, (struct ext2_inode *)&inode, sizeof inode);
    if (!code && inode.i_links_count >= 65000)
        return storage_ext4_fail(error, entry->path, "the file has too many names");
    inode.i_links_count++;
    if (!code)
        code = ext2fs_write_inode_full(ext4->fs, target->ino, (struct ext2_inode *)&inode, sizeof inode);
    if (code)
        return storage_ext4_fail_code(error, entry->path, code);
    storage_node_add(parent, storage_node_new(name, target->ino, target->mode));
    return TRUE;
}

/* Owner, mode, times and attributes of a folder that is there. */
static gboolean set_folder(StorageExt4 *ext4, StorageNode *node, const StorageEntry *entry, GError **error)
{
    struct ext2_inode_large old, inode;
    long code;

    if (node->fixed)
        return TRUE;
    code = ext2fs_read_inode_full(ext4->fs, node->ino, (struct ext2_inode *)&old, sizeof old);
    if (code)
        return storage_ext4_fail_code(error, entry->path, code);
    storage_ext4_fill_inode(ext4, entry, S_IFDIR | (entry->mode & 07777), &inode);
    memcpy(inode.i_block, old.i_block, sizeof inode.i_block);
    inode.i_flags = old.i_flags;
    inode.i_blocks = old.i_blocks;
    inode.i_size = old.i_size;
    inode.i_links_count = old.i_links_count;
    inode.i_file_acl = old.i_file_acl;
    inode.osd2.linux2.l_i_file_acl_high = old.osd2.linux2.l_i_file_acl_high;
    code = ext2fs_write_inode_full(ext4->fs, node->ino, (struct ext2_inode *)&inode, sizeof inode);
    return code ? storage_ext4_fail_code(error, entry->path, code) : set_xattrs(ext4, node->ino, entry, error);
}

static gboolean add_folder(StorageExt4 *ext4, const StorageEntry *entry, StorageNode *parent, const char *name,
                           StorageNode *there, GError **error)
{
    if (!there && !storage_node_make_folder(ext4, parent, name, entry->path, &there, error))
        return FALSE;
    if (!S_ISDIR(there->mode))
        return storage_ext4_fail(error, entry->path, "there is something else of that name already");
    return set_folder(ext4, there, entry, error);
}

gboolean storage_ext4_add(StorageExt4 *ext4, const StorageEntry *entry, StorageEntryRead read, gpointer user_data,
                          GError **error)
{
    const char *name = NULL;
    StorageNode *parent, *there;
    guint32 type = entry->mode & S_IFMT;
    ext2_ino_t ino = 0;

    if (++ext4->entries > STORAGE_EXT4_ENTRIES_MAX)
        return storage_ext4_fail(error, entry->path, "there are more than %d entries", STORAGE_EXT4_ENTRIES_MAX);
    if (!*entry->path && !entry->hard_link && S_ISDIR(entry->mode))
        return set_folder(ext4, ext4->root, entry, error);
    parent = storage_node_parent(ext4, entry->path, &name, error);
    if (!parent)
        return FALSE;
    there = g_hash_table_lookup(parent->children, name);
    if (!entry->hard_link && type == S_IFDIR)
        return add_folder(ext4, entry, parent, name, there, error);
    if (there)
        return storage_ext4_fail(error, entry->path, "there is something of that name already");
    if (entry->hard_link)
        return add_link(ext4, entry, parent, name, error);
    if (type != S_IFREG && type != S_IFLNK && type != S_IFCHR && type != S_IFBLK && type != S_IFIFO && type != S_IFSOCK)
        return storage_ext4_fail(error, entry->path, "it is of an unknown kind");
    if (type == S_IFLNK && (!entry->target || !*entry->target || strlen(entry->target) >= BLOCK))
        return storage_ext4_fail(error, entry->path, "the target of the symbolic link is empty or too long");
    if (type == S_IFREG && entry->size > G_GUINT64_CONSTANT(0xfffffffe) * BLOCK)
        return storage_ext4_fail(error, entry->path, "it is larger than a file can be");
    if (!add_inode(ext4, entry, read, user_data, &ino, error) || !set_xattrs(ext4, ino, entry, error))
        return FALSE;
    storage_node_add(parent, storage_node_new(name, ino, entry->mode));
    return TRUE;
}

gboolean storage_ext4_add_bytes(StorageExt4 *ext4, const StorageEntry *entry, gconstpointer data, GError **error)
{
    Memory memory = {entry->size ? data : NULL, (gsize)entry->size};

    return storage_ext4_add(ext4, entry, read_memory, &memory, error);
}

guint32 storage_ext4_has(StorageExt4 *ext4, const char *path)
{
    StorageNode *node = storage_node_find(ext4->root, path);

    return node ? node->mode : 0;
}

gboolean storage_ext4_finish(StorageExt4 *ext4, GError **error)
{
    long code;

    if (!storage_node_write(ext4, ext4->root, error))
        return FALSE;
    code = ext2fs_close_free(&ext4->fs);
    return code ? storage_ext4_fail_code(error, "/", code) : TRUE;
}
