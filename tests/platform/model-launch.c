/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

/*
 * The launch commands of KVM (Documentation/virt/kvm/x86/amd-memory-encryption.rst)
 * and the digest that the secure processor keeps: a SHA-256 over the data for
 * SEV and SEV-ES (SEV API, LAUNCH_UPDATE_DATA), a chain of SHA-384 over page
 * descriptions for SEV-SNP (SEV-SNP firmware ABI, "Page Info Structure").
 */
enum {
    COMMAND_INIT = 0,
    COMMAND_ES_INIT = 1,
    COMMAND_LAUNCH_START = 2,
    COMMAND_LAUNCH_UPDATE_DATA = 3,
    COMMAND_LAUNCH_UPDATE_VMSA = 4,
    COMMAND_LAUNCH_SECRET = 5,
    COMMAND_LAUNCH_MEASURE = 6,
    COMMAND_LAUNCH_FINISH = 7,
    COMMAND_GUEST_STATUS = 16,
    COMMAND_INIT2 = 22,
    COMMAND_SNP_LAUNCH_START = 100,
    COMMAND_SNP_LAUNCH_UPDATE = 101,
    COMMAND_SNP_LAUNCH_FINISH = 102,
};

/* Virtual machine types of KVM_CREATE_VM. */
enum { VM_DEFAULT = 0, VM_SEV = 2, VM_SEV_ES = 3, VM_SNP = 4 };

/* Errors of the firmware (SEV API, status codes). */
enum {
    FIRMWARE_INVALID_LENGTH = 4,
    FIRMWARE_POLICY_FAILURE = 7,
    FIRMWARE_INVALID_PARAM = 22,
};

#define POLICY_ES (1U << 2)
#define SNP_POLICY_RESERVED_ONE (1U << 17)
#define FEATURE_SNP_ACTIVE 1U
/* Where KVM says the save areas are: no guest memory, the highest page of a 48-bit space. */
#define VMSA_ADDRESS 0xfffffffff000ULL

typedef struct {
    uint32_t id;
    uint32_t padding;
    uint64_t data;
    uint32_t error;
    uint32_t device;
} Command;

typedef struct {
    uint64_t features;
    uint32_t flags;
    uint16_t ghcb_version;
    uint16_t padding1;
    uint32_t padding2[8];
} Init2;

typedef struct {
    uint32_t handle;
    uint32_t policy;
    uint64_t certificate;
    uint32_t certificate_length;
    uint64_t session;
    uint32_t session_length;
} LegacyStart;

typedef struct {
    uint64_t address;
    uint32_t length;
} LegacyBuffer;

typedef struct {
    uint32_t handle;
    uint32_t policy;
    uint32_t state;
} LegacyStatus;

typedef struct {
    uint64_t policy;
    uint8_t workarounds[16];
    uint16_t flags;
    uint8_t padding1[6];
    uint64_t padding2[4];
} SnpStart;

typedef struct {
    uint64_t gfn;
    uint64_t address;
    uint64_t length;
    uint8_t type;
    uint8_t padding1;
    uint16_t flags;
    uint32_t padding2;
    uint64_t padding3[4];
} SnpUpdate;

typedef struct {
    uint64_t id_block;
    uint64_t id_auth;
    uint8_t id_block_enabled;
    uint8_t author_key_enabled;
    uint8_t vcek_disabled;
    uint8_t host_data[32];
    uint8_t padding1[3];
    uint16_t flags;
    uint64_t padding2[4];
} SnpFinish;

static const char *const page_names[MODEL_PAGE_TYPES] = {
    [MODEL_PAGE_NORMAL] = "normal",         [MODEL_PAGE_VMSA] = "vmsa",       [MODEL_PAGE_ZERO] = "zero",
    [MODEL_PAGE_UNMEASURED] = "unmeasured", [MODEL_PAGE_SECRETS] = "secrets", [MODEL_PAGE_CPUID] = "cpuid",
};

