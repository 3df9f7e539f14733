/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives: what is taken, what is refused and how, and what is written. */
#include "tests/unit/archive-fixture.h"

#include <sys/stat.h>
#include <zlib.h>

#include "measure/error.h"

static gchar *folder;

static gboolean unpack(gconstpointer data, gsize size, const StorageArchiveMember *members, StorageArchiveFlags flags,
                       GError **error)
{
    int fd = archive_memory(data, size), folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    gboolean good = storage_archive_unpack_fd(fd, "a\nb.tar", members, flags, folder_fd, error);

    g_assert_cmpint(good, ==, !error || !*error);
    close(folder_fd);
    close(fd);
    return good;
}

static void assert_content(const char *name, gconstpointer data, gsize size)
{
    g_autofree gchar *path = g_build_filename(folder, name, NULL);
    g_autofree gchar *found = NULL;
    gsize found_size = 0;
    struct stat st;

    g_assert_cmpint(lstat(path, &st), ==, 0);
    g_assert_cmphex(st.st_mode, ==, S_IFREG | 0600);
    g_assert_true(g_file_get_contents(path, &found, &found_size, NULL));
    g_assert_cmpuint(found_size, ==, size);
    g_assert_true(!size || !memcmp(found, data, size));
}

/* Which of the three errors a file of the corpus must give: 0 for none. */
static int expected_code(const char *file, StorageArchiveFlags flags)
{
    if (g_str_has_prefix(file, "absolute-"))
        return flags & STORAGE_ARCHIVE_ABSOLUTE_NAMES ? 0 : ATTEST_ERROR_REJECTED;
    if (g_str_has_prefix(file, "bad-hostile-"))
        return ATTEST_ERROR_REJECTED;
    return g_str_has_prefix(file, "bad-broken-") ? ATTEST_ERROR_UNREADABLE : 0;
}

static void test_corpus(void)
{
    g_autofree gchar *corpus = g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), "tests", "corpus", "archive", NULL);
    g_autoptr(GDir) dir = g_dir_open(corpus, 0, NULL);
    guint counts[4] = {0}, wrong = 0;
    const char *file;

    g_assert_nonnull(dir);
    while ((file = g_dir_read_name(dir))) {
        g_autofree gchar *path = g_build_filename(corpus, file, NULL);
        g_autofree gchar *data = NULL;
        g_autoptr(GError) error = NULL;
        gsize size = 0;
        StorageArchiveFlags flags = g_str_has_prefix(file, "absolute-") ? STORAGE_ARCHIVE_ABSOLUTE_NAMES
                                                                        : STORAGE_ARCHIVE_PLAIN_NAMES;
        int code = expected_code(file, flags);

        g_assert_true(g_file_get_contents(path, &data, &size, NULL));
        unpack(data, size, archive_members, flags, &error);
        if ((error ? error->code : 0) != code) {
            g_test_message("%s: %s, not %d", file, error ? error->message : "taken", code);
            wrong++;
        }
        /* Whatever the name of the archive and of its members: the message is one line. */
        g_assert_true(!error || (g_str_has_prefix(error->message, "archive 'a\\x0ab.tar': ") &&
                                 !strpbrk(error->message, "\n\r\x1b")));
        counts[code]++;
        archive_empty(folder);
        if (flags) {
            g_clear_error(&error);
            g_assert_false(unpack(data, size, archive_members, STORAGE_ARCHIVE_PLAIN_NAMES, &error));
            g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
            archive_empty(folder);
        }
    }
    g_assert_cmpuint(wrong, ==, 0);
    g_assert_cmpuint(counts[0], >=, 15);
    g_assert_cmpuint(counts[ATTEST_ERROR_REJECTED], >=, 60);
    g_assert_cmpuint(counts[ATTEST_ERROR_UNREADABLE], >=, 20);
}

static GBytes *corpus_file(const char *name)
{
    g_autofree gchar *path =
        g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), "tests", "corpus", "archive", name, NULL);
    gchar *data = NULL;
    gsize size = 0;

    g_assert_true(g_file_get_contents(path, &data, &size, NULL));
    return g_bytes_new_take(data, size);
}

static void test_contents(void)
{
    static const char *const forms[] = {"ok-ustar", "ok-gnu", "ok-pax", "ok-gzip", "ok-xz", "ok-zstd"};
    g_autoptr(GString) kernel = g_string_new(NULL);
    guint8 firmware[1024];

    for (guint i = 0; i < sizeof firmware; i++)
        firmware[i] = (guint8)i;
    for (guint i = 0; i < 200; i++)
        g_string_append(kernel, "kernel ");
    for (guint i = 0; i < G_N_ELEMENTS(forms); i++) {
        g_autoptr(GBytes) data = corpus_file(forms[i]);
        g_autoptr(GError) error = NULL;

        g_assert_true(unpack(g_bytes_get_data(data, NULL), g_bytes_get_size(data), archive_members,
                             STORAGE_ARCHIVE_PLAIN_NAMES, &error));
        assert_content("manifest.json", "{\"a\": 1}\n", 9);
        assert_content("firmware", firmware, sizeof firmware);
        assert_content("kernel", kernel->str, kernel->len);
        g_assert_cmpuint(archive_empty(folder), ==, 3);
    }
}

