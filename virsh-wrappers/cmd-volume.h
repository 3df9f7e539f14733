/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Volumes of guests: what the commands vol-create, vol-seal, vol-delete, build and define --volume share.
 *
 * A volume is a document in the state folder and up to three volumes in a storage pool:
 *
 *   NAME-root.qcow2   overlay on the base image
 *   NAME-verity.img   hash tree over its root partition, level 4, made by sealing
 *   NAME-upper.img    disk for an encrypted upper layer
 *
 * Who changes any of that holds the volume's lock.
 */
#pragma once

#include "storage/volume.h"
#include "virsh-wrappers/pool.h"

/* Serials by which the guest finds its disks. */
#define CMD_SERIAL_ROOT "va-root"
#define CMD_SERIAL_VERITY "va-verity"
#define CMD_SERIAL_UPPER "va-upper"

/**
 * CmdVolumeJob:
 * @store: the state folder; owned by @context
 */
typedef struct {
    CmdContext *context;
    VirConnection *connection;
    CmdPool *pool;
    PolicyStore *store;
} CmdVolumeJob;
void cmd_volume_job_clear(CmdVolumeJob *job);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdVolumeJob, cmd_volume_job_clear)

/* Connects, opens the pool of --pool and the state folder. */
gboolean cmd_volume_open(CmdVolumeJob *job, CmdContext *context, gboolean writable, GError **error);
/* The document of a volume that must exist. Errors: %ATTEST_ERROR_USAGE for an impossible name, %ATTEST_ERROR_LIBVIRT for
 * one that is not there. */
StorageVolume *cmd_volume_get(const CmdVolumeJob *job, const char *name, GError **error);
gboolean cmd_volume_lock(const CmdVolumeJob *job, const char *name, CmdLock *lock, GError **error);
/* (array zero-terminated=1): paths of everything that belongs to @volume, whether it exists or not. */
gchar **cmd_volume_paths(const CmdVolumeJob *job, const StorageVolume *volume);
/* Progress to standard error, as --progress and --quiet have it. */
void cmd_volume_step(const CmdVolumeJob *job, const char *what);

/**
 * cmd_volume_create:
 * @name, @level, @base, @capacity (0: the base's), @upper: what vol-create's options say
 *
 * The lock of @name must be held. What fails is undone.
 */
StorageVolume *cmd_volume_create(const CmdVolumeJob *job, const char *name, guint level, const char *base,
                                 guint64 capacity, const StorageUpper *upper, GError **error);
/* --level, --base, --capacity and --upper of vol-create and build. */
gboolean cmd_volume_wish(const CmdContext *context, guint *level, gchar **base, guint64 *capacity, StorageUpper *upper,
                         GError **error);

/**
 * cmd_volume_seal:
 * @salt, @uuid: (nullable): of the hash tree; what follows from base and volume otherwise
 *
 * Computes the tree, gives it its name and records it. The lock must be held.
 */
gboolean cmd_volume_seal(const CmdVolumeJob *job, StorageVolume *volume, const char *salt, const char *uuid,
                         GError **error);

/* Removes volumes and document, whatever of them is left. The lock must be held, and nobody use them. */
gboolean cmd_volume_remove(const CmdVolumeJob *job, const StorageVolume *volume, GError **error);

/**
 * cmd_volume_grow:
 * @path: qcow2 image of ours that has been made larger
 *
 * Lets the last partition and its file system fill the disk, in a helper program with libguestfs. Errors:
 * %ATTEST_ERROR_NOT_CONFIGURED for a missing helper or libguestfs, %ATTEST_ERROR_UNREADABLE.
 */
gboolean cmd_volume_grow(const char *path, GError **error);
