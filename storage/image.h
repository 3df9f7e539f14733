/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image of ours (image-build, image-import) or an overlay on one, opened for reading: GPT with an EFI system partition
 * (1) and an ext4 root (2). Files are read with libext2fs, without mounting anything.
 */
#pragma once

#include "storage/disk.h"

#define STORAGE_IMAGE_ESP_PARTITION 1
#define STORAGE_IMAGE_ROOT_PARTITION 2

typedef struct StorageImage StorageImage;

/* Errors: as storage_disk_open(); %ATTEST_ERROR_UNREADABLE for another layout or file system ("import it first with
 * virt-attest image-import"). */
StorageImage *storage_image_open(const char *path, StorageFormat format, GError **error);
void storage_image_free(StorageImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageImage, storage_image_free)

StorageDisk *storage_image_disk(StorageImage *image); /* borrowed */
/* The newest kernel release that has both /boot/vmlinuz-R (or /usr/lib/modules/R/vmlinuz) and its modules. */
gchar *storage_image_kernel_release(StorageImage *image, GError **error);
/* NULL with %ATTEST_ERROR_UNREADABLE when it is missing, no regular file, or larger than @max_size. Symbolic links are
 * followed inside the image, at most 8. */
GBytes *storage_image_read_file(StorageImage *image, const char *path, gsize max_size, GError **error);
gboolean storage_image_has_file(StorageImage *image, const char *path);
/* (element-type utf8): names in a folder, sorted. */
GPtrArray *storage_image_list(StorageImage *image, const char *path, GError **error);
