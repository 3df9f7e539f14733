/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who signed the report: from the bytes to AMD's root, and whether the certificate is of the chip and the TCB that the
 * report names. Nothing that came with the evidence is believed before the chain holds.
 */
#include <string.h>

#include "measure/error.h"
#include "policy/appraisal/verdict-private.h"
#include "policy/text.h"

/* More certificates than any table has; each costs a verification. */
#define MAX_CANDIDATES 32

static const char *signer_name(AppraisalSigner signer)
{
    return signer == APPRAISAL_SIGNER_VCEK ? "VCEK" : signer == APPRAISAL_SIGNER_VLEK ? "VLEK" : "none";
}

static void judge_form(AppraisalJudge *judge)
{
    const AppraisalReport *report = judge->report;
    g_autoptr(GString) unusual = g_string_new(NULL);
    gchar *found = g_strdup_printf("version %u, %s", report->version, judge->input->evidence->form);

    for (guint i = 0; i < report->unusual->len; i++)
        g_string_append_printf(unusual, "%s%s", i ? "; " : "", (const char *)g_ptr_array_index(report->unusual, i));
    if (unusual->len)
        appraisal_judge_add(judge, "form", APPRAISAL_WARN, found, NULL,
                            "the report is well-formed, with something that newer firmware may set: %s", unusual->str);
    else
        appraisal_judge_add(judge, "form", APPRAISAL_PASS, found, NULL, "the report is well-formed");
}

static void judge_signer(AppraisalJudge *judge)
{
    const AppraisalRules *rules = judge->rules;
    AppraisalSigner signer = judge->report->signer;
    AppraisalSigner expected = rules->signer == APPRAISAL_RULE_EXACT ? rules->signer_kind : APPRAISAL_SIGNER_VCEK;
    gboolean any = rules->signer == APPRAISAL_RULE_ANY;
    gchar *found = g_strdup(signer_name(signer));
    gchar *wanted = g_strdup(any ? "VCEK or VLEK" : signer_name(expected));

    if (signer == APPRAISAL_SIGNER_NONE)
        appraisal_judge_add(judge, "signer", APPRAISAL_FAIL, found, wanted,
                            "the report says that no key signed it: ask for one that is signed");
    else if (!any && signer != expected)
        appraisal_judge_add(
            judge, "signer", APPRAISAL_FAIL, found, wanted, "%s",
            signer == APPRAISAL_SIGNER_VLEK
                ? "signed with the key of a cloud provider, which says nothing of the chip, and no rule "
                  "permits it (\"signingKey\")"
                : "signed with the chip's own key, and the rules ask for a cloud provider's");
    else
        appraisal_judge_add(judge, "signer", APPRAISAL_PASS, found, wanted, "signed with %s",
                            signer == APPRAISAL_SIGNER_VCEK ? "the chip's own key" : "the key of a cloud provider");
}

/* ---- Which certificate ---- */

static gboolean hwid_matches(const AppraisalJudge *judge, const AppraisalEndorsement *endorsement)
{
    gsize size = 0;
    const guint8 *hwid = endorsement->hwid ? g_bytes_get_data(endorsement->hwid, &size) : NULL;
    const guint8 *chip = judge->report->chip_id;

    return hwid && size <= sizeof(judge->report->chip_id) && !memcmp(hwid, chip, size) &&
           appraisal_all_zero(chip + size, sizeof(judge->report->chip_id) - size);
}

static gboolean tcb_matches(const AppraisalJudge *judge, const AppraisalEndorsement *endorsement)
{
    PolicyTcb reported;

    appraisal_tcb_decode(endorsement->line, judge->report->reported_tcb, &reported);
    return appraisal_tcb_equal(&reported, &endorsement->tcb);
}

static void add_blobs(GPtrArray *blobs, const GPtrArray *list, const char *const *roles)
{
    for (guint i = 0; list && i < list->len; i++) {
        AppraisalBlob *blob = g_ptr_array_index(list, i);

        if (g_strv_contains(roles, blob->role))
            g_ptr_array_add(blobs, blob);
    }
}

/* Those that came with the report first. */
static GPtrArray *blobs_of(const AppraisalJudge *judge, const char *const *roles)
{
    GPtrArray *blobs = g_ptr_array_new();

    add_blobs(blobs, judge->input->evidence->certificates, roles);
    add_blobs(blobs, judge->input->certificates, roles);
    return blobs;
}

