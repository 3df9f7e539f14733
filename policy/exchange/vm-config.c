/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/exchange/vm-config.h"

#include <string.h>

#include "measure/error.h"
#include "policy/exchange/toml.h"

#define FILE_NAME "vm-config.toml"
#define TCB_TABLE "min_commited_tcb"

typedef enum {
    KEY_TEXT,
    KEY_NUMBER, /* guint64, at most @max */
    KEY_COUNT,  /* guint, 1 to @max */
    KEY_BYTE,   /* guint8 */
    KEY_ID,     /* 16 bytes in hexadecimal */
    KEY_ZEROS,  /* four zeros: reserved bytes of the TCB version */
} KeyKind;

typedef struct {
    const char *table, *name;
    KeyKind kind;
    gsize offset;
    guint64 max;
    gboolean hex; /* how the example writes it */
} Key;

#define AT(member) G_STRUCT_OFFSET(ExchangeVmConfig, member)

/* In the order of openend2e's example, root first. */
static const Key keys[] = {
    {"", "host_cpu_family", KEY_TEXT, AT(host_cpu_family), 0, FALSE},
    {"", "vcpu_count", KEY_COUNT, AT(vcpu_count), MEASURE_MAX_VCPUS, FALSE},
    {"", "ovmf_file", KEY_TEXT, AT(ovmf_file), 0, FALSE},
    {"", "guest_features", KEY_NUMBER, AT(guest_features), G_MAXINT64, TRUE},
    {"", "kernel_file", KEY_TEXT, AT(kernel_file), 0, FALSE},
    {"", "initrd_file", KEY_TEXT, AT(initrd_file), 0, FALSE},
    {"", "kernel_cmdline", KEY_TEXT, AT(kernel_cmdline), 0, FALSE},
    {"", "platform_info", KEY_NUMBER, AT(platform_info), G_MAXINT64, TRUE},
    {"", "guest_policy", KEY_NUMBER, AT(guest_policy), G_MAXINT64, TRUE},
    {"", "family_id", KEY_ID, AT(family_id), 0, FALSE},
    {"", "image_id", KEY_ID, AT(image_id), 0, FALSE},
    {TCB_TABLE, "bootloader", KEY_BYTE, AT(minimum_tcb.bootloader), G_MAXUINT8, FALSE},
    {TCB_TABLE, "tee", KEY_BYTE, AT(minimum_tcb.tee), G_MAXUINT8, FALSE},
    {TCB_TABLE, "snp", KEY_BYTE, AT(minimum_tcb.snp), G_MAXUINT8, FALSE},
    {TCB_TABLE, "microcode", KEY_BYTE, AT(minimum_tcb.microcode), G_MAXUINT8, FALSE},
    {TCB_TABLE, "_reserved", KEY_ZEROS, 0, 0, FALSE},
};

void exchange_vm_config_free(ExchangeVmConfig *config)
{
    if (!config)
        return;
    g_free(config->host_cpu_family);
    g_free(config->ovmf_file);
    g_free(config->kernel_file);
    g_free(config->initrd_file);
    g_free(config->kernel_cmdline);
    g_ptr_array_unref(config->unknown);
    g_free(config);
}

static ExchangeVmConfig *config_new(void)
{
    ExchangeVmConfig *config = g_new0(ExchangeVmConfig, 1);

    config->unknown = g_ptr_array_new_with_free_func(g_free);
    config->minimum_tcb.fmc = -1;
    return config;
}

/* ---- reading ---- */

static gboolean fail(GError **error, const ExchangeTomlEntry *entry, const char *what)
{
    return exchange_fail(error, ATTEST_ERROR_UNREADABLE, FILE_NAME ", line %u: %s is not %s", entry->line, entry->key,
                         what);
}

