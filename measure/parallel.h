/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fixed list of jobs, run on as many processors as are worth starting. Internal to measure/. */
#pragma once

#include <glib.h>

/**
 * MeasureJob:
 * @run: what to do; must not touch what another job writes
 * @data: passed to @run
 * @cost: bytes to work through, which decides the order and whether a thread pays off
 */
typedef struct {
    void (*run)(gpointer data);
    gpointer data;
    guint64 cost;
} MeasureJob;

/**
 * measure_parallel_run:
 * @jobs: (element-type MeasureJob): sorted by this function, dearest first
 *
 * Runs every job and returns when all are done. The caller's thread works too; with little to do, or one job, no
 * other thread is started.
 */
void measure_parallel_run(GArray *jobs);
