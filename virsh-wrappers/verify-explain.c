/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/verify-explain.h"

#include <string.h>

#include "policy/appraisal/explain.h"

/* Other domains' pins that are looked at. */
#define MAX_REFERENCES 4096

static void set_file(AppraisalOlder *older, const PolicyReferenceInput *input)
{
    const struct {
        const char *role;
        gboolean *has;
        guint8 *digest;
    } files[] = {
        {"kernel", &older->has_kernel, older->kernel},
        {"initrd", &older->has_initrd, older->initrd},
        {"cmdline", &older->has_cmdline, older->cmdline},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        if (g_str_equal(files[i].role, input->role)) {
            *files[i].has = TRUE;
            memcpy(files[i].digest, input->sha256, sizeof(input->sha256));
        }
    }
}

static const PolicyReferenceInput *find_input(const GPtrArray *inputs, const char *role)
{
    for (guint i = 0; inputs && i < inputs->len; i++) {
        const PolicyReferenceInput *input = g_ptr_array_index(inputs, i);
        if (g_str_equal(input->role, role)) {
            return input;
        }
    }
    return NULL;
}

/* Which files of a launch were others than the reference expects: "another firmware (SHA-256 …), another kernel". */
static gchar *tell_unlike(const GPtrArray *then, const GPtrArray *now)
{
    static const char *const files[][2] = {
        {"firmware", "firmware"}, {"kernel", "kernel"}, {"initrd", "initrd"}, {"cmdline", "command line"}};
    g_autoptr(GString) text = g_string_new(NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        const PolicyReferenceInput *was = find_input(then, files[i][0]), *is = find_input(now, files[i][0]);
        if (!was || (is && !memcmp(was->sha256, is->sha256, sizeof(was->sha256)))) {
            continue;
        }
        g_autofree gchar *digest = measure_hex_encode(was->sha256, sizeof(was->sha256));
        g_string_append_printf(text, "%sanother %s (SHA-256 %s)", text->len ? ", " : "", files[i][1], digest);
    }
    return text->len ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

/* The launches that the hook has recorded, newest first. */
static void add_launches(PolicyStore *store, const PolicyReference *reference, GPtrArray *older)
{
    g_autoptr(HookRecord) record = hook_record_read(store, reference->uuid, NULL);
    for (guint i = record ? record->launches->len : 0; i > 0; i--) {
        const HookLaunch *launch = g_ptr_array_index(record->launches, i - 1);
        AppraisalOlder *each = g_new0(AppraisalOlder, 1);
        each->what = g_strdup_printf("the launch of %s", launch->time);
        each->unlike = tell_unlike(launch->inputs, reference->inputs);
        each->has_digest = launch->digest && measure_hex_decode(launch->digest, each->digest, sizeof(each->digest));
        for (guint n = 0; launch->inputs && n < launch->inputs->len; n++) {
            set_file(each, g_ptr_array_index(launch->inputs, n));
        }
        g_ptr_array_add(older, each);
    }
}

static void add_measurements(const PolicyReference *reference, GPtrArray *older)
{
    for (guint i = 0; i < reference->measurements->len; i++) {
        const XmlMeasurement *measurement = g_ptr_array_index(reference->measurements, i);
        if (measurement->digest.size != MEASURE_SHA384_SIZE) {
            continue;
        }
        AppraisalOlder *each = g_new0(AppraisalOlder, 1);
        each->what = g_strdup_printf("domain '%s' (%s, %u vCPUs)", reference->name ? reference->name : "?",
                                     measurement->cpu ? measurement->cpu : "any CPU", measurement->vcpus);
        each->has_digest = TRUE;
        memcpy(each->digest, measurement->digest.bytes, sizeof(each->digest));
        g_ptr_array_add(older, each);
    }
}

/* A report of another domain of this host. */
static void add_other_domains(PolicyStore *store, GPtrArray *older)
{
    g_autoptr(GPtrArray) names = policy_store_list(store, "references", NULL);
    for (guint i = 0; names && i < MIN(names->len, MAX_REFERENCES); i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree gchar *uuid = g_str_has_suffix(name, ".json") ? g_strndup(name, strlen(name) - 5) : NULL;
        g_autoptr(PolicyReference) reference =
            uuid && policy_uuid_valid(uuid) ? policy_store_get_reference(store, uuid, NULL) : NULL;
        if (reference) {
            add_measurements(reference, older);
        }
    }
}

void cmd_verify_explain(CmdContext *context, const CmdVerifyRules *rules, const AppraisalReport *report,
                        AppraisalVerdict *verdict)
{
    AppraisalCheck *check = appraisal_verdict_find(verdict, "measurement");
    const CmdSubject *subject = rules->source.subject;
    if (check->outcome != APPRAISAL_FAIL || !rules->rules->measurements) {
        return;
    }
    g_autoptr(GPtrArray) older = g_ptr_array_new_with_free_func((GDestroyNotify)appraisal_older_free);
    /* History helps where it is there and can be read. */
    PolicyStore *store = cmd_context_store(context, NULL);
    if (store && rules->reference && rules->reference->uuid) {
        add_launches(store, rules->reference, older);
    }
    if (store) {
        add_other_domains(store, older);
    }
    AppraisalExplanation with = {
        .launch = subject ? subject->evaluation->launch : NULL,
        .inputs = subject ? subject->evaluation->inputs : NULL,
        .older = older,
        .signature = report->has_cpuid ? measure_cpu_signature(report->cpuid_family, report->cpuid_model,
                                                               report->cpuid_stepping)
                                       : 0,
        .budget_ms = APPRAISAL_EXPLAIN_BUDGET_MS,
    };
    g_autofree gchar *found = appraisal_explain(report->measurement, &with);
    g_autofree gchar *sentence = found ? g_strconcat("this is ", found, NULL) : NULL;
    if (found) {
        appraisal_check_append(check, sentence);
    } else if (subject) {
        appraisal_check_append(check,
                               "no other CPU type, vCPU count, features, kernel hashes or command line of this domain "
                               "fit: other firmware, kernel or initrd");
    } else {
        appraisal_check_append(check,
                               "to find out what it is, give the domain or its XML (--domain) where its files are");
    }
}
