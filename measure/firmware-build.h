/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which build a firmware file is, and whether the code that *verifies* the
 * kernel-hash table is really inside. The footer only advertises the table.
 */
#pragma once

#include "measure/bytes.h"

/**
 * MeasureVerifier:
 * @MEASURE_VERIFIER_UNKNOWN: the file could not be judged (other compression, unknown layout, damaged, only some
 *   entries)
 * @MEASURE_VERIFIER_ABSENT: read whole, and the verifier is not in it: the firmware boots any kernel
 * @MEASURE_VERIFIER_WEAK: the verifier is there, in a version that does not halt on a mismatch (before
 *   edk2-stable202408)
 * @MEASURE_VERIFIER_UNDATED: the verifier is there but the build's version cannot be read
 * @MEASURE_VERIFIER_PRESENT: the verifier is there and halts on a mismatch
 */
typedef enum {
    MEASURE_VERIFIER_UNKNOWN,
    MEASURE_VERIFIER_ABSENT,
    MEASURE_VERIFIER_WEAK,
    MEASURE_VERIFIER_UNDATED,
    MEASURE_VERIFIER_PRESENT,
} MeasureVerifier;

/**
 * MeasureFirmwareBuild:
 * @verifier: the judgement
 * @version: (nullable): build version as printable text ("2026.08+ds-2")
 * @reason: one sentence that says how the judgement was reached
 */
typedef struct {
    MeasureVerifier verifier;
    gchar *version;
    gchar *reason;
} MeasureFirmwareBuild;

/**
 * measure_firmware_build_judge:
 * @file: the whole firmware file; hostile
 *
 * Walks the firmware volumes (memory and decompressed size capped, see measure/firmware-volume.h) and looks for the
 * DXE driver that names the kernel-hash table's three entry GUIDs, and for the version string. Never fails: what cannot
 * be judged is %MEASURE_VERIFIER_UNKNOWN with a reason.
 *
 * What the answer is worth: it tells builds of edk2 apart, and so protects from taking the wrong one by mistake. It
 * does not run or analyse code: a firmware made to deceive can carry the GUIDs and a version without verifying
 * anything. Such a file is kept out by its digest (the launch measurement, or trust given by SHA-256), not here, and
 * what a build really does is shown by booting it (policy/firmware-boot.h).
 */
MeasureFirmwareBuild *measure_firmware_build_judge(MeasureBytes file);
MeasureFirmwareBuild *measure_firmware_build_new(MeasureVerifier verifier, const char *version, const char *reason);
void measure_firmware_build_free(MeasureFirmwareBuild *build);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MeasureFirmwareBuild, measure_firmware_build_free)

/* "unknown", "absent", "weak", "undated", "present": the words used in JSON and in the cache. */
const char *measure_verifier_name(MeasureVerifier verifier);
gboolean measure_verifier_from_name(const char *name, MeasureVerifier *out);
