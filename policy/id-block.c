/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making ID blocks: the 96 bytes, the public keys as a page has them, and the signatures. Judging them: id-auth.c. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "measure/foreign-autoptr.h"
#include "policy/id-block-private.h"

void policy_sha384(gconstpointer data, gsize size, guint8 out[MEASURE_SHA384_SIZE])
{
    if (EVP_Digest(data, size, out, NULL, EVP_sha384(), NULL) != 1)
        g_error("SHA-384 failed");
}

void policy_id_block_format(const PolicyIdBlock *block, guint8 out[POLICY_ID_BLOCK_SIZE])
{
    memcpy(out, block->digest, sizeof(block->digest));
    memcpy(out + ID_BLOCK_FAMILY_ID, block->family_id, sizeof(block->family_id));
    memcpy(out + ID_BLOCK_IMAGE_ID, block->image_id, sizeof(block->image_id));
    measure_put_u32(out + ID_BLOCK_VERSION, block->version);
    measure_put_u32(out + ID_BLOCK_GUEST_SVN, block->guest_svn);
    measure_put_u64(out + ID_BLOCK_POLICY, block->policy);
}

gboolean policy_id_block_parse(gconstpointer data, gsize size, PolicyIdBlock *out, GError **error)
{
    MeasureBytes bytes = {data, size};
    PolicyIdBlock block;

    if (size != POLICY_ID_BLOCK_SIZE) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "an ID block has %d bytes, and this is %" G_GSIZE_FORMAT " bytes long", POLICY_ID_BLOCK_SIZE, size);
        return FALSE;
    }
    memcpy(block.digest, bytes.data, sizeof(block.digest));
    memcpy(block.family_id, bytes.data + ID_BLOCK_FAMILY_ID, sizeof(block.family_id));
    memcpy(block.image_id, bytes.data + ID_BLOCK_IMAGE_ID, sizeof(block.image_id));
    if (!measure_bytes_u32(bytes, ID_BLOCK_VERSION, &block.version) ||
        !measure_bytes_u32(bytes, ID_BLOCK_GUEST_SVN, &block.guest_svn) ||
        !measure_bytes_u64(bytes, ID_BLOCK_POLICY, &block.policy))
        g_return_val_if_reached(FALSE);
    if (block.version != 1) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "the ID block has version %u, and only version 1 is known", block.version);
        return FALSE;
    }
    *out = block;
    return TRUE;
}

static gboolean openssl_failed(GError **error, const char *what)
{
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s", what);
    return FALSE;
}

/* A key of a token has no numbers to ask for. Through its public form every key is one of OpenSSL's own. */
static EVP_PKEY *public_half(EVP_PKEY *key)
{
    g_autofree guint8 *copy = NULL;
    guint8 *der = NULL;
    int size = i2d_PUBKEY(key, &der);
    const guint8 *at = NULL;

    if (size <= 0)
        return NULL;
    copy = g_memdup2(der, (gsize)size);
    OPENSSL_free(der);
    at = copy;
    return d2i_PUBKEY(NULL, &at, size);
}

/* The number in @out: 72 bytes, little-endian. */
static gboolean put_coordinate(EVP_PKEY *key, const char *name, guint8 *out)
{
    BIGNUM *number = NULL;
    gboolean done = EVP_PKEY_get_bn_param(key, name, &number) == 1 && BN_num_bytes(number) <= ID_COORDINATE_SIZE &&
                    BN_bn2lebinpad(number, out, ID_NUMBER_SIZE) == ID_NUMBER_SIZE;

    BN_free(number);
    return done;
}

/* @what: "ID key" */
static gboolean format_key(const PolicyKey *key, const char *what, guint8 out[POLICY_ID_KEY_SIZE], GError **error)
{
    g_autoptr(EVP_PKEY) public_key = NULL;
    g_autofree gchar *failure = g_strdup_printf("the public half of the %s cannot be read", what);

    if (policy_key_kind(key) != POLICY_KEY_P384) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "the %s is a key for %s, and the processor takes ECDSA on P-384 only: make one with 'openssl genpkey "
                    "-algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out FILE'",
                    what, policy_key_kind_name(policy_key_kind(key)));
        return FALSE;
    }
    memset(out, 0, POLICY_ID_KEY_SIZE);
    measure_put_u32(out + ID_KEY_CURVE, ID_CURVE_P384);
    public_key = public_half(policy_key_evp(key));
    return (public_key && put_coordinate(public_key, OSSL_PKEY_PARAM_EC_PUB_X, out + ID_KEY_X) &&
            put_coordinate(public_key, OSSL_PKEY_PARAM_EC_PUB_Y, out + ID_KEY_Y)) ||
           openssl_failed(error, failure);
}

