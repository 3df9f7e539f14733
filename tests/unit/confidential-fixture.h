/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A confidential domain on disk for the tests of policy/ and hooks/: a firmware
 * file with a correct footer, a kernel, an initrd, and the XML that names them.
 */
#pragma once

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/error.h"
#include "policy/gate.h"

#define FIXTURE_UUID "4628b277-cd81-4b55-b30c-ba36606ea5b6"
#define FIXTURE_FIRMWARE_SIZE 65536

typedef struct {
    gchar *folder, *state, *config_path, *firmware, *kernel, *initrd;
    gchar *firmware_sha256;
    PolicyConfig *config;
    PolicyStore *store;
} Fixture;

/* What the firmware of a fixture leaves out. */
typedef enum {
    FIXTURE_WHOLE = 0,
    FIXTURE_NO_HASH_AREA = 1 << 0,
    FIXTURE_NO_HASH_SECTION = 1 << 1,
    FIXTURE_NO_METADATA = 1 << 2,
} FixtureFirmware;

static inline void fixture_put(const char *path, const void *data, gsize size)
{
    int fd;

    g_unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, data, size), ==, (gssize)size);
    close(fd);
}

static inline void fixture_put_text(const char *path, const char *text)
{
    fixture_put(path, text, strlen(text));
}

/* An entry of the footer table, which grows downwards from @end; returns where the next one ends. */
static inline gsize fixture_entry(guint8 *file, gsize end, const char *guid, const void *data, gsize size)
{
    measure_guid_parse(guid, file + end - MEASURE_GUID_SIZE);
    measure_put_u16(file + end - MEASURE_GUID_SIZE - 2, (guint16)(size + MEASURE_GUID_SIZE + 2));
    memcpy(file + end - MEASURE_GUID_SIZE - 2 - size, data, size);
    return end - MEASURE_GUID_SIZE - 2 - size;
}

static inline void fixture_put_firmware(const char *path, FixtureFirmware flaws)
{
    static const guint32 sections[][3] = {
        {0x800000, 0x9000, 1},
        {0x80d000, 0x1000, 2},
        {0x80e000, 0x1000, 3},
        {0x810000, 0x1000, 0x10},
    };
    g_autofree guint8 *file = g_malloc0(FIXTURE_FIRMWARE_SIZE);
    guint n = G_N_ELEMENTS(sections) - ((flaws & FIXTURE_NO_HASH_SECTION) ? 1 : 0);
    gsize metadata = FIXTURE_FIRMWARE_SIZE - 4096;
    gsize end = FIXTURE_FIRMWARE_SIZE - 32;
    gsize footer = end;
    guint8 words[8];

    for (guint i = 0; i < 1024; i++)
        file[i] = (guint8)(i * 7);
    memcpy(file + metadata, "ASEV", 4);
    measure_put_u32(file + metadata + 4, 16 + 12 * n);
    measure_put_u32(file + metadata + 8, 1);
    measure_put_u32(file + metadata + 12, n);
    for (guint i = 0; i < n; i++) {
        for (guint j = 0; j < 3; j++)
            measure_put_u32(file + metadata + 16 + 12 * i + 4 * j, sections[i][j]);
    }
    end -= MEASURE_GUID_SIZE + 2;
    measure_put_u32(words, 0x80b004);
    end = fixture_entry(file, end, "00f771de-1a7e-4fcb-890e-68c77e2fb44e", words, 4);
    if (!(flaws & FIXTURE_NO_HASH_AREA)) {
        measure_put_u32(words, 0x810c00);
        measure_put_u32(words + 4, 0x400);
        end = fixture_entry(file, end, "7255371f-3a3b-4b04-927b-1da6efa8d454", words, 8);
    }
    if (!(flaws & FIXTURE_NO_METADATA)) {
        measure_put_u32(words, 4096);
        end = fixture_entry(file, end, "dc886566-984a-4798-a75e-5585a7bf67cc", words, 4);
    }
    measure_guid_parse("96b582de-1fb2-45f7-baea-a366c55a082d", file + footer - MEASURE_GUID_SIZE);
    measure_put_u16(file + footer - MEASURE_GUID_SIZE - 2, (guint16)(footer - end));
    fixture_put(path, file, FIXTURE_FIRMWARE_SIZE);
}

