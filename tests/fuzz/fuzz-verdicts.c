/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A list of verdicts. */
#include "policy/verdict-record.h"
#include "tests/fuzz/history-fixture.h"

/* What can be read can be added to, and read again. */
static void read_verdicts(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = policy_verdicts_read(store, UUID, &error);

    if (!entries && !error)
        abort();
    for (guint i = 0; entries && i < MIN(entries->len, 4); i++) {
        g_autoptr(GPtrArray) again = NULL;
        g_autofree gchar *aside = NULL;

        if (!policy_verdicts_append(store, UUID, "guest1", g_ptr_array_index(entries, i), 1000, &aside, NULL) || aside)
            abort();
        again = policy_verdicts_read(store, UUID, NULL);
        if (!again || again->len != MIN(entries->len + i + 1, 1000))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    history_set_up("verdicts");
    history_feed(data, size, read_verdicts);
    return 0;
}
