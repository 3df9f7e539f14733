/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/help.h"

#include <string.h>

#define WIDTH 80
#define INDENT 26

/* Appends @text with lines broken before @WIDTH; @column is where it starts, @indent where further lines start. */
static void append_wrapped(GString *out, const char *text, gsize column, gsize indent)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    gboolean first = TRUE;
    for (gchar **word = words; *word; word++) {
        gsize length = (gsize)g_utf8_strlen(*word, -1);
        if (!first && column + 1 + length > WIDTH) {
            g_string_append_printf(out, "\n%*s", (int)indent, "");
            column = indent;
            first = TRUE;
        }
        g_string_append_printf(out, "%s%s", first ? "" : " ", *word);
        column += length + (first ? 0 : 1);
        first = FALSE;
    }
    g_string_append_c(out, '\n');
}

static gchar *option_label(const CmdOption *option)
{
    GString *label = g_string_new(NULL);
    if (option->letter) {
        g_string_append_printf(label, "-%c, ", option->letter);
    } else {
        g_string_append(label, "    ");
    }
    g_string_append_printf(label, "--%s", option->name);
    if (option->kind != CMD_FLAG) {
        g_string_append_printf(label, " %s", option->argument);
    }
    return g_string_free(label, FALSE);
}

/* A label with more choices than a line takes, broken behind its bars. */
static void append_choices(GString *out, const char *label)
{
    g_auto(GStrv) parts = g_strsplit(label, "|", -1);
    gsize column = 2;
    g_string_append(out, "  ");
    for (gchar **part = parts; *part; part++) {
        gsize length = (gsize)g_utf8_strlen(*part, -1) + 1;
        if (part != parts && column + length > WIDTH) {
            g_string_append_printf(out, "\n%*s", INDENT, "");
            column = INDENT;
        }
        g_string_append_printf(out, "%s%s", *part, part[1] ? "|" : "");
        column += length;
    }
}

static void append_options(GString *out, const CmdOption *options)
{
    for (const CmdOption *option = options; option->name; option++) {
        g_autofree gchar *label = option_label(option);
        gsize length = (gsize)g_utf8_strlen(label, -1) + 2;
        if (length > WIDTH) {
            append_choices(out, label);
        } else {
            g_string_append_printf(out, "  %s", label);
        }
        if (length + 2 > INDENT) {
            g_string_append_printf(out, "\n%*s", INDENT, "");
        } else {
            g_string_append_printf(out, "%*s", (int)(INDENT - length), "");
        }
        append_wrapped(out, option->help, INDENT, INDENT);
    }
}

static void append_usage(GString *out, const CmdCommand *command)
{
    g_auto(GStrv) forms = g_strsplit(command->arguments, "\n", -1);
    for (gchar **form = forms; *form; form++) {
        g_string_append_printf(out, "%s virt-attest %s %s\n", form == forms ? "Usage:" : "      ", command->name,
                               *form);
    }
}

gchar *cmd_help_overview(void)
{
    GString *out = g_string_new("Usage: virt-attest [OPTION…] COMMAND [ARGUMENT…]\n\n"
                                "Attestation of confidential libvirt domains: what to expect, and what came.\n\n"
                                "Commands:\n");
    for (const CmdCommand *command = cmd_commands; command->name; command++) {
        g_string_append_printf(out, "  %-*s", INDENT - 9, command->name);
        append_wrapped(out, command->summary, INDENT - 7, INDENT - 7);
    }
    g_string_append(out, "\nOptions of every command:\n");
    append_options(out, cmd_global_options);
    g_string_append(out, "\nExit status: 0 good, 1 rejected, 2 usage, 3 cannot measure or read,\n"
                         "4 not configured, 5 libvirt refused. More: virt-attest COMMAND --help\n");
    return g_string_free(out, FALSE);
}

