/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vol-create: an overlay on a base image, and what its level needs beside it.
 *
 *   look (base, names, capacity) -> document "incomplete" -> volumes -> grow -> document
 *
 * Killed at any moment it leaves a document by which the next vol-create or vol-delete finds and removes what was made.
 */
#include "virsh-wrappers/cmd-volume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measure/error.h"
#include "storage/image.h"
#include "storage/process.h"
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/output.h"

#define MIB (G_GUINT64_CONSTANT(1) << 20)
#define MAX_CAPACITY (G_GUINT64_CONSTANT(16) << 40) /* bytes; ext4 with blocks of 4096 bytes */

static gboolean require(const CmdContext *context, const char *option, GError **error)
{
    if (cmd_context_get(context, option)) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "%s: the option --%s is missing", context->command->name,
                option);
    return FALSE;
}

gboolean cmd_volume_wish(const CmdContext *context, guint *level, gchar **base, guint64 *capacity, StorageUpper *upper,
                         GError **error)
{
    const char *size = cmd_context_get(context, "capacity");
    const char *mode = cmd_context_get(context, "upper");
    guint64 number = 0;
    if (!require(context, "level", error) || !require(context, "base", error) ||
        !cmd_arguments_number(context->arguments, "level", 0, 4, &number, error)) {
        return FALSE;
    }
    *level = (guint)number;
    *capacity = 0;
    if (size && (!storage_size_parse(size, capacity) || *capacity > MAX_CAPACITY)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--capacity: '%s' is not a size such as 20G, at most 16T",
                    size);
        return FALSE;
    }
    if (!storage_upper_parse(mode ? mode : *level == 4 ? "tmpfs" : "none", upper, error)) {
        g_prefix_error(error, "--upper: ");
        return FALSE;
    }
    if (*level < 3 && upper->words.upper != GUEST_UPPER_NONE) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--upper goes with level 3 and 4 only: below, the guest starts by its own boot loader and writes "
                    "to its root");
        return FALSE;
    }
    /* Links are followed once, here: what is pinned is the file. */
    *base = realpath(cmd_context_get(context, "base"), NULL);
    if (!*base) {
        g_autofree gchar *shown = cmd_printable(cmd_context_get(context, "base"));
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "base image '%s': %s", shown, g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

/* ---- looking ---- */

static gboolean check_free(const CmdVolumeJob *job, const StorageVolume *volume, GError **error)
{
    g_auto(GStrv) paths = cmd_volume_paths(job, volume);
    for (gchar **path = paths; *path; path++) {
        g_autofree gchar *name = g_path_get_basename(*path);
        gboolean found = FALSE;
        if (!cmd_pool_has(job->pool, name, &found, error)) {
            return FALSE;
        }
        if (found) {
            g_autofree gchar *shown = cmd_printable(*path);
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                        "'%s' is in pool '%s' already, and vol-create did not make it: choose another name, or remove "
                        "it with 'virsh vol-delete'", shown, job->pool->name);
            return FALSE;
        }
    }
    return TRUE;
}

/* Reads everything that is to be known of the base, while QEMU's lock keeps writers away. */
static gboolean look_at_base(const CmdVolumeJob *job, StorageVolume *volume, guint64 *capacity, gboolean *grow,
                             GError **error)
{
    g_autofree gchar *warning = NULL;
    g_autofree gchar *shown = cmd_printable(volume->base_path);
    g_autoptr(StorageImage) image = NULL;
    cmd_volume_step(job, "Checking the base image");
    if (!storage_base_check(volume->base_path, job->store, &volume->base, &warning, error)) {
        return FALSE;
    }
    if (warning && !cmd_context_quiet(job->context)) {
        cmd_warn("%s", warning);
    }
    image = storage_image_open(volume->base_path, STORAGE_FORMAT_BY_NAME, error);
    volume->kernel = image ? storage_image_kernel_release(image, error) : NULL;
    if (!volume->kernel) {
        return FALSE;
    }
    guint64 size = storage_disk_size(storage_image_disk(image));
    if (*capacity == 0) {
        *capacity = size;
    } else if (*capacity < size) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--capacity is %" G_GUINT64_FORMAT " bytes, but base image '%s' has %" G_GUINT64_FORMAT
                    ": an overlay cannot be smaller than its base",
                    *capacity, shown, size);
        return FALSE;
    }
    *grow = *capacity > size;
    if (*grow) {
        *capacity = (*capacity + MIB - 1) / MIB * MIB;
    }
    return TRUE;
}

/* Whoever replaced the base meanwhile could not know of this volume; from now on they can. */
static gboolean base_is_same(const CmdVolumeJob *job, const StorageVolume *volume, GError **error)
{
    g_autofree gchar *shown = cmd_printable(volume->base_path);
    StorageFact now;
    if (!storage_fact_read("base image", volume->base_path, job->store, &volume->base, (gint64)time(NULL), &now,
                           error)) {
        return FALSE;
    }
    if (measure_digest_equal(now.sha256, volume->base.sha256, sizeof(now.sha256))) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "base image '%s' was changed while the volume was being made: try again when nobody writes to it",
                shown);
    return FALSE;
}

