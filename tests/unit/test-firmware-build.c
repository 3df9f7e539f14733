/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The judgement about the kernel-hash verifier, on Debian's firmware files where they are installed and on small
 * firmware files made here. With VIRT_ATTEST_REGENERATE=1 the corpus is written anew; its files are named after the
 * expected judgement.
 */
#include <glib.h>
#include <lzma.h>
#include <string.h>

#include "measure/firmware-build.h"
#include "measure/firmware-volume.h"

#define MIB (1024u * 1024)

/* The GUIDs as they lie in memory, spelled out so that they do not come from the code under test. */
static const guint8 kernel_guid[] = { 0x37, 0x94, 0xe7, 0x4d, 0xd2, 0xab, 0x7f, 0x42,
                                      0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04, 0x5b };
static const guint8 initrd_guid[] = { 0x31, 0xf7, 0xba, 0x44, 0x2f, 0x3a, 0xd7, 0x4b,
                                      0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69, 0x78, 0x1d };
static const guint8 cmdline_guid[] = { 0xd8, 0x2d, 0xd0, 0x97, 0x20, 0xbd, 0x94, 0x4c,
                                       0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36, 0xab, 0x2a };
static const guint8 lzma_guid[] = { 0x98, 0x58, 0x4e, 0xee, 0x14, 0x39, 0x59, 0x42,
                                    0x9d, 0x6e, 0xdc, 0x7b, 0xd7, 0x94, 0x03, 0xcf };
static const guint8 brotli_guid[] = { 0x50, 0x20, 0x53, 0x3d, 0xda, 0x5c, 0xd0, 0x4f,
                                      0x87, 0x9e, 0x0f, 0x7f, 0x63, 0x0d, 0x5a, 0xfb };
static const guint8 crc32_guid[] = { 0xb0, 0xcd, 0x1b, 0xfc, 0x31, 0x7d, 0xaa, 0x49,
                                     0x93, 0x6a, 0xa4, 0x60, 0x0d, 0x9d, 0xd0, 0x83 };
static const guint8 ffs2_guid[] = { 0x78, 0xe5, 0x8c, 0x8c, 0x3d, 0x8a, 0x1c, 0x4f,
                                    0x99, 0x35, 0x89, 0x61, 0x85, 0xc3, 0x2d, 0xd3 };

enum { TYPE_RAW = 0x01, TYPE_DXE_CORE = 0x05, TYPE_DRIVER = 0x07, TYPE_APPLICATION = 0x09, TYPE_VOLUME = 0x0b };
enum { SECTION_COMPRESSION = 0x01, SECTION_GUID = 0x02, SECTION_PE32 = 0x10, SECTION_NAME = 0x15, SECTION_FV = 0x17,
       SECTION_RAW = 0x19 };

enum { KERNEL = 1, INITRD = 2, CMDLINE = 4, ALL = 7 };

/* --- a small writer of firmware structures; each piece is a GByteArray that the caller owns */

static void put(GByteArray *to, const void *data, gsize size)
{
    if (size > 0)
        g_byte_array_append(to, data, (guint)size);
}

static void put_number(GByteArray *to, guint64 value, guint size)
{
    for (guint i = 0; i < size; i++) {
        guint8 byte = (guint8)(value >> (8 * i));
        put(to, &byte, 1);
    }
}

static void put_fill(GByteArray *to, guint8 byte, gsize size)
{
    guint before = to->len;
    g_byte_array_set_size(to, before + (guint)size);
    if (size > 0)
        memset(to->data + before, byte, size);
}

static void put_align(GByteArray *to, guint alignment, guint8 byte)
{
    put_fill(to, byte, (alignment - to->len % alignment) % alignment);
}

static void put_utf16(GByteArray *to, const char *text)
{
    for (; *text != '\0'; text++)
        put_number(to, (guint8)*text, 2);
    put_number(to, 0, 2);
}

static void put_section(GByteArray *to, guint8 type, const GByteArray *data)
{
    put_align(to, 4, 0);
    put_number(to, data->len + 4, 3);
    put_number(to, type, 1);
    put(to, data->data, data->len);
}

static void put_guid_section(GByteArray *to, const guint8 *guid, guint16 attributes, const GByteArray *data)
{
    g_autoptr(GByteArray) body = g_byte_array_new();
    put(body, guid, 16);
    put_number(body, 24, 2);
    put_number(body, attributes, 2);
    put(body, data->data, data->len);
    put_section(to, SECTION_GUID, body);
}

static void put_file(GByteArray *to, guint8 type, const GByteArray *sections)
{
    put_align(to, 8, 0xff);
    put_fill(to, 0x42, 16);
    put_number(to, 0, 2);
    put_number(to, type, 1);
    put_number(to, 0, 1);
    put_number(to, sections->len + 24, 3);
    put_number(to, 0xf8, 1);
    put(to, sections->data, sections->len);
}

/* A volume with @files and free room behind them. */
static GByteArray *make_volume(const GByteArray *files)
{
    const guint header_length = 72;
    GByteArray *volume = g_byte_array_new();
    put_fill(volume, 0, 16);
    put(volume, ffs2_guid, sizeof ffs2_guid);
    guint64 length = (header_length + files->len + 256 + 15) & ~15u;
    put_number(volume, length, 8);
    put(volume, "_FVH", 4);
    put_number(volume, 0x0004feff, 4);
    put_number(volume, header_length, 2);
    put_number(volume, 0, 2); /* checksum, below */
    put_number(volume, 0, 2);
    put_number(volume, 0x0200, 2);
    put_number(volume, length / 16, 4);
    put_number(volume, 16, 4);
    put_fill(volume, 0, 8);
    g_assert_cmpuint(volume->len, ==, header_length);
    guint16 sum = 0;
    for (guint i = 0; i < header_length; i += 2)
        sum = (guint16)(sum + volume->data[i] + 256 * volume->data[i + 1]);
    volume->data[50] = (guint8)(0x10000 - sum);
    volume->data[51] = (guint8)((0x10000 - sum) >> 8);
    put(volume, files->data, files->len);
    put_fill(volume, 0xff, length - volume->len);
    return volume;
}

