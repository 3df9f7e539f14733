/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/newc.h"

#include <string.h>
#include <sys/stat.h>

#define TRAILER "TRAILER!!!"

struct StorageNewc {
    GByteArray *data;
    guint inode;
    gchar *last; /* name of the entry before */
};

StorageNewc *storage_newc_new(void)
{
    StorageNewc *archive = g_new0(StorageNewc, 1);

    archive->data = g_byte_array_new();
    archive->last = g_strdup("");
    return archive;
}

void storage_newc_free(StorageNewc *archive)
{
    if (!archive)
        return;
    g_byte_array_unref(archive->data);
    g_free(archive->last);
    g_free(archive);
}

static void pad(StorageNewc *archive)
{
    static const guint8 zeros[4];

    g_byte_array_append(archive->data, zeros, (4 - archive->data->len % 4) % 4);
}

static void add(StorageNewc *archive, const char *name, guint inode, guint mode, guint links, gsize size)
{
    /* inode, mode, uid, gid, links, mtime, size, device (2), special device (2), length of the name, check. */
    g_autofree gchar *header =
        g_strdup_printf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", inode, mode, 0u, 0u, links, 0u,
                        (guint)size, 0u, 0u, 0u, 0u, (guint)strlen(name) + 1, 0u);

    g_byte_array_append(archive->data, (const guint8 *)header, (guint)strlen(header));
    g_byte_array_append(archive->data, (const guint8 *)name, (guint)strlen(name) + 1);
    pad(archive);
}

static void add_entry(StorageNewc *archive, const char *name, guint mode, guint links, gsize size)
{
    g_return_if_fail(strcmp(archive->last, name) < 0 && size <= G_MAXUINT32);
    g_free(archive->last);
    archive->last = g_strdup(name);
    add(archive, name, ++archive->inode, mode, links, size);
}

void storage_newc_add_folder(StorageNewc *archive, const char *name)
{
    add_entry(archive, name, S_IFDIR | 0755, 2, 0);
}

void storage_newc_add_file(StorageNewc *archive, const char *name, GBytes *data, gboolean executable)
{
    gsize size = 0;
    const guint8 *bytes = g_bytes_get_data(data, &size);

    add_entry(archive, name, S_IFREG | (executable ? 0755 : 0644), 1, size);
    g_byte_array_append(archive->data, bytes, (guint)size);
    pad(archive);
}

GBytes *storage_newc_finish(StorageNewc *archive)
{
    GByteArray *data = archive->data;

    add(archive, TRAILER, 0, 0, 1, 0);
    archive->data = g_byte_array_new();
    archive->inode = 0;
    g_free(archive->last);
    archive->last = g_strdup("");
    return g_byte_array_free_to_bytes(data);
}
