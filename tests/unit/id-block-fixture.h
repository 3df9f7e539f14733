/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An ID authentication page as the specification (SEV-SNP Firmware ABI 56860) has it, cut with numbers of the test's
 * own: nothing of policy/ is used, so that both can be wrong in different ways only.
 */
#pragma once

#include <glib.h>
#include <openssl/evp.h>
#include <string.h>

enum {
    PAGE_SIZE = 4096,
    KEY_SIZE = 1028,
    AT_BLOCK_SIGNATURE = 64,
    AT_ID_KEY = 576,
    AT_KEY_SIGNATURE = 1664,
    AT_AUTHOR_KEY = 2176,
};

/* One DER INTEGER of a number that is little-endian in 72 bytes; returns how many bytes were written. */
static inline gsize der_integer(const guint8 *number, guint8 *out)
{
    gsize size = 72, n = 2;

    while (size > 1 && number[size - 1] == 0)
        size--;
    if (number[size - 1] & 0x80)
        out[n++] = 0;
    for (gsize i = size; i > 0; i--)
        out[n++] = number[i - 1];
    out[0] = 0x02;
    out[1] = (guint8)(n - 2);
    return n;
}

/* SEQUENCE { R, S } of the signature at @signature; at most 152 bytes. */
static inline gsize der_signature(const guint8 *signature, guint8 *out)
{
    guint8 body[160];
    gsize size = der_integer(signature, body), head = 2;

    size += der_integer(signature + 72, body + size);
    out[0] = 0x30;
    if (size < 128) {
        out[1] = (guint8)size;
    } else {
        out[1] = 0x81;
        out[2] = (guint8)size;
        head = 3;
    }
    memcpy(out + head, body, size);
    return head + size;
}

/* SubjectPublicKeyInfo of the key at @key: 120 bytes. RFC 5480: id-ecPublicKey, secp384r1, an uncompressed point. */
static inline void der_public_key(const guint8 *key, guint8 out[120])
{
    static const guint8 head[] = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
                                  0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04};

    memcpy(out, head, sizeof(head));
    for (gsize i = 0; i < 48; i++) {
        out[24 + i] = key[4 + 47 - i];
        out[72 + i] = key[4 + 72 + 47 - i];
    }
}

static inline gboolean verify_der(EVP_PKEY *key, const guint8 *signature, gconstpointer data, gsize size)
{
    guint8 der[160];
    gsize length = der_signature(signature, der);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    gboolean good = EVP_DigestVerifyInit(context, NULL, EVP_sha384(), NULL, key) == 1 &&
                    EVP_DigestVerify(context, der, length, data, size) == 1;

    EVP_MD_CTX_free(context);
    return good;
}
