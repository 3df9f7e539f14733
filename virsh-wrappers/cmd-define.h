/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of `define`. */
#pragma once

#include "policy/envelope.h"
#include "virsh-wrappers/subject.h"
#include "xml/compose.h"

/**
 * cmd_define_options:
 * @with_volume: the disk of the guest is a volume of ours: below level 3 it starts by its own boot loader, which needs
 *   a firmware even at level 0
 *
 * Reads the options of the compose form, firmware included, as far as the command has them; @connection (nullable) is
 * asked for what depends on the host.
 */
XmlCompose *cmd_define_options(CmdContext *context, virConnectPtr connection, gboolean with_volume, GError **error);

/* @xml with a <uuid>: its own, or a new one where it has none, so that the domain can be locked before it exists. */
gchar *cmd_define_with_uuid(const char *xml, GError **error);

/* The option --level; -1 when it was not given. */
gboolean cmd_define_wanted_level(const CmdContext *context, gint *out, GError **error);

/* Defines, measures and pins a composed domain that has to reach @level; the state folder can be written. 0, or -1 with
 * everything as it was. */
int cmd_define_composed(CmdContext *context, virConnectPtr connection, guint level, const char *xml, const char *from,
                        GError **error);

/**
 * cmd_define_with_reference:
 * @reference: (nullable): must foresee the domain as it is measured here; its rules are pinned
 * @envelope: (nullable): @reference with its signatures: kept as "signed" in the pin. One of the trusted keys, where there
 *   are any, must have signed it
 *
 * As cmd_define_composed(); with @reference as with `define --reference`. Name, UUID, paths and emulator may be others.
 */
int cmd_define_with_reference(CmdContext *context, virConnectPtr connection, guint level, const char *xml,
                              const char *from, const PolicyReference *reference, const PolicyEnvelope *envelope,
                              GError **error);
