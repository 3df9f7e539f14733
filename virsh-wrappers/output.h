/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What commands print: virsh's tables, and JSON. */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>

typedef struct CmdTable CmdTable;

/* Column titles up to a NULL. */
CmdTable *cmd_table_new(const char *title, ...) G_GNUC_NULL_TERMINATED;
/* One row: as many strings as there are titles; NULL prints as "-". Copied. */
void cmd_table_row(CmdTable *table, ...);
/* As virsh prints tables: a blank before, three between the columns, a line of dashes, an empty line behind.
 * @bare leaves title and lines out (--quiet). Control characters of a cell come out as \xNN. */
gchar *cmd_table_format(const CmdTable *table, gboolean bare);
void cmd_table_print(const CmdTable *table, gboolean bare);
void cmd_table_free(CmdTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CmdTable, cmd_table_free)

/* @text with control characters and bytes that are not UTF-8 as \xNN, so that nothing can play with the terminal. NULL
 * becomes "". */
gchar *cmd_printable(const char *text);
/* printf() to standard output of "Name:   value" with the value made printable; a NULL value prints "-". */
void cmd_print_field(const char *name, const char *value);
/* The same as text, with its newline. */
gchar *cmd_field_format(const char *name, const char *value);
/* "warning: …" on standard error. */
void cmd_warn(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* Prints the document with two blanks of indentation. Takes @builder's root. */
void cmd_json_print(JsonBuilder *builder);
/* "name": value, with null for NULL. */
void cmd_json_string(JsonBuilder *builder, const char *name, const char *value);
void cmd_json_integer(JsonBuilder *builder, const char *name, gint64 value);
void cmd_json_boolean(JsonBuilder *builder, const char *name, gboolean value);
/* "name": array of strings; (element-type utf8) (nullable). */
void cmd_json_strings(JsonBuilder *builder, const char *name, const GPtrArray *values);
/* "name": document, parsed from @text, which a part of this program has made. */
void cmd_json_document(JsonBuilder *builder, const char *name, const char *text);
