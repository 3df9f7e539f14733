/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Evidence in any form; and the same bytes as the table beside a report. */
#include "tests/fuzz/appraisal-fuzz.h"

static void check(AppraisalEvidence *evidence, const GError *error)
{
    if (!evidence) {
        fuzz_check_error(error);
        return;
    }
    if (!evidence->form || !evidence->report)
        abort();
    fuzz_check_report(evidence->report);
    for (guint i = 0; i < evidence->certificates->len; i++) {
        const AppraisalBlob *blob = g_ptr_array_index(evidence->certificates, i);

        if (!*blob->role || g_bytes_get_size(blob->data) == 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t plain[APPRAISAL_REPORT_SIZE] = {[0] = 2, [0x0a] = 3, [0x34] = 1};
    g_autoptr(GBytes) aux = g_bytes_new(data ? data : plain, size);
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalEvidence) evidence = appraisal_evidence_parse(data ? data : plain, size, NULL, &error);

    check(evidence, error);
    g_clear_error(&error);
    g_autoptr(AppraisalEvidence) beside = appraisal_evidence_parse(plain, sizeof(plain), aux, &error);
    check(beside, error);
    return 0;
}
