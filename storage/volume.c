/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Documents of volumes in the state folder, and whether volumes still are what these say. */
#include "storage/volume.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "measure/error.h"
#include "policy/json.h"

#define LOCK_TIMEOUT_MS (60 * 1000)
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

void storage_seal_free(StorageSeal *seal)
{
    if (!seal)
        return;
    g_free(seal->root_hash);
    g_free(seal->salt);
    g_free(seal->uuid);
    g_free(seal->hash);
    g_free(seal->path);
    g_free(seal->created);
    g_free(seal);
}

StorageVolume *storage_volume_new(void)
{
    StorageVolume *volume = g_new0(StorageVolume, 1);

    volume->upper.words.upper = GUEST_UPPER_NONE;
    return volume;
}

void storage_volume_free(StorageVolume *volume)
{
    if (!volume)
        return;
    g_free(volume->name);
    g_free(volume->pool);
    g_free(volume->pool_uuid);
    g_free(volume->base_path);
    g_free(volume->kernel);
    g_free(volume->root_path);
    g_free(volume->upper_path);
    g_free(volume->created);
    storage_seal_free(volume->seal);
    g_free(volume->domain);
    g_free(volume);
}

gboolean storage_volume_check_name(const char *name, GError **error)
{
    gsize length = strlen(name);
    g_autofree gchar *shown = NULL;

    if (length > 0 && length <= STORAGE_VOLUME_NAME_MAX && *name != '.' && *name != '-' &&
        strspn(name, NAME_CHARACTERS) == length)
        return TRUE;
    shown = measure_printable(name);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                "'%s' cannot be the name of a volume: it has 1 to %d letters, digits, '.', '_' or '-', and does not begin "
                "with '.' or '-'",
                shown, STORAGE_VOLUME_NAME_MAX);
    return FALSE;
}

gchar *storage_volume_root_name(const char *name)
{
    return g_strconcat(name, "-root.qcow2", NULL);
}

gchar *storage_volume_verity_name(const char *name)
{
    return g_strconcat(name, "-verity.img", NULL);
}

gchar *storage_volume_upper_name(const char *name)
{
    return g_strconcat(name, "-upper.img", NULL);
}

gchar *storage_volume_now(void)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();

    return g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
}

/* ---- in the store ---- */

static gchar *file_name(const char *pool_uuid, const char *name, GError **error)
{
    if (!policy_uuid_valid(pool_uuid)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the storage pool has no UUID of 36 characters");
        return NULL;
    }
    return storage_volume_check_name(name, error) ? g_strdup_printf("%s.%s.json", pool_uuid, name) : NULL;
}

static StorageVolume *read_document(PolicyStore *store, const char *file, GError **error)
{
    g_autofree gchar *text = NULL;
    g_autofree gchar *expected = NULL;
    g_autoptr(StorageVolume) volume = NULL;
    g_autoptr(GError) cause = NULL;
    gsize size = 0;

    if (!policy_store_read(store, STORAGE_VOLUME_KIND, file, STORAGE_VOLUME_MAX_SIZE, &text, &size, &cause)) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    if (!text)
        return NULL;
    volume = storage_volume_parse(text, (gssize)size, &cause);
    expected = volume ? file_name(volume->pool_uuid, volume->name, NULL) : NULL;
    if (volume && !strcmp(expected, file))
        return g_steal_pointer(&volume);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                "'%s/" STORAGE_VOLUME_KIND "/%s': %s; restore it from a backup, or remove it, and the volumes with virsh "
                "vol-delete",
                policy_store_directory(store), file, cause ? cause->message : "it is the document of another volume");
    return NULL;
}

StorageVolume *storage_volume_get(PolicyStore *store, const char *pool_uuid, const char *name, GError **error)
{
    g_autofree gchar *file = file_name(pool_uuid, name, error);

    return file ? read_document(store, file, error) : NULL;
}

gboolean storage_volume_put(PolicyStore *store, const StorageVolume *volume, GError **error)
{
    g_autofree gchar *file = file_name(volume->pool_uuid, volume->name, error);
    g_autofree gchar *text = NULL;
    g_autoptr(StorageVolume) again = NULL;

    if (!file)
        return FALSE;
    text = storage_volume_format(volume);
    /* What the strict reader would not take back would be a volume that nobody can use or delete. */
    again = storage_volume_parse(text, -1, error);
    if (!again) {
        g_prefix_error(error, "this volume cannot be recorded: ");
        return FALSE;
    }
    return policy_store_write(store, STORAGE_VOLUME_KIND, file, text, strlen(text), TRUE, error);
}

gboolean storage_volume_remove(PolicyStore *store, const StorageVolume *volume, GError **error)
{
    g_autofree gchar *file = file_name(volume->pool_uuid, volume->name, error);

    return file && policy_store_remove(store, STORAGE_VOLUME_KIND, file, error);
}

GPtrArray *storage_volume_list(PolicyStore *store, GError **error)
{
    g_autoptr(GPtrArray) names = policy_store_list(store, STORAGE_VOLUME_KIND, error);
    g_autoptr(GPtrArray) volumes = g_ptr_array_new_with_free_func((GDestroyNotify)storage_volume_free);

    if (!names)
        return NULL;
    for (guint i = 0; i < names->len; i++) {
        g_autoptr(GError) cause = NULL;
        StorageVolume *volume = read_document(store, g_ptr_array_index(names, i), &cause);

        if (cause) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return NULL;
        }
        if (volume)
            g_ptr_array_add(volumes, volume);
    }
    return g_steal_pointer(&volumes);
}

