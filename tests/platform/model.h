/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The platform model: a library that is preloaded into an unmodified QEMU and
 * answers in place of KVM's SEV interface and of /dev/sev. It computes the
 * launch digest that the secure processor would compute over what QEMU hands
 * over. IT IS A MODEL AND NOT AN ATTESTATION: nothing is encrypted, nothing is
 * signed, the guest never runs, and every document it makes says so.
 *
 * It is the other opinion in the differential tests and therefore shares no
 * code, no layout and no constant with the folder measure/.
 *
 *   model.c         what is interposed: open() of /dev/sev and ioctl()
 *   model-launch.c  the launch commands and the digest
 *   model-identity.c  ID block and ID authentication page, as the firmware checks them
 *   model-vmsa.c    a vCPU's save area, built from its registers as KVM does
 *   model-report.c  the JSON document about a launch
 */
#define MODEL_STATEMENT "platform model, not a real processor"

#define MODEL_PAGE_SIZE 4096U
#define MODEL_MAX_VCPUS 1024U
#define MODEL_DIGEST_SIZE 48U /* SHA-384 (SNP); the first 32 bytes hold SHA-256 for SEV and SEV-ES */

/* The firmware version that the model claims: QEMU shows it and signs it into legacy measurements. */
#define MODEL_API_MAJOR 1
#define MODEL_API_MINOR 55
#define MODEL_API_BUILD 0

typedef enum {
    MODEL_PLATFORM_NONE,
    MODEL_PLATFORM_SEV,
    MODEL_PLATFORM_SEV_ES,
    MODEL_PLATFORM_SNP,
} ModelPlatform;

/* Page types as the SNP firmware numbers them (SEV-SNP firmware ABI, SNP_LAUNCH_UPDATE). */
enum {
    MODEL_PAGE_NORMAL = 1,
    MODEL_PAGE_VMSA = 2,
    MODEL_PAGE_ZERO = 3,
    MODEL_PAGE_UNMEASURED = 4,
    MODEL_PAGE_SECRETS = 5,
    MODEL_PAGE_CPUID = 6,
    MODEL_PAGE_TYPES,
};

typedef struct ModelVcpu {
    int fd;
    struct kvm_run *run; /* shared with QEMU; NULL when it could not be mapped */
} ModelVcpu;

/* What an ID block adds to the report of a launch; all zero without one. */
typedef struct ModelIdentity {
    uint8_t id_key_digest[48];
    uint8_t author_key_digest[48];
    uint8_t family_id[16];
    uint8_t image_id[16];
    uint32_t guest_svn;
    bool author_key;
} ModelIdentity;

typedef struct ModelLaunch {
    ModelPlatform platform;
    unsigned long vm_type; /* what KVM_CREATE_VM was asked for; 0 is the default type */
    bool started;
    bool measured; /* legacy: LAUNCH_MEASURE was given; no data may follow */
    bool finished;
    uint64_t policy;
    uint64_t features;
    uint8_t digest[MODEL_DIGEST_SIZE];
    void *stream; /* legacy: EVP_MD_CTX of the running SHA-256 */
    uint64_t pages[MODEL_PAGE_TYPES];
    uint64_t data_bytes; /* legacy: length of everything given by LAUNCH_UPDATE_DATA */
    uint64_t rdx; /* RDX of the boot processor's save area: the CPU signature */
    uint8_t measure[48]; /* legacy: answer to LAUNCH_MEASURE */
    bool id_block;
    ModelIdentity identity;
    uint8_t host_data[32];
    char *trace; /* JSON array elements, NULL without PLATFORM_MODEL_TRACE */
    size_t trace_length;
} ModelLaunch;

/* The one launch of this process. model.c serialises every access. */
extern ModelLaunch model_launch;
extern ModelVcpu model_vcpus[MODEL_MAX_VCPUS];
extern unsigned model_n_vcpus;

/* The real ioctl: 0 or more, or -1 with errno. */
int model_ioctl(int fd, unsigned long request, void *argument);

/* KVM_MEMORY_ENCRYPT_OP: 0, or -1 with errno, as the kernel would answer. */
int model_launch_command(void *argument);

/* SEV_ISSUE_CMD on /dev/sev: 0, or -1 with errno. */
int model_device_command(void *argument);

/*
 * SNP_LAUNCH_FINISH with an ID block: the status of the firmware, 0 when it agrees with model_launch, which then has
 * its identity.
 */
uint32_t model_identity_check(const void *id_block, const void *id_auth, bool author_key);

/* Fills @page with the save area of @vcpu; false when KVM would not give a register. */
bool model_vmsa_build(const ModelVcpu *vcpu, uint64_t features, bool with_fpu, uint8_t page[MODEL_PAGE_SIZE]);

/* Writes the JSON document about model_launch into the folder named by PLATFORM_MODEL_OUT, if it is set. */
void model_report_write(void);

/* Appends one step to the trace. @contents and @after are hexadecimal. */
void model_report_step(const char *type, uint64_t gpa, const char *contents, const char *after);

void model_hex(const uint8_t *bytes, size_t length, char *text);
_Noreturn void model_die(const char *what);
