/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which build a firmware file is, and whether the code that *verifies* the
 * kernel-hash table is really inside. The footer only advertises the table.
 */
#pragma once

#include "measure/bytes.h"

/**
 * MeasureVerifier:
 * @MEASURE_VERIFIER_UNKNOWN: the file could not be judged (other compression, unknown layout)
 * @MEASURE_VERIFIER_ABSENT: judged, and the verifier is not in it: the firmware boots any kernel
 * @MEASURE_VERIFIER_WEAK: the verifier is there, of a version that does not halt on a mismatch (before edk2-stable202408)
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
 * Decompresses the main firmware volume (LZMA GUIDed section, memory and output capped) and looks for
 * the verifier's table entry GUIDs and the version string. Never fails: what cannot be judged is
 * %MEASURE_VERIFIER_UNKNOWN with a reason.
 */
MeasureFirmwareBuild *measure_firmware_build_judge(MeasureBytes file);
MeasureFirmwareBuild *measure_firmware_build_new(MeasureVerifier verifier, const char *version, const char *reason);
void measure_firmware_build_free(MeasureFirmwareBuild *build);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MeasureFirmwareBuild, measure_firmware_build_free)

/* "unknown", "absent", "weak", "undated", "present": the words used in JSON and in the cache. */
const char *measure_verifier_name(MeasureVerifier verifier);
gboolean measure_verifier_from_name(const char *name, MeasureVerifier *out);
