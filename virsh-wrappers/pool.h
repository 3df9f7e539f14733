/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Storage pools of libvirt: where guests' volumes are made, seen by virsh and virt-manager as well. */
#pragma once

#include "virsh-wrappers/connection.h"

/**
 * CmdPool:
 * @name, @uuid: the pool
 * @folder: its folder on this machine
 */
typedef struct {
    VirPoolHandle *handle;
    gchar *name, *uuid, *folder;
} CmdPool;

/**
 * cmd_pool_open:
 * @name: the pool's name
 *
 * Opens an active pool whose volumes are files in a folder: types dir, fs, netfs; and lets libvirt look into it again.
 * Errors: %ATTEST_ERROR_LIBVIRT for a pool that is missing, not active, or of another type.
 */
CmdPool *cmd_pool_open(virConnectPtr connection, const char *name, GError **error);
void cmd_pool_free(CmdPool *pool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CmdPool, cmd_pool_free)

/* The path that a volume of this name has. */
gchar *cmd_pool_path(const CmdPool *pool, const char *volume);

/* Whether there is such a volume, or a file of its name that libvirt does not take for one. */
gboolean cmd_pool_has(const CmdPool *pool, const char *volume, gboolean *out, GError **error);

/**
 * cmd_pool_create:
 * @volume: its name; must not exist
 * @format: "qcow2" or "raw"
 * @capacity: bytes
 * @base: (nullable): path of the backing file
 * @base_format: (nullable): of @base: never left to be guessed
 *
 * Makes a volume that takes up nothing yet. Errors: %ATTEST_ERROR_LIBVIRT.
 */
gboolean cmd_pool_create(const CmdPool *pool, const char *volume, const char *format, guint64 capacity, const char *base,
                         const char *base_format, GError **error);

/* One that does not exist is no error. */
gboolean cmd_pool_delete(const CmdPool *pool, const char *volume, GError **error);

/* The path of a volume's backing file, NULL when it has none or there is no such volume. */
gboolean cmd_pool_base(const CmdPool *pool, const char *volume, gchar **out, GError **error);

/* Lets libvirt find what was put into the folder; it is only a view, so failing is no more than a warning. */
void cmd_pool_refresh(const CmdPool *pool);
