/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SnpGuard's launch-config.json and kernel-params.txt, two of the seven members of its launch-artifacts.tar.gz. */
#pragma once

#include "policy/exchange/digests.h"
#include "xml/compose.h"

#define EXCHANGE_LAUNCH_CONFIG_MAX_SIZE (64u * 1024)
#define EXCHANGE_KERNEL_PARAMS_MAX_SIZE 2047 /* as much as a kernel reads */

/**
 * ExchangeLaunchConfig:
 * @vcpu_model: as SnpGuard names it: "EPYC-Milan", "EPYC-Genoa", "EPYC-Turin"; a model of our catalogue in any case
 * @vcpu_count: 1 to %MEASURE_MAX_VCPUS
 * @guest_policy: of SEV-SNP
 */
typedef struct {
    gchar *vcpu_model;
    guint vcpu_count;
    guint64 guest_policy;
} ExchangeLaunchConfig;

/* Members that are not known are skipped, as SnpGuard skips them. Errors: %ATTEST_ERROR_UNREADABLE. */
ExchangeLaunchConfig *exchange_launch_config_parse(const char *text, gssize size, GError **error);
void exchange_launch_config_free(ExchangeLaunchConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ExchangeLaunchConfig, exchange_launch_config_free)
/* Indented by two blanks, members in SnpGuard's order, no newline at the end. */
gchar *exchange_launch_config_format(const ExchangeLaunchConfig *config);
/* Errors: %ATTEST_ERROR_USAGE when the reference has several CPU types or vCPU counts, or a CPU without a name. */
ExchangeLaunchConfig *exchange_launch_config_from_reference(const PolicyReference *reference, GError **error);
/* CPU, vCPUs, policy, platform and level 3 into @compose. */
void exchange_launch_config_to_compose(const ExchangeLaunchConfig *config, XmlCompose *compose);

/**
 * exchange_kernel_params_parse:
 *
 * The whole file is the command line: no newline is taken off, since the measurement covers every byte.
 *
 * Returns: (transfer full): the same bytes; %ATTEST_ERROR_UNREADABLE for control characters (a newline at the end
 * included, with that said), bytes that are not UTF-8, and more than %EXCHANGE_KERNEL_PARAMS_MAX_SIZE bytes.
 */
gchar *exchange_kernel_params_parse(const char *data, gsize size, GError **error);
