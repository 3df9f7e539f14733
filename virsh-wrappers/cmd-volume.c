/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/cmd-volume.h"

#include <stdio.h>
#include <unistd.h>

#include "measure/error.h"
#include "virsh-wrappers/output.h"

#define DEFAULT_POOL "default"

void cmd_volume_job_clear(CmdVolumeJob *job)
{
    g_clear_pointer(&job->pool, cmd_pool_free);
    g_clear_pointer(&job->connection, vir_connection_close);
}

gboolean cmd_volume_open(CmdVolumeJob *job, CmdContext *context, gboolean writable, GError **error)
{
    const char *pool = cmd_context_get(context, "pool");
    job->context = context;
    if (writable && cmd_context_has(context, "readonly")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "%s changes volumes: it cannot work with --readonly",
                    context->command->name);
        return FALSE;
    }
    job->connection = cmd_connect(context, error);
    if (!job->connection || !cmd_require_hook(job->connection, error)) {
        return FALSE;
    }
    job->store = writable ? cmd_context_store_writable_for(context, job->connection, error)
                          : cmd_context_store_for(context, job->connection, error);
    if (!job->store) {
        return FALSE;
    }
    job->pool = cmd_pool_open(job->connection, pool ? pool : DEFAULT_POOL, error);
    return job->pool != NULL;
}

StorageVolume *cmd_volume_get(const CmdVolumeJob *job, const char *name, GError **error)
{
    g_autoptr(GError) cause = NULL;
    StorageVolume *volume = storage_volume_get(job->store, job->pool->uuid, name, &cause);
    if (volume) {
        return volume;
    }
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
    } else {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "there is no volume '%s' in pool '%s': 'virt-attest vol-list --pool %s' shows the volumes, 'virt-attest "
                    "vol-create' makes one",
                    name, job->pool->name, job->pool->name);
    }
    return NULL;
}

gboolean cmd_volume_lock(const CmdVolumeJob *job, const char *name, CmdLock *lock, GError **error)
{
    *lock = storage_volume_lock(job->store, job->pool->uuid, name, error);
    return *lock >= 0;
}

gchar **cmd_volume_paths(const CmdVolumeJob *job, const StorageVolume *volume)
{
    g_autofree gchar *root = storage_volume_root_name(volume->name);
    g_autofree gchar *verity = storage_volume_verity_name(volume->name);
    g_autofree gchar *upper = storage_volume_upper_name(volume->name);
    gchar **paths = g_new0(gchar *, 4);
    paths[0] = cmd_pool_path(job->pool, root);
    paths[1] = cmd_pool_path(job->pool, verity);
    paths[2] = cmd_pool_path(job->pool, upper);
    return paths;
}

void cmd_volume_step(const CmdVolumeJob *job, const char *what)
{
    if (!cmd_context_quiet(job->context) && (cmd_context_has(job->context, "progress") || isatty(STDERR_FILENO))) {
        fprintf(stderr, "%s\n", what);
    }
}

gboolean cmd_volume_remove(const CmdVolumeJob *job, const StorageVolume *volume, GError **error)
{
    g_auto(GStrv) paths = cmd_volume_paths(job, volume);
    gboolean done = TRUE;
    /* Goes on after a failure; the document goes last, so that it still names what is left. */
    for (gchar **path = paths; *path; path++) {
        g_autofree gchar *name = g_path_get_basename(*path);
        g_autoptr(GError) cause = NULL;
        if (cmd_pool_delete(job->pool, name, &cause)) {
            continue;
        }
        if (done) {
            g_propagate_error(error, g_steal_pointer(&cause));
        } else {
            cmd_warn("%s", cause->message);
        }
        done = FALSE;
    }
    return done && storage_volume_remove(job->store, volume, error);
}
