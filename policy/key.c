/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a key is, what it is called, and what it signs. Reading one is in key-load.c, tokens are in key-token.c. */
#include "policy/key-private.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/params.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "measure/error.h"
#include "measure/foreign-autoptr.h"
#include "policy/json.h"
#include "policy/text.h"

#define P384_COORDINATE 48
#define ED25519_SIZE 32
#define ED25519_SIGNATURE_SIZE 64
/* Ecdsa-Sig-Value of P-384: two INTEGERs of at most 49 bytes. */
#define P384_SIGNATURE_MAX 104

struct PolicyKey {
    EVP_PKEY *evp;
    PolicyKeyKind kind;
    gchar *label;
    gchar *id;
    PolicyKeyContext *context;
};

/* SubjectPublicKeyInfo up to the key itself (RFC 5480, uncompressed point; RFC 8410): one form for every key. */
static const guint8 p384_prefix[] = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
                                     0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04};
static const guint8 ed25519_prefix[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

const char *policy_key_make_command(PolicyKeyKind kinds)
{
    return kinds & POLICY_KEY_ED25519
               ? "openssl genpkey -algorithm ED25519 -out FILE"
               : "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out FILE";
}

static const char *wanted_name(PolicyKeyKind kinds)
{
    if (kinds == POLICY_KEY_P384)
        return "an ECDSA key on the curve P-384";
    return kinds == POLICY_KEY_ED25519 ? "an Ed25519 key" : "an Ed25519 key or an ECDSA key on the curve P-384";
}

gpointer policy_key_error(GError **error, gint code, const char *what, const char *label, const char *format, ...)
{
    g_autofree gchar *text = NULL;
    g_autofree gchar *shown = measure_printable(label);
    g_autofree gchar *whole = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    whole = label ? g_strdup_printf("%s '%s': %s", what, shown, text) : g_strdup_printf("%s: %s", what, text);
    g_set_error_literal(error, ATTEST_ERROR, code, whole);
    ERR_clear_error();
    return NULL;
}

void policy_key_protect_process(void)
{
    struct rlimit limit;

    /* The limit alone would not stop a core that is piped to a program; the flag alone would let root's debugger ask
     * for one. The hard limit stays as it is: what this process starts may have its own. */
    if (getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = 0;
        setrlimit(RLIMIT_CORE, &limit);
    }
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* ---- Judging ---- */

/* "an RSA key of 2048 bits", "an EC key on the curve prime256v1" */
static gchar *describe(EVP_PKEY *key)
{
    char group[64] = "";
    const char *type = EVP_PKEY_get0_type_name(key);
    g_autofree gchar *name = policy_one_line(type ? type : "unknown", 40);

    if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 && *group) {
        g_autofree gchar *curve = policy_one_line(group, sizeof(group));

        return g_strdup_printf("an EC key on the curve %s", curve);
    }
    if (EVP_PKEY_is_a(key, "RSA"))
        return g_strdup_printf("an RSA key of %d bits", EVP_PKEY_get_bits(key));
    return g_strdup_printf("a key of the type %s", name);
}

static gboolean is_p384(EVP_PKEY *key)
{
    char group[64] = "";
    int explicit_parameters = 0;

    if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1 ||
        (strcmp(group, "secp384r1") && strcmp(group, "P-384")))
        return FALSE;
    /* Parameters that are spelt out can differ from the curve that they resemble (CVE-2020-0601). */
    return EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit_parameters) != 1 ||
           !explicit_parameters;
}

static gboolean put_coordinate(EVP_PKEY *key, const char *name, guint8 *out)
{
    BIGNUM *number = NULL;
    gboolean done = EVP_PKEY_get_bn_param(key, name, &number) == 1 && BN_bn2binpad(number, out, P384_COORDINATE) > 0;

    BN_free(number);
    return done;
}

/* Providers of tokens do not know every parameter by its name, but they export. */
static gboolean put_exported(EVP_PKEY *key, guint8 *out, gsize size)
{
    OSSL_PARAM *all = NULL;
    const OSSL_PARAM *public = NULL;
    gboolean done = FALSE;

    if (EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &all) == 1)
        public = OSSL_PARAM_locate_const(all, OSSL_PKEY_PARAM_PUB_KEY);
    done = public && public->data_type == OSSL_PARAM_OCTET_STRING && public->data_size == size;
    if (done)
        memcpy(out, public->data, size);
    OSSL_PARAM_free(all);
    return done;
}

/* The key as RFC 5480 and RFC 8410 have it: what its digest names. */
static gboolean put_public(EVP_PKEY *key, PolicyKeyKind kind, GByteArray *out)
{
    guint8 raw[2 * P384_COORDINATE + 1] = {0};
    gsize size = ED25519_SIZE;

    if (kind == POLICY_KEY_ED25519) {
        if ((EVP_PKEY_get_raw_public_key(key, raw, &size) != 1 || size != ED25519_SIZE) &&
            !put_exported(key, raw, ED25519_SIZE))
            return FALSE;
        g_byte_array_append(out, ed25519_prefix, sizeof(ed25519_prefix));
        g_byte_array_append(out, raw, ED25519_SIZE);
        return TRUE;
    }
    if ((!put_coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, raw + 1) ||
         !put_coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, raw + 1 + P384_COORDINATE)) &&
        (!put_exported(key, raw, sizeof(raw)) || raw[0] != POINT_CONVERSION_UNCOMPRESSED))
        return FALSE;
    g_byte_array_append(out, p384_prefix, sizeof(p384_prefix));
    g_byte_array_append(out, raw + 1, 2 * P384_COORDINATE);
    return TRUE;
}

