/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * AMD's extensions, 1.3.6.1.4.1.3704.1.*, read by hand: their contents are so small that everything but the one right
 * encoding of each can be refused. VCEK Certificate and KDS Interface Specification (57230), X.509v3 extensions.
 */
#include "policy/appraisal/extensions.h"

#include <string.h>

#include "measure/bytes.h"
#include "policy/appraisal/private.h"

#define TAG_INTEGER 0x02
#define TAG_OCTETS 0x04
#define TAG_IA5_STRING 0x16
#define TEXT_MAX 255

/* DER of 1.3.6.1.4.1.3704.1, without tag and length. */
static const guint8 amd_arc[] = {0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01};

#define refuse(error, ...) appraisal_refuse(error, "certificate", __VA_ARGS__)

void appraisal_extensions_clear(AppraisalExtensions *extensions)
{
    g_clear_pointer(&extensions->product, g_free);
    g_clear_pointer(&extensions->csp_id, g_free);
    g_clear_pointer(&extensions->hwid, g_bytes_unref);
}

/* The contents when @bytes is exactly one element with @tag and a length of one byte, or of 0x81 and one. */
static gboolean read_element(MeasureBytes bytes, guint8 tag, MeasureBytes *out)
{
    gsize header = 2, length = 0;

    if (bytes.size < 2 || bytes.data[0] != tag)
        return FALSE;
    length = bytes.data[1];
    if (length == 0x81) {
        if (bytes.size < 3 || bytes.data[2] < 0x80)
            return FALSE;
        header = 3;
        length = bytes.data[2];
    } else if (length > 0x7f) {
        return FALSE;
    }
    return bytes.size == header + length && measure_bytes_slice(bytes, header, length, out);
}

/* 0 to 255: one byte, or two of which the first keeps the second from being a negative number. */
static gboolean read_byte(MeasureBytes bytes, const char *name, guint8 *out, GError **error)
{
    MeasureBytes value;

    if (!read_element(bytes, TAG_INTEGER, &value) || value.size < 1)
        return refuse(error, "%s is not a number in DER", name);
    if (value.size == 1 && value.data[0] < 0x80) {
        *out = value.data[0];
        return TRUE;
    }
    if (value.size == 2 && value.data[0] == 0 && value.data[1] >= 0x80) {
        *out = value.data[1];
        return TRUE;
    }
    return refuse(error, "%s is not a number from 0 to 255", name);
}

static gboolean read_text(MeasureBytes bytes, const char *name, gchar **out, GError **error)
{
    MeasureBytes value;

    if (!read_element(bytes, TAG_IA5_STRING, &value) || value.size < 1 || value.size > TEXT_MAX)
        return refuse(error, "%s is not a text in DER", name);
    for (gsize i = 0; i < value.size; i++) {
        if (!g_ascii_isprint((char)value.data[i]))
            return refuse(error, "%s has a character that cannot be printed", name);
    }
    *out = g_strndup((const char *)value.data, value.size);
    return TRUE;
}

/* The bytes as they are; some certificates wrap them. No HWID of 8 or 64 bytes has the length of a wrapped one. */
static gboolean read_hwid(MeasureBytes bytes, GBytes **out, GError **error)
{
    MeasureBytes value = bytes;

    if (bytes.size != 8 && bytes.size != 64 && !read_element(bytes, TAG_OCTETS, &value))
        return refuse(error, "the HWID has %" G_GSIZE_FORMAT " bytes", bytes.size);
    if (value.size != 8 && value.size != 64)
        return refuse(error, "the HWID has %" G_GSIZE_FORMAT " bytes; it has 8 on Turin and 64 before", value.size);
    *out = g_bytes_new(value.data, value.size);
    return TRUE;
}

/* @id: what follows AMD's arc: "1", "2", "3.1" to "3.9", "4", "5", each of one byte. */
static gboolean read_amd(MeasureBytes id, MeasureBytes value, guint *seen, AppraisalExtensions *out, GError **error)
{
    static const char *const levels[] = {NULL,   "blSPL", "teeSPL", "snpSPL",   "spl4",
                                         "spl5", "spl6",  "spl7",   "ucodeSPL", "fmcSPL"};
    guint n = id.data[0], bit = n;

    if (id.size == 2 && n == 3 && id.data[1] >= 1 && id.data[1] <= 9)
        bit = 8u + id.data[1];
    else if (id.size != 1 || n < 1 || n == 3 || n > 5)
        return refuse(error, "it has an extension of AMD's that this version does not know");
    if (*seen & 1u << bit)
        return refuse(error, "it has one of AMD's extensions twice");
    *seen |= 1u << bit;
    if (n == 1)
        return read_byte(value, "structVersion", &out->struct_version, error);
    if (n == 2)
        return read_text(value, "productName", &out->product, error);
    if (n == 4)
        return read_hwid(value, &out->hwid, error);
    if (n == 5)
        return read_text(value, "CSP_ID", &out->csp_id, error);
    out->present |= 1u << id.data[1];
    return read_byte(value, levels[id.data[1]], &out->spl[id.data[1]], error);
}

gboolean appraisal_extensions_read(const X509 *certificate, AppraisalExtensions *out, GError **error)
{
    guint seen = 0;

    for (int i = 0; i < X509_get_ext_count(certificate); i++) {
        X509_EXTENSION *extension = X509_get_ext(certificate, i);
        ASN1_OBJECT *object = X509_EXTENSION_get_object(extension);
        const ASN1_OCTET_STRING *octets = X509_EXTENSION_get_data(extension);
        MeasureBytes id = {OBJ_get0_data(object), OBJ_length(object)};
        MeasureBytes value = {ASN1_STRING_get0_data(octets), (gsize)ASN1_STRING_length(octets)};

        if (id.size > sizeof(amd_arc) && memcmp(id.data, amd_arc, sizeof(amd_arc)) == 0) {
            id = (MeasureBytes){id.data + sizeof(amd_arc), id.size - sizeof(amd_arc)};
            if (!read_amd(id, value, &seen, out, error))
                return FALSE;
        } else if (X509_EXTENSION_get_critical(extension)) {
            return refuse(error, "it has a critical extension that no VCEK or VLEK has");
        }
    }
    /* 1 structVersion, 2 productName. */
    return (seen & 6u) == 6u || refuse(error, "it has no %s", seen & 2u ? "productName" : "structVersion");
}
