/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The launch digest of a guest with a Secure VM Service Module given as a flat image beside its firmware. An SVSM in
 * an IGVM file is measured from that file instead.
 */
#pragma once

#include "measure/launch.h"

/**
 * measure_svsm_digest:
 * @inputs: the guest's firmware, opened for SEV-SNP
 * @image: path of the SVSM image, a multiple of 4096 bytes with a footer of its own
 * @vars_size: bytes of the firmware's variable store, which lies between the SVSM and the firmware
 * @signature: CPU signature of every vCPU
 * @vcpus: number of VMSAs
 * @out: (out caller-allocates): the expected launch digest
 *
 * The SVSM's metadata take the place of the firmware's, and every vCPU begins in the SVSM. No kernel can be measured
 * this way.
 *
 * Errors: %ATTEST_ERROR_USAGE for impossible numbers, %ATTEST_ERROR_UNREADABLE for an image that is no SVSM.
 */
gboolean measure_svsm_digest(const MeasureInputs *inputs, const char *image, guint64 vars_size, guint32 signature,
                             guint vcpus, MeasureDigest *out, GError **error);
