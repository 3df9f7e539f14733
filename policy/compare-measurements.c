/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measurements of two references. A reference foresees a set of launches, each of them a CPU type, features, a number
 * of vCPUs and a floating-point variant; a launch agrees when it is one of them and has its digest.
 */
#include <string.h>

#include "policy/compare-private.h"
#include "policy/text.h"

/* More digests than these are summed up. */
#define MAX_DIGESTS_SHOWN 4

typedef enum { PART_CPU, PART_VCPUS, PART_FEATURES, PART_FPU, N_PARTS } Part;

static const struct {
    const char *what, *label, *foresees;
} parts[N_PARTS] = {
    [PART_CPU] = {"cpu", "CPU types", "CPU type is not one that the reference foresees"},
    [PART_VCPUS] = {"vcpus", "number of vCPUs at start",
                    "number of vCPUs at start is not one that the reference foresees"},
    [PART_FEATURES] = {"features", "SEV features of the vCPUs",
                       "SEV features are not those that the reference foresees"},
    [PART_FPU] = {"features", "floating-point words of the vCPUs",
                  "floating-point words are not those that the reference foresees"},
};

static guint64 part_value(const XmlMeasurement *measurement, Part part)
{
    switch (part) {
    case PART_CPU:
        return measurement->signature;
    case PART_VCPUS:
        return measurement->vcpus;
    case PART_FEATURES:
        return measurement->features;
    case PART_FPU:
        return measurement->has_fpu ? (guint64)measurement->fpu + 1 : 0;
    case N_PARTS:
        break;
    }
    g_return_val_if_reached(0);
}

static gchar *part_text(const XmlMeasurement *measurement, Part part)
{
    switch (part) {
    case PART_CPU:
        return g_strdup_printf("%s (signature 0x%x)", measurement->cpu, measurement->signature);
    case PART_VCPUS:
        return g_strdup_printf("%u", measurement->vcpus);
    case PART_FEATURES:
        return g_strdup_printf("0x%" G_GINT64_MODIFIER "x", measurement->features);
    case PART_FPU:
    case N_PARTS:
        break;
    }
    return g_strdup(measure_fpu_name(measurement->fpu));
}

static gint by_value(gconstpointer a, gconstpointer b, gpointer part)
{
    guint64 left = part_value(*(const XmlMeasurement *const *)a, (Part)GPOINTER_TO_INT(part));
    guint64 right = part_value(*(const XmlMeasurement *const *)b, (Part)GPOINTER_TO_INT(part));

    return left < right ? -1 : left > right;
}

/* One measurement for each value of that part, in the order of the values. */
static GPtrArray *part_values(const GPtrArray *measurements, Part part)
{
    g_autoptr(GPtrArray) sorted = policy_measurements_sorted(measurements);
    GPtrArray *values = g_ptr_array_new();

    /* Stable: of a CPU type with two names the first in the alphabet stays. */
    g_ptr_array_sort_with_data(sorted, by_value, GINT_TO_POINTER(part));
    for (guint i = 0; i < sorted->len; i++) {
        XmlMeasurement *each = g_ptr_array_index(sorted, i);

        if (!values->len ||
            part_value(g_ptr_array_index(values, values->len - 1), part) != part_value(each, part))
            g_ptr_array_add(values, each);
    }
    return values;
}

