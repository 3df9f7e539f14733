/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A cpio archive as the kernel unpacks it (Documentation/driver-api/early-userspace/buffer-format.rst, "newc"), in one
 * form only: owner, times and devices 0, inodes counted from 1, numbers in upper case, padded with zeros. The same
 * entries give the same bytes.
 */
#pragma once

#include <glib.h>

typedef struct StorageNewc StorageNewc;

StorageNewc *storage_newc_new(void);
void storage_newc_free(StorageNewc *archive);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageNewc, storage_newc_free)

/* @name: "modules/0000-virtio.ko", without a slash in front. Added in the order of strcmp(). */
void storage_newc_add_folder(StorageNewc *archive, const char *name);
/* @executable: mode 0755, otherwise 0644. Below 4 GiB. */
void storage_newc_add_file(StorageNewc *archive, const char *name, GBytes *data, gboolean executable);
/* The archive with its end; @archive is empty afterwards. */
GBytes *storage_newc_finish(StorageNewc *archive);
