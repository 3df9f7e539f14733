/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "corpus-fixture.h"
#include "measure/bytes.h"
#include "measure/error.h"
#include "storage/disk.h"
#include "storage/gpt.h"

#define KIB 1024u
#define MIB (1024u * 1024)

typedef struct {
    gchar *folder;
    GPtrArray *files;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
    fixture->folder = g_dir_make_tmp("virt-attest-disk-XXXXXX", NULL);
    fixture->files = g_ptr_array_new_with_free_func(g_free);
    g_assert_nonnull(fixture->folder);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    for (guint i = 0; i < fixture->files->len; i++) {
        g_unlink(g_ptr_array_index(fixture->files, i));
    }
    g_assert_cmpint(g_rmdir(fixture->folder), ==, 0);
    g_ptr_array_unref(fixture->files);
    g_free(fixture->folder);
}

/* A path inside the folder, which is removed at the end; owned by the fixture. */
static const char *file(Fixture *fixture, const char *name)
{
    gchar *path = g_build_filename(fixture->folder, name, NULL);
    g_ptr_array_add(fixture->files, path);
    return path;
}

/* Runs a program up to a NULL; its output is kept for a failure. */
static void run(const char *program, ...) G_GNUC_NULL_TERMINATED;

static void run(const char *program, ...)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    g_autofree gchar *out = NULL;
    g_autofree gchar *err = NULL;
    int status = 0;
    va_list arguments;
    va_start(arguments, program);
    for (const char *word = program; word; word = va_arg(arguments, const char *)) {
        g_ptr_array_add(argv, (gpointer)word);
    }
    va_end(arguments);
    g_ptr_array_add(argv, NULL);
    g_spawn_sync(NULL, (gchar **)argv->pdata, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err, &status, &error);
    g_assert_no_error(error);
    if (!g_spawn_check_wait_status(status, &error)) {
        g_error("%s: %s%s%s", program, error->message, out, err);
    }
}

static void write_at(const char *path, guint64 offset, const void *data, gsize size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(pwrite(fd, data, size, (off_t)offset), ==, size);
    close(fd);
}

static void fill_at(const char *path, guint64 offset, gsize size, guint8 value)
{
    g_autofree guint8 *data = g_malloc(size);
    memset(data, value, size);
    write_at(path, offset, data, size);
}

static void expect_extents(StorageDisk *disk, guint64 offset, guint64 length, const StorageExtent *expected, guint n)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) extents = storage_disk_extents(disk, offset, length, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(extents->len, ==, n);
    for (guint i = 0; i < n; i++) {
        const StorageExtent *got = &g_array_index(extents, StorageExtent, i);
        g_assert_cmpuint(got->offset, ==, expected[i].offset);
        g_assert_cmpuint(got->length, ==, expected[i].length);
        g_assert_cmpint(got->zero, ==, expected[i].zero);
        g_assert_cmpint(got->own, ==, expected[i].own);
    }
}

static void expect_bytes(StorageDisk *disk, guint64 offset, gsize size, guint8 value)
{
    g_autoptr(GError) error = NULL;
    g_autofree guint8 *data = g_malloc(size);
    memset(data, ~value, size);
    storage_disk_read(disk, offset, data, size, &error);
    g_assert_no_error(error);
    for (gsize i = 0; i < size; i++) {
        g_assert_cmpuint(data[i], ==, value);
    }
}

static StorageDisk *open_good(const char *path, StorageFormat format)
{
    g_autoptr(GError) error = NULL;
    StorageDisk *disk = storage_disk_open(path, format, &error);
    g_assert_no_error(error);
    g_assert_nonnull(disk);
    return disk;
}

static void expect_refused(const char *path, StorageFormat format, const char *words)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StorageDisk) disk = storage_disk_open(path, format, &error);
    g_assert_null(disk);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, words)) {
        g_error("'%s' does not say '%s'", error->message, words);
    }
    g_assert_null(strchr(error->message, '\n'));
}

