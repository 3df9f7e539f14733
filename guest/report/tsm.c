/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * configfs-tsm (Linux, Documentation/ABI/testing/configfs-tsm-report): a folder is a request. Its attributes are written
 * and read like files; `generation` counts the writes, so that two users of one folder notice each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "guest/report/report.h"

#define PROVIDER "sev_guest"
/* The kernel spaces requests out when the host says that it is busy. */
#define BUSY_SECONDS 20

/* Less than @max bytes; as many or more: EFBIG. */
static bool read_attribute(int folder, const char *name, uint8_t *out, size_t max, size_t *size)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);

    *size = 0;
    if (fd < 0)
        return false;
    for (;;) {
        ssize_t n = read(fd, out + *size, max - *size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || (n > 0 && *size + (size_t)n == max)) {
            int saved = n < 0 ? errno : EFBIG;

            close(fd);
            errno = saved;
            return false;
        }
        if (n == 0)
            break;
        *size += (size_t)n;
    }
    close(fd);
    return true;
}

static bool read_text(int folder, const char *name, char *out, size_t max)
{
    size_t size = 0;

    if (!read_attribute(folder, name, (uint8_t *)out, max, &size))
        return false;
    while (size > 0 && (out[size - 1] == '\n' || out[size - 1] == ' '))
        size--;
    out[size] = '\0';
    return true;
}

static bool read_number(int folder, const char *name, unsigned long *out)
{
    char text[32], *end;

    if (!read_text(folder, name, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *out = strtoul(text, &end, 10);
    return errno == 0 && *end == '\0';
}

/* In one piece, and closed: a binary attribute takes effect when it is closed. */
static bool write_attribute(int folder, const char *name, const void *data, size_t size)
{
    int fd = openat(folder, name, O_WRONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    do
        n = write(fd, data, size);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)size) {
        int saved = n < 0 ? errno : EIO;

        close(fd);
        errno = saved;
        return false;
    }
    return close(fd) == 0;
}

static bool fail(GuestReportError *error, const GuestReportRequest *request, const char *name)
{
    const char *hint = errno == EACCES || errno == EPERM ? "; only root can" : "";

    return guest_report_fail(error, 3, "'%s': %s: %s%s", request->tsm, name, strerror(errno), hint);
}

static bool ask_level(int folder, const GuestReportRequest *request, GuestReportError *error)
{
    char text[16];
    unsigned long floor = 0;

    if (read_number(folder, "privlevel_floor", &floor) && (unsigned long)request->vmpl < floor)
        return guest_report_fail(error, 3, "this system runs at VMPL %lu and cannot ask for VMPL %d", floor,
                                 request->vmpl);
    snprintf(text, sizeof(text), "%d\n", request->vmpl);
    return write_attribute(folder, "privlevel", text, strlen(text)) || fail(error, request, "privlevel");
}

/* The request goes to the firmware when this is read. */
static bool read_report(int folder, const GuestReportRequest *request, uint8_t *out, size_t *size,
                        GuestReportError *error)
{
    const struct timespec pause = {.tv_nsec = 500 * 1000 * 1000};

    for (int tries = 0; tries < 2 * BUSY_SECONDS; tries++) {
        if (read_attribute(folder, "outblob", out, GUEST_REPORT_SIZE + 1, size))
            return true;
        if (errno != EBUSY && errno != EAGAIN)
            return fail(error, request, "outblob");
        nanosleep(&pause, NULL);
    }
    return guest_report_fail(error, 3, "the host has kept the firmware busy for %d seconds: try again", BUSY_SECONDS);
}

static bool read_table(int folder, const GuestReportRequest *request, GuestReport *out, GuestReportError *error)
{
    bool good;

    out->table = malloc(GUEST_REPORT_TABLE_MAX + 1);
    if (!out->table)
        return guest_report_fail(error, 3, "no memory for certificates");
    good = read_attribute(folder, "auxblob", out->table, GUEST_REPORT_TABLE_MAX + 1, &out->table_size);
    if (!good && errno == EFBIG)
        return guest_report_fail(error, 3, "'%s': the host gave more than %d bytes of certificates", request->tsm,
                                 GUEST_REPORT_TABLE_MAX);
    /* None were given along: the verifier has others. */
    if (!good || !out->table_size)
        guest_report_clear(out);
    return true;
}

static bool use(int folder, const GuestReportRequest *request, GuestReport *out, GuestReportError *error)
{
    uint8_t bytes[GUEST_REPORT_SIZE + 2];
    char provider[32];
    size_t size = 0;
    unsigned long generation = 0, expected = 1;

    if (!read_text(folder, "provider", provider, sizeof(provider)))
        return fail(error, request, "provider");
    if (strcmp(provider, PROVIDER) != 0)
        return guest_report_fail(error, 4, "'%s' belongs to another kind of confidential guest than SEV-SNP",
                                 request->tsm);
    if (request->vmpl >= 0) {
        if (!ask_level(folder, request, error))
            return false;
        expected++;
    }
    if (!write_attribute(folder, "inblob", request->data, sizeof(request->data)))
        return fail(error, request, "inblob");
    if (!read_report(folder, request, bytes, &size, error) || !read_table(folder, request, out, error))
        return false;
    if (!read_number(folder, "generation", &generation))
        return fail(error, request, "generation");
    if (generation != expected)
        return guest_report_fail(error, 3, "'%s': somebody else has used the same request: try again", request->tsm);
    if (!guest_report_check(request, bytes, size, error))
        return false;
    memcpy(out->bytes, bytes, GUEST_REPORT_SIZE);
    out->provider = "configfs-tsm:" PROVIDER;
    return true;
}

/* Nobody else's name: others may ask at the same time. */
static bool entry_name(char *out, size_t max)
{
    uint64_t number = 0;

    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        return false;
    snprintf(out, max, "virt-attest-%016llx", (unsigned long long)number);
    return true;
}

bool guest_report_from_tsm(const GuestReportRequest *request, GuestReport *out, bool *absent, GuestReportError *error)
{
    int root = open(request->tsm, O_RDONLY | O_DIRECTORY | O_CLOEXEC), folder;
    sigset_t all, before;
    char name[64];
    bool good = false;

    *absent = root < 0 && (errno == ENOENT || errno == ENOTDIR);
    if (root < 0)
        return *absent ? false : fail(error, request, "open");
    /* A request that stayed behind would stay until the next boot. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    if (!entry_name(name, sizeof(name)) || mkdirat(root, name, 0700) < 0) {
        /* configfs without a driver: ENXIO. */
        *absent = errno == ENXIO || errno == ENODEV;
        fail(error, request, "no request can be made");
    } else {
        folder = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0) {
            fail(error, request, name);
        } else {
            good = use(folder, request, out, error);
            close(folder);
        }
        unlinkat(root, name, AT_REMOVEDIR);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(root);
    return good;
}
