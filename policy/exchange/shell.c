/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/exchange/shell.h"

#include <string.h>

#include "policy/reference-private.h"

static void add(GString *out, const char *name, const char *value)
{
    /* Between single quotes nothing is special but the quote itself. */
    g_string_append_printf(out, "ATTEST_%s='", name);
    for (; value && *value; value++) {
        if (*value == '\'')
            g_string_append(out, "'\\''");
        else
            g_string_append_c(out, *value);
    }
    g_string_append(out, "'\n");
}

static void add_numbered(GString *out, const char *name, guint number, const char *value)
{
    g_autofree gchar *whole = g_strdup_printf("%s_%u", name, number);

    add(out, whole, value);
}

static void add_hex(GString *out, const char *name, guint64 value)
{
    g_autofree gchar *text = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", value);

    add(out, name, text);
}

static void add_input(GString *out, const PolicyReference *reference, const char *role, const char *name)
{
    const PolicyReferenceInput *input = policy_reference_find_input(reference, role);
    g_autofree gchar *digest = input ? measure_hex_encode(input->sha256, sizeof(input->sha256)) : NULL;
    g_autofree gchar *digest_name = g_strconcat(name, "_SHA256", NULL);

    add(out, name, input ? input->path ? input->path : input->text : NULL);
    add(out, digest_name, digest);
}

static void add_measurement(GString *out, guint number, const XmlMeasurement *measurement)
{
    g_autofree gchar *digest = measure_digest_hex(&measurement->digest);
    g_autofree gchar *signature = measurement->cpu ? g_strdup_printf("0x%x", measurement->signature) : NULL;
    g_autofree gchar *features =
        measurement->cpu ? g_strdup_printf("0x%" G_GINT64_MODIFIER "x", measurement->features) : NULL;
    g_autofree gchar *vcpus = measurement->vcpus ? g_strdup_printf("%u", measurement->vcpus) : NULL;

    add_numbered(out, "MEASUREMENT", number, digest);
    add_numbered(out, "CPU", number, measurement->cpu);
    add_numbered(out, "SIGNATURE", number, signature);
    add_numbered(out, "FEATURES", number, features);
    add_numbered(out, "VCPUS", number, vcpus);
    add_numbered(out, "FPU", number, measurement->has_fpu ? measure_fpu_name(measurement->fpu) : NULL);
}

gchar *exchange_shell_format(const PolicyReference *reference)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree gchar *level = g_strdup_printf("%u", reference->level);
    g_autofree gchar *count = g_strdup_printf("%u", reference->measurements->len);
    g_autofree gchar *tcb = reference->has_minimum_tcb ? policy_tcb_describe(&reference->minimum_tcb) : NULL;
    g_autofree gchar *platform_info = reference->has_platform_info
                                          ? g_strdup_printf("0x%" G_GINT64_MODIFIER "x/0x%" G_GINT64_MODIFIER "x",
                                                            reference->platform_info, reference->platform_info_mask)
                                          : NULL;

    add(out, "NAME", reference->name);
    add(out, "UUID", reference->uuid);
    add(out, "PLATFORM", measure_platform_name(reference->platform));
    add(out, "LEVEL", level);
    add_hex(out, "POLICY", reference->policy);
    add(out, "PRODUCT", reference->product);
    add(out, "MINIMUM_TCB", tcb);
    add(out, "PLATFORM_INFO", platform_info);
    add(out, "HOST_DATA", reference->host_data);
    add_input(out, reference, "firmware", "FIRMWARE");
    add_input(out, reference, "kernel", "KERNEL");
    add_input(out, reference, "initrd", "INITRD");
    add_input(out, reference, "cmdline", "CMDLINE");
    add(out, "ROOT_HASH", reference->verity ? reference->verity->root_hash : NULL);
    add(out, "MEASUREMENTS", count);
    for (guint i = 0; i < reference->measurements->len; i++)
        add_measurement(out, i + 1, g_ptr_array_index(reference->measurements, i));
    return g_string_free(g_steal_pointer(&out), FALSE);
}
