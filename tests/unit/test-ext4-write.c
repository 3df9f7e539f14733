/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ext4 writer. What it wrote is judged by e2fsck and read back by debugfs, which know nothing of it.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/ext4-write.h"

#define MIB (1024 * 1024)
#define OFFSET MIB
#define EPOCH 1700000000

typedef struct {
    gchar *folder, *path;
    int fd;
    guint64 length;
    StorageExt4 *ext4;
} Disk;

static void disk_clear(Disk *disk)
{
    storage_ext4_free(disk->ext4);
    if (disk->fd >= 0)
        close(disk->fd);
    g_remove(disk->path);
    g_rmdir(disk->folder);
    g_free(disk->path);
    g_free(disk->folder);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Disk, disk_clear)

static Disk disk_new(guint mib)
{
    static const guint8 uuid[16] = {1, 2, 3, 4, 5, 6, 0x47, 8, 0x89, 10, 11, 12, 13, 14, 15, 16};
    Disk disk = {.folder = g_dir_make_tmp("ext4-XXXXXX", NULL), .length = (guint64)mib * MIB};
    g_autoptr(GError) error = NULL;

    disk.path = g_build_filename(disk.folder, "disk", NULL);
    disk.fd = open(disk.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    g_assert_cmpint(disk.fd, >=, 0);
    g_assert_cmpint(ftruncate(disk.fd, (off_t)(OFFSET + disk.length)), ==, 0);
    disk.ext4 = storage_ext4_new(disk.fd, OFFSET, disk.length, uuid, EPOCH, &error);
    g_assert_no_error(error);
    return disk;
}

static gchar *run(const char *const *argv, int *status)
{
    g_autoptr(GError) error = NULL;
    gchar *out = NULL;
    gchar *err = NULL;

    g_spawn_sync(NULL, (gchar **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err, status, &error);
    g_assert_no_error(error);
    if (*status)
        g_test_message("%s: %s%s", argv[0], out, err);
    g_free(err);
    return out;
}

static gchar *debugfs(const Disk *disk, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gchar *debugfs(const Disk *disk, const char *format, ...)
{
    g_autofree gchar *image = g_strdup_printf("%s?offset=%d", disk->path, OFFSET);
    g_autofree gchar *command = NULL;
    const char *argv[] = {"/sbin/debugfs", "-R", NULL, image, NULL};
    int status = 0;
    va_list args;
    gchar *out;

    va_start(args, format);
    command = g_strdup_vprintf(format, args);
    va_end(args);
    argv[2] = command;
    out = run(argv, &status);
    g_assert_cmpint(status, ==, 0);
    return out;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        g_error("'%s' is not in:\n%s", part, text);
}

static void finish(Disk *disk)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *image = g_strdup_printf("%s?offset=%d", disk->path, OFFSET);
    const char *argv[] = {"/sbin/e2fsck", "-fn", image, NULL};
    g_autofree gchar *out = NULL;
    int status = 0;

    g_assert_true(storage_ext4_finish(disk->ext4, &error));
    g_assert_no_error(error);
    out = run(argv, &status);
    g_assert_cmpint(status, ==, 0);
}

static void add(Disk *disk, const StorageEntry *entry, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    storage_ext4_add_bytes(disk->ext4, entry, data, &error);
    g_assert_no_error(error);
}

static void refuse(Disk *disk, const StorageEntry *entry, const char *says)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(storage_ext4_add_bytes(disk->ext4, entry, "0123456789", &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    assert_has(error->message, says);
}

#define FILE_ENTRY(name, ...) (&(StorageEntry){.path = (name), .mode = S_IFREG | 0644, .mtime = 1600000000, __VA_ARGS__})
#define FOLDER_ENTRY(name, ...) (&(StorageEntry){.path = (name), .mode = S_IFDIR | 0755, .mtime = 1600000000, __VA_ARGS__})
#define LINK_ENTRY(name, to) (&(StorageEntry){.path = (name), .mode = S_IFLNK | 0777, .mtime = 1600000000, .target = (to)})

static void test_kinds(void)
{
    g_auto(Disk) disk = disk_new(64);
    g_autofree gchar *target = g_strnfill(300, 't');
    g_autofree gchar *text = NULL;

    add(&disk, FILE_ENTRY("early/deep/file", .size = 5, .uid = 70000, .gid = 100000), "hello");
    add(&disk, FOLDER_ENTRY("early", .uid = 7), NULL);
    add(&disk, FOLDER_ENTRY("", .gid = 9), NULL);
    add(&disk, FILE_ENTRY("empty"), NULL);
    add(&disk, &(StorageEntry){.path = "future", .mode = S_IFREG | 0644, .mtime = 4000000000}, NULL);
    add(&disk, &(StorageEntry){.path = "past", .mode = S_IFREG | 0644, .mtime = -5}, NULL);
    add(&disk, LINK_ENTRY("short", "early/deep/file"), NULL);
    add(&disk, LINK_ENTRY("long", target), NULL);
    add(&disk, &(StorageEntry){.path = "null", .mode = S_IFCHR | 0666, .major = 1, .minor = 3}, NULL);
    add(&disk, &(StorageEntry){.path = "big", .mode = S_IFBLK | 0600, .major = 259, .minor = 70000}, NULL);
    add(&disk, &(StorageEntry){.path = "pipe", .mode = S_IFIFO | 0600}, NULL);
    add(&disk, &(StorageEntry){.path = "other", .hard_link = "early/deep/file"}, NULL);
    finish(&disk);

    text = debugfs(&disk, "stat /early/deep/file");
    assert_has(text, "Mode:  0644");
    assert_has(text, "User: 70000   Group: 100000");
    assert_has(text, "Links: 2");
    assert_has(text, "Size: 5");
    assert_has(text, "mtime: 0x5f5e1000");
    assert_has(text, "crtime: 0x5f5e1000");
    g_free(text);
    text = debugfs(&disk, "stat /early");
    assert_has(text, "User:     7");
    g_free(text);
    text = debugfs(&disk, "stat /early/deep");
    assert_has(text, "mtime: 0x6553f100");
    g_free(text);
    text = debugfs(&disk, "stat /future");
    assert_has(text, "mtime: 0x6553f100");
    g_free(text);
    text = debugfs(&disk, "stat /past");
    assert_has(text, "mtime: 0x00000000");
    g_free(text);
    text = debugfs(&disk, "cat /other");
    g_assert_cmpstr(text, ==, "hello");
    g_free(text);
    text = debugfs(&disk, "stat /short");
    assert_has(text, "Fast link dest: \"early/deep/file\"");
    g_free(text);
    text = debugfs(&disk, "cat /long");
    g_assert_cmpstr(text, ==, target);
    g_free(text);
    text = debugfs(&disk, "stat /null");
    assert_has(text, "Device major/minor number: 01:03");
    g_free(text);
    text = debugfs(&disk, "stat /big");
    assert_has(text, "(New-style) Device major/minor number: 259:70000");
    g_free(text);
    text = debugfs(&disk, "stat /pipe");
    assert_has(text, "Type: FIFO");
}

static void test_attributes(void)
{
    static const guint8 capability[20] = {1, 0, 0, 2, 0, 0x20};
    /* Version 2; owner rw-, user 1000 r--, group r--, mask r--, others ---. */
    static const guint8 acl[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xe8, 3, 0, 0, 4, 0, 4, 0, 255, 255,
                                 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255};
    g_autofree gchar *large = g_strnfill(1000, 'v');
    const StorageXattr list[] = {{"security.capability", capability, sizeof capability},
                                 {"system.posix_acl_access", acl, sizeof acl},
                                 {"user.note", large, 1000}};
    g_auto(Disk) disk = disk_new(64);
    g_autofree gchar *text = NULL;

    add(&disk, FILE_ENTRY("file", .size = 2, .xattrs = list, .n_xattrs = 3), "ok");
    add(&disk, FOLDER_ENTRY("folder", .xattrs = list, .n_xattrs = 2), NULL);
    add(&disk, FILE_ENTRY("folder/child"), NULL);
    finish(&disk);
    text = debugfs(&disk, "ea_get -x /file security.capability");
    assert_has(text, "01 00 00 02 00 20 00");
    g_free(text);
    text = debugfs(&disk, "ea_get /file user.note");
    assert_has(text, large);
    g_free(text);
    text = debugfs(&disk, "ea_list /folder");
    assert_has(text, "system.posix_acl_access");
    g_free(text);
    /* debugfs shows the list in the kernel's form again. */
    text = debugfs(&disk, "ea_get -x /file system.posix_acl_access");
    assert_has(text, "02 00 00 00 01 00 06 00");
    assert_has(text, "02 00 04 00 e8 03 00 00");
}

/* Pieces of a file, as an archive gives them. */
typedef struct {
    const guint8 *data;
    gsize size, piece;
    guint64 at, base;
} Pieces;

static int next_piece(gpointer user_data, gconstpointer *data, gsize *size, guint64 *offset, GError **error)
{
    Pieces *pieces = user_data;

    if (pieces->at == pieces->size)
        return 0;
    *size = MIN(pieces->piece, pieces->size - pieces->at);
    *data = pieces->data + pieces->at;
    *offset = pieces->base + pieces->at;
    pieces->at += *size;
    return 1;
}

static void assert_content(const Disk *disk, const char *name, const guint8 *data, gsize size)
{
    g_autofree gchar *copy = g_build_filename(disk->folder, "copy", NULL);
    g_autofree gchar *got = NULL;
    gsize length = 0;

    g_free(debugfs(disk, "dump /%s %s", name, copy));
    g_assert_true(g_file_get_contents(copy, &got, &length, NULL));
    g_remove(copy);
    g_assert_cmpuint(length, ==, size);
    g_assert_true(memcmp(got, data, size) == 0);
}

/* Sizes around blocks and chunks, pieces that fit neither, zeros of all lengths. */
static void test_contents(void)
{
    static const gsize sizes[] = {1, 4095, 4096, 4097, 65536, MIB - 1, MIB, MIB + 1, 3 * MIB + 12345};
    static const gsize steps[] = {1000, 4096, 65536, 100000, 2 * MIB};
    g_auto(Disk) disk = disk_new(256);
    g_autofree guint8 *data = g_malloc0(4 * MIB);
    g_autoptr(GRand) random = g_rand_new_with_seed(42);

    for (gsize at = 0; at < 4 * MIB;) {
        gsize run = (gsize)g_rand_int_range(random, 1, 150000);
        gboolean zero = g_rand_boolean(random);

        for (gsize i = at; i < MIN(at + run, 4 * MIB); i++)
            data[i] = zero ? 0 : (guint8)g_rand_int_range(random, 1, 256);
        at += run;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        for (gsize j = 0; j < G_N_ELEMENTS(steps); j++) {
            g_autofree gchar *name = g_strdup_printf("f%zu-%zu", i, j);
            Pieces pieces = {.data = data, .size = sizes[i], .piece = steps[j]};
            g_autoptr(GError) error = NULL;

            storage_ext4_add(disk.ext4, FILE_ENTRY(name, .size = sizes[i]), next_piece, &pieces, &error);
            g_assert_no_error(error);
        }
    }
    finish(&disk);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        for (gsize j = 0; j < G_N_ELEMENTS(steps); j++) {
            g_autofree gchar *name = g_strdup_printf("f%zu-%zu", i, j);

            assert_content(&disk, name, data, sizes[i]);
        }
    }
}

/* A file of 40 GiB with a few bytes in it costs a few blocks, and many holes make a deep extent tree. */
static void test_holes(void)
{
    g_auto(Disk) disk = disk_new(256);
    g_autofree guint8 *pattern = g_malloc0(64 * MIB);
    Pieces far = {.data = (const guint8 *)"end", .size = 3, .piece = 3, .base = G_GUINT64_CONSTANT(40) * 1024 * MIB - 3};
    Pieces many = {.data = pattern, .size = 64 * MIB, .piece = 70000};
    g_autoptr(GError) error = NULL;
    g_autofree gchar *text = NULL;

    for (gsize block = 0; block < 64 * MIB / 4096; block += 32)
        pattern[block * 4096] = 1;
    storage_ext4_add(disk.ext4, FILE_ENTRY("far", .size = G_GUINT64_CONSTANT(40) * 1024 * MIB), next_piece, &far, &error);
    g_assert_no_error(error);
    storage_ext4_add(disk.ext4, FILE_ENTRY("many", .size = 64 * MIB), next_piece, &many, &error);
    g_assert_no_error(error);
    add(&disk, FILE_ENTRY("hole", .size = 100 * MIB), NULL);
    finish(&disk);
    text = debugfs(&disk, "stat /far");
    assert_has(text, "Size: 42949672960");
    assert_has(text, "Blockcount: 8\n");
    g_free(text);
    text = debugfs(&disk, "stat /hole");
    assert_has(text, "Blockcount: 0\n");
    g_free(text);
    text = debugfs(&disk, "stat /many");
    assert_has(text, "Size: 67108864");
    /* 512 blocks of data, two of extents. */
    assert_has(text, "Blockcount: 4112\n");
    assert_content(&disk, "many", pattern, 64 * MIB);
}

static void test_large_folder(void)
{
    g_auto(Disk) disk = disk_new(256);
    g_autofree gchar *text = NULL;
    g_auto(GStrv) lines = NULL;

    for (guint i = 0; i < 12000; i++) {
        g_autofree gchar *name = g_strdup_printf("large/%0*u", (int)(10 + i % 200), i);

        add(&disk, FILE_ENTRY(name), NULL);
    }
    for (guint i = 0; i < 300; i++) {
        g_autofree gchar *name = g_strdup_printf("large/folder%u", i);

        add(&disk, FOLDER_ENTRY(name), NULL);
    }
    finish(&disk);
    text = debugfs(&disk, "ls -p /large");
    lines = g_strsplit(g_strchomp(text), "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 12302);
    g_free(text);
    text = debugfs(&disk, "stat /large");
    assert_has(text, "Links: 302");
}

static void test_refused(void)
{
    static const char *const paths[] = {"../up", "a/../b", "a/./b", "a//b", "a/", "."};
    g_auto(Disk) disk = disk_new(64);
    g_autofree gchar *name = g_strnfill(256, 'n');
    g_autofree gchar *part = g_strnfill(200, 'p');
    g_autoptr(GString) deep = g_string_new("d");
    g_autoptr(GString) wide = g_string_new("w");
    Pieces longer = {.data = (const guint8 *)"0123456789", .size = 10, .piece = 4};
    g_autoptr(GError) error = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(paths); i++)
        refuse(&disk, FILE_ENTRY(paths[i], .size = 1), "part of the path");
    refuse(&disk, FILE_ENTRY("/absolute"), "absolute");
    refuse(&disk, FILE_ENTRY(name), "part of the path");
    for (guint i = 0; i < 300; i++)
        g_string_append(deep, "/d");
    refuse(&disk, FILE_ENTRY(deep->str), "part of the path");
    for (guint i = 0; i < 30; i++)
        g_string_append_printf(wide, "/%s", part);
    refuse(&disk, FILE_ENTRY(wide->str), "too long");

    add(&disk, LINK_ENTRY("out", "/etc"), NULL);
    add(&disk, FILE_ENTRY("file", .size = 1), "x");
    add(&disk, FOLDER_ENTRY("folder"), NULL);
    refuse(&disk, FILE_ENTRY("out/passwd"), "is no folder");
    refuse(&disk, FILE_ENTRY("file/below"), "is no folder");
    refuse(&disk, FILE_ENTRY("file"), "already");
    refuse(&disk, FILE_ENTRY("folder"), "already");
    refuse(&disk, LINK_ENTRY("folder", "elsewhere"), "already");
    refuse(&disk, FOLDER_ENTRY("out"), "something else");
    refuse(&disk, FILE_ENTRY("lost+found/file"), "lost+found");
    refuse(&disk, LINK_ENTRY("nowhere", ""), "symbolic link");
    refuse(&disk, &(StorageEntry){.path = "odd", .mode = 0644}, "unknown kind");
    refuse(&disk, &(StorageEntry){.path = "l", .hard_link = "missing"}, "not there");
    refuse(&disk, &(StorageEntry){.path = "l", .hard_link = "folder"}, "is a folder");
    refuse(&disk, &(StorageEntry){.path = "l", .hard_link = "out/passwd"}, "not there");
    refuse(&disk, FILE_ENTRY("huge", .size = G_GUINT64_CONSTANT(1) << 60), "larger than a file can be");
    g_assert_false(storage_ext4_add(disk.ext4, FILE_ENTRY("longer", .size = 5), next_piece, &longer, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    assert_has(error->message, "longer than it says");
}

/* What does not fit is said to be that. */
static void test_full(void)
{
    g_auto(Disk) disk = disk_new(32);
    g_autofree guint8 *data = g_malloc(40 * MIB);
    Pieces pieces = {.data = data, .size = 40 * MIB, .piece = MIB};
    g_autoptr(GError) error = NULL;

    memset(data, 7, 40 * MIB);
    g_assert_false(storage_ext4_add(disk.ext4, FILE_ENTRY("file", .size = 40 * MIB), next_piece, &pieces, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    assert_has(error->message, "--size");
}

static void test_inodes_full(void)
{
    g_auto(Disk) disk = disk_new(16);
    g_autoptr(GError) error = NULL;
    guint i = 0;

    while (!error && ++i < 100000) {
        g_autofree gchar *name = g_strdup_printf("f%u", i);

        storage_ext4_add_bytes(disk.ext4, FILE_ENTRY(name), NULL, &error);
    }
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    assert_has(error->message, "--size");
}

static gchar *digest_of_one(void)
{
    g_auto(Disk) disk = disk_new(64);
    g_autofree gchar *data = NULL;
    gsize size = 0;

    add(&disk, FILE_ENTRY("a/b/c", .size = 5), "hello");
    add(&disk, LINK_ENTRY("a/l", "b"), NULL);
    finish(&disk);
    g_assert_true(g_file_get_contents(disk.path, &data, &size, NULL));
    return g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)data, size);
}

static void test_same_bytes(void)
{
    g_autofree gchar *first = digest_of_one();
    g_autofree gchar *second = NULL;

    /* Another second, another configuration of the machine. */
    g_usleep(1100000);
    g_setenv("MKE2FS_CONFIG", "/nonexistent", TRUE);
    second = digest_of_one();
    g_unsetenv("MKE2FS_CONFIG");
    g_assert_cmpstr(first, ==, second);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ext4-write/kinds", test_kinds);
    g_test_add_func("/ext4-write/attributes", test_attributes);
    g_test_add_func("/ext4-write/contents", test_contents);
    g_test_add_func("/ext4-write/holes", test_holes);
    g_test_add_func("/ext4-write/large-folder", test_large_folder);
    g_test_add_func("/ext4-write/refused", test_refused);
    g_test_add_func("/ext4-write/full", test_full);
    g_test_add_func("/ext4-write/inodes-full", test_inodes_full);
    g_test_add_func("/ext4-write/same-bytes", test_same_bytes);
    return g_test_run();
}
