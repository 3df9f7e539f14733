/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The member "measurements" of a reference: any number of CPU types, features, vCPU counts and, for SEV-ES, both
 * floating-point variants. What makes a launch is its key; no key has two digests, else luck would decide what counts.
 */
#include <string.h>

#include "measure/error.h"
#include "policy/json.h"
#include "policy/reference-private.h"

#define MAX_MEASUREMENTS 4096

XmlMeasurement *policy_measurement_copy(const XmlMeasurement *measurement)
{
    XmlMeasurement *copy = xml_measurement_new();

    *copy = *measurement;
    copy->cpu = g_strdup(measurement->cpu);
    return copy;
}

static gint order(guint64 a, guint64 b)
{
    return a < b ? -1 : a > b;
}

static guint variant(const XmlMeasurement *measurement)
{
    return measurement->has_fpu ? (guint)measurement->fpu + 1 : 0;
}

gint policy_measurement_compare(const XmlMeasurement *a, const XmlMeasurement *b)
{
    gint result = order(a->signature, b->signature);

    if (!result)
        result = order(a->features, b->features);
    if (!result)
        result = order(a->vcpus, b->vcpus);
    return result ? result : order(variant(a), variant(b));
}

static gint by_key_and_label(gconstpointer a, gconstpointer b)
{
    const XmlMeasurement *left = *(const XmlMeasurement *const *)a;
    const XmlMeasurement *right = *(const XmlMeasurement *const *)b;
    gint result = policy_measurement_compare(left, right);

    return result ? result : g_strcmp0(left->cpu, right->cpu);
}

GPtrArray *policy_measurements_sorted(const GPtrArray *measurements)
{
    GPtrArray *sorted = g_ptr_array_sized_new(measurements->len);

    for (guint i = 0; i < measurements->len; i++)
        g_ptr_array_add(sorted, g_ptr_array_index(measurements, i));
    g_ptr_array_sort(sorted, by_key_and_label);
    return sorted;
}

static guint key_hash(gconstpointer key)
{
    const XmlMeasurement *measurement = key;

    return measurement->signature ^ (guint)(measurement->features * 31) ^ (measurement->vcpus << 8) ^
           variant(measurement);
}

static gboolean key_equal(gconstpointer a, gconstpointer b)
{
    return policy_measurement_compare(a, b) == 0;
}

const XmlMeasurement *policy_reference_unforeseen(const PolicyReference *reference, const PolicyReference *other)
{
    g_autoptr(GHashTable) launches = g_hash_table_new(key_hash, key_equal);

    for (guint i = 0; i < other->measurements->len; i++)
        g_hash_table_add(launches, g_ptr_array_index(other->measurements, i));
    for (guint i = 0; i < reference->measurements->len; i++) {
        const XmlMeasurement *mine = g_ptr_array_index(reference->measurements, i);
        const XmlMeasurement *theirs = g_hash_table_lookup(launches, mine);

        if (!theirs || mine->digest.size != theirs->digest.size ||
            !measure_digest_equal(mine->digest.bytes, theirs->digest.bytes, mine->digest.size))
            return mine;
    }
    return NULL;
}

gboolean policy_reference_widen(PolicyReference *reference, const PolicyReference *other)
{
    if (reference->platform != other->platform || policy_reference_unforeseen(reference, other))
        return FALSE;
    g_ptr_array_set_size(reference->measurements, 0);
    for (guint i = 0; i < other->measurements->len; i++)
        g_ptr_array_add(reference->measurements, policy_measurement_copy(g_ptr_array_index(other->measurements, i)));
    return TRUE;
}

/* ---- Writing ---- */

/* @label: FALSE leaves out how people call the CPU type. */
static JsonObject *measurement_to_json(const XmlMeasurement *measurement, const char *root_fpu, gboolean label)
{
    JsonObject *object = json_object_new();

    if (measurement->cpu) {
        if (label)
            policy_json_add_string(object, "cpu", measurement->cpu);
        policy_json_add_hex_number(object, "signature", measurement->signature);
        policy_json_add_hex_number(object, "features", measurement->features);
    }
    if (measurement->vcpus)
        json_object_set_int_member(object, "vcpus", measurement->vcpus);
    if (measurement->has_fpu && g_strcmp0(measure_fpu_name(measurement->fpu), root_fpu))
        policy_json_add_string(object, "fpu", measure_fpu_name(measurement->fpu));
    policy_json_add_hex_bytes(object, "digest", measurement->digest.bytes, measurement->digest.size);
    return object;
}

