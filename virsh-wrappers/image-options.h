/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options that image-build and image-import share. */
#pragma once

#include "storage/image-make.h"
#include "virsh-wrappers/context.h"
#include "virsh-wrappers/progress.h"

/**
 * CmdImageOptions:
 * @options: for storage/; points into this and into the arguments
 * @size_given: --size was given
 */
typedef struct {
    StorageImageOptions options;
    gboolean size_given;
    gchar *keys;
    GBytes *agent;
    CmdProgress *progress;
} CmdImageOptions;

/* Errors: %ATTEST_ERROR_USAGE, and those of storage_clean_read_keys(). */
gboolean cmd_image_options_read(CmdContext *context, CmdImageOptions *out, GError **error);
void cmd_image_options_clear(CmdImageOptions *options);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdImageOptions, cmd_image_options_clear)
/* Runs the command proper so that a signal undoes it: the error is printed, then the signal takes its effect. */
int cmd_image_run(CmdContext *context, gboolean (*run)(CmdContext *context, GError **error), GError **error);
/* What the user reads at the end. */
void cmd_image_report(const CmdContext *context, const CmdImageOptions *options);
