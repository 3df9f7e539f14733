/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* define --volume: disks, kernel, initrd and command line of a domain from the volumes of a guest. */
#pragma once

#include "virsh-wrappers/cmd-define.h"
#include "virsh-wrappers/cmd-volume.h"

/**
 * CmdDefineVolume:
 * @job: borrowed; its pool is where the volume is
 * @volume: its lock is held by the caller
 * @boot_lock: held from when kernel and initrd are put into their store until the reference names them
 */
typedef struct {
    const CmdVolumeJob *job;
    StorageVolume *volume;
    CmdLock boot_lock;
} CmdDefineVolume;

/**
 * cmd_define_volume_compose:
 * @compose: level, name, command line and, where the user gave them, kernel and initrd are set
 *
 * Fills in what follows from the volume. From level 3 on kernel and initrd are made from the image of the volume and put
 * into the boot store; files that the user gave must be the same, byte for byte.
 *
 * Errors: %ATTEST_ERROR_REJECTED for a volume that is stale or of another domain, with the command to run;
 * %ATTEST_ERROR_USAGE for a command line with words of ours.
 */
gboolean cmd_define_volume_compose(CmdDefineVolume *from, XmlCompose *compose, GError **error);

/* Records that the domain @uuid has the volume, or with %NULL that none has. */
gboolean cmd_define_volume_claim(CmdDefineVolume *from, const char *uuid, GError **error);
