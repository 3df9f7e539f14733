/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The should-fail corpora: files named ok-… must be taken, files named bad-… refused. */
#pragma once

#include <glib.h>

typedef gboolean (*CorpusReader)(const char *text, gsize size, gpointer user_data, GError **error);

static inline void corpus_walk(const char *name, CorpusReader reader, gpointer user_data)
{
    g_autofree gchar *folder = g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), "tests", "corpus", name, NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    guint taken = 0, refused = 0;
    const char *file = NULL;

    g_assert_nonnull(dir);
    while ((file = g_dir_read_name(dir))) {
        g_autofree gchar *path = g_build_filename(folder, file, NULL);
        g_autofree gchar *text = NULL;
        g_autoptr(GError) error = NULL;
        gsize size = 0;
        gboolean good = g_str_has_prefix(file, "ok-");

        if (!good && !g_str_has_prefix(file, "bad-"))
            continue;
        g_assert_true(g_file_get_contents(path, &text, &size, NULL));
        if (reader(text, size, user_data, &error) != good)
            g_error("%s was %s: %s", path, good ? "refused" : "taken", error ? error->message : "no error");
        *(good ? &taken : &refused) += 1;
    }
    g_assert_cmpuint(taken, >, 2);
    g_assert_cmpuint(refused, >, 2);
}
