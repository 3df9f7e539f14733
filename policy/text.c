/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/text.h"

#include <string.h>

#include "xml/attestation.h"

gchar *policy_one_line(const char *text, gsize max)
{
    g_autofree gchar *valid = g_utf8_make_valid(text, -1);
    g_autoptr(GString) line = g_string_new(NULL);

    for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        GUnicodeType type = g_unichar_type(c);

        if (line->len + 10 > max) {
            g_string_append(line, "…");
            break;
        }
        /* Formats include the marks that turn the reading direction around. */
        if (g_unichar_isspace(c))
            g_string_append_c(line, ' ');
        else if (type == G_UNICODE_CONTROL || type == G_UNICODE_FORMAT || type == G_UNICODE_LINE_SEPARATOR ||
                 type == G_UNICODE_PARAGRAPH_SEPARATOR || type == G_UNICODE_SURROGATE)
            g_string_append_c(line, '?');
        else
            g_string_append_unichar(line, c);
    }
    return g_string_free(g_steal_pointer(&line), FALSE);
}

gchar *policy_short_digest(const char *hex)
{
    return strlen(hex) > 20 ? g_strdup_printf("%.16s…", hex) : g_strdup(hex);
}

/* A number as strtol() takes it: libvirt's programs look for the ID of a running domain first. */
static gboolean is_number(const char *name)
{
    while (g_ascii_isspace(*name))
        name++;
    name += *name == '+' || *name == '-';
    return *name && strspn(name, "0123456789") == strlen(name);
}

/* 32 hexadecimal digits, with dashes and blanks wherever libvirt's parser takes them. */
static gboolean is_uuid(const char *name)
{
    guint digits = 0;

    for (; *name; name++) {
        if (g_ascii_isxdigit(*name))
            digits++;
        else if (*name != '-' && !g_ascii_isspace(*name))
            return FALSE;
    }
    return digits == 32;
}

const char *policy_command_word(const char *name, const char *uuid)
{
    g_autofree gchar *shown = NULL;

    if (!name || !uuid)
        return name ? name : uuid;
    shown = policy_one_line(name, G_MAXUINT16);
    return g_str_equal(shown, name) && !is_number(name) && !is_uuid(name) ? name : uuid;
}

static gchar *quote(const char *word)
{
    gboolean plain = *word && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._+@%:,/") ==
                                  strlen(word);

    return plain ? g_strdup(word) : g_shell_quote(word);
}

gchar *policy_define_command(const char *options, const char *name)
{
    gboolean file = strchr(name, '/') || g_str_equal(name, "-") || g_str_has_suffix(name, ".xml");
    g_autofree gchar *quoted = quote(name);
    const char *guard = file ? "--domain=" : *name == '-' ? "-- " : "";

    return g_strdup_printf("virt-attest define %s %s%s", options, guard, quoted);
}

gchar *policy_accept_command(const char *name)
{
    return policy_define_command("--accept", name);
}

gchar *policy_metadata_command(const char *name, const char *uuid)
{
    const char *word = policy_command_word(name && *name == '-' && uuid ? uuid : name, uuid);
    g_autofree gchar *quoted = quote(word);

    return g_strdup_printf("virsh metadata %s " XML_ATTESTATION_URI " --remove --config", quoted);
}
