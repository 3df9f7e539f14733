/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Formatting. Level 0 is made by many threads, each of which writes its blocks to where they belong; the levels above
 * are a 128th of it (with the usual sizes) and are made by the calling thread, which gets the digests of level 0 in
 * order.
 *
 * An old hash file is used and checked in one go: every one of its blocks of level 0 is read once, and from the very
 * bytes that were used its root hash is computed in the end. What a file says at another time is never believed.
 */
#include "storage/verity.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "storage/disk-private.h"
#include "storage/verity-private.h"

typedef struct {
    StorageDisk *disk;
    int fd;
    guint64 offset;
    const StorageVerityOptions *options;
    StorageVerityLayout layout;
    StorageVerityConstants constants;
    StorageVerityTree tree;
    /* The old hash file; -1 and nothing else without one. */
    int old_fd;
    StorageVerity old;
    StorageVerityLayout old_layout;
    StorageVerityTree old_tree;
} Format;

void storage_verity_init(StorageVerity *verity)
{
    memset(verity, 0, sizeof *verity);
    g_strlcpy(verity->hash, "sha256", sizeof verity->hash);
    verity->data_block_size = 4096;
    verity->hash_block_size = 4096;
    verity->salt_size = 32;
    if (RAND_bytes(verity->salt, (int)verity->salt_size) != 1 || RAND_bytes(verity->uuid, sizeof verity->uuid) != 1) {
        g_error("OpenSSL has no random numbers");
    }
    verity->uuid[6] = (guint8)((verity->uuid[6] & 0x0f) | 0x40); /* RFC 9562: version 4 */
    verity->uuid[8] = (guint8)((verity->uuid[8] & 0x3f) | 0x80);
}

static void name_old(const StorageVerityOptions *options, GError **error)
{
    storage_verity_name_file(options->reuse, error);
    g_prefix_error(error, "old hash file ");
}

static guint8 *entry_at(const Format *format, guint8 *blocks, guint64 n)
{
    return blocks + n * format->layout.entry_size;
}

static gboolean read_run(Format *format, StorageVerityWorker *worker, guint64 block, guint64 blocks, guint8 *entries,
                         GError **error)
{
    const StorageVerityLayout *layout = &format->layout;
    guint32 size = layout->data_block_size;
    while (blocks > 0) {
        guint64 n = MIN(blocks, STORAGE_VERITY_PIECE / size);
        if (!storage_disk_read(format->disk, format->offset + block * size, worker->data, n * size, error)) {
            return FALSE;
        }
        for (guint64 i = 0; i < n; i++, entries += layout->entry_size) {
            const guint8 *data = worker->data + i * size;
            if (storage_verity_is_zero(data, size)) {
                memcpy(entries, format->constants.digests[0], layout->digest_size);
            } else {
                storage_verity_digest(&worker->hasher, data, size, entries);
            }
        }
        block += n;
        blocks -= n;
    }
    return TRUE;
}

static void zero_run(const Format *format, guint64 blocks, guint8 *entries)
{
    for (guint64 i = 0; i < blocks; i++) {
        memcpy(entries + i * format->layout.entry_size, format->constants.digests[0], format->layout.digest_size);
    }
}

/* The blocks of the old level 0 that lie where the job's do, and their digests. */
static gboolean read_old(Format *format, StorageVerityWorker *worker, StorageVerityJob *job, GError **error)
{
    guint64 there = format->old_fd >= 0 ? format->old_layout.blocks[0] : 0;
    guint32 size = format->layout.hash_block_size;
    job->old_count = (guint32)(job->first < there ? MIN(job->count, there - job->first) : 0);
    if (job->old_count == 0) {
        return TRUE;
    }
    if (!storage_verity_pread(format->old_fd, worker->old_blocks, (gsize)job->old_count * size,
                              format->old_layout.start[0] + job->first * size, error)) {
        name_old(format->options, error);
        return FALSE;
    }
    for (guint i = 0; i < job->old_count; i++) {
        storage_verity_lowest_digest(&format->layout, &format->constants, &worker->hasher,
                                     worker->old_blocks + i * size, job->old_digests + i * STORAGE_VERITY_MAX_DIGEST);
    }
    return TRUE;
}

