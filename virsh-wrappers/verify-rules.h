/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of 'verify': from a policy file, a reference and options, merged into one. */
#pragma once

#include "policy/appraisal/rules.h"
#include "virsh-wrappers/reference-source.h"

/**
 * CmdVerifyRules:
 * @rules: everything that must hold
 * @source: where --domain or --reference led
 * @reference: (nullable): the reference that counts: the pinned one of a libvirt domain, else that of @source; borrowed
 * @domain: (nullable): set by the caller: the domain that --domain or a word names
 * @has_report_data, @report_data: set by the caller: what the report data must be, instead of the options for it
 * @has_nonce, @nonce: --nonce
 */
typedef struct {
    AppraisalRules *rules;
    CmdReferenceSource source;
    const PolicyReference *reference;
    const char *domain;
    gboolean has_report_data, has_nonce;
    guint8 report_data[64], nonce[64];
} CmdVerifyRules;
void cmd_verify_rules_clear(CmdVerifyRules *rules);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdVerifyRules, cmd_verify_rules_clear)

/**
 * cmd_verify_rules_load:
 *
 * A signed reference must be signed by one of --key or of the configured trusted keys, where there are any; then one
 * that is not signed is refused. Errors: %ATTEST_ERROR_REJECTED for a signature; %ATTEST_ERROR_USAGE for options that
 * do not go together, and for rules that contradict each other.
 */
gboolean cmd_verify_rules_load(CmdContext *context, CmdVerifyRules *out, GError **error);
