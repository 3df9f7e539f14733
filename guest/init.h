/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parts of the guest's init. Every function here either does what it says or stops the guest with guest_stop():
 * there is nothing to recover to, and an error that is passed up can be forgotten on the way.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest/initrd-list.h"
#include "guest/words.h"

/* Where things are mounted until the root is switched, on the initramfs. */
#define GUEST_ROOT "/sysroot"    /* what becomes the root */
#define GUEST_LOWER "/lower"     /* read-only root below an overlay */
#define GUEST_UPPER_DIR "/upper" /* writable file system above it */

#define GUEST_DEVICE_MAX 64 /* "/dev/NAME" */

/* A block device of the kernel. */
typedef struct {
    char path[GUEST_DEVICE_MAX]; /* in /dev */
    char number[24];             /* "MAJOR:MINOR", for device-mapper tables */
    uint64_t size;               /* bytes */
} GuestDevice;

/* console.c */

/* Opens the console for writing. Before that, and when there is none, lines go to the kernel's log. */
void guest_console_open(void);
/* One line, "virt-attest: " in front and a newline behind; what is not printable ASCII becomes "?". */
void guest_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "virt-attest: stopped: REASON", then the power goes off; a process that is not the first (a test) only exits. */
void guest_stop(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Throws away what was typed so far: the host's keyboard must not reach whoever reads the console next. */
void guest_console_discard_input(void);

/* files.c */

/* At most @size - 1 bytes, terminated; returns their number, or -1 with errno. Longer contents fail with EFBIG. */
ssize_t guest_read_file(const char *path, char *out, size_t size);
/* An unsigned decimal number and nothing else but a newline. */
bool guest_read_number(const char *path, uint64_t *out);
/* The file must exist: for sysctls and the like. Returns false with errno. */
bool guest_write_file(const char *path, const char *text);
/* The file must not exist. Returns false with errno. */
bool guest_create_file(const char *path, const char *text, mode_t mode);
void guest_make_dir(const char *path, mode_t mode);
void guest_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options);
/* All of it, or -1 with errno (EIO at the end of the file). */
int guest_read_at(int fd, void *out, size_t size, uint64_t offset);
int guest_write_at(int fd, const void *data, size_t size, uint64_t offset);
void guest_random(void *out, size_t size);
int64_t guest_clock_ms(void);
void guest_sleep_ms(unsigned ms);

/* modules.c */
void guest_modules_load(const GuestInitrdList *list);

/* disks.c */

typedef struct {
    GuestDevice root, hash, upper; /* the last two only when @words names them: else their path is empty */
} GuestDisks;
/* Waits for the disks that @words names. */
void guest_disks_find(const GuestWords *words, GuestDisks *out);
/* Opens a device node and checks that it is that device; flags besides O_CLOEXEC. */
int guest_device_open(const GuestDevice *device, int flags);

/* gpt.c */

/*
 * Number of the partition (from 1) with the unique GUID @uuid (36 characters, lower case) in the GPT of a disk, 0 when
 * there is none, -1 when the disk has no sound GPT. @read returns 0 when it has read all bytes. Primary header only:
 * what the kernel took from a backup is not found.
 */
typedef int (*GuestReadAt)(void *context, void *out, size_t size, uint64_t offset);
int guest_gpt_find(GuestReadAt read, void *context, uint64_t disk_size, uint32_t block_size, const char *uuid);

/* dm.c */

/* Creates a mapping of one target over @sectors 512-byte sectors. Returns false with one line in @message
 * (GUEST_MESSAGE_MAX bytes) when the kernel refuses the table; the mapping is gone then. */
bool guest_dm_create(const char *name, uint64_t sectors, const char *type, const char *parameters, bool read_only,
                     bool secret, GuestDevice *out, char *message);
/* The status line of its first target. */
void guest_dm_status(const char *name, char *out, size_t size);
void guest_dm_remove(const char *name);

/* verity-superblock.c */

#define GUEST_VERITY_SUPERBLOCK 512
/* The superblock that veritysetup writes for what @words says. */
void guest_verity_superblock(const GuestWords *words, uint8_t out[GUEST_VERITY_SUPERBLOCK]);
/* Bytes from the start of the hash disk to the end of the tree; 0 when the numbers are not possible. */
uint64_t guest_verity_hash_bytes(const GuestWords *words);

/* verity.c */
void guest_verity_open(const GuestWords *words, const GuestDisks *disks, GuestDevice *out);

/* encrypted.c: makes the encrypted upper file system and mounts it. Runs mkfs from the root at @root. */
void guest_encrypted_mount(const GuestDevice *disk, const char *root, const char *target);

/* upper.c: mounts @device (checked, when the level demands it) and the writable layers; the result is at GUEST_ROOT. */
void guest_root_mount(const GuestWords *words, const GuestDevice *device, const GuestDisks *disks);

/* copy.c: copies what is in the folder @from into the folder @to, with everything that a file system knows about it. */
void guest_copy_dir(int from, int to, const char *name);

/* run.c */

/*
 * Runs a program of the root at @root, changed into it, with /dev and an empty environment, and waits for it. @argv[0]
 * is its path in there. Its output, cut, printable, goes to @output (@size bytes; the last line of it, or the first
 * that is not empty). Returns its exit status, or -1 when it could not be started.
 */
int guest_run(const char *root, const char *const *argv, char *output, size_t size);

/* keys.c: a machine-id and SSH host keys of this boot only. */
void guest_identity(const GuestWords *words);

/* switch.c: starts the root's own init; the initramfs is emptied. */
void guest_switch_root(void) __attribute__((noreturn));
