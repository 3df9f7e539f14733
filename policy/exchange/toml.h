/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * As much of TOML 1.0 as configuration files of this trade use: tables of one name, bare and quoted keys, basic and
 * literal strings on one line, integers in every base, booleans, arrays of integers, comments. Everything else of TOML
 * (dotted keys, dates, fractions, strings over several lines, inline tables, arrays of tables) is refused by name,
 * never skipped.
 */
#pragma once

#include <glib.h>

#define EXCHANGE_TOML_MAX_SIZE (256u * 1024)
#define EXCHANGE_TOML_MAX_ENTRIES 1024

typedef enum {
    EXCHANGE_TOML_STRING,
    EXCHANGE_TOML_INTEGER,
    EXCHANGE_TOML_BOOLEAN,
    EXCHANGE_TOML_INTEGERS, /* an array */
} ExchangeTomlKind;

/**
 * ExchangeTomlEntry:
 * @table: "" for the root
 * @line: where it is, counted from 1
 * @string: with %EXCHANGE_TOML_STRING: any characters but NUL
 * @integers: (element-type gint64): with %EXCHANGE_TOML_INTEGERS
 */
typedef struct {
    gchar *table, *key;
    guint line;
    ExchangeTomlKind kind;
    gchar *string;
    gint64 integer;
    gboolean boolean;
    GArray *integers;
} ExchangeTomlEntry;

void exchange_toml_entry_free(ExchangeTomlEntry *entry);
/**
 * exchange_toml_parse:
 * @what: name of the file, for messages
 *
 * Returns: (transfer full) (element-type ExchangeTomlEntry): in the order of the file, no two with the same table and
 * key; %ATTEST_ERROR_UNREADABLE with the line otherwise.
 */
GPtrArray *exchange_toml_parse(const char *text, gssize size, const char *what, GError **error);
/* "text" as a basic string with its quotes, of UTF-8 without NUL. */
gchar *exchange_toml_quote(const char *text);
