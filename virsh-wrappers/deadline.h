/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An end to libvirt calls that have none of their own.
 *
 * A call waits for as long as the daemon wants: one that is stopped, or whose domain is busy, holds it for ever, and no
 * call can be taken back. So a thread watches the clock, and when the time is over says so and ends the program
 * (exit code %ATTEST_ERROR_LIBVIRT). This is only sound where nothing has been decided, printed or written that the
 * end could cut in half: a guard surrounds libvirt calls, and no verdict, no output and no file.
 */
#pragma once

#include "virsh-wrappers/context.h"

/* Seconds beyond --timeout in which an answer that comes just in time, or a better message, can be brought home. */
#define CMD_DEADLINE_GRACE 3

typedef struct CmdGuard CmdGuard;

/**
 * cmd_guard_new:
 * @what: what libvirt is asked for, printable: "domain 'x': its definition"
 *
 * From here on the program ends %CMD_DEADLINE_GRACE seconds after the deadline, which is --timeout after the first
 * guard of the command. One at a time. It has to be declared before the connection, whose end is a call too.
 *
 * Errors: %ATTEST_ERROR_USAGE: --timeout is no number of seconds.
 */
CmdGuard *cmd_guard_new(CmdContext *context, const char *what, GError **error);
void cmd_guard_free(CmdGuard *guard);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CmdGuard, cmd_guard_free)

/* While somebody types a password no time passes. @guard is nullable. */
void cmd_guard_pause(CmdGuard *guard);
void cmd_guard_resume(CmdGuard *guard);