/* How much speaks for a certificate. The first of the best one counts, so that a wrong one in the way does no harm. */
enum { RANK_USABLE = 1, RANK_KIND = 2, RANK_SIGNED = 5, RANK_CHAIN = 6 };

static guint rank(const AppraisalJudge *judge, const AppraisalEndorsement *endorsement, const GPtrArray *intermediates)
{
    if (endorsement->kind != judge->report->signer)
        return RANK_USABLE;
    if (!appraisal_signature_verify(judge->report, endorsement, NULL))
        return RANK_KIND + (endorsement->kind == APPRAISAL_SIGNER_VLEK || hwid_matches(judge, endorsement)) +
               tcb_matches(judge, endorsement);
    return appraisal_chain_verify(endorsement, judge->input->anchors, intermediates, judge->input->at, NULL)
               ? RANK_CHAIN
               : RANK_SIGNED;
}

/* Returns the number of certificates that there were to choose from. */
static guint choose(AppraisalJudge *judge, const GPtrArray *intermediates, GError **error)
{
    static const char *const roles[] = {"vcek", "vlek", NULL};
    g_autoptr(GPtrArray) candidates = blobs_of(judge, roles);
    const AppraisalEndorsement *known = judge->input->endorsement;
    guint best = known ? rank(judge, known, intermediates) : 0;

    if (best == RANK_CHAIN)
        judge->endorsement = known;
    else
        best = 0;
    for (guint i = 0; i < MIN(candidates->len, MAX_CANDIDATES) && best < RANK_CHAIN; i++) {
        const AppraisalBlob *blob = g_ptr_array_index(candidates, i);
        gsize size = 0;
        gconstpointer data = g_bytes_get_data(blob->data, &size);
        g_autoptr(AppraisalEndorsement) each =
            appraisal_endorsement_parse(data, size, error && !*error ? error : NULL);
        guint each_rank = each ? rank(judge, each, intermediates) : 0;

        if (each_rank > best) {
            best = each_rank;
            g_clear_pointer(&judge->parsed, appraisal_endorsement_free);
            judge->endorsement = judge->parsed = g_steal_pointer(&each);
        }
    }
    judge->signature_good = best >= RANK_SIGNED;
    judge->chain_good = best >= RANK_CHAIN;
    return candidates->len + (judge->endorsement && !judge->parsed);
}

static gchar *describe(const AppraisalEndorsement *endorsement)
{
    g_autofree gchar *product = measure_printable(endorsement->product);
    g_autofree gchar *csp = endorsement->csp_id ? measure_printable(endorsement->csp_id) : NULL;

    return g_strdup_printf("%s, %s%s%s", signer_name(endorsement->kind), product, csp ? ", " : "", csp ? csp : "");
}

/* Takes a certificate of the wrong kind away again: it says nothing of this report. */
static void judge_certificate(AppraisalJudge *judge, const GPtrArray *intermediates)
{
    const char *wanted = signer_name(judge->report->signer);
    g_autoptr(GError) error = NULL;
    guint n = 0;

    if (judge->report->signer == APPRAISAL_SIGNER_NONE) {
        appraisal_judge_add(judge, "certificate", APPRAISAL_SKIP, NULL, NULL, "no key signed the report");
        return;
    }
    n = choose(judge, intermediates, &error);
    judge->no_certificate = n == 0;
    if (n == 0) {
        appraisal_judge_add(judge, "certificate", APPRAISAL_FAIL, g_strdup("none"), g_strdup(wanted),
                            "there is no certificate of the key that signed the report, neither with it nor elsewhere");
    } else if (!judge->endorsement) {
        g_autofree gchar *why = policy_one_line(error->message, 300);

        appraisal_judge_add(judge, "certificate", APPRAISAL_FAIL, g_strdup("unusable"), g_strdup(wanted),
                            "no certificate of the key that signed the report can be used: %s", why);
    } else if (judge->endorsement->kind != judge->report->signer) {
        appraisal_judge_add(judge, "certificate", APPRAISAL_FAIL, describe(judge->endorsement), g_strdup(wanted),
                            "the report is signed with a %s, and the certificate is one of a %s", wanted,
                            signer_name(judge->endorsement->kind));
        judge->endorsement = NULL;
    } else {
        appraisal_judge_add(judge, "certificate", APPRAISAL_PASS, describe(judge->endorsement), g_strdup(wanted),
                            "there is a certificate of the kind of key that signed the report");
        if (judge->line == APPRAISAL_LINE_UNKNOWN)
            judge->line = judge->endorsement->line;
    }
}

