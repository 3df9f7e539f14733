/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verifying, from the trusted root hash down: first the levels above 0, each block by the digest in its parent, then
 * level 0 and the data, job by job. So a fault is named where it is, and not where it shows.
 */
#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "storage/verity-private.h"

typedef struct {
    StorageDisk *disk;
    int fd;
    const StorageVerity *verity;
    guint64 offset;
    StorageVerityLayout layout;
    StorageVerityConstants constants;
} Verify;

/* @offset of a block of @level */
static gboolean reject_block(const Verify *verify, guint level, guint64 offset, GError **error)
{
    if (level + 1 == verify->layout.levels) {
        g_set_error(
            error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
            "hash file: the tree does not have this root hash: that of another one, another salt, or a changed block "
            "at byte %" G_GUINT64_FORMAT,
            offset);
        return FALSE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "hash file: the block at byte %" G_GUINT64_FORMAT " is not the one that was sealed", offset);
    return FALSE;
}

/* The trusted digests of @count blocks of @level from @first on, one after the other, entry_size bytes each. */
static gboolean read_parents(const Verify *verify, guint level, guint64 first, guint64 count, guint8 *out,
                             GError **error)
{
    const StorageVerityLayout *layout = &verify->layout;
    if (level + 1 == layout->levels) {
        memcpy(out, verify->verity->root_hash, layout->digest_size);
        return TRUE;
    }
    return storage_verity_pread(verify->fd, out, count * layout->entry_size,
                                layout->start[level + 1] + first * layout->entry_size, error);
}

static gboolean verify_upper_level(const Verify *verify, StorageVerityHasher *hasher, guint level, GError **error)
{
    const StorageVerityLayout *layout = &verify->layout;
    g_autofree guint8 *block = g_malloc(layout->hash_block_size);
    for (guint64 i = 0; i < layout->blocks[level]; i++) {
        guint8 parent[STORAGE_VERITY_MAX_DIGEST], digest[STORAGE_VERITY_MAX_DIGEST];
        guint64 offset = layout->start[level] + i * layout->hash_block_size;
        if (!read_parents(verify, level, i, 1, parent, error) ||
            !storage_verity_pread(verify->fd, block, layout->hash_block_size, offset, error)) {
            return FALSE;
        }
        storage_verity_digest(hasher, block, layout->hash_block_size, digest);
        if (!measure_digest_equal(digest, parent, layout->digest_size)) {
            return reject_block(verify, level, offset, error);
        }
    }
    return TRUE;
}

static gboolean reject_data(const Verify *verify, StorageVerityJob *job, guint64 block)
{
    guint64 offset = verify->offset + block * verify->layout.data_block_size;
    g_autofree gchar *shown = measure_printable(storage_disk_path(verify->disk));
    job->bad_block = block;
    g_set_error(&job->error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "'%s': data block %" G_GUINT64_FORMAT " (%u bytes at byte %" G_GUINT64_FORMAT
                ") is not the one that was "
                "sealed",
                shown, block, verify->layout.data_block_size, offset);
    return FALSE;
}

static gboolean verify_lowest(const Verify *verify, StorageVerityWorker *worker, StorageVerityJob *job)
{
    const StorageVerityLayout *layout = &verify->layout;
    guint64 offset = layout->start[0] + job->first * layout->hash_block_size;
    if (layout->levels == 0) {
        memcpy(worker->blocks, verify->verity->root_hash, layout->digest_size);
        return TRUE;
    }
    if (!read_parents(verify, 0, job->first, job->count, worker->old_blocks, &job->error) ||
        !storage_verity_pread(verify->fd, worker->blocks, (gsize)job->count * layout->hash_block_size, offset,
                              &job->error)) {
        return FALSE;
    }
    for (guint i = 0; i < job->count; i++) {
        guint8 digest[STORAGE_VERITY_MAX_DIGEST];
        storage_verity_lowest_digest(layout, &verify->constants, &worker->hasher,
                                     worker->blocks + (gsize)i * layout->hash_block_size, digest);
        if (!measure_digest_equal(digest, worker->old_blocks + (gsize)i * layout->entry_size, layout->digest_size)) {
            return reject_block(verify, 0, offset + (guint64)i * layout->hash_block_size, &job->error);
        }
    }
    return TRUE;
}

