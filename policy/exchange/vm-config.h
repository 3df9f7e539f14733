/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm-config.toml of openend2e-sevsnp: one file for launch and verification. */
#pragma once

#include "policy/exchange/digests.h"
#include "xml/compose.h"

/* What openend2e launches every guest with. */
#define EXCHANGE_VM_CONFIG_CPU "EPYC-v4"

/**
 * ExchangeVmConfig:
 * @host_cpu_family: "Milan" or "Genoa"
 * @vcpu_count: 1 to %MEASURE_MAX_VCPUS
 * @ovmf_file, @kernel_file, @initrd_file: paths
 * @kernel_cmdline: may be ""
 * @guest_features: VMSA SEV_FEATURES
 * @platform_info: what a report's PLATFORM_INFO must be, every bit of it
 * @guest_policy: what a report's POLICY must be
 * @family_id, @image_id: for the ID block; zeros where none is used
 * @minimum_tcb: table "min_commited_tcb" (so spelled); no fmc
 * @unknown: (element-type utf8): names of keys that are there and mean nothing to openend2e
 */
typedef struct {
    gchar *host_cpu_family;
    guint vcpu_count;
    gchar *ovmf_file, *kernel_file, *initrd_file, *kernel_cmdline;
    guint64 guest_features, platform_info, guest_policy;
    guint8 family_id[16], image_id[16];
    PolicyTcb minimum_tcb;
    GPtrArray *unknown;
} ExchangeVmConfig;

/* All twelve keys must be there, as openend2e's own reader demands. Errors: %ATTEST_ERROR_UNREADABLE. */
ExchangeVmConfig *exchange_vm_config_parse(const char *text, gssize size, GError **error);
void exchange_vm_config_free(ExchangeVmConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ExchangeVmConfig, exchange_vm_config_free)
/* The same configuration gives the same bytes. */
gchar *exchange_vm_config_format(const ExchangeVmConfig *config);

/**
 * exchange_vm_config_from_reference:
 *
 * Errors: %ATTEST_ERROR_USAGE, with the option to give, when the reference lacks what the file must say (product,
 * minimum TCB, platform information with a full mask, kernel and initrd), or has several vCPU counts or feature sets,
 * or measurements for another CPU than the one that openend2e launches with, %EXCHANGE_VM_CONFIG_CPU, or none for it.
 */
ExchangeVmConfig *exchange_vm_config_from_reference(const PolicyReference *reference, GError **error);
/* The guest as a domain: sev-snp, level 3. @name: of the domain. Errors: %ATTEST_ERROR_UNREADABLE for a relative path.
 */
XmlCompose *exchange_vm_config_to_compose(const ExchangeVmConfig *config, const char *name, GError **error);
/**
 * exchange_vm_config_to_reference:
 *
 * Puts product, minimum TCB and platform information into @reference. The mask has every bit: openend2e compares the
 * whole number, bits that its manual does not name included, and a weaker rule must not come out of a stronger one.
 */
void exchange_vm_config_to_reference(const ExchangeVmConfig *config, PolicyReference *reference);
