/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/error.h"
#include "storage/disk-private.h"
#include "storage/gpt.h"
#include "storage/qcow2.h"

struct StorageDisk {
    gchar *path;
    guint64 size;
    int fd;           /* raw, else -1 */
    StorageNbd *nbd;  /* qcow2, else NULL */
    GPtrArray *files; /* (element-type utf8): that it consists of */
};

gboolean storage_disk_fail(GError **error, const char *path, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree gchar *what = g_strdup_vprintf(format, arguments);
    g_autofree gchar *shown = measure_printable(path);
    va_end(arguments);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s': %s", shown, what);
    return FALSE;
}

gboolean storage_disk_fail_errno(GError **error, const char *path, int number)
{
    const char *advice = "";
    if (number == EACCES || number == EPERM) {
        advice = ": run as a user that may access it";
    } else if (number == ENOENT) {
        advice = ": check the path";
    } else if (number == ENOSPC || number == EDQUOT) {
        advice = ": free some space";
    }
    return storage_disk_fail(error, path, "%s%s", g_strerror(number), advice);
}

int storage_disk_open_file(const char *path, GError **error)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        storage_disk_fail_errno(error, path, errno);
        return -1;
    }
    if (fstat(fd, &status) != 0) {
        storage_disk_fail_errno(error, path, errno);
    } else if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
        storage_disk_fail(error, path, "neither a regular file nor a block device");
    } else {
        return fd;
    }
    close(fd);
    return -1;
}

