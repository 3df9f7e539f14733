/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compressed data, piece by piece. Internal to storage/. */
#pragma once

#include <glib.h>

typedef enum { STORAGE_UNPACK_MORE, STORAGE_UNPACK_END, STORAGE_UNPACK_DAMAGED } StorageUnpackStep;

typedef struct StorageUnpacker StorageUnpacker;

/**
 * storage_unpacker_new:
 * @suffix: ".xz", ".zst" or ".gz"
 *
 * Takes windows of at most 64 MiB (xz) and 128 MiB (zstd), so that a header cannot ask for more memory.
 *
 * Returns: (nullable): %NULL for another suffix, or without memory.
 */
StorageUnpacker *storage_unpacker_new(const char *suffix);
void storage_unpacker_free(StorageUnpacker *unpacker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageUnpacker, storage_unpacker_free)

/**
 * storage_unpacker_step:
 *
 * Takes bytes from @in and puts bytes to @out; both move on. %STORAGE_UNPACK_MORE without any movement means that it
 * waits for input, or for room. One stream, member or frame: after %STORAGE_UNPACK_END the rest of @in is something else.
 */
StorageUnpackStep storage_unpacker_step(StorageUnpacker *unpacker, const guint8 **in, gsize *in_size, guint8 **out,
                                        gsize *out_size);
