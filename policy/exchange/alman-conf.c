/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* alman.conf. */
#include <string.h>

#include "measure/error.h"
#include "policy/exchange/alman.h"

typedef struct {
    const char *name;
    gsize offset;
} Key;

static const Key keys[] = {
    {"SEV_SNP_MEASURE_PY", G_STRUCT_OFFSET(ExchangeAlmanConf, measure_py)},
    {"QEMU_BIN", G_STRUCT_OFFSET(ExchangeAlmanConf, qemu_bin)},
    {"OVMF_CODE", G_STRUCT_OFFSET(ExchangeAlmanConf, ovmf_code)},
    {"OVMF_VARS", G_STRUCT_OFFSET(ExchangeAlmanConf, ovmf_vars)},
    {"OVMF_AL2", G_STRUCT_OFFSET(ExchangeAlmanConf, ovmf_al2)},
    {"OVMF_AL34", G_STRUCT_OFFSET(ExchangeAlmanConf, ovmf_al34)},
};

static gchar **field(ExchangeAlmanConf *conf, const Key *key)
{
    return G_STRUCT_MEMBER_P(conf, key->offset);
}

void exchange_alman_conf_free(ExchangeAlmanConf *conf)
{
    if (!conf)
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++)
        g_free(*field(conf, &keys[i]));
    g_free(conf);
}

/* Every character of a value that a shell's read could trip over, or a terminal. */
static gboolean has_controls(const char *text)
{
    for (; *text; text++) {
        if (g_ascii_iscntrl(*text))
            return TRUE;
    }
    return FALSE;
}

static gboolean is_quote(char c)
{
    return c == '"' || c == '\'';
}

/* One pair of quotes around the whole value. FALSE for a lone quote, of which ALman makes an error too. */
static gboolean unquote(gchar *value)
{
    gsize length = strlen(value);

    if (!length || !is_quote(value[0]) || value[length - 1] != value[0])
        return TRUE;
    if (length == 1)
        return FALSE;
    value[length - 1] = '\0';
    memmove(value, value + 1, length - 1);
    return TRUE;
}

static const Key *find_key(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (!strcmp(keys[i].name, name))
            return &keys[i];
    }
    return NULL;
}

static gboolean read_line(ExchangeAlmanConf *conf, gchar *line, guint number, guint *seen, GError **error)
{
    const Key *key = NULL;
    gchar *equals = NULL, *value = NULL;

    g_strstrip(line);
    if (!*line || *line == '#')
        return TRUE;
    if (g_str_has_prefix(line, "export") && (line[6] == ' ' || line[6] == '\t'))
        line = g_strchug(line + 6);
    equals = strchr(line, '=');
    if (!equals)
        return exchange_fail(error, ATTEST_ERROR_UNREADABLE, "alman.conf, line %u: this is not KEY=VALUE", number);
    *equals = '\0';
    value = g_strstrip(equals + 1);
    key = find_key(g_strchomp(line));
    if (!key)
        return exchange_fail(error, ATTEST_ERROR_UNREADABLE, "alman.conf, line %u: ALman has no key '%s'", number,
                             line);
    if (*seen & (1u << (key - keys)))
        return exchange_fail(error, ATTEST_ERROR_UNREADABLE, "alman.conf, line %u: %s is given twice", number,
                             key->name);
    if (has_controls(value) || !unquote(value))
        return exchange_fail(error, ATTEST_ERROR_UNREADABLE,
                             "alman.conf, line %u: the value of %s has a control character or a lone quote", number,
                             key->name);
    *seen |= 1u << (key - keys);
    if (*value)
        *field(conf, key) = g_strdup(value);
    return TRUE;
}

ExchangeAlmanConf *exchange_alman_conf_parse(const char *text, gssize size, GError **error)
{
    g_autoptr(ExchangeAlmanConf) conf = g_new0(ExchangeAlmanConf, 1);
    gsize length = size < 0 ? strlen(text) : (gsize)size;
    g_autofree gchar *copy = NULL;
    g_auto(GStrv) lines = NULL;
    guint seen = 0;

    if (!exchange_check_text(text, length, EXCHANGE_ALMAN_CONF_MAX_SIZE, "alman.conf", error))
        return NULL;
    copy = g_strndup(text, length);
    lines = g_strsplit(copy, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        if (!read_line(conf, lines[i], i + 1, &seen, error))
            return NULL;
    }
    if (!conf->qemu_bin || !conf->ovmf_code) {
        exchange_fail(error, ATTEST_ERROR_UNREADABLE, "alman.conf has no %s, without which ALman does nothing",
                      conf->qemu_bin ? "OVMF_CODE" : "QEMU_BIN");
        return NULL;
    }
    return g_steal_pointer(&conf);
}

gchar *exchange_alman_conf_format(const ExchangeAlmanConf *conf, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        const char *value = *field((ExchangeAlmanConf *)conf, &keys[i]);
        gsize length = value ? strlen(value) : 0;
        gboolean quote;

        if (!length)
            continue;
        if (has_controls(value) || !g_utf8_validate(value, -1, NULL)) {
            exchange_fail(error, ATTEST_ERROR_USAGE, "alman.conf cannot hold '%s' for %s: it has a control character",
                          value, keys[i].name);
            return NULL;
        }
        /* What the reader would cut off or take for quotes of its own. */
        quote = g_ascii_isspace(value[0]) || g_ascii_isspace(value[length - 1]) || is_quote(value[0]);
        g_string_append_printf(out, quote ? "%s=\"%s\"\n" : "%s=%s\n", keys[i].name, value);
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}

ExchangeAlmanConf *exchange_alman_conf_from_reference(const PolicyReference *reference, GError **error)
{
    g_autoptr(ExchangeAlmanConf) conf = g_new0(ExchangeAlmanConf, 1);
    const char *firmware = exchange_input(reference, "firmware", TRUE);

    if (!*firmware || !reference->emulator) {
        exchange_fail(error, ATTEST_ERROR_USAGE, "alman.conf names %s, and the reference does not",
                      *firmware ? "a QEMU program" : "the firmware");
        return NULL;
    }
    conf->qemu_bin = g_strdup(reference->emulator);
    conf->ovmf_code = g_strdup(firmware);
    *(reference->kernel_hashes ? &conf->ovmf_al34 : &conf->ovmf_al2) = g_strdup(firmware);
    return g_steal_pointer(&conf);
}
