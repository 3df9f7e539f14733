/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/report/report.h"

#define VERSION_MIN 2
#define REPORT_DATA_OFFSET 0x50

bool guest_report_fail(GuestReportError *error, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    error->code = code;
    return false;
}

void guest_report_clear(GuestReport *report)
{
    free(report->table);
    report->table = NULL;
    report->table_size = 0;
}

bool guest_report_check(const GuestReportRequest *request, const uint8_t *bytes, size_t size, GuestReportError *error)
{
    if (size != GUEST_REPORT_SIZE)
        return guest_report_fail(error, 3, "the answer has %zu bytes instead of the %d of a report", size,
                                 GUEST_REPORT_SIZE);
    if (bytes[0] < VERSION_MIN || bytes[1] || bytes[2] || bytes[3])
        return guest_report_fail(error, 3, "the answer is no report: it has no version that a report can have");
    if (memcmp(bytes + REPORT_DATA_OFFSET, request->data, GUEST_REPORT_DATA_SIZE) != 0)
        return guest_report_fail(error, 3, "the report does not have the report data that was asked for");
    return true;
}

bool guest_report_fetch(const GuestReportRequest *request, GuestReport *out, GuestReportError *error)
{
    bool absent = false;

    memset(out, 0, sizeof(*out));
    if (guest_report_from_tsm(request, out, &absent, error))
        return true;
    guest_report_clear(out);
    if (!absent)
        return false;
    if (guest_report_from_device(request, out, &absent, error))
        return true;
    guest_report_clear(out);
    if (absent)
        guest_report_fail(error, 4,
                          "there is neither '%s' nor '%s': this is no SEV-SNP guest, or its kernel has not loaded "
                          "sev-guest (modprobe sev-guest)",
                          request->tsm, request->device);
    return false;
}