/* "1, 2, 4-8" */
static gchar *describe(const GPtrArray *values, Part part)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < values->len; i++) {
        g_autofree gchar *value = part_text(g_ptr_array_index(values, i), part);
        guint last = i;

        g_string_append_printf(text, "%s%s", i ? ", " : "", value);
        while (part == PART_VCPUS && last + 1 < values->len &&
               part_value(g_ptr_array_index(values, last + 1), part) ==
                   part_value(g_ptr_array_index(values, last), part) + 1)
            last++;
        if (last > i + 1) {
            g_autofree gchar *end = part_text(g_ptr_array_index(values, last), part);

            g_string_append_printf(text, "-%s", end);
            i = last;
        }
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static gboolean has_value(const GPtrArray *values, guint64 value, Part part)
{
    for (guint i = 0; i < values->len; i++) {
        if (part_value(g_ptr_array_index(values, i), part) == value)
            return TRUE;
    }
    return FALSE;
}

static guint key_hash(gconstpointer key)
{
    const XmlMeasurement *measurement = key;

    return measurement->signature ^ (measurement->vcpus << 8) ^ (guint)measurement->features;
}

static gboolean key_equal(gconstpointer a, gconstpointer b)
{
    return policy_measurement_compare(a, b) == 0;
}

/* Keys to measurements, both borrowed. */
static GHashTable *index_launches(const GPtrArray *measurements)
{
    GHashTable *table = g_hash_table_new(key_hash, key_equal);

    for (guint i = 0; i < measurements->len; i++)
        g_hash_table_add(table, g_ptr_array_index(measurements, i));
    return table;
}

/* ---- Digests ---- */

/* " for EPYC-Milan", and with how many vCPUs where that is needed to tell it from others. */
static gchar *describe_launch(const XmlMeasurement *measurement, gboolean vcpus, gboolean fpu)
{
    g_autofree gchar *count = vcpus ? g_strdup_printf(" with %u vCPU%s", measurement->vcpus,
                                                      measurement->vcpus == 1 ? "" : "s")
                                    : g_strdup("");

    if (!measurement->cpu)
        return g_strdup("");
    return g_strdup_printf(" for %s%s%s%s", measurement->cpu, count, fpu ? ", floating-point words " : "",
                           fpu ? measure_fpu_name(measurement->fpu) : "");
}

static void add_digest(GPtrArray *changes, const char *launch, const char *cause, const XmlMeasurement *was,
                       const XmlMeasurement *is)
{
    g_autofree gchar *old_hex = measure_digest_hex(&was->digest);
    g_autofree gchar *new_hex = measure_digest_hex(&is->digest);
    g_autofree gchar *old_short = policy_short_digest(old_hex);
    g_autofree gchar *new_short = policy_short_digest(new_hex);

    policy_change_add(changes, "digest", old_hex, new_hex, "expected measurement%s changed%s: was %s, is %s", launch,
                      cause, old_short, new_short);
}

static gboolean same_digest(const XmlMeasurement *a, const XmlMeasurement *b)
{
    return a->digest.size == b->digest.size && measure_digest_equal(a->digest.bytes, b->digest.bytes, a->digest.size);
}

/* The launches that both sides have, and whose digests differ. */
static void compare_digests(GPtrArray *changes, const GPtrArray *pinned, const GPtrArray *found, gboolean explained)
{
    g_autoptr(GHashTable) launches = index_launches(pinned);
    g_autoptr(GPtrArray) sorted = policy_measurements_sorted(found);
    g_autoptr(GPtrArray) counts = part_values(found, PART_VCPUS);
    g_autoptr(GPtrArray) variants = part_values(found, PART_FPU);
    const char *cause = explained ? "" : " although no input did";
    guint common = 0, changed = 0;

    for (guint i = 0; i < sorted->len; i++) {
        const XmlMeasurement *is = g_ptr_array_index(sorted, i);
        const XmlMeasurement *was = g_hash_table_lookup(launches, is);

        common += was != NULL;
        if (was && !same_digest(was, is) && ++changed <= MAX_DIGESTS_SHOWN) {
            g_autofree gchar *launch = describe_launch(is, counts->len > 1, variants->len > 1);

            add_digest(changes, launch, cause, was, is);
        }
    }
    if (changed > MAX_DIGESTS_SHOWN) {
        g_autofree gchar *all = g_strdup_printf("%u measurements", common);
        g_autofree gchar *some = g_strdup_printf("%u of them changed", changed);

        policy_change_add(changes, "digest", all, some, "in all, %u of %u expected measurements changed", changed,
                          common);
    }
}

/* ---- One launch ---- */

static void add_unforeseen(GPtrArray *changes, const GPtrArray *foreseen, const GPtrArray *given, Part part)
{
    g_autofree gchar *was = describe(foreseen, part);
    g_autofree gchar *is = describe(given, part);

    if (part != PART_CPU && foreseen->len == 1)
        policy_change_add(changes, parts[part].what, was, is, "%s changed: was %s, is %s", parts[part].label, was, is);
    else
        policy_change_add(changes, parts[part].what, was, is, "%s: it has %s, this is %s", parts[part].foresees, was,
                          is);
}

/* The CPU type alone is foreseen, with one digest: that it is another one is worth saying, whatever the cause. */
static void compare_only_digest(GPtrArray *changes, const GPtrArray *pinned, const GPtrArray *found)
{
    for (guint i = 0; i < found->len; i++) {
        const XmlMeasurement *is = g_ptr_array_index(found, i);
        const XmlMeasurement *was = NULL;
        guint n = 0;

        for (guint j = 0; j < pinned->len; j++) {
            const XmlMeasurement *each = g_ptr_array_index(pinned, j);

            if (each->signature == is->signature) {
                was = each;
                n++;
            }
        }
        if (n == 1 && !same_digest(was, is)) {
            g_autofree gchar *launch = describe_launch(is, FALSE, FALSE);

            add_digest(changes, launch, "", was, is);
        }
    }
}

/*
 * One measurement is a launch: it must be foreseen. Several are a choice that the host has still to make (a definition
 * with host-model): then it is enough that one of them is.
 */
void policy_compare_launch(GPtrArray *changes, const PolicyReference *pinned, const PolicyReference *found)
{
    g_autoptr(GHashTable) launches = NULL;
    gboolean explained = changes->len > 0;
    guint before = changes->len;

    if (pinned->platform != found->platform)
        return;
    launches = index_launches(pinned->measurements);
    for (guint i = 0; i < found->measurements->len; i++) {
        if (g_hash_table_contains(launches, g_ptr_array_index(found->measurements, i))) {
            compare_digests(changes, pinned->measurements, found->measurements, explained);
            return;
        }
    }
    for (Part part = PART_CPU; part < N_PARTS; part++) {
        g_autoptr(GPtrArray) foreseen = part_values(pinned->measurements, part);
        g_autoptr(GPtrArray) given = part_values(found->measurements, part);
        gboolean any = FALSE;

        for (guint i = 0; i < given->len && !any; i++)
            any = has_value(foreseen, part_value(g_ptr_array_index(given, i), part), part);
        if (!any)
            add_unforeseen(changes, foreseen, given, part);
    }
    if (changes->len == before)
        policy_change_add(changes, "cpu", "", "",
                          "CPU type, number of vCPUs and SEV features are each foreseen by the reference, but not "
                          "together");
    compare_only_digest(changes, pinned->measurements, found->measurements);
}

/* ---- Two references ---- */

/* TRUE when they have the same values of that part. */
static gboolean diff_part(GPtrArray *changes, const GPtrArray *old_measurements, const GPtrArray *new_measurements,
                          Part part)
{
    g_autoptr(GPtrArray) old_values = part_values(old_measurements, part);
    g_autoptr(GPtrArray) new_values = part_values(new_measurements, part);
    g_autofree gchar *was = NULL;
    g_autofree gchar *is = NULL;
    gboolean same = old_values->len == new_values->len;
    gboolean several = part == PART_CPU || old_values->len > 1 || new_values->len > 1;

    for (guint i = 0; i < new_values->len && same; i++)
        same = part_value(g_ptr_array_index(old_values, i), part) == part_value(g_ptr_array_index(new_values, i), part);
    if (same)
        return TRUE;
    was = describe(old_values, part);
    is = describe(new_values, part);
    policy_change_add(changes, parts[part].what, was, is, "%s changed: %s %s, %s %s", parts[part].label,
                      several ? "were" : "was", *was ? was : "none", several ? "are" : "is", *is ? is : "none");
    return FALSE;
}

/* Launches that only one side foresees although it has every part of them. */
static void diff_combinations(GPtrArray *changes, const GPtrArray *old_measurements, const GPtrArray *new_measurements)
{
    g_autoptr(GHashTable) old_launches = index_launches(old_measurements);
    g_autoptr(GHashTable) new_launches = index_launches(new_measurements);
    guint removed = 0, added = 0;
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, old_launches);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        removed += !g_hash_table_contains(new_launches, key);
    g_hash_table_iter_init(&iter, new_launches);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        added += !g_hash_table_contains(old_launches, key);
    if (removed || added) {
        g_autofree gchar *was = g_strdup_printf("%u", g_hash_table_size(old_launches));
        g_autofree gchar *is = g_strdup_printf("%u", g_hash_table_size(new_launches));

        policy_change_add(changes, "cpu", was, is,
                          "combinations of CPU type, number of vCPUs and features changed: %u removed, %u added",
                          removed, added);
    }
}

void policy_diff_measurements(GPtrArray *changes, const PolicyReference *old_reference,
                              const PolicyReference *new_reference)
{
    gboolean same = TRUE;

    if (old_reference->platform != new_reference->platform)
        return;
    for (Part part = PART_CPU; part < N_PARTS && old_reference->platform != MEASURE_PLATFORM_SEV; part++)
        same = diff_part(changes, old_reference->measurements, new_reference->measurements, part) && same;
    if (same)
        diff_combinations(changes, old_reference->measurements, new_reference->measurements);
    compare_digests(changes, old_reference->measurements, new_reference->measurements, changes->len > 0);
}
