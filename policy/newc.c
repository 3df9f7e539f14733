/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/newc.h"

#include <string.h>

/* Fields of eight digits behind the magic. */
enum { FIELD_MODE = 1, FIELD_SIZE = 6, FIELD_NAME_SIZE = 11, MAX_NAME = 4096 };

static gboolean read_field(MeasureBytes header, guint index, guint32 *out)
{
    guint32 value = 0;

    for (guint i = 0; i < 8; i++) {
        gint digit = g_ascii_xdigit_value((gchar)header.data[6 + index * 8 + i]);

        if (digit < 0)
            return FALSE;
        value = value << 4 | (guint32)digit;
    }
    *out = value;
    return TRUE;
}

/* Moves @at to a multiple of four; FALSE when that is outside. */
static gboolean skip_padding(MeasureBytes archive, gsize *at, gboolean *zero)
{
    MeasureBytes padding;

    if (!measure_bytes_slice(archive, *at, (4 - *at % 4) % 4, &padding))
        return FALSE;
    for (gsize i = 0; i < padding.size; i++)
        *zero = *zero && !padding.data[i];
    *at += padding.size;
    return TRUE;
}

gboolean policy_newc_next(MeasureBytes archive, gsize *at, PolicyNewcEntry *out)
{
    PolicyNewcEntry entry = {.padding = TRUE};
    guint32 size = 0, name_size = 0;
    gsize offset = *at;
    MeasureBytes name;

    if (!measure_bytes_slice(archive, offset, POLICY_NEWC_HEADER, &entry.header) ||
        memcmp(entry.header.data, "070701", 6) || !read_field(entry.header, FIELD_MODE, &entry.mode) ||
        !read_field(entry.header, FIELD_SIZE, &size) || !read_field(entry.header, FIELD_NAME_SIZE, &name_size) ||
        name_size < 2 || name_size > MAX_NAME)
        return FALSE;
    offset += POLICY_NEWC_HEADER;
    if (!measure_bytes_slice(archive, offset, name_size, &name) ||
        memchr(name.data, '\0', name.size) != name.data + name.size - 1)
        return FALSE;
    entry.name = (const char *)name.data;
    offset += name_size;
    if (!skip_padding(archive, &offset, &entry.padding) || !measure_bytes_slice(archive, offset, size, &entry.data))
        return FALSE;
    offset += size;
    if (!skip_padding(archive, &offset, &entry.padding))
        return FALSE;
    *at = offset;
    *out = entry;
    return TRUE;
}

gboolean policy_newc_is_canonical(const PolicyNewcEntry *entry, guint inode, guint mode, guint links)
{
    char header[POLICY_NEWC_HEADER + 1];

    g_snprintf(header, sizeof(header), "070701%08X%08X%016X%08X%08X%08X%032X%08X%08X", inode, mode, 0u, links, 0u,
               (guint)entry->data.size, 0u, (guint)strlen(entry->name) + 1, 0u);
    return entry->padding && !memcmp(entry->header.data, header, POLICY_NEWC_HEADER);
}
