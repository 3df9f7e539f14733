/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every row of the collected known answers: vectors.tsv holds what other implementations assert in their own tests,
 * vectors-derived.tsv what two of them agree on. The folder is named by VIRT_ATTEST_VECTORS.
 */
#include <glib.h>
#include <string.h>

#include "measure/error.h"
#include "measure/hash-table.h"
#include "measure/pages.h"
#include "measure/svsm.h"
#include "measure/vmsa.h"

static const char *folder;

static gchar *measurement_path(const char *name)
{
    return g_build_filename(folder, "measurement", name, NULL);
}

/* The rows of a table below its heading, each split at the tabs. */
static GPtrArray *read_table(const char *name, guint columns)
{
    g_autofree gchar *path = g_build_filename(folder, name, NULL);
    g_autofree gchar *text = NULL;
    g_autoptr(GError) error = NULL;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    g_auto(GStrv) lines = g_strsplit(text, "\n", 0);
    GPtrArray *rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    for (guint i = 1; lines[i]; i++) {
        if (!*lines[i])
            continue;
        gchar **row = g_strsplit(lines[i], "\t", 0);
        g_assert_cmpuint(g_strv_length(row), >=, columns);
        g_ptr_array_add(rows, row);
    }
    g_assert_cmpuint(rows->len, >, 0);
    return rows;
}

/* NULL for a file that is not given. */
static gchar *file_cell(const char *cell)
{
    if (strcmp(cell, "-") == 0 || strcmp(cell, "absent") == 0)
        return NULL;
    if (strcmp(cell, "empty(/dev/null)") == 0)
        return g_strdup("/dev/null");
    return measurement_path(cell);
}

static gchar *cmdline_cell(const char *cell)
{
    if (strcmp(cell, "-") == 0 || strcmp(cell, "absent") == 0)
        return NULL;
    return g_strdup(strcmp(cell, "\"\"") == 0 ? "" : cell);
}

typedef struct {
    gchar **cells; /* what the texts below belong to */
    const char *id, *mode, *vcpus, *cpu, *vmm, *features, *ovmf, *kernel, *initrd, *append, *seed, *expected;
} Row;

static MeasureLaunch *row_launch(const Row *row)
{
    MeasureLaunch *launch = measure_launch_new(g_str_equal(row->mode, "sev")     ? MEASURE_PLATFORM_SEV
                                               : g_str_equal(row->mode, "seves") ? MEASURE_PLATFORM_SEV_ES
                                                                                 : MEASURE_PLATFORM_SNP);

    if (g_str_equal(row->vmm, "ec2"))
        launch->vmm = MEASURE_VMM_EC2;
    else if (g_str_equal(row->vmm, "gce"))
        launch->vmm = MEASURE_VMM_GCE;
    else
        g_assert_true(g_str_equal(row->vmm, "-") || g_str_has_prefix(row->vmm, "QEMU"));
    launch->fpu = g_str_equal(row->vmm, "QEMU-legacy") ? MEASURE_FPU_LEGACY : MEASURE_FPU_INIT2;
    if (strcmp(row->features, "-") != 0)
        launch->guest_features = g_ascii_strtoull(row->features, NULL, 16);
    if (strcmp(row->vcpus, "-") != 0)
        launch->vcpus = (guint)g_ascii_strtoull(row->vcpus, NULL, 10);
    launch->firmware = measurement_path(row->ovmf);
    launch->kernel = file_cell(row->kernel);
    launch->initrd = file_cell(row->initrd);
    launch->cmdline = cmdline_cell(row->append);
    launch->kernel_hashes = TRUE;
    return launch;
}

static guint32 row_signature(const Row *row)
{
    g_autoptr(GError) error = NULL;

    if (strcmp(row->cpu, "-") == 0)
        return 0;
    g_autoptr(MeasureCpu) cpu = measure_cpu_from_text(row->cpu, &error);
    g_assert_no_error(error);
    return cpu->signature;
}

static gboolean row_digest(const Row *row, const guint8 *seed, MeasureDigest *out, GError **error)
{
    g_autoptr(MeasureLaunch) launch = row_launch(row);
    g_autoptr(MeasureInputs) inputs = measure_inputs_open(launch, NULL, MEASURE_OPEN_DEFAULT, seed, error);

    if (!inputs)
        return FALSE;
    if (g_str_equal(row->mode, "snp:ovmf-hash")) {
        memcpy(out->bytes, inputs->snp_seed, sizeof inputs->snp_seed);
        out->size = sizeof inputs->snp_seed;
        return TRUE;
    }
    if (g_str_equal(row->mode, "snp:svsm")) {
        g_autofree gchar *svsm = measurement_path("svsm.bin");
        return measure_svsm_digest(inputs, svsm, 540672, row_signature(row), launch->vcpus, out, error);
    }
    return measure_launch_digest(launch, inputs, row_signature(row), launch->vcpus, out, error);
}

