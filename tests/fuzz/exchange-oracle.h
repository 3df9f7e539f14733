/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold for every message about hostile bytes. */
#pragma once

#include <glib.h>
#include <stdlib.h>

/* Aborts unless @error is there and its message is one line of text. Clears it. */
static inline void check_error(GError **error)
{
    if (!*error || !g_utf8_validate((*error)->message, -1, NULL))
        abort();
    for (const char *at = (*error)->message; *at; at++) {
        if (g_ascii_iscntrl(*at))
            abort();
    }
    g_clear_error(error);
}
