/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* certs fetch: brings into the cache what a report, or a chip at a TCB, is verified with. */
#include "virsh-wrappers/cmd-certs.h"

#include "measure/error.h"
#include "policy/text.h"

/* One line of the result. */
typedef struct {
    const char *kind, *source; /* interned */
    AppraisalLine line;
    gchar *chip, *tcb;
    gint64 until; /* 0: not said */
} Row;

static void row_free(gpointer data)
{
    Row *row = data;
    g_free(row->chip);
    g_free(row->tcb);
    g_free(row);
}

static Row *add_row(GPtrArray *rows, const char *kind, const char *source, AppraisalLine line, gint64 until)
{
    Row *row = g_new0(Row, 1);
    row->kind = kind;
    row->source = source;
    row->line = line;
    row->until = until;
    g_ptr_array_add(rows, row);
    return row;
}

static gchar *date(gint64 time)
{
    g_autoptr(GDateTime) at = time ? g_date_time_new_from_unix_utc(time) : NULL;
    return at ? g_date_time_format(at, "%Y-%m-%dT%H:%M:%SZ") : NULL;
}

static gboolean fetch_endorsement(CmdCertificates *job, const CmdCertsSubject *subject, const char *source,
                                  GPtrArray *rows, GError **error)
{
    g_autoptr(GPtrArray) vleks = NULL;
    g_autoptr(AppraisalEndorsement) vcek = NULL;
    const AppraisalEndorsement *found = NULL;
    if (subject->signer == APPRAISAL_SIGNER_VLEK) {
        vleks = storage_certificates_vleks(job->cache, subject->line, &subject->tcb);
        if (vleks->len == 0) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                        "this report is signed by a VLEK, which only its cloud operator can fetch: get its certificate "
                        "from the host's certificate table (an extended report), or from the operator (certs import)");
            return FALSE;
        }
        found = g_ptr_array_index(vleks, 0);
        source = source ? source : CMD_CERTIFICATE_CACHE;
    } else {
        const char *from = NULL;
        vcek = cmd_certificates_vcek(job, subject->line, subject->chip, &subject->tcb, &from, error);
        if (!vcek) {
            return FALSE;
        }
        found = vcek;
        /* What has just been put into the cache came with the report. */
        source = source && g_str_equal(from, CMD_CERTIFICATE_CACHE) ? source : from;
    }
    Row *row = add_row(rows, vcek ? "vcek" : "vlek", source, subject->line, found->not_after);
    row->chip = g_strdup(subject->chip);
    row->tcb = policy_tcb_describe(&found->tcb);
    return TRUE;
}

static gboolean fetch(CmdCertificates *job, const CmdCertsSubject *subject, const char *source, GPtrArray *rows,
                      GError **error)
{
    const char *chain_source = NULL;
    const char *crl_source = NULL;
    if ((subject->chip || subject->signer == APPRAISAL_SIGNER_VLEK) &&
        !fetch_endorsement(job, subject, source, rows, error)) {
        return FALSE;
    }
    g_autoptr(GPtrArray) chain = cmd_certificates_chain(job, subject->line, subject->signer, &chain_source, error);
    if (!chain) {
        return FALSE;
    }
    add_row(rows, subject->signer == APPRAISAL_SIGNER_VLEK ? "asvk" : "ask", chain_source, subject->line, 0);
    add_row(rows, "ark", chain_source, subject->line, 0);
    g_autoptr(AppraisalCrl) crl = cmd_certificates_crl(job, subject->line, subject->signer, &crl_source, error);
    if (!crl) {
        return FALSE;
    }
    add_row(rows, "crl", crl_source, subject->line, appraisal_crl_next_update(crl));
    return TRUE;
}

/* What came with a report goes first: a good certificate of the host saves a question. */
static const char *take_evidence(CmdCertificates *job, const AppraisalEvidence *evidence)
{
    g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func((GDestroyNotify)storage_certificate_free);
    cmd_certificates_take(job, evidence->certificates, kept);
    for (guint i = 0; i < kept->len; i++) {
        const StorageCertificate *each = g_ptr_array_index(kept, i);
        if (each->kind == STORAGE_CERTIFICATE_VCEK || each->kind == STORAGE_CERTIFICATE_VLEK) {
            return CMD_CERTIFICATE_EVIDENCE;
        }
    }
    return NULL;
}

static gboolean fetch_report(const CmdContext *context, CmdCertificates *job, const char *path, GPtrArray *rows,
                             GError **error)
{
    g_autoptr(AppraisalEvidence) evidence = cmd_certs_read_report(path, error);
    g_auto(CmdCertsSubject) subject = {0};
    if (!evidence || !cmd_certs_subject_from_report(&subject, context, evidence, error)) {
        return FALSE;
    }
    return fetch(job, &subject, take_evidence(job, evidence), rows, error);
}

static void print(const CmdContext *context, const GPtrArray *rows)
{
    g_autoptr(CmdTable) table = cmd_table_new("Kind", "Product", "Chip", "TCB", "Until", "From", NULL);
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "certificates");
    json_builder_begin_array(builder);
    for (guint i = 0; i < rows->len; i++) {
        const Row *row = g_ptr_array_index(rows, i);
        g_autofree gchar *until = date(row->until);
        g_autofree gchar *chip = row->chip ? policy_short_digest(row->chip) : NULL;
        cmd_table_row(table, row->kind, appraisal_line_name(row->line), chip, row->tcb, until, row->source);
        json_builder_begin_object(builder);
        cmd_json_string(builder, "kind", row->kind);
        cmd_json_string(builder, "product", appraisal_line_name(row->line));
        cmd_json_string(builder, "chip", row->chip);
        cmd_json_string(builder, "tcb", row->tcb);
        cmd_json_string(builder, "notAfter", until);
        cmd_json_string(builder, "source", row->source);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    if (cmd_context_json(context)) {
        cmd_json_print(builder);
    } else {
        cmd_table_print(table, cmd_context_quiet(context));
    }
}

int cmd_certs_fetch(CmdContext *context, CmdCertificates *job, GError **error)
{
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(row_free);
    const GPtrArray *words = cmd_arguments_words(context->arguments);
    gboolean good = TRUE;
    if (words->len > 1 && cmd_context_has(context, "tcb")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "a report says its TCB itself: leave out --tcb");
        return -1;
    }
    for (guint i = 1; good && i < words->len; i++) {
        good = fetch_report(context, job, g_ptr_array_index(words, i), rows, error);
    }
    if (words->len == 1) {
        g_auto(CmdCertsSubject) subject = {0};
        good = cmd_certs_subject_from_options(&subject, context, error) && fetch(job, &subject, NULL, rows, error);
    }
    if (!good) {
        return -1;
    }
    print(context, rows);
    return 0;
}
