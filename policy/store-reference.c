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

PolicyReference *policy_store_get_reference(PolicyStore *store, const char *uuid, GError **error)
{
    g_autofree gchar *name = file_name(uuid, error);
    g_autofree gchar *text = NULL;
    g_autoptr(PolicyReference) reference = NULL;
    gsize size = 0;

    if (!name || !policy_store_read(store, "references", name, POLICY_REFERENCE_MAX_SIZE, &text, &size, error) || !text)
        return NULL;
    reference = policy_reference_parse(text, (gssize)size, error);
    if (!reference) {
        g_prefix_error(error, "pinned reference '%s/references/%s': ", policy_store_directory(store), name);
        return NULL;
    }
    /* A copy of another domain's pin, or a document from `measure`. */
    if (!reference->uuid || strcmp(reference->uuid, uuid)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "pinned reference '%s/references/%s': it is not the reference of this domain",
                    policy_store_directory(store), name);
        return NULL;
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
    text = policy_reference_format(reference, TRUE);
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
