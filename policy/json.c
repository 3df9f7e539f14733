/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/json.h"

#include <openssl/evp.h>
#include <string.h>

#include "measure/error.h"
#include "policy/text.h"

#define JSON_MAX_DEPTH 16

gboolean policy_json_error(GError **error, const char *where, const char *name, const char *format, ...)
{
    g_autofree gchar *text = NULL;
    g_autofree gchar *whole = NULL;
    g_autofree gchar *line = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    whole = g_strdup_printf("%s%s%s: %s", where, *where ? "." : "", name, text);
    /* Names and values of the document are quoted in it. */
    line = policy_one_line(whole, 1024);
    g_set_error_literal(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, line);
    return FALSE;
}

/* One of true, false, null or a number of RFC 8259 at @at; its length, 0 when it is none of them. */
static gsize bare_word(const char *at, gsize left)
{
    static const char *const words[] = {"true", "false", "null"};
    gsize n = 0, digits;

    for (gsize i = 0; i < G_N_ELEMENTS(words); i++) {
        if (left >= strlen(words[i]) && !memcmp(at, words[i], strlen(words[i])))
            return strlen(words[i]);
    }
    n += n < left && at[n] == '-';
    for (digits = 0; n < left && g_ascii_isdigit(at[n]); digits++)
        n++;
    /* Nothing that we read is longer, signed zero or a fraction; a leading zero would be octal to json-glib. */
    if (digits == 0 || digits > 18 || (digits > 1 && at[n - digits] == '0'))
        return 0;
    return n;
}

/* The four digits of a \u escape at @at; -1 when it is none. */
static gint escaped_unit(const char *at, gsize left)
{
    gint unit = 0;

    if (left < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (guint i = 2; i < 6; i++) {
        if (!g_ascii_isxdigit(at[i]))
            return -1;
        unit = unit * 16 + g_ascii_xdigit_value(at[i]);
    }
    return unit;
}

/* An escape sequence of RFC 8259, section 7, at @at: its length, 0 when it is wrong or names no character. */
static gsize escape_length(const char *at, gsize left)
{
    gint unit;

    if (left < 2 || !strchr("\"\\/bfnrtu", at[1]))
        return 0;
    if (at[1] != 'u')
        return 2;
    unit = escaped_unit(at, left);
    /* NUL would end the string early for C; half of a surrogate pair is not a character. */
    if (unit <= 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return 0;
    /* No domain XML can hold the other control characters, and json-glib writes U+001F back bare. */
    if (unit < 0x20 && unit != '\t' && unit != '\n' && unit != '\r')
        return 0;
    if (unit < 0xd800 || unit > 0xdfff)
        return 6;
    unit = escaped_unit(at + 6, left - 6);
    return unit >= 0xdc00 && unit <= 0xdfff ? 12 : 0;
}

/*
 * A pass over the tokens. json-glib's scanner takes comments, 'quotes',
 * assignments and octal numbers, and recurses for every bracket: none of that
 * may reach it. Order and pairing of the tokens are left to json-glib.
 */
static const char *scan(const char *text, gsize size)
{
    guint depth = 0;
    gboolean over = FALSE;

    for (gsize i = 0; i < size;) {
        char c = text[i];

        /* json-glib takes several documents in a row and keeps the last. */
        if (!depth && !strchr(over ? " \t\n\r" : " \t\n\r{[]}", c))
            return over ? "something behind its end" : "a word or number outside its brackets";
        if (c == '"') {
            for (i++; i < size && text[i] != '"';) {
                gsize n = text[i] == '\\' ? escape_length(text + i, size - i) : 1;

                if ((guchar)text[i] < 0x20)
                    return "a control character inside a string";
                if (!n)
                    return "an escape sequence that JSON does not have, or that is no character";
                i += n;
            }
            if (i >= size)
                return "a string without end";
            i++;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_MAX_DEPTH)
                return "too many brackets inside each other";
            i++;
        } else if (c == '}' || c == ']') {
            if (!depth--)
                return "a bracket too many";
            over = !depth;
            i++;
        } else if (c == ',' || c == ':' || c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            i++;
        } else {
            gsize n = bare_word(text + i, size - i);

            if (!n || (i + n < size && !strchr(",:}] \t\r\n", text[i + n])))
                return "a word or number that JSON does not have, or that no document of this kind uses";
            i += n;
        }
    }
    return depth ? "a bracket that is never closed" : NULL;
}

static void count_member(JsonParser *parser, JsonObject *object, const gchar *name, gpointer counter)
{
    (*(guint *)counter)++;
}

static guint members_of(JsonNode *node)
{
    guint count = 0;

    if (JSON_NODE_HOLDS_OBJECT(node)) {
        JsonObjectIter iter;
        JsonNode *child = NULL;

        json_object_iter_init(&iter, json_node_get_object(node));
        while (json_object_iter_next(&iter, NULL, &child))
            count += 1 + members_of(child);
    } else if (JSON_NODE_HOLDS_ARRAY(node)) {
        JsonArray *array = json_node_get_array(node);

        for (guint i = 0; i < json_array_get_length(array); i++)
            count += members_of(json_array_get_element(array, i));
    }
    return count;
}

JsonNode *policy_json_parse(const char *text, gssize size, gsize max_size, const char *what, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) cause = NULL;
    g_autoptr(JsonNode) root = NULL;
    gsize length = size < 0 ? strlen(text) : (gsize)size;
    const char *wrong = NULL;
    guint seen = 0;

    if (length > max_size) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s is larger than %" G_GSIZE_FORMAT " bytes", what,
                    max_size);
        return NULL;
    }
    wrong = g_utf8_validate_len(text, length, NULL) ? scan(text, length) : "bytes that are not UTF-8";
    if (wrong) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s is not valid JSON: it has %s", what, wrong);
        return NULL;
    }
    g_signal_connect(parser, "object-member", G_CALLBACK(count_member), &seen);
    if (!json_parser_load_from_data(parser, text, (gssize)length, &cause)) {
        g_autofree gchar *message = policy_one_line(cause->message, 300);

        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s is not valid JSON: %s", what, message);
        return NULL;
    }
    root = json_parser_steal_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s is not a JSON object", what);
        return NULL;
    }
    /* A member that is given twice was announced twice and kept once. */
    if (members_of(root) != seen) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s gives a member twice", what);
        return NULL;
    }
    return g_steal_pointer(&root);
}

