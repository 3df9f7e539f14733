/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The words of a kernel command line that are ours: virt_attest.NAME=VALUE.
 *
 * They are the contract between the host, which composes and judges them, and
 * the guest's init, which obeys them; both compile this one file. It needs
 * nothing but the C library, since the init has nothing else.
 *
 *   virt_attest.level=0|3|4          always. 0: started by the disk's own boot loader, nothing is measured
 *   virt_attest.root=SERIAL[:N]      always: disk with the root file system by its serial, and the partition on it
 *                    partuuid:UUID   the same by the partition's UUID; not at level 4
 *   virt_attest.fs=ext4|xfs|btrfs    file system of the root; default ext4
 *   virt_attest.roothash=HEX         level 4 only, and there always: dm-verity root hash
 *   virt_attest.verity=SERIAL,uuid=UUID,salt=HEX|-,hash=sha256,data-block=4096,hash-block=4096,data-blocks=N
 *                                    goes with roothash, every field once, in this order: the disk with the hash tree
 *                                    and everything that its superblock must say
 *   virt_attest.upper=none|tmpfs[:SIZE]|encrypted:SERIAL|dirs[:home=SIZE,etc=SIZE,var=SIZE,tmp=SIZE]
 *                                    where writes go. none: at level 4 nowhere, below it to the root itself.
 *                                    Default: none. encrypted: a disk that is encrypted and authenticated with a key
 *                                    of this boot. dirs: tmpfs on these four directories, each filled from the root
 *   virt_attest.wait=SECONDS         how long to wait for the disks, 1 to 600; default 30
 *
 * SIZE: bytes, or with the suffix K, M, G (powers of 1024), or a percentage of memory N% (1 to 100).
 * Each word once. A word virt_attest.* that is not listed, and a value that does not fit, is an error: the guest
 * powers off, the host derives no level from it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_SERIAL_MAX 20 /* virtio-blk, bytes; letters, digits and _.+- */
#define GUEST_HASH_MAX 64   /* bytes of the longest digest */
#define GUEST_SALT_MAX 256  /* dm-verity superblock, bytes */
#define GUEST_MESSAGE_MAX 256
#define GUEST_WORD_PREFIX "virt_attest."
#define GUEST_PARTITION_MAX 128

typedef enum { GUEST_UPPER_NONE, GUEST_UPPER_TMPFS, GUEST_UPPER_ENCRYPTED, GUEST_UPPER_DIRS } GuestUpper;

/* bytes, or percent of memory when @percent is not 0; both 0: the kernel's default for tmpfs, half of the memory. */
typedef struct {
    uint64_t bytes;
    unsigned percent;
} GuestSize;

/* A disk as the guest finds it. @partition 0: the whole disk. */
typedef struct {
    char serial[GUEST_SERIAL_MAX + 1];
    unsigned partition;
} GuestDisk;

typedef enum { GUEST_DIR_HOME, GUEST_DIR_ETC, GUEST_DIR_VAR, GUEST_DIR_TMP, GUEST_DIRS } GuestDir;
extern const char *const guest_dir_names[GUEST_DIRS]; /* "home", "etc", "var", "tmp" */

typedef struct {
    unsigned level;
    GuestDisk root;
    char root_partuuid[37]; /* empty unless the root is named by it; lower case */
    char fs[8];
    GuestUpper upper;
    GuestSize upper_size;          /* tmpfs */
    GuestDisk upper_disk;          /* encrypted */
    GuestSize dir_sizes[GUEST_DIRS]; /* dirs */
    unsigned wait_seconds;
    bool has_verity; /* level 4 */
    GuestDisk hash_disk;
    char hash_name[16]; /* "sha256" or "sha512" */
    uint8_t root_hash[GUEST_HASH_MAX];
    size_t hash_size; /* bytes of @root_hash: that of @hash_name's digest */
    uint8_t salt[GUEST_SALT_MAX];
    size_t salt_size;
    uint8_t uuid[16];
    uint32_t data_block_size, hash_block_size; /* 512, 1024, 2048 or 4096 bytes */
    uint64_t data_blocks;
} GuestWords;

/*
 * Reads the words of @cmdline (blanks separate, "double quotes" protect, as in the kernel). Returns 0, or -1 with one
 * line in @message (GUEST_MESSAGE_MAX bytes) that names the word. Words of others are not looked at. A command line
 * without any of ours is an error.
 */
int guest_words_parse(const char *cmdline, GuestWords *out, char *message);

/* 1 when @cmdline has a word of ours, else 0. */
int guest_words_present(const char *cmdline);

/*
 * Writes the words, separated by blanks, in the order above, defaults left out, zero-terminated. Returns the number of
 * bytes without the zero, or 0 when they do not fit into @size.
 */
size_t guest_words_format(const GuestWords *words, char *out, size_t size);

/*
 * Looks for a word of the kernel or of systemd that leads to a shell or to a program of somebody's choice: init=,
 * rdinit=, systemd.unit=, systemd.debug_shell, systemd.run…, rd.break, rd.shell, single, s, S, 1, emergency, rescue,
 * -b, systemd.wants= and whatever else those programs document. Returns 1 with the word in @word (GUEST_MESSAGE_MAX
 * bytes, cut, printable), else 0.
 */
int guest_words_shell(const char *cmdline, char *word);
