/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/exchange/launch-config.h"

#include <string.h>

#include "measure/cpu.h"
#include "measure/error.h"
#include "policy/guest-policy.h"
#include "policy/json.h"

#define FILE_NAME "launch-config.json"

void exchange_launch_config_free(ExchangeLaunchConfig *config)
{
    if (!config)
        return;
    g_free(config->vcpu_model);
    g_free(config);
}

/* "0x30000", leading zeros and upper case allowed. */
static gboolean read_policy(JsonObject *root, guint64 *out, GError **error)
{
    g_autofree gchar *text = NULL;

    if (!policy_json_string(root, "", "guest-policy", FALSE, &text, error))
        return FALSE;
    if (!g_str_has_prefix(text, "0x") || !g_ascii_string_to_unsigned(text + 2, 16, 0, G_MAXUINT64, out, NULL))
        return policy_json_error(error, "", "guest-policy", "this is not a number such as 0x30000");
    return TRUE;
}

ExchangeLaunchConfig *exchange_launch_config_parse(const char *text, gssize size, GError **error)
{
    g_autoptr(ExchangeLaunchConfig) config = g_new0(ExchangeLaunchConfig, 1);
    g_autoptr(JsonNode) node = policy_json_parse(text, size, EXCHANGE_LAUNCH_CONFIG_MAX_SIZE, FILE_NAME, error);
    g_autoptr(MeasureCpu) cpu = NULL;
    JsonObject *root = node ? json_node_get_object(node) : NULL;
    g_autoptr(GError) cause = NULL;
    guint64 vcpus = 0;

    if (!root)
        return NULL;
    if (!policy_json_string(root, "", "vcpu-model", FALSE, &config->vcpu_model, error) ||
        !policy_json_uint(root, "", "vcpu-count", FALSE, MEASURE_MAX_VCPUS, &vcpus, error) ||
        !read_policy(root, &config->guest_policy, error)) {
        g_prefix_error(error, FILE_NAME ": ");
        return NULL;
    }
    cpu = measure_cpu_from_name(config->vcpu_model, &cause);
    if (!cpu || !vcpus) {
        exchange_fail(error, ATTEST_ERROR_UNREADABLE, FILE_NAME ": %s",
                      cpu ? "vcpu-count: there is no launch without a vCPU" : cause->message);
        return NULL;
    }
    config->vcpu_count = (guint)vcpus;
    return g_steal_pointer(&config);
}

gchar *exchange_launch_config_format(const ExchangeLaunchConfig *config)
{
    /* A name of the catalogue has nothing to escape. */
    return g_strdup_printf(
        "{\n  \"vcpu-model\": \"%s\",\n  \"vcpu-count\": %u,\n  \"guest-policy\": \"0x%" G_GINT64_MODIFIER "x\"\n}",
        config->vcpu_model, config->vcpu_count, config->guest_policy);
}

ExchangeLaunchConfig *exchange_launch_config_from_reference(const PolicyReference *reference, GError **error)
{
    g_autoptr(ExchangeLaunchConfig) config = g_new0(ExchangeLaunchConfig, 1);
    g_autoptr(MeasureCpu) cpu = NULL;
    const XmlMeasurement *only = NULL;

    if (!exchange_require_snp(reference, FILE_NAME, error))
        return NULL;
    only = g_ptr_array_index(reference->measurements, 0);
    if (reference->measurements->len > 1) {
        exchange_fail(error, ATTEST_ERROR_USAGE,
                      FILE_NAME " names one CPU and one number of vCPUs, and the reference has "
                                "%u measurements: choose one with --cpu",
                      reference->measurements->len);
        return NULL;
    }
    cpu = only->cpu ? measure_cpu_from_name(only->cpu, NULL) : NULL;
    if (!cpu) {
        exchange_fail(error, ATTEST_ERROR_USAGE,
                      FILE_NAME " names a CPU model, and the reference has a signature only: "
                                "choose a model with --cpu");
        return NULL;
    }
    config->vcpu_model = g_strdup(cpu->name);
    config->vcpu_count = only->vcpus;
    config->guest_policy = reference->policy;
    return g_steal_pointer(&config);
}

void exchange_launch_config_to_compose(const ExchangeLaunchConfig *config, XmlCompose *compose)
{
    compose->level = 3;
    compose->snp = TRUE;
    compose->policy = config->guest_policy;
    compose->vcpus = config->vcpu_count;
    g_free(compose->cpu);
    compose->cpu = g_strdup(config->vcpu_model);
}

gchar *exchange_kernel_params_parse(const char *data, gsize size, GError **error)
{
    if (!exchange_check_text(data, size, EXCHANGE_KERNEL_PARAMS_MAX_SIZE, "kernel-params.txt", error))
        return NULL;
    for (gsize i = 0; i < size; i++) {
        if (!g_ascii_iscntrl(data[i]))
            continue;
        exchange_fail(error, ATTEST_ERROR_UNREADABLE,
                      "kernel-params.txt has %s: the measurement would cover it, and no "
                      "domain XML can hold it",
                      data[i] == '\n' ? "a newline" : "a control character");
        return NULL;
    }
    return g_strndup(data, size);
}