static gboolean open_raw(StorageDisk *disk, gboolean by_name, GError **error)
{
    guint8 magic[4];
    disk->fd = storage_disk_open_file(disk->path, error);
    if (disk->fd < 0 || !storage_disk_lock(disk->fd, disk->path, error)) {
        return FALSE;
    }
    off_t size = lseek(disk->fd, 0, SEEK_END);
    if (size < 0) {
        return storage_disk_fail_errno(error, disk->path, errno);
    }
    disk->size = (guint64)size;
    posix_fadvise(disk->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    disk->files = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(disk->files, g_strdup(disk->path));
    if (by_name && pread(disk->fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
        storage_qcow2_has_magic((MeasureBytes){magic, sizeof magic})) {
        return storage_disk_fail(error, disk->path,
                                 "begins like a qcow2 image without being named so; say what it is with --format");
    }
    return TRUE;
}

static gboolean open_qcow2(StorageDisk *disk, GError **error)
{
    disk->files = storage_qcow2_chain(disk->path, error);
    disk->nbd = disk->files ? storage_nbd_open(disk->path, disk->files->len > 1, error) : NULL;
    if (!disk->nbd) {
        return FALSE;
    }
    disk->size = storage_nbd_size(disk->nbd);
    return TRUE;
}

StorageDisk *storage_disk_open(const char *path, StorageFormat format, GError **error)
{
    g_autoptr(StorageDisk) disk = g_new0(StorageDisk, 1);
    gboolean qcow2 = format == STORAGE_FORMAT_QCOW2 ||
                     (format == STORAGE_FORMAT_BY_NAME && g_str_has_suffix(path, ".qcow2"));
    disk->fd = -1;
    disk->path = g_strdup(path);
    gboolean good = qcow2 ? open_qcow2(disk, error) : open_raw(disk, format == STORAGE_FORMAT_BY_NAME, error);
    return good ? g_steal_pointer(&disk) : NULL;
}

void storage_disk_free(StorageDisk *disk)
{
    if (!disk) {
        return;
    }
    storage_nbd_free(disk->nbd);
    if (disk->fd >= 0) {
        close(disk->fd);
    }
    g_clear_pointer(&disk->files, g_ptr_array_unref);
    g_free(disk->path);
    g_free(disk);
}

guint64 storage_disk_size(const StorageDisk *disk)
{
    return disk->size;
}

const char *storage_disk_path(const StorageDisk *disk)
{
    return disk->path;
}

gboolean storage_disk_uses(const StorageDisk *disk, const char *path)
{
    struct stat wanted, each;
    if (stat(path, &wanted) != 0) {
        return FALSE;
    }
    for (guint i = 0; i < disk->files->len; i++) {
        if (stat(g_ptr_array_index(disk->files, i), &each) != 0) {
            continue;
        }
        /* A block device may have several nodes. */
        gboolean same_device = S_ISBLK(each.st_mode) && S_ISBLK(wanted.st_mode) && each.st_rdev == wanted.st_rdev;
        if (same_device || (each.st_dev == wanted.st_dev && each.st_ino == wanted.st_ino)) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean check_range(StorageDisk *disk, guint64 offset, guint64 length, GError **error)
{
    if (offset > disk->size || length > disk->size - offset) {
        return storage_disk_fail(error, disk->path,
                                 "%" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
                                 " are not all on this disk of %" G_GUINT64_FORMAT " bytes",
                                 length, offset, disk->size);
    }
    return TRUE;
}

gboolean storage_disk_read(StorageDisk *disk, guint64 offset, void *out, gsize size, GError **error)
{
    guint8 *at = out;
    if (!check_range(disk, offset, size, error)) {
        return FALSE;
    }
    if (disk->nbd) {
        return storage_nbd_read(disk->nbd, offset, out, size, error);
    }
    while (size > 0) {
        ssize_t n = pread(disk->fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return storage_disk_fail_errno(error, disk->path, errno);
        }
        if (n == 0) {
            return storage_disk_fail(error, disk->path, "became shorter while it was being read");
        }
        at += n;
        offset += (guint64)n;
        size -= (gsize)n;
    }
    return TRUE;
}

void storage_extents_add(GArray *extents, guint64 offset, guint64 length, gboolean zero, gboolean own)
{
    StorageExtent *last = extents->len > 0 ? &g_array_index(extents, StorageExtent, extents->len - 1) : NULL;
    if (last && last->offset + last->length == offset && last->zero == zero && last->own == own) {
        last->length += length;
    } else if (length > 0) {
        StorageExtent extent = {offset, length, zero, own};
        g_array_append_val(extents, extent);
    }
}

/* Where the next byte of that kind (SEEK_DATA, SEEK_HOLE) is, at most @end. Block devices have no holes to ask for. */
static guint64 seek_next(int fd, guint64 from, guint64 end, int whence)
{
    off_t found = lseek(fd, (off_t)from, whence);
    if (found < 0) {
        return whence == SEEK_HOLE || errno == ENXIO ? end : from;
    }
    return CLAMP((guint64)found, from, end);
}

static void raw_extents(StorageDisk *disk, guint64 offset, guint64 length, GArray *extents)
{
    guint64 end = offset + length;
    while (offset < end) {
        guint64 data = seek_next(disk->fd, offset, end, SEEK_DATA);
        guint64 hole = data < end ? seek_next(disk->fd, data, end, SEEK_HOLE) : end;
        storage_extents_add(extents, offset, data - offset, TRUE, TRUE);
        /* A hole where there was data a moment ago: somebody changes the file. Reading it is always right. */
        if (hole == data) {
            hole = end;
        }
        storage_extents_add(extents, data, hole - data, FALSE, TRUE);
        offset = hole;
    }
}

GArray *storage_disk_extents(StorageDisk *disk, guint64 offset, guint64 length, GError **error)
{
    g_autoptr(GArray) extents = g_array_new(FALSE, FALSE, sizeof(StorageExtent));
    if (!check_range(disk, offset, length, error)) {
        return NULL;
    }
    if (!disk->nbd) {
        raw_extents(disk, offset, length, extents);
    } else if (!storage_nbd_extents(disk->nbd, offset, length, extents, error)) {
        return NULL;
    }
    return g_steal_pointer(&extents);
}

static gboolean read_for_gpt(gpointer user_data, guint64 offset, void *out, gsize size, GError **error)
{
    return storage_disk_read(user_data, offset, out, size, error);
}

gboolean storage_disk_partition(StorageDisk *disk, guint number, guint64 *offset, guint64 *length, GError **error)
{
    if (number == 0) {
        *offset = 0;
        *length = disk->size;
        return TRUE;
    }
    if (!storage_gpt_find(read_for_gpt, disk, disk->size, number, offset, length, error)) {
        g_autofree gchar *shown = measure_printable(disk->path);
        g_prefix_error(error, "'%s': ", shown);
        return FALSE;
    }
    return TRUE;
}
