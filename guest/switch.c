/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "guest/init.h"

#define DEPTH_MAX 16
#define NO_CREDENTIALS "/run/virt-attest-no-credentials"

/* Frees the memory of the initramfs: what lies on @device below @fd, which is closed. */
static void empty_folder(int fd, dev_t device, unsigned depth)
{
    DIR *dir = fdopendir(fd);
    const struct dirent *entry;

    if (!dir) {
        close(fd);
        return;
    }
    while ((entry = readdir(dir))) {
        struct stat st;

        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
            fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != device)
            continue;
        if (S_ISDIR(st.st_mode)) {
            int child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

            if (child >= 0 && depth < DEPTH_MAX)
                empty_folder(child, device, depth + 1);
            unlinkat(fd, entry->d_name, AT_REMOVEDIR);
        } else {
            unlinkat(fd, entry->d_name, 0);
        }
    }
    closedir(dir);
}

void guest_switch_root(void)
{
    static const char *const mounts[] = {"/dev", "/proc", "/sys", "/run"};
    static const char *const programs[] = {"/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd"};
    /*
     * systemd takes units, accounts and keys ("credentials") from tables that the host fills (SMBIOS, fw_cfg), unless
     * it is told that an earlier stage has collected them: an empty folder. Options of it may be in an EFI variable,
     * which the next one stands in for.
     */
    static char home[] = "HOME=/", terminal[] = "TERM=linux", credentials[] = "CREDENTIALS_DIRECTORY=" NO_CREDENTIALS,
                options[] = "SYSTEMD_EFI_OPTIONS=";
    char *environment[] = {home, terminal, credentials, options, NULL};
    int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), number = ENOENT;
    struct statfs fs;
    struct stat st;

    if (old < 0 || fstat(old, &st) < 0 || fstatfs(old, &fs) < 0)
        guest_stop("switch: /: %s", strerror(errno));
    guest_make_dir(NO_CREDENTIALS, 0500);
    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
        char target[32] = GUEST_ROOT;

        strcat(target, mounts[i]);
        if (mount(mounts[i], target, NULL, MS_MOVE, NULL) < 0)
            guest_stop("switch: cannot move %s into the root: %s", mounts[i], strerror(errno));
    }
    if (chdir(GUEST_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        guest_stop("switch: cannot change into the root: %s", strerror(errno));
    /* Never anything but the kernel's own initramfs. */
    if (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC)
        empty_folder(old, st.st_dev, 0);
    guest_console_discard_input();
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        char name[32];
        char *argv[] = {name, NULL};

        strcpy(name, programs[i]);
        execve(name, argv, environment);
        if (errno != ENOENT)
            number = errno;
    }
    guest_stop("switch: the root has no /sbin/init that starts: %s", strerror(number));
}
