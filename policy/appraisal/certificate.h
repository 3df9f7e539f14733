/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all certificates and lists of AMD have in common, and the keys that they are checked with. Internal to
 * policy/appraisal/ and its tests. */
#pragma once

#include "policy/appraisal/chain.h"
#include "policy/appraisal/roots.h"

#define APPRAISAL_CERTIFICATE_MAX_SIZE (16u * 1024)
#define APPRAISAL_CRL_MAX_SIZE (256u * 1024)

/**
 * AppraisalAuthority:
 * @key: RSA
 * @serial: of its certificate
 * @fingerprint: SHA-256 of its certificate in DER
 *
 * One ARK, ASK or ASVK of the anchors.
 */
typedef struct {
    AppraisalAuthorityKind kind;
    AppraisalLine line;
    EVP_PKEY *key;
    X509_NAME *name;
    ASN1_INTEGER *serial;
    gint64 not_before, not_after;
    guint8 fingerprint[MEASURE_SHA256_SIZE];
} AppraisalAuthority;

/* "ARK-Milan", "SEV-Milan", "SEV-VLEK-Milan" */
gchar *appraisal_authority_name(AppraisalAuthorityKind kind, AppraisalLine line);
gboolean appraisal_authority_from_name(const char *name, AppraisalAuthorityKind *kind, AppraisalLine *line);
/* %NULL when the anchors have none. */
const AppraisalAuthority *appraisal_anchors_find(const AppraisalAnchors *anchors, AppraisalAuthorityKind kind,
                                                 AppraisalLine line);
/* Whether an anchor's signature of the certificate with this SHA-256 was found good before; and to say that it was. */
gboolean appraisal_anchors_knows(const AppraisalAnchors *anchors, const guint8 digest[MEASURE_SHA256_SIZE]);
void appraisal_anchors_remember(const AppraisalAnchors *anchors, const guint8 digest[MEASURE_SHA256_SIZE]);

/**
 * appraisal_certificate_parse:
 *
 * One certificate in DER, to its last byte and in the one encoding that DER has, or one in PEM. X.509 version 3.
 */
X509 *appraisal_certificate_parse(gconstpointer data, gsize size, GError **error);
/* The one common name of @name, of printable ASCII characters; %NULL otherwise. */
gchar *appraisal_name_common(const X509_NAME *name);
gboolean appraisal_time_read(const ASN1_TIME *time, gint64 *out);
/* RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes, written in one of the two ways that AMD has. */
gboolean appraisal_algorithm_is_pss(const X509_ALGOR *algorithm);
/* "2026-11-28T03:00:00Z" */
gchar *appraisal_time_format(gint64 time);
