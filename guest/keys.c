/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What makes this boot its own: an image is the same for everybody who uses it, so an identity in it belongs to nobody.
 * Where the root keeps what is written (below level 4 without an upper layer) it has an identity of its own already,
 * and only what is missing is made.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/init.h"

#define KEYGEN "/usr/bin/ssh-keygen"
#define ED25519 "/etc/ssh/ssh_host_ed25519_key.pub"

static int open_etc(const char *path, bool *missing)
{
    int root = open(GUEST_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

    if (root < 0)
        guest_stop("root: %s", strerror(errno));
    fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    *missing = fd < 0 && errno == ENOENT;
    if (fd < 0 && !*missing)
        guest_stop("root: /%s: %s", path, strerror(errno));
    close(root);
    return fd;
}

static void write_machine_id(void)
{
    uint8_t id[16];
    char text[34];
    bool missing;
    int etc = open_etc("etc", &missing), fd;

    if (missing)
        guest_stop("root: there is no /etc");
    guest_random(id, sizeof(id));
    /* machine-id(5): as a version 4 UUID. */
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(id); i++)
        snprintf(text + 2 * i, 3, "%02x", id[i]);
    text[32] = '\n';
    if (unlinkat(etc, "machine-id", 0) < 0 && errno != ENOENT)
        guest_stop("root: /etc/machine-id: %s", strerror(errno));
    fd = openat(etc, "machine-id", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
    if (fd < 0 || guest_write_at(fd, text, 33, 0) < 0 || close(fd) < 0)
        guest_stop("root: /etc/machine-id: %s", strerror(errno));
    close(etc);
}

static void remove_host_keys(void)
{
    bool missing;
    int ssh = open_etc("etc/ssh", &missing);
    const struct dirent *entry;
    DIR *dir;

    if (missing)
        return;
    dir = fdopendir(ssh);
    if (!dir)
        guest_stop("root: /etc/ssh: %s", strerror(errno));
    while ((entry = readdir(dir))) {
        if (!strncmp(entry->d_name, "ssh_host_", 9) && unlinkat(ssh, entry->d_name, 0) < 0)
            guest_stop("root: /etc/ssh/%s: %s", entry->d_name, strerror(errno));
    }
    closedir(dir);
}

/* ssh-keygen -l prints "256 SHA256:... comment (ED25519)". */
static void show_fingerprint(void)
{
    static const char *const argv[] = {KEYGEN, "-l", "-E", "sha256", "-f", ED25519, NULL};
    char output[GUEST_MESSAGE_MAX], *start, *end;

    if (guest_run(GUEST_ROOT, argv, output, sizeof(output)) != 0 || !(start = strstr(output, "SHA256:")))
        return;
    end = strchr(start, ' ');
    if (end)
        *end = '\0';
    guest_say("ssh host key %s", start);
}

static void make_host_keys(void)
{
    static const char *const argv[] = {KEYGEN, "-A", NULL};
    char output[GUEST_MESSAGE_MAX];
    bool missing;
    int ssh = open_etc("etc/ssh", &missing), status;

    if (missing)
        return;
    close(ssh);
    status = guest_run(GUEST_ROOT, argv, output, sizeof(output));
    /* No such program: no SSH server either. */
    if (status < 0)
        return;
    if (status > 0)
        guest_stop("root: %s has failed (%d): %s", KEYGEN, status, output);
    show_fingerprint();
}

void guest_identity(const GuestWords *names)
{
    if (names->upper == GUEST_UPPER_NONE && names->has_verity) {
        guest_say("no machine-id and no SSH host keys of this boot, since nothing can be written");
        return;
    }
    if (names->upper != GUEST_UPPER_NONE) {
        write_machine_id();
        remove_host_keys();
    }
    make_host_keys();
}
