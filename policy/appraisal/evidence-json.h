/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The report as JSON: in the two shapes that virtee's Rust library has given it, and as an evidence document. Internal to policy/appraisal/. */
#pragma once

#include <json-glib/json-glib.h>

#include "policy/appraisal/report.h"

/**
 * appraisal_json_parse:
 * @text: hostile
 * @raw: (out caller-allocates): the report's bytes, not yet read as a report
 * @certificates: (element-type AppraisalBlob): gets what lies beside the report in "cert_chain"
 * @ssh_host_key: (out): of an evidence document; left alone otherwise
 */
gboolean appraisal_json_parse(const char *text, gsize size, guint8 raw[APPRAISAL_REPORT_SIZE], GPtrArray *certificates,
                              gchar **ssh_host_key, GError **error);

/* Whether it is an evidence document, by its member "format". */
gboolean appraisal_document_is(JsonObject *object);
/* The same for an evidence document; one that says why there is no report is an error with the guest's words. */
gboolean appraisal_document_read(JsonObject *object, guint8 raw[APPRAISAL_REPORT_SIZE], GPtrArray *certificates,
                                 gchar **ssh_host_key, GError **error);
