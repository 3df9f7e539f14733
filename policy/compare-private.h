/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How differences are collected and worded; shared by the parts of the comparison. */
#pragma once

#include "policy/gate.h"
#include "policy/reference-private.h"

void policy_change_add(GPtrArray *changes, const char *what, const char *pinned, const char *found, const char *format,
                       ...) G_GNUC_PRINTF(5, 6);
/* "LABEL changed: was A, is B", either of them possibly %NULL: absent. Nothing when they are equal. */
void policy_change_add_text(GPtrArray *changes, const char *what, const char *label, const char *pinned,
                            const char *found);

/* compare-measurements.c. Of a launch: what about it is not foreseen, and a digest that is another one. */
void policy_compare_launch(GPtrArray *changes, const PolicyReference *pinned, const PolicyReference *found);
/* Of two references: CPU types, vCPU counts, features and variants that came or went, and digests that changed. */
void policy_diff_measurements(GPtrArray *changes, const PolicyReference *old_reference,
                              const PolicyReference *new_reference);

/* compare-rules.c. What no launch can show: the owner's rules, the identity, where the facts came from. */
void policy_diff_rules(GPtrArray *changes, const PolicyReference *old_reference, const PolicyReference *new_reference);
