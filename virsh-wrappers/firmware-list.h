/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guest firmware on this machine: where it lies, and what each file can carry. */
#pragma once

#include "measure/launch.h"

/**
 * CmdFirmware:
 * @path: of the file
 * @inputs: (nullable): its digest, footer and build; %NULL when it cannot be read
 * @problem: (nullable): why not
 */
typedef struct {
    gchar *path;
    MeasureInputs *inputs;
    gchar *problem;
} CmdFirmware;

CmdFirmware *cmd_firmware_inspect(const char *path);
void cmd_firmware_free(CmdFirmware *firmware);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CmdFirmware, cmd_firmware_free)

/* It has SEV metadata, without which SEV-SNP cannot start. */
gboolean cmd_firmware_starts_snp(const CmdFirmware *firmware);
/* It takes the kernel hash table: area in the footer and section in the metadata. */
gboolean cmd_firmware_takes_hashes(const CmdFirmware *firmware);
/* It also verifies them and halts on a mismatch. */
gboolean cmd_firmware_verifies(const CmdFirmware *firmware);

/**
 * cmd_firmware_list:
 * @root: "" for this machine, or a folder that stands for "/"
 *
 * Every combined image that the firmware descriptors (libvirt's and QEMU's list, /usr/share/qemu/firmware and
 * /etc/qemu/firmware) offer for SEV, and the usual places of distributions. Paths are inside @root.
 *
 * Returns: (element-type CmdFirmware): sorted by descriptor, each file once.
 */
GPtrArray *cmd_firmware_list(const char *root);
