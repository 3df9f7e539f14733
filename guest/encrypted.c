/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The encrypted upper disk. Two mappings, as cryptsetup makes them for LUKS2 with --integrity:
 *
 *   dm-integrity  keeps 48 bytes beside every sector of 4096: an HMAC-SHA-256 (32) and a random IV (16). No
 *                 journal (mode D): nothing of this disk outlives a crash of the guest
 *   dm-crypt      AES-256-XTS and HMAC-SHA-256 over sector number, IV and ciphertext, with a random key for this boot
 *
 * Everything on the disk before, and dm-integrity's own superblock with it, is the host's. The superblock places data
 * and tags; whatever it says, a sector whose tag does not fit gives an I/O error. A superblock that was there before is
 * wiped, so that an honest host's old disk works.
 *
 * No sector has a tag at the start, so none can be read before it was written. That needs no wiping of the whole disk:
 * mkfs writes all tables of the file system (no lazy initialisation), ext4 reads no block that it has not allocated,
 * and blocks are as large as sectors, so none is written in part. Copies of the superblock would be: they are shorter
 * than a block, and nobody needs them here. Both ends are written with zeros, the start for mkfs, which looks at what
 * is there, the end for everybody who probes a disk for what it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/init.h"

#define TAGS_NAME "virt-attest-upper-tags"
#define CRYPT_NAME "virt-attest-upper"
#define SECTOR 4096
#define TAG_BYTES 48
#define KEY_BYTES 96 /* 64 of AES-256-XTS, 32 of HMAC-SHA-256 */
#define WIPE_BYTES (1024 * 1024)
#define DISK_MIN (UINT64_C(16) * 1024 * 1024)

static uint8_t zeros[64 * 1024];

/* @offset and WIPE_BYTES are multiples of a sector. */
static void wipe(const GuestDevice *device, uint64_t offset)
{
    int fd = guest_device_open(device, O_WRONLY);

    for (uint64_t done = 0; done < WIPE_BYTES; done += sizeof(zeros)) {
        if (guest_write_at(fd, zeros, sizeof(zeros), offset + done) < 0)
            guest_stop("upper: %s cannot be written: %s", device->path, strerror(errno));
    }
    if (fsync(fd) < 0)
        guest_stop("upper: %s cannot be written: %s", device->path, strerror(errno));
    close(fd);
}

/* The kernel makes a new superblock for a table of any length; then it says how many sectors there are room for. */
static void create_tags(const GuestDevice *disk, GuestDevice *out)
{
    char parameters[128], status[256], message[GUEST_MESSAGE_MAX];
    uint64_t sectors = 0;
    unsigned long long mismatches, provided = 0;

    snprintf(parameters, sizeof(parameters), "%s 0 %d D 2 block_size:%d fix_padding", disk->number, TAG_BYTES, SECTOR);
    if (!guest_dm_create(TAGS_NAME, SECTOR / 512, "integrity", parameters, false, false, out, message))
        guest_stop("upper: %s", message);
    guest_dm_status(TAGS_NAME, status, sizeof(status));
    guest_dm_remove(TAGS_NAME);
    if (sscanf(status, "%llu %llu", &mismatches, &provided) == 2)
        sectors = provided / (SECTOR / 512) * (SECTOR / 512);
    if (sectors * 512 < 4 * WIPE_BYTES || sectors > disk->size / 512)
        guest_stop("upper: dm-integrity finds room for %" PRIu64 " sectors on a disk of %" PRIu64, sectors,
                   disk->size / 512);
    if (!guest_dm_create(TAGS_NAME, sectors, "integrity", parameters, false, false, out, message))
        guest_stop("upper: %s", message);
}

static void create_crypt(const GuestDevice *tags, GuestDevice *out)
{
    uint8_t key[KEY_BYTES];
    char parameters[512], hex[2 * KEY_BYTES + 1], message[GUEST_MESSAGE_MAX];
    bool made;

    guest_random(key, sizeof(key));
    for (size_t i = 0; i < sizeof(key); i++)
        snprintf(hex + 2 * i, 3, "%02x", key[i]);
    snprintf(parameters, sizeof(parameters),
             "capi:authenc(hmac(sha256),xts(aes))-random %s 0 %s 0 2 integrity:%d:aead sector_size:%d", hex,
             tags->number, TAG_BYTES, SECTOR);
    made = guest_dm_create(CRYPT_NAME, tags->size / 512, "crypt", parameters, false, true, out, message);
    explicit_bzero(key, sizeof(key));
    explicit_bzero(hex, sizeof(hex));
    explicit_bzero(parameters, sizeof(parameters));
    if (!made)
        guest_stop("upper: %s", message);
}

static void make_file_system(const GuestDevice *device, const char *root)
{
    static const char *const programs[] = {"/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"};
    char output[GUEST_MESSAGE_MAX];

    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        /* No journal: what a crash leaves is not read again. Discards would only tell the host what is free. */
        const char *const argv[] = {programs[i], "-q", "-F", "-b", "4096", "-m", "0",
                                    "-O", "^has_journal,^resize_inode,sparse_super2",
                                    "-E", "nodiscard,lazy_itable_init=0,num_backup_sb=0", device->path, NULL};
        int status = guest_run(root, argv, output, sizeof(output));

        if (status == 0)
            return;
        if (status > 0)
            guest_stop("upper: %s has failed (%d): %s", programs[i], status, output);
    }
    guest_stop("upper: the root has no /sbin/mkfs.ext4 to make the encrypted file system with");
}

void guest_encrypted_mount(const GuestDevice *disk, const char *root, const char *target)
{
    GuestDevice tags, crypt;

    if (disk->size < DISK_MIN)
        guest_stop("upper: the disk has %" PRIu64 " bytes, less than %" PRIu64, disk->size, DISK_MIN);
    wipe(disk, 0);
    create_tags(disk, &tags);
    create_crypt(&tags, &crypt);
    wipe(&crypt, 0);
    wipe(&crypt, (crypt.size - WIPE_BYTES) / SECTOR * SECTOR);
    make_file_system(&crypt, root);
    guest_mount(crypt.path, target, "ext4", MS_NOATIME, "errors=remount-ro");
}
