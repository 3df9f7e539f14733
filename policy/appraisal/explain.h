/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Why a measurement is not the expected one: what else the same domain could have measured is computed from the digests
 * of its files, which are read once, and compared.
 */
#pragma once

#include "measure/launch.h"

/**
 * AppraisalOlder:
 * @what: what it was, for people: "the launch of 2026-11-20T10:00:00Z", "the pinned reference of domain 'web'"
 * @unlike: (nullable): what was different then, said when it is @digest that fits: "another firmware"
 * @digest: (nullable): its measurement, 48 bytes
 * @has_kernel, @has_initrd, @has_cmdline: the digests of its files follow
 *
 * Something that was launched or expected before, or elsewhere.
 */
typedef struct {
    gchar *what, *unlike;
    gboolean has_digest, has_kernel, has_initrd, has_cmdline;
    guint8 digest[MEASURE_SHA384_SIZE];
    guint8 kernel[MEASURE_SHA256_SIZE], initrd[MEASURE_SHA256_SIZE], cmdline[MEASURE_SHA256_SIZE];
} AppraisalOlder;
void appraisal_older_free(AppraisalOlder *older);

/**
 * AppraisalExplanation:
 * @launch, @inputs: (nullable): the domain as it should have been launched
 * @older: (nullable) (element-type AppraisalOlder): newest first
 * @signature: CPU signature of the processor that made the report, 0 when not known
 * @budget_ms: time after which nothing more is tried
 */
typedef struct {
    const MeasureLaunch *launch;
    const MeasureInputs *inputs;
    const GPtrArray *older;
    guint32 signature;
    guint budget_ms;
} AppraisalExplanation;
#define APPRAISAL_EXPLAIN_BUDGET_MS 3000

/**
 * appraisal_explain:
 * @measurement: the launch digest of a report
 *
 * Tries, least changes first: older launches and references; other CPU types, real processors included, and vCPU
 * counts; guest features; floating-point state; kernel hashes the other way; the command line with or without blanks
 * and newlines at its ends; kernel, initrd and command line of older launches.
 *
 * Returns: (transfer full) (nullable): the rest of a sentence "this is …"; %NULL when nothing fits.
 */
gchar *appraisal_explain(const guint8 measurement[MEASURE_SHA384_SIZE], const AppraisalExplanation *with);
