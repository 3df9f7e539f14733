/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What firmware builds do with the kernel-hash table: Debian's real ones under emulation, and the conclusions with a
 * stand-in for QEMU that behaves in a chosen way.
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure/error.h"
#include "policy/firmware-boot.h"

#define AMDSEV "/usr/share/ovmf/OVMF.amdsev.fd"
#define GENERIC "/usr/share/ovmf/OVMF.fd"
#define PROVE "--prove" /* see prove_and_exit() */

typedef struct {
    gchar *folder;
    gchar *kernel;
    gchar *qemu;
    gchar *firmware;
} Stage;

static void progress(const char *text, gpointer user_data)
{
    GString *lines = user_data;
    g_test_message("%s", text);
    if (lines)
        g_string_append_printf(lines, "%s\n", text);
}

static void write_file(const char *path, const void *data, gsize size, int mode)
{
    g_autoptr(GError) error = NULL;
    g_file_set_contents_full(path, data, (gssize)size, G_FILE_SET_CONTENTS_NONE, mode, &error);
    g_assert_no_error(error);
}

static void put_u16(GByteArray *to, guint value)
{
    guint8 bytes[] = { (guint8)value, (guint8)(value >> 8) };
    g_byte_array_append(to, bytes, sizeof bytes);
}

static void put_u32(GByteArray *to, guint32 value)
{
    put_u16(to, value & 0xffff);
    put_u16(to, value >> 16);
}

/*
 * The end of a firmware file: a footer table that names a hash area at @base (each entry is data, length, GUID), and 32
 * bytes of reset vector.
 */
static void write_firmware(const char *path, guint32 base, guint32 size)
{
    static const guint8 hash_area[] = { 0x1f, 0x37, 0x55, 0x72, 0x3b, 0x3a, 0x04, 0x4b,
                                        0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54 };
    static const guint8 footer[] = { 0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45,
                                     0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d };
    g_autoptr(GByteArray) file = g_byte_array_new();
    g_byte_array_set_size(file, 65536 - 32 - 18 - 26);
    memset(file->data, 0, file->len);
    put_u32(file, base);
    put_u32(file, size);
    put_u16(file, 26);
    g_byte_array_append(file, hash_area, 16);
    put_u16(file, 26 + 18);
    g_byte_array_append(file, footer, 16);
    for (int i = 0; i < 8; i++)
        put_u32(file, 0);
    g_assert_cmpuint(file->len, ==, 65536);
    write_file(path, file->data, file->len, 0600);
}

static void stage_set_up(Stage *stage, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    stage->folder = g_dir_make_tmp("firmware-boot-XXXXXX", &error);
    g_assert_no_error(error);
    stage->kernel = g_build_filename(stage->folder, "kernel", NULL);
    write_file(stage->kernel, "kernel bytes", 12, 0600);
    stage->qemu = g_build_filename(stage->folder, "qemu", NULL);
    stage->firmware = g_build_filename(stage->folder, "firmware", NULL);
    write_firmware(stage->firmware, 0x810c00, 0x400);
}

static void stage_tear_down(Stage *stage, gconstpointer data)
{
    g_autoptr(GDir) dir = g_dir_open(stage->folder, 0, NULL);
    for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
        g_autofree gchar *path = g_build_filename(stage->folder, name, NULL);
        g_assert_cmpint(g_unlink(path), ==, 0);
    }
    g_assert_cmpint(g_rmdir(stage->folder), ==, 0);
    g_free(stage->folder);
    g_free(stage->kernel);
    g_free(stage->qemu);
    g_free(stage->firmware);
}

/* A program in QEMU's place: it knows $append, $table (empty: none) and $folder, and does @body. */
static void write_qemu(const Stage *stage, const char *body)
{
    g_autofree gchar *script = g_strdup_printf(
        "#!/bin/sh\n"
        "folder='%s'; append=; table=\n"
        "while [ $# -gt 0 ]; do\n"
        "    case $1 in\n"
        "        -append) append=$2 ;;\n"
        "        -device) table=${2#loader,file=}; table=${table%%%%,*} ;;\n"
        "    esac\n"
        "    shift\n"
        "done\n"
        "boot() {\n"
        "    printf '\\033[2J\\r\\nLinux version 6.1\\r\\nCommand line: %%s\\r\\n' \"$append\"\n"
        "    exec sleep 600\n"
        "}\n"
        "halt() { echo 'No bootable option'; exec sleep 600; }\n"
        "%s\n", stage->folder, body);
    write_file(stage->qemu, script, strlen(script), 0700);
}

