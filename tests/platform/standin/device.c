/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A device like /dev/sev-guest (Linux, Documentation/virt/coco/sev-guest.rst; the layouts are those of
 * linux/sev-guest.h, written down a second time on purpose): SNP_GET_REPORT and SNP_GET_EXT_REPORT. CUSE hands over
 * the caller's memory in turns: each turn names the pieces that the last one has made known.
 */
#define FUSE_USE_VERSION 31
#include <cuse_lowlevel.h>
#include <errno.h>
#include <fuse_opt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "standin.h"

#define PAGE 4096
#define TABLE_MAX 0x4000u /* SEV_FW_BLOB_MAX_SIZE */
#define REQUEST 32        /* struct snp_guest_request_ioctl */
#define PLAIN 96          /* struct snp_report_req */
#define EXTENDED 112      /* struct snp_ext_report_req */
#define RESPONSE 4000     /* struct snp_report_resp */
#define GET_REPORT 0xc0205300u
#define GET_EXTENDED_REPORT 0xc0205302u
#define VMM_INVALID_LENGTH (1ull << 32)

static const char *platform;

static uint64_t get(const uint8_t *at, int bytes)
{
    uint64_t value = 0;

    while (bytes--)
        value = value << 8 | at[bytes];
    return value;
}

static void put(uint8_t *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++, value >>= 8)
        at[i] = (uint8_t)value;
}

/* The pieces of the caller's memory that are written to, in this order. */
typedef struct {
    struct iovec where[4];
    uint8_t guest[REQUEST], response[RESPONSE], extended[EXTENDED], table[TABLE_MAX];
    size_t table_room;
    bool is_extended;
} Call;

static int pieces(const Call *call, struct iovec *out, bool as_memory)
{
    const void *memory[] = {call->guest, call->response, call->extended, call->table};
    const size_t sizes[] = {REQUEST, RESPONSE, EXTENDED, call->table_room};
    int count = call->is_extended ? call->table_room ? 4 : 3 : 2;

    for (int i = 0; i < count; i++) {
        out[i].iov_base = as_memory ? (void *)(uintptr_t)memory[i] : call->where[i].iov_base;
        out[i].iov_len = sizes[i];
    }
    return count;
}

/* The negative errno of the ioctl, as the driver gives it. */
static int answer(Call *call, const uint8_t *request)
{
    static StandinAnswer got;
    uint8_t data[STANDIN_DATA];
    unsigned level = (unsigned)get(request + STANDIN_DATA, 4);
    int rc;

    if (level > 3)
        return -EINVAL;
    memcpy(data, request, sizeof(data));
    rc = standin_ask(platform, data, level, &got);
    if (rc)
        return rc;
    if (!got.refusal && call->is_extended && got.table_size > call->table_room) {
        put(call->extended + 104, (got.table_size + PAGE - 1) / PAGE * PAGE, 4);
        got.refusal = VMM_INVALID_LENGTH;
    }
    put(call->guest + 24, got.refusal, 8);
    if (got.refusal)
        return got.refusal == STANDIN_VMM_BUSY ? -EAGAIN : -EIO;
    if (call->is_extended)
        memcpy(call->table, got.table, got.table_size);
    put(call->response + 4, STANDIN_REPORT, 4);
    memcpy(call->response + 32, got.report, STANDIN_REPORT);
    return 0;
}

static void op_ioctl(fuse_req_t req, int command, void *argument, struct fuse_file_info *info, unsigned flags,
                     const void *in, size_t in_size, size_t out_size)
{
    static Call call;
    const uint8_t *bytes = in;
    size_t request_size = (unsigned)command == GET_EXTENDED_REPORT ? EXTENDED : PLAIN;
    struct iovec want[2] = {{argument, REQUEST}, {NULL, request_size}}, out[4];
    int count, rc;

    (void)info;
    (void)flags;
    memset(&call, 0, sizeof(call));
    call.is_extended = request_size == EXTENDED;
    if ((unsigned)command != GET_REPORT && !call.is_extended) {
        fuse_reply_err(req, ENOTTY);
        return;
    }
    if (in_size < REQUEST) {
        fuse_reply_ioctl_retry(req, want, 1, NULL, 0);
        return;
    }
    memcpy(call.guest, bytes, REQUEST);
    call.where[0].iov_base = argument;
    want[1].iov_base = call.where[2].iov_base = (void *)(uintptr_t)get(call.guest + 8, 8);
    call.where[1].iov_base = (void *)(uintptr_t)get(call.guest + 16, 8);
    if (call.guest[0] != 1 || !want[1].iov_base || !call.where[1].iov_base) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    if (in_size < REQUEST + request_size) {
        fuse_reply_ioctl_retry(req, want, 2, NULL, 0);
        return;
    }
    if (call.is_extended) {
        memcpy(call.extended, bytes + REQUEST, EXTENDED);
        call.where[3].iov_base = (void *)(uintptr_t)get(call.extended + 96, 8);
        call.table_room = get(call.extended + 104, 4);
        if (call.table_room > TABLE_MAX || call.table_room % PAGE || (call.table_room && !call.where[3].iov_base)) {
            fuse_reply_err(req, EINVAL);
            return;
        }
    }
    count = pieces(&call, out, false);
    if (!out_size) {
        fuse_reply_ioctl_retry(req, want, 2, out, (size_t)count);
        return;
    }
    rc = answer(&call, bytes + REQUEST);
    count = pieces(&call, out, true);
    fuse_reply_ioctl_iov(req, rc, out, count);
}

static void op_open(fuse_req_t req, struct fuse_file_info *info)
{
    fuse_reply_open(req, info);
}

int standin_device(const char *port, const char *name)
{
    static const struct cuse_lowlevel_ops operations = {.open = op_open, .ioctl = op_ioctl};
    char device[64];
    const char *names[] = {device}, *words[] = {"standin", "-f", "-s", NULL};
    const struct cuse_info info = {.dev_info_argc = 1, .dev_info_argv = names, .flags = CUSE_UNRESTRICTED_IOCTL};

    platform = port;
    snprintf(device, sizeof(device), "DEVNAME=%s", name);
    return cuse_lowlevel_main(3, (char **)(uintptr_t)words, &info, &operations, NULL);
}
