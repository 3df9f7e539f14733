/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libcbor only fails for want of memory here, and GLib programs do not survive that either. */
#include <stdlib.h>

#include "measure/error.h"
#include "policy/exchange/corim-private.h"

static cbor_item_t *number(guint64 value)
{
    /* The library writes as many bytes as it is told: the shortest head is what deterministic CBOR takes. */
    if (value <= G_MAXUINT8)
        return cbor_build_uint8((uint8_t)value);
    if (value <= G_MAXUINT16)
        return cbor_build_uint16((uint16_t)value);
    return value <= G_MAXUINT32 ? cbor_build_uint32((uint32_t)value) : cbor_build_uint64(value);
}

static void put(cbor_item_t *map, guint64 key, cbor_item_t *value)
{
    if (!cbor_map_add(map, (struct cbor_pair){.key = cbor_move(number(key)), .value = cbor_move(value)}))
        g_error("out of memory");
}

/* An array of one element or two. */
static cbor_item_t *list(cbor_item_t *first, cbor_item_t *second)
{
    cbor_item_t *array = cbor_new_definite_array(second ? 2 : 1);

    if (!cbor_array_push(array, cbor_move(first)) || (second && !cbor_array_push(array, cbor_move(second))))
        g_error("out of memory");
    return array;
}

static cbor_item_t *map_of_one(guint64 key, cbor_item_t *value)
{
    cbor_item_t *map = cbor_new_definite_map(1);

    put(map, key, value);
    return map;
}

static cbor_item_t *tagged(guint64 tag, cbor_item_t *item)
{
    return cbor_build_tag(tag, cbor_move(item));
}

static cbor_item_t *environment(void)
{
    cbor_item_t *class_map = cbor_new_definite_map(2);

    put(class_map, CORIM_CLASS_VENDOR, cbor_build_string(CORIM_VENDOR));
    put(class_map, CORIM_CLASS_MODEL, cbor_build_string(CORIM_MODEL));
    return map_of_one(0, class_map);
}

static cbor_item_t *measurement(const guint8 digest[MEASURE_SHA384_SIZE])
{
    cbor_item_t *map = cbor_new_definite_map(2);
    cbor_item_t *entry = list(number(CORIM_SHA384), cbor_build_bytestring(digest, MEASURE_SHA384_SIZE));

    put(map, CORIM_MEASUREMENT_KEY, cbor_build_string(CORIM_KEY));
    put(map, CORIM_MEASUREMENT_VALUES, map_of_one(CORIM_VALUES_DIGESTS, list(entry, NULL)));
    return map;
}

static cbor_item_t *triples(const guint8 digest[MEASURE_SHA384_SIZE], gboolean has_svn, guint32 svn)
{
    cbor_item_t *map = cbor_new_definite_map(has_svn ? 2 : 1);

    put(map, CORIM_TRIPLES_REFERENCE, list(list(environment(), list(measurement(digest), NULL)), NULL));
    if (has_svn) {
        cbor_item_t *condition = list(environment(), cbor_new_definite_array(0));
        cbor_item_t *endorsed =
            map_of_one(CORIM_MEASUREMENT_VALUES, map_of_one(CORIM_VALUES_SVN, tagged(CORIM_TAG_SVN, number(svn))));
        cbor_item_t *series = list(list(measurement(digest), NULL), list(endorsed, NULL));

        put(map, CORIM_TRIPLES_SERIES, list(list(condition, list(series, NULL)), NULL));
    }
    return map;
}

static GBytes *serialize(cbor_item_t *item)
{
    unsigned char *data = NULL;
    size_t allocated = 0;
    size_t size = cbor_serialize_alloc(item, &data, &allocated);
    GBytes *bytes = NULL;

    if (!size)
        g_error("out of memory");
    bytes = g_bytes_new(data, size);
    free(data);
    cbor_decref(&item);
    return bytes;
}

GBytes *exchange_corim_format(const PolicyReference *reference, GError **error)
{
    const XmlMeasurement *only = NULL;
    cbor_item_t *comid = NULL, *map = NULL;
    g_autoptr(GBytes) inner = NULL;
    gboolean has_svn = reference->identity || !reference->id_block_sha256;

    if (!exchange_require_snp(reference, "CoRIM", error))
        return NULL;
    if (reference->measurements->len > 1) {
        exchange_fail(error, ATTEST_ERROR_USAGE,
                      "a CoRIM of this profile holds one measurement, and the reference has %u: "
                      "choose one with --cpu and --vcpus",
                      reference->measurements->len);
        return NULL;
    }
    only = g_ptr_array_index(reference->measurements, 0);
    comid = cbor_new_definite_map(2);
    put(comid, CORIM_COMID_IDENTITY, map_of_one(0, cbor_build_string(CORIM_TAG_ID)));
    put(comid, CORIM_COMID_TRIPLES,
        triples(only->digest.bytes, has_svn, reference->identity ? reference->identity->guest_svn : 0));
    inner = serialize(comid);
    map = cbor_new_definite_map(3);
    put(map, CORIM_MAP_ID, cbor_build_string(CORIM_ID));
    put(map, CORIM_MAP_TAGS,
        list(tagged(CORIM_TAG_COMID, cbor_build_bytestring(g_bytes_get_data(inner, NULL), g_bytes_get_size(inner))),
             NULL));
    put(map, CORIM_MAP_PROFILE, tagged(CORIM_TAG_URI, cbor_build_string(CORIM_PROFILE)));
    return serialize(tagged(CORIM_TAG_CORIM, map));
}
