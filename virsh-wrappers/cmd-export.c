/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* export: what a domain must measure, in the format of another program. */
#include "virsh-wrappers/commands.h"

#include <string.h>

#include "measure/error.h"
#include "policy/exchange/corim.h"
#include "policy/exchange/launch-config.h"
#include "policy/exchange/savs.h"
#include "policy/exchange/shell.h"
#include "policy/exchange/trustee.h"
#include "policy/exchange/vm-config.h"
#include "policy/guest-policy.h"
#include "virsh-wrappers/alman-file.h"
#include "virsh-wrappers/snpguard.h"

/* Text of @reference; %NULL with @error. */
typedef gchar *(*Writer)(const PolicyReference *reference, GError **error);

static gchar *write_cpu_types(const PolicyReference *reference, GError **error)
{
    if (!exchange_require_snp(reference, "cpu-types.json", error)) {
        return NULL;
    }
    g_autoptr(GPtrArray) cpus = exchange_alman_cpus_from_reference(reference);
    return exchange_alman_cpus_format(cpus);
}

/* ALman's list is one of names: a signature needs no permission there. */
static gchar *write_legal_cpu_types(const PolicyReference *reference, GError **error)
{
    if (!exchange_require_snp(reference, "legal-cpu-types.json", error)) {
        return NULL;
    }
    g_autoptr(GPtrArray) cpus = exchange_alman_cpus_from_reference(reference);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < cpus->len; i++) {
        const ExchangeAlmanCpu *cpu = g_ptr_array_index(cpus, i);
        if (cpu->kind == EXCHANGE_ALMAN_TYPE) {
            g_ptr_array_add(names, cpu->type);
        }
    }
    if (names->len == 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "legal-cpu-types.json lists CPU models, and the reference has signatures only: choose models with "
                    "--cpu");
        return NULL;
    }
    return exchange_alman_legal_format(names);
}

static gchar *write_alman_conf(const PolicyReference *reference, GError **error)
{
    g_autoptr(ExchangeAlmanConf) conf = exchange_alman_conf_from_reference(reference, error);
    return conf ? exchange_alman_conf_format(conf, error) : NULL;
}

static gchar *write_vm_config(const PolicyReference *reference, GError **error)
{
    g_autoptr(ExchangeVmConfig) config = exchange_vm_config_from_reference(reference, error);
    return config ? exchange_vm_config_format(config) : NULL;
}

static gchar *write_launch_config(const PolicyReference *reference, GError **error)
{
    g_autoptr(ExchangeLaunchConfig) config = exchange_launch_config_from_reference(reference, error);
    return config ? exchange_launch_config_format(config) : NULL;
}

static gchar *write_json(const PolicyReference *reference, GError **error)
{
    return policy_reference_format(reference, POLICY_REFERENCE_PORTABLE);
}

static gchar *write_shell(const PolicyReference *reference, GError **error)
{
    return exchange_shell_format(reference);
}

static const struct {
    const char *name;
    Writer write;
} formats[] = {
    {"alman-cpu-types", write_cpu_types},
    {"alman-legal-cpu-types", write_legal_cpu_types},
    {"alman-conf", write_alman_conf},
    {"openend2e", write_vm_config},
    {"snpguard-config", write_launch_config},
    {"savs", exchange_savs_format},
    {"rvps", exchange_rvps_format},
    {"rvps-message", exchange_rvps_message_format},
    {"trustee-policy", exchange_trustee_policy_format},
    {"json", write_json},
    {"shell", write_shell},
};

/* What verifiers read, and what it has a place for; files that only configure a launch are not here. */
static const struct {
    const char *name;
    guint has;
    guint64 policy_bits;
} places[] = {
    {"alman", 0, POLICY_SNP_RESERVED_ONE},
    {"corim", EXCHANGE_HAS_SVN, POLICY_SNP_RESERVED_ONE},
    {"openend2e",
     EXCHANGE_HAS_IDS | EXCHANGE_HAS_PRODUCT | EXCHANGE_HAS_MINIMUM_TCB | EXCHANGE_HAS_PLATFORM_INFO, G_MAXUINT64},
    {"rvps", EXCHANGE_HAS_MINIMUM_TCB | EXCHANGE_HAS_PLATFORM_INFO, EXCHANGE_RVPS_POLICY_BITS},
    {"rvps-message", EXCHANGE_HAS_MINIMUM_TCB | EXCHANGE_HAS_PLATFORM_INFO, EXCHANGE_RVPS_POLICY_BITS},
    {"savs", G_MAXUINT, G_MAXUINT64},
    {"trustee-policy", EXCHANGE_HAS_HOST_DATA | EXCHANGE_HAS_MINIMUM_TCB | EXCHANGE_HAS_PLATFORM_INFO,
     EXCHANGE_TRUSTEE_POLICY_BITS},
};

