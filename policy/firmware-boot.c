/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Five boots of one firmware. The right table comes first: it shows that the rig works here at all, and how long a
 * boot takes on this machine. A firmware that refuses stays silent in a loop, so the other four are over when the
 * kernel speaks, or when a multiple of that time has gone by without a word.
 *
 * Table and initrd are handed to QEMU as descriptors of memory files: there is nothing on disk to clean up. The guest
 * has no network and no disk, and QEMU may start no programs.
 */
#include "policy/firmware-boot.h"

#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "measure/error.h"
#include "measure/hash-table.h"
#include "measure/launch.h"
#include "policy/emulator.h"

#define DEFAULT_TIMEOUT 180 /* seconds */
#define PARALLEL_RUNS 2     /* emulators at the same time */
#define TICK 100            /* milliseconds between looks at the clock */
#define TABLE_FD 10         /* descriptors in the emulator */
#define INITRD_FD 11
#define MIB (1024u * 1024)

static const char *const case_names[POLICY_BOOT_CASES] = {
    [POLICY_BOOT_RIGHT_TABLE] = "right table",
    [POLICY_BOOT_WRONG_KERNEL] = "wrong kernel hash",
    [POLICY_BOOT_WRONG_INITRD] = "wrong initrd hash",
    [POLICY_BOOT_WRONG_CMDLINE] = "wrong command-line hash",
    [POLICY_BOOT_NO_TABLE] = "no table",
};

static const char *const outcome_names[] = {
    [POLICY_BOOT_UNDECIDED] = "undecided",
    [POLICY_BOOT_BOOTED] = "booted",
    [POLICY_BOOT_HALTED] = "halted",
};

static const char *const verdict_names[] = {
    [POLICY_BOOT_VERDICT_UNDECIDED] = "undecided",
    [POLICY_BOOT_VERDICT_WORKS] = "works",
    [POLICY_BOOT_VERDICT_PARTLY] = "partly",
    [POLICY_BOOT_VERDICT_NOTHING] = "nothing",
};

const char *policy_boot_case_name(PolicyBootCase which)
{
    return case_names[which];
}

const char *policy_boot_outcome_name(PolicyBootOutcome outcome)
{
    return outcome_names[outcome];
}

const char *policy_boot_verdict_name(PolicyBootVerdict verdict)
{
    return verdict_names[verdict];
}

void policy_firmware_boot_result_clear(PolicyFirmwareBootResult *result)
{
    g_clear_pointer(&result->kernel, g_free);
    g_clear_pointer(&result->reason, g_free);
    for (guint i = 0; i < POLICY_BOOT_CASES; i++)
        g_clear_pointer(&result->runs[i].detail, g_free);
}

/* What all runs share. */
typedef struct {
    const PolicyFirmwareBootOptions *options;
    const char *firmware;
    const char *qemu;
    MeasureInputs *inputs;
    gchar *token;
    gchar *cmdline;
    int initrd_fd; /* -1: the caller named a file */
    GMainContext *context;
    GPtrArray *sources;           /* of signals and of the clock */
    int signal_number;            /* that arrived; 0: none */
    gint64 wall_limit, cpu_limit; /* microseconds after which silence counts */
    PolicyFirmwareBootResult result;
} Proof;

static void proof_clear(Proof *proof)
{
    g_clear_pointer(&proof->inputs, measure_inputs_free);
    g_free(proof->token);
    g_free(proof->cmdline);
    if (proof->initrd_fd >= 0)
        close(proof->initrd_fd);
    for (guint i = 0; proof->sources && i < proof->sources->len; i++)
        g_source_destroy(g_ptr_array_index(proof->sources, i));
    g_clear_pointer(&proof->sources, g_ptr_array_unref);
    if (proof->context) {
        g_main_context_pop_thread_default(proof->context);
        g_main_context_unref(proof->context);
    }
    policy_firmware_boot_result_clear(&proof->result);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Proof, proof_clear)

/* One boot. */
typedef struct {
    PolicyBootCase which;
    PolicyEmulator *emulator;
    gint64 cpu; /* microseconds used so far */
} Run;

