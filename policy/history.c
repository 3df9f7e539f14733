/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/history.h"

#include <string.h>

#include "measure/error.h"

/* Entries beyond this many bytes are forgotten, oldest first, however many are to be kept. */
#define KEEP_SIZE (8u * 1024 * 1024)
#define LOCK_TIMEOUT_MS 3000

PolicyHistory *policy_history_new(const char *name)
{
    PolicyHistory *history = g_new0(PolicyHistory, 1);

    history->name = g_strdup(name ? name : "");
    history->lines = g_ptr_array_new_with_free_func(g_free);
    return history;
}

void policy_history_free(PolicyHistory *history)
{
    if (!history)
        return;
    g_free(history->name);
    g_ptr_array_unref(history->lines);
    g_free(history);
}

gchar *policy_time_now(void)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();

    return g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
}

static gchar *file_name(const char *uuid)
{
    return g_strconcat(uuid, ".json", NULL);
}

static gboolean check_uuid(const PolicyHistoryType *type, const char *uuid, GError **error)
{
    if (uuid && policy_uuid_valid(uuid))
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                "the domain has no UUID of 36 lower-case characters, so it has no %s", type->noun);
    return FALSE;
}

int policy_history_lock(PolicyStore *store, const PolicyHistoryType *type, const char *uuid, GError **error)
{
    g_autofree gchar *file = NULL;

    if (!check_uuid(type, uuid, error))
        return -1;
    file = file_name(uuid);
    return policy_store_lock(store, type->kind, file, LOCK_TIMEOUT_MS, error);
}

/* ---- The layout ---- */

static gchar *format_head(const PolicyHistoryType *type, const char *uuid, const char *name)
{
    JsonObject *object = json_object_new();
    g_autofree gchar *text = NULL;

    policy_json_add_string(object, "format", type->format);
    policy_json_add_string(object, "uuid", uuid);
    policy_json_add_string(object, "name", name);
    text = policy_json_format(object, FALSE);
    /* The closing brace makes room for the entries. */
    text[strlen(text) - 1] = '\0';
    return g_strconcat(text, ",\"", type->member, "\":[\n", NULL);
}

static gchar *format_tail(const char *text, gsize size)
{
    guint8 digest[MEASURE_SHA256_SIZE];
    g_autofree gchar *hex = NULL;

    policy_sha256(text, size, digest);
    hex = measure_hex_encode(digest, sizeof(digest));
    return g_strconcat("],\"sha256\":\"", hex, "\"}\n", NULL);
}

static gboolean corrupt(GError **error, PolicyStore *store, const PolicyHistoryType *type, const char *uuid,
                        const char *what)
{
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s '%s/%s/%s.json' is damaged: %s; %s moves it aside",
                type->noun, policy_store_directory(store), type->kind, uuid, what, type->mender);
    return FALSE;
}

/* Whether the text is what policy_history_write() wrote: then the rest can be taken at its word. */
static gboolean check_whole(PolicyStore *store, const PolicyHistoryType *type, const char *text, gsize size,
                            const char *uuid, GError **error)
{
    g_autofree gchar *expected = format_tail("", 0);
    gsize tail = strlen(expected);
    g_autofree gchar *head = g_strdup_printf("{\"format\":\"%s\",\"uuid\":\"%s\",", type->format, uuid);
    g_autofree gchar *foreign = g_strdup_printf("it is the %s of another domain or version", type->noun);

    if (memchr(text, '\0', size) || size < tail)
        return corrupt(error, store, type, uuid, "it is torn");
    g_free(expected);
    expected = format_tail(text, size - tail);
    if (strcmp(text + size - tail, expected))
        return corrupt(error, store, type, uuid, "its checksum does not match");
    return g_str_has_prefix(text, head) || corrupt(error, store, type, uuid, foreign);
}

/* The one layout that policy_history_write() has: what is read here can be written again, and the other way round. */
static PolicyHistory *split_lines(PolicyStore *store, const PolicyHistoryType *type, const char *text,
                                  const char *uuid, GError **error)
{
    static const char *const known[] = {"format", "uuid", "name", NULL};
    g_auto(GStrv) all = g_strsplit(text, "\n", -1);
    guint n = g_strv_length(all);
    g_autofree gchar *opening = g_strdup_printf(",\"%s\":[", type->member);
    g_autofree gchar *head = NULL;
    g_autofree gchar *object = NULL;
    g_autofree gchar *name = NULL;
    g_autoptr(PolicyHistory) history = NULL;
    g_autoptr(JsonNode) node = NULL;
    g_autoptr(GError) cause = NULL;

    /* Head, entries, tail, and nothing after the last newline. */
    if (n < 3 || !g_str_has_suffix(all[0], opening)) {
        g_autofree gchar *what = g_strdup_printf("it has no %s", type->member);

        corrupt(error, store, type, uuid, what);
        return NULL;
    }
    head = g_strndup(all[0], strlen(all[0]) - strlen(opening));
    object = g_strconcat(head, "}", NULL);
    node = policy_json_parse(object, -1, POLICY_HISTORY_MAX_SIZE, "its first line", &cause);
    if (!node || !policy_json_members(json_node_get_object(node), "", known, &cause) ||
        !policy_json_string(json_node_get_object(node), "", "name", FALSE, &name, &cause)) {
        corrupt(error, store, type, uuid, cause->message);
        return NULL;
    }
    history = policy_history_new(name);
    for (guint i = 1; i + 2 < n; i++) {
        gboolean comma = g_str_has_suffix(all[i], ",");

        if (comma != (i + 3 < n)) {
            g_autofree gchar *what = g_strdup_printf("its %s are not on lines of their own", type->member);

            corrupt(error, store, type, uuid, what);
            return NULL;
        }
        g_ptr_array_add(history->lines, g_strndup(all[i], strlen(all[i]) - (comma ? 1 : 0)));
    }
    return g_steal_pointer(&history);
}

