/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Build-time generator of manual pages: manual NAME PROSE > PAGE. Not installed. */
#include "virsh-wrappers/help.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: manual NAME PROSE\n");
        return 2;
    }
    const CmdCommand *command = cmd_command_find(argv[1]);
    g_autofree gchar *prose = NULL;
    g_autoptr(GError) error = NULL;
    if (!command && !g_str_equal(argv[1], "virt-attest")) {
        fprintf(stderr, "error: there is no command '%s'\n", argv[1]);
        return 2;
    }
    if (!g_file_get_contents(argv[2], &prose, NULL, &error)) {
        fprintf(stderr, "error: %s\n", error->message);
        return 3;
    }
    g_autofree gchar *page = cmd_manual_format(command, prose);
    fputs(page, stdout);
    return 0;
}
