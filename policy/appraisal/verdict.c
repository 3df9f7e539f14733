/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/appraisal/verdict-private.h"

#include <string.h>

const char *appraisal_outcome_name(AppraisalOutcome outcome)
{
    switch (outcome) {
    case APPRAISAL_PASS:
        return "pass";
    case APPRAISAL_FAIL:
        return "fail";
    case APPRAISAL_WARN:
        return "warn";
    case APPRAISAL_SKIP:
        return "skip";
    }
    g_return_val_if_reached("fail");
}

static void check_free(gpointer data)
{
    AppraisalCheck *check = data;

    g_free(check->found);
    g_free(check->expected);
    g_free(check->text);
    g_free(check);
}

void appraisal_judge_add(AppraisalJudge *judge, const char *name, AppraisalOutcome outcome, gchar *found,
                         gchar *expected, const char *format, ...)
{
    AppraisalCheck *check = g_new0(AppraisalCheck, 1);
    va_list args;

    check->name = name;
    check->outcome = outcome;
    check->found = found;
    check->expected = expected;
    va_start(args, format);
    check->text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(judge->verdict->checks, check);
}

AppraisalVerdict *appraisal_verdict_new(const AppraisalCase *input)
{
    AppraisalVerdict *verdict = g_new0(AppraisalVerdict, 1);
    AppraisalJudge judge = {
        .input = input,
        .report = input->evidence->report,
        .rules = input->rules,
        .line = input->evidence->report->line,
        .verdict = verdict,
    };
    guint failed = 0;

    verdict->checks = g_ptr_array_new_with_free_func(check_free);
    appraisal_judge_authenticity(&judge);
    appraisal_judge_guest(&judge);
    appraisal_judge_platform(&judge);
    for (guint i = 0; i < verdict->checks->len; i++)
        failed += ((const AppraisalCheck *)g_ptr_array_index(verdict->checks, i))->outcome == APPRAISAL_FAIL;
    verdict->accepted = failed == 0;
    verdict->incomplete = failed == 1 && judge.no_certificate;
    appraisal_endorsement_free(judge.parsed);
    return verdict;
}

void appraisal_verdict_free(AppraisalVerdict *verdict)
{
    if (!verdict)
        return;
    g_ptr_array_unref(verdict->checks);
    g_free(verdict);
}

AppraisalCheck *appraisal_verdict_find(const AppraisalVerdict *verdict, const char *name)
{
    for (guint i = 0; i < verdict->checks->len; i++) {
        AppraisalCheck *check = g_ptr_array_index(verdict->checks, i);

        if (!strcmp(check->name, name))
            return check;
    }
    g_error("there is no check '%s'", name);
}

void appraisal_check_append(AppraisalCheck *check, const char *sentence)
{
    gchar *text = g_strconcat(check->text, "; ", sentence, NULL);

    g_free(check->text);
    check->text = text;
}
