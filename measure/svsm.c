/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure/svsm.h"

#include <string.h>

#include "measure/error.h"
#include "measure/file.h"
#include "measure/pages.h"
#include "measure/vmsa.h"

/* Where the image lies: it ends where the variable store begins. FALSE when it would not fit below 4 GiB. */
static gboolean place_image(const MeasureInputs *inputs, guint64 vars_size, guint64 size, guint64 *gpa)
{
    guint64 below = (G_GUINT64_CONSTANT(1) << 32) - inputs->firmware->size;

    if (vars_size % MEASURE_PAGE_SIZE || vars_size > below || size > below - vars_size)
        return FALSE;
    *gpa = below - vars_size - size;
    return TRUE;
}

static guint8 *read_image(const MeasureFile *file, GError **error)
{
    gsize size = (gsize)file->input->size;
    g_autofree guint8 *data = g_malloc(size);

    if (!measure_file_read(file, 0, data, size, error) || !measure_file_unchanged(file, error))
        return NULL;
    return g_steal_pointer(&data);
}

static gboolean check_footer(const MeasureFirmware *footer, const char *path, GError **error)
{
    if (footer->has_metadata && footer->has_svsm_info && footer->svsm_launch_offset < footer->size)
        return TRUE;
    g_autofree gchar *shown = measure_printable(path);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                "'%s' is no SVSM image: it needs SEV metadata and a launch offset inside the image in its footer",
                shown);
    return FALSE;
}

static void chain_image(MeasureChain *chain, const guint8 *data, gsize size, guint64 gpa)
{
    gsize pages = size / MEASURE_PAGE_SIZE;
    g_autofree guint8 *digests = g_malloc(pages * MEASURE_SHA384_SIZE);

    measure_pages_hash(data, pages, digests);
    for (gsize i = 0; i < pages; i++)
        measure_chain_page(chain, MEASURE_PAGE_NORMAL, gpa + i * MEASURE_PAGE_SIZE, digests + i * MEASURE_SHA384_SIZE);
}

static void chain_vmsas(MeasureChain *chain, guint32 address, guint32 signature, guint vcpus)
{
    MeasureVmsa vmsa = {
        .profile = MEASURE_VMSA_SVSM,
        .fpu = MEASURE_FPU_INIT2,
        .address = address,
        .signature = signature,
        .features = 0x1,
    };
    guint8 page[MEASURE_PAGE_SIZE], contents[MEASURE_SHA384_SIZE];

    measure_vmsa_fill(page, &vmsa);
    measure_hash_buffer(chain->state, page, sizeof page, contents);
    for (guint i = 0; i < vcpus; i++)
        measure_chain_page(chain, MEASURE_PAGE_VMSA, MEASURE_VMSA_GPA, contents);
}

gboolean measure_svsm_digest(const MeasureInputs *inputs, const char *image, guint64 vars_size, guint32 signature,
                             guint vcpus, MeasureDigest *out, GError **error)
{
    g_autoptr(MeasureFile) file = measure_file_open("SVSM image", image, MEASURE_FIRMWARE_MAX_SIZE, error);
    g_autofree gchar *shown = measure_printable(image);
    guint64 gpa = 0;

    if (!file)
        return FALSE;
    gsize size = (gsize)file->input->size;
    if (size == 0 || size % MEASURE_PAGE_SIZE) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "SVSM image '%s' has %" G_GSIZE_FORMAT
                    " bytes, which is no multiple of 4096: give a complete image",
                    shown, size);
        return FALSE;
    }
    if (vcpus < 1 || vcpus > MEASURE_MAX_VCPUS || !place_image(inputs, vars_size, size, &gpa)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "no guest has %u vCPUs and %" G_GUINT64_FORMAT
                    " bytes of firmware variables: give 1 to %u vCPUs, and whole pages that fit below 4 GiB",
                    vcpus, vars_size, MEASURE_MAX_VCPUS);
        return FALSE;
    }

    g_autofree guint8 *data = read_image(file, error);
    if (!data)
        return FALSE;
    g_autoptr(MeasureFirmware) footer = measure_firmware_parse((MeasureBytes){ data, size }, error);
    if (!footer) {
        g_prefix_error(error, "SVSM image '%s': ", shown);
        return FALSE;
    }
    if (!check_footer(footer, image, error))
        return FALSE;

    g_auto(MeasureChain) chain = { .state = NULL };
    measure_chain_init(&chain, inputs->snp_seed);
    chain_image(&chain, data, size, gpa);
    measure_chain_sections(&chain, MEASURE_VMM_QEMU, footer, NULL);
    chain_vmsas(&chain, (guint32)gpa + footer->svsm_launch_offset, signature, vcpus);
    memcpy(out->bytes, chain.digest, sizeof chain.digest);
    out->size = sizeof chain.digest;
    return TRUE;
}
