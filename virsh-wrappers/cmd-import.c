/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* import: what other programs have written: reference values, or a guest that can be defined. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>
#include <string.h>

#include "measure/error.h"
#include "policy/exchange/alman.h"
#include "policy/exchange/corim.h"
#include "policy/exchange/json-text.h"
#include "policy/exchange/savs.h"
#include "policy/exchange/toml.h"
#include "policy/exchange/trustee.h"
#include "policy/exchange/vm-config.h"
#include "policy/guest-policy.h"
#include "virsh-wrappers/import-write.h"
#include "virsh-wrappers/snpguard.h"

static JsonBuilder *begin_json(const char *format)
{
    JsonBuilder *builder = json_builder_new();
    json_builder_begin_object(builder);
    cmd_json_string(builder, "format", format);
    return builder;
}

static void end_json(JsonBuilder *builder)
{
    json_builder_end_object(builder);
    cmd_json_print(builder);
}

/* ---- lists of digests ---- */

static void print_digests_json(const char *format, const GPtrArray *digests, const GPtrArray *unbound)
{
    g_autoptr(JsonBuilder) builder = begin_json(format);
    json_builder_set_member_name(builder, "measurements");
    json_builder_begin_array(builder);
    for (guint i = 0; i < digests->len; i++) {
        const ExchangeDigest *each = g_ptr_array_index(digests, i);
        g_autofree gchar *hex = measure_hex_encode(each->bytes, sizeof(each->bytes));
        json_builder_begin_object(builder);
        cmd_json_string(builder, "name", each->label);
        cmd_json_string(builder, "digest", hex);
        if (each->has_svn) {
            cmd_json_integer(builder, "svn", (gint64)MIN(each->svn, (guint64)G_MAXINT64));
        }
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    cmd_json_strings(builder, "unbound", unbound);
    end_json(builder);
}

static void print_digests(const CmdContext *context, const char *format, const GPtrArray *digests,
                          const GPtrArray *unbound)
{
    for (guint i = 0; unbound && i < unbound->len; i++) {
        g_autofree gchar *name = cmd_printable(g_ptr_array_index(unbound, i));
        cmd_warn("deployment '%s' has no measurement: it hands its secret to any guest", name);
    }
    if (cmd_context_json(context)) {
        print_digests_json(format, digests, unbound);
        return;
    }
    g_autoptr(CmdTable) table = cmd_table_new("Name", "SVN", "Measurement", NULL);
    for (guint i = 0; i < digests->len; i++) {
        const ExchangeDigest *each = g_ptr_array_index(digests, i);
        g_autofree gchar *hex = measure_hex_encode(each->bytes, sizeof(each->bytes));
        g_autofree gchar *svn = each->has_svn ? g_strdup_printf("%" G_GUINT64_FORMAT, each->svn) : NULL;
        cmd_table_row(table, each->label, svn, hex);
    }
    cmd_table_print(table, cmd_context_quiet(context));
}

/* ---- ALman ---- */

static void add_guest_json(JsonBuilder *builder, const ExchangeAlmanGuest *guest)
{
    json_builder_begin_object(builder);
    cmd_json_string(builder, "name", guest->name);
    cmd_json_string(builder, "broken", guest->broken ? guest->broken->message : NULL);
    if (!guest->broken) {
        cmd_json_integer(builder, "level", guest->al);
        cmd_json_integer(builder, "vcpus", guest->vcpus);
        cmd_json_string(builder, "firmware", guest->ovmf);
        cmd_json_string(builder, "kernel", guest->kernel);
        cmd_json_string(builder, "initrd", guest->initrd);
        cmd_json_string(builder, "cmdline", guest->append);
        json_builder_set_member_name(builder, "measurements");
        json_builder_begin_array(builder);
        for (guint i = 0; i < guest->measurements->len; i++) {
            const ExchangeAlmanMeasurement *each = g_ptr_array_index(guest->measurements, i);
            g_autofree gchar *hex = measure_hex_encode(each->digest, sizeof(each->digest));
            json_builder_begin_object(builder);
            cmd_json_string(builder, "name", each->label);
            cmd_json_string(builder, "digest", hex);
            json_builder_end_object(builder);
        }
        json_builder_end_array(builder);
    }
    json_builder_end_object(builder);
}

static void add_guest_rows(CmdTable *table, const ExchangeAlmanGuest *guest)
{
    g_autofree gchar *level = g_strdup_printf("%u", guest->al);
    g_autofree gchar *vcpus = g_strdup_printf("%u", guest->vcpus);
    if (guest->broken) {
        cmd_table_row(table, guest->name, NULL, NULL, NULL, guest->broken->message);
    } else if (guest->measurements->len == 0) {
        cmd_table_row(table, guest->name, level, vcpus, NULL, NULL);
    }
    for (guint i = 0; i < guest->measurements->len; i++) {
        const ExchangeAlmanMeasurement *each = g_ptr_array_index(guest->measurements, i);
        g_autofree gchar *hex = measure_hex_encode(each->digest, sizeof(each->digest));
        cmd_table_row(table, guest->name, level, vcpus, each->label, hex);
    }
}

static int import_alman(CmdContext *context, const char *text, gsize size, GError **error)
{
    g_autoptr(GPtrArray) guests = exchange_alman_expected_parse(text, (gssize)size, error);
    guint broken = 0;
    if (!guests) {
        return -1;
    }
    g_autoptr(CmdTable) table = cmd_table_new("Name", "AL", "vCPUs", "CPU", "Measurement", NULL);
    g_autoptr(JsonBuilder) builder = begin_json("alman");
    json_builder_set_member_name(builder, "guests");
    json_builder_begin_array(builder);
    for (guint i = 0; i < guests->len; i++) {
        const ExchangeAlmanGuest *guest = g_ptr_array_index(guests, i);
        broken += guest->broken != NULL;
        add_guest_rows(table, guest);
        add_guest_json(builder, guest);
    }
    json_builder_end_array(builder);
    if (cmd_context_json(context)) {
        end_json(builder);
    } else {
        cmd_table_print(table, cmd_context_quiet(context));
    }
    return guests->len > 0 && broken == guests->len ? ATTEST_ERROR_UNREADABLE : 0;
}

/* ---- openend2e ---- */

/**
 * Guest:
 * @digest, @xml_path, @reference_path: (nullable): with --output-dir
 */
typedef struct {
    const ExchangeVmConfig *config;
    gchar *name, *digest, *xml_path, *reference_path;
} Guest;

static void guest_clear(Guest *guest)
{
    g_free(guest->name);
    g_free(guest->digest);
    g_free(guest->xml_path);
    g_free(guest->reference_path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Guest, guest_clear)

static gboolean is_zero(const guint8 *bytes, gsize size)
{
    for (gsize i = 0; i < size; i++) {
        if (bytes[i]) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean make_guest(CmdContext *context, Guest *guest, const char *folder, GError **error)
{
    g_autoptr(XmlCompose) compose = exchange_vm_config_to_compose(guest->config, guest->name, error);
    g_autofree gchar *xml = compose ? xml_compose_format(compose, error) : NULL;
    PolicyConfig *config = xml ? cmd_context_config(context, error) : NULL;
    g_autoptr(PolicyReference) reference = NULL;
    if (!config) {
        return FALSE;
    }
    config->guest_features = guest->config->guest_features;
    g_autoptr(CmdSubject) subject = cmd_import_measure(context, xml, NULL, "openend2e", &reference, error);
    if (!subject) {
        return FALSE;
    }
    exchange_vm_config_to_reference(guest->config, reference);
    const XmlMeasurement *only = g_ptr_array_index(reference->measurements, 0);
    guest->digest = measure_digest_hex(&only->digest);
    return cmd_import_write(context, folder, guest->name, xml, reference, &guest->xml_path, &guest->reference_path,
                            error);
}

static void print_guest_json(const Guest *guest)
{
    const ExchangeVmConfig *config = guest->config;
    g_autoptr(JsonBuilder) builder = begin_json("openend2e");
    g_autofree gchar *features = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", config->guest_features);
    g_autofree gchar *info = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", config->platform_info);
    g_autofree gchar *policy = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", config->guest_policy);
    g_autofree gchar *flags = policy_guest_flags(MEASURE_PLATFORM_SNP, config->guest_policy);
    g_autofree gchar *family = measure_hex_encode(config->family_id, sizeof(config->family_id));
    g_autofree gchar *image = measure_hex_encode(config->image_id, sizeof(config->image_id));
    g_autofree gchar *tcb = policy_tcb_describe(&config->minimum_tcb);
    cmd_json_string(builder, "name", guest->name);
    cmd_json_string(builder, "product", config->host_cpu_family);
    cmd_json_integer(builder, "vcpus", config->vcpu_count);
    cmd_json_string(builder, "firmware", config->ovmf_file);
    cmd_json_string(builder, "features", features);
    cmd_json_string(builder, "kernel", config->kernel_file);
    cmd_json_string(builder, "initrd", config->initrd_file);
    cmd_json_string(builder, "cmdline", config->kernel_cmdline);
    cmd_json_string(builder, "platformInfo", info);
    cmd_json_string(builder, "policy", policy);
    cmd_json_string(builder, "policyFlags", flags);
    cmd_json_string(builder, "familyId", family);
    cmd_json_string(builder, "imageId", image);
    cmd_json_string(builder, "minimumTcb", tcb);
    cmd_json_string(builder, "measurement", guest->digest);
    cmd_json_string(builder, "xml", guest->xml_path);
    cmd_json_string(builder, "reference", guest->reference_path);
    cmd_json_strings(builder, "unknown", config->unknown);
    end_json(builder);
}

static void print_guest(const CmdContext *context, const Guest *guest)
{
    const ExchangeVmConfig *config = guest->config;
    g_autofree gchar *vcpus = g_strdup_printf("%u", config->vcpu_count);
    g_autofree gchar *features = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", config->guest_features);
    g_autofree gchar *info = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", config->platform_info);
    g_autofree gchar *policy = policy_guest_describe(MEASURE_PLATFORM_SNP, config->guest_policy);
    g_autofree gchar *family = measure_hex_encode(config->family_id, sizeof(config->family_id));
    g_autofree gchar *image = measure_hex_encode(config->image_id, sizeof(config->image_id));
    g_autofree gchar *tcb = policy_tcb_describe(&config->minimum_tcb);
    cmd_print_field("Name", guest->name);
    cmd_print_field("Product", config->host_cpu_family);
    cmd_print_field("vCPUs", vcpus);
    cmd_print_field("Firmware", config->ovmf_file);
    cmd_print_field("Guest features", features);
    cmd_print_field("Kernel", config->kernel_file);
    cmd_print_field("Initrd", config->initrd_file);
    cmd_print_field("Command line", config->kernel_cmdline);
    cmd_print_field("Platform info", info);
    cmd_print_field("Policy", policy);
    cmd_print_field("Family ID", family);
    cmd_print_field("Image ID", image);
    cmd_print_field("Minimum TCB", tcb);
    if (!guest->digest) {
        return;
    }
    cmd_print_field("Measurement", guest->digest);
    cmd_print_field("Domain XML", guest->xml_path);
    cmd_print_field("Reference", guest->reference_path);
    if (cmd_context_quiet(context)) {
        return;
    }
    g_autofree gchar *command = cmd_import_define_command(guest->xml_path, guest->reference_path);
    g_autofree gchar *shown = cmd_printable(command);
    printf("\nNext: %s\n", shown);
    if (!is_zero(config->family_id, sizeof(config->family_id)) ||
        !is_zero(config->image_id, sizeof(config->image_id))) {
        printf("For an ID block with its IDs add: --id-key KEY --family-id %s --image-id %s\n", family, image);
    }
}

/* The file has no name for the guest; its own without the ending is one. */
static gchar *guest_name(const CmdContext *context, const char *path)
{
    const char *given = cmd_context_get(context, "name");
    g_autofree gchar *base = g_str_equal(path, "-") ? g_strdup("guest") : g_path_get_basename(path);
    if (!given && g_str_has_suffix(base, ".toml")) {
        base[strlen(base) - strlen(".toml")] = '\0';
    }
    return g_strdup(given ? given : base);
}

static int import_openend2e(CmdContext *context, const char *path, const char *text, gsize size, GError **error)
{
    g_autoptr(ExchangeVmConfig) config = exchange_vm_config_parse(text, (gssize)size, error);
    const char *folder = cmd_context_get(context, "output-dir");
    if (!config) {
        return -1;
    }
    g_autofree gchar *unfit = policy_guest_invalid(MEASURE_PLATFORM_SNP, config->guest_policy);
    if (unfit || policy_guest_allows_debug(MEASURE_PLATFORM_SNP, config->guest_policy)) {
        g_autofree gchar *policy = policy_guest_describe(MEASURE_PLATFORM_SNP, config->guest_policy);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "guest policy %s %s", policy,
                    unfit ? "is none that the processor takes" : "lets the host read the guest's memory: clear bit 19");
        return -1;
    }
    g_auto(Guest) guest = {.config = config, .name = guest_name(context, path)};
    const char *invalid = cmd_import_name_invalid(guest.name);
    if (folder && invalid) {
        g_autofree gchar *shown = cmd_printable(guest.name);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "guest '%s': %s: choose another with --name", shown,
                    invalid);
        return -1;
    }
    for (guint i = 0; i < config->unknown->len; i++) {
        g_autofree gchar *key = cmd_printable(g_ptr_array_index(config->unknown, i));
        cmd_warn("key '%s' means nothing to openend2e and is left out", key);
    }
    if (folder && !make_guest(context, &guest, folder, error)) {
        return -1;
    }
    if (cmd_context_json(context)) {
        print_guest_json(&guest);
    } else {
        print_guest(context, &guest);
    }
    return 0;
}

/* ---- all of them ---- */

/* Options that mean something only where a guest comes out. */
static gboolean check_options(const CmdContext *context, const char *format, GError **error)
{
    static const char *const guests[] = {"openend2e", "snpguard", NULL};
    static const char *const options[] = {"name", "output-dir", "force", NULL};
    for (guint i = 0; !g_strv_contains(guests, format) && options[i]; i++) {
        if (cmd_context_has(context, options[i])) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--%s: a file of this format holds no guest%s",
                        options[i], g_str_equal(format, "alman") ? "; import-alman takes over a whole folder" : "");
            return FALSE;
        }
    }
    return TRUE;
}

