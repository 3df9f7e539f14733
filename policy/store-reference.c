/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pinned references in the store. */
#include <string.h>

#include "measure/error.h"
#include "policy/reference-private.h"
#include "policy/store.h"

static gchar *file_name(const char *uuid, GError **error)
{
    if (!uuid || !policy_uuid_valid(uuid)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "the domain has no UUID of 36 lower-case characters, so it cannot be told from others");
        return NULL;
    }
    return g_strconcat(uuid, ".json", NULL);
}

/* The way out of a pin that cannot be used. The UUID is a name that always works. */
static PolicyReference *unusable(PolicyStore *store, const char *uuid, GError **error, GError *cause)
{
    const char *directory = policy_store_directory(store);

    if (g_error_matches(cause, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED)) {
        g_propagate_error(error, cause);
        return NULL;
    }
    g_set_error(error, cause->domain, cause->code,
                "%s; restore it from a backup, or remove '%s/references/%s.json' and run 'virt-attest define %s' again",
                cause->message, directory, uuid, uuid);
    g_error_free(cause);
    return NULL;
}

PolicyReference *policy_store_get_reference(PolicyStore *store, const char *uuid, GError **error)
{
    g_autofree gchar *name = file_name(uuid, error);
    g_autofree gchar *text = NULL;
    g_autoptr(PolicyReference) reference = NULL;
    g_autoptr(GError) cause = NULL;
    gsize size = 0;

    if (!name)
        return NULL;
    if (!policy_store_read(store, "references", name, POLICY_REFERENCE_MAX_SIZE, &text, &size, &cause))
        return unusable(store, uuid, error, g_steal_pointer(&cause));
    if (!text)
        return NULL;
    reference = policy_reference_parse(text, (gssize)size, &cause);
    if (!reference) {
        g_prefix_error(&cause, "pinned reference '%s/references/%s': ", policy_store_directory(store), name);
        return unusable(store, uuid, error, g_steal_pointer(&cause));
    }
    /* A copy of another domain's pin, or a document from `measure`. */
    if (!reference->uuid || strcmp(reference->uuid, uuid)) {
        g_set_error(&cause, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "pinned reference '%s/references/%s': it is not the reference of this domain",
                    policy_store_directory(store), name);
        return unusable(store, uuid, error, g_steal_pointer(&cause));
    }
    return g_steal_pointer(&reference);
}

gboolean policy_store_put_reference(PolicyStore *store, const PolicyReference *reference, GError **error)
{
    g_autofree gchar *name = file_name(reference->uuid, error);
    g_autofree gchar *text = NULL;
    g_autoptr(PolicyReference) again = NULL;

    if (!name)
        return FALSE;
    text = policy_reference_format(reference, POLICY_REFERENCE_PINNED);
    /* What the strict reader would not take back must not be pinned: the next start would be refused for it. */
    again = policy_reference_parse(text, -1, error);
    if (!again) {
        g_prefix_error(error, "this reference cannot be pinned: ");
        return FALSE;
    }
    return policy_store_write(store, "references", name, text, strlen(text), TRUE, error);
}

gboolean policy_store_remove_reference(PolicyStore *store, const char *uuid, GError **error)
{
    g_autofree gchar *name = file_name(uuid, error);

    return name && policy_store_remove(store, "references", name, error);
}
