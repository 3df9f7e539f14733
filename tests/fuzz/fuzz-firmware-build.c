/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>

#include "measure/firmware-build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every file gets an answer with a reason, and none that needs a version without one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(MeasureFirmwareBuild) build = measure_firmware_build_judge((MeasureBytes){ data, size });
    gboolean dated = build->verifier == MEASURE_VERIFIER_PRESENT || build->verifier == MEASURE_VERIFIER_WEAK;
    if (!build->reason || (dated && !build->version) ||
        (build->verifier == MEASURE_VERIFIER_UNDATED && build->version))
        g_error("verifier %s, version %s", measure_verifier_name(build->verifier), build->version);
    return 0;
}
