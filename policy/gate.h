/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The decision about one start. */
#pragma once

#include "policy/store.h"

/**
 * PolicyChange:
 * @what: "firmware", "kernel", "initrd", "cmdline", "cpu", "vcpus", "policy", "platform", "features", "kernel-hashes",
 *   "on-mismatch", "level", "id-block", "id-auth", "host-data", "guest-visible-workarounds", "author-key", "vcek",
 *   "session", "domain-type", "emulator", "metadata", "digest"
 * @pinned, @found: the two values (digests in hexadecimal, a command line as text)
 * @text: one line for people: "kernel '/boot/vmlinuz' changed: SHA-256 was 12ab…, is 34cd…"
 */
typedef struct {
    gchar *what, *pinned, *found, *text;
} PolicyChange;
void policy_change_free(PolicyChange *change);

/*
 * Everything in which @evaluation (of @domain) differs from @reference; empty when they agree. Digests in constant
 * time. An evaluation of several CPU types is a choice that the host has still to make: one foreseen type among them
 * is enough.
 */
GPtrArray *policy_compare(const PolicyReference *reference, const XmlDomain *domain,
                          const PolicyEvaluation *evaluation);
/* The same between two references (old, new): what `define --accept` shows. */
GPtrArray *policy_reference_diff(const PolicyReference *old_reference, const PolicyReference *new_reference);

typedef enum {
    POLICY_VERDICT_NONE,     /* not a confidential domain and nothing pinned: not our business, nothing is recorded */
    POLICY_VERDICT_MATCH,    /* pinned, and everything agrees */
    POLICY_VERDICT_UNPINNED, /* confidential without a pin, observed only */
    POLICY_VERDICT_OBSERVED, /* differs from the pin, whose onMismatch is "observe" */
    POLICY_VERDICT_REFUSED,  /* differs, or cannot be measured */
} PolicyVerdict;
const char *policy_verdict_name(PolicyVerdict verdict); /* "none", "match", "unpinned", "observed", "refused" */

/**
 * PolicyDecision:
 * @verdict: the verdict; the start goes on unless it is %POLICY_VERDICT_REFUSED
 * @summary: one line that stands alone: what changed, old and new digest, the command that accepts the change
 * @details: (element-type utf8): further lines
 * @changes: (element-type PolicyChange)
 * @domain, @evaluation, @reference: (nullable): what the decision rests on
 * @uuid, @name: (nullable): of the domain
 */
typedef struct {
    PolicyVerdict verdict;
    gchar *summary;
    GPtrArray *details;
    GPtrArray *changes;
    XmlDomain *domain;
    PolicyEvaluation *evaluation;
    PolicyReference *reference;
    gchar *uuid, *name;
} PolicyDecision;

/**
 * policy_gate_decide:
 * @xml, @size: the domain XML of the hook's `start`
 * @config: (nullable): %NULL when it could not be read: then @config_error says why, and a confidential domain is
 *   refused
 * @store: (nullable): likewise with @store_error
 *
 * Never fails: whatever is wrong is a refusal with a reason. A domain without launchSecurity and without a pin is
 * let through even when configuration or state are broken.
 */
PolicyDecision *policy_gate_decide(const char *xml, gsize size, const PolicyConfig *config, const GError *config_error,
                                   PolicyStore *store, const GError *store_error);
void policy_decision_free(PolicyDecision *decision);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyDecision, policy_decision_free)
