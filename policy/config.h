/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /etc/virt-attest/virt-attest.conf. */
#pragma once

#include "measure/launch.h"

typedef enum { POLICY_UNPINNED_OBSERVE, POLICY_UNPINNED_REFUSE } PolicyUnpinned;

/**
 * PolicyConfig:
 * @path: the file that was read, or that would be
 * @exists: it was there; otherwise everything is a default
 * @unpinned: [gate] unpinned = observe | refuse: what to do with a confidential domain that has no pinned reference
 * @watchdog: [gate] watchdog, seconds, 1 to 60, default 10: when the hook refuses rather than keep libvirt waiting
 * @history: [gate] history, launches kept per domain, 1 to 10000, default 100
 * @allowed_cpus: (element-type MeasureCpu): [measure] allowed-cpus, list of names or signatures; default: the
 *   SNP-capable models of QEMU and the signatures of real parts
 * @default_cpus: @allowed_cpus is the default list; policy_config_cpus() adds the older models for SEV and SEV-ES then
 * @guest_features: [measure] guest-features, 0 for the platform's default
 * @sev_es_fpu: [measure] sev-es-fpu = legacy | init2, default legacy
 * @trusted_firmware: (element-type utf8): [firmware] trusted, list of SHA-256 (64 hex digits) the owner vouches for
 * @guest_init: [guest] init: the static init of our initrd; initrds are built from it and judged by it
 * @guest_report: [guest] report: the static program that fetches the guest's report, which images get
 * @trusted_init: (element-type utf8): [guest] trusted-init, list of SHA-256 (64 hex digits) of further inits that the
 *   owner vouches for, such as the one before an upgrade
 * @trusted_keys: [reference] trusted-keys: folder with the public keys (NAME.pem) one of which must have signed every pinned
 *   reference; default /etc/virt-attest/trusted-keys.d. With no key in it signatures are not asked for
 * @names_trusted_keys: the file names that folder: then it must be there
 * @state_directory: [paths] state-directory; default: the system's for root, $XDG_STATE_HOME/virt-attest otherwise
 */
typedef struct {
    gchar *path;
    gboolean exists;
    PolicyUnpinned unpinned;
    guint watchdog;
    guint history;
    GPtrArray *allowed_cpus;
    gboolean default_cpus;
    guint64 guest_features;
    MeasureFpu sev_es_fpu;
    GPtrArray *trusted_firmware;
    gchar *guest_init, *guest_report;
    GPtrArray *trusted_init;
    gchar *trusted_keys;
    gboolean names_trusted_keys;
    gchar *state_directory;
} PolicyConfig;

/**
 * policy_config_load:
 * @path: (nullable): the file; %NULL: $VIRT_ATTEST_CONFIG if set, else for an ordinary user
 *   $XDG_CONFIG_HOME/virt-attest/virt-attest.conf when it exists, else the system's
 *
 * A file that is named explicitly must exist; the default one need not. One that belongs to somebody other than root
 * and the user, or that everybody or a group other than root's may write to, is refused. An unknown group, key or value is
 * %ATTEST_ERROR_UNREADABLE with the file, the group, the key and the known ones. (libvirt hands its hooks a fixed, tiny
 * environment, so VIRT_ATTEST_CONFIG cannot reach the hook from a user.)
 */
PolicyConfig *policy_config_load(const char *path, GError **error);
/* Where references and records are unless the configuration says otherwise. */
gchar *policy_config_default_state_directory(void);
/**
 * policy_config_cpus:
 *
 * Returns: (transfer full) (element-type MeasureCpu): the CPU types allowed on @platform: @allowed_cpus, and EPYC and
 * EPYC-Rome too for SEV and SEV-ES unless the configuration has a list of its own.
 */
GPtrArray *policy_config_cpus(const PolicyConfig *config, MeasurePlatform platform);
void policy_config_free(PolicyConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyConfig, policy_config_free)
