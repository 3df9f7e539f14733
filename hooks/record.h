/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happened at every start of a domain: records/UUID.json, documented in hooks/record.schema.json. */
#pragma once

#include "policy/gate.h"

/* Verdict of a launch that ended before a decision about it was recorded. */
#define HOOK_UNDECIDED "undecided"

/**
 * HookLaunch:
 * @id: unique per start: time in microseconds and process, as text
 * @time: RFC 3339, UTC
 * @state: "decided" (start), "running" (started), "stopped" (stopped or release)
 * @verdict: policy_verdict_name(), or %HOOK_UNDECIDED: only the end of this launch is known
 * @summary: the decision's summary line
 * @digest: (nullable): expected measurement of this launch, hexadecimal
 * @cpu, @vcpus, @platform, @level: of this launch
 * @changes: (element-type PolicyChange)
 * @inputs: (element-type PolicyReferenceInput)
 * @ended: (nullable): RFC 3339, %NULL while it runs and when nobody knows
 * @end_reason: (nullable): as libvirt gives it ("destroyed", "shutdown", "failed", "unknown", …)
 */
typedef struct {
    gchar *id, *time, *state, *verdict, *summary, *digest, *cpu, *platform, *ended, *end_reason;
    guint32 signature;
    guint64 features, policy;
    guint vcpus, level;
    GPtrArray *changes, *inputs;
} HookLaunch;
void hook_launch_free(HookLaunch *launch);

/**
 * HookRecord:
 * @uuid, @name: of the domain
 * @launches: (element-type HookLaunch): oldest first, at most the configuration's `history`
 */
typedef struct {
    gchar *uuid, *name;
    GPtrArray *launches;
} HookRecord;
void hook_record_free(HookRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HookRecord, hook_record_free)

/* NULL without @error when nothing was ever recorded; a corrupt file is an error and stays where it is. */
HookRecord *hook_record_read(PolicyStore *store, const char *uuid, GError **error);

/**
 * hook_record_decision:
 * Appends one launch, under the record's lock. A corrupt old file is kept beside as UUID.json.corrupt-TIME and
 * mentioned in the new record's first launch; it is never overwritten.
 */
gboolean hook_record_decision(PolicyStore *store, const PolicyDecision *decision, guint history, GError **error);

/**
 * hook_record_prepared:
 * A launch that is still open when the next start is prepared has ended unseen, as when the host crashed: it becomes
 * "stopped" for the reason "unknown". Nothing happens when there is no record.
 */
gboolean hook_record_prepared(PolicyStore *store, const char *uuid, GError **error);
/* Marks the newest launch as running. Nothing happens when there is no record. */
gboolean hook_record_running(PolicyStore *store, const char *uuid, GError **error);
/**
 * hook_record_stopped / hook_record_released:
 * @reason: (nullable): as libvirt gives it
 * @history: as for hook_record_decision()
 *
 * libvirt says `stopped` and then `release` at every end, that of a start that never came to be included. They mark the
 * newest launch, which this start left "decided" or "running". Where it has ended already, or there is none, the start
 * that ends now is not on record: the hook ran out of time, or another hook vetoed it. Then, if the domain is
 * pinned, or confidential and on record already, a launch of its own is added, with the verdict %HOOK_UNDECIDED; older
 * ones are left alone. A record that was removed while the guest ran does not come back.
 */
gboolean hook_record_stopped(PolicyStore *store, const XmlDomain *domain, guint history, GError **error);
gboolean hook_record_released(PolicyStore *store, const XmlDomain *domain, const char *reason, guint history,
                              GError **error);

/**
 * hook_record_remove:
 * Removes the record of a domain and the damaged ones that were kept beside it, under the record's lock. That there is
 * none is no error.
 */
gboolean hook_record_remove(PolicyStore *store, const char *uuid, GError **error);