static void check_row(const Row *row, const guint8 *seed)
{
    g_autoptr(GError) error = NULL;
    MeasureDigest digest;

    if (g_str_has_prefix(row->expected, "ERROR: ")) {
        g_assert_false(row_digest(row, seed, &digest, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        g_assert_nonnull(strstr(error->message, strstr(row->expected, "section") ? "has no SNP_KERNEL_HASHES section"
                                                                                 : "has no area for kernel hashes"));
        return;
    }
    gboolean measured = row_digest(row, seed, &digest, &error);
    g_assert_no_error(error);
    g_assert_true(measured);
    g_autofree gchar *hex = measure_digest_hex(&digest);
    g_assert_cmpstr(hex, ==, row->expected);
}

static void test_row(gconstpointer data)
{
    const Row *row = data;
    guint8 seed[MEASURE_SHA384_SIZE];

    if (g_str_equal(row->vmm, "ec2-rdx0")) {
        g_test_skip("registers of an older EC2 that contradict its present ones: not supported");
        return;
    }
    check_row(row, NULL);
    if (row->seed && strcmp(row->seed, "-") != 0) {
        g_assert_true(measure_hex_decode(row->seed, seed, sizeof seed));
        check_row(row, seed);
        /* That the seed is really used: with another one the digest must be another. */
        seed[0] ^= 1;
        MeasureDigest digest;
        g_assert_true(row_digest(row, seed, &digest, NULL));
        g_autofree gchar *hex = measure_digest_hex(&digest);
        g_assert_cmpstr(hex, !=, row->expected);
    }
}

static void test_trace(void)
{
    g_autoptr(GPtrArray) rows = read_table("measurement/trace-snp_01.tsv", 5);
    g_auto(MeasureChain) chain = { .state = NULL };

    measure_chain_init(&chain, NULL);
    for (guint i = 0; i < rows->len; i++) {
        gchar **cell = g_ptr_array_index(rows, i);
        guint8 contents[MEASURE_SHA384_SIZE];

        g_assert_true(measure_hex_decode(cell[3], contents, sizeof contents));
        measure_chain_page(&chain, (MeasurePageType)g_ascii_strtoull(cell[1], NULL, 10),
                           g_ascii_strtoull(cell[2], NULL, 16), contents);
        g_autofree gchar *hex = measure_hex_encode(chain.digest, sizeof chain.digest);
        g_assert_cmpstr(hex, ==, cell[4]);
    }
}

static void test_hash_table(void)
{
    g_autofree gchar *path = measurement_path("hashtable-snp_01.hex");
    g_autofree gchar *expected = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(MeasureLaunch) launch = measure_launch_new(MEASURE_PLATFORM_SNP);
    guint8 table[MEASURE_HASH_TABLE_SIZE];

    g_file_get_contents(path, &expected, NULL, &error);
    g_assert_no_error(error);
    launch->firmware = measurement_path("ovmf_AmdSev_suffix.bin");
    launch->kernel = g_strdup("/dev/null");
    launch->cmdline = g_strdup("console=ttyS0 loglevel=7");
    g_autoptr(MeasureInputs) inputs = measure_inputs_open(launch, NULL, MEASURE_OPEN_DEFAULT, NULL, &error);
    g_assert_no_error(error);
    measure_hash_table_fill(table, inputs);
    g_autofree gchar *hex = measure_hex_encode(table, sizeof table);
    g_assert_cmpstr(hex, ==, g_strstrip(expected));
}

static void test_vmsa(void)
{
    enum { AP = 0x80b004 };
    static const struct {
        const char *file;
        MeasureVmsa vmsa;
    } pages[] = {
        { "vmsa0-sevctl.bin",
          { MEASURE_VMSA_QEMU, MEASURE_FPU_LEGACY, FALSE, MEASURE_RESET_ADDRESS, 0xa00f11, 0 } },
        { "vmsa1-sevctl.bin", { MEASURE_VMSA_QEMU, MEASURE_FPU_LEGACY, TRUE, AP, 0xa00f11, 0 } },
        { "vmsa/vmsa-seves-legacy-bsp-siga00f11.bin",
          { MEASURE_VMSA_QEMU, MEASURE_FPU_LEGACY, FALSE, MEASURE_RESET_ADDRESS, 0xa00f11, 0 } },
        { "vmsa/vmsa-seves-legacy-ap-siga00f11-apeip80b004.bin",
          { MEASURE_VMSA_QEMU, MEASURE_FPU_LEGACY, TRUE, AP, 0xa00f11, 0 } },
        { "vmsa/vmsa-snp-qemu-bsp-sig800f12-feat1-apeip80b004.bin",
          { MEASURE_VMSA_QEMU, MEASURE_FPU_INIT2, FALSE, MEASURE_RESET_ADDRESS, 0x800f12, 1 } },
        { "vmsa/vmsa-snp-qemu-ap-sig800f12-feat1-apeip80b004.bin",
          { MEASURE_VMSA_QEMU, MEASURE_FPU_INIT2, TRUE, AP, 0x800f12, 1 } },
        { "vmsa/vmsa-snp-ec2-bsp-sig800f12-feat1-apeip80b004.bin",
          { MEASURE_VMSA_EC2, MEASURE_FPU_INIT2, FALSE, MEASURE_RESET_ADDRESS, 0x800f12, 1 } },
        { "vmsa/vmsa-snp-ec2-ap-sig800f12-feat1-apeip80b004.bin",
          { MEASURE_VMSA_EC2, MEASURE_FPU_INIT2, TRUE, AP, 0x800f12, 1 } },
        { "vmsa/vmsa-snp-gce-bsp-sig800f12-feat1-apeip80b004.bin",
          { MEASURE_VMSA_GCE, MEASURE_FPU_INIT2, FALSE, MEASURE_RESET_ADDRESS, 0x800f12, 1 } },
        { "vmsa/vmsa-snp-gce-ap-sig800f12-feat1-apeip80b004.bin",
          { MEASURE_VMSA_GCE, MEASURE_FPU_INIT2, TRUE, AP, 0x800f12, 1 } },
    };

    for (guint i = 0; i < G_N_ELEMENTS(pages); i++) {
        g_autofree gchar *path = measurement_path(pages[i].file);
        g_autofree gchar *expected = NULL;
        g_autoptr(GError) error = NULL;
        gsize size = 0;
        guint8 page[MEASURE_PAGE_SIZE];

        g_file_get_contents(path, &expected, &size, &error);
        g_assert_no_error(error);
        measure_vmsa_fill(page, &pages[i].vmsa);
        g_assert_cmpmem(page, sizeof page, expected, (int)size);
    }
}

/* The entry point of the SVSM is known from the page itself: everything else must follow from the profile. */
static void test_vmsa_svsm(void)
{
    g_autofree gchar *path = measurement_path("vmsa/vmsa-svsm-qemu-sig800f12.bin");
    g_autofree gchar *expected = NULL;
    g_autoptr(GError) error = NULL;
    gsize size = 0;
    guint64 address = 0;
    guint8 page[MEASURE_PAGE_SIZE];

    g_file_get_contents(path, &expected, &size, &error);
    g_assert_no_error(error);
    g_assert_true(measure_bytes_u64((MeasureBytes){ (const guint8 *)expected, size }, 0x178, &address));
    MeasureVmsa vmsa = { MEASURE_VMSA_SVSM, MEASURE_FPU_INIT2, FALSE, (guint32)address, 0x800f12, 1 };
    measure_vmsa_fill(page, &vmsa);
    g_assert_cmpmem(page, sizeof page, expected, (int)size);
}

/* The launch digests inside sevctl's known HMACs. */
static void test_sevctl(void)
{
    g_autoptr(GPtrArray) rows = read_table("measurement/sevctl-hmac.tsv", 15);
    guint checked = 0;

    for (guint i = 0; i < rows->len; i++) {
        gchar **cell = g_ptr_array_index(rows, i);
        Row row = {
            .id = cell[0], .mode = cell[1], .vcpus = cell[2], .cpu = "0xa00f11", .vmm = "QEMU-legacy",
            .features = "0x0",
            .ovmf = cell[7], .kernel = cell[8], .initrd = cell[9], .append = cell[10], .expected = cell[12],
        };

        if (strcmp(row.ovmf, "-") == 0)
            continue; /* a HMAC over a digest without the files that it was made from */
        check_row(&row, NULL);
        checked++;
    }
    g_assert_cmpuint(checked, ==, 4);
}

static void row_free(gpointer data)
{
    Row *row = data;

    g_strfreev(row->cells);
    g_free(row);
}

static void add_rows(const char *table, const char *prefix, gboolean with_seed)
{
    g_autoptr(GPtrArray) rows = read_table(table, 12);

    for (guint i = 0; i < rows->len; i++) {
        gchar **cell = g_strdupv(g_ptr_array_index(rows, i));
        Row *row = g_new0(Row, 1);
        g_autofree gchar *path = g_strdup_printf("/vectors/%s/%s", prefix, cell[0]);

        *row = (Row){
            .cells = cell, .id = cell[0], .mode = cell[1], .vcpus = cell[2], .cpu = cell[3], .vmm = cell[4],
            .features = cell[5], .ovmf = cell[6], .kernel = cell[7], .initrd = cell[8], .append = cell[9],
            .seed = with_seed ? cell[10] : NULL, .expected = with_seed ? cell[11] : cell[10],
        };
        g_test_add_data_func_full(path, row, test_row, row_free);
    }
}

static void test_nothing(void)
{
    g_test_skip("VIRT_ATTEST_VECTORS names no folder");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    folder = g_getenv("VIRT_ATTEST_VECTORS");
    if (!folder || !g_file_test(folder, G_FILE_TEST_IS_DIR)) {
        g_test_add_func("/vectors", test_nothing);
        return g_test_run();
    }
    add_rows("vectors.tsv", "known", TRUE);
    add_rows("vectors-derived.tsv", "derived", FALSE);
    g_test_add_func("/vectors/trace", test_trace);
    g_test_add_func("/vectors/hash-table", test_hash_table);
    g_test_add_func("/vectors/vmsa", test_vmsa);
    g_test_add_func("/vectors/vmsa-svsm", test_vmsa_svsm);
    g_test_add_func("/vectors/sevctl", test_sevctl);
    return g_test_run();
}
