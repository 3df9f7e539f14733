/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of the cleaning that read files: password files, public keys, host names, the program for reports. */
#include "storage/clean.h"

#include <string.h>

#include "measure/file.h"

#define KEY_FILE_MAX (1024 * 1024)

static gboolean fail(GError **error, const char *path, const char *text)
{
    g_autofree gchar *printable = measure_printable(path);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s': %s", printable, text);
    return FALSE;
}

/* Passwords that no input matches: they may stay as they are. */
static gboolean is_unusable(const char *field)
{
    static const char *const words[] = {"*", "!", "!!", "!*", NULL};

    return g_strv_contains(words, field);
}

/* What takes the place of the second field of a line. */
static const char *replacement(const char *path, const char *name, const char *field)
{
    if (!strcmp(path, "etc/passwd") || !strcmp(path, "etc/group"))
        return is_unusable(field) ? field : "x";
    /* No '!': sshd without PAM takes that for an account that is closed to keys too. */
    if (!strcmp(path, "etc/shadow") && !strcmp(name, "root"))
        return "*";
    /* A group without password admits its members only. */
    if (!strcmp(path, "etc/gshadow") && !*field)
        return field;
    return is_unusable(field) ? field : "!";
}

gchar *storage_clean_rewrite(const char *path, const char *text, gsize size, GError **error)
{
    g_autofree gchar *copy = g_strndup(text, size);
    g_auto(GStrv) lines = NULL;
    g_autoptr(GString) out = g_string_new(NULL);

    if (memchr(text, '\0', size)) {
        fail(error, path, "this file of passwords has a zero byte in it");
        return NULL;
    }
    lines = g_strsplit(copy, "\n", -1);
    for (gchar **line = lines; *line; line++) {
        g_auto(GStrv) fields = g_strsplit(*line, ":", 3);

        if (g_strv_length(fields) >= 2)
            g_string_append_printf(out, "%s:%s%s%s", fields[0], replacement(path, fields[0], fields[1]),
                                   fields[2] ? ":" : "", fields[2] ? fields[2] : "");
        else
            g_string_append(out, *line);
        if (line[1])
            g_string_append_c(out, '\n');
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}

/* "TYPE BASE64 [comment]", and what BASE64 holds begins with the TYPE again. */
static gboolean is_public_key(const char *line)
{
    static const char *const types[] = {"ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
                                        "ecdsa-sha2-nistp521", "sk-ssh-ed25519@openssh.com",
                                        "sk-ecdsa-sha2-nistp256@openssh.com", NULL};
    g_auto(GStrv) words = g_strsplit(line, " ", 3);
    g_autofree guint8 *blob = NULL;
    g_autofree gchar *again = NULL;
    gsize size = 0, length;

    if (!words[0] || !words[1] || !g_strv_contains(types, words[0]))
        return FALSE;
    length = strlen(words[0]);
    blob = g_base64_decode(words[1], &size);
    again = g_base64_encode(blob, size);
    return !strcmp(again, words[1]) && size > 4 + length && blob[0] == 0 && blob[1] == 0 && blob[2] == 0 &&
           blob[3] == length && !memcmp(blob + 4, words[0], length);
}

static gboolean read_key_file(const char *path, GString *out, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree gchar *text = NULL;
    g_auto(GStrv) lines = NULL;
    gsize size = 0, before = out->len;

    if (!g_file_get_contents(path, &text, &size, &cause))
        return fail(error, path, g_strerror(cause->code == G_FILE_ERROR_NOENT ? 2 : cause->code == G_FILE_ERROR_ACCES ? 13 : 5));
    if (size > KEY_FILE_MAX || memchr(text, '\0', size) || !g_utf8_validate(text, (gssize)size, NULL))
        return fail(error, path, "this is not a file of OpenSSH public keys");
    if (strstr(text, "PRIVATE KEY"))
        return fail(error, path, "this is a private key: keep it to yourself and give the file that ends in .pub");
    lines = g_strsplit(text, "\n", -1);
    for (gchar **line = lines; *line; line++) {
        g_strstrip(*line);
        if (!**line || **line == '#')
            continue;
        for (const gchar *c = *line; *c; c++) {
            if (g_ascii_iscntrl(*c))
                return fail(error, path, "a line has a control character in it");
        }
        if (!is_public_key(*line))
            return fail(error, path, "a line is not an OpenSSH public key ('TYPE BASE64 comment', without options before it)");
        g_string_append_printf(out, "%s\n", *line);
    }
    return out->len > before || fail(error, path, "there is no public key in it");
}

gchar *storage_clean_read_keys(const char *const *paths, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);

    for (; *paths; paths++) {
        if (!read_key_file(*paths, out, error))
            return NULL;
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}

/* Another machine's program would be in the image without a word until somebody asks the guest for its report. */
static gboolean is_program(const guint8 *data, gsize size)
{
    static const guint8 elf64[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};

    return size >= 64 && !memcmp(data, elf64, sizeof(elf64)) && data[18] == 62 && data[19] == 0; /* e_machine: x86-64 */
}

GBytes *storage_clean_read_agent(const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree guint8 *data = NULL;
    g_autoptr(MeasureFile) file = measure_file_open("report program", path, STORAGE_CLEAN_AGENT_MAX, &cause);
    gsize size = file ? (gsize)file->input->size : 0;

    if (file && size > 0) {
        data = g_malloc(size);
        if (measure_file_read(file, 0, data, size, &cause) && is_program(data, size))
            return g_bytes_new_take(g_steal_pointer(&data), size);
    }
    g_autofree gchar *printable = measure_printable(path);
    g_autofree gchar *other = g_strdup_printf("report program '%s': this is no program for x86-64", printable);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                "%s; name the installed one in [guest] report, or leave it out with --no-report-agent",
                cause ? cause->message : other);
    return NULL;
}

gboolean storage_clean_hostname_valid(const char *name)
{
    gsize length = strlen(name);

    if (!length || length > 63 || !g_ascii_isalnum(name[0]) || !g_ascii_isalnum(name[length - 1]) || strstr(name, ".."))
        return FALSE;
    for (const char *c = name; *c; c++) {
        if (!g_ascii_isalnum(*c) && *c != '-' && *c != '.')
            return FALSE;
    }
    return TRUE;
}
