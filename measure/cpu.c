/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A vCPU starts with its CPUID signature in RDX, so the signature is part of the VMSA and of the launch
 * digest. It belongs to the CPU *model* that QEMU shows to the guest, not to the processor underneath,
 * except with -cpu host, where both are the same.
 */
#include "measure/cpu.h"

#include <string.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "measure/error.h"

typedef struct {
    const char *name;
    guint8 family, model, stepping;
} Model;

/* QEMU 10.0's definitions, and the versions that later releases add to the same signatures; oldest first. */
static const Model models[] = {
    { "qemu64", 15, 107, 1 },       { "qemu64-v1", 15, 107, 1 },
    { "Opteron_G1", 15, 6, 1 },     { "Opteron_G1-v1", 15, 6, 1 },
    { "Opteron_G2", 15, 6, 1 },     { "Opteron_G2-v1", 15, 6, 1 },
    { "phenom", 16, 2, 3 },         { "phenom-v1", 16, 2, 3 },
    { "Opteron_G3", 16, 2, 3 },     { "Opteron_G3-v1", 16, 2, 3 },
    { "Opteron_G4", 21, 1, 2 },     { "Opteron_G4-v1", 21, 1, 2 },
    { "Opteron_G5", 21, 2, 0 },     { "Opteron_G5-v1", 21, 2, 0 },
    { "EPYC", 23, 1, 2 },           { "EPYC-IBPB", 23, 1, 2 },
    { "EPYC-v1", 23, 1, 2 },        { "EPYC-v2", 23, 1, 2 },
    { "EPYC-v3", 23, 1, 2 },        { "EPYC-v4", 23, 1, 2 },
    { "EPYC-v5", 23, 1, 2 },        { "Dhyana", 24, 0, 1 },
    { "Dhyana-v1", 24, 0, 1 },      { "Dhyana-v2", 24, 0, 1 },
    { "EPYC-Rome", 23, 49, 0 },     { "EPYC-Rome-v1", 23, 49, 0 },
    { "EPYC-Rome-v2", 23, 49, 0 },  { "EPYC-Rome-v3", 23, 49, 0 },
    { "EPYC-Rome-v4", 23, 49, 0 },  { "EPYC-Rome-v5", 23, 49, 0 },
    { "EPYC-Milan", 25, 1, 1 },     { "EPYC-Milan-v1", 25, 1, 1 },
    { "EPYC-Milan-v2", 25, 1, 1 },  { "EPYC-Milan-v3", 25, 1, 1 },
    { "EPYC-Genoa", 25, 17, 0 },    { "EPYC-Genoa-v1", 25, 17, 0 },
    { "EPYC-Genoa-v2", 25, 17, 0 }, { "EPYC-Turin", 26, 0, 0 },
    { "EPYC-Turin-v1", 26, 0, 0 },  { "EPYC-Turin-v2", 26, 0, 0 },
};

/* Names that QEMU knows and that have no signature of their own worth predicting. */
static const struct {
    const char *name, *why;
} unpredictable[] = {
    { "host", "it shows the launching processor itself: give that processor's signature (0x… of CPUID function 1)" },
    { "max", "it shows the launching processor itself: give that processor's signature (0x… of CPUID function 1)" },
    { "base", "it is not a processor but an empty set of features" },
    { "kvm32", "its signature imitates an Intel processor, and SEV exists on AMD only: use an EPYC model" },
    { "kvm64", "its signature imitates an Intel processor, and SEV exists on AMD only: use an EPYC model" },
    { "kvm64-v1", "its signature imitates an Intel processor, and SEV exists on AMD only: use an EPYC model" },
};

MeasureCpu *measure_cpu_new(const char *name, guint32 signature)
{
    MeasureCpu *cpu = g_new0(MeasureCpu, 1);

    cpu->name = g_strdup(name);
    cpu->signature = signature;
    return cpu;
}

MeasureCpu *measure_cpu_copy(const MeasureCpu *cpu)
{
    return measure_cpu_new(cpu->name, cpu->signature);
}

void measure_cpu_free(MeasureCpu *cpu)
{
    if (!cpu)
        return;
    g_free(cpu->name);
    g_free(cpu);
}

/* Levenshtein distance without regard to case; the names are short, longer ones are as good as infinitely far. */
static guint name_distance(const char *a, const char *b)
{
    enum { LIMIT = 32 };
    guint row[LIMIT + 1];
    gsize length_a = strlen(a), length_b = strlen(b);

    if (length_a > LIMIT || length_b > LIMIT)
        return G_MAXUINT;
    for (guint j = 0; j <= length_b; j++)
        row[j] = j;
    for (guint i = 1; i <= length_a; i++) {
        guint diagonal = row[0];

        row[0] = i;
        for (guint j = 1; j <= length_b; j++) {
            guint above = row[j];
            guint change = g_ascii_tolower(a[i - 1]) != g_ascii_tolower(b[j - 1]);

            row[j] = MIN(MIN(row[j - 1], above) + 1, diagonal + change);
            diagonal = above;
        }
    }
    return row[length_b];
}

