/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* image-build: a base image from the packages of a distribution. */
#include "virsh-wrappers/commands.h"

#include "measure/error.h"
#include "storage/image-build.h"
#include "virsh-wrappers/image-options.h"

static gboolean build(CmdContext *context, GError **error)
{
    g_auto(CmdImageOptions) image = {.keys = NULL};
    const StorageBuildOptions options = {
        .suite = cmd_context_get(context, "suite"),
        .packages = cmd_arguments_all(context->arguments, "package"),
        .script = cmd_context_get(context, "script"),
        .mirror = cmd_context_get(context, "mirror"),
        .keyring = cmd_context_get(context, "keyring"),
        .snapshot = cmd_context_get(context, "snapshot"),
    };
    if (!options.suite) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "image-build: --suite SUITE is missing");
        return FALSE;
    }
    if (!cmd_image_options_read(context, &image, error) || !storage_image_build(&options, &image.options, error)) {
        return FALSE;
    }
    cmd_image_report(context, &image);
    return TRUE;
}

int cmd_image_build(CmdContext *context, GError **error)
{
    return cmd_image_run(context, build, error);
}
