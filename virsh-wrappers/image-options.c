/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/image-options.h"

#include <stdio.h>

#include "measure/error.h"
#include "storage/process.h"
#include "storage/volume.h"
#include "virsh-wrappers/output.h"

static gboolean read_size(const CmdContext *context, CmdImageOptions *out, GError **error)
{
    const char *text = cmd_context_get(context, "size");
    out->options.size = STORAGE_IMAGE_SIZE_DEFAULT;
    out->size_given = text != NULL;
    if (!text || (storage_size_parse(text, &out->options.size) && out->options.size >= STORAGE_IMAGE_SIZE_MIN &&
                  out->options.size <= STORAGE_IMAGE_SIZE_MAX)) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--size: give a size such as 12G, from 1G to 8T");
    return FALSE;
}

static gboolean read_keys(const CmdContext *context, CmdImageOptions *out, GError **error)
{
    const GPtrArray *given = cmd_arguments_all(context->arguments, "ssh-key");
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    if (given->len == 0) {
        return TRUE;
    }
    for (guint i = 0; i < given->len; i++) {
        g_ptr_array_add(paths, g_ptr_array_index(given, i));
    }
    g_ptr_array_add(paths, NULL);
    out->keys = storage_clean_read_keys((const char *const *)paths->pdata, error);
    return out->keys != NULL;
}

gboolean cmd_image_options_read(CmdContext *context, CmdImageOptions *out, GError **error)
{
    const char *hostname = cmd_context_get(context, "hostname");
    out->options.output = cmd_context_get(context, "output");
    if (!out->options.output) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "%s: --output FILE is missing", context->command->name);
        return FALSE;
    }
    if (hostname && !storage_clean_hostname_valid(hostname)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--hostname: letters, digits, '-' and '.', at most 63 characters");
        return FALSE;
    }
    if (!read_size(context, out, error) || !read_keys(context, out, error)) {
        return FALSE;
    }
    const PolicyConfig *config = cmd_context_config(context, error);
    out->options.store = config && out->options.force ? cmd_context_store(context, error) : NULL;
    if (!config || (out->options.force && !out->options.store)) {
        return FALSE;
    }
    if (!cmd_context_has(context, "no-report-agent")) {
        out->agent = storage_clean_read_agent(config->guest_report, error);
        if (!out->agent) {
            return FALSE;
        }
    }
    out->progress = cmd_progress_new(context);
    out->options.force = cmd_context_has(context, "force");
    out->options.init = config->guest_init;
    out->options.clean.hostname = hostname;
    out->options.clean.keys = out->keys;
    out->options.clean.agent = out->agent;
    out->options.clean.console_login = cmd_context_has(context, "console-login");
    out->options.progress = cmd_progress_update;
    out->options.progress_data = out->progress;
    return TRUE;
}

void cmd_image_options_clear(CmdImageOptions *options)
{
    cmd_progress_free(options->progress);
    g_free(options->keys);
    g_clear_pointer(&options->agent, g_bytes_unref);
}

void cmd_image_report(const CmdContext *context, const CmdImageOptions *options)
{
    cmd_progress_clear(options->progress);
    if (cmd_context_quiet(context)) {
        return;
    }
    if (!options->keys && !options->options.clean.console_login) {
        cmd_warn("nobody can log in to a guest from this image: no --ssh-key was given");
    }
    g_autofree gchar *path = cmd_printable(options->options.output);
    printf("Image '%s' made; what is in it: '%s.manifest.json'\n", path, path);
}

int cmd_image_run(CmdContext *context, gboolean (*run)(CmdContext *context, GError **error), GError **error)
{
    storage_interrupt_begin();
    gboolean good = run(context, error);
    if (good) {
        storage_interrupt_done();
    } else if (!storage_interrupt_check(NULL)) {
        fprintf(stderr, "error: %s\n", (*error)->message);
    }
    storage_interrupt_end();
    return good ? 0 : -1;
}
