/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A TEST STAND-IN, NOT A PROCESSOR. In a guest that runs without SEV-SNP it shows what the Linux driver would show
 * there: a folder like configfs-tsm (FUSE), or a device like /dev/sev-guest (CUSE). The reports come from
 * report_server.py on the host, over a port of their own. Written after the kernel's documentation, sharing no code
 * with guest/report, which is what it tests.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define STANDIN_PORT "/dev/virtio-ports/org.virt-attest.test-platform"
#define STANDIN_NOTICE "test stand-in, not a processor"
#define STANDIN_REPORT 1184
#define STANDIN_DATA 64
#define STANDIN_TABLE (64 * 1024)
/* The line of an answer in hexadecimal digits, with its words. */
#define STANDIN_LINE (2 * (STANDIN_REPORT + STANDIN_TABLE) + 64)

/* What the platform answers; @refusal: exitinfo2 of the request (GHCB: hypervisor above, firmware below), 0: well. */
typedef struct {
    uint8_t report[STANDIN_REPORT];
    uint8_t table[STANDIN_TABLE];
    size_t table_size;
    uint64_t refusal;
} StandinAnswer;
#define STANDIN_VMM_BUSY (2ull << 32)

/* One request line "report VMPL DATA", one answer line. 0, or a negative errno when there is no host to ask. */
int standin_ask(const char *port, const uint8_t data[STANDIN_DATA], unsigned vmpl, StandinAnswer *out);

/* Both run until they are killed (the folder: until it is unmounted); the exit code. */
int standin_folder(const char *port, const char *mount_point);
int standin_device(const char *port, const char *name);
