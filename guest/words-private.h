/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the files that read command lines and lists; nobody else includes it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of a text; not terminated. */
typedef struct {
    const char *text;
    size_t size;
} GuestSpan;

/* What ends a word for the kernel: isspace() of its own table, which counts the no-break space of Latin-1 too. */
bool guest_is_blank(char c);

/* Takes the next word off @at as the kernel's next_arg() does; false at the end. A quote in front is not part of it. */
bool guest_next_word(const char **at, GuestSpan *word);

/* The span is exactly @text. */
bool guest_span_is(GuestSpan span, const char *text);

/* Up to the first @separator, which is taken off @rest; without one all of it, and @rest is empty with a NULL text. */
GuestSpan guest_span_split(GuestSpan *rest, char separator);

/* Takes @prefix off the front of @span; false when it is not there. */
bool guest_span_skip(GuestSpan *span, const char *prefix);

/* Decimal digits without sign or leading zero, at most @max. */
bool guest_span_number(GuestSpan span, uint64_t max, uint64_t *out);

/* Pairs of hex digits, one to @max bytes. */
bool guest_span_hex(GuestSpan span, uint8_t *out, size_t max, size_t *size);

/* 36 characters, either case. */
bool guest_span_uuid(GuestSpan span, uint8_t out[16]);

/*
 * Writes @span, terminated, into @out of @size bytes (at least 1): what is not printable ASCII becomes "?", and a span
 * that does not fit ends in "...".
 */
void guest_span_print(GuestSpan span, char *out, size_t size);
