/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /dev/sev-guest (Linux, Documentation/virt/coco/sev-guest.rst). The layouts are those of linux/sev-guest.h, written down
 * here because they are an interface, and because older headers lack the upper half of the error.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "guest/report/report.h"

#define PAGE 4096
/* More the drivers of today do not take (SEV_FW_BLOB_MAX_SIZE). */
#define TABLE_ROOM (4 * PAGE)
#define VMM_INVALID_LENGTH 1
#define VMM_BUSY 2
/* What the driver puts in the firmware's place when it has not asked it. */
#define NOT_ASKED_OLD 0xff
#define NOT_ASKED 0xffffffff
#define BUSY_SECONDS 20
/* MSG_REPORT_RSP: status, size of the report, 24 reserved bytes, the report (SEV-SNP Firmware ABI, table 25). */
#define RESPONSE_SIZE 4000
#define RESPONSE_REPORT 0x20

struct report_request {
    uint8_t user_data[64];
    uint32_t vmpl;
    uint8_t reserved[28];
};
struct extended_request {
    struct report_request data;
    uint64_t certs_address;
    uint32_t certs_len;
};
struct guest_request {
    uint8_t msg_version;
    uint64_t req_data, resp_data;
    uint64_t error; /* of the firmware below, of the hypervisor above */
};
_Static_assert(sizeof(struct extended_request) == 112, "as in linux/sev-guest.h");
_Static_assert(sizeof(struct guest_request) == 32, "as in linux/sev-guest.h");
#define GET_REPORT _IOWR('S', 0x0, struct guest_request)
#define GET_EXTENDED_REPORT _IOWR('S', 0x2, struct guest_request)

/* Whether the call went well; @vmm: what the hypervisor said otherwise. */
static bool call(int fd, unsigned long number, void *request, uint8_t *response, uint32_t *vmm, uint32_t *firmware)
{
    const struct timespec pause = {.tv_nsec = 500 * 1000 * 1000};

    for (int tries = 0; tries < 2 * BUSY_SECONDS; tries++) {
        struct guest_request guest = {.msg_version = 1, .req_data = (uintptr_t)request,
                                      .resp_data = (uintptr_t)response};
        int rc;

        memset(response, 0, RESPONSE_SIZE);
        do
            rc = ioctl(fd, number, &guest);
        while (rc < 0 && errno == EINTR);
        *vmm = (uint32_t)(guest.error >> 32);
        *firmware = (uint32_t)guest.error;
        if (rc == 0)
            return true;
        if (errno != EAGAIN && errno != EBUSY && *vmm != VMM_BUSY)
            return false;
        nanosleep(&pause, NULL);
    }
    errno = EBUSY;
    return false;
}

static bool ask_extended(int fd, const GuestReportRequest *request, GuestReport *out, uint8_t *response)
{
    struct extended_request extended = {.data.vmpl = request->vmpl < 0 ? 0 : (uint32_t)request->vmpl};
    uint32_t vmm = 0, firmware = 0;
    size_t room = TABLE_ROOM;

    memcpy(extended.data.user_data, request->data, sizeof(request->data));
    for (int turn = 0; turn < 2; turn++) {
        out->table = aligned_alloc(PAGE, room);
        if (!out->table)
            return false;
        memset(out->table, 0, room);
        extended.certs_address = (uintptr_t)out->table;
        extended.certs_len = (uint32_t)room;
        if (call(fd, GET_EXTENDED_REPORT, &extended, response, &vmm, &firmware)) {
            out->table_size = room;
            return true;
        }
        guest_report_clear(out);
        /* The host's table is larger: it says how large. A driver that does not take as much refuses the second call. */
        if (vmm != VMM_INVALID_LENGTH || extended.certs_len <= room || extended.certs_len > GUEST_REPORT_TABLE_MAX)
            return false;
        room = (extended.certs_len + PAGE - 1) / PAGE * (size_t)PAGE;
    }
    return false;
}

/* Without an entry it is none; zeros behind the last one are room that was not needed. */
static void trim_table(GuestReport *out)
{
    size_t used = out->table_size;

    while (used > 0 && !out->table[used - 1])
        used--;
    if (!used)
        guest_report_clear(out);
    else
        /* The end of a list of entries is 24 zero bytes, which may be what was trimmed. */
        out->table_size = used + 24 < out->table_size ? used + 24 : out->table_size;
}

static bool fail(const GuestReportRequest *request, uint32_t vmm, uint32_t firmware, GuestReportError *error)
{
    if (vmm == VMM_BUSY || errno == EBUSY)
        return guest_report_fail(error, 3, "the host has kept the firmware busy for %d seconds: try again",
                                 BUSY_SECONDS);
    if (vmm || (firmware && firmware != NOT_ASKED && firmware != NOT_ASKED_OLD))
        return guest_report_fail(error, 3, "'%s': the firmware refuses (error %#x, hypervisor %#x)%s", request->device,
                                 firmware, vmm, request->vmpl < 0 ? "; try --vmpl" : "");
    return guest_report_fail(error, 3, "'%s': %s", request->device, strerror(errno));
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

bool guest_report_from_device(const GuestReportRequest *request, GuestReport *out, bool *absent,
                              GuestReportError *error)
{
    uint8_t response[RESPONSE_SIZE];
    uint32_t vmm = 0, firmware = 0;
    int fd = open(request->device, O_RDWR | O_CLOEXEC);

    *absent = fd < 0 && (errno == ENOENT || errno == ENXIO || errno == ENODEV);
    if (fd < 0)
        return *absent ? false
                       : guest_report_fail(error, 3, "'%s': %s%s", request->device, strerror(errno),
                                           errno == EACCES || errno == EPERM ? "; only root can" : "");
    if (!ask_extended(fd, request, out, response)) {
        struct report_request plain = {.vmpl = request->vmpl < 0 ? 0 : (uint32_t)request->vmpl};

        memcpy(plain.user_data, request->data, sizeof(request->data));
        if (!call(fd, GET_REPORT, &plain, response, &vmm, &firmware)) {
            fail(request, vmm, firmware, error);
            close(fd);
            return false;
        }
    }
    close(fd);
    if (get_u32(response))
        return guest_report_fail(error, 3, "'%s': the firmware answers with status %#x", request->device,
                                 get_u32(response));
    if (get_u32(response + 4) > RESPONSE_SIZE - RESPONSE_REPORT)
        return guest_report_fail(error, 3, "'%s': the answer is longer than its buffer", request->device);
    if (!guest_report_check(request, response + RESPONSE_REPORT, get_u32(response + 4), error))
        return false;
    memcpy(out->bytes, response + RESPONSE_REPORT, GUEST_REPORT_SIZE);
    out->provider = "sev-guest";
    if (out->table)
        trim_table(out);
    return true;
}
