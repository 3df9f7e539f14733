/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A base image from the packages of a Debian or Ubuntu suite, bootstrapped by mmdebstrap in namespaces of its own. */
#pragma once

#include "storage/image-make.h"

/**
 * StorageBuildOptions:
 * @suite: code name
 * @packages: (element-type utf8): to install beside the minimum
 * @script: (nullable): program to run in the tree at the end, as root there
 * @mirror, @keyring: (nullable): as storage_apt_new()
 * @snapshot: (nullable): list of an earlier build; then exactly those versions are installed
 */
typedef struct {
    const char *suite;
    const GPtrArray *packages;
    const char *script, *mirror, *keyring, *snapshot;
} StorageBuildOptions;

/**
 * storage_image_build:
 *
 * Errors: those of storage_apt_new() and storage_image_maker_finish(); %ATTEST_ERROR_USAGE for a bad package name or
 * snapshot; %ATTEST_ERROR_REJECTED when the mirror does not have the snapshot's versions any more, with their names;
 * %ATTEST_ERROR_UNREADABLE when mmdebstrap fails, with its last lines.
 */
gboolean storage_image_build(const StorageBuildOptions *build, const StorageImageOptions *image, GError **error);
