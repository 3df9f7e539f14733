/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What known-hosts and ssh have in common: the key of a guest, known only when its report is "accepted". */
#pragma once

#include "virsh-wrappers/judge.h"

/**
 * CmdAttestedHost:
 * @hosts: names or addresses; from --host, else from libvirt
 * @port: --port, else 22
 * @accepted: the report was accepted
 * @reasons: (nullable): what is against the report, one check a line, each behind a newline
 * @key: (nullable): "TYPE BASE64", the key that it vouches for; %NULL: it was not accepted, or is about no key
 */
typedef struct {
    gchar **hosts;
    guint port;
    gboolean accepted;
    gchar *reasons;
    gchar *key;
} CmdAttestedHost;
void cmd_attested_host_clear(CmdAttestedHost *host);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdAttestedHost, cmd_attested_host_clear)

/**
 * cmd_attested_host:
 * @domain: (nullable): the domain that it is about
 *
 * Asks the guest, or reads --report and --ssh-host-key. FALSE: nothing can be said of it; then nobody may connect
 * either. TRUE without a key is a verdict too.
 */
gboolean cmd_attested_host(CmdContext *context, const char *domain, CmdAttestedHost *out, GError **error);
/* The end of a command without a key: %ATTEST_ERROR_REJECTED with the reasons; always -1. */
int cmd_attested_host_rejected(const CmdAttestedHost *host, GError **error);
