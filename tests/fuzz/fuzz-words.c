/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kernel command line: what is taken is in range and comes back the same when written, what is not has a printable
 * reason. */
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    if (strlen(text) >= GUEST_MESSAGE_MAX)
        abort();
    for (; *text; text++) {
        if (*text < ' ' || *text > '~')
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree gchar *cmdline = g_strndup((const char *)data, size);
    char message[GUEST_MESSAGE_MAX], out[2048];
    GuestWords words, again;
    int present = guest_words_present(cmdline);

    if (guest_words_shell(cmdline, message) != (message[0] != '\0'))
        abort();
    check_text(message);
    if (guest_words_parse(cmdline, &words, message) < 0) {
        if (!message[0])
            abort();
        check_text(message);
        return 0;
    }
    if (!present || words.wait_seconds < 1 || words.wait_seconds > 600 || words.root.partition > GUEST_PARTITION_MAX ||
        words.has_verity != (words.level == 4) || !words.root.serial[0] == !words.root_partuuid[0])
        abort();
    /* Reading what was written must give the same structure, padding aside: both were cleared first. */
    if (!guest_words_format(&words, out, sizeof(out)) || guest_words_parse(out, &again, message) < 0 ||
        memcmp(&words, &again, sizeof(words)) != 0)
        abort();
    return 0;
}
