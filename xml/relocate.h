/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain XML that goes to another host, or into a bundle: the same domain, with other names for its files. */
#pragma once

#include "xml/domain.h"

/**
 * XmlDiskMove:
 * @target: of a disk: "vda"
 * @path: where it lies on the other host; below /dev it is a block device
 */
typedef struct {
    gchar *target, *path;
} XmlDiskMove;
void xml_disk_move_free(XmlDiskMove *move);

/**
 * XmlRelocate:
 * @firmware, @kernel, @initrd: (nullable): new names of files that the XML names already; %NULL leaves them as they are
 * @fixed_firmware: drop what makes libvirt choose, or look for, a firmware by its descriptors: <os firmware='…'>,
 *   <firmware>: the file is no installed one any more
 * @drop_secrets: drop passwords of <graphics>, which libvirt shows only to who asks for them
 * @name, @uuid: (nullable): of the domain; an empty @uuid removes it
 * @emulator: (nullable): program; an empty one leaves the choice to libvirt
 * @disks: (nullable) (element-type XmlDiskMove)
 *
 * Everything else stays as it is, byte for byte where XML allows it.
 */
typedef struct {
    const char *firmware, *kernel, *initrd;
    gboolean fixed_firmware, drop_secrets;
    const char *name, *uuid, *emulator;
    const GPtrArray *disks;
} XmlRelocate;

/* Errors: %ATTEST_ERROR_UNREADABLE for what is no domain XML, or has no such element where a new name is given;
 * %ATTEST_ERROR_USAGE for a disk that the domain does not have, with those that it has. */
gchar *xml_relocate(const char *text, gssize size, const XmlRelocate *changes, GError **error);
