/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The reader takes what the profile allows and nothing beside it. libcbor allocates what a head promises, so every head
 * is checked against the bytes that are there before the library sees any of them.
 */
#include <string.h>

#include "measure/error.h"
#include "policy/exchange/corim-private.h"

#define MAX_DEPTH 24

static gboolean fail(GError **error, const char *what)
{
    return exchange_fail(error, ATTEST_ERROR_UNREADABLE, "the CoRIM %s", what);
}

/* ---- before libcbor ---- */

/* The argument of the head at @at (RFC 8949, section 3); FALSE unless it is whole, of definite length and shortest
 * form. */
static gboolean read_head(const guint8 *data, gsize size, gsize *at, guint *major, guint64 *argument)
{
    guint info = 0;
    gsize length = 0;
    guint64 value = 0;

    if (*at >= size)
        return FALSE;
    *major = data[*at] >> 5;
    info = data[*at] & 0x1f;
    (*at)++;
    if (info < 24) {
        *argument = info;
        return TRUE;
    }
    if (info > 27)
        return FALSE;
    length = (gsize)1 << (info - 24);
    if (size - *at < length)
        return FALSE;
    for (gsize i = 0; i < length; i++)
        value = value << 8 | data[(*at)++];
    *argument = value;
    return length == 1 ? value >= 24 : value >> (length * 4) != 0;
}

static gboolean check_item(const guint8 *data, gsize size, gsize *at, guint depth)
{
    guint major = 0;
    guint64 argument = 0, items = 0;

    if (depth > MAX_DEPTH || !read_head(data, size, at, &major, &argument))
        return FALSE;
    switch (major) {
    case 0: /* whole numbers */
    case 1:
        return TRUE;
    case 2: /* bytes, text */
    case 3:
        if (argument > size - *at ||
            (major == 3 && !g_utf8_validate_len((const gchar *)data + *at, (gsize)argument, NULL)))
            return FALSE;
        *at += (gsize)argument;
        return TRUE;
    case 4: /* arrays, maps, tags: every element has a byte at least */
    case 5:
        if (argument > (size - *at) / (major == 5 ? 2 : 1))
            return FALSE;
        items = argument * (major == 5 ? 2 : 1);
        break;
    case 6:
        items = 1;
        break;
    default: /* fractions, true, false, null: none of this profile's */
        return FALSE;
    }
    for (guint64 i = 0; i < items; i++) {
        if (!check_item(data, size, at, depth + 1))
            return FALSE;
    }
    return TRUE;
}

static cbor_item_t *load(const guint8 *data, gsize size, GError **error)
{
    struct cbor_load_result result = {0};
    cbor_item_t *item = NULL;
    gsize at = 0;

    if (size > EXCHANGE_CORIM_MAX_SIZE || !check_item(data, size, &at, 0) || at != size) {
        fail(error, "is not CBOR in the form that this profile takes");
        return NULL;
    }
    item = cbor_load(data, size, &result);
    if (!item || result.error.code != CBOR_ERR_NONE || result.read != size) {
        if (item)
            cbor_decref(&item);
        fail(error, "is not CBOR");
        return NULL;
    }
    return item;
}

/* ---- pieces; what they return is borrowed from @item ---- */

static gboolean is_text(const cbor_item_t *item, const char *text, gboolean any_case)
{
    gsize length = strlen(text);
    const char *found = NULL;

    if (!item || !cbor_isa_string(item) || !cbor_string_is_definite(item) || cbor_string_length(item) != length)
        return FALSE;
    found = (const char *)cbor_string_handle(item);
    return any_case ? !g_ascii_strncasecmp(found, text, length) : !memcmp(found, text, length);
}

static cbor_item_t *untag(const cbor_item_t *item, guint64 tag)
{
    return item && cbor_isa_tag(item) && cbor_tag_value(item) == tag ? cbor_move(cbor_tag_item(item)) : NULL;
}

/* The elements of an array of exactly @n. */
static cbor_item_t **elements(const cbor_item_t *item, gsize n)
{
    return item && cbor_isa_array(item) && cbor_array_size(item) == n ? cbor_array_handle(item) : NULL;
}

static cbor_item_t *only_element(const cbor_item_t *item)
{
    cbor_item_t **found = elements(item, 1);

    return found ? found[0] : NULL;
}

static gboolean is_number(const cbor_item_t *item, guint64 *out)
{
    if (!item || !cbor_isa_uint(item))
        return FALSE;
    *out = cbor_get_int(item);
    return TRUE;
}

/*
 * The values of the @n keys in @keys, each at most once, NULL for one that is not there; FALSE for another key.
 */
static gboolean members(const cbor_item_t *item, const guint64 *keys, gsize n, cbor_item_t **out)
{
    struct cbor_pair *pairs = NULL;

    if (!item || !cbor_isa_map(item))
        return FALSE;
    memset(out, 0, n * sizeof(*out));
    pairs = cbor_map_handle(item);
    for (gsize i = 0; i < cbor_map_size(item); i++) {
        guint64 key = 0;
        gsize found = 0;

        if (!is_number(pairs[i].key, &key))
            return FALSE;
        while (found < n && keys[found] != key)
            found++;
        if (found == n || out[found])
            return FALSE;
        out[found] = pairs[i].value;
    }
    return TRUE;
}

static cbor_item_t *only_member(const cbor_item_t *item, guint64 key)
{
    cbor_item_t *value = NULL;

    return members(item, &key, 1, &value) ? value : NULL;
}

/* ---- the document ---- */

