/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CoRIM (draft-ietf-rats-corim) with the profile "tag:microsoft.com,2026:launch-measurement/v1": one launch digest and
 * the security version number that it endorses, in CBOR.
 */
#pragma once

#include "policy/exchange/digests.h"

#define EXCHANGE_CORIM_MAX_SIZE (64u * 1024)

/**
 * exchange_corim_format:
 *
 * Deterministic CBOR: shortest heads, definite lengths, keys in ascending order. The version number is that of the ID
 * block; a launch without one has 0. It is left out where a domain has an ID block that the reference does not explain,
 * although the profile wants one.
 *
 * Errors: %ATTEST_ERROR_USAGE for another platform, and unless there is exactly one measurement: the profile takes one.
 */
GBytes *exchange_corim_format(const PolicyReference *reference, GError **error);

/**
 * exchange_corim_parse:
 *
 * Exactly what the profile allows; unsigned. The series of endorsements may be missing.
 * Returns: (element-type ExchangeDigest): one; %ATTEST_ERROR_UNREADABLE.
 */
GPtrArray *exchange_corim_parse(const guint8 *data, gsize size, GError **error);
