/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/json.h"

/* "virt-attest certificate 1", when it came, SHA-256 of the DER behind the line. */
#define MAGIC "virt-attest certificate 1 "
#define HEAD_MAX_SIZE 128
#define SPLIT_MAX 32

struct StorageCertificates {
    PolicyStore *store;
    const AppraisalAnchors *anchors;
};

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

StorageCertificates *storage_certificates_new(PolicyStore *store, const AppraisalAnchors *anchors)
{
    StorageCertificates *cache = g_new0(StorageCertificates, 1);

    cache->store = store;
    cache->anchors = anchors;
    return cache;
}

void storage_certificates_free(StorageCertificates *cache)
{
    g_free(cache);
}

/* ---- names ---- */

/* TCB_VERSION as it stands in a report of @line. */
static gchar *tcb_name(AppraisalLine line, const PolicyTcb *tcb)
{
    if (line == APPRAISAL_LINE_TURIN)
        return g_strdup_printf("%02x%02x%02x%02x000000%02x", (guint)MAX(tcb->fmc, 0), tcb->bootloader, tcb->tee, tcb->snp,
                               tcb->microcode);
    return g_strdup_printf("%02x%02x00000000%02x%02x", tcb->bootloader, tcb->tee, tcb->snp, tcb->microcode);
}

static gchar *vcek_name(AppraisalLine line, const char *chip, const PolicyTcb *tcb)
{
    g_autofree gchar *words = tcb_name(line, tcb);

    return g_strdup_printf("%s.%s.%s.vcek", appraisal_line_name(line), chip, words);
}

/* Two operators have two VLEKs for one TCB; the name of an operator can be anything. */
static gchar *vlek_name(AppraisalLine line, const char *csp, const PolicyTcb *tcb)
{
    g_autofree gchar *words = tcb_name(line, tcb);
    guint8 digest[MEASURE_SHA256_SIZE];
    g_autofree gchar *hex = NULL;

    policy_sha256(csp, strlen(csp), digest);
    hex = measure_hex_encode(digest, 8);
    return g_strdup_printf("%s.%s.%s.vlek", appraisal_line_name(line), hex, words);
}

static gchar *authority_name(AppraisalLine line, StorageCertificateKind kind)
{
    return g_strdup_printf("%s.%s", appraisal_line_name(line), kind_names[kind]);
}

