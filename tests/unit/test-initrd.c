/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Building of initrds from an image that is made here. What comes out is read by cpio and by libzstd and zlib, not by
 * the code that wrote it.
 */
#include <zlib.h>
#include <zstd.h>

#include "policy/initrd.h"
#include "storage/initrd.h"
#include "tests/unit/image-fixture.h"

#define RELEASE "6.1.0-56-amd64"
#define FOLDER "usr/lib/modules/" RELEASE "/"
#define INIT "\177ELF\002 the guest's init"

/* What a kernel needs; a test takes rows out or changes them. */
#define CONFIG                                                                                                         \
    "# CONFIG_FOO is not set\nCONFIG_BLK_DEV_INITRD=y\nCONFIG_BINFMT_ELF=y\nCONFIG_DEVTMPFS=y\nCONFIG_PROC_FS=y\n"     \
    "CONFIG_SYSFS=y\nCONFIG_TMPFS=y\nCONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=m\nCONFIG_EXT4_FS=m\n"                     \
    "CONFIG_OVERLAY_FS=m\nCONFIG_BLK_DEV_DM=m\nCONFIG_DM_VERITY=m\nCONFIG_DM_CRYPT=m\nCONFIG_DM_INTEGRITY=m\n"         \
    "CONFIG_CRYPTO_XTS=m\nCONFIG_CRYPTO_AUTHENC=m\n"

/* "": plain; as the files are named in modules.dep. */
static const struct {
    const char *path, *packer;
} modules[] = {
    {"kernel/drivers/block/virtio_blk.ko.xz", "xz"},
    {"kernel/fs/ext4/ext4.ko.zst", "zstd"},
    {"kernel/fs/jbd2/jbd2.ko.gz", "gzip"},
    {"kernel/fs/overlayfs/overlay.ko", ""},
    {"kernel/drivers/md/dm-mod.ko.xz", "xz"},
    {"kernel/drivers/md/dm-bufio.ko.xz", "xz"},
    {"kernel/drivers/md/dm-verity.ko.xz", "xz"},
    {"kernel/drivers/md/dm-crypt.ko.xz", "xz"},
    {"kernel/drivers/md/dm-integrity.ko.xz", "xz"},
    {"kernel/crypto/xts.ko.xz", "xz"},
    {"kernel/crypto/authenc.ko.xz", "xz"},
    {"kernel/arch/x86/crypto/aesni-intel.ko.xz", "xz"},
    {"kernel/net/unwanted.ko.xz", "xz"},
    {"kernel/drivers/net/virtio_net.ko.xz", "xz"},
};

#define DEP                                                                                                            \
    "kernel/drivers/block/virtio_blk.ko.xz:\nkernel/fs/ext4/ext4.ko.zst: kernel/fs/jbd2/jbd2.ko.gz\n"                  \
    "kernel/fs/jbd2/jbd2.ko.gz:\nkernel/fs/overlayfs/overlay.ko:\nkernel/drivers/md/dm-mod.ko.xz:\n"                   \
    "kernel/drivers/md/dm-bufio.ko.xz: kernel/drivers/md/dm-mod.ko.xz\n"                                               \
    "kernel/drivers/md/dm-verity.ko.xz: kernel/drivers/md/dm-bufio.ko.xz kernel/drivers/md/dm-mod.ko.xz\n"             \
    "kernel/drivers/md/dm-crypt.ko.xz: kernel/drivers/md/dm-mod.ko.xz\n"                                               \
    "kernel/drivers/md/dm-integrity.ko.xz: kernel/drivers/md/dm-bufio.ko.xz kernel/drivers/md/dm-mod.ko.xz\n"          \
    "kernel/crypto/xts.ko.xz:\nkernel/crypto/authenc.ko.xz:\nkernel/arch/x86/crypto/aesni-intel.ko.xz:\n"              \
    "kernel/net/unwanted.ko.xz:\nkernel/drivers/net/virtio_net.ko.xz: kernel/net/unwanted.ko.xz\n"

