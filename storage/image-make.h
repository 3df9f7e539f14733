/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end that image-build and image-import share: a root tree becomes a base image. One layout for all of them: GPT, an
 * EFI system partition, an ext4 root in the rest. Identifiers follow from a seed, times from an epoch, so the same tree
 * gives the same bytes.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "policy/store.h"
#include "storage/root-tree.h"

#define STORAGE_IMAGE_SIZE_DEFAULT (G_GUINT64_CONSTANT(12) << 30)
#define STORAGE_IMAGE_SIZE_MIN (G_GUINT64_CONSTANT(1) << 30)
#define STORAGE_IMAGE_SIZE_MAX (G_GUINT64_CONSTANT(8) << 40)
#define STORAGE_IMAGE_SEED_SIZE 32
#define STORAGE_IMAGE_FORMAT "virt-attest-image-1"

/**
 * StorageImageOptions:
 * @output: the qcow2 file to make; beside it come OUTPUT.manifest.json and OUTPUT.packages
 * @force: replace existing files
 * @size: of the disk, bytes; rounded down to MiB
 * @store: (nullable): the state folder, which knows the volumes that are based on an image
 * @init: path of the guest's init, for the initrd with which the image starts by itself
 * @clean: what the cleaning is to do
 * @progress, @progress_data: (nullable)
 */
typedef struct {
    const char *output;
    gboolean force;
    guint64 size;
    PolicyStore *store;
    const char *init;
    StorageCleanOptions clean;
    StorageProgress progress;
    gpointer progress_data;
} StorageImageOptions;

typedef struct StorageImageMaker StorageImageMaker;

/**
 * storage_image_maker_new:
 * @options: has to stay
 * @seed: digest of everything that the image is made from
 * @epoch: seconds since 1970
 *
 * Errors: %ATTEST_ERROR_UNREADABLE: @options->output exists, cannot be made, no room; %ATTEST_ERROR_NOT_CONFIGURED: a
 * program is missing.
 */
StorageImageMaker *storage_image_maker_new(const StorageImageOptions *options,
                                           const guint8 seed[STORAGE_IMAGE_SEED_SIZE], gint64 epoch, GError **error);
void storage_image_maker_free(StorageImageMaker *maker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageImageMaker, storage_image_maker_free)

/* The tree, as storage_root_write() takes it. What was learned stays @maker's. */
const StorageRoot *storage_image_maker_fill(StorageImageMaker *maker, int tar, GError **error);

/**
 * storage_image_maker_finish:
 * @source: an object that says what the image was made from, for the manifest
 * @packages_head: (nullable): lines, each with '#' before it, for the top of OUTPUT.packages
 *
 * Writes the three files. They appear when all of them are complete.
 */
gboolean storage_image_maker_finish(StorageImageMaker *maker, JsonNode *source, const char *packages_head, GError **error);

/* Refuses early what storage_image_maker_new() would refuse late: existing files, an output that volumes are based on. */
gboolean storage_image_check_output(const char *output, gboolean force, PolicyStore *store, GError **error);
