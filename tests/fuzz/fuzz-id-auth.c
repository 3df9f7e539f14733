/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ID block and ID authentication page from anybody: first byte: whether the author is asked for; then the block, then
 * the page. Every judgement has its reasons, in plain text, and both functions judge alike.
 */
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "measure/error.h"
#include "policy/id-block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_problems(const GPtrArray *problems)
{
    for (guint i = 0; i < problems->len; i++) {
        const char *text = g_ptr_array_index(problems, i);

        if (!*text)
            abort();
        for (const char *p = text; *p; p++) {
            if (*p < ' ' || *p > '~')
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    guint8 block[POLICY_ID_BLOCK_SIZE] = {0}, again[POLICY_ID_BLOCK_SIZE];
    gsize head = MIN(size, 1 + sizeof(block));
    g_autoptr(GError) error = NULL;
    PolicyIdBlock parsed;
    PolicyIdentity identity;

    if (!size)
        return 0;
    memcpy(block, data + 1, head - 1);
    if (policy_id_block_parse(block, sizeof(block), &parsed, NULL)) {
        policy_id_block_format(&parsed, again);
        if (memcmp(block, again, sizeof(block)))
            abort();
    }
    g_autoptr(GPtrArray) problems = policy_id_auth_problems(block, data + head, size - head, data[0] & 1, &identity);
    check_problems(problems);
    /* Both say the same. */
    if (policy_id_auth_verify(block, data + head, size - head, data[0] & 1, NULL, &error) != (problems->len == 0))
        abort();
    if (error && error->code != ATTEST_ERROR_REJECTED && error->code != ATTEST_ERROR_UNREADABLE)
        abort();
    return 0;
}
