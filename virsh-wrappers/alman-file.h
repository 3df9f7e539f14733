/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* expected-measurements.json on disk, where ALman and other runs of this program write to it too. */
#pragma once

#include "policy/exchange/alman.h"

/**
 * cmd_alman_update:
 * @path: of the file; made with mode 0644 when it is not there
 * @guest: what goes into it
 *
 * Reads, merges and replaces the file under a lock on its folder (flock), for which it waits ten seconds. The new file
 * appears whole and keeps owner and mode of the old one. What is no such file is not touched.
 *
 * ALman itself takes no lock: do not run its "define" at the same time.
 *
 * Errors: %ATTEST_ERROR_UNREADABLE.
 */
gboolean cmd_alman_update(const char *path, const ExchangeAlmanGuest *guest, GError **error);
