/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The document of a volume: strict reader and writer. It takes nothing that the writer cannot have written. */
#include <string.h>

#include "policy/json.h"
#include "policy/text.h"
#include "storage/volume.h"

#define RELEASE_MAX 64

/* ---- reading ---- */

static gboolean read_number(JsonObject *object, const char *where, const char *name, guint64 *out, GError **error)
{
    return policy_json_uint(object, where, name, FALSE, G_MAXINT64, out, error);
}

static gboolean read_time(JsonObject *object, const char *where, const char *name, gchar **out, GError **error)
{
    if (!policy_json_string(object, where, name, FALSE, out, error))
        return FALSE;
    return policy_time_valid(*out) ||
           policy_json_error(error, where, name, "this is not a time such as 2026-01-31T12:00:00Z");
}

static gboolean read_path(JsonObject *object, const char *where, const char *name, gboolean optional, gchar **out,
                          GError **error)
{
    if (!policy_json_string(object, where, name, optional, out, error))
        return FALSE;
    return !*out || g_path_is_absolute(*out) || policy_json_error(error, where, name, "this is not an absolute path");
}

static gboolean read_uuid(JsonObject *object, const char *where, const char *name, gboolean optional, gchar **out,
                          GError **error)
{
    if (!policy_json_string(object, where, name, optional, out, error))
        return FALSE;
    return !*out || policy_uuid_valid(*out) || policy_json_error(error, where, name, "this is not a UUID");
}

/* What may be larger than JSON's readers keep exactly is written as decimal digits in a string. */
static gboolean read_digits(JsonObject *object, const char *where, const char *name, guint64 max, guint64 *out,
                            GError **error)
{
    g_autofree gchar *text = NULL;

    if (!policy_json_string(object, where, name, FALSE, &text, error))
        return FALSE;
    return (g_ascii_isdigit(*text) && !(*text == '0' && text[1]) &&
            g_ascii_string_to_unsigned(text, 10, 0, max, out, NULL)) ||
           policy_json_error(error, where, name, "this is not a number as decimal digits");
}

/* The members of a file's identity; @object may have others. */
static gboolean read_fact(JsonObject *object, const char *where, StorageFact *fact, GError **error)
{
    guint64 mtime = 0, ctime = 0;

    if (!read_digits(object, where, "device", G_MAXUINT64, &fact->identity.device, error) ||
        !read_digits(object, where, "inode", G_MAXUINT64, &fact->identity.inode, error) ||
        !read_number(object, where, "size", &fact->identity.size, error) ||
        !read_digits(object, where, "mtime", G_MAXINT64, &mtime, error) ||
        !read_digits(object, where, "ctime", G_MAXINT64, &ctime, error) ||
        !policy_json_hex_bytes(object, where, "sha256", sizeof(fact->sha256), fact->sha256, error))
        return FALSE;
    fact->identity.mtime_ns = (gint64)mtime;
    fact->identity.ctime_ns = (gint64)ctime;
    return TRUE;
}

static gboolean read_base(JsonObject *root, StorageVolume *volume, GError **error)
{
    static const char *const known[] = {"path", "device", "inode", "size", "mtime", "ctime", "sha256", "kernel", NULL};
    JsonObject *object = NULL;

    if (!policy_json_object(root, "", "base", FALSE, &object, error) ||
        !policy_json_members(object, "base", known, error) ||
        !read_path(object, "base", "path", FALSE, &volume->base_path, error) ||
        !read_fact(object, "base", &volume->base, error) ||
        !policy_json_string(object, "base", "kernel", FALSE, &volume->kernel, error))
        return FALSE;
    if (!*volume->kernel || strlen(volume->kernel) > RELEASE_MAX || strchr(volume->kernel, '/') ||
        strpbrk(volume->kernel, " \t\r\n"))
        return policy_json_error(error, "base", "kernel", "this is not the release of a kernel");
    return TRUE;
}

/* Lower-case hexadecimal digits of whole bytes. */
static gboolean is_hex(const char *text, gsize min, gsize max)
{
    gsize length = strlen(text);

    return length % 2 == 0 && length / 2 >= min && length / 2 <= max && strspn(text, "0123456789abcdef") == length;
}

static gboolean is_block_size(guint64 size)
{
    return size == 512 || size == 1024 || size == 2048 || size == 4096;
}

