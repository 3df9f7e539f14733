/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What verify, known-hosts and ssh have in common: one piece of evidence, from a file or from a running guest, judged. */
#pragma once

#include "policy/appraisal/nonce.h"
#include "virsh-wrappers/endorsements.h"
#include "virsh-wrappers/verify-rules.h"

/**
 * CmdJudgement:
 * @evidence: what is judged
 * @needs_key: (in): a key in the answer is going to be trusted, so only the channel will do
 * @source: "file", "channel" or "agent"
 * @rules, @endorsements, @nonce, @input: what it is judged by
 * @verdict: the outcome
 */
typedef struct {
    gboolean needs_key;
    AppraisalEvidence *evidence;
    const char *source;
    CmdVerifyRules rules;
    CmdEndorsements endorsements;
    AppraisalNonce *nonce;
    AppraisalCase input;
    AppraisalVerdict *verdict;
} CmdJudgement;
void cmd_judgement_clear(CmdJudgement *judgement);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdJudgement, cmd_judgement_clear)

/**
 * cmd_judge:
 * @report: (nullable): file with the evidence; %NULL: ask the running guest
 * @domain: (nullable): the domain that it is about
 *
 * Reads or fetches the evidence, judges it by the options of the command, and keeps the verdict. A guest is asked with a
 * fresh nonce, and the report data must be the digest of its SSH host key and that nonce; so must they with --ssh-host-key.
 * What the guest agent brings names no key.
 * FALSE: there is no verdict. "Incomplete" is one.
 */
gboolean cmd_judge(CmdContext *context, const char *report, const char *domain, CmdJudgement *out, GError **error);
/* The exit code of a verdict; -1 with an error when it is "incomplete". */
int cmd_judgement_code(const CmdJudgement *judgement, GError **error);