static gboolean read_number(const Key *key, const ExchangeTomlEntry *entry, guint64 min, guint64 *out, GError **error)
{
    g_autofree gchar *range =
        g_strdup_printf("a whole number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, min, key->max);

    if (entry->kind != EXCHANGE_TOML_INTEGER || entry->integer < 0 || (guint64)entry->integer < min ||
        (guint64)entry->integer > key->max)
        return fail(error, entry, range);
    *out = (guint64)entry->integer;
    return TRUE;
}

static gboolean read_zeros(const ExchangeTomlEntry *entry, GError **error)
{
    gboolean good = entry->kind == EXCHANGE_TOML_INTEGERS && entry->integers->len == 4;

    for (guint i = 0; good && i < 4; i++)
        good = g_array_index(entry->integers, gint64, i) == 0;
    return good || fail(error, entry, "[0, 0, 0, 0]");
}

static gboolean read_key(ExchangeVmConfig *config, const Key *key, const ExchangeTomlEntry *entry, GError **error)
{
    gpointer at = G_STRUCT_MEMBER_P(config, key->offset);
    guint64 number = 0;

    switch (key->kind) {
    case KEY_TEXT:
        if (entry->kind != EXCHANGE_TOML_STRING)
            return fail(error, entry, "a string");
        *(gchar **)at = g_strdup(entry->string);
        return TRUE;
    case KEY_NUMBER:
        return read_number(key, entry, 0, at, error);
    case KEY_COUNT:
        if (!read_number(key, entry, 1, &number, error))
            return FALSE;
        *(guint *)at = (guint)number;
        return TRUE;
    case KEY_BYTE:
        if (!read_number(key, entry, 0, &number, error))
            return FALSE;
        *(guint8 *)at = (guint8)number;
        return TRUE;
    case KEY_ID:
        return (entry->kind == EXCHANGE_TOML_STRING && measure_hex_decode(entry->string, at, 16)) ||
               fail(error, entry, "16 bytes as 32 hexadecimal digits");
    case KEY_ZEROS:
        break;
    }
    return read_zeros(entry, error);
}

static gint find_key(const ExchangeTomlEntry *entry)
{
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (!strcmp(keys[i].table, entry->table) && !strcmp(keys[i].name, entry->key))
            return (gint)i;
    }
    return -1;
}

static gboolean check(const ExchangeVmConfig *config, GError **error)
{
    if (strcmp(config->host_cpu_family, "Milan") && strcmp(config->host_cpu_family, "Genoa"))
        return exchange_fail(error, ATTEST_ERROR_UNREADABLE, FILE_NAME ": host_cpu_family '%s' is not Milan or Genoa",
                             config->host_cpu_family);
    if (!*config->ovmf_file || !*config->kernel_file || !*config->initrd_file)
        return exchange_fail(error, ATTEST_ERROR_UNREADABLE,
                             FILE_NAME ": ovmf_file, kernel_file or initrd_file is empty");
    return TRUE;
}

ExchangeVmConfig *exchange_vm_config_parse(const char *text, gssize size, GError **error)
{
    g_autoptr(ExchangeVmConfig) config = config_new();
    g_autoptr(GPtrArray) entries = exchange_toml_parse(text, size, FILE_NAME, error);
    gboolean seen[G_N_ELEMENTS(keys)] = {FALSE};

    for (guint i = 0; entries && i < entries->len; i++) {
        const ExchangeTomlEntry *entry = g_ptr_array_index(entries, i);
        gint found = find_key(entry);

        if (found < 0) {
            g_ptr_array_add(config->unknown,
                            *entry->table ? g_strconcat(entry->table, ".", entry->key, NULL) : g_strdup(entry->key));
            continue;
        }
        seen[found] = TRUE;
        if (!read_key(config, &keys[found], entry, error))
            return NULL;
    }
    for (gsize i = 0; entries && i < G_N_ELEMENTS(keys); i++) {
        if (!seen[i]) {
            exchange_fail(error, ATTEST_ERROR_UNREADABLE, FILE_NAME " has no %s%s%s", keys[i].table,
                          *keys[i].table ? "." : "", keys[i].name);
            return NULL;
        }
    }
    return entries && check(config, error) ? g_steal_pointer(&config) : NULL;
}

