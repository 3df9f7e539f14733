/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nonce: report data that is good once. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>

#include "policy/appraisal/nonce.h"

int cmd_nonce(CmdContext *context, GError **error)
{
    PolicyStore *store = cmd_context_store_writable(context, error);
    guint8 nonce[APPRAISAL_NONCE_SIZE];
    if (!store || !appraisal_nonce_issue(store, g_get_real_time() / G_USEC_PER_SEC, nonce, error)) {
        return -1;
    }
    g_autofree gchar *hex = measure_hex_encode(nonce, sizeof(nonce));
    printf("%s\n", hex);
    return 0;
}
