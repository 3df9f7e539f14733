/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything that can be said of a bundle without trusting who made it. */
#pragma once

#include "storage/bundle.h"
#include "virsh-wrappers/subject.h"

#define CMD_BUNDLE_DISK "disk" /* rule of the notes on disks */
#define CMD_BUNDLE_FOLDER "the bundle's " /* stands for the folder in which a bundle is unpacked, in texts */

/**
 * CmdBundleCheck:
 * @bundle: unpacked
 * @subject: (nullable): its domain, measured from its files for every CPU type and vCPU count of its reference
 * @rows: (element-type PolicyFinding): rules "file", "measurement", "reference", "signature", "id-block",
 *   "host-data", "level" and "disk"; their level means nothing
 * @failed: how many of them failed
 */
typedef struct {
    StorageBundle *bundle;
    CmdSubject *subject;
    GPtrArray *rows;
    guint failed;
} CmdBundleCheck;
void cmd_bundle_check_clear(CmdBundleCheck *check);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdBundleCheck, cmd_bundle_check_clear)

/**
 * cmd_bundle_check:
 * @out: to be cleared whatever the result
 *
 * Reads --key; without it, the configured trusted keys. Neither libvirt nor state folder nor network. Errors only for
 * what is no bundle at all, hostile archives (%ATTEST_ERROR_REJECTED) and keys that cannot be read.
 */
gboolean cmd_bundle_check(CmdContext *context, const char *path, CmdBundleCheck *out, GError **error);

/* A fleet's subject of @xml for all that @reference foresees; on another host than the one that starts it. */
CmdSubject *cmd_bundle_measure(CmdContext *context, const char *xml, const PolicyReference *reference, GError **error);
/* Rows "measurement", "reference" and "level": @reference against what @subject, of cmd_bundle_measure(), measures. */
void cmd_bundle_compare(const PolicyReference *reference, const CmdSubject *subject, GPtrArray *rows);
/* A reference that was measured from an unpacked bundle: its files get the names that they had where the bundle was
 * made, which the bundle's own reference has, and "obtained" says "bundle". */
void cmd_bundle_restore_paths(const StorageBundle *bundle, PolicyReference *reference);
/* The texts of the rows that failed, one line each, for an error message. */
gchar *cmd_bundle_failures(const GPtrArray *rows);
