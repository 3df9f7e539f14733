/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which modules of a kernel belong together, and in which order they are loaded: depmod's modules.dep, modules.builtin,
 * modules.softdep and modules.alias. Internal to storage/.
 */
#pragma once

#include <glib.h>

#include "measure/error.h"

/**
 * StorageModule:
 * @path: in the kernel's folder of modules: "kernel/fs/ext4/ext4.ko.xz"
 * @name: the file's name without folder and without the ending of a compression: "ext4.ko"
 * @required: something required depends on it
 */
typedef struct {
    const gchar *path;
    gchar *name;
    gboolean required;
} StorageModule;

typedef struct StorageModules StorageModules;

/**
 * StorageModuleTexts:
 * @dep: modules.dep
 * @builtin, @softdep, @alias: (nullable): the other files
 *
 * Zero-terminated texts, hostile.
 */
typedef struct {
    const char *dep, *builtin, *softdep, *alias;
} StorageModuleTexts;

/* Errors: %ATTEST_ERROR_UNREADABLE: a path that leads outside, a line that is none of depmod's, too many of them. */
StorageModules *storage_modules_parse(const StorageModuleTexts *texts, GError **error);
void storage_modules_free(StorageModules *modules);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageModules, storage_modules_free)

/* Names as modprobe takes them: '-' and '_' are the same. */
gboolean storage_modules_has(const StorageModules *modules, const char *name);
gboolean storage_modules_builtin(const StorageModules *modules, const char *name);

/**
 * storage_modules_want:
 * @name: a module that storage_modules_has()
 * @required: the guest cannot do without it
 *
 * Adds @name to the list, and before it everything that it depends on. Soft dependencies ("pre:") are taken too, where
 * the kernel has them, and are never required. The order follows from the order of the calls and from nothing else.
 *
 * Errors: %ATTEST_ERROR_UNREADABLE: a dependency that modules.dep does not list, a cycle, more than
 * %GUEST_INITRD_MODULES_MAX modules.
 */
gboolean storage_modules_want(StorageModules *modules, const char *name, gboolean required, GError **error);

/* (element-type StorageModule): what was asked for, in load order; owned by @modules. */
const GPtrArray *storage_modules_wanted(const StorageModules *modules);
