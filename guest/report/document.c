/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The evidence document: one line of JSON. Nothing in it needs escaping but the text of an error. */
#include <nettle/base64.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/report/report.h"

/* Every member but the long ones, and what is between them. */
#define FRAME 1024

static void add(char **at, const char *end, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void add(char **at, const char *end, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(*at, (size_t)(end - *at), format, args);
    va_end(args);
    if (n > 0)
        *at += n < end - *at ? n : end - *at - 1;
}

static void add_hex(char **at, const char *end, const char *name, const uint8_t *data, size_t size)
{
    add(at, end, ",\"%s\":\"", name);
    if ((size_t)(end - *at) > 2 * size) {
        guest_report_put_hex(data, size, *at);
        *at += 2 * size;
    }
    add(at, end, "\"");
}

static void add_base64(char **at, const char *end, const char *name, const uint8_t *data, size_t size)
{
    add(at, end, ",\"%s\":\"", name);
    if ((size_t)(end - *at) > BASE64_ENCODE_RAW_LENGTH(size)) {
        base64_encode_raw(*at, size, data);
        *at += BASE64_ENCODE_RAW_LENGTH(size);
    }
    add(at, end, "\"");
}

char *guest_report_document(const GuestReportRequest *request, const GuestReport *report, const GuestReportKey *key,
                            const uint8_t *nonce)
{
    size_t room = FRAME + (GUEST_REPORT_SIZE + report->table_size) / 3 * 4 + (key ? strlen(key->line) : 0);
    char *text = malloc(room), *at = text;
    const char *end = text + room;

    if (!text)
        return NULL;
    add(&at, end, "{\"format\":\"" GUEST_REPORT_FORMAT "\",\"provider\":\"%s\",\"vmpl\":%u", report->provider,
        (unsigned)report->bytes[0x30]);
    if (nonce)
        add_hex(&at, end, "nonce", nonce, GUEST_REPORT_NONCE_SIZE);
    add_hex(&at, end, "reportData", request->data, sizeof(request->data));
    add_base64(&at, end, "report", report->bytes, GUEST_REPORT_SIZE);
    if (report->table)
        add_base64(&at, end, "auxblob", report->table, report->table_size);
    if (key)
        add(&at, end, ",\"sshHostKey\":\"%s\"", key->line);
    add(&at, end, "}\n");
    return text;
}

char *guest_report_error_document(const uint8_t *nonce, const char *text)
{
    size_t room = FRAME + strlen(text);
    char *out = malloc(room), *at = out;
    const char *end = out + room;

    if (!out)
        return NULL;
    add(&at, end, "{\"format\":\"" GUEST_REPORT_FORMAT "\"");
    if (nonce)
        add_hex(&at, end, "nonce", nonce, GUEST_REPORT_NONCE_SIZE);
    add(&at, end, ",\"error\":\"");
    for (; *text; text++)
        add(&at, end, "%c", *text == '"' || *text == '\\' ? '\'' : *text < ' ' || *text > '~' ? '?' : *text);
    add(&at, end, "\"}\n");
    return out;
}
