/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the report says of the guest: is it fresh, is it the right one, who vouches for it, and under which policy. */
#include <string.h>

#include "policy/appraisal/verdict-private.h"

#define VMPL_HOST 0xffffffffu
/* The digest of no key. */
#define KEY_DIGEST_SIZE 48

static void judge_nonce(AppraisalJudge *judge)
{
    const AppraisalField *rule = &judge->rules->fields[APPRAISAL_FIELD_REPORT_DATA];
    const guint8 *data = judge->report->report_data;
    gchar *found = measure_hex_encode(data, sizeof(judge->report->report_data));
    gchar *expected = rule->rule == APPRAISAL_RULE_EXACT ? measure_hex_encode(rule->bytes, 64) : NULL;

    if (rule->rule == APPRAISAL_RULE_UNSET)
        appraisal_judge_add(
            judge, "nonce", APPRAISAL_FAIL, found, expected,
            "nothing to compare with: without a nonce or expected report data an old report cannot be told "
            "from a fresh one");
    else if (rule->rule == APPRAISAL_RULE_ANY)
        appraisal_judge_add(judge, "nonce", APPRAISAL_WARN, found, expected,
                            "any report data is accepted, so this may be an old report");
    else if (memcmp(rule->bytes, data, sizeof(judge->report->report_data)))
        appraisal_judge_add(judge, "nonce", APPRAISAL_FAIL, found, expected,
                            "the report data is not what was asked for: this is another report, or an old one");
    else if (judge->input->nonce_fault)
        appraisal_judge_add(judge, "nonce", APPRAISAL_FAIL, found, expected, "%s", judge->input->nonce_fault);
    else
        appraisal_judge_add(judge, "nonce", APPRAISAL_PASS, found, expected, "the report data is what was asked for");
}

/* Of the other forms nothing but the report counts; this one brings something that the report has to vouch for. */
static void judge_runtime(AppraisalJudge *judge)
{
    const AppraisalEvidence *evidence = judge->input->evidence;
    AppraisalCheck *check = appraisal_verdict_find(judge->verdict, "nonce");

    if (!evidence->has_runtime)
        return;
    if (evidence->runtime_fault)
        check->outcome = APPRAISAL_FAIL;
    appraisal_check_append(check, evidence->runtime_fault
                                      ? evidence->runtime_fault
                                      : "it begins with the digest of the runtime data of the Azure HCL blob");
}

static void judge_age(AppraisalJudge *judge)
{
    gint64 maximum = judge->rules->maximum_age, issued = judge->input->nonce_issued;
    gint64 age = judge->input->at - issued;
    gchar *expected = maximum >= 0 ? g_strdup_printf("at most %" G_GINT64_FORMAT " s", maximum) : NULL;
    gchar *found = issued >= 0 ? g_strdup_printf("%" G_GINT64_FORMAT " s", age) : NULL;

    if (maximum < 0)
        appraisal_judge_add(judge, "age", APPRAISAL_SKIP, found, expected, "no rule limits the age of a report");
    else if (issued < 0)
        appraisal_judge_add(judge, "age", APPRAISAL_FAIL, found, expected,
                            "nobody knows how old the report is: only a nonce that was issued here says it");
    else if (age < 0 || age > maximum)
        appraisal_judge_add(judge, "age", APPRAISAL_FAIL, found, expected, "%s",
                            age < 0 ? "the nonce was issued after the time of this appraisal"
                                    : "the nonce was issued too long ago");
    else
        appraisal_judge_add(judge, "age", APPRAISAL_PASS, found, expected, "the report is fresh");
}

