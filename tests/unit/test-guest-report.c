/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's program for reports: what it reads, what it refuses, what it answers to the host.
 *
 * SIMULATION: no processor with SEV-SNP is needed, see guest-kernel-fixture.h.
 */
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <pty.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "guest/report/report.h"
#include "tests/unit/guest-kernel-fixture.h"

/* Keys made for this test; their digests are those of "ssh-keygen -l". */
#define ED25519 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN0q/nV/AfzPpZrktVb6LxKsdnBUESBLDjJpfaWu3OYn"
#define ED25519_DIGEST "45de4d5a7792e1b1756aa8500a44e678fb31949bfad09351e413c327542e7e70"
#define ECDSA                                                                                                          \
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAS3V9Hm5Ih0WCO+i3+ryNdmJ+ej+zMW8GW5pumH" \
    "FzCMRO/UtgHUem42Lx2PKQXt6vE6M/+0M0Gcx+5eCorQlwI="
#define ECDSA_DIGEST "c8cc354fc9c19f68dc6c231021349d6ad799fe53045641c7a08a2003b1267654"
#define NONCE "00112233445566778899aabbccddeeff00112233445566778899aabbccddee0f"

static GuestReportRequest wanted;
static gchar *tsm_folder, *device_file;

static void set_up(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *folder = g_dir_make_tmp("virt-attest-report-XXXXXX", &error);

    g_assert_no_error(error);
    kernel_set_up();
    tsm_folder = g_build_filename(folder, "report", NULL);
    device_file = g_build_filename(folder, "sev-guest", NULL);
    g_assert_cmpint(g_mkdir(tsm_folder, 0700), ==, 0);
    memset(&wanted, 0, sizeof(wanted));
    for (guint i = 0; i < sizeof(wanted.data); i++)
        wanted.data[i] = (guint8)(i + 1);
    wanted.vmpl = -1;
    wanted.tsm = tsm_folder;
    wanted.device = device_file;
}

static void use_device(void)
{
    g_assert_cmpint(g_rmdir(tsm_folder), ==, 0);
    g_assert_true(g_file_set_contents(device_file, "", 0, NULL));
}

static void tear_down(void)
{
    g_autofree gchar *folder = g_path_get_dirname(tsm_folder);

    /* A request that stayed behind would make the folder one that is not empty. */
    g_assert_cmpuint(kernel.entries, ==, 0);
    g_assert_false(kernel_file.open);
    g_rmdir(tsm_folder);
    g_unlink(device_file);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
    g_clear_pointer(&tsm_folder, g_free);
    g_clear_pointer(&device_file, g_free);
}

static void fetched(const char *provider, gsize table_size)
{
    GuestReport report;
    GuestReportError error = {.code = 0, .text = ""};

    if (!guest_report_fetch(&wanted, &report, &error))
        g_error("%s", error.text);
    g_assert_cmpstr(report.provider, ==, provider);
    g_assert_cmpmem(report.bytes + 0x50, 64, wanted.data, 64);
    g_assert_cmpuint(report.bytes[0x30], ==, MAX(wanted.vmpl, 0));
    g_assert_cmpuint(report.table_size, ==, table_size);
    g_assert_true((report.table != NULL) == (table_size > 0));
    for (gsize i = 0; i < MIN(table_size, kernel.table); i++)
        g_assert_cmpuint(report.table[i], ==, 'c');
    guest_report_clear(&report);
}

static void refused(int code, const char *text)
{
    GuestReport report;
    GuestReportError error = {.code = 0, .text = ""};

    g_assert_false(guest_report_fetch(&wanted, &report, &error));
    g_assert_null(report.table);
    if (!strstr(error.text, text))
        g_error("'%s' does not say '%s'", error.text, text);
    g_assert_cmpint(error.code, ==, code);
}

static void test_tsm(void)
{
    set_up();
    fetched("configfs-tsm:sev_guest", 0);
    kernel.table = 12;
    fetched("configfs-tsm:sev_guest", 12);
    for (wanted.vmpl = 0; wanted.vmpl < 4; wanted.vmpl++)
        fetched("configfs-tsm:sev_guest", 12);
    wanted.vmpl = 2;
    kernel.floor = 2;
    fetched("configfs-tsm:sev_guest", 12);
    /* In pieces, and not at once. */
    kernel.chunk = 100;
    kernel.busy_once = TRUE;
    fetched("configfs-tsm:sev_guest", 12);
    tear_down();
}

