/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/workdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "virt-attest-work-"
#define LOCK_NAME ".lock"
#define DEPTH_MAX 256

struct StorageWorkdir {
    gchar *path;
    int lock;
};

/* Removes what is in the folder @fd, which it closes. */
static gboolean remove_contents(int fd, dev_t device, guint depth)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    gboolean good = TRUE;

    if (!dir) {
        close(fd);
        return FALSE;
    }
    while ((entry = readdir(dir))) {
        struct stat st;
        int child;

        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != device || depth > DEPTH_MAX) {
            good = FALSE;
            continue;
        }
        if (!S_ISDIR(st.st_mode)) {
            good &= unlinkat(fd, entry->d_name, 0) == 0;
            continue;
        }
        child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child < 0 || fstat(child, &st) < 0 || st.st_dev != device) {
            if (child >= 0)
                close(child);
            good = FALSE;
            continue;
        }
        good &= remove_contents(child, device, depth + 1) && unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0;
    }
    closedir(dir);
    return good;
}

static void remove_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return;
    if (fstat(fd, &st) < 0 || st.st_uid != geteuid()) {
        close(fd);
        return;
    }
    remove_contents(fd, st.st_dev, 0);
    rmdir(path);
}

static void sweep(const char *parent)
{
    g_autoptr(GDir) dir = g_dir_open(parent, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree gchar *path = g_build_filename(parent, name, NULL);
        g_autofree gchar *lock = g_build_filename(path, LOCK_NAME, NULL);
        struct stat st;
        int fd;

        if (!g_str_has_prefix(name, PREFIX) || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
            continue;
        fd = open(lock, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        /* One without a lock is a moment old, or was left by somebody who got no further. */
        if (fd < 0)
            rmdir(path);
        else if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            remove_folder(path);
        if (fd >= 0)
            close(fd);
    }
}

StorageWorkdir *storage_workdir_new(GError **error)
{
    const char *parent = g_getenv("TMPDIR");
    g_autoptr(StorageWorkdir) workdir = g_new0(StorageWorkdir, 1);
    g_autofree gchar *template = NULL;
    g_autofree gchar *lock = NULL;

    parent = parent && *parent == '/' ? parent : "/var/tmp";
    workdir->lock = -1;
    if (strspn(parent, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-") != strlen(parent)) {
        g_autofree gchar *printable = measure_printable(parent);

        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "the folder for temporary files has unusual characters in its name ('%s'): set TMPDIR to another one",
                    printable);
        return NULL;
    }
    sweep(parent);
    template = g_build_filename(parent, PREFIX "XXXXXX", NULL);
    if (!g_mkdtemp_full(template, 0700)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "cannot make a temporary folder in '%s': %s; set TMPDIR to another place", parent, g_strerror(errno));
        return NULL;
    }
    workdir->path = g_steal_pointer(&template);
    lock = g_build_filename(workdir->path, LOCK_NAME, NULL);
    workdir->lock = open(lock, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    /* Programs that become another user inside must be able to pass, and nobody to look. */
    if (workdir->lock < 0 || flock(workdir->lock, LOCK_EX | LOCK_NB) < 0 || chmod(workdir->path, 0711) < 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot use the temporary folder '%s': %s", workdir->path,
                    g_strerror(errno));
        return NULL;
    }
    return g_steal_pointer(&workdir);
}

const char *storage_workdir_path(const StorageWorkdir *workdir) { return workdir->path; }

gchar *storage_workdir_put(StorageWorkdir *workdir, const char *name, guint32 mode, const char *text, gsize size,
                           GError **error)
{
    g_autofree gchar *path = g_build_filename(workdir->path, name, NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    gboolean good = fd >= 0 && fchmod(fd, (mode_t)mode) == 0;

    for (gsize done = 0; good && done < size;) {
        ssize_t put = write(fd, text + done, size - done);

        good = put > 0 || (put < 0 && errno == EINTR);
        done += put > 0 ? (gsize)put : 0;
    }
    if (!good)
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot write '%s': %s", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return good ? g_steal_pointer(&path) : NULL;
}

void storage_workdir_free(StorageWorkdir *workdir)
{
    if (!workdir)
        return;
    if (workdir->path)
        remove_folder(workdir->path);
    if (workdir->lock >= 0)
        close(workdir->lock);
    g_free(workdir->path);
    g_free(workdir);
}
