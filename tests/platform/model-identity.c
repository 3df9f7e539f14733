/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <string.h>

/*
 * ID block and ID authentication page at SNP_LAUNCH_FINISH, in the order in
 * which firmware looks at them: digest, policy, signatures (SEV-SNP firmware
 * ABI, SNP_LAUNCH_FINISH). The verification of ECDSA is the textbook's (SEC 1,
 * section 4.1.4) on OpenSSL's points and numbers: it has to be another opinion
 * than the one of the code that it tests.
 *
 * What no signature can be verified with (another algorithm or curve, a key
 * that is no point) is a bad signature here.
 */
enum {
    STATUS_OK = 0,
    STATUS_POLICY_FAILURE = 7,
    STATUS_BAD_SIGNATURE = 10,
    STATUS_BAD_MEASUREMENT = 11,
};

#define NUMBER 72 /* bytes of every number, the lowest first */

typedef struct __attribute__((packed)) {
    uint8_t digest[48];
    uint8_t family_id[16];
    uint8_t image_id[16];
    uint8_t version[4];
    uint8_t svn[4];
    uint8_t policy[8];
} IdBlock;

typedef struct __attribute__((packed)) {
    uint8_t curve[4];
    uint8_t x[NUMBER];
    uint8_t y[NUMBER];
    uint8_t reserved[880];
} Key;

typedef struct __attribute__((packed)) {
    uint8_t r[NUMBER];
    uint8_t s[NUMBER];
    uint8_t reserved[368];
} Signature;

typedef struct __attribute__((packed)) {
    uint8_t id_key_algorithm[4];
    uint8_t author_key_algorithm[4];
    uint8_t reserved1[56];
    Signature block_signature;
    Key id_key;
    uint8_t reserved2[60];
    Signature id_key_signature;
    Key author_key;
    uint8_t reserved3[892];
} IdAuth;

_Static_assert(sizeof(IdBlock) == 96 && sizeof(Key) == 0x404 && sizeof(Signature) == 512 && sizeof(IdAuth) == 4096,
               "sizes of the specification");

static uint64_t number(const uint8_t *bytes, unsigned size) {
    uint64_t value = 0;

    while (size > 0) {
        value = value << 8 | bytes[--size];
    }
    return value;
}

