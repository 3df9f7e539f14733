/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Digests of blocks, what is constant about zeros, and the hash file's bytes. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "measure/error.h"
#include "storage/verity-private.h"

void storage_verity_name_file(const char *path, GError **error)
{
    static const char prefix[] = "hash file: ";
    if (error && *error && g_str_has_prefix((*error)->message, prefix)) {
        g_autofree gchar *shown = measure_printable(path);
        gchar *message = g_strdup_printf("'%s': %s", shown, (*error)->message + strlen(prefix));
        g_free((*error)->message);
        (*error)->message = message;
    }
}

gboolean storage_verity_fail_errno(GError **error, int number)
{
    const char *advice = "";
    if (number == ENOSPC || number == EDQUOT) {
        advice = ": free some space";
    } else if (number == EFBIG) {
        advice = ": raise the limit on file sizes (ulimit -f)";
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "hash file: %s%s", g_strerror(number), advice);
    return FALSE;
}

gboolean storage_verity_pread(int fd, void *out, gsize size, guint64 offset, GError **error)
{
    guint8 *at = out;
    while (size > 0) {
        ssize_t n = pread(fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return storage_verity_fail_errno(error, errno);
        }
        if (n == 0) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "hash file: cut off at byte %" G_GUINT64_FORMAT,
                        offset);
            return FALSE;
        }
        at += n;
        offset += (guint64)n;
        size -= (gsize)n;
    }
    return TRUE;
}

gboolean storage_verity_pwrite(int fd, const void *data, gsize size, guint64 offset, GError **error)
{
    const guint8 *at = data;
    while (size > 0) {
        ssize_t n = pwrite(fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return storage_verity_fail_errno(error, n < 0 ? errno : EIO);
        }
        at += n;
        offset += (guint64)n;
        size -= (gsize)n;
    }
    return TRUE;
}

/* Nothing of this can fail but for want of memory, at which this program gives up everywhere. */
static void must(int result)
{
    if (result != 1) {
        g_error("OpenSSL cannot compute a digest");
    }
}

void storage_verity_hasher_init(StorageVerityHasher *hasher, const StorageVerity *verity)
{
    EVP_MD *md = EVP_MD_fetch(NULL, verity->hash, NULL);
    hasher->salted = EVP_MD_CTX_new();
    hasher->context = EVP_MD_CTX_new();
    must(md && hasher->salted && hasher->context);
    must(EVP_DigestInit_ex2(hasher->salted, md, NULL));
    must(EVP_DigestUpdate(hasher->salted, verity->salt, verity->salt_size));
    EVP_MD_free(md);
}

void storage_verity_hasher_clear(StorageVerityHasher *hasher)
{
    g_clear_pointer(&hasher->salted, EVP_MD_CTX_free);
    g_clear_pointer(&hasher->context, EVP_MD_CTX_free);
}

void storage_verity_digest(StorageVerityHasher *hasher, const guint8 *data, gsize size, guint8 *out)
{
    must(EVP_MD_CTX_copy_ex(hasher->context, hasher->salted));
    must(EVP_DigestUpdate(hasher->context, data, size));
    must(EVP_DigestFinal_ex(hasher->context, out, NULL));
}

gboolean storage_verity_is_zero(const guint8 *data, gsize size)
{
    /* Nearly all blocks that are not zero show it in their first bytes. The rest compares the block with itself. */
    static const guint8 zeros[16];
    return memcmp(data, zeros, sizeof zeros) == 0 && memcmp(data, data + sizeof zeros, size - sizeof zeros) == 0;
}

static void fill_block(const StorageVerityLayout *layout, const guint8 *digest, guint8 *out)
{
    memset(out, 0, layout->hash_block_size);
    for (guint i = 0; i < layout->per_block; i++) {
        memcpy(out + i * layout->entry_size, digest, layout->digest_size);
    }
}

void storage_verity_constants_init(StorageVerityConstants *constants, const StorageVerityLayout *layout,
                                   StorageVerityHasher *hasher)
{
    g_autofree guint8 *zeros = g_malloc0(layout->data_block_size);
    g_autofree guint8 *block = g_malloc(layout->hash_block_size);
    gsize copies = STORAGE_VERITY_PIECE / layout->hash_block_size;
    memset(constants, 0, sizeof *constants);
    storage_verity_digest(hasher, zeros, layout->data_block_size, constants->digests[0]);
    for (guint level = 0; level < layout->levels; level++) {
        fill_block(layout, constants->digests[level], block);
        storage_verity_digest(hasher, block, layout->hash_block_size, constants->digests[level + 1]);
    }
    constants->lowest = g_malloc(STORAGE_VERITY_PIECE);
    for (gsize i = 0; i < copies; i++) {
        fill_block(layout, constants->digests[0], constants->lowest + i * layout->hash_block_size);
    }
}

void storage_verity_constants_clear(StorageVerityConstants *constants)
{
    g_clear_pointer(&constants->lowest, g_free);
}

void storage_verity_lowest_digest(const StorageVerityLayout *layout, const StorageVerityConstants *constants,
                                  StorageVerityHasher *hasher, const guint8 *block, guint8 *out)
{
    if (memcmp(block, constants->lowest, layout->hash_block_size) == 0) {
        memcpy(out, constants->digests[1], layout->digest_size);
    } else {
        storage_verity_digest(hasher, block, layout->hash_block_size, out);
    }
}
