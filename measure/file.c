/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "measure/error.h"
#include "measure/hash.h"

enum {
    BUFFER_SIZE = 256 * 1024, /* fits a core's own cache: the digest reads what read() has just written */
};

/* Not in linux/magic.h: OpenZFS and bcachefs came from outside. */
#define TYPE_ZFS 0x2fc12fc1
#define TYPE_BCACHEFS 0xca451a4e

#define SETTLED_AFTER_NS (2 * G_GINT64_CONSTANT(1000000000))

static gint64 timespec_ns(struct timespec time)
{
    return (gint64)time.tv_sec * G_GINT64_CONSTANT(1000000000) + time.tv_nsec;
}

static void set_errno_error(GError **error, const char *role, const char *path, int saved_errno)
{
    const char *advice = "";
    g_autofree gchar *shown = measure_printable(path);

    if (saved_errno == EACCES || saved_errno == EPERM)
        advice = ": run as a user that may read it";
    else if (saved_errno == ENOENT)
        advice = ": check the path";
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s '%s': %s%s", role, shown, g_strerror(saved_errno),
                advice);
}

static void set_changed_error(GError **error, const MeasureFile *file)
{
    g_autofree gchar *shown = measure_printable(file->input->path);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                "%s '%s' changed while it was being read: wait until nothing writes to it, then try again", file->role,
                shown);
}

gboolean measure_file_system_keeps_ctime(guint32 type)
{
    switch (type) {
    case EXT4_SUPER_MAGIC: /* of ext2 and ext3 too */
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case TYPE_ZFS:
    case TYPE_BCACHEFS:
        return TRUE;
    default:
        return FALSE;
    }
}

static gboolean check_kind(MeasureFile *file, const struct stat *status, guint64 max_size, GError **error)
{
    g_autofree gchar *shown = measure_printable(file->input->path);

    if (S_ISCHR(status->st_mode) && status->st_rdev == makedev(1, 3)) {
        file->null_device = TRUE;
        return TRUE;
    }
    if (!S_ISREG(status->st_mode)) {
        const char *kind = S_ISDIR(status->st_mode)    ? "a directory"
                           : S_ISFIFO(status->st_mode) ? "a FIFO"
                           : S_ISBLK(status->st_mode)  ? "a block device"
                           : S_ISCHR(status->st_mode)  ? "a character device"
                                                       : "a special file";
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s '%s' is %s: give a regular file", file->role,
                    shown, kind);
        return FALSE;
    }
    if ((guint64)status->st_size > max_size) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "%s '%s' has %" G_GUINT64_FORMAT " bytes, at most %" G_GUINT64_FORMAT " can be launched",
                    file->role, shown, (guint64)status->st_size, max_size);
        return FALSE;
    }
    return TRUE;
}

MeasureFile *measure_file_open(const char *role, const char *path, guint64 max_size, GError **error)
{
    g_autoptr(MeasureFile) file = g_new0(MeasureFile, 1);
    struct stat status;
    struct statfs file_system;

    file->role = role;
    file->needs_hash = TRUE;
    file->opened_at = g_get_real_time() * 1000;
    file->input = g_new0(MeasureInput, 1);
    file->input->path = g_strdup(path);
    /* O_NONBLOCK so that a FIFO opens at once, to be refused by name. */
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file->fd < 0 || fstat(file->fd, &status) != 0) {
        set_errno_error(error, role, path, errno);
        return NULL;
    }
    if (!check_kind(file, &status, max_size, error))
        return NULL;
    file->input->device = status.st_dev;
    file->input->inode = status.st_ino;
    if (!file->null_device) {
        /* The null device stands for an empty file: its times mean nothing. */
        file->input->size = (guint64)status.st_size;
        file->input->mtime_ns = timespec_ns(status.st_mtim);
        file->input->ctime_ns = timespec_ns(status.st_ctim);
        file->keeps_ctime =
            fstatfs(file->fd, &file_system) == 0 && measure_file_system_keeps_ctime((guint32)file_system.f_type);
    }
    return g_steal_pointer(&file);
}

void measure_file_free(MeasureFile *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    measure_input_free(file->input);
    g_clear_error(&file->error);
    g_free(file);
}

void measure_file_read_ahead(const MeasureFile *file)
{
    (void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    (void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_WILLNEED);
}

/* read() that survives signals; the number of bytes, 0 at the end of the file, -1 on an error. */
static gssize read_some(const MeasureFile *file, guint8 *out, gsize size, guint64 offset)
{
    gssize got;

    do {
        got = pread(file->fd, out, size, (off_t)offset);
    } while (got < 0 && errno == EINTR);
    return got;
}

gboolean measure_file_hash(MeasureFile *file, GError **error)
{
    g_autoptr(EVP_MD_CTX) state = measure_hash_new(MEASURE_HASH_SHA256);
    guint64 total = 0;

    if (file->null_device || file->input->size == 0) {
        measure_hash_finish(state, file->input->sha256);
        return TRUE;
    }
    gsize buffer_size = (gsize)MIN(file->input->size, (guint64)BUFFER_SIZE);
    g_autofree guint8 *buffer = g_malloc(buffer_size);

    while (total < file->input->size) {
        gssize got = read_some(file, buffer, (gsize)MIN(file->input->size - total, (guint64)buffer_size), total);

        if (got < 0) {
            set_errno_error(error, file->role, file->input->path, errno);
            return FALSE;
        }
        if (got == 0) {
            set_changed_error(error, file);
            return FALSE;
        }
        measure_hash_update(state, buffer, (gsize)got);
        total += (guint64)got;
    }
    measure_hash_finish(state, file->input->sha256);
    return TRUE;
}

gboolean measure_file_read(const MeasureFile *file, guint64 offset, guint8 *out, gsize size, GError **error)
{
    for (gsize done = 0; done < size;) {
        gssize got = read_some(file, out + done, size - done, offset + done);

        if (got < 0) {
            set_errno_error(error, file->role, file->input->path, errno);
            return FALSE;
        }
        if (got == 0) {
            set_changed_error(error, file);
            return FALSE;
        }
        done += (gsize)got;
    }
    return TRUE;
}

gboolean measure_file_unchanged(const MeasureFile *file, GError **error)
{
    const MeasureInput *input = file->input;
    struct stat status;

    if (file->null_device)
        return TRUE;
    if (fstat(file->fd, &status) != 0) {
        set_errno_error(error, file->role, input->path, errno);
        return FALSE;
    }
    if ((guint64)status.st_size == input->size && timespec_ns(status.st_mtim) == input->mtime_ns &&
        timespec_ns(status.st_ctim) == input->ctime_ns)
        return TRUE;
    set_changed_error(error, file);
    return FALSE;
}

gboolean measure_file_is_identified(const MeasureFile *file)
{
    return !file->null_device && file->keeps_ctime;
}

gboolean measure_file_is_settled(const MeasureFile *file)
{
    gint64 newest = MAX(file->input->mtime_ns, file->input->ctime_ns);

    return measure_file_is_identified(file) && newest <= file->opened_at - SETTLED_AFTER_NS;
}
