/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A new domain XML for a chosen level. */
#pragma once

#include <glib.h>

#define XML_REPORT_CHANNEL "org.virt-attest.report.0" /* a virtio-serial port; /dev/virtio-ports/NAME in the guest */

/**
 * XmlCompose:
 * @name: 1 to 240 bytes, neither '/' nor control characters
 * @uuid: (nullable): 36 characters; %NULL leaves the choice to libvirt
 * @domain_type: "kvm"; "qemu" for tests without KVM
 * @machine: "q35" or a version of it; "pc" for level 0 and plain SEV only
 * @emulator: (nullable): path; %NULL: libvirt's choice
 * @memory_mib: MiB
 * @vcpus: 1 to %MEASURE_MAX_VCPUS, all of them there from the start
 * @cpu: model name, "host-model" or "host-passthrough"; above level 0 a model must be in the catalogue
 * @level: 0 to 4; 4 composes what 3 does
 * @snp: sev-snp, else SEV or SEV-ES as @policy has it; unused at level 0
 * @policy: guest policy, with the debug bit refused: bit 19 of SNP set, bit 0 of SEV clear
 * @cbitpos, @reduced_phys_bits: from domcapabilities, -1 to leave them to libvirt; never constants
 * @firmware: path of a rom image; needed above level 0
 * @kernel, @initrd, @cmdline: (nullable): direct boot, the kernel needed at level 3; @cmdline at most 2047 bytes, which
 *   is as much as a kernel reads
 * @disks: (element-type utf8): "PATH[,format=raw|qcow2][,serial=S][,readonly=on|off]"; a comma in the path is written
 *   twice. The format is qcow2 for a path that ends in .qcow2, else raw: never what the file says. The serial is diskN,
 *   counted from 0, by which the guest finds it. A path below /dev is a block device.
 * @networks: (element-type utf8): names of libvirt networks
 * @console: give the domain a serial console
 * @report_channel: give a SEV-SNP domain above level 0 the channel %XML_REPORT_CHANNEL, over which the host asks the guest
 *   for its attestation report; without effect for others, which have no report
 */
typedef struct {
    gchar *name, *uuid;
    gchar *domain_type;
    gchar *machine;
    gchar *emulator;
    guint memory_mib, vcpus;
    gchar *cpu;
    guint level;
    gboolean snp;
    guint64 policy;
    gint cbitpos, reduced_phys_bits;
    gchar *firmware, *kernel, *initrd, *cmdline;
    GPtrArray *disks, *networks;
    gboolean console, report_channel;
} XmlCompose;

/* "kvm", "q35", 2048 MiB, 1 vCPU, host-model, level 0, SNP with policy 0x30000, everything else not given. */
XmlCompose *xml_compose_new(void);
void xml_compose_free(XmlCompose *compose);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XmlCompose, xml_compose_free)

/* Whether libvirt would take @name as a domain's; (nullable). Errors: %ATTEST_ERROR_USAGE. */
gboolean xml_check_name(const char *name, GError **error);
/*
 * The domain XML, every value escaped. Errors: %ATTEST_ERROR_USAGE for a name, path or combination that libvirt would
 * refuse.
 */
gchar *xml_compose_format(const XmlCompose *compose, GError **error);
