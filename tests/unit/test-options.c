/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Option parsing, suggestions, numbers, tables and help of the command line. */
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/help.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/suggest.h"

static const CmdOption options[] = {
    {"flag", 'f', CMD_FLAG, NULL, "a flag"},
    {"other", 'o', CMD_FLAG, NULL, "another"},
    {"value", 'v', CMD_VALUE, "TEXT", "a value"},
    {"many", 0, CMD_VALUES, "TEXT", "values"},
    {"choice", 0, CMD_VALUE, "red|green", "a colour"},
    {NULL},
};
static const CmdOption *const tables[] = {options, NULL};

static CmdArguments *parse(const char *line, GError **error)
{
    g_auto(GStrv) words = *line ? g_strsplit(line, "|", -1) : g_new0(gchar *, 1);
    return cmd_arguments_parse(tables, (const char *const *)words, FALSE, NULL, error);
}

static gchar *join(const GPtrArray *values)
{
    GString *out = g_string_new(NULL);
    for (guint i = 0; i < values->len; i++) {
        g_string_append_printf(out, "%s[%s]", i ? " " : "", (const char *)g_ptr_array_index(values, i));
    }
    return g_string_free(out, FALSE);
}

static void test_forms(void)
{
    static const struct {
        const char *line, *value, *many, *words;
        gboolean flag, other;
    } rows[] = {
        {"", NULL, "", "", FALSE, FALSE},
        {"a|b", NULL, "", "[a] [b]", FALSE, FALSE},
        {"--flag|a|-o", NULL, "", "[a]", TRUE, TRUE},
        {"-fo|--|--flag", NULL, "", "[--flag]", TRUE, TRUE},
        {"--value|x", "x", "", "", FALSE, FALSE},
        {"--value=x", "x", "", "", FALSE, FALSE},
        {"--value=", "", "", "", FALSE, FALSE},
        {"--value=a=b", "a=b", "", "", FALSE, FALSE},
        {"--value|--flag", "--flag", "", "", FALSE, FALSE},
        {"-v|x|-", "x", "", "[-]", FALSE, FALSE},
        {"-vx", "x", "", "", FALSE, FALSE},
        {"-fvx", "x", "", "", TRUE, FALSE},
        {"--many|1|w|--many=2", NULL, "[1] [2]", "[w]", FALSE, FALSE},
        {"--|-|--|x", NULL, "", "[-] [--] [x]", FALSE, FALSE},
        {"--choice|green|--flag|--flag", NULL, "", "", TRUE, FALSE},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(CmdArguments) arguments = parse(rows[i].line, &error);
        g_assert_no_error(error);
        g_autofree gchar *many = join(cmd_arguments_all(arguments, "many"));
        g_autofree gchar *words = join(cmd_arguments_words(arguments));
        g_assert_cmpstr(cmd_arguments_get(arguments, "value"), ==, rows[i].value);
        g_assert_cmpstr(many, ==, rows[i].many);
        g_assert_cmpstr(words, ==, rows[i].words);
        g_assert_cmpint(cmd_arguments_has(arguments, "flag"), ==, rows[i].flag);
        g_assert_cmpint(cmd_arguments_has(arguments, "other"), ==, rows[i].other);
    }
}

