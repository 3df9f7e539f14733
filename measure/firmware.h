/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest firmware file says about itself in its footer: GUIDed table, SEV metadata, reset vector. */
#pragma once

#include "measure/bytes.h"

/* SEV metadata section types (OvmfPkg ResetVector, "ASEV" table, version 1). */
typedef enum {
    MEASURE_SECTION_SNP_SEC_MEM = 1,
    MEASURE_SECTION_SNP_SECRETS = 2,
    MEASURE_SECTION_CPUID = 3,
    MEASURE_SECTION_SVSM_CAA = 4,
    MEASURE_SECTION_KERNEL_HASHES = 0x10,
} MeasureSectionType;

typedef struct {
    guint32 gpa;  /* bytes, page aligned */
    guint32 size; /* bytes, page aligned */
    guint32 type; /* MeasureSectionType, or unknown: QEMU measures those as ZERO pages */
} MeasureSection;

#define MEASURE_FIRMWARE_MAX_SECTIONS 64
#define MEASURE_FIRMWARE_MAX_SIZE (64u * 1024 * 1024)

/**
 * MeasureFirmware:
 * @size: of the whole file, bytes
 * @has_table: a GUIDed footer table was found
 * @has_reset_block: @ap_reset_address is valid (00f771de-…)
 * @ap_reset_address: where application processors start
 * @has_hash_table_area: the entry 7255371f-… exists *and* its base is not 0
 * @hash_table_base, @hash_table_size: guest address and bytes of the kernel-hash area
 * @has_secret_area, @secret_base, @secret_size: LAUNCH_SECRET area (4c2eb361-…), base not 0
 * @has_svsm_info, @svsm_launch_offset: SVSM images only (a789a612-…): entry point, bytes from the image's start
 * @has_metadata: SEV metadata found, without which SEV-SNP cannot start
 * @sections: metadata sections in table order
 * @n_sections: number of @sections
 * @warnings: (element-type utf8): remarks such as an unknown section type
 */
typedef struct {
    guint64 size;
    gboolean has_table;
    gboolean has_reset_block;
    guint32 ap_reset_address;
    gboolean has_hash_table_area;
    guint32 hash_table_base, hash_table_size;
    gboolean has_secret_area;
    guint32 secret_base, secret_size;
    gboolean has_svsm_info;
    guint32 svsm_launch_offset;
    gboolean has_metadata;
    MeasureSection sections[MEASURE_FIRMWARE_MAX_SECTIONS];
    guint n_sections;
    GPtrArray *warnings;
} MeasureFirmware;

/**
 * measure_firmware_parse:
 * @file: the whole file
 *
 * Reads the footer. A file without any table parses (plain SEV can measure it); a table that is
 * there but broken (entry lengths, bounds, overlap, duplicates, unaligned or overflowing sections) is
 * %ATTEST_ERROR_UNREADABLE.
 */
MeasureFirmware *measure_firmware_parse(MeasureBytes file, GError **error);

/* How much of a file's end holds the largest possible table, with room for the metadata behind it. */
#define MEASURE_FIRMWARE_TAIL_SIZE (128u * 1024)

/**
 * measure_firmware_parse_tail:
 * @tail: the last bytes of the file
 * @file_size: of the whole file, at least @tail.size
 * @needs_whole: (out): set to %TRUE, and %NULL returned without an error, when the metadata lies before @tail
 *
 * As measure_firmware_parse(), for a caller that knows the file's digest already and reads only its end.
 */
MeasureFirmware *measure_firmware_parse_tail(MeasureBytes tail, guint64 file_size, gboolean *needs_whole,
                                             GError **error);
void measure_firmware_free(MeasureFirmware *firmware);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MeasureFirmware, measure_firmware_free)

const MeasureSection *measure_firmware_find_section(const MeasureFirmware *firmware, MeasureSectionType type);
/* "SNP_SEC_MEM", "KERNEL_HASHES", … or "unknown (0x7)"; a static or interned string. */
const char *measure_section_type_name(guint32 type);
