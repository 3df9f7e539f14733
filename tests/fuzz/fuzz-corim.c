/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CoRIM: a digest that is read is written again, and read back the same. */
#include <stdint.h>
#include <string.h>

#include "policy/exchange/corim.h"
#include "policy/reference-private.h"
#include "tests/fuzz/exchange-oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const ExchangeDigest *digest)
{
    g_autoptr(PolicyReference) reference = policy_reference_alloc();
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(GPtrArray) back = NULL;
    XmlMeasurement *measurement = xml_measurement_new();
    const ExchangeDigest *same = NULL;

    reference->platform = MEASURE_PLATFORM_SNP;
    measurement->digest.size = MEASURE_SHA384_SIZE;
    memcpy(measurement->digest.bytes, digest->bytes, MEASURE_SHA384_SIZE);
    g_ptr_array_add(reference->measurements, measurement);
    reference->identity = g_new0(PolicyIdentity, 1);
    reference->identity->guest_svn = (guint32)digest->svn;
    bytes = exchange_corim_format(reference, NULL);
    back = bytes ? exchange_corim_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), NULL) : NULL;
    same = back ? g_ptr_array_index(back, 0) : NULL;
    if (!same || memcmp(same->bytes, digest->bytes, sizeof(same->bytes)) || same->svn != (guint32)digest->svn)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) digests = exchange_corim_parse(data ? data : (const uint8_t *)"", size, &error);

    if (!digests) {
        check_error(&error);
        return 0;
    }
    for (guint i = 0; i < digests->len; i++)
        check_again(g_ptr_array_index(digests, i));
    return 0;
}
