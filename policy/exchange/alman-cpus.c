/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cpu-types.json and legal-cpu-types.json. */
#include <string.h>

#include "measure/error.h"
#include "policy/exchange/alman-private.h"

#define MAX_CPUS 1024

void exchange_alman_cpu_free(ExchangeAlmanCpu *cpu)
{
    if (!cpu)
        return;
    g_free(cpu->type);
    g_free(cpu->sig);
    g_free(cpu);
}

ExchangeAlmanCpu *exchange_alman_cpu_copy(const ExchangeAlmanCpu *cpu)
{
    ExchangeAlmanCpu *copy = g_new0(ExchangeAlmanCpu, 1);

    *copy = *cpu;
    copy->type = g_strdup(cpu->type);
    copy->sig = g_strdup(cpu->sig);
    return copy;
}

gchar *exchange_alman_cpu_label(const ExchangeAlmanCpu *cpu)
{
    if (cpu->kind == EXCHANGE_ALMAN_TYPE)
        return g_strdup(cpu->type);
    if (cpu->kind == EXCHANGE_ALMAN_SIG)
        return g_strdup_printf("vcpu-sig=%s", cpu->sig);
    return g_strdup_printf("vcpu-family=%u,vcpu-model=%u,vcpu-stepping=%u", cpu->family, cpu->model, cpu->stepping);
}

MeasureCpu *exchange_alman_cpu_resolve(const ExchangeAlmanCpu *cpu, GError **error)
{
    if (cpu->kind == EXCHANGE_ALMAN_TYPE)
        return measure_cpu_from_name(cpu->type, error);
    if (cpu->kind == EXCHANGE_ALMAN_SIG)
        return measure_cpu_from_text(cpu->sig, error);
    return measure_cpu_new(NULL, measure_cpu_signature(cpu->family, cpu->model, cpu->stepping));
}

static gboolean is_signature(const char *text)
{
    return g_str_has_prefix(text, "0x") && text[2] && strspn(text + 2, "0123456789abcdefABCDEF") == strlen(text + 2);
}

static ExchangeAlmanCpu *new_sig(const char *text, const char *where, GError **error)
{
    g_autoptr(ExchangeAlmanCpu) cpu = g_new0(ExchangeAlmanCpu, 1);

    if (!is_signature(text) || !g_ascii_string_to_unsigned(text + 2, 16, 0, G_MAXUINT32, NULL, NULL)) {
        exchange_fail(error, ATTEST_ERROR_UNREADABLE, "%s: '%s' is not a CPU signature such as 0xa00f11", where, text);
        return NULL;
    }
    cpu->kind = EXCHANGE_ALMAN_SIG;
    cpu->sig = g_ascii_strdown(text, -1);
    return g_steal_pointer(&cpu);
}

static ExchangeAlmanCpu *new_type(const char *text, const char *where, GError **error)
{
    g_autoptr(ExchangeAlmanCpu) cpu = NULL;
    gsize length = strlen(text);

    if (!length || length > 64 ||
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") != length) {
        exchange_fail(error, ATTEST_ERROR_UNREADABLE, "%s: '%s' is not a CPU type", where, text);
        return NULL;
    }
    cpu = g_new0(ExchangeAlmanCpu, 1);
    cpu->kind = EXCHANGE_ALMAN_TYPE;
    cpu->type = g_strdup(text);
    return g_steal_pointer(&cpu);
}

/* "type", "0xsig"; ALman cuts blanks off both. */
static ExchangeAlmanCpu *from_string(const char *text, const char *where, GError **error)
{
    g_autofree gchar *word = g_strstrip(g_strdup(text));

    return is_signature(word) ? new_sig(word, where, error) : new_type(word, where, error);
}

static ExchangeAlmanCpu *from_fms(JsonObject *object, const char *where, GError **error)
{
    g_autoptr(ExchangeAlmanCpu) cpu = g_new0(ExchangeAlmanCpu, 1);
    guint64 family = 0, model = 0, stepping = 0;

    /* What CPUID can say: APM volume 3, Fn0000_0001_EAX. */
    if (!policy_json_uint(object, where, "family", FALSE, 0xf + 0xff, &family, error) ||
        !policy_json_uint(object, where, "model", FALSE, 0xff, &model, error) ||
        !policy_json_uint(object, where, "stepping", FALSE, 0xf, &stepping, error))
        return NULL;
    cpu->kind = EXCHANGE_ALMAN_FMS;
    cpu->family = (guint)family;
    cpu->model = (guint)model;
    cpu->stepping = (guint)stepping;
    return g_steal_pointer(&cpu);
}