gchar *cmd_help_command(const CmdCommand *command)
{
    GString *out = g_string_new(NULL);
    append_usage(out, command);
    g_string_append_c(out, '\n');
    append_wrapped(out, command->description, 0, 0);
    if (command->options->name) {
        g_string_append(out, "\nOptions:\n");
        append_options(out, command->options);
    }
    g_string_append(out, "\nOptions of every command:\n");
    append_options(out, cmd_global_options);
    return g_string_free(out, FALSE);
}

/* ---- manual ---- */

/* Characters that reStructuredText would take for markup. */
static gchar *rst_escape(const char *text)
{
    GString *out = g_string_new(NULL);
    for (; *text; text++) {
        if (strchr("\\*`|_", *text)) {
            g_string_append_c(out, '\\');
        }
        g_string_append_c(out, *text);
    }
    return g_string_free(out, FALSE);
}

static void append_rst_options(GString *out, const CmdOption *options)
{
    for (const CmdOption *option = options; option->name; option++) {
        g_autofree gchar *help = rst_escape(option->help);
        if (option->letter) {
            g_string_append_printf(out, "**-%c**, ", option->letter);
        }
        g_string_append_printf(out, "**--%s**", option->name);
        if (option->kind != CMD_FLAG) {
            g_autofree gchar *argument = rst_escape(option->argument);
            g_string_append_printf(out, " *%s*", argument);
        }
        g_string_append_printf(out, "\n  %s.\n\n", help);
    }
}

static void append_rst_synopsis(GString *out, const CmdCommand *command)
{
    g_auto(GStrv) forms = g_strsplit(command->arguments, "\n", -1);
    for (gchar **form = forms; *form; form++) {
        g_autofree gchar *escaped = rst_escape(*form);
        g_string_append_printf(out, "| **virt-attest %s** %s\n", command->name, escaped);
    }
    g_string_append_c(out, '\n');
}

static void append_rst_commands(GString *out)
{
    for (const CmdCommand *command = cmd_commands; command->name; command++) {
        g_autofree gchar *summary = rst_escape(command->summary);
        g_string_append_printf(out, "**virt-attest-%s**\\ (1)\n  %s.\n\n", command->name, summary);
    }
}

gchar *cmd_manual_format(const CmdCommand *command, const char *prose)
{
    GString *out = g_string_new(NULL);
    g_autofree gchar *title = g_strconcat("virt-attest", command ? "-" : NULL, command ? command->name : NULL, NULL);
    g_autofree gchar *rule = g_strnfill(strlen(title), '=');
    const char *summary = command ? command->summary : "attestation of confidential libvirt domains";
    g_string_append_printf(out, "%s\n%s\n%s\n\n", rule, title, rule);
    for (gsize i = 0; i < strlen(summary); i++) {
        g_string_append_c(out, '-');
    }
    g_string_append_printf(out, "\n%s\n", summary);
    for (gsize i = 0; i < strlen(summary); i++) {
        g_string_append_c(out, '-');
    }
    g_string_append_printf(out, "\n\n:Manual section: 1\n:Manual group: virt-attest\n:Version: virt-attest %s\n\n",
                           VERSION);
    g_autoptr(GString) text = g_string_new(prose);
    g_string_replace(text, "@CONFIG-FILE@", CONFIG_FILE, 0);
    g_string_replace(text, "@STATE-DIRECTORY@", STATE_DIRECTORY, 0);
    g_string_replace(text, "@HOOK-DIRECTORY@", HOOK_DIRECTORY, 0);
    g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);
    for (gchar **line = lines; *line; line++) {
        if (g_str_equal(*line, "@SYNOPSIS@") && command) {
            append_rst_synopsis(out, command);
        } else if (g_str_equal(*line, "@OPTIONS@") && command) {
            append_rst_options(out, command->options);
        } else if (g_str_equal(*line, "@GLOBAL-OPTIONS@")) {
            append_rst_options(out, cmd_global_options);
        } else if (g_str_equal(*line, "@COMMANDS@")) {
            append_rst_commands(out);
        } else if (!g_str_has_prefix(*line, ".. SPDX")) {
            g_string_append_printf(out, "%s\n", *line);
        }
    }
    return g_string_free(out, FALSE);
}