static gboolean verify_read(const Verify *verify, StorageVerityWorker *worker, StorageVerityJob *job, guint64 block,
                            guint64 blocks, const guint8 *entries)
{
    const StorageVerityLayout *layout = &verify->layout;
    guint32 size = layout->data_block_size;
    while (blocks > 0) {
        guint64 n = MIN(blocks, STORAGE_VERITY_PIECE / size);
        if (!storage_disk_read(verify->disk, verify->offset + block * size, worker->data, n * size, &job->error)) {
            return FALSE;
        }
        for (guint64 i = 0; i < n; i++, entries += layout->entry_size) {
            guint8 digest[STORAGE_VERITY_MAX_DIGEST];
            const guint8 *data = worker->data + i * size;
            const guint8 *expected = digest;
            if (storage_verity_is_zero(data, size)) {
                expected = verify->constants.digests[0];
            } else {
                storage_verity_digest(&worker->hasher, data, size, digest);
            }
            if (!measure_digest_equal(entries, expected, layout->digest_size)) {
                return reject_data(verify, job, block + i);
            }
        }
        block += n;
        blocks -= n;
    }
    return TRUE;
}

static gboolean verify_zeros(const Verify *verify, StorageVerityJob *job, guint64 block, guint64 blocks,
                             const guint8 *entries)
{
    const StorageVerityLayout *layout = &verify->layout;
    for (guint64 i = 0; i < blocks; i++) {
        if (!measure_digest_equal(entries + i * layout->entry_size, verify->constants.digests[0],
                                  layout->digest_size)) {
            return reject_data(verify, job, block + i);
        }
    }
    return TRUE;
}

static void process(StorageVerityWorker *worker, StorageVerityJob *job, gpointer user_data)
{
    const Verify *verify = user_data;
    const StorageVerityLayout *layout = &verify->layout;
    guint64 at = 0, first = job->first * layout->per_block;
    if (!verify_lowest(verify, worker, job)) {
        return;
    }
    for (guint i = 0; i < job->runs->len; i++) {
        const StorageVerityRun *run = &g_array_index(job->runs, StorageVerityRun, i);
        const guint8 *entries = worker->blocks + at * layout->entry_size;
        gboolean good = run->kind == STORAGE_VERITY_ZERO
                            ? verify_zeros(verify, job, first + at, run->blocks, entries)
                            : verify_read(verify, worker, job, first + at, run->blocks, entries);
        if (!good) {
            return;
        }
        at += run->blocks;
    }
}

static gboolean commit(StorageVerityJob *job, gpointer user_data, GError **error)
{
    return TRUE;
}

static gboolean run(Verify *verify, const StorageVerityOptions *options, StorageVerityHasher *hasher,
                    guint64 *bad_block, GError **error)
{
    StorageVerityPlan plan;
    StorageVerityWork work = {.plan = &plan, .verity = verify->verity, .options = options, .process = process,
                              .commit = commit, .user_data = verify, .what = "verifying"};
    for (guint level = verify->layout.levels; level-- > 1;) {
        if (!verify_upper_level(verify, hasher, level, error)) {
            return FALSE;
        }
    }
    storage_verity_plan_init(&plan, verify->disk, options->offset, &verify->layout);
    gboolean good = storage_verity_run(&work, bad_block, error);
    storage_verity_plan_clear(&plan);
    return good;
}

gboolean storage_verity_verify(StorageDisk *disk, int fd, const StorageVerity *verity,
                               const StorageVerityOptions *options, guint64 *bad_block, GError **error)
{
    Verify verify = {.disk = disk, .fd = fd, .verity = verity, .offset = options->offset};
    StorageVerityHasher hasher = {NULL};
    StorageVerity wanted = *verity;
    *bad_block = G_MAXUINT64;
    if (!storage_verity_fit(&wanted, options, storage_disk_path(disk), error) ||
        !storage_verity_layout(&wanted, &verify.layout, error)) {
        return FALSE;
    }
    if (verity->digest_size != verify.layout.digest_size) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "the root hash has %" G_GSIZE_FORMAT " bytes, but the hash file was made with %s, which gives %u",
                    verity->digest_size, verity->hash, verify.layout.digest_size);
        return FALSE;
    }
    storage_verity_hasher_init(&hasher, verity);
    storage_verity_constants_init(&verify.constants, &verify.layout, &hasher);
    gboolean good = run(&verify, options, &hasher, bad_block, error);
    storage_verity_hasher_clear(&hasher);
    storage_verity_constants_clear(&verify.constants);
    return good;
}
