/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/appraisal/explain.h"

#include <string.h>

#include "measure/error.h"
#include "policy/json.h"

/* Older launches whose files are tried with the present firmware. */
#define MAX_OLDER_FILES 8
#define MIN_VCPUS 64
#define MAX_VCPUS 512

void appraisal_older_free(AppraisalOlder *older)
{
    if (!older)
        return;
    g_free(older->what);
    g_free(older->unlike);
    g_free(older);
}

/**
 * Files:
 * @words: (nullable): what is different from the domain as it is, %NULL: nothing
 * @hashes: the table of kernel hashes is measured
 *
 * One choice of what the kernel hash table holds.
 */
typedef struct {
    gchar *words;
    gboolean hashes, has_initrd;
    guint8 kernel[MEASURE_SHA256_SIZE], initrd[MEASURE_SHA256_SIZE], cmdline[MEASURE_SHA256_SIZE];
} Files;

static void files_free(gpointer data)
{
    Files *files = data;

    g_free(files->words);
    g_free(files);
}

/* ---- What may be different: files ---- */

static Files *add_files(GPtrArray *list, const Files *from, const char *words)
{
    Files *files = g_memdup2(from, sizeof(*from));

    files->words = g_strdup(words);
    g_ptr_array_add(list, files);
    return files;
}

static void add_cmdline(GPtrArray *list, const Files *from, gconstpointer text, gsize size, const char *words)
{
    policy_sha256(text, size, add_files(list, from, words)->cmdline);
}

/* What editors, shells and copying do to a command line. */
static void add_cmdlines(GPtrArray *list, const Files *from, const char *cmdline)
{
    g_autofree gchar *blank = g_strconcat(cmdline, " ", NULL);
    g_autofree gchar *newline = g_strconcat(cmdline, "\n", NULL);
    g_autofree gchar *no_end = g_strchomp(g_strdup(cmdline));
    g_autofree gchar *no_ends = g_strstrip(g_strdup(cmdline));
    g_autofree gchar *front = g_strconcat(" ", cmdline, NULL);

    add_cmdline(list, from, blank, strlen(blank) + 1, "a blank more at the end of the command line");
    add_cmdline(list, from, newline, strlen(newline) + 1, "a newline more at the end of the command line");
    if (strcmp(no_end, cmdline))
        add_cmdline(list, from, no_end, strlen(no_end) + 1, "no blank or newline at the end of the command line");
    if (strcmp(no_ends, no_end))
        add_cmdline(list, from, no_ends, strlen(no_ends) + 1, "no blanks around the command line");
    add_cmdline(list, from, front, strlen(front) + 1, "a blank more at the start of the command line");
    if (*cmdline)
        add_cmdline(list, from, "", 1, "an empty command line");
    add_cmdline(list, from, cmdline, strlen(cmdline), "a command line that was hashed without its final NUL");
}

static void add_older(GPtrArray *list, const Files *from, const AppraisalOlder *older)
{
    const gboolean has[] = {older->has_kernel, older->has_initrd, older->has_cmdline};
    static const char *const names[] = {"kernel", "initrd", "command line"};
    Files *all = NULL;

    for (guint which = 0; which < 4; which++) {
        g_autofree gchar *words =
            g_strdup_printf(which == 3 ? "%s of %s" : "the %s of %s",
                            which == 3 ? "kernel, initrd and command line" : names[which], older->what);

        if (which < 3 && !has[which])
            continue;
        all = add_files(list, from, words);
        if (older->has_kernel && (which == 0 || which == 3))
            memcpy(all->kernel, older->kernel, sizeof(all->kernel));
        if (older->has_initrd && (which == 1 || which == 3)) {
            memcpy(all->initrd, older->initrd, sizeof(all->initrd));
            all->has_initrd = TRUE;
        }
        if (older->has_cmdline && (which == 2 || which == 3))
            memcpy(all->cmdline, older->cmdline, sizeof(all->cmdline));
    }
}

static GPtrArray *list_files(const AppraisalExplanation *with)
{
    const MeasureLaunch *launch = with->launch;
    const MeasureInputs *inputs = with->inputs;
    GPtrArray *list = g_ptr_array_new_with_free_func(files_free);
    Files now = {.hashes = launch->kernel_hashes && inputs->has_kernel, .has_initrd = inputs->initrd != NULL};

    if (inputs->has_kernel) {
        memcpy(now.kernel, inputs->kernel->sha256, sizeof(now.kernel));
        memcpy(now.cmdline, inputs->cmdline_sha256, sizeof(now.cmdline));
    }
    if (inputs->initrd)
        memcpy(now.initrd, inputs->initrd->sha256, sizeof(now.initrd));
    add_files(list, &now, NULL);
    if (!inputs->has_kernel)
        return list;
    add_files(list, &now, now.hashes ? "the kernel hashes off" : "the kernel hashes on")->hashes = !now.hashes;
    if (!now.hashes)
        return list;
    if (now.has_initrd)
        add_files(list, &now, "no initrd")->has_initrd = FALSE;
    add_cmdlines(list, &now, launch->cmdline ? launch->cmdline : "");
    for (guint i = 0; with->older && i < MIN(with->older->len, MAX_OLDER_FILES); i++)
        add_older(list, &now, g_ptr_array_index(with->older, i));
    return list;
}

