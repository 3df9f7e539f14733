/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/fetch-report.h"

void cmd_answer_clear(CmdAnswer *answer)
{
    g_clear_pointer(&answer->nonce, g_free);
    g_clear_pointer(&answer->answer, g_free);
    if (answer->line) {
        g_string_free(g_steal_pointer(&answer->line), TRUE);
    }
}

gboolean cmd_answer_add(CmdAnswer *answer, const char *data, gsize size, GError **error)
{
    if (!answer->line) {
        answer->line = g_string_new(NULL);
    }
    answer->total += size;
    for (gsize i = 0; i < size && !answer->answer; i++) {
        if (data[i] != '\n') {
            g_string_append_c(answer->line, data[i]);
        } else if (memchr(answer->line->str, '\0', answer->line->len) || !strstr(answer->line->str, answer->nonce)) {
            /* To somebody else's request, or to none. */
            g_string_truncate(answer->line, 0);
        } else {
            answer->answer = g_strdup(answer->line->str);
        }
        if (answer->line->len > CMD_FETCH_MAX) {
            break;
        }
    }
    if (answer->answer || (answer->line->len <= CMD_FETCH_MAX && answer->total <= 4 * (gsize)CMD_FETCH_MAX)) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                "the guest sends more than %u bytes, and no answer among them", CMD_FETCH_MAX);
    return FALSE;
}
