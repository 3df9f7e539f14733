/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of package versions beside images, read again; addresses of archives; programs that are started. */
#include <glib/gstdio.h>
#include <string.h>

#include "storage/apt.h"
#include "storage/process.h"
#include "storage/snapshot.h"

static StorageSnapshot *read_text(const char *text, GError **error)
{
    g_autofree gchar *folder = g_dir_make_tmp("snapshot-XXXXXX", NULL);
    g_autofree gchar *path = g_build_filename(folder, "list", NULL);
    StorageSnapshot *snapshot;

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    snapshot = storage_snapshot_read(path, error);
    g_remove(path);
    g_rmdir(folder);
    return snapshot;
}

static void test_read(void)
{
    g_autofree gchar *head = storage_snapshot_head("trixie", 1763716544);
    g_autofree gchar *text = g_strconcat(head, "adduser:all=3.152\nlibc6:amd64=2:2.41-12+b1~x\n", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(StorageSnapshot) snapshot = read_text(text, &error);
    g_autofree gchar *pins = NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(snapshot->suite, ==, "trixie");
    g_assert_cmpint(snapshot->epoch, ==, 1763716544);
    g_assert_cmpuint(snapshot->packages->len, ==, 2);
    pins = storage_snapshot_preferences(snapshot);
    g_assert_cmpstr(pins, ==,
                    "Package: *\nPin: release *\nPin-Priority: -1\n"
                    "\nPackage: adduser\nPin: version 3.152\nPin-Priority: 1001\n"
                    "\nPackage: libc6\nPin: version 2:2.41-12+b1~x\nPin-Priority: 1001\n");
}

static void test_refused(void)
{
    static const char *const bad[] = {
        "", "adduser:all=3.152\n", "# virt-attest-packages-1\n# suite trixie\n# epoch 5\n",
        "# virt-attest-packages-1\n# suite trixie\na:all=1\n", "# virt-attest-packages-1\n# epoch 5\na:all=1\n",
        "# virt-attest-packages-1\n# suite trixie\n# epoch x\na:all=1\n",
        "# virt-attest-packages-1\n# suite trixie\n# epoch -1\na:all=1\n",
        "# virt-attest-packages-1\n# suite trixie\n# epoch 5\na=1\n",
        "# virt-attest-packages-1\n# suite trixie\n# epoch 5\na:all\n",
        "# virt-attest-packages-1\n# suite trixie\n# epoch 5\na:all=1 2\n",
        "# virt-attest-packages-1\n# suite trixie\n# epoch 5\n*:all=1\n",
        "# virt-attest-packages-1\n# suite trixie\n# epoch 5\n-o:all=1\n"};

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        if (read_text(bad[i], &error))
            g_error("accepted: %s", bad[i]);
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
    }
    g_assert_null(storage_snapshot_read("/nonexistent", NULL));
}

static void test_addresses(void)
{
    static const char *const pairs[][2] = {{"http://user:secret@host/debian/", "http://host/debian/"},
                                           {"http://host/a@b/", "http://host/a@b/"},
                                           {"https://u:p%40q@host:8080/x@y", "https://host:8080/x@y"},
                                           {"file:///srv/mirror/", "file:///srv/mirror/"}};

    for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_autofree gchar *public = storage_apt_public_uri(pairs[i][0]);

        g_assert_cmpstr(public, ==, pairs[i][1]);
    }
}

static void test_programs(void)
{
    static const char *const fails[] = {"sh", "-c", "echo one >&2; printf 'two\\033[31m\\rthree' >&2; exit 7", NULL};
    static const char *const killed[] = {"sh", "-c", "kill -9 $$", NULL};
    static const char *const missing[] = {"/nonexistent/program", NULL};
    static const char *const reads[] = {"sh", "-c", "read x; [ \"$x\" = words ] && [ \"$NAME\" = 'a=b' ]", NULL};
    static const char *const environment[] = {"NAME=a=b", NULL};
    static const char *const endless[] = {"sh", "-c", "sleep 1000 & echo there; wait", NULL};
    const StorageProcessOptions given = {.environment = environment, .input = "words\n"}, output = {.want_output = TRUE};
    g_autoptr(GError) error = NULL;
    gint64 start = g_get_monotonic_time();
    StorageProcess *process;

    g_assert_false(storage_process_run(fails, NULL, "count", &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_assert_cmpstr(error->message, ==, "sh failed to count (exit status 7):\none\ntwo\\x1b[31m\nthree");
    g_clear_error(&error);
    g_assert_false(storage_process_run(killed, NULL, "live", &error));
    g_assert_cmpstr(error->message, ==, "sh failed to live: killed by signal 9");
    g_clear_error(&error);
    g_assert_false(storage_process_run(missing, NULL, "be", &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED);
    g_clear_error(&error);
    g_assert_true(storage_process_run(reads, &given, "read", &error));
    g_assert_no_error(error);
    /* What is thrown away does not run on, and neither does what it has started. */
    process = storage_process_start(endless, &output, &error);
    g_assert_no_error(error);
    g_assert_true(storage_process_await(process, storage_process_output(process), NULL, NULL, NULL));
    storage_process_free(process);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 250 * G_USEC_PER_SEC);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/snapshot/read", test_read);
    g_test_add_func("/snapshot/refused", test_refused);
    g_test_add_func("/apt/addresses", test_addresses);
    g_test_add_func("/process/programs", test_programs);
    return g_test_run();
}
