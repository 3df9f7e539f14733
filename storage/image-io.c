/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libext2fs asks an io_manager for blocks and opens it by a name. There is no room for a pointer in that interface, so
 * the disk to open travels in a variable of the thread.
 *
 * libext2fs reads block by block, and a qcow2 file answers each question through a socket. A small cache of larger
 * pieces makes one question out of sixteen.
 */
#include "storage/image-io.h"

#include <et/com_err.h>
#include <string.h>

#include "measure/bytes.h"

enum {
    PIECE_SIZE = 64 * 1024,
    PIECES = 32,
    SUPER_SIZE = 1024,
    SUPER_OFFSET = 1024,
};

/* ext4 superblock: Documentation/filesystems/ext4/super.rst of the kernel. */
enum {
    SUPER_INODES = 0x00,
    SUPER_BLOCKS_LOW = 0x04,
    SUPER_LOG_BLOCK_SIZE = 0x18,
    SUPER_BLOCKS_PER_GROUP = 0x20,
    SUPER_INODES_PER_GROUP = 0x28,
    SUPER_MAGIC = 0x38,
    SUPER_STATE = 0x3a,
    SUPER_INODE_SIZE = 0x58,
    SUPER_COMPATIBLE = 0x5c,
    SUPER_INCOMPATIBLE = 0x60,
    SUPER_BLOCKS_HIGH = 0x150,
    STATE_CLEAN = 1,
    COMPATIBLE_JOURNAL = 0x4,
    INCOMPATIBLE_RECOVER = 0x4,
    INCOMPATIBLE_JOURNAL_DEVICE = 0x8,
    INCOMPATIBLE_64BIT = 0x80,
    INCOMPATIBLE_INLINE_DATA = 0x8000,
};

/* What the superblock may say; far more than the images that we read have. */
#define MAX_INODES (64u * 1024 * 1024)
#define MAX_LOG_BLOCK_SIZE 6
#define MIN_BLOCKS_PER_GROUP 256

typedef struct {
    StorageDisk *disk;
    guint64 offset, length;
    struct {
        gboolean filled;
        guint64 start;
        guint8 data[PIECE_SIZE];
    } pieces[PIECES];
} ExtChannel;

typedef struct {
    StorageDisk *disk;
    guint64 offset, length;
} ExtRange;

static __thread const ExtRange *opening;

/* A piece that is known not to be a hole, or NULL; the range's end may cut it short. */
static const guint8 *get_piece(ExtChannel *channel, guint64 start)
{
    guint index = (guint)(start / PIECE_SIZE % PIECES);
    gsize size = (gsize)MIN((guint64)PIECE_SIZE, channel->length - start);

    if (channel->pieces[index].filled && channel->pieces[index].start == start)
        return channel->pieces[index].data;
    channel->pieces[index].filled = FALSE;
    if (!storage_disk_read(channel->disk, channel->offset + start, channel->pieces[index].data, size, NULL))
        return NULL;
    channel->pieces[index].filled = TRUE;
    channel->pieces[index].start = start;
    return channel->pieces[index].data;
}

static errcode_t ext_read(io_channel io, unsigned long long block, int count, void *data)
{
    ExtChannel *channel = io->private_data;
    guint64 size = count < 0 ? (guint64)(-(gint64)count) : (guint64)count * (guint)io->block_size;
    guint64 offset = 0;
    guint8 *out = data;

    if (!g_uint64_checked_mul(&offset, block, (guint)io->block_size) || offset > channel->length ||
        size > channel->length - offset)
        return EXT2_ET_SHORT_READ;
    while (size) {
        guint64 start = offset - offset % PIECE_SIZE;
        const guint8 *piece = get_piece(channel, start);
        gsize part = (gsize)MIN(size, start + PIECE_SIZE - offset);

        if (!piece)
            return EXT2_ET_SHORT_READ;
        memcpy(out, piece + (offset - start), part);
        out += part;
        offset += part;
        size -= part;
    }
    return 0;
}

static errcode_t ext_read_32(io_channel io, unsigned long block, int count, void *data)
{
    return ext_read(io, block, count, data);
}

static errcode_t ext_set_block_size(io_channel io, int size)
{
    if (size <= 0)
        return EXT2_ET_INVALID_ARGUMENT;
    io->block_size = size;
    return 0;
}

static errcode_t ext_close(io_channel io)
{
    if (--io->refcount > 0)
        return 0;
    g_free(io->private_data);
    ext2fs_free_mem(&io->name);
    ext2fs_free_mem(&io);
    return 0;
}

static errcode_t ext_write(io_channel io, unsigned long long block, int count, const void *data)
{
    return EXT2_ET_RO_FILSYS;
}

static errcode_t ext_write_32(io_channel io, unsigned long block, int count, const void *data)
{
    return EXT2_ET_RO_FILSYS;
}

static errcode_t ext_flush(io_channel io)
{
    return 0;
}

static errcode_t ext_open(const char *name, int flags, io_channel *out);

static struct struct_io_manager ext_manager = {
    .magic = EXT2_ET_MAGIC_IO_MANAGER,
    .name = "virt-attest disk",
    .open = ext_open,
    .close = ext_close,
    .set_blksize = ext_set_block_size,
    .read_blk = ext_read_32,
    .write_blk = ext_write_32,
    .flush = ext_flush,
    .read_blk64 = ext_read,
    .write_blk64 = ext_write,
};