static inline void fixture_load_config(Fixture *fixture, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *whole = g_strdup_printf("%s\n[paths]\nstate-directory = %s\n", text, fixture->state);

    g_clear_pointer(&fixture->config, policy_config_free);
    fixture_put_text(fixture->config_path, whole);
    fixture->config = policy_config_load(fixture->config_path, &error);
    g_assert_no_error(error);
}

static inline void fixture_firmware(Fixture *fixture, FixtureFirmware flaws)
{
    g_autofree gchar *data = NULL;
    g_autofree gchar *text = NULL;
    gsize size = 0;

    fixture_put_firmware(fixture->firmware, flaws);
    g_assert_true(g_file_get_contents(fixture->firmware, &data, &size, NULL));
    g_free(fixture->firmware_sha256);
    fixture->firmware_sha256 = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)data, size);
    /* The fixture's firmware has no code at all: that it verifies anything is on the owner's word. */
    text = g_strdup_printf("[firmware]\ntrusted = %s", fixture->firmware_sha256);
    fixture_load_config(fixture, text);
}

static inline Fixture *fixture_new(void)
{
    g_autoptr(GError) error = NULL;
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->folder = g_dir_make_tmp("virt-attest-XXXXXX", &error);
    g_assert_no_error(error);
    fixture->state = g_build_filename(fixture->folder, "state", NULL);
    fixture->config_path = g_build_filename(fixture->folder, "virt-attest.conf", NULL);
    fixture->firmware = g_build_filename(fixture->folder, "OVMF.fd", NULL);
    fixture->kernel = g_build_filename(fixture->folder, "vmlinuz", NULL);
    fixture->initrd = g_build_filename(fixture->folder, "initrd.img", NULL);
    fixture_put_text(fixture->kernel, "a kernel");
    fixture_put_text(fixture->initrd, "an initrd");
    fixture_firmware(fixture, FIXTURE_WHOLE);
    fixture->store = policy_store_open(fixture->state, TRUE, &error);
    g_assert_no_error(error);
    return fixture;
}

static inline void fixture_remove_tree(const char *path)
{
    struct stat st;

    if (!lstat(path, &st) && S_ISDIR(st.st_mode)) {
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
            g_autofree gchar *child = g_build_filename(path, name, NULL);
            fixture_remove_tree(child);
        }
    }
    g_remove(path);
}

static inline void fixture_free(Fixture *fixture)
{
    fixture_remove_tree(fixture->folder);
    policy_store_free(fixture->store);
    policy_config_free(fixture->config);
    g_free(fixture->folder);
    g_free(fixture->state);
    g_free(fixture->config_path);
    g_free(fixture->firmware);
    g_free(fixture->kernel);
    g_free(fixture->initrd);
    g_free(fixture->firmware_sha256);
    g_free(fixture);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fixture, fixture_free)

#define FIXTURE_SNP "<launchSecurity type='sev-snp' kernelHashes='yes'><policy>0x30000</policy></launchSecurity>"
#define FIXTURE_MILAN "<cpu mode='custom' match='exact'><model fallback='forbid'>EPYC-Milan</model></cpu>"

/* @os: inside <os> after the loader; %NULL for the kernel, initrd and command line of the fixture. */
static inline gchar *fixture_xml(const Fixture *fixture, const char *os, const char *rest)
{
    g_autofree gchar *boot =
        os ? g_strdup(os)
           : g_strdup_printf("<kernel>%s</kernel><initrd>%s</initrd><cmdline>console=ttyS0</cmdline>", fixture->kernel,
                             fixture->initrd);

    return g_strdup_printf("<domain type='kvm'><name>guest1</name><uuid>" FIXTURE_UUID "</uuid>"
                           "<vcpu>2</vcpu><os><type arch='x86_64' machine='pc-q35-10.0'>hvm</type>"
                           "<loader type='rom' readonly='yes'>%s</loader>%s</os>%s</domain>",
                           fixture->firmware, boot, rest);
}

static inline XmlDomain *fixture_domain(const Fixture *fixture, const char *os, const char *rest)
{
    g_autofree gchar *xml = fixture_xml(fixture, os, rest);
    g_autoptr(GError) error = NULL;
    XmlDomain *domain = xml_domain_parse(xml, -1, &error);

    g_assert_no_error(error);
    return domain;
}

static inline PolicyEvaluation *fixture_evaluate(const Fixture *fixture, const XmlDomain *domain,
                                                 PolicyReferenceState state)
{
    PolicyEvaluateOptions options = {.config = fixture->config, .reference = state};

    return policy_evaluate(domain, &options);
}
