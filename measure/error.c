/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure/error.h"

G_DEFINE_QUARK(attest-error-quark, attest_error)

int attest_error_exit_code(const GError *error)
{
    if (!error)
        return 0;
    if (error->domain == ATTEST_ERROR && error->code >= ATTEST_ERROR_REJECTED && error->code <= ATTEST_ERROR_LIBVIRT)
        return error->code;
    return ATTEST_ERROR_UNREADABLE;
}

static gboolean is_printable(gunichar c)
{
    switch (g_unichar_type(c)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
    case G_UNICODE_SURROGATE:
        return FALSE;
    default:
        return TRUE;
    }
}

gchar *measure_printable(const char *text)
{
    g_autofree gchar *valid = g_utf8_make_valid(text ? text : "", -1);
    g_autoptr(GString) shown = g_string_new(NULL);

    for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);

        if (is_printable(c))
            g_string_append_unichar(shown, c);
        else if (c < 0x100)
            g_string_append_printf(shown, "\\x%02x", (guint)c);
        else
            g_string_append_printf(shown, "\\u{%04x}", (guint)c);
    }
    return g_string_free(g_steal_pointer(&shown), FALSE);
}
