/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The root through dm-verity. Everything that its table says comes from the command line. The superblock of the hash disk
 * is compared all the same: a disk that says something else is another disk, and the message is better than a root
 * hash that does not match.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest/init.h"

#define NAME "virt-attest-root"
#define PARAMETERS_MAX 2048
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

static void check_superblock(const GuestWords *names, const GuestDevice *disk)
{
    uint8_t expected[GUEST_VERITY_SUPERBLOCK], found[GUEST_VERITY_SUPERBLOCK];
    int fd = guest_device_open(disk, O_RDONLY);

    guest_verity_superblock(names, expected);
    if (guest_read_at(fd, found, sizeof(found), 0) < 0)
        guest_stop("verity: the superblock of '%s' cannot be read: %s", names->hash_disk.serial, strerror(errno));
    close(fd);
    for (size_t i = 0; i < sizeof(expected); i++) {
        if (found[i] != expected[i])
            guest_stop("verity: the superblock of '%s' differs from the command line at byte %zu", names->hash_disk.serial, i);
    }
}

static size_t add_hex(char *out, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return 2 * size;
}

/*
 * A corrupted block means that the host has changed the disk: panic. So does a block that cannot be read, where the kernel
 * knows how (6.12): otherwise reading it is an I/O error, which never gives data.
 */
static bool create(const GuestWords *names, const GuestDisks *disks, const char *options, GuestDevice *out, char *message)
{
    char parameters[PARAMETERS_MAX], digest[2 * GUEST_HASH_MAX + 1], salt[2 * GUEST_SALT_MAX + 1] = "-";

    digest[add_hex(digest, names->root_hash, names->hash_size)] = '\0';
    if (names->salt_size)
        salt[add_hex(salt, names->salt, names->salt_size)] = '\0';
    snprintf(parameters, sizeof(parameters), "1 %s %s %" PRIu32 " %" PRIu32 " %" PRIu64 " 1 %s %s %s %s", disks->root.number,
             disks->hash.number, names->data_block_size, names->hash_block_size, names->data_blocks, names->hash_name, digest,
             salt, options);
    return guest_dm_create(NAME, names->data_blocks * (names->data_block_size / 512), "verity", parameters, true, false, out,
                           message);
}

static void read_block(const GuestWords *names, int fd, uint64_t block)
{
    uint8_t data[BLOCK_MAX];

    if (guest_read_at(fd, data, names->data_block_size, block * names->data_block_size) < 0)
        guest_stop("verity: block %" PRIu64 " of the root cannot be read: %s; the disks do not match the root hash", block,
                   strerror(errno));
}

void guest_verity_open(const GuestWords *names, const GuestDisks *disks, GuestDevice *out)
{
    uint64_t data_bytes = names->data_blocks * names->data_block_size, hash_bytes = guest_verity_hash_bytes(names);
    char message[GUEST_MESSAGE_MAX];
    int fd;

    if (!hash_bytes)
        guest_stop("verity: no hash tree has these sizes");
    if (disks->root.size < data_bytes)
        guest_stop("verity: the root on '%s' has %" PRIu64 " bytes, the root hash covers %" PRIu64, names->root.serial,
                   disks->root.size, data_bytes);
    if (disks->hash.size < hash_bytes)
        guest_stop("verity: the disk '%s' has %" PRIu64 " bytes, the hash tree %" PRIu64, names->hash_disk.serial,
                   disks->hash.size, hash_bytes);
    check_superblock(names, &disks->hash);
    if (!create(names, disks, "2 panic_on_corruption panic_on_error", out, message) &&
        !create(names, disks, "1 panic_on_corruption", out, message))
        guest_stop("verity: %s", message);
    /* Both ends, before anything believes in the device: a wrong root hash stops here. */
    fd = guest_device_open(out, O_RDONLY);
    read_block(names, fd, 0);
    read_block(names, fd, names->data_blocks - 1);
    close(fd);
}
