/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands to type, as messages suggest them. */
#pragma once

#include <glib.h>

/**
 * cmd_suggest:
 * @command: the command with its options: "define --accept"
 * @name: (nullable): the domain's name
 * @uuid: (nullable): its UUID
 *
 * Returns: "virt-attest COMMAND DOMAIN", which a shell takes as it stands and which means that domain: by its UUID
 * where the name would be taken for an id, a UUID, an option or a file, or cannot be shown as it is. Belongs behind a colon,
 * not between quotes.
 */
gchar *cmd_suggest(const char *command, const char *name, const char *uuid);
