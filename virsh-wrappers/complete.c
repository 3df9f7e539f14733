/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/complete.h"

#include <stdio.h>
#include <string.h>

#include "virsh-wrappers/connection.h"
#include "virsh-wrappers/commands.h"

static void offer(const char *candidate, const char *prefix) {
    if (g_str_has_prefix(candidate, prefix) && !strchr(candidate, '\n')) {
        printf("%s\n", candidate);
    }
}

static void offer_commands(const char *prefix) {
    for (const CmdCommand *command = cmd_commands; command->name; command++) {
        offer(command->name, prefix);
    }
    offer("help", prefix);
}

static void offer_options(const CmdOption *const *tables, const char *prefix) {
    for (; *tables; tables++) {
        for (const CmdOption *option = *tables; option->name; option++) {
            g_autofree gchar *text = g_strconcat("--", option->name, NULL);
            offer(text, prefix);
        }
    }
}

static void offer_domains(const CmdContext *context, const char *prefix) {
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

static void offer_networks(const CmdContext *context, const char *prefix) {
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

static void offer_values(const CmdContext *context, const CmdOption *option, const char *prefix) {
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
static const CmdOption *option_before(const CmdOption *const *tables, const char *word) {
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

/* What was typed so far, read as far as it can be: connection options decide which domains are offered. */
static gboolean read_typed(CmdContext *context, const CmdOption *const *tables, GPtrArray *typed) {
    context->arguments = cmd_arguments_parse(tables, (const char *const *)typed->pdata, FALSE, NULL, NULL);
    return context->arguments != NULL;
}

static const CmdOption no_options[] = {{NULL}};
static const CmdCommand no_command = {.name = "", .options = no_options};

static gboolean takes_domain(const CmdCommand *command) {
    return strstr(command->arguments, "DOMAIN") && !strstr(command->arguments, "DOMAIN.xml");
}

int cmd_complete(const char *const *words) {
    if (words[0] && g_str_equal(words[0], "--")) {
        words++;
    }
    guint n = g_strv_length((gchar **)words);
    const char *last = n > 0 ? words[n - 1] : "";
    const char *before = n > 1 ? words[n - 2] : "";
    const CmdOption *globals[] = {cmd_global_options, NULL};
    g_auto(CmdContext) context = {.command = &no_command};
    g_autoptr(GPtrArray) typed = g_ptr_array_new();
    gsize at = 0;
    for (guint i = 0; i + 1 < n; i++) {
        g_ptr_array_add(typed, (gpointer)words[i]);
    }
    const CmdOption *value_of = option_before(globals, before);
    if (value_of && n > 1) {
        g_ptr_array_set_size(typed, (gint)typed->len - 1);
    }
    g_ptr_array_add(typed, NULL);
    context.globals = cmd_arguments_parse(globals, (const char *const *)typed->pdata, TRUE, &at, NULL);
    if (!context.globals) {
        return 0;
    }
    const char *name = g_ptr_array_index(typed, at);
    const CmdCommand *command = name ? cmd_command_find(name) : NULL;
    if (!name) {
        context.arguments = cmd_arguments_parse(globals, (const char *const[]){NULL}, FALSE, NULL, NULL);
        if (value_of) {
            offer_values(&context, value_of, last);
        } else if (last[0] == '-') {
            offer_options(globals, last);
        } else {
            offer_commands(last);
        }
        return 0;
    }
    if (!command) {
        if (g_str_equal(name, "help")) {
            offer_commands(last);
        }
        return 0;
    }
    const CmdOption *tables[3];
    cmd_command_tables(command, tables);
    context.command = command;
    g_ptr_array_set_size(typed, 0);
    value_of = option_before(tables, before);
    for (guint i = (guint)at + 1; i + (value_of ? 2 : 1) < n; i++) {
        g_ptr_array_add(typed, (gpointer)words[i]);
    }
    g_ptr_array_add(typed, NULL);
    if (!read_typed(&context, tables, typed)) {
        return 0;
    }
    if (value_of) {
        offer_values(&context, value_of, last);
    } else if (last[0] == '-') {
        offer_options(tables, last);
    } else if (takes_domain(command) && cmd_arguments_words(context.arguments)->len == 0) {
        offer_domains(&context, last);
    }
    return 0;
}
