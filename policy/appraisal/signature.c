/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The signature of a report, over its raw bytes. */
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>

#include "measure/error.h"
#include "policy/appraisal/chain.h"

#include "measure/foreign-autoptr.h"

#define NUMBER_ROOM 72
#define NUMBER_SIZE 48
/* SEQUENCE of two INTEGERs of up to 49 bytes. */
#define DER_ROOM 128

static gboolean reject(GError **error, const char *text)
{
    ERR_clear_error();
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "signature of the report: %s", text);
    return FALSE;
}

/* Both numbers lie in the report little-endian; 0 for one that is zero, or else the size of the DER. */
static gsize signature_der(const AppraisalReport *report, guint8 out[DER_ROOM])
{
    const guint8 *at = report->raw + APPRAISAL_SIGNED_SIZE;
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_lebin2bn(at, NUMBER_SIZE, NULL);
    BIGNUM *s = BN_lebin2bn(at + NUMBER_ROOM, NUMBER_SIZE, NULL);
    int size = 0;

    if (!signature || !r || !s || BN_is_zero(r) || BN_is_zero(s) || !ECDSA_SIG_set0(signature, r, s)) {
        BN_free(r);
        BN_free(s);
    } else {
        guint8 *to = out;
        size = i2d_ECDSA_SIG(signature, NULL) <= DER_ROOM ? i2d_ECDSA_SIG(signature, &to) : 0;
    }
    ECDSA_SIG_free(signature);
    return size > 0 ? (gsize)size : 0;
}

gboolean appraisal_signature_verify(const AppraisalReport *report, const AppraisalEndorsement *endorsement,
                                    GError **error)
{
    g_autoptr(EVP_MD_CTX) context = NULL;
    guint8 der[DER_ROOM];
    gsize size = 0;

    if (report->signer == APPRAISAL_SIGNER_NONE)
        return reject(error, "the firmware signed it with no key");
    if (report->mask_chip_key)
        return reject(error, "the host told the firmware not to sign reports (MASK_CHIP_KEY)");
    if (report->signer != endorsement->kind)
        return reject(error, report->signer == APPRAISAL_SIGNER_VLEK ? "it was made with a VLEK, and this is a VCEK"
                                                                     : "it was made with a VCEK, and this is a VLEK");
    if (!(size = signature_der(report, der)))
        return reject(error, "one of its numbers is zero");
    context = EVP_MD_CTX_new();
    if (!context ||
        EVP_DigestVerifyInit(context, NULL, EVP_sha384(), NULL, X509_get0_pubkey(endorsement->certificate)) != 1 ||
        EVP_DigestVerify(context, der, size, report->raw, APPRAISAL_SIGNED_SIZE) != 1)
        return reject(error, "this certificate's key has not made it");
    return TRUE;
}
