/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which measurement of a reference an ID block is for. */
#pragma once

#include "virsh-wrappers/reference-source.h"

/* SEV-SNP it must be: %ATTEST_ERROR_REJECTED otherwise. */
gboolean cmd_require_snp(const PolicyReference *reference, GError **error);

/**
 * cmd_choose_measurements:
 *
 * The measurements that --cpu and --vcpus leave, where the command has them: all without. (element-type XmlMeasurement),
 * borrowed from @reference. Errors: %ATTEST_ERROR_REJECTED when none is left.
 */
GPtrArray *cmd_choose_measurements(const CmdContext *context, const PolicyReference *reference, GError **error);

/* The one that is left: an ID block holds one digest. %ATTEST_ERROR_REJECTED, with what to choose from, otherwise. */
const XmlMeasurement *cmd_choose_measurement(const CmdContext *context, const PolicyReference *reference,
                                             GError **error);
