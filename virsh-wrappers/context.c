/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/commands.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "measure/error.h"
#include "virsh-wrappers/define-id-block.h"
#include "virsh-wrappers/define-signed.h"

gboolean cmd_context_has(const CmdContext *context, const char *name)
{
    const CmdOption *own[] = {context->command->options, NULL};
    gboolean global = cmd_option_find((const CmdOption *const[]){cmd_global_options, NULL}, name) != NULL;
    if (!global && !cmd_option_find(own, name)) {
        return FALSE;
    }
    return cmd_arguments_has(context->arguments, name) || (global && cmd_arguments_has(context->globals, name));
}

const char *cmd_context_get(const CmdContext *context, const char *name)
{
    if (!cmd_context_has(context, name)) {
        return NULL;
    }
    const char *value = cmd_arguments_get(context->arguments, name);
    return value ? value : cmd_arguments_get(context->globals, name);
}

const char *cmd_context_word(const CmdContext *context, guint n)
{
    const GPtrArray *words = cmd_arguments_words(context->arguments);
    return n < words->len ? g_ptr_array_index(words, n) : NULL;
}

gboolean cmd_context_quiet(const CmdContext *context)
{
    return cmd_context_has(context, "quiet");
}

gboolean cmd_context_json(const CmdContext *context)
{
    return g_strcmp0(cmd_context_get(context, "format"), "json") == 0;
}

PolicyConfig *cmd_context_config(CmdContext *context, GError **error)
{
    if (!context->config) {
        context->config = policy_config_load(cmd_context_get(context, "config"), error);
    }
    return context->config;
}

PolicyStore *cmd_context_store(CmdContext *context, GError **error)
{
    if (!context->store) {
        PolicyConfig *config = cmd_context_config(context, error);
        if (!config) {
            return NULL;
        }
        context->store = policy_store_open(config->state_directory, FALSE, error);
    }
    return context->store;
}

PolicyStore *cmd_context_store_writable(CmdContext *context, GError **error)
{
    PolicyConfig *config = cmd_context_config(context, error);
    if (!config) {
        return NULL;
    }
    g_autoptr(GError) cause = NULL;
    g_autoptr(PolicyStore) store = policy_store_open(config->state_directory, TRUE, &cause);
    if (!store) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED, "%s", cause->message);
        return NULL;
    }
    g_autofree gchar *references = g_build_filename(config->state_directory, "references", NULL);
    if (access(references, W_OK | X_OK) != 0) {
        g_set_error(
            error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
            "cannot write to the state folder '%s': %s; run this command as root, or set state-directory in '%s'",
            references, g_strerror(errno), config->path);
        return NULL;
    }
    g_clear_pointer(&context->store, policy_store_free);
    context->store = g_steal_pointer(&store);
    return context->store;
}

#define LOCK_TIMEOUT_MS 10000

void cmd_lock_release(CmdLock *lock)
{
    if (*lock >= 0) {
        close(*lock);
    }
    *lock = -1;
}

gboolean cmd_lock(PolicyStore *store, const char *uuid, CmdLock *lock, GError **error)
{
    g_autofree gchar *name = g_strconcat(uuid, ".json", NULL);
    *lock = policy_store_lock(store, "references", name, LOCK_TIMEOUT_MS, error);
    if (*lock < 0) {
        g_prefix_error(error, "cannot lock domain %s against another virt-attest that works on it (if so, try again "
                              "later); nothing was changed: ",
                       uuid);
    }
    return *lock >= 0;
}

gboolean cmd_context_cpus(const CmdContext *context, GPtrArray **out, GError **error)
{
    const GPtrArray *given = cmd_arguments_all(context->arguments, "cpu");
    g_autoptr(GPtrArray) cpus = g_ptr_array_new_with_free_func((GDestroyNotify)measure_cpu_free);
    for (guint i = 0; i < given->len; i++) {
        g_auto(GStrv) names = g_strsplit(g_ptr_array_index(given, i), ",", -1);
        if (!names[0]) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                        "--cpu is empty: give a model name (EPYC-Milan), a signature or 'host', or leave it out");
            return FALSE;
        }
        for (gchar **name = names; *name; name++) {
            MeasureCpu *cpu = NULL;
            if (g_str_equal(g_strstrip(*name), "host")) {
                guint32 signature = measure_cpu_host_signature();
                if (signature == 0 || !measure_cpu_host_is_amd()) {
                    g_set_error(
                        error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                        "--cpu host: this machine's processor has no SEV; name the launching host's CPU type instead");
                    return FALSE;
                }
                cpu = measure_cpu_new(NULL, signature);
            } else {
                cpu = measure_cpu_from_text(*name, error);
            }
            if (!cpu) {
                return FALSE;
            }
            g_ptr_array_add(cpus, cpu);
        }
    }
    *out = given->len > 0 ? g_steal_pointer(&cpus) : NULL;
    return TRUE;
}

void cmd_context_clear(CmdContext *context)
{
    g_clear_pointer(&context->globals, cmd_arguments_free);
    g_clear_pointer(&context->arguments, cmd_arguments_free);
    g_clear_pointer(&context->config, policy_config_free);
    g_clear_pointer(&context->store, policy_store_free);
    g_clear_pointer(&context->identity, cmd_define_identity_free);
    g_clear_pointer(&context->signing, cmd_define_signing_free);
}
