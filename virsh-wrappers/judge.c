/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/judge.h"

#include <openssl/rand.h>
#include <string.h>

#include "measure/error.h"
#include "storage/output.h"
#include "virsh-wrappers/fetch-report.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/verdict-keep.h"
#include "virsh-wrappers/verify-explain.h"

#define KEY_FILE_MAX 16384

void cmd_judgement_clear(CmdJudgement *judgement)
{
    g_clear_pointer(&judgement->verdict, appraisal_verdict_free);
    g_clear_pointer(&judgement->nonce, appraisal_nonce_free);
    cmd_endorsements_clear(&judgement->endorsements);
    cmd_verify_rules_clear(&judgement->rules);
    g_clear_pointer(&judgement->evidence, appraisal_evidence_free);
}

static AppraisalEvidence *parse(CmdContext *context, GBytes *data, const char *path, GError **error)
{
    const char *aux_path = cmd_context_get(context, "auxblob");
    g_autoptr(GBytes) aux = aux_path ? appraisal_file_read(aux_path, APPRAISAL_EVIDENCE_MAX_SIZE, error) : NULL;
    if (aux_path && !aux) {
        return NULL;
    }
    gsize size = 0;
    gconstpointer bytes = g_bytes_get_data(data, &size);
    AppraisalEvidence *evidence = appraisal_evidence_parse(bytes, size, aux, error);
    if (!evidence) {
        g_autofree gchar *shown = cmd_printable(path);
        g_autofree gchar *shown_aux = aux_path ? cmd_printable(aux_path) : NULL;
        g_prefix_error(error, "'%s'%s%s%s: ", shown, aux ? " with '" : "", aux ? shown_aux : "", aux ? "'" : "");
    }
    return evidence;
}

static AppraisalEvidence *read_evidence(CmdContext *context, const char *path, GError **error)
{
    g_autoptr(GBytes) data = appraisal_file_read(path, APPRAISAL_EVIDENCE_MAX_SIZE, error);
    return data ? parse(context, data, path, error) : NULL;
}

/* A public key file of OpenSSH: type, key, comment. */
static gchar *read_key(const char *path, GError **error)
{
    g_autoptr(GBytes) data = appraisal_file_read(path, KEY_FILE_MAX, error);
    if (!data) {
        return NULL;
    }
    gsize size = 0;
    const char *bytes = g_bytes_get_data(data, &size);
    g_autofree gchar *text = g_strndup(size > 0 ? bytes : "", size);
    g_auto(GStrv) words = g_strsplit_set(g_strchomp(text), " \n", 3);
    g_autofree gchar *line = g_strv_length(words) >= 2 ? g_strdup_printf("%s %s", words[0], words[1]) : g_strdup("");
    guint8 digest[MEASURE_SHA256_SIZE];
    if (!appraisal_ssh_key_digest(line, digest)) {
        g_autofree gchar *shown = cmd_printable(path);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "SSH host key '%s': this is no public key of OpenSSH: give a .pub file, or a line of ssh-keyscan "
                    "without the host's name",
                    shown);
        return NULL;
    }
    return g_steal_pointer(&line);
}

/* Report data of a guest: the digest of its key, or zeros, and the nonce, or zeros (guest/report/report.h). */
static gboolean expect_key(const char *line, const guint8 *nonce, CmdVerifyRules *rules)
{
    memset(rules->report_data, 0, sizeof(rules->report_data));
    if (line && !appraisal_ssh_key_digest(line, rules->report_data)) {
        return FALSE;
    }
    if (nonce) {
        memcpy(rules->report_data + MEASURE_SHA256_SIZE, nonce, CMD_FETCH_NONCE_SIZE);
    }
    rules->has_report_data = TRUE;
    return TRUE;
}

static gboolean save(const char *path, const gchar *text, GError **error)
{
    g_autoptr(StorageOutput) output = storage_output_new(path, TRUE, 0644, error);
    return output && storage_output_write(output, text, strlen(text), error) && storage_output_commit(output, error);
}

/* Who may run programs in a guest gets a report about any key that he likes. */
static gboolean choose_way(CmdContext *context, gboolean needs_key, CmdVia *via, GError **error)
{
    *via = cmd_via(context);
    if (needs_key && *via == CMD_VIA_AGENT) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "%s: --via agent: no SSH key is trusted that comes through the guest agent, which runs anything "
                    "for the host, a report about a key of the host's too: give the domain the channel " CMD_FETCH_CHANNEL,
                    context->command->name);
        return FALSE;
    }
    *via = needs_key ? CMD_VIA_CHANNEL : *via;
    return TRUE;
}

/* Asks the guest. */
static gboolean fetch(CmdContext *context, const char *domain, CmdJudgement *out, GError **error)
{
    const char *path = cmd_context_get(context, "save");
    guint8 nonce[CMD_FETCH_NONCE_SIZE];
    CmdVia via = CMD_VIA_AUTO;
    if (!choose_way(context, out->needs_key, &via, error)) {
        return FALSE;
    }
    if (RAND_bytes(nonce, sizeof(nonce)) != 1) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "there is no random number for a nonce");
        return FALSE;
    }
    /* The nonce is of this moment, whatever time the guest takes to answer. */
    out->input.nonce_issued = g_get_real_time() / G_USEC_PER_SEC;
    g_autofree gchar *text = cmd_fetch_report(context, domain, nonce, &via, error);
    if (!text) {
        return FALSE;
    }
    out->source = via == CMD_VIA_AGENT ? "agent" : "channel";
    out->evidence = appraisal_evidence_parse(text, strlen(text), NULL, error);
    if (!out->evidence) {
        g_autofree gchar *shown = cmd_printable(domain);
        g_prefix_error(error, "domain '%s': ", shown);
        return FALSE;
    }
    if (via == CMD_VIA_AGENT) {
        g_clear_pointer(&out->evidence->ssh_host_key, g_free);
    }
    /* Only now: what is no evidence must not take the place of an earlier answer. */
    return expect_key(out->evidence->ssh_host_key, nonce, &out->rules) && (!path || save(path, text, error));
}