static void digest_blocks(Format *format, StorageVerityWorker *worker, StorageVerityJob *job)
{
    guint32 size = format->layout.hash_block_size;
    for (guint i = 0; i < job->count; i++) {
        const guint8 *block = worker->blocks + i * size;
        guint8 *out = job->digests + i * STORAGE_VERITY_MAX_DIGEST;
        if (i < job->old_count && memcmp(block, worker->old_blocks + i * size, size) == 0) {
            memcpy(out, job->old_digests + i * STORAGE_VERITY_MAX_DIGEST, format->layout.digest_size);
        } else {
            storage_verity_lowest_digest(&format->layout, &format->constants, &worker->hasher, block, out);
        }
    }
}

static gboolean make_blocks(Format *format, StorageVerityWorker *worker, StorageVerityJob *job, GError **error)
{
    const StorageVerityLayout *layout = &format->layout;
    guint64 at = 0, first = job->first * layout->per_block;
    if (!read_old(format, worker, job, error)) {
        return FALSE;
    }
    memset(worker->blocks, 0, (gsize)job->count * layout->hash_block_size);
    for (guint i = 0; i < job->runs->len; i++) {
        const StorageVerityRun *run = &g_array_index(job->runs, StorageVerityRun, i);
        guint8 *entries = entry_at(format, worker->blocks, at);
        switch (run->kind) {
        case STORAGE_VERITY_READ:
            if (!read_run(format, worker, first + at, run->blocks, entries, error)) {
                return FALSE;
            }
            break;
        case STORAGE_VERITY_ZERO:
            zero_run(format, run->blocks, entries);
            break;
        case STORAGE_VERITY_REUSE:
            memcpy(entries, entry_at(format, worker->old_blocks, at), run->blocks * layout->entry_size);
            break;
        }
        at += run->blocks;
    }
    return TRUE;
}

static void process(StorageVerityWorker *worker, StorageVerityJob *job, gpointer user_data)
{
    Format *format = user_data;
    const StorageVerityLayout *layout = &format->layout;
    const guint8 *blocks = format->constants.lowest;
    if (!job->constant) {
        if (!make_blocks(format, worker, job, &job->error)) {
            return;
        }
        if (layout->levels == 0) {
            memcpy(job->digests, worker->blocks, layout->digest_size);
            return;
        }
        digest_blocks(format, worker, job);
        blocks = worker->blocks;
    }
    storage_verity_pwrite(format->fd, blocks, (gsize)job->count * layout->hash_block_size,
                          layout->start[0] + job->first * layout->hash_block_size, &job->error);
}

