/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>

typedef enum { SCHEMA_VALID, SCHEMA_INVALID, SCHEMA_UNKNOWN } SchemaResult;

/* Whether @text is valid by the schema @schema (below the source folder); unknown without python3-jsonschema. */
static inline SchemaResult schema_validate(const char *schema, const char *text)
{
    g_autofree gchar *script =
        g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), "tests", "unit", "json-validate.py", NULL);
    g_autofree gchar *schema_path = g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), schema, NULL);
    g_autofree gchar *document = NULL;
    g_autofree gchar *output = NULL;
    g_autoptr(GError) error = NULL;
    gint fd = g_file_open_tmp("virt-attest-XXXXXX.json", &document, &error);
    g_autofree gchar *python = g_strdup("/usr/bin/python3");
    gchar *argv[] = {python, script, schema_path, document, NULL};
    gint status = 0;

    g_assert_no_error(error);
    g_assert_true(g_close(fd, NULL));
    g_assert_true(g_file_set_contents(document, text, (gssize)strlen(text), NULL));
    if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output, NULL, &status, NULL))
        status = 77 << 8;
    g_unlink(document);
    g_assert_true(WIFEXITED(status));
    g_test_message("%s", output ? output : "");
    switch (WEXITSTATUS(status)) {
    case 0:
        return SCHEMA_VALID;
    case 1:
        /* A traceback would be 1 as well, but prints nothing on stdout. */
        g_assert_cmpstr(output, !=, "");
        return SCHEMA_INVALID;
    case 77:
        return SCHEMA_UNKNOWN;
    default:
        g_error("%s: exit status %d", script, WEXITSTATUS(status));
    }
}
