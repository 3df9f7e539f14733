/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys in which a chain may end: the built-in ones, or those of one explicit file. Never both. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/appraisal/certificate.h"
#include "policy/json.h"

#include "measure/foreign-autoptr.h"

#define ANCHOR_FILE_MAX_SIZE (256u * 1024)
#define RSA_BITS_MIN 3072
/* Enough for the chips of a large fleet; then the memory starts afresh. */
#define REMEMBERED_MAX 4096

struct AppraisalAnchors {
    GPtrArray *authorities; /* AppraisalAuthority */
    gboolean builtin;
    GMutex lock;
    GHashTable *verified; /* SHA-256 of certificates whose signature was found good */
};

static void authority_free(gpointer data)
{
    AppraisalAuthority *authority = data;

    EVP_PKEY_free(authority->key);
    X509_NAME_free(authority->name);
    ASN1_INTEGER_free(authority->serial);
    g_free(authority);
}

static guint digest_hash(gconstpointer key)
{
    guint value = 0;

    memcpy(&value, key, sizeof(value));
    return value;
}

static gboolean digest_same(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, MEASURE_SHA256_SIZE) == 0;
}

static AppraisalAnchors *anchors_new(gboolean builtin)
{
    AppraisalAnchors *anchors = g_new0(AppraisalAnchors, 1);

    anchors->authorities = g_ptr_array_new_with_free_func(authority_free);
    anchors->builtin = builtin;
    g_mutex_init(&anchors->lock);
    anchors->verified = g_hash_table_new_full(digest_hash, digest_same, g_free, NULL);
    return anchors;
}

void appraisal_anchors_free(AppraisalAnchors *anchors)
{
    if (!anchors)
        return;
    g_ptr_array_unref(anchors->authorities);
    g_hash_table_unref(anchors->verified);
    g_mutex_clear(&anchors->lock);
    g_free(anchors);
}

gboolean appraisal_anchors_are_builtin(const AppraisalAnchors *anchors)
{
    return anchors->builtin;
}

gchar *appraisal_anchors_id(const AppraisalAnchors *anchors, AppraisalLine line)
{
    const AppraisalAuthority *root =
        anchors->builtin ? NULL : appraisal_anchors_find(anchors, APPRAISAL_AUTHORITY_ARK, line);
    guint8 digest[MEASURE_SHA256_SIZE];
    guint8 *key = NULL;
    int size = root ? i2d_PUBKEY(root->key, &key) : 0;

    if (size <= 0)
        return NULL;
    policy_sha256(key, (gsize)size, digest);
    OPENSSL_free(key);
    return measure_hex_encode(digest, 8);
}

const AppraisalAuthority *appraisal_anchors_find(const AppraisalAnchors *anchors, AppraisalAuthorityKind kind,
                                                 AppraisalLine line)
{
    for (guint i = 0; i < anchors->authorities->len; i++) {
        const AppraisalAuthority *authority = g_ptr_array_index(anchors->authorities, i);

        if (authority->kind == kind && authority->line == line)
            return authority;
    }
    return NULL;
}

/* What is remembered follows from the keys of @anchors alone: remembering does not change what they say. */
gboolean appraisal_anchors_knows(const AppraisalAnchors *anchors, const guint8 digest[MEASURE_SHA256_SIZE])
{
    AppraisalAnchors *memory = (AppraisalAnchors *)anchors;

    g_mutex_lock(&memory->lock);
    gboolean known = g_hash_table_contains(memory->verified, digest);
    g_mutex_unlock(&memory->lock);
    return known;
}

void appraisal_anchors_remember(const AppraisalAnchors *anchors, const guint8 digest[MEASURE_SHA256_SIZE])
{
    AppraisalAnchors *memory = (AppraisalAnchors *)anchors;

    g_mutex_lock(&memory->lock);
    if (g_hash_table_size(memory->verified) >= REMEMBERED_MAX)
        g_hash_table_remove_all(memory->verified);
    g_hash_table_add(memory->verified, g_memdup2(digest, MEASURE_SHA256_SIZE));
    g_mutex_unlock(&memory->lock);
}

