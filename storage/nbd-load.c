/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/nbd-load.h"

#include "storage/library.h"

static StorageLibnbd libnbd;

#ifdef LIBRARIES_LINKED

static gboolean find_functions(GError **error)
{
    libnbd = (StorageLibnbd){
        .create = nbd_create,
        .close = nbd_close,
        .get_error = nbd_get_error,
        .add_meta_context = nbd_add_meta_context,
        .can_meta_context = nbd_can_meta_context,
        .connect_socket = nbd_connect_socket,
        .get_size = nbd_get_size,
        .pread = nbd_pread,
        .block_status = nbd_block_status,
    };
    return TRUE;
}

#else

static gboolean find_functions(GError **error)
{
    const StorageSymbol symbols[] = {
        {"nbd_create", (void **)&libnbd.create},
        {"nbd_close", (void **)&libnbd.close},
        {"nbd_get_error", (void **)&libnbd.get_error},
        {"nbd_add_meta_context", (void **)&libnbd.add_meta_context},
        {"nbd_can_meta_context", (void **)&libnbd.can_meta_context},
        {"nbd_connect_socket", (void **)&libnbd.connect_socket},
        {"nbd_get_size", (void **)&libnbd.get_size},
        {"nbd_pread", (void **)&libnbd.pread},
        {"nbd_block_status", (void **)&libnbd.block_status},
    };

    return storage_library_load("libnbd.so.0", "reads disk images", "libnbd0", symbols, G_N_ELEMENTS(symbols), error);
}

#endif

const StorageLibnbd *storage_libnbd_load(GError **error)
{
    static GMutex mutex;
    static gboolean loaded;

    g_mutex_lock(&mutex);
    loaded = loaded || find_functions(error);
    g_mutex_unlock(&mutex);
    return loaded ? &libnbd : NULL;
}
