/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The record of a domain is a history (policy/history.h) whose entries are launches. */
#include "hooks/record.h"

#include <string.h>
#include <unistd.h>

#include "measure/error.h"
#include "policy/history.h"
#include "policy/json.h"
#include "policy/reference-json.h"
#include "policy/text.h"

#define MAX_COMMAND_LINE 65536u
#define MAX_CHANGE 16384u

static const PolicyHistoryType record_type = {.kind = "records",
                                              .format = "virt-attest-record-1",
                                              .member = "launches",
                                              .noun = "record",
                                              .mender = "the next start of the domain"};

void hook_launch_free(HookLaunch *launch)
{
    if (!launch)
        return;
    g_free(launch->id);
    g_free(launch->time);
    g_free(launch->state);
    g_free(launch->verdict);
    g_free(launch->summary);
    g_free(launch->digest);
    g_free(launch->cpu);
    g_free(launch->platform);
    g_free(launch->ended);
    g_free(launch->end_reason);
    g_clear_pointer(&launch->changes, g_ptr_array_unref);
    g_clear_pointer(&launch->inputs, g_ptr_array_unref);
    g_free(launch);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HookLaunch, hook_launch_free)

static HookLaunch *launch_new(void)
{
    HookLaunch *launch = g_new0(HookLaunch, 1);

    launch->changes = g_ptr_array_new_with_free_func((GDestroyNotify)policy_change_free);
    launch->inputs = g_ptr_array_new_with_free_func((GDestroyNotify)policy_reference_input_free);
    return launch;
}

void hook_record_free(HookRecord *record)
{
    if (!record)
        return;
    g_free(record->uuid);
    g_free(record->name);
    g_clear_pointer(&record->launches, g_ptr_array_unref);
    g_free(record);
}

/* ---- One launch as JSON ---- */

static gchar *launch_format(const HookLaunch *launch)
{
    JsonObject *object = json_object_new();
    JsonArray *changes = json_array_new();

    policy_json_add_string(object, "id", launch->id);
    policy_json_add_string(object, "time", launch->time);
    policy_json_add_string(object, "state", launch->state);
    policy_json_add_string(object, "verdict", launch->verdict);
    policy_json_add_string(object, "summary", launch->summary);
    json_object_set_int_member(object, "level", launch->level);
    if (launch->platform) {
        policy_json_add_string(object, "platform", launch->platform);
        policy_json_add_hex_number(object, "policy", launch->policy);
    }
    if (launch->cpu) {
        policy_json_add_string(object, "cpu", launch->cpu);
        policy_json_add_hex_number(object, "signature", launch->signature);
        policy_json_add_hex_number(object, "features", launch->features);
        json_object_set_int_member(object, "vcpus", launch->vcpus);
    }
    policy_json_add_string(object, "digest", launch->digest);
    for (guint i = 0; i < launch->changes->len; i++) {
        const PolicyChange *change = g_ptr_array_index(launch->changes, i);
        JsonObject *each = json_object_new();

        policy_json_add_string(each, "what", change->what);
        policy_json_add_string(each, "pinned", change->pinned);
        policy_json_add_string(each, "found", change->found);
        policy_json_add_string(each, "text", change->text);
        json_array_add_object_element(changes, each);
    }
    json_object_set_array_member(object, "changes", changes);
    json_object_set_object_member(object, "inputs", policy_inputs_to_json(launch->inputs));
    policy_json_add_string(object, "ended", launch->ended);
    policy_json_add_string(object, "endReason", launch->end_reason);
    return policy_json_format(object, FALSE);
}