/* ---- The chain ---- */

static gboolean judge_chain(AppraisalJudge *judge, const GPtrArray *intermediates)
{
    gboolean builtin = appraisal_anchors_are_builtin(judge->input->anchors);
    g_autoptr(GError) error = NULL;

    if (!judge->chain_good &&
        !appraisal_chain_verify(judge->endorsement, judge->input->anchors, intermediates, judge->input->at, &error)) {
        g_autofree gchar *why = policy_one_line(error->message, 300);

        appraisal_judge_add(judge, "chain", APPRAISAL_FAIL, NULL, g_strdup(builtin ? "AMD's root" : "the given root"),
                            "%s", why);
        return FALSE;
    }
    if (builtin)
        appraisal_judge_add(judge, "chain", APPRAISAL_PASS,
                            g_strdup_printf("ARK-%s", appraisal_line_name(judge->endorsement->line)),
                            g_strdup("AMD's root"), "the certificate leads to AMD's root for %s",
                            appraisal_line_name(judge->endorsement->line));
    else
        appraisal_judge_add(
            judge, "chain", APPRAISAL_WARN, g_strdup("the given root"), g_strdup("the given root"),
            "the certificate leads to the root that was given (--trust-anchor), not to AMD's: this verdict "
            "is worth as much as that file");
    return TRUE;
}

/* Of several lists the worst finding counts, but a stale one beside a good one says nothing. */
static AppraisalCrlState worst(AppraisalCrlState a, AppraisalCrlState b)
{
    static const guint weight[] = {
        [APPRAISAL_CRL_ABSENT] = 0, [APPRAISAL_CRL_STALE] = 1, [APPRAISAL_CRL_GOOD] = 2,
        [APPRAISAL_CRL_BAD] = 3,    [APPRAISAL_CRL_REVOKED] = 4,
    };

    return weight[a] >= weight[b] ? a : b;
}

static AppraisalCrlState check_crls(AppraisalJudge *judge, gchar **detail)
{
    static const char *const roles[] = {"crl", NULL};
    g_autoptr(GPtrArray) blobs = g_ptr_array_new();
    g_autoptr(GPtrArray) crls = g_ptr_array_new();
    g_autoptr(GPtrArray) parsed = g_ptr_array_new_with_free_func((GDestroyNotify)appraisal_crl_free);
    AppraisalCrlState state = APPRAISAL_CRL_ABSENT;

    /* Those of the verifier first: what comes with the report could be so many that no room is left for others. */
    add_blobs(blobs, judge->input->certificates, roles);
    add_blobs(blobs, judge->input->evidence->certificates, roles);
    for (guint i = 0; judge->input->crls && i < judge->input->crls->len; i++)
        g_ptr_array_add(crls, g_ptr_array_index(judge->input->crls, i));
    for (guint i = 0; i < MIN(blobs->len, MAX_CANDIDATES); i++) {
        const AppraisalBlob *blob = g_ptr_array_index(blobs, i);
        gsize size = 0;
        gconstpointer data = g_bytes_get_data(blob->data, &size);
        AppraisalCrl *crl = appraisal_crl_parse(data, size, NULL);

        if (crl) {
            g_ptr_array_add(parsed, crl);
            g_ptr_array_add(crls, crl);
        }
    }
    *detail = g_strdup("there is no revocation list for this certificate: nobody knows whether AMD has revoked it");
    for (guint i = 0; i < crls->len; i++) {
        const AppraisalCrl *crl = g_ptr_array_index(crls, i);
        g_autofree gchar *text = NULL;
        AppraisalCrlState each = APPRAISAL_CRL_ABSENT;

        if (appraisal_crl_line(crl) != judge->endorsement->line)
            continue;
        each = appraisal_crl_check(crl, judge->endorsement, judge->input->anchors, judge->input->at, &text);
        if (worst(state, each) != state) {
            state = each;
            g_free(*detail);
            *detail = g_steal_pointer(&text);
        }
    }
    return state;
}

