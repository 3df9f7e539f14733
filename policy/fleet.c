/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/fleet.h"

#include <string.h>

#include "measure/error.h"
#include "policy/json.h"

static MeasureCpu *bad_entry(GError **error, const char *what, const char *where, const char *why)
{
    g_autofree gchar *shown_what = measure_printable(what);
    g_autofree gchar *shown_why = measure_printable(why);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s, %s: %s", shown_what, where, shown_why);
    return NULL;
}

static MeasureCpu *cpu_from_text(const char *text, const char *what, const char *where, GError **error)
{
    g_autoptr(GError) cause = NULL;
    MeasureCpu *cpu = measure_cpu_from_text(text, &cause);

    return cpu ? cpu : bad_entry(error, what, where, cause->message);
}

/* ---- JSON ---- */

static MeasureCpu *cpu_from_parts(JsonObject *object, const char *where, GError **error)
{
    static const char *const known[] = {"family", "model", "stepping", NULL};
    guint64 family = 0, model = 0, stepping = 0;

    if (!policy_json_members(object, where, known, error) ||
        !policy_json_uint(object, where, "family", FALSE, 0xf + 0xff, &family, error) ||
        !policy_json_uint(object, where, "model", FALSE, 0xff, &model, error) ||
        !policy_json_uint(object, where, "stepping", FALSE, 0xf, &stepping, error))
        return NULL;
    return measure_cpu_new(NULL, measure_cpu_signature((guint)family, (guint)model, (guint)stepping));
}

static MeasureCpu *cpu_from_signature(JsonObject *object, const char *name, const char *what, const char *where,
                                      GError **error)
{
    const char *const known[] = {name, NULL};
    g_autofree gchar *text = NULL;
    g_autoptr(MeasureCpu) cpu = NULL;
    guint64 signature = 0;

    if (!policy_json_members(object, where, known, error))
        return NULL;
    if (json_node_get_value_type(json_object_get_member(object, name)) != G_TYPE_STRING)
        return policy_json_uint(object, where, name, FALSE, G_MAXUINT32, &signature, error)
                   ? measure_cpu_new(NULL, (guint32)signature)
                   : NULL;
    if (!policy_json_string(object, where, name, FALSE, &text, error) ||
        !(cpu = cpu_from_text(text, what, where, error)))
        return NULL;
    if (cpu->name)
        return bad_entry(error, what, where, "this is the name of a model, where a signature belongs");
    return g_steal_pointer(&cpu);
}

static MeasureCpu *cpu_from_node(JsonNode *node, const char *what, const char *where, GError **error)
{
    if (JSON_NODE_HOLDS_OBJECT(node)) {
        JsonObject *object = json_node_get_object(node);

        if (json_object_has_member(object, "vcpu_sig"))
            return cpu_from_signature(object, "vcpu_sig", what, where, error);
        if (json_object_has_member(object, "sig"))
            return cpu_from_signature(object, "sig", what, where, error);
        return cpu_from_parts(object, where, error);
    }
    if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING)
        return cpu_from_text(json_node_get_string(node), what, where, error);
    return bad_entry(error, what, where,
                     "this is no CPU type: write a name, a signature such as \"0xa00f11\", or an object with family, "
                     "model and stepping");
}

/* No launch is foreseen twice; ALman takes such a list for damaged, too. */
static gboolean add_cpu(GPtrArray *cpus, MeasureCpu *cpu, const char *what, const char *where, GError **error)
{
    for (guint i = 0; i < cpus->len; i++) {
        const MeasureCpu *other = g_ptr_array_index(cpus, i);

        if (other->signature == cpu->signature && !g_strcmp0(other->name, cpu->name)) {
            measure_cpu_free(cpu);
            bad_entry(error, what, where, "this CPU type is in the list already");
            return FALSE;
        }
    }
    g_ptr_array_add(cpus, cpu);
    if (cpus->len <= POLICY_CPU_LIST_MAX)
        return TRUE;
    bad_entry(error, what, where, "there are more than " G_STRINGIFY(POLICY_CPU_LIST_MAX) " CPU types");
    return FALSE;
}

