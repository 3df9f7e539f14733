/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of an image, read without mounting it; the images are made by mkfs.ext4, and damaged here. */
#include "tests/unit/image-fixture.h"

#define BIG (3 * 1024 * 1024 + 17)

static guint8 *pattern(gsize size)
{
    guint8 *data = g_malloc(size);
    guint32 state = 1;

    for (gsize i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = (guint8)(state >> 24);
    }
    return data;
}

static void fill_tree(ImageFixture *fixture)
{
    g_autofree guint8 *big = pattern(BIG);

    image_put(fixture, "etc/hostname", "guest\n", -1);
    image_put(fixture, "etc/empty", "", 0);
    image_put(fixture, "var/big", big, BIG);
    image_put(fixture, "usr/lib/modules/6.1.0-9-amd64/modules.dep", "", 0);
    image_put(fixture, "usr/lib/modules/6.1.0-56-amd64/modules.dep", "", 0);
    image_put(fixture, "usr/lib/modules/6.1.0-57~rc1-amd64/modules.dep", "", 0);
    image_put(fixture, "boot/vmlinuz-6.1.0-9-amd64", "old", -1);
    image_put(fixture, "boot/vmlinuz-6.1.0-56-amd64", "new", -1);
    image_link(fixture, "lib", "usr/lib");
    image_link(fixture, "etc/name", "hostname");
    image_link(fixture, "etc/absolute", "/etc/hostname");
    image_link(fixture, "etc/up", "../../../../etc/../etc/hostname");
    image_link(fixture, "etc/loop", "loop");
    image_link(fixture, "etc/dangling", "nowhere");
    image_link(fixture, "etc/long",
               "/etc/././././././././././././././././././././././././././././././././././././././././././hostname");
    for (guint i = 0; i < 10; i++) {
        g_autofree gchar *name = g_strdup_printf("etc/chain%u", i);
        g_autofree gchar *target = i ? g_strdup_printf("chain%u", i - 1) : g_strdup("hostname");

        image_link(fixture, name, target);
    }
    for (guint i = 0; i < 1500; i++) {
        g_autofree gchar *name = g_strdup_printf("many/a-file-with-a-name-of-some-length-%05u", i);

        image_put(fixture, name, "x", 1);
    }
}

static void assert_bytes(GBytes *data, gconstpointer expected, gsize size)
{
    g_assert_cmpuint(g_bytes_get_size(data), ==, size);
    g_assert_true(!size || !memcmp(g_bytes_get_data(data, NULL), expected, size));
}

static void assert_text(StorageImage *image, const char *path, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) data = storage_image_read_file(image, path, 4096, &error);

    g_assert_no_error(error);
    assert_bytes(data, text, strlen(text));
    g_assert_true(storage_image_has_file(image, path));
}

static void assert_unreadable(StorageImage *image, const char *path, const char *says)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) data = storage_image_read_file(image, path, 4096, &error);

    g_assert_null(data);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, says))
        g_error("'%s' is not in '%s'", says, error->message);
}

static void read_everything(StorageImage *image)
{
    g_autofree guint8 *big = pattern(BIG);
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) data = storage_image_read_file(image, "/var/big", BIG, &error);
    g_autoptr(GPtrArray) many = NULL;
    g_autoptr(GPtrArray) etc = NULL;
    g_autofree gchar *release = NULL;

    g_assert_no_error(error);
    assert_bytes(data, big, BIG);
    assert_text(image, "/etc/hostname", "guest\n");
    assert_text(image, "etc//hostname", "guest\n");
    assert_text(image, "/etc/empty", "");
    assert_text(image, "/etc/name", "guest\n");
    assert_text(image, "/etc/absolute", "guest\n");
    assert_text(image, "/etc/up", "guest\n");
    assert_text(image, "/etc/long", "guest\n");
    assert_text(image, "/lib/modules/6.1.0-9-amd64/modules.dep", "");
    assert_text(image, "/etc/chain7", "guest\n");
    assert_text(image, "/many/a-file-with-a-name-of-some-length-01499", "x");
    assert_unreadable(image, "/etc/chain8", "too many symbolic links");
    assert_unreadable(image, "/etc/loop", "too many symbolic links");
    assert_unreadable(image, "/etc/dangling", "does not exist");
    assert_unreadable(image, "/etc/absent", "does not exist");
    assert_unreadable(image, "/etc/hostname/x", "does not exist");
    assert_unreadable(image, "/etc", "no regular file");
    assert_unreadable(image, "/", "no regular file");
    assert_unreadable(image, "/var/big", "more than the 4096");
    g_assert_false(storage_image_has_file(image, "/etc"));
    g_assert_false(storage_image_has_file(image, "/etc/loop"));

    many = storage_image_list(image, "/many", &error);
    g_assert_no_error(error);
    g_assert_cmpuint(many->len, ==, 1500);
    for (guint i = 0; i < many->len; i++) {
        g_autofree gchar *name = g_strdup_printf("a-file-with-a-name-of-some-length-%05u", i);
        g_assert_cmpstr(g_ptr_array_index(many, i), ==, name);
    }
    etc = storage_image_list(image, "/lib/modules", &error);
    g_assert_no_error(error);
    g_assert_cmpuint(etc->len, ==, 3);
    g_assert_null(storage_image_list(image, "/etc/hostname", NULL));
    g_assert_null(storage_image_list(image, "/absent", NULL));
    release = storage_image_kernel_release(image, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(release, ==, "6.1.0-56-amd64");
}

