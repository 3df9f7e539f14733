/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/output.h"

#include <stdio.h>
#include <string.h>

struct CmdTable {
    guint n_columns;
    GPtrArray *cells; /* titles first, row by row */
};

gchar *cmd_printable(const char *text)
{
    GString *out = g_string_new(NULL);
    while (text && *text) {
        gunichar c = g_utf8_get_char_validated(text, -1);
        gboolean valid = c != (gunichar)-1 && c != (gunichar)-2;
        if (valid && (g_unichar_isprint(c) || c == ' ')) {
            const char *next = g_utf8_next_char(text);
            g_string_append_len(out, text, next - text);
            text = next;
        } else {
            g_string_append_printf(out, "\\x%02x", (guint)(guchar)*text++);
        }
    }
    return g_string_free(out, FALSE);
}

CmdTable *cmd_table_new(const char *title, ...)
{
    CmdTable *table = g_new0(CmdTable, 1);
    table->cells = g_ptr_array_new_with_free_func(g_free);
    va_list args;
    va_start(args, title);
    for (const char *each = title; each; each = va_arg(args, const char *)) {
        g_ptr_array_add(table->cells, g_strdup(each));
        table->n_columns++;
    }
    va_end(args);
    return table;
}

void cmd_table_row(CmdTable *table, ...)
{
    va_list args;
    va_start(args, table);
    for (guint i = 0; i < table->n_columns; i++) {
        const char *cell = va_arg(args, const char *);
        g_ptr_array_add(table->cells, cmd_printable(cell ? cell : "-"));
    }
    va_end(args);
}

/* Columns on the terminal: wide characters count two, combining ones none. */
static gsize display_width(const char *text)
{
    gsize width = 0;
    for (const char *at = text; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        width += g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
    }
    return width;
}

gchar *cmd_table_format(const CmdTable *table, gboolean bare)
{
    guint n = table->n_columns;
    g_autofree gsize *widths = g_new0(gsize, n);
    for (guint i = bare ? n : 0; i < table->cells->len; i++) {
        widths[i % n] = MAX(widths[i % n], display_width(g_ptr_array_index(table->cells, i)));
    }
    GString *out = g_string_new(NULL);
    for (guint i = bare ? n : 0; i < table->cells->len; i++) {
        const char *cell = g_ptr_array_index(table->cells, i);
        gboolean last = i % n == n - 1;
        g_string_append_printf(out, " %s", cell);
        if (last) {
            g_string_append_c(out, '\n');
        } else {
            g_string_append_printf(out, "%*s", (int)(widths[i % n] - display_width(cell) + 2), "");
        }
        if (last && !bare && i == n - 1) {
            gsize total = 0;
            for (guint column = 0; column < n; column++) {
                total += widths[column] + 3;
            }
            for (gsize dash = 0; dash < total; dash++) {
                g_string_append_c(out, '-');
            }
            g_string_append_c(out, '\n');
        }
    }
    if (!bare) {
        g_string_append_c(out, '\n');
    }
    return g_string_free(out, FALSE);
}

void cmd_table_print(const CmdTable *table, gboolean bare)
{
    g_autofree gchar *text = cmd_table_format(table, bare);
    fputs(text, stdout);
}

void cmd_table_free(CmdTable *table)
{
    if (!table) {
        return;
    }
    g_ptr_array_unref(table->cells);
    g_free(table);
}

gchar *cmd_field_format(const char *name, const char *value)
{
    g_autofree gchar *label = g_strconcat(name, ":", NULL);
    g_autofree gchar *text = cmd_printable(value ? value : "-");
    return g_strdup_printf("%-16s %s\n", label, text);
}

void cmd_print_field(const char *name, const char *value)
{
    g_autofree gchar *line = cmd_field_format(name, value);
    fputs(line, stdout);
}

void cmd_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree gchar *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree gchar *printable = cmd_printable(text);
    fprintf(stderr, "warning: %s\n", printable);
}

void cmd_json_print(JsonBuilder *builder)
{
    g_autoptr(JsonNode) root = json_builder_get_root(builder);
    g_autoptr(JsonGenerator) generator = json_generator_new();
    json_generator_set_root(generator, root);
    json_generator_set_pretty(generator, TRUE);
    g_autofree gchar *text = json_generator_to_data(generator, NULL);
    printf("%s\n", text);
}

void cmd_json_string(JsonBuilder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    if (value) {
        json_builder_add_string_value(builder, value);
    } else {
        json_builder_add_null_value(builder);
    }
}

void cmd_json_integer(JsonBuilder *builder, const char *name, gint64 value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, value);
}

void cmd_json_boolean(JsonBuilder *builder, const char *name, gboolean value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_boolean_value(builder, value);
}

void cmd_json_strings(JsonBuilder *builder, const char *name, const GPtrArray *values)
{
    json_builder_set_member_name(builder, name);
    json_builder_begin_array(builder);
    for (guint i = 0; values && i < values->len; i++) {
        json_builder_add_string_value(builder, g_ptr_array_index(values, i));
    }
    json_builder_end_array(builder);
}

void cmd_json_document(JsonBuilder *builder, const char *name, const char *text)
{
    g_autoptr(JsonNode) node = json_from_string(text, NULL);
    g_assert(node);
    json_builder_set_member_name(builder, name);
    json_builder_add_value(builder, g_steal_pointer(&node));
}