gboolean policy_json_members(JsonObject *object, const char *where, const char *const *known, GError **error)
{
    JsonObjectIter iter;
    const gchar *name = NULL;

    json_object_iter_init(&iter, object);
    while (json_object_iter_next(&iter, &name, NULL)) {
        if (!g_strv_contains(known, name))
            return policy_json_error(error, where, name, "this member is not known");
    }
    return TRUE;
}

/* The member, NULL when it may be and is missing; @missing tells an error from that. */
static JsonNode *member(JsonObject *object, const char *where, const char *name, gboolean optional, gboolean *ok,
                        GError **error)
{
    JsonNode *node = json_object_get_member(object, name);

    *ok = node || optional || policy_json_error(error, where, name, "this member is missing");
    return node;
}

static JsonNode *value_member(JsonObject *object, const char *where, const char *name, gboolean optional, GType type,
                              const char *type_name, gboolean *ok, GError **error)
{
    JsonNode *node = member(object, where, name, optional, ok, error);

    if (node && (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != type)) {
        *ok = policy_json_error(error, where, name, "this is not %s", type_name);
        return NULL;
    }
    return node;
}

gboolean policy_json_string(JsonObject *object, const char *where, const char *name, gboolean optional, gchar **out,
                            GError **error)
{
    gboolean ok = FALSE;
    JsonNode *node = value_member(object, where, name, optional, G_TYPE_STRING, "a string", &ok, error);

    if (node) {
        g_free(*out);
        *out = json_node_dup_string(node);
    }
    return ok;
}

gboolean policy_json_uint(JsonObject *object, const char *where, const char *name, gboolean optional, guint64 max,
                          guint64 *out, GError **error)
{
    gboolean ok = FALSE;
    JsonNode *node = value_member(object, where, name, optional, G_TYPE_INT64, "a whole number", &ok, error);

    if (node) {
        gint64 value = json_node_get_int(node);

        if (value < 0 || (guint64)value > max)
            return policy_json_error(error, where, name, "this number is not from 0 to %" G_GUINT64_FORMAT, max);
        *out = (guint64)value;
    }
    return ok;
}

