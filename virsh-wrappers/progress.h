/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How far long work has come, on standard error: one line that is written over and over where that is a terminal, with
 * --progress a line for every tenth elsewhere, and nothing at all otherwise or with --quiet.
 */
#pragma once

#include "storage/disk.h"
#include "virsh-wrappers/context.h"

typedef struct CmdProgress CmdProgress;

/* Never %NULL. */
CmdProgress *cmd_progress_new(const CmdContext *context);
/* Clears the line. */
void cmd_progress_free(CmdProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CmdProgress, cmd_progress_free)

/**
 * cmd_progress_update:
 * @what: what is being done, a word or two: "hashing"
 * @done, @total: in any unit; @total 0: not known
 * @progress: a CmdProgress
 *
 * A StorageProgress. May be called at any rate; a step begins with another @what.
 */
void cmd_progress_update(const char *what, guint64 done, guint64 total, gpointer progress);

/* Clears the line, before something else is written to standard error. The next update brings it back. */
void cmd_progress_clear(CmdProgress *progress);
