/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opens the files of a launch and boils them down to what every digest is made from. All reading and nearly all
 * hashing of a measurement happens here, once:
 *
 *   - kernel and initrd are one SHA-256 each, which cannot be divided: each is a job of its own, the dearest first;
 *   - the firmware is small but needs a SHA-384 for every page and, where asked for, a look into its compressed
 *     volume: its pages are divided among the processors that the other files leave free.
 *
 * Files that the cache knows by their identity are not read, except for the firmware's footer.
 */
#include <string.h>

#include "measure/cache.h"
#include "measure/error.h"
#include "measure/file.h"
#include "measure/hash.h"
#include "measure/pages.h"
#include "measure/parallel.h"

/* QEMU hands the sizes of kernel and initrd to the guest as 32-bit numbers. */
#define MAX_BLOB_SIZE G_GUINT64_CONSTANT(0xffffffff)

enum {
    PAGES_PER_JOB = 64,
    /* Weights of the jobs against one byte of SHA-256 with processor support. */
    PAGE_WEIGHT = 3,
    JUDGE_WEIGHT = 24,
};

/**
 * Firmware:
 * @file: the open file
 * @facts: what is known about it: at first from the cache, in the end everything that was asked for
 * @footer: its parsed footer
 * @data: (nullable): the whole file, when something has to be computed from it
 * @page_digests: (nullable): 48 bytes for each page
 * @prefix: (nullable): SHA-256 state after the file
 * @learned: @facts hold something that the cache did not
 */
typedef struct {
    MeasureFile *file;
    MeasureFirmwareFacts facts;
    MeasureFirmware *footer;
    guint8 *data;
    guint8 *page_digests;
    EVP_MD_CTX *prefix;
    gboolean learned;
} Firmware;

static void firmware_clear(Firmware *firmware)
{
    g_clear_pointer(&firmware->file, measure_file_free);
    measure_firmware_facts_clear(&firmware->facts);
    g_clear_pointer(&firmware->footer, measure_firmware_free);
    g_clear_pointer(&firmware->data, g_free);
    g_clear_pointer(&firmware->page_digests, g_free);
    g_clear_pointer(&firmware->prefix, EVP_MD_CTX_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Firmware, firmware_clear)

typedef struct {
    const Firmware *firmware;
    gsize first, count;
} PageRange;

static gsize firmware_size(const Firmware *firmware)
{
    return (gsize)firmware->file->input->size; /* at most MEASURE_FIRMWARE_MAX_SIZE */
}

static void hash_file_job(gpointer data)
{
    MeasureFile *file = data;

    measure_file_hash(file, &file->error);
}

static void hash_firmware_job(gpointer data)
{
    Firmware *firmware = data;
    g_autoptr(EVP_MD_CTX) state = measure_hash_new(MEASURE_HASH_SHA256);

    measure_hash_update(state, firmware->data, firmware_size(firmware));
    firmware->prefix = measure_hash_copy(state);
    measure_hash_finish(state, firmware->facts.sha256);
    firmware->facts.known = TRUE;
}

static void judge_firmware_job(gpointer data)
{
    Firmware *firmware = data;
    MeasureBytes file = { firmware->data, firmware_size(firmware) };

    firmware->facts.build = measure_firmware_build_judge(file);
}

static void hash_pages_job(gpointer data)
{
    const PageRange *range = data;

    measure_pages_hash(range->firmware->data + range->first * MEASURE_PAGE_SIZE, range->count,
                       range->firmware->page_digests + range->first * MEASURE_SHA384_SIZE);
}

static void add_job(GArray *jobs, void (*run)(gpointer), gpointer data, guint64 cost)
{
    MeasureJob job = { .run = run, .data = data, .cost = cost };

    g_array_append_val(jobs, job);
}

static gboolean check_launch(const MeasureLaunch *launch, GError **error)
{
    const char *what = NULL;

    if (!launch->firmware)
        what = "no firmware file was given: the launch digest begins with it";
    else if (!launch->kernel && launch->initrd)
        what = "an initrd was given without a kernel: QEMU starts no such guest; give the kernel too";
    else if (!launch->kernel && launch->cmdline && *launch->cmdline)
        what = "a kernel command line was given without a kernel: QEMU starts no such guest; give the kernel too";
    if (what)
        g_set_error_literal(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, what);
    return what == NULL;
}

static gboolean check_firmware_size(const MeasureLaunch *launch, const MeasureFile *file, GError **error)
{
    g_autofree gchar *shown = measure_printable(file->input->path);

    if (file->input->size == 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "firmware '%s' is empty: give the guest's firmware",
                    shown);
        return FALSE;
    }
    if (launch->platform == MEASURE_PLATFORM_SNP && file->input->size % MEASURE_PAGE_SIZE) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "firmware '%s' has %" G_GUINT64_FORMAT
                    " bytes, which is no multiple of 4096: SEV-SNP cannot start it; give a complete firmware image",
                    shown, file->input->size);
        return FALSE;
    }
    return TRUE;
}