void model_hex(const uint8_t *bytes, size_t length, char *text) {
    for (size_t i = 0; i < length; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
}

static int refuse(int error) {
    errno = error;
    return -1;
}

static int refuse_firmware(Command *command, uint32_t error) {
    command->error = error;
    return refuse(EIO);
}

static void *pointer(uint64_t address) {
    return (void *) (uintptr_t) address;
}

static void sha384(const void *data, size_t length, uint8_t digest[MODEL_DIGEST_SIZE]) {
    if (EVP_Digest(data, length, digest, NULL, EVP_sha384(), NULL) != 1) {
        model_die("SHA-384 failed");
    }
}

/* SEV-SNP firmware ABI, LAUNCH_UPDATE: digest' = SHA-384(PAGE_INFO), 112 bytes. */
static void snp_measure_page(unsigned type, uint64_t address, const uint8_t *contents) {
    uint8_t info[112] = { 0 };
    char contents_hex[2 * MODEL_DIGEST_SIZE + 1];
    char after_hex[2 * MODEL_DIGEST_SIZE + 1];

    memcpy(info, model_launch.digest, MODEL_DIGEST_SIZE);
    if (type == MODEL_PAGE_NORMAL || type == MODEL_PAGE_VMSA) {
        sha384(contents, MODEL_PAGE_SIZE, info + 48);
    }
    info[96] = sizeof info; /* LENGTH, 16 bits */
    info[98] = (uint8_t) type;
    for (unsigned i = 0; i < 8; i++) {
        info[104 + i] = (uint8_t) (address >> (8 * i));
    }
    sha384(info, sizeof info, model_launch.digest);
    model_launch.pages[type]++;

    if (model_launch.trace != NULL) {
        model_hex(info + 48, MODEL_DIGEST_SIZE, contents_hex);
        model_hex(model_launch.digest, MODEL_DIGEST_SIZE, after_hex);
        model_report_step(page_names[type], address, contents_hex, after_hex);
    }
}

static void legacy_measure(const char *type, const void *data, size_t length) {
    uint8_t hash[32];
    uint8_t after[32];
    char hash_hex[65];
    char after_hex[65];

    if (EVP_DigestUpdate(model_launch.stream, data, length) != 1) {
        model_die("SHA-256 failed");
    }
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    if (copy == NULL || EVP_MD_CTX_copy_ex(copy, model_launch.stream) != 1 ||
        EVP_DigestFinal_ex(copy, after, NULL) != 1) {
        model_die("SHA-256 failed");
    }
    EVP_MD_CTX_free(copy);
    memcpy(model_launch.digest, after, sizeof after);

    if (model_launch.trace != NULL) {
        if (EVP_Digest(data, length, hash, NULL, EVP_sha256(), NULL) != 1) {
            model_die("SHA-256 failed");
        }
        model_hex(hash, sizeof hash, hash_hex);
        model_hex(after, sizeof after, after_hex);
        model_report_step(type, 0, hash_hex, after_hex);
    }
}

/* The save areas of all vCPUs, in the order of their creation, are measured as the last thing. */
static int measure_vcpus(void) {
    uint8_t page[MODEL_PAGE_SIZE];
    bool with_fpu = model_launch.vm_type != VM_DEFAULT; /* KVM keeps older measurements by leaving it out */

    for (unsigned i = 0; i < model_n_vcpus; i++) {
        if (!model_vmsa_build(&model_vcpus[i], model_launch.features, with_fpu, page)) {
            return -1;
        }
        if (i == 0) {
            memcpy(&model_launch.rdx, page + 0x310, sizeof model_launch.rdx);
        }
        if (model_launch.platform == MODEL_PLATFORM_SNP) {
            snp_measure_page(MODEL_PAGE_VMSA, VMSA_ADDRESS, page);
        } else {
            legacy_measure("vmsa", page, sizeof page);
            model_launch.pages[MODEL_PAGE_VMSA]++;
        }
    }
    return 0;
}

static int init(ModelPlatform platform, uint64_t features) {
    if (model_launch.platform != MODEL_PLATFORM_NONE) {
        return refuse(EINVAL);
    }
    model_launch.features = features;
    __atomic_store_n(&model_launch.platform, platform, __ATOMIC_RELEASE);
    fprintf(stderr, MODEL_STATEMENT ": it stands in for the secure processor; the guest will not run\n");
    return 0;
}

/* KVM_SEV_INIT and KVM_SEV_ES_INIT are for the default type only. */
static int init_legacy(ModelPlatform platform) {
    return model_launch.vm_type == VM_DEFAULT ? init(platform, 0) : refuse(EINVAL);
}

static int init2(const Init2 *request) {
    switch (model_launch.vm_type) {
    case VM_SEV:
        return request->features == 0 ? init(MODEL_PLATFORM_SEV, 0) : refuse(EINVAL);
    case VM_SEV_ES:
        return init(MODEL_PLATFORM_SEV_ES, request->features);
    case VM_SNP:
        return init(MODEL_PLATFORM_SNP, request->features | FEATURE_SNP_ACTIVE);
    default:
        return refuse(EINVAL);
    }
}

static bool legacy_ready(void) {
    return (model_launch.platform == MODEL_PLATFORM_SEV || model_launch.platform == MODEL_PLATFORM_SEV_ES) &&
           model_launch.started && !model_launch.finished;
}

static int legacy_start(Command *command, LegacyStart *request) {
    if (model_launch.platform != MODEL_PLATFORM_SEV && model_launch.platform != MODEL_PLATFORM_SEV_ES) {
        return refuse(ENOTTY);
    }
    if (((request->policy & POLICY_ES) != 0) != (model_launch.platform == MODEL_PLATFORM_SEV_ES)) {
        return refuse_firmware(command, FIRMWARE_POLICY_FAILURE);
    }
    model_launch.stream = EVP_MD_CTX_new();
    if (model_launch.stream == NULL || EVP_DigestInit_ex(model_launch.stream, EVP_sha256(), NULL) != 1) {
        model_die("SHA-256 failed");
    }
    model_launch.policy = request->policy;
    model_launch.started = true;
    request->handle = 1;
    return 0;
}

static int legacy_update_data(const LegacyBuffer *request) {
    if (!legacy_ready() || model_launch.measured || request->length % 16 != 0) {
        return refuse(EINVAL);
    }
    legacy_measure("data", pointer(request->address), request->length);
    model_launch.data_bytes += request->length;
    return 0;
}

static int legacy_update_vmsa(void) {
    if (!legacy_ready() || model_launch.platform != MODEL_PLATFORM_SEV_ES || model_launch.measured) {
        return refuse(EINVAL);
    }
    return measure_vcpus();
}

/*
 * SEV API, LAUNCH_MEASURE: HMAC-SHA256(TIK; 0x04 || api_major || api_minor ||
 * build || policy || digest || nonce) || nonce. The key would come wrapped in
 * the session of the guest's owner; the model cannot unwrap it and uses one
 * that says what it is, and a nonce of zeros.
 */
static void legacy_sign(void) {
    static const uint8_t key[16] = "platform model!";
    uint8_t text[4 + 4 + 32 + 16] = { 4, MODEL_API_MAJOR, MODEL_API_MINOR, MODEL_API_BUILD };

    for (unsigned i = 0; i < 4; i++) {
        text[4 + i] = (uint8_t) (model_launch.policy >> (8 * i));
    }
    memcpy(text + 8, model_launch.digest, 32);
    memset(model_launch.measure, 0, sizeof model_launch.measure);
    if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, sizeof key, text, sizeof text, model_launch.measure, 32,
                  NULL) == NULL) {
        model_die("HMAC-SHA256 failed");
    }
}

