/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An authority with AMD's names and extensions and keys of its own, made anew in every run. Each certificate is
 * described by a structure, so that a test can get one thing wrong and have it signed all the same.
 */
#pragma once

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "measure/bytes.h"
#include "policy/appraisal/certificate.h"

#include "measure/foreign-autoptr.h"

/* Within the validity of everything that is made here: 2026-01-01T00:00:00Z. */
#define FIXTURE_TIME G_GINT64_CONSTANT(1767225600)
#define FIXTURE_YEAR (365 * 86400)
#define FIXTURE_ORGANIZATION "TEST AUTHORITY"

/* @suffix: of 1.3.6.1.4.1.3704.1, or a whole OID that starts with '='; @hex: contents of the octet string */
typedef struct {
    const char *suffix, *hex;
    gboolean critical;
} FixtureExtension;

typedef enum {
    FIXTURE_PSS,
    FIXTURE_PSS_SHA256,
    FIXTURE_PSS_MGF1_SHA256,
    FIXTURE_PSS_SALT_32,
    FIXTURE_PKCS1,
    FIXTURE_ECDSA,
} FixtureSignature;

/* @owner: (nullable): organisation of the subject where that is not @organization */
typedef struct {
    const char *subject, *issuer, *organization, *owner;
    EVP_PKEY *key, *signer;
    FixtureSignature signature;
    const FixtureExtension *extensions; /* ended by a NULL suffix */
    long version;
    guint64 serial;
    gint64 not_before, not_after;
    gboolean authority;
} FixtureCertificate;

#define FIXTURE_HWID                                                                                                   \
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"                                                 \
    "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"

/* "Milan-B0" */
static const FixtureExtension fixture_milan[] = {
    {"1", "020100"},   {"2", "16084d696c616e2d4230"}, {"3.1", "020104"}, {"3.2", "020100"},
    {"3.3", "020118"}, {"3.4", "020100"},             {"3.5", "020100"}, {"3.6", "020100"},
    {"3.7", "020100"}, {"3.8", "020200db"},           {"4", FIXTURE_HWID}, {NULL},
};
/* "Milan", "CN=cloud" */
static const FixtureExtension fixture_vlek[] = {
    {"1", "020100"},   {"2", "16054d696c616e"}, {"3.1", "020104"}, {"3.2", "020100"},
    {"3.3", "020118"}, {"3.4", "020100"},       {"3.5", "020100"}, {"3.6", "020100"},
    {"3.7", "020100"}, {"3.8", "020200db"},     {"5", "1608434e3d636c6f7564"}, {NULL},
};
/* "Turin"; no spl4 */
static const FixtureExtension fixture_turin[] = {
    {"1", "020101"},   {"2", "1605547572696e"}, {"3.9", "020101"}, {"3.1", "020102"},
    {"3.2", "020103"}, {"3.3", "020104"},       {"3.5", "020100"}, {"3.6", "020100"},
    {"3.7", "020100"}, {"3.8", "020151"},       {"4", "0102030405060708"}, {NULL},
};

static inline EVP_PKEY *fixture_rsa(guint bits)
{
    EVP_PKEY *key = EVP_RSA_gen(bits);

    g_assert_nonnull(key);
    return key;
}

static inline EVP_PKEY *fixture_share(EVP_PKEY *key)
{
    EVP_PKEY_up_ref(key);
    return key;
}

static inline EVP_PKEY *fixture_ec(const char *curve)
{
    EVP_PKEY *key = EVP_EC_gen(curve);

    g_assert_nonnull(key);
    return key;
}

static inline void fixture_name(X509_NAME *name, const char *organization, const char *common)
{
    static const int nids[] = {NID_organizationalUnitName, NID_countryName, NID_localityName, NID_stateOrProvinceName};
    static const char *const values[] = {"Engineering", "US", "Santa Clara", "CA"};

    for (gsize i = 0; i < G_N_ELEMENTS(nids); i++)
        X509_NAME_add_entry_by_NID(name, nids[i], i == 1 ? V_ASN1_PRINTABLESTRING : V_ASN1_UTF8STRING,
                                   (const guint8 *)values[i], -1, -1, 0);
    X509_NAME_add_entry_by_NID(name, NID_organizationName, V_ASN1_UTF8STRING, (const guint8 *)organization, -1, -1, 0);
    X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_UTF8STRING, (const guint8 *)common, -1, -1, 0);
}

