/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks a running guest for its attestation report, over the channel org.virt-attest.report.0 (virt-attest-guest(7)). */
#pragma once

#include "virsh-wrappers/connection.h"

#define CMD_FETCH_CHANNEL "org.virt-attest.report.0"
#define CMD_FETCH_NONCE_SIZE 32
/* Bytes of one answer. */
#define CMD_FETCH_MAX (256u * 1024)

/**
 * CmdAnswer: what a guest sends, cut into lines
 *
 * The guest is hostile: lines that are not the answer to this request are dropped, and none may be longer than
 * %CMD_FETCH_MAX; at most 4 times that is read in all.
 */
typedef struct {
    gchar *nonce; /* its hexadecimal digits, which the answer holds */
    GString *line;
    gsize total;
    gchar *answer; /* (nullable): found */
} CmdAnswer;
/* Takes @size bytes in. FALSE with %ATTEST_ERROR_UNREADABLE: the guest sends something else. */
gboolean cmd_answer_add(CmdAnswer *answer, const char *data, gsize size, GError **error);
void cmd_answer_clear(CmdAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdAnswer, cmd_answer_clear)

/**
 * cmd_fetch_report:
 * @domain: name, id or UUID
 *
 * Waits for --timeout seconds at most. Returns: the guest's answer, one line of JSON, not yet read.
 * Errors: %ATTEST_ERROR_LIBVIRT; %ATTEST_ERROR_NOT_CONFIGURED: the domain has no such channel; %ATTEST_ERROR_UNREADABLE: it
 * is not running, it does not answer.
 */
gchar *cmd_fetch_report(CmdContext *context, const char *domain, const guint8 nonce[CMD_FETCH_NONCE_SIZE],
                        GError **error);
