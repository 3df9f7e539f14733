/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report, and the JSON that is made of it: the same bytes come back. */
#include "tests/fuzz/appraisal-fuzz.h"

/* The smallest of 19 digits. */
#define LONG_NUMBER G_GUINT64_CONSTANT(1000000000000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalReport) report = appraisal_report_parse(data, size, &error);

    if (!report) {
        fuzz_check_error(error);
        return 0;
    }
    if (memcmp(report->raw, data, size) != 0)
        abort();
    fuzz_check_report(report);
    g_autofree gchar *json = appraisal_report_to_json(report);
    g_autoptr(AppraisalEvidence) evidence = appraisal_evidence_parse(json, strlen(json), NULL, &error);
    /* The reader takes numbers of up to 18 digits. A longer one is refused, and never becomes another. */
    if (report->platform_info >= LONG_NUMBER) {
        if (evidence)
            abort();
        fuzz_check_error(error);
    } else if (!evidence || memcmp(evidence->report->raw, data, size) != 0) {
        abort();
    }
    return 0;
}
