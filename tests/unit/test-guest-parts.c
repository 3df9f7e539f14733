/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of the guest's init that need no guest: against veritysetup, against sfdisk, and against the file system. */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "guest/init.h"

static gchar *folder;

static gchar *in_folder(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

static void run(const char *const *argv, const char *input)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) process = NULL;
    g_autofree gchar *output = NULL;

    process = g_subprocess_newv(
        argv, G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE, &error);
    if (!process || !g_subprocess_communicate_utf8(process, input, NULL, &output, NULL, &error))
        g_error("%s: %s", argv[0], error->message);
    if (!g_subprocess_get_successful(process))
        g_error("%s: %s", argv[0], output);
}

/* veritysetup writes the superblock and the tree; its file ends where the tree ends. */
static void check_verity(const char *hash, guint data_block, guint hash_block, guint64 blocks, const char *salt)
{
    static const char uuid[] = "01234567-89ab-cdef-0123-456789abcdef";
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    gboolean long_hash = g_str_equal(hash, "sha512");
    g_autofree gchar *data = in_folder("data"), *tree = in_folder("tree");
    g_autofree gchar *data_option = g_strdup_printf("--data-block-size=%u", data_block);
    g_autofree gchar *hash_option = g_strdup_printf("--hash-block-size=%u", hash_block);
    g_autofree gchar *name_option = g_strconcat("--hash=", hash, NULL),
                     *salt_option = g_strconcat("--salt=", salt, NULL);
    g_autofree gchar *uuid_option = g_strconcat("--uuid=", uuid, NULL), *contents = NULL;
    const char *argv[] = {"veritysetup", "format",    data,        tree,        data_option,
                          hash_option,   name_option, salt_option, uuid_option, NULL};
    g_autofree gchar *cmdline = g_strdup_printf(
        "virt_attest.level=4 virt_attest.root=r virt_attest.roothash=%s%s virt_attest.verity=h,uuid=%s,salt=%s,hash=%s,"
        "data-block=%u,hash-block=%u,data-blocks=%" G_GUINT64_FORMAT,
        zeros, long_hash ? zeros : "", uuid, salt, hash, data_block, hash_block, blocks);
    guint8 superblock[GUEST_VERITY_SUPERBLOCK];
    char message[GUEST_MESSAGE_MAX];
    GuestWords words;
    gsize size = 0;
    int fd = open(data, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    g_assert_cmpint(ftruncate(fd, (off_t)(blocks * data_block)), ==, 0);
    close(fd);
    g_unlink(tree);
    run(argv, NULL);
    g_assert_true(g_file_get_contents(tree, &contents, &size, NULL));
    if (guest_words_parse(cmdline, &words, message) < 0)
        g_error("%s", message);
    guest_verity_superblock(&words, superblock);
    g_assert_cmpmem(superblock, sizeof(superblock), contents, sizeof(superblock));
    /* With one data block there is no tree, and veritysetup's file may end with the superblock. */
    if (blocks > 1)
        g_assert_cmpuint(guest_verity_hash_bytes(&words), ==, size);
    else
        g_assert_cmpuint(guest_verity_hash_bytes(&words), ==, hash_block);
}

static void test_verity(void)
{
    static const guint64 blocks[] = {1, 2, 127, 128, 129, 16384, 16385, 20000};
    g_autofree gchar *program = g_find_program_in_path("veritysetup");

    if (!program) {
        g_test_skip("no veritysetup");
        return;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(blocks); i++) {
        check_verity("sha256", 4096, 4096, blocks[i], "a1b2c3");
        check_verity("sha512", 512, 1024, blocks[i], "-");
        check_verity("sha256", 1024, 512, blocks[i], "00");
    }
}

typedef struct {
    guint8 *data;
    gsize size;
} Disk;

static int read_disk(void *context, void *out, size_t size, uint64_t offset)
{
    const Disk *disk = context;

    if (offset > disk->size || size > disk->size - offset)
        return -1;
    memcpy(out, disk->data + offset, size);
    return 0;
}

static int find(Disk *disk, const char *uuid)
{
    return guest_gpt_find(read_disk, disk, disk->size, 512, uuid);
}

/* Whatever byte of the header or of the table is changed: the table is worthless. */
static void test_gpt(void)
{
    static const char first[] = "0fc63daf-8483-4772-8e79-3d69d8477de4",
                      second[] = "a1b2c3d4-e5f6-1789-8abc-def012345678";
    static const char script[] = "label: gpt\nsize=2048, uuid=A1B2C3D4-E5F6-1789-8ABC-DEF012345678\n";
    g_autofree gchar *path = in_folder("disk"), *contents = NULL, *program = g_find_program_in_path("sfdisk");
    const char *argv[] = {"sfdisk", "-q", path, NULL};
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    Disk disk;
    gsize size;

    if (!program) {
        close(fd);
        g_test_skip("no sfdisk");
        return;
    }
    g_assert_cmpint(ftruncate(fd, 8 << 20), ==, 0);
    close(fd);
    run(argv, script);
    g_assert_true(g_file_get_contents(path, &contents, &size, NULL));
    disk = (Disk){(guint8 *)contents, size};
    g_assert_cmpint(find(&disk, second), ==, 1);
    g_assert_cmpint(find(&disk, first), ==, 0);
    for (gsize i = 512; i < 512 + 92; i++) {
        disk.data[i] ^= 1;
        /* The reserved word at 20 is under the checksum too. */
        g_assert_cmpint(find(&disk, second), ==, -1);
        disk.data[i] ^= 1;
    }
    for (gsize i = 1024; i < 1024 + 128 * 128; i += 61) {
        disk.data[i] ^= 1;
        g_assert_cmpint(find(&disk, second), ==, -1);
        disk.data[i] ^= 1;
    }
    g_assert_cmpint(find(&disk, second), ==, 1);
    g_assert_cmpint(guest_gpt_find(read_disk, &disk, disk.size, 0, second), ==, -1);
    g_assert_cmpint(guest_gpt_find(read_disk, &disk, disk.size, 4096, second), ==, -1);
    for (gsize cut = 0; cut < 1024 + 128 * 128; cut += 509) {
        Disk part = {disk.data, cut};

        g_assert_cmpint(guest_gpt_find(read_disk, &part, disk.size, 512, second), ==, -1);
        g_assert_cmpint(find(&part, second), ==, -1);
    }
}

static void make(const char *name, const char *text, mode_t mode)
{
    g_autofree gchar *path = in_folder(name);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(chmod(path, mode), ==, 0);
}

static void make_dir(const char *name, mode_t mode)
{
    g_autofree gchar *path = in_folder(name);

    g_assert_cmpint(mkdir(path, 0700), ==, 0);
    g_assert_cmpint(chmod(path, mode), ==, 0);
}

static struct stat look(const char *name)
{
    g_autofree gchar *path = in_folder(name);
    struct stat st;

    if (lstat(path, &st) < 0)
        g_error("%s: %s", path, g_strerror(errno));
    return st;
}

static void same(const char *name)
{
    g_autofree gchar *from_name = g_build_filename("from", name, NULL), *to_name = g_build_filename("to", name, NULL);
    struct stat from = look(from_name), to = look(to_name);

    g_assert_cmphex(to.st_mode, ==, from.st_mode);
    g_assert_cmpuint(to.st_uid, ==, from.st_uid);
    g_assert_cmpuint(to.st_gid, ==, from.st_gid);
    g_assert_cmpuint(to.st_rdev, ==, from.st_rdev);
    if (!S_ISDIR(from.st_mode)) {
        g_assert_cmpuint(to.st_nlink, ==, from.st_nlink);
        g_assert_cmpint(to.st_size, ==, from.st_size);
    }
    if (!S_ISLNK(from.st_mode)) {
        g_assert_cmpint(to.st_mtim.tv_sec, ==, from.st_mtim.tv_sec);
        g_assert_cmpint(to.st_mtim.tv_nsec, ==, from.st_mtim.tv_nsec);
    }
}

static void copy(const char *from_name, const char *to_name)
{
    g_autofree gchar *from_path = in_folder(from_name), *to_path = in_folder(to_name);
    int from = open(from_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        to = open(to_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    g_assert_cmpint(from, >=, 0);
    g_assert_cmpint(to, >=, 0);
    guest_copy_dir(from, to, "test");
    close(from);
    close(to);
}

static void test_copy(void)
{
    static const char *const names[] = {".",         "file",      "empty",           "suid", "sub",
                                        "sub/again", "sub/deep",  "sub/deep/hard",   "soft", "dangling",
                                        "fifo",      "read-only", "read-only/inside"};
    const struct timespec times[2] = {{978307200, 123456789}, {981173106, 987654321}};
    g_autofree gchar *big = g_strnfill(3 << 20, 'b'), *path = NULL, *other = NULL, *contents = NULL;
    char value[16], target[32];

    make_dir("from", 01775);
    make("from/file", big, 0640);
    make("from/empty", "", 0);
    make("from/suid", "x", 04755);
    make_dir("from/sub", 02750);
    make("from/sub/again", "y", 0604);
    make_dir("from/sub/deep", 0711);
    path = in_folder("from/sub/again");
    other = in_folder("from/sub/deep/hard");
    g_assert_cmpint(link(path, other), ==, 0);
    g_clear_pointer(&other, g_free);
    other = in_folder("from/soft");
    g_assert_cmpint(symlink("sub/again", other), ==, 0);
    g_clear_pointer(&other, g_free);
    other = in_folder("from/dangling");
    g_assert_cmpint(symlink("/etc/shadow-of-nothing", other), ==, 0);
    g_clear_pointer(&other, g_free);
    other = in_folder("from/fifo");
    g_assert_cmpint(mkfifo(other, 0622), ==, 0);
    make_dir("from/read-only", 0700);
    make("from/read-only/inside", "z", 0444);
    if (geteuid() == 0) {
        g_autofree gchar *device = in_folder("from/null");

        g_assert_cmpint(chown(path, 12, 34), ==, 0);
        if (mknod(device, S_IFCHR | 0666, makedev(1, 3)) == 0) {
            g_clear_pointer(&other, g_free);
            other = g_strdup("null");
        }
    }
    g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);
    /* Not every file system that tests run on has attributes. */
    gboolean attributes = setxattr(path, "user.test", "value", 5, 0) == 0;
    g_clear_pointer(&path, g_free);
    path = in_folder("from/read-only");
    g_assert_cmpint(chmod(path, 0555), ==, 0);
    g_assert_cmpint(utimensat(AT_FDCWD, path, times, 0), ==, 0);

    make_dir("to", 0700);
    copy("from", "to");
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        same(names[i]);
    if (g_str_equal(other, "null"))
        same("null");
    g_assert_cmpuint(look("to/sub/again").st_ino, ==, look("to/sub/deep/hard").st_ino);
    g_clear_pointer(&path, g_free);
    path = in_folder("to/soft");
    g_assert_cmpint(readlink(path, target, sizeof(target)), ==, 9);
    g_assert_cmpmem(target, 9, "sub/again", 9);
    g_clear_pointer(&path, g_free);
    path = in_folder("to/sub/again");
    if (attributes)
        g_assert_cmpint(getxattr(path, "user.test", value, sizeof(value)), ==, 5);
    g_clear_pointer(&path, g_free);
    path = in_folder("to/file");
    g_assert_true(g_file_get_contents(path, &contents, NULL, NULL));
    g_assert_cmpstr(contents, ==, big);
    g_clear_pointer(&path, g_free);
    path = in_folder("from/read-only");
    g_assert_cmpint(chmod(path, 0755), ==, 0);
    g_clear_pointer(&path, g_free);
    path = in_folder("to/read-only");
    g_assert_cmpint(chmod(path, 0755), ==, 0);
}

/* A tree that is deeper than any root's: below level 4 it is the host's. */
static void test_copy_deep(void)
{
    if (g_test_subprocess()) {
        g_autoptr(GString) path = g_string_new(g_getenv("DEEP_FOLDER"));

        folder = g_strdup(g_getenv("DEEP_FOLDER"));
        make_dir("deep", 0755);
        make_dir("flat", 0755);
        g_string_append(path, "/deep");
        for (int i = 0; i < 70; i++) {
            g_string_append(path, "/d");
            g_assert_cmpint(mkdir(path->str, 0755), ==, 0);
        }
        copy("deep", "flat");
        return;
    }
    g_setenv("DEEP_FOLDER", folder, TRUE);
    g_test_trap_subprocess(NULL, 60 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_failed();
}

/* Started by hand, it must not touch the machine, which its failures would switch off. */
static void test_not_first(void)
{
    g_autofree gchar *program = g_build_filename(g_getenv("VIRT_ATTEST_BUILD"), "guest", "guest-init", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) process = g_subprocess_new(G_SUBPROCESS_FLAGS_STDERR_PIPE, &error, program, NULL);
    g_autofree gchar *text = NULL;

    g_assert_no_error(error);
    g_assert_true(g_subprocess_communicate_utf8(process, NULL, NULL, NULL, &text, &error));
    g_assert_cmpint(g_subprocess_get_exit_status(process), ==, 2);
    g_assert_true(g_str_has_prefix(text, "error: this is the first process of a guest"));
}

/* Our own folder below the temporary one, links not followed. */
static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree gchar *child = g_build_filename(path, name, NULL);

        if (g_file_test(child, G_FILE_TEST_IS_DIR) && !g_file_test(child, G_FILE_TEST_IS_SYMLINK))
            remove_tree(child);
        else
            g_unlink(child);
    }
    g_rmdir(path);
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    if (!g_test_subprocess())
        folder = g_dir_make_tmp("guest-parts-XXXXXX", NULL);
    g_test_add_func("/guest-parts/verity", test_verity);
    g_test_add_func("/guest-parts/gpt", test_gpt);
    g_test_add_func("/guest-parts/copy", test_copy);
    g_test_add_func("/guest-parts/copy-deep", test_copy_deep);
    g_test_add_func("/guest-parts/not-first", test_not_first);
    result = g_test_run();
    if (!g_test_subprocess())
        remove_tree(folder);
    g_free(folder);
    return result;
}
