/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is learned about a root tree while it passes: distribution, packages, kernels. */
#include "storage/root-private.h"

#include <string.h>

#include "storage/image-private.h"

#define PACKAGES_MAX 100000

void storage_package_free(StoragePackage *package)
{
    if (!package)
        return;
    g_free(package->name);
    g_free(package->version);
    g_free(package->architecture);
    g_free(package);
}

void storage_root_free(StorageRoot *tree)
{
    if (!tree)
        return;
    g_free(tree->id);
    g_free(tree->version);
    g_free(tree->pretty);
    g_clear_pointer(&tree->packages, g_ptr_array_unref);
    g_clear_pointer(&tree->kernels, g_ptr_array_unref);
    g_free(tree);
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    const StoragePackage *x = *(const StoragePackage *const *)a, *y = *(const StoragePackage *const *)b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->architecture, y->architecture);
}

/* The words of a field must be what dpkg allows: they end up in lists that are read again. */
static gboolean is_word(const char *text)
{
    return *text && strlen(text) < 256 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-:~_") == strlen(text);
}

static gboolean take_package(GPtrArray *list, const char *const fields[4])
{
    StoragePackage *package;

    /* "install ok installed"; a removed one leaves its entry there. */
    if (!fields[3] || !g_str_has_suffix(fields[3], " installed"))
        return TRUE;
    if (!fields[0] || !fields[1] || !fields[2] || !is_word(fields[0]) || !is_word(fields[1]) || !is_word(fields[2]) ||
        list->len >= PACKAGES_MAX)
        return FALSE;
    package = g_new0(StoragePackage, 1);
    package->name = g_strdup(fields[0]);
    package->version = g_strdup(fields[1]);
    package->architecture = g_strdup(fields[2]);
    g_ptr_array_add(list, package);
    return TRUE;
}

GPtrArray *storage_root_read_packages(const char *text, gsize size, GError **error)
{
    static const char *const names[] = {"Package: ", "Version: ", "Architecture: ", "Status: "};
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)storage_package_free);
    g_autofree gchar *copy = g_strndup(text, size);
    g_auto(GStrv) lines = g_strsplit(copy, "\n", -1);
    const char *fields[4] = {NULL};
    gboolean good = TRUE;

    for (gchar **line = lines; *line && good; line++) {
        if (!**line) {
            good = take_package(list, fields);
            memset(fields, 0, sizeof fields);
        }
        for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
            if (g_str_has_prefix(*line, names[i]))
                fields[i] = *line + strlen(names[i]);
        }
    }
    if (!good || !take_package(list, fields)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the package database (var/lib/dpkg/status) is damaged");
        return NULL;
    }
    g_ptr_array_sort(list, by_name);
    return g_steal_pointer(&list);
}

/* Shell syntax of os-release, as far as it is used: NAME=word, NAME="words". */
static gchar *release_value(const char *text, const char *name)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (gchar **line = lines; *line; line++) {
        gsize length = strlen(name);

        if (!strncmp(*line, name, length) && (*line)[length] == '=') {
            g_autofree gchar *value = g_shell_unquote(*line + length + 1, NULL);

            return value ? measure_printable(value) : NULL;
        }
    }
    return NULL;
}

void storage_root_take_release(StorageRoot *tree, const char *text)
{
    if (tree->id)
        return;
    tree->id = release_value(text, "ID");
    tree->version = release_value(text, "VERSION_ID");
    tree->pretty = release_value(text, "PRETTY_NAME");
}

void storage_root_take_path(TreeFacts *facts, const char *path)
{
    static const char boot[] = "boot/vmlinuz-";
    const char *usr = g_str_has_prefix(path, "usr/") ? path + 4 : path;

    if (g_str_has_prefix(path, boot) && !strchr(path + strlen(boot), '/'))
        g_hash_table_add(facts->kernel_files, g_strdup(path + strlen(boot)));
    if (g_str_has_prefix(usr, "lib/modules/")) {
        g_auto(GStrv) parts = g_strsplit(usr, "/", 5);

        if (g_strv_length(parts) == 4 && !strcmp(parts[3], "modules.dep"))
            g_hash_table_add(facts->module_folders, g_strdup(parts[2]));
        if (g_strv_length(parts) == 4 && !strcmp(parts[3], "vmlinuz"))
            g_hash_table_add(facts->kernel_files, g_strdup(parts[2]));
    }
}

static gint by_version(gconstpointer a, gconstpointer b)
{
    return storage_release_compare(*(const char *const *)a, *(const char *const *)b);
}

void storage_root_take_kernels(StorageRoot *tree, const TreeFacts *facts)
{
    GHashTableIter iter;
    gpointer release;

    tree->kernels = g_ptr_array_new_with_free_func(g_free);
    g_hash_table_iter_init(&iter, facts->kernel_files);
    while (g_hash_table_iter_next(&iter, &release, NULL)) {
        if (g_hash_table_contains(facts->module_folders, release))
            g_ptr_array_add(tree->kernels, measure_printable(release));
    }
    g_ptr_array_sort(tree->kernels, by_version);
}
