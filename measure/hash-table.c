/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure/hash-table.h"

#include <string.h>

#include "measure/hash.h"

enum {
    HEADER_SIZE = MEASURE_GUID_SIZE + 2,
    ENTRY_SIZE = HEADER_SIZE + MEASURE_SHA256_SIZE,
    TABLE_SIZE = HEADER_SIZE + 3 * ENTRY_SIZE,
};

G_STATIC_ASSERT(TABLE_SIZE == 168);

static void put_header(guint8 *at, const char *guid, guint16 length)
{
    measure_guid_parse(guid, at);
    measure_put_u16(at + MEASURE_GUID_SIZE, length);
}

static void put_entry(guint8 *table, guint index, const char *guid, const guint8 digest[MEASURE_SHA256_SIZE])
{
    guint8 *at = table + HEADER_SIZE + index * ENTRY_SIZE;

    put_header(at, guid, ENTRY_SIZE);
    memcpy(at + HEADER_SIZE, digest, MEASURE_SHA256_SIZE);
}

void measure_hash_table_fill(guint8 table[MEASURE_HASH_TABLE_SIZE], const MeasureInputs *inputs)
{
    guint8 nothing[MEASURE_SHA256_SIZE];

    memset(table, 0, MEASURE_HASH_TABLE_SIZE);
    if (!inputs->initrd) {
        g_autoptr(EVP_MD_CTX) state = measure_hash_new(MEASURE_HASH_SHA256);
        measure_hash_finish(state, nothing);
    }
    put_header(table, "9438d606-4f22-4cc9-b479-a793d411fd21", TABLE_SIZE);
    put_entry(table, 0, "97d02dd8-bd20-4c94-aa78-e7714d36ab2a", inputs->cmdline_sha256);
    put_entry(table, 1, "44baf731-3a2f-4bd7-9af1-41e29169781d", inputs->initrd ? inputs->initrd->sha256 : nothing);
    put_entry(table, 2, "4de79437-abd2-427f-b835-d5b172d2045b", inputs->kernel->sha256);
}
