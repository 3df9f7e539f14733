/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure/parallel.h"

/* Below this a thread costs more than it saves. */
#define COST_PER_THREAD (512u * 1024)

typedef struct {
    GArray *jobs;
    gint next; /* atomic */
} Queue;

static gpointer work(gpointer data)
{
    Queue *queue = data;

    for (;;) {
        guint index = (guint)g_atomic_int_add(&queue->next, 1);

        if (index >= queue->jobs->len)
            return NULL;
        const MeasureJob *job = &g_array_index(queue->jobs, MeasureJob, index);
        job->run(job->data);
    }
}

static gint dearest_first(gconstpointer a, gconstpointer b)
{
    const MeasureJob *left = a, *right = b;

    return (left->cost < right->cost) - (left->cost > right->cost);
}

void measure_parallel_run(GArray *jobs)
{
    Queue queue = { .jobs = jobs, .next = 0 };
    guint64 cost = 0;

    g_array_sort(jobs, dearest_first);
    for (guint i = 0; i < jobs->len; i++)
        cost += g_array_index(jobs, MeasureJob, i).cost;

    guint threads = MIN(g_get_num_processors(), jobs->len);
    threads = (guint)MIN((guint64)threads, 1 + cost / COST_PER_THREAD);

    g_autofree GThread **helpers = g_new0(GThread *, MAX(threads, 1));
    guint started = 0;
    /* A thread that cannot be started (limits) only costs time: the others do its share. */
    while (started + 1 < threads && (helpers[started] = g_thread_try_new("measure", work, &queue, NULL)))
        started++;
    work(&queue);
    for (guint i = 0; i < started; i++)
        g_thread_join(helpers[i]);
}
