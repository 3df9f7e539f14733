/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/appraisal/private.h"

#include "measure/error.h"

gboolean appraisal_refuse(GError **error, const char *what, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree gchar *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s: %s", what, text);
    return FALSE;
}

gboolean appraisal_all_zero(const guint8 *data, gsize size)
{
    for (gsize i = 0; i < size; i++) {
        if (data[i])
            return FALSE;
    }
    return TRUE;
}