JsonNode *policy_history_entry(const PolicyHistory *history, const PolicyHistoryType *type, guint index,
                               gchar **where, GError **error)
{
    *where = g_strdup_printf("%s[%u]", type->member, index);
    return policy_json_parse(g_ptr_array_index(history->lines, index), -1, POLICY_HISTORY_MAX_SIZE, *where, error);
}

/* ---- The file ---- */

/* Sets @text to %NULL when there is no file. */
static gboolean load(PolicyStore *store, const PolicyHistoryType *type, const char *uuid, gchar **text, GError **error)
{
    g_autofree gchar *file = NULL;
    gsize size = 0;

    *text = NULL;
    if (!check_uuid(type, uuid, error))
        return FALSE;
    file = file_name(uuid);
    if (!policy_store_read(store, type->kind, file, POLICY_HISTORY_MAX_SIZE, text, &size, error))
        return FALSE;
    if (*text && !check_whole(store, type, *text, size, uuid, error)) {
        g_clear_pointer(text, g_free);
        return FALSE;
    }
    return TRUE;
}

gboolean policy_history_there(PolicyStore *store, const PolicyHistoryType *type, const char *uuid, gboolean *there,
                              GError **error)
{
    g_autofree gchar *text = NULL;

    if (!load(store, type, uuid, &text, error))
        return FALSE;
    *there = text != NULL;
    return TRUE;
}

gboolean policy_history_read(PolicyStore *store, const PolicyHistoryType *type, const char *uuid, PolicyHistory **out,
                             GError **error)
{
    g_autofree gchar *text = NULL;

    *out = NULL;
    if (!load(store, type, uuid, &text, error))
        return FALSE;
    if (text)
        *out = split_lines(store, type, text, uuid, error);
    return !text || *out;
}

PolicyHistory *policy_history_read_or_replace(PolicyStore *store, const PolicyHistoryType *type, const char *uuid,
                                              const char *name, gchar **aside, GError **error)
{
    PolicyHistory *history = NULL;
    g_autoptr(GError) damage = NULL;
    g_autofree gchar *file = NULL;

    if (!check_uuid(type, uuid, error))
        return NULL;
    if (policy_history_read(store, type, uuid, &history, &damage)) {
        if (!history)
            return policy_history_new(name);
        g_free(history->name);
        history->name = g_strdup(name ? name : "");
        return history;
    }
    file = file_name(uuid);
    *aside = g_strdup_printf("%s.corrupt-%" G_GINT64_FORMAT, file, g_get_real_time());
    if (!policy_store_keep_aside(store, type->kind, file, *aside, NULL)) {
        g_propagate_error(error, g_steal_pointer(&damage));
        return NULL;
    }
    return policy_history_new(name);
}

gboolean policy_history_write(PolicyStore *store, const PolicyHistoryType *type, const char *uuid,
                              const PolicyHistory *history, guint keep, GError **error)
{
    const GPtrArray *lines = history->lines;
    g_autofree gchar *file = file_name(uuid);
    g_autofree gchar *head = format_head(type, uuid, history->name);
    g_autofree gchar *tail = NULL;
    g_autoptr(GString) text = g_string_new(head);
    guint first = lines->len > keep ? lines->len - keep : 0;
    gsize total = 0;

    /* From the newest backwards, and at least that one. */
    for (guint i = lines->len; i > first; i--) {
        total += strlen(g_ptr_array_index(lines, i - 1)) + 2;
        if (total > KEEP_SIZE && i < lines->len)
            first = i;
    }
    for (guint i = first; i < lines->len; i++) {
        g_string_append(text, g_ptr_array_index(lines, i));
        g_string_append(text, i + 1 < lines->len ? ",\n" : "\n");
    }
    tail = format_tail(text->str, text->len);
    g_string_append(text, tail);
    return policy_store_write(store, type->kind, file, text->str, text->len, TRUE, error);
}

gboolean policy_history_remove(PolicyStore *store, const PolicyHistoryType *type, const char *uuid, GError **error)
{
    g_autofree gchar *file = NULL;
    g_autofree gchar *aside = NULL;
    g_autoptr(GPtrArray) names = NULL;
    g_auto(PolicyFd) lock = -1;

    if (!check_uuid(type, uuid, error))
        return FALSE;
    file = file_name(uuid);
    aside = g_strconcat(file, ".corrupt-", NULL);
    names = policy_store_list(store, type->kind, error);
    if (!names)
        return FALSE;
    /* The lock would make the state folder of a host that has none. */
    if (!names->len)
        return TRUE;
    lock = policy_history_lock(store, type, uuid, error);
    if (lock < 0)
        return FALSE;
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);

        if ((!strcmp(name, file) || g_str_has_prefix(name, aside)) &&
            !policy_store_remove(store, type->kind, name, error))
            return FALSE;
    }
    return TRUE;
}
