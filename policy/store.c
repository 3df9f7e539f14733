/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/error.h"
#include "policy/store-private.h"

/* A temporary file that is older than this was left by a writer that died. */
#define STALE_SECONDS (10 * 60)
#define TEMPORARY_PREFIX ".tmp-"

static const char *const kinds[] = {"references", "records", "volumes", "cache", "certificates", "nonces", "verdicts",
                                    NULL};
/* State folders that older releases have made do not have them; nor is anything lost with certificates, and a nonce that is
 * not there is refused. */
static const char *const late_kinds[] = {"volumes", "certificates", "nonces", "verdicts", NULL};

struct PolicyStore {
    gchar *directory;
    int fd; /* -1 while the folder does not exist */
    MeasureCache cache;
};

static gboolean fail(GError **error, AttestError code, const PolicyStore *store, const char *kind, const char *name,
                     const char *what)
{
    g_autofree gchar *path = g_build_filename(store->directory, kind ? kind : "", name ? name : "", NULL);

    g_set_error(error, ATTEST_ERROR, code, "'%s': %s", path, what);
    return FALSE;
}

static gboolean fail_system(GError **error, AttestError code, const PolicyStore *store, const char *kind,
                            const char *name, int number)
{
    const char *advice = "";
    g_autofree gchar *what = NULL;

    if (number == EACCES || number == EPERM)
        advice = "; run this as root, or as the owner of the state folder";
    else if (number == ENOSPC || number == EDQUOT)
        advice = "; free some space";
    what = g_strconcat(g_strerror(number), advice, NULL);
    return fail(error, code, store, kind, name, what);
}

static gboolean fail_errno(GError **error, const PolicyStore *store, const char *kind, const char *name)
{
    return fail_system(error, ATTEST_ERROR_UNREADABLE, store, kind, name, errno);
}

