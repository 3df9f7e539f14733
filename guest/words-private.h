/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the files that read and write command lines; nobody else includes it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A piece of a command line; not terminated. */
typedef struct {
    const char *text;
    size_t size;
} GuestSpan;

/* What ends a word for the kernel: isspace() of its own character table, which counts the Latin-1 no-break space too. */
bool guest_is_blank(char c);

/* The span is exactly @text. */
bool guest_span_is(GuestSpan span, const char *text);

/*
 * Writes @span, terminated, into @out of @size bytes (at least 1): what is not printable ASCII becomes "?", and a span that does not
 * fit ends in "...".
 */
void guest_span_print(GuestSpan span, char *out, size_t size);
