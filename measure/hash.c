/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure/hash.h"

#include <openssl/err.h>

#include "measure/error.h"

static EVP_MD *algorithms[2];

static void fetch_once(void)
{
    static gsize done = 0;

    if (g_once_init_enter(&done)) {
        algorithms[MEASURE_HASH_SHA256] = EVP_MD_fetch(NULL, "SHA2-256", NULL);
        algorithms[MEASURE_HASH_SHA384] = EVP_MD_fetch(NULL, "SHA2-384", NULL);
        g_once_init_leave(&done, 1);
    }
}

gboolean measure_hash_ready(GError **error)
{
    fetch_once();
    if (algorithms[MEASURE_HASH_SHA256] && algorithms[MEASURE_HASH_SHA384])
        return TRUE;
    char reason[256];
    ERR_error_string_n(ERR_peek_last_error(), reason, sizeof reason);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                "OpenSSL provides no SHA-256 and SHA-384 (%s): check openssl.cnf and its providers", reason);
    return FALSE;
}

static void must(int result)
{
    if (result != 1)
        g_error("OpenSSL failed to compute a digest");
}

EVP_MD_CTX *measure_hash_new(MeasureHash hash)
{
    fetch_once();
    EVP_MD_CTX *state = EVP_MD_CTX_new();

    must(state && algorithms[hash] && EVP_DigestInit_ex2(state, algorithms[hash], NULL) == 1);
    return state;
}

EVP_MD_CTX *measure_hash_copy(const EVP_MD_CTX *state)
{
    EVP_MD_CTX *copy = EVP_MD_CTX_new();

    must(copy && EVP_MD_CTX_copy_ex(copy, state) == 1);
    return copy;
}

void measure_hash_update(EVP_MD_CTX *state, gconstpointer data, gsize size)
{
    must(size == 0 || EVP_DigestUpdate(state, data, size) == 1);
}

void measure_hash_finish(EVP_MD_CTX *state, guint8 *out)
{
    must(EVP_DigestFinal_ex(state, out, NULL));
    must(EVP_DigestInit_ex2(state, NULL, NULL));
}

void measure_hash_buffer(EVP_MD_CTX *state, gconstpointer data, gsize size, guint8 *out)
{
    measure_hash_update(state, data, size);
    measure_hash_finish(state, out);
}
