/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The decision about one start, in the order in which it falls: can the XML be
 * read, is there anything to protect, is there a pin, can the launch be
 * measured, does it agree. Every way out of here that is not a plain yes has a
 * reason and a remedy in it.
 */
#include "policy/gate.h"

#include <string.h>

#include "measure/error.h"
#include "policy/text.h"

#define SUMMARY_MAX 2048

const char *policy_verdict_name(PolicyVerdict verdict)
{
    switch (verdict) {
    case POLICY_VERDICT_NONE:
        return "none";
    case POLICY_VERDICT_MATCH:
        return "match";
    case POLICY_VERDICT_UNPINNED:
        return "unpinned";
    case POLICY_VERDICT_OBSERVED:
        return "observed";
    case POLICY_VERDICT_REFUSED:
        return "refused";
    }
    g_return_val_if_reached("refused");
}

void policy_decision_free(PolicyDecision *decision)
{
    if (!decision)
        return;
    g_free(decision->summary);
    g_ptr_array_unref(decision->details);
    g_ptr_array_unref(decision->changes);
    g_clear_pointer(&decision->domain, xml_domain_free);
    g_clear_pointer(&decision->evaluation, policy_evaluation_free);
    g_clear_pointer(&decision->reference, policy_reference_free);
    g_free(decision->uuid);
    g_free(decision->name);
    g_free(decision);
}

static void decide(PolicyDecision *decision, PolicyVerdict verdict, const char *format, ...) G_GNUC_PRINTF(3, 4);

static void decide(PolicyDecision *decision, PolicyVerdict verdict, const char *format, ...)
{
    g_autofree gchar *text = NULL;
    g_autofree gchar *whole = NULL;
    g_autofree gchar *name = decision->name ? policy_one_line(decision->name, 200) : NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    whole = name ? g_strdup_printf("domain '%s': %s", name, text) : g_strdup(text);
    g_free(decision->summary);
    decision->summary = policy_one_line(whole, SUMMARY_MAX);
    decision->verdict = verdict;
}

