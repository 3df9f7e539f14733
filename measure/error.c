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
