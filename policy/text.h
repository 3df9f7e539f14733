/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text from elsewhere, made fit to be one line on a terminal or in a log. */
#pragma once

#include <glib.h>

/* Control characters and bytes that are not UTF-8 replaced, at most @max bytes (then ending in "…"). */
gchar *policy_one_line(const char *text, gsize max);
/* The first 16 digits of a digest and "…"; short texts unchanged. */
gchar *policy_short_digest(const char *hex);
/**
 * policy_command_word:
 * @name: (nullable): of a domain
 * @uuid: (nullable): of the same domain
 *
 * What a suggested command calls the domain: its name, or its UUID where the name cannot be shown as it is, or would be
 * taken for the ID or the UUID of another domain. The UUID may be missing: then it is the name.
 *
 * Returns: one of the two, borrowed.
 */
const char *policy_command_word(const char *name, const char *uuid);
/* "virt-attest define OPTIONS NAME", the name quoted for a shell and kept from being taken for an option or a file. */
gchar *policy_define_command(const char *options, const char *name);
/* The same with "--accept". */
gchar *policy_accept_command(const char *name);
/* "virsh metadata …": takes our element out of the domain's definition. @uuid is used as in policy_command_word(). */
gchar *policy_metadata_command(const char *name, const char *uuid);