static EVP_PKEY *rsa_key(const char *modulus)
{
    BIGNUM *n = NULL, *e = BN_new();
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;

    if (e && builder && context && BN_hex2bn(&n, modulus) && BN_set_word(e, RSA_F4) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e)) {
        OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);

        if (EVP_PKEY_fromdata_init(context) <= 0 ||
            EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) <= 0)
            key = NULL;
        OSSL_PARAM_free(parameters);
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_BLD_free(builder);
    BN_free(e);
    BN_free(n);
    return key;
}

/* As every certificate of AMD's has it, in this order. */
static X509_NAME *amd_name(const char *common_name)
{
    static const struct {
        int nid, type;
        const char *value;
    } parts[] = {
        {NID_organizationalUnitName, V_ASN1_UTF8STRING, "Engineering"},
        {NID_countryName, V_ASN1_PRINTABLESTRING, "US"},
        {NID_localityName, V_ASN1_UTF8STRING, "Santa Clara"},
        {NID_stateOrProvinceName, V_ASN1_UTF8STRING, "CA"},
        {NID_organizationName, V_ASN1_UTF8STRING, "Advanced Micro Devices"},
    };
    X509_NAME *name = X509_NAME_new();

    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++)
        X509_NAME_add_entry_by_NID(name, parts[i].nid, parts[i].type, (const guint8 *)parts[i].value, -1, -1, 0);
    X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_UTF8STRING, (const guint8 *)common_name, -1, -1, 0);
    /* OpenSSL encodes a changed name when it is next looked at, which threads that share it must not. */
    i2d_X509_NAME(name, NULL);
    return name;
}

AppraisalAnchors *appraisal_anchors_builtin(void)
{
    AppraisalAnchors *anchors = anchors_new(TRUE);

    for (gsize i = 0; i < APPRAISAL_ROOTS; i++) {
        const AppraisalRoot *root = &appraisal_roots[i];
        g_autofree gchar *common_name = appraisal_authority_name(root->kind, root->line);
        AppraisalAuthority *authority = g_new0(AppraisalAuthority, 1);

        authority->kind = root->kind;
        authority->line = root->line;
        authority->key = rsa_key(root->modulus);
        authority->name = amd_name(common_name);
        authority->serial = ASN1_INTEGER_new();
        ASN1_INTEGER_set_uint64(authority->serial, root->serial);
        authority->not_before = root->not_before;
        authority->not_after = root->not_after;
        if (!authority->key || !measure_hex_decode(root->fingerprint, authority->fingerprint, MEASURE_SHA256_SIZE))
            g_error("built-in key of %s", common_name);
        g_ptr_array_add(anchors->authorities, authority);
    }
    return anchors;
}

static gboolean refuse(GError **error, const char *path, const char *format, ...) G_GNUC_PRINTF(3, 4);

static gboolean refuse(GError **error, const char *path, const char *format, ...)
{
    g_autofree gchar *shown = measure_printable(path);
    va_list args;

    va_start(args, format);
    g_autofree gchar *text = g_strdup_vprintf(format, args);
    va_end(args);
    ERR_clear_error();
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "trust anchor '%s': %s", shown, text);
    return FALSE;
}

static gboolean is_authority(X509 *certificate)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);

    return key && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= RSA_BITS_MIN &&
           X509_check_ca(certificate) == 1 && appraisal_algorithm_is_pss(X509_get0_tbs_sigalg(certificate));
}

