/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/verdict-record.h"

#include <string.h>

#include "measure/error.h"
#include "policy/text.h"

#define MAX_TEXT 1024
/* More checks than a verdict has. */
#define MAX_FAILED 256

static const PolicyHistoryType verdicts_type = {.kind = "verdicts",
                                                .format = "virt-attest-verdicts-1",
                                                .member = "verdicts",
                                                .noun = "list of verdicts",
                                                .mender = "the next verdict about the domain"};

static void check_free(PolicyVerdictCheck *check)
{
    g_free(check->name);
    g_free(check->text);
    g_free(check);
}

PolicyVerdictEntry *policy_verdict_entry_new(void)
{
    PolicyVerdictEntry *entry = g_new0(PolicyVerdictEntry, 1);

    entry->failed = g_ptr_array_new_with_free_func((GDestroyNotify)check_free);
    return entry;
}

void policy_verdict_entry_free(PolicyVerdictEntry *entry)
{
    if (!entry)
        return;
    g_free(entry->time);
    g_free(entry->at);
    g_free(entry->verdict);
    g_free(entry->source);
    g_free(entry->form);
    g_free(entry->trust_anchor);
    g_free(entry->report);
    g_free(entry->report_id);
    g_free(entry->measurement);
    g_free(entry->reported_tcb);
    g_free(entry->chip);
    g_free(entry->reference);
    g_free(entry->launch);
    g_ptr_array_unref(entry->failed);
    g_free(entry);
}

void policy_verdict_entry_fail(PolicyVerdictEntry *entry, const char *name, const char *text)
{
    PolicyVerdictCheck *check = g_new0(PolicyVerdictCheck, 1);

    check->name = g_strdup(name);
    check->text = policy_one_line(text, MAX_TEXT);
    g_ptr_array_add(entry->failed, check);
}

/* ---- One verdict as JSON ---- */

static gchar *format_entry(const PolicyVerdictEntry *entry)
{
    JsonObject *object = json_object_new();
    JsonArray *failed = json_array_new();

    policy_json_add_string(object, "time", entry->time);
    policy_json_add_string(object, "at", entry->at);
    policy_json_add_string(object, "verdict", entry->verdict);
    policy_json_add_string(object, "source", entry->source);
    policy_json_add_string(object, "form", entry->form);
    policy_json_add_string(object, "trustAnchor", entry->trust_anchor);
    json_object_set_boolean_member(object, "fresh", entry->fresh);
    policy_json_add_string(object, "report", entry->report);
    policy_json_add_string(object, "reportId", entry->report_id);
    policy_json_add_string(object, "measurement", entry->measurement);
    policy_json_add_string(object, "reportedTcb", entry->reported_tcb);
    policy_json_add_string(object, "chip", entry->chip);
    policy_json_add_string(object, "reference", entry->reference);
    if (entry->launch)
        policy_json_add_string(object, "launch", entry->launch);
    else
        json_object_set_null_member(object, "launch");
    for (guint i = 0; i < entry->failed->len; i++) {
        const PolicyVerdictCheck *check = g_ptr_array_index(entry->failed, i);
        JsonObject *each = json_object_new();

        policy_json_add_string(each, "name", check->name);
        policy_json_add_string(each, "text", check->text);
        json_array_add_object_element(failed, each);
    }
    json_object_set_array_member(object, "failed", failed);
    return policy_json_format(object, FALSE);
}

