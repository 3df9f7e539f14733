/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* report-get: the guest's own program does the same, from the same sources. */
#include "virsh-wrappers/commands.h"

#include "guest/report/report.h"
#include "measure/error.h"

int cmd_report_get(CmdContext *context, GError **error)
{
    const GuestReportOptions options = {
        .data = cmd_context_get(context, "data"),
        .nonce = cmd_context_get(context, "nonce"),
        .ssh_host_key = cmd_context_get(context, "ssh-host-key"),
        .vmpl = cmd_context_get(context, "vmpl"),
        .format = cmd_context_get(context, "format"),
        .output = cmd_context_get(context, "output"),
        .certificates = cmd_context_get(context, "certificates"),
        .tsm = cmd_context_get(context, "tsm"),
        .device = cmd_context_get(context, "device"),
    };
    GuestReportError problem = {.code = 0};

    if (guest_report_get(&options, &problem))
        return 0;
    /* Its codes are exit codes, as ours are. */
    g_set_error(error, ATTEST_ERROR, problem.code, "%s", problem.text);
    return -1;
}
