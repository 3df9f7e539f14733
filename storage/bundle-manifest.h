/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* manifest.json of a bundle: its other files, each with size and SHA-256. Schema: storage/bundle.schema.json. */
#pragma once

#include "policy/json.h"

#define STORAGE_MANIFEST_NAME "manifest.json"
#define STORAGE_MANIFEST_FORMAT "virt-attest-bundle-1"
#define STORAGE_MANIFEST_MAX_SIZE (64u * 1024)

/**
 * StorageManifestFile:
 * @name: of a member
 * @size: bytes
 */
typedef struct {
    gchar *name;
    guint64 size;
    guint8 sha256[MEASURE_SHA256_SIZE];
} StorageManifestFile;

/**
 * StorageManifest:
 * @tool: "virt-attest 0.1.0"
 * @files: (element-type StorageManifestFile): sorted by name, each once
 */
typedef struct {
    gchar *tool;
    GPtrArray *files;
} StorageManifest;

StorageManifest *storage_manifest_new(void);
void storage_manifest_free(StorageManifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageManifest, storage_manifest_free)

/* A name that is there already is a mistake of the program. */
void storage_manifest_add(StorageManifest *manifest, const char *name, guint64 size,
                          const guint8 sha256[MEASURE_SHA256_SIZE]);
const StorageManifestFile *storage_manifest_find(const StorageManifest *manifest, const char *name);

/* Canonical: sorted, indented, a newline at the end. */
gchar *storage_manifest_format(const StorageManifest *manifest);
/* Strict; the names may only be those of a bundle. Errors: %ATTEST_ERROR_UNREADABLE. */
StorageManifest *storage_manifest_parse(const char *text, gssize size, GError **error);
