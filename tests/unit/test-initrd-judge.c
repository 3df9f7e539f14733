/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is taken for an initrd of ours, and what is not. The archives come from initrd-fixture.h, not from storage/. */
#include <glib/gstdio.h>
#include <zlib.h>
#include <zstd.h>

#include "measure/error.h"
#include "policy/initrd.h"
#include "policy/kernel.h"
#include "tests/unit/corpus-fixture.h"
#include "tests/unit/initrd-fixture.h"

static PolicyInitrd *judge(const GByteArray *bytes)
{
    return policy_initrd_judge((MeasureBytes){bytes->data, bytes->len}, NULL);
}

static void refused(GByteArray *bytes, const char *says)
{
    g_autoptr(PolicyInitrd) initrd = judge(bytes);

    if (initrd->ours || !strstr(initrd->reason, says))
        g_error("'%s' is not in '%s'", says, initrd->ours ? "(taken)" : initrd->reason);
    g_byte_array_unref(bytes);
}

static void taken(GByteArray *bytes, const char *compression)
{
    g_autoptr(PolicyInitrd) initrd = judge(bytes);
    g_autofree gchar *init = g_compute_checksum_for_string(G_CHECKSUM_SHA256, INITRD_INIT, -1);
    g_autofree gchar *found = measure_hex_encode(initrd->init, sizeof(initrd->init));

    if (!initrd->ours)
        g_error("refused: %s", initrd->reason);
    g_assert_null(initrd->reason);
    g_assert_cmpuint(initrd->level, ==, 4);
    g_assert_cmpstr(initrd->kernel, ==, INITRD_RELEASE);
    g_assert_cmpuint(initrd->modules, ==, 2);
    g_assert_cmpstr(initrd->compression, ==, compression);
    g_assert_cmpstr(found, ==, init);
    /* Nobody was asked. */
    g_assert_false(initrd->init_trusted);
    g_byte_array_unref(bytes);
}

static GByteArray *zstd(GByteArray *bytes, gboolean with_size)
{
    GByteArray *out = g_byte_array_new();
    ZSTD_CCtx *context = ZSTD_createCCtx();
    size_t size = 0;

    g_byte_array_set_size(out, (guint)ZSTD_compressBound(bytes->len));
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, with_size);
    size = ZSTD_compress2(context, out->data, out->len, bytes->data, bytes->len);
    g_assert_false(ZSTD_isError(size));
    g_byte_array_set_size(out, (guint)size);
    ZSTD_freeCCtx(context);
    g_byte_array_unref(bytes);
    return out;
}

static GByteArray *gzip(GByteArray *bytes, const char *name)
{
    GByteArray *out = g_byte_array_new();
    gz_header header = {.name = (Bytef *)name, .os = 3};
    z_stream stream = {0};

    g_assert_cmpint(deflateInit2(&stream, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), ==, Z_OK);
    if (name)
        g_assert_cmpint(deflateSetHeader(&stream, &header), ==, Z_OK);
    g_byte_array_set_size(out, (guint)deflateBound(&stream, bytes->len));
    stream.next_in = bytes->data;
    stream.avail_in = bytes->len;
    stream.next_out = out->data;
    stream.avail_out = out->len;
    g_assert_cmpint(deflate(&stream, Z_FINISH), ==, Z_STREAM_END);
    g_byte_array_set_size(out, (guint)stream.total_out);
    deflateEnd(&stream);
    g_byte_array_unref(bytes);
    return out;
}

static GByteArray *append(GByteArray *bytes, gconstpointer data, gsize size)
{
    return g_byte_array_append(bytes, data, (guint)size);
}

static GByteArray *append_bytes(GByteArray *bytes, GByteArray *more)
{
    g_byte_array_append(bytes, more->data, more->len);
    g_byte_array_unref(more);
    return bytes;
}

static void test_taken(void)
{
    taken(initrd_good("4"), "none");
    taken(zstd(initrd_good("4"), TRUE), "zstd");
    taken(gzip(initrd_good("4"), NULL), "gzip");
}

