/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"

static const guint8 sample[] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xff };

static void test_read(void)
{
    MeasureBytes bytes = { sample, sizeof sample };
    guint16 u16 = 0;
    guint32 u32 = 0;
    guint64 u64 = 0;

    g_assert_true(measure_bytes_u16(bytes, 7, &u16));
    g_assert_cmphex(u16, ==, 0xffef);
    g_assert_true(measure_bytes_u32(bytes, 5, &u32));
    g_assert_cmphex(u32, ==, 0xffefcdab);
    g_assert_true(measure_bytes_u64(bytes, 0, &u64));
    g_assert_cmphex(u64, ==, G_GUINT64_CONSTANT(0xefcdab8967452301));
    g_assert_true(measure_bytes_u64(bytes, 1, &u64));
    g_assert_cmphex(u64, ==, G_GUINT64_CONSTANT(0xffefcdab89674523));
}

static void test_read_outside(void)
{
    MeasureBytes bytes = { sample, sizeof sample }, nothing = { NULL, 0 };
    guint16 u16 = 7;
    guint32 u32 = 7;
    guint64 u64 = 7;
    static const gsize offsets[] = { 8, 9, 10, G_MAXSIZE - 1, G_MAXSIZE };

    for (guint i = 0; i < G_N_ELEMENTS(offsets); i++) {
        g_assert_false(measure_bytes_u16(bytes, offsets[i], &u16));
        g_assert_false(measure_bytes_u32(bytes, offsets[i], &u32));
        g_assert_false(measure_bytes_u64(bytes, offsets[i], &u64));
    }
    g_assert_false(measure_bytes_u32(bytes, 6, &u32));
    g_assert_false(measure_bytes_u64(bytes, 2, &u64));
    g_assert_false(measure_bytes_u16(nothing, 0, &u16));
    /* What was not read is left alone. */
    g_assert_cmpuint(u16, ==, 7);
    g_assert_cmpuint(u32, ==, 7);
    g_assert_cmpuint(u64, ==, 7);
}

static void test_slice(void)
{
    MeasureBytes bytes = { sample, sizeof sample }, out = { NULL, 99 };

    g_assert_true(measure_bytes_slice(bytes, 2, 3, &out));
    g_assert_true(out.data == sample + 2);
    g_assert_cmpuint(out.size, ==, 3);
    g_assert_true(measure_bytes_slice(bytes, 9, 0, &out));
    g_assert_cmpuint(out.size, ==, 0);
    g_assert_false(measure_bytes_slice(bytes, 10, 0, &out));
    g_assert_false(measure_bytes_slice(bytes, 1, 9, &out));
    g_assert_false(measure_bytes_slice(bytes, 1, G_MAXSIZE, &out));
    g_assert_false(measure_bytes_slice(bytes, G_MAXSIZE, 2, &out));
    g_assert_cmpuint(out.size, ==, 0);
}

static void test_write(void)
{
    static const guint8 expected[] = { 0x02, 0x01, 0x06, 0x05, 0x04, 0x03, 0x0e,
                                       0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08, 0x07 };
    guint8 out[sizeof expected];

    measure_put_u16(out, 0x0102);
    measure_put_u32(out + 2, 0x03040506);
    measure_put_u64(out + 6, G_GUINT64_CONSTANT(0x0708090a0b0c0d0e));
    g_assert_cmpmem(out, sizeof out, expected, sizeof expected);
}

/* The mixed byte order of the UEFI specification, appendix A, on the footer's GUID as it stands in every OVMF. */
static void test_guid(void)
{
    static const guint8 expected[] = { 0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45,
                                       0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d };
    guint8 guid[MEASURE_GUID_SIZE];

    measure_guid_parse("96b582de-1fb2-45f7-baea-a366c55a082d", guid);
    g_assert_cmpmem(guid, sizeof guid, expected, sizeof expected);
    g_autofree gchar *text = measure_guid_format(guid);
    g_assert_cmpstr(text, ==, "96b582de-1fb2-45f7-baea-a366c55a082d");
}

