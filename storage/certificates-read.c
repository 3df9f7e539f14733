/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a piece of PEM or DER is, whether it is signed by the roots, and under which name it is kept. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/json.h"
#include "storage/certificates-private.h"

#define SPLIT_MAX 32

static const char *const kind_names[] = {"ark", "ask", "asvk", "vcek", "vlek", "crl"};

const char *storage_certificate_kind_name(StorageCertificateKind kind)
{
    return kind_names[kind];
}

void storage_certificate_free(StorageCertificate *certificate)
{
    if (!certificate)
        return;
    g_free(certificate->name);
    g_free(certificate->chip);
    g_free(certificate->csp);
    g_free(certificate->problem);
    g_clear_pointer(&certificate->data, g_bytes_unref);
    g_free(certificate);
}

/* ---- names ---- */

/* TCB_VERSION as it stands in a report of @line. */
gchar *storage_certificate_tcb_name(AppraisalLine line, const PolicyTcb *tcb)
{
    if (line == APPRAISAL_LINE_TURIN)
        return g_strdup_printf("%02x%02x%02x%02x000000%02x", (guint)MAX(tcb->fmc, 0), tcb->bootloader, tcb->tee,
                               tcb->snp, tcb->microcode);
    return g_strdup_printf("%02x%02x00000000%02x%02x", tcb->bootloader, tcb->tee, tcb->snp, tcb->microcode);
}

gchar *storage_certificate_vcek_name(AppraisalLine line, const char *chip, const PolicyTcb *tcb)
{
    g_autofree gchar *words = storage_certificate_tcb_name(line, tcb);

    return g_strdup_printf("%s.%s.%s.vcek", appraisal_line_name(line), chip, words);
}

/* Two operators have two VLEKs for one TCB; the name of an operator can be anything. */
static gchar *storage_certificate_vlek_name(AppraisalLine line, const char *csp, const PolicyTcb *tcb)
{
    g_autofree gchar *words = storage_certificate_tcb_name(line, tcb);
    guint8 digest[MEASURE_SHA256_SIZE];
    g_autofree gchar *hex = NULL;

    policy_sha256(csp, strlen(csp), digest);
    hex = measure_hex_encode(digest, 8);
    return g_strdup_printf("%s.%s.%s.vlek", appraisal_line_name(line), hex, words);
}

gchar *storage_certificate_authority_name(AppraisalLine line, StorageCertificateKind kind)
{
    return g_strdup_printf("%s.%s", appraisal_line_name(line), kind_names[kind]);
}

/*
 * Other authorities have theirs under names of their own: a run with a test authority's file must not make AMD's list be
 * forgotten, and what it revokes.
 */
gchar *storage_certificate_crl_name(const StorageCertificates *cache, AppraisalLine line, AppraisalSigner signer)
{
    g_autofree gchar *id = appraisal_anchors_id(cache->anchors, line);

    return g_strdup_printf("%s%s%s.%s.crl", appraisal_line_name(line), id ? "." : "", id ? id : "",
                           signer == APPRAISAL_SIGNER_VLEK ? "vlek" : "vcek");
}

/* ---- telling what something is, and whether it is good ---- */

static StorageCertificate *new_certificate(StorageCertificateKind kind, AppraisalLine line, gconstpointer data,
                                           gsize size)
{
    StorageCertificate *certificate = g_new0(StorageCertificate, 1);

    certificate->kind = kind;
    certificate->line = line;
    certificate->data = g_bytes_new(data, size);
    certificate->fetched = g_get_real_time() / G_USEC_PER_SEC;
    return certificate;
}

static gboolean read_time(const ASN1_TIME *time, gint64 *out)
{
    struct tm fields;

    if (!time || ASN1_TIME_to_tm(time, &fields) != 1)
        return FALSE;
    *out = timegm(&fields);
    return TRUE;
}