static void run_free(Run *run)
{
    policy_emulator_free(run->emulator);
    g_free(run);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Run, run_free)

/* The table of a run. A wrong hash is the right one with its first byte inverted. */
static void fill_table(const Proof *proof, PolicyBootCase which, guint8 table[MEASURE_HASH_TABLE_SIZE])
{
    guint8 *wrong = which == POLICY_BOOT_WRONG_KERNEL    ? proof->inputs->kernel->sha256
                    : which == POLICY_BOOT_WRONG_INITRD  ? proof->inputs->initrd->sha256
                    : which == POLICY_BOOT_WRONG_CMDLINE ? proof->inputs->cmdline_sha256
                                                         : NULL;
    if (wrong)
        wrong[0] ^= 0xff;
    measure_hash_table_fill(table, proof->inputs);
    if (wrong)
        wrong[0] ^= 0xff;
}

static void add_arguments(GPtrArray *argv, const char *first, ...)
{
    va_list arguments;
    va_start(arguments, first);
    for (const char *argument = first; argument; argument = va_arg(arguments, const char *))
        g_ptr_array_add(argv, g_strdup(argument));
    va_end(arguments);
}

static GPtrArray *run_arguments(const Proof *proof, PolicyBootCase which)
{
    /* The firmware holds kernel and initrd twice for a while. */
    guint64 blobs = (proof->inputs->kernel->size + proof->inputs->initrd->size) / MIB;
    g_autofree gchar *memory = g_strdup_printf("%" G_GUINT64_FORMAT, 512 + 4 * blobs);
    g_autofree gchar *initrd = proof->initrd_fd >= 0 ? g_strdup_printf("/proc/self/fd/%d", INITRD_FD)
                                                     : g_strdup(proof->options->initrd);
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
    add_arguments(argv, proof->qemu, "-no-user-config", "-nodefaults", "-machine", "q35", "-accel", "tcg", "-m", memory,
                  "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot", "-sandbox",
                  "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", "-bios", proof->firmware,
                  "-kernel", proof->inputs->kernel->path, "-initrd", initrd, "-append", proof->cmdline, NULL);
    if (which != POLICY_BOOT_NO_TABLE) {
        g_autofree gchar *loader = g_strdup_printf("loader,file=/proc/self/fd/%d,addr=0x%x,force-raw=on", TABLE_FD,
                                                   proof->inputs->footer->hash_table_base);
        add_arguments(argv, "-device", loader, NULL);
    }
    g_ptr_array_add(argv, NULL);
    return argv;
}

static Run *run_start(const Proof *proof, PolicyBootCase which, GError **error)
{
    g_autoptr(Run) run = g_new0(Run, 1);
    g_autoptr(GPtrArray) argv = run_arguments(proof, which);
    PolicyEmulatorFd fds[2];
    gsize n_fds = 0;
    int table_fd = -1;
    if (proof->initrd_fd >= 0)
        fds[n_fds++] = (PolicyEmulatorFd){ proof->initrd_fd, INITRD_FD };
    if (which != POLICY_BOOT_NO_TABLE) {
        guint8 table[MEASURE_HASH_TABLE_SIZE];
        fill_table(proof, which, table);
        table_fd = policy_memory_file("hash table", table, sizeof table, error);
        if (table_fd < 0)
            return NULL;
        fds[n_fds++] = (PolicyEmulatorFd){ table_fd, TABLE_FD };
    }
    run->which = which;
    run->emulator = policy_emulator_start((const char *const *)argv->pdata, fds, n_fds, proof->token, error);
    if (table_fd >= 0)
        close(table_fd);
    return run->emulator ? g_steal_pointer(&run) : NULL;
}

/*
 * Whether the run is over, and how it ended. A guest that is silent for the limit has halted, provided that it had the
 * processor for long enough too: on a busy machine a boot is slow, but not silent for ever.
 */
