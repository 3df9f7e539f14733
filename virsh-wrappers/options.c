/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/options.h"

#include <string.h>

#include "measure/error.h"

struct CmdArguments {
    const CmdOption *const *tables; /* program constants */
    GHashTable *values;             /* name -> GPtrArray of values; empty array for a flag */
    GPtrArray *words;
    GPtrArray *none;
};

static CmdArguments *arguments_new(const CmdOption *const *tables)
{
    CmdArguments *arguments = g_new0(CmdArguments, 1);
    arguments->tables = tables;
    arguments->values = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
    arguments->words = g_ptr_array_new_with_free_func(g_free);
    arguments->none = g_ptr_array_new();
    return arguments;
}

void cmd_arguments_free(CmdArguments *arguments)
{
    if (!arguments) {
        return;
    }
    g_hash_table_unref(arguments->values);
    g_ptr_array_unref(arguments->words);
    g_ptr_array_unref(arguments->none);
    g_free(arguments);
}

const CmdOption *cmd_option_find(const CmdOption *const *tables, const char *name)
{
    for (; *tables; tables++) {
        for (const CmdOption *option = *tables; option->name; option++) {
            if (g_str_equal(option->name, name)) {
                return option;
            }
        }
    }
    return NULL;
}

static const CmdOption *find_letter(const CmdOption *const *tables, char letter)
{
    for (; *tables; tables++) {
        for (const CmdOption *option = *tables; option->name; option++) {
            if (option->letter && option->letter == letter) {
                return option;
            }
        }
    }
    return NULL;
}

gchar **cmd_option_choices(const CmdOption *option)
{
    return option->argument && strchr(option->argument, '|') ? g_strsplit(option->argument, "|", -1) : NULL;
}

/* Edit distance with swapped neighbours; words longer than the table are "far". */
static guint edit_distance(const char *a, const char *b)
{
    enum { LIMIT = 32 };
    gsize n = strlen(a), m = strlen(b);
    if (n >= LIMIT || m >= LIMIT) {
        return LIMIT;
    }
    guint d[LIMIT][LIMIT];
    for (gsize i = 0; i <= n; i++) {
        for (gsize j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (guint)(i + j);
                continue;
            }
            guint best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = MIN(best, d[i - 1][j] + 1);
            best = MIN(best, d[i][j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = MIN(best, d[i - 2][j - 2] + 1);
            }
            d[i][j] = best;
        }
    }
    return d[n][m];
}

const char *cmd_nearest(const char *word, const char *const *candidates)
{
    const char *found = NULL;
    guint best = (guint)CLAMP(strlen(word) / 3, 1, 4) + 1;
    for (; *candidates; candidates++) {
        gboolean abbreviated = strlen(word) >= 2 && g_str_has_prefix(*candidates, word);
        guint distance = abbreviated ? 1 : edit_distance(word, *candidates);
        if (distance < best) {
            best = distance;
            found = *candidates;
        }
    }
    return found;
}

static gboolean unknown_option(const CmdOption *const *tables, const char *word, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (; *tables; tables++) {
        for (const CmdOption *option = *tables; option->name; option++) {
            g_ptr_array_add(names, (gpointer)option->name);
        }
    }
    g_ptr_array_add(names, NULL);
    g_autofree gchar *bare = g_strndup(word + strspn(word, "-"), strcspn(word + strspn(word, "-"), "="));
    const char *nearest = cmd_nearest(bare, (const char *const *)names->pdata);
    if (nearest) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "unknown option '%s': did you mean '--%s'?", word,
                    nearest);
    } else {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "unknown option '%s'", word);
    }
    return FALSE;
}

static gboolean add_value(CmdArguments *arguments, const CmdOption *option, const char *value, GError **error)
{
    GPtrArray *values = g_hash_table_lookup(arguments->values, option->name);
    if (values && option->kind == CMD_VALUE) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "option '--%s' is given twice", option->name);
        return FALSE;
    }
    if (!values) {
        values = g_ptr_array_new_with_free_func(g_free);
        g_hash_table_insert(arguments->values, (gpointer)option->name, values);
    }
    if (option->kind == CMD_FLAG) {
        return TRUE;
    }
    g_auto(GStrv) choices = cmd_option_choices(option);
    if (choices && !g_strv_contains((const gchar *const *)choices, value)) {
        g_autofree gchar *list = g_strjoinv(", ", choices);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "'%s' is not a value of option '--%s': use one of %s",
                    value, option->name, list);
        return FALSE;
    }
    g_ptr_array_add(values, g_strdup(value));
    return TRUE;
}

static gboolean missing_value(const CmdOption *option, GError **error)
{
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "option '--%s' needs a value: --%s %s", option->name,
                option->name, option->argument);
    return FALSE;
}

