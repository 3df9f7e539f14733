/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/report-shown.h"

#include <string.h>

#include "measure/bytes.h"
#include "policy/appraisal/certificate.h"
#include "policy/json.h"
#include "virsh-wrappers/output.h"

#include "measure/foreign-autoptr.h"

static void certificate_free(gpointer data)
{
    CmdShownCertificate *certificate = data;

    g_free(certificate->role);
    g_free(certificate->sha256);
    g_free(certificate->subject);
    g_free(certificate->issuer);
    g_free(certificate->problem);
    appraisal_endorsement_free(certificate->endorsement);
    g_free(certificate);
}

void cmd_shown_free(CmdShown *shown)
{
    if (!shown)
        return;
    appraisal_evidence_free(shown->evidence);
    g_ptr_array_unref(shown->certificates);
    g_free(shown);
}

static void describe_x509(CmdShownCertificate *shown, const AppraisalBlob *blob)
{
    g_autoptr(GError) error = NULL;
    gsize size = 0;
    gconstpointer data = g_bytes_get_data(blob->data, &size);
    g_autoptr(X509) certificate = appraisal_certificate_parse(data, size, &error);

    if (!certificate) {
        shown->problem = g_strdup(error->message);
        return;
    }
    shown->subject = appraisal_name_common(X509_get_subject_name(certificate));
    shown->issuer = appraisal_name_common(X509_get_issuer_name(certificate));
    shown->has_validity = appraisal_time_read(X509_get0_notBefore(certificate), &shown->not_before) &&
                          appraisal_time_read(X509_get0_notAfter(certificate), &shown->not_after);
    if (g_str_equal(blob->role, "vcek") || g_str_equal(blob->role, "vlek")) {
        shown->endorsement = appraisal_endorsement_parse(data, size, &error);
        if (!shown->endorsement)
            shown->problem = g_strdup(error->message);
    }
}

static void describe_crl(CmdShownCertificate *shown, const AppraisalBlob *blob)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalCrl) crl =
        appraisal_crl_parse(g_bytes_get_data(blob->data, NULL), g_bytes_get_size(blob->data), &error);

    if (!crl) {
        shown->problem = g_strdup(error->message);
        return;
    }
    shown->issuer = appraisal_authority_name(APPRAISAL_AUTHORITY_ARK, appraisal_crl_line(crl));
    shown->not_before = appraisal_crl_this_update(crl);
    shown->not_after = appraisal_crl_next_update(crl);
    shown->has_validity = TRUE;
}

static CmdShownCertificate *describe(const AppraisalBlob *blob)
{
    CmdShownCertificate *shown = g_new0(CmdShownCertificate, 1);
    guint8 digest[MEASURE_SHA256_SIZE];
    gsize size = 0;
    gconstpointer data = g_bytes_get_data(blob->data, &size);

    policy_sha256(data, size, digest);
    shown->role = g_strdup(blob->role);
    shown->size = size;
    shown->sha256 = measure_hex_encode(digest, sizeof(digest));
    if (g_str_equal(blob->role, "crl"))
        describe_crl(shown, blob);
    else if (strlen(blob->role) <= 4)
        describe_x509(shown, blob);
    return shown;
}

/* Certificates in DER start with the tag of a sequence, in PEM with dashes; none of the known GUIDs does. */
static gboolean are_certificates(GBytes *aux)
{
    gsize size = 0;
    const guint8 *data = g_bytes_get_data(aux, &size);

    return size >= 4 && ((data[0] == 0x30 && data[1] == 0x82) || memcmp(data, "----", 4) == 0);
}

static AppraisalEvidence *read_evidence(GBytes *data, GBytes *aux, GError **error)
{
    gboolean apart = aux && are_certificates(aux);
    g_autoptr(AppraisalEvidence) evidence = appraisal_evidence_parse(
        g_bytes_get_data(data, NULL), g_bytes_get_size(data), apart ? NULL : aux, error);

    if (!evidence || (apart && !appraisal_certificates_read(g_bytes_get_data(aux, NULL), g_bytes_get_size(aux),
                                                            evidence->certificates, error)))
        return NULL;
    return g_steal_pointer(&evidence);
}

CmdShown *cmd_shown_read(const char *path, const char *aux, GError **error)
{
    g_autoptr(CmdShown) shown = g_new0(CmdShown, 1);
    g_autoptr(GBytes) table = NULL;
    g_autoptr(GBytes) data = appraisal_file_read(path, APPRAISAL_EVIDENCE_MAX_SIZE, error);

    shown->certificates = g_ptr_array_new_with_free_func(certificate_free);
    if (!data || (aux && !(table = appraisal_file_read(aux, APPRAISAL_EVIDENCE_MAX_SIZE, error))))
        return NULL;
    if (!(shown->evidence = read_evidence(data, table, error))) {
        g_autofree gchar *shown_path = cmd_printable(path);
        g_autofree gchar *shown_aux = aux ? cmd_printable(aux) : NULL;

        g_prefix_error(error, "'%s'%s%s%s: ", shown_path, aux ? " with '" : "", aux ? shown_aux : "", aux ? "'" : "");
        return NULL;
    }
    shown->line = shown->evidence->report->line;
    for (guint i = 0; i < shown->evidence->certificates->len; i++) {
        CmdShownCertificate *certificate = describe(g_ptr_array_index(shown->evidence->certificates, i));

        if (shown->line == APPRAISAL_LINE_UNKNOWN && certificate->endorsement)
            shown->line = certificate->endorsement->line;
        g_ptr_array_add(shown->certificates, certificate);
    }
    return g_steal_pointer(&shown);
}