static gboolean parse_json(const char *text, gsize size, const char *what, GPtrArray *cpus, GError **error)
{
    static const char *const known[] = {"list", NULL};
    g_autoptr(GString) wrapped = g_string_sized_new(size + 16);
    g_autoptr(JsonNode) node = NULL;
    JsonArray *array = NULL;

    /* The strict parser wants an object. Whatever else the text holds is another member then, or no JSON. */
    g_string_append(wrapped, "{\"list\":");
    g_string_append_len(wrapped, text, (gssize)size);
    g_string_append_c(wrapped, '}');
    node = policy_json_parse(wrapped->str, (gssize)wrapped->len, POLICY_CPU_LIST_MAX_SIZE + 16, what, error);
    if (!node || !policy_json_members(json_node_get_object(node), what, known, error) ||
        !policy_json_array(json_node_get_object(node), what, "list", FALSE, &array, error))
        return FALSE;
    for (guint i = 0; i < json_array_get_length(array); i++) {
        g_autofree gchar *where = g_strdup_printf("entry %u", i + 1);
        MeasureCpu *cpu = cpu_from_node(json_array_get_element(array, i), what, where, error);

        if (!cpu || !add_cpu(cpus, cpu, what, where, error))
            return FALSE;
    }
    return TRUE;
}

/* ---- Lines ---- */

static gboolean parse_lines(const char *text, gsize size, const char *what, GPtrArray *cpus, GError **error)
{
    g_autofree gchar *copy = g_strndup(text, size);
    g_auto(GStrv) lines = NULL;

    if (strlen(copy) != size || !g_utf8_validate(copy, -1, NULL)) {
        bad_entry(error, what, "as a whole", "this is no text");
        return FALSE;
    }
    lines = g_strsplit(copy, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        g_autofree gchar *where = g_strdup_printf("line %u", i + 1);
        gchar *comment = strchr(lines[i], '#');
        MeasureCpu *cpu = NULL;

        if (comment)
            *comment = '\0';
        g_strstrip(lines[i]);
        if (!*lines[i])
            continue;
        cpu = cpu_from_text(lines[i], what, where, error);
        if (!cpu || !add_cpu(cpus, cpu, what, where, error))
            return FALSE;
    }
    return TRUE;
}

GPtrArray *policy_cpu_list_parse(const char *text, gsize size, const char *what, GError **error)
{
    g_autoptr(GPtrArray) cpus = g_ptr_array_new_with_free_func((GDestroyNotify)measure_cpu_free);
    gsize blank = 0;

    while (blank < size && strchr(" \t\r\n", text[blank]) && text[blank])
        blank++;
    if (size > POLICY_CPU_LIST_MAX_SIZE) {
        bad_entry(error, what, "as a whole", "it is larger than 1 MiB");
        return NULL;
    }
    if (blank < size && (text[blank] == '[' || text[blank] == '{') ? !parse_json(text, size, what, cpus, error)
                                                                    : !parse_lines(text, size, what, cpus, error))
        return NULL;
    if (!cpus->len) {
        bad_entry(error, what, "as a whole", "there is no CPU type in it");
        return NULL;
    }
    return g_steal_pointer(&cpus);
}

/* ---- vCPU counts ---- */

static gboolean parse_range(const char *part, guint64 *first, guint64 *last)
{
    g_auto(GStrv) ends = g_strsplit(part, "-", 2);

    if (!ends[0] || !g_ascii_string_to_unsigned(ends[0], 10, 1, MEASURE_MAX_VCPUS, first, NULL))
        return FALSE;
    *last = *first;
    return !ends[1] || (g_ascii_string_to_unsigned(ends[1], 10, *first, MEASURE_MAX_VCPUS, last, NULL));
}

GArray *policy_vcpu_list_parse(const char *text, GError **error)
{
    g_autofree gboolean *wanted = g_new0(gboolean, MEASURE_MAX_VCPUS + 1);
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    GArray *counts = NULL;

    for (gchar **part = parts; *part || part == parts; part++) {
        guint64 first = 0, last = 0;

        if (!*part || !parse_range(*part, &first, &last)) {
            g_autofree gchar *shown = measure_printable(text);

            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                        "'%s' is no list of vCPU counts: write numbers from 1 to %d and ranges, such as 1,2,4-8", shown,
                        MEASURE_MAX_VCPUS);
            return NULL;
        }
        for (guint64 count = first; count <= last; count++)
            wanted[count] = TRUE;
    }
    counts = g_array_new(FALSE, FALSE, sizeof(guint));
    for (guint count = 1; count <= MEASURE_MAX_VCPUS; count++) {
        if (wanted[count])
            g_array_append_val(counts, count);
    }
    return counts;
}
