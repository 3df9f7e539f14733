/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The member "verity" of a reference: what the measured command line says of the root file system's hash tree. */
#include <string.h>

#include "measure/error.h"
#include "policy/json.h"
#include "policy/reference-private.h"

void policy_reference_verity_free(PolicyReferenceVerity *verity)
{
    if (!verity)
        return;
    g_free(verity->root_hash);
    g_free(verity->hash);
    g_free(verity->salt);
    g_free(verity->uuid);
    g_free(verity);
}

static gchar *format_uuid(const guint8 uuid[16])
{
    g_autofree gchar *hex = measure_hex_encode(uuid, 16);

    return g_strdup_printf("%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

PolicyReferenceVerity *policy_reference_verity_new(const GuestWords *words)
{
    PolicyReferenceVerity *verity = NULL;

    if (!words || !words->has_verity)
        return NULL;
    verity = g_new0(PolicyReferenceVerity, 1);
    verity->root_hash = measure_hex_encode(words->root_hash, words->hash_size);
    verity->hash = g_strdup(words->hash_name);
    verity->salt = measure_hex_encode(words->salt, words->salt_size);
    verity->uuid = format_uuid(words->uuid);
    verity->data_blocks = words->data_blocks;
    verity->data_block_size = words->data_block_size;
    verity->hash_block_size = words->hash_block_size;
    return verity;
}

JsonObject *policy_reference_verity_to_json(const PolicyReferenceVerity *verity)
{
    JsonObject *object = json_object_new();

    policy_json_add_string(object, "rootHash", verity->root_hash);
    policy_json_add_string(object, "hash", verity->hash);
    policy_json_add_string(object, "salt", verity->salt);
    policy_json_add_string(object, "uuid", verity->uuid);
    json_object_set_int_member(object, "dataBlocks", (gint64)verity->data_blocks);
    json_object_set_int_member(object, "dataBlockSize", verity->data_block_size);
    json_object_set_int_member(object, "hashBlockSize", verity->hash_block_size);
    return object;
}

static gboolean is_hex(const char *text, gsize min, gsize max)
{
    gsize size = strlen(text);

    return size % 2 == 0 && size >= min && size <= max && strspn(text, "0123456789abcdef") == size;
}

static gboolean is_block_size(guint64 size)
{
    return size == 512 || size == 1024 || size == 2048 || size == 4096;
}

PolicyReferenceVerity *policy_reference_verity_from_json(JsonObject *object, GError **error)
{
    static const char *const known[] = {"rootHash",   "hash",          "salt",          "uuid",
                                        "dataBlocks", "dataBlockSize", "hashBlockSize", NULL};
    static const char *const where = "verity";
    g_autoptr(PolicyReferenceVerity) verity = g_new0(PolicyReferenceVerity, 1);
    guint64 data_size = 0, hash_size = 0;
    gsize digits = 0;

    if (!policy_json_members(object, where, known, error) ||
        !policy_json_string(object, where, "rootHash", FALSE, &verity->root_hash, error) ||
        !policy_json_string(object, where, "hash", FALSE, &verity->hash, error) ||
        !policy_json_string(object, where, "salt", FALSE, &verity->salt, error) ||
        !policy_json_string(object, where, "uuid", FALSE, &verity->uuid, error) ||
        !policy_json_uint(object, where, "dataBlocks", FALSE, G_MAXINT64, &verity->data_blocks, error) ||
        !policy_json_uint(object, where, "dataBlockSize", FALSE, 4096, &data_size, error) ||
        !policy_json_uint(object, where, "hashBlockSize", FALSE, 4096, &hash_size, error))
        return NULL;
    digits = !strcmp(verity->hash, "sha256") ? 64 : !strcmp(verity->hash, "sha512") ? 128 : 0;
    verity->data_block_size = (guint)data_size;
    verity->hash_block_size = (guint)hash_size;
    if (!digits)
        policy_json_error(error, where, "hash", "this is not 'sha256' or 'sha512'");
    else if (!is_hex(verity->root_hash, digits, digits))
        policy_json_error(error, where, "rootHash",
                          "this is not a digest of %" G_GSIZE_FORMAT " lower-case hexadecimal digits", digits);
    else if (!is_hex(verity->salt, 0, 2 * GUEST_SALT_MAX))
        policy_json_error(error, where, "salt", "these are not at most %d bytes in lower-case hexadecimal digits",
                          GUEST_SALT_MAX);
    else if (!policy_uuid_valid(verity->uuid))
        policy_json_error(error, where, "uuid", "this is not a UUID");
    else if (!verity->data_blocks)
        policy_json_error(error, where, "dataBlocks", "there is no tree over nothing");
    else if (!is_block_size(data_size) || !is_block_size(hash_size))
        policy_json_error(error, where, is_block_size(data_size) ? "hashBlockSize" : "dataBlockSize",
                          "this is not 512, 1024, 2048 or 4096");
    else
        return g_steal_pointer(&verity);
    return NULL;
}
