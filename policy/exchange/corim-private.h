/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers and names that writer and reader of CoRIM share. */
#pragma once

#include <cbor.h>

#include "policy/exchange/corim.h"

#define CORIM_PROFILE "tag:microsoft.com,2026:launch-measurement/v1"
#define CORIM_ID "AMD/SEV-SNP/launch-measurement"
/* UUIDv5 of "AMD/SEV-SNP" in the profile's name space 85f3f1c2-22a8-441e-a1b9-bccfb63ed5f7. */
#define CORIM_TAG_ID "77e8061e-4634-5e53-a848-d1d09e996843"
#define CORIM_VENDOR "AMD"
#define CORIM_MODEL "SEV-SNP"
#define CORIM_KEY "MEASUREMENT"

/* Tags. */
enum { CORIM_TAG_URI = 32, CORIM_TAG_CORIM = 501, CORIM_TAG_COMID = 506, CORIM_TAG_SVN = 552 };
/* Keys of the maps. */
enum { CORIM_MAP_ID = 0, CORIM_MAP_TAGS = 1, CORIM_MAP_PROFILE = 3 };
enum { CORIM_COMID_IDENTITY = 1, CORIM_COMID_TRIPLES = 4 };
enum { CORIM_TRIPLES_REFERENCE = 0, CORIM_TRIPLES_SERIES = 8 };
enum { CORIM_CLASS_VENDOR = 1, CORIM_CLASS_MODEL = 2 };
enum { CORIM_MEASUREMENT_KEY = 0, CORIM_MEASUREMENT_VALUES = 1 };
enum { CORIM_VALUES_SVN = 1, CORIM_VALUES_DIGESTS = 2 };
enum { CORIM_SHA384 = 7 };

static inline void corim_item_clear(cbor_item_t **item)
{
    if (*item)
        cbor_decref(item);
}
typedef cbor_item_t *CorimItem;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CorimItem, corim_item_clear)