static void judge_measurement(AppraisalJudge *judge)
{
    const GPtrArray *list = judge->rules->measurements;
    const guint8 *measurement = judge->report->measurement;
    gchar *found = measure_hex_encode(measurement, sizeof(judge->report->measurement));
    gchar *expected = NULL;

    if (!list) {
        appraisal_judge_add(judge, "measurement", APPRAISAL_FAIL, found, NULL,
                            "nothing to compare with: give a domain, a reference or a measurement");
        return;
    }
    for (guint i = 0; i < list->len; i++) {
        const AppraisalExpected *each = g_ptr_array_index(list, i);

        if (memcmp(each->digest, measurement, sizeof(each->digest)))
            continue;
        appraisal_judge_add(judge, "measurement", APPRAISAL_PASS, found, measure_hex_encode(each->digest, 48),
                            each->label ? "the guest that was expected was launched: %s"
                                        : "the guest that was expected was launched%s",
                            each->label ? each->label : "");
        return;
    }
    expected = list->len == 1
                   ? measure_hex_encode(((const AppraisalExpected *)g_ptr_array_index(list, 0))->digest, 48)
                   : g_strdup_printf("one of %u measurements", list->len);
    appraisal_judge_add(judge, "measurement", APPRAISAL_FAIL, found, expected,
                        "something else was launched than what was expected");
}

/* ---- Who vouches for the guest ---- */

static gboolean key_listed(const AppraisalKeyRule *rule, const guint8 digest[KEY_DIGEST_SIZE])
{
    for (guint i = 0; i < rule->digests->len; i++) {
        if (!memcmp(g_bytes_get_data(g_ptr_array_index(rule->digests, i), NULL), digest, KEY_DIGEST_SIZE))
            return TRUE;
    }
    return FALSE;
}

static gchar *show_key_rule(const AppraisalKeyRule *rule)
{
    if (rule->digests && rule->digests->len == 1)
        return measure_hex_encode(g_bytes_get_data(g_ptr_array_index(rule->digests, 0), NULL), KEY_DIGEST_SIZE);
    if (rule->digests)
        return g_strdup_printf("one of %u keys", rule->digests->len);
    return g_strdup(rule->rule == APPRAISAL_RULE_EXACT ? "some key"
                    : rule->rule == APPRAISAL_RULE_ANY ? "any"
                                                       : "none");
}

/* @what: "ID key" or "author key" */
static void judge_key(AppraisalJudge *judge, const char *name, const char *what, const char *member,
                      const AppraisalKeyRule *rule, gboolean present, const guint8 digest[KEY_DIGEST_SIZE])
{
    gchar *found = present ? measure_hex_encode(digest, KEY_DIGEST_SIZE) : g_strdup("none");
    gchar *expected = show_key_rule(rule);

    if (!present && rule->rule == APPRAISAL_RULE_EXACT)
        appraisal_judge_add(judge, name, APPRAISAL_FAIL, found, expected, "the guest was launched without an %s", what);
    else if (!present)
        appraisal_judge_add(judge, name, APPRAISAL_PASS, found, expected, "there is no %s", what);
    else if (rule->rule == APPRAISAL_RULE_UNSET || rule->rule == APPRAISAL_RULE_NONE)
        appraisal_judge_add(judge, name, APPRAISAL_FAIL, found, expected,
                            "the guest was launched with an %s, and no rule expects one (\"%s\")", what, member);
    else if (rule->digests && !key_listed(rule, digest))
        appraisal_judge_add(judge, name, APPRAISAL_FAIL, found, expected, "the %s is a foreign one", what);
    else
        appraisal_judge_add(judge, name, APPRAISAL_PASS, found, expected,
                            rule->digests ? "the %s is one that the rules name" : "there is an %s; no rule says whose",
                            what);
}

/* A field that is exactly this, or that must be @fallback when nobody said anything; no @fallback: then anything. */
static void judge_field(AppraisalJudge *judge, const char *name, AppraisalFieldName field, const guint8 *data,
                        const guint8 *fallback, const char *fallback_text)
{
    const AppraisalField *rule = &judge->rules->fields[field];
    gsize size = appraisal_field_size(field);
    const guint8 *wanted = rule->rule == APPRAISAL_RULE_EXACT   ? rule->bytes
                           : rule->rule == APPRAISAL_RULE_UNSET ? fallback
                                                                : NULL;
    gchar *found = measure_hex_encode(data, size);
    gchar *expected = wanted ? measure_hex_encode(wanted, size) : NULL;

    if (!wanted)
        appraisal_judge_add(judge, name, APPRAISAL_SKIP, found, expected, "no rule asks for a value");
    else if (memcmp(data, wanted, size))
        appraisal_judge_add(judge, name, APPRAISAL_FAIL, found, expected, "%s",
                            rule->rule == APPRAISAL_RULE_EXACT ? "this is not the value that was expected"
                                                               : fallback_text);
    else
        appraisal_judge_add(judge, name, APPRAISAL_PASS, found, expected, "this is the value that was expected");
}

