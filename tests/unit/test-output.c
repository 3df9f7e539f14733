/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that appear whole or not at all. */
#include "storage/output.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static gchar *folder;

static gchar *at(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What is in the folder, sorted, joined by blanks. */
static gchar *listing(void)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)))
        g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, by_name);
    g_ptr_array_add(names, NULL);
    return g_strjoinv(" ", (gchar **)names->pdata);
}

static void assert_listing(const char *expected)
{
    g_autofree gchar *found = listing();

    g_assert_cmpstr(found, ==, expected);
}

static void assert_contents(const char *name, const char *expected)
{
    g_autofree gchar *path = at(name);
    g_autofree gchar *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, expected);
}

static gboolean put(const char *name, gboolean replace, const char *text, GError **error)
{
    g_autofree gchar *path = at(name);
    g_autoptr(StorageOutput) output = storage_output_new(path, replace, 0640, error);

    return output && storage_output_write(output, text, strlen(text), error) && storage_output_commit(output, error);
}

static void test_write(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *path = at("file");
    struct stat st;

    g_assert_true(put("file", FALSE, "one", &error));
    g_assert_no_error(error);
    assert_contents("file", "one");
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmphex(st.st_mode, ==, S_IFREG | 0640);
    g_assert_false(put("file", FALSE, "two", &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_assert_nonnull(strstr(error->message, "--force"));
    assert_contents("file", "one");
    g_clear_error(&error);
    g_assert_true(put("file", TRUE, "three", &error));
    assert_contents("file", "three");
    assert_listing("file");
    g_unlink(path);
}

/* Somebody else was faster: his file stays. */
static void test_race(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *path = at("file");
    g_autoptr(StorageOutput) output = storage_output_new(path, FALSE, 0644, &error);

    g_assert_no_error(error);
    g_assert_true(g_file_set_contents(path, "theirs", -1, NULL));
    g_assert_true(storage_output_write(output, "ours", 4, &error));
    g_assert_false(storage_output_commit(output, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    assert_contents("file", "theirs");
    assert_listing("file");
    g_unlink(path);
}

static void test_discard(void)
{
    g_autofree gchar *path = at("file");
    g_autoptr(StorageOutput) output = storage_output_new(path, FALSE, 0644, NULL);

    g_assert_nonnull(output);
    g_assert_true(storage_output_write(output, "x", 1, NULL));
    assert_listing("");
    storage_output_free(g_steal_pointer(&output));
    assert_listing("");
}

static void refused(const char *name, const char *says)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(put(name, TRUE, "x", &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, says))
        g_error("'%s' is not in '%s'", says, error->message);
}

static void test_refused(void)
{
    g_autofree gchar *sub = at("sub");
    g_autofree gchar *fifo = at("fifo");
    g_autofree gchar *link_path = at("link");

    g_assert_cmpint(g_mkdir(sub, 0755), ==, 0);
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_assert_cmpint(symlink("elsewhere", link_path), ==, 0);
    refused("absent/file", "No such file");
    refused("sub", "no regular file");
    refused("sub/", "");
    refused("fifo", "no regular file");
    refused("link", "no regular file");
    assert_listing("fifo link sub");
    g_unlink(fifo);
    g_unlink(link_path);
    g_rmdir(sub);
}

/* The limit on file sizes stands for a full disk. */
static void test_full(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *data = g_strnfill(100000, 'x');
    struct rlimit old, small;

    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &old), ==, 0);
    small = (struct rlimit){4096, old.rlim_max};
    g_assert_true(put("file", FALSE, "old", &error));
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &small), ==, 0);
    g_assert_false(put("file", TRUE, data, &error));
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &old), ==, 0);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_assert_nonnull(strstr(error->message, "ulimit"));
    assert_contents("file", "old");
    assert_listing("file");
    {
        g_autofree gchar *path = at("file");
        g_unlink(path);
    }
}

/* What a killed run leaves behind goes with the next one; what another run is writing to stays. */
static void test_sweep(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *dead = at(".file.virt-attest-0000000000000000");
    g_autofree gchar *alive = at(".file.virt-attest-1111111111111111");
    g_autofree gchar *other = at(".other.virt-attest-0000000000000000");
    g_autofree gchar *path = at("file");
    int fd;

    g_assert_true(g_file_set_contents(dead, "x", -1, NULL));
    g_assert_true(g_file_set_contents(other, "x", -1, NULL));
    fd = open(alive, O_RDWR | O_CREAT, 0600);
    g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
    g_assert_true(put("file", TRUE, "x", &error));
    g_assert_no_error(error);
    assert_listing(".file.virt-attest-1111111111111111 .other.virt-attest-0000000000000000 file");
    close(fd);
    g_assert_true(put("file", TRUE, "x", &error));
    assert_listing(".other.virt-attest-0000000000000000 file");
    g_unlink(other);
    g_unlink(path);
}

/* kill -9 at any time: the old file or the new one, and nothing that stays. */
static void test_killed(void)
{
    g_autofree gchar *data = g_strnfill(200000, 'n');
    g_autofree gchar *path = at("file");
    guint changed = 0;

    /* Further on, with more and more time, where it is always too early on a slow disk. */
    for (guint round = 0; round < 40 || (!changed && round < 500); round++) {
        g_autofree gchar *text = NULL;
        pid_t child;

        g_assert_true(put("file", TRUE, "old", NULL));
        child = fork();
        g_assert_cmpint(child, >=, 0);
        if (!child) {
            for (;;)
                put("file", TRUE, data, NULL);
        }
        g_usleep(500 * round);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        if (strcmp(text, "old")) {
            g_assert_cmpstr(text, ==, data);
            changed++;
        }
        g_assert_true(put("file", TRUE, "old", NULL));
        assert_listing("file");
    }
    g_assert_cmpuint(changed, >, 0);
    g_unlink(path);
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("virt-attest-XXXXXX", NULL);
    g_test_add_func("/output/write", test_write);
    g_test_add_func("/output/race", test_race);
    g_test_add_func("/output/discard", test_discard);
    g_test_add_func("/output/refused", test_refused);
    g_test_add_func("/output/full", test_full);
    g_test_add_func("/output/sweep", test_sweep);
    g_test_add_func("/output/killed", test_killed);
    result = g_test_run();
    g_rmdir(folder);
    g_free(folder);
    return result;
}
