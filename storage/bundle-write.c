/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "storage/bundle.h"
#include "xml/host-access.h"
#include "xml/relocate.h"

enum { MEMBERS_MAX = 8 };

typedef struct {
    StorageManifest *manifest;
    StorageArchiveEntry entries[MEMBERS_MAX];
    gsize count;
    GPtrArray *held; /* GBytes that @entries borrow */
} Writing;

static void writing_clear(Writing *writing)
{
    g_clear_pointer(&writing->manifest, storage_manifest_free);
    g_clear_pointer(&writing->held, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Writing, writing_clear)

static void add_bytes(Writing *writing, const char *name, GBytes *data)
{
    gsize size = 0;
    gconstpointer bytes = g_bytes_get_data(data, &size);
    guint8 sha256[MEASURE_SHA256_SIZE];

    policy_sha256(bytes ? bytes : "", size, sha256);
    storage_manifest_add(writing->manifest, name, size, sha256);
    g_ptr_array_add(writing->held, g_bytes_ref(data));
    writing->entries[writing->count++] = (StorageArchiveEntry){.name = name, .data = data};
}

/* What was measured is what must be packed. */
static void add_input(Writing *writing, const char *name, const MeasureInput *input)
{
    if (!input)
        return;
    storage_manifest_add(writing->manifest, name, input->size, input->sha256);
    writing->entries[writing->count++] =
        (StorageArchiveEntry){.name = name, .path = input->path, .size = input->size, .sha256 = input->sha256};
}

static gchar *portable_xml(const StorageBundleContents *contents, GError **error)
{
    XmlRelocate changes = {
        .firmware = STORAGE_BUNDLE_FIRMWARE,
        .kernel = contents->inputs->kernel ? STORAGE_BUNDLE_KERNEL : NULL,
        .initrd = contents->inputs->initrd ? STORAGE_BUNDLE_INITRD : NULL,
        .drop_secrets = TRUE,
    };

    return xml_relocate(contents->xml, -1, &changes, error);
}

gboolean storage_bundle_write(const StorageBundleContents *contents, StorageOutput *output, StorageProgress progress,
                              gpointer progress_data, GError **error)
{
    g_auto(Writing) writing = {.count = 1};
    gchar *xml = portable_xml(contents, error);
    g_autoptr(GBytes) xml_bytes = xml ? g_bytes_new_take(xml, strlen(xml)) : NULL;
    g_autoptr(GBytes) manifest_bytes = NULL;
    gchar *manifest = NULL;

    if (!xml_bytes)
        return FALSE;
    if (!xml_check_host_access(xml, -1, error)) {
        g_prefix_error(error, "the domain cannot be packed: its ");
        return FALSE;
    }
    writing.manifest = storage_manifest_new();
    writing.held = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    add_bytes(&writing, STORAGE_BUNDLE_XML, xml_bytes);
    add_bytes(&writing, STORAGE_BUNDLE_REFERENCE, contents->reference);
    if (contents->domain->id_block)
        add_bytes(&writing, STORAGE_BUNDLE_ID_BLOCK, contents->domain->id_block);
    if (contents->domain->id_auth)
        add_bytes(&writing, STORAGE_BUNDLE_ID_AUTH, contents->domain->id_auth);
    add_input(&writing, STORAGE_BUNDLE_FIRMWARE, contents->inputs->firmware);
    add_input(&writing, STORAGE_BUNDLE_KERNEL, contents->inputs->kernel);
    add_input(&writing, STORAGE_BUNDLE_INITRD, contents->inputs->initrd);
    /* First, so that whoever reads the archive as a stream knows what to expect. */
    manifest = storage_manifest_format(writing.manifest);
    manifest_bytes = g_bytes_new_take(manifest, strlen(manifest));
    writing.entries[0] = (StorageArchiveEntry){.name = STORAGE_MANIFEST_NAME, .data = manifest_bytes};
    if (!storage_archive_check_sizes(writing.entries, writing.count, storage_bundle_members, error))
        return FALSE;
    return storage_archive_write(writing.entries, writing.count, FALSE, output, progress, progress_data, error);
}
