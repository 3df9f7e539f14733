/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How an image starts by itself, at levels 0 to 2: boot loader, kernel and initrd on its EFI system partition. */
#pragma once

#include "storage/esp.h"
#include "storage/image.h"

/**
 * storage_image_boot_write:
 * @fd: the raw disk, open for reading and writing, with its root complete
 * @offset, @length: of the EFI system partition, bytes
 * @serial, @epoch: as storage_esp_write()
 * @root_uuid: of the root partition
 * @id: of the distribution ("debian"), where its grub looks for its configuration
 * @init: path of the guest's init
 * @loader: (out): "systemd-boot", "grub", or %NULL when the image has no loader and does not start by itself
 *
 * Errors: those of storage_initrd_build(), also at level 4, so that an image whose kernel cannot reach it is refused now;
 * those of storage_esp_write().
 */
gboolean storage_image_boot_write(int fd, guint64 offset, guint64 length, guint32 serial, gint64 epoch, const char *root_uuid,
                                  const char *id, const char *init, const char **loader, GError **error);
