/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dm-verity hash trees, bit for bit as veritysetup writes them (superblock version 1, hash type 1). */
#pragma once

#include "storage/disk.h"

#define STORAGE_VERITY_MAX_SALT 256
#define STORAGE_VERITY_MAX_DIGEST 64

/**
 * StorageVerity:
 * @hash: "sha256", "sha384" or "sha512"
 * @data_block_size, @hash_block_size: 512, 1024, 2048 or 4096 bytes
 * @data_blocks: number of data blocks; 0 to format: as many as lie whole in the range (as veritysetup does)
 * @salt, @salt_size: at most 256 bytes
 * @uuid: of the superblock
 * @root_hash, @digest_size: the result, bytes
 */
typedef struct {
    gchar hash[32];
    guint32 data_block_size, hash_block_size;
    guint64 data_blocks;
    guint8 salt[STORAGE_VERITY_MAX_SALT];
    gsize salt_size;
    guint8 uuid[16];
    guint8 root_hash[STORAGE_VERITY_MAX_DIGEST];
    gsize digest_size;
} StorageVerity;

/* "sha256", 4096/4096, a random salt of 32 bytes, a random UUID: veritysetup's defaults. */
void storage_verity_init(StorageVerity *verity);

/**
 * StorageVerityOptions:
 * @offset, @length: range of the disk, bytes; from storage_disk_partition()
 * @reuse: (nullable): path of a hash file made with the same parameters over the same range of the disk's backing file,
 *   or its beginning where the overlay is larger:
 *   blocks that the image does not hold itself take their digests from it. Its own upper levels must follow from its
 * lowest one and give @reuse_root_hash, or it is refused
 * @reuse_root_hash: (nullable): @digest_size bytes, needed with @reuse: the trusted root hash of @reuse
 * @threads: 0: as many as there are processors
 * @progress, @progress_data: (nullable)
 */
typedef struct {
    guint64 offset, length;
    const char *reuse;
    const guint8 *reuse_root_hash;
    guint threads;
    StorageProgress progress;
    gpointer progress_data;
} StorageVerityOptions;

/* Bytes of the hash file for @verity (data_blocks set), superblock included; 0 when too large. */
guint64 storage_verity_hash_size(const StorageVerity *verity);

/**
 * storage_verity_format:
 * @fd: the hash file, open for reading and writing, empty or to be overwritten from its start; the caller owns its
 *   atomicity (write to a temporary file and rename, or to a volume that nobody uses)
 *
 * Fills @verity->root_hash, @digest_size, and @data_blocks where it was 0. Memory below 64 MiB whatever the size.
 * The superblock is written last. Nothing is synced.
 *
 * Errors: %ATTEST_ERROR_UNREADABLE: reading, writing (disk full), a range of less than one block or than @data_blocks,
 * an old hash file that cannot be used; %ATTEST_ERROR_REJECTED: an old hash file whose tree is broken or has another
 * root hash; %ATTEST_ERROR_USAGE: hash name or sizes that are not possible. Messages about the hash file begin with
 * "hash file: " instead of its name; see storage_verity_name_file().
 */
gboolean storage_verity_format(StorageDisk *disk, int fd, StorageVerity *verity, const StorageVerityOptions *options,
                               GError **error);

/* Reads and checks a superblock: hostile. @verity gets everything but the root hash itself. */
gboolean storage_verity_read_superblock(int fd, StorageVerity *verity, GError **error);

/* Puts @path into a message about a hash file that was given as a descriptor; leaves every other message alone. */
void storage_verity_name_file(const char *path, GError **error);

/* Whether a file begins with the signature of a superblock. */
gboolean storage_verity_has_signature(int fd);

/**
 * storage_verity_open:
 * @path: a hash file, to read it; takes QEMU's shared lock, as storage_disk_open() does
 *
 * Returns: a descriptor, with @verity read from its superblock; -1 with @error
 */
int storage_verity_open(const char *path, StorageVerity *verity, GError **error);

/**
 * storage_verity_verify:
 * @verity: with the trusted @root_hash and @digest_size; the other fields as read from the superblock
 * @bad_block: (out): number of the first bad data block, %G_MAXUINT64 when the fault is in the tree (then the message
 * names the hash block)
 *
 * Errors: %ATTEST_ERROR_REJECTED for a block that does not match, others as above.
 */
gboolean storage_verity_verify(StorageDisk *disk, int fd, const StorageVerity *verity,
                               const StorageVerityOptions *options, guint64 *bad_block, GError **error);
