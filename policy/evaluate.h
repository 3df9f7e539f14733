/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a parsed domain to what can be said of it: derived level with a finding
 * for every rule, and the expected measurements. The hook, `measure`, `level`,
 * `define` and `check` all ask here, so that they can never disagree.
 */
#pragma once

#include "guest/words.h"
#include "policy/config.h"
#include "policy/guest-policy.h"
#include "xml/domain.h"

typedef enum {
    POLICY_PASS,
    POLICY_FAIL, /* keeps the level below @level */
    POLICY_NOTE, /* worth knowing, lowers nothing */
} PolicyOutcome;
const char *policy_outcome_name(PolicyOutcome outcome); /* "pass", "fail", "note" */

/**
 * PolicyFinding:
 * @rule: stable identifier: "launch-security", "debug-policy", "policy-bits", "host-arguments", "firmware-file",
 *   "firmware-metadata", "reference", "cpu", "id-block", "kernel", "kernel-hashes", "hash-area", "hash-verifier",
 *   "guest-words", "root-hash", "boot-shell", "initrd", "root-disks", "writable-layer"
 * @level: the attestation level that needs this rule
 * @outcome: pass, fail or note
 * @text: one sentence for people: what was found and, on failure, what to do
 */
typedef struct {
    gchar *rule;
    guint level;
    PolicyOutcome outcome;
    gchar *text;
} PolicyFinding;
PolicyFinding *policy_finding_new(const char *rule, guint level, PolicyOutcome outcome,
                                  gchar *text /* transfer full */);
void policy_finding_free(PolicyFinding *finding);

typedef enum {
    POLICY_REFERENCE_ABSENT,  /* nothing pinned: level 2 and above cannot hold */
    POLICY_REFERENCE_EXISTS,  /* pinned */
    POLICY_REFERENCE_ASSUMED, /* the caller is about to make one (measure, define) or only asks "what if" */
} PolicyReferenceState;

/**
 * PolicyEvaluateOptions:
 * @config: the configuration
 * @cache: (nullable): digest cache
 * @cpus: (nullable) (element-type MeasureCpu): CPU types asked for explicitly; otherwise the configuration's allowed
 *   ones where the domain leaves the choice to the host
 * @on_launch_host: host-passthrough means this machine's processor
 * @reference: whether a reference value exists
 * @every_cpu: @cpus count whatever CPU the domain names
 * @vcpus: (nullable) (element-type guint): vCPU counts to measure for instead of the domain's, from the same hashed
 *   inputs; ascending, each once
 * @all_fpu: SEV-ES: measure both FPU variants, the domain's own first
 */
typedef struct {
    const PolicyConfig *config;
    const MeasureCache *cache;
    GPtrArray *cpus;
    gboolean on_launch_host;
    PolicyReferenceState reference;
    GArray *vcpus;
    gboolean every_cpu, all_fpu;
} PolicyEvaluateOptions;

/**
 * PolicyEvaluation:
 * @confidential: the domain has launchSecurity of type sev or sev-snp
 * @platform: valid when @confidential
 * @policy: guest policy, valid when @confidential
 * @level: derived level, 0 to 4: the highest one whose rules, and those of all below, pass
 * @findings: (element-type PolicyFinding): every rule, in the order of the levels
 * @launch, @inputs: (nullable): %NULL when the domain cannot be measured
 * @measurements: (element-type XmlMeasurement): one per CPU type, vCPU count and, where asked for, floating-point
 *   variant; empty when it cannot be measured
 * @unmeasurable: (nullable): why there is no measurement
 * @words: (nullable): what the command line tells our init, when all of it is valid, whatever its level
 */
typedef struct {
    gboolean confidential;
    MeasurePlatform platform;
    guint64 policy;
    guint level;
    GPtrArray *findings;
    MeasureLaunch *launch;
    MeasureInputs *inputs;
    GPtrArray *measurements;
    GError *unmeasurable;
    GuestWords *words;
} PolicyEvaluation;

/* Never fails as such: what cannot be measured is said in @unmeasurable and in the findings. */
PolicyEvaluation *policy_evaluate(const XmlDomain *domain, const PolicyEvaluateOptions *options);
void policy_evaluation_free(PolicyEvaluation *evaluation);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyEvaluation, policy_evaluation_free)
