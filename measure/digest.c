/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of the launch digest.
 *
 * Before a confidential guest runs its first instruction, the AMD secure processor hashes everything that the
 * hypervisor puts into it. The result is what a report later calls MEASUREMENT, and what a verifier has to know
 * beforehand. It can be computed in advance because all that goes in is known: the firmware file, a few pages that
 * the firmware asks for, a table of hashes, and the registers with which each vCPU begins.
 *
 * SEV-SNP: a chain of SHA-384, one link for each 4 KiB page. A link hashes the digest so far, the SHA-384 of the page
 * (or zeros, for pages whose contents do not count), the page's type and its guest address. The order is QEMU's and
 * KVM's, and any other order is another digest:
 *
 *      all zeros
 *   -> pages of the firmware file, ascending, ending at 4 GiB
 *   -> pages that the firmware's SEV metadata ask for, in the order of that table; one of them holds the hashes of
 *      kernel, initrd and command line when kernel hashes are on
 *   -> one VMSA page (register state) for each vCPU, the boot processor first, all at the same address
 *   =  launch digest
 *
 * SEV and SEV-ES: one SHA-256 over the firmware file, then the table of kernel hashes, then (SEV-ES) the VMSA pages.
 *
 * What makes it cheap: contents of pages are hashed before they are chained, and only the last links, the VMSAs,
 * depend on the CPU type and the number of vCPUs. So the pages of the firmware are hashed once, in any order, on all
 * processors (inputs.c); their chain gives one digest, the seed; and every CPU type and vCPU count that a domain may
 * be started with continues from that same seed with a few dozen links. All processors but the first begin at the
 * same address with the same registers, so that two VMSA pages are enough however many vCPUs there are.
 *
 * SEV-SNP Firmware ABI Specification (56860), section 8.17; Secure Encrypted Virtualization API (55766),
 * LAUNCH_MEASURE.
 */
#include <string.h>

#include "measure/error.h"
#include "measure/hash-table.h"
#include "measure/pages.h"
#include "measure/vmsa.h"

static gboolean refuse(const MeasureInputs *inputs, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);

static gboolean refuse(const MeasureInputs *inputs, GError **error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autofree gchar *what = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree gchar *path = measure_printable(inputs->firmware->path);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "firmware '%s' %s", path, what);
    return FALSE;
}

#define USE_AMDSEV "use the AmdSev build of OVMF (OVMF.amdsev.fd), or switch kernel hashes off"

/* Can the firmware take the table of kernel hashes? The conditions are QEMU's, where it checks them. */
static gboolean check_hash_area(const MeasureLaunch *launch, const MeasureInputs *inputs, GError **error)
{
    const MeasureFirmware *footer = inputs->footer;
    const MeasureSection *section = measure_firmware_find_section(footer, MEASURE_SECTION_KERNEL_HASHES);
    gboolean snp = launch->platform == MEASURE_PLATFORM_SNP;

    if (snp && !section)
        return refuse(inputs, error,
                      "has no SNP_KERNEL_HASHES section, so that kernel, initrd and command line cannot be "
                      "measured: " USE_AMDSEV);
    if (!footer->has_hash_table_area)
        return refuse(inputs, error,
                      "has no area for kernel hashes, so that kernel, initrd and command line cannot be "
                      "measured: " USE_AMDSEV);
    if (footer->hash_table_size < MEASURE_HASH_TABLE_SIZE)
        return refuse(inputs, error, "has %u bytes for kernel hashes where %u are needed: " USE_AMDSEV,
                      footer->hash_table_size, MEASURE_HASH_TABLE_SIZE);
    if (!snp)
        return TRUE;
    if (footer->hash_table_base % MEASURE_PAGE_SIZE + MEASURE_HASH_TABLE_SIZE > MEASURE_PAGE_SIZE)
        return refuse(inputs, error, "places the kernel hashes (0x%x) across the end of a page: " USE_AMDSEV,
                      footer->hash_table_base);
    /* QEMU does not look; but a guest would read its table where nothing was measured. */
    if (footer->hash_table_base - footer->hash_table_base % MEASURE_PAGE_SIZE != section->gpa)
        return refuse(inputs, error, "expects the kernel hashes at 0x%x, outside its section at 0x%x: " USE_AMDSEV,
                      footer->hash_table_base, section->gpa);
    return TRUE;
}

