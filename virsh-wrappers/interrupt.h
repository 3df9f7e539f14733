/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SIGINT, SIGTERM and SIGHUP in commands that make several things, of which none may be left alone. */
#pragma once

#include <glib.h>

/* From now on these signals are only remembered, the first of them; a second one ends the program at once. */
void cmd_interrupt_catch(void);
/* After a step: %FALSE with %ATTEST_ERROR_UNREADABLE when such a signal came, so that what was made is undone. */
gboolean cmd_interrupt_check(GError **error);
