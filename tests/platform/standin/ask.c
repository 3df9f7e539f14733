/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Over a virtio-serial port, or the socket itself where there is no guest between. One request after the other. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "standin.h"

#define PATIENCE 60 /* seconds */

static int open_port(const char *port)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    int fd;

    if (stat(port, &status) < 0)
        return -1;
    if (!S_ISSOCK(status.st_mode))
        return open(port, O_RDWR | O_CLOEXEC);
    if (strlen(port) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, port);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes of a word of hexadecimal digits, at most @max; -1: it is none. */
static long unhex(const char *word, uint8_t *out, size_t max)
{
    size_t length = strlen(word);

    if (length % 2 || length / 2 > max)
        return -1;
    for (size_t i = 0; i < length / 2; i++) {
        int high = digit(word[2 * i]), low = digit(word[2 * i + 1]);

        if (high < 0 || low < 0)
            return -1;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return (long)(length / 2);
}

static int write_all(int fd, const char *text, size_t size)
{
    while (size) {
        ssize_t n = write(fd, text, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -EIO;
        text += n;
        size -= (size_t)n;
    }
    return 0;
}

/* A port at which nobody listens yet reads as an end of file. */
static int read_line(int fd, char *out, size_t max)
{
    const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    time_t end = time(NULL) + PATIENCE;
    size_t size = 0;

    while (time(NULL) < end) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (poll(&wait, 1, 1000) <= 0)
            continue;
        n = read(fd, out + size, max - size);
        if (n <= 0) {
            nanosleep(&pause, NULL);
            continue;
        }
        size += (size_t)n;
        if (out[size - 1] == '\n') {
            out[size - 1] = '\0';
            return 0;
        }
        if (size == max)
            return -EIO;
    }
    return -ETIMEDOUT;
}

/* "ok REPORT TABLE" with "-" for no table, or "refused EXITINFO2", all in hexadecimal. */
static int parse(char *line, StandinAnswer *out)
{
    char *rest = NULL, *word = strtok_r(line, " ", &rest), *first = strtok_r(NULL, " ", &rest);
    char *second = strtok_r(NULL, " ", &rest);
    long size;

    if (!word || !first)
        return -EIO;
    if (!strcmp(word, "refused")) {
        out->refusal = strtoull(first, NULL, 16);
        return out->refusal ? 0 : -EIO;
    }
    if (strcmp(word, "ok") != 0 || !second || unhex(first, out->report, STANDIN_REPORT) != STANDIN_REPORT)
        return -EIO;
    if (!strcmp(second, "-"))
        return 0;
    size = unhex(second, out->table, STANDIN_TABLE);
    out->table_size = size < 0 ? 0 : (size_t)size;
    return size < 0 ? -EIO : 0;
}

int standin_ask(const char *port, const uint8_t data[STANDIN_DATA], unsigned vmpl, StandinAnswer *out)
{
    static char line[STANDIN_LINE];
    int fd = open_port(port), rc, length;

    memset(out, 0, sizeof(*out));
    if (fd < 0)
        return -errno;
    length = snprintf(line, sizeof(line), "report %u ", vmpl);
    for (int i = 0; i < STANDIN_DATA; i++)
        length += snprintf(line + length, sizeof(line) - (size_t)length, "%02x", data[i]);
    line[length++] = '\n';
    rc = write_all(fd, line, (size_t)length);
    if (!rc)
        rc = read_line(fd, line, sizeof(line));
    if (!rc)
        rc = parse(line, out);
    close(fd);
    return rc;
}