static ExchangeAlmanCpu *from_object(JsonObject *object, const char *where, GError **error)
{
    static const char *const known_fms[] = {"family", "model", "stepping", NULL};
    const char *name = json_object_has_member(object, "vcpu_sig") ? "vcpu_sig" : "sig";
    const char *const known_sig[] = {name, NULL};
    JsonNode *node = json_object_get_member(object, name);

    if (!node)
        return policy_json_members(object, where, known_fms, error) ? from_fms(object, where, error) : NULL;
    if (!policy_json_members(object, where, known_sig, error))
        return NULL;
    if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_INT64) {
        g_autofree gchar *text = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", json_node_get_int(node));

        return new_sig(text, where, error);
    }
    if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING) {
        g_autofree gchar *text = g_strstrip(json_node_dup_string(node));

        return new_sig(text, where, error);
    }
    exchange_fail(error, ATTEST_ERROR_UNREADABLE, "%s: this is not a CPU signature", where);
    return NULL;
}

ExchangeAlmanCpu *exchange_alman_cpu_from_spec(JsonObject *object, const char *where, GError **error)
{
    static const char *const known_type[] = {"kind", "type", NULL};
    static const char *const known_sig[] = {"kind", "sig", NULL};
    static const char *const known_fms[] = {"kind", "family", "model", "stepping", NULL};
    g_autofree gchar *kind = NULL;
    g_autofree gchar *text = NULL;

    if (!policy_json_string(object, where, "kind", FALSE, &kind, error))
        return NULL;
    if (!strcmp(kind, "type"))
        return policy_json_members(object, where, known_type, error) &&
                       policy_json_string(object, where, "type", FALSE, &text, error)
                   ? new_type(text, where, error)
                   : NULL;
    if (!strcmp(kind, "sig"))
        return policy_json_members(object, where, known_sig, error) &&
                       policy_json_string(object, where, "sig", FALSE, &text, error)
                   ? new_sig(text, where, error)
                   : NULL;
    if (!strcmp(kind, "fms"))
        return policy_json_members(object, where, known_fms, error) ? from_fms(object, where, error) : NULL;
    policy_json_error(error, where, "kind", "this is not 'type', 'sig' or 'fms'");
    return NULL;
}

JsonObject *exchange_alman_cpu_to_spec(const ExchangeAlmanCpu *cpu)
{
    static const char *const kinds[] = {"type", "sig", "fms"};
    JsonObject *object = json_object_new();

    json_object_set_string_member(object, "kind", kinds[cpu->kind]);
    policy_json_add_string(object, "type", cpu->type);
    policy_json_add_string(object, "sig", cpu->sig);
    if (cpu->kind == EXCHANGE_ALMAN_FMS) {
        json_object_set_int_member(object, "family", cpu->family);
        json_object_set_int_member(object, "model", cpu->model);
        json_object_set_int_member(object, "stepping", cpu->stepping);
    }
    return object;
}

gboolean exchange_alman_cpus_add(GPtrArray *cpus, ExchangeAlmanCpu *cpu, const char *where, GError **error)
{
    g_autofree gchar *label = exchange_alman_cpu_label(cpu);

    /* Owned from here on. */
    g_ptr_array_add(cpus, cpu);
    for (guint i = 0; i + 1 < cpus->len; i++) {
        g_autofree gchar *other = exchange_alman_cpu_label(g_ptr_array_index(cpus, i));

        if (!strcmp(other, label))
            return exchange_fail(error, ATTEST_ERROR_UNREADABLE, "%s: '%s' is there twice", where, label);
    }
    return TRUE;
}

GPtrArray *exchange_alman_cpus_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)exchange_alman_cpu_free);
}

/* A list with at least one element; the list stays @root's. */
static JsonArray *parse_list(const char *text, gssize size, const char *what, JsonNode **root, GError **error)
{
    guint length = 0;

    *root = exchange_json_parse_array(text, size, what, error);
    if (!*root)
        return NULL;
    length = json_array_get_length(json_node_get_array(*root));
    if (!length || length > MAX_CPUS) {
        exchange_fail(error, ATTEST_ERROR_UNREADABLE, "%s: the list is empty, or has more than %d entries", what,
                      MAX_CPUS);
        return NULL;
    }
    return json_node_get_array(*root);
}

