/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/alman-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/error.h"
#include "policy/exchange/json-text.h"
#include "storage/output.h"
#include "virsh-wrappers/folder-lock.h"

static gboolean fail(GError **error, const char *path, const char *what)
{
    g_autofree gchar *shown = measure_printable(path);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s': %s", shown, what);
    return FALSE;
}

/* @text stays %NULL when there is no file. */
static gboolean read_old(const char *path, gchar **text, gsize *size, struct stat *st, GError **error)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ||
               fail(error, path, errno == ELOOP ? "this is a link: name the file itself" : g_strerror(errno));
    }
    gboolean ok = FALSE;
    if (fstat(fd, st) < 0) {
        fail(error, path, g_strerror(errno));
    } else if (!S_ISREG(st->st_mode) || st->st_size > EXCHANGE_JSON_MAX_SIZE) {
        fail(error, path, "this is no regular file, or too large for expected-measurements.json");
    } else {
        gsize done = 0;
        ssize_t n = 1;
        *text = g_malloc((gsize)st->st_size + 1);
        while (done < (gsize)st->st_size && (n = read(fd, *text + done, (gsize)st->st_size - done)) > 0) {
            done += (gsize)n;
        }
        (*text)[done] = '\0';
        *size = done;
        ok = n > 0 || fail(error, path, n < 0 ? g_strerror(errno) : "it changed while it was read");
    }
    close(fd);
    return ok;
}

static gboolean replace(const char *path, const char *text, const struct stat *old, GError **error)
{
    mode_t mode = old->st_mode ? old->st_mode & 0777 : 0644;
    /* A rename asks the folder only, and root may write everything: here the file's own mode counts. */
    if (old->st_mode && (!(old->st_mode & 0222) || faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0)) {
        return fail(error, path, "it is write-protected: give it write permission (chmod u+w) first");
    }
    g_autoptr(StorageOutput) output = storage_output_new(path, TRUE, mode, error);
    if (!output) {
        return FALSE;
    }
    int fd = storage_output_fd(output);
    if (old->st_mode && (old->st_uid != geteuid() || old->st_gid != getegid()) &&
        (fchown(fd, old->st_uid, old->st_gid) < 0 || fchmod(fd, mode) < 0)) {
        return fail(error, path, "its owner cannot be kept: run this as root, or as its owner");
    }
    return storage_output_write(output, text, strlen(text), error) && storage_output_commit(output, error);
}

gboolean cmd_alman_update(const char *path, const ExchangeAlmanGuest *guest, GError **error)
{
    g_auto(CmdLock) lock = -1;
    g_autofree gchar *old = NULL;
    gsize size = 0;
    struct stat st = {0};
    if (!cmd_lock_folder(path, &lock, error) || !read_old(path, &old, &size, &st, error)) {
        return FALSE;
    }
    g_autofree gchar *text = exchange_alman_expected_merge(old, (gssize)size, guest, error);
    if (!text) {
        g_autofree gchar *shown = measure_printable(path);
        g_prefix_error(error, "'%s' stays as it is: ", shown);
        return FALSE;
    }
    return replace(path, text, &st, error);
}
