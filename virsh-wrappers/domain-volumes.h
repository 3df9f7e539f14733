/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which storage volumes belong to one domain and to nothing else. */
#pragma once

#include "virsh-wrappers/connection.h"

/**
 * cmd_domain_volumes:
 * @domain: a domain that does not run, of a libvirt on this machine
 * @owned: (nullable) (element-type utf8): paths of disks that are its own although they are read-only
 * @volumes: (out) (element-type VirVolumeHandle): the volumes behind its writable disks
 * @kept: (out) (element-type utf8): a sentence for each disk that is left alone because it is read-only, shareable or
 *   transient
 *
 * A disk whose volume another domain names in any way, or that is the base of another volume, stops it all, and so does
 * everything that cannot be looked at, since it could hide such a user.
 *
 * Errors: %ATTEST_ERROR_LIBVIRT for a volume that is used, a disk that is no volume, and when libvirt does not answer;
 * %ATTEST_ERROR_UNREADABLE for a file or XML that cannot be read.
 */
gboolean cmd_domain_volumes(virDomainPtr domain, const GPtrArray *owned, GPtrArray **volumes,
                            GPtrArray **kept, GError **error);

typedef enum {
    CMD_USERS_DEFINED, /* domains that name a file, running or not */
    CMD_USERS_RUNNING, /* only those that run */
    CMD_USERS_ALL,     /* domains, and volumes whose base it is; what cannot be looked at is an error, as above */
} CmdUsers;

/**
 * cmd_file_users:
 * @paths: (array zero-terminated=1)
 * @except: (nullable): UUID of a domain that may use them
 * @who: (out) (nullable): who uses the first of them that is used: "domain 'x'"
 */
gboolean cmd_file_users(virConnectPtr connection, const char *const *paths, CmdUsers kind, const char *except,
                        gchar **who, GError **error);
