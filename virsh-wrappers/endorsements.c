/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/endorsements.h"

#include "measure/error.h"
#include "virsh-wrappers/output.h"

/* A table, and a folder of somebody who collects them. */
#define MAX_FILE_SIZE (1024u * 1024)
#define MAX_FILES 1024

void cmd_endorsements_clear(CmdEndorsements *endorsements)
{
    g_clear_pointer(&endorsements->certificates, g_ptr_array_unref);
    g_clear_pointer(&endorsements->crls, g_ptr_array_unref);
    g_clear_pointer(&endorsements->signer, appraisal_endorsement_free);
    cmd_certificates_clear(&endorsements->job);
}

static gboolean add_crl(CmdEndorsements *out, GBytes *data, GError **error)
{
    gsize size = 0;
    gconstpointer bytes = g_bytes_get_data(data, &size);
    AppraisalCrl *crl = appraisal_crl_parse(bytes, size, error);
    if (crl) {
        g_ptr_array_add(out->crls, crl);
    }
    return crl != NULL;
}

/* PEM with certificates and lists in it, every one of which has to be something. */
static gboolean add_parts(CmdEndorsements *out, gconstpointer bytes, gsize size)
{
    g_autoptr(GPtrArray) parts = storage_certificates_split(bytes, size, NULL);
    for (guint i = 0; parts && i < parts->len; i++) {
        GBytes *part = g_ptr_array_index(parts, i);
        if (!appraisal_certificates_read(g_bytes_get_data(part, NULL), g_bytes_get_size(part), out->certificates, NULL) &&
            !add_crl(out, part, NULL)) {
            return FALSE;
        }
    }
    return parts != NULL;
}

/* Told by what is in it. The error is that of a certificate, which most of them are. */
static gboolean add_data(CmdEndorsements *out, GBytes *data, GError **error)
{
    gsize size = 0;
    gconstpointer bytes = g_bytes_get_data(data, &size);
    g_autoptr(GError) cause = NULL;
    /* An empty table would be a good one; an empty file is somebody's mistake. */
    if (appraisal_certificates_read(bytes, size, out->certificates, &cause) || add_crl(out, data, NULL) ||
        (size > 0 && (appraisal_table_parse(bytes, size, out->certificates, NULL) || add_parts(out, bytes, size)))) {
        return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static gboolean add_file(CmdEndorsements *out, const char *path, GError **error)
{
    g_autoptr(GBytes) data = appraisal_file_read(path, MAX_FILE_SIZE, error);
    if (!data) {
        return FALSE;
    }
    if (!add_data(out, data, error)) {
        g_autofree gchar *shown = cmd_printable(path);
        g_prefix_error(error, "certificates '%s': ", shown);
        return FALSE;
    }
    return TRUE;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return g_strcmp0(*(const char *const *)a, *(const char *const *)b);
}

static gboolean add_folder(CmdEndorsements *out, const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GDir) dir = g_dir_open(path, 0, &cause);
    if (!dir) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s", cause->message);
        return FALSE;
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name = NULL;
    while ((name = g_dir_read_name(dir)) && names->len <= MAX_FILES) {
        g_ptr_array_add(names, g_build_filename(path, name, NULL));
    }
    /* To look at some of them would be to miss a certificate, or who revokes it, by chance. */
    if (names->len > MAX_FILES) {
        g_autofree gchar *shown = cmd_printable(path);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "certificates '%s': the folder has more than %d files: give those that are meant, or keep them in "
                    "the cache (virt-attest certs import)",
                    shown, MAX_FILES);
        return FALSE;
    }
    g_ptr_array_sort(names, by_name);
    for (guint i = 0; i < names->len; i++) {
        g_autoptr(GBytes) data = appraisal_file_read(g_ptr_array_index(names, i), MAX_FILE_SIZE, NULL);
        if (data) {
            add_data(out, data, NULL);
        }
    }
    return TRUE;
}