static void test_raw(Fixture *fixture, gconstpointer data)
{
    const char *path = file(fixture, "disk.img");
    fill_at(path, 64 * KIB, 64 * KIB, 7);
    fill_at(path, 3 * MIB, 4 * KIB, 9);
    g_assert_cmpint(truncate(path, 5 * MIB + 100), ==, 0);
    g_autoptr(StorageDisk) disk = open_good(path, STORAGE_FORMAT_BY_NAME);
    const StorageExtent all[] = {
        {0, 64 * KIB, TRUE, TRUE},
        {64 * KIB, 64 * KIB, FALSE, TRUE},
        {128 * KIB, 3 * MIB - 128 * KIB, TRUE, TRUE},
        {3 * MIB, 4 * KIB, FALSE, TRUE},
        {3 * MIB + 4 * KIB, 2 * MIB - 4 * KIB + 100, TRUE, TRUE},
    };
    const StorageExtent inside[] = {{64 * KIB + 1, 10, FALSE, TRUE}};
    g_assert_cmpuint(storage_disk_size(disk), ==, 5 * MIB + 100);
    expect_extents(disk, 0, 5 * MIB + 100, all, G_N_ELEMENTS(all));
    expect_extents(disk, 64 * KIB + 1, 10, inside, 1);
    expect_extents(disk, 5 * MIB + 100, 0, NULL, 0);
    expect_bytes(disk, 0, 64 * KIB, 0);
    expect_bytes(disk, 64 * KIB, 64 * KIB, 7);
    expect_bytes(disk, 3 * MIB, 4 * KIB, 9);
    expect_bytes(disk, 5 * MIB, 100, 0);
}

static void test_range(Fixture *fixture, gconstpointer data)
{
    const char *path = file(fixture, "disk.img");
    guint8 byte;
    fill_at(path, 0, 4 * KIB, 1);
    g_autoptr(StorageDisk) disk = open_good(path, STORAGE_FORMAT_RAW);
    g_assert_false(storage_disk_read(disk, 4 * KIB, &byte, 1, NULL));
    g_assert_false(storage_disk_read(disk, G_MAXUINT64, &byte, 1, NULL));
    g_assert_null(storage_disk_extents(disk, 1, G_MAXUINT64, NULL));
    g_assert_null(storage_disk_extents(disk, 4 * KIB, 1, NULL));
    g_assert_cmpint(truncate(path, 2 * KIB), ==, 0);
    g_assert_false(storage_disk_read(disk, 3 * KIB, &byte, 1, NULL));
}

static void test_refused(Fixture *fixture, gconstpointer data)
{
    const char *path = file(fixture, "posing.img");
    const char *fifo = file(fixture, "fifo");
    write_at(path, 0, "QFI\xfb", 4);
    fill_at(path, 4096, 4096, 0);
    expect_refused(path, STORAGE_FORMAT_BY_NAME, "--format");
    g_autoptr(StorageDisk) disk = open_good(path, STORAGE_FORMAT_RAW);
    expect_bytes(disk, 4 * KIB, 4 * KIB, 0);
    expect_refused(path, STORAGE_FORMAT_QCOW2, "version of qcow2");
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    expect_refused(fifo, STORAGE_FORMAT_RAW, "neither");
    expect_refused(fifo, STORAGE_FORMAT_QCOW2, "neither");
    expect_refused(fixture->folder, STORAGE_FORMAT_RAW, "neither");
    expect_refused("/nonexistent/disk.img", STORAGE_FORMAT_RAW, "check the path");
    expect_refused("/nonexistent/disk.qcow2", STORAGE_FORMAT_BY_NAME, "check the path");
}

