/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the report says of the machine below the guest: how new its firmware is, and how it is set up. */
#include "policy/appraisal/verdict-private.h"

/* ---- TCB ---- */

static const guint8 *tcb_bytes(const AppraisalReport *report, AppraisalTcbName tcb)
{
    switch (tcb) {
    case APPRAISAL_TCB_REPORTED:
        return report->reported_tcb;
    case APPRAISAL_TCB_COMMITTED:
        return report->committed_tcb;
    case APPRAISAL_TCB_CURRENT:
        return report->current_tcb;
    case APPRAISAL_TCB_LAUNCH:
        return report->launch_tcb;
    case APPRAISAL_N_TCBS:
        break;
    }
    g_return_val_if_reached(report->reported_tcb);
}

/* The minimum for any line and that for this one, whichever is higher part by part. */
static gchar *show_minimum(const AppraisalRules *rules, AppraisalTcbName name, AppraisalLine line)
{
    const gboolean *has = rules->has_tcb[name];
    g_autofree gchar *any =
        has[APPRAISAL_LINE_UNKNOWN] ? policy_tcb_describe(&rules->tcb[name][APPRAISAL_LINE_UNKNOWN]) : NULL;
    g_autofree gchar *own =
        line != APPRAISAL_LINE_UNKNOWN && has[line] ? policy_tcb_describe(&rules->tcb[name][line]) : NULL;

    if (any && own)
        return g_strdup_printf("at least %s and %s", any, own);
    return any || own ? g_strdup_printf("at least %s", any ? any : own) : g_strdup("a minimum for another product");
}

static void judge_tcb(AppraisalJudge *judge, AppraisalTcbName name)
{
    static const char *const checks[] = {"reported-tcb", "committed-tcb", "current-tcb", "launch-tcb"};
    const AppraisalRules *rules = judge->rules;
    const gboolean *has = rules->has_tcb[name];
    gboolean any = FALSE, met = TRUE, applies = FALSE;
    gchar *found = NULL, *expected = NULL;
    PolicyTcb tcb;

    appraisal_tcb_decode(judge->line, tcb_bytes(judge->report, name), &tcb);
    found = policy_tcb_describe(&tcb);
    for (guint line = 0; line < APPRAISAL_N_LINES; line++)
        any = any || has[line];
    if (!any) {
        appraisal_judge_add(judge, checks[name], APPRAISAL_SKIP, found, NULL, "no rule asks for a minimum");
        return;
    }
    for (guint line = 0; line < APPRAISAL_N_LINES; line++) {
        if (!has[line] || (line != APPRAISAL_LINE_UNKNOWN && line != judge->line))
            continue;
        applies = TRUE;
        met = met && appraisal_tcb_at_least(&tcb, &rules->tcb[name][line]);
    }
    expected = show_minimum(rules, name, judge->line);
    if (judge->line == APPRAISAL_LINE_UNKNOWN)
        appraisal_judge_add(judge, checks[name], APPRAISAL_FAIL, found, expected,
                            "nobody knows what these numbers mean: neither the report nor a certificate says which "
                            "processor this is");
    else if (!applies)
        appraisal_judge_add(judge, checks[name], APPRAISAL_FAIL, found, expected,
                            "the rules have minimums, and none for a %s", appraisal_line_name(judge->line));
    else if (!met)
        appraisal_judge_add(judge, checks[name], APPRAISAL_FAIL, found, expected,
                            "the %s TCB is older than the rules accept", appraisal_tcb_name(name));
    else
        appraisal_judge_add(judge, checks[name], APPRAISAL_PASS, found, expected, "the %s TCB is new enough",
                            appraisal_tcb_name(name));
}

/* ---- Firmware ---- */

static gint32 version_number(const guint8 version[3])
{
    return version[0] << 16 | version[1] << 8 | version[2];
}

static gchar *show_version(gint32 version)
{
    return g_strdup_printf("%d.%d.%d", version >> 16, version >> 8 & 0xff, version & 0xff);
}

static void judge_provisional(AppraisalJudge *judge)
{
    const AppraisalReport *report = judge->report;
    gint32 current_version = version_number(report->current_version);
    gint32 committed_version = version_number(report->committed_version);
    gboolean allowed = judge->rules->provisional == APPRAISAL_RULE_ANY;
    g_autofree gchar *current_firmware = show_version(current_version);
    g_autofree gchar *committed_firmware = show_version(committed_version);
    g_autofree gchar *current_tcb = NULL;
    g_autofree gchar *committed_tcb = NULL;
    PolicyTcb current, committed;
    gchar *found = NULL, *expected = NULL;

    appraisal_tcb_decode(judge->line, report->current_tcb, &current);
    appraisal_tcb_decode(judge->line, report->committed_tcb, &committed);
    current_tcb = policy_tcb_describe(&current);
    committed_tcb = policy_tcb_describe(&committed);
    found = g_strdup_printf("current %s %s", current_firmware, current_tcb);
    expected = g_strdup_printf("committed %s %s", committed_firmware, committed_tcb);
    if (!appraisal_tcb_at_least(&current, &committed) || current_version < committed_version)
        appraisal_judge_add(judge, "provisional", APPRAISAL_FAIL, found, expected,
                            "the firmware that runs is older than the committed one, which cannot be");
    else if (appraisal_tcb_equal(&current, &committed) && current_version == committed_version)
        appraisal_judge_add(judge, "provisional", APPRAISAL_PASS, found, expected,
                            "the firmware that runs is committed");
    else
        appraisal_judge_add(judge, "provisional", allowed ? APPRAISAL_WARN : APPRAISAL_FAIL, found, expected,
                            "the firmware that runs is provisional: the host can go back to the committed one%s",
                            allowed ? "" : ", and no rule permits that (\"provisionalFirmware\")");
}