/* An lzma_alone stream whose header names the size, as edk2's tools make it. */
static GByteArray *compress(const GByteArray *data)
{
    lzma_options_lzma options;
    g_assert_false(lzma_lzma_preset(&options, 1));
    options.dict_size = 1 * MIB;
    lzma_stream stream = LZMA_STREAM_INIT;
    g_assert_cmpint(lzma_alone_encoder(&stream, &options), ==, LZMA_OK);
    GByteArray *packed = g_byte_array_new();
    g_byte_array_set_size(packed, data->len + 4096);
    stream.next_in = data->data;
    stream.avail_in = data->len;
    stream.next_out = packed->data;
    stream.avail_out = packed->len;
    g_assert_cmpint(lzma_code(&stream, LZMA_FINISH), ==, LZMA_STREAM_END);
    g_byte_array_set_size(packed, (guint)stream.total_out);
    lzma_end(&stream);
    for (guint i = 0; i < 8; i++)
        packed->data[5 + i] = (guint8)((guint64)data->len >> (8 * i));
    return packed;
}

static void put_driver(GByteArray *files, guint8 type, const char *name, const GByteArray *executable)
{
    g_autoptr(GByteArray) sections = g_byte_array_new();
    put_section(sections, SECTION_PE32, executable);
    if (name) {
        g_autoptr(GByteArray) text = g_byte_array_new();
        put_utf16(text, name);
        put_section(sections, SECTION_NAME, text);
    }
    put_file(files, type, sections);
}

static GByteArray *make_executable(guint entries, const char *version)
{
    GByteArray *code = g_byte_array_new();
    put_fill(code, 0x90, 333);
    if (entries & CMDLINE)
        put(code, cmdline_guid, 16);
    put_fill(code, 0, 3);
    if (entries & INITRD)
        put(code, initrd_guid, 16);
    if (entries & KERNEL)
        put(code, kernel_guid, 16);
    put_fill(code, 0, 16);
    if (version)
        put_utf16(code, version);
    put_fill(code, 0xcc, 64);
    return code;
}

/* The volume with the drivers: one that loads the kernel and one that knows the version. */
static GByteArray *make_drivers(guint8 type, guint entries, const char *version)
{
    g_autoptr(GByteArray) files = g_byte_array_new();
    g_autoptr(GByteArray) loader = make_executable(entries, NULL);
    put_driver(files, type, "QemuKernelLoaderFsDxe", loader);
    g_autoptr(GByteArray) smbios = make_executable(0, version);
    put_driver(files, TYPE_DRIVER, "SmbiosPlatformDxe", smbios);
    return make_volume(files);
}

/* A firmware file: a volume with one file of @sections. */
static GByteArray *make_firmware(const GByteArray *sections)
{
    g_autoptr(GByteArray) files = g_byte_array_new();
    put_file(files, TYPE_VOLUME, sections);
    GByteArray *firmware = make_volume(files);
    put_fill(firmware, 0, 512);
    return firmware;
}

/* Sections as the compressed part of OVMF has them: padding, then the volume image. */
static GByteArray *make_image(const GByteArray *volume)
{
    GByteArray *sections = g_byte_array_new();
    g_autoptr(GByteArray) padding = g_byte_array_new();
    put_fill(padding, 0, 8);
    put_section(sections, SECTION_RAW, padding);
    put_section(sections, SECTION_FV, volume);
    return sections;
}

static GByteArray *make_packed_firmware(const GByteArray *packed)
{
    g_autoptr(GByteArray) sections = g_byte_array_new();
    put_guid_section(sections, lzma_guid, 1, packed);
    return make_firmware(sections);
}

static GByteArray *make_ovmf_with(guint8 type, guint entries, const char *version)
{
    g_autoptr(GByteArray) drivers = make_drivers(type, entries, version);
    g_autoptr(GByteArray) image = make_image(drivers);
    g_autoptr(GByteArray) packed = compress(image);
    return make_packed_firmware(packed);
}

static GByteArray *make_ovmf(guint entries, const char *version)
{
    return make_ovmf_with(TYPE_DRIVER, entries, version);
}

/* --- expectations */

static void expect(const GByteArray *file, MeasureVerifier verifier, const char *version, const char *reason_part)
{
    /* A copy of exactly this size, so that AddressSanitizer sees a read past its end. */
    g_autofree guint8 *exact = g_memdup2(file->data, file->len);
    g_autoptr(MeasureFirmwareBuild) build = measure_firmware_build_judge((MeasureBytes){ exact, file->len });
    g_test_message("%s: %s", measure_verifier_name(build->verifier), build->reason);
    g_assert_cmpstr(measure_verifier_name(build->verifier), ==, measure_verifier_name(verifier));
    g_assert_cmpstr(build->version, ==, version);
    g_assert_nonnull(build->reason);
    if (reason_part && !strstr(build->reason, reason_part))
        g_error("'%s' is not in '%s'", reason_part, build->reason);
}

typedef struct {
    const char *path;
    const char *package;
    MeasureVerifier verifier;
} Installed;

