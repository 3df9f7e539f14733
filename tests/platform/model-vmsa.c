/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

/*
 * The save area of one vCPU as Linux builds it (sev_es_sync_vmsa() over the
 * VMCB's save area), from the registers that the real KVM holds for this vCPU
 * at that moment. Offsets: AMD64 Architecture Programmer's Manual, volume 2,
 * appendix B, table "VMSA layout, state save area for SEV-ES".
 */
enum {
    AT_ES = 0x000,
    AT_CS = 0x010,
    AT_SS = 0x020,
    AT_DS = 0x030,
    AT_FS = 0x040,
    AT_GS = 0x050,
    AT_GDTR = 0x060,
    AT_LDTR = 0x070,
    AT_IDTR = 0x080,
    AT_TR = 0x090,
    AT_EFER = 0x0d0,
    AT_XSS = 0x140,
    AT_CR4 = 0x148,
    AT_CR3 = 0x150,
    AT_CR0 = 0x158,
    AT_DR7 = 0x160,
    AT_DR6 = 0x168,
    AT_RFLAGS = 0x170,
    AT_RIP = 0x178,
    AT_RSP = 0x1d8,
    AT_RAX = 0x1f8,
    AT_CR2 = 0x240,
    AT_RCX = 0x308,
    AT_RDX = 0x310,
    AT_RBX = 0x318,
    AT_RBP = 0x328,
    AT_RSI = 0x330,
    AT_RDI = 0x338,
    AT_R8 = 0x340,
    AT_SEV_FEATURES = 0x3b0,
    AT_XCR0 = 0x3e8,
    AT_X87_DP = 0x400,
    AT_MXCSR = 0x408,
    AT_X87_FTW = 0x40c,
    AT_X87_FSW = 0x40e,
    AT_X87_FCW = 0x410,
    AT_X87_FOP = 0x412,
    AT_X87_RIP = 0x418,
};

/* Model-specific registers that live in the save area. */
static const struct {
    uint32_t index;
    uint16_t at;
} saved_msrs[] = {
    { 0xc0000081, 0x200 }, /* STAR */
    { 0xc0000082, 0x208 }, /* LSTAR */
    { 0xc0000083, 0x210 }, /* CSTAR */
    { 0xc0000084, 0x218 }, /* SFMASK */
    { 0xc0000102, 0x220 }, /* KERNEL_GS_BASE */
    { 0x00000174, 0x228 }, /* SYSENTER_CS */
    { 0x00000175, 0x230 }, /* SYSENTER_ESP */
    { 0x00000176, 0x238 }, /* SYSENTER_EIP */
    { 0x00000277, 0x268 }, /* PAT */
    { 0x000001d9, 0x270 }, /* DEBUGCTL */
    { 0x00000da0, AT_XSS }, /* XSS; a guest CPU without it has none */
};

#define EFER_SVME 0x1000U /* KVM keeps SVM on below the guest */
#define CR4_MCE 0x40U /* KVM never lets a guest turn machine checks off */
#define CR0_NW 0x20000000U
#define CR0_CD 0x40000000U /* KVM ignores a guest's cache disable */

static void put(uint8_t *page, unsigned at, unsigned length, uint64_t value) {
    for (unsigned i = 0; i < length; i++) {
        page[at + i] = (uint8_t) (value >> (8 * i));
    }
}

static void put_segment(uint8_t *page, unsigned at, const struct kvm_segment *segment) {
    bool present = segment->present && !segment->unusable;
    unsigned attributes = (segment->type & 15U) | (segment->s & 1U) << 4 | (segment->dpl & 3U) << 5 | present << 7 |
                          (segment->avl & 1U) << 8 | (segment->l & 1U) << 9 | (segment->db & 1U) << 10 |
                          (segment->g & 1U) << 11;

    put(page, at, 2, segment->selector);
    put(page, at + 2, 2, attributes);
    put(page, at + 4, 4, segment->limit);
    put(page, at + 8, 8, segment->base);
}

static void put_table(uint8_t *page, unsigned at, const struct kvm_dtable *table) {
    put(page, at + 4, 4, table->limit);
    put(page, at + 8, 8, table->base);
}

