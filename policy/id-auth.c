/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Judging an ID authentication page, which may be anybody's. Every byte of it belongs to a number that a signature
 * covers, to the signature itself, to an algorithm or to a reserved part, and each of these is looked at.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "measure/foreign-autoptr.h"
#include "policy/id-block-private.h"

static void add(GPtrArray *problems, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void add(GPtrArray *problems, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(problems, g_strdup_vprintf(format, args));
    va_end(args);
}

static gboolean is_zero(const guint8 *bytes, gsize size)
{
    guint8 seen = 0;

    for (gsize i = 0; i < size; i++)
        seen |= bytes[i];
    return seen == 0;
}

static guint32 get_u32(const guint8 *page, gsize offset)
{
    guint32 value = 0;

    if (!measure_bytes_u32((MeasureBytes){page, POLICY_ID_AUTH_SIZE}, offset, &value))
        g_return_val_if_reached(0);
    return value;
}

static void check_reserved(GPtrArray *problems, const guint8 *page, gsize from, gsize to)
{
    gsize at = from;

    while (at < to && page[at] == 0)
        at++;
    if (at < to)
        add(problems, "reserved byte 0x%" G_GSIZE_MODIFIER "x of the ID authentication page is 0x%02x, not zero", at,
            page[at]);
}

/* 0x04, X, Y: as OpenSSL takes a point. FALSE when a number does not fit the curve. */
static gboolean read_point(const guint8 *key, guint8 point[1 + 2 * ID_COORDINATE_SIZE])
{
    const guint8 *x = key + ID_KEY_X;
    const guint8 *y = key + ID_KEY_Y;

    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    for (gsize i = 0; i < ID_COORDINATE_SIZE; i++) {
        point[ID_COORDINATE_SIZE - i] = x[i];
        point[2 * ID_COORDINATE_SIZE - i] = y[i];
    }
    return is_zero(x + ID_COORDINATE_SIZE, ID_NUMBER_SIZE - ID_COORDINATE_SIZE) &&
           is_zero(y + ID_COORDINATE_SIZE, ID_NUMBER_SIZE - ID_COORDINATE_SIZE);
}

static void check_all_reserved(GPtrArray *problems, const guint8 *page)
{
    static const gsize reserved[][2] = {
        {ID_AUTH_AUTHOR_KEY_ALGORITHM + 4, ID_AUTH_BLOCK_SIGNATURE},
        {ID_AUTH_BLOCK_SIGNATURE + ID_SIGNATURE_END, ID_AUTH_ID_KEY},
        {ID_AUTH_ID_KEY + ID_KEY_END, ID_AUTH_KEY_SIGNATURE},
        {ID_AUTH_KEY_SIGNATURE + ID_SIGNATURE_END, ID_AUTH_AUTHOR_KEY},
        {ID_AUTH_AUTHOR_KEY + ID_KEY_END, POLICY_ID_AUTH_SIZE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(reserved); i++)
        check_reserved(problems, page, reserved[i][0], reserved[i][1]);
}

/* The public key at @offset, or NULL; OpenSSL takes only a point that is on the curve. @what: "ID key" */
static EVP_PKEY *read_key(GPtrArray *problems, const guint8 *page, gsize offset, const char *what)
{
    guint8 point[1 + 2 * ID_COORDINATE_SIZE];
    char group[] = SN_secp384r1;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
        OSSL_PARAM_construct_end(),
    };
    g_autoptr(EVP_PKEY_CTX) context = NULL;
    EVP_PKEY *key = NULL;
    guint32 curve = get_u32(page, offset + ID_KEY_CURVE);

    if (curve != ID_CURVE_P384) {
        add(problems, "the %s is on curve %u, and only 2 (P-384) is known", what, curve);
        return NULL;
    }
    context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (!context)
        g_error("OpenSSL has no elliptic curves");
    if (!read_point(page + offset, point) || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) {
        add(problems, "the %s is not a point on the curve P-384", what);
        return NULL;
    }
    return key;
}

/* One number of a signature: from 1 to the order less one. */
static BIGNUM *read_number(GPtrArray *problems, const guint8 *at, const BIGNUM *order, const char *name,
                           const char *what)
{
    g_autoptr(BIGNUM) number = BN_lebin2bn(at, ID_NUMBER_SIZE, NULL);

    if (!number)
        g_error("out of memory");
    if (!BN_is_zero(number) && BN_cmp(number, order) < 0)
        return g_steal_pointer(&number);
    add(problems, "the signature of the %s has %s = 0 or not below the order of the curve", what, name);
    return NULL;
}

static gboolean verifies(EVP_PKEY *key, const ECDSA_SIG *signature, gconstpointer data, gsize size)
{
    g_autoptr(EVP_MD_CTX) context = EVP_MD_CTX_new();
    guint8 *der = NULL;
    int length = i2d_ECDSA_SIG(signature, &der);
    gboolean good = length > 0 && context && EVP_DigestVerifyInit(context, NULL, EVP_sha384(), NULL, key) == 1 &&
                    EVP_DigestVerify(context, der, (gsize)length, data, size) == 1;

    OPENSSL_free(der);
    return good;
}

/* @key: (nullable): the key that must have signed; @what: what was signed; @who: whose signature that should be */
static void check_signature(GPtrArray *problems, const guint8 *page, gsize offset, EVP_PKEY *key, gconstpointer data,
                            gsize size, const char *what, const char *who)
{
    g_autoptr(BIGNUM) order = NULL;
    g_autoptr(BIGNUM) r = NULL;
    g_autoptr(BIGNUM) s = NULL;
    g_autoptr(ECDSA_SIG) signature = ECDSA_SIG_new();

    if (!key) {
        add(problems, "the signature of the %s cannot be checked without the %s", what, who);
        return;
    }
    if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_ORDER, &order) != 1 || !signature)
        g_error("OpenSSL does not know the order of P-384");
    r = read_number(problems, page + offset + ID_SIGNATURE_R, order, "R", what);
    s = read_number(problems, page + offset + ID_SIGNATURE_S, order, "S", what);
    if (!r || !s)
        return;
    if (ECDSA_SIG_set0(signature, g_steal_pointer(&r), g_steal_pointer(&s)) != 1)
        g_error("out of memory");
    if (!verifies(key, signature, data, size))
        add(problems, "the signature of the %s was not made by the %s for it", what, who);
}

