/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What verity-format and verity-verify read from their command lines alike. */
#pragma once

#include "storage/verity.h"
#include "virsh-wrappers/context.h"

/* Opens DATA as --format says and puts the range of --partition into @options. */
StorageDisk *cmd_verity_open_data(const CmdContext *context, StorageVerityOptions *options, GError **error);

/**
 * cmd_verity_root_hash:
 * @text: hexadecimal digits
 *
 * Returns: the bytes (@out holds STORAGE_VERITY_MAX_DIGEST), or 0 with %ATTEST_ERROR_USAGE
 */
gsize cmd_verity_root_hash(const char *text, guint8 *out, GError **error);
