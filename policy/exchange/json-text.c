/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/exchange/json-text.h"

#include <string.h>

#include "measure/error.h"

JsonNode *exchange_json_parse_array(const char *text, gssize size, const char *what, GError **error)
{
    static const char *const known[] = {"list", NULL};
    gsize length = size < 0 ? strlen(text) : (gsize)size;
    g_autoptr(GString) wrapped = NULL;
    g_autoptr(JsonNode) root = NULL;
    JsonObject *object = NULL;
    JsonArray *array = NULL;

    if (length > EXCHANGE_JSON_MAX_SIZE) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s is larger than %u bytes", what,
                    EXCHANGE_JSON_MAX_SIZE);
        return NULL;
    }
    /* The strict reader takes objects only. Text that would end the wrapper early becomes a second member, or more. */
    wrapped = g_string_sized_new(length + 16);
    g_string_append(wrapped, "{\"list\":");
    g_string_append_len(wrapped, text, (gssize)length);
    g_string_append_c(wrapped, '}');
    root = policy_json_parse(wrapped->str, (gssize)wrapped->len, EXCHANGE_JSON_MAX_SIZE + 16, what, error);
    if (!root)
        return NULL;
    object = json_node_get_object(root);
    if (!policy_json_members(object, "", known, error) ||
        !policy_json_array(object, "", "list", FALSE, &array, error)) {
        g_prefix_error(error, "%s is not a list: ", what);
        return NULL;
    }
    return json_node_copy(json_object_get_member(object, "list"));
}

static void append_character(GString *out, gunichar c)
{
    static const char with_letter[] = "\b\f\n\r\t";
    const char *at = c && c < 0x20 ? strchr(with_letter, (int)c) : NULL;

    if (c == '"' || c == '\\')
        g_string_append_printf(out, "\\%c", (int)c);
    else if (at)
        g_string_append_printf(out, "\\%c", "bfnrt"[at - with_letter]);
    else if (c >= 0x20 && c < 0x7f)
        g_string_append_c(out, (gchar)c);
    else if (c < 0x10000)
        g_string_append_printf(out, "\\u%04x", c);
    else
        g_string_append_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
}

static void append_string(GString *out, const char *text)
{
    g_string_append_c(out, '"');
    for (const char *at = text; *at; at = g_utf8_next_char(at))
        append_character(out, g_utf8_get_char(at));
    g_string_append_c(out, '"');
}

static void append_break(GString *out, guint depth)
{
    g_string_append_printf(out, "\n%*s", (int)(2 * depth), "");
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(a, b);
}

static void append_node(GString *out, JsonNode *node, guint depth);

static void append_object(GString *out, JsonObject *object, guint depth)
{
    g_autoptr(GList) names = g_list_sort(json_object_get_members(object), compare_names);

    g_string_append_c(out, '{');
    for (GList *each = names; each; each = each->next) {
        append_break(out, depth + 1);
        append_string(out, each->data);
        g_string_append(out, ": ");
        append_node(out, json_object_get_member(object, each->data), depth + 1);
        if (each->next)
            g_string_append_c(out, ',');
        else
            append_break(out, depth);
    }
    g_string_append_c(out, '}');
}

static void append_array(GString *out, JsonArray *array, guint depth)
{
    guint length = json_array_get_length(array);

    g_string_append_c(out, '[');
    for (guint i = 0; i < length; i++) {
        append_break(out, depth + 1);
        append_node(out, json_array_get_element(array, i), depth + 1);
        if (i + 1 < length)
            g_string_append_c(out, ',');
        else
            append_break(out, depth);
    }
    g_string_append_c(out, ']');
}

static void append_node(GString *out, JsonNode *node, guint depth)
{
    if (JSON_NODE_HOLDS_OBJECT(node))
        append_object(out, json_node_get_object(node), depth);
    else if (JSON_NODE_HOLDS_ARRAY(node))
        append_array(out, json_node_get_array(node), depth);
    else if (JSON_NODE_HOLDS_NULL(node))
        g_string_append(out, "null");
    else if (json_node_get_value_type(node) == G_TYPE_STRING)
        append_string(out, json_node_get_string(node));
    else if (json_node_get_value_type(node) == G_TYPE_BOOLEAN)
        g_string_append(out, json_node_get_boolean(node) ? "true" : "false");
    else /* the strict reader takes no fractions */
        g_string_append_printf(out, "%" G_GINT64_FORMAT, json_node_get_int(node));
}

gchar *exchange_json_format(JsonNode *node)
{
    g_autoptr(GString) out = g_string_new(NULL);

    append_node(out, node, 0);
    return g_string_free(g_steal_pointer(&out), FALSE);
}

gchar *exchange_json_format_object(JsonObject *object)
{
    g_autoptr(JsonNode) root = json_node_init_object(json_node_alloc(), object);
    g_autofree gchar *text = exchange_json_format(root);

    json_object_unref(object);
    return g_strconcat(text, "\n", NULL);
}
