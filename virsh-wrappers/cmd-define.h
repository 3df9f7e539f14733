/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of `define`. */
#pragma once

#include "virsh-wrappers/subject.h"
#include "xml/compose.h"

/* A domain XML from the options of the compose form; @connection (nullable) is asked for what depends on the host. */
gchar *cmd_define_compose(CmdContext *context, virConnectPtr connection, GError **error);

/* @xml with a <uuid>: its own, or a new one where it has none, so that the domain can be locked before it exists. */
gchar *cmd_define_with_uuid(const char *xml, GError **error);

/* The option --level; -1 when it was not given. */
gboolean cmd_define_wanted_level(const CmdContext *context, gint *out, GError **error);