/* ---- writing ---- */

static void write_key(GString *out, const ExchangeVmConfig *config, const Key *key)
{
    gconstpointer at = G_STRUCT_MEMBER_P(config, key->offset);
    g_autofree gchar *text = NULL;

    switch (key->kind) {
    case KEY_TEXT:
        text = exchange_toml_quote(*(gchar *const *)at);
        break;
    case KEY_NUMBER:
        text =
            g_strdup_printf(key->hex ? "0x%" G_GINT64_MODIFIER "x" : "%" G_GINT64_MODIFIER "u", *(const guint64 *)at);
        break;
    case KEY_COUNT:
        text = g_strdup_printf("%u", *(const guint *)at);
        break;
    case KEY_BYTE:
        text = g_strdup_printf("%u", *(const guint8 *)at);
        break;
    case KEY_ID: {
        g_autofree gchar *hex = measure_hex_encode(at, 16);

        text = exchange_toml_quote(hex);
        break;
    }
    case KEY_ZEROS:
        text = g_strdup("[0, 0, 0, 0]");
        break;
    }
    g_string_append_printf(out, "%s = %s\n", key->name, text);
}

gchar *exchange_vm_config_format(const ExchangeVmConfig *config)
{
    g_autoptr(GString) out = g_string_new(NULL);
    const char *table = "";

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (strcmp(table, keys[i].table)) {
            table = keys[i].table;
            g_string_append_printf(out, "\n[%s]\n", table);
        }
        write_key(out, config, &keys[i]);
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}

/* ---- between the file and our types ---- */

static gboolean has_outer_blanks(const char *text)
{
    gsize length = strlen(text);

    return length && (g_ascii_isspace(text[0]) || g_ascii_isspace(text[length - 1]));
}

static gboolean require_facts(const PolicyReference *reference, GError **error)
{
    if (!reference->product)
        return exchange_fail(error, ATTEST_ERROR_USAGE, FILE_NAME " says which processor it is: give --product");
    if (strcmp(reference->product, "Milan") && strcmp(reference->product, "Genoa"))
        return exchange_fail(error, ATTEST_ERROR_USAGE, FILE_NAME " knows Milan and Genoa, and the product is %s",
                             reference->product);
    if (!reference->has_minimum_tcb)
        return exchange_fail(error, ATTEST_ERROR_USAGE, FILE_NAME " says the lowest TCB: give --minimum-tcb");
    if (!reference->has_platform_info || reference->platform_info_mask != G_MAXUINT64)
        return exchange_fail(error, ATTEST_ERROR_USAGE,
                             FILE_NAME " says the whole platform information, every bit of it: "
                                       "give --platform-info without a mask");
    if (!*exchange_input(reference, "kernel", TRUE) || !*exchange_input(reference, "initrd", TRUE))
        return exchange_fail(error, ATTEST_ERROR_USAGE,
                             FILE_NAME " names kernel and initrd, and the reference does not");
    /* The library with which openend2e computes the digest cuts them off before it hashes; QEMU does not. */
    if (has_outer_blanks(exchange_input(reference, "cmdline", FALSE)))
        return exchange_fail(error, ATTEST_ERROR_USAGE,
                             "the command line begins or ends with a blank, which openend2e "
                             "would not measure: take it away");
    return TRUE;
}

