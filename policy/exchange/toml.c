/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/exchange/toml.h"

#include <string.h>

#include "measure/error.h"
#include "policy/exchange/digests.h"

/**
 * Reader:
 * @at, @end: what is left
 * @table: of the keys that follow
 * @tables: (element-type utf8): headers that were there
 * @seen: table, newline, key: of every entry
 */
typedef struct {
    const char *what;
    const char *at, *end;
    guint line;
    gchar *table;
    GHashTable *tables, *seen;
    GPtrArray *entries;
    GError **error;
} Reader;

static gboolean fail(Reader *reader, const char *text)
{
    return exchange_fail(reader->error, ATTEST_ERROR_UNREADABLE, "%s, line %u: %s", reader->what, reader->line, text);
}

void exchange_toml_entry_free(ExchangeTomlEntry *entry)
{
    if (!entry)
        return;
    g_free(entry->table);
    g_free(entry->key);
    g_free(entry->string);
    g_clear_pointer(&entry->integers, g_array_unref);
    g_free(entry);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ExchangeTomlEntry, exchange_toml_entry_free)

/* The next character, 0 at the end; the text has no NUL. */
static char peek(const Reader *reader)
{
    return reader->at < reader->end ? *reader->at : '\0';
}

static gboolean begins(const Reader *reader, const char *text)
{
    gsize length = strlen(text);

    return (gsize)(reader->end - reader->at) >= length && !memcmp(reader->at, text, length);
}

static void skip_blanks(Reader *reader)
{
    while (peek(reader) == ' ' || peek(reader) == '\t')
        reader->at++;
}

/* To the end of the line, which only a comment may fill. TRUE at the end of the text too. */
static gboolean finish_line(Reader *reader)
{
    skip_blanks(reader);
    if (peek(reader) == '#') {
        for (; reader->at < reader->end && *reader->at != '\n' && !begins(reader, "\r\n"); reader->at++) {
            if ((*reader->at >= 0 && *reader->at < 0x20 && *reader->at != '\t') || *reader->at == 0x7f)
                return fail(reader, "a control character in a comment");
        }
    }
    if (begins(reader, "\r\n"))
        reader->at++;
    if (reader->at < reader->end && *reader->at != '\n')
        return fail(reader, "there is more behind the value");
    if (reader->at < reader->end) {
        reader->at++;
        reader->line++;
    }
    return TRUE;
}

/* ---- strings ---- */

