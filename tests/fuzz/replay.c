/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a fuzz target over files and folders of recorded inputs: the regression
 * test for everything that fuzzing ever found, without a fuzzing engine.
 */
#include <gio/gio.h>
#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static guint replay_file(const char *path)
{
    g_autofree gchar *data = NULL;
    gsize size = 0;
    g_autoptr(GError) error = NULL;

    if (!g_file_get_contents(path, &data, &size, &error))
        g_error("%s", error->message);
    /* A copy of exactly the right size, so that AddressSanitizer sees a read past its end. */
    g_autofree guint8 *exact = g_memdup2(data, size);
    LLVMFuzzerTestOneInput(exact, size);
    return 1;
}

static guint replay_folder(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(path, 0, &error);
    const char *name;
    guint count = 0;

    if (!dir)
        g_error("%s", error->message);
    while ((name = g_dir_read_name(dir))) {
        g_autofree gchar *child = g_build_filename(path, name, NULL);
        count += g_file_test(child, G_FILE_TEST_IS_DIR) ? replay_folder(child) : replay_file(child);
    }
    return count;
}

int main(int argc, char **argv)
{
    guint count = 0;

    for (int i = 1; i < argc; i++)
        count += g_file_test(argv[i], G_FILE_TEST_IS_DIR) ? replay_folder(argv[i]) : replay_file(argv[i]);
    printf("%u inputs replayed\n", count);
    /* An empty corpus would make this a test that cannot fail. */
    return count > 0 ? 0 : 1;
}
