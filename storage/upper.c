/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a guest's writes go, as options and documents say it. */
#include <string.h>

#include "measure/error.h"
#include "storage/volume.h"

gboolean storage_size_parse(const char *text, guint64 *out)
{
    gsize length = strlen(text);
    const char *suffixes = "KMGT";
    const char *suffix = length ? strchr(suffixes, g_ascii_toupper(text[length - 1])) : NULL;
    g_autofree gchar *digits = g_strndup(text, suffix ? length - 1 : length);
    guint shift = suffix ? 10 * (guint)(suffix - suffixes + 1) : 0;
    guint64 number = 0;

    if (!g_ascii_isdigit(*digits) ||
        !g_ascii_string_to_unsigned(digits, 10, 1, (guint64)G_MAXINT64 >> shift, &number, NULL))
        return FALSE;
    *out = number << shift;
    return TRUE;
}

/* The grammar of the other modes is that of the kernel command line, so its reader decides. */
static gboolean parse_words(const char *text, StorageUpper *out, GError **error)
{
    char message[GUEST_MESSAGE_MAX];
    g_autofree gchar *shown = measure_printable(text);
    g_autofree gchar *line = g_strdup_printf("virt_attest.level=3 virt_attest.root=va-root:2 virt_attest.upper=%s", text);
    gboolean plain = !strpbrk(text, " \t\n\"");

    if (plain && guest_words_parse(line, &out->words, message) == 0)
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                "'%s' does not say where writes go: use none, tmpfs[:SIZE], encrypted[:SIZE] or dirs[:home=SIZE,…]%s%s",
                shown, plain ? ": " : "", plain ? message : "");
    return FALSE;
}

gboolean storage_upper_parse(const char *text, StorageUpper *out, GError **error)
{
    gboolean sized = g_str_has_prefix(text, "encrypted:");

    memset(out, 0, sizeof(*out));
    if (!sized && strcmp(text, "encrypted"))
        return parse_words(text, out, error);
    out->words.upper = GUEST_UPPER_ENCRYPTED;
    out->disk_size = STORAGE_UPPER_DISK_DEFAULT;
    if (sized && (!storage_size_parse(text + strlen("encrypted:"), &out->disk_size) ||
                  out->disk_size < G_GUINT64_CONSTANT(32) << 20 || out->disk_size % 4096)) {
        g_autofree gchar *shown = measure_printable(text);

        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "'%s': the disk of an encrypted upper layer has at least 32M, and whole blocks of 4096 bytes", shown);
        return FALSE;
    }
    return TRUE;
}

gchar *storage_upper_format(const StorageUpper *upper)
{
    static const char word[] = "virt_attest.upper=";
    GuestWords words = {.level = 3, .root = {.serial = "va-root", .partition = 2}, .fs = "ext4", .wait_seconds = 30};
    char line[1024];
    const char *found = NULL;

    if (upper->words.upper == GUEST_UPPER_ENCRYPTED)
        return g_strdup_printf("encrypted:%" G_GUINT64_FORMAT, upper->disk_size);
    words.upper = upper->words.upper;
    words.upper_size = upper->words.upper_size;
    memcpy(words.dir_sizes, upper->words.dir_sizes, sizeof(words.dir_sizes));
    if (guest_words_format(&words, line, sizeof(line)))
        found = strstr(line, word);
    return found ? g_strndup(found + strlen(word), strcspn(found + strlen(word), " ")) : g_strdup("none");
}
