/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images for the tests of storage/: a folder becomes the ext4 root of a disk with a GPT, by mkfs.ext4 and sfdisk. */
#pragma once

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/error.h"
#include "storage/image-private.h"

#define IMAGE_ROOT_OFFSET (2 * 1024 * 1024) /* bytes */
#define IMAGE_ROOT_SIZE (24 * 1024 * 1024)

typedef struct {
    gchar *folder; /* everything of this fixture is below it */
    gchar *tree;
    gchar *disk;
} ImageFixture;

static inline void image_run(const char *const *argv)
{
    g_autofree gchar *out = NULL;
    g_autofree gchar *err = NULL;
    g_autoptr(GError) error = NULL;
    gint status = 0;

    if (!g_spawn_sync(NULL, (gchar **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err, &status, &error) ||
        !g_spawn_check_wait_status(status, &error))
        g_error("%s: %s %s", argv[0], error->message, err ? err : "");
}

static inline ImageFixture *image_fixture_new(void)
{
    ImageFixture *fixture = g_new0(ImageFixture, 1);

    fixture->folder = g_dir_make_tmp("virt-attest-XXXXXX", NULL);
    g_assert_nonnull(fixture->folder);
    fixture->tree = g_build_filename(fixture->folder, "tree", NULL);
    fixture->disk = g_build_filename(fixture->folder, "disk.raw", NULL);
    g_assert_cmpint(g_mkdir(fixture->tree, 0755), ==, 0);
    return fixture;
}

static inline void image_remove_tree(const char *path)
{
    struct stat st;

    if (!lstat(path, &st) && S_ISDIR(st.st_mode)) {
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
            g_autofree gchar *child = g_build_filename(path, name, NULL);
            image_remove_tree(child);
        }
    }
    g_remove(path);
}

static inline void image_fixture_free(ImageFixture *fixture)
{
    image_remove_tree(fixture->folder);
    g_free(fixture->folder);
    g_free(fixture->tree);
    g_free(fixture->disk);
    g_free(fixture);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ImageFixture, image_fixture_free)

/* A file in the tree, with the folders that lead to it. */
static inline void image_put(ImageFixture *fixture, const char *name, const void *data, gssize size)
{
    g_autofree gchar *path = g_build_filename(fixture->tree, name, NULL);
    g_autofree gchar *parent = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(parent, 0755), ==, 0);
    /* Without fsync(), there are many; and anew, since what is longer would keep its end. */
    g_unlink(path);
    g_assert_true(g_file_set_contents_full(path, data, size, G_FILE_SET_CONTENTS_NONE, 0644, NULL));
}

static inline void image_link(ImageFixture *fixture, const char *name, const char *target)
{
    g_autofree gchar *path = g_build_filename(fixture->tree, name, NULL);
    g_autofree gchar *parent = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(parent, 0755), ==, 0);
    g_assert_cmpint(symlink(target, path), ==, 0);
}

/* Makes the disk of the tree. @options: (nullable): further words for mkfs.ext4, split at blanks. */
static inline void image_make(ImageFixture *fixture, const char *options)
{
    g_autofree gchar *offset = g_strdup_printf("offset=%d", IMAGE_ROOT_OFFSET);
    g_autofree gchar *size = g_strdup_printf("%dk", IMAGE_ROOT_SIZE / 1024);
    g_autofree gchar *script = g_build_filename(fixture->folder, "sfdisk", NULL);
    g_autofree gchar *table =
        g_strdup_printf("label: gpt\nstart=1MiB, size=1MiB, type=U\nstart=%dMiB, size=%dMiB, type=L\n",
                        IMAGE_ROOT_OFFSET / 1024 / 1024, IMAGE_ROOT_SIZE / 1024 / 1024);
    g_autofree gchar *command = g_strdup_printf("sfdisk -q '%s' < '%s'", fixture->disk, script);
    const char *const shell[] = {"sh", "-c", command, NULL};
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_auto(GStrv) more = g_strsplit(options ? options : "", " ", -1);
    FILE *file = fopen(fixture->disk, "w");

    g_assert_nonnull(file);
    g_assert_cmpint(ftruncate(fileno(file), IMAGE_ROOT_OFFSET + IMAGE_ROOT_SIZE + 1024 * 1024), ==, 0);
    fclose(file);
    g_assert_true(g_file_set_contents(script, table, -1, NULL));
    image_run(shell);
    for (const char *const *word =
             (const char *const[]){"mkfs.ext4", "-q", "-F", "-N", "6000", "-E", offset, "-d", fixture->tree, NULL};
         *word; word++)
        g_ptr_array_add(argv, (gpointer)*word);
    for (guint i = 0; more[i]; i++) {
        if (*more[i])
            g_ptr_array_add(argv, more[i]);
    }
    g_ptr_array_add(argv, fixture->disk);
    g_ptr_array_add(argv, size);
    g_ptr_array_add(argv, NULL);
    image_run((const char *const *)argv->pdata);
}

static inline StorageImage *image_open(ImageFixture *fixture)
{
    g_autoptr(GError) error = NULL;
    StorageImage *image = storage_image_open(fixture->disk, STORAGE_FORMAT_RAW, &error);

    g_assert_no_error(error);
    return image;
}

/* Overwrites bytes of the root file system. */
static inline void image_patch(ImageFixture *fixture, gsize offset, const void *data, gsize size)
{
    FILE *file = fopen(fixture->disk, "r+");

    g_assert_nonnull(file);
    g_assert_cmpint(fseek(file, (long)(IMAGE_ROOT_OFFSET + offset), SEEK_SET), ==, 0);
    g_assert_cmpuint(fwrite(data, 1, size, file), ==, size);
    fclose(file);
}
