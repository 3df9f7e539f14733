/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest policy, bit by bit: SNP (u64, ABI specification section 4.3) and SEV/SEV-ES (u32). */
#pragma once

#include "measure/launch.h"

#define POLICY_SNP_SMT (G_GUINT64_CONSTANT(1) << 16)
#define POLICY_SNP_RESERVED_ONE (G_GUINT64_CONSTANT(1) << 17)
#define POLICY_SNP_DEBUG (G_GUINT64_CONSTANT(1) << 19)
#define POLICY_SNP_DEFAULT G_GUINT64_CONSTANT(0x30000)
#define POLICY_SEV_NODBG (G_GUINT64_CONSTANT(1) << 0)
#define POLICY_SEV_ES (G_GUINT64_CONSTANT(1) << 2)

/* TRUE when the policy lets the host decrypt the guest's memory. */
gboolean policy_guest_allows_debug(MeasurePlatform platform, guint64 policy);
/* Why the platform would refuse this policy (reserved bits, bit 17 of SNP clear), or NULL when it is well-formed. */
gchar *policy_guest_invalid(MeasurePlatform platform, guint64 policy);
/* "smt,single-socket,abi=1.55": names that policy_guest_parse() takes; "" when no named bit is set. */
gchar *policy_guest_flags(MeasurePlatform platform, guint64 policy);
/* "0x30000 (smt)": the number and, where there are any, the same names. */
gchar *policy_guest_describe(MeasurePlatform platform, guint64 policy);
/**
 * policy_guest_parse:
 * @text: hexadecimal number with or without 0x (as libvirt reads it), or names joined by commas ("smt,single-socket,
 *   abi=1.55"); SEV has "api=MAJOR.MINOR" for its minimum version
 */
gboolean policy_guest_parse(MeasurePlatform platform, const char *text, guint64 *out, GError **error);
/**
 * policy_guest_check:
 * @allow_debug: the owner said --allow-debug
 *
 * What every command asks before it hands a policy on. Errors: %ATTEST_ERROR_REJECTED: reserved bits, always; a policy
 * that lets the host read the guest's memory, unless @allow_debug.
 */
gboolean policy_guest_check(MeasurePlatform platform, guint64 policy, gboolean allow_debug, GError **error);