static void judge_identity(AppraisalJudge *judge)
{
    static const guint8 zeros[64] = {0};
    const AppraisalReport *report = judge->report;
    gboolean id_key = !appraisal_all_zero(report->id_key_digest, KEY_DIGEST_SIZE);
    gboolean author_key = report->author_key || !appraisal_all_zero(report->author_key_digest, KEY_DIGEST_SIZE);
    static const char unexpected[] = "without an ID block this must be zero";

    judge_key(judge, "id-key", "ID key", "idBlock", &judge->rules->id_key, id_key, report->id_key_digest);
    judge_key(judge, "author-key", "author key", "authorKey", &judge->rules->author_key, author_key,
              report->author_key_digest);
    judge_field(judge, "family-id", APPRAISAL_FIELD_FAMILY_ID, report->family_id, id_key ? NULL : zeros, unexpected);
    judge_field(judge, "image-id", APPRAISAL_FIELD_IMAGE_ID, report->image_id, id_key ? NULL : zeros, unexpected);
    judge_field(judge, "host-data", APPRAISAL_FIELD_HOST_DATA, report->host_data, zeros,
                "the host has set host data, and no rule expects any (\"hostData\")");
}

static void judge_svn(AppraisalJudge *judge)
{
    guint32 svn = judge->report->guest_svn;
    gint64 minimum = judge->rules->minimum_svn;
    gchar *found = g_strdup_printf("%u", svn);
    gboolean id_key = !appraisal_all_zero(judge->report->id_key_digest, KEY_DIGEST_SIZE);
    gchar *expected = minimum >= 0 ? g_strdup_printf("at least %" G_GINT64_FORMAT, minimum)
                      : id_key     ? NULL
                                   : g_strdup("0");

    if (minimum < 0 && !id_key)
        appraisal_judge_add(judge, "guest-svn", svn ? APPRAISAL_FAIL : APPRAISAL_PASS, found, expected, "%s",
                            svn ? "without an ID block this must be zero" : "this is the value that was expected");
    else if (minimum < 0)
        appraisal_judge_add(judge, "guest-svn", APPRAISAL_SKIP, found, expected, "no rule asks for a minimum");
    else if (svn < minimum)
        appraisal_judge_add(judge, "guest-svn", APPRAISAL_FAIL, found, expected,
                            "this is an older version of the guest than the rules accept");
    else
        appraisal_judge_add(judge, "guest-svn", APPRAISAL_PASS, found, expected, "the guest is new enough");
}

/* ---- Guest policy ---- */

/* Bits that allow something and may be set: named ones or, where none were, SMT; and what the exact policy has. */
static guint64 allowed_bits(const AppraisalRules *rules)
{
    return rules->has_allowed ? rules->allowed : POLICY_SNP_SMT | (rules->policy_value & rules->policy_mask);
}

