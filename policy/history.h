/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What happened to a domain, as a file of the state folder that grows at its end: launches (hooks/record.h) and
 * verdicts (policy/verdict-record.h). It is one JSON document, laid out in lines so that an entry can be appended
 * without parsing a hundred old ones:
 *
 *   {"format":"…","uuid":"…","name":"…","launches":[
 *   {entry},
 *   {entry}
 *   ],"sha256":"of every byte above this line"}
 *
 * The checksum tells a file that was written here, whole, from everything else.
 */
#pragma once

#include "policy/json.h"
#include "policy/store.h"

#define POLICY_HISTORY_MAX_SIZE (16u * 1024 * 1024)

/**
 * PolicyHistoryType:
 * @kind: subfolder of the state folder; the file is UUID.json in it
 * @format: of the document
 * @member: the array of entries
 * @noun: what a message calls the file
 * @mender: what moves a damaged one aside
 */
typedef struct {
    const char *kind, *format, *member, *noun, *mender;
} PolicyHistoryType;

/**
 * PolicyHistory:
 * @name: of the domain
 * @lines: (element-type utf8): the entries as text, oldest first
 */
typedef struct {
    gchar *name;
    GPtrArray *lines;
} PolicyHistory;
PolicyHistory *policy_history_new(const char *name);
void policy_history_free(PolicyHistory *history);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyHistory, policy_history_free)

/* A lock on the file, until the descriptor is closed; -1 on error. Waits three seconds at most. */
int policy_history_lock(PolicyStore *store, const PolicyHistoryType *type, const char *uuid, GError **error);
/* Whether there is one. Errors: as policy_history_read(), the lines aside. */
gboolean policy_history_there(PolicyStore *store, const PolicyHistoryType *type, const char *uuid, gboolean *there,
                              GError **error);
/**
 * policy_history_read:
 * @out: %NULL when there is none
 *
 * Errors: %ATTEST_ERROR_UNREADABLE: damaged, another domain's, or @uuid is none; the entries themselves are not parsed.
 */
gboolean policy_history_read(PolicyStore *store, const PolicyHistoryType *type, const char *uuid, PolicyHistory **out,
                             GError **error);
/**
 * policy_history_read_or_replace:
 * @name: (nullable): the domain's name now
 * @aside: set to the new name of a damaged file, which is moved there so that it is neither lost nor in the way
 *
 * With the lock. Returns: what there is, or an empty one; %NULL when a damaged file cannot be moved.
 */
PolicyHistory *policy_history_read_or_replace(PolicyStore *store, const PolicyHistoryType *type, const char *uuid,
                                              const char *name, gchar **aside, GError **error);
/* The object of entry @index. */
JsonNode *policy_history_entry(const PolicyHistory *history, const PolicyHistoryType *type, guint index,
                               gchar **where, GError **error);
/* Writes the newest @keep entries, with the lock; fewer where they would be more than eight MiB, but at least one. */
gboolean policy_history_write(PolicyStore *store, const PolicyHistoryType *type, const char *uuid,
                              const PolicyHistory *history, guint keep, GError **error);
/* Removes the file and the damaged ones that were kept beside it, under the lock. That there is none is no error. */
gboolean policy_history_remove(PolicyStore *store, const PolicyHistoryType *type, const char *uuid, GError **error);

/* Now, UTC: 2026-01-31T12:00:00Z */
gchar *policy_time_now(void);