/* As many certificates as are taken, and one byte more, in one read and in several. */
static void test_tsm_table(void)
{
    static const gsize chunks[] = {0, 4096, 100000, GUEST_REPORT_TABLE_MAX};

    set_up();
    for (gsize i = 0; i < G_N_ELEMENTS(chunks); i++) {
        kernel.chunk = chunks[i];
        kernel.table = GUEST_REPORT_TABLE_MAX;
        fetched("configfs-tsm:sev_guest", GUEST_REPORT_TABLE_MAX);
        kernel.table++;
        refused(3, "more than 262144 bytes of certificates");
        kernel.table *= 2;
        refused(3, "more than 262144 bytes of certificates");
    }
    tear_down();
}

static void test_tsm_refused(void)
{
    set_up();
    kernel.table = 12;
    kernel.other_writes = 1;
    refused(3, "somebody else");
    kernel.other_writes = 0;
    kernel.provider = "tdx_guest";
    refused(4, "another kind");
    kernel.provider = "sev_guest";
    kernel.other_data = TRUE;
    refused(3, "report data");
    kernel.other_data = FALSE;
    kernel.short_report = TRUE;
    refused(3, "1183 bytes");
    kernel.short_report = FALSE;
    kernel.fail = TRUE;
    refused(3, "outblob: Input/output error");
    kernel.fail = FALSE;
    kernel.floor = 2;
    wanted.vmpl = 1;
    refused(3, "VMPL 2");
    kernel.floor = 0;
    wanted.vmpl = 4;
    refused(3, "privlevel: Invalid argument");
    tear_down();
}

static void test_device(void)
{
    set_up();
    use_device();
    kernel.no_extended = TRUE;
    fetched("sev-guest", 0);
    kernel.no_extended = FALSE;
    kernel.calls = 0;
    fetched("sev-guest", 0);
    g_assert_cmpuint(kernel.calls, ==, 1);
    /* As large as Linux takes: no room behind the last certificate. */
    kernel.table = KERNEL_BLOB_MAX;
    fetched("sev-guest", KERNEL_BLOB_MAX);
    /* The end of the list stays. */
    kernel.table = 5000;
    fetched("sev-guest", 5000 + 24);
    /* The host has more, which Linux does not take from it: the report without them. */
    kernel.table = KERNEL_BLOB_MAX + 1;
    kernel.calls = 0;
    fetched("sev-guest", 0);
    g_assert_cmpuint(kernel.calls, ==, 2);
    /* A driver that takes more: too small once, then as large as the host said. */
    kernel.blob_max = 1024 * 1024;
    kernel.table = 5 * KERNEL_PAGE;
    kernel.calls = 0;
    fetched("sev-guest", 5 * KERNEL_PAGE);
    g_assert_cmpuint(kernel.calls, ==, 2);
    /* More than we take. */
    kernel.table = GUEST_REPORT_TABLE_MAX + KERNEL_PAGE;
    fetched("sev-guest", 0);
    kernel.table = 0;
    kernel.busy_once = TRUE;
    kernel.calls = 0;
    fetched("sev-guest", 0);
    g_assert_cmpuint(kernel.calls, ==, 2);
    for (wanted.vmpl = 0; wanted.vmpl < 4; wanted.vmpl++) {
        kernel.no_extended = wanted.vmpl % 2 == 1;
        fetched("sev-guest", 0);
    }
    tear_down();
}

static void test_device_refused(void)
{
    set_up();
    use_device();
    kernel.fail = TRUE;
    refused(3, "error 0x16");
    kernel.fail = FALSE;
    kernel.status = TRUE;
    refused(3, "status 0x16");
    kernel.status = FALSE;
    kernel.other_data = TRUE;
    refused(3, "report data");
    kernel.other_data = FALSE;
    /* The driver has thrown its key away: nobody has asked the firmware, and nothing says so. */
    kernel.no_key = TRUE;
    refused(3, "Inappropriate ioctl");
    kernel.no_key = FALSE;
    g_unlink(device_file);
    refused(4, "modprobe sev-guest");
    tear_down();
}

static void check_key(const char *text, const char *line, const char *digest)
{
    GuestReportKey key;
    GuestReportError error = {.code = 0, .text = ""};
    char hex[2 * sizeof(key.digest) + 1];

    if (!guest_report_key_parse(text, strlen(text), &key, &error))
        g_error("%s: %s", text, error.text);
    guest_report_put_hex(key.digest, sizeof(key.digest), hex);
    g_assert_cmpstr(hex, ==, digest);
    g_assert_cmpstr(key.line, ==, line);
}

