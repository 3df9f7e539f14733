/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure/vmsa.h"

#include <string.h>

enum {
    VMSA_ES = 0x00,
    VMSA_CS = 0x10,
    VMSA_SS = 0x20,
    VMSA_DS = 0x30,
    VMSA_FS = 0x40,
    VMSA_GS = 0x50,
    VMSA_GDTR = 0x60,
    VMSA_LDTR = 0x70,
    VMSA_IDTR = 0x80,
    VMSA_TR = 0x90,
    VMSA_EFER = 0xd0,
    VMSA_CR4 = 0x148,
    VMSA_CR0 = 0x158,
    VMSA_DR7 = 0x160,
    VMSA_DR6 = 0x168,
    VMSA_RFLAGS = 0x170,
    VMSA_RIP = 0x178,
    VMSA_PAT = 0x268,
    VMSA_RDX = 0x310,
    VMSA_FEATURES = 0x3b0,
    VMSA_XCR0 = 0x3e8,
    VMSA_MXCSR = 0x408,
    VMSA_FCW = 0x410,
};

static void put_segment(guint8 *at, guint16 selector, guint16 attributes, guint32 limit, guint64 base)
{
    measure_put_u16(at, selector);
    measure_put_u16(at + 2, attributes);
    measure_put_u32(at + 4, limit);
    measure_put_u64(at + 8, base);
}

/* Real mode after reset. */
static void put_real_mode(guint8 *page, const MeasureVmsa *vmsa)
{
    gboolean ec2 = vmsa->profile == MEASURE_VMSA_EC2;
    guint16 code = ec2 && !vmsa->application_processor ? 0x9a : 0x9b;

    put_segment(page + VMSA_ES, 0, 0x93, 0xffff, 0);
    put_segment(page + VMSA_CS, 0xf000, code, 0xffff, vmsa->address & 0xffff0000);
    put_segment(page + VMSA_SS, 0, ec2 ? 0x92 : 0x93, 0xffff, 0);
    put_segment(page + VMSA_DS, 0, 0x93, 0xffff, 0);
    put_segment(page + VMSA_FS, 0, 0x93, 0xffff, 0);
    put_segment(page + VMSA_TR, 0, ec2 ? 0x83 : 0x8b, 0xffff, 0);
    measure_put_u64(page + VMSA_CR0, 0x10);
    measure_put_u64(page + VMSA_RIP, vmsa->address & 0xffff);
}

/* An SVSM begins in flat 32-bit protected mode. */
static void put_protected_mode(guint8 *page, const MeasureVmsa *vmsa)
{
    put_segment(page + VMSA_ES, 0x10, 0xc93, 0xffffffff, 0);
    put_segment(page + VMSA_CS, 0x08, 0xc9b, 0xffffffff, 0);
    put_segment(page + VMSA_SS, 0x10, 0xc93, 0xffffffff, 0);
    put_segment(page + VMSA_DS, 0x10, 0xc93, 0xffffffff, 0);
    put_segment(page + VMSA_FS, 0x10, 0xc93, 0xffffffff, 0);
    put_segment(page + VMSA_TR, 0, 0x8b, 0xffff, 0);
    measure_put_u64(page + VMSA_CR0, 0x11);
    measure_put_u64(page + VMSA_RIP, vmsa->address);
}

void measure_vmsa_fill(guint8 page[MEASURE_PAGE_SIZE], const MeasureVmsa *vmsa)
{
    gboolean cloud = vmsa->profile == MEASURE_VMSA_EC2 || vmsa->profile == MEASURE_VMSA_GCE;

    memset(page, 0, MEASURE_PAGE_SIZE);
    if (vmsa->profile == MEASURE_VMSA_SVSM)
        put_protected_mode(page, vmsa);
    else
        put_real_mode(page, vmsa);
    put_segment(page + VMSA_GS, 0, 0x93, 0xffff, 0);
    put_segment(page + VMSA_GDTR, 0, 0, 0xffff, 0);
    put_segment(page + VMSA_LDTR, 0, 0x82, 0xffff, 0);
    put_segment(page + VMSA_IDTR, 0, 0, 0xffff, 0);
    measure_put_u64(page + VMSA_EFER, 0x1000); /* SVME: KVM sets it for its own use, and it is measured */
    measure_put_u64(page + VMSA_CR4, 0x40);    /* MCE, likewise */
    measure_put_u64(page + VMSA_DR7, 0x400);
    measure_put_u64(page + VMSA_DR6, 0xffff0ff0);
    measure_put_u64(page + VMSA_RFLAGS, 2);
    measure_put_u64(page + VMSA_PAT,
                    vmsa->profile == MEASURE_VMSA_GCE ? 0x00070106 : G_GUINT64_CONSTANT(0x0007040600070406));
    measure_put_u64(page + VMSA_RDX, cloud ? 0x600 : vmsa->signature);
    measure_put_u64(page + VMSA_FEATURES, vmsa->features);
    measure_put_u64(page + VMSA_XCR0, 1);
    /*
     * KVM copies the FPU's control words only into a VM of one of the new types: the older KVM_SEV_ES_INIT leaves
     * them 0 so that measurements from before stay valid.
     */
    if (vmsa->profile == MEASURE_VMSA_SVSM || (!cloud && vmsa->fpu == MEASURE_FPU_INIT2))
        measure_put_u32(page + VMSA_MXCSR, 0x1f80);
    if (vmsa->profile == MEASURE_VMSA_QEMU && vmsa->fpu == MEASURE_FPU_INIT2)
        measure_put_u16(page + VMSA_FCW, 0x37f);
}
