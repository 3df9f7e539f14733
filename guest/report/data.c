/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What goes into the report data: hexadecimal, nonces, the digest of an SSH host key. */
#include <errno.h>
#include <fcntl.h>
#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/report/report.h"

static const char *const own_keys[] = {
    "/etc/ssh/ssh_host_ed25519_key.pub",
    "/etc/ssh/ssh_host_ecdsa_key.pub",
    "/etc/ssh/ssh_host_rsa_key.pub",
};
static const char *const key_types[] = {
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
};
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int guest_report_hex(const char *text, size_t length, uint8_t *out, size_t max)
{
    if (length % 2 || length / 2 > max)
        return -1;
    for (size_t i = 0; i < length / 2; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return -1;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return (int)(length / 2);
}

void guest_report_put_hex(const uint8_t *data, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * size] = '\0';
}

long guest_report_read_file(const char *path, const char *what, uint8_t *out, size_t max, GuestReportError *error)
{
    int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : dup(STDIN_FILENO);
    size_t size = 0;
    uint8_t more;
    ssize_t n;

    if (fd < 0) {
        guest_report_fail(error, 3, "%s '%.200s': %s", what, path, strerror(errno));
        return -1;
    }
    while ((n = size < max ? read(fd, out + size, max - size) : read(fd, &more, 1)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || size == max) {
            guest_report_fail(error, 3, "%s '%.200s': %s", what, path, n < 0 ? strerror(errno) : "it is too large");
            close(fd);
            return -1;
        }
        size += (size_t)n;
    }
    close(fd);
    return (long)size;
}

/* With padding, and nothing else in between; the number of bytes, or -1. @out: BASE64_DECODE_LENGTH(@length) bytes. */
static long decode(const char *text, size_t length, uint8_t *out)
{
    struct base64_decode_ctx context;
    size_t size = 0;

    for (size_t i = 0; i < length; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return -1;
    }
    base64_decode_init(&context);
    return base64_decode_update(&context, &size, out, length, text) && base64_decode_final(&context) ? (long)size : -1;
}

/* The blob begins with its type again: four bytes of length, then the name (RFC 4253, 6.6). */
static bool blob_is(const uint8_t *blob, size_t size, const char *type)
{
    size_t length = strlen(type);

    return size > 4 + length && !blob[0] && !blob[1] && !blob[2] && blob[3] == length &&
           !memcmp(blob + 4, type, length);
}

bool guest_report_key_parse(const char *text, size_t size, GuestReportKey *out, GuestReportError *error)
{
    uint8_t blob[GUEST_REPORT_KEY_MAX];
    const char *end = size ? memchr(text, '\n', size) : NULL, *space, *key;
    size_t length = end ? (size_t)(end - text) : size, key_length, type = 0;
    struct sha256_ctx hash;
    long blob_size;

    if (!length)
        return guest_report_fail(error, 3, "this is no public key of OpenSSH: its first line is empty");
    if (size >= 5 && !memcmp(text, "-----", 5))
        return guest_report_fail(error, 3, "this is no public key: give the .pub file that lies beside it");
    space = memchr(text, ' ', length);
    if (!space || length >= GUEST_REPORT_KEY_MAX)
        return guest_report_fail(error, 3, "this is no public key of OpenSSH");
    while (type < COUNT(key_types) && ((size_t)(space - text) != strlen(key_types[type]) ||
                                       memcmp(text, key_types[type], strlen(key_types[type])) != 0))
        type++;
    if (type == COUNT(key_types))
        return guest_report_fail(error, 3, "this is no public key of a type that is known here");
    key = space + 1;
    key_length = length - (size_t)(key - text);
    space = memchr(key, ' ', key_length);
    if (space)
        key_length = (size_t)(space - key);
    blob_size = decode(key, key_length, blob);
    if (blob_size < 0 || !blob_is(blob, (size_t)blob_size, key_types[type]))
        return guest_report_fail(error, 3, "the public key is damaged");
    sha256_init(&hash);
    sha256_update(&hash, (size_t)blob_size, blob);
    sha256_digest(&hash, sizeof(out->digest), out->digest);
    snprintf(out->line, sizeof(out->line), "%s %.*s", key_types[type], (int)key_length, key);
    return true;
}

bool guest_report_key_read(const char *path, GuestReportKey *out, GuestReportError *error)
{
    char text[GUEST_REPORT_KEY_MAX];
    GuestReportError cause;
    long size;

    if (!strcmp(path, "auto")) {
        error->code = 0;
        return guest_report_key_own(out, error) ||
               (error->code ? false : guest_report_fail(error, 4, "this system has no SSH host key"));
    }
    size = guest_report_read_file(path, "public key", (uint8_t *)text, sizeof(text), error);
    if (size < 0)
        return false;
    return guest_report_key_parse(text, (size_t)size, out, &cause) ||
           guest_report_fail(error, cause.code, "public key '%.200s': %.150s", path, cause.text);
}

bool guest_report_key_own(GuestReportKey *out, GuestReportError *error)
{
    for (size_t i = 0; i < COUNT(own_keys); i++) {
        if (access(own_keys[i], F_OK) == 0)
            return guest_report_key_read(own_keys[i], out, error);
    }
    return false;
}