/* Every form of the file system that images come in. */
static void test_read(void)
{
    static const char *const forms[] = {"",
                                        "-b 1024",
                                        "-O ^metadata_csum,^64bit",
                                        "-O ^extent,^64bit,^has_journal",
                                        "-I 128 -O ^dir_index",
                                        "-b 4096 -O large_dir"};
    g_autoptr(ImageFixture) fixture = image_fixture_new();

    fill_tree(fixture);
    for (gsize i = 0; i < G_N_ELEMENTS(forms); i++) {
        g_autoptr(StorageImage) image = NULL;

        image_make(fixture, forms[i]);
        image = image_open(fixture);
        read_everything(image);
        g_assert_nonnull(storage_image_disk(image));
    }
}

static void assert_refused(ImageFixture *fixture, const char *says)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StorageImage) image = storage_image_open(fixture->disk, STORAGE_FORMAT_RAW, &error);

    g_assert_null(image);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, says))
        g_error("'%s' is not in '%s'", says, error->message);
}

static void debugfs(ImageFixture *fixture, const char *request)
{
    g_autofree gchar *disk = g_strdup_printf("%s?offset=%d", fixture->disk, IMAGE_ROOT_OFFSET);
    const char *const argv[] = {"debugfs", "-w", "-R", request, disk, NULL};

    image_run(argv);
}

static void test_refused(void)
{
    static const guint8 zeros[4096];
    static const guint8 ones[4] = {0xff, 0xff, 0xff, 0xff};
    g_autoptr(ImageFixture) fixture = image_fixture_new();

    image_put(fixture, "etc/hostname", "guest\n", -1);
    image_make(fixture, NULL);
    debugfs(fixture, "feature needs_recovery");
    assert_refused(fixture, "shut it down");
    image_make(fixture, "-O ^has_journal");
    debugfs(fixture, "ssv state 0");
    assert_refused(fixture, "was not unmounted");
    image_make(fixture, "-O inline_data");
    assert_refused(fixture, "inline_data");
    image_make(fixture, NULL);
    debugfs(fixture, "ssv blocks_count 999999");
    assert_refused(fixture, "impossible sizes");
    image_make(fixture, NULL);
    image_patch(fixture, 1024, ones, sizeof ones);
    assert_refused(fixture, "impossible sizes");
    /* The check sum of the superblock. */
    image_make(fixture, NULL);
    image_patch(fixture, 1024 + 0x78, "volume", 6);
    assert_refused(fixture, "cannot be opened");
    image_patch(fixture, 1024, zeros, sizeof zeros);
    assert_refused(fixture, "image-import");
    g_assert_cmpint(truncate(fixture->disk, IMAGE_ROOT_OFFSET), ==, 0);
    assert_refused(fixture, "image-import");
    g_assert_cmpint(truncate(fixture->disk, 0), ==, 0);
    assert_refused(fixture, "");
    g_unlink(fixture->disk);
    assert_refused(fixture, "No such file");
}

