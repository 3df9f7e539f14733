/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The decision about one start. */
#pragma once

#include "policy/store.h"

/**
 * PolicyChange:
 * @what: "firmware", "kernel", "initrd", "cmdline", "cpu", "vcpus", "policy", "platform", "features", "kernel-hashes",
 *   "on-mismatch", "level", "id-block", "id-auth", "host-data", "guest-visible-workarounds", "author-key", "vcek",
 *   "session", "domain-type", "emulator", "metadata", "digest"; between two references also "product", "minimum-tcb",
 *   "platform-info", "id-key", "author-key-digest", "family-id", "image-id", "guest-svn", "root-hash", "source",
 *   "obtained", "signed"
 * @pinned, @found: the two values (digests in hexadecimal, a command line as text)
 * @text: one line for people: "kernel '/boot/vmlinuz' changed: SHA-256 was 12ab…, is 34cd…"
 */
typedef struct {
    gchar *what, *pinned, *found, *text;
} PolicyChange;
void policy_change_free(PolicyChange *change);

/*
 * Everything in which @evaluation (of @domain) differs from @reference; empty when they agree. Digests in constant
 * time. A launch agrees when its CPU type, features, number of vCPUs and floating-point variant are among those of
 * @reference together. An evaluation of several CPU types is a choice that the host has still to make: one foreseen
 * among them is enough. The owner's rules are for reports: no launch can show them.
 */
GPtrArray *policy_compare(const PolicyReference *reference, const XmlDomain *domain,
                          const PolicyEvaluation *evaluation);
/* The same between two references (old, new): what `define --accept` shows. */
GPtrArray *policy_reference_diff(const PolicyReference *old_reference, const PolicyReference *new_reference);

/* policy_compare() with a document that travels: the metadata of @domain, which belongs to a pin, and the emulator,
 * which belongs to a host, do not count. */
GPtrArray *policy_compare_document(const PolicyReference *document, const XmlDomain *domain,
                                   const PolicyEvaluation *evaluation);

/**
 * policy_signed_reference:
 * @pin: a pinned reference
 * @keys: (nullable) (element-type PolicyKey): the trusted ones; %NULL: the signatures are not verified
 * @key_id: (out) (optional) (nullable): the one that has signed it
 *
 * Returns: the signed document that the pin carries, when one of @keys has signed it and it has the rules of the pin.
 * %ATTEST_ERROR_REJECTED or %ATTEST_ERROR_UNREADABLE otherwise; the message goes on from "start refused; ".
 */
PolicyReference *policy_signed_reference(const PolicyReference *pin, GPtrArray *keys, gchar **key_id, GError **error);

/**
 * policy_check_signature:
 * @pin: the pinned reference
 * @key_id: (out) (nullable): the key that has signed it; %NULL when no key is trusted and none is needed
 * @changes: (out) (nullable) (element-type PolicyChange): in what the launch differs from what was signed
 *
 * Errors: %ATTEST_ERROR_NOT_CONFIGURED: the folder of trusted keys cannot be used; others: the pin is not signed by one
 * of them. The start is refused then, whatever the pin says of mismatches.
 */
gboolean policy_check_signature(const PolicyConfig *config, const PolicyReference *pin, const XmlDomain *domain,
                                const PolicyEvaluation *evaluation, gchar **key_id, GPtrArray **changes,
                                GError **error);

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
 * policy_gate_read_domain:
 * @damaged: set when the XML is fine but for our metadata element, which the domain returned does not have then
 *
 * A damaged element of ours makes the XML unreadable for xml_domain_parse(); where the domain is none of our business
 * without it, that must not stop its start.
 */
XmlDomain *policy_gate_read_domain(const char *xml, gsize size, GError **damaged, GError **error);

/**
 * policy_gate_decide:
 * @xml, @size: the domain XML of the hook's `start`
 * @config: (nullable): %NULL when it could not be read: then @config_error says why
 * @store: (nullable): likewise with @store_error. Without a configuration the caller gives the default state folder,
 *   so that a pin there still counts
 *
 * Never fails: whatever is wrong is a refusal with a reason. In this order:
 *  - XML that cannot be read: refused.
 *  - A pin that cannot be read: refused, whatever else the domain has. Any pin counts, of level 0 too.
 *  - Neither launchSecurity nor a pin: let through, %POLICY_VERDICT_NONE, even when configuration or state are broken,
 *    with two exceptions. Refused is a domain whose metadata says onMismatch='refuse' (it has lost both: somebody took
 *    them, or moved it here), until that is removed; and a domain with any metadata element of ours, damaged or not,
 *    while configuration or state folder cannot be used, so that nobody can tell whether it is pinned.
 *  - launchSecurity or a pin while configuration or state folder cannot be used: refused.
 *  - Pinned while keys are trusted: refused, whatever the pin says of mismatches, when it is not signed by one of them,
 *    when the launch differs from what was signed, or when the keys cannot be read.
 *  - Pinned: measured and compared; a difference, or what cannot be measured, is refused, or only noted where the pin
 *    says "observe".
 *  - Not pinned: refused when the metadata says onMismatch='refuse' or the configuration unpinned = refuse. Otherwise
 *    measured and let through, also when it cannot be measured: observing never stops a guest.
 */
PolicyDecision *policy_gate_decide(const char *xml, gsize size, const PolicyConfig *config, const GError *config_error,
                                   PolicyStore *store, const GError *store_error);
void policy_decision_free(PolicyDecision *decision);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyDecision, policy_decision_free)