static errcode_t ext_open(const char *name, int flags, io_channel *out)
{
    io_channel io = NULL;
    ExtChannel *channel = NULL;
    errcode_t code = 0;

    if (!opening || flags & IO_FLAG_RW)
        return EXT2_ET_RO_FILSYS;
    /* libext2fs frees these two itself on some of its paths, so they come from its allocator. */
    code = ext2fs_get_memzero(sizeof(struct struct_io_channel), &io);
    if (code)
        return code;
    code = ext2fs_get_memzero(strlen(name) + 1, &io->name);
    if (code) {
        ext2fs_free_mem(&io);
        return code;
    }
    memcpy(io->name, name, strlen(name) + 1);
    channel = g_new0(ExtChannel, 1);
    channel->disk = opening->disk;
    channel->offset = opening->offset;
    channel->length = opening->length;
    io->magic = EXT2_ET_MAGIC_IO_CHANNEL;
    io->manager = &ext_manager;
    io->block_size = SUPER_SIZE;
    io->refcount = 1;
    io->private_data = channel;
    *out = io;
    return 0;
}

gboolean storage_ext_error(GError **error, StorageDisk *disk, const char *what, errcode_t code)
{
    g_autofree gchar *path = measure_printable(storage_disk_path(disk));
    g_autofree gchar *shown = measure_printable(what);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "image '%s': %s: %s", path, shown, error_message(code));
    return FALSE;
}

static gboolean refuse(GError **error, StorageDisk *disk, const char *why)
{
    g_autofree gchar *path = measure_printable(storage_disk_path(disk));

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "image '%s': its root partition %s", path, why);
    return FALSE;
}

static gboolean check_superblock(StorageDisk *disk, guint64 offset, guint64 length, GError **error)
{
    guint8 data[SUPER_SIZE];
    MeasureBytes super = {data, sizeof data};
    guint16 magic = 0, state = 0, inode_size = 0;
    guint32 log_block_size = 0, per_group = 0, inodes = 0, inodes_per_group = 0, blocks_low = 0, blocks_high = 0;
    guint32 compatible = 0, incompatible = 0;

    if (length < SUPER_OFFSET + SUPER_SIZE)
        return refuse(error, disk, "is too small for a file system");
    if (!storage_disk_read(disk, offset + SUPER_OFFSET, data, sizeof data, error))
        return FALSE;
    measure_bytes_u16(super, SUPER_MAGIC, &magic);
    measure_bytes_u16(super, SUPER_STATE, &state);
    measure_bytes_u16(super, SUPER_INODE_SIZE, &inode_size);
    measure_bytes_u32(super, SUPER_LOG_BLOCK_SIZE, &log_block_size);
    measure_bytes_u32(super, SUPER_BLOCKS_PER_GROUP, &per_group);
    measure_bytes_u32(super, SUPER_INODES, &inodes);
    measure_bytes_u32(super, SUPER_INODES_PER_GROUP, &inodes_per_group);
    measure_bytes_u32(super, SUPER_BLOCKS_LOW, &blocks_low);
    measure_bytes_u32(super, SUPER_BLOCKS_HIGH, &blocks_high);
    measure_bytes_u32(super, SUPER_COMPATIBLE, &compatible);
    measure_bytes_u32(super, SUPER_INCOMPATIBLE, &incompatible);

    if (magic != EXT2_SUPER_MAGIC)
        return refuse(error, disk, "holds no ext4 file system: import the image first with virt-attest image-import");
    if (incompatible & INCOMPATIBLE_RECOVER)
        return refuse(
            error, disk,
            "was not unmounted: its journal has to be replayed; start the guest that uses it and shut it down");
    if (!(compatible & COMPATIBLE_JOURNAL) && !(state & STATE_CLEAN))
        return refuse(error, disk,
                      "was not unmounted and has no journal: start the guest that uses it and shut it down, or run "
                      "e2fsck");
    if (incompatible & (INCOMPATIBLE_JOURNAL_DEVICE | INCOMPATIBLE_INLINE_DATA))
        return refuse(error, disk,
                      "uses features of ext4 that are not read here (inline_data, journal_dev): import the image first "
                      "with virt-attest image-import");
    guint64 blocks = (incompatible & INCOMPATIBLE_64BIT ? (guint64)blocks_high << 32 : 0) | blocks_low;
    if (log_block_size > MAX_LOG_BLOCK_SIZE || !blocks || blocks > length >> (10 + log_block_size) ||
        per_group < MIN_BLOCKS_PER_GROUP || !inodes || inodes > MAX_INODES || !inodes_per_group ||
        (inode_size && inode_size < 128))
        return refuse(error, disk, "has an ext4 superblock with impossible sizes: it is damaged, or cut short");
    return TRUE;
}

ext2_filsys storage_ext_open(StorageDisk *disk, guint64 offset, guint64 length, GError **error)
{
    ExtRange range = {disk, offset, length};
    ext2_filsys fs = NULL;
    errcode_t code = 0;

    static gsize ready = 0;
    if (g_once_init_enter(&ready)) {
        add_error_table(&et_ext2_error_table);
        g_once_init_leave(&ready, 1);
    }
    if (!check_superblock(disk, offset, length, error))
        return NULL;
    opening = &range;
    code = ext2fs_open2("disk", NULL, EXT2_FLAG_64BITS, 0, 0, &ext_manager, &fs);
    opening = NULL;
    if (code) {
        storage_ext_error(error, disk, "the root file system cannot be opened", code);
        return NULL;
    }
    return fs;
}
