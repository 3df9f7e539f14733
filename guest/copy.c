/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copying a folder of the root onto a tmpfs: owners, modes, times, extended attributes, links of both kinds, devices.
 * At level 4 the source is verified; below it is the host's, hence the limits.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "guest/init.h"

#define DEPTH_MAX 64
#define PATH_BYTES 4096
#define XATTR_LIST_BYTES (64 * 1024)
#define XATTR_VALUE_BYTES (64 * 1024)
#define LINKS_MAX 1000000

/* A file that has more names than one: where its first name went. */
typedef struct {
    dev_t device;
    ino_t inode;
    char *path; /* below the target folder */
} Link;

typedef struct {
    const char *name; /* of the folder, for messages */
    int to;           /* target folder */
    char path[PATH_BYTES];
    Link *links;
    size_t n_links;
} Copy;

static void fail(const Copy *copy, const char *what) __attribute__((noreturn));

static void fail(const Copy *copy, const char *what)
{
    if (errno == ENOSPC)
        guest_stop("upper: the tmpfs for /%s is too small for what the root has in it", copy->name);
    guest_stop("upper: /%s/%s: cannot %s: %s", copy->name, copy->path, what, strerror(errno));
}

/* Attributes "user." came to tmpfs with Linux 6.6 only. The others (capabilities, labels, ACLs) must not get lost. */
static void copy_xattrs(const Copy *copy, int from, int to)
{
    static char names[XATTR_LIST_BYTES], value[XATTR_VALUE_BYTES];
    char source[32], target[32];
    ssize_t size, n;

    /* By way of /proc: links and devices are open with O_PATH, which the calls on descriptors refuse. */
    snprintf(source, sizeof(source), "/proc/self/fd/%d", from);
    snprintf(target, sizeof(target), "/proc/self/fd/%d", to);
    size = listxattr(source, names, sizeof(names));
    if (size < 0 && errno == EOPNOTSUPP)
        return;
    if (size < 0)
        fail(copy, "list its attributes");
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        n = getxattr(source, name, value, sizeof(value));
        if (n < 0)
            fail(copy, "read its attributes");
        if (setxattr(target, name, value, (size_t)n, 0) < 0 && !(errno == EOPNOTSUPP && !strncmp(name, "user.", 5)))
            fail(copy, "set its attributes");
    }
}

/* The mode after the owner, which takes set-user-ID away; the times last. @fd: O_PATH. */
static void copy_metadata(const Copy *copy, const struct stat *st, int from, int fd)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (fchownat(fd, "", st->st_uid, st->st_gid, AT_EMPTY_PATH) < 0)
        fail(copy, "set its owner");
    if (!S_ISLNK(st->st_mode)) {
        if (chmod(path, st->st_mode & 07777) < 0)
            fail(copy, "set its mode");
        copy_xattrs(copy, from, fd);
        if (utimensat(AT_FDCWD, path, times, 0) < 0)
            fail(copy, "set its times");
    }
}

/* True when @st is another name of a file that is there already, which is linked then. */
static bool link_known(Copy *copy, const struct stat *st, int to, const char *name)
{
    Link *links;

    if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
        return false;
    for (size_t i = 0; i < copy->n_links; i++) {
        if (copy->links[i].device != st->st_dev || copy->links[i].inode != st->st_ino)
            continue;
        if (linkat(copy->to, copy->links[i].path, to, name, 0) < 0)
            fail(copy, "link it");
        return true;
    }
    links = copy->n_links < LINKS_MAX ? realloc(copy->links, (copy->n_links + 1) * sizeof(*links)) : NULL;
    if (!links)
        guest_stop("upper: /%s has too many linked files", copy->name);
    copy->links = links;
    links[copy->n_links] = (Link){st->st_dev, st->st_ino, strdup(copy->path)};
    if (!links[copy->n_links].path)
        guest_stop("upper: no memory for the linked files of /%s", copy->name);
    copy->n_links++;
    return false;
}

static void copy_regular(const Copy *copy, int from_dir, int to_dir, const char *name)
{
    int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    ssize_t n;

    if (from < 0)
        fail(copy, "open it");
    if (to < 0)
        fail(copy, "make it");
    while ((n = sendfile(to, from, NULL, 1 << 20)) > 0) {
    }
    if (n < 0)
        fail(copy, "copy it");
    close(from);
    if (close(to) < 0)
        fail(copy, "write it");
}

static void copy_symlink(const Copy *copy, int from_dir, int to_dir, const char *name)
{
    char target[PATH_BYTES];
    ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

    if (n < 0)
        fail(copy, "read it");
    target[n] = '\0';
    if (symlinkat(target, to_dir, name) < 0)
        fail(copy, "make it");
}

static void copy_folder(Copy *copy, int from, int to, unsigned depth);

static void copy_entry(Copy *copy, int from_dir, int to_dir, const char *name, unsigned depth)
{
    size_t length = strlen(copy->path);
    struct stat st;
    int from = openat(from_dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), to;

    if (snprintf(copy->path + length, sizeof(copy->path) - length, "%s%s", length ? "/" : "", name) >=
        (int)(sizeof(copy->path) - length)) {
        errno = ENAMETOOLONG;
        fail(copy, "copy it");
    }
    if (from < 0 || fstat(from, &st) < 0)
        fail(copy, "look at it");
    if (!link_known(copy, &st, to_dir, name)) {
        if (S_ISDIR(st.st_mode)) {
            int from_child = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), to_child;

            if (from_child < 0)
                fail(copy, "open it");
            if (mkdirat(to_dir, name, 0700) < 0)
                fail(copy, "make it");
            to_child = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (to_child < 0)
                fail(copy, "open it");
            copy_folder(copy, from_child, to_child, depth + 1);
            close(to_child);
        } else if (S_ISREG(st.st_mode)) {
            copy_regular(copy, from_dir, to_dir, name);
        } else if (S_ISLNK(st.st_mode)) {
            copy_symlink(copy, from_dir, to_dir, name);
        } else if (mknodat(to_dir, name, st.st_mode & (S_IFMT | 0600), st.st_rdev) < 0) {
            fail(copy, "make it");
        }
        to = openat(to_dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (to < 0)
            fail(copy, "look at it");
        copy_metadata(copy, &st, from, to);
        close(to);
    }
    close(from);
    copy->path[length] = '\0';
}

/* Closes @from. */
static void copy_folder(Copy *copy, int from, int to, unsigned depth)
{
    DIR *dir = fdopendir(from);
    const struct dirent *entry;

    if (!dir || depth > DEPTH_MAX) {
        errno = dir ? ELOOP : errno;
        fail(copy, "open it");
    }
    while ((errno = 0, entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            copy_entry(copy, from, to, entry->d_name, depth);
    }
    if (errno)
        fail(copy, "read it");
    closedir(dir);
}

void guest_copy_dir(int from, int to, const char *name)
{
    static Copy copy;
    struct stat st;
    int self, again = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    copy = (Copy){.name = name, .to = to};
    self = openat(to, ".", O_PATH | O_CLOEXEC);
    if (again < 0 || self < 0 || fstat(from, &st) < 0)
        fail(&copy, "open it");
    copy_folder(&copy, again, to, 0);
    copy_metadata(&copy, &st, from, self);
    close(self);
    for (size_t i = 0; i < copy.n_links; i++)
        free(copy.links[i].path);
    free(copy.links);
}
