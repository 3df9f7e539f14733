/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jobs are planned and committed by the calling thread, in order, and worked on by others in between. A ring of a few
 * jobs holds what is on its way, so that memory does not grow with the disk.
 */
#include <string.h>

#include "measure/error.h"
#include "storage/verity-private.h"

enum {
    MAX_THREADS = 16,
    JOBS_PER_THREAD = 4,
};
#define PROGRESS_INTERVAL (G_USEC_PER_SEC / 10)

typedef struct {
    const StorageVerityWork *work;
    GMutex lock;
    GCond planned, finished;
    StorageVerityJob *jobs;
    guint n_jobs;
    guint64 planned_jobs, taken, committed; /* counted from the beginning */
    gboolean stop;
} Ring;

static StorageVerityJob *ring_job(Ring *ring, guint64 n)
{
    return &ring->jobs[n % ring->n_jobs];
}

static gpointer worker_main(gpointer user_data)
{
    Ring *ring = user_data;
    const StorageVerityWork *work = ring->work;
    StorageVerityWorker worker = {.data = g_malloc(STORAGE_VERITY_PIECE),
                                  .blocks = g_malloc(STORAGE_VERITY_PIECE),
                                  .old_blocks = g_malloc(STORAGE_VERITY_PIECE)};
    storage_verity_hasher_init(&worker.hasher, work->verity);
    g_mutex_lock(&ring->lock);
    while (!ring->stop) {
        if (ring->taken == ring->planned_jobs) {
            g_cond_wait(&ring->planned, &ring->lock);
            continue;
        }
        StorageVerityJob *job = ring_job(ring, ring->taken++);
        g_mutex_unlock(&ring->lock);
        work->process(&worker, job, work->user_data);
        g_mutex_lock(&ring->lock);
        job->done = TRUE;
        g_cond_signal(&ring->finished);
    }
    g_mutex_unlock(&ring->lock);
    storage_verity_hasher_clear(&worker.hasher);
    g_free(worker.data);
    g_free(worker.blocks);
    g_free(worker.old_blocks);
    return NULL;
}

/* Puts the next job of the plan into the ring. FALSE at the end of the plan, or with @error. */
static gboolean plan_one(Ring *ring, GError **error)
{
    StorageVerityJob *job = ring_job(ring, ring->planned_jobs);
    job->done = FALSE;
    job->old_count = 0;
    job->bad_block = G_MAXUINT64;
    if (!storage_verity_plan_next(ring->work->plan, job, error)) {
        return FALSE;
    }
    g_mutex_lock(&ring->lock);
    ring->planned_jobs++;
    g_cond_signal(&ring->planned);
    g_mutex_unlock(&ring->lock);
    return TRUE;
}

/* Waits for the oldest job and commits it. */
static gboolean commit_one(Ring *ring, guint64 *bad_block, GError **error)
{
    StorageVerityJob *job = ring_job(ring, ring->committed);
    g_mutex_lock(&ring->lock);
    while (!job->done) {
        g_cond_wait(&ring->finished, &ring->lock);
    }
    g_mutex_unlock(&ring->lock);
    ring->committed++;
    if (job->error) {
        *bad_block = job->bad_block;
        g_propagate_error(error, g_steal_pointer(&job->error));
        return FALSE;
    }
    return ring->work->commit(job, ring->work->user_data, error);
}

static gboolean run_ring(Ring *ring, guint64 *bad_block, GError **error)
{
    const StorageVerityWork *work = ring->work;
    const StorageVerityLayout *layout = work->plan->layout;
    guint64 total = layout->data_blocks * layout->data_block_size;
    gint64 next_report = 0;
    gboolean more = TRUE;
    GError *plan_error = NULL;
    while (more || ring->committed < ring->planned_jobs) {
        if (more && ring->planned_jobs - ring->committed < ring->n_jobs) {
            more = plan_one(ring, &plan_error);
            continue;
        }
        if (!commit_one(ring, bad_block, error)) {
            g_clear_error(&plan_error);
            return FALSE;
        }
        const StorageVerityJob *done = ring_job(ring, ring->committed - 1);
        if (work->options->progress && g_get_monotonic_time() >= next_report) {
            guint64 blocks = MIN((done->first + done->count) * layout->per_block, layout->data_blocks);
            work->options->progress(work->what, blocks * layout->data_block_size, total, work->options->progress_data);
            next_report = g_get_monotonic_time() + PROGRESS_INTERVAL;
        }
    }
    if (plan_error) {
        g_propagate_error(error, plan_error);
        return FALSE;
    }
    if (work->options->progress) {
        work->options->progress(work->what, total, total, work->options->progress_data);
    }
    return TRUE;
}

gboolean storage_verity_run(const StorageVerityWork *work, guint64 *bad_block, GError **error)
{
    guint wanted = work->options->threads > 0 ? work->options->threads : g_get_num_processors();
    guint n_threads = CLAMP(wanted, 1, MAX_THREADS);
    GThread *threads[MAX_THREADS];
    Ring ring = {.work = work, .n_jobs = n_threads * JOBS_PER_THREAD};
    g_mutex_init(&ring.lock);
    g_cond_init(&ring.planned);
    g_cond_init(&ring.finished);
    ring.jobs = g_new0(StorageVerityJob, ring.n_jobs);
    for (guint i = 0; i < ring.n_jobs; i++) {
        ring.jobs[i].runs = g_array_new(FALSE, FALSE, sizeof(StorageVerityRun));
        ring.jobs[i].digests = g_malloc(STORAGE_VERITY_MAX_COUNT * STORAGE_VERITY_MAX_DIGEST);
        ring.jobs[i].old_digests = g_malloc(STORAGE_VERITY_MAX_COUNT * STORAGE_VERITY_MAX_DIGEST);
    }
    for (guint i = 0; i < n_threads; i++) {
        threads[i] = g_thread_new("verity", worker_main, &ring);
    }
    gboolean good = run_ring(&ring, bad_block, error);
    g_mutex_lock(&ring.lock);
    ring.stop = TRUE;
    g_cond_broadcast(&ring.planned);
    g_mutex_unlock(&ring.lock);
    for (guint i = 0; i < n_threads; i++) {
        g_thread_join(threads[i]);
    }
    for (guint i = 0; i < ring.n_jobs; i++) {
        g_array_unref(ring.jobs[i].runs);
        g_free(ring.jobs[i].digests);
        g_free(ring.jobs[i].old_digests);
        g_clear_error(&ring.jobs[i].error);
    }
    g_free(ring.jobs);
    g_cond_clear(&ring.finished);
    g_cond_clear(&ring.planned);
    g_mutex_clear(&ring.lock);
    return good;
}
