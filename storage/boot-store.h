/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Kernels, initrds and firmware that domains boot: STATE/boot/SHA256.kernel, SHA256.initrd, SHA256.firmware; mode 0444.
 * Named by what is in them, so that what a pinned domain names can never become something else. QEMU's user can open one
 * whose name it knows.
 */
#pragma once

#include "policy/store.h"

/* Keeps storage_boot_sweep() away from files that no reference names yet: take it before storage_boot_put(), hold it
 * until the reference is pinned. -1 on error. */
int storage_boot_lock(PolicyStore *store, GError **error);

/**
 * storage_boot_put:
 * @suffix: "kernel", "initrd" or "firmware"
 *
 * One that is there already is read and compared: another content under its name is %ATTEST_ERROR_REJECTED.
 *
 * Returns: (transfer full): the path.
 */
gchar *storage_boot_put(PolicyStore *store, GBytes *data, const char *suffix, GError **error);

/* Removes what no pinned reference names. A reference that cannot be read stops it. */
gboolean storage_boot_sweep(PolicyStore *store, GError **error);
