/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How fast reports are verified; run by bench-appraisal.py.
 *
 *   bench-appraisal --write FOLDER          makes report, certificate and trust anchor
 *   bench-appraisal --once FOLDER           verifies them once, from files, in a fresh process
 *   bench-appraisal --warm FOLDER SECONDS THREADS known|new
 *                                           prints verifications per second of CPU, and of the clock, of all threads
 *
 * Warm is what a service does all day: every report is parsed, the signature and the chain verified and every check of
 * the verdict judged; with "new", the certificate is parsed too, and with "known" it was for an earlier report.
 */
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "measure/bytes.h"
#include "policy/appraisal/rules.h"
#include "tests/unit/authority-fixture.h"

typedef struct {
    guint8 raw[APPRAISAL_REPORT_SIZE];
    GPtrArray *certificates; /* (element-type AppraisalBlob) */
    AppraisalEndorsement *endorsement; /* of a service that has seen this chip before */
    AppraisalAnchors *anchors;
    AppraisalRules *rules;
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

/* The report of the chip and the TCB of its certificate. */
static void fit(guint8 raw[APPRAISAL_REPORT_SIZE], GBytes *vcek)
{
    static const gsize places[] = {0x38, 0x180, 0x1e0, 0x1f0};
    g_autoptr(AppraisalEndorsement) endorsement =
        appraisal_endorsement_parse(g_bytes_get_data(vcek, NULL), g_bytes_get_size(vcek), NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
        raw[places[i]] = endorsement->tcb.bootloader;
        raw[places[i] + 1] = endorsement->tcb.tee;
        raw[places[i] + 6] = endorsement->tcb.snp;
        raw[places[i] + 7] = endorsement->tcb.microcode;
    }
    memset(raw + 0x160, 0xff, 32);
    memcpy(raw + 0x1a0, g_bytes_get_data(endorsement->hwid, NULL), g_bytes_get_size(endorsement->hwid));
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
    fit(raw, vcek);
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

static void die_of(const AppraisalVerdict *verdict, const GError *error)
{
    for (guint i = 0; verdict && i < verdict->checks->len; i++) {
        const AppraisalCheck *check = g_ptr_array_index(verdict->checks, i);

        if (check->outcome == APPRAISAL_FAIL)
            die(check->text);
    }
    die(error ? error->message : "rejected");
}

/* All that a verdict takes, from the bytes of the report on. */
static void verify(const Job *job)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalEvidence) evidence = appraisal_evidence_parse(job->raw, sizeof(job->raw), NULL, &error);
    AppraisalCase input = {.evidence = evidence, 
                           .certificates = job->certificates, .endorsement = job->endorsement, .anchors = job->anchors,
                           .rules = job->rules, .at = FIXTURE_TIME, .nonce_issued = -1};
    g_autoptr(AppraisalVerdict) verdict = evidence ? appraisal_verdict_new(&input) : NULL;

    if (!verdict || !verdict->accepted)
        die_of(verdict, error);
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
    g_autofree gchar *data = measure_hex_encode(job->raw + 0x50, 64);
    g_autofree gchar *digest = measure_hex_encode(job->raw + 0x90, 48);
    g_autofree gchar *rules =
        g_strdup_printf("{\"format\":\"virt-attest-policy-1\",\"measurements\":[{\"digest\":\"%s\"}],"
                        "\"reportData\":\"%s\",\"hostData\":\"any\",\"idBlock\":\"any\",\"provisionalFirmware\":true}",
                        digest, data);
    job->certificates = appraisal_blobs_new();
    appraisal_blobs_add(job->certificates, "vcek", vcek);
    job->rules = appraisal_rules_parse(rules, -1, &error);
    job->anchors = job->rules ? appraisal_anchors_load(path, &error) : NULL;
    if (!job->anchors)
        die(error->message);
}

static AppraisalEndorsement *parse(const GPtrArray *certificates)
{
    const AppraisalBlob *blob = g_ptr_array_index(certificates, 0);

    return appraisal_endorsement_parse(g_bytes_get_data(blob->data, NULL), g_bytes_get_size(blob->data), NULL);
}

static gpointer work(gpointer data)
{
    Job *job = data;
    double end = now(CLOCK_MONOTONIC) + job->seconds, start = now(CLOCK_THREAD_CPUTIME_ID);

    while (now(CLOCK_MONOTONIC) < end) {
        for (int i = 0; i < 20; i++)
            verify(job);
        job->done += 20;
    }
    job->cpu = now(CLOCK_THREAD_CPUTIME_ID) - start;
    return NULL;
}

static void warm(const char *folder, double seconds, guint n, gboolean known)
{
    g_autofree Job *jobs = g_new0(Job, n);
    g_autofree GThread **threads = g_new0(GThread *, n);
    double rate = 0, start = now(CLOCK_MONOTONIC);
    guint64 done = 0;

    load(&jobs[0], folder);
    if (known)
        jobs[0].endorsement = parse(jobs[0].certificates);
    verify(&jobs[0]);
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
        verify(&job);
    } else if (argc == 6 && g_str_equal(argv[1], "--warm")) {
        warm(argv[2], g_ascii_strtod(argv[3], NULL), (guint)g_ascii_strtoull(argv[4], NULL, 10),
             g_str_equal(argv[5], "known"));
    } else {
        die("see bench-appraisal.py");
    }
    return 0;
}
