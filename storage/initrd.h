/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Building our initrd: the static init and the kernel modules it needs, in a deterministic archive (guest/initrd-list.h). */
#pragma once

#include "storage/image.h"

/**
 * StorageInitrd:
 * @kernel: release
 * @data: the archive as the kernel takes it, compressed with what the kernel's configuration allows (zstd, gzip, none)
 * @compression: "zstd", "gzip", "none"
 * @modules: (element-type utf8): names in load order
 * @init_sha256: of the init inside, 64 digits
 */
typedef struct {
    gchar *kernel;
    GBytes *data;
    gchar *compression;
    GPtrArray *modules;
    gchar *init_sha256;
} StorageInitrd;
void storage_initrd_free(StorageInitrd *initrd);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageInitrd, storage_initrd_free)

/**
 * storage_initrd_build:
 * @image: the image whose kernel it is for
 * @kernel: (nullable): release; %NULL: the newest
 * @level: 0 (for the image's own boot loader), 3 or 4
 * @init: path of the static init (PolicyConfig.guest_init)
 *
 * The same inputs give the same bytes. Errors: %ATTEST_ERROR_UNREADABLE for a kernel that lacks a needed module or
 * feature (named), modules.dep that points outside, a compression that is not known; %ATTEST_ERROR_NOT_CONFIGURED for a
 * missing init.
 */
StorageInitrd *storage_initrd_build(StorageImage *image, const char *kernel, guint level, const char *init, GError **error);

/* The kernel itself (a bzImage, at most 256 MiB): /boot/vmlinuz-R, or /usr/lib/modules/R/vmlinuz. */
GBytes *storage_initrd_kernel(StorageImage *image, const char *release, GError **error);