static void test_key(void)
{
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n", ".pub"},
        {"", "no public key"},
        {"\n" ED25519 "\n", "no public key"},
        {"ssh-ed25519\n", "no public key"},
        {"ssh-ed25519 \n", "damaged"},
        {"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIN0q/nV/AfzPpZrktVb6LxKsdnBUESBLDjJpfaWu3OYn\n", "damaged"},
        {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\n", "damaged"},
        {"ssh-ed25519 AAAA\"C3NzaC1lZDI1NTE5\n", "damaged"},
        {ED25519 "\r\n", "damaged"},
        {"ssh-dss AAAAB3NzaC1kc3MAAACB\n", "type"},
        {"SSH-ED25519 AAAAC3NzaC1lZDI1NTE5\n", "type"},
    };
    GuestReportKey key;
    GuestReportError error;
    g_autofree gchar *large = g_strnfill(GUEST_REPORT_KEY_MAX, 'A');

    check_key(ED25519 " root@guest\n", ED25519, ED25519_DIGEST);
    check_key(ED25519, ED25519, ED25519_DIGEST);
    check_key(ECDSA " a b c\nssh-rsa AAAA\n", ECDSA, ECDSA_DIGEST);
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(guest_report_key_parse(bad[i].text, strlen(bad[i].text), &key, &error));
        g_assert_cmpint(error.code, ==, 3);
        g_assert_nonnull(strstr(error.text, bad[i].reason));
        /* A secret that was given by mistake is in no log. */
        g_assert_null(strstr(error.text, "c2VjcmV0"));
    }
    memcpy(large, "ssh-rsa ", 8);
    g_assert_false(guest_report_key_parse(large, GUEST_REPORT_KEY_MAX, &key, &error));
}

static void test_request(void)
{
    static const char *const bad[] = {
        "", "virt-attest-report-1", "virt-attest-report-1 ", "virt-attest-report-2 " NONCE,
        "virt-attest-report-1 " NONCE "00",
        "virt-attest-report-1 " NONCE NONCE, "virt-attest-report-1  " NONCE, " virt-attest-report-1 " NONCE,
        "virt-attest-report-1 " NONCE "\r",
        "virt-attest-report-1 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEE0F",
        "virt-attest-report-1 0x112233445566778899aabbccddeeff00112233445566778899aabbccddee0f"};
    guint8 nonce[GUEST_REPORT_NONCE_SIZE];
    const char *good = "virt-attest-report-1 " NONCE;

    g_assert_true(guest_report_request_parse(good, strlen(good), nonce));
    g_assert_cmpuint(nonce[1], ==, 0x11);
    g_assert_cmpuint(nonce[31], ==, 0x0f);
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(guest_report_request_parse(bad[i], strlen(bad[i]), nonce));
}

