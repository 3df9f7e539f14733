/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>

typedef enum { SCHEMA_AGREED, SCHEMA_CONTRADICTED, SCHEMA_UNKNOWN } SchemaResult;

/*
 * Whether every one of @texts is valid, or with @valid FALSE none of them, by the schema @schema (below the source
 * folder). What is not as it should be is in the test's log. Unknown without python3-jsonschema.
 */
static inline SchemaResult schema_check(const char *schema, const GPtrArray *texts, gboolean valid)
{
    g_autofree gchar *script =
        g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), "tests", "unit", "json-validate.py", NULL);
    g_autofree gchar *schema_path = g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), schema, NULL);
    g_autofree gchar *folder = g_dir_make_tmp("virt-attest-XXXXXX", NULL);
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    g_autofree gchar *output = NULL;
    gint status = 0;
    guint first;

    g_ptr_array_add(argv, g_strdup("/usr/bin/python3"));
    g_ptr_array_add(argv, g_strdup(script));
    if (!valid)
        g_ptr_array_add(argv, g_strdup("--invalid"));
    g_ptr_array_add(argv, g_strdup(schema_path));
    first = argv->len;
    for (guint i = 0; i < texts->len; i++) {
        gchar *path = g_strdup_printf("%s/%u.json", folder, i);

        g_assert_true(g_file_set_contents(path, texts->pdata[i], -1, NULL));
        g_ptr_array_add(argv, path);
    }
    g_ptr_array_add(argv, NULL);
    if (!g_spawn_sync(NULL, (gchar **)argv->pdata, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output, NULL, &status, NULL))
        status = 77 << 8;
    for (guint i = first; argv->pdata[i]; i++)
        g_unlink(argv->pdata[i]);
    g_rmdir(folder);
    g_assert_true(WIFEXITED(status));
    switch (WEXITSTATUS(status)) {
    case 0:
        return SCHEMA_AGREED;
    case 1:
        /* A traceback would be 1 as well, but prints nothing on stdout. */
        g_assert_cmpstr(output, !=, "");
        g_test_message("%s", output);
        return SCHEMA_CONTRADICTED;
    case 77:
        return SCHEMA_UNKNOWN;
    default:
        g_error("%s: exit status %d", script, WEXITSTATUS(status));
    }
}

static inline SchemaResult schema_validate(const char *schema, const char *text)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(texts, g_strdup(text));
    return schema_check(schema, texts, TRUE);
}
