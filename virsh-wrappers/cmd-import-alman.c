/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* import-alman: takes over a folder of ALman, guest by guest. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>

#include "measure/error.h"
#include "virsh-wrappers/alman-folder.h"
#include "virsh-wrappers/import-write.h"

/**
 * Written:
 * Files of one guest; %NULL where nothing was written.
 */
typedef struct {
    gchar *xml, *reference;
} Written;

static void written_clear(gpointer data)
{
    Written *written = data;
    g_free(written->xml);
    g_free(written->reference);
}

static void add_measured(JsonBuilder *builder, const GPtrArray *measured)
{
    json_builder_set_member_name(builder, "measurements");
    json_builder_begin_array(builder);
    for (guint i = 0; i < measured->len; i++) {
        const CmdAlmanMeasured *each = g_ptr_array_index(measured, i);
        json_builder_begin_object(builder);
        cmd_json_string(builder, "name", each->label);
        cmd_json_string(builder, "recorded", each->recorded);
        cmd_json_string(builder, "measured", each->measured);
        cmd_json_string(builder, "result", cmd_alman_result_name(each->result));
        cmd_json_string(builder, "why", each->why);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

static void print_json(const CmdAlmanFolder *folder, const GArray *written)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    cmd_json_string(builder, "folder", folder->path);
    cmd_json_strings(builder, "notes", folder->notes);
    json_builder_set_member_name(builder, "guests");
    json_builder_begin_array(builder);
    for (guint i = 0; i < folder->guests->len; i++) {
        const CmdAlmanGuest *guest = g_ptr_array_index(folder->guests, i);
        const Written *files = &g_array_index(written, Written, i);
        json_builder_begin_object(builder);
        cmd_json_string(builder, "name", guest->name);
        cmd_json_string(builder, "result", cmd_alman_result_name(guest->result));
        cmd_json_string(builder, "why", guest->why);
        if (guest->record && !guest->record->broken) {
            cmd_json_integer(builder, "al", guest->record->al);
        }
        if (guest->reference) {
            cmd_json_integer(builder, "level", guest->reference->level);
        }
        cmd_json_string(builder, "xml", files->xml);
        cmd_json_string(builder, "reference", files->reference);
        add_measured(builder, guest->measured);
        cmd_json_strings(builder, "notes", guest->notes);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    cmd_json_print(builder);
}

static void add_rows(CmdTable *table, const CmdAlmanGuest *guest)
{
    g_autofree gchar *al = guest->record && !guest->record->broken ? g_strdup_printf("%u", guest->record->al) : NULL;
    g_autofree gchar *level = guest->reference ? g_strdup_printf("%u", guest->reference->level) : NULL;
    if (guest->measured->len == 0) {
        cmd_table_row(table, guest->name, al, level, NULL, cmd_alman_result_name(guest->result), NULL);
    }
    for (guint i = 0; i < guest->measured->len; i++) {
        const CmdAlmanMeasured *each = g_ptr_array_index(guest->measured, i);
        cmd_table_row(table, guest->name, al, level, each->label, cmd_alman_result_name(each->result),
                      each->measured ? each->measured : each->recorded);
    }
}

static void print_line(const char *name, const char *label, const char *text)
{
    g_autofree gchar *line =
        label ? g_strdup_printf("%s, %s: %s", name, label, text) : g_strdup_printf("%s: %s", name, text);
    g_autofree gchar *shown = cmd_printable(line);
    printf("%s\n", shown);
}

static void print_remarks(const CmdAlmanGuest *guest)
{
    if (guest->why) {
        print_line(guest->name, NULL, guest->why);
    }
    for (guint i = 0; i < guest->measured->len; i++) {
        const CmdAlmanMeasured *each = g_ptr_array_index(guest->measured, i);
        if (each->why) {
            print_line(guest->name, each->label, each->why);
        }
    }
    for (guint i = 0; i < guest->notes->len; i++) {
        print_line(guest->name, NULL, g_ptr_array_index(guest->notes, i));
    }
}

static void print_commands(const CmdAlmanFolder *folder, const GArray *written)
{
    for (guint i = 0; i < folder->guests->len; i++) {
        const CmdAlmanGuest *guest = g_ptr_array_index(folder->guests, i);
        const Written *files = &g_array_index(written, Written, i);
        if (files->xml && guest->result != CMD_ALMAN_DIFFERS) {
            g_autofree gchar *command = cmd_import_define_command(files->xml, files->reference);
            g_autofree gchar *shown = cmd_printable(command);
            printf("Next: %s\n", shown);
        } else if (files->xml) {
            print_line(guest->name, NULL, "find out why it differs before you define it");
        }
    }
}

static void print_table(const CmdContext *context, const CmdAlmanFolder *folder, const GArray *written, gboolean wrote)
{
    gboolean bare = cmd_context_quiet(context);
    g_autoptr(CmdTable) table = cmd_table_new("Name", "AL", "Level", "CPU", "Result", "Measurement", NULL);
    for (guint i = 0; i < folder->guests->len; i++) {
        add_rows(table, g_ptr_array_index(folder->guests, i));
    }
    cmd_table_print(table, bare);
    if (bare) {
        return;
    }
    for (guint i = 0; i < folder->guests->len; i++) {
        print_remarks(g_ptr_array_index(folder->guests, i));
    }
    if (wrote) {
        print_commands(folder, written);
    } else {
        printf("Nothing was written: --output-dir DIR makes a domain XML and a reference of each guest\n");
    }
}

static gboolean write_all(CmdContext *context, const CmdAlmanFolder *folder, const char *output, GArray *written,
                          GError **error)
{
    /* All of them before the first is written: a folder that is half taken over is of no use. */
    for (guint i = 0; output && i < folder->guests->len; i++) {
        const CmdAlmanGuest *guest = g_ptr_array_index(folder->guests, i);
        if (guest->reference && !cmd_import_check(context, output, guest->name, error)) {
            return FALSE;
        }
    }
    for (guint i = 0; i < folder->guests->len; i++) {
        const CmdAlmanGuest *guest = g_ptr_array_index(folder->guests, i);
        Written *files = &g_array_index(written, Written, i);
        if (output && guest->reference &&
            !cmd_import_write(context, output, guest->name, guest->xml, guest->reference, &files->xml,
                              &files->reference, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static int exit_code(const CmdAlmanFolder *folder)
{
    guint usable = 0;
    for (guint i = 0; i < folder->guests->len; i++) {
        const CmdAlmanGuest *guest = g_ptr_array_index(folder->guests, i);
        if (guest->result == CMD_ALMAN_DIFFERS) {
            return ATTEST_ERROR_REJECTED;
        }
        usable += guest->result != CMD_ALMAN_BROKEN;
    }
    return usable && !folder->torn ? 0 : ATTEST_ERROR_UNREADABLE;
}

int cmd_import_alman(CmdContext *context, GError **error)
{
    const char *output = cmd_context_get(context, "output-dir");
    g_autoptr(CmdAlmanFolder) folder = cmd_alman_folder_read(context, cmd_context_word(context, 0), error);
    if (!folder) {
        return -1;
    }
    g_autoptr(GArray) written = g_array_new(FALSE, TRUE, sizeof(Written));
    g_array_set_clear_func(written, written_clear);
    g_array_set_size(written, folder->guests->len);
    for (guint i = 0; i < folder->guests->len; i++) {
        cmd_alman_guest_measure(context, folder, g_ptr_array_index(folder->guests, i));
    }
    for (guint i = 0; i < folder->notes->len && !cmd_context_quiet(context); i++) {
        g_autofree gchar *shown = cmd_printable(g_ptr_array_index(folder->notes, i));
        cmd_warn("%s", shown);
    }
    if (!write_all(context, folder, output, written, error)) {
        return -1;
    }
    if (cmd_context_json(context)) {
        print_json(folder, written);
    } else {
        print_table(context, folder, written, output != NULL);
    }
    return exit_code(folder);
}
