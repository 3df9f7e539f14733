/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Theory of operation. QEMU believes in SEV when /dev/sev opens and KVM says
 * that it knows the SEV virtual machine types. Both are answered here. The
 * virtual machine itself is an ordinary KVM one, so memory slots, vCPUs and
 * their registers are real: what SEV would add to a memory slot or an
 * attribute is taken away from the request before KVM sees it. Launch
 * commands go to model-launch.c. Once a machine is confidential its vCPUs
 * never enter the guest: KVM_RUN waits for a signal.
 *
 * Everything that is not SEV passes through untouched, therefore QEMU also
 * runs ordinary guests with this library loaded.
 */

#define EXPORTED __attribute__((visibility("default")))

/* Capabilities and requests newer than the oldest kernel headers that this builds with. */
#define CAP_EXIT_HYPERCALL 201
#define CAP_USER_MEMORY2 231
#define CAP_MEMORY_ATTRIBUTES 233
#define CAP_GUEST_MEMFD 234
#define CAP_VM_TYPES 235
#define VM_TYPES_OFFERED ((1 << 0) | (1 << 2) | (1 << 3) | (1 << 4)) /* default, SEV, SEV-ES, SEV-SNP */
#define MEMORY_ATTRIBUTE_PRIVATE (1 << 3)
#define HYPERCALL_MAP_GPA_RANGE (1 << 12)
#define MEMORY_SLOT_GUEST_MEMFD (1U << 2)

typedef struct {
    struct kvm_userspace_memory_region region;
    uint64_t guest_memfd_offset;
    uint32_t guest_memfd;
    uint32_t padding1;
    uint64_t padding2[14];
} MemoryRegion2;

typedef struct {
    uint64_t size;
    uint64_t flags;
    uint64_t reserved[6];
} CreateGuestMemfd;

typedef struct {
    uint64_t address;
    uint64_t size;
    uint64_t attributes;
    uint64_t flags;
} MemoryAttributes;

#define REQUEST_SET_USER_MEMORY_REGION2 _IOW(KVMIO, 0x49, MemoryRegion2)
#define REQUEST_SET_MEMORY_ATTRIBUTES _IOW(KVMIO, 0xd2, MemoryAttributes)
#define REQUEST_CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, CreateGuestMemfd)
#define REQUEST_SEV_ISSUE_CMD _IOWR('S', 0, uint8_t[16])

#define SEV_DEVICE "/dev/sev"

ModelLaunch model_launch;
ModelVcpu model_vcpus[MODEL_MAX_VCPUS];
unsigned model_n_vcpus;

static pthread_mutex_t model_lock = PTHREAD_MUTEX_INITIALIZER;

/* Prototypes of what glibc exports but declares in no header. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);

_Noreturn void model_die(const char *what) {
    fprintf(stderr, "error: " MODEL_STATEMENT ": %s\n", what);
    _exit(70);
}

int model_ioctl(int fd, unsigned long request, void *argument) {
    return (int) syscall(SYS_ioctl, fd, request, argument);
}

static int model_memfd(const char *name) {
    return memfd_create(name, MFD_CLOEXEC);
}

/* The fd that stands for the device, -1 with errno, or -2 when @path is something else. */
static int device_open(const char *path) {
    if (path == NULL || strcmp(path, SEV_DEVICE) != 0) {
        return -2;
    }
    return model_memfd("platform-model-sev");
}

/* The next definition of a function that this library hides. */
static void *next_symbol(const char *name) {
    void *symbol = dlsym(RTLD_NEXT, name);

    if (symbol == NULL) {
        model_die("the C library lacks a function that the model interposes");
    }
    return symbol;
}