static gboolean read_seal_facts(JsonObject *object, StorageSeal *seal, GError **error)
{
    guint64 data_size = 0, hash_size = 0;
    gsize digest = 0;

    if (!policy_json_string(object, "sealed", "rootHash", FALSE, &seal->root_hash, error) ||
        !policy_json_string(object, "sealed", "salt", FALSE, &seal->salt, error) ||
        !read_uuid(object, "sealed", "uuid", FALSE, &seal->uuid, error) ||
        !policy_json_string(object, "sealed", "hash", FALSE, &seal->hash, error) ||
        !read_number(object, "sealed", "dataBlocks", &seal->data_blocks, error) ||
        !read_number(object, "sealed", "dataBlockSize", &data_size, error) ||
        !read_number(object, "sealed", "hashBlockSize", &hash_size, error))
        return FALSE;
    digest = !strcmp(seal->hash, "sha256") ? 32 : !strcmp(seal->hash, "sha512") ? 64 : 0;
    if (!digest)
        return policy_json_error(error, "sealed", "hash", "this is not 'sha256' or 'sha512'");
    if (!is_hex(seal->root_hash, digest, digest))
        return policy_json_error(error, "sealed", "rootHash", "this is not a digest of that hash");
    if (!is_hex(seal->salt, 0, GUEST_SALT_MAX))
        return policy_json_error(error, "sealed", "salt", "this is not a salt of at most %d bytes", GUEST_SALT_MAX);
    if (!seal->data_blocks)
        return policy_json_error(error, "sealed", "dataBlocks", "there is no tree over nothing");
    if (!is_block_size(data_size) || !is_block_size(hash_size))
        return policy_json_error(error, "sealed", is_block_size(data_size) ? "hashBlockSize" : "dataBlockSize",
                                 "this is not 512, 1024, 2048 or 4096");
    seal->data_block_size = (guint32)data_size;
    seal->hash_block_size = (guint32)hash_size;
    return TRUE;
}

static gboolean read_seal(JsonObject *root, StorageVolume *volume, GError **error)
{
    static const char *const known[] = {"rootHash",      "salt", "uuid",    "hash", "dataBlocks", "dataBlockSize",
                                        "hashBlockSize", "path", "created", "root", NULL};
    static const char *const known_root[] = {"device", "inode", "size", "mtime", "ctime", "sha256", NULL};
    g_autoptr(StorageSeal) seal = NULL;
    JsonObject *object = NULL, *file = NULL;

    if (!policy_json_object(root, "", "sealed", TRUE, &object, error))
        return FALSE;
    if (!object)
        return TRUE;
    seal = g_new0(StorageSeal, 1);
    if (!policy_json_members(object, "sealed", known, error) || !read_seal_facts(object, seal, error) ||
        !read_path(object, "sealed", "path", FALSE, &seal->path, error) ||
        !read_time(object, "sealed", "created", &seal->created, error) ||
        !policy_json_object(object, "sealed", "root", FALSE, &file, error) ||
        !policy_json_members(file, "sealed.root", known_root, error) ||
        !read_fact(file, "sealed.root", &seal->root, error))
        return FALSE;
    volume->seal = g_steal_pointer(&seal);
    return TRUE;
}

static gboolean read_upper(JsonObject *root, StorageVolume *volume, GError **error)
{
    g_autofree gchar *text = NULL;
    g_autofree gchar *again = NULL;
    gboolean encrypted = FALSE;

    if (!policy_json_string(root, "", "upper", FALSE, &text, error) ||
        !read_path(root, "", "upperPath", TRUE, &volume->upper_path, error))
        return FALSE;
    if (!storage_upper_parse(text, &volume->upper, NULL))
        return policy_json_error(error, "", "upper", "this does not say where writes go");
    again = storage_upper_format(&volume->upper);
    if (strcmp(again, text))
        return policy_json_error(error, "", "upper", "this is not written as it should be, '%s'", again);
    encrypted = volume->upper.words.upper == GUEST_UPPER_ENCRYPTED;
    if (encrypted != (volume->upper_path != NULL))
        return policy_json_error(error, "", "upperPath", "this goes with an encrypted upper layer, and only with one");
    return TRUE;
}

static gboolean read_identity(JsonObject *root, StorageVolume *volume, GError **error)
{
    static const char *const known_pool[] = {"name", "uuid", NULL};
    JsonObject *pool = NULL;
    guint64 level = 0;

    if (!policy_json_string(root, "", "name", FALSE, &volume->name, error) ||
        !policy_json_object(root, "", "pool", FALSE, &pool, error) ||
        !policy_json_members(pool, "pool", known_pool, error) ||
        !policy_json_string(pool, "pool", "name", FALSE, &volume->pool, error) ||
        !read_uuid(pool, "pool", "uuid", FALSE, &volume->pool_uuid, error) ||
        !policy_json_uint(root, "", "level", FALSE, 4, &level, error))
        return FALSE;
    volume->level = (guint)level;
    if (!storage_volume_check_name(volume->name, NULL))
        return policy_json_error(error, "", "name", "this is not the name of a volume");
    if (!*volume->pool)
        return policy_json_error(error, "pool", "name", "this is empty");
    return TRUE;
}

