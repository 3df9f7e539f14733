/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * OVMF ends in a table that is read backwards from the reset vector:
 *
 *   … entry entry footer | 32 bytes of reset vector | end of file
 *
 * An entry is its data, a 16-bit length and a GUID; the length counts all three, and that of the footer
 * counts the whole table. One entry says how far from the end of the file the SEV metadata begin:
 * "ASEV", length, version and number, then {address, size, type} for each section.
 */
#include "measure/firmware.h"

#include <string.h>

#include "measure/error.h"

enum {
    RESET_VECTOR_SIZE = 32,
    ENTRY_HEADER_SIZE = 18,
    METADATA_HEADER_SIZE = 16,
    METADATA_SECTION_SIZE = 12,
    PAGE_SIZE = 4096,
};

#define FOOTER_GUID "96b582de-1fb2-45f7-baea-a366c55a082d"

typedef enum {
    ENTRY_RESET_BLOCK,
    ENTRY_HASH_TABLE,
    ENTRY_SECRET,
    ENTRY_METADATA,
    ENTRY_SVSM_INFO,
    N_ENTRIES,
} EntryKind;

static const struct {
    const char *guid, *name;
    gsize size; /* least number of data bytes */
} entry_kinds[N_ENTRIES] = {
    [ENTRY_RESET_BLOCK] = { "00f771de-1a7e-4fcb-890e-68c77e2fb44e", "SEV-ES reset block", 4 },
    [ENTRY_HASH_TABLE] = { "7255371f-3a3b-4b04-927b-1da6efa8d454", "kernel hash table", 8 },
    [ENTRY_SECRET] = { "4c2eb361-7d9b-4cc3-8081-127c90d3d294", "secret area", 8 },
    [ENTRY_METADATA] = { "dc886566-984a-4798-a75e-5585a7bf67cc", "SEV metadata", 4 },
    [ENTRY_SVSM_INFO] = { "a789a612-0597-4c4b-a49f-cbb1fe9d1ddd", "SVSM information", 4 },
};

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean fail(GError **error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autofree gchar *what = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "broken firmware table: %s", what);
    return FALSE;
}

static gboolean guid_at(MeasureBytes bytes, gsize offset, const char *guid)
{
    guint8 wanted[MEASURE_GUID_SIZE];
    MeasureBytes found;

    measure_guid_parse(guid, wanted);
    return measure_bytes_slice(bytes, offset, sizeof wanted, &found) &&
           memcmp(found.data, wanted, sizeof wanted) == 0;
}

/* Splits the entry that ends at the end of @rest off it. */
static gboolean take_entry(MeasureBytes *rest, MeasureBytes *header, MeasureBytes *data, GError **error)
{
    guint16 length = 0;

    if (!measure_bytes_slice(*rest, rest->size - ENTRY_HEADER_SIZE, ENTRY_HEADER_SIZE, header) ||
        !measure_bytes_u16(*header, 0, &length))
        return fail(error, "an entry is cut off");
    if (length < ENTRY_HEADER_SIZE || length > rest->size)
        return fail(error, "an entry of %u bytes does not fit into the %" G_GSIZE_FORMAT " bytes left", length,
                    rest->size);
    (void)measure_bytes_slice(*rest, rest->size - length, length - ENTRY_HEADER_SIZE, data);
    rest->size -= length;
    return TRUE;
}

static gboolean walk_table(MeasureBytes table, MeasureBytes entries[N_ENTRIES], GError **error)
{
    gboolean seen[N_ENTRIES] = { FALSE };

    while (table.size >= ENTRY_HEADER_SIZE) {
        MeasureBytes header, data;

        if (!take_entry(&table, &header, &data, error))
            return FALSE;
        for (guint kind = 0; kind < N_ENTRIES; kind++) {
            if (!guid_at(header, 2, entry_kinds[kind].guid))
                continue;
            if (seen[kind])
                return fail(error, "the %s entry is there twice", entry_kinds[kind].name);
            if (data.size < entry_kinds[kind].size)
                return fail(error, "the %s entry is too short", entry_kinds[kind].name);
            seen[kind] = TRUE;
            entries[kind] = data;
        }
    }
    return TRUE;
}

