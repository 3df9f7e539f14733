/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A certificate table: what is taken, written anew, gives the same certificates. */
#include "tests/fuzz/appraisal-fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GPtrArray) blobs = appraisal_blobs_new();
    g_autoptr(GPtrArray) again = appraisal_blobs_new();
    g_autoptr(GError) error = NULL;

    if (!appraisal_table_parse(data, size, blobs, &error)) {
        fuzz_check_error(error);
        return 0;
    }
    g_autoptr(GBytes) table = appraisal_table_format(blobs);
    if (!appraisal_table_parse(g_bytes_get_data(table, NULL), g_bytes_get_size(table), again, &error) ||
        again->len != blobs->len)
        abort();
    for (guint i = 0; i < blobs->len; i++) {
        const AppraisalBlob *one = g_ptr_array_index(blobs, i), *other = g_ptr_array_index(again, i);

        if (strcmp(one->role, other->role) != 0 || !g_bytes_equal(one->data, other->data))
            abort();
    }
    return 0;
}