static gboolean read_changes(JsonObject *object, const char *where, HookLaunch *launch, GError **error)
{
    static const char *const known[] = {"what", "pinned", "found", "text", NULL};
    JsonArray *array = NULL;

    if (!policy_json_array(object, where, "changes", FALSE, &array, error))
        return FALSE;
    for (guint i = 0; i < json_array_get_length(array); i++) {
        g_autofree gchar *position = NULL;
        JsonObject *each = policy_json_element(array, i, where, "changes", &position, error);
        PolicyChange *change = g_new0(PolicyChange, 1);

        g_ptr_array_add(launch->changes, change);
        if (!each || !policy_json_members(each, position, known, error) ||
            !policy_json_string(each, position, "what", FALSE, &change->what, error) ||
            !policy_json_string(each, position, "pinned", FALSE, &change->pinned, error) ||
            !policy_json_string(each, position, "found", FALSE, &change->found, error) ||
            !policy_json_string(each, position, "text", FALSE, &change->text, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean check_word(const char *where, const char *name, const char *word, const char *const *known,
                           GError **error)
{
    return g_strv_contains(known, word) || policy_json_error(error, where, name, "'%s' is not known here", word);
}

static gboolean read_measured(JsonObject *object, const char *where, HookLaunch *launch, GError **error)
{
    MeasurePlatform platform;
    guint64 signature = 0, vcpus = 0;
    gboolean cpu = json_object_has_member(object, "cpu");

    if (!policy_json_string(object, where, "platform", TRUE, &launch->platform, error) ||
        !policy_json_hex_number(object, where, "policy", !launch->platform, &launch->policy, error) ||
        !policy_json_string(object, where, "cpu", TRUE, &launch->cpu, error) ||
        !policy_json_hex_number(object, where, "signature", !cpu, &signature, error) ||
        !policy_json_hex_number(object, where, "features", !cpu, &launch->features, error) ||
        !policy_json_uint(object, where, "vcpus", !cpu, MEASURE_MAX_VCPUS, &vcpus, error))
        return FALSE;
    if (launch->platform && !measure_platform_from_name(launch->platform, &platform))
        return policy_json_error(error, where, "platform", "this is not 'sev', 'sev-es' or 'sev-snp'");
    if (signature > G_MAXUINT32)
        return policy_json_error(error, where, "signature", "this is not a 32-bit number");
    launch->signature = (guint32)signature;
    launch->vcpus = (guint)vcpus;
    if (json_object_has_member(object, "digest")) {
        guint8 digest[MEASURE_DIGEST_MAX];
        gsize size = launch->platform && platform == MEASURE_PLATFORM_SNP ? MEASURE_SHA384_SIZE : MEASURE_SHA256_SIZE;

        return policy_json_hex_bytes(object, where, "digest", size, digest, error) &&
               policy_json_string(object, where, "digest", FALSE, &launch->digest, error);
    }
    return TRUE;
}

static HookLaunch *launch_parse(JsonObject *object, const char *where, GError **error)
{
    static const char *const known[] = {"id",       "time",    "state",  "verdict", "summary",   "level",
                                        "platform", "policy",  "cpu",    "vcpus",   "digest",    "signature",
                                        "features", "changes", "inputs", "ended",   "endReason", NULL};
    static const char *const states[] = {"decided", "running", "stopped", NULL};
    static const char *const verdicts[] = {"match", "unpinned", "observed", "refused", HOOK_UNDECIDED, NULL};
    g_autoptr(HookLaunch) launch = launch_new();
    JsonObject *inputs = NULL;
    guint64 level = 0;

    if (!policy_json_members(object, where, known, error) ||
        !policy_json_string(object, where, "id", FALSE, &launch->id, error) ||
        !policy_json_string(object, where, "time", FALSE, &launch->time, error) ||
        !policy_json_string(object, where, "state", FALSE, &launch->state, error) ||
        !policy_json_string(object, where, "verdict", FALSE, &launch->verdict, error) ||
        !policy_json_string(object, where, "summary", FALSE, &launch->summary, error) ||
        !policy_json_uint(object, where, "level", FALSE, 4, &level, error) ||
        !read_measured(object, where, launch, error) || !read_changes(object, where, launch, error) ||
        !policy_json_object(object, where, "inputs", FALSE, &inputs, error) ||
        !policy_inputs_from_json(inputs, "inputs", TRUE, launch->inputs, error) ||
        !policy_json_string(object, where, "ended", TRUE, &launch->ended, error) ||
        !policy_json_string(object, where, "endReason", TRUE, &launch->end_reason, error) ||
        !check_word(where, "state", launch->state, states, error) ||
        !check_word(where, "verdict", launch->verdict, verdicts, error))
        return NULL;
    if (!policy_time_valid(launch->time) || (launch->ended && !policy_time_valid(launch->ended))) {
        policy_json_error(error, where, "time", "this is not a time such as 2026-01-31T12:00:00Z");
        return NULL;
    }
    if (strcmp(launch->state, "stopped") && (launch->ended || launch->end_reason)) {
        policy_json_error(error, where, "state", "this launch has an end, so it is 'stopped'");
        return NULL;
    }
    launch->level = (guint)level;
    return g_steal_pointer(&launch);
}

static HookLaunch *line_parse(const PolicyHistory *history, guint index, GError **error)
{
    g_autofree gchar *where = NULL;
    g_autoptr(JsonNode) node = policy_history_entry(history, &record_type, index, &where, error);

    return node ? launch_parse(json_node_get_object(node), where, error) : NULL;
}

HookRecord *hook_record_read(PolicyStore *store, const char *uuid, GError **error)
{
    g_autoptr(HookRecord) record = g_new0(HookRecord, 1);
    PolicyHistory *read = NULL;
    gboolean readable = policy_history_read(store, &record_type, uuid, &read, error);
    g_autoptr(PolicyHistory) history = read;

    if (!readable || !history)
        return NULL;
    record->uuid = g_strdup(uuid);
    record->name = g_strdup(history->name);
    record->launches = g_ptr_array_new_with_free_func((GDestroyNotify)hook_launch_free);
    for (guint i = 0; i < history->lines->len; i++) {
        HookLaunch *launch = line_parse(history, i, error);

        if (!launch) {
            g_prefix_error(error, "record '%s/records/%s.json': ", policy_store_directory(store), uuid);
            return NULL;
        }
        g_ptr_array_add(record->launches, launch);
    }
    return g_steal_pointer(&record);
}

/* ---- What happens to a domain ---- */

static HookLaunch *launch_from_decision(const PolicyDecision *decision)
{
    HookLaunch *launch = launch_new();
    const PolicyEvaluation *evaluation = decision->evaluation;

    launch->id = g_strdup_printf("%" G_GINT64_FORMAT "-%d", g_get_real_time(), (int)getpid());
    launch->time = policy_time_now();
    launch->state = g_strdup("decided");
    launch->verdict = g_strdup(policy_verdict_name(decision->verdict));
    launch->summary = g_strdup(decision->summary);
    for (guint i = 0; i < decision->changes->len; i++) {
        const PolicyChange *change = g_ptr_array_index(decision->changes, i);
        PolicyChange *copy = g_new0(PolicyChange, 1);

        copy->what = g_strdup(change->what);
        copy->pinned = strlen(change->pinned) > MAX_CHANGE ? policy_one_line(change->pinned, MAX_CHANGE)
                                                           : g_strdup(change->pinned);
        copy->found =
            strlen(change->found) > MAX_CHANGE ? policy_one_line(change->found, MAX_CHANGE) : g_strdup(change->found);
        copy->text = g_strdup(change->text);
        g_ptr_array_add(launch->changes, copy);
    }
    if (!evaluation || !evaluation->confidential)
        return launch;
    launch->level = evaluation->level;
    launch->platform = g_strdup(measure_platform_name(evaluation->platform));
    launch->policy = evaluation->policy;
    policy_collect_inputs(evaluation, launch->inputs);
    for (guint i = 0; i < launch->inputs->len; i++) {
        PolicyReferenceInput *input = g_ptr_array_index(launch->inputs, i);

        if (input->text && strlen(input->text) > MAX_COMMAND_LINE)
            g_clear_pointer(&input->text, g_free);
    }
    if (evaluation->measurements->len == 1) {
        const XmlMeasurement *measurement = g_ptr_array_index(evaluation->measurements, 0);

        launch->digest = measure_digest_hex(&measurement->digest);
        launch->cpu = g_strdup(measurement->cpu);
        launch->signature = measurement->signature;
        launch->features = measurement->features;
        launch->vcpus = measurement->vcpus;
    }
    return launch;
}

gboolean hook_record_decision(PolicyStore *store, const PolicyDecision *decision, guint history, GError **error)
{
    g_autoptr(HookLaunch) launch = NULL;
    g_autoptr(PolicyHistory) lines = NULL;
    g_auto(PolicyFd) lock = -1;
    g_autofree gchar *aside = NULL;

    /* An XML that could not be read names nobody. */
    if (!decision->uuid)
        return TRUE;
    lock = policy_history_lock(store, &record_type, decision->uuid, error);
    if (lock < 0)
        return FALSE;
    lines = policy_history_read_or_replace(store, &record_type, decision->uuid, decision->name, &aside, error);
    if (!lines)
        return FALSE;
    launch = launch_from_decision(decision);
    if (aside) {
        g_autofree gchar *summary = g_steal_pointer(&launch->summary);

        launch->summary =
            g_strdup_printf("%s (the record before this one was damaged and is kept as %s)", summary, aside);
    }
    g_ptr_array_add(lines->lines, launch_format(launch));
    return policy_history_write(store, &record_type, decision->uuid, lines, history, error);
}

/* A launch that the record knows nothing of but its end. */
static HookLaunch *launch_undecided(const XmlDomain *domain)
{
    HookLaunch *launch = launch_new();
    MeasurePlatform platform;
    g_autofree gchar *name = policy_one_line(domain->name ? domain->name : "", 200);

    launch->id = g_strdup_printf("%" G_GINT64_FORMAT "-%d", g_get_real_time(), (int)getpid());
    launch->time = policy_time_now();
    launch->state = g_strdup("stopped");
    launch->verdict = g_strdup(HOOK_UNDECIDED);
    launch->summary = g_strdup_printf("domain '%s': ended before a decision about it was recorded: the hook ran out of "
                                      "time or was killed, libvirt or another hook refused the start before it, or "
                                      "the hook was not there when the guest started",
                                      name);
    launch->ended = g_strdup(launch->time);
    if (xml_domain_platform(domain, &platform)) {
        launch->platform = g_strdup(measure_platform_name(platform));
        launch->policy = domain->policy;
    }
    return launch;
}

/* Also with a pin that cannot be read. */
static gboolean is_pinned(PolicyStore *store, const XmlDomain *domain)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyReference) reference = policy_store_get_reference(store, domain->uuid, &error);

    return reference || g_error_matches(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
}

/* What an event does to the newest launch. */
typedef enum {
    EVENT_IGNORED,
    EVENT_CHANGED,
    EVENT_FOREIGN, /* it belongs to another launch, which is not on record */
} EventOutcome;

/**
 * HookEvent:
 * @apply: what it does to the newest launch
 * @uuid: of the domain
 * @domain: (nullable): the domain, when the launch that the event belongs to is to be added if it is not on record
 * @reason: (nullable): of the end
 * @history: for a launch that is added
 */
typedef struct {
    EventOutcome (*apply)(HookLaunch *newest, const char *reason);
    const char *uuid;
    const XmlDomain *domain;
    const char *reason;
    guint history;
} HookEvent;

/* Sets @history to how many launches to keep, 0 when nothing changed. */
static gboolean apply_event(PolicyHistory *lines, const HookEvent *event, guint *history, GError **error)
{
    gchar **newest = lines->lines->len ? (gchar **)&lines->lines->pdata[lines->lines->len - 1] : NULL;
    g_autoptr(HookLaunch) launch = newest ? line_parse(lines, lines->lines->len - 1, error) : NULL;
    EventOutcome outcome = EVENT_FOREIGN;

    *history = 0;
    if (newest && !launch)
        return FALSE;
    if (launch)
        outcome = event->apply(launch, event->reason);
    if (outcome == EVENT_FOREIGN && event->domain) {
        g_autoptr(HookLaunch) added = launch_undecided(event->domain);

        event->apply(added, event->reason);
        g_ptr_array_add(lines->lines, launch_format(added));
        *history = event->history;
    } else if (outcome == EVENT_CHANGED) {
        g_free(*newest);
        *newest = launch_format(launch);
        *history = lines->lines->len;
    }
    return TRUE;
}

static gboolean record_event(PolicyStore *store, const HookEvent *request, GError **error)
{
    HookEvent event = *request;
    g_auto(PolicyFd) lock = -1;
    PolicyHistory *read = NULL;
    g_autoptr(PolicyHistory) lines = NULL;
    MeasurePlatform platform;
    gboolean pinned = FALSE, there = FALSE;
    guint history = 0;

    if (!event.uuid || !policy_uuid_valid(event.uuid))
        return TRUE;
    pinned = event.domain && is_pinned(store, event.domain);
    if (event.domain && !pinned && !xml_domain_platform(event.domain, &platform))
        event.domain = NULL;
    /*
     * Only a pin makes a record where there is none: it may have been removed, with the pin, while the guest ran.
     * Looked for first without the lock, whose file would be a trace where nobody wants one.
     */
    if (!pinned) {
        if (!policy_history_there(store, &record_type, event.uuid, &there, error))
            return FALSE;
        if (!there)
            return TRUE;
    }
    lock = policy_history_lock(store, &record_type, event.uuid, error);
    if (lock < 0 || !policy_history_read(store, &record_type, event.uuid, &read, error))
        return FALSE;
    if (!read && !pinned)
        return TRUE;
    lines = read ? read : policy_history_new(event.domain->name);
    if (!apply_event(lines, &event, &history, error))
        return FALSE;
    return !history || policy_history_write(store, &record_type, event.uuid, lines, history, error);
}

/* A domain that is being prepared does not run: whatever the record says, that launch is over. */
static EventOutcome set_prepared(HookLaunch *launch, const char *reason)
{
    if (!strcmp(launch->state, "stopped"))
        return EVENT_IGNORED;
    g_free(launch->state);
    launch->state = g_strdup("stopped");
    launch->end_reason = g_strdup("unknown");
    return EVENT_CHANGED;
}

static EventOutcome set_running(HookLaunch *launch, const char *reason)
{
    if (strcmp(launch->state, "decided"))
        return EVENT_IGNORED;
    g_free(launch->state);
    launch->state = g_strdup("running");
    return EVENT_CHANGED;
}

/* libvirt says `stopped`, without a reason, once for every end: a launch that has ended already is not the one. */
static EventOutcome set_stopped(HookLaunch *launch, const char *reason)
{
    if (!strcmp(launch->state, "stopped"))
        return EVENT_FOREIGN;
    g_free(launch->state);
    launch->state = g_strdup("stopped");
    launch->ended = policy_time_now();
    return EVENT_CHANGED;
}

/* `release` follows `stopped`, with the reason. */
static EventOutcome set_released(HookLaunch *launch, const char *reason)
{
    gboolean known = reason && *reason && strcmp(reason, "-");

    if (!strcmp(launch->state, "stopped") && launch->end_reason)
        return known ? EVENT_FOREIGN : EVENT_IGNORED;
    if (!strcmp(launch->state, "stopped") && !known)
        return EVENT_IGNORED;
    g_free(launch->state);
    launch->state = g_strdup("stopped");
    if (!launch->ended)
        launch->ended = policy_time_now();
    if (known)
        launch->end_reason = policy_one_line(reason, 64);
    return EVENT_CHANGED;
}

gboolean hook_record_prepared(PolicyStore *store, const char *uuid, GError **error)
{
    HookEvent event = {.apply = set_prepared, .uuid = uuid};

    return record_event(store, &event, error);
}

gboolean hook_record_running(PolicyStore *store, const char *uuid, GError **error)
{
    HookEvent event = {.apply = set_running, .uuid = uuid};

    return record_event(store, &event, error);
}

gboolean hook_record_stopped(PolicyStore *store, const XmlDomain *domain, guint history, GError **error)
{
    HookEvent event = {.apply = set_stopped, .uuid = domain->uuid, .domain = domain, .history = history};

    return record_event(store, &event, error);
}

gboolean hook_record_released(PolicyStore *store, const XmlDomain *domain, const char *reason, guint history,
                              GError **error)
{
    HookEvent event = {
        .apply = set_released, .uuid = domain->uuid, .domain = domain, .reason = reason, .history = history};

    if (!record_event(store, &event, error))
        return FALSE;
    /* Nobody waits for a guest any more: time to clean up. */
    policy_store_sweep(store, "records");
    policy_store_sweep(store, "cache");
    return TRUE;
}

gboolean hook_record_remove(PolicyStore *store, const char *uuid, GError **error)
{
    return policy_history_remove(store, &record_type, uuid, error);
}