/* ---- What may be different: processors ---- */

static void add_signature(GArray *list, guint32 signature)
{
    for (guint i = 0; i < list->len; i++) {
        if (g_array_index(list, guint32, i) == signature)
            return;
    }
    g_array_append_val(list, signature);
}

/* Those of the domain first, then the one that made the report, then everything there is. */
static GArray *list_signatures(const AppraisalExplanation *with)
{
    /* Naples, Rome, Milan, Milan-X, Genoa, Genoa-X, Bergamo and Siena, Turin, Turin Dense. */
    static const guint8 silicon[][3] = {
        {23, 1, 2},    {23, 49, 0},  {25, 1, 0},    {25, 1, 1},  {25, 1, 2},  {25, 17, 0}, {25, 17, 1},
        {25, 17, 2},   {25, 160, 1}, {25, 160, 2}, {26, 2, 0}, {26, 2, 1},  {26, 17, 0},
    };
    GArray *list = g_array_new(FALSE, FALSE, sizeof(guint32));

    for (guint i = 0; i < with->launch->cpus->len; i++)
        add_signature(list, ((const MeasureCpu *)g_ptr_array_index(with->launch->cpus, i))->signature);
    if (with->signature)
        add_signature(list, with->signature);
    for (const char *const *name = measure_cpu_names(); *name; name++) {
        g_autoptr(MeasureCpu) cpu = measure_cpu_from_name(*name, NULL);

        if (cpu)
            add_signature(list, cpu->signature);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(silicon); i++)
        add_signature(list, measure_cpu_signature(silicon[i][0], silicon[i][1], silicon[i][2]));
    return list;
}

static GArray *list_features(const MeasureLaunch *launch)
{
    /* SNP alone; debug swap, ReflectVC, restricted and alternate injection, Secure TSC. AMD APM 2, SEV_FEATURES. */
    static const guint64 usual[] = {0x1, 0x21, 0x5, 0x9, 0x11, 0x201, 0x221, 0x3};
    GArray *list = g_array_new(FALSE, FALSE, sizeof(guint64));

    g_array_append_val(list, launch->guest_features);
    for (gsize i = 0; i < G_N_ELEMENTS(usual); i++) {
        if (usual[i] != launch->guest_features)
            g_array_append_val(list, usual[i]);
    }
    return list;
}

/* ---- Trying ---- */

/**
 * Search:
 * @out: room for a digest of every signature and vCPU count
 */
typedef struct {
    const AppraisalExplanation *with;
    const guint8 *measurement;
    GArray *signatures, *features, *vcpus;
    GPtrArray *files;
    MeasureDigest *out;
    gint64 deadline;
} Search;

static gboolean is_domains_own(const MeasureLaunch *launch, guint32 signature)
{
    for (guint i = 0; i < launch->cpus->len; i++) {
        if (((const MeasureCpu *)g_ptr_array_index(launch->cpus, i))->signature == signature)
            return TRUE;
    }
    return FALSE;
}

/* "EPYC-Milan (0xa00f11)", or the bare signature of a processor that no model has. */
static gchar *cpu_words(guint32 signature)
{
    for (const char *const *name = measure_cpu_names(); *name; name++) {
        g_autoptr(MeasureCpu) cpu = measure_cpu_from_name(*name, NULL);

        if (cpu && cpu->signature == signature)
            return g_strdup_printf("CPU type %s (0x%x)", *name, signature);
    }
    return g_strdup_printf("a processor of signature 0x%x", signature);
}

static gchar *tell(const Search *search, const Files *files, guint64 features, MeasureFpu fpu, guint32 signature,
                   guint vcpus)
{
    const MeasureLaunch *launch = search->with->launch;
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    g_autofree gchar *text = NULL;

    if (!is_domains_own(launch, signature))
        g_ptr_array_add(words, cpu_words(signature));
    if (vcpus != launch->vcpus)
        g_ptr_array_add(words, g_strdup_printf("%u vCPU%s instead of %u", vcpus, vcpus == 1 ? "" : "s", launch->vcpus));
    if (features != launch->guest_features)
        g_ptr_array_add(words,
                        g_strdup_printf("guest features 0x%" G_GINT64_MODIFIER "x instead of 0x%" G_GINT64_MODIFIER "x",
                                        features, launch->guest_features));
    if (fpu != launch->fpu)
        g_ptr_array_add(words, g_strdup_printf("the %s floating-point state", measure_fpu_name(fpu)));
    if (files->words)
        g_ptr_array_add(words, g_strdup(files->words));
    if (!words->len)
        return g_strdup("what this domain measures as it is now: the rules are of another time or of another domain");
    g_ptr_array_add(words, NULL);
    text = g_strjoinv(", ", (gchar **)words->pdata);
    return g_strconcat("what this domain measures with ", text, NULL);
}

