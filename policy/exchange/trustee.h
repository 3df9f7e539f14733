/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Trustee (Confidential Containers): reference values for its RVPS, alone or in the message that registers them, and an
 * attestation policy.
 */
#pragma once

#include "policy/exchange/digests.h"

/* Bits of the guest policy that the reference values state: ABI version, smt, bit 17 (always one), single-socket. And
 * those that the policy states: migrate-ma and debug as well. */
#define EXCHANGE_RVPS_POLICY_BITS G_GUINT64_CONSTANT(0x13ffff)
#define EXCHANGE_TRUSTEE_POLICY_BITS G_GUINT64_CONSTANT(0x1fffff)

/**
 * exchange_rvps_format:
 *
 * The values that Trustee's default policy asks for, by name. Registering a name replaces its value, so every list is
 * complete: "snp_launch_measurement" has all measurements once, and the lists of TCB components every number from the
 * minimum to 255, since the policy looks for equality. What the reference does not say is left out, and Trustee's
 * policy then does not affirm it.
 *
 * Errors: %ATTEST_ERROR_USAGE for another platform, an fmc in the minimum TCB, and a mask of the platform information
 * with other bits than SMT and TSME: Trustee has no claims of them.
 */
gchar *exchange_rvps_format(const PolicyReference *reference, GError **error);
/* The same as payload of a message of type "sample", which rvps-tool registers. */
gchar *exchange_rvps_message_format(const PolicyReference *reference, GError **error);
/**
 * exchange_rvps_parse:
 *
 * The values, or a message of type "sample" around them. Other names are Trustee's users' own and are skipped.
 * Returns: (element-type ExchangeDigest): the digests of "snp_launch_measurement"; %ATTEST_ERROR_UNREADABLE for one
 * that is not 96 lower-case digits: Trustee compares text.
 */
GPtrArray *exchange_rvps_parse(const char *text, gssize size, GError **error);

/**
 * exchange_trustee_policy_format:
 *
 * A policy in Rego for this guest alone, that asks the RVPS for nothing: the measurements, the lowest TCB, the guest
 * policy and what is known of the platform, and the host data (which Trustee calls init_data), of which its default
 * policy looks at no value. Everything that it does not affirm keeps the trust value "not recognised".
 *
 * Errors: %ATTEST_ERROR_USAGE for another platform, an fmc in the minimum TCB, and a mask of the platform information
 * with other bits than SMT and TSME: Trustee has no claims of them.
 */
gchar *exchange_trustee_policy_format(const PolicyReference *reference, GError **error);