/* Opens kernel or initrd and asks the cache for it. */
static MeasureFile *open_blob(const char *role, const char *path, const MeasureCache *cache, GError **error)
{
    g_autoptr(MeasureFile) file = measure_file_open(role, path, MAX_BLOB_SIZE, error);

    if (!file)
        return NULL;
    file->needs_hash = !measure_file_is_identified(file) || !measure_cache_get_file(cache, file->input);
    if (file->needs_hash)
        measure_file_read_ahead(file);
    return g_steal_pointer(&file);
}

static gboolean parse_footer(Firmware *firmware, MeasureBytes bytes, gboolean *needs_whole, GError **error)
{
    firmware->footer = measure_firmware_parse_tail(bytes, firmware->file->input->size, needs_whole, error);
    if (!firmware->footer && !*needs_whole) {
        g_autofree gchar *shown = measure_printable(firmware->file->input->path);

        g_prefix_error(error, "firmware '%s': ", shown);
    }
    return firmware->footer != NULL;
}

static gboolean read_footer(Firmware *firmware, gboolean *needs_whole, GError **error)
{
    gsize size = MIN(firmware_size(firmware), MEASURE_FIRMWARE_TAIL_SIZE);
    g_autofree guint8 *tail = g_malloc(size);
    MeasureBytes bytes = { tail, size };

    return measure_file_read(firmware->file, firmware_size(firmware) - size, tail, size, error) &&
           parse_footer(firmware, bytes, needs_whole, error);
}

/* Reads the whole file; what the cache said about it counts only if its digest is still the same. */
static gboolean read_whole(Firmware *firmware, GError **error)
{
    gboolean needs_whole;

    firmware->file->input->cached = FALSE;
    firmware->data = g_try_malloc(firmware_size(firmware));
    if (!firmware->data) {
        g_autofree gchar *shown = measure_printable(firmware->file->input->path);

        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "firmware '%s': not enough memory", shown);
        return FALSE;
    }
    if (!measure_file_read(firmware->file, 0, firmware->data, firmware_size(firmware), error))
        return FALSE;
    if (firmware->facts.known) {
        guint8 cached[MEASURE_SHA256_SIZE];

        memcpy(cached, firmware->facts.sha256, sizeof cached);
        hash_firmware_job(firmware);
        if (!measure_digest_equal(cached, firmware->facts.sha256, sizeof cached)) {
            firmware->facts.has_seed = FALSE;
            g_clear_pointer(&firmware->facts.build, measure_firmware_build_free);
            firmware->learned = TRUE;
        }
    }
    MeasureBytes bytes = { firmware->data, firmware_size(firmware) };
    return parse_footer(firmware, bytes, &needs_whole, error);
}

