/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The root file system of an image: whatever is in there, reading it ends, in good order. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "storage/image-private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_SIZE = 1024 * 1024, MAX_FILE = 256 * 1024, MAX_DEPTH = 3, MAX_NAMES = 16 };

static void visit(StorageImage *image, const char *path, guint depth)
{
    g_autoptr(GPtrArray) names = storage_image_list(image, path, NULL);

    for (guint i = 0; names && i < names->len && i < MAX_NAMES; i++) {
        g_autofree gchar *child = g_build_filename(path, g_ptr_array_index(names, i), NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) bytes = storage_image_read_file(image, child, MAX_FILE, &error);

        if (bytes ? g_bytes_get_size(bytes) > MAX_FILE : !error || !g_utf8_validate(error->message, -1, NULL))
            abort();
        if (!bytes && depth < MAX_DEPTH)
            visit(image, child, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StorageDisk) disk = NULL;
    g_autoptr(StorageImage) image = NULL;
    g_autofree gchar *path = NULL;
    g_autofree gchar *release = NULL;
    int fd = -1;

    if (size > MAX_SIZE || (fd = memfd_create("image", MFD_CLOEXEC)) < 0)
        return 0;
    path = g_strdup_printf("/proc/self/fd/%d", fd);
    if (write(fd, data, size) == (gssize)size)
        disk = storage_disk_open(path, STORAGE_FORMAT_RAW, NULL);
    if (disk) {
        image = storage_image_open_range(g_steal_pointer(&disk), 0, size, &error);
        if (!image && (!error || !g_utf8_validate(error->message, -1, NULL)))
            abort();
    }
    if (image) {
        visit(image, "/", 0);
        release = storage_image_kernel_release(image, NULL);
        if (release && !*release)
            abort();
    }
    close(fd);
    return 0;
}