static void detail(PolicyDecision *decision, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void detail(PolicyDecision *decision, const char *format, ...)
{
    g_autofree gchar *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(decision->details, policy_one_line(text, 16384));
}

XmlDomain *policy_gate_read_domain(const char *xml, gsize size, GError **damaged, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree gchar *stripped = NULL;
    XmlDomain *domain = NULL;

    if (size > XML_MAX_SIZE) {
        xml_domain_parse(xml, (gssize)size, error);
        return NULL;
    }
    domain = xml_domain_parse(xml, (gssize)size, &cause);
    if (domain)
        return domain;
    stripped = xml_document_set_attestation(xml, (gssize)size, NULL, NULL);
    domain = stripped ? xml_domain_parse(stripped, -1, NULL) : NULL;
    g_propagate_error(domain ? damaged : error, g_steal_pointer(&cause));
    return domain;
}

static void list_changes(PolicyDecision *decision)
{
    for (guint i = 0; i < decision->changes->len; i++) {
        const PolicyChange *change = g_ptr_array_index(decision->changes, i);
        gboolean digests = strlen(change->pinned) > 20 || strlen(change->found) > 20;

        if (digests)
            detail(decision, "%s (was: %s; is: %s)", change->text, *change->pinned ? change->pinned : "absent",
                   *change->found ? change->found : "absent");
        else
            detail(decision, "%s", change->text);
    }
}

/*
 * A start that differs from its pin: refused, or only noted where the pin says
 * so. What cannot be measured cannot be accepted either.
 */
static void decide_mismatch(PolicyDecision *decision, const char *reason)
{
    const PolicyEvaluation *evaluation = decision->evaluation;
    g_autofree gchar *command = policy_define_command(evaluation->confidential ? "--accept" : "--accept --level 0",
                                                      policy_command_word(decision->name, decision->uuid));
    gboolean observe = decision->reference->on_mismatch == XML_ON_MISMATCH_OBSERVE;
    gboolean acceptable = !evaluation->confidential || !evaluation->unmeasurable;

    decide(decision, observe ? POLICY_VERDICT_OBSERVED : POLICY_VERDICT_REFUSED, "%s; %s; %s%s",
           observe ? "differs from its reference" : "start refused", reason,
           acceptable ? "to accept this: " : "put this right first", acceptable ? command : "");
}

/* "A (and 2 more)" */
static gchar *first_change(const GPtrArray *changes)
{
    const PolicyChange *first = g_ptr_array_index(changes, 0);

    return changes->len == 1 ? g_strdup(first->text)
                             : g_strdup_printf("%s (and %u more)", first->text, changes->len - 1);
}

/*
 * Where keys are trusted: TRUE when the pin is signed by one of them and the launch is what was signed. What the pin
 * says of mismatches does not count before that, since nobody has signed it.
 */
static gboolean decide_signed(PolicyDecision *decision, const PolicyConfig *config, gchar **short_id)
{
    g_autoptr(GPtrArray) changes = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree gchar *key_id = NULL;
    g_autofree gchar *reason = NULL;
    g_autofree gchar *command = policy_define_command("--accept --sign-key KEY",
                                                      policy_command_word(decision->name, decision->uuid));

    if (!policy_check_signature(config, decision->reference, decision->domain, decision->evaluation, &key_id, &changes,
                                &error)) {
        if (g_error_matches(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED))
            decide(decision, POLICY_VERDICT_REFUSED, "start refused; %s", error->message);
        else
            decide(decision, POLICY_VERDICT_REFUSED,
                   "start refused; %s, and '%s' has keys one of which must have signed it; to sign it: %s",
                   error->message, config->trusted_keys, command);
        return FALSE;
    }
    if (!key_id)
        return TRUE;
    *short_id = policy_short_digest(key_id);
    if (!changes->len)
        return TRUE;
    g_ptr_array_unref(decision->changes);
    decision->changes = g_steal_pointer(&changes);
    list_changes(decision);
    reason = first_change(decision->changes);
    decide(decision, POLICY_VERDICT_REFUSED,
           "start refused; it differs from what the key %s has signed: %s; if this is wanted, have it signed anew: %s",
           *short_id, reason, command);
    return FALSE;
}

static void decide_pinned(PolicyDecision *decision, const PolicyConfig *config)
{
    const PolicyEvaluation *evaluation = decision->evaluation;
    const XmlMeasurement *measurement = NULL;
    g_autofree gchar *digest = NULL;
    g_autofree gchar *short_digest = NULL;
    g_autofree gchar *signer = NULL;

    if (!decide_signed(decision, config, &signer))
        return;
    if (evaluation->confidential && !evaluation->unmeasurable && evaluation->measurements->len != 1) {
        static const char reason[] = "its CPU type is not resolved, so the measurement cannot be known: name a model in "
                                     "<cpu mode='custom'>";

        /* What was signed is a digest, and none was compared: "observe", which nobody has signed, does not do. */
        if (signer)
            decide(decision, POLICY_VERDICT_REFUSED, "start refused; %s; put this right first", reason);
        else
            decide_mismatch(decision, reason);
        return;
    }
    g_ptr_array_unref(decision->changes);
    decision->changes = policy_compare(decision->reference, decision->domain, evaluation);
    if (decision->changes->len) {
        g_autofree gchar *reason = first_change(decision->changes);

        list_changes(decision);
        decide_mismatch(decision, reason);
        return;
    }
    if (!decision->domain->attestation)
        detail(decision, "the domain's metadata has no <attest:attestation> element; 'virt-attest define' writes it");
    measurement = g_ptr_array_index(evaluation->measurements, 0);
    digest = measure_digest_hex(&measurement->digest);
    short_digest = policy_short_digest(digest);
    decide(decision, POLICY_VERDICT_MATCH, "matches its reference: level %u, measurement %s%s%s", evaluation->level,
           short_digest, signer ? ", signed by the key " : "", signer ? signer : "");
}

static void decide_unpinned(PolicyDecision *decision, const PolicyConfig *config)
{
    const PolicyEvaluation *evaluation = decision->evaluation;
    const XmlAttestation *metadata = decision->domain->attestation;
    g_autofree gchar *command = policy_accept_command(policy_command_word(decision->name, decision->uuid));

    if (metadata && metadata->on_mismatch == XML_ON_MISMATCH_REFUSE) {
        decide(decision, POLICY_VERDICT_REFUSED,
               "start refused; its metadata asks for a check, but no reference is pinned on this host; to pin it: %s",
               command);
    } else if (config->unpinned == POLICY_UNPINNED_REFUSE) {
        decide(decision, POLICY_VERDICT_REFUSED,
               "start refused; it has no pinned reference, and '%s' says unpinned = refuse; to pin it: %s",
               config->path, command);
    } else if (evaluation->measurements->len == 1) {
        const XmlMeasurement *measurement = g_ptr_array_index(evaluation->measurements, 0);
        g_autofree gchar *digest = measure_digest_hex(&measurement->digest);
        g_autofree gchar *short_digest = policy_short_digest(digest);

        decide(decision, POLICY_VERDICT_UNPINNED,
               "has no pinned reference, observed only: measurement %s; to pin it: %s", short_digest, command);
    } else {
        decide(decision, POLICY_VERDICT_UNPINNED, "has no pinned reference and cannot be measured: %s",
               evaluation->unmeasurable ? evaluation->unmeasurable->message : "its CPU type is not resolved");
    }
}

static void evaluate(PolicyDecision *decision, const PolicyConfig *config, PolicyStore *store)
{
    PolicyEvaluateOptions options = {
        .config = config,
        .cache = policy_store_cache(store),
        .on_launch_host = TRUE,
        .reference = decision->reference ? POLICY_REFERENCE_EXISTS : POLICY_REFERENCE_ABSENT,
    };

    decision->evaluation = policy_evaluate(decision->domain, &options);
}

/*
 * Looks for the pin. @error: there is one that cannot be used. @unknown: nobody can tell whether there is one, since
 * the state folder cannot be used, or the configuration might name another one.
 */
static void look_up_pin(PolicyDecision *decision, const PolicyConfig *config, const GError *config_error,
                        PolicyStore *store, const GError *store_error, GError **unknown, GError **error)
{
    const GError *cause = !store ? store_error : !config ? config_error : NULL;
    g_autoptr(GError) failure = NULL;

    if (store && decision->uuid)
        decision->reference = policy_store_get_reference(store, decision->uuid, &failure);
    if (failure) {
        gboolean folder = g_error_matches(failure, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED);

        g_propagate_error(folder ? unknown : error, g_steal_pointer(&failure));
    } else if (cause) {
        g_propagate_error(unknown, g_error_copy(cause));
    } else if (!store || !config) {
        g_set_error(unknown, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED, "no reason is known");
    }
}

/* A domain that would be none of our business, were it not for what its metadata says. */
static void decide_plain(PolicyDecision *decision, gboolean damaged, const GError *unknown)
{
    const XmlAttestation *metadata = decision->domain->attestation;

    if ((metadata || damaged) && unknown) {
        decide(decision, POLICY_VERDICT_REFUSED,
               "start refused; its metadata has an <attest:attestation> element, and nobody can tell whether a "
               "reference is pinned: %s",
               unknown->message);
    } else if (metadata && metadata->on_mismatch == XML_ON_MISMATCH_REFUSE) {
        g_autofree gchar *accept = policy_accept_command(policy_command_word(decision->name, decision->uuid));
        g_autofree gchar *metadata_command = policy_metadata_command(decision->name, decision->uuid);

        decide(decision, POLICY_VERDICT_REFUSED,
               "start refused; its metadata asks for a check, but it has no <launchSecurity>, and no reference is "
               "pinned on this host; to pin it, give it <launchSecurity> and run: %s; to start it without any "
               "protection, remove the metadata: %s",
               accept, metadata_command);
    } else {
        decide(decision, POLICY_VERDICT_NONE, "it has no launchSecurity and no reference");
    }
}

PolicyDecision *policy_gate_decide(const char *xml, gsize size, const PolicyConfig *config, const GError *config_error,
                                   PolicyStore *store, const GError *store_error)
{
    PolicyDecision *decision = g_new0(PolicyDecision, 1);
    g_autoptr(GError) damaged = NULL;
    g_autoptr(GError) unknown = NULL;
    g_autoptr(GError) error = NULL;
    MeasurePlatform platform;

    decision->details = g_ptr_array_new_with_free_func(g_free);
    decision->changes = g_ptr_array_new_with_free_func((GDestroyNotify)policy_change_free);
    decision->domain = policy_gate_read_domain(xml, size, &damaged, &error);
    if (!decision->domain) {
        decide(decision, POLICY_VERDICT_REFUSED, "start refused; the domain XML cannot be read: %s", error->message);
        return decision;
    }
    decision->uuid = g_strdup(decision->domain->uuid);
    decision->name = g_strdup(decision->domain->name);

    look_up_pin(decision, config, config_error, store, store_error, &unknown, &error);
    if (error) {
        decide(decision, POLICY_VERDICT_REFUSED, "start refused; its reference cannot be used: %s", error->message);
    } else if (!decision->reference && !xml_domain_platform(decision->domain, &platform)) {
        decide_plain(decision, damaged != NULL, unknown);
    } else if (damaged) {
        decide(decision, POLICY_VERDICT_REFUSED, "start refused; its metadata cannot be read: %s", damaged->message);
    } else if (!decision->uuid) {
        decide(decision, POLICY_VERDICT_REFUSED, "start refused; the domain XML has no UUID");
    } else if (unknown) {
        decide(decision, POLICY_VERDICT_REFUSED, "start refused; virt-attest is not usable: %s", unknown->message);
    } else {
        evaluate(decision, config, store);
        if (decision->reference)
            decide_pinned(decision, config);
        else
            decide_unpinned(decision, config);
    }
    return decision;
}