static bool all_zero(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* u1 = z/s, u2 = r/s, and the x of u1*G + u2*Q has to be r, all modulo the order n. */
static bool ecdsa_holds(const EC_GROUP *curve, const EC_POINT *key, const BIGNUM *r, const BIGNUM *s, const BIGNUM *z,
                        BN_CTX *numbers) {
    const BIGNUM *n = EC_GROUP_get0_order(curve);
    EC_POINT *point = EC_POINT_new(curve);
    BIGNUM *inverse = BN_mod_inverse(NULL, s, n, numbers);
    BIGNUM *u1 = BN_new();
    BIGNUM *u2 = BN_new();
    BIGNUM *x = BN_new();
    bool good = point != NULL && inverse != NULL && u1 != NULL && u2 != NULL && x != NULL &&
                BN_mod_mul(u1, z, inverse, n, numbers) == 1 && BN_mod_mul(u2, r, inverse, n, numbers) == 1 &&
                EC_POINT_mul(curve, point, u1, key, u2, numbers) == 1 && !EC_POINT_is_at_infinity(curve, point) &&
                EC_POINT_get_affine_coordinates(curve, point, x, NULL, numbers) == 1 &&
                BN_nnmod(x, x, n, numbers) == 1 && BN_cmp(x, r) == 0;

    EC_POINT_free(point);
    BN_free(inverse);
    BN_free(u1);
    BN_free(u2);
    BN_free(x);
    return good;
}

static bool in_range(const BIGNUM *value, const EC_GROUP *curve) {
    return !BN_is_zero(value) && BN_cmp(value, EC_GROUP_get0_order(curve)) < 0;
}

/* @algorithm: 1 is ECDSA on P-384 with SHA-384, and the only one there is */
static bool verify(const uint8_t *algorithm, const Key *key, const Signature *signature, const void *data,
                   size_t size) {
    uint8_t hash[48];

    if (number(algorithm, 4) != 1 || number(key->curve, 4) != 2 || !all_zero(key->reserved, sizeof key->reserved) ||
        !all_zero(signature->reserved, sizeof signature->reserved)) {
        return false;
    }
    if (EVP_Digest(data, size, hash, NULL, EVP_sha384(), NULL) != 1) {
        model_die("SHA-384 failed");
    }
    EC_GROUP *curve = EC_GROUP_new_by_curve_name(NID_secp384r1);
    BN_CTX *numbers = BN_CTX_new();
    EC_POINT *point = curve != NULL ? EC_POINT_new(curve) : NULL;
    BIGNUM *x = BN_lebin2bn(key->x, NUMBER, NULL);
    BIGNUM *y = BN_lebin2bn(key->y, NUMBER, NULL);
    BIGNUM *r = BN_lebin2bn(signature->r, NUMBER, NULL);
    BIGNUM *s = BN_lebin2bn(signature->s, NUMBER, NULL);
    BIGNUM *z = BN_bin2bn(hash, sizeof hash, NULL);
    if (numbers == NULL || point == NULL || x == NULL || y == NULL || r == NULL || s == NULL || z == NULL) {
        model_die("no memory for a signature");
    }
    /* It takes no coordinates that are not on the curve. */
    bool good = EC_POINT_set_affine_coordinates(curve, point, x, y, numbers) == 1 && in_range(r, curve) &&
                in_range(s, curve) && ecdsa_holds(curve, point, r, s, z, numbers);
    BN_free(x);
    BN_free(y);
    BN_free(r);
    BN_free(s);
    BN_free(z);
    EC_POINT_free(point);
    BN_CTX_free(numbers);
    EC_GROUP_free(curve);
    return good;
}

static void key_digest(const Key *key, uint8_t digest[48]) {
    if (EVP_Digest(key, sizeof *key, digest, NULL, EVP_sha384(), NULL) != 1) {
        model_die("SHA-384 failed");
    }
}

/* What the report of the launch will show. */
static void remember(const IdBlock *block, const IdAuth *auth, bool author_key) {
    ModelIdentity *identity = &model_launch.identity;

    model_launch.id_block = true;
    memcpy(identity->family_id, block->family_id, sizeof identity->family_id);
    memcpy(identity->image_id, block->image_id, sizeof identity->image_id);
    identity->guest_svn = (uint32_t) number(block->svn, 4);
    key_digest(&auth->id_key, identity->id_key_digest);
    identity->author_key = author_key;
    if (author_key) {
        key_digest(&auth->author_key, identity->author_key_digest);
    }
}

uint32_t model_identity_check(const void *id_block, const void *id_auth, bool author_key) {
    IdBlock block;
    IdAuth auth;

    memcpy(&block, id_block, sizeof block);
    memcpy(&auth, id_auth, sizeof auth);
    if (memcmp(block.digest, model_launch.digest, MODEL_DIGEST_SIZE) != 0) {
        return STATUS_BAD_MEASUREMENT;
    }
    if (number(block.policy, 8) != model_launch.policy) {
        return STATUS_POLICY_FAILURE;
    }
    if (number(block.version, 4) != 1 || !all_zero(auth.reserved1, sizeof auth.reserved1) ||
        !all_zero(auth.reserved2, sizeof auth.reserved2) || !all_zero(auth.reserved3, sizeof auth.reserved3) ||
        !verify(auth.id_key_algorithm, &auth.id_key, &auth.block_signature, &block, sizeof block)) {
        return STATUS_BAD_SIGNATURE;
    }
    if (author_key && !verify(auth.author_key_algorithm, &auth.author_key, &auth.id_key_signature, &auth.id_key,
                              sizeof auth.id_key)) {
        return STATUS_BAD_SIGNATURE;
    }
    remember(&block, &auth, author_key);
    return STATUS_OK;
}
