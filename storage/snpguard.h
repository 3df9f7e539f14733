/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SnpGuard's launch-artifacts.tar.gz: exactly seven members, and nothing that says which launch digest they give but the ID
 * block. GNU tar's --transform, by which its server packs them, stores "/vmlinuz" for "vmlinuz": both are taken.
 */
#pragma once

#include "measure/launch.h"
#include "storage/archive.h"
#include "storage/workdir.h"

#define STORAGE_SNPGUARD_CONFIG "launch-config.json"
#define STORAGE_SNPGUARD_FIRMWARE "firmware-code.fd"
#define STORAGE_SNPGUARD_KERNEL "vmlinuz"
#define STORAGE_SNPGUARD_INITRD "initrd.img"
#define STORAGE_SNPGUARD_CMDLINE "kernel-params.txt"
#define STORAGE_SNPGUARD_ID_BLOCK "id-block.bin"
#define STORAGE_SNPGUARD_ID_AUTH "id-auth.bin"

/**
 * StorageSnpguard:
 * @config, @cmdline, @id_block, @id_auth: contents of these members; the last two have 96 and 4096 bytes
 * @firmware, @kernel, @initrd: paths, in @workdir when the archive was opened
 */
typedef struct {
    GBytes *config, *cmdline, *id_block, *id_auth;
    gchar *firmware, *kernel, *initrd;
    StorageWorkdir *workdir;
} StorageSnpguard;

/* Until storage_snpguard_free() signals wait, see storage_interrupt_begin(). Errors: as storage_archive_unpack(). */
StorageSnpguard *storage_snpguard_open(const char *path, GError **error);
void storage_snpguard_free(StorageSnpguard *archive);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageSnpguard, storage_snpguard_free)

/**
 * storage_snpguard_write:
 * @inputs: firmware, kernel and initrd as they were measured: what was measured is packed, or it is an error
 *
 * The members in SnpGuard's order, compressed with gzip. The same bytes every time.
 */
gboolean storage_snpguard_write(GBytes *config, GBytes *cmdline, GBytes *id_block, GBytes *id_auth,
                                const MeasureInputs *inputs, StorageOutput *output, StorageProgress progress,
                                gpointer progress_data, GError **error);
