/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure/error.h"
#include "virsh-wrappers/commands.h"

int cmd_reference_verify(CmdContext *context, GError **error)
{
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED, "reference-verify is not built yet");
    return -1;
}
