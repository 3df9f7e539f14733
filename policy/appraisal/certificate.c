/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates before anything in them is believed: their encoding, names, times and signature algorithm. */
#include "policy/appraisal/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

#include "measure/error.h"
#include "measure/foreign-autoptr.h"

#define PEM_START "-----BEGIN "
#define PEM_MAX_CERTIFICATES 16

gchar *appraisal_authority_name(AppraisalAuthorityKind kind, AppraisalLine line)
{
    static const char *const prefixes[] = {"ARK-", "SEV-", "SEV-VLEK-"};

    return g_strconcat(prefixes[kind], appraisal_line_name(line), NULL);
}

gboolean appraisal_authority_from_name(const char *name, AppraisalAuthorityKind *kind, AppraisalLine *line)
{
    for (gsize i = 0; i < APPRAISAL_ROOTS; i++) {
        g_autofree gchar *known = appraisal_authority_name(appraisal_roots[i].kind, appraisal_roots[i].line);

        if (g_str_equal(known, name)) {
            *kind = appraisal_roots[i].kind;
            *line = appraisal_roots[i].line;
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean refuse(GError **error, const char *what)
{
    ERR_clear_error();
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "certificate: %s", what);
    return FALSE;
}

/*
 * OpenSSL reads more than DER. What it writes is DER, and the signed part it keeps as it came; so a certificate that
 * comes back unchanged has not one byte that could be written otherwise outside of what its signature covers.
 */
static X509 *parse_der(const guint8 *data, gsize size, GError **error)
{
    const guint8 *at = data;
    g_autoptr(X509) certificate = d2i_X509(NULL, &at, (long)size);
    g_autofree guint8 *copy = NULL;
    int length = certificate ? i2d_X509(certificate, NULL) : -1;

    if (!certificate || at != data + size || length < 0) {
        refuse(error, certificate ? "something follows it" : "this is neither DER nor PEM of one");
        return NULL;
    }
    copy = g_malloc((gsize)length);
    guint8 *to = copy;
    if ((gsize)length != size || i2d_X509(certificate, &to) != length || memcmp(copy, data, size) != 0) {
        refuse(error, "it is not encoded in DER");
        return NULL;
    }
    if (X509_get_version(certificate) != X509_VERSION_3) {
        refuse(error, "it is not of X.509 version 3");
        return NULL;
    }
    return g_steal_pointer(&certificate);
}

static gboolean looks_like_pem(gconstpointer data, gsize size)
{
    return g_strstr_len(data, (gssize)size, PEM_START) != NULL;
}

/* The DER of every certificate. With PEM_read_bio() itself, so that nothing encrypted ever asks for a password. */
static GPtrArray *read_pem(gconstpointer data, gsize size, GError **error)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    BIO *bio = BIO_new_mem_buf(data, (int)size);
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long length = 0;
    gboolean good = TRUE;

    while (good && PEM_read_bio(bio, &name, &header, &der, &length)) {
        if (!g_str_equal(name, PEM_STRING_X509) || *header || found->len == PEM_MAX_CERTIFICATES)
            good = refuse(error, "this PEM has something else than up to 16 plain certificates");
        else
            g_ptr_array_add(found, g_bytes_new(der, (gsize)length));
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    if (good && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        good = refuse(error, "this PEM is damaged");
    ERR_clear_error();
    BIO_free(bio);
    return good ? g_steal_pointer(&found) : NULL;
}

X509 *appraisal_certificate_parse(gconstpointer data, gsize size, GError **error)
{
    g_autoptr(GPtrArray) found = NULL;

    if (size == 0 || size > APPRAISAL_CERTIFICATE_MAX_SIZE) {
        refuse(error, size ? "it is larger than 16 KiB" : "it is empty");
        return NULL;
    }
    if (!looks_like_pem(data, size))
        return parse_der(data, size, error);
    if (!(found = read_pem(data, size, error)))
        return NULL;
    if (found->len != 1) {
        refuse(error, "this PEM does not hold exactly one");
        return NULL;
    }
    return parse_der(g_bytes_get_data(found->pdata[0], NULL), g_bytes_get_size(found->pdata[0]), error);
}

static const char *role_of(const X509 *certificate)
{
    g_autofree gchar *name = appraisal_name_common(X509_get_subject_name(certificate));
    AppraisalAuthorityKind kind = APPRAISAL_AUTHORITY_ARK;
    AppraisalLine line = APPRAISAL_LINE_UNKNOWN;

    if (g_strcmp0(name, "SEV-VCEK") == 0)
        return "vcek";
    if (g_strcmp0(name, "SEV-VLEK") == 0)
        return "vlek";
    if (name && appraisal_authority_from_name(name, &kind, &line))
        return kind == APPRAISAL_AUTHORITY_ARK ? "ark" : "ask";
    return NULL;
}

gboolean appraisal_certificates_read(gconstpointer data, gsize size, GPtrArray *out, GError **error)
{
    g_autoptr(GPtrArray) found = NULL;

    if (size == 0 || size > PEM_MAX_CERTIFICATES * APPRAISAL_CERTIFICATE_MAX_SIZE)
        return refuse(error, size ? "this file is too large" : "this file is empty");
    if (looks_like_pem(data, size)) {
        if (!(found = read_pem(data, size, error)))
            return FALSE;
    } else {
        found = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
        g_ptr_array_add(found, g_bytes_new(data, size));
    }
    for (guint i = 0; i < found->len; i++) {
        GBytes *der = g_ptr_array_index(found, i);
        g_autoptr(X509) certificate =
            appraisal_certificate_parse(g_bytes_get_data(der, NULL), g_bytes_get_size(der), error);
        const char *role = certificate ? role_of(certificate) : NULL;

        if (!role)
            return certificate ? refuse(error, "its subject is none of AMD's names") : FALSE;
        appraisal_blobs_add(out, role, der);
    }
    return TRUE;
}

gchar *appraisal_name_common(const X509_NAME *name)
{
    int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    const ASN1_STRING *text = NULL;
    g_autofree gchar *out = NULL;

    if (index < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, index) >= 0)
        return NULL;
    text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index));
    if (ASN1_STRING_type(text) != V_ASN1_UTF8STRING && ASN1_STRING_type(text) != V_ASN1_PRINTABLESTRING)
        return NULL;
    out = g_strndup((const char *)ASN1_STRING_get0_data(text), (gsize)ASN1_STRING_length(text));
    if (strlen(out) != (gsize)ASN1_STRING_length(text))
        return NULL;
    for (const char *at = out; *at; at++) {
        if (!g_ascii_isprint(*at))
            return NULL;
    }
    return g_steal_pointer(&out);
}