static int legacy_measurement(Command *command, LegacyBuffer *request) {
    uint32_t given = request->length;

    if (!legacy_ready()) {
        return refuse(EINVAL);
    }
    request->length = sizeof model_launch.measure;
    if (given < sizeof model_launch.measure) {
        return refuse_firmware(command, FIRMWARE_INVALID_LENGTH);
    }
    if (!model_launch.measured) {
        model_launch.measured = true;
        legacy_sign();
        model_report_write();
    }
    memcpy(pointer(request->address), model_launch.measure, sizeof model_launch.measure);
    return 0;
}

static int legacy_secret(void) {
    return legacy_ready() && model_launch.measured ? 0 : refuse(EINVAL);
}

static int legacy_finish(void) {
    if (!legacy_ready() || !model_launch.measured) {
        return refuse(EINVAL);
    }
    model_launch.finished = true;
    model_report_write();
    return 0;
}

static int legacy_status(LegacyStatus *status) {
    status->handle = 1;
    status->policy = (uint32_t) model_launch.policy;
    status->state = model_launch.finished ? 3 : model_launch.measured ? 2 : 1;
    return 0;
}

static bool snp_ready(void) {
    return model_launch.platform == MODEL_PLATFORM_SNP && model_launch.started && !model_launch.finished;
}

