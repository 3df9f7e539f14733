/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The footer parser over the files of tests/corpus/firmware, which tests/fuzz/make-firmware-corpus.py writes: what
 * is right must be read as it was written, what is broken must be refused for that reason.
 */
#include <glib.h>
#include <string.h>

#include "measure/error.h"
#include "measure/firmware.h"

static gchar *corpus_folder(void)
{
    return g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), "tests", "corpus", "firmware", NULL);
}

static GBytes *load(const char *name)
{
    g_autofree gchar *folder = corpus_folder();
    g_autofree gchar *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;
    gchar *data = NULL;
    gsize size = 0;

    g_file_get_contents(path, &data, &size, &error);
    g_assert_no_error(error);
    return g_bytes_new_take(data, size);
}

static MeasureFirmware *parse(const char *name, GError **error)
{
    g_autoptr(GBytes) bytes = load(name);
    gsize size = 0;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    return measure_firmware_parse((MeasureBytes){ data, size }, error);
}

static MeasureFirmware *parse_good(const char *name)
{
    g_autoptr(GError) error = NULL;
    MeasureFirmware *firmware = parse(name, &error);

    g_assert_no_error(error);
    g_assert_nonnull(firmware);
    return firmware;
}

static void test_complete(void)
{
    static const MeasureSection sections[] = {
        { 0x800000, 0x9000, MEASURE_SECTION_SNP_SEC_MEM },  { 0x80a000, 0x3000, MEASURE_SECTION_SNP_SEC_MEM },
        { 0x80d000, 0x1000, MEASURE_SECTION_SNP_SECRETS },  { 0x80e000, 0x1000, MEASURE_SECTION_CPUID },
        { 0x80f000, 0x1000, MEASURE_SECTION_SVSM_CAA },     { 0x810000, 0x1000, MEASURE_SECTION_KERNEL_HASHES },
        { 0x811000, 0xf000, MEASURE_SECTION_SNP_SEC_MEM },
    };
    static const char *const names[] = { "ok-complete", "ok-longer-metadata", "ok-foreign-entries",
                                         "ok-slack-in-table", "ok-odd-size" };

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(MeasureFirmware) firmware = parse_good(names[i]);

        g_assert_true(firmware->has_table);
        g_assert_true(firmware->has_reset_block);
        g_assert_cmphex(firmware->ap_reset_address, ==, 0x80b004);
        g_assert_true(firmware->has_hash_table_area);
        g_assert_cmphex(firmware->hash_table_base, ==, 0x810c00);
        g_assert_cmphex(firmware->hash_table_size, ==, 0x400);
        g_assert_true(firmware->has_secret_area);
        g_assert_cmphex(firmware->secret_base, ==, 0x810000);
        g_assert_cmphex(firmware->secret_size, ==, 0xc00);
        g_assert_false(firmware->has_svsm_info);
        g_assert_true(firmware->has_metadata);
        g_assert_cmpuint(firmware->n_sections, ==, G_N_ELEMENTS(sections));
        g_assert_true(memcmp(firmware->sections, sections, sizeof sections) == 0);
        g_assert_cmpuint(firmware->warnings->len, ==, 0);
        g_assert_cmphex(measure_firmware_find_section(firmware, MEASURE_SECTION_KERNEL_HASHES)->gpa, ==, 0x810000);
    }
}

static void test_partial(void)
{
    g_autoptr(MeasureFirmware) hashless = parse_good("ok-hash-base-0");
    g_autoptr(MeasureFirmware) bare = parse_good("ok-no-metadata");
    g_autoptr(MeasureFirmware) lone = parse_good("ok-lone-reset-block");
    g_autoptr(MeasureFirmware) short_block = parse_good("ok-lone-reset-block-too-short");
    g_autoptr(MeasureFirmware) svsm = parse_good("ok-svsm");
    g_autoptr(MeasureFirmware) no_address = parse_good("ok-reset-address-0");

    g_assert_false(hashless->has_hash_table_area);
    g_assert_false(hashless->has_secret_area);
    g_assert_true(hashless->has_metadata);
    g_assert_false(bare->has_metadata);
    g_assert_true(bare->has_hash_table_area);
    g_assert_null(measure_firmware_find_section(bare, MEASURE_SECTION_CPUID));
    g_assert_false(lone->has_table);
    g_assert_true(lone->has_reset_block);
    g_assert_cmphex(lone->ap_reset_address, ==, 0x80b004);
    g_assert_false(short_block->has_reset_block);
    g_assert_false(no_address->has_reset_block);
    g_assert_true(svsm->has_svsm_info);
    g_assert_cmphex(svsm->svsm_launch_offset, ==, 0x40);
}

