/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verdicts are kept beside the launch records, and shown by list and show. */
#pragma once

#include "hooks/record.h"
#include "policy/appraisal/verdict.h"
#include "policy/verdict-record.h"
#include "virsh-wrappers/context.h"

/**
 * CmdVerdictKeep:
 * @input, @verdict: what was judged, and how
 * @reference: (nullable): what it was judged by; without one, or without a UUID in it, nothing is kept
 * @source: "file", "channel" or "agent"
 * @fresh: the report data had to hold a nonce that was made for this verdict
 * @stored: the time of the verdict was given: old evidence
 */
typedef struct {
    const AppraisalCase *input;
    const AppraisalVerdict *verdict;
    const PolicyReference *reference;
    const char *source;
    gboolean fresh, stored;
} CmdVerdictKeep;

/* Adds the verdict to the state folder. The verdict stands whatever becomes of that, so what goes wrong is a warning. */
void cmd_verdict_keep(CmdContext *context, const CmdVerdictKeep *keep);

/**
 * cmd_verdict_is_stale:
 * @record: (nullable): the launches of the domain
 *
 * A verdict is about one launch. TRUE when @record has a newer one; also when that cannot be told because both came in
 * the same second.
 */
gboolean cmd_verdict_is_stale(const PolicyVerdictEntry *entry, const HookRecord *record);

/* "accepted 2026-11-28 05:40", with what there is to say against it: "stale: accepted 2026-11-28 05:40 (trust anchor
 * from a file)". */
gchar *cmd_verdict_cell(const PolicyVerdictEntry *entry, const HookRecord *record);

/* The newest of @entries, which may be %NULL; or %NULL. */
const PolicyVerdictEntry *cmd_verdict_newest(const GPtrArray *entries);

/* Members of an object: one verdict, for list and show. */
void cmd_verdict_json(JsonBuilder *builder, const PolicyVerdictEntry *entry, const HookRecord *record);
/* Table of verdicts from @first on, and why the newest was not "accepted". */
void cmd_verdicts_print(const GPtrArray *entries, guint first, const HookRecord *record, gboolean bare);