static gchar *crl_name(AppraisalLine line, AppraisalSigner signer)
{
    return g_strdup_printf("%s.%s.crl", appraisal_line_name(line), signer == APPRAISAL_SIGNER_VLEK ? "vlek" : "vcek");
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
        certificate->name = vlek_name(endorsement->line, endorsement->csp_id, &endorsement->tcb);
    } else {
        certificate->chip =
            measure_hex_encode(g_bytes_get_data(endorsement->hwid, NULL), g_bytes_get_size(endorsement->hwid));
        certificate->name = vcek_name(endorsement->line, certificate->chip, &endorsement->tcb);
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
    certificate->name = crl_name(certificate->line, signer);
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
    certificate->name = authority_name(certificate->line, certificate->kind);
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
static StorageCertificate *read_der(const StorageCertificates *cache, const guint8 *data, gsize size,
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
    return read_der(cache, der, length, signer_hint, error);
}

/* Appends one block of PEM; FALSE when it is nothing that belongs here. */
static gboolean take_block(GPtrArray *out, const char *label, const guint8 *data, long size)
{
    gboolean certificate = !strcmp(label, PEM_STRING_X509) || !strcmp(label, PEM_STRING_X509_OLD);
    gsize limit = certificate ? STORAGE_CERTIFICATE_MAX_SIZE : STORAGE_CRL_MAX_SIZE;

    if ((!certificate && strcmp(label, PEM_STRING_X509_CRL)) || size <= 0 || (gsize)size > limit || out->len >= SPLIT_MAX)
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

/* ---- entries ---- */

static gsize entry_max_size(const char *name)
{
    return HEAD_MAX_SIZE + (g_str_has_suffix(name, ".crl") ? STORAGE_CRL_MAX_SIZE : STORAGE_CERTIFICATE_MAX_SIZE);
}

/* The DER behind the head, when the digest in the head is its own. */
static const guint8 *open_entry(const gchar *text, gsize size, gsize *der_size, gint64 *fetched)
{
    const gchar *end = memchr(text, '\n', MIN(size, HEAD_MAX_SIZE));
    g_auto(GStrv) words = NULL;
    g_autofree gchar *head = NULL;
    guint8 wanted[MEASURE_SHA256_SIZE], found[MEASURE_SHA256_SIZE];

    if (!end || !g_str_has_prefix(text, MAGIC))
        return NULL;
    head = g_strndup(text + strlen(MAGIC), (gsize)(end - text) - strlen(MAGIC));
    words = g_strsplit(head, " ", 3);
    if (g_strv_length(words) != 2 || !g_ascii_string_to_signed(words[0], 10, 0, G_MAXINT64, fetched, NULL) ||
        !measure_hex_decode(words[1], wanted, sizeof(wanted)))
        return NULL;
    *der_size = size - (gsize)(end + 1 - text);
    policy_sha256(end + 1, *der_size, found);
    return measure_digest_equal(wanted, found, sizeof(found)) ? (const guint8 *)end + 1 : NULL;
}

static StorageCertificate *load(const StorageCertificates *cache, const char *name, gchar **why)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StorageCertificate) certificate = NULL;
    g_autofree gchar *text = NULL;
    const guint8 *der = NULL;
    gsize size = 0, der_size = 0;
    gint64 fetched = 0;
    AppraisalSigner signer = g_str_has_suffix(name, ".vlek.crl") ? APPRAISAL_SIGNER_VLEK : APPRAISAL_SIGNER_VCEK;

    if (!cache->store)
        return NULL;
    if (!policy_store_read(cache->store, STORAGE_CERTIFICATES, name, entry_max_size(name), &text, &size, &error)) {
        *why = g_strdup(error->message);
        return NULL;
    }
    if (!text)
        return NULL;
    der = open_entry(text, size, &der_size, &fetched);
    if (der)
        certificate = read_der(cache, der, der_size, signer, &error);
    if (!der)
        *why = g_strdup("it was damaged or changed");
    else if (!certificate)
        *why = g_strdup(error->message);
    else if (strcmp(certificate->name, name))
        *why = g_strdup_printf("it is what belongs into %s", certificate->name);
    if (*why)
        return NULL;
    certificate->fetched = fetched;
    return g_steal_pointer(&certificate);
}

/* As load(), for callers that may not want to know. */
static StorageCertificate *load_named(const StorageCertificates *cache, const char *name, gchar **why)
{
    g_autofree gchar *reason = NULL;
    StorageCertificate *certificate = load(cache, name, &reason);

    if (why)
        *why = reason ? g_strdup_printf("the entry %.24s… of the certificate cache is not used: %s", name, reason) : NULL;
    return certificate;
}

gboolean storage_certificates_put(StorageCertificates *cache, const StorageCertificate *certificate, GError **error)
{
    gsize size = 0;
    const guint8 *der = g_bytes_get_data(certificate->data, &size);
    guint8 digest[MEASURE_SHA256_SIZE];
    g_autofree gchar *hex = NULL;
    g_autoptr(GString) text = g_string_new(MAGIC);

    if (!cache->store)
        return TRUE;
    if (certificate->kind == STORAGE_CERTIFICATE_CRL) {
        g_autoptr(StorageCertificate) there = load_named(cache, certificate->name, NULL);

        if (there && there->not_before > certificate->not_before)
            return TRUE;
    }
    policy_sha256(der, size, digest);
    hex = measure_hex_encode(digest, sizeof(digest));
    g_string_append_printf(text, "%" G_GINT64_FORMAT " %s\n", certificate->fetched, hex);
    g_string_append_len(text, (const gchar *)der, (gssize)size);
    return policy_store_write(cache->store, STORAGE_CERTIFICATES, certificate->name, text->str, text->len, TRUE, error);
}