static void test_frames(void)
{
    static const guint8 zeros[512];
    static const guint8 xz[] = {0xfd, '7', 'z', 'X', 'Z', 0, 0, 4};
    static const guint8 skippable[] = {0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
    GByteArray *cut = zstd(initrd_good("4"), TRUE);
    GByteArray *flipped = gzip(initrd_good("4"), NULL);

    refused(g_byte_array_new(), "neither a cpio archive");
    refused(append(g_byte_array_new(), "#!/bin/sh\n", 10), "neither a cpio archive");
    refused(append(g_byte_array_new(), xz, sizeof xz), "compressed with xz");
    refused(append(initrd_good("4"), "#BOOTCONFIG\n", 12), "boot configuration");
    refused(append(gzip(initrd_good("4"), NULL), "#BOOTCONFIG\n\0\0", 14), "boot configuration");
    refused(append(initrd_good("4"), zeros, 4), "behind the end of its archive");
    refused(append(initrd_good("4"), zeros, sizeof zeros), "behind the end of its archive");
    refused(append_bytes(initrd_good("4"), initrd_good("4")), "behind the end of its archive");
    refused(append(zstd(initrd_good("4"), TRUE), zeros, 1), "behind the end of its zstd frame");
    refused(append_bytes(zstd(initrd_good("4"), TRUE), zstd(initrd_good("4"), TRUE)),
            "behind the end of its zstd frame");
    refused(append(zstd(initrd_good("4"), TRUE), skippable, sizeof skippable), "behind the end of its zstd frame");
    refused(append_bytes(append(g_byte_array_new(), skippable, sizeof skippable), zstd(initrd_good("4"), TRUE)),
            "neither a cpio archive");
    refused(zstd(initrd_good("4"), FALSE), "cannot be unpacked (zstd)");
    refused(append(gzip(initrd_good("4"), NULL), zeros, 8), "cannot be unpacked (gzip)");
    /* The last four bytes are a size that fits the first member, so it is what lies between that gives it away. */
    refused(append_bytes(gzip(initrd_good("4"), NULL), gzip(initrd_good("4"), NULL)),
            "behind the end of its gzip frame");
    refused(gzip(initrd_good("4"), "initrd"), "gzip header");
    g_byte_array_set_size(cut, cut->len - 1);
    refused(cut, "cannot be unpacked (zstd)");
    flipped->data[flipped->len / 2] ^= 1;
    refused(flipped, "cannot be unpacked (gzip)");
    /* Two layers are one too many: the kernel would not unpack the second, we would not see into it. */
    refused(zstd(gzip(initrd_good("4"), NULL), TRUE), "is no entry");
}

/* A frame that promises more than anybody should hold in memory. */
static void test_bomb(void)
{
    GByteArray *bytes = g_byte_array_new();

    g_byte_array_set_size(bytes, POLICY_INITRD_MAX_UNPACKED + 1);
    memset(bytes->data, 0, bytes->len);
    bytes = zstd(bytes, TRUE);
    g_assert_cmpuint(bytes->len, <, 1024 * 1024);
    refused(bytes, "larger than 128 MiB");
    bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, POLICY_INITRD_MAX_SIZE + 1);
    refused(bytes, "more than any virt-attest initrd");
}

#define WITH(...)                                                                                                      \
    initrd_archive((const InitrdEntry[]){__VA_ARGS__}, sizeof((const InitrdEntry[]){__VA_ARGS__}) / sizeof(InitrdEntry))
#define LIST_ENTRY(text)                                                                                               \
    {                                                                                                                  \
        "initrd.list", 0100644, text                                                                                   \
    }
#define START "virt-attest-initrd 1\nlevel 4\nkernel " INITRD_RELEASE "\n"

