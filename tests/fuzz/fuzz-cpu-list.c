/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A list of CPU types: what is taken has entries, none of them twice; what is not has a reason that is safe to print. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/fleet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) cpus = policy_cpu_list_parse(data ? (const char *)data : "", size, "the list", &error);

    if (!cpus) {
        if (!g_utf8_validate(error->message, -1, NULL))
            abort();
        for (const char *at = error->message; *at; at++) {
            if (g_ascii_iscntrl(*at))
                abort();
        }
        return 0;
    }
    if (!cpus->len || cpus->len > POLICY_CPU_LIST_MAX)
        abort();
    for (guint i = 1; i < cpus->len; i++) {
        const MeasureCpu *last = g_ptr_array_index(cpus, i - 1);
        const MeasureCpu *each = g_ptr_array_index(cpus, i);

        if (last->signature == each->signature && !g_strcmp0(last->name, each->name))
            abort();
    }
    return 0;
}