static gboolean read_unicode(Reader *reader, guint digits, GString *out)
{
    gunichar c = 0;

    for (guint i = 0; i < digits; i++, reader->at++) {
        if (!g_ascii_isxdigit(peek(reader)))
            return fail(reader, "an escape with too few hexadecimal digits");
        c = c * 16 + (gunichar)g_ascii_xdigit_value(*reader->at);
    }
    /* NUL would end the string early for everything behind us. */
    if (!c || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return fail(reader, "an escape that is no character");
    g_string_append_unichar(out, c);
    return TRUE;
}

static gboolean read_escape(Reader *reader, GString *out)
{
    static const char letters[] = "btnfr\"\\";
    static const char meanings[] = "\b\t\n\f\r\"\\";
    char c = peek(reader);
    const char *found = c ? strchr(letters, c) : NULL;

    reader->at += c != '\0';
    if (c == 'u' || c == 'U')
        return read_unicode(reader, c == 'u' ? 4 : 8, out);
    if (!found)
        return fail(reader, "an escape that TOML does not have");
    g_string_append_c(out, meanings[found - letters]);
    return TRUE;
}

static gchar *read_string(Reader *reader)
{
    char quote = *reader->at;
    g_autoptr(GString) out = g_string_new(NULL);

    if (begins(reader, "\"\"\"") || begins(reader, "'''")) {
        fail(reader, "strings over several lines are not read here: write it on one");
        return NULL;
    }
    for (reader->at++; peek(reader) != quote;) {
        guchar c = (guchar)peek(reader);

        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            fail(reader, "a string without end, or a control character in it");
            return NULL;
        }
        reader->at++;
        if (c != '\\' || quote == '\'')
            g_string_append_c(out, (gchar)c);
        else if (!read_escape(reader, out))
            return NULL;
    }
    reader->at++;
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static gboolean is_bare(char c)
{
    return g_ascii_isalnum(c) || c == '_' || c == '-';
}

static gchar *read_key(Reader *reader)
{
    const char *begin = reader->at;

    if (peek(reader) == '"' || peek(reader) == '\'')
        return read_string(reader);
    while (is_bare(peek(reader)))
        reader->at++;
    if (reader->at == begin) {
        fail(reader, "a key is missing");
        return NULL;
    }
    return g_strndup(begin, (gsize)(reader->at - begin));
}

/* ---- other values ---- */

/* A digit or an underscore between two of them. */
static gboolean read_digits(Reader *reader, guint base, GString *out)
{
    gboolean underscore = TRUE; /* at the beginning none may be */

    for (;; reader->at++) {
        char c = peek(reader);
        gint value = g_ascii_isxdigit(c) ? g_ascii_xdigit_value(c) : -1;

        if (c == '_' && !underscore) {
            underscore = TRUE;
            continue;
        }
        if (value < 0 || (guint)value >= base)
            break;
        g_string_append_c(out, c);
        underscore = FALSE;
    }
    return !underscore || fail(reader, "a number without digits, or with an underscore that is not between two digits");
}

static gboolean read_integer(Reader *reader, gint64 *out)
{
    g_autoptr(GString) digits = g_string_new(NULL);
    gboolean negative = peek(reader) == '-', sign = negative || peek(reader) == '+';
    guint base = 10;
    guint64 value = 0;

    reader->at += sign;
    if (!sign && peek(reader) == '0' && reader->end - reader->at > 1) {
        char c = reader->at[1];

        base = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
        reader->at += base == 10 ? 0 : 2;
    }
    if (!read_digits(reader, base, digits))
        return FALSE;
    if (base == 10 && digits->str[0] == '0' && digits->len > 1)
        return fail(reader, "a number with a leading zero, or a date, which is not read here");
    /* Numbers of other kinds go on here. */
    if (is_bare(peek(reader)) || peek(reader) == '.' || peek(reader) == ':')
        return fail(reader, "this is not a whole number; fractions and dates are not read here");
    if (!g_ascii_string_to_unsigned(digits->str, base, 0, G_MAXINT64, &value, NULL))
        return fail(reader, "a number of more than 63 bits");
    *out = negative ? -(gint64)value : (gint64)value;
    return TRUE;
}

/* Blanks, newlines and comments: what may stand between the elements of an array. */
static gboolean skip_lines(Reader *reader)
{
    for (;;) {
        skip_blanks(reader);
        if (peek(reader) != '#' && peek(reader) != '\n' && !begins(reader, "\r\n"))
            return TRUE;
        if (!finish_line(reader))
            return FALSE;
    }
}

static gboolean read_array(Reader *reader, ExchangeTomlEntry *entry)
{
    entry->kind = EXCHANGE_TOML_INTEGERS;
    entry->integers = g_array_new(FALSE, FALSE, sizeof(gint64));
    for (reader->at++;;) {
        gint64 value = 0;

        if (!skip_lines(reader))
            return FALSE;
        if (peek(reader) == ']')
            break;
        if (!g_ascii_isdigit(peek(reader)) && peek(reader) != '+' && peek(reader) != '-')
            return fail(reader, "an array without end, or of something else than whole numbers");
        if (!read_integer(reader, &value) || !skip_lines(reader))
            return FALSE;
        if (entry->integers->len >= EXCHANGE_TOML_MAX_ENTRIES)
            return fail(reader, "an array with too many elements");
        g_array_append_val(entry->integers, value);
        if (peek(reader) == ',')
            reader->at++;
        else if (peek(reader) != ']')
            return fail(reader, "a comma is missing in an array");
    }
    reader->at++;
    return TRUE;
}

static gboolean read_value(Reader *reader, ExchangeTomlEntry *entry)
{
    char c = peek(reader);

    if (c == '"' || c == '\'') {
        entry->kind = EXCHANGE_TOML_STRING;
        entry->string = read_string(reader);
        return entry->string != NULL;
    }
    if (c == '[')
        return read_array(reader, entry);
    if (begins(reader, "true") || begins(reader, "false")) {
        entry->kind = EXCHANGE_TOML_BOOLEAN;
        entry->boolean = c == 't';
        reader->at += entry->boolean ? 4 : 5;
        return !is_bare(peek(reader)) || fail(reader, "a word that TOML does not have");
    }
    if (g_ascii_isdigit(c) || c == '+' || c == '-') {
        entry->kind = EXCHANGE_TOML_INTEGER;
        return read_integer(reader, &entry->integer);
    }
    return fail(reader, c == '{' ? "inline tables are not read here" : "this is not a value");
}

/* ---- lines ---- */

static gboolean read_header(Reader *reader)
{
    g_autofree gchar *name = NULL;
    g_autofree gchar *as_key = NULL;

    if (begins(reader, "[["))
        return fail(reader, "arrays of tables are not read here");
    reader->at++;
    skip_blanks(reader);
    name = read_key(reader);
    if (!name)
        return FALSE;
    skip_blanks(reader);
    if (peek(reader) != ']')
        return fail(reader, "this is not [NAME]; tables inside tables are not read here");
    reader->at++;
    if (!*name)
        return fail(reader, "a table without a name is not read here");
    /* The same name as a key of the root would be one thing of two kinds. */
    as_key = g_strconcat("\n", name, NULL);
    if (!g_hash_table_add(reader->tables, g_strdup(name)) || g_hash_table_contains(reader->seen, as_key))
        return fail(reader, "a name that is there twice");
    g_free(reader->table);
    reader->table = g_steal_pointer(&name);
    return finish_line(reader);
}

static gboolean read_pair(Reader *reader)
{
    g_autoptr(ExchangeTomlEntry) entry = g_new0(ExchangeTomlEntry, 1);

    entry->line = reader->line;
    entry->table = g_strdup(reader->table);
    entry->key = read_key(reader);
    if (!entry->key)
        return FALSE;
    skip_blanks(reader);
    if (peek(reader) != '=')
        return fail(reader,
                    peek(reader) == '.' ? "dotted keys are not read here: use [TABLE]" : "this is not KEY = VALUE");
    reader->at++;
    skip_blanks(reader);
    if (!g_hash_table_add(reader->seen, g_strconcat(entry->table, "\n", entry->key, NULL)))
        return fail(reader, "a key that is there twice");
    if (reader->entries->len >= EXCHANGE_TOML_MAX_ENTRIES)
        return fail(reader, "too many keys");
    if (!read_value(reader, entry) || !finish_line(reader))
        return FALSE;
    g_ptr_array_add(reader->entries, g_steal_pointer(&entry));
    return TRUE;
}

static gboolean read_lines(Reader *reader)
{
    for (;;) {
        if (!skip_lines(reader))
            return FALSE;
        if (reader->at >= reader->end)
            return TRUE;
        if (peek(reader) == '[' ? !read_header(reader) : !read_pair(reader))
            return FALSE;
    }
}

GPtrArray *exchange_toml_parse(const char *text, gssize size, const char *what, GError **error)
{
    gsize length = size < 0 ? strlen(text) : (gsize)size;
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func((GDestroyNotify)exchange_toml_entry_free);
    g_autoptr(GHashTable) tables = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Reader reader = {.what = what,
                     .at = text,
                     .end = text + length,
                     .line = 1,
                     .tables = tables,
                     .seen = seen,
                     .entries = entries,
                     .error = error};
    gboolean ok;

    /* The check refuses NUL too. */
    if (!exchange_check_text(text, length, EXCHANGE_TOML_MAX_SIZE, what, error))
        return NULL;
    reader.table = g_strdup("");
    ok = read_lines(&reader);
    g_free(reader.table);
    return ok ? g_steal_pointer(&entries) : NULL;
}

gchar *exchange_toml_quote(const char *text)
{
    g_autoptr(GString) out = g_string_new("\"");

    for (; *text; text++) {
        guchar c = (guchar)*text;

        if (c == '"' || c == '\\')
            g_string_append_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            g_string_append_printf(out, "\\u%04X", c);
        else
            g_string_append_c(out, (gchar)c);
    }
    g_string_append_c(out, '"');
    return g_string_free(g_steal_pointer(&out), FALSE);
}
