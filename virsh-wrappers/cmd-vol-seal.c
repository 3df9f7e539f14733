/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vol-seal: the dm-verity tree over the root partition of a volume.
 *
 * The tree of the base is kept in the state folder (verity/), so that the first seal of a further overlay on it costs
 * only what the overlay holds itself. It is made with the same salt, which follows from the base's digest.
 *
 * What is sure at every moment: a seal in the document belongs to a tree that is complete. The new tree is written
 * without a name; then the former seal leaves the document, the tree takes its name, and the new seal is recorded. Killed
 * before that the volume is as it was, in between it is not sealed.
 */
#include "virsh-wrappers/cmd-volume.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/json.h"
#include "storage/image.h"
#include "storage/output.h"
#include "storage/hash-cache.h"
#include "storage/verity.h"
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/domain-volumes.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/progress.h"

/* ---- parameters ---- */

static gboolean set_salt(const StorageVolume *volume, const char *salt, StorageVerity *verity, GError **error)
{
    if (!salt) {
        static const char prefix[] = "virt-attest verity salt";
        guint8 text[sizeof(prefix) - 1 + MEASURE_SHA256_SIZE];
        memcpy(text, prefix, sizeof(prefix) - 1);
        memcpy(text + sizeof(prefix) - 1, volume->base.sha256, MEASURE_SHA256_SIZE);
        policy_sha256(text, sizeof(text), verity->salt);
        verity->salt_size = MEASURE_SHA256_SIZE;
        return TRUE;
    }
    verity->salt_size = g_str_equal(salt, "-") ? 0 : strlen(salt) / 2;
    if (g_str_equal(salt, "-") ||
        (*salt && verity->salt_size <= STORAGE_VERITY_MAX_SALT && measure_hex_decode(salt, verity->salt, verity->salt_size))) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                "--salt: '%s' is neither '-' nor an even number of hexadecimal digits, at most %d", salt,
                2 * STORAGE_VERITY_MAX_SALT);
    return FALSE;
}

static gboolean set_uuid(const StorageVolume *volume, const char *uuid, StorageVerity *verity, GError **error)
{
    if (!uuid) {
        guint8 digest[MEASURE_SHA256_SIZE];
        g_autofree gchar *text = g_strdup_printf("virt-attest verity uuid %s %s", volume->pool_uuid, volume->name);
        policy_sha256(text, strlen(text), digest);
        memcpy(verity->uuid, digest, sizeof(verity->uuid));
        /* RFC 9562: version 8 (made by rules of one's own), variant 10. */
        verity->uuid[6] = (guint8)((verity->uuid[6] & 0x0f) | 0x80);
        verity->uuid[8] = (guint8)((verity->uuid[8] & 0x3f) | 0x80);
        return TRUE;
    }
    if (g_uuid_string_is_valid(uuid)) {
        g_auto(GStrv) parts = g_strsplit(uuid, "-", -1);
        g_autofree gchar *digits = g_strjoinv("", parts);
        if (measure_hex_decode(digits, verity->uuid, sizeof(verity->uuid))) {
            return TRUE;
        }
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--uuid: '%s' is not a UUID", uuid);
    return FALSE;
}

static gchar *format_uuid(const guint8 *uuid)
{
    g_autofree gchar *hex = measure_hex_encode(uuid, 16);
    return g_strdup_printf("%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* ---- trees ---- */

/*
 * The tree of the base, from the cache or made now; NULL without @error where it is of no use: the partition begins
 * elsewhere, or was made smaller.
 */
static StorageHashTree *base_tree(const CmdVolumeJob *job, const StorageVolume *volume, const StorageVerity *verity,
                              guint64 offset, guint64 length, CmdProgress *progress, GError **error)
{
    g_autoptr(StorageImage) base = storage_image_open(volume->base_path, STORAGE_FORMAT_BY_NAME, error);
    guint64 base_offset = 0, base_length = 0;
    if (!base || !storage_disk_partition(storage_image_disk(base), STORAGE_IMAGE_ROOT_PARTITION, &base_offset,
                                         &base_length, error)) {
        return NULL;
    }
    if (base_offset != offset || base_length > length) {
        return NULL;
    }
    return storage_hash_tree_get(job->store, storage_image_disk(base), volume->base.sha256, verity, offset, base_length,
                            cmd_progress_update, progress, error);
}

static gboolean write_tree(const CmdVolumeJob *job, const StorageVolume *volume, StorageOutput *output,
                           StorageVerity *verity, GError **error)
{
    g_autoptr(StorageImage) image = storage_image_open(volume->root_path, STORAGE_FORMAT_QCOW2, error);
    g_autoptr(CmdProgress) progress = cmd_progress_new(job->context);
    StorageVerityOptions options = {.progress = cmd_progress_update, .progress_data = progress};
    if (!image || !storage_disk_partition(storage_image_disk(image), STORAGE_IMAGE_ROOT_PARTITION, &options.offset,
                                          &options.length, error)) {
        return FALSE;
    }
    for (gboolean again = FALSE;; again = TRUE) {
        g_autoptr(GError) cause = NULL;
        g_autoptr(StorageHashTree) tree = base_tree(job, volume, verity, options.offset, options.length, progress, &cause);
        if (!cause) {
            options.reuse = tree ? tree->path : NULL;
            options.reuse_root_hash = tree ? tree->root_hash : NULL;
            if (storage_verity_format(storage_image_disk(image), storage_output_fd(output), verity, &options, &cause)) {
                return TRUE;
            }
        }
        /* What is kept of the base may be damaged: it is made anew, once. */
        if (!tree || again || !g_error_matches(cause, ATTEST_ERROR, ATTEST_ERROR_REJECTED)) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return FALSE;
        }
        storage_hash_tree_drop(tree);
    }
}

/* ---- the seal ---- */

static StorageSeal *make_seal(const StorageVerity *verity, const char *path, const StorageFact *root)
{
    StorageSeal *seal = g_new0(StorageSeal, 1);
    seal->root_hash = measure_hex_encode(verity->root_hash, verity->digest_size);
    seal->salt = measure_hex_encode(verity->salt, verity->salt_size);
    seal->uuid = format_uuid(verity->uuid);
    seal->hash = g_strdup(verity->hash);
    seal->data_blocks = verity->data_blocks;
    seal->data_block_size = verity->data_block_size;
    seal->hash_block_size = verity->hash_block_size;
    seal->path = g_strdup(path);
    seal->created = storage_volume_now();
    seal->root = *root;
    return seal;
}

static gboolean record(const CmdVolumeJob *job, StorageVolume *volume, StorageOutput *output, StorageSeal *seal,
                       GError **error)
{
    g_autoptr(StorageSeal) made = seal;
    g_clear_pointer(&volume->seal, storage_seal_free);
    if (!storage_volume_put(job->store, volume, error) || !storage_output_commit(output, error)) {
        return FALSE;
    }
    cmd_pool_refresh(job->pool);
    volume->seal = g_steal_pointer(&made);
    return storage_volume_put(job->store, volume, error);
}

/* A guest that runs may be writing, or reading by the former tree. */
static gboolean check_idle(const CmdVolumeJob *job, const StorageVolume *volume, GError **error)
{
    g_auto(GStrv) paths = cmd_volume_paths(job, volume);
    g_autofree gchar *who = NULL;
    if (!cmd_file_users(job->connection, (const char *const *)paths, CMD_USERS_RUNNING, NULL, &who, error)) {
        return FALSE;
    }
    if (who) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "volume '%s' is in use by %s, which is running: stop it first", volume->name, who);
        return FALSE;
    }
    return TRUE;
}

