/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/base.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "measure/bytes.h"
#include "measure/cache.h"
#include "measure/error.h"
#include "measure/file.h"
#include "measure/hash.h"
#include "policy/json.h"
#include "storage/volume.h"

#define MANIFEST_MAX_SIZE (16u * 1024 * 1024)
#define SETTLED_NS (2 * G_GINT64_CONSTANT(1000000000))
#define QCOW2_MAGIC "QFI\xfb"

gboolean storage_identity_equal(const StorageIdentity *a, const StorageIdentity *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

static void identity_of(const MeasureInput *input, StorageIdentity *out)
{
    out->device = input->device;
    out->inode = input->inode;
    out->size = input->size;
    out->mtime_ns = input->mtime_ns;
    out->ctime_ns = input->ctime_ns;
}

/* Two writes within one tick of the file system's clock leave the same times: only old ones tell a later change. */
static gboolean was_settled(const StorageFact *known, gint64 known_at)
{
    gint64 newest = MAX(known->identity.mtime_ns, known->identity.ctime_ns);

    return known_at < G_MAXINT64 / 1000000000 && newest <= known_at * 1000000000 - SETTLED_NS;
}

gboolean storage_fact_read(const char *role, const char *path, PolicyStore *store, const StorageFact *known,
                           gint64 known_at, StorageFact *out, GError **error)
{
    const MeasureCache *cache = store ? policy_store_cache(store) : NULL;
    g_autoptr(MeasureFile) file = NULL;

    if (!measure_hash_ready(error))
        return FALSE;
    file = measure_file_open(role, path, G_MAXINT64, error);
    if (!file)
        return FALSE;
    if (file->null_device) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s '%s' is not a regular file", role, path);
        return FALSE;
    }
    identity_of(file->input, &out->identity);
    if (known && measure_file_is_identified(file) && was_settled(known, known_at) &&
        storage_identity_equal(&out->identity, &known->identity)) {
        memcpy(out->sha256, known->sha256, sizeof(out->sha256));
        return TRUE;
    }
    if (!measure_file_is_identified(file) || !measure_cache_get_file(cache, file->input)) {
        measure_file_read_ahead(file);
        if (!measure_file_hash(file, error) || !measure_file_unchanged(file, error))
            return FALSE;
        if (measure_file_is_settled(file))
            measure_cache_put_file(cache, file->input);
    }
    memcpy(out->sha256, file->input->sha256, sizeof(out->sha256));
    return TRUE;
}

/* ---- what a base may be ---- */

#define HEADER_SIZE 80

static gboolean is_qcow2(const guint8 *header)
{
    return memcmp(header, QCOW2_MAGIC, 4) == 0;
}

/* Offset of the name of the backing file, big-endian. */
static gboolean has_backing(const guint8 *header)
{
    static const guint8 none[8];

    return memcmp(header + 8, none, sizeof(none)) != 0;
}

/* Incompatible feature bit 2, version 3: the data is in another file. */
static gboolean has_data_file(const guint8 *header)
{
    return header[7] >= 3 && (header[79] & 4);
}

gboolean storage_base_is_flat(const char *path)
{
    g_autoptr(MeasureFile) file = measure_file_open("image", path, G_MAXINT64, NULL);
    guint8 header[HEADER_SIZE];

    return file && !file->null_device && file->input->size >= sizeof(header) &&
           measure_file_read(file, 0, header, sizeof(header), NULL) && is_qcow2(header) && !has_backing(header) &&
           !has_data_file(header);
}

/* Its own backing file would be a second base that nobody pins, and a data file one that nobody hashes. */
static gboolean check_flat(const char *path, GError **error)
{
    g_autoptr(MeasureFile) file = measure_file_open("base image", path, G_MAXINT64, error);
    g_autofree gchar *shown = measure_printable(path);
    gboolean named = g_str_has_suffix(path, ".qcow2");
    guint8 header[HEADER_SIZE];

    if (!file)
        return FALSE;
    if (file->null_device || file->input->size < sizeof(header)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "base image '%s' is too small to be a disk image",
                    shown);
        return FALSE;
    }
    if (!measure_file_read(file, 0, header, sizeof(header), error))
        return FALSE;
    if (is_qcow2(header) != named) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    named ? "base image '%s' is no qcow2 image, as its name says"
                          : "base image '%s' begins like a qcow2 image, but its name does not end in .qcow2: rename it",
                    shown);
        return FALSE;
    }
    if (named && (has_backing(header) || has_data_file(header))) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "base image '%s' %s: flatten it with 'qemu-img convert', or import it with 'virt-attest image-import'",
                    shown,
                    has_backing(header) ? "is itself based on another image" : "keeps its data in another file");
        return FALSE;
    }
    return TRUE;
}

