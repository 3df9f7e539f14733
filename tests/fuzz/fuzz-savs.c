/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The JSON of verifiers and of SnpGuard: policies.json, reference values, launch-config.json; and kernel-params.txt. */
#include <stdint.h>
#include <string.h>

#include "policy/exchange/launch-config.h"
#include "policy/exchange/savs.h"
#include "policy/exchange/trustee.h"
#include "tests/fuzz/exchange-oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_launch_config(const char *text, gssize size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ExchangeLaunchConfig) config = exchange_launch_config_parse(text, size, &error);
    g_autoptr(ExchangeLaunchConfig) back = NULL;
    g_autofree gchar *written = NULL;

    if (!config) {
        check_error(&error);
        return;
    }
    written = exchange_launch_config_format(config);
    back = exchange_launch_config_parse(written, -1, NULL);
    if (!back || back->vcpu_count != config->vcpu_count || back->guest_policy != config->guest_policy)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = data ? (const char *)data : "";
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) unbound = NULL;
    g_autoptr(GPtrArray) deployments = exchange_savs_parse(text, (gssize)size, &unbound, &error);
    g_autoptr(GPtrArray) values = NULL;
    g_autofree gchar *cmdline = NULL;

    if (!deployments)
        check_error(&error);
    values = exchange_rvps_parse(text, (gssize)size, &error);
    if (!values)
        check_error(&error);
    check_launch_config(text, (gssize)size);
    cmdline = exchange_kernel_params_parse(text, size, &error);
    if (!cmdline)
        check_error(&error);
    else if (strlen(cmdline) != size || memcmp(cmdline, text, size))
        abort();
    return 0;
}
