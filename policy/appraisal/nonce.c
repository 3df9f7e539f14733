/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/appraisal/nonce.h"

#include <openssl/rand.h>
#include <string.h>

#include "measure/error.h"
#include "policy/json.h"

#define KIND "nonces"
#define FORMAT "virt-attest-nonce-1"
#define MAX_SIZE 4096
#define LOCK_TIMEOUT_MS 10000
/* Clocks of two machines that share a state folder may differ a little. */
#define CLOCK_TOLERANCE 300

/* The name says nothing of the nonce, so that a list of the folder helps nobody to answer one. */
static gchar *name_of(const guint8 nonce[APPRAISAL_NONCE_SIZE])
{
    guint8 digest[MEASURE_SHA256_SIZE];

    policy_sha256(nonce, APPRAISAL_NONCE_SIZE, digest);
    g_autofree gchar *hex = measure_hex_encode(digest, sizeof(digest));
    return g_strconcat(hex, ".json", NULL);
}

static gboolean write_entry(PolicyStore *store, const char *name, gint64 issued, gint64 used, GError **error)
{
    JsonObject *object = json_object_new();
    g_autofree gchar *text = NULL;

    json_object_set_string_member(object, "format", FORMAT);
    json_object_set_int_member(object, "issued", issued);
    if (used >= 0)
        json_object_set_int_member(object, "used", used);
    text = policy_json_format(object, FALSE);
    return policy_store_write(store, KIND, name, text, strlen(text), TRUE, error);
}

/* @issued stays -1 when there is no such entry, @used when it was not used. */
static gboolean read_entry(PolicyStore *store, const char *name, gint64 *issued, gint64 *used, GError **error)
{
    static const char *const known[] = {"format", "issued", "used", NULL};
    g_autofree gchar *text = NULL;
    g_autofree gchar *format = NULL;
    g_autoptr(JsonNode) root = NULL;
    JsonObject *object = NULL;
    guint64 issued_at = 0, used_at = 0;
    gsize size = 0;

    *issued = *used = -1;
    if (!policy_store_read(store, KIND, name, MAX_SIZE, &text, &size, error))
        return FALSE;
    if (!text)
        return TRUE;
    root = policy_json_parse(text, (gssize)size, MAX_SIZE, "entry of the nonce journal", error);
    object = root ? json_node_get_object(root) : NULL;
    if (!object || !policy_json_members(object, "", known, error) ||
        !policy_json_string(object, "", "format", FALSE, &format, error) ||
        !policy_json_uint(object, "", "issued", FALSE, G_MAXINT64, &issued_at, error) ||
        !policy_json_uint(object, "", "used", TRUE, G_MAXINT64, &used_at, error))
        return FALSE;
    if (strcmp(format, FORMAT))
        return policy_json_error(error, "", "format", "this is not \"" FORMAT "\"");
    *issued = (gint64)issued_at;
    *used = json_object_has_member(object, "used") ? (gint64)used_at : -1;
    return TRUE;
}

static void remove_old(PolicyStore *store, gint64 now)
{
    g_autoptr(GPtrArray) names = policy_store_list(store, KIND, NULL);

    for (guint i = 0; names && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        gint64 issued = -1, used = -1;

        if (read_entry(store, name, &issued, &used, NULL) && issued >= 0 && issued + APPRAISAL_NONCE_LIFETIME < now)
            policy_store_remove(store, KIND, name, NULL);
    }
}

gboolean appraisal_nonce_issue(PolicyStore *store, gint64 now, guint8 out[APPRAISAL_NONCE_SIZE], GError **error)
{
    g_autofree gchar *name = NULL;

    if (RAND_bytes(out, APPRAISAL_NONCE_SIZE) != 1) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the system gives no random bytes for a nonce");
        return FALSE;
    }
    name = name_of(out);
    if (!write_entry(store, name, now, -1, error))
        return FALSE;
    /* Every sixteenth time is often enough: looking through all of them takes time. */
    if (out[0] < 16)
        remove_old(store, now);
    return TRUE;
}

AppraisalNonce *appraisal_nonce_claim(PolicyStore *store, const guint8 nonce[APPRAISAL_NONCE_SIZE], gint64 now,
                                      GError **error)
{
    g_autoptr(AppraisalNonce) claim = g_new0(AppraisalNonce, 1);
    gint64 used = -1;

    claim->store = store;
    claim->name = name_of(nonce);
    claim->issued = -1;
    claim->lock = -1;
    if (!read_entry(store, claim->name, &claim->issued, &used, error))
        return NULL;
    /* Guesses make no state folder and wait for nobody. */
    if (claim->issued >= 0) {
        claim->lock = policy_store_lock(store, KIND, claim->name, LOCK_TIMEOUT_MS, error);
        if (claim->lock < 0 || !read_entry(store, claim->name, &claim->issued, &used, error))
            return NULL;
    }
    if (claim->issued < 0)
        claim->fault =
            g_strdup("this nonce was not issued here (virt-attest nonce), or so long ago that it is forgotten");
    else if (used >= 0)
        claim->fault = g_strdup("this nonce was used before: a report that was accepted once is replayed");
    else if (now > claim->issued + APPRAISAL_NONCE_LIFETIME || now < claim->issued - CLOCK_TOLERANCE)
        claim->fault = g_strdup("this nonce was issued too long ago, or in the future");
    return g_steal_pointer(&claim);
}

gboolean appraisal_nonce_spend(AppraisalNonce *nonce, gint64 now, GError **error)
{
    g_return_val_if_fail(!nonce->fault && nonce->lock >= 0, FALSE);
    if (!write_entry(nonce->store, nonce->name, nonce->issued, MAX(now, 0), error)) {
        g_prefix_error(error, "cannot mark the nonce as used, so nothing is accepted on it: ");
        return FALSE;
    }
    return TRUE;
}

void appraisal_nonce_free(AppraisalNonce *nonce)
{
    if (!nonce)
        return;
    policy_close(&nonce->lock);
    g_free(nonce->name);
    g_free(nonce->fault);
    g_free(nonce);
}
