/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/snapshot.h"

#include <string.h>

#define FILE_MAX (8 * 1024 * 1024)
#define MAGIC "# virt-attest-packages-1"

void storage_snapshot_free(StorageSnapshot *snapshot)
{
    if (!snapshot)
        return;
    g_free(snapshot->suite);
    g_clear_pointer(&snapshot->packages, g_ptr_array_unref);
    g_free(snapshot);
}

/* What dpkg allows in names, architectures and versions; a word ends up in a file that apt reads. */
static gboolean is_package(const char *line)
{
    g_auto(GStrv) halves = g_strsplit(line, "=", 2);
    g_auto(GStrv) names = halves[0] ? g_strsplit(halves[0], ":", 2) : NULL;

    return halves[0] && halves[1] && names[0] && names[1] && *names[0] && *names[1] && *halves[1] &&
           strspn(names[0], "abcdefghijklmnopqrstuvwxyz0123456789.+-") == strlen(names[0]) && g_ascii_isalnum(*names[0]) &&
           strspn(names[1], "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(names[1]) &&
           strspn(halves[1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-:~") == strlen(halves[1]);
}

static gboolean read_line(StorageSnapshot *snapshot, const char *line)
{
    if (g_str_has_prefix(line, "# suite ")) {
        g_free(snapshot->suite);
        snapshot->suite = g_strdup(line + 8);
        return TRUE;
    }
    if (g_str_has_prefix(line, "# epoch "))
        return g_ascii_string_to_signed(line + 8, 10, 1, G_GINT64_CONSTANT(1) << 33, &snapshot->epoch, NULL);
    if (!*line || *line == '#')
        return TRUE;
    if (!is_package(line))
        return FALSE;
    g_ptr_array_add(snapshot->packages, g_strdup(line));
    return TRUE;
}

StorageSnapshot *storage_snapshot_read(const char *path, GError **error)
{
    g_autoptr(StorageSnapshot) snapshot = g_new0(StorageSnapshot, 1);
    g_autoptr(GError) cause = NULL;
    g_autofree gchar *printable = measure_printable(path);
    g_autofree gchar *text = NULL;
    g_auto(GStrv) lines = NULL;
    gsize size = 0;
    gboolean good = TRUE;

    if (!g_file_get_contents(path, &text, &size, &cause)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot read the snapshot '%s': %s", printable, cause->message);
        return NULL;
    }
    snapshot->packages = g_ptr_array_new_with_free_func(g_free);
    lines = size > FILE_MAX || memchr(text, '\0', size) ? NULL : g_strsplit(text, "\n", -1);
    for (gchar **line = lines; lines && *line && good; line++)
        good = read_line(snapshot, *line);
    if (!lines || !good || !g_str_has_prefix(text, MAGIC "\n") || !snapshot->suite || !snapshot->epoch ||
        !snapshot->packages->len) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "'%s' is not a list of packages as image-build writes it beside an image (OUTPUT.packages)", printable);
        return NULL;
    }
    return g_steal_pointer(&snapshot);
}

gchar *storage_snapshot_head(const char *suite, gint64 epoch)
{
    return g_strdup_printf(MAGIC "\n# suite %s\n# epoch %" G_GINT64_FORMAT "\n", suite, epoch);
}

gchar *storage_snapshot_preferences(const StorageSnapshot *snapshot)
{
    GString *text = g_string_new("Package: *\nPin: release *\nPin-Priority: -1\n");

    for (guint i = 0; i < snapshot->packages->len; i++) {
        const char *line = g_ptr_array_index(snapshot->packages, i);

        g_string_append_printf(text, "\nPackage: %.*s\nPin: version %s\nPin-Priority: 1001\n", (int)strcspn(line, ":"), line,
                               strchr(line, '=') + 1);
    }
    return g_string_free(text, FALSE);
}
