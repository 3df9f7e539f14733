/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the fuzz targets of the verifier share. */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "measure/error.h"
#include "policy/appraisal/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A refusal has the one code of unreadable input, and a line that is fit for a terminal. */
static inline void fuzz_check_error(const GError *error)
{
    if (!g_error_matches(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE) || !g_utf8_validate(error->message, -1, NULL))
        abort();
    for (const char *at = error->message; *at; at++) {
        if (g_ascii_iscntrl(*at))
            abort();
    }
}

/* A report that was taken is the input to the byte, and its parts are those bytes. */
static inline void fuzz_check_report(const AppraisalReport *report)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalReport) again = appraisal_report_parse(report->raw, sizeof(report->raw), &error);
    g_autofree gchar *chip = appraisal_report_chip(report, report->line);

    if (!again || again->line != report->line || again->unusual->len != report->unusual->len)
        abort();
    if (chip && strlen(chip) != 16 && strlen(chip) != 128)
        abort();
    if (memcmp(report->measurement, report->raw + 0x90, sizeof(report->measurement)) != 0)
        abort();
}
