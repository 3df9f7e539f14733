/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct StorageOutput {
    gchar *path;
    gchar *name;      /* of the file in @folder */
    gchar *temporary; /* (nullable): name of the unfinished file in @folder */
    int folder, fd;
    gboolean replace;
};

static gboolean fail(GError **error, const char *path, int number)
{
    g_autofree gchar *shown = measure_printable(path);
    const char *advice = "";

    if (number == EACCES || number == EPERM || number == EROFS)
        advice = ": choose a folder that you may write to";
    else if (number == ENOSPC || number == EDQUOT)
        advice = ": free some space";
    else if (number == EFBIG)
        advice = ": the limit on file sizes (ulimit -f) is too low";
    else if (number == EEXIST)
        advice = ": --force replaces it";
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot write '%s': %s%s", shown, g_strerror(number),
                advice);
    return FALSE;
}

static gchar *temporary_prefix(const StorageOutput *output)
{
    return g_strdup_printf(".%.100s.virt-attest-", output->name);
}

/* Whoever writes to one holds its lock until it is gone or has its name. */
static void sweep(const StorageOutput *output)
{
    g_autofree gchar *prefix = temporary_prefix(output);
    int copy = openat(output->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;

    if (!dir) {
        if (copy >= 0)
            close(copy);
        return;
    }
    while ((entry = readdir(dir))) {
        int fd = -1;

        if (!g_str_has_prefix(entry->d_name, prefix))
            continue;
        fd = openat(output->folder, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(output->folder, entry->d_name, 0);
        close(fd);
    }
    closedir(dir);
}

static gchar *new_temporary(const StorageOutput *output)
{
    g_autofree gchar *prefix = temporary_prefix(output);

    return g_strdup_printf("%s%08x%08x", prefix, g_random_int(), g_random_int());
}

static gboolean check_existing(const StorageOutput *output, GError **error)
{
    g_autofree gchar *shown = measure_printable(output->path);
    struct stat st;

    if (fstatat(output->folder, output->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT || fail(error, output->path, errno);
    if (!S_ISREG(st.st_mode)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "cannot write '%s': it exists and is no regular file: choose another name", shown);
        return FALSE;
    }
    return output->replace || fail(error, output->path, EEXIST);
}

StorageOutput *storage_output_new(const char *path, gboolean replace, mode_t mode, GError **error)
{
    g_autoptr(StorageOutput) output = g_new0(StorageOutput, 1);
    g_autofree gchar *parent = g_path_get_dirname(path);

    output->path = g_strdup(path);
    output->name = g_path_get_basename(path);
    output->replace = replace;
    output->fd = -1;
    output->folder = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (output->folder < 0) {
        fail(error, path, errno);
        return NULL;
    }
    if (!*path || g_str_has_suffix(path, "/") || !strcmp(output->name, ".") || !strcmp(output->name, "..")) {
        fail(error, path, EISDIR);
        return NULL;
    }
    if (!check_existing(output, error))
        return NULL;
    sweep(output);
    output->fd = openat(output->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (output->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
        output->temporary = new_temporary(output);
        output->fd =
            openat(output->folder, output->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (output->fd < 0)
            g_clear_pointer(&output->temporary, g_free);
    }
    if (output->fd < 0 || flock(output->fd, LOCK_EX | LOCK_NB) < 0 || fchmod(output->fd, mode) < 0) {
        fail(error, path, errno);
        return NULL;
    }
    return g_steal_pointer(&output);
}

void storage_output_free(StorageOutput *output)
{
    if (!output)
        return;
    if (output->temporary)
        unlinkat(output->folder, output->temporary, 0);
    if (output->fd >= 0)
        close(output->fd);
    if (output->folder >= 0)
        close(output->folder);
    g_free(output->temporary);
    g_free(output->name);
    g_free(output->path);
    g_free(output);
}

int storage_output_fd(const StorageOutput *output)
{
    return output->fd;
}

gboolean storage_output_write(StorageOutput *output, gconstpointer data, gsize size, GError **error)
{
    const guint8 *at = data;

    while (size) {
        gssize put = write(output->fd, at, size);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return fail(error, output->path, put < 0 ? errno : EIO);
        at += put;
        size -= (gsize)put;
    }
    return TRUE;
}

/* Gives an open file without a name one. By its number in /proc, since AT_EMPTY_PATH needs a capability. */
static int link_as(const StorageOutput *output, const char *name)
{
    g_autofree gchar *number = g_strdup_printf("/proc/self/fd/%d", output->fd);

    return linkat(AT_FDCWD, number, output->folder, name, AT_SYMLINK_FOLLOW);
}

gboolean storage_output_commit(StorageOutput *output, GError **error)
{
    if (fsync(output->fd) < 0)
        return fail(error, output->path, errno);
    if (!output->temporary) {
        if (link_as(output, output->name) == 0)
            return fsync(output->folder) == 0 || fail(error, output->path, errno);
        if (errno != EEXIST || !output->replace)
            return fail(error, output->path, errno);
        /* A link cannot replace a name; a rename can, and needs a name to begin with. */
        output->temporary = new_temporary(output);
        if (link_as(output, output->temporary) < 0) {
            int saved = errno;

            g_clear_pointer(&output->temporary, g_free);
            return fail(error, output->path, saved);
        }
    }
    if (renameat2(output->folder, output->temporary, output->folder, output->name,
                  output->replace ? 0 : RENAME_NOREPLACE) < 0)
        return fail(error, output->path, errno);
    g_clear_pointer(&output->temporary, g_free);
    return fsync(output->folder) == 0 || fail(error, output->path, errno);
}