static gboolean add_files(CmdContext *context, CmdEndorsements *out, GError **error)
{
    const GPtrArray *places = cmd_arguments_all(context->arguments, "certificates");
    const GPtrArray *crls = cmd_arguments_all(context->arguments, "crl");
    for (guint i = 0; i < places->len; i++) {
        const char *path = g_ptr_array_index(places, i);
        gboolean folder = g_file_test(path, G_FILE_TEST_IS_DIR);
        if (!(folder ? add_folder(out, path, error) : add_file(out, path, error))) {
            return FALSE;
        }
    }
    for (guint i = 0; i < crls->len; i++) {
        const char *path = g_ptr_array_index(crls, i);
        g_autoptr(GBytes) data = appraisal_file_read(path, MAX_FILE_SIZE, error);
        if (!data) {
            return FALSE;
        }
        if (!add_crl(out, data, error)) {
            g_autofree gchar *shown = cmd_printable(path);
            g_prefix_error(error, "revocation list '%s': ", shown);
            return FALSE;
        }
    }
    return TRUE;
}

/* ---- Cache and service ---- */

/*
 * Looks for the certificate in @list whose key signed the report. Anybody can write that key into a certificate that
 * says what he likes; so one that no anchor has signed does not decide whose revocation lists are looked up, and does
 * not keep us from looking for the right one.
 */
static gboolean signer_among(CmdEndorsements *out, const AppraisalReport *report, const GPtrArray *list)
{
    for (guint i = 0; i < list->len; i++) {
        const AppraisalBlob *blob = g_ptr_array_index(list, i);
        if (!g_str_equal(blob->role, "vcek") && !g_str_equal(blob->role, "vlek")) {
            continue;
        }
        gsize size = 0;
        gconstpointer data = g_bytes_get_data(blob->data, &size);
        g_autoptr(AppraisalEndorsement) each = appraisal_endorsement_parse(data, size, NULL);
        if (each && appraisal_signature_verify(report, each, NULL) &&
            appraisal_chain_verify(each, out->job.anchors, NULL, APPRAISAL_ANY_TIME, NULL)) {
            out->signer = g_steal_pointer(&each);
            return TRUE;
        }
    }
    return FALSE;
}

static void add_endorsement(CmdEndorsements *out, const AppraisalEndorsement *endorsement)
{
    unsigned char *der = NULL;
    int size = i2d_X509(endorsement->certificate, &der);
    if (size > 0) {
        g_autoptr(GBytes) data = g_bytes_new(der, (gsize)size);
        appraisal_blobs_add(out->certificates, endorsement->kind == APPRAISAL_SIGNER_VLEK ? "vlek" : "vcek", data);
    }
    OPENSSL_free(der);
}

/* A VLEK has to come with the evidence, or from the cache: the service gives it to its owner only. */
static gboolean add_kept(CmdEndorsements *out, const AppraisalReport *report, AppraisalLine line)
{
    g_autofree gchar *chip = appraisal_report_chip(report, line);
    g_autoptr(GError) cause = NULL;
    PolicyTcb tcb;
    appraisal_tcb_decode(line, report->reported_tcb, &tcb);
    if (report->signer == APPRAISAL_SIGNER_VLEK) {
        g_autoptr(GPtrArray) vleks = storage_certificates_vleks(out->job.cache, line, &tcb);
        for (guint i = 0; i < vleks->len; i++) {
            add_endorsement(out, g_ptr_array_index(vleks, i));
        }
    } else if (report->signer == APPRAISAL_SIGNER_VCEK && chip) {
        const char *source = NULL;
        g_autoptr(AppraisalEndorsement) vcek =
            cmd_certificates_vcek(&out->job, line, chip, &tcb, &source, &cause);
        if (vcek) {
            add_endorsement(out, vcek);
        } else if (!out->job.offline) {
            cmd_warn("%s", cause->message);
        }
    }
    return signer_among(out, report, out->certificates);
}

