/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* verify: judges an attestation report. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>
#include <string.h>

#include "measure/error.h"
#include "policy/appraisal/nonce.h"
#include "virsh-wrappers/endorsements.h"
#include "virsh-wrappers/verdict-keep.h"
#include "virsh-wrappers/verify-explain.h"
#include "virsh-wrappers/verify-rules.h"
#include "virsh-wrappers/verify-show.h"

static AppraisalEvidence *read_evidence(const CmdContext *context, GError **error)
{
    const char *path = cmd_context_word(context, 0);
    const char *aux_path = cmd_context_get(context, "auxblob");
    g_autoptr(GBytes) data = appraisal_file_read(path, APPRAISAL_EVIDENCE_MAX_SIZE, error);
    g_autoptr(GBytes) aux = data && aux_path ? appraisal_file_read(aux_path, APPRAISAL_EVIDENCE_MAX_SIZE, error) : NULL;
    if (!data || (aux_path && !aux)) {
        return NULL;
    }
    gsize size = 0;
    gconstpointer bytes = g_bytes_get_data(data, &size);
    AppraisalEvidence *evidence = appraisal_evidence_parse(bytes, size, aux, error);
    if (!evidence) {
        g_autofree gchar *shown = cmd_printable(path);
        g_prefix_error(error, "'%s': ", shown);
    }
    return evidence;
}

static gboolean read_time(const CmdContext *context, gint64 *at, GError **error)
{
    const char *text = cmd_context_get(context, "at");
    guint64 seconds = 0;
    *at = g_get_real_time() / G_USEC_PER_SEC;
    if (!text) {
        return TRUE;
    }
    if (g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT32 * G_GUINT64_CONSTANT(8), &seconds, NULL)) {
        *at = (gint64)seconds;
        return TRUE;
    }
    g_autoptr(GDateTime) time = policy_time_valid(text) ? g_date_time_new_from_iso8601(text, NULL) : NULL;
    if (!time) {
        g_autofree gchar *shown = cmd_printable(text);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--at '%s': this is neither a time such as 2026-11-28T12:00:00Z nor seconds since 1970", shown);
        return FALSE;
    }
    *at = g_date_time_to_unix(time);
    return TRUE;
}

/* Looks up the nonce of --nonce and keeps it from others until the verdict is there. */
static gboolean claim_nonce(CmdContext *context, const CmdVerifyRules *rules, AppraisalCase *input,
                            AppraisalNonce **out, GError **error)
{
    if (!rules->has_nonce) {
        return TRUE;
    }
    PolicyStore *store = cmd_context_store(context, error);
    *out = store ? appraisal_nonce_claim(store, rules->nonce, g_get_real_time() / G_USEC_PER_SEC, error) : NULL;
    if (!*out) {
        return FALSE;
    }
    input->nonce_issued = (*out)->issued;
    input->nonce_fault = (*out)->fault;
    return TRUE;
}

static int finish(CmdContext *context, const CmdVerifyRules *rules, const AppraisalCase *input,
                  const AppraisalVerdict *verdict, GError **error)
{
    const PolicyReference *reference = rules->reference;
    if (cmd_context_json(context)) {
        cmd_verdict_print_json(verdict, input, reference ? reference->name : NULL, reference ? reference->uuid : NULL);
    } else {
        cmd_verdict_print(verdict, input, cmd_context_quiet(context));
    }
    if (verdict->incomplete) {
        g_set_error(
            error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
            "the certificate of the key that signed the report is missing, so nothing can be said of the report; give "
            "it with --certificates, or get it with --fetch");
        return -1;
    }
    return verdict->accepted ? 0 : ATTEST_ERROR_REJECTED;
}

int cmd_verify(CmdContext *context, GError **error)
{
    g_autoptr(AppraisalEvidence) evidence = read_evidence(context, error);
    g_auto(CmdVerifyRules) rules = {.rules = NULL};
    g_auto(CmdEndorsements) endorsements = {.certificates = NULL};
    g_autoptr(AppraisalNonce) nonce = NULL;
    AppraisalCase input = {.evidence = evidence, .nonce_issued = -1};
    if (!evidence || !read_time(context, &input.at, error) || !cmd_verify_rules_load(context, &rules, error) ||
        !cmd_find_endorsements(context, evidence, &endorsements, error) ||
        !claim_nonce(context, &rules, &input, &nonce, error)) {
        return -1;
    }
    input.certificates = endorsements.certificates;
    input.crls = endorsements.crls;
    input.endorsement = endorsements.signer;
    input.anchors = endorsements.job.anchors;
    input.rules = rules.rules;
    g_autoptr(AppraisalVerdict) verdict = appraisal_verdict_new(&input);
    /* Used only by what is accepted: a report that was rejected for another reason may be judged again. */
    if (verdict->accepted && nonce && !appraisal_nonce_spend(nonce, g_get_real_time() / G_USEC_PER_SEC, error)) {
        return -1;
    }
    cmd_verify_explain(context, &rules, evidence->report, verdict);
    CmdVerdictKeep keep = {.input = &input,
                           .verdict = verdict,
                           .reference = rules.reference,
                           .source = "file",
                           .fresh = nonce != NULL,
                           .stored = cmd_context_has(context, "at")};
    cmd_verdict_keep(context, &keep);
    return finish(context, &rules, &input, verdict, error);
}
