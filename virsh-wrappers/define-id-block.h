/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* define --id-key, --host-data: the ID block and the host data of a domain. */
#pragma once

#include "virsh-wrappers/identity.h"
#include "virsh-wrappers/subject.h"

/**
 * CmdDefineIdentity:
 * @wanted: --id-key was given
 * @identity: valid when @wanted
 * @has_host_data: --host-data was given
 */
typedef struct CmdDefineIdentity {
    gboolean wanted, has_host_data;
    CmdIdentity identity;
    guint8 host_data[MEASURE_SHA256_SIZE];
} CmdDefineIdentity;

/**
 * cmd_define_identity:
 *
 * What the options ask for; keys and passphrases are read when it is called for the first time, so that a command which
 * takes long can find them bad at its start. Owned by @context.
 */
const CmdDefineIdentity *cmd_define_identity(CmdContext *context, GError **error);
void cmd_define_identity_free(CmdDefineIdentity *identity);

/**
 * cmd_define_identity_check:
 *
 * What would be pinned and never start: a policy with reserved bits; one that lets the host read the guest's memory,
 * unless --allow-debug; an ID block that does not fit its domain, and that is not about to be replaced.
 */
gboolean cmd_define_identity_check(CmdContext *context, const CmdSubject *subject, GError **error);

/* An ID block holds one digest, so the CPU type must not be left to the host. @cpu_mode: "host-model" or a model. */
gboolean cmd_define_identity_cpu(CmdContext *context, const char *cpu_mode, GError **error);

/**
 * cmd_define_identity_block:
 * @out: (out) (nullable): the domain XML with the ID block that was asked for; %NULL when there is nothing to change:
 *   none was asked for, or the domain has one by these keys that fits
 */
gboolean cmd_define_identity_block(CmdContext *context, const CmdSubject *subject, gchar **out, GError **error);

/**
 * cmd_define_identity_host_data:
 * @reference: of @subject with its ID block
 * @changed: (out): set to %TRUE when the host data was another
 *
 * Puts the host data that was asked for, or the one that binds @reference, into @subject: XML and parsed domain.
 */
gboolean cmd_define_identity_host_data(CmdContext *context, CmdSubject *subject, const PolicyReference *reference,
                                       gboolean *changed, GError **error);

/* Warns when the host data bound what was pinned, and does not bind @reference, which takes its place. */
void cmd_define_identity_warn(CmdContext *context, const PolicyReference *pinned, const PolicyReference *reference);
