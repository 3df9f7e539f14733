/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SIMULATION of a guest's kernel, for a machine without SEV-SNP: whoever includes this has its own mkdirat(), unlinkat(),
 * openat(), read(), write(), close() and ioctl(), which put a configfs-tsm folder and a /dev/sev-guest in the place of the
 * kernel's. Like Linux (Documentation/ABI/testing/configfs-tsm-report, Documentation/virt/coco/sev-guest.rst, the drivers
 * of 6.12) it makes a report of what was really written, counts the writes itself and refuses what the driver refuses.
 * The reports have no signature.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/sev-guest.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KERNEL_PAGE 4096
/* SEV_FW_BLOB_MAX_SIZE: more certificates the driver takes from nobody. */
#define KERNEL_BLOB_MAX (4 * KERNEL_PAGE)
#define KERNEL_REPORT_SIZE 1184
/* The lower half of exitinfo2 before anybody has asked the firmware. */
#define KERNEL_NOT_ASKED 0xff

/*
 * What this kernel and its host do:
 * @provider, @floor: as the attributes say
 * @table: bytes of certificates that the host gives along; @chunk: most bytes of one read(), 0: all
 * @blob_max: the driver's limit
 * @other_writes: writes by somebody else to the same request
 * @busy_once, @fail, @status, @no_key, @no_extended: how the firmware or the driver refuses
 * @other_data, @short_report: what is wrong with the report
 */
static struct {
    const char *provider;
    guint floor, other_writes;
    gsize table, chunk, blob_max;
    gboolean busy_once, fail, status, no_key, no_extended, other_data, short_report;
    /* What was seen of it. */
    guint calls, entries;
} kernel;

/* The request that was made last; one at a time. */
static struct {
    guint8 inblob[64];
    gsize inblob_size;
    guint privlevel, generation;
} kernel_entry;

/* The attribute that is open; one at a time. */
static struct {
    gboolean open;
    int fd;
    const char *name;
    GByteArray *content;
    gboolean made;
    gsize at;
} kernel_file;

static const struct {
    const char *name;
    int access;
} kernel_attributes[] = {
    {"provider", O_RDONLY}, {"privlevel_floor", O_RDONLY}, {"privlevel", O_WRONLY}, {"generation", O_RDONLY},
    {"inblob", O_WRONLY},   {"outblob", O_RDONLY},         {"auxblob", O_RDONLY},
};

static int kernel_refuse(int number)
{
    errno = number;
    return -1;
}

static void kernel_report(guint8 report[KERNEL_REPORT_SIZE], const guint8 data[64], guint32 vmpl)
{
    memset(report, 0, KERNEL_REPORT_SIZE);
    report[0] = 3;
    report[0x30] = (guint8)vmpl;
    memcpy(report + 0x50, data, 64);
    if (kernel.other_data)
        report[0x50 + 33] ^= 1;
}

/* A folder is a request. */
int mkdirat(int folder, const char *name, mode_t mode)
{
    int rc = (int)syscall(SYS_mkdirat, folder, name, mode);

    if (rc == 0) {
        kernel.entries++;
        memset(&kernel_entry, 0, sizeof(kernel_entry));
        kernel_entry.generation = kernel.other_writes;
    }
    return rc;
}

int unlinkat(int folder, const char *name, int flags)
{
    int rc = (int)syscall(SYS_unlinkat, folder, name, flags);

    if (rc == 0 && (flags & AT_REMOVEDIR))
        kernel.entries--;
    return rc;
}

int openat(int folder, const char *name, int flags, ...)
{
    va_list args;
    mode_t mode;

    for (gsize i = 0; kernel.entries > 0 && i < G_N_ELEMENTS(kernel_attributes); i++) {
        if (!g_str_equal(name, kernel_attributes[i].name))
            continue;
        if ((flags & O_ACCMODE) != kernel_attributes[i].access)
            return kernel_refuse(EACCES);
        g_assert_false(kernel_file.open);
        memset(&kernel_file, 0, sizeof(kernel_file));
        kernel_file.fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
        g_assert_cmpint(kernel_file.fd, >=, 0);
        kernel_file.name = kernel_attributes[i].name;
        kernel_file.content = g_byte_array_new();
        kernel_file.open = TRUE;
        return kernel_file.fd;
    }
    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return (int)syscall(SYS_openat, folder, name, flags, mode);
}

static void kernel_say(const char *format, ...) G_GNUC_PRINTF(1, 2);

static void kernel_say(const char *format, ...)
{
    g_autofree gchar *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_byte_array_append(kernel_file.content, (const guint8 *)text, (guint)strlen(text));
}

/* Reading is what sends the request; 0 or the number of an error. */
static int kernel_make_blob(void)
{
    guint8 report[KERNEL_REPORT_SIZE];

    if (kernel_entry.inblob_size != sizeof(kernel_entry.inblob))
        return EINVAL;
    if (kernel.busy_once) {
        kernel.busy_once = FALSE;
        return EAGAIN;
    }
    if (kernel.fail)
        return EIO;
    if (g_str_equal(kernel_file.name, "auxblob")) {
        g_byte_array_set_size(kernel_file.content, (guint)kernel.table);
        if (kernel.table)
            memset(kernel_file.content->data, 'c', kernel.table);
        return 0;
    }
    kernel_report(report, kernel_entry.inblob, kernel_entry.privlevel);
    g_byte_array_append(kernel_file.content, report, KERNEL_REPORT_SIZE - (guint)kernel.short_report);
    return 0;
}