static void test_guid_malformed(void)
{
    static const char *const texts[] = { "", "96b582de1fb245f7baeaa366c55a082d", "96b582de-1fb2-45f7-baea-a366c55a082",
                                         "96b582de-1fb2-45f7-baea-a366c55a082d0",
                                         "g6b582de-1fb2-45f7-baea-a366c55a082d" };

    if (g_test_subprocess()) {
        guint8 guid[MEASURE_GUID_SIZE];
        measure_guid_parse(g_getenv("TEST_GUID"), guid);
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_setenv("TEST_GUID", texts[i], TRUE);
        g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
        g_test_trap_assert_failed();
    }
}

static void test_hex(void)
{
    g_autofree gchar *text = measure_hex_encode(sample, sizeof sample);
    g_autofree gchar *empty = measure_hex_encode(NULL, 0);
    guint8 out[sizeof sample];

    g_assert_cmpstr(text, ==, "0123456789abcdefff");
    g_assert_cmpstr(empty, ==, "");
    g_assert_true(measure_hex_decode("0123456789ABCdefFF", out, sizeof out));
    g_assert_cmpmem(out, sizeof out, sample, sizeof sample);
    g_assert_true(measure_hex_decode("", out, 0));
}

static void test_hex_malformed(void)
{
    static const char *const texts[] = { "", "0", "012", "01234", "0g", "g0", " 01", "01 ", "0x01", "+1", "-1", "0 " };
    guint8 out[1] = { 7 };

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
        g_assert_false(measure_hex_decode(texts[i], out, 1));
    g_assert_cmpuint(out[0], ==, 7);
}

static void test_digest_equal(void)
{
    guint8 a[48], b[48];

    for (guint i = 0; i < sizeof a; i++)
        a[i] = b[i] = (guint8)i;
    g_assert_true(measure_digest_equal(a, b, sizeof a));
    for (guint i = 0; i < sizeof a; i++) {
        b[i] ^= 0x80;
        g_assert_false(measure_digest_equal(a, b, sizeof a));
        b[i] ^= 0x80;
    }
    b[47] = 0;
    g_assert_true(measure_digest_equal(a, b, 47));
}

static void test_exit_code(void)
{
    for (int code = ATTEST_ERROR_REJECTED; code <= ATTEST_ERROR_LIBVIRT; code++) {
        g_autoptr(GError) error = g_error_new_literal(ATTEST_ERROR, code, "x");
        g_assert_cmpint(attest_error_exit_code(error), ==, code);
    }
    g_autoptr(GError) foreign = g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_NOENT, "x");
    g_autoptr(GError) unknown = g_error_new_literal(ATTEST_ERROR, 77, "x");
    /* An error with a code outside the list must never become success. */
    g_autoptr(GError) zero = g_error_new_literal(ATTEST_ERROR, 0, "x");

    g_assert_cmpint(attest_error_exit_code(NULL), ==, 0);
    g_assert_cmpint(attest_error_exit_code(foreign), ==, 3);
    g_assert_cmpint(attest_error_exit_code(unknown), ==, 3);
    g_assert_cmpint(attest_error_exit_code(zero), ==, 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bytes/read", test_read);
    g_test_add_func("/bytes/read-outside", test_read_outside);
    g_test_add_func("/bytes/slice", test_slice);
    g_test_add_func("/bytes/write", test_write);
    g_test_add_func("/bytes/guid", test_guid);
    g_test_add_func("/bytes/guid-malformed", test_guid_malformed);
    g_test_add_func("/bytes/hex", test_hex);
    g_test_add_func("/bytes/hex-malformed", test_hex_malformed);
    g_test_add_func("/bytes/digest-equal", test_digest_equal);
    g_test_add_func("/error/exit-code", test_exit_code);
    return g_test_run();
}