static inline EVP_MD_CTX *fixture_signer(EVP_PKEY *key, FixtureSignature form)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL;
    const EVP_MD *digest = form == FIXTURE_PSS_SHA256 ? EVP_sha256() : EVP_sha384();

    g_assert_cmpint(EVP_DigestSignInit(context, &options, digest, NULL, key), ==, 1);
    if (form != FIXTURE_PKCS1 && form != FIXTURE_ECDSA) {
        g_assert_cmpint(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING), ==, 1);
        g_assert_cmpint(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, form == FIXTURE_PSS_SALT_32 ? 32 : 48), ==, 1);
    }
    if (form == FIXTURE_PSS_MGF1_SHA256)
        g_assert_cmpint(EVP_PKEY_CTX_set_rsa_mgf1_md(options, EVP_sha256()), ==, 1);
    return context;
}

static inline ASN1_OBJECT *fixture_oid(const char *suffix)
{
    g_autofree gchar *oid = *suffix == '=' ? g_strdup(suffix + 1) : g_strconcat("1.3.6.1.4.1.3704.1.", suffix, NULL);
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);

    g_assert_nonnull(object);
    return object;
}

static inline X509_EXTENSION *fixture_extension(const FixtureExtension *extension)
{
    gsize size = strlen(extension->hex) / 2;
    g_autofree guint8 *data = g_malloc(size + 1);
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    ASN1_OBJECT *object = fixture_oid(extension->suffix);

    g_assert_true(measure_hex_decode(extension->hex, data, size));
    g_assert_cmpint(ASN1_OCTET_STRING_set(octets, data, (int)size), ==, 1);
    X509_EXTENSION *made = X509_EXTENSION_create_by_OBJ(NULL, object, extension->critical, octets);
    ASN1_OBJECT_free(object);
    ASN1_OCTET_STRING_free(octets);
    return made;
}

static inline void fixture_add(X509 *certificate, const FixtureExtension *extension)
{
    X509_EXTENSION *made = fixture_extension(extension);

    g_assert_cmpint(X509_add_ext(certificate, made, -1), ==, 1);
    X509_EXTENSION_free(made);
}

static inline GBytes *fixture_certificate(const FixtureCertificate *wanted)
{
    static const FixtureExtension constraints = {"=2.5.29.19", "30030101ff", TRUE};
    g_autoptr(X509) certificate = X509_new();
    g_autoptr(X509_NAME) subject = X509_NAME_new();
    g_autoptr(X509_NAME) issuer = X509_NAME_new();
    EVP_MD_CTX *context = fixture_signer(wanted->signer, wanted->signature);
    guint8 *der = NULL;

    X509_set_version(certificate, wanted->version);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), wanted->serial);
    fixture_name(subject, wanted->owner ? wanted->owner : wanted->organization, wanted->subject);
    fixture_name(issuer, wanted->organization, wanted->issuer);
    X509_set_subject_name(certificate, subject);
    X509_set_issuer_name(certificate, issuer);
    ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)wanted->not_before);
    ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)wanted->not_after);
    X509_set_pubkey(certificate, wanted->key);
    for (const FixtureExtension *each = wanted->extensions; each && each->suffix; each++)
        fixture_add(certificate, each);
    if (wanted->authority)
        fixture_add(certificate, &constraints);
    g_assert_cmpint(X509_sign_ctx(certificate, context), >, 0);
    EVP_MD_CTX_free(context);
    int size = i2d_X509(certificate, &der);
    g_assert_cmpint(size, >, 0);
    GBytes *bytes = g_bytes_new(der, (gsize)size);
    OPENSSL_free(der);
    return bytes;
}

/* A line's keys and the certificates of its authorities. */
typedef struct {
    AppraisalLine line;
    EVP_PKEY *ark, *ask, *asvk, *chip;
    FixtureCertificate ark_certificate, ask_certificate, asvk_certificate, vcek, vlek;
    gchar *names[3];
} Fixture;