static void judge_revocation(AppraisalJudge *judge)
{
    static const char *const names[] = {
        [APPRAISAL_CRL_GOOD] = "good", [APPRAISAL_CRL_ABSENT] = "unknown", [APPRAISAL_CRL_STALE] = "stale",
        [APPRAISAL_CRL_BAD] = "bad",   [APPRAISAL_CRL_REVOKED] = "revoked",
    };
    g_autofree gchar *detail = NULL;
    AppraisalCrlState state = check_crls(judge, &detail);
    gboolean open = state == APPRAISAL_CRL_ABSENT || state == APPRAISAL_CRL_STALE;
    AppraisalOutcome outcome = state == APPRAISAL_CRL_GOOD                     ? APPRAISAL_PASS
                               : open && !judge->rules->revocation_required ? APPRAISAL_WARN
                                                                              : APPRAISAL_FAIL;

    appraisal_judge_add(judge, "revocation", outcome, g_strdup(names[state]), g_strdup("good"), "%s", detail);
}

static void judge_signature(AppraisalJudge *judge)
{
    g_autoptr(GError) error = NULL;

    if (judge->report->mask_chip_key)
        appraisal_judge_add(judge, "signature", APPRAISAL_FAIL, g_strdup("masked"), g_strdup("valid"),
                            "the host has masked the chip's key (MASK_CHIP_KEY): the firmware signs no report then");
    else if (!judge->signature_good && !appraisal_signature_verify(judge->report, judge->endorsement, &error)) {
        g_autofree gchar *why = policy_one_line(error->message, 300);

        appraisal_judge_add(judge, "signature", APPRAISAL_FAIL, g_strdup("invalid"), g_strdup("valid"), "%s", why);
    } else
        appraisal_judge_add(judge, "signature", APPRAISAL_PASS, g_strdup("valid"), g_strdup("valid"),
                            "the key of the certificate signed these bytes");
}

/* ---- Which chip ---- */

static gboolean product_in(guint products, const AppraisalReport *report, AppraisalLine line)
{
    /* Bergamo and Siena share family and models; older reports have neither. */
    gboolean bergamo = report->has_cpuid && report->cpuid_model >= 0xa0 && report->cpuid_model <= 0xaf;

    switch (line) {
    case APPRAISAL_LINE_MILAN:
        return products & APPRAISAL_PRODUCT_MILAN;
    case APPRAISAL_LINE_GENOA:
        return (products & APPRAISAL_PRODUCT_GENOA) || (bergamo && (products & APPRAISAL_PRODUCT_BERGAMO));
    case APPRAISAL_LINE_TURIN:
        return products & APPRAISAL_PRODUCT_TURIN;
    case APPRAISAL_LINE_UNKNOWN:
        break;
    }
    return FALSE;
}

static gchar *show_products(guint products)
{
    g_autoptr(GString) text = g_string_new(NULL);
    static const char *const names[] = {"Milan", "Genoa", "Bergamo or Siena", "Turin"};

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        if (products >> i & 1)
            g_string_append_printf(text, "%s%s", text->len ? ", " : "", names[i]);
    }
    return text->len ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

static void judge_product(AppraisalJudge *judge)
{
    const AppraisalReport *report = judge->report;
    const AppraisalEndorsement *endorsement = judge->endorsement;
    gchar *expected = show_products(judge->rules->products);
    gchar *found = report->has_cpuid ? g_strdup_printf("%s (family 0x%x, model 0x%x, stepping 0x%x)",
                                                       appraisal_line_name(judge->line), report->cpuid_family,
                                                       report->cpuid_model, report->cpuid_stepping)
                                     : g_strdup(appraisal_line_name(judge->line));

    if (endorsement && judge->line != endorsement->line)
        appraisal_judge_add(judge, "product", APPRAISAL_FAIL, found, expected,
                            "the report is of a %s, and the certificate of a %s", appraisal_line_name(judge->line),
                            appraisal_line_name(endorsement->line));
    else if (judge->rules->products && !product_in(judge->rules->products, report, judge->line))
        appraisal_judge_add(judge, "product", APPRAISAL_FAIL, found, expected, "%s",
                            judge->line == APPRAISAL_LINE_UNKNOWN || judge->line == APPRAISAL_LINE_GENOA
                                ? "the rules name other products, or the report is too old to tell"
                                : "the rules name other products");
    else if (judge->line == APPRAISAL_LINE_UNKNOWN)
        appraisal_judge_add(judge, "product", APPRAISAL_SKIP, found, expected,
                            "neither the report nor a certificate says which processor this is");
    else
        appraisal_judge_add(judge, "product", APPRAISAL_PASS, found, expected, "the processor is a %s",
                            appraisal_line_name(judge->line));
}

