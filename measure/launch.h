/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The launch description (what will be launched), its inputs (the files,
 * opened and hashed) and the launch digest that follows from both.
 *
 *   MeasureLaunch --measure_inputs_open()--> MeasureInputs --measure_launch_digest()--> MeasureDigest
 *
 * Opening hashes every file once, on all processors; after that a digest for
 * another CPU type or vCPU count costs a few microseconds.
 */
#pragma once

#include "measure/cpu.h"
#include "measure/firmware-build.h"
#include "measure/firmware.h"

#define MEASURE_PAGE_SIZE 4096
#define MEASURE_SHA256_SIZE 32
#define MEASURE_SHA384_SIZE 48
#define MEASURE_DIGEST_MAX 48
#define MEASURE_MAX_VCPUS 4096

typedef enum {
    MEASURE_PLATFORM_SEV,
    MEASURE_PLATFORM_SEV_ES,
    MEASURE_PLATFORM_SNP,
} MeasurePlatform;

/* "sev", "sev-es", "sev-snp" */
const char *measure_platform_name(MeasurePlatform platform);
gboolean measure_platform_from_name(const char *name, MeasurePlatform *out);

typedef enum {
    MEASURE_VMM_QEMU,
    MEASURE_VMM_EC2,
    MEASURE_VMM_GCE,
} MeasureVmm;

/* x87/SSE control words in the VMSA: zero after the legacy KVM_SEV_ES_INIT, reset values after KVM_SEV_INIT2. */
typedef enum {
    MEASURE_FPU_LEGACY,
    MEASURE_FPU_INIT2,
} MeasureFpu;

/* "legacy", "init2" */
const char *measure_fpu_name(MeasureFpu fpu);

/**
 * MeasureLaunch:
 * @platform: SEV, SEV-ES or SEV-SNP
 * @vmm: whose page order and register values; %MEASURE_VMM_QEMU for libvirt
 * @fpu: %MEASURE_FPU_INIT2 for SNP; SEV-ES under libvirt is %MEASURE_FPU_LEGACY
 * @guest_features: VMSA SEV_FEATURES; 0x1 for SNP, 0 for SEV-ES by default
 * @vcpus: number of VMSAs at launch, 1 to %MEASURE_MAX_VCPUS (unused for plain SEV)
 * @cpus: (element-type MeasureCpu): the CPU types to predict for, at least one unless plain SEV or another VMM
 * @firmware: path of the firmware file
 * @kernel: (nullable): path
 * @initrd: (nullable): path; only with @kernel
 * @cmdline: (nullable): kernel command line, verbatim; only with @kernel
 * @kernel_hashes: put the kernel hash table into the measurement; with @kernel %NULL nothing is added
 *
 * The launch description. Made from options or, in xml/, from a domain.
 */
typedef struct {
    MeasurePlatform platform;
    MeasureVmm vmm;
    MeasureFpu fpu;
    guint64 guest_features;
    guint vcpus;
    GPtrArray *cpus;
    gchar *firmware;
    gchar *kernel;
    gchar *initrd;
    gchar *cmdline;
    gboolean kernel_hashes;
} MeasureLaunch;

/* With the defaults above, one vCPU, no CPU type, no files, kernel hashes off. */
MeasureLaunch *measure_launch_new(MeasurePlatform platform);
void measure_launch_free(MeasureLaunch *launch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MeasureLaunch, measure_launch_free)

/**
 * MeasureInput:
 * @path: as given
 * @size: bytes
 * @sha256: of the whole file
 * @device, @inode, @mtime_ns, @ctime_ns: identity of the file that was hashed
 * @cached: @sha256 came from the cache
 */
typedef struct {
    gchar *path;
    guint64 size;
    guint8 sha256[MEASURE_SHA256_SIZE];
    guint64 device, inode;
    gint64 mtime_ns, ctime_ns;
    gboolean cached;
} MeasureInput;

void measure_input_free(MeasureInput *input);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MeasureInput, measure_input_free)

/**
 * MeasureCache:
 * @lookup: fill @value for the identity in @input (path, size, device, inode, times set) and return %TRUE, or %FALSE
 * @store: remember @value
 * @user_data: passed to both
 *
 * Where digests of unchanged files are kept between runs (policy/ keeps them in the state folder).
 * @value is an opaque string of at most 4096 bytes that measure/ makes and checks; @kind is "file" or "firmware".
 * Both may be called from worker threads, never at the same time.
 */
typedef struct {
    gchar *(*lookup)(const MeasureInput *input, const char *kind, gpointer user_data);
    void (*store)(const MeasureInput *input, const char *kind, const char *value, gpointer user_data);
    gpointer user_data;
} MeasureCache;