/* ---- making ---- */

static const char *format_of(const char *path)
{
    return g_str_has_suffix(path, ".qcow2") ? "qcow2" : "raw";
}

static gboolean make_parts(const CmdVolumeJob *job, const StorageVolume *volume, guint64 capacity, gboolean grow,
                           GError **error)
{
    g_autofree gchar *root = storage_volume_root_name(volume->name);
    g_autofree gchar *upper = storage_volume_upper_name(volume->name);
    cmd_volume_step(job, "Making the volumes");
    if (!cmd_pool_create(job->pool, root, "qcow2", capacity, volume->base_path, format_of(volume->base_path), error) ||
        !storage_interrupt_check(error)) {
        return FALSE;
    }
    if (volume->upper.words.upper == GUEST_UPPER_ENCRYPTED &&
        !cmd_pool_create(job->pool, upper, "raw", volume->upper.disk_size, NULL, NULL, error)) {
        return FALSE;
    }
    if (grow) {
        cmd_volume_step(job, "Growing the root file system");
        if (!cmd_volume_grow(volume->root_path, error)) {
            return FALSE;
        }
    }
    return base_is_same(job, volume, error) && storage_interrupt_check(error);
}

/* What a killed run has left makes room. */
static gboolean clear_former(const CmdVolumeJob *job, const char *name, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(StorageVolume) former = storage_volume_get(job->store, job->pool->uuid, name, &cause);
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    if (former && former->complete) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "volume '%s' exists already in pool '%s': choose another name, or remove it with 'virt-attest "
                    "vol-delete --pool %s %s'", name, job->pool->name, job->pool->name, name);
        return FALSE;
    }
    return !former || cmd_volume_remove(job, former, error);
}

static void undo(const CmdVolumeJob *job, const StorageVolume *volume)
{
    g_autoptr(GError) error = NULL;
    if (!cmd_volume_remove(job, volume, &error)) {
        cmd_warn("cannot undo: %s; 'virt-attest vol-delete --pool %s %s' removes what is left", error->message,
                 job->pool->name, volume->name);
    }
}

StorageVolume *cmd_volume_create(const CmdVolumeJob *job, const char *name, guint level, const char *base,
                                 guint64 capacity, const StorageUpper *upper, GError **error)
{
    g_autoptr(StorageVolume) volume = storage_volume_new();
    g_autofree gchar *root = storage_volume_root_name(name);
    g_autofree gchar *disk = storage_volume_upper_name(name);
    gboolean grow = FALSE;
    volume->name = g_strdup(name);
    volume->pool = g_strdup(job->pool->name);
    volume->pool_uuid = g_strdup(job->pool->uuid);
    volume->level = level;
    volume->upper = *upper;
    volume->base_path = g_strdup(base);
    volume->root_path = cmd_pool_path(job->pool, root);
    volume->upper_path = upper->words.upper == GUEST_UPPER_ENCRYPTED ? cmd_pool_path(job->pool, disk) : NULL;
    if (!clear_former(job, name, error) || !check_free(job, volume, error) ||
        !look_at_base(job, volume, &capacity, &grow, error) || !storage_interrupt_check(error)) {
        return NULL;
    }
    volume->created = storage_volume_now();
    if (!storage_volume_put(job->store, volume, error)) {
        return NULL;
    }
    gboolean made = make_parts(job, volume, capacity, grow, error);
    volume->complete = made;
    if (!made || !storage_volume_put(job->store, volume, error)) {
        undo(job, volume);
        return NULL;
    }
    return g_steal_pointer(&volume);
}

int cmd_vol_create(CmdContext *context, GError **error)
{
    g_auto(CmdVolumeJob) job = {0};
    g_auto(CmdLock) lock = -1;
    g_autofree gchar *base = NULL;
    const char *name = cmd_context_word(context, 0);
    StorageUpper upper;
    guint64 capacity = 0;
    guint level = 0;
    if (!storage_volume_check_name(name, error) ||
        !cmd_volume_wish(context, &level, &base, &capacity, &upper, error) ||
        !cmd_volume_open(&job, context, TRUE, error) || !cmd_volume_lock(&job, name, &lock, error)) {
        return -1;
    }
    storage_interrupt_begin();
    g_autoptr(StorageVolume) volume = cmd_volume_create(&job, name, level, base, capacity, &upper, error);
    if (volume) {
        storage_interrupt_done();
    }
    storage_interrupt_end();
    if (!volume) {
        return -1;
    }
    if (!cmd_context_quiet(context)) {
        printf("Volume '%s' created in pool '%s' for level %u\n", name, job.pool->name, level);
        if (level == 4) {
            printf("Seal it with: virt-attest vol-seal --pool %s %s\n", job.pool->name, name);
        }
    }
    return 0;
}
