/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The known answers were made with veritysetup 2.6.1. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corpus-fixture.h"
#include "measure/bytes.h"
#include "measure/error.h"
#include "storage/qcow2.h"
#include "storage/verity.h"

#define MIB (1024u * 1024)

/* A file without a name, as a disk. */
typedef struct {
    int fd;
    StorageDisk *disk;
    StorageVerityOptions options;
} Data;

static void data_clear(Data *data)
{
    storage_disk_free(data->disk);
    close(data->fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Data, data_clear)

static gchar *path_of(int fd)
{
    return g_strdup_printf("/proc/self/fd/%d", fd);
}

static void put(int fd, guint64 offset, const void *bytes, gsize size)
{
    g_assert_cmpint(pwrite(fd, bytes, size, (off_t)offset), ==, size);
}

static void flip(int fd, guint64 offset)
{
    guint8 byte = 0;
    g_assert_cmpint(pread(fd, &byte, 1, (off_t)offset), ==, 1);
    byte ^= 0x10;
    put(fd, offset, &byte, 1);
}

static int new_file(guint64 size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, (off_t)size), ==, 0);
    return fd;
}

static void data_open(Data *data, int fd)
{
    g_autofree gchar *path = path_of(fd);
    g_autoptr(GError) error = NULL;
    data->fd = fd;
    data->disk = storage_disk_open(path, STORAGE_FORMAT_RAW, &error);
    g_assert_no_error(error);
    data->options = (StorageVerityOptions){.length = storage_disk_size(data->disk)};
}

/* Every third block of zeros, the others with their number in them. */
static void data_pattern(Data *data, guint64 blocks, guint32 size)
{
    int fd = new_file(blocks * size);
    g_autofree guint8 *block = g_malloc(size);
    for (guint64 n = 0; n < blocks; n++) {
        for (guint32 i = 0; i < size; i++) {
            block[i] = (guint8)((i + 13 * n) % 251);
        }
        if (n % 3 != 2) {
            put(fd, n * size, block, size);
        }
    }
    data_open(data, fd);
}

static void parameters(StorageVerity *verity, const char *hash, guint32 data_size, guint32 hash_size, gsize salt_size)
{
    memset(verity, 0, sizeof *verity);
    g_strlcpy(verity->hash, hash, sizeof verity->hash);
    verity->data_block_size = data_size;
    verity->hash_block_size = hash_size;
    verity->salt_size = salt_size;
    for (gsize i = 0; i < salt_size; i++) {
        verity->salt[i] = (guint8)i;
    }
    for (guint i = 0; i < 16; i++) {
        verity->uuid[i] = (guint8)(0x11 * i);
    }
}

static void format_good(const Data *data, int fd, StorageVerity *verity)
{
    g_autoptr(GError) error = NULL;
    storage_verity_format(data->disk, fd, verity, &data->options, &error);
    g_assert_no_error(error);
}

static gchar *file_sha256(int fd)
{
    struct stat status;
    g_assert_cmpint(fstat(fd, &status), ==, 0);
    g_autofree guint8 *bytes = g_malloc((gsize)status.st_size);
    g_assert_cmpint(pread(fd, bytes, (gsize)status.st_size, 0), ==, status.st_size);
    return g_compute_checksum_for_data(G_CHECKSUM_SHA256, bytes, (gsize)status.st_size);
}

