/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attestation reports, from inside the guest: what "virt-attest report-get" and the service behind the channel
 * org.virt-attest.report.0 are made of. The C library and nettle only: the program runs in any image.
 *
 * Whatever comes from the host is hostile: the firmware's answer passes through its hands (the processor's signature
 * protects the report, nothing protects the rest), and the channel is its own. What it can reach by it is a report whose
 * first 32 bytes of report data are the digest of this guest's own SSH host key. It must never be able to choose them:
 * a report for a key of its own would let it pass for this guest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_REPORT_SIZE 1184             /* SEV-SNP Firmware ABI (56860), ATTESTATION_REPORT */
#define GUEST_REPORT_DATA_SIZE 64
#define GUEST_REPORT_NONCE_SIZE 32         /* beside the digest of a key */
#define GUEST_REPORT_TABLE_MAX (256 * 1024) /* bytes of certificates */
#define GUEST_REPORT_ANSWER_MAX (256 * 1024) /* bytes of one line on the channel */
#define GUEST_REPORT_KEY_MAX 4096          /* bytes of a public key file */
#define GUEST_REPORT_CHANNEL "org.virt-attest.report.0"
#define GUEST_REPORT_FORMAT "virt-attest-evidence-1"
#define GUEST_REPORT_REQUEST "virt-attest-report-1"

/* @code: exit code: 2 usage, 3 unreadable, 4 not configured. */
typedef struct {
    int code;
    char text[400];
} GuestReportError;
/* Always returns false. */
bool guest_report_fail(GuestReportError *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/**
 * GuestReportRequest:
 * @data: report data
 * @vmpl: privilege level to ask for, 0 to 3; -1: the kernel's choice
 * @tsm: folder of configfs-tsm; @device: the other way. Never NULL
 */
typedef struct {
    uint8_t data[GUEST_REPORT_DATA_SIZE];
    int vmpl;
    const char *tsm, *device;
} GuestReportRequest;
#define GUEST_REPORT_TSM "/sys/kernel/config/tsm/report"
#define GUEST_REPORT_DEVICE "/dev/sev-guest"

/**
 * GuestReport:
 * @table: (nullable): certificate table that the host gave along, @table_size bytes
 * @provider: "configfs-tsm:sev_guest" or "sev-guest"
 */
typedef struct {
    uint8_t bytes[GUEST_REPORT_SIZE];
    uint8_t *table;
    size_t table_size;
    const char *provider;
} GuestReport;
void guest_report_clear(GuestReport *report);

/**
 * guest_report_fetch:
 *
 * Asks configfs-tsm and, where this kernel has none, /dev/sev-guest. What comes back is a report of 1184 bytes with the
 * report data that was asked for; its signature is the verifier's business.
 *
 * Errors: 4: this is no SEV-SNP guest, or the driver is missing; 3: the firmware or the host refused.
 */
bool guest_report_fetch(const GuestReportRequest *request, GuestReport *out, GuestReportError *error);

/* The two ways. @absent: there is nothing of that kind here, so the other one may be tried. */
bool guest_report_from_tsm(const GuestReportRequest *request, GuestReport *out, bool *absent, GuestReportError *error);
bool guest_report_from_device(const GuestReportRequest *request, GuestReport *out, bool *absent,
                              GuestReportError *error);
/* What both check of a report: size, version, report data. */
bool guest_report_check(const GuestReportRequest *request, const uint8_t *bytes, size_t size, GuestReportError *error);

/**
 * GuestReportKey:
 * @line: type and base64, as in a .pub file, without the comment
 * @digest: SHA-256 of the key blob (RFC 4253, 6.6), what "ssh-keygen -l" shows
 */
typedef struct {
    char line[GUEST_REPORT_KEY_MAX];
    uint8_t digest[32];
} GuestReportKey;
/* Reads one public key line of OpenSSH. Errors: 3. */
bool guest_report_key_parse(const char *text, size_t size, GuestReportKey *out, GuestReportError *error);
/* @path: a .pub file, or "auto": the SSH server's, ed25519 before ecdsa before rsa. */
bool guest_report_key_read(const char *path, GuestReportKey *out, GuestReportError *error);
/* "auto"; false without an error when there is no key at all. */
bool guest_report_key_own(GuestReportKey *out, GuestReportError *error);

/* Hexadecimal digits into at most @max bytes; the number of bytes, or -1. */
int guest_report_hex(const char *text, size_t length, uint8_t *out, size_t max);
/* Writes 2 * @size digits and a zero. */
void guest_report_put_hex(const uint8_t *data, size_t size, char *out);
/* A file of at most @max bytes, or "-": standard input. @what: for messages. -1 with an error, else its size. */
long guest_report_read_file(const char *path, const char *what, uint8_t *out, size_t max, GuestReportError *error);

/**
 * guest_report_document:
 * @key: (nullable): whose digest is in the report data
 * @nonce: (nullable): 32 bytes, as asked for
 *
 * Returns: one JSON object on one line, with a newline; free() it. NULL: out of memory.
 */
char *guest_report_document(const GuestReportRequest *request, const GuestReport *report, const GuestReportKey *key,
                            const uint8_t *nonce);
/* The same for a failure. */
char *guest_report_error_document(const uint8_t *nonce, const char *text);

/**
 * GuestReportOptions: the options of report-get, unread; nullable.
 */
typedef struct {
    const char *data, *nonce, *ssh_host_key, *vmpl, *format, *output, *certificates, *tsm, *device;
} GuestReportOptions;
/* report-get. */
bool guest_report_get(const GuestReportOptions *options, GuestReportError *error);

/* One request line of the channel, without its newline: the nonce. */
bool guest_report_request_parse(const char *line, size_t size, uint8_t nonce[GUEST_REPORT_NONCE_SIZE]);
/**
 * guest_report_serve:
 * @port: the channel's device
 * @stop_at_end: return at the end of file, which a channel has whenever the host is away; for tests
 *
 * Answers requests until the process is killed or the port goes away. Errors: 3: the port.
 */
bool guest_report_serve(const char *port, const GuestReportRequest *ways, bool stop_at_end, GuestReportError *error);
