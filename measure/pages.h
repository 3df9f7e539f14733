/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The SEV-SNP digest chain: one SHA-384 a page. Internal to measure/. */
#pragma once

#include "measure/hash.h"
#include "measure/launch.h"

/* SEV-SNP Firmware ABI (56860), PAGE_INFO.PAGE_TYPE. */
typedef enum {
    MEASURE_PAGE_NORMAL = 1,
    MEASURE_PAGE_VMSA = 2,
    MEASURE_PAGE_ZERO = 3,
    MEASURE_PAGE_UNMEASURED = 4,
    MEASURE_PAGE_SECRETS = 5,
    MEASURE_PAGE_CPUID = 6,
} MeasurePageType;

/* Where KVM says a VMSA page lies; a choice of KVM, not of the processor. */
#define MEASURE_VMSA_GPA G_GUINT64_CONSTANT(0xFFFFFFFFF000)

/**
 * MeasureChain:
 * @digest: the launch digest so far
 * @state: scratch SHA-384 state
 */
typedef struct {
    guint8 digest[MEASURE_SHA384_SIZE];
    EVP_MD_CTX *state;
} MeasureChain;

/* Begins at @seed, or at the all-zero digest with which every launch begins. */
void measure_chain_init(MeasureChain *chain, const guint8 *seed);
void measure_chain_clear(MeasureChain *chain);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MeasureChain, measure_chain_clear)

/* One page; @contents is its SHA-384, %NULL for the types whose contents do not count. */
void measure_chain_page(MeasureChain *chain, MeasurePageType type, guint64 gpa, const guint8 *contents);
/* @size bytes of pages of a type whose contents do not count. */
void measure_chain_range(MeasureChain *chain, MeasurePageType type, guint64 gpa, guint64 size);
/**
 * measure_chain_sections:
 * @vmm: whose treatment of the sections
 * @footer: where the sections stand
 * @hash_page: (nullable): SHA-384 of the page with the kernel hashes; without it that section is zeros
 *
 * The pages that the firmware's metadata ask for.
 */
void measure_chain_sections(MeasureChain *chain, MeasureVmm vmm, const MeasureFirmware *footer,
                            const guint8 *hash_page);

/* SHA-384 of each of @n_pages pages at @data, 48 bytes each, to @out. */
void measure_pages_hash(const guint8 *data, gsize n_pages, guint8 *out);
