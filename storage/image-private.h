/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Internal to storage/ and its tests. */
#pragma once

#include "storage/image.h"

/**
 * storage_image_open_range:
 * @disk: (transfer full): also freed on failure
 * @offset, @length: bytes: where the root file system lies
 *
 * The same as storage_image_open() without a partition table.
 */
StorageImage *storage_image_open_range(StorageDisk *disk, guint64 offset, guint64 length, GError **error);

/* Compares kernel releases as people count them: runs of digits as numbers, '~' before everything, the end included. */
gint storage_release_compare(const char *a, const char *b);