/* Debian's edk2 since 2024.08: judged by booting them with a wrong kernel hash (tests/boot/test-firmware-boot.c). */
static const Installed installed[] = {
    { "/usr/share/ovmf/OVMF.amdsev.fd", "ovmf-amdsev", MEASURE_VERIFIER_PRESENT },
    { "/usr/share/ovmf/OVMF.fd", "ovmf-generic", MEASURE_VERIFIER_ABSENT },
    { "/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf-generic", MEASURE_VERIFIER_ABSENT },
    { "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "ovmf-generic", MEASURE_VERIFIER_ABSENT },
    { "/usr/share/ovmf/OVMF.inteltdx.ms.fd", "ovmf-inteltdx", MEASURE_VERIFIER_ABSENT },
    { "/usr/share/OVMF/OVMF_VARS_4M.fd", NULL, MEASURE_VERIFIER_UNKNOWN },
};

static void test_installed(gconstpointer data)
{
    const Installed *file = data;
    g_autofree gchar *contents = NULL;
    gsize size = 0;
    if (!g_file_get_contents(file->path, &contents, &size, NULL)) {
        g_autofree gchar *why = g_strdup_printf("%s is not installed", file->path);
        g_test_skip(why);
        return;
    }
    g_autoptr(MeasureFirmwareBuild) build =
        measure_firmware_build_judge((MeasureBytes){ (const guint8 *)contents, size });
    g_test_message("%s: %s", measure_verifier_name(build->verifier), build->reason);
    g_assert_cmpint(build->verifier, ==, file->verifier);
    if (!file->package) {
        g_assert_null(build->version);
        return;
    }
    /* The package manager knows the version independently. */
    const char *argv[] = { "dpkg-query", "-W", "-f=${Version}", file->package, NULL };
    g_autofree gchar *version = NULL;
    gint status = 1;
    if (g_spawn_sync(NULL, (gchar **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &version,
                     NULL, &status, NULL) && status == 0)
        g_assert_cmpstr(build->version, ==, version);
    else
        g_assert_nonnull(build->version);
}

static const struct {
    const char *version;
    MeasureVerifier verifier;
    gboolean readable;
} versions[] = {
    { "edk2-stable202408", MEASURE_VERIFIER_PRESENT, TRUE },
    { "edk2-stable202408.01", MEASURE_VERIFIER_PRESENT, TRUE },
    { "edk2-stable202405", MEASURE_VERIFIER_WEAK, TRUE },
    { "edk2-stable202211-prebuilt.qemu.org", MEASURE_VERIFIER_WEAK, TRUE },
    { "edk2-stable203001", MEASURE_VERIFIER_PRESENT, TRUE },
    { "2026.08+ds-2", MEASURE_VERIFIER_PRESENT, TRUE },
    { "2024.08-1", MEASURE_VERIFIER_PRESENT, TRUE },
    { "2024.11-5ubuntu3.1", MEASURE_VERIFIER_PRESENT, TRUE },
    { "2024.07-1", MEASURE_VERIFIER_WEAK, TRUE },
    { "2024.05-2", MEASURE_VERIFIER_WEAK, TRUE },
    { "2022.11-6+deb12u2", MEASURE_VERIFIER_WEAK, TRUE },
    { "0~20191122.bd85bf54-2", MEASURE_VERIFIER_WEAK, TRUE },
    { "4.2025.02-4", MEASURE_VERIFIER_PRESENT, TRUE },
    { "3.20230228-4", MEASURE_VERIFIER_WEAK, TRUE },
    { "edk2-20240524-5.fc40", MEASURE_VERIFIER_WEAK, TRUE },
    { "edk2-20240812-1.el9", MEASURE_VERIFIER_WEAK, TRUE },
    { "edk2-20240813-1.fc41", MEASURE_VERIFIER_PRESENT, TRUE },
    { "edk2-20241117-3.el9", MEASURE_VERIFIER_PRESENT, TRUE },
    /* With two dates the earlier counts. */
    { "2024.05+git20250101-1", MEASURE_VERIFIER_WEAK, TRUE },
    { "20250101-2024.05", MEASURE_VERIFIER_WEAK, TRUE },
    /* No date, or not one of this century's firmware. */
    { "unknown", MEASURE_VERIFIER_UNDATED, FALSE },
    { "0.0.0", MEASURE_VERIFIER_UNDATED, FALSE },
    { "", MEASURE_VERIFIER_UNDATED, FALSE },
    { NULL, MEASURE_VERIFIER_UNDATED, FALSE },
    { "2024.13-1", MEASURE_VERIFIER_UNDATED, FALSE },
    { "2024.00-1", MEASURE_VERIFIER_UNDATED, FALSE },
    { "edk2-20250132-1", MEASURE_VERIFIER_UNDATED, FALSE },
    { "edk2-202508131", MEASURE_VERIFIER_UNDATED, FALSE },
    { "120250813", MEASURE_VERIFIER_UNDATED, FALSE },
    { "12025.08-1", MEASURE_VERIFIER_UNDATED, FALSE },
    { "2025.081", MEASURE_VERIFIER_UNDATED, FALSE },
    { "2001.08", MEASURE_VERIFIER_UNDATED, FALSE },
    /* Not a version string as a whole. */
    { "09/26/2026", MEASURE_VERIFIER_UNDATED, FALSE },
    { "edk2 2026.08", MEASURE_VERIFIER_UNDATED, FALSE },
    { "2026.08 for tests", MEASURE_VERIFIER_UNDATED, FALSE },
    { "2026.08/x", MEASURE_VERIFIER_UNDATED, FALSE },
    /* 63 and 64 characters. */
    { "2026.08-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", MEASURE_VERIFIER_PRESENT, TRUE },
    { "2026.08-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", MEASURE_VERIFIER_UNDATED, FALSE },
};

static void test_versions(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(versions); i++) {
        g_test_message("version '%s'", versions[i].version);
        const char *readable = versions[i].readable ? versions[i].version : NULL;
        g_autoptr(GByteArray) verifying = make_ovmf(ALL, versions[i].version);
        expect(verifying, versions[i].verifier, readable, "QemuKernelLoaderFsDxe");
        /* Without the verifier no version makes it better. */
        g_autoptr(GByteArray) generic = make_ovmf(0, versions[i].version);
        expect(generic, MEASURE_VERIFIER_ABSENT, readable, "none of its 2 drivers");
    }
}

static void test_two_versions(void)
{
    g_autoptr(GByteArray) files = g_byte_array_new();
    g_autoptr(GByteArray) loader = make_executable(ALL, "2026.08-1");
    put_driver(files, TYPE_DRIVER, "Loader", loader);
    g_autoptr(GByteArray) other = make_executable(0, "2023.11-1");
    put_driver(files, TYPE_DRIVER, "Other", other);
    g_autoptr(GByteArray) volume = make_volume(files);
    g_autoptr(GByteArray) image = make_image(volume);
    g_autoptr(GByteArray) packed = compress(image);
    g_autoptr(GByteArray) firmware = make_packed_firmware(packed);
    expect(firmware, MEASURE_VERIFIER_WEAK, "2023.11-1", NULL);
}

static void test_some_entries(void)
{
    for (guint entries = 1; entries < ALL; entries++) {
        g_autoptr(GByteArray) firmware = make_ovmf(entries, "2026.08-1");
        expect(firmware, MEASURE_VERIFIER_UNKNOWN, "2026.08-1", "only some entries");
    }
    g_autoptr(GByteArray) firmware = make_ovmf(KERNEL | CMDLINE, "2026.08-1");
    expect(firmware, MEASURE_VERIFIER_UNKNOWN, "2026.08-1", "kernel, command line");
}

static void test_not_one_driver(void)
{
    g_autoptr(GByteArray) files = g_byte_array_new();
    g_autoptr(GByteArray) one = make_executable(KERNEL | INITRD, NULL);
    put_driver(files, TYPE_DRIVER, "One", one);
    g_autoptr(GByteArray) two = make_executable(CMDLINE, "2026.08-1");
    put_driver(files, TYPE_DRIVER, "Two", two);
    g_autoptr(GByteArray) volume = make_volume(files);
    g_autoptr(GByteArray) image = make_image(volume);
    g_autoptr(GByteArray) packed = compress(image);
    g_autoptr(GByteArray) firmware = make_packed_firmware(packed);
    expect(firmware, MEASURE_VERIFIER_UNKNOWN, "2026.08-1", "not by one driver");

    g_autoptr(GByteArray) application = make_ovmf_with(TYPE_APPLICATION, ALL, "2026.08-1");
    expect(application, MEASURE_VERIFIER_UNKNOWN, "2026.08-1", "not by one driver");
}

/* The GUIDs count in executables only. */
static void test_data(void)
{
    g_autoptr(GByteArray) files = g_byte_array_new();
    g_autoptr(GByteArray) code = make_executable(0, "2026.08-1");
    put_driver(files, TYPE_DRIVER, "Driver", code);
    g_autoptr(GByteArray) guids = make_executable(ALL, NULL);
    g_autoptr(GByteArray) sections = g_byte_array_new();
    put_section(sections, SECTION_RAW, guids);
    put_file(files, TYPE_DRIVER, sections);
    put_file(files, TYPE_RAW, guids);
    g_autoptr(GByteArray) volume = make_volume(files);
    g_autoptr(GByteArray) image = make_image(volume);
    g_autoptr(GByteArray) firmware = make_firmware(image);
    put(firmware, guids->data, guids->len);
    expect(firmware, MEASURE_VERIFIER_ABSENT, "2026.08-1", NULL);
}

/* What is looked for may lie across the pieces that an executable is read in. */
static void test_large_executable(void)
{
    for (guint shift = 0; shift < 300; shift += 7) {
        g_autoptr(GByteArray) code = g_byte_array_new();
        put_fill(code, 0x90, 65536 - shift);
        put(code, kernel_guid, 16);
        put(code, initrd_guid, 16);
        put_fill(code, 0, 16);
        put_utf16(code, "edk2-stable202411-0123456789-0123456789-0123456789-0123456789-1");
        put_fill(code, 0x90, 70000);
        put(code, cmdline_guid, 16);
        g_autoptr(GByteArray) files = g_byte_array_new();
        put_driver(files, TYPE_DRIVER, NULL, code);
        g_autoptr(GByteArray) volume = make_volume(files);
        g_autoptr(GByteArray) image = make_image(volume);
        g_autoptr(GByteArray) firmware = make_firmware(image);
        expect(firmware, MEASURE_VERIFIER_PRESENT, "edk2-stable202411-0123456789-0123456789-0123456789-0123456789-1",
               "'42424242-4242-4242-4242-424242424242'");
    }
}

/* A text that is too long for a version stays so when it is seen in two pieces. */
static void test_long_text(void)
{
    for (guint shift = 0; shift < 600; shift++) {
        g_autoptr(GByteArray) code = g_byte_array_new();
        put_fill(code, 0x90, 65536 - shift);
        put(code, kernel_guid, 16);
        put(code, initrd_guid, 16);
        put(code, cmdline_guid, 16);
        put_fill(code, 0, 4);
        put_utf16(code, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx2026.08-1");
        put_fill(code, 0x90, 1000);
        g_autoptr(GByteArray) files = g_byte_array_new();
        put_driver(files, TYPE_DRIVER, "Loader", code);
        g_autoptr(GByteArray) volume = make_volume(files);
        expect(volume, MEASURE_VERIFIER_UNDATED, NULL, "Loader");
    }
}

static void test_layouts(void)
{
    g_autoptr(GByteArray) drivers = make_drivers(TYPE_DRIVER, ALL, "2026.08-1");
    g_autoptr(GByteArray) image = make_image(drivers);

    /* Not compressed at all, and as the volume itself. */
    g_autoptr(GByteArray) plain = make_firmware(image);
    expect(plain, MEASURE_VERIFIER_PRESENT, "2026.08-1", NULL);
    expect(drivers, MEASURE_VERIFIER_PRESENT, "2026.08-1", NULL);

    /* In sections that need no decoding: a checksum, and "not compressed". */
    g_autoptr(GByteArray) sections = g_byte_array_new();
    put_guid_section(sections, crc32_guid, 2, image);
    g_autoptr(GByteArray) checksummed = make_firmware(sections);
    expect(checksummed, MEASURE_VERIFIER_PRESENT, "2026.08-1", NULL);
    g_autoptr(GByteArray) body = g_byte_array_new();
    put_number(body, image->len, 4);
    put_number(body, 0, 1);
    put(body, image->data, image->len);
    g_byte_array_set_size(sections, 0);
    put_section(sections, SECTION_COMPRESSION, body);
    g_autoptr(GByteArray) stored = make_firmware(sections);
    expect(stored, MEASURE_VERIFIER_PRESENT, "2026.08-1", NULL);

    /* Behind something else in the file. */
    g_autoptr(GByteArray) shifted = g_byte_array_new();
    put_fill(shifted, 0xff, 4096 + 8);
    put(shifted, plain->data, plain->len);
    expect(shifted, MEASURE_VERIFIER_PRESENT, "2026.08-1", NULL);
}

/* A part that cannot be read may hold the verifier; one that was found elsewhere stays found. */
static void test_unread_parts(void)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    put_fill(bytes, 0x55, 100);
    g_autoptr(GByteArray) body = g_byte_array_new();
    put_number(body, 1000, 4);
    put_number(body, 1, 1);
    put_fill(body, 0x55, 100);
    for (int verifying = 0; verifying <= 1; verifying++) {
        g_autoptr(GByteArray) drivers = make_drivers(TYPE_DRIVER, verifying ? ALL : 0, "2026.08-1");
        g_autoptr(GByteArray) brotli = make_image(drivers);
        put_guid_section(brotli, brotli_guid, 1, bytes);
        g_autoptr(GByteArray) with_brotli = make_firmware(brotli);
        g_autoptr(GByteArray) standard = make_image(drivers);
        put_section(standard, SECTION_COMPRESSION, body);
        g_autoptr(GByteArray) with_standard = make_firmware(standard);
        expect(with_brotli, verifying ? MEASURE_VERIFIER_PRESENT : MEASURE_VERIFIER_UNKNOWN, "2026.08-1",
               verifying ? NULL : "3d532050-5cda-4fd0-879e-0f7f630d5afb");
        expect(with_standard, verifying ? MEASURE_VERIFIER_PRESENT : MEASURE_VERIFIER_UNKNOWN, "2026.08-1",
               verifying ? NULL : "UEFI standard compression");
    }
}

static void test_no_firmware(void)
{
    g_autoptr(GByteArray) empty = g_byte_array_new();
    expect(empty, MEASURE_VERIFIER_UNKNOWN, NULL, "no UEFI driver");
    put_fill(empty, 0xff, 4096);
    expect(empty, MEASURE_VERIFIER_UNKNOWN, NULL, "no UEFI driver");
    g_autoptr(GByteArray) none = g_byte_array_new();
    g_autoptr(GByteArray) volume = make_volume(none);
    expect(volume, MEASURE_VERIFIER_UNKNOWN, NULL, "no UEFI driver");
    g_autofree guint8 *large = g_malloc0(64 * MIB + 1);
    g_autoptr(MeasureFirmwareBuild) build = measure_firmware_build_judge((MeasureBytes){ large, 64 * MIB + 1 });
    g_assert_cmpint(build->verifier, ==, MEASURE_VERIFIER_UNKNOWN);
}

static void test_truncated(void)
{
    g_autoptr(GByteArray) firmware = make_ovmf(ALL, "2026.08-1");
    guint whole = firmware->len - 512;
    for (guint size = 0; size < whole; size++) {
        g_autofree guint8 *part = g_memdup2(firmware->data, size);
        g_autoptr(MeasureFirmwareBuild) build = measure_firmware_build_judge((MeasureBytes){ part, size });
        g_assert_cmpint(build->verifier, ==, MEASURE_VERIFIER_UNKNOWN);
    }
    g_byte_array_set_size(firmware, whole);
    expect(firmware, MEASURE_VERIFIER_PRESENT, "2026.08-1", NULL);

    /* The same with the compressed data cut, the structures around them whole. */
    g_autoptr(GByteArray) drivers = make_drivers(TYPE_DRIVER, ALL, "2026.08-1");
    g_autoptr(GByteArray) image = make_image(drivers);
    g_autoptr(GByteArray) packed = compress(image);
    for (guint size = 0; size + 16 < packed->len; size++) {
        g_autoptr(GByteArray) cut = g_byte_array_new();
        put(cut, packed->data, size);
        g_autoptr(GByteArray) cut_firmware = make_packed_firmware(cut);
        g_autoptr(MeasureFirmwareBuild) build =
            measure_firmware_build_judge((MeasureBytes){ cut_firmware->data, cut_firmware->len });
        g_assert_cmpint(build->verifier, ==, MEASURE_VERIFIER_UNKNOWN);
        g_assert_nonnull(strstr(build->reason, "damaged or cut short"));
    }
}

static void test_damaged(void)
{
    g_autoptr(GByteArray) firmware = make_ovmf(ALL, "2026.08-1");
    /* Nothing is claimed about the answer for each of these, but there is one. */
    for (guint i = 0; i < firmware->len; i++) {
        for (int step = 0; step < 3; step++) {
            static const guint8 masks[] = { 0x01, 0x80, 0xff };
            g_autofree guint8 *bytes = g_memdup2(firmware->data, firmware->len);
            bytes[i] ^= masks[step];
            g_autoptr(MeasureFirmwareBuild) build =
                measure_firmware_build_judge((MeasureBytes){ bytes, firmware->len });
            g_assert_nonnull(build->reason);
        }
    }
    /* Sizes in the uncompressed form: 72 bytes volume header, then the file's header. */
    g_autoptr(GByteArray) drivers = make_drivers(TYPE_DRIVER, ALL, "2026.08-1");
    static const struct { guint at; guint8 value; } sizes[] = {
        { 72 + 20, 23 }, { 72 + 20, 0 }, { 72 + 22, 0xff }, { 72 + 24, 3 }, { 72 + 24, 0 }, { 72 + 26, 0xff },
        { 48, 74 }, { 48, 54 }, { 50, 1 },
    };
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GByteArray) image = make_image(drivers);
        guint volume = 12 + 4; /* padding section, header of the volume section */
        image->data[volume + sizes[i].at] = sizes[i].value;
        if (sizes[i].at == 72 + 20)
            image->data[volume + sizes[i].at + 1] = 0;
        if (sizes[i].at == 72 + 24)
            image->data[volume + sizes[i].at + 1] = 0;
        g_autoptr(GByteArray) wrong = make_firmware(image);
        expect(wrong, MEASURE_VERIFIER_UNKNOWN, NULL, "is wrong");
    }
}

