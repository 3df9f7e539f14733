/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/suggest.h"

#include <string.h>

#include "policy/text.h"
#include "virsh-wrappers/report.h"

#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._+@%:,/"

/* Whether a word on the command line is this name and nothing else. */
static gboolean is_plain_name(const char *name)
{
    return *name && *name != '-' && !cmd_word_is_file(name) && policy_command_word(name, "") == name;
}

gchar *cmd_suggest(const char *command, const char *name, const char *uuid)
{
    gboolean plain = name && is_plain_name(name);
    const char *word = plain || !uuid ? name : uuid;
    if (!word) {
        return g_strdup_printf("virt-attest %s DOMAIN", command);
    }
    g_autofree gchar *quoted = *word && !word[strspn(word, PLAIN)] ? g_strdup(word) : g_shell_quote(word);
    return g_strdup_printf("virt-attest %s %s%s", command, plain || uuid ? "" : "--domain=", quoted);
}
