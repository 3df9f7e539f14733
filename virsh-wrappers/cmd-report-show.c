/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* report-show: every field of a report, with names. It verifies nothing, and says so. */
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/report-shown.h"

int cmd_report_show(CmdContext *context, GError **error)
{
    g_autoptr(CmdShown) shown =
        cmd_shown_read(cmd_context_word(context, 0), cmd_context_get(context, "certificates"), error);

    if (!shown)
        return -1;
    if (cmd_context_json(context))
        cmd_shown_print_json(shown);
    else
        cmd_shown_print_table(shown);
    return 0;
}
