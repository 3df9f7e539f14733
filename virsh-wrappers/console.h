/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The console of a domain, through virsh. */
#pragma once

#include "virsh-wrappers/connection.h"

/**
 * cmd_console_exec:
 * @options: (nullable) (array zero-terminated=1): options of `virsh console`
 *
 * Becomes `virsh console`; returns only, with -1, when that is not possible.
 */
int cmd_console_exec(virConnectPtr connection, const char *name, const char *const *options, GError **error);
