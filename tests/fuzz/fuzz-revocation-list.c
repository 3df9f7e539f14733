/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A revocation list: AMD has signed none of those that are made here. */
#include "tests/fuzz/appraisal-fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static AppraisalAnchors *anchors;
    g_autofree gchar *detail = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalCrl) crl = appraisal_crl_parse(data, size, &error);

    if (!anchors)
        anchors = appraisal_anchors_builtin();
    if (!crl) {
        fuzz_check_error(error);
        return 0;
    }
    if (appraisal_crl_line(crl) == APPRAISAL_LINE_UNKNOWN)
        abort();
    if (appraisal_crl_check(crl, NULL, anchors, APPRAISAL_ANY_TIME, &detail) != APPRAISAL_CRL_BAD || !detail)
        abort();
    return 0;
}
