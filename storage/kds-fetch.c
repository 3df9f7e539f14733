/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is asked of the Key Distribution Service, and what makes an answer the right one. */
#include <string.h>

#include "measure/error.h"
#include "policy/text.h"
#include "storage/kds.h"

#define HEX_DIGITS "0123456789abcdef"

gchar *storage_kds_vcek_path(AppraisalLine line, const char *chip, const PolicyTcb *tcb, GError **error)
{
    gboolean turin = line == APPRAISAL_LINE_TURIN;
    gsize digits = turin ? 16 : 128;
    g_autofree gchar *fmc = NULL;

    if (line == APPRAISAL_LINE_UNKNOWN) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "certificates are asked for by product: say which one it is: Milan, Genoa or Turin");
        return NULL;
    }
    if (strlen(chip) != digits || strspn(chip, HEX_DIGITS) != digits) {
        g_autofree gchar *shown = policy_one_line(chip, 140);

        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "'%s' is no chip of %s: write %" G_GSIZE_FORMAT " lower-case hexadecimal digits", shown,
                    appraisal_line_name(line), digits);
        return NULL;
    }
    if (turin != (tcb->fmc >= 0)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "a TCB of %s %s", appraisal_line_name(line),
                    turin ? "needs its 'fmc'" : "has no 'fmc'");
        return NULL;
    }
    fmc = turin ? g_strdup_printf("fmcSPL=%02d&", tcb->fmc) : g_strdup("");
    return g_strdup_printf("/vcek/v1/%s/%s?%sblSPL=%02u&teeSPL=%02u&snpSPL=%02u&ucodeSPL=%02u",
                           appraisal_line_name(line), chip, fmc, tcb->bootloader, tcb->tee, tcb->snp, tcb->microcode);
}

static gchar *line_path(AppraisalLine line, AppraisalSigner signer, const char *what)
{
    return g_strdup_printf("/%s/v1/%s/%s", signer == APPRAISAL_SIGNER_VLEK ? "vlek" : "vcek", appraisal_line_name(line),
                           what);
}

static gboolean wrong_answer(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean wrong_answer(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree gchar *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "the Key Distribution Service answered %s: it is not used",
                text);
    return FALSE;
}

static void prefix(GError **error)
{
    g_prefix_error(error, "what the Key Distribution Service answered is not used: ");
}

/* What cannot be kept can be used all the same. */
static void keep(StorageCertificates *cache, const StorageCertificate *certificate, gchar **warning)
{
    g_autoptr(GError) error = NULL;

    if (storage_certificates_put(cache, certificate, &error) || *warning)
        return;
    *warning = g_strdup_printf("what was fetched could not be kept: %s", error->message);
}

static gboolean check_vcek(const StorageCertificate *found, AppraisalLine line, const char *chip, const PolicyTcb *tcb,
                           GError **error)
{
    g_autofree gchar *is = policy_tcb_describe(&found->tcb);
    g_autofree gchar *wanted = policy_tcb_describe(tcb);

    if (found->kind != STORAGE_CERTIFICATE_VCEK)
        return wrong_answer(error, "with another kind of certificate (%s)", storage_certificate_kind_name(found->kind));
    if (found->line != line)
        return wrong_answer(error, "with a certificate of %s, not %s", appraisal_line_name(found->line),
                            appraisal_line_name(line));
    if (strcmp(found->chip, chip))
        return wrong_answer(error, "with the certificate of another chip (%.16s…, not %.16s…)", found->chip, chip);
    if (!appraisal_tcb_equal(&found->tcb, tcb))
        return wrong_answer(error, "with the certificate of another TCB (%s, not %s)", is, wanted);
    return TRUE;
}

AppraisalEndorsement *storage_kds_fetch_vcek(StorageKds *kds, StorageCertificates *cache, AppraisalLine line,
                                             const char *chip, const PolicyTcb *tcb, gchar **warning, GError **error)
{
    g_autofree gchar *path = storage_kds_vcek_path(line, chip, tcb, error);
    g_autoptr(GBytes) answer = path ? storage_kds_get(kds, path, STORAGE_CERTIFICATE_MAX_SIZE, error) : NULL;
    g_autoptr(StorageCertificate) found = NULL;

    *warning = NULL;
    if (!answer)
        return NULL;
    found = storage_certificate_read(cache, g_bytes_get_data(answer, NULL), g_bytes_get_size(answer),
                                     APPRAISAL_SIGNER_VCEK, error);
    if (!found)
        prefix(error);
    if (!found || !check_vcek(found, line, chip, tcb, error))
        return NULL;
    keep(cache, found, warning);
    return appraisal_endorsement_parse(g_bytes_get_data(found->data, NULL), g_bytes_get_size(found->data), error);
}