static gboolean commit(StorageVerityJob *job, gpointer user_data, GError **error)
{
    Format *format = user_data;
    guint level = MIN(format->layout.levels, 1);
    if (job->constant) {
        return storage_verity_tree_add_constant(&format->tree, level, job->count, error);
    }
    for (guint i = 0; i < job->old_count; i++) {
        if (!storage_verity_tree_add(&format->old_tree, 1, job->old_digests + i * STORAGE_VERITY_MAX_DIGEST, error)) {
            name_old(format->options, error);
            return FALSE;
        }
    }
    for (guint i = 0; i < job->count; i++) {
        if (!storage_verity_tree_add(&format->tree, level, job->digests + i * STORAGE_VERITY_MAX_DIGEST, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean refuse_old(const StorageVerityOptions *options, GError **error, AttestError code, const char *what)
{
    g_autofree gchar *shown = measure_printable(options->reuse);
    g_set_error(error, ATTEST_ERROR, code, "old hash file '%s': %s", shown, what);
    return FALSE;
}

static gboolean open_old(Format *format, const StorageVerity *verity, StorageVerityPlan *plan, GError **error)
{
    const StorageVerityOptions *options = format->options;
    if (!options->reuse) {
        return TRUE;
    }
    if (!options->reuse_root_hash) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "an old hash file is used only with its root hash");
        return FALSE;
    }
    format->old_fd = storage_disk_open_file(options->reuse, error);
    if (format->old_fd < 0 || !storage_verity_read_superblock(format->old_fd, &format->old, error)) {
        name_old(format->options, error);
        return FALSE;
    }
    if (!g_str_equal(format->old.hash, verity->hash) || format->old.data_block_size != verity->data_block_size ||
        format->old.hash_block_size != verity->hash_block_size || format->old.salt_size != verity->salt_size ||
        memcmp(format->old.salt, verity->salt, verity->salt_size) != 0) {
        return refuse_old(options, error, ATTEST_ERROR_UNREADABLE, "made with another salt, hash or block size");
    }
    if (format->old.data_blocks > verity->data_blocks) {
        return refuse_old(options, error, ATTEST_ERROR_UNREADABLE, "made over more data");
    }
    if (!storage_verity_layout(&format->old, &format->old_layout, error)) {
        return FALSE;
    }
    /* One data block: there is no tree, so nothing to take from it. */
    if (format->old_layout.levels == 0) {
        close(format->old_fd);
        format->old_fd = -1;
        return TRUE;
    }
    storage_verity_tree_init(&format->old_tree, &format->old, &format->old_layout, &format->constants, format->old_fd,
                             TRUE);
    plan->old_blocks = format->old.data_blocks;
    plan->old_lowest = format->old_layout.blocks[0];
    return TRUE;
}

static gboolean check_old(Format *format, GError **error)
{
    if (format->old_fd < 0) {
        return TRUE;
    }
    if (!storage_verity_tree_finish(&format->old_tree, error)) {
        name_old(format->options, error);
        return FALSE;
    }
    if (!measure_digest_equal(format->old_tree.root, format->options->reuse_root_hash, format->layout.digest_size)) {
        return refuse_old(format->options, error, ATTEST_ERROR_REJECTED,
                          "its tree does not have the root hash that was named");
    }
    return TRUE;
}

/* Room for the whole file before any work is done for it. Where that cannot be asked for, writing will tell. */
static gboolean make_room(int fd, guint64 size, GError **error)
{
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && fallocate(fd, 0, 0, (off_t)size) != 0 &&
        (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
        return storage_verity_fail_errno(error, errno);
    }
    return TRUE;
}

static gboolean run(Format *format, StorageVerity *verity, StorageVerityPlan *plan, GError **error)
{
    StorageVerityWork work = {.plan = plan, .verity = verity, .options = format->options, .process = process,
                              .commit = commit, .user_data = format, .what = "hashing"};
    g_autofree guint8 *superblock = g_malloc0(format->layout.hash_block_size);
    guint64 bad_block = 0;
    if (!make_room(format->fd, format->layout.size, error) || !storage_verity_run(&work, &bad_block, error) ||
        !storage_verity_tree_finish(&format->tree, error) || !check_old(format, error)) {
        return FALSE;
    }
    /* Last, so that a volume that was written half-way has none, or one that does not fit. */
    storage_verity_put_superblock(verity, superblock);
    return storage_verity_pwrite(format->fd, superblock, format->layout.hash_block_size, 0, error);
}

gboolean storage_verity_format(StorageDisk *disk, int fd, StorageVerity *verity, const StorageVerityOptions *options,
                               GError **error)
{
    Format format = {.disk = disk, .fd = fd, .offset = options->offset, .options = options, .old_fd = -1};
    StorageVerity wanted = *verity;
    StorageVerityHasher hasher = {NULL};
    StorageVerityPlan plan;
    if (!storage_verity_fit(&wanted, options, storage_disk_path(disk), error) ||
        !storage_verity_layout(&wanted, &format.layout, error)) {
        return FALSE;
    }
    storage_verity_hasher_init(&hasher, &wanted);
    storage_verity_constants_init(&format.constants, &format.layout, &hasher);
    storage_verity_hasher_clear(&hasher);
    storage_verity_tree_init(&format.tree, &wanted, &format.layout, &format.constants, fd, FALSE);
    storage_verity_plan_init(&plan, disk, options->offset, &format.layout);
    gboolean good = open_old(&format, &wanted, &plan, error) && run(&format, &wanted, &plan, error);
    if (good) {
        verity->data_blocks = wanted.data_blocks;
        verity->digest_size = format.layout.digest_size;
        memcpy(verity->root_hash, format.tree.root, format.layout.digest_size);
    }
    storage_verity_plan_clear(&plan);
    storage_verity_tree_clear(&format.tree);
    storage_verity_tree_clear(&format.old_tree);
    storage_verity_constants_clear(&format.constants);
    if (format.old_fd >= 0) {
        close(format.old_fd);
    }
    return good;
}