/* What must be in the archive for level 4, in order: type and permissions, size, name; by hand. */
static const char *const names4[] = {
    "dev",
    "init",
    "initrd.list",
    "modules",
    "modules/0000-virtio_blk.ko",
    "modules/0001-jbd2.ko",
    "modules/0002-ext4.ko",
    "modules/0003-overlay.ko",
    "modules/0004-dm-mod.ko",
    "modules/0005-dm-bufio.ko",
    "modules/0006-dm-verity.ko",
    "modules/0007-dm-crypt.ko",
    "modules/0008-dm-integrity.ko",
    "modules/0009-xts.ko",
    "modules/0010-authenc.ko",
    "modules/0011-aesni-intel.ko",
    "proc",
    "run",
    "sys",
    "sysroot",
    NULL,
};

#define LIST4                                                                                                          \
    "virt-attest-initrd 1\nlevel 4\nkernel " RELEASE "\nmodule required 0000-virtio_blk.ko\n"                          \
    "module required 0001-jbd2.ko\nmodule required 0002-ext4.ko\nmodule required 0003-overlay.ko\n"                    \
    "module required 0004-dm-mod.ko\nmodule required 0005-dm-bufio.ko\nmodule required 0006-dm-verity.ko\n"            \
    "module required 0007-dm-crypt.ko\nmodule required 0008-dm-integrity.ko\nmodule required 0009-xts.ko\n"            \
    "module required 0010-authenc.ko\nmodule optional 0011-aesni-intel.ko\n"

static gchar *module_text(const char *path)
{
    g_autofree gchar *name = g_path_get_basename(path);

    /* What a signature is to us: bytes at the end. */
    return g_strdup_printf("\177ELF %.*s ~Module signature appended~\n", (int)strcspn(name, "."), name);
}

static void put_module(ImageFixture *fixture, const char *path, const char *packer, const char *text, gssize size)
{
    g_autofree gchar *plain = g_strdup(path);
    g_autofree gchar *whole = NULL;

    if (*packer)
        *strrchr(plain, '.') = '\0';
    whole = g_strconcat(FOLDER, plain, NULL);
    image_put(fixture, whole, text, size);
    if (*packer) {
        g_autofree gchar *file = g_build_filename(fixture->tree, whole, NULL);
        const char *const argv[] = {packer, "-q", "-f", strcmp(packer, "zstd") ? "--" : "--rm", file, NULL};

        image_run(argv);
    }
}

static ImageFixture *kernel_fixture(void)
{
    ImageFixture *fixture = image_fixture_new();
    g_autofree gchar *init = g_build_filename(fixture->folder, "guest-init", NULL);

    image_put(fixture, "boot/vmlinuz-" RELEASE, "a kernel", -1);
    image_put(fixture, "boot/config-" RELEASE, CONFIG "CONFIG_RD_ZSTD=y\nCONFIG_RD_GZIP=y\n", -1);
    image_put(fixture, FOLDER "modules.dep", DEP, -1);
    image_put(fixture, FOLDER "modules.builtin", "kernel/drivers/virtio/virtio_pci.ko\n", -1);
    for (gsize i = 0; i < G_N_ELEMENTS(modules); i++) {
        g_autofree gchar *text = module_text(modules[i].path);

        put_module(fixture, modules[i].path, modules[i].packer, text, -1);
    }
    g_assert_true(g_file_set_contents(init, INIT, -1, NULL));
    return fixture;
}

static StorageInitrd *try_build(ImageFixture *fixture, const char *kernel, guint level, GError **error)
{
    g_autofree gchar *init = g_build_filename(fixture->folder, "guest-init", NULL);
    g_autoptr(StorageImage) image = NULL;

    image_make(fixture, NULL);
    image = image_open(fixture);
    return storage_initrd_build(image, kernel, level, init, error);
}

static StorageInitrd *build(ImageFixture *fixture, guint level)
{
    g_autoptr(GError) error = NULL;
    StorageInitrd *initrd = try_build(fixture, NULL, level, &error);

    g_assert_no_error(error);
    return initrd;
}

