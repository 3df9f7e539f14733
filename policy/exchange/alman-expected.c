/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* expected-measurements.json. */
#include <string.h>

#include "measure/error.h"
#include "policy/exchange/alman-private.h"
#include "policy/text.h"

#define FILE_NAME "expected-measurements.json"
#define MAX_MEASUREMENTS 1024

void exchange_alman_measurement_free(ExchangeAlmanMeasurement *measurement)
{
    if (!measurement)
        return;
    g_free(measurement->label);
    exchange_alman_cpu_free(measurement->cpu);
    g_free(measurement);
}

static ExchangeAlmanGuest *guest_new(const char *name)
{
    ExchangeAlmanGuest *guest = g_new0(ExchangeAlmanGuest, 1);

    guest->name = g_strdup(name);
    guest->cpus = exchange_alman_cpus_new();
    guest->measurements = g_ptr_array_new_with_free_func((GDestroyNotify)exchange_alman_measurement_free);
    return guest;
}

void exchange_alman_guest_free(ExchangeAlmanGuest *guest)
{
    if (!guest)
        return;
    g_free(guest->name);
    g_clear_error(&guest->broken);
    g_free(guest->ovmf);
    g_free(guest->kernel);
    g_free(guest->initrd);
    g_free(guest->append);
    g_free(guest->cpu_types_config);
    g_free(guest->timestamp);
    g_ptr_array_unref(guest->cpus);
    g_ptr_array_unref(guest->measurements);
    g_free(guest);
}

/* ---- reading ---- */

static gboolean read_cpus(JsonObject *entry, const char *where, GPtrArray *cpus, GError **error)
{
    JsonArray *list = NULL;

    if (!policy_json_array(entry, where, "cpu_types", TRUE, &list, error))
        return FALSE;
    if (list && json_array_get_length(list) > MAX_MEASUREMENTS)
        return policy_json_error(error, where, "cpu_types", "there are more than %d", MAX_MEASUREMENTS);
    for (guint i = 0; list && i < json_array_get_length(list); i++) {
        g_autofree gchar *position = NULL;
        JsonObject *object = policy_json_element(list, i, where, "cpu_types", &position, error);
        ExchangeAlmanCpu *cpu = object ? exchange_alman_cpu_from_spec(object, position, error) : NULL;

        if (!cpu || !exchange_alman_cpus_add(cpus, cpu, position, error))
            return FALSE;
    }
    return TRUE;
}

static ExchangeAlmanMeasurement *read_measurement(JsonObject *object, const char *label, const char *where,
                                                  GError **error)
{
    static const char *const known[] = {"cpu_spec", "measurement_hex", NULL};
    g_autoptr(ExchangeAlmanCpu) cpu = NULL;
    g_autofree gchar *cpu_label = NULL;
    g_autofree gchar *position = g_strdup_printf("%s.cpu_spec", where);
    guint8 digest[MEASURE_SHA384_SIZE];
    ExchangeAlmanMeasurement *measurement = NULL;
    JsonObject *spec = NULL;

    if (!policy_json_members(object, where, known, error) ||
        !policy_json_object(object, where, "cpu_spec", FALSE, &spec, error) ||
        !(cpu = exchange_alman_cpu_from_spec(spec, position, error)) ||
        !policy_json_hex_bytes(object, where, "measurement_hex", sizeof(digest), digest, error))
        return NULL;
    cpu_label = exchange_alman_cpu_label(cpu);
    if (strcmp(cpu_label, label)) {
        policy_json_error(error, where, "cpu_spec", "this is '%s', not what the measurement is called", cpu_label);
        return NULL;
    }
    measurement = g_new0(ExchangeAlmanMeasurement, 1);
    measurement->label = g_strdup(label);
    measurement->cpu = g_steal_pointer(&cpu);
    memcpy(measurement->digest, digest, sizeof(digest));
    return measurement;
}

static gint compare_strings(gconstpointer a, gconstpointer b)
{
    return strcmp(a, b);
}

