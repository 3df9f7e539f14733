/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What gate.c has in a file of its own. */
#pragma once

#include "policy/envelope.h"
#include "policy/gate.h"

/**
 * policy_gate_check_signature:
 * @pin: the pinned reference
 * @key_id: (out) (nullable): the key that has signed it; %NULL when no key is trusted and none is needed
 * @changes: (out) (nullable) (element-type PolicyChange): in what the launch differs from what was signed
 *
 * Errors: %ATTEST_ERROR_NOT_CONFIGURED: the folder of trusted keys cannot be used; others: the pin is not signed by one of
 * them. The start is refused then, whatever the pin says of mismatches.
 */
gboolean policy_gate_check_signature(const PolicyConfig *config, const PolicyReference *pin, const XmlDomain *domain,
                                     const PolicyEvaluation *evaluation, gchar **key_id, GPtrArray **changes,
                                     GError **error);
