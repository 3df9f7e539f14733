/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vol-delete: removes the volumes of a guest and what is known of them, unless something uses them. */
#include <stdio.h>

#include "measure/error.h"
#include "virsh-wrappers/cmd-volume.h"
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/domain-volumes.h"
#include "virsh-wrappers/output.h"

static gboolean check_unused(const CmdVolumeJob *job, const StorageVolume *volume, GError **error)
{
    g_auto(GStrv) paths = cmd_volume_paths(job, volume);
    g_autofree gchar *who = NULL;
    if (!cmd_file_users(job->connection, (const char *const *)paths, CMD_USERS_ALL, NULL, &who, error)) {
        g_prefix_error(error, "nothing was removed: ");
        return FALSE;
    }
    if (who) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "volume '%s' is used by %s: remove that first ('virt-attest undefine --storage' removes a domain with its "
                    "volumes); nothing was removed",
                    volume->name, who);
        return FALSE;
    }
    for (gchar **path = paths; *path; path++) {
        if (storage_base_in_use(*path, job->store, error)) {
            g_prefix_error(error, "nothing was removed: ");
            return FALSE;
        }
    }
    return TRUE;
}

int cmd_vol_delete(CmdContext *context, GError **error)
{
    g_auto(CmdVolumeJob) job = {0};
    g_auto(CmdLock) lock = -1;
    g_autoptr(StorageVolume) volume = NULL;
    const char *name = cmd_context_word(context, 0);
    if (!storage_volume_check_name(name, error) || !cmd_volume_open(&job, context, TRUE, error) ||
        !cmd_volume_lock(&job, name, &lock, error) || !(volume = cmd_volume_get(&job, name, error)) ||
        !check_unused(&job, volume, error) || !cmd_volume_remove(&job, volume, error)) {
        return -1;
    }
    if (!cmd_context_quiet(context)) {
        printf("Volume '%s' deleted from pool '%s'\n", name, job.pool->name);
    }
    return 0;
}