static void check_algorithm(GPtrArray *problems, const guint8 *page, gsize offset, const char *what)
{
    guint32 algorithm = get_u32(page, offset);

    if (algorithm == 0)
        add(problems, "the page has no %s: its algorithm is 0", what);
    else if (algorithm != ID_ALGORITHM_ECDSA_P384_SHA384)
        add(problems, "the %s is for algorithm %u, and only 1 (ECDSA on P-384 with SHA-384) is known", what, algorithm);
}

static void check_author(GPtrArray *problems, const guint8 *page)
{
    g_autoptr(EVP_PKEY) author = NULL;

    check_algorithm(problems, page, ID_AUTH_AUTHOR_KEY_ALGORITHM, "author key");
    if (get_u32(page, ID_AUTH_AUTHOR_KEY_ALGORITHM) == 0)
        return;
    author = read_key(problems, page, ID_AUTH_AUTHOR_KEY, "author key");
    check_signature(problems, page, ID_AUTH_KEY_SIGNATURE, author, page + ID_AUTH_ID_KEY, POLICY_ID_KEY_SIZE, "ID key",
                    "author key");
}

static gboolean has_no_author(const guint8 *page)
{
    return get_u32(page, ID_AUTH_AUTHOR_KEY_ALGORITHM) == 0 &&
           is_zero(page + ID_AUTH_KEY_SIGNATURE, POLICY_ID_AUTH_SIZE - ID_AUTH_KEY_SIGNATURE);
}

