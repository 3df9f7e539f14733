/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words of a command line, read by the rows of an option table. */
#pragma once

#include <glib.h>

typedef enum {
    CMD_FLAG,   /* --accept */
    CMD_VALUE,  /* --level N, once */
    CMD_VALUES, /* --disk SPEC, as often as wanted */
} CmdOptionKind;

/**
 * CmdOption:
 * @name: long name without dashes; %NULL ends a table
 * @letter: short name or 0
 * @kind: what follows it
 * @argument: (nullable): placeholder for help and completion: "FILE", "DOMAIN", "N"; with a '|' in it the value must
 *   be one of the words between the bars
 * @help: one phrase, without a full stop
 */
typedef struct {
    const char *name;
    char letter;
    CmdOptionKind kind;
    const char *argument;
    const char *help;
} CmdOption;

typedef struct CmdArguments CmdArguments;

/**
 * cmd_arguments_parse:
 * @tables: (array zero-terminated=1): option tables, all of them valid everywhere on the line
 * @words: (array zero-terminated=1): the line
 * @stop_at_word: stop at the first word that is no option; @n_read then says how many words were taken
 *
 * "--name value", "--name=value", "-n value", "-nvalue" and bundled flags; "--" ends the options; "-" alone is a word.
 * Errors: %ATTEST_ERROR_USAGE for an unknown option (with the nearest one), a missing value, one too many, a value that
 * is not among the option's words, an option given twice.
 */
CmdArguments *cmd_arguments_parse(const CmdOption *const *tables, const char *const *words, gboolean stop_at_word,
                                  gsize *n_read, GError **error);
void cmd_arguments_free(CmdArguments *arguments);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CmdArguments, cmd_arguments_free)

/* Asking for an option that no table has is a mistake of the program and aborts. */
gboolean cmd_arguments_has(const CmdArguments *arguments, const char *name);
/* The first of @names (%NULL-terminated) that was given, or %NULL. */
const char *cmd_arguments_first_of(const CmdArguments *arguments, const char *const *names);
const char *cmd_arguments_get(const CmdArguments *arguments, const char *name);
/* (element-type utf8): every value in the order given; never NULL, may be empty. */
const GPtrArray *cmd_arguments_all(const CmdArguments *arguments, const char *name);
/* (element-type utf8): the words that are no options. */
const GPtrArray *cmd_arguments_words(const CmdArguments *arguments);

/* @out keeps its value when the option was not given. Numbers may be written in decimal, 0x, 0o or 0b. */
gboolean cmd_arguments_number(const CmdArguments *arguments, const char *name, guint64 min, guint64 max, guint64 *out,
                              GError **error);

/* A number in decimal, 0x, 0o or 0b; FALSE for anything else. */
gboolean cmd_number_parse(const char *text, guint64 *out);

const CmdOption *cmd_option_find(const CmdOption *const *tables, const char *name);
/* The words of "a|b|c" (NULL-terminated), or NULL when @argument is not a choice. */
gchar **cmd_option_choices(const CmdOption *option);

/**
 * cmd_nearest:
 * Returns: (nullable): the element of @candidates (%NULL-terminated) that @word is most probably a misspelling or an
 * abbreviation of, or %NULL when none is near.
 */
const char *cmd_nearest(const char *word, const char *const *candidates);