static void put_general(uint8_t *page, const struct kvm_regs *regs) {
    const uint64_t upper[] = { regs->r8, regs->r9, regs->r10, regs->r11, regs->r12, regs->r13, regs->r14, regs->r15 };

    put(page, AT_RFLAGS, 8, regs->rflags);
    put(page, AT_RIP, 8, regs->rip);
    put(page, AT_RSP, 8, regs->rsp);
    put(page, AT_RAX, 8, regs->rax);
    put(page, AT_RCX, 8, regs->rcx);
    put(page, AT_RDX, 8, regs->rdx);
    put(page, AT_RBX, 8, regs->rbx);
    put(page, AT_RBP, 8, regs->rbp);
    put(page, AT_RSI, 8, regs->rsi);
    put(page, AT_RDI, 8, regs->rdi);
    for (unsigned i = 0; i < 8; i++) {
        put(page, AT_R8 + 8 * i, 8, upper[i]);
    }
}

static void put_system(uint8_t *page, const struct kvm_sregs *sregs) {
    put_segment(page, AT_ES, &sregs->es);
    put_segment(page, AT_CS, &sregs->cs);
    put_segment(page, AT_SS, &sregs->ss);
    put_segment(page, AT_DS, &sregs->ds);
    put_segment(page, AT_FS, &sregs->fs);
    put_segment(page, AT_GS, &sregs->gs);
    put_segment(page, AT_LDTR, &sregs->ldt);
    put_segment(page, AT_TR, &sregs->tr);
    put_table(page, AT_GDTR, &sregs->gdt);
    put_table(page, AT_IDTR, &sregs->idt);
    put(page, AT_EFER, 8, sregs->efer | EFER_SVME);
    put(page, AT_CR4, 8, sregs->cr4 | CR4_MCE);
    put(page, AT_CR3, 8, sregs->cr3);
    put(page, AT_CR2, 8, sregs->cr2);
    put(page, AT_CR0, 8, sregs->cr0 & ~(uint64_t) (CR0_CD | CR0_NW));
}

/* The image of FXSAVE at the start of the XSAVE area. */
static void put_fpu(uint8_t *page, const struct kvm_xsave *xsave) {
    const uint8_t *image = (const uint8_t *) xsave->region;

    memcpy(page + AT_X87_FCW, image, 2);
    memcpy(page + AT_X87_FSW, image + 2, 2);
    memcpy(page + AT_X87_FTW, image + 4, 2);
    memcpy(page + AT_X87_FOP, image + 6, 2);
    memcpy(page + AT_X87_RIP, image + 8, 8);
    memcpy(page + AT_X87_DP, image + 16, 8);
    memcpy(page + AT_MXCSR, image + 24, 4);
}

static void put_msrs(uint8_t *page, int fd) {
    /* One register per request, because KVM stops at the first that this guest does not have. */
    union {
        struct kvm_msrs head;
        uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
    } request;

    for (size_t i = 0; i < sizeof saved_msrs / sizeof saved_msrs[0]; i++) {
        memset(&request, 0, sizeof request);
        request.head.nmsrs = 1;
        request.head.entries[0].index = saved_msrs[i].index;
        if (model_ioctl(fd, KVM_GET_MSRS, &request) == 1) {
            put(page, saved_msrs[i].at, 8, request.head.entries[0].data);
        }
    }
}

bool model_vmsa_build(const ModelVcpu *vcpu, uint64_t features, bool with_fpu, uint8_t page[MODEL_PAGE_SIZE]) {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_debugregs debug;
    struct kvm_xcrs xcrs;
    struct kvm_xsave xsave;

    if (model_ioctl(vcpu->fd, KVM_GET_REGS, &regs) != 0 || model_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) != 0 ||
        model_ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &debug) != 0 || model_ioctl(vcpu->fd, KVM_GET_XCRS, &xcrs) != 0 ||
        model_ioctl(vcpu->fd, KVM_GET_XSAVE, &xsave) != 0) {
        return false;
    }
    memset(page, 0, MODEL_PAGE_SIZE);
    put_general(page, &regs);
    put_system(page, &sregs);
    put_msrs(page, vcpu->fd);
    put(page, AT_DR7, 8, debug.dr7);
    put(page, AT_DR6, 8, debug.dr6);
    put(page, AT_SEV_FEATURES, 8, features);
    for (unsigned i = 0; i < xcrs.nr_xcrs && i < KVM_MAX_XCRS; i++) {
        if (xcrs.xcrs[i].xcr == 0) {
            put(page, AT_XCR0, 8, xcrs.xcrs[i].value);
        }
    }
    if (with_fpu) {
        put_fpu(page, &xsave);
    }
    return true;
}
