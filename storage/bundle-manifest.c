/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/bundle-manifest.h"

#include <string.h>

#include "policy/text.h"
#include "storage/bundle.h"

static const char *const names[] = {STORAGE_BUNDLE_XML,       STORAGE_BUNDLE_FIRMWARE, STORAGE_BUNDLE_ID_AUTH,
                                    STORAGE_BUNDLE_ID_BLOCK,  STORAGE_BUNDLE_INITRD,   STORAGE_BUNDLE_KERNEL,
                                    STORAGE_BUNDLE_REFERENCE, NULL};
#define TOOL_MAX 100

static void file_free(StorageManifestFile *file)
{
    g_free(file->name);
    g_free(file);
}

StorageManifest *storage_manifest_new(void)
{
    StorageManifest *manifest = g_new0(StorageManifest, 1);

    manifest->tool = g_strdup("virt-attest " VERSION);
    manifest->files = g_ptr_array_new_with_free_func((GDestroyNotify)file_free);
    return manifest;
}

void storage_manifest_free(StorageManifest *manifest)
{
    if (!manifest)
        return;
    g_free(manifest->tool);
    g_ptr_array_unref(manifest->files);
    g_free(manifest);
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const StorageManifestFile *const *)a)->name, (*(const StorageManifestFile *const *)b)->name);
}

void storage_manifest_add(StorageManifest *manifest, const char *name, guint64 size,
                          const guint8 sha256[MEASURE_SHA256_SIZE])
{
    StorageManifestFile *file = g_new0(StorageManifestFile, 1);

    g_assert(!storage_manifest_find(manifest, name));
    file->name = g_strdup(name);
    file->size = size;
    memcpy(file->sha256, sha256, sizeof file->sha256);
    g_ptr_array_add(manifest->files, file);
    g_ptr_array_sort(manifest->files, by_name);
}

const StorageManifestFile *storage_manifest_find(const StorageManifest *manifest, const char *name)
{
    for (guint i = 0; i < manifest->files->len; i++) {
        const StorageManifestFile *file = g_ptr_array_index(manifest->files, i);

        if (!strcmp(file->name, name))
            return file;
    }
    return NULL;
}

gchar *storage_manifest_format(const StorageManifest *manifest)
{
    JsonObject *root = json_object_new();
    JsonObject *files = json_object_new();

    for (guint i = 0; i < manifest->files->len; i++) {
        const StorageManifestFile *file = g_ptr_array_index(manifest->files, i);
        JsonObject *each = json_object_new();

        policy_json_add_hex_bytes(each, "sha256", file->sha256, sizeof file->sha256);
        json_object_set_int_member(each, "size", (gint64)file->size);
        json_object_set_object_member(files, file->name, each);
    }
    json_object_set_object_member(root, "files", files);
    json_object_set_string_member(root, "format", STORAGE_MANIFEST_FORMAT);
    json_object_set_string_member(root, "tool", manifest->tool);
    return policy_json_format(root, TRUE);
}

static gboolean read_file(JsonObject *files, const char *name, StorageManifest *manifest, GError **error)
{
    static const char *const known[] = {"sha256", "size", NULL};
    g_autofree gchar *where = g_strdup_printf("files.%s", name);
    guint8 sha256[MEASURE_SHA256_SIZE];
    guint64 size = 0;
    JsonObject *file = NULL;

    if (!policy_json_object(files, "files", name, TRUE, &file, error))
        return FALSE;
    if (!file)
        return TRUE;
    if (!policy_json_members(file, where, known, error) ||
        !policy_json_hex_bytes(file, where, "sha256", sizeof sha256, sha256, error) ||
        !policy_json_uint(file, where, "size", FALSE, G_MAXINT64, &size, error))
        return FALSE;
    storage_manifest_add(manifest, name, size, sha256);
    return TRUE;
}

static gboolean check_tool(const char *tool, GError **error)
{
    g_autofree gchar *line = policy_one_line(tool, TOOL_MAX);

    return (*tool && !strcmp(line, tool)) ||
           policy_json_error(error, "", "tool", "this is not one short line of text");
}

StorageManifest *storage_manifest_parse(const char *text, gssize size, GError **error)
{
    static const char *const known[] = {"files", "format", "tool", NULL};
    g_autoptr(JsonNode) node = policy_json_parse(text, size, STORAGE_MANIFEST_MAX_SIZE, "the manifest", error);
    g_autoptr(StorageManifest) manifest = NULL;
    g_autofree gchar *format = NULL;
    JsonObject *root = NULL;
    JsonObject *files = NULL;

    if (!node)
        return NULL;
    root = json_node_get_object(node);
    manifest = storage_manifest_new();
    g_clear_pointer(&manifest->tool, g_free);
    if (!policy_json_string(root, "", "format", FALSE, &format, error))
        return NULL;
    if (strcmp(format, STORAGE_MANIFEST_FORMAT)) {
        policy_json_error(error, "", "format", "this is not \"" STORAGE_MANIFEST_FORMAT "\": another program or a "
                                               "newer version made it");
        return NULL;
    }
    if (!policy_json_members(root, "", known, error) ||
        !policy_json_string(root, "", "tool", FALSE, &manifest->tool, error) || !check_tool(manifest->tool, error) ||
        !policy_json_object(root, "", "files", FALSE, &files, error) ||
        !policy_json_members(files, "files", names, error))
        return NULL;
    for (guint i = 0; names[i]; i++) {
        if (!read_file(files, names[i], manifest, error))
            return NULL;
    }
    return g_steal_pointer(&manifest);
}
