/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TOML, and openend2e's configuration in it: what is taken comes out the same the second time. */
#include <stdint.h>
#include <string.h>

#include "policy/exchange/toml.h"
#include "policy/exchange/vm-config.h"
#include "tests/fuzz/exchange-oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_strings(const GPtrArray *entries)
{
    for (guint i = 0; i < entries->len; i++) {
        const ExchangeTomlEntry *entry = g_ptr_array_index(entries, i);
        g_autofree gchar *quoted = exchange_toml_quote(entry->string ? entry->string : entry->key);
        g_autofree gchar *line = g_strconcat("a=", quoted, NULL);
        g_autoptr(GPtrArray) back = exchange_toml_parse(line, -1, "again", NULL);

        /* Escapes can make a string that was just short enough too long. */
        if (!back ? strlen(line) <= EXCHANGE_TOML_MAX_SIZE
                  : strcmp(((const ExchangeTomlEntry *)g_ptr_array_index(back, 0))->string,
                           entry->string ? entry->string : entry->key) != 0)
            abort();
    }
}

static void check_config(const char *text, gssize size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ExchangeVmConfig) config = exchange_vm_config_parse(text, size, &error);
    g_autoptr(ExchangeVmConfig) back = NULL;
    g_autoptr(XmlCompose) compose = NULL;
    g_autofree gchar *written = NULL;
    g_autofree gchar *again = NULL;
    g_autofree gchar *xml = NULL;

    if (!config) {
        check_error(&error);
        return;
    }
    written = exchange_vm_config_format(config);
    back = exchange_vm_config_parse(written, -1, NULL);
    again = back ? exchange_vm_config_format(back) : NULL;
    if (!again ? strlen(written) <= EXCHANGE_TOML_MAX_SIZE : strcmp(again, written) != 0)
        abort();
    compose = exchange_vm_config_to_compose(config, "guest", &error);
    if (!compose) {
        check_error(&error);
        return;
    }
    xml = xml_compose_format(compose, &error);
    if (!xml)
        check_error(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = data ? (const char *)data : "";
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = exchange_toml_parse(text, (gssize)size, "the file", &error);

    if (entries)
        check_strings(entries);
    else
        check_error(&error);
    check_config(text, (gssize)size);
    return 0;
}
