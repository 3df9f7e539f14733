/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guestfs-helper FORMAT IMAGE: opens a cloud image read-only with libguestfs, finds the operating system in it and writes
 * its root tree, with everything that its fstab mounts, as a tar archive to standard output. Before that come the facts
 * about it, one JSON object, on descriptor 3. Progress goes to standard error in lines that begin with "I: ".
 *
 * A program of its own, so that nothing else links libguestfs; and the file systems of the image are read by a kernel in
 * a virtual machine that ends with us, never by this one.
 */
#include <fcntl.h>
#include <guestfs.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "measure/error.h"

#define FACTS_FD 3

G_DEFINE_AUTOPTR_CLEANUP_FUNC(guestfs_h, guestfs_close)

/* What is not worth reading: the cleaning would drop it, and some of it is huge and mostly holes. */
static const char *const excluded[] = {"./proc/*", "./sys/*", "./dev/*", "./run/*", "./tmp/*", "./var/tmp/*",
                                 "./var/cache/apt/*", "./var/lib/apt/lists/*", "./var/log/lastlog", "./var/log/journal/*/*",
                                 "./boot/efi/*", "./lost+found", "./swapfile", "./swap.img", NULL};

static void say(const char *text)
{
    fprintf(stderr, "I: %s\n", text);
    fflush(stderr);
}

static gboolean fail(GError **error, guestfs_h *g, const char *what)
{
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s: %s", what,
                guestfs_last_error(g) ? guestfs_last_error(g) : "unknown reason");
    return FALSE;
}

static gboolean kvm_is_usable(void)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Errors are reported once, by us. */
static guestfs_h *open_image(const char *format, const char *image, gboolean emulated, GError **error)
{
    g_autoptr(guestfs_h) g = guestfs_create();

    if (!g) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED, "libguestfs cannot be used");
        return NULL;
    }
    guestfs_set_error_handler(g, NULL, NULL);
    if (!g_getenv("LIBGUESTFS_BACKEND"))
        guestfs_set_backend(g, "direct");
    if (emulated)
        guestfs_set_backend_setting(g, "force_tcg", "1");
    if (guestfs_add_drive_opts(g, image, GUESTFS_ADD_DRIVE_OPTS_FORMAT, format, GUESTFS_ADD_DRIVE_OPTS_READONLY, 1, -1) < 0 ||
        guestfs_launch(g) < 0) {
        fail(error, g, "the machine that reads the image does not start");
        return NULL;
    }
    return g_steal_pointer(&g);
}

/* KVM may be there and not work, in a container or another virtual machine. */
static guestfs_h *start(const char *format, const char *image, GError **error)
{
    gboolean chosen = g_getenv("LIBGUESTFS_BACKEND_SETTINGS") != NULL, kvm = kvm_is_usable();
    guestfs_h *g;

    say("starting the machine that reads the image");
    g = open_image(format, image, !chosen && !kvm, chosen || !kvm ? error : NULL);
    if (g || chosen || !kvm)
        return g;
    say("starting it again, without KVM");
    return open_image(format, image, TRUE, error);
}

/* The one operating system in the image. */
static char *find_root(guestfs_h *g, GError **error)
{
    g_auto(GStrv) roots = NULL;

    say("looking for the operating system");
    roots = guestfs_inspect_os(g);
    if (!roots) {
        fail(error, g, "the image cannot be examined");
        return NULL;
    }
    if (g_strv_length(roots) == 1)
        return g_strdup(roots[0]);
    if (!roots[0])
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "no operating system was found in the image: it is encrypted, damaged, or no system disk");
    else
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "there are %u operating systems in the image (%s, %s): it is not clear which one is meant",
                    g_strv_length(roots), roots[0], roots[1]);
    return NULL;
}

static gboolean check_distribution(guestfs_h *g, const char *root, GError **error)
{
    g_autofree char *type = guestfs_inspect_get_type(g, root);
    g_autofree char *distribution = guestfs_inspect_get_distro(g, root);
    g_autofree char *product = guestfs_inspect_get_product_name(g, root);

    if (g_strcmp0(type, "linux") == 0 && (g_strcmp0(distribution, "debian") == 0 || g_strcmp0(distribution, "ubuntu") == 0))
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "the image holds %s (%s, %s): only Debian and Ubuntu can be imported", product ? product : "an unknown system",
                type ? type : "unknown", distribution ? distribution : "unknown");
    return FALSE;
}

/* One line of the image's fstab, as inspection understood it. */
typedef struct {
    const char *point, *device;
} Mount;

