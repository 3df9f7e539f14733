/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The SSH host key of a guest, trusted because the guest's attestation report was accepted. */
#pragma once

#include "virsh-wrappers/judge.h"

/**
 * CmdAttestedHost:
 * @name: how SSH calls the host: "10.0.0.5", or "[10.0.0.5]:2222"
 * @address, @port: where it is
 * @key: "TYPE BASE64"
 */
typedef struct {
    gchar *name, *address, *key;
    guint port;
} CmdAttestedHost;
void cmd_attested_host_clear(CmdAttestedHost *host);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdAttestedHost, cmd_attested_host_clear)

/**
 * cmd_attested_host:
 * @out: set only when the verdict is "accepted" and the report is bound to a key
 *
 * Judges the domain of the command's word, or --report; what failed is printed on standard error.
 *
 * Returns: the exit code, 0 for "accepted"; -1 with an error.
 */
int cmd_attested_host(CmdContext *context, CmdAttestedHost *out, GError **error);