static void test_no_kernel(void)
{
    g_autoptr(ImageFixture) fixture = image_fixture_new();
    g_autoptr(StorageImage) image = NULL;
    g_autoptr(GError) error = NULL;

    image_put(fixture, "usr/lib/modules/6.1.0-9-amd64/modules.dep", "", 0);
    image_put(fixture, "boot/vmlinuz-6.1.0-10-amd64", "no modules", -1);
    image_make(fixture, NULL);
    image = image_open(fixture);
    g_assert_null(storage_image_kernel_release(image, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
}

static void test_compare(void)
{
    static const char *const sorted[] = {
        "",     "5.10.0",     "6.1.0-9-amd64",      "6.1.0-56-amd64",      "6.12~rc7",
        "6.12", "6.12-amd64", "6.12.9+deb13-amd64", "6.12.57+deb13-amd64", "6.12.57+deb13-cloud-amd64",
        "10.0"};

    for (gsize i = 0; i < G_N_ELEMENTS(sorted); i++) {
        for (gsize j = 0; j < G_N_ELEMENTS(sorted); j++) {
            gint order = storage_release_compare(sorted[i], sorted[j]);

            if (i < j ? order >= 0 : i > j ? order <= 0 : order != 0)
                g_error("'%s' and '%s': %d", sorted[i], sorted[j], order);
        }
    }
    g_assert_cmpint(storage_release_compare("6.01", "6.1"), ==, 0);
}

/* Looks at all of it; whatever comes out is right, as long as something does. */
static void visit(StorageImage *image, const char *path, guint depth)
{
    g_autoptr(GPtrArray) names = storage_image_list(image, path, NULL);

    for (guint i = 0; names && i < names->len && i < 64; i++) {
        g_autofree gchar *child = g_build_filename(path, g_ptr_array_index(names, i), NULL);
        g_autoptr(GBytes) data = storage_image_read_file(image, child, 1024 * 1024, NULL);

        if (!data && depth < 4)
            visit(image, child, depth + 1);
    }
}

/* Bytes of the metadata changed by a hostile hand; ASan watches. Without check sums, which would hide all of it. */
static void test_damaged(void)
{
    static const char *const forms[] = {"-b 1024 -O ^metadata_csum", "-O ^metadata_csum,^extent,^64bit -b 1024"};
    g_autoptr(ImageFixture) fixture = image_fixture_new();
    guint32 state = 7;

    image_put(fixture, "etc/hostname", "guest\n", -1);
    image_put(fixture, "usr/lib/modules/6.1.0/modules.dep", "x", 1);
    image_put(fixture, "boot/vmlinuz-6.1.0", "x", 1);
    image_link(fixture, "lib", "usr/lib");
    for (guint i = 0; i < 40; i++) {
        g_autofree gchar *name = g_strdup_printf("many/a-file-with-a-name-of-some-length-%05u", i);

        image_put(fixture, name, "x", 1);
    }
    for (gsize f = 0; f < G_N_ELEMENTS(forms); f++) {
        g_autofree gchar *good = NULL;
        gsize size = 0;

        image_make(fixture, forms[f]);
        g_assert_true(g_file_get_contents(fixture->disk, &good, &size, NULL));
        for (guint round = 0; round < 150; round++) {
            g_autoptr(GError) error = NULL;
            g_autoptr(StorageImage) image = NULL;
            g_autofree gchar *release = NULL;

            for (guint n = 0; n < 1 + round % 16; n++) {
                guint8 byte;

                state = state * 1664525u + 1013904223u;
                byte = (guint8)(state >> 8);
                /* The first 400 KiB hold superblock, groups, bitmaps, inodes and folders. */
                image_patch(fixture, 1024 + (state >> 12) % (round % 3 ? 400 * 1024 : 4096), &byte, 1);
            }
            image = storage_image_open(fixture->disk, STORAGE_FORMAT_RAW, &error);
            g_assert_true(image || error);
            if (image) {
                visit(image, "/", 0);
                release = storage_image_kernel_release(image, NULL);
            }
            image_patch(fixture, 0, good + IMAGE_ROOT_OFFSET, 500 * 1024);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/image/read", test_read);
    g_test_add_func("/image/refused", test_refused);
    g_test_add_func("/image/no-kernel", test_no_kernel);
    g_test_add_func("/image/compare", test_compare);
    g_test_add_func("/image/damaged", test_damaged);
    return g_test_run();
}
