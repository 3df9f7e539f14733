/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A verdict: a report of 1184 bytes and a policy file behind it. Whatever they say, every check is there, and nothing
 * that has no certificate of AMD's is ever accepted.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/appraisal/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define N_CHECKS 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static AppraisalAnchors *anchors;
    gsize report_size = MIN(size, APPRAISAL_REPORT_SIZE);
    g_autoptr(AppraisalEvidence) evidence = appraisal_evidence_parse(data, report_size, NULL, NULL);
    g_autoptr(AppraisalRules) rules = NULL;
    g_autoptr(AppraisalVerdict) verdict = NULL;
    guint failed = 0;

    if (!anchors)
        anchors = appraisal_anchors_builtin();
    if (!evidence || size == report_size)
        return 0;
    rules = appraisal_rules_parse((const char *)data + report_size, (gssize)(size - report_size), NULL);
    if (!rules)
        return 0;
    AppraisalCase input = {
        .evidence = evidence, .anchors = anchors, .rules = rules, .at = 1795305600, .nonce_issued = -1};
    verdict = appraisal_verdict_new(&input);
    if (verdict->checks->len != N_CHECKS || verdict->accepted)
        abort();
    for (guint i = 0; i < verdict->checks->len; i++) {
        const AppraisalCheck *check = g_ptr_array_index(verdict->checks, i);
        const char *const texts[] = {check->found ? check->found : "", check->expected ? check->expected : "",
                                     check->text};

        failed += check->outcome == APPRAISAL_FAIL;
        for (gsize k = 0; k < G_N_ELEMENTS(texts); k++) {
            if (!g_utf8_validate(texts[k], -1, NULL) || strchr(texts[k], '\n'))
                abort();
        }
    }
    if (failed == 0 || (verdict->incomplete && failed != 1))
        abort();
    return 0;
}