static gchar *nearest_names(const char *name)
{
    GString *text = g_string_new(NULL);
    guint best[3] = { G_MAXUINT, G_MAXUINT, G_MAXUINT };
    const char *found[3] = { NULL, NULL, NULL };

    for (guint i = 0; i < G_N_ELEMENTS(models); i++) {
        const char *candidate = models[i].name;
        guint distance = name_distance(name, candidate);

        for (guint place = 0; place < G_N_ELEMENTS(best) && distance != G_MAXUINT; place++) {
            if (distance >= best[place])
                continue;
            for (guint k = G_N_ELEMENTS(best) - 1; k > place; k--) {
                best[k] = best[k - 1];
                found[k] = found[k - 1];
            }
            best[place] = distance;
            found[place] = candidate;
            break;
        }
    }
    for (guint i = 0; i < G_N_ELEMENTS(found) && found[i]; i++)
        g_string_append_printf(text, "%s%s", i ? ", " : "nearest: ", found[i]);
    if (!text->len)
        g_string_append(text, "known names begin with EPYC");
    return g_string_free(text, FALSE);
}

MeasureCpu *measure_cpu_from_name(const char *name, GError **error)
{
    g_autofree gchar *shown = measure_printable(name);

    for (guint i = 0; i < G_N_ELEMENTS(models); i++) {
        if (g_ascii_strcasecmp(models[i].name, name) == 0)
            return measure_cpu_new(models[i].name,
                                   measure_cpu_signature(models[i].family, models[i].model, models[i].stepping));
    }
    for (guint i = 0; i < G_N_ELEMENTS(unpredictable); i++) {
        if (g_ascii_strcasecmp(unpredictable[i].name, name) == 0) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                        "CPU model '%s' has no signature that can be predicted: %s", shown, unpredictable[i].why);
            return NULL;
        }
    }

    g_autofree gchar *near = nearest_names(name);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                "unknown CPU model '%s' (%s): give a known one, or its signature", shown, near);
    return NULL;
}

/* A whole number in @base; FALSE when anything but its digits is there or it does not fit. */
static gboolean number(const char *text, guint base, guint64 max, guint *out)
{
    guint64 value = 0;

    if (!g_ascii_isalnum(text[0]))
        return FALSE;
    if (!g_ascii_string_to_unsigned(text, base, 0, max, &value, NULL))
        return FALSE;
    *out = (guint)value;
    return TRUE;
}

static gboolean parse_signature(const char *text, guint *out)
{
    static const struct {
        const char *prefix;
        guint base;
    } bases[] = { { "0x", 16 }, { "0o", 8 }, { "0b", 2 } };

    for (guint i = 0; i < G_N_ELEMENTS(bases); i++) {
        if (g_ascii_strncasecmp(text, bases[i].prefix, 2) == 0)
            return number(text + 2, bases[i].base, G_MAXUINT32, out);
    }
    return number(text, 10, G_MAXUINT32, out);
}

MeasureCpu *measure_cpu_from_text(const char *text, GError **error)
{
    guint family = 0, model = 0, stepping = 0, signature = 0;
    g_auto(GStrv) parts = g_strsplit(text, ".", 4);

    if (!g_ascii_isdigit(text[0]))
        return measure_cpu_from_name(text, error);
    if (g_strv_length(parts) == 3 && number(parts[0], 10, 0xf + 0xff, &family) && number(parts[1], 10, 0xff, &model) &&
        number(parts[2], 10, 0xf, &stepping))
        return measure_cpu_new(NULL, measure_cpu_signature(family, model, stepping));
    if (parse_signature(text, &signature))
        return measure_cpu_new(NULL, signature);
    g_autofree gchar *shown = measure_printable(text);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                "'%s' is no CPU: give a model name (EPYC-Milan), a signature (0xa00f11) or FAMILY.MODEL.STEPPING "
                "(25.1.1)",
                shown);
    return NULL;
}

guint32 measure_cpu_signature(guint family, guint model, guint stepping)
{
    guint base = MIN(family, 0xfu), extended = family - base;

    return (extended & 0xffu) << 20 | (model >> 4 & 0xfu) << 16 | base << 8 | (model & 0xfu) << 4 | (stepping & 0xfu);
}

void measure_cpu_signature_split(guint32 signature, guint *family, guint *model, guint *stepping)
{
    guint base = signature >> 8 & 0xf;

    *family = base == 0xf ? base + (signature >> 20 & 0xff) : base;
    /* The extended model is kept whatever the family is, so that splitting undoes measure_cpu_signature(). */
    *model = (signature >> 16 & 0xf) << 4 | (signature >> 4 & 0xf);
    *stepping = signature & 0xf;
}

guint32 measure_cpu_host_signature(void)
{
#ifdef __x86_64__
    guint eax = 0, ebx = 0, ecx = 0, edx = 0;

    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
        return eax;
#endif
    return 0;
}

gboolean measure_cpu_host_is_amd(void)
{
#ifdef __x86_64__
    guint eax = 0, vendor[3] = { 0, 0, 0 };

    if (__get_cpuid(0, &eax, &vendor[0], &vendor[2], &vendor[1]))
        return memcmp(vendor, "AuthenticAMD", 12) == 0 || memcmp(vendor, "HygonGenuine", 12) == 0;
#endif
    return FALSE;
}

gchar *measure_cpu_label(const MeasureCpu *cpu)
{
    return cpu->name ? g_strdup(cpu->name) : g_strdup_printf("0x%x", cpu->signature);
}

const char *const *measure_cpu_names(void)
{
    static const char *names[G_N_ELEMENTS(models) + 1];
    static gsize done = 0;

    if (g_once_init_enter(&done)) {
        for (guint i = 0; i < G_N_ELEMENTS(models); i++)
            names[i] = models[i].name;
        g_once_init_leave(&done, 1);
    }
    return names;
}
