/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known about the volumes of one guest: volumes/POOLUUID.NAME.json in the state folder.
 *
 * The document is written before the first volume is made (@complete FALSE) and after the last, so whatever a killed run
 * leaves in the pool has a document by which the next one finds it.
 */
#pragma once

#include "guest/words.h"
#include "storage/base.h"

#define STORAGE_VOLUME_FORMAT "virt-attest-volume-1"
#define STORAGE_VOLUME_MAX_SIZE (64u * 1024)
#define STORAGE_VOLUME_NAME_MAX 100 /* bytes */
#define STORAGE_VOLUME_KIND "volumes"

/**
 * StorageUpper:
 * @words: mode, sizes of tmpfs and of the directories; the other fields are not used
 * @disk_size: bytes of the disk for an encrypted upper layer, else 0
 */
typedef struct {
    GuestWords words;
    guint64 disk_size;
} StorageUpper;

#define STORAGE_UPPER_DISK_DEFAULT (G_GUINT64_CONSTANT(4) << 30)

/* Reads "none", "tmpfs[:SIZE]", "encrypted[:SIZE]" or "dirs[:home=SIZE,…]". Errors: %ATTEST_ERROR_USAGE. */
gboolean storage_upper_parse(const char *text, StorageUpper *out, GError **error);
/* As storage_upper_parse() reads it. */
gchar *storage_upper_format(const StorageUpper *upper);

/* Bytes from "4G", "512M", "1024": letters K, M, G, T are powers of 1024. FALSE for anything else and for 0. */
gboolean storage_size_parse(const char *text, guint64 *out);

/**
 * StorageSeal:
 * @root_hash, @salt: hexadecimal; @salt "" for none
 * @uuid: of the superblock
 * @hash: "sha256"
 * @path: of the volume with the tree
 * @created: ISO 8601, UTC
 * @root: of the overlay when it was sealed
 */
typedef struct {
    gchar *root_hash, *salt, *uuid, *hash, *path, *created;
    guint64 data_blocks;
    guint32 data_block_size, hash_block_size;
    StorageFact root;
} StorageSeal;
void storage_seal_free(StorageSeal *seal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageSeal, storage_seal_free)

/**
 * StorageVolume:
 * @pool, @pool_uuid: the storage pool
 * @level: 0 to 4, what it was made for
 * @base_path, @base: the image it is based on
 * @kernel: release of the newest kernel in it
 * @root_path: of the overlay
 * @upper_path: (nullable): of the disk for an encrypted upper layer
 * @created: ISO 8601, UTC
 * @complete: all its volumes were made
 * @seal: (nullable)
 * @domain: (nullable): UUID of the domain that was defined with it
 */
typedef struct {
    gchar *name, *pool, *pool_uuid;
    guint level;
    StorageUpper upper;
    gchar *base_path;
    StorageFact base;
    gchar *kernel;
    gchar *root_path, *upper_path;
    gchar *created;
    gboolean complete;
    StorageSeal *seal;
    gchar *domain;
} StorageVolume;

StorageVolume *storage_volume_new(void);
void storage_volume_free(StorageVolume *volume);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageVolume, storage_volume_free)

/* Errors: %ATTEST_ERROR_USAGE for a name that is empty, longer than 100 bytes, begins with '.' or '-', or has other
 * characters than letters, digits, '.', '_' and '-'. */
gboolean storage_volume_check_name(const char *name, GError **error);
/* "NAME-root.qcow2", "NAME-verity.img", "NAME-upper.img". */
gchar *storage_volume_root_name(const char *name);
gchar *storage_volume_verity_name(const char *name);
gchar *storage_volume_upper_name(const char *name);
/* Now, as documents have it. */
gchar *storage_volume_now(void);

/* Strict: hostile input. */
StorageVolume *storage_volume_parse(const char *text, gssize size, GError **error);
gchar *storage_volume_format(const StorageVolume *volume);

/* NULL without @error when there is none. */
StorageVolume *storage_volume_get(PolicyStore *store, const char *pool_uuid, const char *name, GError **error);
gboolean storage_volume_put(PolicyStore *store, const StorageVolume *volume, GError **error);
gboolean storage_volume_remove(PolicyStore *store, const StorageVolume *volume, GError **error);
/* (element-type StorageVolume): all of them, sorted by file name; one that cannot be read is an error. */
GPtrArray *storage_volume_list(PolicyStore *store, GError **error);

/* Keeps other runs from changing the volume; -1 on error. */
int storage_volume_lock(PolicyStore *store, const char *pool_uuid, const char *name, GError **error);

/**
 * storage_volume_check:
 * @level: what it is to be used for
 * @store: (nullable): its digest cache is used
 *
 * Is the volume still what its document says? The base must be the file that was pinned, the overlay must be there, and
 * from level 4 on be sealed and unchanged since. Contents decide; an identity only spares reading them.
 *
 * Errors: %ATTEST_ERROR_REJECTED with what is stale and the command to run; %ATTEST_ERROR_UNREADABLE.
 */
gboolean storage_volume_check(const StorageVolume *volume, guint level, PolicyStore *store, GError **error);

/* "incomplete", "missing", "base changed", "stale" (root changed after sealing), "sealed", "new" (not sealed) or
 * "unknown"; @reason gets a sentence for those that are not in order. */
const char *storage_volume_state(const StorageVolume *volume, PolicyStore *store, gchar **reason);