/* openend2e computes the digest itself, with a CPU of its own choice: another one would never match. */
static gboolean require_cpu(const PolicyReference *reference, GError **error)
{
    g_autoptr(MeasureCpu) cpu = measure_cpu_from_name(EXCHANGE_VM_CONFIG_CPU, error);

    gboolean found = FALSE, other = FALSE;

    if (!cpu)
        return FALSE;
    for (guint i = 0; i < reference->measurements->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(reference->measurements, i);

        found = found || each->signature == cpu->signature;
        other = other || each->signature != cpu->signature;
    }
    if (!found)
        return exchange_fail(error, ATTEST_ERROR_USAGE,
                             "openend2e measures for " EXCHANGE_VM_CONFIG_CPU ", and the reference has no measurement "
                             "for it: give the domain this CPU model");
    if (other)
        return exchange_fail(error, ATTEST_ERROR_USAGE,
                             "openend2e measures for " EXCHANGE_VM_CONFIG_CPU " alone, and the reference has other CPU "
                             "types as well: choose " EXCHANGE_VM_CONFIG_CPU " with --cpu");
    return TRUE;
}

ExchangeVmConfig *exchange_vm_config_from_reference(const PolicyReference *reference, GError **error)
{
    g_autoptr(ExchangeVmConfig) config = config_new();

    if (!exchange_require_snp(reference, FILE_NAME, error) || !require_facts(reference, error) ||
        !require_cpu(reference, error) || !(config->vcpu_count = exchange_only_vcpus(reference, FILE_NAME, error)) ||
        !exchange_only_features(reference, FILE_NAME, &config->guest_features, error))
        return NULL;
    config->host_cpu_family = g_strdup(reference->product);
    config->ovmf_file = g_strdup(exchange_input(reference, "firmware", TRUE));
    config->kernel_file = g_strdup(exchange_input(reference, "kernel", TRUE));
    config->initrd_file = g_strdup(exchange_input(reference, "initrd", TRUE));
    config->kernel_cmdline = g_strdup(exchange_input(reference, "cmdline", FALSE));
    config->platform_info = reference->platform_info;
    config->guest_policy = reference->policy;
    if (config->platform_info > G_MAXINT64 || config->guest_policy > G_MAXINT64) {
        exchange_fail(error, ATTEST_ERROR_USAGE, "TOML has no number as large as this policy or platform information");
        return NULL;
    }
    config->minimum_tcb = reference->minimum_tcb;
    if (reference->identity) {
        memcpy(config->family_id, reference->identity->family_id, sizeof(config->family_id));
        memcpy(config->image_id, reference->identity->image_id, sizeof(config->image_id));
    }
    return g_steal_pointer(&config);
}

XmlCompose *exchange_vm_config_to_compose(const ExchangeVmConfig *config, const char *name, GError **error)
{
    const char *const paths[] = {config->ovmf_file, config->kernel_file, config->initrd_file};
    g_autoptr(XmlCompose) compose = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
        if (*paths[i] != '/') {
            exchange_fail(error, ATTEST_ERROR_UNREADABLE,
                          FILE_NAME ": '%s' is not an absolute path, and libvirt needs one", paths[i]);
            return NULL;
        }
    }
    compose = xml_compose_new();
    compose->name = g_strdup(name);
    compose->level = 3;
    compose->snp = TRUE;
    compose->policy = config->guest_policy;
    compose->vcpus = config->vcpu_count;
    compose->memory_mib = 4096; /* openend2e's default: the file does not say */
    g_free(compose->cpu);
    compose->cpu = g_strdup(EXCHANGE_VM_CONFIG_CPU);
    compose->firmware = g_strdup(config->ovmf_file);
    compose->kernel = g_strdup(config->kernel_file);
    compose->initrd = g_strdup(config->initrd_file);
    compose->cmdline = *config->kernel_cmdline ? g_strdup(config->kernel_cmdline) : NULL;
    compose->console = TRUE;
    return g_steal_pointer(&compose);
}

void exchange_vm_config_to_reference(const ExchangeVmConfig *config, PolicyReference *reference)
{
    g_free(reference->product);
    reference->product = g_strdup(config->host_cpu_family);
    reference->has_minimum_tcb = TRUE;
    reference->minimum_tcb = config->minimum_tcb;
    reference->has_platform_info = TRUE;
    reference->platform_info = config->platform_info;
    reference->platform_info_mask = G_MAXUINT64;
}