/* ---- looking up ---- */

static AppraisalEndorsement *endorsement_of(const StorageCertificate *certificate)
{
    gsize size = 0;
    gconstpointer data = certificate ? g_bytes_get_data(certificate->data, &size) : NULL;

    return data ? appraisal_endorsement_parse(data, size, NULL) : NULL;
}

AppraisalEndorsement *storage_certificates_vcek(const StorageCertificates *cache, AppraisalLine line, const char *chip,
                                                const PolicyTcb *tcb, gchar **why)
{
    g_autofree gchar *name = vcek_name(line, chip, tcb);
    g_autoptr(StorageCertificate) certificate = load_named(cache, name, why);

    return endorsement_of(certificate);
}

GPtrArray *storage_certificates_vleks(const StorageCertificates *cache, AppraisalLine line, const PolicyTcb *tcb)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)appraisal_endorsement_free);
    g_autoptr(GPtrArray) names =
        cache->store ? policy_store_list(cache->store, STORAGE_CERTIFICATES, NULL) : NULL;
    g_autofree gchar *words = tcb_name(line, tcb);
    g_autofree gchar *suffix = g_strdup_printf(".%s.vlek", words);
    g_autofree gchar *prefix = g_strdup_printf("%s.", appraisal_line_name(line));

    for (guint i = 0; names && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autoptr(StorageCertificate) certificate = NULL;
        AppraisalEndorsement *endorsement = NULL;

        if (!g_str_has_prefix(name, prefix) || !g_str_has_suffix(name, suffix))
            continue;
        certificate = load_named(cache, name, NULL);
        endorsement = endorsement_of(certificate);
        if (endorsement)
            g_ptr_array_add(found, endorsement);
    }
    return g_steal_pointer(&found);
}

GPtrArray *storage_certificates_intermediates(const StorageCertificates *cache, AppraisalLine line,
                                              AppraisalSigner signer)
{
    g_autoptr(GPtrArray) blobs = appraisal_blobs_new();
    StorageCertificateKind kinds[] = {
        signer == APPRAISAL_SIGNER_VLEK ? STORAGE_CERTIFICATE_ASVK : STORAGE_CERTIFICATE_ASK, STORAGE_CERTIFICATE_ARK};

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree gchar *name = authority_name(line, kinds[i]);
        g_autoptr(StorageCertificate) certificate = load_named(cache, name, NULL);

        if (certificate)
            appraisal_blobs_add(blobs, i == 0 ? "ask" : "ark", certificate->data);
    }
    return g_steal_pointer(&blobs);
}

AppraisalCrl *storage_certificates_crl(const StorageCertificates *cache, AppraisalLine line, AppraisalSigner signer,
                                       gint64 *fetched, gchar **why)
{
    g_autofree gchar *name = crl_name(line, signer);
    g_autoptr(StorageCertificate) certificate = load_named(cache, name, why);
    gsize size = 0;
    gconstpointer data = certificate ? g_bytes_get_data(certificate->data, &size) : NULL;

    if (fetched)
        *fetched = certificate ? certificate->fetched : 0;
    return data ? appraisal_crl_parse(data, size, NULL) : NULL;
}

GPtrArray *storage_certificates_list(const StorageCertificates *cache, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)storage_certificate_free);
    g_autoptr(GPtrArray) names = NULL;

    if (!cache->store)
        return g_steal_pointer(&list);
    names = policy_store_list(cache->store, STORAGE_CERTIFICATES, error);
    if (!names)
        return NULL;
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree gchar *why = NULL;
        StorageCertificate *certificate = load(cache, name, &why);

        if (!certificate) {
            /* Gone meanwhile, or of no use. */
            if (!why)
                continue;
            certificate = g_new0(StorageCertificate, 1);
            certificate->name = g_strdup(name);
            certificate->problem = g_steal_pointer(&why);
        }
        g_ptr_array_add(list, certificate);
    }
    return g_steal_pointer(&list);
}