/* Unpacks by what the file says it is. */
static GBytes *unpack(GBytes *packed)
{
    gsize size = 0;
    const guint8 *data = g_bytes_get_data(packed, &size);
    gsize room = 16 * 1024 * 1024;
    g_autofree guint8 *out = g_malloc(room);

    if (data[0] == 0x28) {
        g_assert_cmpuint(ZSTD_findFrameCompressedSize(data, size), ==, size);
        g_assert_cmpuint(ZSTD_getFrameContentSize(data, size), <=, room);
        room = ZSTD_decompress(out, room, data, size);
        g_assert_false(ZSTD_isError(room));
        g_assert_cmpuint(ZSTD_getFrameContentSize(data, size), ==, room);
    } else if (data[0] == 0x1f) {
        z_stream stream = {
            .next_in = (z_const Bytef *)data, .avail_in = (uInt)size, .next_out = out, .avail_out = (uInt)room};

        g_assert_cmpint(inflateInit2(&stream, 31), ==, Z_OK);
        g_assert_cmpint(inflate(&stream, Z_FINISH), ==, Z_STREAM_END);
        g_assert_cmpuint(stream.avail_in, ==, 0);
        room = stream.total_out;
        inflateEnd(&stream);
        for (guint i = 4; i < 8; i++)
            g_assert_cmpuint(data[i], ==, 0); /* no time in it */
    } else {
        return g_bytes_ref(packed);
    }
    return g_bytes_new(out, room);
}

/* Runs cpio over @archive in the fixture's folder; its standard output. */
static gchar *run_cpio(ImageFixture *fixture, GBytes *archive, const char *options)
{
    g_autofree gchar *path = g_build_filename(fixture->folder, "archive", NULL);
    g_autofree gchar *command = g_strdup_printf("cd '%s' && mkdir -p out && cd out && LC_ALL=C cpio --quiet %s < '%s'",
                                                fixture->folder, options, path);
    const char *const argv[] = {"sh", "-c", command, NULL};
    g_autoptr(GError) error = NULL;
    gchar *out = NULL;
    gint status = 0;

    g_assert_true(g_file_set_contents(path, g_bytes_get_data(archive, NULL), (gssize)g_bytes_get_size(archive), NULL));
    g_assert_true(
        g_spawn_sync(NULL, (gchar **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL, &status, &error));
    g_assert_true(g_spawn_check_wait_status(status, &error));
    return out;
}

static void assert_file(ImageFixture *fixture, const char *name, const char *expected)
{
    g_autofree gchar *path = g_build_filename(fixture->folder, "out", name, NULL);
    g_autofree gchar *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, expected);
}

static void test_contents(void)
{
    g_autoptr(ImageFixture) fixture = kernel_fixture();
    g_autoptr(StorageInitrd) initrd = build(fixture, 4);
    g_autoptr(GBytes) archive = unpack(initrd->data);
    g_autofree gchar *listed = run_cpio(fixture, archive, "-it");
    g_autofree gchar *details = run_cpio(fixture, archive, "-itvn");
    g_autofree gchar *init_sha256 = g_compute_checksum_for_string(G_CHECKSUM_SHA256, INIT, -1);
    g_autofree gchar *expected = g_strjoinv("\n", (gchar **)names4);
    g_auto(GStrv) rows = NULL;

    /* Everything that is allowed is there, and nothing else. */
    g_assert_cmpstr(g_strchomp(listed), ==, expected);
    rows = g_strsplit(g_strchomp(details), "\n", -1);
    g_assert_cmpuint(g_strv_length(rows), ==, G_N_ELEMENTS(names4) - 1);
    for (guint i = 0; rows[i]; i++) {
        const char *mode = !strchr("imd", *names4[i])   ? "drwxr-xr-x   2 0        0 "
                           : !strcmp(names4[i], "init") ? "-rwxr-xr-x   1 0        0 "
                           : strchr(names4[i], '.')     ? "-rw-r--r--   1 0        0 "
                                                        : "drwxr-xr-x   2 0        0 ";

        if (!g_str_has_prefix(rows[i], mode) || !strstr(rows[i], "1970"))
            g_error("'%s' does not begin with '%s'", rows[i], mode);
    }
    g_free(run_cpio(fixture, archive, "-id --no-absolute-filenames"));
    assert_file(fixture, "init", INIT);
    assert_file(fixture, "initrd.list", LIST4);
    for (guint i = 4; g_str_has_prefix(names4[i], "modules/"); i++) {
        const char *name = names4[i] + strlen("modules/0000-");
        g_autofree gchar *text = module_text(name);

        assert_file(fixture, names4[i], text);
        g_assert_cmpstr(g_ptr_array_index(initrd->modules, i - 4), ==, names4[i] + strlen("modules/"));
    }
    g_assert_cmpuint(initrd->modules->len, ==, 12);
    g_assert_cmpstr(initrd->kernel, ==, RELEASE);
    g_assert_cmpstr(initrd->compression, ==, "zstd");
    g_assert_cmpstr(initrd->init_sha256, ==, init_sha256);
}

