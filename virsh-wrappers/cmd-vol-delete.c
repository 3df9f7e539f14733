/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/commands.h"

#include "measure/error.h"

int cmd_vol_delete(CmdContext *context, GError **error)
{
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED, "vol-delete is not built yet");
    return -1;
}