static gboolean run_is_over(Proof *proof, Run *run, PolicyBootOutcome *outcome)
{
    gint64 wall = policy_emulator_wall_time(run->emulator);
    run->cpu = MAX(run->cpu, policy_emulator_cpu_time(run->emulator));
    switch (policy_emulator_state(run->emulator)) {
    case POLICY_EMULATOR_KERNEL:
        *outcome = POLICY_BOOT_BOOTED;
        return TRUE;
    case POLICY_EMULATOR_ENDED:
        *outcome = POLICY_BOOT_HALTED;
        return TRUE;
    case POLICY_EMULATOR_FAILED:
        *outcome = POLICY_BOOT_UNDECIDED;
        return TRUE;
    default:
        break;
    }
    *outcome = POLICY_BOOT_HALTED;
    if (run->which == POLICY_BOOT_RIGHT_TABLE) {
        guint timeout = proof->options->timeout > 0 ? proof->options->timeout : DEFAULT_TIMEOUT;
        return wall >= (gint64)timeout * G_USEC_PER_SEC;
    }
    return wall >= proof->wall_limit && (run->cpu >= proof->cpu_limit || wall >= 4 * proof->wall_limit);
}

static void run_finish(Proof *proof, const Run *run, PolicyBootOutcome outcome)
{
    PolicyFirmwareBootRun *result = &proof->result.runs[run->which];
    const PolicyFirmwareBootOptions *options = proof->options;
    gint64 wall = policy_emulator_wall_time(run->emulator);
    result->outcome = outcome;
    result->seconds = (double)wall / G_USEC_PER_SEC;
    if (outcome != POLICY_BOOT_BOOTED)
        result->detail = policy_emulator_last_words(run->emulator);
    if (run->which == POLICY_BOOT_RIGHT_TABLE) {
        proof->wall_limit = 2 * wall + 5 * G_USEC_PER_SEC;
        proof->cpu_limit = run->cpu + run->cpu / 2;
    }
    if (options->progress) {
        g_autofree gchar *text = g_strdup_printf("%s: %s after %.1f s (expected: %s)", case_names[run->which],
                                                 outcome_names[outcome], result->seconds,
                                                 outcome_names[result->expected]);
        options->progress(text, options->progress_data);
    }
}

static gboolean on_signal(Proof *proof, int number)
{
    proof->signal_number = number;
    return G_SOURCE_CONTINUE;
}

static gboolean on_interrupt(gpointer data)
{
    return on_signal(data, SIGINT);
}

static gboolean on_terminate(gpointer data)
{
    return on_signal(data, SIGTERM);
}

static gboolean on_hangup(gpointer data)
{
    return on_signal(data, SIGHUP);
}

static gboolean on_tick(gpointer data)
{
    return G_SOURCE_CONTINUE; /* wakes the loop */
}

static void add_source(Proof *proof, GSource *source, GSourceFunc function)
{
    g_source_set_callback(source, function, proof, NULL);
    g_source_attach(source, proof->context);
    g_ptr_array_add(proof->sources, source);
}

