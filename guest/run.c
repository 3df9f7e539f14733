/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdio.h>

#include "guest/init.h"

#define NOT_STARTED 127

/* In the child: errors can only be told by the exit status. */
static void start(const char *root, const char *const *argv, int output)
{
    static const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/", NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || chdir(root) < 0 || chroot(".") < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 ||
        dup2(output, 2) < 0)
        _exit(NOT_STARTED);
    /* Not changed by execve(): the pointers to const are the C standard's old sorrow. */
    execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
    _exit(NOT_STARTED);
}

/* Keeps the first line that is not empty, reads the rest away. */
static void read_output(int fd, char *out, size_t size)
{
    char data[256];
    size_t used = 0;
    bool done = false;

    for (;;) {
        ssize_t n = read(fd, data, sizeof(data));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n && !done; i++) {
            if (data[i] == '\n' || data[i] == '\r')
                done = used > 0;
            else if (used < size - 1)
                out[used++] = data[i] >= ' ' && data[i] <= '~' ? data[i] : '?';
        }
    }
    out[used] = '\0';
}

int guest_run(const char *root, const char *const *argv, char *output, size_t size)
{
    char dev[64];
    int pipe_fds[2], status = 0;
    pid_t child, ended;

    snprintf(dev, sizeof(dev), "%s/dev", root);
    guest_mount("/dev", dev, NULL, MS_BIND, NULL);
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        guest_stop("no pipe: %s", strerror(errno));
    child = fork();
    if (child < 0)
        guest_stop("no process: %s", strerror(errno));
    if (child == 0)
        start(root, argv, pipe_fds[1]);
    close(pipe_fds[1]);
    read_output(pipe_fds[0], output, size);
    close(pipe_fds[0]);
    /* Orphans become children of the first process: they are reaped on the way. */
    do
        ended = waitpid(-1, &status, 0);
    while (ended != child && (ended > 0 || errno == EINTR));
    if (umount2(dev, MNT_DETACH) < 0)
        guest_stop("cannot unmount %s: %s", dev, strerror(errno));
    if (ended != child || !WIFEXITED(status) || WEXITSTATUS(status) == NOT_STARTED)
        return -1;
    return WEXITSTATUS(status);
}
