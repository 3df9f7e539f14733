/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A partition table, which the host writes: no read outside of it, and no number outside of what a table has. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/init.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    const uint8_t *data;
    size_t size;
} Disk;

static int read_disk(void *context, void *out, size_t size, uint64_t offset)
{
    const Disk *disk = context;

    if (offset > disk->size || size > disk->size - offset)
        return -1;
    memcpy(out, disk->data + offset, size);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Disk disk = {data, size};

    for (uint32_t block = 512; block <= 4096; block *= 2) {
        int found = guest_gpt_find(read_disk, &disk, size, block, "a1b2c3d4-e5f6-1789-8abc-def012345678");

        if (found < -1 || found > 128)
            abort();
    }
    return 0;
}