static const struct {
    guint64 blocks;
    guint32 data_size, hash_size;
    const char *hash;
    gsize salt_size;
    guint64 file_size;
    const char *root_hash, *file_sha256;
} answers[] = {
    {1, 4096, 4096, "sha256", 0, 4096,
     "d67c656e01756650d77717b0839985a056ec28ffe174601d690fc407a2ceffca",
     "eff901018b9b6ab066f4cf9072bd3986d26605376d22425924910fac0b48b661"},
    {2, 4096, 4096, "sha256", 32, 8192,
     "14869772d7b98b716e666056868077c555557146330e785f695cf3bcf3687231",
     "7b208bc19106426c7e1cf0f1e65e96e0f619a832d1124d286750d21aa561e84f"},
    {128, 4096, 4096, "sha256", 32, 8192,
     "056e442344746bf21e1f2187a038e9c1c5e246242ca7d72b22cd83dd47f490fb",
     "df89228263a8f7e549d0e1c6cfe98905d2db27b42dc7b5bd7bbb912b92db2d34"},
    {129, 4096, 4096, "sha256", 8, 16384,
     "61c068ac403342327455df4a03edb905ff7c807329baabe77af12946e6e502e7",
     "8b8d420057400d545497a0994ee45e3407dd0a7f980fa2cea78b5aec26d84dc1"},
    {300, 1024, 4096, "sha256", 32, 20480,
     "f0200f8ecc9cecc6c61392df99e79501988a57ce636271768272af3d7c2c8a6a",
     "ffe945149a9bd58f0db94fb518e54e83db7a53af2bd13c96a2f7d3cd010e8a2a"},
    {1000, 512, 512, "sha256", 256, 35328,
     "d01dd165f5b15fce9163eb4c00f2f25a2a5d2998a0c4b4a42ae2bbd0cb28981d",
     "425f1334e1d233e79316332c78e53690104a1d217514161fc4f59fe517ccf45c"},
    {700, 512, 1024, "sha512", 32, 50176,
     "db65ca46c8aefcec0bad62876e38b32cc48e8d9fb4ecd3b5c7ce0ae7cf6b8614"
     "e83a2060e2a76fb77d743fb9a03721c442c02ee1b2cdfd681cba417e731b4d2d",
     "e38b99d75aac82fa62952a549c9bdcffd164b29d27a60d9fb5a9140220c36472"},
    {513, 4096, 512, "sha384", 16, 39936,
     "df8b419d497d41864194b95a77b0ada7ccd194c4477840ba877c0a5b5e4cad14"
     "00cfd39a7ec80c089886c2cc99fe843e",
     "a4af0ffbe18c39aadb450d4d9f279d24a3cfa12541ddc646d28cf0e01f68c4df"},
    {65, 2048, 4096, "sha512", 0, 16384,
     "b3d426b150f9870f4740700399b9b5e39aeac363e14e35603c351170944a876b"
     "6e0c192f18ebdc82b3b0c90e5673f3ab375707af4b3b15d19f41883bc6da1ac2",
     "8e01b61214bb9d7f9c06c922d11b0af1b568815ded663ff1e5bbb989280089dd"},
    {4097, 512, 512, "sha512", 64, 302592,
     "31c8df3f1cf11a276d6e0d821c6607098ffce686254e052a7cb33661026a4c0d"
     "10b6c13c06d3c1aa9dd11c118c8d03851dd608fb3fbb21870552304774d4bc9a",
     "a5e8f9b625e557b5d39dcf5f8bc1b8e8c6e06a19d026fa5f9c304251eda6becb"},
};

static void test_answers(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
        for (guint threads = 1; threads <= 5; threads += 4) {
            g_auto(Data) data = {0};
            StorageVerity verity, again;
            guint64 bad_block = 0;
            g_autoptr(GError) error = NULL;
            int fd = new_file(0);
            data_pattern(&data, answers[i].blocks, answers[i].data_size);
            data.options.threads = threads;
            parameters(&verity, answers[i].hash, answers[i].data_size, answers[i].hash_size, answers[i].salt_size);
            format_good(&data, fd, &verity);
            g_autofree gchar *root_hash = measure_hex_encode(verity.root_hash, verity.digest_size);
            g_autofree gchar *sha256 = file_sha256(fd);
            g_assert_cmpstr(root_hash, ==, answers[i].root_hash);
            g_assert_cmpstr(sha256, ==, answers[i].file_sha256);
            g_assert_cmpuint(verity.data_blocks, ==, answers[i].blocks);
            g_assert_cmpuint(storage_verity_hash_size(&verity), ==, answers[i].file_size);
            g_assert_true(storage_verity_has_signature(fd));
            storage_verity_read_superblock(fd, &again, &error);
            g_assert_no_error(error);
            memcpy(again.root_hash, verity.root_hash, sizeof again.root_hash);
            g_assert_cmpmem(&again, sizeof again, &verity, sizeof verity);
            storage_verity_verify(data.disk, fd, &again, &data.options, &bad_block, &error);
            g_assert_no_error(error);
            g_assert_cmpuint(bad_block, ==, G_MAXUINT64);
            close(fd);
        }
    }
}