gboolean policy_id_key_digest(const PolicyKey *key, guint8 out[MEASURE_SHA384_SIZE], GError **error)
{
    guint8 page[POLICY_ID_KEY_SIZE];

    if (!format_key(key, "key", page, error))
        return FALSE;
    policy_sha384(page, sizeof(page), out);
    return TRUE;
}

struct PolicyIdIssuer {
    EVP_PKEY *id_key;
    guint8 page[POLICY_ID_AUTH_SIZE]; /* everything but the signature over the block */
};

/*
 * ECDSA over SHA-384 of @data as the page has it. The numbers are of any size up to 48 bytes: a short one is filled up
 * at its high end, which is behind.
 */
static gboolean put_signature(EVP_PKEY *key, gconstpointer data, gsize size, guint8 out[ID_SIGNATURE_SIZE])
{
    guint8 der[160];
    gsize length = sizeof(der);
    const guint8 *at = der;
    g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
    g_autoptr(ECDSA_SIG) signature = NULL;

    memset(out, 0, ID_SIGNATURE_SIZE);
    if (!context || EVP_DigestSignInit_ex(context, NULL, "SHA384", NULL, NULL, key, NULL) != 1 ||
        EVP_DigestSign(context, der, &length, data, size) != 1)
        return FALSE;
    signature = d2i_ECDSA_SIG(NULL, &at, (long)length);
    return signature &&
           BN_bn2lebinpad(ECDSA_SIG_get0_r(signature), out + ID_SIGNATURE_R, ID_NUMBER_SIZE) == ID_NUMBER_SIZE &&
           BN_bn2lebinpad(ECDSA_SIG_get0_s(signature), out + ID_SIGNATURE_S, ID_NUMBER_SIZE) == ID_NUMBER_SIZE;
}

PolicyIdIssuer *policy_id_issuer_new(const PolicyKey *id_key, const PolicyKey *author_key, GError **error)
{
    g_autoptr(PolicyIdIssuer) issuer = g_new0(PolicyIdIssuer, 1);

    measure_put_u32(issuer->page + ID_AUTH_ID_KEY_ALGORITHM, ID_ALGORITHM_ECDSA_P384_SHA384);
    if (!format_key(id_key, "ID key", issuer->page + ID_AUTH_ID_KEY, error))
        return NULL;
    if (author_key) {
        measure_put_u32(issuer->page + ID_AUTH_AUTHOR_KEY_ALGORITHM, ID_ALGORITHM_ECDSA_P384_SHA384);
        if (!format_key(author_key, "author key", issuer->page + ID_AUTH_AUTHOR_KEY, error))
            return NULL;
        if (!put_signature(policy_key_evp(author_key), issuer->page + ID_AUTH_ID_KEY, POLICY_ID_KEY_SIZE,
                           issuer->page + ID_AUTH_KEY_SIGNATURE)) {
            openssl_failed(error, "the author key does not sign: is it a private key, and its token unlocked?");
            return NULL;
        }
    }
    issuer->id_key = policy_key_evp(id_key);
    if (EVP_PKEY_up_ref(issuer->id_key) != 1)
        g_error("out of memory");
    return g_steal_pointer(&issuer);
}

void policy_id_issuer_free(PolicyIdIssuer *issuer)
{
    if (!issuer)
        return;
    EVP_PKEY_free(issuer->id_key);
    g_free(issuer);
}

gboolean policy_id_issuer_sign(const PolicyIdIssuer *issuer, const guint8 block[POLICY_ID_BLOCK_SIZE],
                               guint8 auth[POLICY_ID_AUTH_SIZE], GError **error)
{
    memcpy(auth, issuer->page, POLICY_ID_AUTH_SIZE);
    return put_signature(issuer->id_key, block, POLICY_ID_BLOCK_SIZE, auth + ID_AUTH_BLOCK_SIGNATURE) ||
           openssl_failed(error, "the ID key does not sign: is it a private key, and its token unlocked?");
}
