/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A libvirt domain XML, reduced to what a launch measurement and a level depend on. */
#pragma once

#include "measure/launch.h"
#include "xml/attestation.h"

#define XML_MAX_SIZE (8u * 1024 * 1024)

typedef enum {
    XML_LOADER_NONE,       /* no <loader>, no firmware= : the machine's BIOS */
    XML_LOADER_UNRESOLVED, /* <os firmware='efi'> without a path yet */
    XML_LOADER_ROM,
    XML_LOADER_PFLASH,
} XmlLoaderType;

typedef enum {
    XML_LAUNCH_NONE,
    XML_LAUNCH_SEV,
    XML_LAUNCH_SNP,
    XML_LAUNCH_OTHER, /* s390-pv, tdx, …: a TEE that is not ours to measure */
} XmlLaunchType;

typedef enum {
    XML_CPU_DEFAULT, /* no <cpu>, or one without a model: QEMU's default, qemu64 */
    XML_CPU_CUSTOM,
    XML_CPU_HOST_MODEL,       /* resolved to XML_CPU_CUSTOM in the hook's `start` XML */
    XML_CPU_HOST_PASSTHROUGH, /* also mode='maximum' */
} XmlCpuMode;

typedef struct {
    gchar *source, *target, *serial, *format, *device, *type;
    gboolean readonly;
} XmlDisk;

/**
 * XmlDomain:
 *
 * Strings are %NULL where the XML has nothing. Sizes: @id_block 96 bytes, @id_auth 4096, @host_data 32,
 * @guest_visible_workarounds 16; %NULL or exactly that long. Paths and the command line are verbatim, blanks included,
 * as libvirt takes them. An empty element counts as absent, as it does for libvirt.
 *
 * @has_nvram is %TRUE for every <nvram> element, of a file, a block device, the network, a template or empty, and for
 * every loader of type pflash that is not stateless: to such a one libvirt adds the <nvram> when it defines the domain,
 * so that the XML before and the XML after give the same answer.
 */
typedef struct {
    gchar *name, *uuid; /* uuid: lower case, 36 characters */
    gchar *type;        /* "kvm", "qemu", "test" */
    gchar *arch, *machine, *emulator;
    XmlLoaderType loader_type;
    gchar *loader, *loader_format; /* format: NULL, "raw", "qcow2" */
    gboolean loader_stateless;
    gboolean has_nvram; /* the guest will have a store for UEFI variables, whose contents nothing measures */
    gchar *nvram;       /* where: path or "PROTOCOL:NAME"; often NULL although there is one */
    gchar *kernel, *initrd, *cmdline, *shim, *dtb;
    guint vcpus_max;  /* may be more than can be launched */
    guint vcpus_boot; /* the enabled ones, hot-pluggable or not: as many VMSAs; 0 where libvirt takes that */
    XmlCpuMode cpu_mode;
    gchar *cpu_model;
    XmlLaunchType launch_type;
    gchar *launch_type_name;
    gboolean kernel_hashes;
    gboolean author_key, vcek_disabled;
    gboolean has_policy;
    guint64 policy;
    gchar *policy_text; /* as written */
    gint cbitpos, reduced_phys_bits; /* -1: not given */
    gchar *dh_cert, *session;        /* base64 text, SEV and SEV-ES */
    GBytes *guest_visible_workarounds, *id_block, *id_auth, *host_data;
    GPtrArray *unknown_launch;       /* launchSecurity children ("name") and attributes ("@name") that we do not know */
    GPtrArray *unknown;              /* what else may change the launch: "<os> child 'x'", "cpu mode 'y'" */
    gboolean has_qemu_commandline;
    gboolean has_qemu_override;      /* <qemu:override>, <qemu:capabilities> or another element of that namespace */
    GPtrArray *qemu_args;            /* texts of <qemu:arg value=…> */
    GPtrArray *disks;                /* XmlDisk; source: path, "POOL/VOLUME" or "PROTOCOL:NAME" */
    XmlAttestation *attestation;     /* our metadata element, or NULL */
    GPtrArray *warnings;             /* such as "policy '196608' is read as hexadecimal 0x196608" */
} XmlDomain;

/**
 * xml_domain_parse:
 * @text: domain XML, at most %XML_MAX_SIZE bytes; hostile
 * @size: bytes, or -1 when zero-terminated
 *
 * No DTD, no entities beyond the predefined ones, no network. Errors: %ATTEST_ERROR_UNREADABLE with line and cause,
 * also for what libvirt reads in a way of its own and never writes: an element twice, elements inside the name, the
 * UUID or a number, attributes with a prefix, another encoding than UTF-8.
 *
 * Values that libvirt takes, this one or a later one, and that no launch can be predicted with are no errors here: a
 * domain without launchSecurity may have them. They stand in @unknown, and xml_domain_to_launch() refuses them.
 *
 * A damaged metadata element of ours is an error too; xml_document_set_attestation() can replace it.
 */
XmlDomain *xml_domain_parse(const char *text, gssize size, GError **error);
void xml_domain_free(XmlDomain *domain);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XmlDomain, xml_domain_free)

/* sev, sev-es (policy bit 2) or sev-snp; FALSE when the domain has none of them. */
gboolean xml_domain_platform(const XmlDomain *domain, MeasurePlatform *out);

/**
 * XmlLaunchOptions:
 * @cpus: (nullable) (element-type MeasureCpu): CPU types to predict for when the XML leaves the choice to
 *   the host (host-model, host-passthrough); given by the user or by the configuration
 * @on_launch_host: this is the machine that launches: host-passthrough means this processor's signature
 * @guest_features: overrides the platform's default unless 0
 * @fpu: for SEV-ES
 */
typedef struct {
    GPtrArray *cpus;
    gboolean on_launch_host;
    guint64 guest_features;
    MeasureFpu fpu;
} XmlLaunchOptions;

/**
 * xml_domain_to_launch:
 * @domain: a parsed domain
 * @options: (nullable): %NULL for none of them
 *
 * The launch has a kernel, an initrd and a command line whenever the domain has, measured (kernelHashes) or not. Plain
 * SEV gets no CPU: its measurement has none.
 *
 * Errors: %ATTEST_ERROR_UNREADABLE, with what to do, for everything that cannot be predicted: no (or another)
 * launchSecurity, unresolved firmware, pflash with sev-snp, a loader format other than raw, a CPU that is not
 * known here, shim or dtb, <qemu:commandline> or <qemu:override>, unknown launchSecurity or <os> contents,
 * kernelHashes without a kernel, an initrd or command line without one, a path that is not absolute, another
 * architecture or machine than x86_64 q35 (pc for plain SEV), a missing policy, more than %MEASURE_MAX_VCPUS vCPUs.
 */
MeasureLaunch *xml_domain_to_launch(const XmlDomain *domain, const XmlLaunchOptions *options, GError **error);
