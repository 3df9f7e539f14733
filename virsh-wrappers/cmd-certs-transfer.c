/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* certs import and certs export: the certificate cache of machines without a network. */
#include "virsh-wrappers/cmd-certs.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

#include "measure/error.h"
#include "storage/output.h"

#define FILE_MAX_SIZE APPRAISAL_EVIDENCE_MAX_SIZE

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* ---- import ---- */

static gboolean put(CmdCertificates *job, gconstpointer data, gsize size, AppraisalSigner signer, guint *count,
                    GError **error)
{
    g_autoptr(StorageCertificate) found = storage_certificate_read(job->cache, data, size, signer, error);
    if (!found || !storage_certificates_put(job->cache, found, error)) {
        return FALSE;
    }
    *count += 1;
    return TRUE;
}

/* A certificate table, or a report with one. */
static gboolean import_table(CmdCertificates *job, GBytes *data, guint *count, GError **error)
{
    gconstpointer bytes = g_bytes_get_data(data, NULL);
    gsize size = g_bytes_get_size(data);
    g_autoptr(GPtrArray) blobs = appraisal_blobs_new();
    g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func((GDestroyNotify)storage_certificate_free);
    if (!appraisal_table_parse(bytes, size, blobs, NULL) || blobs->len == 0) {
        g_autoptr(AppraisalEvidence) evidence = appraisal_evidence_parse(bytes, size, NULL, NULL);
        if (!evidence || evidence->certificates->len == 0) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                        "neither certificates nor revocation lists (PEM, DER), nor a certificate table");
            return FALSE;
        }
        cmd_certificates_take(job, evidence->certificates, kept);
    } else {
        cmd_certificates_take(job, blobs, kept);
    }
    *count += kept->len;
    if (kept->len == 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "nothing in its certificate table is signed by the roots");
        return FALSE;
    }
    return TRUE;
}

static gboolean import_file(CmdCertificates *job, const char *path, guint *count, GError **error)
{
    g_autoptr(GBytes) data = appraisal_file_read(path, FILE_MAX_SIZE, error);
    g_autofree gchar *base = g_path_get_basename(path);
    /* A list says who signed it, not whose keys it is about. The service's path and our own names have the word. */
    AppraisalSigner signer = strstr(base, "vlek") ? APPRAISAL_SIGNER_VLEK : APPRAISAL_SIGNER_VCEK;
    g_autofree gchar *shown = cmd_printable(path);
    if (!data) {
        return FALSE;
    }
    g_autoptr(GPtrArray) parts =
        storage_certificates_split(g_bytes_get_data(data, NULL), g_bytes_get_size(data), NULL);
    gboolean good = parts || import_table(job, data, count, error);
    for (guint i = 0; good && parts && i < parts->len; i++) {
        GBytes *part = g_ptr_array_index(parts, i);
        good = put(job, g_bytes_get_data(part, NULL), g_bytes_get_size(part), signer, count, error);
    }
    if (!good) {
        g_prefix_error(error, "'%s': ", shown);
    }
    return good;
}

/* The files of a folder, not of folders in it. What is no certificate there is passed over. */
static gboolean import_folder(CmdCertificates *job, const char *path, guint *count, GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name = NULL;
    if (!dir) {
        g_autofree gchar *shown = cmd_printable(path);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot read folder '%s': %s", shown,
                    g_strerror(errno));
        return FALSE;
    }
    while ((name = g_dir_read_name(dir))) {
        g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, by_name);
    for (guint i = 0; i < names->len; i++) {
        g_autofree gchar *file = g_build_filename(path, g_ptr_array_index(names, i), NULL);
        g_autoptr(GError) cause = NULL;
        if (*(const char *)g_ptr_array_index(names, i) == '.' || !g_file_test(file, G_FILE_TEST_IS_REGULAR)) {
            continue;
        }
        if (import_file(job, file, count, &cause)) {
            continue;
        }
        if (cause->code == ATTEST_ERROR_NOT_CONFIGURED) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
        g_ptr_array_add(job->warnings, g_strdup_printf("not imported: %s", cause->message));
    }
    return TRUE;
}

int cmd_certs_import(CmdContext *context, CmdCertificates *job, GError **error)
{
    const GPtrArray *words = cmd_arguments_words(context->arguments);
    guint count = 0;
    for (guint i = 1; i < words->len; i++) {
        const char *path = g_ptr_array_index(words, i);
        gboolean folder = g_file_test(path, G_FILE_TEST_IS_DIR);
        if (!(folder ? import_folder(job, path, &count, error) : import_file(job, path, &count, error))) {
            return -1;
        }
    }
    if (count == 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "no certificate or revocation list was found in what was named");
        return -1;
    }
    if (!cmd_context_quiet(context)) {
        printf("Certificates and revocation lists imported: %u\n", count);
    }
    return 0;
}

/* ---- export ---- */

static gboolean write_file(const CmdContext *context, const char *path, gconstpointer data, gsize size, GError **error)
{
    g_autoptr(StorageOutput) output = storage_output_new(path, cmd_context_has(context, "force"), 0644, error);
    return output && storage_output_write(output, data, size, error) && storage_output_commit(output, error);
}

