/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The report as JSON, in the two shapes that virtee's Rust library has given it. Internal to policy/appraisal/. */
#pragma once

#include "policy/appraisal/report.h"

/**
 * appraisal_json_parse:
 * @text: hostile
 * @raw: (out caller-allocates): the report's bytes, not yet read as a report
 * @certificates: (element-type AppraisalBlob): gets what lies beside the report in "cert_chain"
 */
gboolean appraisal_json_parse(const char *text, gsize size, guint8 raw[APPRAISAL_REPORT_SIZE], GPtrArray *certificates,
                              GError **error);