static void test_foreign(void)
{
    refused(WITH({"bin", 0040755}, {"bin/sh", 0100755, "\177ELF"}, {"TRAILER!!!", 0}), "holds 'bin/sh'");
    refused(WITH({".", 0040755}, {"bin", 0120777, "usr/bin"}, {"usr/bin/busybox", 0100755, "x"}, {"TRAILER!!!", 0}),
            "holds 'usr/bin/busybox'");
    refused(WITH({".", 0040755}, {"TRAILER!!!", 0}), "holds '.', which is not part");
    refused(WITH(INITRD_DEV, {"dev/console", 0020600}, INITRD_INIT_ENTRY, {"TRAILER!!!", 0}), "holds 'dev/console'");
    refused(WITH({"./dev", 0040755}, {"TRAILER!!!", 0}), "holds './dev'");
    refused(WITH({"/init", 0100755, "x"}, {"TRAILER!!!", 0}), "holds '/init'");
    refused(WITH(INITRD_DEV, INITRD_INIT_ENTRY, INITRD_LIST_ENTRY("4"), {"modules", 0040755},
                 {"modules/../x.ko", 0100644, "x"}, {"TRAILER!!!", 0}),
            "holds 'modules/../x.ko'");
    refused(WITH({"evil\nname", 0100644, "x"}, {"TRAILER!!!", 0}), "holds 'evil name'");
    /* The first archive of many an initrd holds microcode only; the shell is in the second. */
    refused(append_bytes(
                WITH({"kernel", 0040755}, {"kernel/x86/microcode/AuthenticAMD.bin", 0100644, "x"}, {"TRAILER!!!", 0}),
                gzip(WITH({"usr/bin/dash", 0100755, "\177ELF"}, {"TRAILER!!!", 0}), NULL)),
            "holds 'usr/bin/dash'");
    /* A good one in front hides nothing. */
    refused(append_bytes(initrd_good("4"), WITH({"bin/sh", 0100755, "\177ELF"}, {"TRAILER!!!", 0})), "holds 'bin/sh'");
    refused(append_bytes(zstd(initrd_good("4"), TRUE), WITH({"bin/sh", 0100755, "x"}, {"TRAILER!!!", 0})),
            "behind the end of its zstd frame");
}

static void test_entries(void)
{
    static const InitrdEntry bad_inits[] = {
        {"init", 0100644, INITRD_INIT},              /* not executable */
        {"init", 0104755, INITRD_INIT},              /* setuid */
        {"init", 0120777, "modules/0000-virtio.ko"}, /* a link */
        {"init", 0100755, INITRD_INIT, .uid = 1},
        {"init", 0100755, INITRD_INIT, .gid = 1},
        {"init", 0100755, INITRD_INIT, .mtime = 1},
        {"init", 0100755, INITRD_INIT, .links = 2},
        {"init", 0100755, INITRD_INIT, .inode = 1},
        {"init", 0100755, INITRD_INIT, .device = 1},
        {"init", 0100755, INITRD_INIT, .special = 1},
        {"init", 0100755, INITRD_INIT, .check = 1},
        {"init", 0100755, INITRD_INIT "\001", .padding = 1},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(bad_inits); i++)
        refused(WITH(INITRD_DEV, bad_inits[i], INITRD_LIST_ENTRY("4"), INITRD_MODULES, INITRD_END),
                "holds 'init' in a form that virt-attest does not write");
    refused(WITH({"dev", 0040777}, INITRD_INIT_ENTRY, INITRD_LIST_ENTRY("4"), INITRD_MODULES, INITRD_END),
            "holds 'dev'");
    refused(WITH({"dev", 0040755, "data"}, INITRD_INIT_ENTRY, INITRD_LIST_ENTRY("4"), INITRD_MODULES, INITRD_END),
            "holds 'dev'");
    refused(WITH(INITRD_INIT_ENTRY, INITRD_DEV, INITRD_LIST_ENTRY("4"), INITRD_MODULES, INITRD_END),
            "in another order");
    refused(WITH(INITRD_DEV, INITRD_INIT_ENTRY, INITRD_INIT_ENTRY, INITRD_LIST_ENTRY("4"), INITRD_MODULES, INITRD_END),
            "twice");
    refused(WITH(INITRD_DEV, INITRD_INIT_ENTRY, INITRD_LIST_ENTRY("4"), INITRD_MODULES, {"proc", 0040755},
                 {"run", 0040755}, {"sys", 0040755}, {"TRAILER!!!", 0}),
            "lacks a folder");
    refused(WITH(INITRD_DEV, INITRD_LIST_ENTRY("4"), INITRD_MODULES, INITRD_END), "lacks 'init'");
    refused(WITH(INITRD_DEV, INITRD_INIT_ENTRY, INITRD_MODULES, INITRD_END), "lacks 'initrd.list'");
    refused(WITH(INITRD_DEV, INITRD_INIT_ENTRY), "is no entry");
    refused(WITH(INITRD_DEV, INITRD_INIT_ENTRY, INITRD_LIST_ENTRY("4"), INITRD_MODULES, {"proc", 0040755},
                 {"run", 0040755}, {"sys", 0040755}, {"sysroot", 0040755}, {"TRAILER!!!", 0, "x"}),
            "end that virt-attest does not write");
}

