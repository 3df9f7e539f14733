/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/complete.h"

#include <stdio.h>
#include <string.h>

#include "virsh-wrappers/connection.h"
#include "virsh-wrappers/commands.h"

/* What the candidates begin with besides themselves: "--format=" when that stands before the value. */
static const char *lead = "";

static void offer(const char *candidate, const char *prefix)
{
    if (g_str_has_prefix(candidate, prefix) && !strchr(candidate, '\n')) {
        printf("%s%s\n", lead, candidate);
    }
}

static void offer_commands(const char *prefix)
{
    for (const CmdCommand *command = cmd_commands; command->name; command++) {
        offer(command->name, prefix);
    }
    offer("help", prefix);
}

static void offer_options(const CmdOption *const *tables, const char *prefix)
{
    for (; *tables; tables++) {
        for (const CmdOption *option = *tables; option->name; option++) {
            g_autofree gchar *text = g_strconcat("--", option->name, NULL);
            offer(text, prefix);
        }
    }
}

static void offer_domains(const CmdContext *context, const char *prefix)
{
    g_autoptr(VirConnection) connection = cmd_connect(context, NULL);
    virDomainPtr *domains = NULL;
    int n = connection ? virConnectListAllDomains(connection, &domains, 0) : -1;
    for (int i = 0; i < n; i++) {
        const char *name = virDomainGetName(domains[i]);
        if (name) {
            offer(name, prefix);
        }
        virDomainFree(domains[i]);
    }
    free(domains);
}

static void offer_networks(const CmdContext *context, const char *prefix)
{
    g_autoptr(VirConnection) connection = cmd_connect(context, NULL);
    virNetworkPtr *networks = NULL;
    int n = connection ? virConnectListAllNetworks(connection, &networks, 0) : -1;
    for (int i = 0; i < n; i++) {
        const char *name = virNetworkGetName(networks[i]);
        if (name) {
            offer(name, prefix);
        }
        virNetworkFree(networks[i]);
    }
    free(networks);
}

static void offer_values(const CmdContext *context, const CmdOption *option, const char *prefix)
{
    g_auto(GStrv) choices = cmd_option_choices(option);
    for (gchar **choice = choices; choice && *choice; choice++) {
        offer(*choice, prefix);
    }
    if (g_str_equal(option->argument, "DOMAIN")) {
        offer_domains(context, prefix);
    } else if (g_str_equal(option->argument, "NETWORK")) {
        offer_networks(context, prefix);
    } else if (g_str_equal(option->argument, "MODEL") || g_str_equal(option->argument, "CPU")) {
        for (const char *const *name = measure_cpu_names(); *name; name++) {
            offer(*name, prefix);
        }
    }
}

/* The option whose value comes after @word, or NULL. */
static const CmdOption *option_before(const CmdOption *const *tables, const char *word)
{
    const CmdOption *option = NULL;
    if (g_str_has_prefix(word, "--") && !strchr(word, '=')) {
        option = cmd_option_find(tables, word + 2);
    } else if (word[0] == '-' && word[1] && !word[2]) {
        for (; *tables && !option; tables++) {
            for (const CmdOption *each = *tables; each->name && !option; each++) {
                option = each->letter == word[1] ? each : NULL;
            }
        }
    }
    return option && option->kind != CMD_FLAG ? option : NULL;
}

static const CmdOption no_options[] = {{NULL}};
static const CmdCommand no_command = {.name = "", .options = no_options};

static gboolean takes_domain(const CmdCommand *command)
{
    return strstr(command->arguments, "DOMAIN") && !strstr(command->arguments, "DOMAIN.xml");
}

/* The words that forms of the command begin with, where it has such: "fetch", "list", … */
static void offer_actions(const CmdCommand *command, const char *prefix)
{
    g_auto(GStrv) forms = g_strsplit(command->arguments, "\n", -1);
    for (gchar **form = forms; *form; form++) {
        gsize length = strspn(*form, "abcdefghijklmnopqrstuvwxyz");
        g_autofree gchar *word = g_strndup(*form, length);
        gboolean before = FALSE;
        for (gchar **other = forms; other < form; other++) {
            before |= strncmp(*other, word, length) == 0 && (*other)[length] == ' ';
        }
        if (length > 0 && (*form)[length] == ' ' && !before) {
            offer(word, prefix);
        }
    }
}