static gboolean stored(CmdContext *context, const char *report, CmdJudgement *out, GError **error)
{
    const char *path = cmd_context_get(context, "ssh-host-key");
    const char *nonce_text = cmd_context_get(context, "nonce");
    guint8 nonce[CMD_FETCH_NONCE_SIZE];
    out->source = "file";
    out->evidence = read_evidence(context, report, error);
    if (!out->evidence || !path) {
        return out->evidence != NULL;
    }
    if (nonce_text && !measure_hex_decode(nonce_text, nonce, sizeof(nonce))) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--nonce: beside --ssh-host-key a nonce has 64 hexadecimal digits");
        return FALSE;
    }
    g_free(out->evidence->ssh_host_key);
    out->evidence->ssh_host_key = read_key(path, error);
    return out->evidence->ssh_host_key &&
           expect_key(out->evidence->ssh_host_key, nonce_text ? nonce : NULL, &out->rules);
}

static gboolean get_evidence(CmdContext *context, const char *report, const char *domain, CmdJudgement *out,
                             GError **error)
{
    static const char *const of_stored[] = {"auxblob", "ssh-host-key", "nonce", "at", "report-data", "any-report-data",
                                            "maximum-age", NULL};
    static const char *const of_running[] = {"save", "via", NULL};
    for (const char *const *option = of_running; report && *option; option++) {
        if (cmd_context_has(context, *option)) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                        "--%s is for a running guest that is asked; here a report is given", *option);
            return FALSE;
        }
    }
    if (report) {
        return stored(context, report, out, error);
    }
    for (const char *const *option = of_stored; *option; option++) {
        if (cmd_context_has(context, *option)) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                        "--%s is for a report that is given; a running guest is asked for a fresh one", *option);
            return FALSE;
        }
    }
    if (!domain || cmd_word_is_file(domain)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "%s: there is neither a report nor a domain of libvirt that could be asked for one",
                    context->command->name);
        return FALSE;
    }
    return fetch(context, domain, out, error);
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
static gboolean claim_nonce(CmdContext *context, CmdJudgement *out, GError **error)
{
    if (!out->rules.has_nonce) {
        return TRUE;
    }
    PolicyStore *store = cmd_context_store(context, error);
    out->nonce =
        store ? appraisal_nonce_claim(store, out->rules.nonce, g_get_real_time() / G_USEC_PER_SEC, error) : NULL;
    if (!out->nonce) {
        return FALSE;
    }
    out->input.nonce_issued = out->nonce->issued;
    out->input.nonce_fault = out->nonce->fault;
    return TRUE;
}

gboolean cmd_judge(CmdContext *context, const char *report, const char *domain, CmdJudgement *out, GError **error)
{
    /* A domain can be asked for a report, and another document say what it must be. */
    out->rules.domain = !report && cmd_context_has(context, "reference") ? NULL : domain;
    out->input.nonce_issued = -1;
    if (!get_evidence(context, report, domain, out, error) || !read_time(context, &out->input.at, error) ||
        !cmd_verify_rules_load(context, &out->rules, error) ||
        !cmd_find_endorsements(context, out->evidence, &out->endorsements, error) ||
        !claim_nonce(context, out, error)) {
        return FALSE;
    }
    out->input.evidence = out->evidence;
    out->input.certificates = out->endorsements.certificates;
    out->input.crls = out->endorsements.crls;
    out->input.endorsement = out->endorsements.signer;
    out->input.anchors = out->endorsements.job.anchors;
    out->input.rules = out->rules.rules;
    out->verdict = appraisal_verdict_new(&out->input);
    /* Used only by what is accepted: a report that was rejected for another reason may be judged again. */
    if (out->verdict->accepted && out->nonce &&
        !appraisal_nonce_spend(out->nonce, g_get_real_time() / G_USEC_PER_SEC, error)) {
        return FALSE;
    }
    cmd_verify_explain(context, &out->rules, out->evidence->report, out->verdict);
    CmdVerdictKeep keep = {.input = &out->input,
                           .verdict = out->verdict,
                           .reference = out->rules.reference,
                           .source = out->source,
                           .fresh = out->nonce != NULL || !report,
                           .stored = cmd_context_has(context, "at")};
    cmd_verdict_keep(context, &keep);
    return TRUE;
}

int cmd_judgement_code(const CmdJudgement *judgement, GError **error)
{
    if (judgement->verdict->incomplete) {
        g_set_error(
            error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
            "the certificate of the key that signed the report is missing, so nothing can be said of the report; give "
            "it with --certificates, or get it with --fetch");
        return -1;
    }
    return judgement->verdict->accepted ? 0 : ATTEST_ERROR_REJECTED;
}