static int snp_start(Command *command, const SnpStart *request) {
    if (model_launch.platform != MODEL_PLATFORM_SNP || model_launch.started) {
        return refuse(EINVAL);
    }
    if ((request->policy & SNP_POLICY_RESERVED_ONE) == 0) {
        return refuse(EINVAL); /* KVM looks at this one itself */
    }
    model_launch.policy = request->policy;
    model_launch.started = true;
    return 0;
}

static int snp_update(SnpUpdate *request) {
    if (!snp_ready() || request->length % MODEL_PAGE_SIZE != 0) {
        return refuse(EINVAL);
    }
    switch (request->type) {
    case MODEL_PAGE_NORMAL:
    case MODEL_PAGE_ZERO:
    case MODEL_PAGE_UNMEASURED:
    case MODEL_PAGE_SECRETS:
    case MODEL_PAGE_CPUID:
        break;
    default:
        return refuse(EINVAL);
    }
    const uint8_t *bytes = pointer(request->address);
    while (request->length != 0) {
        snp_measure_page(request->type, request->gfn * MODEL_PAGE_SIZE, bytes);
        bytes += MODEL_PAGE_SIZE;
        request->gfn++;
        request->length -= MODEL_PAGE_SIZE;
    }
    request->address = (uint64_t) (uintptr_t) bytes;
    return 0;
}

static int snp_finish(Command *command, const SnpFinish *request) {
    if (!snp_ready() || measure_vcpus() != 0) {
        return refuse(EINVAL);
    }
    if (request->id_block_enabled) {
        uint32_t status = model_identity_check(pointer(request->id_block), pointer(request->id_auth),
                                               request->author_key_enabled != 0);
        if (status != 0) {
            return refuse_firmware(command, status);
        }
    }
    memcpy(model_launch.host_data, request->host_data, sizeof model_launch.host_data);
    model_launch.finished = true;
    model_report_write();
    return 0;
}

int model_launch_command(void *argument) {
    Command *command = argument;

    if (command == NULL) {
        return 0; /* the way to ask whether SEV is there at all */
    }
    command->error = 0;
    void *data = pointer(command->data);

    switch (command->id) {
    case COMMAND_INIT:
        return init_legacy(MODEL_PLATFORM_SEV);
    case COMMAND_ES_INIT:
        return init_legacy(MODEL_PLATFORM_SEV_ES);
    case COMMAND_INIT2:
        return init2(data);
    case COMMAND_LAUNCH_START:
        return legacy_start(command, data);
    case COMMAND_LAUNCH_UPDATE_DATA:
        return legacy_update_data(data);
    case COMMAND_LAUNCH_UPDATE_VMSA:
        return legacy_update_vmsa();
    case COMMAND_LAUNCH_SECRET:
        return legacy_secret();
    case COMMAND_LAUNCH_MEASURE:
        return legacy_measurement(command, data);
    case COMMAND_LAUNCH_FINISH:
        return legacy_finish();
    case COMMAND_GUEST_STATUS:
        return legacy_status(data);
    case COMMAND_SNP_LAUNCH_START:
        return snp_start(command, data);
    case COMMAND_SNP_LAUNCH_UPDATE:
        return snp_update(data);
    case COMMAND_SNP_LAUNCH_FINISH:
        return snp_finish(command, data);
    default:
        return refuse(EINVAL);
    }
}

