/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The superblock and what follows from it: where the levels of the tree lie. All numbers are little-endian. */
#include <string.h>
#include <unistd.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "storage/disk-private.h"
#include "storage/verity-private.h"

/* Offsets in the superblock. */
enum {
    AT_VERSION = 8,
    AT_HASH_TYPE = 12,
    AT_UUID = 16,
    AT_HASH = 32,
    HASH_SIZE = 32,
    AT_DATA_BLOCK_SIZE = 64,
    AT_HASH_BLOCK_SIZE = 68,
    AT_DATA_BLOCKS = 72,
    AT_SALT_SIZE = 80,
    AT_SALT = 88,
};

static const char signature[8] = "verity";

/* More than these no guest needs, and the weak ones nobody should be offered. */
static const struct {
    const char *name;
    guint32 size;
} hashes[] = {{"sha256", 32}, {"sha384", 48}, {"sha512", 64}};

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean fail(GError **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree gchar *what = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "%s", what);
    return FALSE;
}

static gboolean is_block_size(guint32 size)
{
    return size == 512 || size == 1024 || size == 2048 || size == 4096;
}

static guint32 digest_size(const char *hash)
{
    for (gsize i = 0; i < G_N_ELEMENTS(hashes); i++) {
        if (g_str_equal(hash, hashes[i].name)) {
            return hashes[i].size;
        }
    }
    return 0;
}

gboolean storage_verity_layout(const StorageVerity *verity, StorageVerityLayout *layout, GError **error)
{
    memset(layout, 0, sizeof *layout);
    layout->digest_size = digest_size(verity->hash);
    if (layout->digest_size == 0) {
        g_autofree gchar *shown = measure_printable(verity->hash);
        return fail(error, "hash '%s' is not possible: use sha256, sha384 or sha512", shown);
    }
    if (!is_block_size(verity->data_block_size) || !is_block_size(verity->hash_block_size)) {
        return fail(error, "blocks of %u bytes are not possible: use 512, 1024, 2048 or 4096",
                    is_block_size(verity->data_block_size) ? verity->hash_block_size : verity->data_block_size);
    }
    if (verity->salt_size > STORAGE_VERITY_MAX_SALT) {
        return fail(error, "a salt of %" G_GSIZE_FORMAT " bytes is not possible: at most %d", verity->salt_size,
                    STORAGE_VERITY_MAX_SALT);
    }
    if (verity->data_blocks == 0 || verity->data_blocks > (guint64)G_MAXINT64 / verity->data_block_size) {
        return fail(error, "%" G_GUINT64_FORMAT " data blocks are not possible", verity->data_blocks);
    }
    layout->data_block_size = verity->data_block_size;
    layout->hash_block_size = verity->hash_block_size;
    layout->data_blocks = verity->data_blocks;
    layout->entry_size = layout->digest_size <= 32 ? 32 : 64;
    layout->per_block = layout->hash_block_size / layout->entry_size;
    for (guint64 n = layout->data_blocks; n > 1;) {
        n = n / layout->per_block + (n % layout->per_block != 0);
        layout->blocks[layout->levels++] = n;
    }
    /* No overflow: an entry takes an eighth of the smallest data block at most, so the tree is smaller than the data. */
    layout->size = layout->hash_block_size;
    for (guint level = layout->levels; level-- > 0;) {
        layout->start[level] = layout->size;
        layout->size += layout->blocks[level] * layout->hash_block_size;
    }
    return TRUE;
}

gboolean storage_verity_fit(StorageVerity *verity, const StorageVerityOptions *options, const char *path,
                            GError **error)
{
    if (!is_block_size(verity->data_block_size)) {
        return fail(error, "blocks of %u bytes are not possible: use 512, 1024, 2048 or 4096", verity->data_block_size);
    }
    guint64 whole = options->length / verity->data_block_size;
    if (verity->data_blocks == 0) {
        verity->data_blocks = whole;
    }
    if (whole == 0) {
        return storage_disk_fail(error, path, "less than one block of data");
    }
    if (verity->data_blocks > whole) {
        return storage_disk_fail(error, path,
                                 "has %" G_GUINT64_FORMAT " blocks of data, not the %" G_GUINT64_FORMAT
                                 " that the tree is for",
                                 whole, verity->data_blocks);
    }
    return TRUE;
}

