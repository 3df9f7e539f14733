/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A new domain XML for a chosen level. */
#pragma once

#include <glib.h>

/**
 * XmlCompose:
 * @memory_mib: MiB
 * @cbitpos, @reduced_phys_bits: from domcapabilities, -1 to leave them to libvirt; never constants
 * @disks: (element-type utf8): "PATH[,format=qcow2][,serial=S][,readonly=on]"
 * @networks: (element-type utf8): names of libvirt networks
 * @console: give the domain a serial console
 */
typedef struct {
    gchar *name, *uuid;
    gchar *domain_type; /* "kvm" */
    gchar *machine;     /* "q35" */
    gchar *emulator;    /* NULL: libvirt's choice */
    guint memory_mib, vcpus;
    gchar *cpu; /* model name, "host-model" or "host-passthrough" */
    guint level;
    gboolean snp; /* else SEV/SEV-ES by policy */
    guint64 policy;
    gint cbitpos, reduced_phys_bits;
    gchar *firmware, *kernel, *initrd, *cmdline;
    GPtrArray *disks, *networks;
    gboolean console;
} XmlCompose;

XmlCompose *xml_compose_new(void);
void xml_compose_free(XmlCompose *compose);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XmlCompose, xml_compose_free)

/* The domain XML, every value escaped. Errors: %ATTEST_ERROR_USAGE for a name, path or combination libvirt would refuse. */
gchar *xml_compose_format(const XmlCompose *compose, GError **error);
