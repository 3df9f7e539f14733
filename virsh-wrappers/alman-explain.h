/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why a measurement that ALman has recorded is not the one that the same files give today. */
#pragma once

#include "policy/evaluate.h"
#include "policy/exchange/alman.h"

/**
 * cmd_alman_explain:
 * @evaluation: of the guest as it is, measured
 * @guest: ALman's record of it
 * @recorded: the one of its measurements that does not match
 * @signature: CPU signature that it ought to be for
 *
 * Tries what launches differ in without any file being another one: guest features, CPU signature, number of vCPUs, the
 * recorded command line, a launch without kernel hashes.
 *
 * Returns: one phrase: the one change (or two) that gives the recorded digest, or which files are newer than the
 * record.
 */
gchar *cmd_alman_explain(const PolicyEvaluation *evaluation, const ExchangeAlmanGuest *guest,
                         const ExchangeAlmanMeasurement *recorded, guint32 signature);
