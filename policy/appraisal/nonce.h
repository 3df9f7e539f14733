/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nonces: random report data that were issued here and are good once. A report that carries one was made after it was
 * issued, so it is fresh, and its age is known; a report that was accepted once is not accepted again.
 *
 * The journal is the folder "nonces" of the state folder, one file a nonce, by the SHA-256 of the nonce. What is not in
 * it was not issued here or too long ago: so it can be cleaned without a replay ever getting through.
 */
#pragma once

#include "policy/store.h"

#define APPRAISAL_NONCE_SIZE 64
/* Seconds for which a nonce is good. */
#define APPRAISAL_NONCE_LIFETIME (24 * 60 * 60)

/**
 * appraisal_nonce_issue:
 * @store: a state folder that can be written
 * @now: Unix seconds
 * @out: (out caller-allocates): what the guest is to put into the report data
 *
 * Durable before it returns. Removes nonces that are too old.
 */
gboolean appraisal_nonce_issue(PolicyStore *store, gint64 now, guint8 out[APPRAISAL_NONCE_SIZE], GError **error);

/**
 * AppraisalNonce:
 * @issued: Unix seconds, or -1
 * @fault: (nullable): one sentence: why it is none: unknown here, too old, used before
 *
 * A nonce that nobody else can use while this lives.
 */
typedef struct {
    PolicyStore *store;
    gchar *name;
    PolicyFd lock;
    gint64 issued;
    gchar *fault;
} AppraisalNonce;

/**
 * appraisal_nonce_claim:
 * Looks the nonce up and keeps others from using it. Errors: the journal cannot be read or is damaged
 * (%ATTEST_ERROR_UNREADABLE, %ATTEST_ERROR_NOT_CONFIGURED); that the nonce is none is not an error but @fault.
 */
AppraisalNonce *appraisal_nonce_claim(PolicyStore *store, const guint8 nonce[APPRAISAL_NONCE_SIZE], gint64 now,
                                      GError **error);
/* Marks a claimed nonce without a fault as used, durably. On error nothing may be accepted on it. */
gboolean appraisal_nonce_spend(AppraisalNonce *nonce, gint64 now, GError **error);
void appraisal_nonce_free(AppraisalNonce *nonce);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AppraisalNonce, appraisal_nonce_free)