/* Cut anywhere at a block, or anywhere at all when compressed: never taken, never anything but "cut short". */
static void test_truncated(void)
{
    static const struct {
        const char *name;
        gsize step;
    } forms[] = {{"ok-ustar", 512}, {"ok-gnu", 512}, {"ok-pax", 512}, {"ok-gzip", 1}, {"ok-xz", 1}, {"ok-zstd", 1}};

    for (guint i = 0; i < G_N_ELEMENTS(forms); i++) {
        g_autoptr(GBytes) data = corpus_file(forms[i].name);
        gsize size = g_bytes_get_size(data), needed = size;

        /* tar fills the rest with zeros, which nobody misses. */
        if (forms[i].step > 1) {
            const guint8 *bytes = g_bytes_get_data(data, NULL);

            while (needed >= 512 && !bytes[needed - 1])
                needed--;
            needed = (needed + 511) / 512 * 512 + 1024;
        }
        for (gsize at = 0; at <= size; at += forms[i].step) {
            g_autoptr(GError) error = NULL;
            gboolean good = unpack(g_bytes_get_data(data, NULL), at, archive_members, STORAGE_ARCHIVE_PLAIN_NAMES, &error);

            g_assert_cmpint(good, ==, at >= needed);
            if (!good)
                g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
            archive_empty(folder);
        }
    }
}

/* 300 MiB of zeros in 300 KiB, where the table would allow them. */
static void test_ratio(void)
{
    static const StorageArchiveMember large[] = {{"kernel", G_GUINT64_CONSTANT(1) << 32, FALSE}, {NULL}};
    const guint64 size = 300 << 20;
    g_autoptr(GByteArray) packed = g_byte_array_new();
    g_autofree guint8 *zeros = g_malloc0(1 << 20);
    g_autofree guint8 *out = g_malloc(1 << 20);
    g_autoptr(GError) error = NULL;
    g_autofree gchar *path = g_build_filename(folder, "kernel", NULL);
    guint8 header[512] = "kernel";
    z_stream stream = {0};
    guint sum = 0;
    struct stat st;

    g_snprintf((char *)header + 100, 8, "%07o", 0644);
    g_snprintf((char *)header + 124, 12, "%011o", (guint)size);
    memcpy(header + 257, "ustar\00000", 8);
    memset(header + 148, ' ', 8);
    header[156] = '0';
    for (guint i = 0; i < sizeof header; i++)
        sum += header[i];
    g_snprintf((char *)header + 148, 7, "%06o", sum);
    g_assert_cmpint(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), ==, Z_OK);
    for (guint i = 0; i <= 301; i++) {
        stream.next_in = i ? zeros : header;
        stream.avail_in = !i ? sizeof header : i == 301 ? 1024 : 1 << 20;
        do {
            stream.next_out = out;
            stream.avail_out = 1 << 20;
            deflate(&stream, i == 301 ? Z_FINISH : Z_NO_FLUSH);
            g_byte_array_append(packed, out, (1 << 20) - stream.avail_out);
        } while (!stream.avail_out);
    }
    deflateEnd(&stream);
    g_assert_cmpuint(packed->len, <, size / 200);
    g_assert_false(unpack(packed->data, packed->len, large, STORAGE_ARCHIVE_PLAIN_NAMES, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
    g_assert_nonnull(strstr(error->message, "grow more than 200 times"));
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, <=, 65 << 20);
    g_unlink(path);
}

/* A folder that somebody has prepared: a link where a member belongs is not followed. */
static void test_planted(void)
{
    g_autoptr(GBytes) data = corpus_file("ok-ustar");
    g_autofree gchar *victim = g_strdup_printf("%s-victim", folder);
    g_autofree gchar *link = g_build_filename(folder, "firmware", NULL);
    g_autofree gchar *text = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(g_file_set_contents(victim, "mine", -1, NULL));
    g_assert_cmpint(symlink(victim, link), ==, 0);
    g_assert_false(unpack(g_bytes_get_data(data, NULL), g_bytes_get_size(data), archive_members,
                          STORAGE_ARCHIVE_PLAIN_NAMES, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_assert_true(g_file_get_contents(victim, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "mine");
    archive_empty(folder);
    g_unlink(victim);
}

static void test_recognise(void)
{
    static const struct {
        const char *name;
        gboolean taken;
    } files[] = {{"ok-ustar", TRUE},         {"ok-gnu", TRUE},           {"ok-gzip", TRUE},         {"ok-xz", TRUE},
                 {"ok-zstd", TRUE},          {"bad-broken-empty", FALSE}, {"bad-broken-text", FALSE},
                 {"bad-broken-zeros", FALSE}, {"bad-broken-cpio", FALSE}, {"bad-broken-zip", FALSE}};

    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree gchar *path =
            g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), "tests", "corpus", "archive", files[i].name, NULL);

        g_assert_cmpint(storage_archive_recognise(path), ==, files[i].taken);
    }
    g_assert_false(storage_archive_recognise(folder));
    g_assert_false(storage_archive_recognise("/nonexistent/x"));
    g_assert_false(storage_archive_recognise("/dev/null"));
}