static void test_refused(void)
{
    static const struct {
        const char *line, *message;
    } rows[] = {
        {"--nosuch", "unknown option '--nosuch'"},
        {"--flga", "unknown option '--flga': did you mean '--flag'?"},
        {"--val=x", "unknown option '--val=x': did you mean '--value'?"},
        {"-x", "unknown option '-x'"},
        {"-fx", "unknown option '-fx'"},
        {"--value", "option '--value' needs a value: --value TEXT"},
        {"-v", "option '--value' needs a value: --value TEXT"},
        {"--flag=yes", "option '--flag' takes no value"},
        {"--value|a|--value|b", "option '--value' is given twice"},
        {"-v|a|--value=b", "option '--value' is given twice"},
        {"--choice|blue", "'blue' is not a value of option '--choice': use one of red, green"},
        {"--choice=", "'' is not a value of option '--choice': use one of red, green"},
        {"--choice|red|green|---", "unknown option '---'"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(CmdArguments) arguments = parse(rows[i].line, &error);
        g_assert_null(arguments);
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
        g_assert_cmpstr(error->message, ==, rows[i].message);
    }
}

static void test_stop_at_word(void)
{
    static const char *const words[] = {"-f", "--value", "x", "command", "--flag", NULL};
    g_autoptr(GError) error = NULL;
    gsize n = 0;
    g_autoptr(CmdArguments) arguments = cmd_arguments_parse(tables, words, TRUE, &n, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(n, ==, 3);
    g_assert_cmpuint(cmd_arguments_words(arguments)->len, ==, 0);
}

static void test_numbers(void)
{
    static const struct {
        const char *text;
        gboolean good;
        guint64 value;
    } rows[] = {
        {"0", TRUE, 0},
        {"10", TRUE, 10},
        {"0x10", TRUE, 16},
        {"0XfF", TRUE, 255},
        {"0o17", TRUE, 15},
        {"0b101", TRUE, 5},
        {"18446744073709551615", TRUE, G_MAXUINT64},
        {"18446744073709551616", FALSE, 0},
        {"0x8000000000000001", TRUE, 0x8000000000000001},
        {"0x10000000000000000", FALSE, 0},
        {"", FALSE, 0},
        {"-1", FALSE, 0},
        {"+1", FALSE, 0},
        {" 1", FALSE, 0},
        {"1 ", FALSE, 0},
        {"0x", FALSE, 0},
        {"0x-1", FALSE, 0},
        {"1k", FALSE, 0},
        {"ten", FALSE, 0},
        {"0b2", FALSE, 0},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        guint64 value = 0;
        g_assert_cmpint(cmd_number_parse(rows[i].text, &value), ==, rows[i].good);
        if (rows[i].good) {
            g_assert_cmpuint(value, ==, rows[i].value);
        }
    }
    g_autoptr(CmdArguments) arguments = parse("--value|7", NULL);
    g_autoptr(GError) error = NULL;
    guint64 value = 99;
    g_assert_true(cmd_arguments_number(arguments, "many", 0, 1, &value, &error));
    g_assert_cmpuint(value, ==, 99);
    g_assert_true(cmd_arguments_number(arguments, "value", 7, 7, &value, &error));
    g_assert_cmpuint(value, ==, 7);
    g_assert_false(cmd_arguments_number(arguments, "value", 8, 9, &value, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
    g_assert_cmpstr(error->message, ==, "option '--value': 7 is out of range, use 8 to 9");
}

static void test_nearest(void)
{
    static const char *const words[] = {"measure", "level", "define", "host-check", "firmware-check", NULL};
    g_assert_cmpstr(cmd_nearest("measrue", words), ==, "measure");
    g_assert_cmpstr(cmd_nearest("defin", words), ==, "define");
    g_assert_cmpstr(cmd_nearest("host", words), ==, "host-check");
    g_assert_cmpstr(cmd_nearest("lvel", words), ==, "level");
    g_assert_null(cmd_nearest("zzz", words));
    g_assert_null(cmd_nearest("", words));
    g_autofree gchar *endless = g_strnfill(100000, 'x');
    g_assert_null(cmd_nearest(endless, words));
}

static void test_printable(void)
{
    static const struct {
        const char *text, *printed;
    } rows[] = {
        {"plain", "plain"},
        {"müsli ✓", "müsli ✓"},
        {"a\tb\n", "a\\x09b\\x0a"},
        {"\033[2J", "\\x1b[2J"},
        {"\xff\xfe", "\\xff\\xfe"},
        {"a\xc3", "a\\xc3"},
        {"\x7f", "\\x7f"},
        {"\xe2\x80\xae"
         "abc",
         "\\xe2\\x80\\xae"
         "abc"},
        {"", ""},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree gchar *printed = cmd_printable(rows[i].text);
        g_assert_cmpstr(printed, ==, rows[i].printed);
    }
}

/* As `virsh list` draws it. */
static void test_table(void)
{
    g_autoptr(CmdTable) table = cmd_table_new("Id", "Name", "State", NULL);
    cmd_table_row(table, "1", "demo", "running");
    cmd_table_row(table, NULL, "日本", "shut off");
    g_autofree gchar *full = cmd_table_format(table, FALSE);
    g_assert_cmpstr(full, ==,
                    " Id   Name   State\n"
                    "-----------------------\n"
                    " 1    demo   running\n"
                    " -    日本   shut off\n"
                    "\n");
    g_autofree gchar *bare = cmd_table_format(table, TRUE);
    g_assert_cmpstr(bare, ==, " 1   demo   running\n -   日本   shut off\n");
}

/* The line under the titles reaches as far as the widest row, however wide that is. */
static void test_wide_table(void)
{
    g_autoptr(CmdTable) table = cmd_table_new("Name", "Finding", NULL);
    g_autofree gchar *sentence = g_strnfill(300, 'x');
    cmd_table_row(table, "a", sentence);
    cmd_table_row(table, "b", "short");
    g_autofree gchar *text = cmd_table_format(table, FALSE);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(strspn(lines[1], "-"), ==, strlen(lines[1]));
    g_assert_cmpuint(strlen(lines[2]), ==, 1 + 4 + 2 + 1 + 300);
    g_assert_cmpuint(strlen(lines[1]), ==, strlen(lines[2]) + 2);
}

#define UUID "6f1d1c5e-0b1a-4c38-9e0e-2f7f6d3a5b01"

/* A suggested command means the domain, whatever it is called. */
static void test_suggest(void)
{
    static const struct {
        const char *name, *uuid, *command;
    } rows[] = {
        {"demo", UUID, "virt-attest start demo"},
        {"web-1.example_2", UUID, "virt-attest start web-1.example_2"},
        {"7a", UUID, "virt-attest start 7a"},
        {"a b", UUID, "virt-attest start 'a b'"},
        {"a'b", UUID, "virt-attest start 'a'\\''b'"},
        {"$(reboot);`x`", UUID, "virt-attest start '$(reboot);`x`'"},
        {"ü", UUID, "virt-attest start 'ü'"},
        {"7", UUID, "virt-attest start " UUID},
        {"00123", UUID, "virt-attest start " UUID},
        {"+7", UUID, "virt-attest start " UUID},
        {"11111111222233334444555555555555", UUID, "virt-attest start " UUID},
        {"11111111-2222-3333-4444-555555555555", UUID, "virt-attest start " UUID},
        {"--force", UUID, "virt-attest start " UUID},
        {"-", UUID, "virt-attest start " UUID},
        {"dir/name", UUID, "virt-attest start " UUID},
        {"guest.xml", UUID, "virt-attest start " UUID},
        {"a\033[2Jb", UUID, "virt-attest start " UUID},
        {"a\nb", UUID, "virt-attest start " UUID},
        {"", UUID, "virt-attest start " UUID},
        {NULL, UUID, "virt-attest start " UUID},
        {"demo", NULL, "virt-attest start demo"},
        {"--force", NULL, "virt-attest start --domain=--force"},
        {"guest.xml", NULL, "virt-attest start --domain=guest.xml"},
        {NULL, NULL, "virt-attest start DOMAIN"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree gchar *command = cmd_suggest("start", rows[i].name, rows[i].uuid);
        g_assert_cmpstr(command, ==, rows[i].command);
    }
    g_autofree gchar *accept = cmd_suggest("define --accept", "demo", UUID);
    g_assert_cmpstr(accept, ==, "virt-attest define --accept demo");
}

/* Every row of the command table can be shown, and nothing in it collides. */
static void test_commands(void)
{
    guint n = 0;
    for (const CmdCommand *command = cmd_commands; command->name; command++, n++) {
        const CmdOption *all[3];
        cmd_command_tables(command, all);
        g_assert_true(cmd_command_find(command->name) == command);
        g_assert_nonnull(command->run);
        g_assert_cmpuint(strlen(command->summary), <=, 60);
        for (const CmdOption *option = command->options; option->name; option++) {
            g_assert_true(cmd_option_find(all, option->name) == option);
            g_assert_null(cmd_option_find((const CmdOption *const[]){cmd_global_options, NULL}, option->name));
            g_assert_cmpint(option->kind == CMD_FLAG, ==, option->argument == NULL);
            g_assert_false(g_str_has_suffix(option->help, "."));
        }
        g_autofree gchar *page = cmd_manual_format(command, "@SYNOPSIS@\n@OPTIONS@\n");
        for (const CmdOption *option = command->options; option->name; option++) {
            g_autofree gchar *mark = g_strdup_printf("**--%s**", option->name);
            g_assert_nonnull(strstr(page, mark));
        }
    }
    g_assert_cmpuint(n, ==, 42);
    g_assert_null(cmd_command_find("complete"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/forms", test_forms);
    g_test_add_func("/options/refused", test_refused);
    g_test_add_func("/options/stop-at-word", test_stop_at_word);
    g_test_add_func("/options/numbers", test_numbers);
    g_test_add_func("/options/nearest", test_nearest);
    g_test_add_func("/output/printable", test_printable);
    g_test_add_func("/output/table", test_table);
    g_test_add_func("/output/wide-table", test_wide_table);
    g_test_add_func("/output/suggest", test_suggest);
    g_test_add_func("/commands/table", test_commands);
    return g_test_run();
}
