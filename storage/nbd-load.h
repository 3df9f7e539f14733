/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libnbd, loaded when it is first needed (storage/library.h). */
#pragma once

#include <libnbd.h>

#include "measure/error.h"

/**
 * StorageLibnbd:
 *
 * The functions of libnbd that are used here, by their names without "nbd_".
 */
typedef struct {
    struct nbd_handle *(*create)(void);
    void (*close)(struct nbd_handle *handle);
    const char *(*get_error)(void);
    int (*add_meta_context)(struct nbd_handle *handle, const char *name);
    int (*can_meta_context)(struct nbd_handle *handle, const char *name);
    int (*connect_socket)(struct nbd_handle *handle, int socket);
    int64_t (*get_size)(struct nbd_handle *handle);
    int (*pread)(struct nbd_handle *handle, void *buffer, size_t count, uint64_t offset, uint32_t flags);
    int (*block_status)(struct nbd_handle *handle, uint64_t count, uint64_t offset, nbd_extent_callback callback,
                        uint32_t flags);
} StorageLibnbd;

/* Errors: %ATTEST_ERROR_NOT_CONFIGURED: libnbd is not installed. Never freed. Any thread. */
const StorageLibnbd *storage_libnbd_load(GError **error);