/* base (raw) <- middle <- top. Clusters are 64 KiB. */
static void test_chain(Fixture *fixture, gconstpointer data)
{
    const char *base = file(fixture, "base, with a comma.img");
    const char *middle = file(fixture, "middle.qcow2");
    const char *top = file(fixture, "top.qcow2");
    fill_at(base, MIB, MIB, 1);
    g_assert_cmpint(truncate(base, 8 * MIB), ==, 0);
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", middle, NULL);
    run("qemu-io", "-f", "qcow2", "-c", "write -P 2 4M 128k", middle, NULL);
    /* Relative to the folder of the overlay, larger than what it is based on. */
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "middle.qcow2", "-F", "qcow2", top, "10M", NULL);
    run("qemu-io", "-f", "qcow2", "-c", "write -P 3 64k 64k", "-c", "write -z 1M 64k", "-c", "write -P 0 6M 64k", top,
        NULL);
    g_autoptr(StorageDisk) disk = open_good(top, STORAGE_FORMAT_BY_NAME);
    const StorageExtent all[] = {
        {0, 64 * KIB, TRUE, FALSE},
        {64 * KIB, 64 * KIB, FALSE, TRUE},
        {128 * KIB, MIB - 128 * KIB, TRUE, FALSE},
        {MIB, 64 * KIB, TRUE, TRUE},
        {MIB + 64 * KIB, MIB - 64 * KIB, FALSE, FALSE},
        {2 * MIB, 2 * MIB, TRUE, FALSE},
        {4 * MIB, 128 * KIB, FALSE, FALSE},
        {4 * MIB + 128 * KIB, 2 * MIB - 128 * KIB, TRUE, FALSE},
        {6 * MIB, 64 * KIB, FALSE, TRUE},
        {6 * MIB + 64 * KIB, 4 * MIB - 64 * KIB, TRUE, FALSE},
    };
    g_assert_cmpuint(storage_disk_size(disk), ==, 10 * MIB);
    expect_extents(disk, 0, 10 * MIB, all, G_N_ELEMENTS(all));
    expect_bytes(disk, 0, 64 * KIB, 0);
    expect_bytes(disk, 64 * KIB, 64 * KIB, 3);
    expect_bytes(disk, MIB, 64 * KIB, 0);
    expect_bytes(disk, MIB + 64 * KIB, MIB - 64 * KIB, 1);
    expect_bytes(disk, 4 * MIB, 128 * KIB, 2);
    expect_bytes(disk, 6 * MIB, 4 * MIB, 0);
    /* An image without a backing file holds everything itself, its holes too. */
    const char *alone = file(fixture, "alone.qcow2");
    run("qemu-img", "convert", "-O", "qcow2", "-f", "raw", base, alone, NULL);
    g_autoptr(StorageDisk) single = open_good(alone, STORAGE_FORMAT_QCOW2);
    const StorageExtent own[] = {{0, MIB, TRUE, TRUE}, {MIB, MIB, FALSE, TRUE}, {2 * MIB, 6 * MIB, TRUE, TRUE}};
    expect_extents(single, 0, 8 * MIB, own, G_N_ELEMENTS(own));
}

static gpointer read_much(gpointer user_data)
{
    for (guint i = 0; i < 50; i++) {
        expect_bytes(user_data, i * 64 * KIB, 64 * KIB, 5);
    }
    return NULL;
}

static void test_threads(Fixture *fixture, gconstpointer data)
{
    const char *path = file(fixture, "disk.qcow2");
    GThread *threads[12];
    run("qemu-img", "create", "-q", "-f", "qcow2", path, "4M", NULL);
    run("qemu-io", "-f", "qcow2", "-c", "write -P 5 0 4M", path, NULL);
    g_autoptr(StorageDisk) disk = open_good(path, STORAGE_FORMAT_BY_NAME);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        threads[i] = g_thread_new("read", read_much, disk);
    }
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        g_thread_join(threads[i]);
    }
}

