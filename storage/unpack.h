/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compressed files of an image, in memory. Internal to storage/. */
#pragma once

#include <glib.h>

#include "measure/error.h"

/**
 * storage_unpack:
 * @name: decides: ".xz", ".zst", ".gz" are unpacked, everything else is taken as it is
 * @data: hostile
 * @max_size: most bytes to unpack
 *
 * Errors: %ATTEST_ERROR_UNREADABLE: damaged, cut short, something behind the end, or too large.
 */
GBytes *storage_unpack(const char *name, GBytes *data, gsize max_size, GError **error);

/* "zstd", "gzip" or "none": one frame, the same bytes for the same @data and library. */
GBytes *storage_pack(const char *compression, GBytes *data, GError **error);
