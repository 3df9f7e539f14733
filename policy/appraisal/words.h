/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bits of a report in words, for people and as members of JSON documents. */
#pragma once

#include "policy/appraisal/report.h"

/**
 * AppraisalBit:
 * @key: member of JSON documents
 * @name: for people
 * @set, @clear: what the bit means in either state
 */
typedef struct {
    guint bit;
    const char *key, *name, *set, *clear;
} AppraisalBit;

/* Guest policy (56860, section 4.3): some bits allow, some require. The last row has no key. */
extern const AppraisalBit appraisal_policy_bits[];
/* PLATFORM_INFO (56860, table of ATTESTATION_REPORT). */
extern const AppraisalBit appraisal_platform_bits[];

/* Bits of @value that no row of @bits has. */
guint64 appraisal_bits_unknown(const AppraisalBit *bits, guint64 value);
/* "VCEK", "VLEK", "none" */
const char *appraisal_signer_name(AppraisalSigner signer);