static void test_options(void)
{
    static const struct {
        GuestReportOptions options;
        const char *reason;
    } bad[] = {
        {{.format = "hex"}, "what the report is about"},
        {{.format = "hex", .data = "00", .nonce = "/dev/null"}, "leave out --nonce"},
        {{.format = "hex", .data = "00", .ssh_host_key = "auto"}, "leave out --ssh-host-key"},
        {{.format = "hex", .data = "0"}, "--data"},
        {{.format = "hex", .data = ""}, "--data"},
        {{.format = "hex", .data = NONCE NONCE "00"}, "--data"},
        {{.format = "hex", .data = "zz"}, "--data"},
        {{.format = "hex", .nonce = "/dev/null"}, "64 bytes"},
        {{.format = "xml", .data = "00"}, "--format"},
        {{.format = "hex", .data = "00", .vmpl = "4"}, "--vmpl"},
        {{.format = "hex", .data = "00", .vmpl = "00"}, "--vmpl"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        GuestReportError error = {.code = 0, .text = ""};

        g_assert_false(guest_report_get(&bad[i].options, &error));
        g_assert_cmpint(error.code, ==, 2);
        g_assert_nonnull(strstr(error.text, bad[i].reason));
    }
}

/* The file holds exactly what was signed, in each form. */
static void test_get(void)
{
    GuestReportOptions options = {.nonce = NULL};
    GuestReportError error = {.code = 0, .text = ""};
    g_autofree gchar *data = NULL, *file = NULL, *table = NULL, *text = NULL, *folder = NULL;
    struct stat found;
    gsize size = 0;
    int fifo;

    set_up();
    kernel.table = 12;
    memset(wanted.data, 0, sizeof(wanted.data));
    wanted.data[0] = 0xab;
    folder = g_path_get_dirname(tsm_folder);
    file = g_build_filename(folder, "out", NULL);
    table = g_build_filename(folder, "table", NULL);
    options = (GuestReportOptions){.data = "AB", .output = file, .certificates = table, .tsm = tsm_folder,
                                   .device = device_file};
    if (!guest_report_get(&options, &error))
        g_error("%s", error.text);
    g_assert_true(g_file_get_contents(file, &data, &size, NULL));
    g_assert_cmpmem(data + 0x50, 64, wanted.data, 64);
    g_assert_cmpuint(size, ==, GUEST_REPORT_SIZE);
    g_assert_true(g_file_get_contents(table, &text, &size, NULL));
    g_assert_cmpmem(text, (int)size, "cccccccccccc", 12);

    options.format = "extended";
    g_assert_true(guest_report_get(&options, &error));
    g_clear_pointer(&data, g_free);
    g_assert_true(g_file_get_contents(file, &data, &size, NULL));
    g_assert_cmpmem(data + GUEST_REPORT_SIZE, (int)size - GUEST_REPORT_SIZE, "cccccccccccc", 12);

    kernel.table = 0;
    g_assert_false(guest_report_get(&options, &error));
    g_assert_nonnull(strstr(error.text, "no certificates"));
    g_unlink(file);

    /* What is no regular file is written to, not replaced. */
    g_assert_cmpint(mkfifo(file, 0600), ==, 0);
    fifo = open(file, O_RDWR | O_NONBLOCK);
    options.certificates = NULL;
    options.format = "binary";
    g_assert_true(guest_report_get(&options, &error));
    g_assert_cmpint(lstat(file, &found), ==, 0);
    g_assert_true(S_ISFIFO(found.st_mode));
    g_clear_pointer(&data, g_free);
    data = g_malloc(2 * GUEST_REPORT_SIZE);
    g_assert_cmpint(read(fifo, data, 2 * GUEST_REPORT_SIZE), ==, GUEST_REPORT_SIZE);
    close(fifo);
    g_unlink(file);
    g_unlink(table);
    tear_down();
}

static char *read_line(int fd, int timeout)
{
    GString *line = g_string_new(NULL);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char byte;

    while (poll(&wait, 1, timeout) > 0 && read(fd, &byte, 1) == 1) {
        if (byte == '\n')
            return g_string_free(line, FALSE);
        g_string_append_c(line, byte);
    }
    g_error("the service did not answer; so far: '%s'", line->str);
}

static void send_line(int fd, const char *text)
{
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (gssize)strlen(text));
}

static gpointer serve(gpointer port)
{
    GuestReportError error = {.code = 0, .text = ""};

    /* A terminal that was hung up ends or fails: either way the service is not stuck. */
    guest_report_serve(port, &wanted, true, &error);
    return NULL;
}

/* What the report data must be, said without the code under test. */
static void expect_data(guint8 data[GUEST_REPORT_DATA_SIZE])
{
    static const char *const files[] = {"/etc/ssh/ssh_host_ed25519_key.pub", "/etc/ssh/ssh_host_ecdsa_key.pub",
                                        "/etc/ssh/ssh_host_rsa_key.pub"};
    static const guint8 nonce[] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa,
                                   0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
                                   0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0x0f};

    memset(data, 0, GUEST_REPORT_DATA_SIZE);
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree gchar *text = NULL;
        g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
        gsize size = 32;

        if (!g_file_get_contents(files[i], &text, NULL, NULL))
            continue;
        g_auto(GStrv) words = g_strsplit(g_strstrip(text), " ", 3);
        gsize blob_size = 0;
        g_autofree guchar *blob = g_base64_decode(words[1], &blob_size);
        g_checksum_update(sum, blob, (gssize)blob_size);
        g_checksum_get_digest(sum, data, &size);
        break;
    }
    memcpy(data + 32, nonce, sizeof(nonce));
}

