/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is remembered about a file between runs, as the text that MeasureCache keeps. A value names the identity of
 * the file it was made from and ends in a check over itself, so that a torn, mixed-up or outdated value is a miss.
 * That is no protection against somebody who writes to the cache on purpose: whoever keeps it has to see to that.
 * Internal to measure/.
 */
#pragma once

#include "measure/launch.h"

/**
 * MeasureFirmwareFacts:
 * @known: @sha256 is valid
 * @sha256: of the whole file
 * @has_seed: @seed is valid
 * @seed: launch digest after the firmware pages
 * @build: (nullable): its judged build
 */
typedef struct {
    gboolean known;
    guint8 sha256[MEASURE_SHA256_SIZE];
    gboolean has_seed;
    guint8 seed[MEASURE_SHA384_SIZE];
    MeasureFirmwareBuild *build;
} MeasureFirmwareFacts;

void measure_firmware_facts_clear(MeasureFirmwareFacts *facts);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MeasureFirmwareFacts, measure_firmware_facts_clear)

/* Fill @input->sha256 and set @input->cached, or return FALSE. @cache may be NULL. */
gboolean measure_cache_get_file(const MeasureCache *cache, MeasureInput *input);
void measure_cache_put_file(const MeasureCache *cache, const MeasureInput *input);

/* Fill @facts, which must be clear, or return FALSE. @cache may be NULL. */
gboolean measure_cache_get_firmware(const MeasureCache *cache, const MeasureInput *input, MeasureFirmwareFacts *facts);
void measure_cache_put_firmware(const MeasureCache *cache, const MeasureInput *input,
                                const MeasureFirmwareFacts *facts);
