/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virt-attest: finds the command, reads its options, runs it, reports its error. */
#include "virsh-wrappers/commands.h"

#include <locale.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure/error.h"
#include "virsh-wrappers/complete.h"
#include "virsh-wrappers/help.h"
#include "virsh-wrappers/output.h"

/* A message may quote a hostile file; its lines stay lines, everything else that could move the cursor does not. */
static int report(const GError *error, const CmdCommand *command)
{
    g_auto(GStrv) lines = g_strsplit(error->message, "\n", -1);
    for (gchar **line = lines; *line; line++) {
        g_autofree gchar *text = cmd_printable(*line);
        fprintf(stderr, "%s%s\n", line == lines ? "error: " : "", text);
    }
    int code = attest_error_exit_code(error);
    if (code == ATTEST_ERROR_USAGE) {
        fprintf(stderr, "See 'virt-attest %s%s--help'.\n", command ? command->name : "", command ? " " : "");
    }
    return code;
}

static int print_and_free(gchar *text)
{
    fputs(text, stdout);
    g_free(text);
    return 0;
}

static const CmdCommand *find_command(const char *name, GError **error)
{
    const CmdCommand *command = cmd_command_find(name);
    if (command) {
        return command;
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (const CmdCommand *each = cmd_commands; each->name; each++) {
        g_ptr_array_add(names, (gpointer)each->name);
    }
    g_ptr_array_add(names, NULL);
    const char *nearest = cmd_nearest(name, (const char *const *)names->pdata);
    if (nearest) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "unknown command '%s': did you mean '%s'?", name, nearest);
    } else {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "unknown command '%s'", name);
    }
    return NULL;
}

static gboolean check_words(const CmdContext *context, GError **error)
{
    const CmdCommand *command = context->command;
    guint given = cmd_arguments_words(context->arguments)->len;
    /* Where the word is a domain, --domain stands in its place; not where the word is a report that it belongs to. */
    gboolean by_option = cmd_context_has(context, "domain") && strstr(command->arguments, "DOMAIN") &&
                         !strstr(command->arguments, "--domain DOMAIN");
    /* Further words of a command that takes many are not the domain. */
    if (by_option && given > 0 && command->words_max == 1) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "%s: give the domain once, with --domain or without",
                    command->name);
        return FALSE;
    }
    if (given < command->words_min && !by_option) {
        g_autofree gchar *form = g_strndup(command->arguments, strcspn(command->arguments, "\n"));
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "%s: too few arguments: virt-attest %s %s", command->name,
                    command->name, form);
        return FALSE;
    }
    if (given > command->words_max) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "%s: unexpected argument '%s'", command->name,
                    cmd_context_word(context, command->words_max));
        return FALSE;
    }
    return TRUE;
}

static int run_command(CmdContext *context, const char *const *words)
{
    g_autoptr(GError) error = NULL;
    const CmdOption *tables[3];
    cmd_command_tables(context->command, tables);
    context->arguments = cmd_arguments_parse(tables, words, FALSE, NULL, &error);
    if (!context->arguments) {
        return report(error, context->command);
    }
    if (cmd_context_has(context, "help")) {
        return print_and_free(cmd_help_command(context->command));
    }
    if (!check_words(context, &error)) {
        return report(error, context->command);
    }
    int code = context->command->run(context, &error);
    return error ? report(error, context->command) : code;
}

static int run(const char *const *words)
{
    static const CmdOption *const tables[] = {cmd_global_options, NULL};
    g_auto(CmdContext) context = {NULL};
    g_autoptr(GError) error = NULL;
    gsize n = 0;
    context.globals = cmd_arguments_parse(tables, words, TRUE, &n, &error);
    if (!context.globals) {
        return report(error, NULL);
    }
    if (cmd_arguments_has(context.globals, "version")) {
        printf("virt-attest %s\n", VERSION);
        return 0;
    }
    if (words[n] && g_str_equal(words[n], "complete")) {
        return cmd_complete(words + n + 1);
    }
    gboolean help_word = words[n] && g_str_equal(words[n], "help");
    const char *name = help_word ? words[n + 1] : words[n];
    if (!name) {
        if (help_word || cmd_arguments_has(context.globals, "help")) {
            return print_and_free(cmd_help_overview());
        }
        g_set_error(&error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "no command given");
        return report(error, NULL);
    }
    context.command = find_command(name, &error);
    if (!context.command) {
        return report(error, NULL);
    }
    if (help_word || cmd_arguments_has(context.globals, "help")) {
        return print_and_free(cmd_help_command(context.command));
    }
    return run_command(&context, words + n + 1);
}

/*
 * OpenSSL's decoders copy a private key several times and free the copies as they are. So everything that it frees is
 * wiped here, in the command that loads such keys: neither the hook nor a library decides that for its process.
 */
static void *wiping_malloc(size_t size, const char *file, int line)
{
    return malloc(size);
}

static void wiping_free(void *block, const char *file, int line)
{
    if (block) {
        OPENSSL_cleanse(block, malloc_usable_size(block));
        free(block);
    }
}

/* Not the system's, which may move the block and leave what was in it behind. */
static void *wiping_realloc(void *block, size_t size, const char *file, int line)
{
    size_t former = block ? malloc_usable_size(block) : 0;
    if (block && size == 0) {
        wiping_free(block, file, line);
        return NULL;
    }
    void *moved = malloc(size);
    if (moved && block) {
        memcpy(moved, block, MIN(former, size));
        wiping_free(block, file, line);
    }
    return moved;
}

/* OpenSSL says no once it has allocated anything, which the constructors of libraries make it do: so before those. */
static void wipe_what_openssl_frees(void)
{
    CRYPTO_set_mem_functions(wiping_malloc, wiping_realloc, wiping_free);
}

static void (*const before_libraries)(void) __attribute__((section(".preinit_array"), used)) = wipe_what_openssl_frees;

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    /* A file size limit is an error like a full disk, which is undone and reported; killed half-way nothing is. */
    signal(SIGXFSZ, SIG_IGN);
    g_log_writer_default_set_use_stderr(TRUE);
    int code = run((const char *const *)(argc > 0 ? argv + 1 : argv));
    /* A full disk or a closed pipe must not look like success: scripts read what we print. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "error: cannot write to standard output\n");
        return code ? code : ATTEST_ERROR_UNREADABLE;
    }
    return code;
}