/* A loop of our own: the caller's sources do not run meanwhile. */
static void proof_open_loop(Proof *proof)
{
    static const struct {
        int number;
        GSourceFunc function;
    } signals[] = { { SIGINT, on_interrupt }, { SIGTERM, on_terminate }, { SIGHUP, on_hangup } };

    proof->context = g_main_context_new();
    g_main_context_push_thread_default(proof->context);
    proof->sources = g_ptr_array_new_with_free_func((GDestroyNotify)g_source_unref);
    for (gsize i = 0; i < G_N_ELEMENTS(signals); i++) {
        struct sigaction action;
        if (sigaction(signals[i].number, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
            add_source(proof, g_unix_signal_source_new(signals[i].number), signals[i].function);
    }
    add_source(proof, g_timeout_source_new(TICK), on_tick);
}

static gboolean proof_interrupted(const Proof *proof, GError **error)
{
    if (proof->signal_number == 0)
        return FALSE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                "interrupted by signal %d: what firmware '%s' does was not found out", proof->signal_number,
                proof->firmware);
    return TRUE;
}

/* Does @cases, at most PARALLEL_RUNS at a time. FALSE when interrupted or when QEMU cannot be run. */
static gboolean proof_run(Proof *proof, const PolicyBootCase *cases, guint count, GError **error)
{
    g_autoptr(GPtrArray) running = g_ptr_array_new_with_free_func((GDestroyNotify)run_free);
    for (guint next = 0; next < count || running->len > 0;) {
        if (next < count && running->len < PARALLEL_RUNS) {
            Run *run = run_start(proof, cases[next++], error);
            if (!run)
                return FALSE;
            g_ptr_array_add(running, run);
            continue;
        }
        g_main_context_iteration(proof->context, TRUE);
        if (proof_interrupted(proof, error))
            return FALSE;
        for (guint i = running->len; i > 0; i--) {
            PolicyBootOutcome outcome;
            if (!run_is_over(proof, g_ptr_array_index(running, i - 1), &outcome))
                continue;
            run_finish(proof, g_ptr_array_index(running, i - 1), outcome);
            g_ptr_array_remove_index(running, i - 1);
        }
    }
    return TRUE;
}

/* The newest kernel of this host that the caller may read; version numbers are compared as such. */
static gchar *find_kernel(GError **error)
{
    g_autofree gchar *newest = NULL;
    g_autoptr(GDir) boot = g_dir_open("/boot", 0, NULL);
    for (const char *name; boot && (name = g_dir_read_name(boot));) {
        g_autofree gchar *path = g_build_filename("/boot", name, NULL);
        if (g_str_has_prefix(name, "vmlinuz") && access(path, R_OK) == 0 && g_file_test(path, G_FILE_TEST_IS_REGULAR) &&
            (!newest || strverscmp(path, newest) > 0)) {
            g_free(newest);
            newest = g_steal_pointer(&path);
        }
    }
    if (!newest)
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "no kernel '/boot/vmlinuz*' can be read to boot the firmware with: name one with --kernel");
    return g_steal_pointer(&newest);
}

/* An archive without files, in the "newc" form, padded to 512 bytes as cpio does. */
static int make_initrd(GError **error)
{
    char archive[512] = { 0 };
    g_autoptr(GString) header = g_string_new("070701");
    for (int field = 0; field < 13; field++) /* the 5th counts links, the 12th the name with its NUL */
        g_string_append_printf(header, "%08x", field == 4 ? 1 : field == 11 ? 11 : 0);
    g_string_append(header, "TRAILER!!!");
    memcpy(archive, header->str, header->len);
    return policy_memory_file("initrd", archive, sizeof archive, error);
}

static gboolean proof_open(Proof *proof, GError **error)
{
    const PolicyFirmwareBootOptions *options = proof->options;
    g_autoptr(MeasureLaunch) launch = measure_launch_new(MEASURE_PLATFORM_SEV);
    launch->firmware = g_strdup(proof->firmware);
    launch->kernel = options->kernel ? g_strdup(options->kernel) : find_kernel(error);
    if (!launch->kernel)
        return FALSE;
    if (options->initrd) {
        launch->initrd = g_strdup(options->initrd);
    } else {
        proof->initrd_fd = make_initrd(error);
        if (proof->initrd_fd < 0)
            return FALSE;
        launch->initrd = g_strdup_printf("/proc/self/fd/%d", proof->initrd_fd);
    }
    g_autofree gchar *uuid = g_uuid_string_random();
    proof->token = g_strdup_printf("virt-attest.run=%s", uuid);
    proof->cmdline = g_strdup_printf("console=ttyS0 earlyprintk=ttyS0 panic=-1 %s", proof->token);
    launch->cmdline = g_strdup(proof->cmdline);
    launch->kernel_hashes = TRUE;
    proof->inputs = measure_inputs_open(launch, NULL, MEASURE_OPEN_DEFAULT, NULL, error);
    if (!proof->inputs)
        return FALSE;
    const MeasureFirmware *footer = proof->inputs->footer;
    if (!footer->has_hash_table_area || footer->hash_table_size < MEASURE_HASH_TABLE_SIZE) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "firmware '%s' has no place for a kernel-hash table, so it can verify nothing: use a build for "
                    "SEV-SNP (AmdSev)", proof->firmware);
        return FALSE;
    }
    proof->result.kernel = g_strdup(launch->kernel);
    return TRUE;
}