/* Lower case is the same number to the kernel; two spellings of one archive are one too many. */
static void test_spelling(void)
{
    GByteArray *bytes = initrd_good("4");

    for (guint i = 6; i < 110; i++)
        bytes->data[i] = (guint8)g_ascii_tolower((gchar)bytes->data[i]);
    refused(bytes, "holds 'dev' in a form");
    bytes = initrd_good("4");
    bytes->data[5] = '2'; /* the form with check sums */
    refused(bytes, "neither a cpio archive");
}

static void test_list(void)
{
    refused(WITH(INITRD_DEV, INITRD_INIT_ENTRY, LIST_ENTRY(START "module required 0000-virtio.ko\n"), INITRD_MODULES,
                 INITRD_END),
            "holds 'modules/0001-sha256-ssse3.ko', which its initrd.list does not name");
    refused(WITH(INITRD_DEV, INITRD_INIT_ENTRY,
                 LIST_ENTRY(START "module required 0000-virtio.ko\nmodule optional 0001-sha256-ssse3.ko\n"
                                  "module required 0002-dm.ko\n"),
                 INITRD_MODULES, INITRD_END),
            "does not hold '0002-dm.ko'");
    refused(WITH(INITRD_DEV, INITRD_INIT_ENTRY,
                 LIST_ENTRY(START "module required 0000-other.ko\nmodule optional 0001-sha256-ssse3.ko\n"),
                 INITRD_MODULES, INITRD_END),
            "does not name there");
    refused(WITH(INITRD_DEV, INITRD_INIT_ENTRY, LIST_ENTRY("level 4\n"), INITRD_MODULES, INITRD_END),
            "bad table of contents");
    refused(WITH(INITRD_DEV, INITRD_INIT_ENTRY, LIST_ENTRY(""), INITRD_MODULES, INITRD_END), "lacks 'initrd.list'");
}

/* Every prefix, and every byte changed: nothing of it is ours. */
static void test_every_byte(void)
{
    g_autoptr(GByteArray) good = initrd_good("4");
    guint changed = 0;

    for (guint size = 0; size < good->len; size++) {
        g_autofree guint8 *exact = g_memdup2(good->data, size);
        g_autoptr(PolicyInitrd) initrd = policy_initrd_judge((MeasureBytes){exact, size}, NULL);

        g_assert_false(initrd->ours);
        g_assert_nonnull(initrd->reason);
    }
    for (guint i = 0; i < good->len; i++) {
        g_autoptr(PolicyInitrd) initrd = NULL;
        g_autofree gchar *init = NULL;

        good->data[i] ^= 0x10;
        initrd = judge(good);
        init = measure_hex_encode(initrd->init, sizeof(initrd->init));
        good->data[i] ^= 0x10;
        /* What may differ is the contents: of the init, which has another digest then, the modules, and the list. */
        if (initrd->ours)
            changed++;
    }
    g_assert_cmpuint(changed, <=,
                     strlen(INITRD_INIT) + strlen("\177ELF virtio") + strlen("\177ELF sha256") +
                         strlen(INITRD_LIST("4")));
    g_assert_cmpuint(changed, >, 0);
}

