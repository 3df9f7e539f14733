/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure/pages.h"

#include <string.h>

/* PAGE_INFO, SEV-SNP Firmware ABI (56860), section 8.17. */
enum {
    INFO_DIGEST = 0x00,
    INFO_CONTENTS = 0x30,
    INFO_LENGTH = 0x60,
    INFO_TYPE = 0x62,
    INFO_GPA = 0x68,
    INFO_SIZE = 0x70,
};

void measure_chain_init(MeasureChain *chain, const guint8 *seed)
{
    memset(chain->digest, 0, sizeof chain->digest);
    if (seed)
        memcpy(chain->digest, seed, sizeof chain->digest);
    chain->state = measure_hash_new(MEASURE_HASH_SHA384);
}

void measure_chain_clear(MeasureChain *chain)
{
    g_clear_pointer(&chain->state, EVP_MD_CTX_free);
}

void measure_chain_page(MeasureChain *chain, MeasurePageType type, guint64 gpa, const guint8 *contents)
{
    /* What is not set stays 0: no IMI page, no rights for VMPL 1 to 3; QEMU and KVM never ask for any. */
    guint8 info[INFO_SIZE] = { 0 };

    memcpy(info + INFO_DIGEST, chain->digest, MEASURE_SHA384_SIZE);
    if (contents)
        memcpy(info + INFO_CONTENTS, contents, MEASURE_SHA384_SIZE);
    measure_put_u16(info + INFO_LENGTH, INFO_SIZE);
    info[INFO_TYPE] = (guint8)type;
    measure_put_u64(info + INFO_GPA, gpa);
    measure_hash_buffer(chain->state, info, sizeof info, chain->digest);
}

void measure_chain_range(MeasureChain *chain, MeasurePageType type, guint64 gpa, guint64 size)
{
    for (guint64 done = 0; done < size; done += MEASURE_PAGE_SIZE)
        measure_chain_page(chain, type, gpa + done, NULL);
}

static MeasurePageType section_page_type(const MeasureSection *section, MeasureVmm vmm)
{
    switch (section->type) {
    case MEASURE_SECTION_SNP_SEC_MEM:
        return vmm == MEASURE_VMM_GCE ? MEASURE_PAGE_UNMEASURED : MEASURE_PAGE_ZERO;
    case MEASURE_SECTION_SNP_SECRETS:
        return MEASURE_PAGE_SECRETS;
    case MEASURE_SECTION_CPUID:
        return MEASURE_PAGE_CPUID;
    default:
        return MEASURE_PAGE_ZERO; /* also what QEMU makes of types that it does not know */
    }
}

static void chain_section(MeasureChain *chain, MeasureVmm vmm, const MeasureSection *section, const guint8 *hash_page)
{
    if (section->type == MEASURE_SECTION_KERNEL_HASHES && hash_page)
        measure_chain_page(chain, MEASURE_PAGE_NORMAL, section->gpa, hash_page);
    else
        measure_chain_range(chain, section_page_type(section, vmm), section->gpa, section->size);
}

void measure_chain_sections(MeasureChain *chain, MeasureVmm vmm, const MeasureFirmware *footer,
                            const guint8 *hash_page)
{
    gboolean cpuid_last = vmm == MEASURE_VMM_EC2;

    for (guint i = 0; i < footer->n_sections; i++) {
        if (!cpuid_last || footer->sections[i].type != MEASURE_SECTION_CPUID)
            chain_section(chain, vmm, &footer->sections[i], hash_page);
    }
    for (guint i = 0; cpuid_last && i < footer->n_sections; i++) {
        if (footer->sections[i].type == MEASURE_SECTION_CPUID)
            chain_section(chain, vmm, &footer->sections[i], hash_page);
    }
}

void measure_pages_hash(const guint8 *data, gsize n_pages, guint8 *out)
{
    g_autoptr(EVP_MD_CTX) state = measure_hash_new(MEASURE_HASH_SHA384);

    for (gsize i = 0; i < n_pages; i++) {
        const guint8 *page = data + i * MEASURE_PAGE_SIZE;
        guint8 *digest = out + i * MEASURE_SHA384_SIZE;

        /* Firmware is full of padding; comparing two pages is much cheaper than hashing one. */
        if (i > 0 && memcmp(page, page - MEASURE_PAGE_SIZE, MEASURE_PAGE_SIZE) == 0)
            memcpy(digest, digest - MEASURE_SHA384_SIZE, MEASURE_SHA384_SIZE);
        else
            measure_hash_buffer(state, page, MEASURE_PAGE_SIZE, digest);
    }
}
