/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding a partition by its GUID: UEFI Specification 2.10, section 5.3. The bytes are the host's. */
#include <stdio.h>
#include <string.h>

#include "guest/init.h"

#define HEADER_SIZE 92
#define ENTRY_SIZE 128
/* Entries that Linux and everybody else makes; more are not looked at. */
#define ENTRIES_MAX 128

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t le64(const uint8_t *p)
{
    return le32(p) | (uint64_t)le32(p + 4) << 32;
}

/* Starts with, and its result is inverted: UINT32_MAX. */
static uint32_t crc32_add(uint32_t crc, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return crc;
}

/* The first three fields of a GUID are little-endian. */
static void guid_text(const uint8_t *guid, char out[37])
{
    snprintf(out, 37, "%08x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", le32(guid), guid[5], guid[4], guid[7],
             guid[6], guid[8], guid[9], guid[10], guid[11], guid[12], guid[13], guid[14], guid[15]);
}

int guest_gpt_find(GuestReadAt read, void *context, uint64_t disk_size, uint32_t block_size, const char *uuid)
{
    static const uint8_t unused[16];
    uint8_t header[HEADER_SIZE], entry[ENTRY_SIZE];
    uint64_t start;
    uint32_t entries, checksum, table = UINT32_MAX;
    int found = 0;

    if (block_size < 512 || block_size > 4096 || (block_size & (block_size - 1)) || disk_size / block_size < 4)
        return -1;
    if (read(context, header, sizeof(header), block_size) < 0 || memcmp(header, "EFI PART", 8) != 0 ||
        le32(header + 12) != HEADER_SIZE)
        return -1;
    checksum = le32(header + 16);
    memset(header + 16, 0, 4);
    start = le64(header + 72);
    entries = le32(header + 80);
    if (~crc32_add(UINT32_MAX, header, sizeof(header)) != checksum || le64(header + 24) != 1 ||
        le32(header + 84) != ENTRY_SIZE || !entries || entries > ENTRIES_MAX || start < 2 ||
        start >= disk_size / block_size || entries * ENTRY_SIZE > disk_size - start * block_size)
        return -1;
    for (uint32_t i = 0; i < entries; i++) {
        char text[37];

        if (read(context, entry, sizeof(entry), start * block_size + (uint64_t)i * ENTRY_SIZE) < 0)
            return -1;
        table = crc32_add(table, entry, sizeof(entry));
        guid_text(entry + 16, text);
        if (!found && memcmp(entry, unused, sizeof(unused)) != 0 && !strcmp(text, uuid))
            found = (int)i + 1;
    }
    return ~table == le32(header + 88) ? found : -1;
}