gboolean policy_json_boolean(JsonObject *object, const char *where, const char *name, gboolean optional, gboolean *out,
                             GError **error)
{
    gboolean ok = FALSE;
    JsonNode *node = value_member(object, where, name, optional, G_TYPE_BOOLEAN, "true or false", &ok, error);

    if (node)
        *out = json_node_get_boolean(node);
    return ok;
}

gboolean policy_json_hex_number(JsonObject *object, const char *where, const char *name, gboolean optional,
                                guint64 *out, GError **error)
{
    g_autofree gchar *text = NULL;

    if (!policy_json_string(object, where, name, optional, &text, error))
        return FALSE;
    if (text) {
        g_autofree gchar *canonical = NULL;
        guint64 value = 0;

        if (!g_str_has_prefix(text, "0x") || !g_ascii_string_to_unsigned(text + 2, 16, 0, G_MAXUINT64, &value, NULL))
            return policy_json_error(error, where, name, "this is not a number such as 0x1");
        canonical = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", value);
        if (strcmp(canonical, text))
            return policy_json_error(error, where, name, "this is not a number such as %s", canonical);
        *out = value;
    }
    return TRUE;
}

gboolean policy_json_hex_bytes(JsonObject *object, const char *where, const char *name, gsize size, guint8 *out,
                               GError **error)
{
    g_autofree gchar *text = NULL;

    if (!policy_json_string(object, where, name, FALSE, &text, error))
        return FALSE;
    if (!measure_hex_decode(text, out, size) || strspn(text, "0123456789abcdef") != 2 * size)
        return policy_json_error(error, where, name,
                                 "this is not a digest of %" G_GSIZE_FORMAT " lower-case hexadecimal digits", 2 * size);
    return TRUE;
}

gboolean policy_json_object(JsonObject *object, const char *where, const char *name, gboolean optional,
                            JsonObject **out, GError **error)
{
    gboolean ok = FALSE;
    JsonNode *node = member(object, where, name, optional, &ok, error);

    *out = NULL;
    if (node && !JSON_NODE_HOLDS_OBJECT(node))
        return policy_json_error(error, where, name, "this is not an object");
    if (node)
        *out = json_node_get_object(node);
    return ok;
}

gboolean policy_json_array(JsonObject *object, const char *where, const char *name, gboolean optional, JsonArray **out,
                           GError **error)
{
    gboolean ok = FALSE;
    JsonNode *node = member(object, where, name, optional, &ok, error);

    *out = NULL;
    if (node && !JSON_NODE_HOLDS_ARRAY(node))
        return policy_json_error(error, where, name, "this is not an array");
    if (node)
        *out = json_node_get_array(node);
    return ok;
}

JsonObject *policy_json_element(JsonArray *array, guint index, const char *where, const char *name, gchar **position,
                                GError **error)
{
    JsonNode *node = json_array_get_element(array, index);

    *position = g_strdup_printf("%s%s%s[%u]", where, *where ? "." : "", name, index);
    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s: this is not an object", *position);
        return NULL;
    }
    return json_node_get_object(node);
}

void policy_json_add_string(JsonObject *object, const char *name, const char *value)
{
    if (value)
        json_object_set_string_member(object, name, value);
}

void policy_json_add_hex_number(JsonObject *object, const char *name, guint64 value)
{
    g_autofree gchar *text = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", value);

    json_object_set_string_member(object, name, text);
}

void policy_json_add_hex_bytes(JsonObject *object, const char *name, const guint8 *data, gsize size)
{
    g_autofree gchar *text = measure_hex_encode(data, size);

    json_object_set_string_member(object, name, text);
}

gchar *policy_json_format(JsonObject *object, gboolean pretty)
{
    g_autoptr(JsonNode) root = json_node_init_object(json_node_alloc(), object);
    g_autofree gchar *text = json_to_string(root, pretty);

    json_object_unref(object);
    return pretty ? g_strconcat(text, "\n", NULL) : g_steal_pointer(&text);
}

void policy_sha256(const void *data, gsize size, guint8 out[MEASURE_SHA256_SIZE])
{
    guint length = 0;

    /* Only an allocation inside libcrypto can fail here, and GLib programs do not survive that either. */
    if (!EVP_Digest(data, size, out, &length, EVP_sha256(), NULL) || length != MEASURE_SHA256_SIZE)
        g_error("SHA-256 is not available in libcrypto");
}
