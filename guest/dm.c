/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Device-mapper by its ioctls, linux/dm-ioctl.h: a mapping is created, gets a table of one target, and is resumed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/dm-ioctl.h>

#include "guest/init.h"

#define CONTROL "/dev/mapper/control"
/* A table line holds a root hash, a salt, or a key, in hex. */
#define DATA_MAX 4096

typedef struct {
    struct dm_ioctl head;
    struct dm_target_spec target;
    char text[DATA_MAX];
} Request;

static void request_init(Request *request, const char *name, uint32_t flags)
{
    memset(request, 0, sizeof(*request));
    /* 4.27: Linux 3.9. All that is used here is older than Debian 11's. */
    request->head.version[0] = DM_VERSION_MAJOR;
    request->head.version[1] = 27;
    request->head.data_size = sizeof(*request);
    request->head.data_start = offsetof(Request, target);
    request->head.flags = flags;
    snprintf(request->head.name, sizeof(request->head.name), "%s", name);
}

static int control(unsigned long command, Request *request)
{
    int fd = open(CONTROL, O_RDWR | O_CLOEXEC), result, number;

    if (fd < 0)
        guest_stop("%s: %s; the initrd lacks the module dm_mod", CONTROL, strerror(errno));
    result = ioctl(fd, command, request);
    number = errno;
    close(fd);
    errno = number;
    return result;
}

void guest_dm_remove(const char *name)
{
    Request request;

    request_init(&request, name, 0);
    if (control(DM_DEV_REMOVE, &request) < 0)
        guest_stop("mapping %s cannot be removed: %s", name, strerror(errno));
}

bool guest_dm_create(const char *name, uint64_t sectors, const char *type, const char *parameters, bool read_only,
                     bool secret, GuestDevice *out, char *message)
{
    uint32_t flags = (read_only ? DM_READONLY_FLAG : 0) | (secret ? DM_SECURE_DATA_FLAG : 0);
    Request request;
    uint64_t device;
    int result, number;

    request_init(&request, name, 0);
    if (control(DM_DEV_CREATE, &request) < 0)
        guest_stop("mapping %s cannot be created: %s", name, strerror(errno));
    /* huge_encode_dev() of linux/kdev_t.h */
    device = request.head.dev;

    request_init(&request, name, flags);
    request.head.target_count = 1;
    request.target.length = sectors;
    snprintf(request.target.target_type, sizeof(request.target.target_type), "%s", type);
    if (strlen(parameters) >= sizeof(request.text))
        guest_stop("mapping %s: the table is too long", name);
    memcpy(request.text, parameters, strlen(parameters) + 1);
    result = control(DM_TABLE_LOAD, &request);
    number = errno;
    explicit_bzero(&request, sizeof(request));
    if (result < 0) {
        guest_dm_remove(name);
        snprintf(message, GUEST_MESSAGE_MAX, "the kernel refuses the %s table of %s: %s", type, name, strerror(number));
        return false;
    }

    request_init(&request, name, flags & DM_READONLY_FLAG);
    if (control(DM_DEV_SUSPEND, &request) < 0)
        guest_stop("mapping %s cannot be started: %s", name, strerror(errno));
    memset(out, 0, sizeof(*out));
    snprintf(out->number, sizeof(out->number), "%u:%u", (unsigned)(device >> 8 & 0xfff),
             (unsigned)((device & 0xff) | (device >> 12 & 0xfff00)));
    snprintf(out->path, sizeof(out->path), "/dev/dm-%u", (unsigned)((device & 0xff) | (device >> 12 & 0xfff00)));
    out->size = sectors * 512;
    return true;
}

void guest_dm_status(const char *name, char *out, size_t size)
{
    Request request;

    request_init(&request, name, 0);
    if (control(DM_TABLE_STATUS, &request) < 0)
        guest_stop("mapping %s has no status: %s", name, strerror(errno));
    request.text[sizeof(request.text) - 1] = '\0';
    snprintf(out, size, "%s", request.head.target_count ? request.text : "");
}