static gchar *to_pem(const StorageCertificate *certificate)
{
    gsize size = 0;
    gconstpointer data = g_bytes_get_data(certificate->data, &size);
    g_autofree gchar *text = g_base64_encode(data, size);
    const char *label = certificate->kind == STORAGE_CERTIFICATE_CRL ? "X509 CRL" : "CERTIFICATE";
    g_autoptr(GString) pem = g_string_new(NULL);
    g_string_append_printf(pem, "-----BEGIN %s-----\n", label);
    for (const char *at = text; *at; at += MIN(strlen(at), 64)) {
        g_string_append_printf(pem, "%.64s\n", at);
    }
    g_string_append_printf(pem, "-----END %s-----\n", label);
    return g_string_free(g_steal_pointer(&pem), FALSE);
}

static gboolean export_folder(const CmdContext *context, CmdCertificates *job, const char *folder, guint *count,
                              GError **error)
{
    g_autoptr(GPtrArray) list = storage_certificates_list(job->cache, error);
    if (!list) {
        return FALSE;
    }
    int made = g_mkdir(folder, 0755) < 0 ? errno : 0;
    if (made == EEXIST && !g_file_test(folder, G_FILE_TEST_IS_DIR)) {
        made = ENOTDIR;
    }
    if (made && made != EEXIST) {
        g_autofree gchar *shown = cmd_printable(folder);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot make folder '%s': %s", shown,
                    g_strerror(made));
        return FALSE;
    }
    for (guint i = 0; i < list->len; i++) {
        const StorageCertificate *each = g_ptr_array_index(list, i);
        if (each->problem) {
            g_ptr_array_add(job->warnings, g_strdup_printf("not exported: %s: %s", each->name, each->problem));
            continue;
        }
        g_autofree gchar *pem = to_pem(each);
        g_autofree gchar *name = g_strconcat(each->name, ".pem", NULL);
        g_autofree gchar *path = g_build_filename(folder, name, NULL);
        if (!write_file(context, path, pem, strlen(pem), error)) {
            return FALSE;
        }
        *count += 1;
    }
    return TRUE;
}

static void add_x509(GPtrArray *blobs, const char *role, X509 *certificate)
{
    guint8 *der = NULL;
    int size = i2d_X509(certificate, &der);
    if (size > 0) {
        g_autoptr(GBytes) data = g_bytes_new(der, (gsize)size);
        appraisal_blobs_add(blobs, role, data);
    }
    OPENSSL_free(der);
}

/* What the host of this report would hand to its guests: GET_EXT_REPORT. */
static gboolean export_table(const CmdContext *context, CmdCertificates *job, const char *report, const char *path,
                             guint *count, GError **error)
{
    g_autoptr(AppraisalEvidence) evidence = cmd_certs_read_report(report, error);
    g_auto(CmdCertsSubject) subject = {0};
    g_autoptr(GPtrArray) blobs = appraisal_blobs_new();
    g_autoptr(GPtrArray) vleks = NULL;
    g_autoptr(AppraisalEndorsement) vcek = NULL;
    const char *source = NULL;
    if (!evidence || !cmd_certs_subject_from_report(&subject, context, evidence, error)) {
        return FALSE;
    }
    job->offline = job->exporting = TRUE;
    if (subject.signer == APPRAISAL_SIGNER_VLEK) {
        vleks = storage_certificates_vleks(job->cache, subject.line, &subject.tcb);
    } else {
        vcek = cmd_certificates_vcek(job, subject.line, subject.chip, &subject.tcb, &source, error);
    }
    if (!vcek && !(vleks && vleks->len > 0)) {
        if (vleks) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                        "the VLEK of this report is not in the cache: certs import brings it in");
        }
        return FALSE;
    }
    add_x509(blobs, vcek ? "vcek" : "vlek",
             vcek ? vcek->certificate : ((AppraisalEndorsement *)g_ptr_array_index(vleks, 0))->certificate);
    g_autoptr(GPtrArray) chain = cmd_certificates_chain(job, subject.line, subject.signer, &source, error);
    if (!chain) {
        return FALSE;
    }
    for (guint i = 0; i < chain->len; i++) {
        const AppraisalBlob *blob = g_ptr_array_index(chain, i);
        appraisal_blobs_add(blobs, blob->role, blob->data);
    }
    g_autoptr(GBytes) table = appraisal_table_format(blobs);
    *count = blobs->len;
    return write_file(context, path, g_bytes_get_data(table, NULL), g_bytes_get_size(table), error);
}

int cmd_certs_export(CmdContext *context, CmdCertificates *job, GError **error)
{
    const char *word = cmd_context_word(context, 1);
    const char *table = cmd_context_get(context, "table");
    guint count = 0;
    gboolean good = table ? export_table(context, job, word, table, &count, error)
                          : export_folder(context, job, word, &count, error);
    if (!good) {
        return -1;
    }
    if (!cmd_context_quiet(context)) {
        printf("Certificates and revocation lists exported: %u\n", count);
    }
    return 0;
}