/* The page that QEMU builds for the section: zeros around the table. */
static void hash_table_page_digest(const MeasureInputs *inputs, EVP_MD_CTX *state, guint8 out[MEASURE_SHA384_SIZE])
{
    guint8 page[MEASURE_PAGE_SIZE] = { 0 };

    measure_hash_table_fill(page + inputs->footer->hash_table_base % MEASURE_PAGE_SIZE, inputs);
    measure_hash_buffer(state, page, sizeof page, out);
}

/* VMSA page of the boot processor, or of every other one. */
static void fill_vmsa(guint8 page[MEASURE_PAGE_SIZE], const MeasureLaunch *launch, const MeasureInputs *inputs,
                      guint32 signature, gboolean application_processor)
{
    static const MeasureVmsaProfile profiles[] = {
        [MEASURE_VMM_QEMU] = MEASURE_VMSA_QEMU,
        [MEASURE_VMM_EC2] = MEASURE_VMSA_EC2,
        [MEASURE_VMM_GCE] = MEASURE_VMSA_GCE,
    };
    MeasureVmsa vmsa = {
        .profile = profiles[launch->vmm],
        .fpu = launch->fpu,
        .application_processor = application_processor,
        .address = application_processor ? inputs->footer->ap_reset_address : MEASURE_RESET_ADDRESS,
        .signature = signature,
        .features = launch->guest_features,
    };

    measure_vmsa_fill(page, &vmsa);
}

/*
 * What all launches of one set of inputs have in common: the digest up to the VMSAs.
 *
 * @chain: SEV-SNP; @sev: SEV and SEV-ES
 */
typedef struct {
    MeasureChain chain;
    EVP_MD_CTX *sev;
} Prefix;

static void prefix_init(Prefix *prefix, const MeasureLaunch *launch, const MeasureInputs *inputs, gboolean hashes)
{
    guint8 contents[MEASURE_SHA384_SIZE], table[MEASURE_HASH_TABLE_SIZE];

    measure_chain_init(&prefix->chain, inputs->snp_seed);
    prefix->sev = launch->platform == MEASURE_PLATFORM_SNP ? NULL : measure_hash_copy(inputs->sev_prefix);
    if (prefix->sev && hashes) {
        measure_hash_table_fill(table, inputs);
        measure_hash_update(prefix->sev, table, sizeof table);
    }
    if (prefix->sev)
        return;
    if (hashes)
        hash_table_page_digest(inputs, prefix->chain.state, contents);
    measure_chain_sections(&prefix->chain, launch->vmm, inputs->footer, hashes ? contents : NULL);
}

