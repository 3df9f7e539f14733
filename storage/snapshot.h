/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * OUTPUT.packages: the versions that an image was built from, readable again for building the same.
 *
 *   # virt-attest-packages-1
 *   # suite trixie
 *   # epoch 1763716544
 *   adduser:all=3.152
 */
#pragma once

#include <glib.h>

#include "measure/error.h"

/**
 * StorageSnapshot:
 * @epoch: the date that the image was built with
 * @packages: (element-type utf8): "NAME:ARCHITECTURE=VERSION"
 */
typedef struct {
    gchar *suite;
    gint64 epoch;
    GPtrArray *packages;
} StorageSnapshot;

StorageSnapshot *storage_snapshot_read(const char *path, GError **error);
void storage_snapshot_free(StorageSnapshot *snapshot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageSnapshot, storage_snapshot_free)
/* The lines before the packages. */
gchar *storage_snapshot_head(const char *suite, gint64 epoch);
/* apt preferences that allow these versions and nothing else. */
gchar *storage_snapshot_preferences(const StorageSnapshot *snapshot);