static int import_text(CmdContext *context, const char *format, const char *path, const char *text, gsize size,
                       GError **error)
{
    g_autoptr(GPtrArray) digests = NULL;
    g_autoptr(GPtrArray) unbound = NULL;
    if (g_str_equal(format, "alman")) {
        return import_alman(context, text, size, error);
    }
    if (g_str_equal(format, "openend2e")) {
        return import_openend2e(context, path, text, size, error);
    }
    if (g_str_equal(format, "savs")) {
        digests = exchange_savs_parse(text, (gssize)size, &unbound, error);
    } else if (g_str_equal(format, "rvps")) {
        digests = exchange_rvps_parse(text, (gssize)size, error);
    } else {
        digests = exchange_corim_parse((const guint8 *)text, size, error);
    }
    if (!digests) {
        return -1;
    }
    print_digests(context, format, digests, unbound);
    return 0;
}

int cmd_import(CmdContext *context, GError **error)
{
    const char *format = cmd_context_get(context, "from");
    const char *path = cmd_context_word(context, 0);
    g_autofree gchar *text = NULL;
    gsize size = 0;
    if (!format) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "import: the option --from is missing");
        return -1;
    }
    if (!check_options(context, format, error)) {
        return -1;
    }
    gboolean standard = g_str_equal(path, "-");
    if (g_str_equal(format, "snpguard")) {
        if (standard) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                        "an archive is not read from standard input: give its file");
            return -1;
        }
        return cmd_import_snpguard(context, path, error);
    }
    g_autofree gchar *shown = cmd_printable(path);
    g_autofree gchar *label = standard ? g_strdup("standard input") : g_strdup_printf("file '%s'", shown);
    if (!cmd_read_file(standard ? "/dev/stdin" : path, label, EXCHANGE_JSON_MAX_SIZE, &text, &size, error)) {
        return -1;
    }
    int result = import_text(context, format, path, text, size, error);
    if (result < 0) {
        g_prefix_error(error, "%s: ", label);
    }
    return result;
}
