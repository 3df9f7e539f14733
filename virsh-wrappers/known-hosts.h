/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of OpenSSH's known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
#pragma once

#include <glib.h>

/* Comment behind the keys that were written here: those that a later verdict may take away again. */
#define CMD_KNOWN_HOSTS_MARK "virt-attest"
/* Bytes of a file that is edited. */
#define CMD_KNOWN_HOSTS_MAX (4u * 1024 * 1024)

/* Whether it can be a host's name or address: nothing that a list of hosts or a command line would read otherwise. */
gboolean cmd_known_hosts_valid(const char *host);
/* Whether it is an address in numbers, IPv4 or IPv6, and no name. */
gboolean cmd_known_hosts_is_address(const char *text);
/* As ssh looks it up: in lower case, "[HOST]:PORT" unless @port is 22. */
gchar *cmd_known_hosts_name(const char *host, guint port);

/**
 * cmd_known_hosts_edit:
 * @text: (nullable): the file as it is, not trusted to be well-formed
 * @names: from cmd_known_hosts_name()
 * @key: (nullable): "TYPE BASE64"
 *
 * With @key: no other key of @names remains, plain or hashed, and one line a name is added at the end. Without: the
 * lines of @names that end with %CMD_KNOWN_HOSTS_MARK go. Lines of certificate authorities and of revoked keys, patterns and
 * everything else stay byte by byte.
 */
gchar *cmd_known_hosts_edit(const char *text, const char *const *names, const char *key);