static gchar *show_policy_rules(const AppraisalRules *rules)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree gchar *clear = policy_guest_describe(
        MEASURE_PLATFORM_SNP, APPRAISAL_POLICY_ALLOW_BITS & ~allowed_bits(rules) & ~POLICY_SNP_DEBUG);
    g_autofree gchar *value = policy_guest_describe(MEASURE_PLATFORM_SNP, rules->policy_value);
    g_autofree gchar *required = policy_guest_describe(MEASURE_PLATFORM_SNP, rules->required);

    if (rules->policy_mask == G_MAXUINT64)
        return g_steal_pointer(&value);
    if (rules->policy_mask)
        g_string_append_printf(text, "%s of 0x%" G_GINT64_MODIFIER "x; ", value, rules->policy_mask);
    if (rules->required)
        g_string_append_printf(text, "%s set; ", required);
    g_string_append_printf(text, "%s clear", clear);
    if (rules->minimum_abi)
        g_string_append_printf(text, "; ABI >= %u.%u", rules->minimum_abi >> 8, rules->minimum_abi & 0xff);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void judge_policy(AppraisalJudge *judge)
{
    const AppraisalRules *rules = judge->rules;
    guint64 policy = judge->report->policy;
    guint64 foreign = policy & APPRAISAL_POLICY_ALLOW_BITS & ~allowed_bits(rules) & ~POLICY_SNP_DEBUG;
    guint64 missing = rules->required & ~policy;
    gchar *found = policy_guest_describe(MEASURE_PLATFORM_SNP, policy);
    gchar *expected = show_policy_rules(rules);
    g_autofree gchar *what = policy_guest_describe(MEASURE_PLATFORM_SNP, foreign ? foreign : missing);

    if ((policy & rules->policy_mask) != rules->policy_value)
        appraisal_judge_add(judge, "policy", APPRAISAL_FAIL, found, expected,
                            "the guest was launched with another policy than the rules ask for");
    else if (foreign)
        appraisal_judge_add(judge, "policy", APPRAISAL_FAIL, found, expected,
                            "the policy allows something that no rule allows: %s", what);
    else if (missing)
        appraisal_judge_add(judge, "policy", APPRAISAL_FAIL, found, expected, "the policy does not demand %s", what);
    else if ((policy & 0xffff) < rules->minimum_abi)
        appraisal_judge_add(judge, "policy", APPRAISAL_FAIL, found, expected,
                            "the policy accepts older firmware than the rules do");
    else
        appraisal_judge_add(judge, "policy", APPRAISAL_PASS, found, expected,
                            "the guest policy is as the rules ask for");
}

static void judge_debug(AppraisalJudge *judge)
{
    const AppraisalRules *rules = judge->rules;
    gboolean debug = policy_guest_allows_debug(MEASURE_PLATFORM_SNP, judge->report->policy);
    gboolean allowed = rules->has_allowed && (rules->allowed & POLICY_SNP_DEBUG);
    gchar *found = g_strdup(debug ? "on" : "off");
    gchar *expected = g_strdup(allowed ? "on or off" : "off");

    if (debug && !allowed)
        appraisal_judge_add(judge, "debug", APPRAISAL_FAIL, found, expected,
                            "the policy lets the host read and change the guest's memory (debug)");
    else
        appraisal_judge_add(judge, "debug", debug ? APPRAISAL_WARN : APPRAISAL_PASS, found, expected, "%s",
                            debug ? "the rules allow it: the host can read and change the guest's memory"
                                  : "the host cannot debug the guest");
}

static void judge_vmpl(AppraisalJudge *judge)
{
    guint32 vmpl = judge->report->vmpl;
    guint32 expected = judge->rules->vmpl >= 0 ? (guint32)judge->rules->vmpl : 0;
    gchar *found = vmpl == VMPL_HOST ? g_strdup("host") : g_strdup_printf("%u", vmpl);

    if (vmpl != expected)
        appraisal_judge_add(judge, "vmpl", APPRAISAL_FAIL, found, g_strdup_printf("%u", expected), "%s",
                            vmpl == VMPL_HOST ? "the host asked for this report, not the guest"
                                              : "another privilege level of the guest asked for this report");
    else
        appraisal_judge_add(judge, "vmpl", APPRAISAL_PASS, found, g_strdup_printf("%u", expected),
                            "the expected privilege level of the guest asked for this report");
}

void appraisal_judge_guest(AppraisalJudge *judge)
{
    guint8 no_agent[32];

    memset(no_agent, 0xff, sizeof(no_agent));
    judge_nonce(judge);
    judge_runtime(judge);
    judge_age(judge);
    judge_measurement(judge);
    judge_identity(judge);
    judge_svn(judge);
    judge_policy(judge);
    judge_debug(judge);
    judge_vmpl(judge);
    judge_field(judge, "report-id", APPRAISAL_FIELD_REPORT_ID, judge->report->report_id, NULL, NULL);
    judge_field(judge, "report-id-ma", APPRAISAL_FIELD_REPORT_ID_MA, judge->report->report_id_ma, no_agent,
                "a migration agent is bound to the guest, and no rule expects one (\"reportIdMa\")");
}