static int by_length(const void *a, const void *b)
{
    gsize x = strlen(((const Mount *)a)->point), y = strlen(((const Mount *)b)->point);

    return x < y ? -1 : x > y ? 1 : strcmp(((const Mount *)a)->point, ((const Mount *)b)->point);
}

static gboolean mount_all(guestfs_h *g, const char *root, GError **error)
{
    g_auto(GStrv) points = guestfs_inspect_get_mountpoints(g, root);
    g_autofree Mount *mounts = NULL;
    guint count = points ? g_strv_length(points) / 2 : 0;

    if (!count)
        return fail(error, g, "the image's fstab cannot be read");
    mounts = g_new0(Mount, count);
    for (guint i = 0; i < count; i++)
        mounts[i] = (Mount){points[2 * i], points[2 * i + 1]};
    qsort(mounts, count, sizeof *mounts, by_length);
    for (guint i = 0; i < count; i++) {
        /* Our own system partition takes its place. */
        if (!strcmp(mounts[i].point, "/boot/efi") || !strcmp(mounts[i].point, "/efi"))
            continue;
        if (guestfs_mount_ro(g, mounts[i].device, mounts[i].point) < 0) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s' of the image cannot be mounted on '%s': %s",
                        mounts[i].device, mounts[i].point, guestfs_last_error(g));
            return FALSE;
        }
    }
    return TRUE;
}

static void member(JsonBuilder *builder, const char *name, const char *value)
{
    g_autofree gchar *printable = measure_printable(value);

    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, printable);
}

static gboolean write_facts(guestfs_h *g, const char *root, GError **error)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonGenerator) generator = json_generator_new();
    g_autoptr(JsonNode) node = NULL;
    g_autofree char *distribution = guestfs_inspect_get_distro(g, root);
    g_autofree char *product = guestfs_inspect_get_product_name(g, root);
    g_autofree gchar *text = NULL;
    struct guestfs_statns *status = guestfs_statns(g, "/var/lib/dpkg/status");
    gint64 epoch = status ? status->st_mtime_sec : -1, used = guestfs_du(g, "/");
    gsize size = 0;

    if (status)
        guestfs_free_statns(status);
    if (epoch < 0)
        return fail(error, g, "the image has no package database");
    if (used < 0)
        return fail(error, g, "the image's files cannot be counted");
    json_builder_begin_object(builder);
    member(builder, "distribution", distribution);
    member(builder, "product", product);
    member(builder, "root", root);
    json_builder_set_member_name(builder, "epoch");
    json_builder_add_int_value(builder, epoch);
    json_builder_set_member_name(builder, "usedKib");
    json_builder_add_int_value(builder, used);
    json_builder_set_member_name(builder, "diskSize");
    json_builder_add_int_value(builder, guestfs_blockdev_getsize64(g, "/dev/sda"));
    json_builder_end_object(builder);
    node = json_builder_get_root(builder);
    json_generator_set_root(generator, node);
    text = json_generator_to_data(generator, &size);
    if (write(FACTS_FD, text, size) != (ssize_t)size || close(FACTS_FD) < 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the facts cannot be handed over");
        return FALSE;
    }
    return TRUE;
}

static gboolean run(const char *format, const char *image, GError **error)
{
    g_autoptr(guestfs_h) g = start(format, image, error);
    g_autofree char *root = g ? find_root(g, error) : NULL;
    g_auto(GStrv) names = NULL;

    if (!root || !check_distribution(g, root, error) || !mount_all(g, root, error) || !write_facts(g, root, error))
        return FALSE;
    names = g_strdupv((gchar **)excluded);
    say("reading the root file system");
    if (guestfs_tar_out_opts(g, "/", "/dev/stdout", GUESTFS_TAR_OUT_OPTS_NUMERICOWNER, 1, GUESTFS_TAR_OUT_OPTS_XATTRS, 1,
                             GUESTFS_TAR_OUT_OPTS_ACLS, 1, GUESTFS_TAR_OUT_OPTS_EXCLUDES, names, -1) < 0)
        return fail(error, g, "the root file system cannot be read");
    return TRUE;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *text = NULL;

    if (argc != 3) {
        fprintf(stderr, "error: guestfs-helper is started by virt-attest image-import\n");
        return ATTEST_ERROR_USAGE;
    }
    if (run(argv[1], argv[2], &error))
        return 0;
    text = measure_printable(error->message);
    fprintf(stderr, "%s\n", text);
    return attest_error_exit_code(error);
}
