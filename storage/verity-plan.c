/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the extents of a disk to jobs. A block is known to be zero when all of its bytes are, and can be taken over from
 * an old hash file when the image itself holds none of its bytes; extents need not end at blocks.
 */
#include <string.h>

#include "storage/verity-private.h"

enum {
    WINDOW = 256 * 1024 * 1024,   /* bytes whose extents are asked for at once */
    JOB_READ = 2 * 1024 * 1024,   /* bytes to read, after which a job is large enough */
};

void storage_verity_plan_init(StorageVerityPlan *plan, StorageDisk *disk, guint64 offset,
                              const StorageVerityLayout *layout)
{
    memset(plan, 0, sizeof *plan);
    plan->disk = disk;
    plan->offset = offset;
    plan->layout = layout;
    plan->runs = g_array_new(FALSE, FALSE, sizeof(StorageVerityRun));
}

void storage_verity_plan_clear(StorageVerityPlan *plan)
{
    g_clear_pointer(&plan->runs, g_array_unref);
}

static void add_run(GArray *runs, StorageVerityKind kind, guint64 blocks)
{
    StorageVerityRun *last = runs->len > 0 ? &g_array_index(runs, StorageVerityRun, runs->len - 1) : NULL;
    if (last && last->kind == kind) {
        last->blocks += blocks;
    } else if (blocks > 0) {
        StorageVerityRun run = {kind, blocks};
        g_array_append_val(runs, run);
    }
}

/* @blocks from data block @block on. */
static void add_blocks(StorageVerityPlan *plan, guint64 block, guint64 blocks, gboolean zero, gboolean own)
{
    guint64 reused = !zero && !own && block < plan->old_blocks ? MIN(blocks, plan->old_blocks - block) : 0;
    add_run(plan->runs, STORAGE_VERITY_REUSE, reused);
    add_run(plan->runs, zero ? STORAGE_VERITY_ZERO : STORAGE_VERITY_READ, blocks - reused);
}

static gboolean next_window(StorageVerityPlan *plan, GError **error)
{
    guint32 size = plan->layout->data_block_size;
    guint64 first = plan->window;
    guint64 blocks = MIN(WINDOW / size, plan->layout->data_blocks - first);
    guint64 start = plan->offset + first * size;
    g_autoptr(GArray) extents = storage_disk_extents(plan->disk, start, blocks * size, error);
    if (!extents) {
        return FALSE;
    }
    g_array_set_size(plan->runs, 0);
    plan->run = 0;
    plan->used = 0;
    guint64 at = 0; /* bytes from @start */
    gboolean zero = TRUE, own = FALSE; /* of the block that @at is in */
    for (guint i = 0; i < extents->len; i++) {
        const StorageExtent *extent = &g_array_index(extents, StorageExtent, i);
        guint64 end = extent->offset + extent->length - start;
        while (at < end) {
            guint64 in_block = at % size;
            if (in_block == 0 && end - at >= size) {
                guint64 whole = (end - at) / size;
                add_blocks(plan, first + at / size, whole, extent->zero, extent->own);
                at += whole * size;
                continue;
            }
            guint64 piece = MIN(end - at, size - in_block);
            zero = zero && extent->zero;
            own = own || extent->own;
            at += piece;
            if (at % size == 0) {
                add_blocks(plan, first + at / size - 1, 1, zero, own);
                zero = TRUE;
                own = FALSE;
            }
        }
    }
    plan->window = first + blocks;
    return TRUE;
}

/* Data blocks that are left of the current run. */
static guint64 run_left(const StorageVerityPlan *plan)
{
    return g_array_index(plan->runs, StorageVerityRun, plan->run).blocks - plan->used;
}

/* Whole hash blocks that lie ahead, are of zeros and need no look at an old file. */
static guint64 constant_ahead(const StorageVerityPlan *plan)
{
    if (plan->block >= plan->window ||
        g_array_index(plan->runs, StorageVerityRun, plan->run).kind != STORAGE_VERITY_ZERO ||
        plan->block / plan->layout->per_block < plan->old_lowest) {
        return 0;
    }
    return run_left(plan) / plan->layout->per_block;
}

/* Moves @blocks data blocks from the window to the job; returns how many of them must be read. */
static guint64 take(StorageVerityPlan *plan, StorageVerityJob *job, guint64 blocks)
{
    guint64 reads = 0;
    plan->block += blocks;
    while (blocks > 0) {
        StorageVerityKind kind = g_array_index(plan->runs, StorageVerityRun, plan->run).kind;
        guint64 n = MIN(blocks, run_left(plan));
        add_run(job->runs, kind, n);
        reads += kind == STORAGE_VERITY_READ ? n : 0;
        blocks -= n;
        plan->used += n;
        if (run_left(plan) == 0) {
            plan->run++;
            plan->used = 0;
        }
    }
    return reads;
}

gboolean storage_verity_plan_next(StorageVerityPlan *plan, StorageVerityJob *job, GError **error)
{
    const StorageVerityLayout *layout = plan->layout;
    guint32 limit = MIN(STORAGE_VERITY_PIECE / layout->hash_block_size, STORAGE_VERITY_MAX_COUNT);
    if (plan->block == layout->data_blocks || (plan->block == plan->window && !next_window(plan, error))) {
        return FALSE;
    }
    g_array_set_size(job->runs, 0);
    job->first = plan->block / layout->per_block;
    job->count = (guint32)MIN(constant_ahead(plan), limit);
    job->constant = job->count > 0;
    if (job->constant) {
        take(plan, job, (guint64)job->count * layout->per_block);
        return TRUE;
    }
    guint64 reads = 0;
    while (job->count < limit && plan->block < plan->window && reads * layout->data_block_size < JOB_READ &&
           (job->count == 0 || constant_ahead(plan) == 0)) {
        reads += take(plan, job, MIN(layout->per_block, plan->window - plan->block));
        job->count++;
    }
    return TRUE;
}