static gchar *try_one(const Search *search, const Files *files, guint64 features, MeasureFpu fpu)
{
    MeasureLaunch launch = *search->with->launch;
    MeasureInputs inputs = *search->with->inputs;
    MeasureInput kernel, initrd;
    guint n_vcpus = search->vcpus->len, n = search->signatures->len * n_vcpus;

    launch.guest_features = features;
    launch.fpu = fpu;
    launch.kernel_hashes = files->hashes;
    if (inputs.has_kernel) {
        kernel = *inputs.kernel;
        memcpy(kernel.sha256, files->kernel, sizeof(kernel.sha256));
        inputs.kernel = &kernel;
        memcpy(inputs.cmdline_sha256, files->cmdline, sizeof(inputs.cmdline_sha256));
        initrd = inputs.initrd ? *inputs.initrd : kernel;
        memcpy(initrd.sha256, files->initrd, sizeof(initrd.sha256));
        inputs.initrd = files->has_initrd ? &initrd : NULL;
    }
    /* A firmware that cannot carry this variant cannot have been launched with it. */
    if (!measure_launch_digests(&launch, &inputs, (const guint32 *)(gpointer)search->signatures->data,
                                search->signatures->len, (const guint *)(gpointer)search->vcpus->data, n_vcpus,
                                search->out, NULL))
        return NULL;
    for (guint i = 0; i < n; i++) {
        if (!memcmp(search->out[i].bytes, search->measurement, MEASURE_SHA384_SIZE))
            return tell(search, files, features, fpu, g_array_index(search->signatures, guint32, i / n_vcpus),
                        g_array_index(search->vcpus, guint, i % n_vcpus));
    }
    return NULL;
}

/* One after the other, those with the fewest changes first. */
static gchar *search_all(const Search *search)
{
    static const MeasureFpu fpus[] = {MEASURE_FPU_INIT2, MEASURE_FPU_LEGACY};

    for (guint changes = 0; changes <= 3; changes++) {
        for (guint file = 0; file < search->files->len; file++) {
            for (guint feature = 0; feature < search->features->len; feature++) {
                for (gsize fpu = 0; fpu < G_N_ELEMENTS(fpus); fpu++) {
                    gboolean other_fpu = fpus[fpu] != search->with->launch->fpu;
                    gchar *found = NULL;

                    if ((file > 0) + (feature > 0) + other_fpu != (int)changes)
                        continue;
                    if (g_get_monotonic_time() > search->deadline)
                        return NULL;
                    found = try_one(search, g_ptr_array_index(search->files, file),
                                    g_array_index(search->features, guint64, feature), fpus[fpu]);
                    if (found)
                        return found;
                }
            }
        }
    }
    return NULL;
}

static gchar *explain_older(const guint8 measurement[MEASURE_SHA384_SIZE], const GPtrArray *older)
{
    for (guint i = 0; older && i < older->len; i++) {
        const AppraisalOlder *each = g_ptr_array_index(older, i);

        if (each->has_digest && !memcmp(each->digest, measurement, MEASURE_SHA384_SIZE))
            return g_strdup_printf("the measurement of %s%s%s", each->what, each->unlike ? ", with " : "",
                                   each->unlike ? each->unlike : "");
    }
    return NULL;
}

gchar *appraisal_explain(const guint8 measurement[MEASURE_SHA384_SIZE], const AppraisalExplanation *with)
{
    gchar *found = explain_older(measurement, with->older);
    Search search = {
        .with = with,
        .measurement = measurement,
        .deadline = g_get_monotonic_time() + (gint64)with->budget_ms * 1000,
    };
    g_autofree MeasureDigest *out = NULL;
    guint most = 0;

    if (found || !with->launch || !with->inputs || with->launch->platform != MEASURE_PLATFORM_SNP)
        return found;
    search.signatures = list_signatures(with);
    search.features = list_features(with->launch);
    search.vcpus = g_array_new(FALSE, FALSE, sizeof(guint));
    search.files = list_files(with);
    most = MAX(MIN(2 * with->launch->vcpus, MAX_VCPUS), MAX(with->launch->vcpus, MIN_VCPUS));
    if (!with->inputs->footer->has_reset_block)
        most = 1;
    for (guint n = 1; n <= most; n++)
        g_array_append_val(search.vcpus, n);
    search.out = out = g_new(MeasureDigest, (gsize)search.signatures->len * most);
    found = search_all(&search);
    g_array_unref(search.signatures);
    g_array_unref(search.features);
    g_array_unref(search.vcpus);
    g_ptr_array_unref(search.files);
    return found;
}
