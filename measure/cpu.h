/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The CPU catalogue: which CPUID signature a vCPU of a given QEMU model carries into its VMSA (RDX). */
#pragma once

#include <glib.h>

/**
 * MeasureCpu:
 * @name: (nullable): model in QEMU's spelling ("EPYC-Milan-v2"), or %NULL when only the signature is known
 * @signature: CPUID Fn0000_0001_EAX of the virtual CPU
 */
typedef struct {
    gchar *name;
    guint32 signature;
} MeasureCpu;

MeasureCpu *measure_cpu_new(const char *name, guint32 signature);
MeasureCpu *measure_cpu_copy(const MeasureCpu *cpu);
void measure_cpu_free(MeasureCpu *cpu);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MeasureCpu, measure_cpu_free)

/**
 * measure_cpu_from_name:
 * @name: model name, any case ("epyc-milan")
 *
 * Returns: (transfer full): the model in QEMU's spelling; %ATTEST_ERROR_USAGE for a name that is not in
 * the catalogue, with the nearest known names in the message.
 */
MeasureCpu *measure_cpu_from_name(const char *name, GError **error);

/**
 * measure_cpu_from_text:
 * @text: a model name, or a signature in any base ("0xa00f11", "10489617"), or "FAMILY.MODEL.STEPPING" in decimal
 */
MeasureCpu *measure_cpu_from_text(const char *text, GError **error);

/* Family, model and stepping as CPUID software computes them, extended parts added: AMD APM vol. 3, Fn0000_0001_EAX. */
guint32 measure_cpu_signature(guint family, guint model, guint stepping);
void measure_cpu_signature_split(guint32 signature, guint *family, guint *model, guint *stepping);

/* Signature of the processor this program runs on (CPUID), 0 where that is not an x86 processor. */
guint32 measure_cpu_host_signature(void);
/* TRUE when this processor is AMD's (or Hygon's), the only ones with SEV. */
gboolean measure_cpu_host_is_amd(void);

/* "EPYC-Milan" or "0xa00f11": what to print for @cpu. */
gchar *measure_cpu_label(const MeasureCpu *cpu);

/* The whole catalogue, NULL-terminated, in order of age. */
const char *const *measure_cpu_names(void);
