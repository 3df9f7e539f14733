/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asks a running guest for its attestation report: over the channel org.virt-attest.report.0 (virt-attest-guest(7)), or
 * through the QEMU guest agent.
 */
#pragma once

#include "virsh-wrappers/connection.h"

#define CMD_FETCH_CHANNEL "org.virt-attest.report.0"
#define CMD_FETCH_AGENT "org.qemu.guest_agent.0"
#define CMD_FETCH_NONCE_SIZE 32
/* Bytes of one answer. */
#define CMD_FETCH_MAX (256u * 1024)

/**
 * CmdVia:
 * @CMD_VIA_AUTO: the channel when the domain has it, else the agent
 */
typedef enum { CMD_VIA_AUTO, CMD_VIA_CHANNEL, CMD_VIA_AGENT } CmdVia;
/* Of the option --via. */
CmdVia cmd_via(const CmdContext *context);

/**
 * CmdPort: a virtio-serial port of a running domain
 * @CMD_PORT_UNKNOWN: it is there; libvirt does not say whether the guest has opened it
 */
typedef enum { CMD_PORT_ABSENT, CMD_PORT_UNKNOWN, CMD_PORT_OPEN, CMD_PORT_CLOSED } CmdPort;
typedef struct {
    CmdPort channel, agent;
} CmdPorts;
/* @xml: of a running domain, hostile. Errors: %ATTEST_ERROR_UNREADABLE: it is no domain XML. */
gboolean cmd_ports_read(const char *xml, CmdPorts *out, GError **error);

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
 * CmdFetch: one question to one running domain
 * @name: the domain's name, printable
 * @deadline: monotonic time in microseconds at which everything is given up
 * @timeout: the same as the seconds that the user has given, for messages
 */
typedef struct {
    virDomainPtr domain;
    const char *name;
    guint8 nonce[CMD_FETCH_NONCE_SIZE];
    gint64 deadline;
    guint timeout;
} CmdFetch;
gboolean cmd_fetch_over(const CmdFetch *fetch);
/* Whether the domain stands still: nothing in it can answer. What to do: */
gboolean cmd_fetch_paused(const CmdFetch *fetch);
#define CMD_FETCH_PAUSED "it is paused; let it go on ('virsh resume') and ask again"
/* The ports of the domain as it runs now. */
gboolean cmd_fetch_ports(const CmdFetch *fetch, CmdPorts *out, GError **error);
/* The two ways. Return and errors as cmd_fetch_report(). */
gchar *cmd_fetch_channel(const CmdFetch *fetch, GError **error);
gchar *cmd_fetch_agent(const CmdFetch *fetch, GError **error);

/**
 * cmd_fetch_report:
 * @domain: name, id or UUID
 * @via: (inout): the way that the user wants; the one that was taken
 *
 * Waits for --timeout seconds at most, over everything. Over the channel the report data of an honest guest are the
 * digest of its SSH host key, or zeros, and the nonce. Through the agent they are zeros and the nonce.
 *
 * Returns: the guest's answer, one line of JSON, not yet read.
 * Errors: %ATTEST_ERROR_LIBVIRT: also that it is not running, or that its agent is not there;
 * %ATTEST_ERROR_NOT_CONFIGURED: the domain has no such channel, the guest no report program;
 * %ATTEST_ERROR_UNREADABLE: it does not answer.
 */
gchar *cmd_fetch_report(CmdContext *context, const char *domain, const guint8 nonce[CMD_FETCH_NONCE_SIZE], CmdVia *via,
                        GError **error);