static gboolean prove(const Stage *stage, guint timeout, PolicyFirmwareBootResult *result, GError **error)
{
    PolicyFirmwareBootOptions options = {
        .qemu = stage->qemu, .kernel = stage->kernel, .timeout = timeout, .progress = progress };
    return policy_firmware_boot_proof(stage->firmware, &options, result, error);
}

/* @outcomes: a letter for each run: b(ooted), h(alted), u(ndecided). */
static void expect(const PolicyFirmwareBootResult *result, const char *outcomes, PolicyBootVerdict verdict)
{
    g_test_message("%s: %s", policy_boot_verdict_name(result->verdict), result->reason);
    for (guint i = 0; i < POLICY_BOOT_CASES; i++) {
        gchar letter[] = { policy_boot_outcome_name(result->runs[i].outcome)[0], '\0' };
        gchar wanted[] = { outcomes[i], '\0' };
        g_test_message("%s: %s", policy_boot_case_name(i), result->runs[i].detail ? result->runs[i].detail : "");
        g_assert_cmpstr(letter, ==, wanted);
        g_assert_cmpint(result->runs[i].expected, ==, i == 0 ? POLICY_BOOT_BOOTED : POLICY_BOOT_HALTED);
    }
    g_assert_cmpint(result->verdict, ==, verdict);
    g_assert_nonnull(result->reason);
}

/* --- conclusions */

static void test_boots_all(Stage *stage, gconstpointer data)
{
    g_auto(PolicyFirmwareBootResult) result = { 0 };
    g_autoptr(GError) error = NULL;
    write_qemu(stage, "boot");
    g_assert_true(prove(stage, 0, &result, &error));
    expect(&result, "bbbbb", POLICY_BOOT_VERDICT_NOTHING);
    g_assert_cmpstr(result.kernel, ==, stage->kernel);
}

static void test_boots_any_table(Stage *stage, gconstpointer data)
{
    g_auto(PolicyFirmwareBootResult) result = { 0 };
    g_autoptr(GError) error = NULL;
    write_qemu(stage, "[ -n \"$table\" ] && boot; halt");
    g_assert_true(prove(stage, 0, &result, &error));
    expect(&result, "bbbbh", POLICY_BOOT_VERDICT_PARTLY);
    g_assert_cmpstr(result.runs[POLICY_BOOT_NO_TABLE].detail, ==, "No bootable option");
}

/* The table that is handed over, against digests made by another library. */
static void test_tables(Stage *stage, gconstpointer data)
{
    g_auto(PolicyFirmwareBootResult) result = { 0 };
    g_autoptr(GError) error = NULL;
    /* The kernel "boots" with the first table only; each table and the command line are kept. */
    write_qemu(stage, "[ -n \"$table\" ] || halt\n"
                      "printf %s \"$append\" >\"$folder/append\"\n"
                      "name=$(sha256sum <\"$table\" | cut -c1-16)\n"
                      "cat \"$table\" >\"$folder/table-$name\"\n"
                      "if [ ! -e \"$folder/first\" ]; then cp \"$folder/table-$name\" \"$folder/first\"; boot; fi\n"
                      "halt");
    g_assert_true(prove(stage, 0, &result, &error));
    expect(&result, "bhhhh", POLICY_BOOT_VERDICT_WORKS);

    g_autofree gchar *append_path = g_build_filename(stage->folder, "append", NULL);
    g_autofree gchar *append = NULL;
    g_file_get_contents(append_path, &append, NULL, &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(append, "console=ttyS0"));
    g_autofree gchar *first_path = g_build_filename(stage->folder, "first", NULL);
    g_autofree gchar *first = NULL;
    gsize size = 0;
    g_file_get_contents(first_path, &first, &size, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(size, ==, 176);
    g_autofree gchar *cmdline_sha256 =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)append, strlen(append) + 1);
    g_autofree gchar *kernel_sha256 = g_compute_checksum_for_string(G_CHECKSUM_SHA256, "kernel bytes", 12);
    g_autoptr(GString) hex = g_string_new(NULL);
    for (gsize i = 0; i < size; i++)
        g_string_append_printf(hex, "%02x", (guint8)first[i]);
    g_assert_cmpint(memcmp(hex->str + 2 * 36, cmdline_sha256, 64), ==, 0);
    g_assert_cmpint(memcmp(hex->str + 2 * 136, kernel_sha256, 64), ==, 0);

    /* The others differ from it in one byte each: the first of the command line's, the initrd's, the kernel's. */
    g_autoptr(GDir) dir = g_dir_open(stage->folder, 0, NULL);
    guint offsets = 0, count = 0;
    for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
        if (!g_str_has_prefix(name, "table-"))
            continue;
        g_autofree gchar *path = g_build_filename(stage->folder, name, NULL);
        g_autofree gchar *table = NULL;
        g_file_get_contents(path, &table, &size, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(size, ==, 176);
        count++;
        for (guint i = 0; i < size; i++) {
            if (table[i] != first[i])
                offsets += i;
        }
    }
    g_assert_cmpuint(count, ==, 4);
    g_assert_cmpuint(offsets, ==, 36 + 86 + 136);
}