/* A report of version 2 does not say which line it is of. */
static gboolean add_missing(CmdEndorsements *out, const AppraisalReport *report)
{
    if (report->line != APPRAISAL_LINE_UNKNOWN) {
        return add_kept(out, report, report->line);
    }
    return add_kept(out, report, APPRAISAL_LINE_MILAN) || add_kept(out, report, APPRAISAL_LINE_GENOA);
}

/*
 * What an older list revokes stays revoked. So the one of the cache is judged as well where others are given, and where
 * the service answers with none: or else whoever cuts the network, or damages an answer, could bring back an ASK that
 * is known here to be revoked.
 */
static void add_kept_crl(CmdEndorsements *out, AppraisalSigner signer)
{
    AppraisalCrl *kept = storage_certificates_crl(out->job.cache, out->signer->line, signer, NULL, NULL);
    if (kept) {
        g_ptr_array_add(out->crls, kept);
    }
}

/*
 * The service has a list of VCEKs' authorities and one of VLEKs', both of the same ARK; which one a file was, only its
 * name tells. The other one cannot vouch for this certificate, but what it revokes is revoked.
 */
static void add_other_crl(CmdEndorsements *out, AppraisalSigner signer)
{
    AppraisalSigner other = signer == APPRAISAL_SIGNER_VLEK ? APPRAISAL_SIGNER_VCEK : APPRAISAL_SIGNER_VLEK;
    g_autoptr(AppraisalCrl) kept = storage_certificates_crl(out->job.cache, out->signer->line, other, NULL, NULL);
    g_autofree gchar *detail = NULL;
    if (kept && appraisal_crl_check(kept, out->signer, out->job.anchors, APPRAISAL_ANY_TIME, &detail) ==
                    APPRAISAL_CRL_REVOKED) {
        g_ptr_array_add(out->crls, g_steal_pointer(&kept));
    }
}

/* Whether one that was given says something of this certificate today; one of another line, or of last year, does not. */
static gboolean is_answered(const CmdEndorsements *out)
{
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    for (guint i = 0; i < out->crls->len; i++) {
        const AppraisalCrl *crl = g_ptr_array_index(out->crls, i);
        g_autofree gchar *detail = NULL;
        AppraisalCrlState state = appraisal_crl_check(crl, out->signer, out->job.anchors, now, &detail);
        if (state == APPRAISAL_CRL_GOOD || state == APPRAISAL_CRL_REVOKED) {
            return TRUE;
        }
    }
    return FALSE;
}

static void find_crls(CmdEndorsements *out, AppraisalSigner signer)
{
    const char *source = NULL;
    g_autoptr(GError) cause = NULL;
    if (is_answered(out)) {
        add_kept_crl(out, signer);
        return;
    }
    AppraisalCrl *crl = cmd_certificates_crl(&out->job, out->signer->line, signer, &source, &cause);
    if (crl) {
        g_ptr_array_add(out->crls, crl);
        return;
    }
    if (!out->job.offline) {
        cmd_warn("%s", cause->message);
    }
    add_kept_crl(out, signer);
}

gboolean cmd_find_endorsements(CmdContext *context, const AppraisalEvidence *evidence, CmdEndorsements *out,
                               GError **error)
{
    const AppraisalReport *report = evidence->report;
    out->certificates = appraisal_blobs_new();
    out->crls = g_ptr_array_new_with_free_func((GDestroyNotify)appraisal_crl_free);
    if (!cmd_certificates_open(&out->job, context, error) || !add_files(context, out, error)) {
        return FALSE;
    }
    out->job.offline = !cmd_context_has(context, "fetch") && !cmd_context_has(context, "kds");
    if (!out->job.offline && cmd_context_has(context, "offline")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "give --offline or --fetch, not both");
        return FALSE;
    }
    gboolean found = signer_among(out, report, evidence->certificates) ||
                     signer_among(out, report, out->certificates) || add_missing(out, report);
    if (found) {
        find_crls(out, report->signer);
        add_other_crl(out, report->signer);
    }
    if (!cmd_context_quiet(context)) {
        cmd_certificates_warn(&out->job);
    }
    return TRUE;
}