static void test_serve(void)
{
    struct termios raw;
    g_autofree gchar *flood = g_strnfill(3000, 'x'), *line = NULL, *report_base64 = NULL;
    char name[64], hex[2 * GUEST_REPORT_DATA_SIZE + 1];
    g_autofree guchar *report = NULL;
    gsize size = 0;
    gint64 start;
    GThread *thread;
    int host, port;

    set_up();
    expect_data(wanted.data);
    g_assert_cmpint(openpty(&host, &port, name, NULL, NULL), ==, 0);
    g_assert_cmpint(tcgetattr(port, &raw), ==, 0);
    cfmakeraw(&raw);
    g_assert_cmpint(tcsetattr(port, TCSANOW, &raw), ==, 0);
    thread = g_thread_new("service", serve, name);

    /* What is no request, and a line longer than any; an empty one has no answer. */
    send_line(host, "\n\nGET /\n");
    line = read_line(host, 120000);
    g_assert_nonnull(strstr(line, "\"error\""));
    g_assert_null(strstr(line, "\"report\""));
    g_clear_pointer(&line, g_free);
    send_line(host, flood);
    send_line(host, "\n");
    line = read_line(host, 120000);
    g_assert_nonnull(strstr(line, "\"error\""));
    g_clear_pointer(&line, g_free);
    /* All of the report data: the host wants to choose the digest too. */
    send_line(host, "virt-attest-report-1 " NONCE NONCE "\n");
    line = read_line(host, 120000);
    g_assert_nonnull(strstr(line, "\"error\""));
    g_clear_pointer(&line, g_free);
    g_assert_cmpuint(kernel.entries, ==, 0);

    /* Two at once: two answers, a second apart. */
    start = g_get_monotonic_time();
    send_line(host, "\nvirt-attest-report-1 " NONCE "\nvirt-attest-report-1 " NONCE "\n");
    line = read_line(host, 120000);
    guest_report_put_hex(wanted.data, sizeof(wanted.data), hex);
    g_autofree gchar *member = g_strdup_printf("\"reportData\":\"%s\"", hex);
    g_assert_nonnull(strstr(line, member));
    g_assert_nonnull(strstr(line, "\"nonce\":\"" NONCE "\""));
    g_assert_nonnull(strstr(line, "\"format\":\"virt-attest-evidence-1\""));
    report_base64 = g_strdup(strstr(line, "\"report\":\"") + strlen("\"report\":\""));
    *strchr(report_base64, '"') = '\0';
    report = g_base64_decode(report_base64, &size);
    g_assert_cmpuint(size, ==, GUEST_REPORT_SIZE);
    g_assert_cmpmem(report + 0x50, 64, wanted.data, 64);
    g_clear_pointer(&line, g_free);
    line = read_line(host, 120000);
    g_assert_nonnull(strstr(line, "\"nonce\":\"" NONCE "\""));
    g_assert_cmpint(g_get_monotonic_time() - start, >=, 800 * 1000);

    /* The host goes away in the middle of a line. */
    send_line(host, "virt-attest-rep");
    close(port);
    close(host);
    g_thread_join(thread);
    tear_down();
}

/* The host gives more certificates along than an answer may hold: they are left out, the report is not. */
static void test_serve_large(void)
{
    struct termios raw;
    char name[64];
    g_autofree gchar *line = NULL;
    GThread *thread;
    int host, port;

    set_up();
    kernel.table = 240 * 1024;
    g_assert_cmpint(openpty(&host, &port, name, NULL, NULL), ==, 0);
    g_assert_cmpint(tcgetattr(port, &raw), ==, 0);
    cfmakeraw(&raw);
    g_assert_cmpint(tcsetattr(port, TCSANOW, &raw), ==, 0);
    thread = g_thread_new("service", serve, name);
    send_line(host, "virt-attest-report-1 " NONCE "\n");
    line = read_line(host, 120000);
    g_assert_cmpuint(strlen(line), <, 256 * 1024);
    g_assert_nonnull(strstr(line, "\"report\":\""));
    g_assert_nonnull(strstr(line, "\"provider\":\"configfs-tsm:sev_guest\""));
    g_assert_null(strstr(line, "auxblob"));
    close(port);
    close(host);
    g_thread_join(thread);
    tear_down();
}

/* Text of an error stays one line of JSON. */
static void test_document(void)
{
    g_autofree char *text = guest_report_error_document(NULL, "a\"b\\c\nd\xff");

    g_assert_cmpstr(text, ==, "{\"format\":\"virt-attest-evidence-1\",\"error\":\"a'b'c?d?\"}\n");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_message("SIMULATION: the kernel's interfaces are made by the test");
    g_test_add_func("/guest-report/tsm", test_tsm);
    g_test_add_func("/guest-report/tsm/table", test_tsm_table);
    g_test_add_func("/guest-report/tsm/refused", test_tsm_refused);
    g_test_add_func("/guest-report/device", test_device);
    g_test_add_func("/guest-report/device/refused", test_device_refused);
    g_test_add_func("/guest-report/key", test_key);
    g_test_add_func("/guest-report/request", test_request);
    g_test_add_func("/guest-report/options", test_options);
    g_test_add_func("/guest-report/get", test_get);
    g_test_add_func("/guest-report/document", test_document);
    g_test_add_func("/guest-report/serve", test_serve);
    g_test_add_func("/guest-report/serve/large", test_serve_large);
    return g_test_run();
}
