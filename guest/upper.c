/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The root file system, and where writes to it go. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/init.h"

/* For "dirs" without sizes, percent of memory: limits, not reservations, that together leave room for programs. */
static const unsigned default_percent[GUEST_DIRS] = {
    [GUEST_DIR_HOME] = 25, [GUEST_DIR_ETC] = 5, [GUEST_DIR_VAR] = 25, [GUEST_DIR_TMP] = 10};

/* Mounting without writing: no journal is replayed, since a read-only disk could not take it. */
static const struct {
    const char *fs, *options;
} read_only_options[] = {{"ext4", "noload"}, {"xfs", "norecovery"}, {"btrfs", "rescue=nologreplay"}};

static void mount_read_only(const GuestWords *names, const GuestDevice *device, const char *target)
{
    unsigned long flags = MS_RDONLY | (names->has_verity ? MS_NODEV : 0);
    const char *options = NULL;

    for (size_t i = 0; i < sizeof(read_only_options) / sizeof(read_only_options[0]); i++) {
        if (!strcmp(names->fs, read_only_options[i].fs))
            options = read_only_options[i].options;
    }
    /* Below level 4 the disk may have been written to, and a journal that waits is to be replayed. */
    if (!names->has_verity && mount(device->path, target, names->fs, flags, NULL) == 0)
        return;
    if (mount(device->path, target, names->fs, flags, options) < 0)
        guest_stop("root: cannot mount %s as %s: %s", device->path, names->fs, strerror(errno));
}

static void size_option(const GuestSize *size, char *out, size_t room)
{
    if (size->percent)
        snprintf(out, room, ",size=%u%%", size->percent);
    else if (size->bytes)
        snprintf(out, room, ",size=%" PRIu64, size->bytes);
    else
        out[0] = '\0';
}

static void mount_overlay(void)
{
    guest_make_dir(GUEST_UPPER_DIR "/upper", 0755);
    guest_make_dir(GUEST_UPPER_DIR "/work", 0755);
    guest_mount("overlay", GUEST_ROOT, "overlay", 0,
                "lowerdir=" GUEST_LOWER ",upperdir=" GUEST_UPPER_DIR "/upper,workdir=" GUEST_UPPER_DIR "/work");
    /* The overlay holds on to both; nobody else needs to reach them. */
    if (umount2(GUEST_UPPER_DIR, MNT_DETACH) < 0 || umount2(GUEST_LOWER, MNT_DETACH) < 0)
        guest_stop("upper: cannot detach the layers: %s", strerror(errno));
}

static void mount_dir(GuestDir dir, const GuestSize *size)
{
    GuestSize limit = *size;
    char path[64], options[64] = "mode=0755";
    int from, to;

    if (!limit.bytes && !limit.percent)
        limit.percent = default_percent[dir];
    if (dir == GUEST_DIR_TMP)
        snprintf(options, sizeof(options), "mode=1777");
    size_option(&limit, options + strlen(options), sizeof(options) - strlen(options));
    snprintf(path, sizeof(path), GUEST_ROOT "/%s", guest_dir_names[dir]);
    /* A link could lead to anywhere else in the root. */
    from = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0)
        guest_stop("upper: the root has no folder /%s: %s", guest_dir_names[dir], strerror(errno));
    guest_mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options);
    to = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (to < 0)
        guest_stop("upper: %s: %s", path, strerror(errno));
    if (dir != GUEST_DIR_TMP)
        guest_copy_dir(from, to, guest_dir_names[dir]);
    close(to);
    close(from);
}

void guest_root_mount(const GuestWords *names, const GuestDevice *device, const GuestDisks *disks)
{
    char options[64] = "mode=0755";

    switch (names->upper) {
    case GUEST_UPPER_NONE:
        if (names->has_verity)
            mount_read_only(names, device, GUEST_ROOT);
        else
            guest_mount(device->path, GUEST_ROOT, names->fs, 0, NULL);
        return;
    case GUEST_UPPER_DIRS:
        mount_read_only(names, device, GUEST_ROOT);
        for (unsigned dir = 0; dir < GUEST_DIRS; dir++)
            mount_dir((GuestDir)dir, &names->dir_sizes[dir]);
        return;
    case GUEST_UPPER_TMPFS:
    case GUEST_UPPER_ENCRYPTED:
        guest_make_dir(GUEST_LOWER, 0700);
        guest_make_dir(GUEST_UPPER_DIR, 0700);
        mount_read_only(names, device, GUEST_LOWER);
        if (names->upper == GUEST_UPPER_ENCRYPTED) {
            guest_encrypted_mount(&disks->upper, GUEST_LOWER, GUEST_UPPER_DIR);
        } else {
            size_option(&names->upper_size, options + strlen(options), sizeof(options) - strlen(options));
            guest_mount("tmpfs", GUEST_UPPER_DIR, "tmpfs", 0, options);
        }
        mount_overlay();
        return;
    }
}