static gboolean read_chain(const StorageCertificates *cache, GBytes *answer, GPtrArray *out, GError **error)
{
    g_autoptr(GPtrArray) parts =
        storage_certificates_split(g_bytes_get_data(answer, NULL), g_bytes_get_size(answer), error);

    for (guint i = 0; parts && i < parts->len; i++) {
        GBytes *part = g_ptr_array_index(parts, i);
        StorageCertificate *found = storage_certificate_read(cache, g_bytes_get_data(part, NULL),
                                                             g_bytes_get_size(part), APPRAISAL_SIGNER_VCEK, error);

        if (!found)
            return FALSE;
        g_ptr_array_add(out, found);
    }
    return parts != NULL;
}

GPtrArray *storage_kds_fetch_chain(StorageKds *kds, StorageCertificates *cache, AppraisalLine line,
                                   AppraisalSigner signer, gchar **warning, GError **error)
{
    g_autofree gchar *path = line_path(line, signer, "cert_chain");
    g_autoptr(GBytes) answer = storage_kds_get(kds, path, STORAGE_KDS_CHAIN_MAX_SIZE, error);
    g_autoptr(GPtrArray) certificates = g_ptr_array_new_with_free_func((GDestroyNotify)storage_certificate_free);
    g_autoptr(GPtrArray) blobs = appraisal_blobs_new();
    StorageCertificateKind middle =
        signer == APPRAISAL_SIGNER_VLEK ? STORAGE_CERTIFICATE_ASVK : STORAGE_CERTIFICATE_ASK;

    *warning = NULL;
    if (!answer)
        return NULL;
    if (!read_chain(cache, answer, certificates, error)) {
        prefix(error);
        return NULL;
    }
    for (guint i = 0; i < certificates->len; i++) {
        const StorageCertificate *found = g_ptr_array_index(certificates, i);
        StorageCertificateKind wanted = i == 0 ? middle : STORAGE_CERTIFICATE_ARK;

        if (certificates->len != 2 || found->kind != wanted || found->line != line) {
            wrong_answer(error, "with something else than the intermediate and the root of %s",
                         appraisal_line_name(line));
            return NULL;
        }
    }
    for (guint i = 0; i < certificates->len; i++) {
        const StorageCertificate *found = g_ptr_array_index(certificates, i);

        keep(cache, found, warning);
        appraisal_blobs_add(blobs, i == 0 ? "ask" : "ark", found->data);
    }
    return g_steal_pointer(&blobs);
}

AppraisalCrl *storage_kds_fetch_crl(StorageKds *kds, StorageCertificates *cache, AppraisalLine line,
                                    AppraisalSigner signer, gchar **warning, GError **error)
{
    g_autofree gchar *path = line_path(line, signer, "crl");
    g_autoptr(GBytes) answer = storage_kds_get(kds, path, STORAGE_CRL_MAX_SIZE, error);
    g_autoptr(StorageCertificate) found = NULL;
    g_autoptr(AppraisalCrl) kept = NULL;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;

    *warning = NULL;
    if (!answer)
        return NULL;
    found = storage_certificate_read(cache, g_bytes_get_data(answer, NULL), g_bytes_get_size(answer), signer, error);
    if (!found) {
        prefix(error);
        return NULL;
    }
    if (found->kind != STORAGE_CERTIFICATE_CRL || found->line != line) {
        wrong_answer(error, "with something else than the revocation list of %s", appraisal_line_name(line));
        return NULL;
    }
    if (now < found->not_before || now >= found->not_after) {
        wrong_answer(error, "with a revocation list of %s that does not hold now", appraisal_line_name(line));
        return NULL;
    }
    keep(cache, found, warning);
    /* The one in the cache is the newer of the two, when there is one. */
    kept = storage_certificates_crl(cache, line, signer, NULL, NULL);
    if (kept)
        return g_steal_pointer(&kept);
    return appraisal_crl_parse(g_bytes_get_data(found->data, NULL), g_bytes_get_size(found->data), error);
}