static gboolean check_writers(const char *path, gchar **warning, GError **error)
{
    struct stat st;
    g_autofree gchar *shown = measure_printable(path);

    if (stat(path, &st) < 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "base image '%s': %s", shown, g_strerror(errno));
        return FALSE;
    }
    if (st.st_mode & S_IWOTH || ((st.st_mode & S_IWGRP) && st.st_gid != 0))
        *warning = g_strdup_printf("base image '%s' can be changed by others than its owner: chmod go-w '%s'", shown,
                                   shown);
    return TRUE;
}

/* The digest beside the image; NULL where there is no manifest, or none that says. */
static gboolean read_manifest(const char *path, gchar **sha256, GError **error)
{
    g_autofree gchar *name = g_strconcat(path, ".manifest.json", NULL);
    g_autofree gchar *shown = measure_printable(name);
    g_autofree gchar *text = NULL;
    g_autoptr(MeasureFile) file = NULL;
    g_autoptr(JsonNode) node = NULL;
    JsonObject *image = NULL;
    guint8 digest[MEASURE_SHA256_SIZE];

    if (!g_file_test(name, G_FILE_TEST_EXISTS))
        return TRUE;
    file = measure_file_open("manifest", name, MANIFEST_MAX_SIZE, error);
    if (!file)
        return FALSE;
    text = g_malloc((gsize)file->input->size + 1);
    if (!measure_file_read(file, 0, (guint8 *)text, (gsize)file->input->size, error))
        return FALSE;
    node = policy_json_parse(text, (gssize)file->input->size, MANIFEST_MAX_SIZE, "the manifest", error);
    if (!node) {
        g_prefix_error(error, "'%s': ", shown);
        return FALSE;
    }
    if (!policy_json_object(json_node_get_object(node), "", "image", TRUE, &image, error) ||
        (image && !policy_json_hex_bytes(image, "image", "sha256", sizeof(digest), digest, error))) {
        g_prefix_error(error, "'%s': ", shown);
        return FALSE;
    }
    if (!image)
        return TRUE;
    *sha256 = measure_hex_encode(digest, sizeof(digest));
    return TRUE;
}

/* ---- who is based on it ---- */

static gboolean same_file(const char *a, const char *b)
{
    struct stat left, right;

    return stat(a, &left) == 0 && stat(b, &right) == 0 && left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

static gboolean is_based_on(const StorageVolume *volume, const char *path)
{
    g_autofree gchar *canonical = g_canonicalize_filename(path, NULL);
    const StorageIdentity *pinned = &volume->base.identity;
    struct stat st;

    if (!strcmp(volume->base_path, canonical) || same_file(volume->base_path, path))
        return TRUE;
    /* The file that was pinned, under another name; an inode alone may have been given to another file since. */
    return stat(path, &st) == 0 && pinned->device == (guint64)st.st_dev && pinned->inode == (guint64)st.st_ino &&
           pinned->size == (guint64)st.st_size &&
           pinned->mtime_ns == (gint64)st.st_mtim.tv_sec * G_GINT64_CONSTANT(1000000000) + st.st_mtim.tv_nsec;
}

static GPtrArray *users_of(const char *path, PolicyStore *store, GPtrArray **volumes, GError **error)
{
    g_autoptr(GPtrArray) users = g_ptr_array_new();

    *volumes = storage_volume_list(store, error);
    if (!*volumes)
        return NULL;
    for (guint i = 0; i < (*volumes)->len; i++) {
        if (is_based_on(g_ptr_array_index(*volumes, i), path))
            g_ptr_array_add(users, g_ptr_array_index(*volumes, i));
    }
    return g_steal_pointer(&users);
}

static void add_name(GString *names, const StorageVolume *volume)
{
    g_string_append_printf(names, "%s'%s' (pool '%s')", names->len ? ", " : "", volume->name, volume->pool);
}

gboolean storage_base_in_use(const char *path, PolicyStore *store, GError **error)
{
    g_autoptr(GPtrArray) volumes = NULL;
    g_autoptr(GPtrArray) users = NULL;
    g_autoptr(GString) names = g_string_new(NULL);
    g_autofree gchar *shown = measure_printable(path);

    if (!store)
        return FALSE;
    users = users_of(path, store, &volumes, error);
    if (!users) {
        g_prefix_error(error, "cannot tell whether volumes are based on '%s': ", shown);
        return TRUE;
    }
    if (!users->len)
        return FALSE;
    for (guint i = 0; i < users->len; i++)
        add_name(names, g_ptr_array_index(users, i));
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "image '%s' is the base of %s %s: without it they are lost; remove them first with 'virt-attest "
                "vol-delete'",
                shown, users->len == 1 ? "volume" : "volumes", names->str);
    return TRUE;
}