/* ---- writing ---- */

static GBytes *write_archive(const StorageArchiveEntry *entries, gsize n, gboolean gzip, GError **error)
{
    g_autofree gchar *path = g_build_filename(folder, "out", NULL);
    g_autoptr(StorageOutput) output = storage_output_new(path, TRUE, 0644, NULL);
    gchar *data = NULL;
    gsize size = 0;

    g_assert_nonnull(output);
    if (!storage_archive_write(entries, n, gzip, output, NULL, NULL, error))
        return NULL;
    g_assert_true(storage_output_commit(output, NULL));
    g_assert_true(g_file_get_contents(path, &data, &size, NULL));
    g_unlink(path);
    return g_bytes_new_take(data, size);
}

static void test_write(void)
{
    g_autofree gchar *kernel = g_strdup_printf("%s-kernel", folder);
    g_autoptr(GBytes) manifest = g_bytes_new_static("{}\n", 3);
    g_autoptr(GBytes) firmware = g_bytes_new_static("", 0);
    guint8 sha256[32];
    StorageArchiveEntry entries[] = {{"manifest.json", manifest, NULL, 0, NULL},
                                     {"firmware", firmware, NULL, 0, NULL},
                                     {"kernel", NULL, kernel, 6, sha256}};
    g_autoptr(GError) error = NULL;
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    gsize digest_size = sizeof sha256;

    g_checksum_update(checksum, (const guchar *)"kernel", 6);
    g_checksum_get_digest(checksum, sha256, &digest_size);
    g_assert_true(g_file_set_contents(kernel, "kernel", -1, NULL));
    for (gint gzip = 0; gzip < 2; gzip++) {
        g_autoptr(GBytes) one = write_archive(entries, 3, gzip, &error);
        g_autoptr(GBytes) two = NULL;

        g_assert_no_error(error);
        /* Neither the time nor what the file system says of the file is in it. */
        g_usleep(1100 * 1000);
        g_assert_cmpint(g_chmod(kernel, gzip ? 0600 : 0755), ==, 0);
        two = write_archive(entries, 3, gzip, &error);
        g_assert_no_error(error);
        g_assert_true(g_bytes_equal(one, two));
        g_assert_true(unpack(g_bytes_get_data(one, NULL), g_bytes_get_size(one), archive_members,
                             STORAGE_ARCHIVE_PLAIN_NAMES, &error));
        assert_content("manifest.json", "{}\n", 3);
        assert_content("firmware", "", 0);
        assert_content("kernel", "kernel", 6);
        archive_empty(folder);
        if (!gzip)
            g_assert_cmpuint(g_bytes_get_size(one) % 10240, ==, 0);
    }
    /* Not the file that was measured. */
    g_assert_true(g_file_set_contents(kernel, "Kernel", -1, NULL));
    g_assert_null(write_archive(entries, 3, FALSE, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_assert_nonnull(strstr(error->message, "changed"));
    g_clear_error(&error);
    g_assert_true(g_file_set_contents(kernel, "kernels", -1, NULL));
    g_assert_null(write_archive(entries, 3, FALSE, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_clear_error(&error);
    g_unlink(kernel);
    g_assert_null(write_archive(entries, 3, FALSE, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    /* Nothing was left behind by any of them. */
    g_assert_cmpuint(archive_empty(folder), ==, 0);
}

int main(int argc, char **argv)
{
    int code;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("virt-attest-XXXXXX", NULL);
    g_test_add_func("/archive/corpus", test_corpus);
    g_test_add_func("/archive/contents", test_contents);
    g_test_add_func("/archive/truncated", test_truncated);
    g_test_add_func("/archive/ratio", test_ratio);
    g_test_add_func("/archive/planted", test_planted);
    g_test_add_func("/archive/recognise", test_recognise);
    g_test_add_func("/archive/write", test_write);
    code = g_test_run();
    g_rmdir(folder);
    g_free(folder);
    return code;
}
