/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a report's signature to AMD's root: endorsement key (VCEK or VLEK), intermediate (ASK or ASVK), root (ARK). The
 * roots are built in: AMD's published public keys and the fingerprints of the certificates that carry them. What comes
 * with the evidence can fill a gap, never widen trust.
 */
#pragma once

#include <openssl/x509.h>

#include "policy/appraisal/report.h"

/**
 * AppraisalAnchors:
 *
 * The keys that chains may end in: AMD's, or those of one explicit file (a test authority) instead of them.
 */
typedef struct AppraisalAnchors AppraisalAnchors;
AppraisalAnchors *appraisal_anchors_builtin(void);
/* @path: PEM with an ARK and its ASK and/or ASVK, of one line or several. The verdict says that it rests on it. */
AppraisalAnchors *appraisal_anchors_load(const char *path, GError **error);
void appraisal_anchors_free(AppraisalAnchors *anchors);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AppraisalAnchors, appraisal_anchors_free)
gboolean appraisal_anchors_are_builtin(const AppraisalAnchors *anchors);
/* Returns: (nullable): 16 hexadecimal digits of the key of the ARK, by which other authorities' lists are told from
 * those of AMD; %NULL: AMD's own, or there is no ARK of @line. */
gchar *appraisal_anchors_id(const AppraisalAnchors *anchors, AppraisalLine line);

/**
 * appraisal_certificates_read:
 * @data: one certificate in DER, or up to 16 in PEM; hostile
 * @out: (element-type AppraisalBlob): gets them in DER, in their order, with the role "vcek", "vlek", "ask" (ASK or
 *   ASVK) or "ark" that their subject has
 *
 * Nothing is verified. Errors: %ATTEST_ERROR_UNREADABLE.
 */
gboolean appraisal_certificates_read(gconstpointer data, gsize size, GPtrArray *out, GError **error);

/**
 * AppraisalEndorsement:
 * @kind: VCEK or VLEK, by subject and issuer
 * @line: by issuer and product name, which must agree
 * @hwid: (nullable): 8 bytes on Turin, else 64; %NULL for a VLEK
 * @csp_id: (nullable): of a VLEK
 */
typedef struct {
    X509 *certificate;
    AppraisalSigner kind;
    AppraisalLine line;
    gchar *product;
    PolicyTcb tcb;
    GBytes *hwid;
    gchar *csp_id;
    gint64 not_before, not_after; /* Unix seconds */
} AppraisalEndorsement;
/**
 * appraisal_endorsement_parse:
 *
 * DER or PEM of one certificate, at most 16 KiB. Strict about AMD's extensions 1.3.6.1.4.1.3704.1.*: every needed one
 * once, exact encodings. Errors: %ATTEST_ERROR_UNREADABLE.
 */
AppraisalEndorsement *appraisal_endorsement_parse(gconstpointer data, gsize size, GError **error);
void appraisal_endorsement_free(AppraisalEndorsement *endorsement);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AppraisalEndorsement, appraisal_endorsement_free)

/**
 * AppraisalCrl:
 *
 * AMD's revocation list of a line: which ASK and ASVK serials are revoked. Signed by the ARK.
 */
typedef struct AppraisalCrl AppraisalCrl;
/* DER or PEM, at most 256 KiB. */
AppraisalCrl *appraisal_crl_parse(gconstpointer data, gsize size, GError **error);
void appraisal_crl_free(AppraisalCrl *crl);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AppraisalCrl, appraisal_crl_free)
AppraisalLine appraisal_crl_line(const AppraisalCrl *crl);
gint64 appraisal_crl_next_update(const AppraisalCrl *crl);
gint64 appraisal_crl_this_update(const AppraisalCrl *crl);

typedef enum {
    APPRAISAL_CRL_GOOD,
    APPRAISAL_CRL_ABSENT,
    APPRAISAL_CRL_STALE,
    APPRAISAL_CRL_BAD,
    APPRAISAL_CRL_REVOKED, /* by a stale list too */
} AppraisalCrlState;

/* In place of a time: validity is not judged. For keeping certificates, never for a verdict. */
#define APPRAISAL_ANY_TIME G_MININT64

/**
 * appraisal_chain_verify:
 * @intermediates: (nullable) (element-type AppraisalBlob): "ask" and "ark" that came along; they must fit the anchors
 * @at: Unix seconds at which the certificates must be valid; %APPRAISAL_ANY_TIME when that is not asked
 *
 * Signature of the endorsement by the anchors' ASK or ASVK, names, validity of all three. A certificate that came along
 * is either that of the anchors to the byte, or another one of the same name and key that the anchors' ARK signed.
 * Errors: %ATTEST_ERROR_REJECTED with the certificate and the reason. May be called from several threads.
 */
gboolean appraisal_chain_verify(const AppraisalEndorsement *endorsement, const AppraisalAnchors *anchors,
                                const GPtrArray *intermediates, gint64 at, GError **error);
/**
 * appraisal_authority_check:
 * @certificate: DER or PEM of one ARK, ASK or ASVK; hostile
 * @at: Unix seconds, or %APPRAISAL_ANY_TIME
 * @role: (out): "ark", "ask" or "asvk"
 *
 * Whether it fits an anchor, as in appraisal_chain_verify(). Errors: %ATTEST_ERROR_REJECTED.
 */
gboolean appraisal_authority_check(GBytes *certificate, const AppraisalAnchors *anchors, gint64 at, const char **role,
                                   AppraisalLine *line, GError **error);
/**
 * appraisal_intermediates_check:
 * @intermediates: (element-type AppraisalBlob): "ask" and "ark"; others are ignored
 *
 * A bare chain, such as the Key Distribution Service's cert_chain: every certificate must fit an anchor, all of one
 * line.
 * Errors: %ATTEST_ERROR_REJECTED with the certificate and the reason.
 */
gboolean appraisal_intermediates_check(const GPtrArray *intermediates, const AppraisalAnchors *anchors, gint64 at,
                                       GError **error);
/**
 * appraisal_crl_check:
 * @crl: (nullable)
 * @endorsement: (nullable): without one the list itself is judged, not whom it revokes
 * @at: Unix seconds, or %APPRAISAL_ANY_TIME
 * @detail: (out): one sentence
 *
 * Looks up the serial of the ASK or ASVK that the endorsement hangs from, and of its ARK.
 */
AppraisalCrlState appraisal_crl_check(const AppraisalCrl *crl, const AppraisalEndorsement *endorsement,
                                      const AppraisalAnchors *anchors, gint64 at, gchar **detail);

/* ECDSA P-384 with SHA-384 over the first %APPRAISAL_SIGNED_SIZE raw bytes. Errors: %ATTEST_ERROR_REJECTED. */
gboolean appraisal_signature_verify(const AppraisalReport *report, const AppraisalEndorsement *endorsement,
                                    GError **error);
