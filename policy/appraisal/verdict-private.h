/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two halves of a verdict: who signed the report, and what it says. */
#pragma once

#include "policy/appraisal/private.h"
#include "policy/appraisal/rules.h"

/**
 * AppraisalJudge:
 * @endorsement: (nullable): the certificate that was chosen; @parsed: (nullable): the same, where it is our own
 * @signature_good, @chain_good: what choosing it has found out already: its key signed the report; and it leads to a root
 * @no_certificate: there was none to choose from
 * @line: by the report or, where that does not say, by the certificate
 */
typedef struct {
    const AppraisalCase *input;
    const AppraisalReport *report;
    const AppraisalRules *rules;
    const AppraisalEndorsement *endorsement;
    AppraisalEndorsement *parsed;
    gboolean signature_good, chain_good, no_certificate;
    AppraisalLine line;
    AppraisalVerdict *verdict;
} AppraisalJudge;

/* @found, @expected: (nullable) (transfer full) */
void appraisal_judge_add(AppraisalJudge *judge, const char *name, AppraisalOutcome outcome, gchar *found,
                         gchar *expected, const char *format, ...) G_GNUC_PRINTF(6, 7);

/* "form" to "certificate-tcb"; sets @judge->endorsement and @judge->line. */
void appraisal_judge_authenticity(AppraisalJudge *judge);
/* "nonce" to "vmpl", "report-id", "report-id-ma" */
void appraisal_judge_guest(AppraisalJudge *judge);
/* "reported-tcb" to "mitigation" */
void appraisal_judge_platform(AppraisalJudge *judge);