/* A VLEK names no chip, but whose chips it is for. */
static void judge_provider(AppraisalJudge *judge)
{
    const GPtrArray *accepted = judge->rules->csp_ids;
    g_autofree gchar *found = measure_printable(judge->endorsement->csp_id);
    gchar *expected = NULL;

    if (!accepted) {
        appraisal_judge_add(judge, "chip", APPRAISAL_SKIP, NULL, NULL,
                            "a VLEK belongs to a cloud provider and names no chip");
        return;
    }
    expected = accepted->len == 1 ? g_strdup(g_ptr_array_index(accepted, 0))
                                  : g_strdup_printf("one of %u cloud providers", accepted->len);
    if (g_ptr_array_find_with_equal_func((GPtrArray *)accepted, judge->endorsement->csp_id, g_str_equal, NULL))
        appraisal_judge_add(judge, "chip", APPRAISAL_PASS, g_steal_pointer(&found), expected,
                            "the VLEK belongs to a cloud provider that the rules name");
    else
        appraisal_judge_add(judge, "chip", APPRAISAL_FAIL, g_steal_pointer(&found), expected,
                            "the VLEK belongs to another cloud provider than the rules name (\"cspIds\")");
}

static void judge_chip(AppraisalJudge *judge)
{
    const AppraisalEndorsement *endorsement = judge->endorsement;
    g_autofree gchar *chip = appraisal_report_chip(judge->report, judge->line);
    gsize size = 0;
    const guint8 *hwid = endorsement->hwid ? g_bytes_get_data(endorsement->hwid, &size) : NULL;
    gchar *expected = hwid ? measure_hex_encode(hwid, size) : NULL;

    if (endorsement->kind == APPRAISAL_SIGNER_VLEK)
        judge_provider(judge);
    else if (judge->rules->csp_ids && judge->rules->signer != APPRAISAL_RULE_ANY)
        /* Whoever names providers and no kind of key has forgotten half of it: "signingKey". */
        appraisal_judge_add(judge, "chip", APPRAISAL_FAIL, g_strdup(chip ? chip : "masked"), expected,
                            "the rules name cloud providers (\"cspIds\"), and a chip's own key is of none of them");
    else if (!chip)
        appraisal_judge_add(judge, "chip", APPRAISAL_PASS, g_strdup("masked"), expected,
                            "the host has masked the chip's identity; the certificate names it");
    else if (!hwid_matches(judge, endorsement))
        appraisal_judge_add(judge, "chip", APPRAISAL_FAIL, g_strdup(chip), expected,
                            "the certificate is of another chip than the report");
    else
        appraisal_judge_add(judge, "chip", APPRAISAL_PASS, g_strdup(chip), expected,
                            "report and certificate are of the same chip");
}

static gboolean list_has(const GPtrArray *list, const guint8 chip[64])
{
    for (guint i = 0; list && i < list->len; i++) {
        if (!memcmp(g_bytes_get_data(g_ptr_array_index(list, i), NULL), chip, 64))
            return TRUE;
    }
    return FALSE;
}

/* The chip as the report says it or, where the host has masked it, the certificate. */
static gboolean chip_of(const AppraisalJudge *judge, guint8 out[64])
{
    gsize size = 0;
    const guint8 *hwid =
        judge->endorsement && judge->endorsement->hwid ? g_bytes_get_data(judge->endorsement->hwid, &size) : NULL;

    memcpy(out, judge->report->chip_id, 64);
    if (!appraisal_all_zero(out, 64))
        return TRUE;
    if (hwid && size <= 64)
        memcpy(out, hwid, size);
    return hwid != NULL;
}