int storage_volume_lock(PolicyStore *store, const char *pool_uuid, const char *name, GError **error)
{
    g_autofree gchar *file = file_name(pool_uuid, name, error);
    int lock = -1;

    if (!file)
        return -1;
    lock = policy_store_lock(store, STORAGE_VOLUME_KIND, file, LOCK_TIMEOUT_MS, error);
    if (lock < 0)
        g_prefix_error(error, "cannot lock volume '%s' against another virt-attest that works on it (if so, try again "
                              "later); nothing was changed: ",
                       name);
    return lock;
}

/* ---- is it still that? ---- */

static gint64 seconds_of(const char *time)
{
    g_autoptr(GDateTime) parsed = g_date_time_new_from_iso8601(time, NULL);

    return parsed ? g_date_time_to_unix(parsed) : 0;
}

static gboolean exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

/* The file that was pinned, by its content. */
static gboolean check_base(const StorageVolume *volume, PolicyStore *store, GError **error)
{
    g_autofree gchar *then = NULL;
    g_autofree gchar *now = NULL;
    g_autofree gchar *shown = measure_printable(volume->base_path);
    StorageFact fact;

    if (!storage_fact_read("base image", volume->base_path, store, &volume->base, seconds_of(volume->created), &fact,
                           error))
        return FALSE;
    if (measure_digest_equal(fact.sha256, volume->base.sha256, sizeof(fact.sha256)))
        return TRUE;
    then = measure_hex_encode(volume->base.sha256, sizeof(volume->base.sha256));
    now = measure_hex_encode(fact.sha256, sizeof(fact.sha256));
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "base image '%s' changed since volume '%s' was based on it: bring back the file with SHA-256 %s (it has "
                "%s now), or run 'virt-attest vol-delete %s' and make the volume again",
                shown, volume->name, then, now, volume->name);
    return FALSE;
}

static gboolean check_seal(const StorageVolume *volume, PolicyStore *store, GError **error)
{
    StorageFact fact;

    if (!volume->seal) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "volume '%s' is not sealed: run 'virt-attest vol-seal --pool %s %s' first", volume->name,
                    volume->pool, volume->name);
        return FALSE;
    }
    if (!exists(volume->seal->path)) {
        g_autofree gchar *shown = measure_printable(volume->seal->path);

        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "the hash tree of volume '%s', '%s', is missing: run 'virt-attest vol-seal --pool %s %s' again",
                    volume->name, shown, volume->pool, volume->name);
        return FALSE;
    }
    if (!storage_fact_read("volume", volume->root_path, store, &volume->seal->root, seconds_of(volume->seal->created),
                           &fact, error))
        return FALSE;
    if (measure_digest_equal(fact.sha256, volume->seal->root.sha256, sizeof(fact.sha256)))
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "volume '%s' changed after it was sealed: run 'virt-attest vol-seal --pool %s %s' again, then define its "
                "domain again",
                volume->name, volume->pool, volume->name);
    return FALSE;
}

static gboolean check_parts(const StorageVolume *volume, GError **error)
{
    const char *missing = !exists(volume->root_path)                        ? volume->root_path
                          : volume->upper_path && !exists(volume->upper_path) ? volume->upper_path
                                                                              : NULL;

    if (!volume->complete) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "volume '%s' is incomplete, what made it was stopped: run 'virt-attest vol-create' again, or "
                    "'virt-attest vol-delete --pool %s %s'",
                    volume->name, volume->pool, volume->name);
        return FALSE;
    }
    if (missing) {
        g_autofree gchar *shown = measure_printable(missing);

        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "'%s' of volume '%s' is missing: run 'virt-attest vol-delete --pool %s %s' and make it again", shown,
                    volume->name, volume->pool, volume->name);
        return FALSE;
    }
    return TRUE;
}

gboolean storage_volume_check(const StorageVolume *volume, guint level, PolicyStore *store, GError **error)
{
    if (level > volume->level) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "volume '%s' was made for level %u, not %u: make another one with 'virt-attest vol-create --level %u'",
                    volume->name, volume->level, level, level);
        return FALSE;
    }
    return check_parts(volume, error) && check_base(volume, store, error) &&
           (level < 4 || check_seal(volume, store, error));
}

static const char *state_for(GError *cause, const char *word, gchar **reason)
{
    *reason = g_strdup(cause->message);
    return g_error_matches(cause, ATTEST_ERROR, ATTEST_ERROR_REJECTED) ? word : "unknown";
}

const char *storage_volume_state(const StorageVolume *volume, PolicyStore *store, gchar **reason)
{
    g_autoptr(GError) cause = NULL;

    *reason = NULL;
    if (!check_parts(volume, &cause))
        return state_for(cause, volume->complete ? "missing" : "incomplete", reason);
    if (!exists(volume->base_path)) {
        g_autofree gchar *shown = measure_printable(volume->base_path);

        *reason = g_strdup_printf("base image '%s' is missing: bring it back", shown);
        return "base missing";
    }
    if (!check_base(volume, store, &cause))
        return state_for(cause, "base changed", reason);
    if (!volume->seal)
        return "new";
    return check_seal(volume, store, &cause) ? "sealed" : state_for(cause, "stale", reason);
}