static void set_packed_size(GByteArray *packed, guint64 size)
{
    for (guint i = 0; i < 8; i++)
        packed->data[5 + i] = (guint8)(size >> (8 * i));
}

static void test_bombs(void)
{
    /* 64 MiB and a little of zeros, which compress to 10 KiB. */
    g_autoptr(GByteArray) zeros = g_byte_array_new();
    put_fill(zeros, 0, 64 * MIB + 4096);
    g_autoptr(GByteArray) bomb = compress(zeros);
    g_autoptr(GByteArray) firmware = make_packed_firmware(bomb);
    expect(firmware, MEASURE_VERIFIER_UNKNOWN, NULL, "larger than 64 MiB");
    static const guint64 sizes[] = { 64 * MIB + 1, G_MAXUINT32, G_MAXINT64, G_MAXUINT64 };
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        set_packed_size(bomb, sizes[i]);
        g_autoptr(GByteArray) liar = make_packed_firmware(bomb);
        expect(liar, MEASURE_VERIFIER_UNKNOWN, NULL, "larger than 64 MiB");
    }

    /* Many sections of 16 MiB each: the sum is limited. */
    g_autoptr(GByteArray) piece = g_byte_array_new();
    put_fill(piece, 0, 4);
    g_autoptr(GByteArray) raw = g_byte_array_new();
    put_fill(raw, 0, 15 * MIB);
    g_autoptr(GByteArray) plain = g_byte_array_new();
    put_section(plain, SECTION_RAW, raw);
    g_autoptr(GByteArray) packed = compress(plain);
    g_autoptr(GByteArray) sections = g_byte_array_new();
    for (int i = 0; i < 200; i++)
        put_guid_section(sections, lzma_guid, 1, packed);
    g_autoptr(GByteArray) many = make_firmware(sections);
    gint64 before = g_get_monotonic_time();
    expect(many, MEASURE_VERIFIER_UNKNOWN, NULL, "larger than 64 MiB");
    g_assert_cmpint(g_get_monotonic_time() - before, <, 250 * G_USEC_PER_SEC);

    /* Many small ones: their number is limited too. */
    g_autoptr(GByteArray) empty = g_byte_array_new();
    g_autoptr(GByteArray) nothing = compress(empty);
    g_byte_array_set_size(sections, 0);
    for (int i = 0; i < 200; i++)
        put_guid_section(sections, lzma_guid, 1, nothing);
    g_autoptr(GByteArray) small = make_firmware(sections);
    expect(small, MEASURE_VERIFIER_UNKNOWN, NULL, "too many");

    /* A dictionary of almost 4 GiB. */
    g_autoptr(GByteArray) drivers = make_drivers(TYPE_DRIVER, ALL, "2026.08-1");
    g_autoptr(GByteArray) image = make_image(drivers);
    g_autoptr(GByteArray) greedy = compress(image);
    memset(greedy->data + 1, 0xff, 4);
    g_autoptr(GByteArray) hungry = make_packed_firmware(greedy);
    expect(hungry, MEASURE_VERIFIER_UNKNOWN, NULL, "dictionary");

    /* Claims more than it holds. */
    g_autoptr(GByteArray) short_one = compress(image);
    set_packed_size(short_one, image->len + 1000);
    g_autoptr(GByteArray) claims = make_packed_firmware(short_one);
    expect(claims, MEASURE_VERIFIER_UNKNOWN, "2026.08-1", "damaged or cut short");
}