static void fill_identity(const guint8 *block, const guint8 *page, gboolean author_key_enabled, PolicyIdentity *out)
{
    memcpy(out->family_id, block + ID_BLOCK_FAMILY_ID, sizeof(out->family_id));
    memcpy(out->image_id, block + ID_BLOCK_IMAGE_ID, sizeof(out->image_id));
    if (!measure_bytes_u32((MeasureBytes){block, POLICY_ID_BLOCK_SIZE}, ID_BLOCK_GUEST_SVN, &out->guest_svn))
        g_return_if_reached();
    policy_sha384(page + ID_AUTH_ID_KEY, POLICY_ID_KEY_SIZE, out->id_key_digest);
    out->has_author_key = author_key_enabled;
    if (author_key_enabled)
        policy_sha384(page + ID_AUTH_AUTHOR_KEY, POLICY_ID_KEY_SIZE, out->author_key_digest);
}

/* What needs no arithmetic. */
static void check_form(GPtrArray *problems, const guint8 *block, const guint8 *page)
{
    g_autoptr(GError) error = NULL;
    PolicyIdBlock parsed;

    if (!policy_id_block_parse(block, POLICY_ID_BLOCK_SIZE, &parsed, &error))
        add(problems, "%s", error->message);
    check_algorithm(problems, page, ID_AUTH_ID_KEY_ALGORITHM, "ID key");
    check_all_reserved(problems, page);
}

static void check_keys(GPtrArray *problems, const guint8 *block, const guint8 *page, gboolean author_key_enabled)
{
    g_autoptr(EVP_PKEY) id_key = NULL;

    /* What OpenSSL notes down about a bad page is nothing that a later caller should find. */
    ERR_set_mark();
    id_key = read_key(problems, page, ID_AUTH_ID_KEY, "ID key");
    check_signature(problems, page, ID_AUTH_BLOCK_SIGNATURE, id_key, block, POLICY_ID_BLOCK_SIZE, "ID block", "ID key");
    if (author_key_enabled || !has_no_author(page))
        check_author(problems, page);
    ERR_pop_to_mark();
}

/* @all: look at the keys even when the form is bad already */
static GPtrArray *find_problems(const guint8 *block, const guint8 *page, gsize auth_size, gboolean author_key_enabled,
                                gboolean all, PolicyIdentity *out)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);

    if (out)
        memset(out, 0, sizeof(*out));
    if (auth_size != POLICY_ID_AUTH_SIZE) {
        add(problems, "an ID authentication page has %d bytes, and this is %" G_GSIZE_FORMAT " bytes long",
            POLICY_ID_AUTH_SIZE, auth_size);
        return g_steal_pointer(&problems);
    }
    check_form(problems, block, page);
    if (all || problems->len == 0)
        check_keys(problems, block, page, author_key_enabled);
    if (out)
        fill_identity(block, page, author_key_enabled, out);
    return g_steal_pointer(&problems);
}

GPtrArray *policy_id_auth_problems(const guint8 block[POLICY_ID_BLOCK_SIZE], gconstpointer auth, gsize auth_size,
                                   gboolean author_key_enabled, PolicyIdentity *out)
{
    return find_problems(block, auth, auth_size, author_key_enabled, TRUE, out);
}

gboolean policy_id_auth_verify(const guint8 block[POLICY_ID_BLOCK_SIZE], gconstpointer auth, gsize auth_size,
                               gboolean author_key_enabled, PolicyIdentity *out, GError **error)
{
    PolicyIdentity identity;
    g_autoptr(GPtrArray) problems = find_problems(block, auth, auth_size, author_key_enabled, FALSE, &identity);

    if (problems->len > 0) {
        g_set_error_literal(error, ATTEST_ERROR,
                            auth_size == POLICY_ID_AUTH_SIZE ? ATTEST_ERROR_REJECTED : ATTEST_ERROR_UNREADABLE,
                            g_ptr_array_index(problems, 0));
        return FALSE;
    }
    if (out)
        *out = identity;
    return TRUE;
}
