/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/certificates.h"

#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/json.h"
#include "storage/certificates-private.h"

/* "virt-attest certificate 1", when it came, SHA-256 of the DER behind the line. */
#define MAGIC "virt-attest certificate 1 "
#define HEAD_MAX_SIZE 128
#define LOCK_TIMEOUT_MS 10000

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
        certificate = storage_certificate_read_der(cache, der, der_size, signer, &error);
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
        *why = reason ? g_strdup_printf("the entry %.24s… of the certificate cache is not used: %s", name, reason)
                      : NULL;
    return certificate;
}

gboolean storage_certificates_put(StorageCertificates *cache, const StorageCertificate *certificate, GError **error)
{
    gsize size = 0;
    const guint8 *der = g_bytes_get_data(certificate->data, &size);
    guint8 digest[MEASURE_SHA256_SIZE];
    g_autofree gchar *hex = NULL;
    g_autoptr(GString) text = g_string_new(MAGIC);
    g_auto(PolicyFd) lock = -1;

    if (!cache->store)
        return TRUE;
    if (certificate->kind == STORAGE_CERTIFICATE_CRL) {
        g_autoptr(StorageCertificate) there = NULL;

        lock = policy_store_lock(cache->store, STORAGE_CERTIFICATES, certificate->name, LOCK_TIMEOUT_MS, error);
        if (lock < 0)
            return FALSE;
        there = load_named(cache, certificate->name, NULL);

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
    g_autofree gchar *name = storage_certificate_vcek_name(line, chip, tcb);
    g_autoptr(StorageCertificate) certificate = load_named(cache, name, why);

    return endorsement_of(certificate);
}

GPtrArray *storage_certificates_vleks(const StorageCertificates *cache, AppraisalLine line, const PolicyTcb *tcb)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)appraisal_endorsement_free);
    g_autoptr(GPtrArray) names =
        cache->store ? policy_store_list(cache->store, STORAGE_CERTIFICATES, NULL) : NULL;
    g_autofree gchar *words = storage_certificate_tcb_name(line, tcb);
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
        g_autofree gchar *name = storage_certificate_authority_name(line, kinds[i]);
        g_autoptr(StorageCertificate) certificate = load_named(cache, name, NULL);

        if (certificate)
            appraisal_blobs_add(blobs, i == 0 ? "ask" : "ark", certificate->data);
    }
    return g_steal_pointer(&blobs);
}

AppraisalCrl *storage_certificates_crl(const StorageCertificates *cache, AppraisalLine line, AppraisalSigner signer,
                                       gint64 *fetched, gchar **why)
{
    g_autofree gchar *name = storage_certificate_crl_name(cache, line, signer);
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
