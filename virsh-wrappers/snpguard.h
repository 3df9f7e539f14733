/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `export --to snpguard` and `import --from snpguard`: the archive from which SnpGuard launches a guest. */
#pragma once

#include "virsh-wrappers/reference-source.h"

/**
 * cmd_export_snpguard:
 * @source: with a subject: a domain, its XML or a bundle
 *
 * Reads --output and --force. Errors: %ATTEST_ERROR_NOT_CONFIGURED for a domain without ID block, with how to make one;
 * %ATTEST_ERROR_REJECTED for one that does not fit; %ATTEST_ERROR_USAGE for what the archive cannot say: several CPU
 * types or vCPU counts, no kernel or initrd, another platform.
 */
int cmd_export_snpguard(CmdContext *context, const CmdReferenceSource *source, GError **error);

/**
 * cmd_import_snpguard:
 * @path: launch-artifacts.tar.gz
 *
 * Reads --name, --output-dir, --force and --format. Unpacks, measures, and compares with the ID block; only what fits is
 * written: the seven files, domain.xml, reference.json. Errors: %ATTEST_ERROR_REJECTED with every input for an ID block
 * that is for something else.
 */
int cmd_import_snpguard(CmdContext *context, const char *path, GError **error);
