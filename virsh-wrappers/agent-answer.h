/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the QEMU guest agent answers (QEMU Guest Agent Protocol Reference: guest-exec, guest-exec-status, guest-info), as
 * libvirt passes it on. The host can put anything in its place. Unknown members are left alone: newer agents have more.
 *
 * Errors: %ATTEST_ERROR_UNREADABLE.
 */
#pragma once

#include <glib.h>

/* Bytes of one answer: the largest report document in base64, and what is around it. */
#define CMD_AGENT_MAX (512u * 1024)

/**
 * CmdAgentStatus: a program that guest-exec has started
 * @exited: it has ended; before that nothing else is there
 * @code: its exit code; -1: a signal has ended it
 * @output: (nullable): what it has printed, without zero bytes and at most %CMD_FETCH_MAX
 * @errors: (nullable): what it has said on standard error, one printable line, cut short
 */
typedef struct {
    gboolean exited;
    int code;
    gchar *output, *errors;
} CmdAgentStatus;
void cmd_agent_status_clear(CmdAgentStatus *status);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdAgentStatus, cmd_agent_status_clear)

/* The answer to guest-exec: the number of the program. */
gboolean cmd_agent_read_exec(const char *text, guint64 *pid, GError **error);
/* The answer to guest-exec-status. */
gboolean cmd_agent_read_status(const char *text, CmdAgentStatus *out, GError **error);
/* The answer to guest-info: whether the guest lets @command be called. */
gboolean cmd_agent_read_info(const char *text, const char *command, gboolean *out, GError **error);
