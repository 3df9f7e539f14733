/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder of a test in which the openssl command line makes keys and signatures, and judges ours. */
#pragma once

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

static gchar *openssl_folder;

/* A shell line in the folder of this test. */
static inline void run(const char *format, ...) G_GNUC_PRINTF(1, 2);
static inline void run(const char *format, ...)
{
    g_autofree gchar *line = NULL;
    g_autofree gchar *whole = NULL;
    const gchar *argv[] = {"/bin/sh", "-ec", NULL, NULL};
    g_autofree gchar *errors = NULL;
    g_autoptr(GError) error = NULL;
    gint status = 0;
    va_list args;

    va_start(args, format);
    line = g_strdup_vprintf(format, args);
    va_end(args);
    whole = g_strdup_printf("umask 077; %s", line);
    argv[2] = whole;
    g_spawn_sync(openssl_folder, (gchar **)argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL, &errors, &status, &error);
    g_assert_no_error(error);
    if (status)
        g_error("'%s' has failed: %s", line, errors);
}

static inline gchar *at(const char *name)
{
    return g_build_filename(openssl_folder, name, NULL);
}


static inline void openssl_folder_new(void)
{
    openssl_folder = g_dir_make_tmp("virt-attest-key-XXXXXX", NULL);
    g_assert_nonnull(openssl_folder);
}

static inline void openssl_folder_free(void)
{
    const gchar *argv[] = {"rm", "-r", "--", openssl_folder, NULL};

    g_assert_true(g_str_has_prefix(openssl_folder, g_get_tmp_dir()));
    g_spawn_sync(NULL, (gchar **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
    g_clear_pointer(&openssl_folder, g_free);
}