static bool flags_take_mode(int flags) {
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

#define READ_MODE(last)                        \
    ({                                         \
        mode_t read_mode = 0;                  \
        if (flags_take_mode(last)) {           \
            va_list list;                      \
            va_start(list, last);              \
            read_mode = va_arg(list, mode_t);  \
            va_end(list);                      \
        }                                      \
        read_mode;                             \
    })

EXPORTED int open(const char *path, int flags, ...) {
    mode_t mode = READ_MODE(flags);
    int fd = device_open(path);
    int (*next)(const char *, int, ...) = NULL;

    if (fd != -2) {
        return fd;
    }
    next = (int (*)(const char *, int, ...)) next_symbol("open");
    return next(path, flags, mode);
}

EXPORTED int open64(const char *path, int flags, ...) {
    mode_t mode = READ_MODE(flags);
    int fd = device_open(path);
    int (*next)(const char *, int, ...) = NULL;

    if (fd != -2) {
        return fd;
    }
    next = (int (*)(const char *, int, ...)) next_symbol("open64");
    return next(path, flags, mode);
}

EXPORTED int __open_2(const char *path, int flags) {
    int fd = device_open(path);

    return fd != -2 ? fd : ((int (*)(const char *, int)) next_symbol("__open_2"))(path, flags);
}

EXPORTED int __open64_2(const char *path, int flags) {
    int fd = device_open(path);

    return fd != -2 ? fd : ((int (*)(const char *, int)) next_symbol("__open64_2"))(path, flags);
}

EXPORTED int openat(int folder, const char *path, int flags, ...) {
    mode_t mode = READ_MODE(flags);
    int fd = device_open(path);
    int (*next)(int, const char *, int, ...) = NULL;

    if (fd != -2) {
        return fd;
    }
    next = (int (*)(int, const char *, int, ...)) next_symbol("openat");
    return next(folder, path, flags, mode);
}

EXPORTED int openat64(int folder, const char *path, int flags, ...) {
    mode_t mode = READ_MODE(flags);
    int fd = device_open(path);
    int (*next)(int, const char *, int, ...) = NULL;

    if (fd != -2) {
        return fd;
    }
    next = (int (*)(int, const char *, int, ...)) next_symbol("openat64");
    return next(folder, path, flags, mode);
}

EXPORTED int __openat_2(int folder, const char *path, int flags) {
    int fd = device_open(path);

    return fd != -2 ? fd : ((int (*)(int, const char *, int)) next_symbol("__openat_2"))(folder, path, flags);
}

EXPORTED int __openat64_2(int folder, const char *path, int flags) {
    int fd = device_open(path);

    return fd != -2 ? fd : ((int (*)(int, const char *, int)) next_symbol("__openat64_2"))(folder, path, flags);
}

static int check_extension(int fd, void *argument) {
    switch ((uintptr_t) argument) {
    case CAP_VM_TYPES:
        return VM_TYPES_OFFERED;
    case CAP_GUEST_MEMFD:
    case CAP_USER_MEMORY2:
        return 1;
    case CAP_MEMORY_ATTRIBUTES:
        return MEMORY_ATTRIBUTE_PRIVATE;
    case CAP_EXIT_HYPERCALL:
        return HYPERCALL_MAP_GPA_RANGE;
    default:
        return model_ioctl(fd, KVM_CHECK_EXTENSION, argument);
    }
}

static int create_vm(int fd, void *argument) {
    int vm = model_ioctl(fd, KVM_CREATE_VM, NULL);

    if (vm >= 0) {
        pthread_mutex_lock(&model_lock);
        model_launch.vm_type = (unsigned long) (uintptr_t) argument;
        pthread_mutex_unlock(&model_lock);
    }
    return vm;
}

/* KVM measures vCPUs in the order of their creation: remember it. */
static int create_vcpu(int fd, void *argument) {
    int vcpu = model_ioctl(fd, KVM_CREATE_VCPU, argument);

    if (vcpu < 0) {
        return vcpu;
    }
    pthread_mutex_lock(&model_lock);
    if (model_n_vcpus == MODEL_MAX_VCPUS) {
        model_die("more vCPUs than the model can hold");
    }
    void *run = mmap(NULL, (size_t) sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    model_vcpus[model_n_vcpus].fd = vcpu;
    model_vcpus[model_n_vcpus].run = run == MAP_FAILED ? NULL : run;
    __atomic_store_n(&model_n_vcpus, model_n_vcpus + 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&model_lock);
    return vcpu;
}

static int create_guest_memfd(const CreateGuestMemfd *request) {
    int fd = model_memfd("platform-model-guest-memory");

    if (fd >= 0 && ftruncate(fd, (off_t) request->size) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int set_memory_region(int fd, const MemoryRegion2 *request) {
    struct kvm_userspace_memory_region plain = request->region;

    plain.flags &= ~MEMORY_SLOT_GUEST_MEMFD;
    return model_ioctl(fd, KVM_SET_USER_MEMORY_REGION, &plain);
}

static int enable_capability(int fd, struct kvm_enable_cap *request) {
    return request->cap == CAP_EXIT_HYPERCALL ? 0 : model_ioctl(fd, KVM_ENABLE_CAP, request);
}

/*
 * Waits where a real vCPU would run the guest. QEMU ends a run by a signal
 * whose handler sets immediate_exit; all signals are held back while that flag
 * is looked at, so that none is lost between the look and the wait.
 */
static int vcpu_wait(int fd) {
    struct kvm_run *run = NULL;
    unsigned n_vcpus = __atomic_load_n(&model_n_vcpus, __ATOMIC_ACQUIRE);
    sigset_t all;
    sigset_t old;

    for (unsigned i = 0; i < n_vcpus && run == NULL; i++) {
        run = model_vcpus[i].fd == fd ? model_vcpus[i].run : NULL;
    }
    if (run == NULL) {
        model_die("a vCPU runs that the model did not see being created");
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (!*(volatile uint8_t *) &run->immediate_exit) {
        sigsuspend(&old);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    run->exit_reason = KVM_EXIT_INTR;
    errno = EINTR;
    return -1;
}

static bool launch_is_confidential(void) {
    return __atomic_load_n(&model_launch.platform, __ATOMIC_ACQUIRE) != MODEL_PLATFORM_NONE;
}

static int locked(int (*command)(void *), void *argument) {
    pthread_mutex_lock(&model_lock);
    int result = command(argument);
    int saved = errno;
    pthread_mutex_unlock(&model_lock);
    errno = saved;
    return result;
}

EXPORTED int ioctl(int fd, unsigned long request, ...) {
    va_list list;

    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);

    switch (request) {
    case REQUEST_SEV_ISSUE_CMD:
        return locked(model_device_command, argument);
    case KVM_CHECK_EXTENSION:
        return check_extension(fd, argument);
    case KVM_CREATE_VM:
        return create_vm(fd, argument);
    case KVM_CREATE_VCPU:
        return create_vcpu(fd, argument);
    case REQUEST_CREATE_GUEST_MEMFD:
        return create_guest_memfd(argument);
    case REQUEST_SET_USER_MEMORY_REGION2:
        return set_memory_region(fd, argument);
    case KVM_ENABLE_CAP:
        return enable_capability(fd, argument);
    case REQUEST_SET_MEMORY_ATTRIBUTES:
    case KVM_MEMORY_ENCRYPT_REG_REGION:
    case KVM_MEMORY_ENCRYPT_UNREG_REGION:
        return 0;
    case KVM_MEMORY_ENCRYPT_OP:
        return locked(model_launch_command, argument);
    case KVM_RUN:
        return launch_is_confidential() ? vcpu_wait(fd) : model_ioctl(fd, request, argument);
    default:
        return model_ioctl(fd, request, argument);
    }
}

/* The position of the encryption bit: QEMU compares the one it is given with this processor's CPUID. */
EXPORTED int platform_model_cbitpos(void);
EXPORTED int platform_model_cbitpos(void) {
    uint32_t eax = 0x8000001f;
    uint32_t ebx = 0;
    uint32_t ecx = 0;
    uint32_t edx = 0;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return (int) (ebx & 0x3f);
}
