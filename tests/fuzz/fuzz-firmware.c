/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Footer and metadata of a firmware file. Besides not crashing: what parses obeys the promises that the digest relies
 * on, and reading only the end of the file gives the same as reading all of it.
 */
#include <stdint.h>

#include "measure/firmware.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_sections(const MeasureFirmware *firmware)
{
    guint n_empty = 0;

    g_assert_cmpuint(firmware->n_sections, <=, MEASURE_FIRMWARE_MAX_SECTIONS);
    g_assert_true(firmware->has_metadata || firmware->n_sections == 0);
    for (guint i = 0; i < firmware->n_sections; i++) {
        const MeasureSection *section = &firmware->sections[i];

        /* Whatever an empty one says is not used: it is only warned about, and SEV-SNP refuses it. */
        if (section->size == 0) {
            n_empty++;
            continue;
        }
        g_assert_cmpuint(section->gpa % 4096, ==, 0);
        g_assert_cmpuint(section->size % 4096, ==, 0);
        g_assert_cmpuint((guint64)section->gpa + section->size + firmware->size, <=, G_GUINT64_CONSTANT(1) << 32);
        g_assert_true(section->type != MEASURE_SECTION_KERNEL_HASHES || section->size == 4096);
    }
    g_assert_cmpuint(firmware->warnings->len, >=, n_empty);
    g_assert_true(!firmware->has_reset_block || firmware->ap_reset_address != 0);
    g_assert_true(!firmware->has_hash_table_area || firmware->hash_table_base != 0);
}

static void check_same(const MeasureFirmware *a, const MeasureFirmware *b)
{
    g_assert_cmpuint(a->size, ==, b->size);
    g_assert_cmpint(a->has_table, ==, b->has_table);
    g_assert_cmpint(a->has_metadata, ==, b->has_metadata);
    g_assert_cmpint(a->has_reset_block, ==, b->has_reset_block);
    g_assert_cmpuint(a->ap_reset_address, ==, b->ap_reset_address);
    g_assert_cmpuint(a->hash_table_base, ==, b->hash_table_base);
    g_assert_cmpuint(a->n_sections, ==, b->n_sections);
    g_assert_cmpmem(a->sections, sizeof a->sections, b->sections, sizeof b->sections);
    g_assert_cmpuint(a->warnings->len, ==, b->warnings->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    MeasureBytes file = { data, size };
    g_autoptr(GError) error = NULL;
    g_autoptr(MeasureFirmware) whole = measure_firmware_parse(file, &error);

    g_assert_true((whole == NULL) == (error != NULL));
    if (whole)
        check_sections(whole);

    /* All of it but its first byte: the same, or a wish for the whole file, or an error for a table that is cut. */
    gboolean needs_whole = FALSE;
    if (size > 1) {
        MeasureBytes tail = { data + 1, size - 1 };
        g_autoptr(MeasureFirmware) part = measure_firmware_parse_tail(tail, size, &needs_whole, NULL);

        g_assert_true(!(part && needs_whole));
        if (part && whole && part->has_table && whole->has_table)
            check_same(whole, part);
    }
    return 0;
}
