/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* report-get: one report, on request of somebody inside the guest. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/report/report.h"

#define NONCE_TEXT_MAX 1024

enum format { BINARY, EXTENDED, HEX, JSON };
static const char *const formats[] = {"binary", "extended", "hex", "json"};

/* @size bytes, binary or in hexadecimal, with a newline or without. */
static bool read_nonce(const char *path, size_t size, uint8_t *out, GuestReportError *error)
{
    uint8_t text[NONCE_TEXT_MAX];
    long got = guest_report_read_file(path, "nonce", text, sizeof(text), error);

    if (got < 0)
        return false;
    if ((size_t)got == size) {
        memcpy(out, text, size);
        return true;
    }
    while (got > 0 && (text[got - 1] == '\n' || text[got - 1] == '\r' || text[got - 1] == ' '))
        got--;
    return ((size_t)got == 2 * size && guest_report_hex((const char *)text, 2 * size, out, size) == (int)size) ||
           guest_report_fail(error, 2, "nonce '%.200s': give %zu bytes, binary or as %zu hexadecimal digits", path, size,
                             2 * size);
}

static bool read_data(const GuestReportOptions *options, GuestReportRequest *request, GuestReportKey *key,
                      GuestReportError *error)
{
    if (options->data && (options->nonce || options->ssh_host_key))
        return guest_report_fail(error, 2, "--data is all of the report data: leave out --%s",
                                 options->nonce ? "nonce" : "ssh-host-key");
    if (!options->data && !options->nonce && !options->ssh_host_key)
        return guest_report_fail(error, 2, "say what the report is about: --data, --nonce or --ssh-host-key");
    if (options->data && (!*options->data || guest_report_hex(options->data, strlen(options->data), request->data,
                                                              sizeof(request->data)) < 0))
        return guest_report_fail(error, 2, "--data: give at most %d bytes as hexadecimal digits",
                                 GUEST_REPORT_DATA_SIZE);
    if (options->ssh_host_key) {
        if (!guest_report_key_read(options->ssh_host_key, key, error))
            return false;
        memcpy(request->data, key->digest, sizeof(key->digest));
    }
    if (options->nonce && options->ssh_host_key)
        return read_nonce(options->nonce, GUEST_REPORT_NONCE_SIZE, request->data + sizeof(key->digest), error);
    return !options->nonce || read_nonce(options->nonce, GUEST_REPORT_DATA_SIZE, request->data, error);
}

static bool read_options(const GuestReportOptions *options, GuestReportRequest *request, GuestReportKey *key,
                         enum format *format, GuestReportError *error)
{
    memset(request, 0, sizeof(*request));
    request->vmpl = -1;
    request->tsm = options->tsm ? options->tsm : GUEST_REPORT_TSM;
    request->device = options->device ? options->device : GUEST_REPORT_DEVICE;
    if (options->vmpl) {
        if (strlen(options->vmpl) != 1 || options->vmpl[0] < '0' || options->vmpl[0] > '3')
            return guest_report_fail(error, 2, "--vmpl: give a number from 0 to 3");
        request->vmpl = options->vmpl[0] - '0';
    }
    *format = BINARY;
    while (options->format && strcmp(options->format, formats[*format]) != 0) {
        if (*format == JSON)
            return guest_report_fail(error, 2, "--format: give binary, extended, hex or json");
        (*format)++;
    }
    if (!options->output && *format <= EXTENDED && isatty(STDOUT_FILENO))
        return guest_report_fail(error, 2, "a report is binary: give --output FILE, or --format hex or json");
    return read_data(options, request, key, error);
}

static bool write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

/* A file appears whole or not at all. */
static bool write_file(const char *path, const uint8_t *data, size_t size, GuestReportError *error)
{
    char temporary[4096];
    int fd = -1;

    if ((size_t)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= sizeof(temporary))
        errno = ENAMETOOLONG;
    else
        fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return guest_report_fail(error, 3, "cannot write '%.200s': %s", path, strerror(errno));
    if (!write_all(fd, data, size) || fchmod(fd, 0644) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0) {
        guest_report_fail(error, 3, "cannot write '%.200s': %s", path, strerror(errno));
        unlink(temporary);
        close(fd);
        return false;
    }
    close(fd);
    return true;
}

/* A pipe or a device stays what it is: a file must not take the place of /dev/null. */
static bool write_special(const char *path, const uint8_t *data, size_t size, GuestReportError *error)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0 || !write_all(fd, data, size)) {
        guest_report_fail(error, 3, "cannot write '%.200s': %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    return close(fd) == 0 || guest_report_fail(error, 3, "cannot write '%.200s': %s", path, strerror(errno));
}

static bool put(const char *path, const uint8_t *data, size_t size, GuestReportError *error)
{
    struct stat found;

    if (path && strcmp(path, "-") != 0 && stat(path, &found) == 0 && !S_ISREG(found.st_mode))
        return write_special(path, data, size, error);
    if (path && strcmp(path, "-") != 0)
        return write_file(path, data, size, error);
    return write_all(STDOUT_FILENO, data, size) ||
           guest_report_fail(error, 3, "cannot write to standard output: %s", strerror(errno));
}

static bool put_report(const GuestReportOptions *options, const GuestReportRequest *request, const GuestReport *report,
                       const GuestReportKey *key, enum format format, GuestReportError *error)
{
    const uint8_t *nonce = key && options->nonce ? request->data + sizeof(key->digest) : NULL;
    size_t size = GUEST_REPORT_SIZE + (format == EXTENDED ? report->table_size : 0);
    char *text = NULL;
    bool good;

    if (format == JSON) {
        text = guest_report_document(request, report, key, nonce);
        size = text ? strlen(text) : 0;
    } else {
        text = malloc(2 * size + 2);
        if (text && format == HEX) {
            guest_report_put_hex(report->bytes, GUEST_REPORT_SIZE, text);
            size = 2 * GUEST_REPORT_SIZE;
            text[size++] = '\n';
        } else if (text) {
            memcpy(text, report->bytes, GUEST_REPORT_SIZE);
            if (size > GUEST_REPORT_SIZE)
                memcpy(text + GUEST_REPORT_SIZE, report->table, size - GUEST_REPORT_SIZE);
        }
    }
    good = text ? put(options->output, (const uint8_t *)text, size, error)
                : guest_report_fail(error, 3, "no memory for the report");
    free(text);
    return good;
}

bool guest_report_get(const GuestReportOptions *options, GuestReportError *error)
{
    GuestReportRequest request;
    GuestReport report = {.table = NULL};
    GuestReportKey key;
    enum format format = BINARY;
    bool good;

    if (!read_options(options, &request, &key, &format, error) || !guest_report_fetch(&request, &report, error))
        return false;
    if (options->certificates && !report.table)
        good = guest_report_fail(error, 3, "the host has given no certificates along: leave out --certificates");
    else
        good = (!options->certificates || put(options->certificates, report.table, report.table_size, error)) &&
               put_report(options, &request, &report, options->ssh_host_key ? &key : NULL, format, error);
    guest_report_clear(&report);
    return good;
}