static gboolean add_authority(AppraisalAnchors *anchors, const char *path, GBytes *der, GError **error)
{
    g_autoptr(X509) certificate =
        appraisal_certificate_parse(g_bytes_get_data(der, NULL), g_bytes_get_size(der), error);
    g_autofree gchar *name = certificate ? appraisal_name_common(X509_get_subject_name(certificate)) : NULL;
    g_autofree AppraisalAuthority *authority = g_new0(AppraisalAuthority, 1);
    unsigned int length = 0;

    if (!certificate)
        return FALSE;
    if (!name || !appraisal_authority_from_name(name, &authority->kind, &authority->line))
        return refuse(error, path, "it may hold ARK, ASK and ASVK only");
    if (appraisal_anchors_find(anchors, authority->kind, authority->line))
        return refuse(error, path, "it has two certificates of %s", name);
    if (!is_authority(certificate))
        return refuse(error, path, "%s is no authority with an RSA key of at least %d bits and RSASSA-PSS", name,
                      RSA_BITS_MIN);
    if (!appraisal_time_read(X509_get0_notBefore(certificate), &authority->not_before) ||
        !appraisal_time_read(X509_get0_notAfter(certificate), &authority->not_after) ||
        !X509_digest(certificate, EVP_sha256(), authority->fingerprint, &length))
        return refuse(error, path, "%s has a validity that cannot be read", name);
    authority->key = X509_get0_pubkey(certificate);
    EVP_PKEY_up_ref(authority->key);
    authority->name = X509_NAME_dup(X509_get_subject_name(certificate));
    authority->serial = ASN1_INTEGER_dup(X509_get0_serialNumber(certificate));
    g_ptr_array_add(anchors->authorities, g_steal_pointer(&authority));
    return TRUE;
}

/* Every certificate of the file must hang from the ARK of its line in the file, that one from itself. */
static gboolean check_signatures(const AppraisalAnchors *anchors, const char *path, GPtrArray *certificates,
                                 GError **error)
{
    gboolean signing = FALSE;

    for (guint i = 0; i < certificates->len; i++) {
        const AppraisalBlob *blob = g_ptr_array_index(certificates, i);
        const AppraisalAuthority *authority = g_ptr_array_index(anchors->authorities, i);
        const AppraisalAuthority *root = appraisal_anchors_find(anchors, APPRAISAL_AUTHORITY_ARK, authority->line);
        g_autoptr(X509) certificate =
            appraisal_certificate_parse(g_bytes_get_data(blob->data, NULL), g_bytes_get_size(blob->data), error);

        if (!certificate)
            return FALSE;
        if (!root)
            return refuse(error, path, "there is no ARK for %s", appraisal_line_name(authority->line));
        if (X509_NAME_cmp(X509_get_issuer_name(certificate), root->name) != 0 ||
            X509_verify(certificate, root->key) != 1)
            return refuse(error, path, "certificate %u is not signed by its ARK-%s", i + 1,
                          appraisal_line_name(authority->line));
        signing = signing || authority->kind != APPRAISAL_AUTHORITY_ARK;
    }
    return signing || refuse(error, path, "there is neither an ASK nor an ASVK in it");
}

AppraisalAnchors *appraisal_anchors_load(const char *path, GError **error)
{
    g_autoptr(AppraisalAnchors) anchors = anchors_new(FALSE);
    g_autoptr(GPtrArray) certificates = appraisal_blobs_new();
    g_autoptr(GError) cause = NULL;
    g_autoptr(GBytes) data = appraisal_file_read(path, ANCHOR_FILE_MAX_SIZE, error);

    if (!data)
        return NULL;
    if (!appraisal_certificates_read(g_bytes_get_data(data, NULL), g_bytes_get_size(data), certificates, &cause)) {
        refuse(error, path, "%s", cause->message);
        return NULL;
    }
    for (guint i = 0; i < certificates->len; i++) {
        const AppraisalBlob *blob = g_ptr_array_index(certificates, i);

        if (!add_authority(anchors, path, blob->data, error))
            return NULL;
    }
    if (!check_signatures(anchors, path, certificates, error))
        return NULL;
    return g_steal_pointer(&anchors);
}
