/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/verity.h"

#include <openssl/rand.h>
#include <string.h>

void storage_verity_init(StorageVerity *verity)
{
    memset(verity, 0, sizeof *verity);
    g_strlcpy(verity->hash, "sha256", sizeof verity->hash);
    verity->data_block_size = 4096;
    verity->hash_block_size = 4096;
    verity->salt_size = 32;
    RAND_bytes(verity->salt, (int)verity->salt_size);
    RAND_bytes(verity->uuid, sizeof verity->uuid);
}
