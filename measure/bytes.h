/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bounds-checked little-endian access to untrusted bytes. Every parser of
 * firmware, reports and archives reads through these; nothing casts a buffer.
 */
#pragma once

#include <glib.h>

/**
 * MeasureBytes:
 * @data: first byte; not owned
 * @size: number of bytes
 *
 * A borrowed view of untrusted bytes.
 */
typedef struct {
    const guint8 *data;
    gsize size;
} MeasureBytes;

/* Each returns FALSE, and leaves @out alone, when the field does not lie inside @bytes. */
gboolean measure_bytes_u16(MeasureBytes bytes, gsize offset, guint16 *out);
gboolean measure_bytes_u32(MeasureBytes bytes, gsize offset, guint32 *out);
gboolean measure_bytes_u64(MeasureBytes bytes, gsize offset, guint64 *out);
gboolean measure_bytes_slice(MeasureBytes bytes, gsize offset, gsize size, MeasureBytes *out);

/* Writers for buffers that we own; the caller guarantees the room. */
void measure_put_u16(guint8 *at, guint16 value);
void measure_put_u32(guint8 *at, guint32 value);
void measure_put_u64(guint8 *at, guint64 value);

#define MEASURE_GUID_SIZE 16

/**
 * measure_guid_parse:
 * @text: "96b582de-1fb2-45f7-baea-a366c55a082d"; a program constant, aborts when malformed
 * @out: (out caller-allocates) (array fixed-size=16): EFI mixed-endian bytes (first three fields little-endian)
 */
void measure_guid_parse(const char *text, guint8 out[MEASURE_GUID_SIZE]);
gchar *measure_guid_format(const guint8 guid[MEASURE_GUID_SIZE]);

/**
 * measure_hex_encode / measure_hex_decode:
 *
 * Lower-case hexadecimal. Decoding demands exactly 2 * @size digits (upper or lower case) and
 * returns %FALSE otherwise.
 */
gchar *measure_hex_encode(const guint8 *data, gsize size);
gboolean measure_hex_decode(const char *text, guint8 *out, gsize size);

/* Constant-time comparison of two digests of the same size. */
gboolean measure_digest_equal(const guint8 *a, const guint8 *b, gsize size);
