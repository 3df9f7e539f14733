/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between root-tree.c, which moves entries, and root-facts.c, which remembers what they say. */
#pragma once

#include "storage/root-tree.h"

typedef struct {
    GHashTable *kernel_files, *module_folders; /* sets of releases */
} TreeFacts;

void storage_root_take_release(StorageRoot *tree, const char *text);
void storage_root_take_path(TreeFacts *facts, const char *path);
void storage_root_take_kernels(StorageRoot *tree, const TreeFacts *facts);