static StorageCertificate *read_endorsement(const StorageCertificates *cache, const AppraisalEndorsement *endorsement,
                                            gconstpointer data, gsize size, GError **error)
{
    gboolean vlek = endorsement->kind == APPRAISAL_SIGNER_VLEK;
    g_autoptr(StorageCertificate) certificate =
        new_certificate(vlek ? STORAGE_CERTIFICATE_VLEK : STORAGE_CERTIFICATE_VCEK, endorsement->line, data, size);

    /* An old report is appraised with an old certificate, at a time that others choose. */
    if (!appraisal_chain_verify(endorsement, cache->anchors, NULL, APPRAISAL_ANY_TIME, error))
        return NULL;
    certificate->signer = endorsement->kind;
    certificate->tcb = endorsement->tcb;
    certificate->not_before = endorsement->not_before;
    certificate->not_after = endorsement->not_after;
    if (vlek) {
        certificate->csp = g_strdup(endorsement->csp_id);
        certificate->name = storage_certificate_vlek_name(endorsement->line, endorsement->csp_id, &endorsement->tcb);
    } else {
        certificate->chip =
            measure_hex_encode(g_bytes_get_data(endorsement->hwid, NULL), g_bytes_get_size(endorsement->hwid));
        certificate->name = storage_certificate_vcek_name(endorsement->line, certificate->chip, &endorsement->tcb);
    }
    return g_steal_pointer(&certificate);
}

static StorageCertificate *read_crl(const StorageCertificates *cache, const AppraisalCrl *crl, gconstpointer data,
                                    gsize size, AppraisalSigner signer, GError **error)
{
    g_autoptr(StorageCertificate) certificate =
        new_certificate(STORAGE_CERTIFICATE_CRL, appraisal_crl_line(crl), data, size);
    g_autofree gchar *detail = NULL;

    certificate->signer = signer;
    certificate->not_before = appraisal_crl_this_update(crl);
    certificate->not_after = appraisal_crl_next_update(crl);
    certificate->name = storage_certificate_crl_name(cache, certificate->line, signer);
    if (appraisal_crl_check(crl, NULL, cache->anchors, APPRAISAL_ANY_TIME, &detail) == APPRAISAL_CRL_BAD) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "%s", detail);
        return NULL;
    }
    return g_steal_pointer(&certificate);
}

static StorageCertificate *read_authority(const StorageCertificates *cache, X509 *x509, gconstpointer data, gsize size,
                                          GError **error)
{
    g_autoptr(StorageCertificate) certificate =
        new_certificate(STORAGE_CERTIFICATE_ARK, APPRAISAL_LINE_UNKNOWN, data, size);
    const char *role = NULL;

    if (!appraisal_authority_check(certificate->data, cache->anchors, APPRAISAL_ANY_TIME, &role, &certificate->line,
                                   error))
        return NULL;
    if (!read_time(X509_get0_notBefore(x509), &certificate->not_before) ||
        !read_time(X509_get0_notAfter(x509), &certificate->not_after)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "a certificate whose validity cannot be read");
        return NULL;
    }
    while (strcmp(kind_names[certificate->kind], role))
        certificate->kind++;
    certificate->signer =
        certificate->kind == STORAGE_CERTIFICATE_ASVK ? APPRAISAL_SIGNER_VLEK : APPRAISAL_SIGNER_VCEK;
    certificate->name = storage_certificate_authority_name(certificate->line, certificate->kind);
    return g_steal_pointer(&certificate);
}

/* "SEV-VCEK" and "SEV-VLEK" are the names of endorsement keys; everything else is an authority's. */
static gboolean is_endorsement(X509 *x509)
{
    char name[64] = "";

    X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, name, sizeof(name));
    return !strcmp(name, "SEV-VCEK") || !strcmp(name, "SEV-VLEK");
}