/* A wrong byte anywhere is found, and named where it is. 20000 blocks: three levels, at blocks 1; 2-3; 4-160. */
static void test_verify_names_block(void)
{
    g_auto(Data) data = {0};
    StorageVerity verity;
    guint64 bad_block = 0;
    int fd = new_file(0);
    data_pattern(&data, 20000, 512);
    parameters(&verity, "sha256", 512, 4096, 32);
    format_good(&data, fd, &verity);
    g_assert_cmpuint(storage_verity_hash_size(&verity), ==, 161 * 4096);
    const guint64 blocks[] = {0, 1, 2, 127, 128, 4095, 4096, 12345, 19998, 19999};
    for (gsize i = 0; i < G_N_ELEMENTS(blocks); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree gchar *words = g_strdup_printf(
            "data block %" G_GUINT64_FORMAT " (512 bytes at byte %" G_GUINT64_FORMAT ")", blocks[i], blocks[i] * 512);
        flip(data.fd, blocks[i] * 512 + 511 * (i % 2));
        /* A second fault behind the first one changes nothing. */
        if (blocks[i] < 19000) {
            flip(data.fd, 19500 * 512);
        }
        g_assert_false(storage_verity_verify(data.disk, fd, &verity, &data.options, &bad_block, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
        g_assert_cmpuint(bad_block, ==, blocks[i]);
        g_assert_nonnull(strstr(error->message, words));
        flip(data.fd, blocks[i] * 512 + 511 * (i % 2));
        if (blocks[i] < 19000) {
            flip(data.fd, 19500 * 512);
        }
    }
    const guint64 tree[] = {1, 2, 3, 4, 77, 160};
    for (gsize i = 0; i < G_N_ELEMENTS(tree); i++) {
        for (guint64 at = 0; at < 4096; at += 4095) {
            g_autoptr(GError) error = NULL;
            g_autofree gchar *words = g_strdup_printf("at byte %" G_GUINT64_FORMAT, tree[i] * 4096);
            flip(fd, tree[i] * 4096 + at);
            g_assert_false(storage_verity_verify(data.disk, fd, &verity, &data.options, &bad_block, &error));
            g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
            g_assert_cmpuint(bad_block, ==, G_MAXUINT64);
            g_assert_nonnull(strstr(error->message, words));
            flip(fd, tree[i] * 4096 + at);
        }
    }
    g_assert_true(storage_verity_verify(data.disk, fd, &verity, &data.options, &bad_block, NULL));
    verity.root_hash[31] ^= 1;
    g_assert_false(storage_verity_verify(data.disk, fd, &verity, &data.options, &bad_block, NULL));
    close(fd);
}

static void expect_format_error(const Data *data, int fd, const StorageVerity *parameters_, int code, const char *words)
{
    StorageVerity verity = *parameters_;
    g_autoptr(GError) error = NULL;
    g_assert_false(storage_verity_format(data->disk, fd, &verity, &data->options, &error));
    g_assert_error(error, ATTEST_ERROR, code);
    if (!strstr(error->message, words)) {
        g_error("'%s' does not say '%s'", error->message, words);
    }
}

static void test_refused(void)
{
    g_auto(Data) data = {0};
    StorageVerity verity, good;
    int fd = new_file(0);
    int full = open("/dev/full", O_RDWR | O_CLOEXEC);
    data_pattern(&data, 300, 4096);
    parameters(&good, "sha256", 4096, 4096, 32);
    verity = good;
    g_strlcpy(verity.hash, "md5", sizeof verity.hash);
    expect_format_error(&data, fd, &verity, ATTEST_ERROR_USAGE, "sha256, sha384 or sha512");
    verity = good;
    verity.data_block_size = 8192;
    expect_format_error(&data, fd, &verity, ATTEST_ERROR_USAGE, "8192");
    verity = good;
    verity.hash_block_size = 0;
    expect_format_error(&data, fd, &verity, ATTEST_ERROR_USAGE, "blocks of 0");
    verity = good;
    verity.salt_size = 257;
    expect_format_error(&data, fd, &verity, ATTEST_ERROR_USAGE, "salt");
    verity = good;
    verity.data_blocks = 301;
    expect_format_error(&data, fd, &verity, ATTEST_ERROR_UNREADABLE, "has 300 blocks");
    expect_format_error(&data, full, &good, ATTEST_ERROR_UNREADABLE, "free some space");
    data.options.length = 4095;
    expect_format_error(&data, fd, &good, ATTEST_ERROR_UNREADABLE, "less than one block");
    data.options.length = 300 * 4096 + 4096;
    expect_format_error(&data, fd, &good, ATTEST_ERROR_UNREADABLE, "not all on this disk");
    close(full);
    close(fd);
}

static void test_cut_off(void)
{
    g_auto(Data) data = {0};
    StorageVerity verity;
    guint64 bad_block = 0;
    int fd = new_file(0);
    data_pattern(&data, 1000, 4096);
    parameters(&verity, "sha256", 4096, 4096, 32);
    format_good(&data, fd, &verity);
    const off_t sizes[] = {9 * 4096 + 4095, 2 * 4096, 4096};
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_cmpint(ftruncate(fd, sizes[i]), ==, 0);
        g_assert_false(storage_verity_verify(data.disk, fd, &verity, &data.options, &bad_block, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        g_assert_nonnull(strstr(error->message, "cut off"));
    }
    g_autoptr(GError) error = NULL;
    format_good(&data, fd, &verity);
    verity.digest_size = 64;
    g_assert_false(storage_verity_verify(data.disk, fd, &verity, &data.options, &bad_block, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
    g_clear_error(&error);
    verity.digest_size = 32;
    data.options.length -= 4096;
    g_assert_false(storage_verity_verify(data.disk, fd, &verity, &data.options, &bad_block, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    close(fd);
}

/* Only the range counts, a rest that fills no block does not. */
static void test_range(void)
{
    g_auto(Data) whole = {0}, part = {0};
    StorageVerity verity, inside;
    int fd = new_file(0), fd2 = new_file(0);
    data_pattern(&whole, 400, 4096);
    parameters(&verity, "sha256", 4096, 4096, 32);
    format_good(&whole, fd, &verity);
    int shifted = new_file(512 + 400 * 4096 + 777);
    g_autofree guint8 *bytes = g_malloc(400 * 4096);
    g_assert_cmpint(pread(whole.fd, bytes, 400 * 4096, 0), ==, 400 * 4096);
    put(shifted, 512, bytes, 400 * 4096);
    put(shifted, 0, "in front", 8);
    put(shifted, 512 + 400 * 4096, "behind", 6);
    data_open(&part, shifted);
    part.options.offset = 512;
    part.options.length -= 512;
    parameters(&inside, "sha256", 4096, 4096, 32);
    format_good(&part, fd2, &inside);
    g_autofree gchar *one = file_sha256(fd);
    g_autofree gchar *two = file_sha256(fd2);
    g_assert_cmpstr(one, ==, two);
    close(fd);
    close(fd2);
}

/* --- taking digests from an old file ---------------------------------------------------------------------------- */

typedef struct {
    gchar *folder, *base, *top, *old;
} Overlay;

static void run(const char *program, ...) G_GNUC_NULL_TERMINATED;

static void run(const char *program, ...)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    int status = 0;
    va_list arguments;
    va_start(arguments, program);
    for (const char *word = program; word; word = va_arg(arguments, const char *)) {
        g_ptr_array_add(argv, (gpointer)word);
    }
    va_end(arguments);
    g_ptr_array_add(argv, NULL);
    g_spawn_sync(NULL, (gchar **)argv->pdata, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                 NULL, &status, &error);
    g_assert_no_error(error);
    g_assert_true(g_spawn_check_wait_status(status, NULL));
}

static void overlay_set_up(Overlay *overlay, gconstpointer data)
{
    overlay->folder = g_dir_make_tmp("virt-attest-verity-XXXXXX", NULL);
    overlay->base = g_build_filename(overlay->folder, "base.img", NULL);
    overlay->top = g_build_filename(overlay->folder, "top.qcow2", NULL);
    overlay->old = g_build_filename(overlay->folder, "old.verity", NULL);
}

static void overlay_tear_down(Overlay *overlay, gconstpointer data)
{
    gchar **files[] = {&overlay->base, &overlay->top, &overlay->old};
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_unlink(*files[i]);
        g_free(*files[i]);
    }
    g_assert_cmpint(g_rmdir(overlay->folder), ==, 0);
    g_free(overlay->folder);
}

/* Base: 1300 blocks, all but a hole at 2 to 3 MiB; not a whole number of blocks of level 0. The overlay is larger, and
 * holds data, zeros and a cluster that equals what is below it. */
static void make_overlay(Overlay *overlay, StorageVerity *old)
{
    g_auto(Data) base = {0};
    g_autofree guint8 *bytes = g_malloc0(1300 * 4096);
    int file = open(overlay->base, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int old_file = open(overlay->old, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (gsize i = 0; i < 1300 * 4096; i++) {
        bytes[i] = (guint8)((i ^ (i >> 8) ^ (i >> 12)) | 1);
    }
    g_assert_cmpint(ftruncate(file, 1300 * 4096), ==, 0);
    put(file, 0, bytes, 2 * MIB);
    put(file, 3 * MIB, bytes + 3 * MIB, 1300 * 4096 - 3 * MIB);
    data_open(&base, file);
    parameters(old, "sha256", 4096, 4096, 32);
    format_good(&base, old_file, old);
    close(old_file);
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", overlay->base, "-F", "raw", overlay->top, "8M", NULL);
    run("qemu-io", "-f", "qcow2", "-c", "write -P 3 64k 64k", "-c", "write -z 512k 640k", "-c", "write -P 5 2M 64k",
        "-c", "write -P 6 7M 128k", overlay->top, NULL);
}

static void open_overlay(const Overlay *overlay, Data *data)
{
    g_autoptr(GError) error = NULL;
    data->fd = dup(STDIN_FILENO);
    data->disk = storage_disk_open(overlay->top, STORAGE_FORMAT_QCOW2, &error);
    g_assert_no_error(error);
    data->options = (StorageVerityOptions){.length = storage_disk_size(data->disk)};
}

static gchar *format_overlay(const Data *data)
{
    StorageVerity verity;
    int fd = new_file(0);
    parameters(&verity, "sha256", 4096, 4096, 32);
    format_good(data, fd, &verity);
    gchar *sha256 = file_sha256(fd);
    close(fd);
    return sha256;
}

static void test_reuse(Overlay *overlay, gconstpointer user_data)
{
    g_auto(Data) data = {0}, again = {0};
    StorageVerity old;
    make_overlay(overlay, &old);
    open_overlay(overlay, &data);
    g_autofree gchar *full = format_overlay(&data);
    /* Now the base holds something else; who looks at it gets another tree. */
    g_clear_pointer(&data.disk, storage_disk_free);
    int file = open(overlay->base, O_RDWR | O_CLOEXEC);
    for (guint64 block = 0; block < 1300; block++) {
        flip(file, block * 4096 + 1);
    }
    close(file);
    open_overlay(overlay, &again);
    g_autofree gchar *changed = format_overlay(&again);
    again.options.reuse = overlay->old;
    again.options.reuse_root_hash = old.root_hash;
    for (again.options.threads = 1; again.options.threads < 4; again.options.threads++) {
        g_autofree gchar *reused = format_overlay(&again);
        g_assert_cmpstr(reused, ==, full);
        g_assert_cmpstr(reused, !=, changed);
    }
}

static void test_reuse_refused(Overlay *overlay, gconstpointer user_data)
{
    g_auto(Data) data = {0};
    StorageVerity old, verity;
    int fd = new_file(0);
    make_overlay(overlay, &old);
    open_overlay(overlay, &data);
    data.options.reuse = overlay->old;
    parameters(&verity, "sha256", 4096, 4096, 32);
    expect_format_error(&data, fd, &verity, ATTEST_ERROR_USAGE, "root hash");
    guint8 wrong[32];
    memcpy(wrong, old.root_hash, sizeof wrong);
    wrong[0] ^= 1;
    data.options.reuse_root_hash = wrong;
    expect_format_error(&data, fd, &verity, ATTEST_ERROR_REJECTED, "does not have the root hash");
    data.options.reuse_root_hash = old.root_hash;
    /* The root's block, and two of level 0, of which the second is covered by zeros of the overlay. */
    int file = open(overlay->old, O_RDWR | O_CLOEXEC);
    const guint64 places[] = {4096, 4096 + 4095, 2 * 4096, 3 * 4096 + 100, 12 * 4096 + 60};
    for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
        flip(file, places[i]);
        expect_format_error(&data, fd, &verity, ATTEST_ERROR_REJECTED, overlay->old);
        flip(file, places[i]);
    }
    StorageVerity other = verity;
    other.salt[5] ^= 1;
    expect_format_error(&data, fd, &other, ATTEST_ERROR_UNREADABLE, "another salt");
    other = verity;
    other.salt_size = 31;
    expect_format_error(&data, fd, &other, ATTEST_ERROR_UNREADABLE, "another salt");
    other = verity;
    other.hash_block_size = 2048;
    expect_format_error(&data, fd, &other, ATTEST_ERROR_UNREADABLE, "another salt");
    other = verity;
    other.data_blocks = 1299;
    expect_format_error(&data, fd, &other, ATTEST_ERROR_UNREADABLE, "more data");
    g_assert_cmpint(ftruncate(file, 5 * 4096), ==, 0);
    expect_format_error(&data, fd, &verity, ATTEST_ERROR_UNREADABLE, "cut off");
    g_assert_cmpint(ftruncate(file, 100), ==, 0);
    expect_format_error(&data, fd, &verity, ATTEST_ERROR_UNREADABLE, "cut off");
    close(file);
    data.options.reuse = "/nonexistent/old";
    expect_format_error(&data, fd, &verity, ATTEST_ERROR_UNREADABLE, "check the path");
    close(fd);
}

/* --- progress, superblocks --------------------------------------------------------------------------------------- */

typedef struct {
    GThread *thread;
    guint64 last, total;
    guint calls;
} Progress;

static void on_progress(const char *what, guint64 done, guint64 total, gpointer user_data)
{
    Progress *progress = user_data;
    g_assert_true(g_thread_self() == progress->thread);
    g_assert_cmpuint(done, >=, progress->last);
    progress->last = done;
    progress->total = total;
    progress->calls++;
}

static void test_progress(void)
{
    g_auto(Data) data = {0};
    Progress progress = {.thread = g_thread_self()};
    StorageVerity verity;
    int fd = new_file(0);
    data_open(&data, new_file(2048ull * MIB));
    put(data.fd, 0, "data", 4);
    data.options.progress = on_progress;
    data.options.progress_data = &progress;
    parameters(&verity, "sha256", 4096, 4096, 32);
    gint64 start = g_get_monotonic_time();
    format_good(&data, fd, &verity);
    gint64 tenths = (g_get_monotonic_time() - start) / (G_USEC_PER_SEC / 10);
    g_assert_cmpuint(progress.last, ==, 2048ull * MIB);
    g_assert_cmpuint(progress.total, ==, 2048ull * MIB);
    g_assert_cmpuint(progress.calls, <=, tenths + 3);
    close(fd);
}

static gboolean read_superblock(const char *text, gsize size, gpointer user_data, GError **error)
{
    StorageVerity verity;
    int fd = new_file(0);
    put(fd, 0, text, size);
    gboolean good = storage_verity_read_superblock(fd, &verity, error);
    g_assert_true(good ||
                  (error && (*error)->code == ATTEST_ERROR_UNREADABLE && !strpbrk((*error)->message, "\033\n")));
    close(fd);
    return good;
}

static void test_superblocks(void)
{
    corpus_walk("verity-superblock", read_superblock, NULL);
}

static gboolean read_qcow2(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_auto(StorageQcow2) header = {0};
    return storage_qcow2_parse((MeasureBytes){(const guint8 *)text, size}, &header, error);
}

static void test_qcow2(void)
{
    corpus_walk("qcow2", read_qcow2, NULL);
}

static void test_defaults(void)
{
    StorageVerity one, two;
    storage_verity_init(&one);
    storage_verity_init(&two);
    g_assert_cmpstr(one.hash, ==, "sha256");
    g_assert_cmpuint(one.salt_size, ==, 32);
    g_assert_cmpint(memcmp(one.salt, two.salt, 32), !=, 0);
    g_assert_cmpint(memcmp(one.uuid, two.uuid, 16), !=, 0);
    g_assert_cmpuint(one.uuid[6] >> 4, ==, 4);
    /* 16 TiB: 2^32 blocks, four levels of 2^25, 2^18, 2^11, 2^4 and 1 blocks */
    one.data_blocks = G_GUINT64_CONSTANT(1) << 32;
    g_assert_cmpuint(storage_verity_hash_size(&one), ==,
                     4096 * (1 + (1ull << 25) + (1ull << 18) + (1ull << 11) + (1ull << 4) + 1));
    one.data_blocks = 0;
    g_assert_cmpuint(storage_verity_hash_size(&one), ==, 0);
    one.data_blocks = G_MAXUINT64;
    g_assert_cmpuint(storage_verity_hash_size(&one), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/verity/defaults", test_defaults);
    g_test_add_func("/verity/answers", test_answers);
    g_test_add_func("/verity/verify-names-block", test_verify_names_block);
    g_test_add_func("/verity/refused", test_refused);
    g_test_add_func("/verity/cut-off", test_cut_off);
    g_test_add_func("/verity/range", test_range);
    g_test_add("/verity/reuse", Overlay, NULL, overlay_set_up, test_reuse, overlay_tear_down);
    g_test_add("/verity/reuse-refused", Overlay, NULL, overlay_set_up, test_reuse_refused, overlay_tear_down);
    g_test_add_func("/verity/progress", test_progress);
    g_test_add_func("/verity/superblocks", test_superblocks);
    g_test_add_func("/verity/qcow2", test_qcow2);
    return g_test_run();
}
