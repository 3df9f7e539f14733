/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The VM save area: the registers with which a vCPU begins, one measured page each. Internal to measure/. */
#pragma once

#include "measure/launch.h"

/* Where a processor begins after reset. */
#define MEASURE_RESET_ADDRESS 0xfffffff0u

/* Whose register values. */
typedef enum {
    MEASURE_VMSA_QEMU,
    MEASURE_VMSA_EC2,
    MEASURE_VMSA_GCE,
    MEASURE_VMSA_SVSM,
} MeasureVmsaProfile;

/**
 * MeasureVmsa:
 * @profile: whose register values
 * @fpu: what the x87 and SSE control words hold (QEMU only)
 * @application_processor: not the boot processor
 * @address: where the vCPU begins: %MEASURE_RESET_ADDRESS, or the firmware's reset block for the other processors
 * @signature: CPU signature (QEMU and SVSM)
 * @features: SEV_FEATURES
 */
typedef struct {
    MeasureVmsaProfile profile;
    MeasureFpu fpu;
    gboolean application_processor;
    guint32 address;
    guint32 signature;
    guint64 features;
} MeasureVmsa;

/* AMD64 Architecture Programmer's Manual volume 2, table B-4; everything that is not set is 0. */
void measure_vmsa_fill(guint8 page[MEASURE_PAGE_SIZE], const MeasureVmsa *vmsa);