static void judge_firmware(AppraisalJudge *judge)
{
    gint32 minimum = judge->rules->minimum_firmware;
    gint32 current = version_number(judge->report->current_version);
    gint32 committed = version_number(judge->report->committed_version);
    g_autofree gchar *shown_current = show_version(current);
    g_autofree gchar *shown_committed = show_version(committed);
    g_autofree gchar *shown_minimum = minimum >= 0 ? show_version(minimum) : NULL;
    gchar *found = g_strdup_printf("current %s, committed %s", shown_current, shown_committed);
    gchar *expected = minimum >= 0 ? g_strdup_printf("at least %s", shown_minimum) : NULL;

    if (minimum < 0)
        appraisal_judge_add(judge, "firmware", APPRAISAL_SKIP, found, expected, "no rule asks for a minimum");
    else if (MIN(current, committed) < minimum)
        appraisal_judge_add(judge, "firmware", APPRAISAL_FAIL, found, expected, "the %s firmware is too old",
                            current < minimum ? "running" : "committed");
    else
        appraisal_judge_add(judge, "firmware", APPRAISAL_PASS, found, expected, "the firmware is new enough");
}

/* ---- How the machine is set up ---- */

static void judge_platform_info(AppraisalJudge *judge)
{
    const AppraisalRules *rules = judge->rules;
    guint64 info = judge->report->platform_info;
    g_autofree gchar *names = appraisal_platform_describe(info);
    gchar *found = g_strdup_printf("0x%" G_GINT64_MODIFIER "x (%s)", info, names);
    gchar *expected = rules->platform_mask ? g_strdup_printf("0x%" G_GINT64_MODIFIER "x of 0x%" G_GINT64_MODIFIER "x",
                                                             rules->platform_value, rules->platform_mask)
                                           : NULL;

    if (!rules->platform_mask)
        appraisal_judge_add(judge, "platform-info", APPRAISAL_SKIP, found, expected, "no rule asks for a value");
    else if ((info & rules->platform_mask) != rules->platform_value) {
        g_autofree gchar *wrong = appraisal_platform_describe((info ^ rules->platform_value) & rules->platform_mask);

        appraisal_judge_add(judge, "platform-info", APPRAISAL_FAIL, found, expected,
                            "the machine is set up in another way than the rules ask for: %s", wrong);
    } else
        appraisal_judge_add(judge, "platform-info", APPRAISAL_PASS, found, expected,
                            "the machine is set up as the rules ask for");
}

static void judge_mitigation(AppraisalJudge *judge)
{
    const AppraisalRules *rules = judge->rules;
    const AppraisalReport *report = judge->report;
    gboolean asked = rules->launch_mitigation || rules->current_mitigation;
    gchar *expected = asked ? g_strdup_printf("launch 0x%" G_GINT64_MODIFIER "x, current 0x%" G_GINT64_MODIFIER "x",
                                              rules->launch_mitigation, rules->current_mitigation)
                            : NULL;
    gchar *found = report->has_mitigation
                       ? g_strdup_printf("launch 0x%" G_GINT64_MODIFIER "x, current 0x%" G_GINT64_MODIFIER "x",
                                         report->launch_mitigation, report->current_mitigation)
                       : g_strdup("none");

    if (!asked)
        appraisal_judge_add(judge, "mitigation", APPRAISAL_SKIP, found, expected, "no rule asks for one");
    else if (!report->has_mitigation)
        appraisal_judge_add(judge, "mitigation", APPRAISAL_FAIL, found, expected,
                            "a report of version %u has no mitigation vector, so nobody knows", report->version);
    else if ((rules->launch_mitigation & ~report->launch_mitigation) ||
             (rules->current_mitigation & ~report->current_mitigation))
        appraisal_judge_add(judge, "mitigation", APPRAISAL_FAIL, found, expected,
                            "the firmware lacks a mitigation that the rules ask for");
    else
        appraisal_judge_add(judge, "mitigation", APPRAISAL_PASS, found, expected,
                            "the firmware has the mitigations that the rules ask for");
}

void appraisal_judge_platform(AppraisalJudge *judge)
{
    for (guint i = 0; i < APPRAISAL_N_TCBS; i++)
        judge_tcb(judge, i);
    judge_provisional(judge);
    judge_firmware(judge);
    judge_platform_info(judge);
    judge_mitigation(judge);
}
