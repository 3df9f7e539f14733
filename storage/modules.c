/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/modules.h"

#include <string.h>

#include "guest/initrd-list.h"

enum { MAX_LINES = 65536 };

typedef enum { STATE_NEW, STATE_OPEN, STATE_DONE } State;

/* One line of modules.dep. */
typedef struct {
    StorageModule module;
    gchar *line;      /* @module.path and the dependencies point into it */
    GPtrArray *needs; /* (element-type utf8): paths, as depmod writes them: the one to load first is last */
    State state;
} Node;

struct StorageModules {
    GHashTable *nodes;   /* canonical name to Node */
    GHashTable *builtin; /* canonical names */
    GHashTable *soft;    /* canonical name to GPtrArray of names to load before */
    GHashTable *aliases; /* alias to GPtrArray of canonical names */
    GPtrArray *wanted;   /* StorageModule, owned by their nodes */
    guint open;          /* how deep the walk is */
};

static void node_free(Node *node)
{
    g_free(node->module.name);
    g_ptr_array_unref(node->needs);
    g_free(node->line);
    g_free(node);
}

void storage_modules_free(StorageModules *modules)
{
    if (!modules)
        return;
    g_hash_table_unref(modules->nodes);
    g_hash_table_unref(modules->builtin);
    g_hash_table_unref(modules->soft);
    g_hash_table_unref(modules->aliases);
    g_ptr_array_unref(modules->wanted);
    g_free(modules);
}

static gboolean bad_line(GError **error, const char *file, const char *line, const char *why)
{
    g_autofree gchar *start = g_strndup(line, 100);
    g_autofree gchar *shown = measure_printable(start);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s: '%s' %s: run depmod in the image", file, shown, why);
    return FALSE;
}

/* "kernel/fs/ext4/ext4.ko.xz" to "ext4.ko"; NULL for what is no module below the folder. */
static gchar *file_name(const char *path)
{
    static const char *const endings[] = {".ko", ".ko.xz", ".ko.zst", ".ko.gz"};
    const char *base = strrchr(path, '/');
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);

    base = base ? base + 1 : path;
    for (guint i = 0; parts[i]; i++) {
        if (!*parts[i] || !strcmp(parts[i], ".") || !strcmp(parts[i], ".."))
            return NULL;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(endings); i++) {
        if (g_str_has_suffix(base, endings[i])) {
            gsize size = strlen(base) - strlen(endings[i]);

            /* Room for the number in front: "0000-". */
            if (!size || size + strlen("0000-.ko") >= GUEST_MODULE_NAME_MAX || *base == '.' ||
                strspn(base, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") < size)
                return NULL;
            return g_strdup_printf("%.*s.ko", (int)size, base);
        }
    }
    return NULL;
}

/* The name by which modules are found: without folder and ending, '_' for '-'. */
static gchar *canonical(const char *name)
{
    gchar *result = g_strdup(name);
    gsize size = strlen(result);

    if (size > 3 && !strcmp(result + size - 3, ".ko"))
        result[size - 3] = '\0';
    return g_strdelimit(result, "-", '_');
}

static gchar *canonical_path(const char *path)
{
    g_autofree gchar *name = file_name(path);

    return name ? canonical(name) : NULL;
}

static gboolean parse_dep(StorageModules *modules, const char *text, GError **error)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", MAX_LINES + 1);

    if (g_strv_length(lines) > MAX_LINES)
        return bad_line(error, "modules.dep", "the file", "has too many lines");
    for (guint i = 0; lines[i]; i++) {
        gchar *colon = strchr(lines[i], ':');
        g_autofree gchar *name = NULL;
        Node *node = NULL;

        if (!*g_strchomp(lines[i]) || *lines[i] == '#')
            continue;
        if (!colon)
            return bad_line(error, "modules.dep", lines[i], "is no line of depmod");
        *colon = '\0';
        name = canonical_path(lines[i]);
        if (!name)
            return bad_line(error, "modules.dep", lines[i], "is no module below the kernel's folder");
        node = g_new0(Node, 1);
        node->line = g_strdup(lines[i]);
        node->module.path = node->line;
        node->module.name = file_name(lines[i]);
        node->needs = g_ptr_array_new_with_free_func(g_free);
        g_auto(GStrv) needs = g_strsplit_set(colon + 1, " \t", -1);
        for (guint j = 0; needs[j]; j++) {
            if (*needs[j])
                g_ptr_array_add(node->needs, g_strdup(needs[j]));
        }
        if (!g_hash_table_insert(modules->nodes, g_strdup(name), node))
            return bad_line(error, "modules.dep", name, "is there twice");
    }
    return TRUE;
}

static void parse_builtin(StorageModules *modules, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", MAX_LINES);

    for (guint i = 0; lines[i]; i++) {
        gchar *name = canonical_path(g_strstrip(lines[i]));

        if (name)
            g_hash_table_add(modules->builtin, name);
    }
}

static void add_to_list(GHashTable *table, const char *key, gchar *value)
{
    GPtrArray *list = g_hash_table_lookup(table, key);

    if (!list) {
        list = g_ptr_array_new_with_free_func(g_free);
        g_hash_table_insert(table, g_strdup(key), list);
    }
    g_ptr_array_add(list, value);
}