/* Opens the firmware, asks the cache for it and reads as much of it as is still needed. */
static gboolean open_firmware(Firmware *firmware, const MeasureLaunch *launch, const MeasureCache *cache,
                              gboolean want_seed, gboolean want_build, GError **error)
{
    gboolean needs_whole = FALSE;

    firmware->file = measure_file_open("firmware", launch->firmware, MEASURE_FIRMWARE_MAX_SIZE, error);
    if (!firmware->file || !check_firmware_size(launch, firmware->file, error))
        return FALSE;
    if (measure_file_is_identified(firmware->file))
        measure_cache_get_firmware(cache, firmware->file->input, &firmware->facts);
    /* For SEV and SEV-ES the digest goes on from the firmware's last byte, so that it is needed in full. */
    if (!firmware->facts.known || launch->platform != MEASURE_PLATFORM_SNP ||
        (want_seed && !firmware->facts.has_seed) || (want_build && !firmware->facts.build))
        return read_whole(firmware, error);
    firmware->file->input->cached = TRUE;
    if (read_footer(firmware, &needs_whole, error))
        return TRUE;
    return needs_whole && read_whole(firmware, error);
}

/* Adds what is still to be computed about the firmware. */
static void add_firmware_jobs(Firmware *firmware, GArray *jobs, GArray *ranges, gboolean want_seed, gboolean want_build)
{
    gsize size = firmware_size(firmware), pages = size / MEASURE_PAGE_SIZE;

    if (!firmware->facts.known)
        add_job(jobs, hash_firmware_job, firmware, size);
    if (want_build && !firmware->facts.build)
        add_job(jobs, judge_firmware_job, firmware, (guint64)size * JUDGE_WEIGHT);
    if (want_seed && !firmware->facts.has_seed) {
        firmware->page_digests = g_malloc(pages * MEASURE_SHA384_SIZE);
        for (gsize first = 0; first < pages; first += PAGES_PER_JOB) {
            PageRange range = { firmware, first, MIN(pages - first, (gsize)PAGES_PER_JOB) };
            g_array_append_val(ranges, range);
        }
    }
    for (guint i = 0; i < ranges->len; i++) {
        PageRange *range = &g_array_index(ranges, PageRange, i);
        add_job(jobs, hash_pages_job, range, (guint64)range->count * MEASURE_PAGE_SIZE * PAGE_WEIGHT);
    }
    firmware->learned = firmware->learned || jobs->len > 0;
}

/* The digest after the firmware's pages: they lie directly below 4 GiB. */
static void chain_seed(Firmware *firmware)
{
    gsize size = firmware_size(firmware);
    guint64 gpa = (G_GUINT64_CONSTANT(1) << 32) - size;
    g_auto(MeasureChain) chain = { .state = NULL };

    measure_chain_init(&chain, NULL);
    for (gsize i = 0; i < size / MEASURE_PAGE_SIZE; i++)
        measure_chain_page(&chain, MEASURE_PAGE_NORMAL, gpa + i * MEASURE_PAGE_SIZE,
                           firmware->page_digests + i * MEASURE_SHA384_SIZE);
    memcpy(firmware->facts.seed, chain.digest, sizeof chain.digest);
    firmware->facts.has_seed = TRUE;
}

/* After the work: did it succeed, and is the file still the one that was opened? */
static gboolean finish_file(MeasureFile *file, GError **error)
{
    if (!file)
        return TRUE;
    if (file->error) {
        g_propagate_error(error, g_steal_pointer(&file->error));
        return FALSE;
    }
    return measure_file_unchanged(file, error);
}

static void store_file(const MeasureCache *cache, const MeasureFile *file)
{
    if (file && file->needs_hash && measure_file_is_settled(file))
        measure_cache_put_file(cache, file->input);
}

static void hash_cmdline(const char *cmdline, guint8 out[MEASURE_SHA256_SIZE])
{
    g_autoptr(EVP_MD_CTX) state = measure_hash_new(MEASURE_HASH_SHA256);
    const char *text = cmdline ? cmdline : "";

    measure_hash_buffer(state, text, strlen(text) + 1, out); /* the NUL counts */
}

