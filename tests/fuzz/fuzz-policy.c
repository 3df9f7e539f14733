/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A policy file: what the strict reader takes can be merged with itself and with nothing, and stays what it is. */
#include <stdint.h>
#include <stdlib.h>

#include "policy/appraisal/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalRules) rules = appraisal_rules_parse(data ? (const char *)data : "", (gssize)size, &error);
    g_autoptr(AppraisalRules) same = NULL;
    g_autoptr(AppraisalRules) none = appraisal_rules_new();

    if (!rules) {
        if (!error || !g_utf8_validate(error->message, -1, NULL))
            abort();
        for (const char *at = error->message; *at; at++) {
            if (g_ascii_iscntrl(*at))
                abort();
        }
        return 0;
    }
    same = appraisal_rules_parse((const char *)data, (gssize)size, NULL);
    if (!same || !appraisal_rules_merge(none, rules, NULL) || !appraisal_rules_merge(rules, same, NULL))
        abort();
    if ((rules->measurements == NULL) != (same->measurements == NULL) || rules->policy_mask != same->policy_mask ||
        rules->policy_value != same->policy_value || rules->vmpl != same->vmpl || rules->allowed != same->allowed ||
        (rules->products == 0) != (same->products == 0) || rules->signer != same->signer ||
        none->policy_value != same->policy_value || none->minimum_svn != same->minimum_svn)
        abort();
    return 0;
}