GPtrArray *exchange_alman_cpus_parse(const char *text, gssize size, GError **error)
{
    g_autoptr(GPtrArray) cpus = exchange_alman_cpus_new();
    g_autoptr(JsonNode) root = NULL;
    JsonArray *list = parse_list(text, size, "cpu-types.json", &root, error);

    for (guint i = 0; list && i < json_array_get_length(list); i++) {
        JsonNode *node = json_array_get_element(list, i);
        g_autofree gchar *where = g_strdup_printf("cpu-types.json, entry %u", i + 1);
        ExchangeAlmanCpu *cpu = NULL;

        if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING)
            cpu = from_string(json_node_get_string(node), where, error);
        else if (JSON_NODE_HOLDS_OBJECT(node))
            cpu = from_object(json_node_get_object(node), where, error);
        else
            exchange_fail(error, ATTEST_ERROR_UNREADABLE, "%s: this is neither a string nor an object", where);
        if (!cpu || !exchange_alman_cpus_add(cpus, cpu, where, error))
            return NULL;
    }
    return list ? g_steal_pointer(&cpus) : NULL;
}

static gchar *format_list(JsonArray *list)
{
    g_autoptr(JsonNode) root = json_node_init_array(json_node_alloc(), list);
    g_autofree gchar *text = exchange_json_format(root);

    json_array_unref(list);
    return g_strconcat(text, "\n", NULL);
}

gchar *exchange_alman_cpus_format(const GPtrArray *cpus)
{
    JsonArray *list = json_array_new();

    for (guint i = 0; i < cpus->len; i++) {
        const ExchangeAlmanCpu *cpu = g_ptr_array_index(cpus, i);

        if (cpu->kind == EXCHANGE_ALMAN_FMS) {
            JsonObject *object = exchange_alman_cpu_to_spec(cpu);

            json_object_remove_member(object, "kind");
            json_array_add_object_element(list, object);
        } else {
            json_array_add_string_element(list, cpu->kind == EXCHANGE_ALMAN_TYPE ? cpu->type : cpu->sig);
        }
    }
    return format_list(list);
}

ExchangeAlmanCpu *exchange_alman_cpu_from_measurement(const XmlMeasurement *measurement)
{
    ExchangeAlmanCpu *cpu = g_new0(ExchangeAlmanCpu, 1);
    gboolean named = measurement->cpu && !g_str_has_prefix(measurement->cpu, "0x");

    cpu->kind = named ? EXCHANGE_ALMAN_TYPE : EXCHANGE_ALMAN_SIG;
    if (named)
        cpu->type = g_strdup(measurement->cpu);
    else
        cpu->sig = g_strdup_printf("0x%x", measurement->signature);
    return cpu;
}

GPtrArray *exchange_alman_cpus_from_reference(const PolicyReference *reference)
{
    GPtrArray *cpus = exchange_alman_cpus_new();

    for (guint i = 0; i < reference->measurements->len; i++) {
        ExchangeAlmanCpu *cpu = exchange_alman_cpu_from_measurement(g_ptr_array_index(reference->measurements, i));

        /* The same type with another number of vCPUs. */
        if (!exchange_alman_cpus_add(cpus, cpu, "", NULL))
            g_ptr_array_set_size(cpus, (gint)cpus->len - 1);
    }
    return cpus;
}

GPtrArray *exchange_alman_legal_parse(const char *text, gssize size, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(JsonNode) root = NULL;
    JsonArray *list = parse_list(text, size, "legal-cpu-types.json", &root, error);

    for (guint i = 0; list && i < json_array_get_length(list); i++) {
        JsonNode *node = json_array_get_element(list, i);
        gboolean string = JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING;
        g_autofree gchar *name = string ? g_strstrip(json_node_dup_string(node)) : NULL;
        g_autofree gchar *where = g_strdup_printf("legal-cpu-types.json, entry %u", i + 1);
        g_autoptr(ExchangeAlmanCpu) cpu = NULL;

        if (!name) {
            exchange_fail(error, ATTEST_ERROR_UNREADABLE, "%s: this is not a string", where);
            return NULL;
        }
        cpu = new_type(name, where, error);
        if (!cpu)
            return NULL;
        if (!g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
            g_ptr_array_add(names, g_steal_pointer(&name));
    }
    return list ? g_steal_pointer(&names) : NULL;
}

gchar *exchange_alman_legal_format(const GPtrArray *names)
{
    JsonArray *list = json_array_new();

    for (guint i = 0; i < names->len; i++)
        json_array_add_string_element(list, g_ptr_array_index(names, i));
    return format_list(list);
}