static void test_bad_chain(Fixture *fixture, gconstpointer data)
{
    const char *base = file(fixture, "base.img");
    const char *base2 = file(fixture, "base2.qcow2");
    const char *top = file(fixture, "top.qcow2");
    fill_at(base, 0, MIB, 1);
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", top, NULL);
    g_assert_cmpint(g_unlink(base), ==, 0);
    expect_refused(top, STORAGE_FORMAT_QCOW2, "backing file of");
    /* The backing file poses as something else than stated: nothing of it is followed. */
    fill_at(base, 0, MIB, 0);
    run("qemu-img", "create", "-q", "-f", "qcow2", base2, "1M", NULL);
    run("qemu-img", "rebase", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base, top, NULL);
    expect_refused(top, STORAGE_FORMAT_QCOW2, "not a qcow2 image");
    run("qemu-img", "rebase", "-q", "-u", "-f", "qcow2", "-F", "vmdk", "-b", base, top, NULL);
    expect_refused(top, STORAGE_FORMAT_QCOW2, "neither qcow2 nor raw");
    run("qemu-img", "rebase", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", "nbd:unix:/x", top, NULL);
    expect_refused(top, STORAGE_FORMAT_QCOW2, "not a plain file");
    run("qemu-img", "rebase", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", top, top, NULL);
    expect_refused(top, STORAGE_FORMAT_QCOW2, "more than");
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", "data_file_raw=on,data_file=base.img", top, "1M", NULL);
    expect_refused(top, STORAGE_FORMAT_QCOW2, "another file");
    run("qemu-img", "create", "-q", "-f", "qcow2", top, "1M", NULL);
    g_assert_cmpint(truncate(top, 50), ==, 0);
    expect_refused(top, STORAGE_FORMAT_QCOW2, "too short");
}

/* The header extension that states the format of the backing file, taken out. */
static void test_format_not_stated(Fixture *fixture, gconstpointer data)
{
    const char *base = file(fixture, "base.img");
    const char *top = file(fixture, "top.qcow2");
    g_autofree gchar *bytes = NULL;
    gsize size = 0;
    fill_at(base, 0, MIB, 1);
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", top, NULL);
    g_assert_true(g_file_get_contents(top, &bytes, &size, NULL));
    guint8 *extension = memmem(bytes, size, "\xe2\x79\x2a\xca", 4);
    g_assert_nonnull(extension);
    write_at(top, (guint64)(extension - (guint8 *)bytes), "\x12\x34\x56\x78", 4);
    expect_refused(top, STORAGE_FORMAT_QCOW2, "not stated");
}

/* Whether a server greets at the socket. qemu-nbd listens before it has opened its image, but greets only afterwards. */
static gboolean greets(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char greeting[8];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    gboolean good;

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpuint(g_strlcpy(address.sun_path, path, sizeof(address.sun_path)), <, sizeof(address.sun_path));
    good = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
           recv(fd, greeting, sizeof(greeting), MSG_WAITALL) == sizeof(greeting) && !memcmp(greeting, "NBDMAGIC", 8);
    close(fd);
    return good;
}

/* qemu-nbd that may write, as a running domain does; returns when it holds its locks. */
static GPid start_writer(const char *path, const char *format, const char *socket)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *socket_option = g_strconcat("--socket=", socket, NULL);
    g_autofree gchar *format_option = g_strconcat("--format=", format, NULL);
    const gchar *argv[] = {"qemu-nbd", "--persistent", socket_option, format_option, path, NULL};
    GPid pid = 0;
    g_spawn_async(NULL, (gchar **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid,
                  &error);
    g_assert_no_error(error);
    for (guint i = 0; !greets(socket); i++) {
        g_assert_cmpuint(i, <, 12000);
        g_usleep(10000);
    }
    return pid;
}

static void stop_writer(GPid pid, const char *socket)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    g_assert_cmpint(g_unlink(socket), ==, 0);
}

static void test_busy(Fixture *fixture, gconstpointer data)
{
    const char *raw = file(fixture, "disk.img");
    const char *qcow2 = file(fixture, "disk.qcow2");
    const char *top = file(fixture, "top.qcow2");
    const char *socket = file(fixture, "socket");
    fill_at(raw, 0, MIB, 1);
    run("qemu-img", "create", "-q", "-f", "qcow2", qcow2, "1M", NULL);
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", top, NULL);
    GPid writer = start_writer(raw, "raw", socket);
    expect_refused(raw, STORAGE_FORMAT_RAW, "in use by a writer");
    expect_refused(top, STORAGE_FORMAT_QCOW2, "in use by a writer");
    stop_writer(writer, socket);
    writer = start_writer(qcow2, "qcow2", socket);
    expect_refused(qcow2, STORAGE_FORMAT_QCOW2, "in use by a writer");
    stop_writer(writer, socket);
    /* Somebody writes an overlay: what it is based on can be read by all. */
    writer = start_writer(top, "qcow2", socket);
    g_autoptr(StorageDisk) base = open_good(raw, STORAGE_FORMAT_RAW);
    expect_bytes(base, 0, 4 * KIB, 1);
    stop_writer(writer, socket);
}

/* While we read, no writer may start. */
static void test_keeps_writers_out(Fixture *fixture, gconstpointer data)
{
    const char *paths[] = {file(fixture, "disk.img"), file(fixture, "disk.qcow2")};
    const char *formats[] = {"raw", "qcow2"};
    fill_at(paths[0], 0, MIB, 1);
    run("qemu-img", "create", "-q", "-f", "qcow2", paths[1], "1M", NULL);
    for (guint i = 0; i < 2; i++) {
        g_autoptr(StorageDisk) disk = open_good(paths[i], STORAGE_FORMAT_BY_NAME);
        const gchar *argv[] = {"qemu-io", "-f", formats[i], "-c", "write 0 4k", paths[i], NULL};
        g_autofree gchar *err = NULL;
        int status = 0;
        g_assert_true(
            g_spawn_sync(NULL, (gchar **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &err, &status, NULL));
        g_assert_false(g_spawn_check_wait_status(status, NULL));
        g_assert_nonnull(strstr(err, "lock"));
        /* Another reader may. */
        g_autoptr(StorageDisk) second = open_good(paths[i], STORAGE_FORMAT_BY_NAME);
        g_clear_pointer(&disk, storage_disk_free);
        g_clear_pointer(&second, storage_disk_free);
        run("qemu-io", "-f", formats[i], "-c", "write 0 4k", paths[i], NULL);
    }
}

static void test_no_qemu_nbd(Fixture *fixture, gconstpointer data)
{
    const char *path = file(fixture, "disk.qcow2");
    g_autofree gchar *saved = g_strdup(g_getenv("PATH"));
    g_autoptr(GError) error = NULL;
    run("qemu-img", "create", "-q", "-f", "qcow2", path, "1M", NULL);
    g_setenv("PATH", "/nonexistent", TRUE);
    g_assert_null(storage_disk_open(path, STORAGE_FORMAT_QCOW2, &error));
    g_setenv("PATH", saved, TRUE);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED);
}

/* --- partitions ------------------------------------------------------------------------------------------------- */

/* Made by sfdisk: 1 at 1 MiB (2 MiB), 2 at 3 MiB (4 MiB), 5 at 7 MiB up to the last usable sector. */
static void make_gpt(const char *path)
{
    const gchar *argv[] = {"sfdisk", "--quiet", path, NULL};
    static const char script[] =
        "label: gpt\n1: start=2048, size=4096\n2: start=6144, size=8192\n5: start=14336, size=16384\n";
    g_autoptr(GError) error = NULL;
    gint in = -1;
    GPid pid = 0;
    int status = 0;
    fill_at(path, 0, 4096, 0);
    g_assert_cmpint(truncate(path, 16 * MIB), ==, 0);
    g_spawn_async_with_pipes(NULL, (gchar **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                             &pid, &in, NULL, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpint(write(in, script, strlen(script)), ==, strlen(script));
    close(in);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
}

static gboolean find(const char *path, guint number, guint64 *offset, guint64 *length, GError **error)
{
    g_autoptr(StorageDisk) disk = open_good(path, STORAGE_FORMAT_RAW);
    return storage_disk_partition(disk, number, offset, length, error);
}

static void expect_partition(const char *path, guint number, guint64 offset, guint64 length)
{
    guint64 got_offset = 0, got_length = 0;
    g_autoptr(GError) error = NULL;
    find(path, number, &got_offset, &got_length, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(got_offset, ==, offset);
    g_assert_cmpuint(got_length, ==, length);
}

static void expect_no_partition(const char *path, guint number, const char *words)
{
    guint64 offset = 0, length = 0;
    g_autoptr(GError) error = NULL;
    g_assert_false(find(path, number, &offset, &length, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, words)) {
        g_error("'%s' does not say '%s'", error->message, words);
    }
}

static void test_gpt(Fixture *fixture, gconstpointer data)
{
    const char *path = file(fixture, "disk.img");
    make_gpt(path);
    expect_partition(path, 0, 0, 16 * MIB);
    expect_partition(path, 1, MIB, 2 * MIB);
    expect_partition(path, 2, 3 * MIB, 4 * MIB);
    expect_partition(path, 5, 7 * MIB, 8 * MIB);
    expect_no_partition(path, 3, "no partition 3");
    expect_no_partition(path, 128, "no partition 128");
    guint64 offset = 0, length = 0;
    g_autoptr(GError) error = NULL;
    g_assert_false(find(path, 129, &offset, &length, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
}

/* Writes @size bytes of @value at @at of the header (sector 1) or of an entry (sector 2 on), checksums put right. */
static void patch(const char *path, gboolean entry, gsize at, guint64 value, gsize size)
{
    g_autofree gchar *text = NULL;
    gsize length = 0;
    guint8 bytes[8];
    g_assert_true(g_file_get_contents(path, &text, &length, NULL));
    guint8 *disk = (guint8 *)text;
    measure_put_u64(bytes, value);
    memcpy(disk + (entry ? 1024 : 512) + at, bytes, size);
    measure_put_u32(disk + 512 + 88, (guint32)crc32(0, disk + 1024, 128 * 128));
    measure_put_u32(disk + 512 + 16, 0);
    measure_put_u32(disk + 512 + 16, (guint32)crc32(0, disk + 512, 92));
    if (!entry && at == 88) {
        memcpy(disk + 512 + 88, bytes, size);
        measure_put_u32(disk + 512 + 16, 0);
        measure_put_u32(disk + 512 + 16, (guint32)crc32(0, disk + 512, 92));
    }
    write_at(path, 0, disk, 64 * KIB);
}

static void test_bad_gpt(Fixture *fixture, gconstpointer data)
{
    static const struct {
        gboolean entry;
        gsize at;
        guint64 value;
        gsize size;
        const char *words;
    } cases[] = {
        {FALSE, 0, 0, 1, "no GUID partition table"},
        {FALSE, 12, 91, 4, "header of 91"},
        {FALSE, 12, 513, 4, "header of 513"},
        {FALSE, 12, G_MAXUINT32, 4, "header of"},
        {FALSE, 24, 2, 8, "belongs to sector 2"},
        {FALSE, 40, 40000, 8, "larger disk"},
        {FALSE, 48, 32768, 8, "larger disk"},
        {FALSE, 48, G_MAXUINT64, 8, "larger disk"},
        {FALSE, 72, 1, 8, "outside the disk"},
        {FALSE, 72, 32767, 8, "outside the disk"},
        {FALSE, 72, G_MAXUINT64, 8, "outside the disk"},
        {FALSE, 72, (G_GUINT64_CONSTANT(1) << 55) + 2, 8, "outside the disk"},
        {FALSE, 80, 0, 4, "entries of"},
        {FALSE, 80, G_MAXUINT32, 4, "entries of"},
        {FALSE, 84, 127, 4, "entries of"},
        {FALSE, 84, 0, 4, "entries of"},
        {FALSE, 84, G_MAXUINT32, 4, "entries of"},
        {FALSE, 88, 1, 4, "entries' checksum"},
        {TRUE, 128 + 32, 20000, 8, "not possible"},
        {TRUE, 128 + 32, 33, 8, "not possible"},
        {TRUE, 128 + 40, 40000, 8, "not possible"},
        {TRUE, 128 + 40, G_MAXUINT64, 8, "not possible"},
        {TRUE, 128 + 32, 6143, 8, "partitions 2 and 1 overlap"},
        {TRUE, 4 * 128 + 32, 14335, 8, "partitions 2 and 5 overlap"},
    };
    const char *path = file(fixture, "disk.img");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        make_gpt(path);
        patch(path, FALSE, 0, 0x5452415020494645, 8); /* changes nothing: the checksums of this test are right */
        expect_partition(path, 2, 3 * MIB, 4 * MIB);
        patch(path, cases[i].entry, cases[i].at, cases[i].value, cases[i].size);
        expect_no_partition(path, 2, cases[i].words);
    }
    make_gpt(path);
    fill_at(path, 512 + 16, 4, 0xff);
    expect_no_partition(path, 2, "header's checksum");
    make_gpt(path);
    fill_at(path, 1024 + 200, 1, 0xff);
    expect_no_partition(path, 2, "entries' checksum");
    make_gpt(path);
    fill_at(path, 446 + 4, 1, 0x83);
    expect_no_partition(path, 2, "MBR");
    make_gpt(path);
    fill_at(path, 510, 2, 0);
    expect_no_partition(path, 2, "no partition table");
    make_gpt(path);
    g_assert_cmpint(truncate(path, 8 * MIB), ==, 0);
    expect_no_partition(path, 2, "cut off");
    g_assert_cmpint(truncate(path, 100), ==, 0);
    expect_no_partition(path, 2, "too short");
}

static gboolean read_memory(gpointer user_data, guint64 offset, void *out, gsize size, GError **error)
{
    const MeasureBytes *disk = user_data;
    g_assert_true(offset <= disk->size && size <= disk->size - offset);
    memcpy(out, disk->data + offset, size);
    return TRUE;
}

static gboolean find_second(const char *text, gsize size, gpointer user_data, GError **error)
{
    MeasureBytes disk = {(const guint8 *)text, size};
    guint64 offset = 0, length = 0;
    return storage_gpt_find(read_memory, &disk, size, 2, &offset, &length, error);
}

static void test_gpt_corpus(Fixture *fixture, gconstpointer data)
{
    corpus_walk("gpt", find_second, NULL);
}

#define ADD(path, function) g_test_add(path, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/disk/raw", test_raw);
    ADD("/disk/range", test_range);
    ADD("/disk/refused", test_refused);
    ADD("/disk/chain", test_chain);
    ADD("/disk/threads", test_threads);
    ADD("/disk/bad-chain", test_bad_chain);
    ADD("/disk/format-not-stated", test_format_not_stated);
    ADD("/disk/busy", test_busy);
    ADD("/disk/keeps-writers-out", test_keeps_writers_out);
    ADD("/disk/no-qemu-nbd", test_no_qemu_nbd);
    ADD("/disk/gpt", test_gpt);
    ADD("/disk/bad-gpt", test_bad_gpt);
    ADD("/disk/gpt-corpus", test_gpt_corpus);
    return g_test_run();
}