/* Addresses and sizes that every section must have, and its place among the ones before it. */
static gboolean check_section(MeasureFirmware *firmware, guint index, GError **error)
{
    const MeasureSection *section = &firmware->sections[index];
    guint64 end = (guint64)section->gpa + section->size;
    guint64 rom = (G_GUINT64_CONSTANT(1) << 32) - MIN(firmware->size, G_GUINT64_CONSTANT(1) << 32);

    /* TDX builds leave such entries behind. Only SEV-SNP reads this table, and its launch refuses them. */
    if (section->size == 0) {
        g_ptr_array_add(firmware->warnings,
                        g_strdup_printf("metadata section %u (%s) is empty: QEMU cannot start SEV-SNP with it", index,
                                        measure_section_type_name(section->type)));
        return TRUE;
    }
    if (section->gpa % PAGE_SIZE || section->size % PAGE_SIZE)
        return fail(error, "metadata section %u (0x%x, 0x%x bytes) is not page aligned", index, section->gpa,
                    section->size);
    if (end > G_GUINT64_CONSTANT(1) << 32)
        return fail(error, "metadata section %u (0x%x, 0x%x bytes) passes 4 GiB", index, section->gpa, section->size);
    if (end > rom)
        return fail(error, "metadata section %u (0x%x, 0x%x bytes) overlaps the firmware", index, section->gpa,
                    section->size);
    for (guint i = 0; i < index; i++) {
        const MeasureSection *other = &firmware->sections[i];

        if (section->gpa < (guint64)other->gpa + other->size && other->gpa < end)
            return fail(error, "metadata sections %u and %u overlap", i, index);
        if (section->type == MEASURE_SECTION_KERNEL_HASHES && other->type == section->type)
            return fail(error, "the SNP_KERNEL_HASHES section is there twice");
    }
    if (section->type == MEASURE_SECTION_KERNEL_HASHES && section->size != PAGE_SIZE)
        return fail(error, "the SNP_KERNEL_HASHES section has 0x%x bytes instead of one page", section->size);
    return TRUE;
}

static gboolean is_known_type(guint32 type)
{
    return (type >= MEASURE_SECTION_SNP_SEC_MEM && type <= MEASURE_SECTION_SVSM_CAA) ||
           type == MEASURE_SECTION_KERNEL_HASHES;
}

static gboolean read_metadata(MeasureFirmware *firmware, MeasureBytes metadata, GError **error)
{
    MeasureBytes signature;
    guint32 length = 0, version = 0, count = 0;

    if (!measure_bytes_slice(metadata, 0, 4, &signature) || !measure_bytes_u32(metadata, 4, &length) ||
        !measure_bytes_u32(metadata, 8, &version) || !measure_bytes_u32(metadata, 12, &count))
        return fail(error, "the SEV metadata are cut off");
    if (memcmp(signature.data, "ASEV", 4) != 0)
        return fail(error, "the SEV metadata do not begin with ASEV");
    if (version != 1)
        return fail(error, "the SEV metadata have version %u, known is 1", version);
    if (count > MEASURE_FIRMWARE_MAX_SECTIONS)
        return fail(error, "the SEV metadata claim %u sections, at most %u are supported", count,
                    MEASURE_FIRMWARE_MAX_SECTIONS);
    if (length > metadata.size || length < METADATA_HEADER_SIZE + count * METADATA_SECTION_SIZE)
        return fail(error, "the SEV metadata of %u bytes cannot hold their %u sections", length, count);

    firmware->has_metadata = TRUE;
    for (guint i = 0; i < count; i++) {
        MeasureSection *section = &firmware->sections[i];
        gsize at = METADATA_HEADER_SIZE + (gsize)i * METADATA_SECTION_SIZE;

        if (!measure_bytes_u32(metadata, at, &section->gpa) || !measure_bytes_u32(metadata, at + 4, &section->size) ||
            !measure_bytes_u32(metadata, at + 8, &section->type))
            return fail(error, "the SEV metadata are cut off");
        firmware->n_sections = i + 1;
        if (!check_section(firmware, i, error))
            return FALSE;
        if (!is_known_type(section->type))
            g_ptr_array_add(firmware->warnings,
                            g_strdup_printf("metadata section %u (0x%x, 0x%x bytes) has the unknown type 0x%x: it is "
                                            "measured as ZERO pages, which is what QEMU makes of it",
                                            i, section->gpa, section->size, section->type));
    }
    return TRUE;
}

/* TRUE when the area exists: OVMF builds without the feature carry the entry with base 0. */
static gboolean read_area(MeasureBytes entry, guint32 *base, guint32 *size)
{
    return measure_bytes_u32(entry, 0, base) && measure_bytes_u32(entry, 4, size) && *base != 0;
}

static void read_reset_block(MeasureFirmware *firmware, MeasureBytes data)
{
    guint32 address = 0;

    /* QEMU refuses address 0 too. */
    firmware->has_reset_block = measure_bytes_u32(data, 0, &address) && address != 0;
    firmware->ap_reset_address = address;
}