/* /dev/sev: what QEMU asks before a launch (linux/psp-sev.h). */
enum { DEVICE_PLATFORM_STATUS = 1, DEVICE_PDH_CERT_EXPORT = 5, DEVICE_GET_ID2 = 8 };

#define PLATFORM_INITIALISED 1
#define STATUS_CONFIGURED_ES (1U << 8)
#define CERTIFICATE_SIZE 2084U /* one SEV certificate; a chain is three of them */
#define CHIP_ID_SIZE 64U

typedef struct __attribute__((packed)) {
    uint32_t id;
    uint64_t data;
    uint32_t error;
} DeviceCommand;

typedef struct __attribute__((packed)) {
    uint8_t api_major;
    uint8_t api_minor;
    uint8_t state;
    uint32_t flags;
    uint8_t build;
    uint32_t guests;
} DeviceStatus;

typedef struct __attribute__((packed)) {
    uint64_t certificate;
    uint32_t certificate_length;
    uint64_t chain;
    uint32_t chain_length;
} DeviceExport;

typedef struct __attribute__((packed)) {
    uint64_t address;
    uint32_t length;
} DeviceId;

/* What stands where a certificate or a chip id would: text that says so. */
static void fill_with_statement(void *target, size_t length) {
    static const char statement[] = MODEL_STATEMENT "; ";

    for (size_t i = 0; i < length; i++) {
        ((char *) target)[i] = statement[i % (sizeof statement - 1)];
    }
}

static int device_refuse(DeviceCommand *command, uint32_t error) {
    command->error = error;
    return refuse(EIO);
}

static int device_export(DeviceCommand *command, DeviceExport *request) {
    bool room = request->certificate_length >= CERTIFICATE_SIZE && request->chain_length >= 3 * CERTIFICATE_SIZE;

    request->certificate_length = CERTIFICATE_SIZE;
    request->chain_length = 3 * CERTIFICATE_SIZE;
    if (!room) {
        return device_refuse(command, FIRMWARE_INVALID_LENGTH);
    }
    fill_with_statement(pointer(request->certificate), CERTIFICATE_SIZE);
    fill_with_statement(pointer(request->chain), 3 * CERTIFICATE_SIZE);
    return 0;
}

static int device_id(DeviceCommand *command, DeviceId *request) {
    bool room = request->length >= CHIP_ID_SIZE;

    request->length = CHIP_ID_SIZE;
    if (!room) {
        return device_refuse(command, FIRMWARE_INVALID_LENGTH);
    }
    fill_with_statement(pointer(request->address), CHIP_ID_SIZE);
    return 0;
}

int model_device_command(void *argument) {
    DeviceCommand *command = argument;

    command->error = 0;
    switch (command->id) {
    case DEVICE_PLATFORM_STATUS:
        *(DeviceStatus *) pointer(command->data) = (DeviceStatus){
            .api_major = MODEL_API_MAJOR,
            .api_minor = MODEL_API_MINOR,
            .state = PLATFORM_INITIALISED,
            .flags = STATUS_CONFIGURED_ES,
            .build = MODEL_API_BUILD,
        };
        return 0;
    case DEVICE_PDH_CERT_EXPORT:
        return device_export(command, pointer(command->data));
    case DEVICE_GET_ID2:
        return device_id(command, pointer(command->data));
    default:
        return device_refuse(command, FIRMWARE_INVALID_PARAM);
    }
}