/* Takes the keys over; making one takes a second. */
static inline Fixture *fixture_new(AppraisalLine line, EVP_PKEY *ark, EVP_PKEY *ask, EVP_PKEY *asvk)
{
    static const char *const prefixes[] = {"ARK-%s", "SEV-%s", "SEV-VLEK-%s"};
    Fixture *fixture = g_new0(Fixture, 1);
    FixtureCertificate base = {
        .organization = FIXTURE_ORGANIZATION,
        .version = X509_VERSION_3,
        .not_before = FIXTURE_TIME - FIXTURE_YEAR,
        .not_after = FIXTURE_TIME + FIXTURE_YEAR,
    };

    fixture->line = line;
    fixture->ark = ark;
    fixture->ask = ask;
    fixture->asvk = asvk;
    fixture->chip = fixture_ec("P-384");
    for (gsize i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        g_auto(GStrv) parts = g_strsplit(prefixes[i], "%s", 2);
        fixture->names[i] = g_strjoin(NULL, parts[0], appraisal_line_name(line), NULL);
    }
    base.issuer = fixture->names[0];
    base.signer = fixture->ark;
    base.authority = TRUE;
    fixture->ark_certificate = fixture->ask_certificate = fixture->asvk_certificate = base;
    fixture->ark_certificate.subject = fixture->names[0];
    fixture->ark_certificate.key = fixture->ark;
    fixture->ark_certificate.serial = 100;
    fixture->ask_certificate.subject = fixture->names[1];
    fixture->ask_certificate.key = fixture->ask;
    fixture->ask_certificate.serial = 101;
    fixture->asvk_certificate.subject = fixture->names[2];
    fixture->asvk_certificate.key = fixture->asvk;
    fixture->asvk_certificate.serial = 102;
    base.authority = FALSE;
    base.key = fixture->chip;
    fixture->vcek = fixture->vlek = base;
    fixture->vcek.subject = "SEV-VCEK";
    fixture->vcek.issuer = fixture->names[1];
    fixture->vcek.signer = fixture->ask;
    fixture->vcek.extensions = line == APPRAISAL_LINE_TURIN ? fixture_turin : fixture_milan;
    fixture->vlek.subject = "SEV-VLEK";
    fixture->vlek.issuer = fixture->names[2];
    fixture->vlek.signer = fixture->asvk;
    fixture->vlek.extensions = fixture_vlek;
    return fixture;
}

static inline void fixture_free(Fixture *fixture)
{
    EVP_PKEY_free(fixture->ark);
    EVP_PKEY_free(fixture->ask);
    EVP_PKEY_free(fixture->asvk);
    EVP_PKEY_free(fixture->chip);
    for (gsize i = 0; i < G_N_ELEMENTS(fixture->names); i++)
        g_free(fixture->names[i]);
    g_free(fixture);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fixture, fixture_free)

static inline gchar *fixture_pem(GBytes *der, const char *label)
{
    g_autofree gchar *text = g_base64_encode(g_bytes_get_data(der, NULL), g_bytes_get_size(der));
    g_autoptr(GString) pem = g_string_new(NULL);

    g_string_append_printf(pem, "-----BEGIN %s-----\n", label);
    for (gsize i = 0; i < strlen(text); i += 64)
        g_string_append_printf(pem, "%.64s\n", text + i);
    g_string_append_printf(pem, "-----END %s-----\n", label);
    return g_string_free(g_steal_pointer(&pem), FALSE);
}

/* Signs the report's first 0x2a0 bytes in place, with the numbers as the processor writes them. */
static inline void fixture_sign(guint8 raw[APPRAISAL_REPORT_SIZE], EVP_PKEY *key)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    guint8 der[256];
    const guint8 *at = der;
    gsize size = sizeof(der);

    g_assert_cmpint(EVP_DigestSignInit(context, NULL, EVP_sha384(), NULL, key), ==, 1);
    g_assert_cmpint(EVP_DigestSign(context, der, &size, raw, APPRAISAL_SIGNED_SIZE), ==, 1);
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)size);
    memset(raw + APPRAISAL_SIGNED_SIZE, 0, APPRAISAL_REPORT_SIZE - APPRAISAL_SIGNED_SIZE);
    BN_bn2lebinpad(ECDSA_SIG_get0_r(signature), raw + APPRAISAL_SIGNED_SIZE, 72);
    BN_bn2lebinpad(ECDSA_SIG_get0_s(signature), raw + APPRAISAL_SIGNED_SIZE + 72, 72);
    ECDSA_SIG_free(signature);
    EVP_MD_CTX_free(context);
}

/* The least that is a report: version @version, the usual policy. */
static inline void fixture_report(guint8 raw[APPRAISAL_REPORT_SIZE], guint32 version)
{
    memset(raw, 0, APPRAISAL_REPORT_SIZE);
    measure_put_u32(raw, version);
    measure_put_u64(raw + 8, 0x30000);
    measure_put_u32(raw + 0x34, 1);
    if (version >= 3) {
        raw[0x188] = 0x19;
        raw[0x189] = 1;
    }
}
