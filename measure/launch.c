/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure/launch.h"

#include <string.h>

static const char *const platform_names[] = {
    [MEASURE_PLATFORM_SEV] = "sev",
    [MEASURE_PLATFORM_SEV_ES] = "sev-es",
    [MEASURE_PLATFORM_SNP] = "sev-snp",
};

const char *measure_platform_name(MeasurePlatform platform)
{
    return platform_names[platform];
}

gboolean measure_platform_from_name(const char *name, MeasurePlatform *out)
{
    for (guint i = 0; i < G_N_ELEMENTS(platform_names); i++) {
        if (strcmp(name, platform_names[i]) == 0) {
            *out = (MeasurePlatform)i;
            return TRUE;
        }
    }
    return FALSE;
}

const char *measure_fpu_name(MeasureFpu fpu)
{
    return fpu == MEASURE_FPU_INIT2 ? "init2" : "legacy";
}

MeasureLaunch *measure_launch_new(MeasurePlatform platform)
{
    MeasureLaunch *launch = g_new0(MeasureLaunch, 1);
    gboolean snp = platform == MEASURE_PLATFORM_SNP;

    launch->platform = platform;
    launch->vmm = MEASURE_VMM_QEMU;
    launch->fpu = snp ? MEASURE_FPU_INIT2 : MEASURE_FPU_LEGACY;
    launch->guest_features = snp ? 0x1 : 0;
    launch->vcpus = 1;
    launch->cpus = g_ptr_array_new_with_free_func((GDestroyNotify)measure_cpu_free);
    return launch;
}

void measure_launch_free(MeasureLaunch *launch)
{
    if (!launch)
        return;
    g_clear_pointer(&launch->cpus, g_ptr_array_unref);
    g_free(launch->firmware);
    g_free(launch->kernel);
    g_free(launch->initrd);
    g_free(launch->cmdline);
    g_free(launch);
}

void measure_input_free(MeasureInput *input)
{
    if (!input)
        return;
    g_free(input->path);
    g_free(input);
}

gchar *measure_digest_hex(const MeasureDigest *digest)
{
    return measure_hex_encode(digest->bytes, digest->size);
}
