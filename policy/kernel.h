/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a Linux kernel file says of itself. Internal to policy/. */
#pragma once

#include "measure/bytes.h"

/* Bytes at the start of the file that policy_kernel_release() looks at. */
#define POLICY_KERNEL_START (64u * 1024)

/**
 * policy_kernel_release:
 * @start: the first bytes of the file; hostile
 *
 * Returns: (transfer full) (nullable): the release in the setup header of a bzImage ("6.12.57+deb13-cloud-amd64"),
 * Documentation/arch/x86/boot.rst of the kernel; %NULL when there is none.
 */
gchar *policy_kernel_release(MeasureBytes start);

/* The same of a file; %NULL also when it cannot be read. */
gchar *policy_kernel_file_release(const char *path);