/**
 * MeasureInputs:
 * @firmware: digests of the firmware file
 * @footer: its parsed footer
 * @build: (nullable): its build and verifier; set when opened with %MEASURE_OPEN_JUDGE_FIRMWARE
 * @snp_seed: launch digest after the firmware pages (SNP only)
 * @kernel, @initrd: (nullable): digests
 * @cmdline_sha256: SHA-256 of the command line and one NUL (only with a kernel)
 * @has_kernel: a kernel was given
 * @sev_prefix: (nullable): private: SHA-256 state after the firmware (SEV and SEV-ES only)
 */
typedef struct {
    MeasureInput *firmware;
    MeasureFirmware *footer;
    MeasureFirmwareBuild *build;
    guint8 snp_seed[MEASURE_SHA384_SIZE];
    MeasureInput *kernel;
    MeasureInput *initrd;
    guint8 cmdline_sha256[MEASURE_SHA256_SIZE];
    gboolean has_kernel;
    gpointer sev_prefix;
} MeasureInputs;

typedef enum {
    MEASURE_OPEN_DEFAULT = 0,
    MEASURE_OPEN_JUDGE_FIRMWARE = 1 << 0,
} MeasureOpenFlags;

/**
 * measure_inputs_open:
 * @launch: what will be launched
 * @cache: (nullable): where unchanged files' digests are kept
 * @flags: what to look at besides the digests
 * @snp_seed: (nullable) (array fixed-size=48): firmware digest that replaces hashing the firmware's pages
 *   (the "OVMF hash"); the metadata of @launch->firmware is still used
 *
 * Opens and hashes every file of @launch, each with bounded memory (256 KiB buffers; the firmware is read whole),
 * in parallel. Regular files only, plus /dev/null for an empty one. A file that changes while it
 * is read is an error. Firmware: at most %MEASURE_FIRMWARE_MAX_SIZE, not empty, for SNP a multiple of 4096 bytes.
 * Kernel and initrd: below 4 GiB each, which is all that QEMU can hand to a guest.
 *
 * A file that @cache knows is not read again; of a known firmware only the footer is. Nothing that was written less
 * than two seconds before is stored, since a later write could leave the same times. Files on file systems without
 * change times of their own (squashfs, network and stacked file systems, …) are always read.
 *
 * Errors: %ATTEST_ERROR_UNREADABLE with the path and the role ("kernel '/x': No such file or directory");
 * %ATTEST_ERROR_USAGE for an initrd or a command line without a kernel.
 */
MeasureInputs *measure_inputs_open(const MeasureLaunch *launch, const MeasureCache *cache, MeasureOpenFlags flags,
                                   const guint8 *snp_seed, GError **error);
void measure_inputs_free(MeasureInputs *inputs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MeasureInputs, measure_inputs_free)

/**
 * MeasureDigest:
 * @size: 48 for SNP, 32 for SEV and SEV-ES
 */
typedef struct {
    guint8 bytes[MEASURE_DIGEST_MAX];
    gsize size;
} MeasureDigest;

/**
 * measure_launch_digest:
 * @launch: what will be launched
 * @inputs: its inputs
 * @signature: CPU signature of every vCPU (ignored for plain SEV and for EC2 and GCE)
 * @vcpus: number of VMSAs, overriding @launch->vcpus
 * @out: (out caller-allocates): the expected launch digest
 *
 * SEV-SNP Firmware ABI (56860), section 8.17 (launch digest); SEV API (55766), LAUNCH_MEASURE.
 * Errors: %ATTEST_ERROR_USAGE for an impossible number of vCPUs, %ATTEST_ERROR_UNREADABLE when the firmware cannot
 * carry this launch (no SEV metadata, no hash area, no reset block for a second vCPU, …), with what to use instead.
 */
gboolean measure_launch_digest(const MeasureLaunch *launch, const MeasureInputs *inputs, guint32 signature, guint vcpus,
                               MeasureDigest *out, GError **error);

/**
 * measure_launch_digests:
 * @signatures: (array length=n_signatures): CPU signatures
 * @vcpus: (array length=n_vcpus): numbers of VMSAs, ascending
 * @out: (out caller-allocates): @n_signatures times @n_vcpus digests: those of the first signature first
 *
 * The same for a whole fleet. What is common to all launches is done once, and the digest for a number of vCPUs goes on
 * where that for the number before has ended, so that the costs are those of the largest number for each CPU type.
 *
 * Errors: as measure_launch_digest().
 */
gboolean measure_launch_digests(const MeasureLaunch *launch, const MeasureInputs *inputs, const guint32 *signatures,
                                gsize n_signatures, const guint *vcpus, gsize n_vcpus, MeasureDigest *out,
                                GError **error);

gchar *measure_digest_hex(const MeasureDigest *digest);