static void test_nested(void)
{
    g_autoptr(GByteArray) drivers = make_drivers(TYPE_DRIVER, ALL, "2026.08-1");
    g_autoptr(GByteArray) image = make_image(drivers);
    g_autoptr(GByteArray) inner = compress(image);
    g_autoptr(GByteArray) sections = g_byte_array_new();
    put_guid_section(sections, lzma_guid, 1, inner);
    g_autoptr(GByteArray) packed = compress(sections);
    g_autoptr(GByteArray) firmware = make_packed_firmware(packed);
    expect(firmware, MEASURE_VERIFIER_UNKNOWN, NULL, "nests");

    g_autoptr(GByteArray) deep = g_byte_array_new();
    put(deep, image->data, image->len);
    for (int i = 0; i < 1000; i++) {
        g_autoptr(GByteArray) outer = g_byte_array_new();
        put_guid_section(outer, crc32_guid, 2, deep);
        g_byte_array_set_size(deep, 0);
        put(deep, outer->data, outer->len);
    }
    g_autoptr(GByteArray) tower = make_firmware(deep);
    expect(tower, MEASURE_VERIFIER_UNKNOWN, NULL, "nested too deeply");
}

/* Millions of tiny sections, and of half a version string. */
static void test_slow(void)
{
    g_autoptr(GByteArray) sections = g_byte_array_new();
    for (guint i = 0; i < 1 * MIB; i++) {
        put_number(sections, 4, 3);
        put_number(sections, SECTION_PE32, 1);
    }
    g_autoptr(GByteArray) tiny = make_image(sections);
    g_byte_array_set_size(tiny, 0);
    put(tiny, sections->data, sections->len);
    g_autoptr(GByteArray) tiny_packed = compress(tiny);
    g_autoptr(GByteArray) code = g_byte_array_new();
    while (code->len < 12 * MIB)
        put_number(code, 0x00300032, 4);
    g_autoptr(GByteArray) files = g_byte_array_new();
    put_driver(files, TYPE_DRIVER, NULL, code);
    g_autoptr(GByteArray) volume = make_volume(files);
    g_autoptr(GByteArray) image = make_image(volume);
    g_autoptr(GByteArray) packed = compress(image);
    gint64 before = g_get_monotonic_time();
    g_autoptr(GByteArray) one = make_packed_firmware(tiny_packed);
    expect(one, MEASURE_VERIFIER_UNKNOWN, NULL, "no UEFI driver");
    g_autoptr(GByteArray) two = make_packed_firmware(packed);
    expect(two, MEASURE_VERIFIER_ABSENT, NULL, NULL);
    g_assert_cmpint(g_get_monotonic_time() - before, <, 250 * G_USEC_PER_SEC);
}

