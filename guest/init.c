/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's init: the only program of our initrd, started by the kernel as its first process.
 *
 * WHY. At level 3 the measurement covers the kernel, this program with the kernel modules it loads, and the command
 * line. What it does with a disk decides whether the disk belongs to that. So it does one thing, and everything else
 * ends in a power-off: there is no shell, no prompt, nothing is read from the console, nothing is looked for by label.
 *
 * WHOM IT TRUSTS. The firmware, the kernel, the command line and the initrd, since they are measured. Nobody else. The
 * host owns every device: their number, their order, their serials, sizes, partition tables, file systems, the
 * keyboard, the clock, and it may change any byte at any time. What comes from a device is believed only in these ways:
 *   - a serial selects a disk. A lie selects a disk with wrong contents, which fails the next check;
 *   - the root's blocks count when dm-verity has checked them against the root hash of the command line. The tree's
 *     own superblock says nothing that the command line has not said: it must match byte for byte;
 *   - a writable disk counts as far as this boot has written it itself, encrypted and authenticated with a key that
 *     exists in this guest's memory only. Of what the host puts there, reading gives an error, never data. What it
 *     cannot stop is that the host puts back an older state of a sector from this same boot.
 * Below level 4 the root's contents are not checked; the words on the command line are, all the same.
 *
 * ORDER. The order of the steps is their safety:
 *    1. proc, sys, dev, run; the console; keys and panics of the kernel made harmless
 *    2. the command line: no word that leads to a shell, all of our words good
 *    3. the archive's table of contents: it must be for this level and this kernel
 *    4. its modules
 *    5. the disks, each of them exactly once
 *    6. level 4: superblock, sizes, dm-verity
 *    7. the root, and what can be written above it. From here on programs of the root may run (mkfs, ssh-keygen):
 *       level 4 has vouched for them
 *    8. what must differ in each boot: machine-id, SSH host keys
 *    9. the root's own init, in place of this program
 *
 * If it dies the kernel panics, and kernel.panic=-1 makes that a reset, which ends a confidential guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "guest/init.h"

#define CMDLINE_MAX (64 * 1024)

/* Static: too large for a stack. */
static GuestInitrdList list;
static GuestWords words;
static char buffer[GUEST_INITRD_LIST_MAX + 2];

static void set_sysctl(const char *path, const char *value)
{
    if (!guest_write_file(path, value))
        guest_stop("%s cannot be set: %s", path, strerror(errno));
}

/*
 * The kernel gives its first process the console as standard files, or none when the archive has no such node. Nothing
 * may be read from it, and no other file may get one of these numbers.
 */
static void open_standard_files(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = 0; fd <= 2; fd++) {
        /* dup2() onto itself would keep close-on-exec. */
        if (null < 0 || (null == fd ? fcntl(fd, F_SETFD, 0) : dup2(null, fd)) < 0)
            guest_stop("/dev/null: %s", strerror(errno));
    }
    if (null > 2)
        close(null);
}

static void prepare(void)
{
    umask(0022);
    guest_make_dir("/proc", 0755);
    guest_make_dir("/sys", 0755);
    guest_make_dir("/dev", 0755);
    guest_make_dir("/run", 0755);
    guest_make_dir(GUEST_ROOT, 0755);
    /* First of all: magic keys work on the host's keyboard, and a panic that waits looks like a guest that runs. */
    guest_mount("proc", "/proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL);
    set_sysctl("/proc/sys/kernel/sysrq", "0");
    set_sysctl("/proc/sys/kernel/panic", "-1");
    /* Ctrl-Alt-Del becomes a signal, which a first process without a handler does not notice. */
    reboot(RB_DISABLE_CAD);
    /* Errors are shown: they say which block dm-verity refused. */
    set_sysctl("/proc/sys/kernel/printk", "4 4 1 7");
    guest_mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755");
    open_standard_files();
    guest_console_open();
    guest_mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL);
    guest_mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=20%");
}

static void read_words(void)
{
    static char cmdline[CMDLINE_MAX];
    char message[GUEST_MESSAGE_MAX];
    ssize_t size = guest_read_file("/proc/cmdline", cmdline, sizeof(cmdline));

    if (size < 0)
        guest_stop("/proc/cmdline: %s", strerror(errno));
    if (strlen(cmdline) != (size_t)size)
        guest_stop("the kernel command line has a zero byte");
    if (guest_words_shell(cmdline, message))
        guest_stop("'%s' on the kernel command line leads to a shell or to a program of somebody's choice", message);
    if (guest_words_parse(cmdline, &words, message) < 0)
        guest_stop("%s", message);
}

static void read_list(void)
{
    struct utsname name;
    char message[GUEST_MESSAGE_MAX];
    ssize_t size = guest_read_file("/initrd.list", buffer, sizeof(buffer));

    if (size < 0)
        guest_stop("/initrd.list: %s", strerror(errno));
    if (guest_initrd_list_parse(buffer, (size_t)size, &list, message) < 0)
        guest_stop("%s", message);
    if (list.level != words.level)
        guest_stop("this initrd is for level %u, the command line says virt_attest.level=%u", list.level, words.level);
    if (uname(&name) < 0 || strcmp(name.release, list.kernel) != 0)
        guest_stop("this initrd is for kernel %s, running is %s", list.kernel, name.release);
}

/*
 * The root's systemd-sysctl would set what its distribution thinks right. Below /run since that can be written always;
 * the name sorts behind the distribution's.
 */
static void harden(void)
{
    static const char path[] = "/run/sysctl.d/99-virt-attest.conf";

    guest_make_dir("/run/sysctl.d", 0755);
    if (!guest_create_file(path, "kernel.sysrq = 0\nkernel.panic = -1\n", 0644))
        guest_stop("%s: %s", path, strerror(errno));
}

int main(void)
{
    static const char *const writes[] = {
        [GUEST_UPPER_NONE] = "writes go to it",
        [GUEST_UPPER_TMPFS] = "writes go to memory",
        [GUEST_UPPER_ENCRYPTED] = "writes go to an encrypted disk",
        [GUEST_UPPER_DIRS] = "writes below /home, /etc, /var and /tmp go to memory",
    };
    GuestDisks disks;
    GuestDevice root;

    /* Started by hand it would power the machine off. */
    if (getpid() != 1) {
        fputs("error: this is the first process of a guest of virt-attest, no command\n", stderr);
        return 2;
    }
    prepare();
    read_words();
    read_list();
    guest_modules_load(&list);
    guest_disks_find(&words, &disks);
    if (words.has_verity)
        guest_verity_open(&words, &disks, &root);
    else
        root = disks.root;
    guest_root_mount(&words, &root, &disks);
    guest_say("level %u: the root is mounted, %s", words.level,
              words.has_verity && words.upper == GUEST_UPPER_NONE ? "nothing can be written" : writes[words.upper]);
    guest_identity(&words);
    if (words.level)
        harden();
    guest_switch_root();
}
