/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making ID blocks: the 96 bytes, the public keys as a page has them, and the signatures. Judging them: id-auth.c. */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
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

/* The number, big-endian in 48 bytes, as the page has it: 72 bytes, the lowest first. */
static void put_coordinate(const guint8 *number, guint8 *out)
{
    for (gsize i = 0; i < ID_COORDINATE_SIZE; i++)
        out[i] = number[ID_COORDINATE_SIZE - 1 - i];
}

/* @what: "ID key" */
static gboolean format_key(const PolicyKey *key, const char *what, guint8 out[POLICY_ID_KEY_SIZE], GError **error)
{
    guint8 x[ID_COORDINATE_SIZE], y[ID_COORDINATE_SIZE];

    if (policy_key_kind(key) != POLICY_KEY_P384) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "the %s is a key for %s, and the processor takes ECDSA on P-384 only: make one with 'openssl genpkey "
                    "-algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out FILE'",
                    what, policy_key_kind_name(policy_key_kind(key)));
        return FALSE;
    }
    memset(out, 0, POLICY_ID_KEY_SIZE);
    measure_put_u32(out + ID_KEY_CURVE, ID_CURVE_P384);
    if (!policy_key_point(key, x, y)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the public half of the %s cannot be read", what);
        return FALSE;
    }
    put_coordinate(x, out + ID_KEY_X);
    put_coordinate(y, out + ID_KEY_Y);
    return TRUE;
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
    const PolicyKey *id_key;
    guint8 page[POLICY_ID_AUTH_SIZE]; /* everything but the signature over the block */
};

/*
 * ECDSA over SHA-384 of @data as the page has it. The numbers are of any size up to 48 bytes: a short one is filled up
 * at its high end, which is behind.
 */
static gboolean put_signature(const PolicyKey *key, gconstpointer data, gsize size, guint8 out[ID_SIGNATURE_SIZE],
                              GError **error)
{
    g_autoptr(GBytes) der = policy_key_sign(key, data, size, error);
    g_autoptr(ECDSA_SIG) signature = NULL;
    const guint8 *at = NULL;
    gsize length = 0;

    memset(out, 0, ID_SIGNATURE_SIZE);
    if (!der)
        return FALSE;
    at = g_bytes_get_data(der, &length);
    signature = d2i_ECDSA_SIG(NULL, &at, (long)length);
    if (signature &&
        BN_bn2lebinpad(ECDSA_SIG_get0_r(signature), out + ID_SIGNATURE_R, ID_NUMBER_SIZE) == ID_NUMBER_SIZE &&
        BN_bn2lebinpad(ECDSA_SIG_get0_s(signature), out + ID_SIGNATURE_S, ID_NUMBER_SIZE) == ID_NUMBER_SIZE)
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the key made something that is no ECDSA signature");
    return FALSE;
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
        if (!put_signature(author_key, issuer->page + ID_AUTH_ID_KEY, POLICY_ID_KEY_SIZE,
                           issuer->page + ID_AUTH_KEY_SIGNATURE, error)) {
            g_prefix_error(error, "the author key does not sign the ID key: ");
            return NULL;
        }
    }
    issuer->id_key = id_key;
    return g_steal_pointer(&issuer);
}

void policy_id_issuer_free(PolicyIdIssuer *issuer)
{
    g_free(issuer);
}

gboolean policy_id_issuer_sign(const PolicyIdIssuer *issuer, const guint8 block[POLICY_ID_BLOCK_SIZE],
                               guint8 auth[POLICY_ID_AUTH_SIZE], GError **error)
{
    memcpy(auth, issuer->page, POLICY_ID_AUTH_SIZE);
    if (put_signature(issuer->id_key, block, POLICY_ID_BLOCK_SIZE, auth + ID_AUTH_BLOCK_SIGNATURE, error))
        return TRUE;
    g_prefix_error(error, "the ID key does not sign the ID block: ");
    return FALSE;
}