static void ignore_executable(MeasureModule *module, MeasureBytes bytes, gboolean first, gpointer user_data)
{
}

static void count_module(const MeasureModule *module, gpointer user_data)
{
    guint *count = user_data;
    (*count)++;
}

/* Bytes that look like the longest volume header every 16 bytes, and never add up. */
static GByteArray *make_false_headers(gsize size)
{
    GByteArray *file = g_byte_array_new();
    while (file->len < size) {
        /* Volume length (offset 32) and signature (40) of one header, and the header length (48) of the one before. */
        put_number(file, 4096, 2);
        put_number(file, 0x0101, 2);
        put_number(file, 0, 4);
        put(file, "_FVH", 4);
        put_fill(file, 1, 4);
    }
    return file;
}

/* The work is counted here, not the time. Without a limit it would be 4 GiB. */
static void test_false_headers(void)
{
    guint modules = 0;
    const MeasureVolumeVisitor visitor = { ignore_executable, count_module, &modules };
    g_autoptr(GByteArray) file = make_false_headers(16 * MIB);
    {
        g_auto(MeasureVolumeTrouble) trouble = { 0 };
        measure_volume_walk((MeasureBytes){ file->data, file->len }, &visitor, &trouble);
        g_assert_cmpuint(trouble.searched, >, 0);
        g_assert_cmpuint(trouble.searched, <=, 4 * MIB);
        g_assert_nonnull(trouble.damaged);
    }
    expect(file, MEASURE_VERIFIER_UNKNOWN, NULL, "look like the start of a volume");

    /* A real volume behind a few of them is found all the same. */
    g_autoptr(GByteArray) few = make_false_headers(4096 + 16 * 512);
    g_autoptr(GByteArray) drivers = make_drivers(TYPE_DRIVER, ALL, "2026.08-1");
    put_fill(few, 0, 4096);
    put(few, drivers->data, drivers->len);
    expect(few, MEASURE_VERIFIER_PRESENT, "2026.08-1", NULL);
    g_auto(MeasureVolumeTrouble) trouble = { 0 };
    measure_volume_walk((MeasureBytes){ few->data, few->len }, &visitor, &trouble);
    g_assert_cmpuint(trouble.searched, >=, 512 * 4096);
    g_assert_null(trouble.damaged);
    g_assert_cmpuint(modules, ==, 2);
}

