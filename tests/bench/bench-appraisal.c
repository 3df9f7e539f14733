/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How fast reports are verified; run by bench-appraisal.py.
 *
 *   bench-appraisal --write FOLDER          makes report, certificate and trust anchor
 *   bench-appraisal --once FOLDER           verifies them once, from files, in a fresh process
 *   bench-appraisal --warm FOLDER SECONDS THREADS
 *                                           prints verifications per second of CPU, and of the clock, of all threads
 *
 * Warm is what a service does all day: every report is parsed and its signature verified, and the chain of its
 * certificate, seen before, is looked up.
 */
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/unit/authority-fixture.h"

typedef struct {
    guint8 raw[APPRAISAL_REPORT_SIZE];
    AppraisalEndorsement *endorsement;
    AppraisalAnchors *anchors;
    double seconds;
    guint64 done;    /* by one thread */
    double cpu;      /* seconds of one thread */
} Job;

static void die(const char *what)
{
    fprintf(stderr, "error: %s\n", what);
    exit(3);
}

static double now(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void write_file(const char *folder, const char *name, gconstpointer data, gsize size)
{
    g_autofree gchar *path = g_build_filename(folder, name, NULL);

    if (!g_file_set_contents(path, data, (gssize)size, NULL))
        die(path);
}

static void write_all(const char *folder)
{
    g_autoptr(Fixture) milan =
        fixture_new(APPRAISAL_LINE_MILAN, fixture_rsa(4096), fixture_rsa(4096), fixture_rsa(4096));
    g_autoptr(GBytes) ark = fixture_certificate(&milan->ark_certificate);
    g_autoptr(GBytes) ask = fixture_certificate(&milan->ask_certificate);
    g_autoptr(GBytes) vcek = fixture_certificate(&milan->vcek);
    g_autofree gchar *first = fixture_pem(ask, "CERTIFICATE");
    g_autofree gchar *second = fixture_pem(ark, "CERTIFICATE");
    g_autofree gchar *anchors = g_strconcat(first, second, NULL);
    guint8 raw[APPRAISAL_REPORT_SIZE];

    fixture_report(raw, 3);
    fixture_sign(raw, milan->chip);
    write_file(folder, "report.bin", raw, sizeof(raw));
    write_file(folder, "vcek.der", g_bytes_get_data(vcek, NULL), g_bytes_get_size(vcek));
    write_file(folder, "anchor.pem", anchors, strlen(anchors));
}

static GBytes *read_file(const char *folder, const char *name)
{
    g_autofree gchar *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;
    GBytes *data = appraisal_file_read(path, 65536, &error);

    if (!data)
        die(error->message);
    return data;
}

static void verify(const guint8 *raw, const AppraisalEndorsement *endorsement, const AppraisalAnchors *anchors)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalReport) report = appraisal_report_parse(raw, APPRAISAL_REPORT_SIZE, &error);

    if (!report || !appraisal_chain_verify(endorsement, anchors, NULL, FIXTURE_TIME, &error) ||
        !appraisal_signature_verify(report, endorsement, &error))
        die(error->message);
}

static void load(Job *job, const char *folder)
{
    g_autoptr(GBytes) report = read_file(folder, "report.bin");
    g_autoptr(GBytes) vcek = read_file(folder, "vcek.der");
    g_autofree gchar *path = g_build_filename(folder, "anchor.pem", NULL);
    g_autoptr(GError) error = NULL;

    if (g_bytes_get_size(report) != sizeof(job->raw))
        die("report.bin");
    memcpy(job->raw, g_bytes_get_data(report, NULL), sizeof(job->raw));
    job->endorsement =
        appraisal_endorsement_parse(g_bytes_get_data(vcek, NULL), g_bytes_get_size(vcek), &error);
    job->anchors = job->endorsement ? appraisal_anchors_load(path, &error) : NULL;
    if (!job->anchors)
        die(error->message);
}

static gpointer work(gpointer data)
{
    Job *job = data;
    double end = now(CLOCK_MONOTONIC) + job->seconds, start = now(CLOCK_THREAD_CPUTIME_ID);

    while (now(CLOCK_MONOTONIC) < end) {
        for (int i = 0; i < 20; i++)
            verify(job->raw, job->endorsement, job->anchors);
        job->done += 20;
    }
    job->cpu = now(CLOCK_THREAD_CPUTIME_ID) - start;
    return NULL;
}

static void warm(const char *folder, double seconds, guint n)
{
    g_autofree Job *jobs = g_new0(Job, n);
    g_autofree GThread **threads = g_new0(GThread *, n);
    double rate = 0, start = now(CLOCK_MONOTONIC);
    guint64 done = 0;

    load(&jobs[0], folder);
    verify(jobs[0].raw, jobs[0].endorsement, jobs[0].anchors);
    jobs[0].seconds = seconds;
    for (guint i = 1; i < n; i++)
        jobs[i] = jobs[0];
    for (guint i = 0; i < n; i++)
        threads[i] = g_thread_new("verify", work, &jobs[i]);
    for (guint i = 0; i < n; i++) {
        g_thread_join(threads[i]);
        rate += (double)jobs[i].done / jobs[i].cpu;
        done += jobs[i].done;
    }
    printf("%.1f %.1f\n", rate, (double)done / (now(CLOCK_MONOTONIC) - start));
}

int main(int argc, char **argv)
{
    Job job = {.done = 0};

    if (argc == 3 && g_str_equal(argv[1], "--write")) {
        write_all(argv[2]);
    } else if (argc == 3 && g_str_equal(argv[1], "--once")) {
        load(&job, argv[2]);
        verify(job.raw, job.endorsement, job.anchors);
    } else if (argc == 5 && g_str_equal(argv[1], "--warm")) {
        warm(argv[2], g_ascii_strtod(argv[3], NULL), (guint)g_ascii_strtoull(argv[4], NULL, 10));
    } else {
        die("see bench-appraisal.py");
    }
    return 0;
}
