/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A line from the host: what is taken is the one line that its nonce makes, and nothing else is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/report/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char digits[] = "0123456789abcdef", word[] = "virt-attest-report-1 ";
    uint8_t nonce[GUEST_REPORT_NONCE_SIZE];
    char line[sizeof(word) + 2 * sizeof(nonce)];
    size_t used = sizeof(word) - 1;

    if (!guest_report_request_parse((const char *)data, size, nonce))
        return 0;
    memcpy(line, word, used);
    for (size_t i = 0; i < sizeof(nonce); i++) {
        line[used++] = digits[nonce[i] >> 4];
        line[used++] = digits[nonce[i] & 15];
    }
    if (size != used || memcmp(line, data, size) != 0)
        abort();
    return 0;
}
