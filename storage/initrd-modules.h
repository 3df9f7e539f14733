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
 * StorageNeed:
 * @STORAGE_NEEDED: a kernel without it is refused; the guest powers off when the module does not load
 * @STORAGE_SPLIT: the same where the kernel has such a module; in other kernels it is part of something else
 * @STORAGE_USEFUL: taken where the kernel has it; the guest boots on when the processor does not want it
 */
typedef enum { STORAGE_NEEDED, STORAGE_SPLIT, STORAGE_USEFUL } StorageNeed;

/**
 * StorageFeature:
 * @module: (nullable): its module; %NULL where it can only be built in
 * @config: its option in the kernel's configuration, without CONFIG_
 * @levels: initrds that have it
 * @what: for people
 */
typedef struct {
    const char *module, *config;
    guint levels;
    StorageNeed need;
    const char *what;
} StorageFeature;

/* In the order in which the modules are loaded, as far as they do not depend on each other; ends with a row of NULLs.
 */
extern const StorageFeature storage_features[];
