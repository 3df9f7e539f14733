/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest kernel must have, and which modules go into the initrd of a level. Internal to storage/. */
#pragma once

#include <glib.h>

enum {
    STORAGE_LEVEL_0 = 1 << 0,
    STORAGE_LEVEL_3 = 1 << 3,
    STORAGE_LEVEL_4 = 1 << 4,
    STORAGE_LEVEL_ALL = STORAGE_LEVEL_0 | STORAGE_LEVEL_3 | STORAGE_LEVEL_4,
};

/**
 * StorageFeature:
 * @module: (nullable): its module; %NULL where it can only be built in
 * @config: (nullable): its option in the kernel's configuration, without CONFIG_
 * @levels: initrds that have it
 * @needed: a kernel without it is refused. Otherwise the module is taken where the kernel has it, and the guest boots
 *   on when the processor or the kernel does not want it
 * @what: for people
 */
typedef struct {
    const char *module, *config;
    guint levels;
    gboolean needed;
    const char *what;
} StorageFeature;

/* In the order in which the modules are loaded, as far as they do not depend on each other; ends with a row of NULLs. */
extern const StorageFeature storage_features[];
