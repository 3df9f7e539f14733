/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that several runs read, change and replace: one run at a time. */
#pragma once

#include "virsh-wrappers/context.h"

/**
 * cmd_lock_folder:
 * @path: of the file; its folder has to be there
 * @lock: (out): -1 on error
 *
 * Takes a lock on the folder (flock), for which it waits ten seconds: one on the file itself would stay with the old
 * file when that is replaced. Errors: %ATTEST_ERROR_UNREADABLE.
 */
gboolean cmd_lock_folder(const char *path, CmdLock *lock, GError **error);