gboolean cmd_volume_seal(const CmdVolumeJob *job, StorageVolume *volume, const char *salt, const char *uuid,
                         GError **error)
{
    g_autofree gchar *name = storage_volume_verity_name(volume->name);
    g_autofree gchar *path = cmd_pool_path(job->pool, name);
    g_autoptr(StorageOutput) output = NULL;
    StorageVerity verity;
    StorageFact before, after;
    storage_verity_init(&verity);
    if (!set_salt(volume, salt, &verity, error) || !set_uuid(volume, uuid, &verity, error) ||
        !storage_volume_check(volume, MIN(volume->level, 3), job->store, error) || !check_idle(job, volume, error) ||
        !storage_fact_read("volume", volume->root_path, job->store, NULL, 0, &before, error)) {
        return FALSE;
    }
    output = storage_output_new(path, TRUE, 0600, error);
    if (!output || !write_tree(job, volume, output, &verity, error) ||
        !storage_fact_read("volume", volume->root_path, job->store, NULL, 0, &after, error)) {
        return FALSE;
    }
    if (!measure_digest_equal(before.sha256, after.sha256, sizeof(after.sha256))) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "volume '%s' changed while it was being sealed: try again when nobody writes to it", volume->name);
        return FALSE;
    }
    return record(job, volume, output, make_seal(&verity, path, &after), error);
}

int cmd_vol_seal(CmdContext *context, GError **error)
{
    g_auto(CmdVolumeJob) job = {0};
    g_auto(CmdLock) lock = -1;
    g_autoptr(StorageVolume) volume = NULL;
    const char *name = cmd_context_word(context, 0);
    if (!storage_volume_check_name(name, error) || !cmd_volume_open(&job, context, TRUE, error) ||
        !cmd_volume_lock(&job, name, &lock, error) || !(volume = cmd_volume_get(&job, name, error))) {
        return -1;
    }
    g_autofree gchar *former = volume->seal ? g_strdup(volume->seal->root_hash) : NULL;
    if (!cmd_volume_seal(&job, volume, cmd_context_get(context, "salt"), cmd_context_get(context, "uuid"), error)) {
        return -1;
    }
    printf("Root hash: %s\n", volume->seal->root_hash);
    if (volume->domain && former && !g_str_equal(former, volume->seal->root_hash) && !cmd_context_quiet(context)) {
        cmd_warn("the domain that was defined with this volume still has the former root hash and will not boot: define it "
                 "again, with --accept");
    }
    return 0;
}