static void test_names(void)
{
    static const char *const names[] = { "unknown", "absent", "weak", "undated", "present" };
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        MeasureVerifier verifier = MEASURE_VERIFIER_UNKNOWN;
        g_assert_true(measure_verifier_from_name(names[i], &verifier));
        g_assert_cmpint(verifier, ==, i);
        g_assert_cmpstr(measure_verifier_name(verifier), ==, names[i]);
    }
    MeasureVerifier untouched = MEASURE_VERIFIER_WEAK;
    g_assert_false(measure_verifier_from_name("Present", &untouched));
    g_assert_false(measure_verifier_from_name("", &untouched));
    g_assert_false(measure_verifier_from_name(NULL, &untouched));
    g_assert_cmpint(untouched, ==, MEASURE_VERIFIER_WEAK);
}

/* --- corpus */

static void write_corpus_file(const char *folder, const char *name, const GByteArray *file)
{
    g_autofree gchar *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;
    g_file_set_contents(path, (const gchar *)file->data, file->len, &error);
    g_assert_no_error(error);
}

static void write_corpus(const char *folder)
{
    g_autoptr(GByteArray) present = make_ovmf(ALL, "2026.08-1");
    write_corpus_file(folder, "present-lzma.fd", present);
    g_autoptr(GByteArray) weak = make_ovmf(ALL, "edk2-stable202405");
    write_corpus_file(folder, "weak-lzma.fd", weak);
    g_autoptr(GByteArray) undated = make_ovmf(ALL, "unknown");
    write_corpus_file(folder, "undated-lzma.fd", undated);
    g_autoptr(GByteArray) absent = make_ovmf(0, "edk2-20241117-3.el9");
    write_corpus_file(folder, "absent-lzma.fd", absent);
    g_autoptr(GByteArray) some = make_ovmf(KERNEL, "2026.08-1");
    write_corpus_file(folder, "unknown-some-entries.fd", some);

    g_autoptr(GByteArray) drivers = make_drivers(TYPE_DRIVER, ALL, "2026.08-1");
    write_corpus_file(folder, "present-plain-volume.fd", drivers);
    g_autoptr(GByteArray) image = make_image(drivers);
    g_autoptr(GByteArray) sections = g_byte_array_new();
    put_guid_section(sections, crc32_guid, 2, image);
    g_autoptr(GByteArray) checksummed = make_firmware(sections);
    write_corpus_file(folder, "present-checksummed.fd", checksummed);
    g_autoptr(GByteArray) packed = compress(image);
    memset(packed->data + 1, 0xff, 4);
    g_autoptr(GByteArray) hungry = make_packed_firmware(packed);
    write_corpus_file(folder, "unknown-large-dictionary.fd", hungry);
    memset(packed->data + 1, 0, 4);
    set_packed_size(packed, image->len + 1000);
    g_autoptr(GByteArray) claims = make_packed_firmware(packed);
    write_corpus_file(folder, "unknown-wrong-size.fd", claims);
    set_packed_size(packed, G_MAXUINT64);
    g_autoptr(GByteArray) bomb = make_packed_firmware(packed);
    write_corpus_file(folder, "unknown-huge-size.fd", bomb);
    g_byte_array_set_size(present, present->len / 2);
    write_corpus_file(folder, "unknown-truncated.fd", present);
}

