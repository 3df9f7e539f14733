/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* policies.json of SAVS (simple-attestation-verifier-service): for every deployment what a report must have. */
#pragma once

#include "policy/exchange/digests.h"

/**
 * exchange_savs_format:
 *
 * One deployment for each measurement, since one takes one digest: NAME for the only one, otherwise NAME-CPU, and
 * NAME-CPU-VCPUS-FEATURES[-SIGNATURE] where that is taken. Everything that the reference says is demanded: the policy
 * bit for bit, the author-key flag, the minimum TCB, and as "expected_fields" identity, host data and platform
 * information, the last one only if all its bits are given.
 *
 * Errors: %ATTEST_ERROR_USAGE for what SAVS cannot check: no product, a report signed by another key than the VCEK,
 * Turin's layout of the TCB, platform information under a mask; and for two measurements with one name.
 */
gchar *exchange_savs_format(const PolicyReference *reference, GError **error);

/**
 * exchange_savs_parse:
 * @unbound: (out) (element-type utf8): deployments without a measurement, which hand their secret to any guest
 *
 * Every key is checked as SAVS uses it; one that it does not have is an error.
 * Returns: (element-type ExchangeDigest): sorted by deployment; %ATTEST_ERROR_UNREADABLE.
 */
GPtrArray *exchange_savs_parse(const char *text, gssize size, GPtrArray **unbound, GError **error);