static gboolean read_measurements(JsonObject *entry, const char *where, GPtrArray *out, GError **error)
{
    g_autoptr(GList) labels = NULL;
    JsonObject *object = NULL;

    /* Files of old versions of ALman have none. */
    if (!policy_json_object(entry, where, "measurements", TRUE, &object, error))
        return FALSE;
    if (object && json_object_get_size(object) > MAX_MEASUREMENTS)
        return policy_json_error(error, where, "measurements", "there are more than %d", MAX_MEASUREMENTS);
    labels = object ? g_list_sort(json_object_get_members(object), compare_strings) : NULL;
    for (GList *each = labels; each; each = each->next) {
        g_autofree gchar *label = policy_one_line(each->data, 100);
        g_autofree gchar *position = g_strdup_printf("%s.measurements.%s", where, label);
        ExchangeAlmanMeasurement *measurement = NULL;
        JsonObject *member = NULL;

        if (!policy_json_object(object, where, each->data, FALSE, &member, error) ||
            !(measurement = read_measurement(member, each->data, position, error)))
            return FALSE;
        g_ptr_array_add(out, measurement);
    }
    return TRUE;
}

static gboolean read_entry(JsonObject *entry, ExchangeAlmanGuest *guest, GError **error)
{
    g_autofree gchar *mode = NULL;
    /* Only the position in messages: a name may be anything that JSON can hold. */
    g_autofree gchar *where = policy_one_line(guest->name, 100);
    guint64 al = 0, vcpus = 0;

    if (!policy_json_uint(entry, where, "al", FALSE, 4, &al, error) ||
        !policy_json_uint(entry, where, "vcpus", FALSE, MEASURE_MAX_VCPUS, &vcpus, error) ||
        !policy_json_string(entry, where, "mode", TRUE, &mode, error) ||
        !policy_json_string(entry, where, "ovmf", FALSE, &guest->ovmf, error) ||
        !policy_json_string(entry, where, "kernel", TRUE, &guest->kernel, error) ||
        !policy_json_string(entry, where, "initrd", TRUE, &guest->initrd, error) ||
        !policy_json_string(entry, where, "append", TRUE, &guest->append, error) ||
        !policy_json_string(entry, where, "cpu_types_config", TRUE, &guest->cpu_types_config, error) ||
        !policy_json_string(entry, where, "timestamp_utc", TRUE, &guest->timestamp, error) ||
        !read_cpus(entry, where, guest->cpus, error) || !read_measurements(entry, where, guest->measurements, error))
        return FALSE;
    if (al < 2)
        return policy_json_error(error, where, "al", "ALman measures level 2 and above");
    if (!vcpus)
        return policy_json_error(error, where, "vcpus", "there is no launch without a vCPU");
    if (mode && strcmp(mode, "snp"))
        return policy_json_error(error, where, "mode", "this is not 'snp'");
    if (!*guest->ovmf)
        return policy_json_error(error, where, "ovmf", "this is empty");
    if (al >= 3 && (!guest->kernel || !*guest->kernel))
        return policy_json_error(error, where, "kernel", "this is empty, and level %u has one", (guint)al);
    guest->al = (guint)al;
    guest->vcpus = (guint)vcpus;
    return TRUE;
}

static void default_text(gchar **text)
{
    if (!*text)
        *text = g_strdup("");
}

static JsonNode *parse_file(const char *text, gssize size, GError **error)
{
    return policy_json_parse(text, size, EXCHANGE_JSON_MAX_SIZE, FILE_NAME, error);
}

GPtrArray *exchange_alman_expected_parse(const char *text, gssize size, GError **error)
{
    g_autoptr(GPtrArray) guests = NULL;
    g_autoptr(JsonNode) root = parse_file(text, size, error);
    g_autoptr(GList) names = NULL;

    if (!root)
        return NULL;
    guests = g_ptr_array_new_with_free_func((GDestroyNotify)exchange_alman_guest_free);
    names = g_list_sort(json_object_get_members(json_node_get_object(root)), compare_strings);
    for (GList *each = names; each; each = each->next) {
        g_autoptr(ExchangeAlmanGuest) guest = guest_new(each->data);
        g_autoptr(GError) cause = NULL;
        JsonObject *entry = NULL;

        if (!policy_json_object(json_node_get_object(root), "", each->data, FALSE, &entry, &cause) ||
            !read_entry(entry, guest, &cause)) {
            g_clear_pointer(&guest, exchange_alman_guest_free);
            guest = guest_new(each->data);
            guest->broken = g_steal_pointer(&cause);
        }
        default_text(&guest->kernel);
        default_text(&guest->initrd);
        default_text(&guest->append);
        g_ptr_array_add(guests, g_steal_pointer(&guest));
    }
    return g_steal_pointer(&guests);
}

/* ---- writing ---- */

