/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/**
 * AttestError:
 * @ATTEST_ERROR_REJECTED: measured, and the result is not what was expected
 * @ATTEST_ERROR_USAGE: the caller's words are wrong
 * @ATTEST_ERROR_UNREADABLE: an input cannot be read, parsed or measured
 * @ATTEST_ERROR_NOT_CONFIGURED: something that has to be installed or set up first is missing
 * @ATTEST_ERROR_LIBVIRT: libvirt refused
 *
 * The one error domain of the suite. A code is at the same time the exit code of
 * the program that reports it; 0 is success.
 *
 * Every message names what is wrong, where, and what to do; its first line stands alone.
 */
typedef enum {
    ATTEST_ERROR_REJECTED = 1,
    ATTEST_ERROR_USAGE = 2,
    ATTEST_ERROR_UNREADABLE = 3,
    ATTEST_ERROR_NOT_CONFIGURED = 4,
    ATTEST_ERROR_LIBVIRT = 5,
} AttestError;

#define ATTEST_ERROR (attest_error_quark())
GQuark attest_error_quark(void);

/**
 * attest_error_exit_code:
 * @error: an error, or %NULL for success
 *
 * Returns: the exit code for @error: 0 for %NULL, its code when it is of %ATTEST_ERROR, 3 otherwise.
 */
int attest_error_exit_code(const GError *error);

/**
 * measure_printable:
 * @text: (nullable): what somebody else chose, such as a path from a domain XML
 *
 * For messages: a control character would forge a line or command the terminal, a format one turn the reading
 * direction.
 *
 * Returns: (transfer full): @text as valid UTF-8 with such characters as `\xNN` or `\u{NNNN}`; "" for %NULL. What
 * was made printable once stays as it is.
 */
gchar *measure_printable(const char *text);
