/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* certs: fetches, lists, imports and exports the certificates that reports are verified with. */
#include "virsh-wrappers/cmd-certs.h"

#include "measure/error.h"
#include "virsh-wrappers/commands.h"

static const struct {
    const char *name;
    int (*run)(CmdContext *context, CmdCertificates *job, GError **error);
    guint words_min, words_max; /* behind the name */
    const char *const *options; /* those that it takes, besides --trust-anchor and the global ones */
} actions[] = {
    {"fetch", cmd_certs_fetch, 0, 1000,
     (const char *const[]){"product", "chip", "tcb", "kds", "offline", "timeout", "refresh", "format", NULL}},
    {"list", cmd_certs_list, 0, 0, (const char *const[]){"format", NULL}},
    {"import", cmd_certs_import, 1, 1000, (const char *const[]){NULL}},
    {"export", cmd_certs_export, 1, 1, (const char *const[]){"product", "chip", "table", "force", NULL}},
};

static gboolean check_options(const CmdContext *context, guint action, GError **error)
{
    static const char *const all[] = {"product", "chip",    "tcb",    "kds",   "offline",
                                      "timeout", "refresh", "format", "table", "force"};
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        if (cmd_context_has(context, all[i]) && !g_strv_contains(actions[action].options, all[i])) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "certs %s has no --%s", actions[action].name, all[i]);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean check_words(const CmdContext *context, guint action, GError **error)
{
    guint given = cmd_arguments_words(context->arguments)->len - 1;
    if (given < actions[action].words_min) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "certs %s: too few arguments", actions[action].name);
        return FALSE;
    }
    if (given > actions[action].words_max) {
        g_autofree gchar *shown = cmd_printable(cmd_context_word(context, actions[action].words_max + 1));
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "certs %s: unexpected argument '%s'", actions[action].name,
                    shown);
        return FALSE;
    }
    return TRUE;
}

int cmd_certs(CmdContext *context, GError **error)
{
    const char *word = cmd_context_word(context, 0);
    for (guint i = 0; i < G_N_ELEMENTS(actions); i++) {
        g_auto(CmdCertificates) job = {NULL};
        if (!g_str_equal(word, actions[i].name)) {
            continue;
        }
        if (!check_options(context, i, error) || !check_words(context, i, error)) {
            return -1;
        }
        /* Importing does nothing else, so there a cache that cannot be written is an error. */
        if (actions[i].run == cmd_certs_import && !cmd_context_store_writable(context, error)) {
            return -1;
        }
        if (!cmd_certificates_open(&job, context, error)) {
            return -1;
        }
        int code = actions[i].run(context, &job, error);
        cmd_certificates_warn(&job);
        return code;
    }
    g_autofree gchar *shown = cmd_printable(word);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                "certs does not know '%s': write fetch, list, import or export", shown);
    return -1;
}

AppraisalEvidence *cmd_certs_read_report(const char *path, GError **error)
{
    g_autoptr(GBytes) data = appraisal_file_read(path, APPRAISAL_EVIDENCE_MAX_SIZE, error);
    AppraisalEvidence *evidence = data ? appraisal_evidence_parse(g_bytes_get_data(data, NULL), g_bytes_get_size(data),
                                                                  NULL, error)
                                       : NULL;
    if (data && !evidence) {
        g_autofree gchar *shown = cmd_printable(path);
        g_prefix_error(error, "'%s': ", shown);
    }
    return evidence;
}

void cmd_certs_subject_clear(CmdCertsSubject *subject)
{
    g_clear_pointer(&subject->chip, g_free);
}

static gboolean read_product(CmdCertsSubject *subject, const CmdContext *context, GError **error)
{
    const char *product = cmd_context_get(context, "product");
    if (!product || appraisal_line_from_name(product, &subject->line)) {
        return TRUE;
    }
    g_autofree gchar *shown = cmd_printable(product);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--product %s: write Milan, Genoa or Turin", shown);
    return FALSE;
}

/* The endorsement key's certificate that came along says of what line it is; what it says is checked later. */
static AppraisalLine line_of_certificates(const AppraisalEvidence *evidence)
{
    for (guint i = 0; i < evidence->certificates->len; i++) {
        const AppraisalBlob *blob = g_ptr_array_index(evidence->certificates, i);
        if (!g_str_equal(blob->role, "vcek") && !g_str_equal(blob->role, "vlek")) {
            continue;
        }
        g_autoptr(AppraisalEndorsement) found = appraisal_endorsement_parse(
            g_bytes_get_data(blob->data, NULL), g_bytes_get_size(blob->data), NULL);
        if (found) {
            return found->line;
        }
    }
    return APPRAISAL_LINE_UNKNOWN;
}

gboolean cmd_certs_subject_from_report(CmdCertsSubject *subject, const CmdContext *context,
                                       const AppraisalEvidence *evidence, GError **error)
{
    const AppraisalReport *report = evidence->report;
    if (!read_product(subject, context, error)) {
        return FALSE;
    }
    if (report->line != APPRAISAL_LINE_UNKNOWN) {
        if (subject->line != APPRAISAL_LINE_UNKNOWN && subject->line != report->line) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "this report is of %s: leave out --product",
                        appraisal_line_name(report->line));
            return FALSE;
        }
        subject->line = report->line;
    } else if (subject->line == APPRAISAL_LINE_UNKNOWN) {
        subject->line = line_of_certificates(evidence);
    }
    if (subject->line == APPRAISAL_LINE_UNKNOWN) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "a report of version %u does not say what processor it is from: say it with --product",
                    report->version);
        return FALSE;
    }
    if (report->signer == APPRAISAL_SIGNER_NONE) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "this report is not signed: no certificate belongs to it");
        return FALSE;
    }
    subject->signer = report->signer;
    appraisal_tcb_decode(subject->line, report->reported_tcb, &subject->tcb);
    if (subject->signer == APPRAISAL_SIGNER_VCEK) {
        subject->chip = appraisal_report_chip(report, subject->line);
        if (!subject->chip) {
            subject->chip = g_strdup(cmd_context_get(context, "chip"));
        }
        if (!subject->chip) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                        "this report hides the identity of its chip: say it with --chip");
            return FALSE;
        }
    }
    return TRUE;
}

gboolean cmd_certs_subject_from_options(CmdCertsSubject *subject, const CmdContext *context, GError **error)
{
    const char *chip = cmd_context_get(context, "chip");
    const char *tcb = cmd_context_get(context, "tcb");
    if (!read_product(subject, context, error)) {
        return FALSE;
    }
    if (subject->line == APPRAISAL_LINE_UNKNOWN) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "certs fetch: name a report, or a processor with --product, --chip and --tcb");
        return FALSE;
    }
    if (!chip != !tcb) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "a VCEK is of one chip at one TCB: --chip and --tcb go together");
        return FALSE;
    }
    subject->signer = APPRAISAL_SIGNER_VCEK;
    subject->chip = chip ? g_ascii_strdown(chip, -1) : NULL;
    return !tcb || policy_tcb_parse(tcb, &subject->tcb, error);
}
