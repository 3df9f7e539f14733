/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VCEK or VLEK: whatever it says, it does not chain to AMD. And the same bytes as any number of certificates. */
#include "tests/fuzz/appraisal-fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static AppraisalAnchors *anchors;
    g_autoptr(GPtrArray) blobs = appraisal_blobs_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalEndorsement) endorsement = appraisal_endorsement_parse(data, size, &error);

    if (!anchors)
        anchors = appraisal_anchors_builtin();
    if (!endorsement)
        fuzz_check_error(error);
    g_clear_error(&error);
    if (!appraisal_certificates_read(data, size, blobs, &error))
        fuzz_check_error(error);
    else if (blobs->len && appraisal_intermediates_check(blobs, anchors, APPRAISAL_ANY_TIME, NULL))
        abort();
    if (!endorsement)
        return 0;
    if (endorsement->line == APPRAISAL_LINE_UNKNOWN || !endorsement->product ||
        (endorsement->hwid == NULL) == (endorsement->csp_id == NULL) ||
        (endorsement->tcb.fmc >= 0) != (endorsement->line == APPRAISAL_LINE_TURIN))
        abort();
    if (appraisal_chain_verify(endorsement, anchors, NULL, APPRAISAL_ANY_TIME, NULL))
        abort();
    return 0;
}
