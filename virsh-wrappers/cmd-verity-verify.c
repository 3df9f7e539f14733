/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* verity-verify: checks data and a hash tree against a root hash. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "measure/error.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/progress.h"
#include "virsh-wrappers/verity-arguments.h"

static gboolean verify(CmdContext *context, int hash, StorageVerity *verity, GError **error)
{
    StorageVerityOptions options = {0};
    guint64 bad_block = 0;
    g_autoptr(StorageDisk) data = cmd_verity_open_data(context, &options, error);
    if (!data) {
        return FALSE;
    }
    g_autoptr(CmdProgress) progress = cmd_progress_new(context);
    options.progress = cmd_progress_update;
    options.progress_data = progress;
    return storage_verity_verify(data, hash, verity, &options, &bad_block, error);
}

int cmd_verity_verify(CmdContext *context, GError **error)
{
    const char *path = cmd_context_word(context, 1);
    guint8 root_hash[STORAGE_VERITY_MAX_DIGEST];
    StorageVerity verity;
    gsize size = cmd_verity_root_hash(cmd_context_word(context, 2), root_hash, error);
    int hash = size > 0 ? storage_verity_open(path, &verity, error) : -1;
    gboolean good = hash >= 0;
    if (good) {
        memcpy(verity.root_hash, root_hash, size);
        verity.digest_size = size;
        good = verify(context, hash, &verity, error);
        close(hash);
    }
    if (!good) {
        storage_verity_name_file(path, error);
        return -1;
    }
    if (!cmd_context_quiet(context)) {
        g_autofree gchar *shown = cmd_printable(cmd_context_word(context, 0));
        printf("'%s' is what was sealed: %" G_GUINT64_FORMAT " blocks of %u bytes\n", shown, verity.data_blocks,
               verity.data_block_size);
    }
    return 0;
}
