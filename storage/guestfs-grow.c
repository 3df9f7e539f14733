/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guestfs-grow IMAGE.qcow2: lets the root partition of an image of ours and the file system in it fill the disk.
 *
 * The image has been made larger; its backup partition table is no longer at the end of the disk. libguestfs does the work
 * inside a small virtual machine of its own, so nothing is mounted here and no parser of this machine meets the image.
 * It works without KVM as well, and tries that when KVM is there but of no use.
 */
#include <glib.h>
#include <guestfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/image.h"

#define SECTOR 512
/* Room for the backup partition table, and an end on a whole MiB: dm-verity wants whole blocks of 4096 bytes. */
#define ALIGNMENT (G_GINT64_CONSTANT(1) << 20)
#define DEVICE "/dev/sda"

typedef struct guestfs_h Guestfs;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Guestfs, guestfs_close)

static int fail(Guestfs *handle, const char *what)
{
    const char *cause = handle ? guestfs_last_error(handle) : NULL;

    fprintf(stderr, "%s%s%s\n", what, cause ? ": " : "", cause ? cause : "");
    return EXIT_FAILURE;
}

/* NULL when it does not start; the reason is on @last. */
static Guestfs *launch(const char *image, gboolean emulate, Guestfs **last)
{
    Guestfs *handle = guestfs_create();

    if (!handle)
        return NULL;
    /* What goes wrong is told once, by fail(). */
    guestfs_set_error_handler(handle, NULL, NULL);
    if (guestfs_set_backend(handle, "direct") == 0 &&
        (!emulate || guestfs_set_backend_setting(handle, "force_tcg", "1") == 0) &&
        guestfs_set_network(handle, 0) == 0 &&
        guestfs_add_drive_opts(handle, image, GUESTFS_ADD_DRIVE_OPTS_FORMAT, "qcow2", -1) == 0 &&
        guestfs_launch(handle) == 0)
        return handle;
    *last = handle;
    return NULL;
}

static int grow(Guestfs *handle)
{
    g_autofree gchar *partition = g_strdup_printf(DEVICE "%d", STORAGE_IMAGE_ROOT_PARTITION);
    int64_t size = guestfs_blockdev_getsize64(handle, DEVICE);
    int64_t end = (size / ALIGNMENT - 1) * ALIGNMENT / SECTOR - 1;

    if (size < 0)
        return fail(handle, "the size of the disk");
    if (guestfs_part_expand_gpt(handle, DEVICE) < 0)
        return fail(handle, "the partition table");
    if (guestfs_part_resize(handle, DEVICE, STORAGE_IMAGE_ROOT_PARTITION, end) < 0)
        return fail(handle, "the partition");
    if (guestfs_e2fsck(handle, partition, GUESTFS_E2FSCK_FORCEALL, 1, -1) < 0)
        return fail(handle, "checking the file system");
    if (guestfs_resize2fs(handle, partition) < 0)
        return fail(handle, "the file system");
    if (guestfs_shutdown(handle) < 0)
        return fail(handle, "writing the disk");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    g_autoptr(Guestfs) last = NULL;
    g_autoptr(Guestfs) handle = NULL;

    if (argc != 2 || argv[1][0] != '/') {
        fprintf(stderr, "usage: guestfs-grow /PATH/IMAGE.qcow2\n");
        return EXIT_FAILURE;
    }
    handle = launch(argv[1], FALSE, &last);
    if (!handle) {
        g_clear_pointer(&last, guestfs_close);
        handle = launch(argv[1], TRUE, &last);
    }
    return handle ? grow(handle) : fail(last, "libguestfs does not start");
}
