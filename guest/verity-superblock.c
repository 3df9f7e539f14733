/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the words say about the hash disk, as bytes: no device is touched here. */
#include <string.h>

#include "guest/init.h"

#define BLOCK_MAX 4096
#define LEVELS_MAX 63 /* DM_VERITY_MAX_LEVELS of the kernel */

static void put_le(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

/* cryptsetup, docs/on-disk format of dm-verity, version 1. */
void guest_verity_superblock(const GuestWords *names, uint8_t out[GUEST_VERITY_SUPERBLOCK])
{
    memset(out, 0, GUEST_VERITY_SUPERBLOCK);
    memcpy(out, "verity\0\0", 8);
    put_le(out + 8, 1, 4);  /* version of the superblock */
    put_le(out + 12, 1, 4); /* hash type: 1, salt in front */
    memcpy(out + 16, names->uuid, 16);
    memcpy(out + 32, names->hash_name, strlen(names->hash_name)); /* 32 bytes */
    put_le(out + 64, names->data_block_size, 4);
    put_le(out + 68, names->hash_block_size, 4);
    put_le(out + 72, names->data_blocks, 8);
    put_le(out + 80, names->salt_size, 2);
    memcpy(out + 88, names->salt, names->salt_size); /* 256 bytes */
}

uint64_t guest_verity_hash_bytes(const GuestWords *names)
{
    unsigned bits = 0, levels = 0;
    uint64_t blocks = 1; /* the superblock's */

    while (names->hash_size << (bits + 1) <= names->hash_block_size)
        bits++;
    if (!bits || !names->data_blocks)
        return 0;
    for (uint64_t left = names->data_blocks; left > 1; levels++) {
        left = (left >> bits) + ((left & ((UINT64_C(1) << bits) - 1)) != 0);
        blocks += left;
        if (levels == LEVELS_MAX || blocks > UINT64_MAX / BLOCK_MAX)
            return 0;
    }
    return blocks * names->hash_block_size;
}
