/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the readers of hostile bytes here have in common. */
#pragma once

#include <glib.h>

/* Sets "WHAT: …" as %ATTEST_ERROR_UNREADABLE and returns %FALSE. */
gboolean appraisal_refuse(GError **error, const char *what, const char *format, ...) G_GNUC_PRINTF(3, 4);

gboolean appraisal_all_zero(const guint8 *data, gsize size);
