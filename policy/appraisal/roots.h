/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The built-in keys of AMD. Internal to policy/appraisal/ and its tests. */
#pragma once

#include "policy/appraisal/report.h"

/* ARK-P signs SEV-P (ASK), which signs VCEKs, and SEV-VLEK-P (ASVK), which signs VLEKs. */
typedef enum {
    APPRAISAL_AUTHORITY_ARK,
    APPRAISAL_AUTHORITY_ASK,
    APPRAISAL_AUTHORITY_ASVK,
} AppraisalAuthorityKind;

/**
 * AppraisalRoot:
 * @serial: of the published certificate
 * @not_before, @not_after: its validity, Unix seconds
 * @fingerprint: SHA-256 of it in DER, hexadecimal
 * @modulus: of the RSA key, 1024 hexadecimal digits; the exponent is 65537
 */
typedef struct {
    AppraisalAuthorityKind kind;
    AppraisalLine line;
    guint64 serial;
    gint64 not_before, not_after;
    const char *fingerprint, *modulus;
} AppraisalRoot;

#define APPRAISAL_ROOTS 9
extern const AppraisalRoot appraisal_roots[APPRAISAL_ROOTS];
