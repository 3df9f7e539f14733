/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files with keys, and passphrases: what is read, and from whom it may come. */
#include "policy/key-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/error.h"

static gboolean check_secret(const struct stat *st, const char *what, const char *path, GError **error)
{
    g_autofree gchar *quoted = g_shell_quote(path);
    g_autofree gchar *word = measure_printable(quoted);

    if (st->st_uid != geteuid() && st->st_uid != 0) {
        policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, path,
                         "it belongs to another user (%u), who can change it; make it your own: chown %u %s",
                         (guint)st->st_uid, (guint)geteuid(), word);
        return FALSE;
    }
    if (st->st_mode & (S_IRWXG | S_IRWXO)) {
        policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, path,
                         "%s may use it (mode %04o), and so it is no secret; close it: chmod 0600 %s",
                         st->st_mode & S_IRWXO ? "everybody on this machine" : "its group", st->st_mode & 07777, word);
        return FALSE;
    }
    return TRUE;
}

gboolean policy_owner_only_writes(const struct stat *st)
{
    /* The group's bit is also the mask of an access control list: whom it lets write is not in @st, so nobody. */
    return (st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

gchar *policy_key_read_file(const char *path, PolicyKeyFile file, PolicyKeyKind kinds, const char *what, gsize *size,
                            GError **error)
{
    gboolean secret = file == POLICY_KEY_FILE_SECRET;
    const char *command = secret ? policy_key_make_command(kinds) : POLICY_PUBLIC_KEY_COMMAND;
    struct stat st;
    gchar *data = NULL;
    gsize done = 0;
    /* Through links: what counts is the file that is read, and the checks are made on that. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        int saved = errno;

        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, path, saved == ENOENT ? "%s; to make one: %s"
                                                                                          : "%s",
                                g_strerror(saved), command);
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, path,
                                "this is %s and no file with a key; to make one: %s",
                                S_ISDIR(st.st_mode)    ? "a folder"
                                : S_ISFIFO(st.st_mode) ? "a pipe"
                                                       : "a device",
                                command);
    }
    if (secret && !check_secret(&st, what, path, error)) {
        close(fd);
        return NULL;
    }
    if (file == POLICY_KEY_FILE_TRUSTED && !policy_owner_only_writes(&st)) {
        close(fd);
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, path,
                                "others than root and the user may write to it; give it to root and take the write "
                                "permission from others: chown root: FILE; chmod 0644 FILE");
    }
    data = g_malloc(POLICY_KEY_MAX_SIZE + 1);
    while (done <= POLICY_KEY_MAX_SIZE) {
        ssize_t got = read(fd, data + done, POLICY_KEY_MAX_SIZE + 1 - done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, path, "%s", g_strerror(errno));
            goto fail;
        }
        if (got == 0)
            break;
        done += (gsize)got;
    }
    if (done > POLICY_KEY_MAX_SIZE) {
        policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, path,
                         "it is larger than %u bytes and so no key; to make one: %s", POLICY_KEY_MAX_SIZE, command);
        goto fail;
    }
    if (!done) {
        policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, path, "it is empty; to make a key: %s", command);
        goto fail;
    }
    close(fd);
    data[done] = '\0';
    *size = done;
    return data;
fail:
    close(fd);
    OPENSSL_cleanse(data, POLICY_KEY_MAX_SIZE + 1);
    g_free(data);
    return NULL;
}

/* ---- Passphrases ---- */

int policy_key_read_passphrase(int fd, char *out, const char **reason)
{
    int length = 0;

    if (fd < 0) {
        *reason = "it is encrypted and no passphrase was given";
        return -1;
    }
    /* It would be shown while it is typed. */
    if (isatty(fd)) {
        *reason = "the descriptor of its passphrase is a terminal, which would show it";
        return -1;
    }
    while (length <= POLICY_PASSPHRASE_MAX) {
        ssize_t got = read(fd, out + length, 1);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            *reason = errno == EBADF ? "the descriptor of its passphrase is not open"
                                     : "the descriptor of its passphrase cannot be read";
            goto fail;
        }
        if (got == 0 || out[length] == '\n')
            break;
        length++;
    }
    if (length > POLICY_PASSPHRASE_MAX) {
        *reason = "its passphrase is longer than 1024 bytes";
        goto fail;
    }
    if (!length) {
        *reason = "it is encrypted and the descriptor of its passphrase has no line left";
        return -1;
    }
    out[length] = '\0';
    return length;
fail:
    OPENSSL_cleanse(out, POLICY_PASSPHRASE_MAX + 1);
    return -1;
}
