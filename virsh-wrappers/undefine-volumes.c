/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/undefine-volumes.h"

#include "virsh-wrappers/cmd-volume.h"

GPtrArray *cmd_undefine_find(PolicyStore *store, const char *uuid, GError **error)
{
    g_autoptr(GPtrArray) all = storage_volume_list(store, error);
    for (guint i = all ? all->len : 0; i > 0; i--) {
        const StorageVolume *each = g_ptr_array_index(all, i - 1);
        if (g_strcmp0(each->domain, uuid) != 0) {
            g_ptr_array_remove_index(all, i - 1);
        }
    }
    return g_steal_pointer(&all);
}

GPtrArray *cmd_undefine_paths(GPtrArray *volumes)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < volumes->len; i++) {
        const StorageVolume *each = g_ptr_array_index(volumes, i);
        g_ptr_array_add(paths, g_strdup(each->root_path));
        if (each->upper_path) {
            g_ptr_array_add(paths, g_strdup(each->upper_path));
        }
        if (each->seal) {
            g_ptr_array_add(paths, g_strdup(each->seal->path));
        }
    }
    return paths;
}

static gboolean forget(PolicyStore *store, virConnectPtr connection, StorageVolume *volume, GError **error)
{
    g_auto(CmdLock) lock = storage_volume_lock(store, volume->pool_uuid, volume->name, error);
    if (lock < 0) {
        return FALSE;
    }
    if (g_file_test(volume->root_path, G_FILE_TEST_EXISTS)) {
        g_clear_pointer(&volume->domain, g_free);
        return storage_volume_put(store, volume, error);
    }
    /* The connection stays the caller's. */
    CmdVolumeJob job = {.connection = connection, .store = store};
    job.pool = cmd_pool_open(connection, volume->pool, error);
    if (!job.pool) {
        return FALSE;
    }
    /* Another pool that has the name now has nothing of this volume. */
    gboolean same = g_str_equal(job.pool->uuid, volume->pool_uuid);
    gboolean done = same ? cmd_volume_remove(&job, volume, error) : storage_volume_remove(store, volume, error);
    g_clear_pointer(&job.pool, cmd_pool_free);
    return done;
}

gboolean cmd_undefine_forget(PolicyStore *store, virConnectPtr connection, GPtrArray *volumes, GError **error)
{
    for (guint i = 0; i < volumes->len; i++) {
        if (!forget(store, connection, g_ptr_array_index(volumes, i), error)) {
            return FALSE;
        }
    }
    return TRUE;
}