static gboolean read_failed(JsonObject *object, const char *where, PolicyVerdictEntry *entry, GError **error)
{
    static const char *const known[] = {"name", "text", NULL};
    JsonArray *array = NULL;

    if (!policy_json_array(object, where, "failed", FALSE, &array, error))
        return FALSE;
    if (json_array_get_length(array) > MAX_FAILED)
        return policy_json_error(error, where, "failed", "there are more than %u", MAX_FAILED);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        g_autofree gchar *position = NULL;
        JsonObject *each = policy_json_element(array, i, where, "failed", &position, error);
        PolicyVerdictCheck *check = g_new0(PolicyVerdictCheck, 1);

        g_ptr_array_add(entry->failed, check);
        if (!each || !policy_json_members(each, position, known, error) ||
            !policy_json_string(each, position, "name", FALSE, &check->name, error) ||
            !policy_json_string(each, position, "text", FALSE, &check->text, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean read_hex(JsonObject *object, const char *where, const char *name, gsize size, gboolean optional,
                         gchar **out, GError **error)
{
    g_autofree guint8 *bytes = g_malloc(size);

    if (optional && !json_object_has_member(object, name))
        return TRUE;
    return policy_json_hex_bytes(object, where, name, size, bytes, error) &&
           policy_json_string(object, where, name, FALSE, out, error);
}

/* 8 bytes on Turin, 64 before. */
static gboolean read_chip(JsonObject *object, const char *where, PolicyVerdictEntry *entry, GError **error)
{
    g_autofree gchar *text = NULL;

    if (!policy_json_string(object, where, "chip", TRUE, &text, error))
        return FALSE;
    return !text || read_hex(object, where, "chip", strlen(text) == 16 ? 8 : 64, FALSE, &entry->chip, error);
}

/* Said in so many words: not that a launch was forgotten, but that there is none. */
static gboolean read_launch(JsonObject *object, const char *where, PolicyVerdictEntry *entry, GError **error)
{
    if (json_object_has_member(object, "launch") && json_object_get_null_member(object, "launch"))
        return TRUE;
    return policy_json_string(object, where, "launch", FALSE, &entry->launch, error);
}

static gboolean check_word(const char *where, const char *name, const char *word, const char *const *known,
                           GError **error)
{
    return g_strv_contains(known, word) || policy_json_error(error, where, name, "'%s' is not known here", word);
}

/* What the checksum does not tell: whether it makes sense. */
static gboolean check_entry(const PolicyVerdictEntry *entry, const char *where, GError **error)
{
    static const char *const verdicts[] = {"accepted", "rejected", "incomplete", NULL};
    static const char *const sources[] = {"file", "channel", "agent", NULL};
    static const char *const anchors[] = {"amd", "file", NULL};
    gboolean accepted = !strcmp(entry->verdict, "accepted");

    if (!policy_time_valid(entry->time) || (entry->at && !policy_time_valid(entry->at)))
        return policy_json_error(error, where, "time", "this is not a time such as 2026-01-31T12:00:00Z");
    if (!check_word(where, "verdict", entry->verdict, verdicts, error) ||
        !check_word(where, "source", entry->source, sources, error) ||
        !check_word(where, "trustAnchor", entry->trust_anchor, anchors, error))
        return FALSE;
    if (accepted != (entry->failed->len == 0))
        return policy_json_error(error, where, "failed", "a verdict is 'accepted' when no check has failed, only then");
    if (entry->at && entry->launch)
        return policy_json_error(error, where, "launch", "old evidence is not of a launch that was running");
    return TRUE;
}

static PolicyVerdictEntry *parse_entry(JsonObject *object, const char *where, GError **error)
{
    static const char *const known[] = {"time",        "at",     "verdict", "source",   "form",
                                        "trustAnchor", "fresh",  "report",  "reportId", "measurement",
                                        "reportedTcb", "chip",   "launch",  "failed",   "reference",
                                        NULL};
    g_autoptr(PolicyVerdictEntry) entry = policy_verdict_entry_new();

    if (!policy_json_members(object, where, known, error) ||
        !policy_json_string(object, where, "time", FALSE, &entry->time, error) ||
        !policy_json_string(object, where, "at", TRUE, &entry->at, error) ||
        !policy_json_string(object, where, "verdict", FALSE, &entry->verdict, error) ||
        !policy_json_string(object, where, "source", FALSE, &entry->source, error) ||
        !policy_json_string(object, where, "form", FALSE, &entry->form, error) ||
        !policy_json_string(object, where, "trustAnchor", FALSE, &entry->trust_anchor, error) ||
        !policy_json_boolean(object, where, "fresh", FALSE, &entry->fresh, error) ||
        !read_hex(object, where, "report", 32, FALSE, &entry->report, error) ||
        !read_hex(object, where, "reportId", 32, FALSE, &entry->report_id, error) ||
        !read_hex(object, where, "measurement", 48, FALSE, &entry->measurement, error) ||
        !policy_json_string(object, where, "reportedTcb", FALSE, &entry->reported_tcb, error) ||
        !read_chip(object, where, entry, error) ||
        !read_hex(object, where, "reference", 32, TRUE, &entry->reference, error) ||
        !read_launch(object, where, entry, error) || !read_failed(object, where, entry, error) ||
        !check_entry(entry, where, error))
        return NULL;
    return g_steal_pointer(&entry);
}

/* ---- The file ---- */

GPtrArray *policy_verdicts_read(PolicyStore *store, const char *uuid, GError **error)
{
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func((GDestroyNotify)policy_verdict_entry_free);
    PolicyHistory *read = NULL;
    gboolean readable = policy_history_read(store, &verdicts_type, uuid, &read, error);
    g_autoptr(PolicyHistory) history = read;

    if (!readable)
        return NULL;
    for (guint i = 0; history && i < history->lines->len; i++) {
        g_autofree gchar *where = NULL;
        g_autoptr(JsonNode) node = policy_history_entry(history, &verdicts_type, i, &where, error);
        PolicyVerdictEntry *entry = node ? parse_entry(json_node_get_object(node), where, error) : NULL;

        if (!entry) {
            g_prefix_error(error, "list of verdicts '%s/verdicts/%s.json': ", policy_store_directory(store), uuid);
            return NULL;
        }
        g_ptr_array_add(entries, entry);
    }
    return g_steal_pointer(&entries);
}

gboolean policy_verdicts_append(PolicyStore *store, const char *uuid, const char *name, const PolicyVerdictEntry *entry,
                                guint history, gchar **aside, GError **error)
{
    g_autofree gchar *line = format_entry(entry);
    g_autoptr(JsonNode) node = policy_json_parse(line, -1, POLICY_HISTORY_MAX_SIZE, "this verdict", error);
    g_autoptr(PolicyVerdictEntry) again = node ? parse_entry(json_node_get_object(node), "", error) : NULL;
    /* Of a reference that somebody may have handed over. */
    g_autofree gchar *line_name = policy_one_line(name ? name : "", 256);
    g_autoptr(PolicyHistory) lines = NULL;
    g_auto(PolicyFd) lock = -1;

    *aside = NULL;
    if (!again)
        return FALSE;
    lock = policy_history_lock(store, &verdicts_type, uuid, error);
    if (lock < 0)
        return FALSE;
    lines = policy_history_read_or_replace(store, &verdicts_type, uuid, line_name, aside, error);
    if (!lines)
        return FALSE;
    g_ptr_array_add(lines->lines, g_steal_pointer(&line));
    return policy_history_write(store, &verdicts_type, uuid, lines, history, error);
}

gboolean policy_verdicts_remove(PolicyStore *store, const char *uuid, GError **error)
{
    return policy_history_remove(store, &verdicts_type, uuid, error);
}
