/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/suggest.h"

#include <string.h>

#include "virsh-wrappers/output.h"
#include "virsh-wrappers/report.h"

#define DIGITS "0123456789"
#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "-._+@%:,/"

/* Whether a word on the command line is this name and nothing else. */
static gboolean is_plain_name(const char *name) {
    g_autofree gchar *printable = cmd_printable(name);
    return *name && *name != '-' && name[strspn(name, DIGITS)] && !g_uuid_string_is_valid(name) &&
           !cmd_word_is_file(name) && g_str_equal(printable, name);
}

gchar *cmd_suggest(const char *command, const char *name, const char *uuid) {
    gboolean plain = name && is_plain_name(name);
    const char *word = plain || !uuid ? name : uuid;
    if (!word) {
        return g_strdup_printf("virt-attest %s DOMAIN", command);
    }
    g_autofree gchar *quoted = *word && !word[strspn(word, PLAIN)] ? g_strdup(word) : g_shell_quote(word);
    return g_strdup_printf("virt-attest %s %s%s", command, plain || uuid ? "" : "--domain=", quoted);
}
