/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* report-get: what the guest's own program does, for guests that have the whole suite installed. */
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
    GuestReportError cause = {.code = 0};
    if (guest_report_get(&options, &cause)) {
        return 0;
    }
    g_set_error(error, ATTEST_ERROR, cause.code, "%s", cause.text);
    return -1;
}
