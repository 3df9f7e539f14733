/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between tree.c, which moves entries, and tree-facts.c, which remembers what they say. */
#pragma once

#include "storage/tree.h"

typedef struct {
    GHashTable *kernel_files, *module_folders; /* sets of releases */
} TreeFacts;

void storage_tree_take_release(StorageTree *tree, const char *text);
void storage_tree_take_path(TreeFacts *facts, const char *path);
void storage_tree_take_kernels(StorageTree *tree, const TreeFacts *facts);