guint64 storage_verity_hash_size(const StorageVerity *verity)
{
    StorageVerityLayout layout;
    return storage_verity_layout(verity, &layout, NULL) ? layout.size : 0;
}

void storage_verity_put_superblock(const StorageVerity *verity, guint8 out[STORAGE_VERITY_SUPERBLOCK])
{
    memset(out, 0, STORAGE_VERITY_SUPERBLOCK);
    memcpy(out, signature, sizeof signature);
    measure_put_u32(out + AT_VERSION, 1);
    measure_put_u32(out + AT_HASH_TYPE, 1);
    memcpy(out + AT_UUID, verity->uuid, sizeof verity->uuid);
    memcpy(out + AT_HASH, verity->hash, MIN(strlen(verity->hash), HASH_SIZE));
    measure_put_u32(out + AT_DATA_BLOCK_SIZE, verity->data_block_size);
    measure_put_u32(out + AT_HASH_BLOCK_SIZE, verity->hash_block_size);
    measure_put_u64(out + AT_DATA_BLOCKS, verity->data_blocks);
    measure_put_u16(out + AT_SALT_SIZE, (guint16)verity->salt_size);
    memcpy(out + AT_SALT, verity->salt, verity->salt_size);
}

gboolean storage_verity_parse_superblock(const guint8 data[STORAGE_VERITY_SUPERBLOCK], StorageVerity *verity,
                                         GError **error)
{
    MeasureBytes bytes = {data, STORAGE_VERITY_SUPERBLOCK};
    guint32 version = 0, hash_type = 0;
    guint16 salt_size = 0;
    StorageVerityLayout layout;
    StorageVerity found = {0};
    if (memcmp(data, signature, sizeof signature) != 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "hash file: no dm-verity superblock");
        return FALSE;
    }
    (void)measure_bytes_u32(bytes, AT_VERSION, &version);
    (void)measure_bytes_u32(bytes, AT_HASH_TYPE, &hash_type);
    (void)measure_bytes_u32(bytes, AT_DATA_BLOCK_SIZE, &found.data_block_size);
    (void)measure_bytes_u32(bytes, AT_HASH_BLOCK_SIZE, &found.hash_block_size);
    (void)measure_bytes_u64(bytes, AT_DATA_BLOCKS, &found.data_blocks);
    (void)measure_bytes_u16(bytes, AT_SALT_SIZE, &salt_size);
    memcpy(found.uuid, data + AT_UUID, sizeof found.uuid);
    if (version != 1 || hash_type != 1) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "hash file: superblock version %u with hash type %u is not known; only 1 with 1 is", version,
                    hash_type);
        return FALSE;
    }
    G_STATIC_ASSERT(HASH_SIZE == sizeof found.hash);
    if (!memchr(data + AT_HASH, '\0', HASH_SIZE)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "hash file: the superblock's hash name does not end");
        return FALSE;
    }
    memcpy(found.hash, data + AT_HASH, HASH_SIZE);
    found.salt_size = salt_size;
    if (salt_size <= STORAGE_VERITY_MAX_SALT) {
        memcpy(found.salt, data + AT_SALT, salt_size);
    }
    g_autoptr(GError) impossible = NULL;
    if (!storage_verity_layout(&found, &layout, &impossible)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "hash file: superblock: %s", impossible->message);
        return FALSE;
    }
    found.digest_size = layout.digest_size;
    *verity = found;
    return TRUE;
}

gboolean storage_verity_read_superblock(int fd, StorageVerity *verity, GError **error)
{
    guint8 data[STORAGE_VERITY_SUPERBLOCK];
    return storage_verity_pread(fd, data, sizeof data, 0, error) &&
           storage_verity_parse_superblock(data, verity, error);
}

gboolean storage_verity_has_signature(int fd)
{
    guint8 data[sizeof signature];
    return storage_verity_pread(fd, data, sizeof data, 0, NULL) && memcmp(data, signature, sizeof signature) == 0;
}

int storage_verity_open(const char *path, StorageVerity *verity, GError **error)
{
    int fd = storage_disk_open_file(path, error);
    if (fd < 0) {
        return -1;
    }
    if (storage_disk_lock(fd, path, error) && storage_verity_read_superblock(fd, verity, error)) {
        return fd;
    }
    close(fd);
    return -1;
}
