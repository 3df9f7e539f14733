/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tar stream on its way through the cleaning into a small file system. What was accepted is checked by e2fsck, since a
 * file system that only our own code can read would be worse than an error.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "storage/root-tree.h"

#define LENGTH (32 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int fd)
{
    g_autofree gchar *path = g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), fd);
    const char *argv[] = {"/sbin/e2fsck", "-fn", path, NULL};
    g_autofree gchar *out = NULL;
    int status = 0;

    if (!g_spawn_sync(NULL, (gchar **)argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &out, NULL, &status, NULL))
        abort();
    if (status) {
        g_printerr("%s", out);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const guint8 uuid[16] = {1, 2, 3, 4, 5, 6, 0x47, 8, 0x89, 10, 11, 12, 13, 14, 15, 16};
    int disk = memfd_create("disk", MFD_CLOEXEC), tar = memfd_create("tar", MFD_CLOEXEC);
    const StorageCleanOptions options = {.imported = TRUE, .hostname = "guest"};
    g_autoptr(GError) error = NULL;
    g_autoptr(StorageExt4) ext4 = NULL;
    g_autoptr(StorageRoot) root = NULL;

    if (ftruncate(disk, LENGTH) < 0 || (size && write(tar, data, size) != (ssize_t)size) || lseek(tar, 0, SEEK_SET) < 0)
        abort();
    ext4 = storage_ext4_new(disk, 0, LENGTH, uuid, 1700000000, &error);
    if (!ext4)
        abort();
    root = storage_root_write(tar, &options, ext4, 1700000000, NULL, NULL, &error);
    if (!root != (error != NULL))
        abort();
    if (root) {
        if (!storage_ext4_finish(ext4, &error))
            abort();
        check(disk);
    }
    close(tar);
    close(disk);
    return 0;
}