static void test_without_table(void)
{
    static const char *const names[] = { "ok-no-table", "ok-49-bytes", "ok-1-byte", "ok-footer-one-byte-off" };

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(MeasureFirmware) firmware = parse_good(names[i]);

        g_assert_false(firmware->has_table);
        g_assert_false(firmware->has_reset_block);
        g_assert_false(firmware->has_metadata);
    }
    g_autoptr(MeasureFirmware) empty = parse_good("ok-empty-table");
    g_assert_true(empty->has_table);
    g_assert_false(empty->has_metadata);
}

/* Debian's TDX build has such entries: the file can be shown, but not launched with SEV-SNP. */
static void test_empty_section(void)
{
    g_autoptr(MeasureFirmware) firmware = parse_good("ok-section-empty");

    g_assert_cmpuint(firmware->n_sections, ==, 1);
    g_assert_cmpuint(firmware->sections[0].size, ==, 0);
    g_assert_cmpuint(firmware->warnings->len, ==, 1);
    g_assert_nonnull(strstr(g_ptr_array_index(firmware->warnings, 0), "is empty"));
}

static void test_unknown_section(void)
{
    /* A parser that reads one byte of the type would take the second for SNP_SEC_MEM. */
    static const struct {
        const char *name, *word;
        guint32 type;
    } rows[] = { { "ok-unknown-section", "0x7", 0x7 }, { "ok-unknown-section-type-byte-1", "0x101", 0x101 } };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(MeasureFirmware) firmware = parse_good(rows[i].name);

        g_assert_cmpuint(firmware->n_sections, ==, 1);
        g_assert_cmphex(firmware->sections[0].type, ==, rows[i].type);
        g_assert_cmpuint(firmware->warnings->len, ==, 1);
        g_assert_nonnull(strstr(g_ptr_array_index(firmware->warnings, 0), rows[i].word));
        g_assert_nonnull(strstr(measure_section_type_name(firmware->sections[0].type), rows[i].word));
    }
    g_assert_cmpstr(measure_section_type_name(MEASURE_SECTION_SVSM_CAA), ==, "SVSM_CAA");
}

/* Every broken file, and a word of the reason for which it is refused. */
static const struct {
    const char *name, *reason;
} broken[] = {
    { "bad-total-0", "claims 0 bytes" },
    { "bad-total-17", "claims 17 bytes" },
    { "bad-total-beyond-file", "claims 65535 bytes" },
    { "bad-total-one-too-long", "claims 993 bytes" },
    { "bad-entry-length-0", "entry of 0 bytes" },
    { "bad-entry-length-17", "entry of 17 bytes" },
    { "bad-entry-length-ffff", "entry of 65535 bytes" },
    { "bad-entry-one-too-long", "entry of 23 bytes" },
    { "bad-reset-block-3-bytes", "reset block entry is too short" },
    { "bad-hash-area-4-bytes", "hash table entry is too short" },
    { "bad-secret-area-empty", "secret area entry is too short" },
    { "bad-metadata-entry-empty", "SEV metadata entry is too short" },
    { "bad-svsm-empty", "SVSM information entry is too short" },
    { "bad-twice-reset-block", "reset block entry is there twice" },
    { "bad-twice-hash-area", "hash table entry is there twice" },
    { "bad-twice-metadata", "SEV metadata entry is there twice" },
    { "bad-offset-beyond-file", "outside the file (0x401" },
    { "bad-offset-ffffffff", "outside the file (0xffffffff" },
    { "bad-offset-0", "outside the file (0x0" },
    { "bad-offset-15", "outside the file (0xf" },
    { "bad-signature", "ASEV" },
    { "bad-version-0", "version 0" },
    { "bad-version-2", "version 2" },
    { "bad-count-ffffffff", "4294967295 sections" },
    { "bad-count-65", "65 sections" },
    { "bad-count-one-more-than-length", "cannot hold their 8 sections" },
    { "bad-length-0", "of 0 bytes cannot hold" },
    { "bad-length-beyond-file", "of 1025 bytes cannot hold" },
    { "bad-section-gpa-unaligned", "(0x800800, 0x1000 bytes) is not page aligned" },
    { "bad-section-size-unaligned", "(0x800000, 0x1001 bytes) is not page aligned" },
    { "bad-section-overflow", "passes 4 GiB" },
    { "bad-section-overflow-max", "passes 4 GiB" },
    { "bad-section-over-firmware", "overlaps the firmware" },
    { "bad-sections-overlap", "sections 0 and 2 overlap" },
    { "bad-sections-equal", "sections 0 and 1 overlap" },
    { "bad-sections-inside", "sections 0 and 1 overlap" },
    { "bad-hashes-twice", "KERNEL_HASHES section is there twice" },
    { "bad-hashes-two-pages", "0x2000 bytes instead of one page" },
};

