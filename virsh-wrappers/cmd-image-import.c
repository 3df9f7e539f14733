/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* image-import: a base image from a cloud image. */
#include "virsh-wrappers/commands.h"

#include "storage/image-import.h"
#include "virsh-wrappers/image-options.h"

static gboolean import(CmdContext *context, GError **error)
{
    g_auto(CmdImageOptions) image = {.keys = NULL};
    const char *format = cmd_context_get(context, "format");
    if (!cmd_image_options_read(context, &image, error)) {
        return FALSE;
    }
    if (!image.size_given) {
        image.options.size = 0;
    }
    if (!storage_image_import(cmd_context_word(context, 0),
                              !format                         ? STORAGE_FORMAT_BY_NAME
                              : g_str_equal(format, "qcow2") ? STORAGE_FORMAT_QCOW2
                                                             : STORAGE_FORMAT_RAW,
                              &image.options, error)) {
        return FALSE;
    }
    cmd_image_report(context, &image);
    return TRUE;
}

int cmd_image_import(CmdContext *context, GError **error)
{
    return cmd_image_run(context, import, error);
}
