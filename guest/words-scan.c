/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cutting texts of others into pieces and numbers, without copying, past no end. */
#include <string.h>

#include "guest/words-private.h"

bool guest_is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (unsigned char)c == 0xa0;
}

bool guest_span_is(GuestSpan span, const char *text)
{
    return span.size == strlen(text) && !memcmp(span.text, text, span.size);
}

void guest_span_print(GuestSpan span, char *out, size_t size)
{
    size_t room = size - 1, keep = span.size;
    bool cut = keep > room;

    if (cut)
        keep = room > 3 ? room - 3 : 0;
    for (size_t i = 0; i < keep; i++)
        out[i] = span.text[i] >= ' ' && span.text[i] <= '~' ? span.text[i] : '?';
    out[keep] = '\0';
    if (cut && room > 3)
        memcpy(out + keep, "...", 4);
}

bool guest_next_word(const char **at, GuestSpan *word)
{
    const char *p = *at;
    bool in_quote = false, quoted = false;

    while (guest_is_blank(*p))
        p++;
    if (!*p)
        return false;
    if (*p == '"') {
        in_quote = quoted = true;
        p++;
    }
    word->text = p;
    for (; *p && (in_quote || !guest_is_blank(*p)); p++) {
        if (*p == '"')
            in_quote = !in_quote;
    }
    word->size = (size_t)(p - word->text);
    if (quoted && word->size && word->text[word->size - 1] == '"')
        word->size--;
    *at = p;
    return true;
}

GuestSpan guest_span_split(GuestSpan *rest, char separator)
{
    GuestSpan head = *rest;
    const char *found = rest->size ? memchr(rest->text, separator, rest->size) : NULL;

    if (!found) {
        *rest = (GuestSpan){NULL, 0};
        return head;
    }
    head.size = (size_t)(found - head.text);
    rest->text = found + 1;
    rest->size -= head.size + 1;
    return head;
}

bool guest_span_skip(GuestSpan *span, const char *prefix)
{
    size_t size = strlen(prefix);

    if (span->size < size || memcmp(span->text, prefix, size) != 0)
        return false;
    span->text += size;
    span->size -= size;
    return true;
}

bool guest_span_number(GuestSpan span, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (!span.size || (span.text[0] == '0' && span.size > 1))
        return false;
    for (size_t i = 0; i < span.size; i++) {
        unsigned digit = (unsigned)(unsigned char)span.text[i] - '0';

        if (digit > 9 || digit > max || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool guest_span_hex(GuestSpan span, uint8_t *out, size_t max, size_t *size)
{
    if (!span.size || span.size % 2 || span.size / 2 > max)
        return false;
    for (size_t i = 0; i < span.size; i += 2) {
        int high = hex_digit(span.text[i]), low = hex_digit(span.text[i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    *size = span.size / 2;
    return true;
}

bool guest_span_uuid(GuestSpan span, uint8_t out[16])
{
    size_t n = 0;

    if (span.size != 36)
        return false;
    for (size_t i = 0; i < 36;) {
        size_t taken;

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (span.text[i++] != '-')
                return false;
        }
        if (!guest_span_hex((GuestSpan){span.text + i, 2}, out + n, 1, &taken))
            return false;
        n++;
        i += 2;
    }
    return true;
}
