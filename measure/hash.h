/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SHA-256 and SHA-384 over OpenSSL's EVP, each algorithm fetched once per process: a fetch per digest
 * would cost more than hashing a page. Internal to measure/.
 */
#pragma once

#include <openssl/evp.h>

#include "measure/bytes.h"
#include "measure/foreign-autoptr.h"

typedef enum {
    MEASURE_HASH_SHA256,
    MEASURE_HASH_SHA384,
} MeasureHash;

/**
 * measure_hash_ready:
 *
 * Fetches the algorithms. Every other function here takes for granted that this succeeded, and aborts
 * when the library then fails all the same: a wrong digest must never come out.
 *
 * Errors: %ATTEST_ERROR_NOT_CONFIGURED when OpenSSL offers no SHA-256 or SHA-384.
 */
gboolean measure_hash_ready(GError **error);

/* A new state, ready for data. */
EVP_MD_CTX *measure_hash_new(MeasureHash hash);
EVP_MD_CTX *measure_hash_copy(const EVP_MD_CTX *state);
void measure_hash_update(EVP_MD_CTX *state, gconstpointer data, gsize size);
/* Writes the digest (32 or 48 bytes) and makes @state ready for the next one. */
void measure_hash_finish(EVP_MD_CTX *state, guint8 *out);
/* One digest of one buffer with a state that is ready. */
void measure_hash_buffer(EVP_MD_CTX *state, gconstpointer data, gsize size, guint8 *out);
