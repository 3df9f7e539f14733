/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "guest/init.h"

ssize_t guest_read_file(const char *path, char *out, size_t size)
{
    size_t used = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    while (used < size) {
        ssize_t n = read(fd, out + used, size - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int number = errno;

            close(fd);
            errno = number;
            return -1;
        }
        if (n == 0)
            break;
        used += (size_t)n;
    }
    close(fd);
    if (used == size) {
        errno = EFBIG;
        return -1;
    }
    out[used] = '\0';
    return (ssize_t)used;
}

bool guest_read_number(const char *path, uint64_t *out)
{
    char text[32];
    uint64_t value = 0;
    ssize_t size = guest_read_file(path, text, sizeof(text));

    if (size > 0 && text[size - 1] == '\n')
        size--;
    if (size <= 0)
        return false;
    for (ssize_t i = 0; i < size; i++) {
        unsigned digit = (unsigned)(unsigned char)text[i] - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

static bool write_text(int fd, const char *text)
{
    size_t size = strlen(text);
    int number;
    ssize_t n;

    if (fd < 0)
        return false;
    n = write(fd, text, size);
    number = n < 0 ? errno : EIO;
    close(fd);
    errno = number;
    return n == (ssize_t)size;
}

bool guest_write_file(const char *path, const char *text)
{
    return write_text(open(path, O_WRONLY | O_CLOEXEC), text);
}

bool guest_create_file(const char *path, const char *text, mode_t mode)
{
    return write_text(open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode), text);
}

void guest_make_dir(const char *path, mode_t mode)
{
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        guest_stop("folder %s: %s", path, strerror(errno));
}

void guest_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options)
{
    if (mount(source, target, type, flags, options) < 0)
        guest_stop("cannot mount %s (%s) on %s: %s", source, type ? type : "bind", target, strerror(errno));
}

int guest_read_at(int fd, void *out, size_t size, uint64_t offset)
{
    char *at = out;

    while (size) {
        ssize_t n = pread(fd, at, size, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return -1;
        at += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int guest_write_at(int fd, const void *data, size_t size, uint64_t offset)
{
    const char *at = data;

    while (size) {
        ssize_t n = pwrite(fd, at, size, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return -1;
        at += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

/* Waits until the kernel's generator is seeded. */
void guest_random(void *out, size_t size)
{
    char *at = out;

    while (size) {
        ssize_t n = getrandom(at, size, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            guest_stop("no random numbers: %s", strerror(errno));
        at += n;
        size -= (size_t)n;
    }
}

int64_t guest_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void guest_sleep_ms(unsigned ms)
{
    struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}