static void assert_judged(const StorageInitrd *initrd, guint level)
{
    MeasureBytes bytes;
    g_autoptr(PolicyInitrd) judged = NULL;
    g_autofree gchar *init = NULL;

    bytes.data = g_bytes_get_data(initrd->data, &bytes.size);
    judged = policy_initrd_judge(bytes, NULL);
    init = measure_hex_encode(judged->init, sizeof(judged->init));
    g_assert_true(judged->ours);
    g_assert_cmpuint(judged->level, ==, level);
    g_assert_cmpuint(judged->modules, ==, initrd->modules->len);
    g_assert_cmpstr(judged->compression, ==, initrd->compression);
    g_assert_cmpstr(init, ==, initrd->init_sha256);
}

/* Another image with the same files (other times, other UUID, another format) gives the same initrd. */
static void test_same_bytes(void)
{
    static const guint levels[] = {0, 3, 4};
    g_autoptr(ImageFixture) fixture = kernel_fixture();
    g_autofree gchar *qcow2 = g_build_filename(fixture->folder, "disk.qcow2", NULL);
    g_autofree gchar *init = g_build_filename(fixture->folder, "guest-init", NULL);
    const char *const convert[] = {"qemu-img", "convert", "-O", "qcow2", fixture->disk, qcow2, NULL};

    for (gsize i = 0; i < G_N_ELEMENTS(levels); i++) {
        g_autoptr(StorageInitrd) first = build(fixture, levels[i]);
        g_autoptr(StorageInitrd) second = build(fixture, levels[i]);
        g_autoptr(GError) error = NULL;
        g_autoptr(StorageImage) image = NULL;
        g_autoptr(StorageInitrd) third = NULL;

        image_run(convert);
        image = storage_image_open(qcow2, STORAGE_FORMAT_BY_NAME, &error);
        g_assert_no_error(error);
        third = storage_initrd_build(image, RELEASE, levels[i], init, &error);
        g_assert_no_error(error);
        g_assert_true(g_bytes_equal(first->data, second->data));
        g_assert_true(g_bytes_equal(first->data, third->data));
        assert_judged(first, levels[i]);
        /* Only level 4 has dm-verity. */
        g_assert_cmpuint(first->modules->len, ==, levels[i] == 4 ? 12 : 11);
    }
}

