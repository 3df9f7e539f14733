/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What two references say that no launch can show: the owner's rules, the identity, where the facts came from. */
#include <string.h>

#include "policy/compare-private.h"

static void diff_bytes(GPtrArray *changes, const char *what, const char *label, const guint8 *was, const guint8 *is,
                       gsize size)
{
    g_autofree gchar *old_text = was ? measure_hex_encode(was, size) : NULL;
    g_autofree gchar *new_text = is ? measure_hex_encode(is, size) : NULL;

    policy_change_add_text(changes, what, label, old_text, new_text);
}

static void diff_identity(GPtrArray *changes, const PolicyReference *old_reference,
                          const PolicyReference *new_reference)
{
    const PolicyIdentity *was = old_reference->identity;
    const PolicyIdentity *is = new_reference->identity;
    g_autofree gchar *old_svn = was ? g_strdup_printf("%u", was->guest_svn) : NULL;
    g_autofree gchar *new_svn = is ? g_strdup_printf("%u", is->guest_svn) : NULL;

    /* A pin of an older version has the pages by their digests alone. */
    if ((!was || !is) && old_reference->id_block_sha256 && new_reference->id_block_sha256 &&
        !strcmp(old_reference->id_block_sha256, new_reference->id_block_sha256))
        return;
    diff_bytes(changes, "id-key", "ID key", was ? was->id_key_digest : NULL, is ? is->id_key_digest : NULL,
               MEASURE_SHA384_SIZE);
    diff_bytes(changes, "author-key-digest", "author key", was && was->has_author_key ? was->author_key_digest : NULL,
               is && is->has_author_key ? is->author_key_digest : NULL, MEASURE_SHA384_SIZE);
    diff_bytes(changes, "family-id", "family ID", was ? was->family_id : NULL, is ? is->family_id : NULL,
               sizeof(was->family_id));
    diff_bytes(changes, "image-id", "image ID", was ? was->image_id : NULL, is ? is->image_id : NULL,
               sizeof(was->image_id));
    policy_change_add_text(changes, "guest-svn", "guest SVN", old_svn, new_svn);
}

static gchar *describe_tcb(const PolicyReference *reference)
{
    return reference->has_minimum_tcb ? policy_tcb_describe(&reference->minimum_tcb) : NULL;
}

static gchar *describe_platform_info(const PolicyReference *reference)
{
    return reference->has_platform_info
               ? g_strdup_printf("0x%" G_GINT64_MODIFIER "x/0x%" G_GINT64_MODIFIER "x", reference->platform_info,
                                 reference->platform_info_mask)
               : NULL;
}

/* Where both sides say it: an older document says nothing, and that is no change. */
static void diff_origin(GPtrArray *changes, const PolicyReference *old_reference, const PolicyReference *new_reference)
{
    if (old_reference->source && new_reference->source)
        policy_change_add_text(changes, "source", "source of the launch description", old_reference->source,
                               new_reference->source);
    for (guint i = 0; i < old_reference->inputs->len; i++) {
        const PolicyReferenceInput *was = g_ptr_array_index(old_reference->inputs, i);
        const PolicyReferenceInput *is = policy_reference_find_input(new_reference, was->role);
        g_autofree gchar *label = g_strdup_printf("origin of %s", was->role);

        /* Usually they all came with the launch description. */
        if (is && was->obtained && is->obtained &&
            (g_strcmp0(was->obtained, old_reference->source) || g_strcmp0(is->obtained, new_reference->source)))
            policy_change_add_text(changes, "obtained", label, was->obtained, is->obtained);
    }
}

void policy_diff_rules(GPtrArray *changes, const PolicyReference *old_reference, const PolicyReference *new_reference)
{
    g_autofree gchar *old_tcb = describe_tcb(old_reference);
    g_autofree gchar *new_tcb = describe_tcb(new_reference);
    g_autofree gchar *old_info = describe_platform_info(old_reference);
    g_autofree gchar *new_info = describe_platform_info(new_reference);
    const PolicyReferenceVerity *was = old_reference->verity;
    const PolicyReferenceVerity *is = new_reference->verity;

    policy_change_add_text(changes, "product", "product", old_reference->product, new_reference->product);
    policy_change_add_text(changes, "minimum-tcb", "minimum TCB", old_tcb, new_tcb);
    policy_change_add_text(changes, "platform-info", "rule for the platform information", old_info, new_info);
    diff_identity(changes, old_reference, new_reference);
    if (was && is)
        policy_change_add_text(changes, "root-hash", "dm-verity root hash", was->root_hash, is->root_hash);
    diff_origin(changes, old_reference, new_reference);
    if (old_reference->form != POLICY_REFERENCE_PINNED || new_reference->form != POLICY_REFERENCE_PINNED)
        return;
    policy_change_add_text(changes, "signed", "signed document", old_reference->signed_text ? "yes" : "no",
                           new_reference->signed_text ? "yes" : "no");
    policy_change_add_text(changes, "on-mismatch", "onMismatch",
                           old_reference->on_mismatch == XML_ON_MISMATCH_OBSERVE ? "observe" : "refuse",
                           new_reference->on_mismatch == XML_ON_MISMATCH_OBSERVE ? "observe" : "refuse");
}