gboolean appraisal_time_read(const ASN1_TIME *time, gint64 *out)
{
    struct tm parts = {0};

    if (!time || !ASN1_TIME_to_tm(time, &parts)) {
        ERR_clear_error();
        return FALSE;
    }
    *out = (gint64)timegm(&parts);
    return TRUE;
}

gchar *appraisal_time_format(gint64 time)
{
    g_autoptr(GDateTime) date = g_date_time_new_from_unix_utc(time);

    return date ? g_date_time_format(date, "%Y-%m-%dT%H:%M:%SZ") : g_strdup_printf("%" G_GINT64_FORMAT, time);
}

/*
 * RSASSA-PSS-params (RFC 4055): SHA-384, MGF1 with SHA-384, salt 48. Most of AMD's certificates write the default of
 * the last member out, which DER forbids; newer ones leave it away. Nothing else is anything that AMD signs.
 */
static const guint8 pss_with_trailer[] = {
    0x30, 0x39, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00,
    0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09,
    0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x30, 0xa3, 0x03, 0x02,
    0x01, 0x01,
};
#define PSS_TRAILER_SIZE 5

gboolean appraisal_algorithm_is_pss(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object = NULL;
    const ASN1_STRING *sequence = NULL;
    const void *value = NULL;
    int type = V_ASN1_UNDEF;
    guint8 expected[sizeof(pss_with_trailer)];
    gsize size = 0;

    if (!algorithm)
        return FALSE;
    X509_ALGOR_get0(&object, &type, &value, algorithm);
    if (OBJ_obj2nid(object) != NID_rsassaPss || type != V_ASN1_SEQUENCE)
        return FALSE;
    sequence = value;
    size = (gsize)ASN1_STRING_length(sequence);
    memcpy(expected, pss_with_trailer, sizeof(expected));
    if (size == sizeof(expected) - PSS_TRAILER_SIZE)
        expected[1] = (guint8)(size - 2);
    else if (size != sizeof(expected))
        return FALSE;
    return memcmp(ASN1_STRING_get0_data(sequence), expected, size) == 0;
}
