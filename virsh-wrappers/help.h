/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the command table says, as help text and as the generated parts of a manual page. */
#pragma once

#include "virsh-wrappers/commands.h"

/* Both at most 80 columns wide. */
gchar *cmd_help_overview(void);
gchar *cmd_help_command(const CmdCommand *command);

/**
 * cmd_manual_format:
 * @command: (nullable): the command, or %NULL for the page of the program
 * @prose: the hand-written part, reStructuredText
 *
 * Returns: (transfer full): the page: a title and NAME section, then @prose with its lines "@SYNOPSIS@", "@OPTIONS@",
 * "@GLOBAL-OPTIONS@" and "@COMMANDS@" replaced by what the table says.
 */
gchar *cmd_manual_format(const CmdCommand *command, const char *prose);
