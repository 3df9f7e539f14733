/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure/bytes.h"

#include <openssl/crypto.h>
#include <string.h>

gboolean measure_bytes_slice(MeasureBytes bytes, gsize offset, gsize size, MeasureBytes *out)
{
    /* Written so that no sum of two untrusted numbers is ever formed. */
    if (offset > bytes.size || size > bytes.size - offset)
        return FALSE;
    out->data = bytes.data ? bytes.data + offset : NULL;
    out->size = size;
    return TRUE;
}

gboolean measure_bytes_u16(MeasureBytes bytes, gsize offset, guint16 *out)
{
    MeasureBytes field;

    if (!measure_bytes_slice(bytes, offset, sizeof *out, &field))
        return FALSE;
    *out = (guint16)(field.data[0] | field.data[1] << 8);
    return TRUE;
}

gboolean measure_bytes_u32(MeasureBytes bytes, gsize offset, guint32 *out)
{
    MeasureBytes field;

    if (!measure_bytes_slice(bytes, offset, sizeof *out, &field))
        return FALSE;
    *out = (guint32)field.data[0] | (guint32)field.data[1] << 8 | (guint32)field.data[2] << 16 |
           (guint32)field.data[3] << 24;
    return TRUE;
}

gboolean measure_bytes_u64(MeasureBytes bytes, gsize offset, guint64 *out)
{
    MeasureBytes field;
    guint32 low = 0, high = 0;

    if (!measure_bytes_slice(bytes, offset, sizeof *out, &field))
        return FALSE;
    (void)measure_bytes_u32(field, 0, &low);
    (void)measure_bytes_u32(field, 4, &high);
    *out = (guint64)high << 32 | low;
    return TRUE;
}

void measure_put_u16(guint8 *at, guint16 value)
{
    at[0] = (guint8)value;
    at[1] = (guint8)(value >> 8);
}

void measure_put_u32(guint8 *at, guint32 value)
{
    measure_put_u16(at, (guint16)value);
    measure_put_u16(at + 2, (guint16)(value >> 16));
}

void measure_put_u64(guint8 *at, guint64 value)
{
    measure_put_u32(at, (guint32)value);
    measure_put_u32(at + 4, (guint32)(value >> 32));
}

/* Where the bytes of the printed form lie in memory: the first three fields are little-endian. */
static const guint8 guid_order[MEASURE_GUID_SIZE] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

void measure_guid_parse(const char *text, guint8 out[MEASURE_GUID_SIZE])
{
    gsize at = 0;

    for (guint i = 0; i < MEASURE_GUID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            g_assert(text[at] == '-');
            at++;
        }
        g_assert(g_ascii_isxdigit(text[at]) && g_ascii_isxdigit(text[at + 1]));
        out[guid_order[i]] = (guint8)(g_ascii_xdigit_value(text[at]) << 4 | g_ascii_xdigit_value(text[at + 1]));
        at += 2;
    }
    g_assert(text[at] == '\0');
}

gchar *measure_guid_format(const guint8 guid[MEASURE_GUID_SIZE])
{
    GString *text = g_string_sized_new(37);

    for (guint i = 0; i < MEASURE_GUID_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            g_string_append_c(text, '-');
        g_string_append_printf(text, "%02x", guid[guid_order[i]]);
    }
    return g_string_free(text, FALSE);
}

gchar *measure_hex_encode(const guint8 *data, gsize size)
{
    static const char digits[] = "0123456789abcdef";
    gchar *text = g_malloc(2 * size + 1);

    for (gsize i = 0; i < size; i++) {
        text[2 * i] = digits[data[i] >> 4];
        text[2 * i + 1] = digits[data[i] & 0xf];
    }
    text[2 * size] = '\0';
    return text;
}

gboolean measure_hex_decode(const char *text, guint8 *out, gsize size)
{
    if (strlen(text) / 2 != size || strlen(text) % 2)
        return FALSE;
    for (gsize i = 0; i < 2 * size; i++) {
        if (!g_ascii_isxdigit(text[i]))
            return FALSE;
    }
    for (gsize i = 0; i < size; i++)
        out[i] = (guint8)(g_ascii_xdigit_value(text[2 * i]) << 4 | g_ascii_xdigit_value(text[2 * i + 1]));
    return TRUE;
}

gboolean measure_digest_equal(const guint8 *a, const guint8 *b, gsize size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}
