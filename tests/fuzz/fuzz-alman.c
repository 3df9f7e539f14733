/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ALman's four files: what is taken can be written, and comes out the same the second time. */
#include <stdint.h>
#include <string.h>

#include "policy/exchange/alman.h"
#include "tests/fuzz/exchange-oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_conf(const char *text, gssize size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ExchangeAlmanConf) conf = exchange_alman_conf_parse(text, size, &error);
    g_autofree gchar *written = NULL;
    g_autofree gchar *again = NULL;
    g_autoptr(ExchangeAlmanConf) back = NULL;

    if (!conf) {
        check_error(&error);
        return;
    }
    written = exchange_alman_conf_format(conf, NULL);
    back = written ? exchange_alman_conf_parse(written, -1, NULL) : NULL;
    again = back ? exchange_alman_conf_format(back, NULL) : NULL;
    if (!again || strcmp(again, written) || strcmp(back->qemu_bin, conf->qemu_bin))
        abort();
}

static void check_cpus(const char *text, gssize size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) cpus = exchange_alman_cpus_parse(text, size, &error);
    g_autoptr(GPtrArray) names = exchange_alman_legal_parse(text, size, NULL);
    g_autoptr(GPtrArray) back = NULL;
    g_autofree gchar *written = NULL;
    g_autofree gchar *again = NULL;

    if (names) {
        written = exchange_alman_legal_format(names);
        g_clear_pointer(&written, g_free);
    }
    if (!cpus) {
        check_error(&error);
        return;
    }
    written = exchange_alman_cpus_format(cpus);
    back = exchange_alman_cpus_parse(written, -1, NULL);
    again = back ? exchange_alman_cpus_format(back) : NULL;
    if (!again || strcmp(again, written))
        abort();
}

static void check_expected(const char *text, gssize size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) guests = exchange_alman_expected_parse(text, size, &error);

    if (!guests) {
        check_error(&error);
        return;
    }
    for (guint i = 0; i < guests->len; i++) {
        ExchangeAlmanGuest *guest = g_ptr_array_index(guests, i);
        g_autofree gchar *merged = NULL;
        g_autofree gchar *again = NULL;
        g_autoptr(GPtrArray) back = NULL;

        if (guest->broken) {
            check_error(&guest->broken);
            continue;
        }
        merged = exchange_alman_expected_merge(text, size, guest, NULL);
        if (!merged)
            abort();
        back = exchange_alman_expected_parse(merged, -1, NULL);
        again = exchange_alman_expected_merge(merged, -1, guest, NULL);
        /* Indentation can make a file that was just small enough too large. */
        if (!back || !again) {
            if (strlen(merged) < 4u * 1024 * 1024)
                abort();
        } else if (back->len != guests->len || strcmp(again, merged)) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = data ? (const char *)data : "";

    check_conf(text, (gssize)size);
    check_cpus(text, (gssize)size);
    check_expected(text, (gssize)size);
    return 0;
}
