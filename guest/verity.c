/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The root through dm-verity. Everything that its table says comes from the command line. The superblock of the hash
 * disk is compared all the same: a disk that says something else is another disk, and the message is better than a root
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
#define CHECK_NAME "virt-attest-root-check"
#define PARAMETERS_MAX 2048
#define BLOCK_MAX 4096

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
            guest_stop("verity: the superblock of '%s' differs from the command line at byte %zu",
                       names->hash_disk.serial, i);
    }
}

static size_t add_hex(char *out, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return 2 * size;
}

/*
 * A corrupted block means that the host has changed the disk: panic. So does a block that cannot be read, where the
 * kernel knows how (6.12): otherwise reading it is an I/O error, which never gives data.
 */
static bool create(const char *name, const GuestWords *names, const GuestDisks *disks, const char *options,
                   GuestDevice *out, char *message)
{
    char parameters[PARAMETERS_MAX], digest[2 * GUEST_HASH_MAX + 1], salt[2 * GUEST_SALT_MAX + 1] = "-";

    digest[add_hex(digest, names->root_hash, names->hash_size)] = '\0';
    if (names->salt_size)
        salt[add_hex(salt, names->salt, names->salt_size)] = '\0';
    snprintf(parameters, sizeof(parameters), "1 %s %s %" PRIu32 " %" PRIu32 " %" PRIu64 " 1 %s %s %s %s",
             disks->root.number, disks->hash.number, names->data_block_size, names->hash_block_size, names->data_blocks,
             names->hash_name, digest, salt, options);
    return guest_dm_create(name, names->data_blocks * (names->data_block_size / 512), "verity", parameters, true, false,
                           out, message);
}

static void read_block(const GuestWords *names, int fd, uint64_t block)
{
    uint8_t data[BLOCK_MAX];

    if (guest_read_at(fd, data, names->data_block_size, block * names->data_block_size) < 0)
        guest_stop("verity: block %" PRIu64 " of the root cannot be read: %s; the disks do not match the root hash",
                   block, strerror(errno));
}

static void read_ends(const GuestWords *names, const GuestDevice *device)
{
    int fd = guest_device_open(device, O_RDONLY);

    read_block(names, fd, 0);
    read_block(names, fd, names->data_blocks - 1);
    close(fd);
}

void guest_verity_open(const GuestWords *names, const GuestDisks *disks, GuestDevice *out)
{
    uint64_t data_bytes = names->data_blocks * names->data_block_size, hash_bytes = guest_verity_hash_bytes(names);
    char message[GUEST_MESSAGE_MAX];

    if (!hash_bytes)
        guest_stop("verity: no hash tree has these sizes");
    if (disks->root.size < data_bytes)
        guest_stop("verity: the root on '%s' has %" PRIu64 " bytes, the root hash covers %" PRIu64, names->root.serial,
                   disks->root.size, data_bytes);
    if (disks->hash.size < hash_bytes)
        guest_stop("verity: the disk '%s' has %" PRIu64 " bytes, the hash tree %" PRIu64, names->hash_disk.serial,
                   disks->hash.size, hash_bytes);
    check_superblock(names, &disks->hash);
    /* A mapping that gives I/O errors first: a wrong root hash or disk is told in a line, and ends in a power-off. */
    if (!create(CHECK_NAME, names, disks, "", out, message))
        guest_stop("verity: %s", message);
    read_ends(names, out);
    guest_dm_remove(CHECK_NAME);
    if (!create(NAME, names, disks, "2 panic_on_corruption panic_on_error", out, message) &&
        !create(NAME, names, disks, "1 panic_on_corruption", out, message))
        guest_stop("verity: %s", message);
    read_ends(names, out);
}
