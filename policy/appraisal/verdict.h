/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verdict over one piece of evidence: every check with what was found and what was expected, all failures, not the first. */
#pragma once

#include "policy/appraisal/chain.h"

typedef enum {
    APPRAISAL_PASS,
    APPRAISAL_FAIL,
    APPRAISAL_WARN, /* worth knowing, rejects nothing */
    APPRAISAL_SKIP, /* no rule asked for it, or something before it failed */
} AppraisalOutcome;
const char *appraisal_outcome_name(AppraisalOutcome outcome); /* "pass", "fail", "warn", "skip" */

/**
 * AppraisalCheck:
 * @name: stable: "form", "signer", "certificate", "chain", "revocation", "signature", "chip", "certificate-tcb", "nonce",
 *   "measurement", "id-key", "author-key", "family-id", "image-id", "guest-svn", "host-data", "policy", "debug", "vmpl",
 *   "reported-tcb", "committed-tcb", "current-tcb", "launch-tcb", "provisional", "platform-info", "mitigation", "product",
 *   "chip-list", "age"
 * @found, @expected: (nullable)
 * @text: one sentence for people
 */
typedef struct {
    const char *name;
    AppraisalOutcome outcome;
    gchar *found, *expected, *text;
} AppraisalCheck;

/* The rules of an appraisal: from a policy file, from a reference, from options. Schema: policy/appraisal/policy.schema.json. */
typedef struct AppraisalRules AppraisalRules;

typedef struct {
    gboolean accepted;
    GPtrArray *checks; /* AppraisalCheck, in the order in which they are judged */
} AppraisalVerdict;
