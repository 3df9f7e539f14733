/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libvirt says its QEMU can do (domcapabilities), reduced to what matters here. */
#pragma once

#include "virsh-wrappers/connection.h"
#include "xml/domain.h"

/**
 * CmdDomcaps:
 * @emulator: (nullable): path of the QEMU that was asked
 * @sev, @sev_es, @snp: supported
 * @cbitpos, @reduced_phys_bits: of this processor, -1 where libvirt does not say
 * @loaders: (element-type utf8): firmware files of which libvirt knows
 */
typedef struct {
    gchar *emulator;
    gboolean sev, sev_es, snp;
    gint cbitpos, reduced_phys_bits;
    GPtrArray *loaders;
} CmdDomcaps;

/* Reads the XML of virConnectGetDomainCapabilities(). */
CmdDomcaps *cmd_domcaps_parse(const char *xml, gsize size, GError **error);
/* Asks libvirt; @emulator and @type ("kvm") may be %NULL for libvirt's choice. */
CmdDomcaps *cmd_domcaps_get(virConnectPtr connection, const char *emulator, const char *type, GError **error);
void cmd_domcaps_free(CmdDomcaps *caps);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CmdDomcaps, cmd_domcaps_free)