static int kernel_make(void)
{
    kernel_file.made = TRUE;
    if (g_str_equal(kernel_file.name, "provider"))
        kernel_say("%s\n", kernel.provider);
    else if (g_str_equal(kernel_file.name, "privlevel_floor"))
        kernel_say("%u\n", kernel.floor);
    else if (g_str_equal(kernel_file.name, "generation"))
        kernel_say("%u\n", kernel_entry.generation);
    else
        return kernel_make_blob();
    return 0;
}

ssize_t read(int fd, void *out, size_t size)
{
    int number;

    if (!kernel_file.open || fd != kernel_file.fd)
        return syscall(SYS_read, fd, out, size);
    if (!kernel_file.made && (number = kernel_make()))
        return kernel_refuse(number);
    if (kernel.chunk)
        size = MIN(size, kernel.chunk);
    size = MIN(size, kernel_file.content->len - kernel_file.at);
    if (size)
        memcpy(out, kernel_file.content->data + kernel_file.at, size);
    kernel_file.at += size;
    return (ssize_t)size;
}

/* A text attribute takes effect with the write. */
static ssize_t kernel_store_level(const void *data, size_t size)
{
    g_autofree gchar *text = g_strndup(data, size);
    guint64 level = 0;

    if (!g_ascii_string_to_unsigned(g_strchomp(text), 10, kernel.floor, 3, &level, NULL))
        return kernel_refuse(EINVAL);
    kernel_entry.privlevel = (guint)level;
    kernel_entry.generation++;
    return (ssize_t)size;
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (!kernel_file.open || fd != kernel_file.fd)
        return syscall(SYS_write, fd, data, size);
    if (g_str_equal(kernel_file.name, "privlevel"))
        return kernel_store_level(data, size);
    if (kernel_file.content->len + size > sizeof(kernel_entry.inblob))
        return kernel_refuse(EFBIG);
    g_byte_array_append(kernel_file.content, data, (guint)size);
    return (ssize_t)size;
}

/* A binary attribute takes effect when it is closed. */
int close(int fd)
{
    if (kernel_file.open && fd == kernel_file.fd) {
        if (g_str_equal(kernel_file.name, "inblob") && kernel_file.content->len > 0) {
            kernel_entry.inblob_size = kernel_file.content->len;
            memcpy(kernel_entry.inblob, kernel_file.content->data, kernel_entry.inblob_size);
            kernel_entry.generation++;
        }
        g_byte_array_unref(kernel_file.content);
        kernel_file.open = FALSE;
    }
    return (int)syscall(SYS_close, fd);
}

/* What the host says to an extended request; 0 or the number of an error. */
static int kernel_give_table(struct snp_guest_request_ioctl *guest, struct snp_ext_report_req *extended)
{
    gboolean wanted = extended->certs_len && extended->certs_address;

    if (wanted && (extended->certs_len > kernel.blob_max || extended->certs_len % KERNEL_PAGE))
        return EINVAL;
    kernel.calls++;
    if ((wanted ? extended->certs_len : 0) < kernel.table) {
        extended->certs_len = (guint32)((kernel.table + KERNEL_PAGE - 1) / KERNEL_PAGE * KERNEL_PAGE);
        guest->exitinfo2 = (guint64)SNP_GUEST_VMM_ERR_INVALID_LEN << SNP_GUEST_VMM_ERR_SHIFT;
        return EIO;
    }
    if (!wanted)
        return 0;
    memset((guint8 *)(gsize)extended->certs_address, 0, extended->certs_len);
    memset((guint8 *)(gsize)extended->certs_address, 'c', kernel.table);
    return 0;
}

static int kernel_answer(unsigned long number, struct snp_guest_request_ioctl *guest)
{
    struct snp_report_resp *response = (struct snp_report_resp *)(gsize)guest->resp_data;
    struct snp_ext_report_req *extended = (struct snp_ext_report_req *)(gsize)guest->req_data;
    guint32 size = GUINT32_TO_LE((guint32)KERNEL_REPORT_SIZE), status = GUINT32_TO_LE(0x16);
    int error = 0;

    guest->exitinfo2 = KERNEL_NOT_ASKED;
    if (!guest->msg_version || !guest->req_data || !guest->resp_data)
        return EINVAL;
    if (kernel.no_key || (number == SNP_GET_EXT_REPORT && kernel.no_extended))
        return ENOTTY;
    if (kernel.busy_once) {
        kernel.busy_once = FALSE;
        kernel.calls++;
        guest->exitinfo2 = (guint64)SNP_GUEST_VMM_ERR_BUSY << SNP_GUEST_VMM_ERR_SHIFT;
        return EIO;
    }
    if (number == SNP_GET_EXT_REPORT)
        error = kernel_give_table(guest, extended);
    else
        kernel.calls++;
    if (error)
        return error;
    if (kernel.fail) {
        guest->exitinfo2 = 0x16;
        return EIO;
    }
    guest->exitinfo2 = 0;
    if (kernel.status)
        memcpy(response->data, &status, 4);
    memcpy(response->data + 4, &size, 4);
    /* Both kinds of request begin alike. */
    kernel_report(response->data + 0x20, extended->data.user_data, extended->data.vmpl);
    return 0;
}

int ioctl(int fd, unsigned long number, ...)
{
    va_list args;
    void *argument;
    int error;

    va_start(args, number);
    argument = va_arg(args, void *);
    va_end(args);
    if (number != SNP_GET_REPORT && number != SNP_GET_EXT_REPORT)
        return (int)syscall(SYS_ioctl, fd, number, argument);
    error = kernel_answer(number, argument);
    return error ? kernel_refuse(error) : 0;
}

static void kernel_set_up(void)
{
    g_assert_false(kernel_file.open);
    memset(&kernel, 0, sizeof(kernel));
    kernel.provider = "sev_guest";
    kernel.blob_max = KERNEL_BLOB_MAX;
}
