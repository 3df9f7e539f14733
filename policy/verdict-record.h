/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verdicts about reports of a domain: verdicts/UUID.json, documented in policy/verdicts.schema.json. */
#pragma once

#include "policy/history.h"

/* A check that failed, and what it said. */
typedef struct {
    gchar *name, *text;
} PolicyVerdictCheck;

/**
 * PolicyVerdictEntry:
 * @time: when it was judged, RFC 3339, UTC
 * @at: (nullable): the time that it was judged for, where that was another: old evidence (--at)
 * @verdict: "accepted", "rejected" or "incomplete"
 * @source: how the evidence came: "file", "channel" or "agent"
 * @form: how it was written
 * @trust_anchor: "amd", or "file": whoever made that file could have signed anything
 * @fresh: the report data held a nonce that was made for this verdict, so the report was made after it
 * @report: SHA-256 of its bytes
 * @report_id, @measurement: as the report has them
 * @reported_tcb: as policy_tcb_describe() has it
 * @chip: (nullable): its id; %NULL where it is masked
 * @reference: (nullable): SHA-256 of the reference it was judged by, as it is pinned
 * @launch: (nullable): id of the launch on record that was running, and whose measurement the report has; %NULL: the
 * report is not known to be of a launch that this host has recorded
 * @failed: (element-type PolicyVerdictCheck): empty when accepted, never otherwise
 *
 * All digests are hexadecimal.
 */
typedef struct {
    gchar *time, *at, *verdict, *source, *form, *trust_anchor, *report, *report_id, *measurement, *reported_tcb, *chip,
        *reference, *launch;
    gboolean fresh;
    GPtrArray *failed;
} PolicyVerdictEntry;
PolicyVerdictEntry *policy_verdict_entry_new(void);
void policy_verdict_entry_free(PolicyVerdictEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyVerdictEntry, policy_verdict_entry_free)
/* Adds to @entry->failed; the text is made one line of at most 1024 bytes. */
void policy_verdict_entry_fail(PolicyVerdictEntry *entry, const char *name, const char *text);

/**
 * policy_verdicts_read:
 *
 * Returns: (element-type PolicyVerdictEntry): oldest first, empty when there are none; %NULL on error. A damaged file
 * is an error and stays where it is.
 */
GPtrArray *policy_verdicts_read(PolicyStore *store, const char *uuid, GError **error);

/**
 * policy_verdicts_append:
 * @name: (nullable): of the domain
 * @history: how many to keep
 * @aside: (out): the new name of a damaged old file, which is never overwritten; else %NULL
 *
 * Under a lock, atomic and durable. What policy_verdicts_read() would not take back is not written.
 */
gboolean policy_verdicts_append(PolicyStore *store, const char *uuid, const char *name, const PolicyVerdictEntry *entry,
                                guint history, gchar **aside, GError **error);

/* Removes the verdicts of a domain and the damaged files beside them. */
gboolean policy_verdicts_remove(PolicyStore *store, const char *uuid, GError **error);