static void test_corpus(void)
{
    const char *source = g_getenv("VIRT_ATTEST_SOURCE");
    g_autofree gchar *folder = g_build_filename(source, "tests", "corpus", "firmware-build", NULL);
    if (g_getenv("VIRT_ATTEST_REGENERATE"))
        write_corpus(folder);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
    g_assert_no_error(error);
    guint count = 0;
    for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
        g_autofree gchar *path = g_build_filename(folder, name, NULL);
        g_autofree gchar *contents = NULL;
        gsize size = 0;
        g_file_get_contents(path, &contents, &size, &error);
        g_assert_no_error(error);
        g_auto(GStrv) parts = g_strsplit(name, "-", 2);
        g_test_message("%s", name);
        g_autoptr(MeasureFirmwareBuild) build =
            measure_firmware_build_judge((MeasureBytes){ (const guint8 *)contents, size });
        g_assert_cmpstr(measure_verifier_name(build->verifier), ==, parts[0]);
        count++;
    }
    g_assert_cmpuint(count, >=, 11);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(installed); i++) {
        g_autofree gchar *name = g_path_get_basename(installed[i].path);
        g_autofree gchar *path = g_strdup_printf("/firmware-build/installed/%s", name);
        g_test_add_data_func(path, &installed[i], test_installed);
    }
    g_test_add_func("/firmware-build/versions", test_versions);
    g_test_add_func("/firmware-build/two-versions", test_two_versions);
    g_test_add_func("/firmware-build/some-entries", test_some_entries);
    g_test_add_func("/firmware-build/not-one-driver", test_not_one_driver);
    g_test_add_func("/firmware-build/data", test_data);
    g_test_add_func("/firmware-build/large-executable", test_large_executable);
    g_test_add_func("/firmware-build/long-text", test_long_text);
    g_test_add_func("/firmware-build/layouts", test_layouts);
    g_test_add_func("/firmware-build/unread-parts", test_unread_parts);
    g_test_add_func("/firmware-build/no-firmware", test_no_firmware);
    g_test_add_func("/firmware-build/truncated", test_truncated);
    g_test_add_func("/firmware-build/damaged", test_damaged);
    g_test_add_func("/firmware-build/bombs", test_bombs);
    g_test_add_func("/firmware-build/nested", test_nested);
    g_test_add_func("/firmware-build/slow", test_slow);
    g_test_add_func("/firmware-build/false-headers", test_false_headers);
    g_test_add_func("/firmware-build/names", test_names);
    g_test_add_func("/firmware-build/corpus", test_corpus);
    return g_test_run();
}