ExchangeAlmanGuest *exchange_alman_guest_from_reference(const PolicyReference *reference, const char *timestamp,
                                                        const char *cpu_types_config, GError **error)
{
    g_autoptr(ExchangeAlmanGuest) guest = guest_new(exchange_guest_name(reference));
    guint64 features = 0;

    if (!exchange_require_snp(reference, "ALman's " FILE_NAME, error) ||
        !(guest->vcpus = exchange_only_vcpus(reference, "ALman's " FILE_NAME, error)) ||
        !exchange_only_features(reference, "ALman's " FILE_NAME, &features, error))
        return NULL;
    guest->al = !reference->kernel_hashes ? 2 : reference->verity ? 4 : 3;
    guest->ovmf = g_strdup(exchange_input(reference, "firmware", TRUE));
    guest->kernel = g_strdup(exchange_input(reference, "kernel", TRUE));
    guest->initrd = g_strdup(exchange_input(reference, "initrd", TRUE));
    guest->append = g_strdup(exchange_input(reference, "cmdline", FALSE));
    guest->timestamp = g_strdup(timestamp);
    guest->cpu_types_config = g_strdup(cpu_types_config);
    for (guint i = 0; i < reference->measurements->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(reference->measurements, i);
        ExchangeAlmanMeasurement *measurement = g_new0(ExchangeAlmanMeasurement, 1);

        measurement->cpu = exchange_alman_cpu_from_measurement(each);
        measurement->label = exchange_alman_cpu_label(measurement->cpu);
        memcpy(measurement->digest, each->digest.bytes, sizeof(measurement->digest));
        g_ptr_array_add(guest->measurements, measurement);
        if (!exchange_alman_cpus_add(guest->cpus, exchange_alman_cpu_copy(measurement->cpu), FILE_NAME, error))
            return NULL;
    }
    return g_steal_pointer(&guest);
}

static void set_entry(JsonObject *entry, const ExchangeAlmanGuest *guest)
{
    JsonArray *cpus = json_array_new();
    JsonObject *measurements = json_object_new();

    for (guint i = 0; i < guest->cpus->len; i++)
        json_array_add_object_element(cpus, exchange_alman_cpu_to_spec(g_ptr_array_index(guest->cpus, i)));
    for (guint i = 0; i < guest->measurements->len; i++) {
        const ExchangeAlmanMeasurement *each = g_ptr_array_index(guest->measurements, i);
        JsonObject *object = json_object_new();

        json_object_set_object_member(object, "cpu_spec", exchange_alman_cpu_to_spec(each->cpu));
        policy_json_add_hex_bytes(object, "measurement_hex", each->digest, sizeof(each->digest));
        json_object_set_object_member(measurements, each->label, object);
    }
    json_object_set_int_member(entry, "al", guest->al);
    json_object_set_int_member(entry, "vcpus", guest->vcpus);
    json_object_set_string_member(entry, "mode", "snp");
    json_object_set_string_member(entry, "vmm_type", "QEMU");
    json_object_set_string_member(entry, "ovmf", guest->ovmf);
    json_object_set_string_member(entry, "kernel", guest->kernel);
    json_object_set_string_member(entry, "initrd", guest->initrd);
    json_object_set_string_member(entry, "append", guest->append);
    policy_json_add_string(entry, "timestamp_utc", guest->timestamp);
    policy_json_add_string(entry, "cpu_types_config", guest->cpu_types_config);
    json_object_set_array_member(entry, "cpu_types", cpus);
    json_object_set_object_member(entry, "measurements", measurements);
    json_object_set_object_member(entry, "errors", json_object_new());
}

gchar *exchange_alman_expected_merge(const char *old, gssize size, const ExchangeAlmanGuest *guest, GError **error)
{
    g_autoptr(JsonNode) root = NULL;
    JsonObject *object = NULL;
    JsonObject *entry = NULL;

    if (old) {
        root = parse_file(old, size, error);
        if (!root)
            return NULL;
    } else {
        g_autoptr(JsonObject) empty = json_object_new();

        root = json_node_init_object(json_node_alloc(), empty);
    }
    object = json_node_get_object(root);
    if (!policy_json_object(object, "", guest->name, TRUE, &entry, error)) {
        g_prefix_error(error, FILE_NAME ": ");
        return NULL;
    }
    if (!entry) {
        entry = json_object_new();
        json_object_set_object_member(object, guest->name, entry);
    }
    set_entry(entry, guest);
    return exchange_json_format(root);
}