void policy_close(PolicyFd *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Whoever may write into a folder of ours could put a pin there. */
static gboolean check_folder(const PolicyStore *store, const char *kind, int fd, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return fail_errno(error, store, kind, NULL);
    if (!S_ISDIR(st.st_mode))
        return fail(error, ATTEST_ERROR_NOT_CONFIGURED, store, kind, NULL, "the state folder is not a folder");
    if (st.st_uid != geteuid())
        return fail(error, ATTEST_ERROR_NOT_CONFIGURED, store, kind, NULL,
                    "the state folder belongs to another user: chown it to the user who runs virt-attest");
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return fail(error, ATTEST_ERROR_NOT_CONFIGURED, store, kind, NULL,
                    "others can write to the state folder: chmod it to 0700");
    return TRUE;
}

/* Takes away what make_root() has made; what does not go stays, empty and private. */
static void unmake(const char *path)
{
    for (guint i = 0; kinds[i]; i++) {
        g_autofree gchar *child = g_build_filename(path, kinds[i], NULL);

        rmdir(child);
    }
    rmdir(path);
}

/*
 * Makes the state folder with all its subfolders. It appears whole: a folder
 * without "references" is one that has lost its pins, and nobody may take one
 * that is being made for that.
 */
static gboolean make_root(const PolicyStore *store, GError **error)
{
    g_autofree gchar *parent = g_path_get_dirname(store->directory);
    g_autofree gchar *temporary = g_strdup_printf("%s.%d-%08x", store->directory, (int)getpid(), g_random_int());
    g_auto(PolicyFd) fd = -1;

    if (g_mkdir_with_parents(parent, 0700) < 0 || mkdir(temporary, 0700) < 0)
        return fail_system(error, ATTEST_ERROR_NOT_CONFIGURED, store, NULL, NULL, errno);
    for (guint i = 0; kinds[i]; i++) {
        g_autofree gchar *child = g_build_filename(temporary, kinds[i], NULL);

        if (mkdir(child, 0700) < 0) {
            fail_system(error, ATTEST_ERROR_NOT_CONFIGURED, store, kinds[i], NULL, errno);
            unmake(temporary);
            return FALSE;
        }
    }
    if (rename(temporary, store->directory) < 0) {
        int saved = errno;

        unmake(temporary);
        /* Somebody else was faster: that one is not empty. */
        return saved == EEXIST || saved == ENOTEMPTY ||
               fail_system(error, ATTEST_ERROR_NOT_CONFIGURED, store, NULL, NULL, saved);
    }
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        fsync(fd);
    return TRUE;
}

/* Opens the state folder; one that is missing is made with @create and otherwise leaves @store->fd at -1. */
static gboolean open_root(PolicyStore *store, gboolean create, GError **error)
{
    if (store->fd >= 0)
        return TRUE;
    store->fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->fd < 0 && errno == ENOENT && create) {
        if (!make_root(store, error))
            return FALSE;
        store->fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (store->fd < 0)
        return (errno == ENOENT && !create) ||
               fail_system(error, ATTEST_ERROR_NOT_CONFIGURED, store, NULL, NULL, errno);
    if (!check_folder(store, NULL, store->fd, error)) {
        policy_close(&store->fd);
        return FALSE;
    }
    return TRUE;
}

/*
 * The folder of a kind, or -1: without @error when there is none and none is to be made. Whoever makes the
 * state folder makes all of it, so a kind that is missing there was taken away, with everything in it.
 */
static int open_kind(PolicyStore *store, const char *kind, gboolean create, GError **error)
{
    g_auto(PolicyFd) fd = -1;

    g_return_val_if_fail(g_strv_contains(kinds, kind), -1);
    if (!open_root(store, create, error) || store->fd < 0)
        return -1;
    fd = openat(store->fd, kind, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && create) {
        if (mkdirat(store->fd, kind, 0700) == 0)
            fsync(store->fd);
        fd = openat(store->fd, kind, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0) {
        if (errno == ENOENT && g_strv_contains(late_kinds, kind))
            return -1;
        if (errno == ENOENT)
            fail(error, ATTEST_ERROR_NOT_CONFIGURED, store, kind, NULL,
                 "this folder is missing from the state folder, and with it whatever was in it: restore it, or make it "
                 "anew with mode 0700 if nothing was");
        else
            fail_system(error, ATTEST_ERROR_NOT_CONFIGURED, store, kind, NULL, errno);
        return -1;
    }
    return check_folder(store, kind, fd, error) ? policy_fd_steal(&fd) : -1;
}

int policy_store_folder(PolicyStore *store, const char *name, GError **error)
{
    gboolean boot = !strcmp(name, POLICY_STORE_BOOT);
    g_auto(PolicyFd) fd = -1;
    struct stat st;

    g_return_val_if_fail(boot || !strcmp(name, POLICY_STORE_VERITY), -1);
    if (!open_root(store, TRUE, error))
        return -1;
    fd = openat(store->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        if (mkdirat(store->fd, name, 0700) == 0)
            fsync(store->fd);
        fd = openat(store->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0) {
        fail_system(error, ATTEST_ERROR_NOT_CONFIGURED, store, name, NULL, errno);
        return -1;
    }
    if (!check_folder(store, name, fd, error))
        return -1;
    /* The modes are set, not left to the umask; the state folder last. */
    if (boot && (fchmod(fd, 0711) < 0 || fstat(store->fd, &st) < 0 ||
                 ((st.st_mode & 0111) != 0111 && fchmod(store->fd, 0711) < 0))) {
        fail_system(error, ATTEST_ERROR_NOT_CONFIGURED, store, name, NULL, errno);
        return -1;
    }
    return policy_fd_steal(&fd);
}

static gboolean check_name(const PolicyStore *store, const char *kind, const char *name, GError **error)
{
    gsize length = strlen(name);

    if (!length || length > 160 || *name == '.' ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != length)
        return fail(error, ATTEST_ERROR_UNREADABLE, store, kind, NULL,
                    "a name that cannot be a file of the state folder");
    return TRUE;
}

PolicyStore *policy_store_open(const char *directory, gboolean create, GError **error)
{
    g_autoptr(PolicyStore) store = g_new0(PolicyStore, 1);

    store->fd = -1;
    store->directory = g_strdup(directory);
    for (gsize n = strlen(directory); n > 1 && directory[n - 1] == '/'; n--)
        store->directory[n - 1] = '\0';
    store->cache.lookup = policy_cache_lookup;
    store->cache.store = policy_cache_store;
    store->cache.user_data = store;
    if (!open_root(store, create, error))
        return NULL;
    for (guint i = 0; create && kinds[i]; i++) {
        g_auto(PolicyFd) fd = open_kind(store, kinds[i], TRUE, error);

        if (fd < 0)
            return NULL;
        policy_store_sweep(store, kinds[i]);
    }
    return g_steal_pointer(&store);
}

void policy_store_free(PolicyStore *store)
{
    if (!store)
        return;
    policy_close(&store->fd);
    g_free(store->directory);
    g_free(store);
}

const char *policy_store_directory(const PolicyStore *store)
{
    return store->directory;
}

const MeasureCache *policy_store_cache(PolicyStore *store)
{
    return &store->cache;
}

gboolean policy_store_read(PolicyStore *store, const char *kind, const char *name, gsize max_size, gchar **text,
                           gsize *size, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_auto(PolicyFd) folder = -1;
    g_auto(PolicyFd) fd = -1;
    g_autofree gchar *data = NULL;
    struct stat st;
    gsize done = 0;

    *text = NULL;
    if (size)
        *size = 0;
    if (!check_name(store, kind, name, error))
        return FALSE;
    folder = open_kind(store, kind, FALSE, &cause);
    if (folder < 0) {
        if (!cause)
            return TRUE;
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT)
            return TRUE;
        if (errno == ELOOP)
            return fail(error, ATTEST_ERROR_UNREADABLE, store, kind, name, "it is a symbolic link; remove it");
        return fail_errno(error, store, kind, name);
    }
    if (fstat(fd, &st) < 0)
        return fail_errno(error, store, kind, name);
    if (!S_ISREG(st.st_mode))
        return fail(error, ATTEST_ERROR_UNREADABLE, store, kind, name, "it is not a regular file; remove it");
    /* Cache entries are ours alone; a pin or record that came out of a backup may be readable. */
    if (st.st_uid != geteuid() || (st.st_mode & (strcmp(kind, "cache") ? S_IWGRP | S_IWOTH : S_IRWXG | S_IRWXO)))
        return fail(error, ATTEST_ERROR_UNREADABLE, store, kind, name,
                    "it belongs to another user, or others can write to it: it is not to be trusted; remove it");
    if (st.st_size < 0 || (guint64)st.st_size > max_size)
        return fail(error, ATTEST_ERROR_UNREADABLE, store, kind, name, "it is larger than any file of its kind");
    /* Files here are replaced, never changed, so its size now is its size. */
    data = g_malloc((gsize)st.st_size + 1);
    while (done < (gsize)st.st_size) {
        ssize_t got = read(fd, data + done, (gsize)st.st_size - done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got < 0 ? errno : EIO;
            return fail_errno(error, store, kind, name);
        }
        done += (gsize)got;
    }
    data[done] = '\0';
    if (size)
        *size = done;
    *text = g_steal_pointer(&data);
    return TRUE;
}

static gboolean write_all(int fd, const char *data, gsize size)
{
    while (size) {
        ssize_t put = write(fd, data, size);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return FALSE;
        data += put;
        size -= (gsize)put;
    }
    return TRUE;
}

void policy_store_sweep(PolicyStore *store, const char *kind)
{
    int folder = open_kind(store, kind, FALSE, NULL);
    DIR *dir = folder < 0 ? NULL : fdopendir(folder);
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    struct dirent *entry;

    if (!dir) {
        policy_close(&folder);
        return;
    }
    while ((entry = readdir(dir))) {
        struct stat st;

        if (g_str_has_prefix(entry->d_name, TEMPORARY_PREFIX) &&
            !fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) && st.st_mtime + STALE_SECONDS < now)
            unlinkat(folder, entry->d_name, 0);
    }
    closedir(dir);
}

gboolean policy_store_write(PolicyStore *store, const char *kind, const char *name, const char *text, gsize size,
                            gboolean durable, GError **error)
{
    g_auto(PolicyFd) folder = -1;
    g_auto(PolicyFd) fd = -1;
    g_autofree gchar *temporary = NULL;

    if (!check_name(store, kind, name, error))
        return FALSE;
    folder = open_kind(store, kind, TRUE, error);
    if (folder < 0)
        return FALSE;
    temporary = g_strdup_printf(TEMPORARY_PREFIX "%d-%08x-%s", (int)getpid(), g_random_int(), name);
    fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(error, store, kind, name);
    if (!write_all(fd, text, size) || (durable && fdatasync(fd) < 0) || renameat(folder, temporary, folder, name) < 0) {
        fail_errno(error, store, kind, name);
        unlinkat(folder, temporary, 0);
        return FALSE;
    }
    if (durable && fsync(folder) < 0)
        return fail_errno(error, store, kind, name);
    return TRUE;
}

gboolean policy_store_remove(PolicyStore *store, const char *kind, const char *name, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_auto(PolicyFd) folder = -1;

    if (!check_name(store, kind, name, error))
        return FALSE;
    folder = open_kind(store, kind, FALSE, &cause);
    if (folder < 0) {
        if (!cause)
            return TRUE;
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
        return fail_errno(error, store, kind, name);
    return fsync(folder) == 0 || fail_errno(error, store, kind, name);
}

gboolean policy_store_keep_aside(PolicyStore *store, const char *kind, const char *name, const char *aside,
                                 GError **error)
{
    g_auto(PolicyFd) folder = -1;

    if (!check_name(store, kind, name, error) || !check_name(store, kind, aside, error))
        return FALSE;
    folder = open_kind(store, kind, TRUE, error);
    if (folder < 0)
        return FALSE;
    if (renameat2(folder, name, folder, aside, RENAME_NOREPLACE) < 0)
        return fail_errno(error, store, kind, aside);
    return fsync(folder) == 0 || fail_errno(error, store, kind, aside);
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *policy_store_list(PolicyStore *store, const char *kind, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) cause = NULL;
    int folder = open_kind(store, kind, FALSE, &cause);
    DIR *dir = NULL;
    struct dirent *entry;

    if (folder < 0) {
        if (!cause)
            return g_steal_pointer(&names);
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    dir = fdopendir(folder);
    if (!dir) {
        fail_errno(error, store, kind, NULL);
        close(folder);
        return NULL;
    }
    while ((entry = readdir(dir))) {
        /* Temporary and lock files begin with a dot. */
        if (check_name(store, kind, entry->d_name, NULL))
            g_ptr_array_add(names, g_strdup(entry->d_name));
    }
    closedir(dir);
    g_ptr_array_sort(names, by_name);
    return g_steal_pointer(&names);
}

/* One file for all locks of a kind, which stays: the data files are replaced at every write, and a lock with them. */
#define LOCK_FILE ".lock"

int policy_store_lock(PolicyStore *store, const char *kind, const char *name, guint timeout_ms, GError **error)
{
    g_auto(PolicyFd) folder = -1;
    g_auto(PolicyFd) fd = -1;
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    /* One byte for each name. Two names that share one only wait for each other. */
    struct flock byte = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)g_str_hash(name), .l_len = 1};
    struct stat st;

    if (!check_name(store, kind, name, error))
        return -1;
    folder = open_kind(store, kind, TRUE, error);
    if (folder < 0)
        return -1;
    fd = openat(folder, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &st) < 0) {
        fail_errno(error, store, kind, LOCK_FILE);
        return -1;
    }
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
        fail(error, ATTEST_ERROR_UNREADABLE, store, kind, LOCK_FILE, "it is not a regular file of this user; remove it");
        return -1;
    }
    /* Of the open file, not of the process: it goes with the descriptor, whatever else this process opens. */
    while (fcntl(fd, F_OFD_SETLK, &byte) < 0) {
        if (errno != EWOULDBLOCK && errno != EACCES && errno != EINTR) {
            fail_errno(error, store, kind, LOCK_FILE);
            return -1;
        }
        if (g_get_monotonic_time() >= deadline) {
            fail(error, ATTEST_ERROR_UNREADABLE, store, kind, name, "another process has held its lock for too long");
            return -1;
        }
        g_usleep(2000);
    }
    return policy_fd_steal(&fd);
}
