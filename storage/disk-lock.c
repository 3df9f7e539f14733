/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU's image locks: for each permission on an image one byte that says "somebody uses it" and one that says "somebody
 * does not want others to use it". They are held as shared locks, which every process may take, and looked for by
 * asking whether an exclusive lock would be possible. (QEMU: block/file-posix.c; the offsets are part of its contract,
 * so that different versions agree.)
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "storage/disk-private.h"

enum {
    USED_BASE = 100,
    UNSHARED_BASE = 200,
    PERMISSION_READ = 0, /* reads that are consistent */
    PERMISSION_WRITE = 1,
    PERMISSION_RESIZE = 3,
};

static gboolean is_locked(int fd, off_t offset)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

gboolean storage_disk_lock(int fd, const char *path, GError **error)
{
    static const off_t wanted[] = {USED_BASE + PERMISSION_READ, UNSHARED_BASE + PERMISSION_WRITE,
                                   UNSHARED_BASE + PERMISSION_RESIZE};
    for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++) {
        struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = wanted[i], .l_len = 1};
        if (fcntl(fd, F_OFD_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES)) {
            return storage_disk_fail(error, path, "another program has locked it; try again when that is done");
        }
    }
    /* Only now: who comes later sees our bytes, who came earlier is seen here. */
    if (is_locked(fd, USED_BASE + PERMISSION_WRITE) || is_locked(fd, USED_BASE + PERMISSION_RESIZE) ||
        is_locked(fd, UNSHARED_BASE + PERMISSION_READ)) {
        return storage_disk_fail(error, path, "in use by a writer, such as a running domain; shut that down first");
    }
    return TRUE;
}