StorageVolume *storage_volume_parse(const char *text, gssize size, GError **error)
{
    static const char *const known[] = {"format", "name",    "pool",     "level",  "upper",  "upperPath", "base",
                                        "root",   "created", "complete", "sealed", "domain", NULL};
    g_autoptr(StorageVolume) volume = storage_volume_new();
    g_autoptr(JsonNode) node = policy_json_parse(text, size, STORAGE_VOLUME_MAX_SIZE, "the volume's document", error);
    g_autofree gchar *format = NULL;
    JsonObject *root = NULL;

    if (!node)
        return NULL;
    root = json_node_get_object(node);
    if (!policy_json_members(root, "", known, error) ||
        !policy_json_string(root, "", "format", FALSE, &format, error))
        return NULL;
    if (strcmp(format, STORAGE_VOLUME_FORMAT)) {
        policy_json_error(error, "", "format", "'%s' is not " STORAGE_VOLUME_FORMAT ": use the virt-attest that wrote it",
                          format);
        return NULL;
    }
    if (!read_identity(root, volume, error) || !read_upper(root, volume, error) || !read_base(root, volume, error) ||
        !read_path(root, "", "root", FALSE, &volume->root_path, error) ||
        !read_time(root, "", "created", &volume->created, error) ||
        !policy_json_boolean(root, "", "complete", FALSE, &volume->complete, error) ||
        !read_seal(root, volume, error) || !read_uuid(root, "", "domain", TRUE, &volume->domain, error))
        return NULL;
    if (volume->seal && !volume->complete) {
        policy_json_error(error, "", "sealed", "an incomplete volume cannot be sealed");
        return NULL;
    }
    return g_steal_pointer(&volume);
}

/* ---- writing ---- */

static void add_number(JsonObject *object, const char *name, guint64 value)
{
    json_object_set_int_member(object, name, (gint64)MIN(value, (guint64)G_MAXINT64));
}

static void add_digits(JsonObject *object, const char *name, guint64 value)
{
    g_autofree gchar *text = g_strdup_printf("%" G_GUINT64_FORMAT, value);

    policy_json_add_string(object, name, text);
}

static void add_fact(JsonObject *object, const StorageFact *fact)
{
    add_digits(object, "device", fact->identity.device);
    add_digits(object, "inode", fact->identity.inode);
    add_number(object, "size", fact->identity.size);
    /* A time before 1970 does not come back the same: the file is hashed once more then, nothing else. */
    add_digits(object, "mtime", (guint64)MAX(fact->identity.mtime_ns, 0));
    add_digits(object, "ctime", (guint64)MAX(fact->identity.ctime_ns, 0));
    policy_json_add_hex_bytes(object, "sha256", fact->sha256, sizeof(fact->sha256));
}

static JsonObject *seal_to_json(const StorageSeal *seal)
{
    JsonObject *object = json_object_new();
    JsonObject *root = json_object_new();

    policy_json_add_string(object, "rootHash", seal->root_hash);
    policy_json_add_string(object, "salt", seal->salt);
    policy_json_add_string(object, "uuid", seal->uuid);
    policy_json_add_string(object, "hash", seal->hash);
    add_number(object, "dataBlocks", seal->data_blocks);
    add_number(object, "dataBlockSize", seal->data_block_size);
    add_number(object, "hashBlockSize", seal->hash_block_size);
    policy_json_add_string(object, "path", seal->path);
    policy_json_add_string(object, "created", seal->created);
    add_fact(root, &seal->root);
    json_object_set_object_member(object, "root", root);
    return object;
}

gchar *storage_volume_format(const StorageVolume *volume)
{
    JsonObject *root = json_object_new();
    JsonObject *pool = json_object_new();
    JsonObject *base = json_object_new();
    g_autofree gchar *upper = storage_upper_format(&volume->upper);

    policy_json_add_string(root, "format", STORAGE_VOLUME_FORMAT);
    policy_json_add_string(root, "name", volume->name);
    policy_json_add_string(pool, "name", volume->pool);
    policy_json_add_string(pool, "uuid", volume->pool_uuid);
    json_object_set_object_member(root, "pool", pool);
    add_number(root, "level", volume->level);
    policy_json_add_string(root, "upper", upper);
    policy_json_add_string(root, "upperPath", volume->upper_path);
    policy_json_add_string(base, "path", volume->base_path);
    add_fact(base, &volume->base);
    policy_json_add_string(base, "kernel", volume->kernel);
    json_object_set_object_member(root, "base", base);
    policy_json_add_string(root, "root", volume->root_path);
    policy_json_add_string(root, "created", volume->created);
    json_object_set_boolean_member(root, "complete", volume->complete);
    if (volume->seal)
        json_object_set_object_member(root, "sealed", seal_to_json(volume->seal));
    policy_json_add_string(root, "domain", volume->domain);
    return policy_json_format(root, TRUE);
}