static MeasureInputs *collect(const MeasureLaunch *launch, Firmware *firmware, MeasureFile *kernel, MeasureFile *initrd,
                              const guint8 *snp_seed)
{
    MeasureInputs *inputs = g_new0(MeasureInputs, 1);

    inputs->firmware = g_steal_pointer(&firmware->file->input);
    memcpy(inputs->firmware->sha256, firmware->facts.sha256, sizeof firmware->facts.sha256);
    inputs->footer = g_steal_pointer(&firmware->footer);
    inputs->build = g_steal_pointer(&firmware->facts.build);
    memcpy(inputs->snp_seed, snp_seed ? snp_seed : firmware->facts.seed, sizeof inputs->snp_seed);
    if (launch->platform != MEASURE_PLATFORM_SNP)
        inputs->sev_prefix = g_steal_pointer(&firmware->prefix);
    if (kernel) {
        inputs->has_kernel = TRUE;
        inputs->kernel = g_steal_pointer(&kernel->input);
        hash_cmdline(launch->cmdline, inputs->cmdline_sha256);
    }
    if (initrd)
        inputs->initrd = g_steal_pointer(&initrd->input);
    return inputs;
}

MeasureInputs *measure_inputs_open(const MeasureLaunch *launch, const MeasureCache *cache, MeasureOpenFlags flags,
                                   const guint8 *snp_seed, GError **error)
{
    gboolean want_seed = launch->platform == MEASURE_PLATFORM_SNP && !snp_seed;
    gboolean want_build = (flags & MEASURE_OPEN_JUDGE_FIRMWARE) != 0;
    g_auto(Firmware) firmware = { .file = NULL };
    g_autoptr(MeasureFile) kernel = NULL;
    g_autoptr(MeasureFile) initrd = NULL;
    g_autoptr(GArray) jobs = g_array_new(FALSE, FALSE, sizeof(MeasureJob));
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(PageRange));

    if (!check_launch(launch, error) || !measure_hash_ready(error))
        return NULL;
    /* Kernel and initrd first: the disk reads them ahead while the firmware is loaded. */
    if (launch->kernel && !(kernel = open_blob("kernel", launch->kernel, cache, error)))
        return NULL;
    if (launch->initrd && !(initrd = open_blob("initrd", launch->initrd, cache, error)))
        return NULL;
    if (!open_firmware(&firmware, launch, cache, want_seed, want_build, error))
        return NULL;

    add_firmware_jobs(&firmware, jobs, ranges, want_seed, want_build);
    if (kernel && kernel->needs_hash)
        add_job(jobs, hash_file_job, kernel, kernel->input->size);
    if (initrd && initrd->needs_hash)
        add_job(jobs, hash_file_job, initrd, initrd->input->size);
    measure_parallel_run(jobs);
    if (firmware.page_digests)
        chain_seed(&firmware);

    if (!finish_file(firmware.file, error) || !finish_file(kernel, error) || !finish_file(initrd, error))
        return NULL;
    store_file(cache, kernel);
    store_file(cache, initrd);
    if (firmware.learned && measure_file_is_settled(firmware.file))
        measure_cache_put_firmware(cache, firmware.file->input, &firmware.facts);
    return collect(launch, &firmware, kernel, initrd, snp_seed);
}

void measure_inputs_free(MeasureInputs *inputs)
{
    if (!inputs)
        return;
    g_clear_pointer(&inputs->firmware, measure_input_free);
    g_clear_pointer(&inputs->footer, measure_firmware_free);
    g_clear_pointer(&inputs->build, measure_firmware_build_free);
    g_clear_pointer(&inputs->kernel, measure_input_free);
    g_clear_pointer(&inputs->initrd, measure_input_free);
    EVP_MD_CTX_free(inputs->sev_prefix);
    g_free(inputs);
}
