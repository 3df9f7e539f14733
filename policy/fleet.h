/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a whole fleet of hosts may start: lists of CPU types and of vCPU counts, as people and other programs write
 * them.
 */
#pragma once

#include "measure/launch.h"

#define POLICY_CPU_LIST_MAX_SIZE (1024u * 1024)
#define POLICY_CPU_LIST_MAX 1024

/**
 * policy_cpu_list_parse:
 * @text: hostile; at most %POLICY_CPU_LIST_MAX_SIZE bytes
 * @what: what the list is, for messages
 *
 * Either JSON: a list of names ("EPYC-Milan"), signatures ("0xa00f11"), and objects {"vcpu_sig": "0x…" or a number},
 * also named "sig", or {"family", "model", "stepping"}: as the cpu-types.json of other programs has them. Or text: a name, a
 * signature or FAMILY.MODEL.STEPPING a line; '#' begins a comment.
 *
 * Errors: %ATTEST_ERROR_UNREADABLE: no entry at all, one that is none of these, one twice, more than
 * %POLICY_CPU_LIST_MAX.
 *
 * Returns: (transfer full) (element-type MeasureCpu): in the order of the list
 */
GPtrArray *policy_cpu_list_parse(const char *text, gsize size, const char *what, GError **error);

/**
 * policy_vcpu_list_parse:
 * @text: numbers and ranges joined by commas: "1,2,4-8"; 1 to %MEASURE_MAX_VCPUS
 *
 * Returns: (transfer full) (element-type guint): ascending, each once; %ATTEST_ERROR_USAGE otherwise
 */
GArray *policy_vcpu_list_parse(const char *text, GError **error);