static void proof_conclude(Proof *proof)
{
    PolicyFirmwareBootResult *result = &proof->result;
    guint booted = 0, halted = 0;
    for (guint i = POLICY_BOOT_WRONG_KERNEL; i < POLICY_BOOT_CASES; i++) {
        booted += result->runs[i].outcome == POLICY_BOOT_BOOTED;
        halted += result->runs[i].outcome == POLICY_BOOT_HALTED;
    }
    if (result->runs[POLICY_BOOT_RIGHT_TABLE].outcome != POLICY_BOOT_BOOTED) {
        result->reason = g_strdup_printf("kernel '%s' did not start even with the right table, so nothing follows: try "
                                         "another kernel, and QEMU 10.0 or later (older ones change the kernel on its "
                                         "way)", result->kernel);
    } else if (booted + halted < POLICY_BOOT_CASES - 1) {
        result->reason = g_strdup("QEMU failed in some of the runs, so nothing follows");
    } else if (booted == 0) {
        result->verdict = POLICY_BOOT_VERDICT_WORKS;
        result->reason = g_strdup("boots with the right table only: the verifier works");
    } else if (halted == 0) {
        result->verdict = POLICY_BOOT_VERDICT_NOTHING;
        result->reason = g_strdup("boots with every wrong table and with none: nothing is verified");
    } else {
        result->verdict = POLICY_BOOT_VERDICT_PARTLY;
        result->reason = g_strdup_printf("boots in %u of the 4 runs in which it must not: not everything is verified",
                                         booted);
    }
}

gboolean policy_firmware_boot_proof(const char *firmware_path, const PolicyFirmwareBootOptions *options,
                                    PolicyFirmwareBootResult *out, GError **error)
{
    static const PolicyFirmwareBootOptions defaults = { 0 };
    static const PolicyBootCase first[] = { POLICY_BOOT_RIGHT_TABLE };
    static const PolicyBootCase others[] = { POLICY_BOOT_WRONG_KERNEL, POLICY_BOOT_WRONG_INITRD,
                                             POLICY_BOOT_WRONG_CMDLINE, POLICY_BOOT_NO_TABLE };
    g_auto(Proof) proof = { .options = options ? options : &defaults, .firmware = firmware_path, .initrd_fd = -1 };
    const char *program = proof.options->qemu ? proof.options->qemu : "qemu-system-x86_64";
    g_autofree gchar *qemu = g_find_program_in_path(program);

    if (!qemu) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "program '%s' was not found: install QEMU for x86", program);
        return FALSE;
    }
    proof.qemu = qemu;
    if (!proof_open(&proof, error))
        return FALSE;
    for (guint i = 0; i < POLICY_BOOT_CASES; i++)
        proof.result.runs[i].expected = i == POLICY_BOOT_RIGHT_TABLE ? POLICY_BOOT_BOOTED : POLICY_BOOT_HALTED;
    proof_open_loop(&proof);
    if (!proof_run(&proof, first, G_N_ELEMENTS(first), error))
        return FALSE;
    const PolicyFirmwareBootRun *right = &proof.result.runs[POLICY_BOOT_RIGHT_TABLE];
    if (right->outcome == POLICY_BOOT_UNDECIDED) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "QEMU cannot boot firmware '%s': %s", firmware_path,
                    right->detail ? right->detail : "it was killed");
        return FALSE;
    }
    if (right->outcome == POLICY_BOOT_BOOTED && !proof_run(&proof, others, G_N_ELEMENTS(others), error))
        return FALSE;
    proof_conclude(&proof);
    *out = proof.result;
    proof.result = (PolicyFirmwareBootResult){ 0 };
    return TRUE;
}