static gboolean is_environment(const cbor_item_t *item)
{
    static const guint64 keys[] = {CORIM_CLASS_VENDOR, CORIM_CLASS_MODEL};
    cbor_item_t *values[2];

    return members(only_member(item, 0), keys, 2, values) && is_text(values[0], CORIM_VENDOR, FALSE) &&
           is_text(values[1], CORIM_MODEL, FALSE);
}

/* The 48 bytes of a measurement with one digest. */
static const guint8 *measurement_digest(const cbor_item_t *item)
{
    static const guint64 keys[] = {CORIM_MEASUREMENT_KEY, CORIM_MEASUREMENT_VALUES};
    cbor_item_t *values[2];
    cbor_item_t **digest = NULL;
    guint64 algorithm = 0;

    if (!members(item, keys, 2, values) || !is_text(values[0], CORIM_KEY, FALSE))
        return NULL;
    digest = elements(only_element(only_member(values[1], CORIM_VALUES_DIGESTS)), 2);
    if (!digest || !is_number(digest[0], &algorithm) || algorithm != CORIM_SHA384 || !cbor_isa_bytestring(digest[1]) ||
        cbor_bytestring_length(digest[1]) != MEASURE_SHA384_SIZE)
        return NULL;
    return cbor_bytestring_handle(digest[1]);
}

/* [[environment, []], [[[measurement], [{1: {1: 552(svn)}}]]]], for the same digest. */
static gboolean read_series(const cbor_item_t *item, ExchangeDigest *out)
{
    cbor_item_t **record = elements(only_element(item), 2);
    cbor_item_t **condition = record ? elements(record[0], 2) : NULL;
    cbor_item_t **series = record ? elements(only_element(record[1]), 2) : NULL;
    const guint8 *selected = NULL;

    if (!condition || !series || !is_environment(condition[0]) || !cbor_isa_array(condition[1]) ||
        cbor_array_size(condition[1]))
        return FALSE;
    selected = measurement_digest(only_element(series[0]));
    if (!selected || memcmp(selected, out->bytes, sizeof(out->bytes)))
        return FALSE;
    item = only_member(only_member(only_element(series[1]), CORIM_MEASUREMENT_VALUES), CORIM_VALUES_SVN);
    out->has_svn = is_number(untag(item, CORIM_TAG_SVN), &out->svn);
    return out->has_svn;
}

static ExchangeDigest *read_triples(const cbor_item_t *item, GError **error)
{
    static const guint64 keys[] = {CORIM_TRIPLES_REFERENCE, CORIM_TRIPLES_SERIES};
    g_autoptr(GPtrArray) owner = exchange_digests_new();
    cbor_item_t *values[2];
    cbor_item_t **record = NULL;
    const guint8 *bytes = NULL;
    ExchangeDigest *digest = NULL;

    if (!members(item, keys, 2, values) || !(record = elements(only_element(values[0]), 2)) ||
        !is_environment(record[0]) || !(bytes = measurement_digest(only_element(record[1])))) {
        fail(error, "has no single reference value of AMD SEV-SNP with one SHA-384 digest");
        return NULL;
    }
    digest = exchange_digest_new(CORIM_VENDOR "/" CORIM_MODEL "/" CORIM_KEY, bytes);
    g_ptr_array_add(owner, digest);
    if (values[1] && !read_series(values[1], digest)) {
        fail(error, "endorses something else than one exact version number for its digest");
        return NULL;
    }
    return g_ptr_array_steal_index(owner, 0);
}

static ExchangeDigest *read_comid(const guint8 *data, gsize size, GError **error)
{
    static const guint64 keys[] = {CORIM_COMID_IDENTITY, CORIM_COMID_TRIPLES};
    g_auto(CorimItem) item = load(data, size, error);
    cbor_item_t *values[2];

    if (!item)
        return NULL;
    if (!members(item, keys, 2, values) || !is_text(only_member(values[0], 0), CORIM_TAG_ID, TRUE)) {
        fail(error, "has a tag that is not the profile's for AMD SEV-SNP");
        return NULL;
    }
    return read_triples(values[1], error);
}

GPtrArray *exchange_corim_parse(const guint8 *data, gsize size, GError **error)
{
    static const guint64 keys[] = {CORIM_MAP_ID, CORIM_MAP_TAGS, CORIM_MAP_PROFILE};
    g_auto(CorimItem) item = load(data, size, error);
    g_autoptr(GPtrArray) digests = exchange_digests_new();
    cbor_item_t *values[3];
    cbor_item_t *comid = NULL, *profile = NULL;
    ExchangeDigest *digest = NULL;

    if (!item)
        return NULL;
    if (!members(untag(item, CORIM_TAG_CORIM), keys, 3, values) || !values[0]) {
        fail(error, "is not an unsigned one with an ID, tags and a profile");
        return NULL;
    }
    /* The drafts tag the URI, programs have written it bare. */
    profile = untag(values[2], CORIM_TAG_URI);
    if (!is_text(profile ? profile : values[2], CORIM_PROFILE, FALSE)) {
        fail(error, "has another profile than " CORIM_PROFILE);
        return NULL;
    }
    comid = untag(only_element(values[1]), CORIM_TAG_COMID);
    if (!comid || !cbor_isa_bytestring(comid)) {
        fail(error, "does not hold exactly one CoMID");
        return NULL;
    }
    digest = read_comid(cbor_bytestring_handle(comid), cbor_bytestring_length(comid), error);
    if (!digest)
        return NULL;
    g_ptr_array_add(digests, digest);
    return g_steal_pointer(&digests);
}