/* One side of the line, in front of or behind the command's name: what could be its last word? */
typedef struct {
    const CmdOption *const *tables;
    const CmdOption *value_of; /* the option whose value is being typed, or NULL */
    gchar *lead;               /* "--name=" when the value is behind it */
    const char *prefix;        /* what was typed of the word or value */
    guint n_complete;          /* how many words before it are complete options, values and words */
} Side;

static void side_read(Side *side, const CmdOption *const *tables, const char *const *words, guint n)
{
    const char *last = n > 0 ? words[n - 1] : "";
    const char *equals = strchr(last, '=');
    side->tables = tables;
    side->prefix = last;
    side->n_complete = n > 0 ? n - 1 : 0;
    if (g_str_has_prefix(last, "--") && equals) {
        side->lead = g_strndup(last, (gsize)(equals + 1 - last));
        g_autofree gchar *name = g_strndup(last, (gsize)(equals - last));
        side->value_of = option_before(tables, name);
        side->prefix = equals + 1;
    } else if (n > 1) {
        side->value_of = option_before(tables, words[n - 2]);
        side->n_complete -= side->value_of ? 1 : 0;
    }
}

static CmdArguments *side_parse(const Side *side, const char *const *words, gboolean stop_at_word, gsize *n_read)
{
    g_autoptr(GPtrArray) complete = g_ptr_array_new();
    for (guint i = 0; i < side->n_complete; i++) {
        g_ptr_array_add(complete, (gpointer)words[i]);
    }
    g_ptr_array_add(complete, NULL);
    return cmd_arguments_parse(side->tables, (const char *const *)complete->pdata, stop_at_word, n_read, NULL);
}

/* TRUE when the side knew what to do with the word: an option, or the value of one. */
static gboolean side_offer(const Side *side, const CmdContext *context)
{
    if (side->value_of) {
        lead = side->lead ? side->lead : "";
        offer_values(context, side->value_of, side->prefix);
        lead = "";
        return TRUE;
    }
    if (side->prefix[0] == '-') {
        offer_options(side->tables, side->prefix);
        return TRUE;
    }
    return FALSE;
}

static void complete_arguments(CmdContext *context, const char *const *words, guint n)
{
    const CmdOption *tables[3];
    Side side = {NULL};
    cmd_command_tables(context->command, tables);
    side_read(&side, tables, words, n);
    context->arguments = side_parse(&side, words, FALSE, NULL);
    if (context->arguments && !side_offer(&side, context) && cmd_arguments_words(context->arguments)->len == 0) {
        offer_actions(context->command, side.prefix);
        if (takes_domain(context->command)) {
            offer_domains(context, side.prefix);
        }
    }
    g_free(side.lead);
}

int cmd_complete(const char *const *words)
{
    static const CmdOption *const globals[] = {cmd_global_options, NULL};
    g_auto(CmdContext) context = {.command = &no_command};
    words += words[0] && g_str_equal(words[0], "--") ? 1 : 0;
    guint n = g_strv_length((gchar **)words);
    gsize at = 0;
    Side side = {NULL};
    side_read(&side, globals, words, n);
    context.globals = side_parse(&side, words, TRUE, &at);
    const char *name = context.globals && at < side.n_complete ? words[at] : NULL;
    const CmdCommand *command = name ? cmd_command_find(name) : NULL;
    if (command) {
        context.command = command;
        complete_arguments(&context, words + at + 1, n - (guint)at - 1);
    } else if (name && g_str_equal(name, "help")) {
        offer_commands(side.prefix);
    } else if (context.globals && !name) {
        context.arguments = cmd_arguments_parse(globals, (const char *const[]){NULL}, FALSE, NULL, NULL);
        if (!side_offer(&side, &context)) {
            offer_commands(side.prefix);
        }
    }
    g_free(side.lead);
    return 0;
}