/* DER to its last byte. */
StorageCertificate *storage_certificate_read_der(const StorageCertificates *cache, const guint8 *data, gsize size,
                                    AppraisalSigner signer_hint, GError **error)
{
    const guint8 *at = data;
    X509 *x509 = size <= STORAGE_CERTIFICATE_MAX_SIZE ? d2i_X509(NULL, &at, (long)size) : NULL;
    StorageCertificate *certificate = NULL;

    ERR_clear_error();
    if (x509 && is_endorsement(x509)) {
        g_autoptr(AppraisalEndorsement) endorsement = appraisal_endorsement_parse(data, size, error);

        certificate = endorsement ? read_endorsement(cache, endorsement, data, size, error) : NULL;
    } else if (x509) {
        certificate = read_authority(cache, x509, data, size, error);
    } else {
        g_autoptr(AppraisalCrl) crl = appraisal_crl_parse(data, size, NULL);

        if (crl)
            certificate = read_crl(cache, crl, data, size, signer_hint, error);
        else
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                        "neither a certificate nor a revocation list of AMD's form");
    }
    X509_free(x509);
    return certificate;
}

StorageCertificate *storage_certificate_read(const StorageCertificates *cache, gconstpointer data, gsize size,
                                             AppraisalSigner signer_hint, GError **error)
{
    g_autoptr(GPtrArray) parts = storage_certificates_split(data, size, error);
    const guint8 *der = NULL;
    gsize length = 0;

    if (!parts)
        return NULL;
    if (parts->len != 1) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%u certificates where one was expected", parts->len);
        return NULL;
    }
    der = g_bytes_get_data(g_ptr_array_index(parts, 0), &length);
    return storage_certificate_read_der(cache, der, length, signer_hint, error);
}

/* Appends one block of PEM; FALSE when it is nothing that belongs here. */
static gboolean take_block(GPtrArray *out, const char *label, const guint8 *data, long size)
{
    gboolean certificate = !strcmp(label, PEM_STRING_X509) || !strcmp(label, PEM_STRING_X509_OLD);
    gsize limit = certificate ? STORAGE_CERTIFICATE_MAX_SIZE : STORAGE_CRL_MAX_SIZE;

    if ((!certificate && strcmp(label, PEM_STRING_X509_CRL)) || size <= 0 || (gsize)size > limit ||
        out->len >= SPLIT_MAX)
        return FALSE;
    g_ptr_array_add(out, g_bytes_new(data, (gsize)size));
    return TRUE;
}

static gboolean split_pem(GPtrArray *out, gconstpointer data, gsize size)
{
    BIO *bio = BIO_new_mem_buf(data, (int)size);
    gboolean good = bio != NULL, more = good;

    while (good && more) {
        char *label = NULL, *header = NULL;
        unsigned char *block = NULL;
        long length = 0;

        more = PEM_read_bio(bio, &label, &header, &block, &length) == 1;
        /* An encrypted block has a header; a certificate never does. */
        if (more)
            good = !*header && take_block(out, label, block, length);
        else
            good = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        OPENSSL_free(label);
        OPENSSL_free(header);
        OPENSSL_free(block);
    }
    ERR_clear_error();
    BIO_free(bio);
    return good;
}

GPtrArray *storage_certificates_split(gconstpointer data, gsize size, GError **error)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);

    if (size == 0 || size > SPLIT_MAX * STORAGE_CRL_MAX_SIZE) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "%" G_GSIZE_FORMAT " bytes, which no certificate or revocation list has", size);
        return NULL;
    }
    /* Both forms begin with a SEQUENCE of a length in two or more bytes, which no PEM does. */
    if (*(const guint8 *)data == 0x30) {
        if (size > STORAGE_CRL_MAX_SIZE) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                        "%" G_GSIZE_FORMAT " bytes, more than any certificate or revocation list of AMD", size);
            return NULL;
        }
        g_ptr_array_add(parts, g_bytes_new(data, size));
        return g_steal_pointer(&parts);
    }
    if (!split_pem(parts, data, size) || !parts->len) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "neither DER nor PEM of certificates or revocation lists");
        return NULL;
    }
    return g_steal_pointer(&parts);
}
