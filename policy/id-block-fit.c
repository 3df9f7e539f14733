/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether an ID block goes with the domain that carries it. */
#include <string.h>

#include "measure/bytes.h"
#include "policy/evaluate-private.h"
#include "policy/guest-policy.h"
#include "policy/id-block.h"
#include "policy/text.h"

static gboolean is_measured(const GPtrArray *measurements, const guint8 *digest)
{
    for (guint i = 0; i < measurements->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(measurements, i);

        if (each->digest.size == MEASURE_SHA384_SIZE &&
            measure_digest_equal(each->digest.bytes, digest, MEASURE_SHA384_SIZE))
            return TRUE;
    }
    return FALSE;
}

static void add_digest(GPtrArray *misfits, const PolicyIdBlock *block, const GPtrArray *measurements)
{
    const XmlMeasurement *first = g_ptr_array_index(measurements, 0);
    g_autofree gchar *wanted = measure_hex_encode(block->digest, sizeof(block->digest));
    g_autofree gchar *measured = measure_digest_hex(&first->digest);
    g_autofree gchar *short_wanted = policy_short_digest(wanted);
    g_autofree gchar *short_measured = policy_short_digest(measured);

    g_ptr_array_add(misfits, g_strdup_printf("it is for launch digest %s, and the domain measures %s%s", short_wanted,
                                             short_measured, measurements->len > 1 ? " or another one" : ""));
}

static void add_policy(GPtrArray *misfits, guint64 wanted, guint64 found)
{
    g_autofree gchar *was = policy_guest_describe(MEASURE_PLATFORM_SNP, wanted);
    g_autofree gchar *is = policy_guest_describe(MEASURE_PLATFORM_SNP, found);

    g_ptr_array_add(misfits, g_strdup_printf("it is for guest policy %s, and the domain has %s", was, is));
}

GPtrArray *policy_id_block_misfits(const XmlDomain *domain, guint64 policy, const GPtrArray *measurements)
{
    g_autoptr(GPtrArray) misfits = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    PolicyIdBlock block;

    if (!domain->id_block || !domain->id_auth) {
        g_ptr_array_add(misfits, g_strdup_printf("<%s> is missing beside <%s>", domain->id_block ? "idAuth" : "idBlock",
                                                 domain->id_block ? "idBlock" : "idAuth"));
        return g_steal_pointer(&misfits);
    }
    if (policy_id_block_parse(g_bytes_get_data(domain->id_block, NULL), g_bytes_get_size(domain->id_block), &block,
                              &error)) {
        if (measurements->len && !is_measured(measurements, block.digest))
            add_digest(misfits, &block, measurements);
        if (block.policy != policy)
            add_policy(misfits, block.policy, policy);
    }
    g_autoptr(GPtrArray) problems =
        policy_id_auth_problems(g_bytes_get_data(domain->id_block, NULL), g_bytes_get_data(domain->id_auth, NULL),
                                g_bytes_get_size(domain->id_auth), domain->author_key, NULL);
    for (guint i = 0; i < problems->len; i++)
        g_ptr_array_add(misfits, g_strdup(g_ptr_array_index(problems, i)));
    return g_steal_pointer(&misfits);
}

void policy_evaluate_id_block(PolicyEvaluation *evaluation, const XmlDomain *domain)
{
    g_autoptr(GPtrArray) misfits = NULL;

    if (evaluation->platform != MEASURE_PLATFORM_SNP || (!domain->id_block && !domain->id_auth))
        return;
    misfits = policy_id_block_misfits(domain, evaluation->policy, evaluation->measurements);
    if (!misfits->len) {
        policy_evaluation_add(evaluation, "id-block", 2, POLICY_PASS,
                              evaluation->measurements->len
                                  ? "by the ID block the processor itself refuses to launch anything else"
                                  : "the ID block is well signed; whether its digest fits cannot be told");
        return;
    }
    g_ptr_array_add(misfits, NULL);
    g_autofree gchar *text = g_strjoinv("; ", (gchar **)misfits->pdata);
    policy_evaluation_add(evaluation, "id-block", 2, POLICY_NOTE,
                          "the processor will refuse to start this domain with its ID block: %s: make a new one with "
                          "'virt-attest define --id-key', or remove <idBlock> and <idAuth>",
                          text);
}