/* The token alone, or a version alone, is no kernel. */
static void test_no_kernel(Stage *stage, gconstpointer data)
{
    static const char *const bodies[] = {
        "echo \"$append\"; exec sleep 600",
        "echo \"$append\"; echo 'Linux version 6.1'; exec sleep 600",
        "echo 'Linux version 6.1'; echo 'Command line: console=ttyS0'; exec sleep 600",
        "exit 0",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(bodies); i++) {
        g_auto(PolicyFirmwareBootResult) result = { 0 };
        g_autoptr(GError) error = NULL;
        write_qemu(stage, bodies[i]);
        g_assert_true(prove(stage, 1, &result, &error));
        expect(&result, "huuuu", POLICY_BOOT_VERDICT_UNDECIDED);
    }
}

static void test_failing_emulator(Stage *stage, gconstpointer data)
{
    g_auto(PolicyFirmwareBootResult) result = { 0 };
    g_autoptr(GError) error = NULL;
    write_qemu(stage, "echo 'first' >&2; echo 'could not load PC BIOS' >&2; exit 1");
    g_assert_false(prove(stage, 0, &result, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_assert_nonnull(strstr(error->message, "could not load PC BIOS"));

    /* Only later: the other runs say nothing then. */
    g_clear_error(&error);
    write_qemu(stage, "[ -e \"$folder/first\" ] && exit 1; : >\"$folder/first\"; boot");
    g_assert_true(prove(stage, 0, &result, &error));
    expect(&result, "buuuu", POLICY_BOOT_VERDICT_UNDECIDED);
}

static void test_bad_input(Stage *stage, gconstpointer data)
{
    g_auto(PolicyFirmwareBootResult) result = { 0 };
    PolicyFirmwareBootOptions options = { .qemu = "/nonexistent/qemu", .kernel = stage->kernel };
    g_autoptr(GError) error = NULL;
    g_assert_false(policy_firmware_boot_proof(stage->firmware, &options, &result, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED);
    g_clear_error(&error);

    write_qemu(stage, "boot");
    options.qemu = stage->qemu;
    g_assert_false(policy_firmware_boot_proof("/nonexistent/firmware", &options, &result, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_clear_error(&error);

    options.kernel = "/nonexistent/kernel";
    g_assert_false(policy_firmware_boot_proof(stage->firmware, &options, &result, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_clear_error(&error);
    options.kernel = stage->kernel;

    options.initrd = "/nonexistent/initrd";
    g_assert_false(policy_firmware_boot_proof(stage->firmware, &options, &result, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_clear_error(&error);
    options.initrd = NULL;

    /* No hash area, and one that is too small. */
    static const guint32 areas[][2] = { { 0, 0 }, { 0x810c00, 0xaf } };
    for (gsize i = 0; i < G_N_ELEMENTS(areas); i++) {
        write_firmware(stage->firmware, areas[i][0], areas[i][1]);
        g_assert_false(policy_firmware_boot_proof(stage->firmware, &options, &result, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        g_test_message("%s", error->message);
        g_clear_error(&error);
    }
    g_assert_null(result.reason);
}

/* --- no guest outlives the program */

/* What this program does as a child of its own: the proof, and its error as exit code. */
static int prove_and_exit(char **argv)
{
    PolicyFirmwareBootOptions options = { .qemu = argv[2], .kernel = argv[3] };
    g_auto(PolicyFirmwareBootResult) result = { 0 };
    g_autoptr(GError) error = NULL;
    gboolean done = policy_firmware_boot_proof(argv[4], &options, &result, &error);
    return done ? 0 : error->code;
}

static gboolean wait_for(const char *path)
{
    for (int i = 0; i < 300 && !g_file_test(path, G_FILE_TEST_EXISTS); i++)
        g_usleep(G_USEC_PER_SEC / 10);
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* Whether the process is gone within 10 s; one that nobody has waited for yet counts as gone. */
static gboolean is_gone(const char *pid)
{
    g_autofree gchar *path = g_build_filename("/proc", pid, "stat", NULL);
    for (int i = 0; i < 100; i++) {
        g_autofree gchar *stat = NULL;
        if (!g_file_get_contents(path, &stat, NULL, NULL) || strstr(stat, ") Z "))
            return TRUE;
        g_usleep(G_USEC_PER_SEC / 10);
    }
    return FALSE;
}

static void test_ended(Stage *stage, gconstpointer data)
{
    int signal_number = GPOINTER_TO_INT(data);
    g_autofree gchar *pid_path = g_build_filename(stage->folder, "pid", NULL);
    /* A wrapper that stays: both it and its child have to go, but only the whole group's signal reaches the child. */
    write_qemu(stage, signal_number == SIGKILL
                          ? "echo $$ >\"$folder/part\"; mv \"$folder/part\" \"$folder/pid\"; exec sleep 600"
                          : "sleep 600 & echo $! >\"$folder/part\"; mv \"$folder/part\" \"$folder/pid\"; wait");
    const char *argv[] = { "/proc/self/exe", PROVE, stage->qemu, stage->kernel, stage->firmware, NULL };
    g_autoptr(GError) error = NULL;
    GPid child = 0;
    g_spawn_async(NULL, (gchar **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &child, &error);
    g_assert_no_error(error);
    g_assert_true(wait_for(pid_path));
    g_autofree gchar *pid = NULL;
    g_assert_true(g_file_get_contents(pid_path, &pid, NULL, NULL));
    g_strstrip(pid);
    g_assert_cmpint(kill(child, signal_number), ==, 0);
    int status = 0;
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    if (signal_number == SIGKILL) {
        g_assert_true(WIFSIGNALED(status));
    } else {
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, ATTEST_ERROR_UNREADABLE);
    }
    g_assert_true(is_gone(pid));
}

/* --- real firmware */

typedef struct {
    const char *path;
    const char *outcomes;
    PolicyBootVerdict verdict;
} Real;

static const Real real[] = {
    { AMDSEV, "bhhhh", POLICY_BOOT_VERDICT_WORKS },
    { GENERIC, "bbbbb", POLICY_BOOT_VERDICT_NOTHING },
};

static void test_real(gconstpointer data)
{
    const Real *firmware = data;
    g_autofree gchar *qemu = g_find_program_in_path("qemu-system-x86_64");
    if (!qemu || !g_file_test(firmware->path, G_FILE_TEST_EXISTS)) {
        g_test_skip("needs qemu-system-x86_64 and Debian's ovmf-amdsev and ovmf");
        return;
    }
    g_auto(PolicyFirmwareBootResult) result = { 0 };
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    PolicyFirmwareBootOptions options = { .progress = progress, .progress_data = lines };
    gint64 start = g_get_monotonic_time();
    gboolean done = policy_firmware_boot_proof(firmware->path, &options, &result, &error);
    if (g_error_matches(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED)) {
        g_test_skip(error->message);
        return;
    }
    g_assert_no_error(error);
    g_assert_true(done);
    g_test_message("%s in %.1f s with %s", firmware->path,
                   (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC, result.kernel);
    expect(&result, firmware->outcomes, firmware->verdict);
    g_auto(GStrv) told = g_strsplit(lines->str, "\n", -1);
    g_assert_cmpuint(g_strv_length(told), ==, POLICY_BOOT_CASES + 1);
    g_assert_true(g_str_has_prefix(told[0], "right table: booted after "));
}

static void add(const char *name, gconstpointer data, void (*function)(Stage *, gconstpointer))
{
    g_autofree gchar *path = g_strdup_printf("/firmware-boot/%s", name);
    g_test_add(path, Stage, data, stage_set_up, function, stage_tear_down);
}

int main(int argc, char **argv)
{
    if (argc == 5 && g_str_equal(argv[1], PROVE))
        return prove_and_exit(argv);
    /* Who starts the tests in the background may make them ignore these, and what is ignored stays so. */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    g_test_init(&argc, &argv, NULL);
    add("boots-all", NULL, test_boots_all);
    add("boots-any-table", NULL, test_boots_any_table);
    add("tables", NULL, test_tables);
    add("no-kernel", NULL, test_no_kernel);
    add("failing-emulator", NULL, test_failing_emulator);
    add("bad-input", NULL, test_bad_input);
    add("ended/int", GINT_TO_POINTER(SIGINT), test_ended);
    add("ended/term", GINT_TO_POINTER(SIGTERM), test_ended);
    add("ended/kill", GINT_TO_POINTER(SIGKILL), test_ended);
    for (gsize i = 0; i < G_N_ELEMENTS(real); i++) {
        g_autofree gchar *name = g_path_get_basename(real[i].path);
        g_autofree gchar *path = g_strdup_printf("/firmware-boot/real/%s", name);
        g_test_add_data_func(path, &real[i], test_real);
    }
    return g_test_run();
}