static void test_compression(void)
{
    static const struct {
        const char *config, *compression;
    } rows[] = {
        {CONFIG "CONFIG_RD_GZIP=y\nCONFIG_RD_ZSTD=n\n", "gzip"},
        {CONFIG "# CONFIG_RD_ZSTD is not set\nCONFIG_RD_XZ=y\n", "none"},
        {CONFIG "XCONFIG_RD_ZSTD=y\n", "none"},
        {NULL, "none"},
    };
    g_autoptr(ImageFixture) fixture = kernel_fixture();
    g_autofree gchar *config = g_build_filename(fixture->tree, "boot", "config-" RELEASE, NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(StorageInitrd) initrd = NULL;
        g_autoptr(GBytes) archive = NULL;
        g_autofree gchar *listed = NULL;

        g_unlink(config);
        if (rows[i].config)
            image_put(fixture, "boot/config-" RELEASE, rows[i].config, -1);
        initrd = build(fixture, 4);
        g_assert_cmpstr(initrd->compression, ==, rows[i].compression);
        archive = unpack(initrd->data);
        listed = run_cpio(fixture, archive, "-it");
        g_assert_nonnull(strstr(listed, "modules/0006-dm-verity.ko\n"));
        assert_judged(initrd, 4);
    }
    /* Where other distributions keep it. */
    image_put(fixture, FOLDER "config", CONFIG "CONFIG_RD_ZSTD=y\n", -1);
    {
        g_autoptr(StorageInitrd) initrd = build(fixture, 3);
        g_assert_cmpstr(initrd->compression, ==, "zstd");
    }
}

static void refused(ImageFixture *fixture, const char *kernel, guint level, AttestError code, const char *says)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StorageInitrd) initrd = try_build(fixture, kernel, level, &error);

    g_assert_null(initrd);
    g_assert_error(error, ATTEST_ERROR, (gint)code);
    if (!strstr(error->message, says))
        g_error("'%s' is not in '%s'", says, error->message);
}

static gchar *replaced(const char *text, const char *old_part, const char *new_part)
{
    g_auto(GStrv) parts = g_strsplit(text, old_part, 2);

    g_assert_nonnull(parts[1]);
    return g_strjoinv(new_part, parts);
}

/* What the kernel must have: each taken away in turn. */
static void test_missing_features(void)
{
    static const struct {
        const char *option, *dep, *says;
    } rows[] = {
        {"CONFIG_BLK_DEV_INITRD=y\n", NULL, "CONFIG_BLK_DEV_INITRD"},
        {"CONFIG_DEVTMPFS=y\n", NULL, "CONFIG_DEVTMPFS"},
        {"CONFIG_TMPFS=y\n", NULL, "CONFIG_TMPFS"},
        {"CONFIG_DM_VERITY=m\n", "kernel/drivers/md/dm-verity.ko.xz: ", "lacks dm-verity (CONFIG_DM_VERITY)"},
        {"CONFIG_OVERLAY_FS=m\n", "kernel/fs/overlayfs/overlay.ko:", "CONFIG_OVERLAY_FS"},
        {NULL, "kernel/drivers/md/dm-verity.ko.xz: ", "the module dm_verity is not in /usr/lib/modules"},
        {NULL, "kernel/crypto/xts.ko.xz:", "the module xts is not in"},
    };
    g_autoptr(ImageFixture) fixture = kernel_fixture();

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree gchar *config = rows[i].option ? replaced(CONFIG, rows[i].option, "") : g_strdup(CONFIG);
        g_autofree gchar *dep = rows[i].dep ? replaced(DEP, rows[i].dep, "kernel/other.ko: ") : g_strdup(DEP);

        image_put(fixture, "boot/config-" RELEASE, config, -1);
        image_put(fixture, FOLDER "modules.dep", dep, -1);
        refused(fixture, NULL, 4, ATTEST_ERROR_UNREADABLE, rows[i].says);
    }
    /* Level 3 does without dm-verity. */
    {
        g_autofree gchar *config = replaced(CONFIG, "CONFIG_DM_VERITY=m\n", "");
        g_autofree gchar *dep = replaced(DEP, "kernel/drivers/md/dm-verity.ko.xz: ", "kernel/other.ko: ");
        g_autoptr(StorageInitrd) initrd = NULL;

        image_put(fixture, "boot/config-" RELEASE, config, -1);
        image_put(fixture, FOLDER "modules.dep", dep, -1);
        initrd = build(fixture, 3);
        assert_judged(initrd, 3);
    }
    /* Built in is as good. */
    {
        g_autofree gchar *config = replaced(CONFIG, "CONFIG_DM_VERITY=m\n", "CONFIG_DM_VERITY=y\n");
        g_autoptr(StorageInitrd) initrd = NULL;

        image_put(fixture, "boot/config-" RELEASE, config, -1);
        initrd = build(fixture, 4);
        assert_judged(initrd, 4);
    }
}

