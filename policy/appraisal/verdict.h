/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verdict over one piece of evidence: every check with what was found and what was expected, all failures, not the
 * first. */
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
 * @name: stable, and in this order: "form", "signer", "certificate", "chain", "revocation", "signature", "product",
 * "chip", "chip-list", "certificate-tcb", "nonce", "age", "measurement", "id-key", "author-key", "family-id",
 * "image-id", "host-data", "guest-svn", "policy", "debug", "vmpl", "report-id", "report-id-ma", "reported-tcb",
 * "committed-tcb", "current-tcb", "launch-tcb", "provisional", "firmware", "platform-info", "mitigation"
 * @found, @expected: (nullable)
 * @text: one sentence for people
 */
typedef struct {
    const char *name;
    AppraisalOutcome outcome;
    gchar *found, *expected, *text;
} AppraisalCheck;

/* The rules of an appraisal: from a policy file, from a reference, from options (policy/appraisal/rules.h). */
typedef struct AppraisalRules AppraisalRules;

/**
 * AppraisalVerdict:
 * @accepted: no check failed
 * @incomplete: not accepted, for the only reason that a certificate is missing: with it the verdict may be another
 * @checks: (element-type AppraisalCheck): every check, in the order in which they are judged
 */
typedef struct {
    gboolean accepted, incomplete;
    GPtrArray *checks;
} AppraisalVerdict;

/**
 * AppraisalCase:
 * @evidence: the report and what came with it
 * @certificates: (nullable) (element-type AppraisalBlob): further ones, "vcek", "vlek", "crl"; tried after those that
 * came with the report. None is trusted before it was verified. "ask" and "ark" are not needed: the anchors have them
 * @endorsement: (nullable): a certificate that was parsed before, as where many reports of one chip are judged; chosen
 * when it is the one that signed the report and leads to a root, and otherwise left alone
 * @crls: (nullable) (element-type AppraisalCrl): revocation lists
 * @anchors: the roots
 * @rules: what the report must say
 * @at: Unix seconds: the time of the appraisal
 * @nonce_issued: Unix seconds at which the nonce was issued; -1: unknown
 * @nonce_fault: (nullable): why the nonce itself is none, such as that it was used before
 */
typedef struct {
    const AppraisalEvidence *evidence;
    const GPtrArray *certificates, *crls;
    const AppraisalEndorsement *endorsement;
    const AppraisalAnchors *anchors;
    const AppraisalRules *rules;
    gint64 at, nonce_issued;
    const char *nonce_fault;
} AppraisalCase;

/**
 * appraisal_verdict_new:
 *
 * A pure function of @input: nothing else is read, asked or written. Every check is listed whatever became of those
 * before it; one that cannot be judged because another failed is %APPRAISAL_SKIP and says so.
 *
 * Where @input->rules have no rule, the strict one counts: a report without an expected measurement, without a nonce
 * or report data, signed by another key than the chip's own (VCEK), with host data, an ID key, an author key or a
 * migration agent, of another VMPL than 0, of a provisional firmware, or with a policy that allows debugging, migration
 * or CXL is rejected. Open are: SMT; minimums; lists of chips; platform information; mitigations. A missing or stale
 * revocation list is a warning unless the rules require one.
 */
AppraisalVerdict *appraisal_verdict_new(const AppraisalCase *input);
void appraisal_verdict_free(AppraisalVerdict *verdict);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AppraisalVerdict, appraisal_verdict_free)

/* The check of that name; there always is one. */
AppraisalCheck *appraisal_verdict_find(const AppraisalVerdict *verdict, const char *name);
/* Adds a sentence to the text of a check. */
void appraisal_check_append(AppraisalCheck *check, const char *sentence);