static void prefix_clear(Prefix *prefix)
{
    measure_chain_clear(&prefix->chain);
    g_clear_pointer(&prefix->sev, EVP_MD_CTX_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Prefix, prefix_clear)

/* The digest for n vCPUs is a step on the way to that for more: each of @vcpus, ascending, is taken as it comes by. */
static void snp_digests(Prefix *prefix, const MeasureLaunch *launch, const MeasureInputs *inputs, guint32 signature,
                        const guint *vcpus, gsize n, MeasureDigest *out)
{
    g_auto(MeasureChain) chain = { .state = NULL };
    guint8 page[MEASURE_PAGE_SIZE], contents[MEASURE_SHA384_SIZE];
    guint done = 0;

    measure_chain_init(&chain, prefix->chain.digest);
    for (gsize i = 0; i < n; i++) {
        for (; done < vcpus[i]; done++) {
            if (done < 2) {
                fill_vmsa(page, launch, inputs, signature, done > 0);
                measure_hash_buffer(chain.state, page, sizeof page, contents);
            }
            measure_chain_page(&chain, MEASURE_PAGE_VMSA, MEASURE_VMSA_GPA, contents);
        }
        memcpy(out[i].bytes, chain.digest, sizeof chain.digest);
        out[i].size = sizeof chain.digest;
    }
}

/* The same where the digest is one hash, whose state is copied on the way. */
static void sev_digests(Prefix *prefix, const MeasureLaunch *launch, const MeasureInputs *inputs, guint32 signature,
                        const guint *vcpus, gsize n, MeasureDigest *out)
{
    g_autoptr(EVP_MD_CTX) state = measure_hash_copy(prefix->sev);
    guint8 page[MEASURE_PAGE_SIZE];
    guint done = 0;

    for (gsize i = 0; i < n; i++) {
        g_autoptr(EVP_MD_CTX) here = NULL;

        for (; launch->platform == MEASURE_PLATFORM_SEV_ES && done < vcpus[i]; done++) {
            if (done < 2)
                fill_vmsa(page, launch, inputs, signature, done > 0);
            measure_hash_update(state, page, sizeof page);
        }
        here = measure_hash_copy(state);
        memset(out[i].bytes, 0, sizeof out[i].bytes);
        measure_hash_finish(here, out[i].bytes);
        out[i].size = MEASURE_SHA256_SIZE;
    }
}

/* Whether firmware and files can carry a launch with so many vCPUs at most. */
static gboolean check_launch(const MeasureLaunch *launch, const MeasureInputs *inputs, guint vcpus, gboolean hashes,
                             GError **error)
{
    gboolean snp = launch->platform == MEASURE_PLATFORM_SNP;
    gboolean with_vmsa = launch->platform != MEASURE_PLATFORM_SEV;

    if (snp && !inputs->footer->has_metadata)
        return refuse(inputs, error,
                      "has no SEV metadata, so that SEV-SNP cannot start it: use a build of OVMF with SEV-SNP support");
    for (guint i = 0; snp && i < inputs->footer->n_sections; i++) {
        if (inputs->footer->sections[i].size == 0)
            return refuse(inputs, error,
                          "has an empty SEV metadata section (%s), which QEMU refuses: use a build of OVMF with "
                          "SEV-SNP support",
                          measure_section_type_name(inputs->footer->sections[i].type));
    }
    if (hashes && !check_hash_area(launch, inputs, error))
        return FALSE;
    if (with_vmsa && vcpus > 1 && !inputs->footer->has_reset_block)
        return refuse(inputs, error,
                      "has no SEV-ES reset block, so that a second vCPU cannot start: use a build of OVMF with SEV-ES "
                      "support, or one vCPU");
    if (!snp && !inputs->sev_prefix)
        return refuse(inputs, error, "was opened for SEV-SNP and cannot be measured for %s",
                      measure_platform_name(launch->platform));
    return TRUE;
}

static gboolean check_vcpus(const guint *vcpus, gsize n, GError **error)
{
    for (gsize i = 0; i < n; i++) {
        if (vcpus[i] >= 1 && vcpus[i] <= MEASURE_MAX_VCPUS)
            continue;
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "%u vCPUs cannot be measured: give 1 to %u", vcpus[i],
                    MEASURE_MAX_VCPUS);
        return FALSE;
    }
    return TRUE;
}

gboolean measure_launch_digests(const MeasureLaunch *launch, const MeasureInputs *inputs, const guint32 *signatures,
                                gsize n_signatures, const guint *vcpus, gsize n_vcpus, MeasureDigest *out,
                                GError **error)
{
    gboolean hashes = launch->kernel_hashes && inputs->has_kernel;
    g_auto(Prefix) prefix = { .sev = NULL };

    if (n_signatures == 0 || n_vcpus == 0)
        return TRUE;
    if ((launch->platform != MEASURE_PLATFORM_SEV && !check_vcpus(vcpus, n_vcpus, error)) ||
        !check_launch(launch, inputs, vcpus[n_vcpus - 1], hashes, error))
        return FALSE;
    prefix_init(&prefix, launch, inputs, hashes);
    for (gsize i = 0; i < n_signatures; i++) {
        if (prefix.sev)
            sev_digests(&prefix, launch, inputs, signatures[i], vcpus, n_vcpus, out + i * n_vcpus);
        else
            snp_digests(&prefix, launch, inputs, signatures[i], vcpus, n_vcpus, out + i * n_vcpus);
    }
    return TRUE;
}

gboolean measure_launch_digest(const MeasureLaunch *launch, const MeasureInputs *inputs, guint32 signature, guint vcpus,
                               MeasureDigest *out, GError **error)
{
    return measure_launch_digests(launch, inputs, &signature, 1, &vcpus, 1, out, error);
}
