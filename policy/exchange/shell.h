/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NAME='value' lines that a POSIX shell reads with the dot command. */
#pragma once

#include "policy/exchange/digests.h"

/**
 * exchange_shell_format:
 *
 * Every name begins with ATTEST_, every value is between single quotes, whatever it holds. Of the measurements:
 * ATTEST_MEASUREMENTS is how many there are, ATTEST_MEASUREMENT_1 the first digest, ATTEST_CPU_1, ATTEST_SIGNATURE_1,
 * ATTEST_FEATURES_1, ATTEST_VCPUS_1 and ATTEST_FPU_1 what it is for. A name whose value is not known is set to ''.
 */
gchar *exchange_shell_format(const PolicyReference *reference);