static void test_file(void)
{
    g_autofree gchar *folder = g_dir_make_tmp("virt-attest-XXXXXX", NULL);
    g_autofree gchar *path = g_build_filename(folder, "initrd", NULL);
    g_autofree gchar *init_path = g_build_filename(folder, "init", NULL);
    g_autoptr(GByteArray) good = initrd_good("4");
    g_autofree gchar *digest = g_compute_checksum_for_data(G_CHECKSUM_SHA256, good->data, good->len);
    g_autoptr(GPtrArray) trusted = g_ptr_array_new();
    PolicyConfig config = {.path = (gchar *)"test.conf", .guest_init = init_path, .trusted_init = trusted};
    MeasureInput input = {.path = path};
    g_autoptr(PolicyInitrd) missing = NULL;
    g_autoptr(PolicyInitrd) same = NULL;
    g_autoptr(PolicyInitrd) other = NULL;
    g_autoptr(PolicyInitrd) directory = NULL;

    g_assert_true(measure_hex_decode(digest, input.sha256, sizeof(input.sha256)));
    g_assert_true(g_file_set_contents(init_path, INITRD_INIT, -1, NULL));
    missing = policy_initrd_judge_file(&input, &config);
    g_assert_false(missing->ours);
    g_assert_nonnull(strstr(missing->reason, "No such file"));
    g_assert_true(g_file_set_contents(path, (const char *)good->data, (gssize)good->len, NULL));
    same = policy_initrd_judge_file(&input, &config);
    g_assert_true(same->ours && same->init_trusted);
    /* What is measured and what is judged are the same bytes, or there is no judgement. */
    input.sha256[0] ^= 1;
    other = policy_initrd_judge_file(&input, &config);
    g_assert_false(other->ours);
    g_assert_nonnull(strstr(other->reason, "changed after it was measured"));
    g_unlink(path);
    g_unlink(init_path);
    input.path = folder;
    directory = policy_initrd_judge_file(&input, &config);
    g_assert_false(directory->ours);
    g_assert_nonnull(strstr(directory->reason, "no regular file"));
    g_rmdir(folder);
}

static void assert_release(GByteArray *bytes, const char *release)
{
    for (guint size = 0; size <= bytes->len; size += 64) {
        g_autofree guint8 *exact = g_memdup2(bytes->data, size);
        g_autofree gchar *found = policy_kernel_release((MeasureBytes){exact, size});

        if (size == bytes->len || !found)
            g_assert_cmpstr(found, ==, size == bytes->len ? release : NULL);
    }
    g_byte_array_unref(bytes);
}

static void test_kernel(void)
{
    GByteArray *outside = initrd_kernel("6.1.0");
    GByteArray *none = initrd_kernel("6.1.0");
    g_autofree gchar *long_text = g_strnfill(65, 'x');

    assert_release(initrd_kernel("6.12.57+deb13-cloud-amd64"), "6.12.57+deb13-cloud-amd64");
    assert_release(initrd_kernel(long_text), NULL);
    outside->data[0x20f] = 0xff;
    assert_release(outside, NULL);
    none->data[0x203] = 'x';
    assert_release(none, NULL);
    assert_release(g_byte_array_new(), NULL);
}

static gboolean corpus_read(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(PolicyInitrd) initrd = policy_initrd_judge((MeasureBytes){(const guint8 *)text, size}, NULL);

    if (!initrd->ours)
        g_set_error_literal(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, initrd->reason);
    return initrd->ours;
}

static void test_corpus(void)
{
    corpus_walk("initrd", corpus_read, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/initrd-judge/taken", test_taken);
    g_test_add_func("/initrd-judge/frames", test_frames);
    g_test_add_func("/initrd-judge/bomb", test_bomb);
    g_test_add_func("/initrd-judge/foreign", test_foreign);
    g_test_add_func("/initrd-judge/entries", test_entries);
    g_test_add_func("/initrd-judge/spelling", test_spelling);
    g_test_add_func("/initrd-judge/list", test_list);
    g_test_add_func("/initrd-judge/every-byte", test_every_byte);
    g_test_add_func("/initrd-judge/file", test_file);
    g_test_add_func("/initrd-judge/kernel", test_kernel);
    g_test_add_func("/initrd-judge/corpus", test_corpus);
    return g_test_run();
}