static void test_bad_modules(void)
{
    g_autoptr(ImageFixture) fixture = kernel_fixture();
    g_autofree gchar *bomb = g_malloc0(65 * 1024 * 1024);
    const char *path = "kernel/crypto/xts.ko.xz";

    memcpy(bomb, "\177ELF", 4);
    put_module(fixture, path, "xz", bomb, 65 * 1024 * 1024);
    refused(fixture, NULL, 4, ATTEST_ERROR_UNREADABLE, "too large once unpacked");
    put_module(fixture, path, "xz", "#!/bin/sh\n", -1);
    refused(fixture, NULL, 4, ATTEST_ERROR_UNREADABLE, "no kernel module");
    image_put(fixture, FOLDER "kernel/crypto/xts.ko.xz",
              "\xfd"
              "7zXZ\0\0\4",
              8);
    refused(fixture, NULL, 4, ATTEST_ERROR_UNREADABLE, "damaged or cut short");
    image_put(fixture, FOLDER "kernel/crypto/xts.ko.xz", "\177ELF", 4);
    refused(fixture, NULL, 4, ATTEST_ERROR_UNREADABLE, "damaged or cut short");
    {
        g_autofree gchar *file = g_build_filename(fixture->tree, FOLDER, path, NULL);

        g_unlink(file);
        refused(fixture, NULL, 4, ATTEST_ERROR_UNREADABLE, "does not exist");
        /* A link that leaves the image stays inside it. */
        g_assert_cmpint(symlink("/../../../../../../../../etc/passwd", file), ==, 0);
        refused(fixture, NULL, 4, ATTEST_ERROR_UNREADABLE, "does not exist");
    }
}

static void test_bad_input(void)
{
    g_autoptr(ImageFixture) fixture = kernel_fixture();
    g_autofree gchar *init = g_build_filename(fixture->folder, "guest-init", NULL);

    refused(fixture, "6.1.0-absent", 4, ATTEST_ERROR_UNREADABLE, "6.1.0-absent");
    refused(fixture, "../../etc", 4, ATTEST_ERROR_USAGE, "no kernel release");
    refused(fixture, "", 4, ATTEST_ERROR_USAGE, "no kernel release");
    refused(fixture, "6.1\n", 4, ATTEST_ERROR_USAGE, "\\x0a");
    g_assert_true(g_file_set_contents(init, "#!/bin/sh\n", -1, NULL));
    refused(fixture, NULL, 4, ATTEST_ERROR_NOT_CONFIGURED, "no program");
    g_assert_true(g_file_set_contents(init, "", -1, NULL));
    refused(fixture, NULL, 4, ATTEST_ERROR_NOT_CONFIGURED, "no program");
    g_unlink(init);
    refused(fixture, NULL, 4, ATTEST_ERROR_NOT_CONFIGURED, "guest-init");
}

static void test_kernel(void)
{
    g_autoptr(ImageFixture) fixture = kernel_fixture();
    g_autoptr(StorageImage) image = NULL;
    g_autoptr(GBytes) kernel = NULL;
    g_autoptr(GError) error = NULL;

    image_make(fixture, NULL);
    image = image_open(fixture);
    kernel = storage_initrd_kernel(image, RELEASE, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_bytes_get_size(kernel), ==, 8);
    g_assert_true(!memcmp(g_bytes_get_data(kernel, NULL), "a kernel", 8));
    g_assert_null(storage_initrd_kernel(image, "../x", &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/initrd/contents", test_contents);
    g_test_add_func("/initrd/same-bytes", test_same_bytes);
    g_test_add_func("/initrd/compression", test_compression);
    g_test_add_func("/initrd/missing-features", test_missing_features);
    g_test_add_func("/initrd/bad-modules", test_bad_modules);
    g_test_add_func("/initrd/bad-input", test_bad_input);
    g_test_add_func("/initrd/kernel", test_kernel);
    return g_test_run();
}
