/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A base image from somebody's cloud image: its root tree, cleaned, in our layout. */
#pragma once

#include "storage/image-make.h"

/**
 * storage_image_import:
 * @source: path of the cloud image
 * @format: of @source, never guessed from its contents
 * @image: with @size 0: as large as the cloud image, and large enough
 *
 * Errors: %ATTEST_ERROR_REJECTED for another distribution than Debian and Ubuntu, with its name, and for an image that
 * names other files (a backing file); %ATTEST_ERROR_UNREADABLE for no operating system in it, more than one, a file system
 * that cannot be read, and those of storage_image_maker_finish(); %ATTEST_ERROR_NOT_CONFIGURED without the helper.
 */
gboolean storage_image_import(const char *source, StorageFormat format, const StorageImageOptions *image, GError **error);