static void test_broken(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(broken); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MeasureFirmware) firmware = parse(broken[i].name, &error);

        g_assert_null(firmware);
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        if (!strstr(error->message, broken[i].reason))
            g_error("%s: '%s' does not say '%s'", broken[i].name, error->message, broken[i].reason);
    }
}

/* No file of the folder escapes: its name says what has to come out. */
static void test_corpus(void)
{
    g_autofree gchar *folder = corpus_folder();
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    guint good = 0, bad = 0;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir))) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MeasureFirmware) firmware = parse(name, &error);

        if (g_str_has_prefix(name, "ok-")) {
            g_assert_no_error(error);
            good++;
        } else if (g_str_has_prefix(name, "bad-")) {
            g_assert_null(firmware);
            bad++;
        }
    }
    g_assert_cmpuint(good, >=, 21);
    g_assert_cmpuint(bad, >=, G_N_ELEMENTS(broken));
}

/* Cut at every length, from the front and from the back: never a crash, and never sections that are not there. */
static void test_truncated(void)
{
    g_autoptr(GBytes) bytes = load("ok-complete");
    gsize size = 0;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    for (gsize cut = 1; cut < size; cut++) {
        g_autofree guint8 *head = g_memdup2(data, size - cut);
        g_autofree guint8 *tail = g_memdup2(data + cut, size - cut);
        g_autoptr(MeasureFirmware) without_end = measure_firmware_parse((MeasureBytes){ head, size - cut }, NULL);
        g_autoptr(MeasureFirmware) without_start = measure_firmware_parse((MeasureBytes){ tail, size - cut }, NULL);

        g_assert_true(!without_end || without_end->n_sections == 0);
        g_assert_true(!without_start || without_start->n_sections == 0);
    }
}

/* A file whose end is read alone, as when its digest is known already. */
static void test_tail(void)
{
    g_autoptr(GBytes) bytes = load("ok-complete");
    g_autoptr(GError) error = NULL;
    gboolean needs_whole = FALSE;
    gsize size = 0;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    guint64 file_size = 4 * 1024 * 1024;

    g_autoptr(MeasureFirmware) tail =
        measure_firmware_parse_tail((MeasureBytes){ data, size }, file_size, &needs_whole, &error);
    g_assert_no_error(error);
    g_assert_false(needs_whole);
    g_assert_cmpuint(tail->size, ==, file_size);
    g_assert_cmpuint(tail->n_sections, ==, 7);

    /* The metadata begin with the first byte, which is missing now. */
    g_autoptr(MeasureFirmware) cut =
        measure_firmware_parse_tail((MeasureBytes){ data + 1, size - 1 }, file_size, &needs_whole, &error);
    g_assert_no_error(error);
    g_assert_null(cut);
    g_assert_true(needs_whole);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/firmware/complete", test_complete);
    g_test_add_func("/firmware/partial", test_partial);
    g_test_add_func("/firmware/without-table", test_without_table);
    g_test_add_func("/firmware/empty-section", test_empty_section);
    g_test_add_func("/firmware/unknown-section", test_unknown_section);
    g_test_add_func("/firmware/broken", test_broken);
    g_test_add_func("/firmware/corpus", test_corpus);
    g_test_add_func("/firmware/truncated", test_truncated);
    g_test_add_func("/firmware/tail", test_tail);
    return g_test_run();
}