/* Firmware from before the table: the reset block stands alone where the footer is today. */
static void read_lone_reset_block(MeasureFirmware *firmware, MeasureBytes body)
{
    MeasureBytes header, data;

    if (body.size >= ENTRY_HEADER_SIZE + entry_kinds[ENTRY_RESET_BLOCK].size &&
        guid_at(body, body.size - MEASURE_GUID_SIZE, entry_kinds[ENTRY_RESET_BLOCK].guid) &&
        take_entry(&body, &header, &data, NULL) && data.size >= entry_kinds[ENTRY_RESET_BLOCK].size)
        read_reset_block(firmware, data);
}

static gboolean read_entries(MeasureFirmware *firmware, MeasureBytes tail, const MeasureBytes entries[N_ENTRIES],
                             gboolean *needs_whole, GError **error)
{
    guint32 offset = 0;
    MeasureBytes metadata;

    read_reset_block(firmware, entries[ENTRY_RESET_BLOCK]);
    firmware->has_hash_table_area =
        read_area(entries[ENTRY_HASH_TABLE], &firmware->hash_table_base, &firmware->hash_table_size);
    firmware->has_secret_area = read_area(entries[ENTRY_SECRET], &firmware->secret_base, &firmware->secret_size);
    firmware->has_svsm_info = measure_bytes_u32(entries[ENTRY_SVSM_INFO], 0, &firmware->svsm_launch_offset);

    if (!measure_bytes_u32(entries[ENTRY_METADATA], 0, &offset))
        return TRUE;
    if (offset < METADATA_HEADER_SIZE || offset > firmware->size)
        return fail(error, "the SEV metadata lie outside the file (0x%x bytes before its end)", offset);
    if (offset > tail.size) {
        *needs_whole = TRUE;
        return FALSE;
    }
    (void)measure_bytes_slice(tail, tail.size - offset, offset, &metadata);
    return read_metadata(firmware, metadata, error);
}

MeasureFirmware *measure_firmware_parse_tail(MeasureBytes tail, guint64 file_size, gboolean *needs_whole,
                                             GError **error)
{
    g_autoptr(MeasureFirmware) firmware = g_new0(MeasureFirmware, 1);
    MeasureBytes entries[N_ENTRIES] = { { NULL, 0 } };
    MeasureBytes body, table;
    guint16 total = 0;

    *needs_whole = FALSE;
    firmware->size = file_size;
    firmware->warnings = g_ptr_array_new_with_free_func(g_free);
    if (tail.size < RESET_VECTOR_SIZE + ENTRY_HEADER_SIZE)
        return g_steal_pointer(&firmware);
    (void)measure_bytes_slice(tail, 0, tail.size - RESET_VECTOR_SIZE, &body);
    if (!guid_at(body, body.size - MEASURE_GUID_SIZE, FOOTER_GUID)) {
        read_lone_reset_block(firmware, body);
        return g_steal_pointer(&firmware);
    }

    (void)measure_bytes_u16(body, body.size - ENTRY_HEADER_SIZE, &total);
    if (total < ENTRY_HEADER_SIZE || total > body.size) {
        fail(error, "it claims %u bytes where %" G_GSIZE_FORMAT " can be", total, body.size);
        return NULL;
    }
    firmware->has_table = TRUE;
    (void)measure_bytes_slice(body, body.size - total, total - ENTRY_HEADER_SIZE, &table);
    if (!walk_table(table, entries, error) || !read_entries(firmware, tail, entries, needs_whole, error))
        return NULL;
    return g_steal_pointer(&firmware);
}

MeasureFirmware *measure_firmware_parse(MeasureBytes file, GError **error)
{
    gboolean needs_whole;

    return measure_firmware_parse_tail(file, file.size, &needs_whole, error);
}

void measure_firmware_free(MeasureFirmware *firmware)
{
    if (!firmware)
        return;
    g_clear_pointer(&firmware->warnings, g_ptr_array_unref);
    g_free(firmware);
}

const MeasureSection *measure_firmware_find_section(const MeasureFirmware *firmware, MeasureSectionType type)
{
    for (guint i = 0; i < firmware->n_sections; i++) {
        if (firmware->sections[i].type == type)
            return &firmware->sections[i];
    }
    return NULL;
}

const char *measure_section_type_name(guint32 type)
{
    switch (type) {
    case MEASURE_SECTION_SNP_SEC_MEM:
        return "SNP_SEC_MEM";
    case MEASURE_SECTION_SNP_SECRETS:
        return "SNP_SECRETS";
    case MEASURE_SECTION_CPUID:
        return "CPUID";
    case MEASURE_SECTION_SVSM_CAA:
        return "SVSM_CAA";
    case MEASURE_SECTION_KERNEL_HASHES:
        return "KERNEL_HASHES";
    default: {
        g_autofree gchar *name = g_strdup_printf("unknown (0x%x)", type);
        return g_intern_string(name);
    }
    }
}
