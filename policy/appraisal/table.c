/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The certificate table that a host hands to its guests (GHCB specification, SNP Extended Guest Request): entries of
 * GUID, offset and length, ended by an entry of zeros, then the data. Everything in it is the host's word.
 */
#include <string.h>

#include "measure/bytes.h"
#include "policy/appraisal/private.h"
#include "policy/appraisal/report.h"

#define ENTRY_SIZE 24
/* AMD names five kinds; hosts may add their own. */
#define ENTRIES_MAX 32

/* Unlike those of firmware tables, these GUIDs lie in the byte order in which they are written down (RFC 4122). */
static const struct {
    const char *role, *guid;
} kinds[] = {
    {"vcek", "63da758d-e664-4564-adc5-f4b93be8accd"}, {"vlek", "a8074bc2-a25a-483e-aae6-39c045a0b8a1"},
    {"ask", "4ab7b379-bbac-4fe4-a02f-05aef327c782"},  {"ark", "c0b406a4-a803-4952-9743-3fb6014cd0ae"},
    {"crl", "92f81bc3-5811-4d3d-97ff-d19f88dc67ea"},
};

static void blob_free(gpointer data)
{
    AppraisalBlob *blob = data;

    g_free(blob->role);
    g_bytes_unref(blob->data);
    g_free(blob);
}

GPtrArray *appraisal_blobs_new(void)
{
    return g_ptr_array_new_with_free_func(blob_free);
}

void appraisal_blobs_add(GPtrArray *blobs, const char *role, GBytes *data)
{
    AppraisalBlob *blob = g_new0(AppraisalBlob, 1);

    blob->role = g_strdup(role);
    blob->data = g_bytes_ref(data);
    g_ptr_array_add(blobs, blob);
}

static gchar *format_guid(const guint8 *guid)
{
    g_autofree gchar *hex = measure_hex_encode(guid, MEASURE_GUID_SIZE);

    return g_strdup_printf("%.8s-%.4s-%.4s-%.4s-%s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static gboolean parse_guid(const char *text, guint8 out[MEASURE_GUID_SIZE])
{
    g_autoptr(GString) digits = g_string_new(NULL);

    if (!g_uuid_string_is_valid(text))
        return FALSE;
    for (; *text; text++) {
        if (*text != '-')
            g_string_append_c(digits, *text);
    }
    return measure_hex_decode(digits->str, out, MEASURE_GUID_SIZE);
}

static const char *guid_of_role(const char *role)
{
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (g_str_equal(kinds[i].role, role))
            return kinds[i].guid;
    }
    return role;
}

static const char *role_of_guid(const char *guid)
{
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (g_str_equal(kinds[i].guid, guid))
            return kinds[i].role;
    }
    return guid;
}

#define refuse(error, ...) appraisal_refuse(error, "certificate table", __VA_ARGS__)

/* Number of entries before the one of zeros; none in a table of no bytes. */
static gboolean count_entries(MeasureBytes bytes, guint *out, GError **error)
{
    static const guint8 end[ENTRY_SIZE];
    MeasureBytes entry;

    for (guint n = 0; n <= ENTRIES_MAX; n++) {
        if (!measure_bytes_slice(bytes, (gsize)n * ENTRY_SIZE, ENTRY_SIZE, &entry)) {
            if (n == 0 && bytes.size == 0) {
                *out = 0;
                return TRUE;
            }
            return refuse(error, "it ends after %" G_GSIZE_FORMAT " bytes without the entry of zeros", bytes.size);
        }
        if (memcmp(entry.data, end, ENTRY_SIZE) == 0) {
            *out = n;
            return TRUE;
        }
    }
    return refuse(error, "it has more than %d entries", ENTRIES_MAX);
}

typedef struct {
    guint64 from, to;
} Range;

gboolean appraisal_table_parse(gconstpointer data, gsize size, GPtrArray *out, GError **error)
{
    MeasureBytes bytes = {data, size};
    g_autoptr(GPtrArray) found = appraisal_blobs_new();
    Range ranges[ENTRIES_MAX];
    guint n = 0;

    if (!count_entries(bytes, &n, error))
        return FALSE;
    for (guint i = 0; i < n; i++) {
        gsize at = (gsize)i * ENTRY_SIZE;
        g_autofree gchar *guid = format_guid(bytes.data + at);
        const char *role = role_of_guid(guid);
        guint32 offset = 0, length = 0;

        measure_bytes_u32(bytes, at + 16, &offset);
        measure_bytes_u32(bytes, at + 20, &length);
        ranges[i] = (Range){offset, (guint64)offset + length};
        if (length == 0)
            return refuse(error, "entry %u (%s) is empty", i, role);
        if (offset < ((guint64)n + 1) * ENTRY_SIZE || ranges[i].to > size)
            return refuse(error, "entry %u (%s) of %u bytes at 0x%x lies outside the data", i, role, length, offset);
        for (guint k = 0; k < i; k++) {
            const AppraisalBlob *other = g_ptr_array_index(found, k);

            if (g_str_equal(other->role, role))
                return refuse(error, "entry %u (%s) is there twice", i, role);
            if (ranges[k].from < ranges[i].to && ranges[i].from < ranges[k].to)
                return refuse(error, "entry %u (%s) overlaps entry %u (%s)", i, role, k, other->role);
        }
        g_autoptr(GBytes) blob = g_bytes_new(bytes.data + offset, length);
        appraisal_blobs_add(found, role, blob);
    }
    g_ptr_array_extend_and_steal(out, g_steal_pointer(&found));
    return TRUE;
}

GBytes *appraisal_table_format(const GPtrArray *blobs)
{
    g_autoptr(GByteArray) table = g_byte_array_new();
    gsize offset = ((gsize)blobs->len + 1) * ENTRY_SIZE;

    for (guint i = 0; i < blobs->len; i++) {
        const AppraisalBlob *blob = g_ptr_array_index(blobs, i);
        guint8 entry[ENTRY_SIZE];
        gsize length = g_bytes_get_size(blob->data);

        if (!parse_guid(guid_of_role(blob->role), entry) || offset + length > G_MAXUINT32)
            g_return_val_if_reached(NULL);
        measure_put_u32(entry + 16, (guint32)offset);
        measure_put_u32(entry + 20, (guint32)length);
        g_byte_array_append(table, entry, sizeof(entry));
        offset += length;
    }
    g_byte_array_set_size(table, table->len + ENTRY_SIZE);
    memset(table->data + table->len - ENTRY_SIZE, 0, ENTRY_SIZE);
    for (guint i = 0; i < blobs->len; i++) {
        const AppraisalBlob *blob = g_ptr_array_index(blobs, i);
        gsize length = 0;
        gconstpointer bytes = g_bytes_get_data(blob->data, &length);

        g_byte_array_append(table, bytes, (guint)length);
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&table));
}