static void warn_left_out(const char *format, const PolicyReference *reference)
{
    for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autofree gchar *text = g_str_equal(places[i].name, format)
                                     ? exchange_left_out(reference, places[i].has, places[i].policy_bits)
                                     : NULL;
        if (text) {
            cmd_warn("%s has no place for this, which is left out and not checked there: %s", format, text);
        }
    }
}

/* With --output the file is ALman's own, and other guests are in it: it is merged, not replaced. */
static gboolean export_alman(CmdContext *context, const PolicyReference *reference, GError **error)
{
    const char *path = cmd_context_get(context, "output");
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree gchar *time = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
    g_autofree gchar *absolute = path ? g_canonicalize_filename(path, NULL) : NULL;
    g_autofree gchar *folder = absolute ? g_path_get_dirname(absolute) : NULL;
    g_autofree gchar *list = folder ? g_build_filename(folder, "cpu-types.json", NULL) : NULL;
    g_autoptr(ExchangeAlmanGuest) guest = exchange_alman_guest_from_reference(reference, time, list, error);
    if (!guest) {
        return FALSE;
    }
    if (guest->al > reference->level && !cmd_context_quiet(context)) {
        cmd_warn("ALman will call this level %u, after the form of the launch; what is proven of it is level %u",
                 guest->al, reference->level);
    }
    if (path) {
        return cmd_alman_update(path, guest, error);
    }
    g_autofree gchar *text = exchange_alman_expected_merge(NULL, 0, guest, error);
    return text && cmd_write_output(context, text, strlen(text), FALSE, error);
}

static gboolean export_corim(const CmdContext *context, const PolicyReference *reference, GError **error)
{
    g_autoptr(GBytes) bytes = exchange_corim_format(reference, error);
    return bytes && cmd_write_output(context, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), FALSE, error);
}

static gboolean export_text(const CmdContext *context, const char *format, const PolicyReference *reference,
                            GError **error)
{
    g_autofree gchar *text = NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (g_str_equal(formats[i].name, format)) {
            text = formats[i].write(reference, error);
        }
    }
    return text && cmd_write_output(context, text, strlen(text), FALSE, error);
}

int cmd_export(CmdContext *context, GError **error)
{
    const char *format = cmd_context_get(context, "to");
    g_auto(CmdReferenceSource) source = {.reference = NULL};
    gboolean done = FALSE;
    if (!format) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "export: the option --to is missing");
        return -1;
    }
    if (g_strcmp0(cmd_context_get(context, "output"), "-") == 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--output -: leave --output out to write to standard output; a file of this name is './-'");
        return -1;
    }
    if (!cmd_reference_source_load(context, cmd_context_word(context, 0), &source, error) ||
        !policy_guest_check(source.reference->platform, source.reference->policy,
                            cmd_context_has(context, "allow-debug"), error)) {
        return -1;
    }
    if (g_str_equal(format, "snpguard")) {
        return cmd_export_snpguard(context, &source, error);
    }
    if (g_str_equal(format, "alman")) {
        done = export_alman(context, source.reference, error);
    } else if (g_str_equal(format, "corim")) {
        done = export_corim(context, source.reference, error);
    } else if (g_str_equal(format, "table")) {
        g_autofree gchar *text = cmd_reference_table(source.reference, cmd_context_quiet(context));
        done = cmd_write_output(context, text, strlen(text), FALSE, error);
    } else {
        done = export_text(context, format, source.reference, error);
    }
    if (done) {
        warn_left_out(format, source.reference);
    }
    return done ? 0 : -1;
}