static void judge_chip_list(AppraisalJudge *judge)
{
    const AppraisalRules *rules = judge->rules;
    guint8 chip[64];
    g_autofree gchar *hex = NULL;
    const char *expected = rules->chips ? "one of the accepted chips" : "none of the denied chips";

    if (!rules->chips && rules->denied_chips->len == 0) {
        appraisal_judge_add(judge, "chip-list", APPRAISAL_SKIP, NULL, NULL, "no rule names chips");
        return;
    }
    if (!chip_of(judge, chip)) {
        appraisal_judge_add(judge, "chip-list", APPRAISAL_FAIL, g_strdup("masked"), g_strdup(expected),
                            "the rules name chips, and neither the report nor a certificate says which one this is");
        return;
    }
    hex = measure_hex_encode(chip, appraisal_all_zero(chip + 8, 56) ? 8 : 64);
    if (list_has(rules->denied_chips, chip))
        appraisal_judge_add(judge, "chip-list", APPRAISAL_FAIL, g_steal_pointer(&hex), g_strdup(expected),
                            "the rules deny this chip");
    else if (rules->chips && !list_has(rules->chips, chip))
        appraisal_judge_add(judge, "chip-list", APPRAISAL_FAIL, g_steal_pointer(&hex), g_strdup(expected),
                            "the chip is not among those that the rules accept");
    else
        appraisal_judge_add(judge, "chip-list", APPRAISAL_PASS, g_steal_pointer(&hex), g_strdup(expected),
                            "the rules accept this chip");
}

static void judge_certificate_tcb(AppraisalJudge *judge)
{
    const AppraisalEndorsement *endorsement = judge->endorsement;
    PolicyTcb reported, current;

    appraisal_tcb_decode(endorsement->line, judge->report->reported_tcb, &reported);
    appraisal_tcb_decode(endorsement->line, judge->report->current_tcb, &current);
    if (!appraisal_tcb_equal(&reported, &endorsement->tcb))
        appraisal_judge_add(judge, "certificate-tcb", APPRAISAL_FAIL, policy_tcb_describe(&reported),
                            policy_tcb_describe(&endorsement->tcb),
                            "the certificate is for another TCB than the report says");
    else if (!appraisal_tcb_at_least(&current, &reported))
        appraisal_judge_add(judge, "certificate-tcb", APPRAISAL_FAIL, policy_tcb_describe(&reported),
                            policy_tcb_describe(&current), "the report claims a higher TCB than the one that runs");
    else
        appraisal_judge_add(judge, "certificate-tcb", APPRAISAL_PASS, policy_tcb_describe(&reported),
                            policy_tcb_describe(&endorsement->tcb), "report and certificate are of the same TCB");
}

static void skip(AppraisalJudge *judge, const char *name, const char *why)
{
    appraisal_judge_add(judge, name, APPRAISAL_SKIP, NULL, NULL, "%s", why);
}

void appraisal_judge_authenticity(AppraisalJudge *judge)
{
    static const char *const roles[] = {"ask", "ark", NULL};
    g_autoptr(GPtrArray) intermediates = g_ptr_array_new();
    static const char no_certificate[] = "not judged: there is no certificate to judge it by";

    /* The anchors have them all. What came along must fit nevertheless; what lies in a folder may be of other lines. */
    add_blobs(intermediates, judge->input->evidence->certificates, roles);
    judge_form(judge);
    judge_signer(judge);
    judge_certificate(judge, intermediates);
    if (!judge->endorsement) {
        skip(judge, "chain", no_certificate);
        skip(judge, "revocation", no_certificate);
    } else if (judge_chain(judge, intermediates)) {
        judge_revocation(judge);
    } else {
        skip(judge, "revocation", "not judged: the certificate leads to no trusted root");
    }
    if (judge->endorsement || judge->report->mask_chip_key)
        judge_signature(judge);
    else
        skip(judge, "signature", no_certificate);
    judge_product(judge);
    if (judge->endorsement)
        judge_chip(judge);
    else
        skip(judge, "chip", no_certificate);
    judge_chip_list(judge);
    if (judge->endorsement)
        judge_certificate_tcb(judge);
    else
        skip(judge, "certificate-tcb", no_certificate);
}