/* "--name", "--name=value", "--name value"; moves @i over a value of its own. */
static gboolean read_long(CmdArguments *arguments, const char *const *words, gsize *i, GError **error)
{
    const char *word = words[*i];
    const char *equals = strchr(word, '=');
    g_autofree gchar *name = equals ? g_strndup(word + 2, (gsize)(equals - word - 2)) : g_strdup(word + 2);
    const CmdOption *option = cmd_option_find(arguments->tables, name);
    if (!option) {
        return unknown_option(arguments->tables, word, error);
    }
    if (option->kind == CMD_FLAG) {
        if (equals) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "option '--%s' takes no value", name);
            return FALSE;
        }
        return add_value(arguments, option, NULL, error);
    }
    if (equals) {
        return add_value(arguments, option, equals + 1, error);
    }
    if (!words[*i + 1]) {
        return missing_value(option, error);
    }
    return add_value(arguments, option, words[++*i], error);
}

/* "-q", "-qr", "-c URI", "-cURI"; moves @i over a value of its own. */
static gboolean read_short(CmdArguments *arguments, const char *const *words, gsize *i, GError **error)
{
    for (const char *at = words[*i] + 1; *at; at++) {
        const CmdOption *option = find_letter(arguments->tables, *at);
        if (!option) {
            return unknown_option(arguments->tables, words[*i], error);
        }
        if (option->kind == CMD_FLAG) {
            if (!add_value(arguments, option, NULL, error)) {
                return FALSE;
            }
            continue;
        }
        if (at[1]) {
            return add_value(arguments, option, at + 1, error);
        }
        if (!words[*i + 1]) {
            return missing_value(option, error);
        }
        return add_value(arguments, option, words[++*i], error);
    }
    return TRUE;
}

CmdArguments *cmd_arguments_parse(const CmdOption *const *tables, const char *const *words, gboolean stop_at_word,
                                  gsize *n_read, GError **error)
{
    g_autoptr(CmdArguments) arguments = arguments_new(tables);
    gboolean only_words = FALSE;
    gsize i = 0;
    for (; words[i]; i++) {
        const char *word = words[i];
        if (only_words || word[0] != '-' || g_str_equal(word, "-")) {
            if (stop_at_word) {
                break;
            }
            g_ptr_array_add(arguments->words, g_strdup(word));
        } else if (g_str_equal(word, "--")) {
            only_words = TRUE;
        } else if (word[1] == '-') {
            if (!read_long(arguments, words, &i, error)) {
                return NULL;
            }
        } else if (!read_short(arguments, words, &i, error)) {
            return NULL;
        }
    }
    if (n_read) {
        *n_read = i;
    }
    return g_steal_pointer(&arguments);
}

gboolean cmd_arguments_has(const CmdArguments *arguments, const char *name)
{
    g_assert(cmd_option_find(arguments->tables, name));
    return g_hash_table_contains(arguments->values, name);
}

const char *cmd_arguments_first_of(const CmdArguments *arguments, const char *const *names)
{
    for (; *names; names++) {
        if (cmd_arguments_has(arguments, *names)) {
            return *names;
        }
    }
    return NULL;
}

const GPtrArray *cmd_arguments_all(const CmdArguments *arguments, const char *name)
{
    g_assert(cmd_option_find(arguments->tables, name));
    const GPtrArray *values = g_hash_table_lookup(arguments->values, name);
    return values ? values : arguments->none;
}

const char *cmd_arguments_get(const CmdArguments *arguments, const char *name)
{
    const GPtrArray *values = cmd_arguments_all(arguments, name);
    return values->len > 0 ? g_ptr_array_index(values, 0) : NULL;
}

const GPtrArray *cmd_arguments_words(const CmdArguments *arguments)
{
    return arguments->words;
}

gboolean cmd_number_parse(const char *text, guint64 *out)
{
    guint base = 10;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
    } else if (text[0] == '0' && (text[1] == 'o' || text[1] == 'O')) {
        base = 8;
    } else if (text[0] == '0' && (text[1] == 'b' || text[1] == 'B')) {
        base = 2;
    }
    return g_ascii_string_to_unsigned(base == 10 ? text : text + 2, base, 0, G_MAXUINT64, out, NULL);
}

gboolean cmd_arguments_number(const CmdArguments *arguments, const char *name, guint64 min, guint64 max, guint64 *out,
                              GError **error)
{
    const char *text = cmd_arguments_get(arguments, name);
    guint64 value;
    if (!text) {
        return TRUE;
    }
    if (!cmd_number_parse(text, &value)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "option '--%s': '%s' is not a number", name, text);
        return FALSE;
    }
    if (value < min || value > max) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "option '--%s': %s is out of range, use %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, name, text,
                    min, max);
        return FALSE;
    }
    *out = value;
    return TRUE;
}