gboolean policy_key_point(const PolicyKey *key, guint8 x[P384_COORDINATE], guint8 y[P384_COORDINATE])
{
    g_autoptr(GByteArray) public = g_byte_array_new();

    if (key->kind != POLICY_KEY_P384 || !put_public(key->evp, key->kind, public))
        return FALSE;
    memcpy(x, public->data + sizeof(p384_prefix), P384_COORDINATE);
    memcpy(y, public->data + sizeof(p384_prefix) + P384_COORDINATE, P384_COORDINATE);
    return TRUE;
}

PolicyKey *policy_key_accept(EVP_PKEY *evp, PolicyKeyContext *context, PolicyKeyKind kinds, const char *what,
                             const char *label, GError **error)
{
    g_autoptr(PolicyKeyContext) owned_context = context;
    g_autoptr(EVP_PKEY) owned = evp;
    g_autoptr(GByteArray) public = g_byte_array_new();
    guint8 digest[MEASURE_SHA256_SIZE];
    PolicyKeyKind kind = 0;
    PolicyKey *key = NULL;

    if (is_p384(evp))
        kind = POLICY_KEY_P384;
    else if (EVP_PKEY_is_a(evp, "ED25519"))
        kind = POLICY_KEY_ED25519;
    if (!(kind & kinds)) {
        g_autofree gchar *found = describe(evp);

        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, label,
                                "this is %s; it must be %s; to make one: %s",
                                found, wanted_name(kinds), policy_key_make_command(kinds));
    }
    if (!put_public(evp, kind, public))
        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, what, label,
                                "its public half cannot be had; to make another key: %s",
                                policy_key_make_command(kinds));
    key = g_new0(PolicyKey, 1);
    key->evp = g_steal_pointer(&owned);
    key->kind = kind;
    key->label = g_strdup(label);
    policy_sha256(public->data, public->len, digest);
    key->id = measure_hex_encode(digest, sizeof(digest));
    key->context = g_steal_pointer(&owned_context);
    ERR_clear_error();
    return key;
}

PolicyKey *policy_key_from_evp(EVP_PKEY *evp, PolicyKeyKind kinds, const char *what, GError **error)
{
    return policy_key_accept(evp, NULL, kinds, what, NULL, error);
}

void policy_key_free(PolicyKey *key)
{
    if (!key)
        return;
    /* OpenSSL wipes the private half of both kinds. */
    EVP_PKEY_free(key->evp);
    policy_key_context_free(key->context);
    g_free(key->label);
    g_free(key->id);
    g_free(key);
}

PolicyKeyKind policy_key_kind(const PolicyKey *key)
{
    return key->kind;
}

const char *policy_key_kind_name(PolicyKeyKind kind)
{
    return kind == POLICY_KEY_ED25519 ? "ed25519" : "ecdsa-p384-sha384";
}

const char *policy_key_label(const PolicyKey *key)
{
    return key->label;
}

EVP_PKEY *policy_key_evp(const PolicyKey *key)
{
    return key->evp;
}

gchar *policy_key_id(const PolicyKey *key)
{
    return g_strdup(key->id);
}

/* ---- Signatures ---- */

static const char *digest_name(const PolicyKey *key)
{
    return key->kind == POLICY_KEY_ED25519 ? NULL : "SHA384";
}

static OSSL_LIB_CTX *library(const PolicyKey *key)
{
    return key->context ? key->context->library : NULL;
}

GBytes *policy_key_sign(const PolicyKey *key, gconstpointer data, gsize size, GError **error)
{
    g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
    guint8 out[1024];
    size_t length = sizeof(out);

    if (!context || EVP_DigestSignInit_ex(context, NULL, digest_name(key), library(key), NULL, key->evp, NULL) != 1 ||
        EVP_DigestSign(context, out, &length, data, size) != 1) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        g_autofree gchar *shown = policy_one_line(reason ? reason : "no reason given", 200);

        return policy_key_error(error, ATTEST_ERROR_UNREADABLE, "key", key->label,
                                "it does not sign (%s): is it a private key, and is its token still there?", shown);
    }
    ERR_clear_error();
    return g_bytes_new(out, length);
}

gboolean policy_key_verify(const PolicyKey *key, gconstpointer data, gsize size, gconstpointer signature,
                           gsize signature_size)
{
    g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
    gboolean good = FALSE;

    if (key->kind == POLICY_KEY_ED25519 ? signature_size != ED25519_SIGNATURE_SIZE
                                        : !signature_size || signature_size > P384_SIGNATURE_MAX)
        return FALSE;
    good = context &&
           EVP_DigestVerifyInit_ex(context, NULL, digest_name(key), library(key), NULL, key->evp, NULL) == 1 &&
           EVP_DigestVerify(context, signature, signature_size, data, size) == 1;
    ERR_clear_error();
    return good;
}