JsonArray *policy_measurements_to_json(const PolicyReference *reference, PolicyReferenceForm form)
{
    JsonArray *array = json_array_new();
    gboolean binding = form == POLICY_REFERENCE_BINDING;
    /* The order of a pin is that of the domain's evaluation, and older documents keep theirs. */
    g_autoptr(GPtrArray) sorted = binding || form == POLICY_REFERENCE_PORTABLE
                                      ? policy_measurements_sorted(reference->measurements)
                                      : g_ptr_array_ref(reference->measurements);
    const XmlMeasurement *last = NULL;

    for (guint i = 0; i < sorted->len; i++) {
        const XmlMeasurement *measurement = g_ptr_array_index(sorted, i);

        /* Without their labels, two names of one type are one. */
        if (binding && last && !policy_measurement_compare(last, measurement))
            continue;
        json_array_add_object_element(array, measurement_to_json(measurement, reference->vmm_fpu, !binding));
        last = measurement;
    }
    return array;
}

/* ---- Reading ---- */

static gboolean read_fpu(JsonObject *object, const char *where, const PolicyReference *reference,
                         XmlMeasurement *measurement, GError **error)
{
    g_autofree gchar *name = NULL;

    if (!policy_json_string(object, where, "fpu", TRUE, &name, error))
        return FALSE;
    if (reference->platform != MEASURE_PLATFORM_SEV_ES)
        return !name || policy_json_error(error, where, "fpu", "this goes with sev-es only");
    if (name && strcmp(name, "legacy") && strcmp(name, "init2"))
        return policy_json_error(error, where, "fpu", "this is not 'legacy' or 'init2'");
    if (!g_strcmp0(name, reference->vmm_fpu))
        return policy_json_error(error, where, "fpu", "this is the one of the whole document already");
    measurement->has_fpu = TRUE;
    measurement->fpu = !strcmp(name ? name : reference->vmm_fpu, measure_fpu_name(MEASURE_FPU_INIT2))
                           ? MEASURE_FPU_INIT2
                           : MEASURE_FPU_LEGACY;
    return TRUE;
}

static gboolean read_measurement(JsonObject *object, const char *where, PolicyReference *reference, GError **error)
{
    static const char *const known[] = {"cpu", "signature", "features", "vcpus", "fpu", "digest", NULL};
    static const char *const known_sev[] = {"digest", NULL};
    gboolean sev = reference->platform == MEASURE_PLATFORM_SEV;
    XmlMeasurement *measurement = xml_measurement_new();
    guint64 signature = 0, vcpus = 0;

    /* Owned by the array from here on, whatever follows. */
    g_ptr_array_add(reference->measurements, measurement);
    measurement->platform = reference->platform;
    measurement->digest.size = reference->platform == MEASURE_PLATFORM_SNP ? MEASURE_SHA384_SIZE : MEASURE_SHA256_SIZE;
    if (!policy_json_members(object, where, sev ? known_sev : known, error) ||
        !policy_json_hex_bytes(object, where, "digest", measurement->digest.size, measurement->digest.bytes, error))
        return FALSE;
    if (sev)
        return TRUE;
    if (!policy_json_string(object, where, "cpu", FALSE, &measurement->cpu, error) ||
        !policy_json_hex_number(object, where, "signature", FALSE, &signature, error) ||
        !policy_json_hex_number(object, where, "features", FALSE, &measurement->features, error) ||
        !policy_json_uint(object, where, "vcpus", FALSE, MEASURE_MAX_VCPUS, &vcpus, error) ||
        !read_fpu(object, where, reference, measurement, error))
        return FALSE;
    if (!policy_is_label(measurement->cpu))
        return policy_json_error(error, where, "cpu", "this is not a CPU model or signature");
    if (signature > G_MAXUINT32)
        return policy_json_error(error, where, "signature", "this is not a 32-bit number");
    if (vcpus == 0)
        return policy_json_error(error, where, "vcpus", "there is no launch without a vCPU");
    measurement->signature = (guint32)signature;
    measurement->vcpus = (guint)vcpus;
    return TRUE;
}

gboolean policy_measurements_from_json(JsonObject *root, PolicyReference *reference, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(key_hash, key_equal);
    JsonArray *array = NULL;

    if (!policy_json_array(root, "", "measurements", FALSE, &array, error))
        return FALSE;
    if (json_array_get_length(array) > MAX_MEASUREMENTS ||
        (reference->form != POLICY_REFERENCE_SHARED && !json_array_get_length(array)))
        return policy_json_error(error, "", "measurements", "there are none, or more than %d", MAX_MEASUREMENTS);
    for (guint i = 0; i < json_array_get_length(array); i++) {
        g_autofree gchar *where = NULL;
        JsonObject *object = policy_json_element(array, i, "", "measurements", &where, error);
        const XmlMeasurement *last = NULL;
        const XmlMeasurement *other = NULL;

        if (!object || !read_measurement(object, where, reference, error))
            return FALSE;
        last = g_ptr_array_index(reference->measurements, i);
        other = g_hash_table_lookup(seen, last);
        /* One type under two names is fine. */
        if (other && !measure_digest_equal(other->digest.bytes, last->digest.bytes, last->digest.size))
            return policy_json_error(error, where, "digest", "it contradicts another measurement");
        g_hash_table_add(seen, (gpointer)last);
    }
    return TRUE;
}