static gint64 seconds_of(const char *time)
{
    g_autoptr(GDateTime) parsed = g_date_time_new_from_iso8601(time, NULL);

    return parsed ? g_date_time_to_unix(parsed) : 0;
}

/* Every volume that was made from this path has pinned what it was. */
static gboolean check_pins(const char *path, GPtrArray *users, const StorageFact *fact, GError **error)
{
    g_autoptr(GString) names = g_string_new(NULL);
    g_autofree gchar *shown = measure_printable(path);
    g_autofree gchar *now = measure_hex_encode(fact->sha256, sizeof(fact->sha256));
    g_autofree gchar *then = NULL;

    for (guint i = 0; i < users->len; i++) {
        const StorageVolume *each = g_ptr_array_index(users, i);

        if (measure_digest_equal(each->base.sha256, fact->sha256, sizeof(fact->sha256)))
            continue;
        if (!then)
            then = measure_hex_encode(each->base.sha256, sizeof(each->base.sha256));
        add_name(names, each);
    }
    if (!then)
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "base image '%s' changed since %s was based on it: bring back the file with SHA-256 %s (it has %s now), "
                "or delete them with 'virt-attest vol-delete'",
                shown, names->str, then, now);
    return FALSE;
}

gboolean storage_base_check(const char *path, PolicyStore *store, StorageFact *out, gchar **warning, GError **error)
{
    g_autoptr(GPtrArray) volumes = NULL;
    g_autoptr(GPtrArray) users = NULL;
    g_autofree gchar *shown = measure_printable(path);
    g_autofree gchar *manifest = NULL;
    g_autofree gchar *digest = NULL;
    const StorageVolume *newest = NULL;

    *warning = NULL;
    if (!g_path_is_absolute(path)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "base image '%s' is not an absolute path", shown);
        return FALSE;
    }
    if (!check_flat(path, error) || !check_writers(path, warning, error) ||
        !read_manifest(path, &manifest, error))
        return FALSE;
    users = users_of(path, store, &volumes, error);
    if (!users)
        return FALSE;
    for (guint i = 0; i < users->len; i++) {
        const StorageVolume *each = g_ptr_array_index(users, i);

        if (!newest || strcmp(each->created, newest->created) > 0)
            newest = each;
    }
    if (!storage_fact_read("base image", path, store, newest ? &newest->base : NULL,
                           newest ? seconds_of(newest->created) : 0, out, error) ||
        !check_pins(path, users, out, error))
        return FALSE;
    digest = measure_hex_encode(out->sha256, sizeof(out->sha256));
    if (manifest && strcmp(manifest, digest)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "base image '%s' is not what its manifest says: it has SHA-256 %s, '%s.manifest.json' has %s; build it "
                    "again, or remove the manifest if you changed the image on purpose",
                    shown, digest, shown, manifest);
        return FALSE;
    }
    return TRUE;
}
