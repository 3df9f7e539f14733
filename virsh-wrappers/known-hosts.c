/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/known-hosts.h"

#include <arpa/inet.h>
#include <string.h>

#define HOST_MAX 255
#define SHA1_SIZE 20

gboolean cmd_known_hosts_valid(const char *host)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-%";
    gsize length = strlen(host);
    return length > 0 && length <= HOST_MAX && *host != '-' && strspn(host, allowed) == length;
}

gboolean cmd_known_hosts_is_address(const char *text)
{
    guint8 address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

gchar *cmd_known_hosts_name(const char *host, guint port)
{
    g_autofree gchar *lower = g_ascii_strdown(host, -1);
    return port == 22 ? g_steal_pointer(&lower) : g_strdup_printf("[%s]:%u", lower, port);
}

/* "|1|SALT|HASH": HMAC-SHA1 of the name, keyed with the salt, both in base64. */
static gboolean hash_matches(const char *field, const char *name)
{
    g_auto(GStrv) parts = g_strsplit(field, "|", 5);
    guint8 digest[SHA1_SIZE];
    gsize salt_size = 0, hash_size = 0, size = sizeof(digest);
    if (g_strv_length(parts) != 4 || *parts[0] || strcmp(parts[1], "1") || !*parts[2] || !*parts[3]) {
        return FALSE;
    }
    g_autofree guint8 *salt = g_base64_decode(parts[2], &salt_size);
    g_autofree guint8 *hash = g_base64_decode(parts[3], &hash_size);
    GHmac *hmac = salt_size > 0 ? g_hmac_new(G_CHECKSUM_SHA1, salt, salt_size) : NULL;
    if (!hmac) {
        return FALSE;
    }
    g_hmac_update(hmac, (const guchar *)name, (gssize)strlen(name));
    g_hmac_get_digest(hmac, digest, &size);
    g_hmac_unref(hmac);
    return hash_size == size && memcmp(hash, digest, size) == 0;
}

static gboolean is_one(const char *word, const char *const *names)
{
    for (; *names; names++) {
        if (g_ascii_strcasecmp(word, *names) == 0 || (*word == '|' && hash_matches(word, *names))) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean is_marked(const char *rest)
{
    g_autofree gchar *text = g_strchomp(g_strdup(rest));
    return g_str_has_suffix(text, " " CMD_KNOWN_HOSTS_MARK);
}

/* The line without @names, or nothing when no host is left on it. */
static void add_line(GString *out, const char *line, const char *const *names, gboolean only_marked)
{
    const char *start = line + strspn(line, " \t");
    gsize length = strcspn(start, " \t");
    const char *rest = start + length;
    if (!*start || *start == '#' || *start == '@' || (only_marked && !is_marked(rest))) {
        g_string_append_printf(out, "%s\n", line);
        return;
    }
    g_autofree gchar *field = g_strndup(start, length);
    g_auto(GStrv) hosts = g_strsplit(field, ",", -1);
    g_autoptr(GPtrArray) kept = g_ptr_array_new();
    gboolean found = FALSE;
    for (gchar **host = hosts; *host; host++) {
        if (is_one(*host, names)) {
            found = TRUE;
        } else {
            g_ptr_array_add(kept, *host);
        }
    }
    if (!found) {
        g_string_append_printf(out, "%s\n", line);
    } else if (kept->len > 0) {
        g_ptr_array_add(kept, NULL);
        g_autofree gchar *left = g_strjoinv(",", (gchar **)kept->pdata);
        g_string_append_printf(out, "%s%s\n", left, rest);
    }
}

gchar *cmd_known_hosts_edit(const char *text, const char *const *names, const char *key)
{
    GString *out = g_string_new(NULL);
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    for (gchar **line = lines; *line; line++) {
        /* What is behind the last newline is no line. */
        if (**line || line[1]) {
            add_line(out, *line, names, !key);
        }
    }
    for (; key && *names; names++) {
        g_string_append_printf(out, "%s %s %s\n", *names, key, CMD_KNOWN_HOSTS_MARK);
    }
    return g_string_free(out, FALSE);
}