/* "softdep NAME pre: A B post: C". Words before any "pre:" are no dependencies to modprobe either. */
static void parse_softdep(StorageModules *modules, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", MAX_LINES);

    for (guint i = 0; lines[i]; i++) {
        g_auto(GStrv) words = g_strsplit_set(lines[i], " \t", -1);
        gboolean before = FALSE;

        if (g_strv_length(words) < 3 || strcmp(words[0], "softdep"))
            continue;
        g_autofree gchar *name = canonical(words[1]);
        for (guint j = 2; words[j]; j++) {
            if (g_str_has_suffix(words[j], ":"))
                before = !strcmp(words[j], "pre:");
            else if (before && *words[j])
                add_to_list(modules->soft, name, g_strdup(words[j]));
        }
    }
}

/* "alias NAME MODULE"; those with wildcards are for devices and not looked at. */
static void parse_alias(StorageModules *modules, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", MAX_LINES);

    for (guint i = 0; lines[i]; i++) {
        g_auto(GStrv) words = g_strsplit(g_strchomp(lines[i]), " ", -1);

        if (g_strv_length(words) == 3 && !strcmp(words[0], "alias") && !strpbrk(words[1], "*?["))
            add_to_list(modules->aliases, words[1], canonical(words[2]));
    }
}

StorageModules *storage_modules_parse(const StorageModuleTexts *texts, GError **error)
{
    g_autoptr(StorageModules) modules = g_new0(StorageModules, 1);

    modules->nodes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)node_free);
    modules->builtin = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    modules->soft = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    modules->aliases = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    modules->wanted = g_ptr_array_new();
    if (!parse_dep(modules, texts->dep, error))
        return NULL;
    if (texts->builtin)
        parse_builtin(modules, texts->builtin);
    if (texts->softdep)
        parse_softdep(modules, texts->softdep);
    if (texts->alias)
        parse_alias(modules, texts->alias);
    return g_steal_pointer(&modules);
}

gboolean storage_modules_has(const StorageModules *modules, const char *name)
{
    g_autofree gchar *key = canonical(name);

    return g_hash_table_contains(modules->nodes, key);
}

gboolean storage_modules_builtin(const StorageModules *modules, const char *name)
{
    g_autofree gchar *key = canonical(name);

    return g_hash_table_contains(modules->builtin, key);
}

static gboolean want(StorageModules *modules, const char *key, gboolean required, GError **error);

/* What is not there, or is being loaded already, is passed over: so does modprobe. */
static gboolean want_soft(StorageModules *modules, const char *name, GError **error)
{
    g_autofree gchar *key = canonical(name);
    Node *node = g_hash_table_lookup(modules->nodes, key);
    const GPtrArray *targets = node ? NULL : g_hash_table_lookup(modules->aliases, name);

    if (node && node->state == STATE_NEW)
        return want(modules, key, FALSE, error);
    for (guint i = 0; targets && i < targets->len; i++) {
        node = g_hash_table_lookup(modules->nodes, g_ptr_array_index(targets, i));
        if (node && node->state == STATE_NEW && !want(modules, g_ptr_array_index(targets, i), FALSE, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean want_needs(StorageModules *modules, Node *node, gboolean required, GError **error)
{
    for (guint i = node->needs->len; i > 0; i--) {
        const char *path = g_ptr_array_index(node->needs, i - 1);
        g_autofree gchar *key = canonical_path(path);

        if (!key || !g_hash_table_contains(modules->nodes, key))
            return bad_line(error, "modules.dep", path, "is needed by another module, but has no line of its own");
        if (!want(modules, key, required, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean want(StorageModules *modules, const char *key, gboolean required, GError **error)
{
    Node *node = g_hash_table_lookup(modules->nodes, key);
    const GPtrArray *soft = g_hash_table_lookup(modules->soft, key);

    if (node->state == STATE_OPEN)
        return bad_line(error, "modules.dep", key, "depends on itself");
    if (node->state == STATE_DONE) {
        if (!required || node->module.required)
            return TRUE;
        node->module.required = TRUE;
        return want_needs(modules, node, TRUE, error);
    }
    if (modules->wanted->len + modules->open >= GUEST_INITRD_MODULES_MAX)
        return bad_line(error, "modules.dep", key, "is one module too many");
    node->state = STATE_OPEN;
    modules->open++;
    node->module.required = required;
    for (guint i = 0; soft && i < soft->len; i++) {
        if (!want_soft(modules, g_ptr_array_index(soft, i), error))
            return FALSE;
    }
    if (!want_needs(modules, node, required, error))
        return FALSE;
    node->state = STATE_DONE;
    modules->open--;
    g_ptr_array_add(modules->wanted, &node->module);
    return TRUE;
}

gboolean storage_modules_want(StorageModules *modules, const char *name, gboolean required, GError **error)
{
    g_autofree gchar *key = canonical(name);

    g_return_val_if_fail(g_hash_table_contains(modules->nodes, key), FALSE);
    return want(modules, key, required, error);
}

const GPtrArray *storage_modules_wanted(const StorageModules *modules)
{
    return modules->wanted;
}
