/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/initrd-list.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "guest/words-private.h"
#include "guest/words.h"

#define HEADER "virt-attest-initrd 1"

static int fail(char *message, size_t line, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int fail(char *message, size_t line, const char *format, ...)
{
    char text[GUEST_MESSAGE_MAX / 2];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(message, GUEST_MESSAGE_MAX, "initrd.list, line %zu: %s", line, text);
    return -1;
}

static int fail_expected(char *message, size_t line, GuestSpan got, const char *expected)
{
    char quoted[48];

    guest_span_print(got, quoted, sizeof(quoted));
    return fail(message, line, "'%s' is not %s", quoted, expected);
}

/* The line without its newline; false when there is none. */
static bool next_line(GuestSpan *rest, GuestSpan *line)
{
    const char *end = rest->size ? memchr(rest->text, '\n', rest->size) : NULL;

    if (!end)
        return false;
    *line = (GuestSpan){rest->text, (size_t)(end - rest->text)};
    rest->text = end + 1;
    rest->size -= line->size + 1;
    return true;
}

/* A name that can be one part of a path, or a kernel's release. */
static bool take_name(GuestSpan span, char *out, size_t size)
{
    if (!span.size || span.size >= size || span.text[0] == '.')
        return false;
    for (size_t i = 0; i < span.size; i++) {
        char c = span.text[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
              c == '+' || c == '-' || c == '~'))
            return false;
    }
    memcpy(out, span.text, span.size);
    out[span.size] = '\0';
    return true;
}

/* "NNNN-NAME.ko", where NNNN is the place in the list. */
static bool take_module(GuestSpan span, size_t number, GuestModule *out)
{
    char prefix[24];
    GuestSpan name = span;

    snprintf(prefix, sizeof(prefix), "%04zu-", number);
    return guest_span_skip(&name, prefix) && name.size > 3 && !memcmp(name.text + name.size - 3, ".ko", 3) &&
           take_name(span, out->name, sizeof(out->name));
}

int guest_initrd_list_parse(const char *text, size_t size, GuestInitrdList *out, char *message)
{
    GuestSpan rest = {text, size}, line = {NULL, 0};
    size_t number = 1;

    memset(out, 0, sizeof(*out));
    message[0] = '\0';
    if (size > GUEST_INITRD_LIST_MAX)
        return fail(message, number, "the list is larger than %d bytes", GUEST_INITRD_LIST_MAX);
    if (!next_line(&rest, &line) || !guest_span_is(line, HEADER))
        return fail_expected(message, number, line, "'" HEADER "'");
    number++;
    line = (GuestSpan){NULL, 0};
    if (!next_line(&rest, &line) ||
        !(guest_span_is(line, "level 0") || guest_span_is(line, "level 3") || guest_span_is(line, "level 4")))
        return fail_expected(message, number, line, "'level 0', 'level 3' or 'level 4'");
    out->level = (unsigned)(line.text[6] - '0');
    number++;
    line = (GuestSpan){NULL, 0};
    if (!next_line(&rest, &line) || !guest_span_skip(&line, "kernel ") ||
        !take_name(line, out->kernel, sizeof(out->kernel)))
        return fail_expected(message, number, line, "'kernel RELEASE'");
    for (number++; rest.size; number++) {
        GuestModule *module = &out->modules[out->n_modules];

        if (!next_line(&rest, &line))
            return fail(message, number, "has no newline at its end");
        if (out->n_modules == GUEST_INITRD_MODULES_MAX)
            return fail(message, number, "more than %d modules", GUEST_INITRD_MODULES_MAX);
        if (guest_span_skip(&line, "module required "))
            module->required = true;
        else if (!guest_span_skip(&line, "module optional "))
            return fail_expected(message, number, line, "'module required|optional NAME'");
        if (!take_module(line, out->n_modules, module))
            return fail_expected(message, number, line, "a module's file name with its number in front");
        out->n_modules++;
    }
    return 0;
}
