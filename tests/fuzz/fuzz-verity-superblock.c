/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A dm-verity hash file: its superblock is read, and what it says is used to verify a small disk. */
#define _GNU_SOURCE 1
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "measure/error.h"
#include "storage/verity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DISK_SIZE (64 * 1024)

/* A disk of 64 KiB, the first half not zero, which lives as long as this program. */
static StorageDisk *open_disk(void)
{
    int fd = memfd_create("disk", 0);
    g_autofree gchar *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree guint8 *half = g_malloc(DISK_SIZE / 2);
    memset(half, 7, DISK_SIZE / 2);
    if (fd < 0 || ftruncate(fd, DISK_SIZE) != 0 || pwrite(fd, half, DISK_SIZE / 2, 0) != DISK_SIZE / 2)
        abort();
    return storage_disk_open(path, STORAGE_FORMAT_RAW, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static StorageDisk *disk;
    StorageVerityOptions options = {.length = DISK_SIZE, .threads = 1};
    StorageVerity verity;
    g_autoptr(GError) error = NULL;
    guint64 bad_block = 0;
    int fd = memfd_create("hash", MFD_CLOEXEC);
    if (!disk)
        disk = open_disk();
    if (!disk || fd < 0 || (size && write(fd, data, size) != (ssize_t)size))
        abort();
    gboolean good = storage_verity_read_superblock(fd, &verity, &error);
    if (good == (error != NULL))
        abort();
    if (good) {
        if (storage_verity_hash_size(&verity) == 0 || verity.salt_size > STORAGE_VERITY_MAX_SALT ||
            verity.digest_size > STORAGE_VERITY_MAX_DIGEST)
            abort();
        /* No file has this root hash. */
        memset(verity.root_hash, 0xaa, sizeof verity.root_hash);
        if (storage_verity_verify(disk, fd, &verity, &options, &bad_block, &error) || !error)
            abort();
        g_clear_error(&error);
        /* As the old file of an overlay: read and refused. */
        g_autofree gchar *path = g_strdup_printf("/proc/self/fd/%d", fd);
        StorageVerity again = verity;
        int out = memfd_create("new", MFD_CLOEXEC);
        again.data_blocks = 0;
        options.reuse = path;
        options.reuse_root_hash = verity.root_hash;
        if (storage_verity_format(disk, out, &again, &options, &error) && verity.data_blocks > 1)
            abort();
        close(out);
    } else if (error->code != ATTEST_ERROR_UNREADABLE) {
        abort();
    }
    close(fd);
    return 0;
}
