/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mmdebstrap makes the tree in user, mount and process namespaces of its own ("unshare"), as root or as anybody, and hands
 * it over as a tar stream; it never becomes a folder that we would have to read or remove. Whatever of this machine gets
 * into the tree on the way (proxy, resolver, host name, sources) is taken out again by the cleaning.
 */
#include "storage/image-build.h"

#include <string.h>

#include "measure/hash.h"
#include "storage/apt.h"
#include "storage/process.h"
#include "storage/snapshot.h"

#define SCRIPT_MAX (16 * 1024 * 1024)
#define SCRIPT_INSIDE "/virt-attest-script"

/* What works without them is not in the image. The kernel brings initramfs-tools along, which stays unused. */
static const char *const packages_debian[] = {"linux-image-cloud-amd64", NULL};
static const char *const packages_ubuntu[] = {"linux-image-virtual", NULL};
static const char *const packages_common[] = {
    "systemd-sysv", "udev", "dbus", /* a system */
    "openssh-server",               /* the only way in */
    "kmod", "e2fsprogs",            /* modules; mkfs for an encrypted upper layer */
    "iproute2", "ca-certificates", NULL};
/* Part of the package systemd itself before Debian 12 and Ubuntu 24.04. */
static const char *const packages_split[] = {"systemd-boot-efi", "systemd-resolved", NULL};
static const char *const suites_before_split[] = {"buster", "bullseye", "focal", "jammy", NULL};

/* Everything that a build has in its hands. */
typedef struct {
    const StorageBuildOptions *build;
    StorageImageOptions image;
    StorageWorkdir *workdir;
    StorageApt *apt;
    StorageSnapshot *snapshot;
    GBytes *script;
    gchar *sources;
} Build;

static void build_clear(Build *build)
{
    storage_apt_free(build->apt);
    storage_snapshot_free(build->snapshot);
    storage_workdir_free(build->workdir);
    g_clear_pointer(&build->script, g_bytes_unref);
    g_free(build->sources);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Build, build_clear)

static gboolean check_packages(const GPtrArray *packages, GError **error)
{
    for (guint i = 0; packages && i < packages->len; i++) {
        const char *name = g_ptr_array_index(packages, i);
        g_autofree gchar *printable = measure_printable(name);

        if (strlen(name) < 2 || !g_ascii_isalnum(*name) ||
            strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.+-") != strlen(name)) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--package: '%s' is not the name of a package", printable);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean read_script(Build *build, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autofree gchar *printable = measure_printable(build->build->script);
    gchar *text = NULL;
    gsize size = 0;

    if (!build->build->script)
        return TRUE;
    if (!g_file_get_contents(build->build->script, &text, &size, &cause)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot read the script '%s': %s", printable, cause->message);
        return FALSE;
    }
    build->script = g_bytes_new_take(text, size);
    if (size <= SCRIPT_MAX && size > 2 && text[0] == '#' && text[1] == '!')
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "the script '%s' does not begin with '#!' and the program to run it with",
                printable);
    return FALSE;
}

static gboolean read_snapshot(Build *build, GError **error)
{
    if (!build->build->snapshot)
        return TRUE;
    build->snapshot = storage_snapshot_read(build->build->snapshot, error);
    if (!build->snapshot)
        return FALSE;
    if (strcmp(build->snapshot->suite, build->build->suite) == 0)
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "the snapshot is of suite '%s', not of '%s'", build->snapshot->suite,
                build->build->suite);
    return FALSE;
}

static gboolean check_snapshot(Build *build, GError **error)
{
    g_autoptr(GPtrArray) missing = NULL;
    g_autoptr(GString) names = g_string_new(NULL);

    if (!build->snapshot)
        return TRUE;
    missing = storage_apt_missing(build->apt, build->snapshot->packages, build->workdir, error);
    if (!missing)
        return FALSE;
    for (guint i = 0; i < missing->len; i++)
        g_string_append_printf(names, "\n  %s", (const char *)g_ptr_array_index(missing, i));
    if (missing->len == 0)
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "the mirror does not have %u of the %u package versions of the snapshot; give a --mirror that keeps old ones:%s",
                missing->len, build->snapshot->packages->len, names->str);
    return FALSE;
}

static void hash_text(EVP_MD_CTX *hash, const char *text)
{
    measure_hash_update(hash, text ? text : "", text ? strlen(text) + 1 : 1);
}

/* Of all that was asked for. The versions are not in it: a build from a snapshot gives what the build before gave. */
static void make_seed(const Build *build, gint64 epoch, guint8 seed[STORAGE_IMAGE_SEED_SIZE])
{
    g_autoptr(EVP_MD_CTX) hash = measure_hash_new(MEASURE_HASH_SHA256);
    g_autofree gchar *numbers = g_strdup_printf("%" G_GINT64_FORMAT " %" G_GUINT64_FORMAT " %d", epoch, build->image.size,
                                                build->image.clean.console_login);
    gsize size = 0;

    hash_text(hash, "virt-attest image-build 1");
    hash_text(hash, build->build->suite);
    hash_text(hash, build->sources);
    hash_text(hash, numbers);
    hash_text(hash, build->image.clean.hostname);
    hash_text(hash, build->image.clean.keys);
    for (guint i = 0; build->build->packages && i < build->build->packages->len; i++)
        hash_text(hash, g_ptr_array_index(build->build->packages, i));
    hash_text(hash, NULL);
    if (build->script) {
        gconstpointer data = g_bytes_get_data(build->script, &size);

        measure_hash_update(hash, data, size);
    }
    if (build->image.clean.agent) {
        gsize agent_size = 0;
        gconstpointer agent = g_bytes_get_data(build->image.clean.agent, &agent_size);

        hash_text(hash, "report agent");
        measure_hash_update(hash, agent, agent_size);
    }
    measure_hash_finish(hash, seed);
}

static void add_list(GString *text, const char *const *names)
{
    for (; *names; names++)
        g_string_append_printf(text, "%s%s", text->len ? "," : "", *names);
}

static gchar *include_list(const Build *build)
{
    GString *text = g_string_new(NULL);

    add_list(text, build->apt->distribution == STORAGE_DISTRIBUTION_UBUNTU ? packages_ubuntu : packages_debian);
    add_list(text, packages_common);
    if (!g_strv_contains(suites_before_split, build->build->suite))
        add_list(text, packages_split);
    for (guint i = 0; build->build->packages && i < build->build->packages->len; i++)
        g_string_append_printf(text, ",%s", (const char *)g_ptr_array_index(build->build->packages, i));
    return g_string_free(text, FALSE);
}

/* Files that mmdebstrap gets by name; not as arguments: a proxy or an archive may have a password. */
static gboolean add_files(Build *build, GPtrArray *argv, GError **error)
{
    g_autofree gchar *settings = storage_apt_settings(error);
    gchar *path = settings ? storage_workdir_put(build->workdir, "apt.conf", 0644, settings, strlen(settings), error) : NULL;

    if (!path)
        return FALSE;
    g_ptr_array_add(argv, g_strconcat("--aptopt=", path, NULL));
    g_free(path);
    if (build->snapshot) {
        g_autofree gchar *text = storage_snapshot_preferences(build->snapshot);
        g_autofree gchar *pins = storage_workdir_put(build->workdir, "pins", 0644, text, strlen(text), error);

        if (!pins)
            return FALSE;
        g_ptr_array_add(argv, g_strdup_printf("--setup-hook=upload %s /etc/apt/preferences.d/virt-attest-snapshot", pins));
    }
    if (build->script) {
        gsize size = 0;
        const char *data = g_bytes_get_data(build->script, &size);
        g_autofree gchar *script = storage_workdir_put(build->workdir, "script", 0755, data, size, error);

        if (!script)
            return FALSE;
        g_ptr_array_add(argv, g_strdup_printf("--customize-hook=upload %s " SCRIPT_INSIDE, script));
        g_ptr_array_add(argv, g_strdup("--customize-hook=chmod 0755 \"$1" SCRIPT_INSIDE "\" && chroot \"$1\" " SCRIPT_INSIDE
                                       " && rm -f \"$1" SCRIPT_INSIDE "\""));
    }
    return TRUE;
}

static StorageProcess *start_mmdebstrap(Build *build, gint64 epoch, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    g_autofree gchar *lines = storage_apt_lines(build->apt, FALSE);
    g_autofree gchar *include = include_list(build);
    g_autofree gchar *date = g_strdup_printf("SOURCE_DATE_EPOCH=%" G_GINT64_FORMAT, epoch);
    g_autofree gchar *temporary = g_strconcat("TMPDIR=", storage_workdir_path(build->workdir), NULL);
    /* Kernel packages would make an initrd each, which we drop. */
    const char *environment[] = {date, temporary, "INITRD=No", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", NULL};
    const StorageProcessOptions options = {.environment = environment, .input = lines, .want_output = TRUE};

    g_ptr_array_add(argv, g_strdup("mmdebstrap"));
    g_ptr_array_add(argv, g_strdup("--mode=unshare"));
    g_ptr_array_add(argv, g_strdup("--variant=minbase"));
    g_ptr_array_add(argv, g_strdup("--format=tar"));
    g_ptr_array_add(argv, g_strdup("--architectures=amd64"));
    g_ptr_array_add(argv, g_strconcat("--include=", include, NULL));
    /* The tree is gone after a power cut anyway. */
    g_ptr_array_add(argv, g_strdup("--dpkgopt=force-unsafe-io"));
    if (!add_files(build, argv, error))
        return NULL;
    g_ptr_array_add(argv, g_strdup(build->build->suite));
    g_ptr_array_add(argv, g_strdup("-"));
    g_ptr_array_add(argv, g_strdup("-"));
    g_ptr_array_add(argv, NULL);
    return storage_process_start((const char *const *)argv->pdata, &options, error);
}

static JsonNode *describe(const Build *build)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_auto(GStrv) lines = g_strsplit(g_strchomp(build->sources), "\n", -1);

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "kind");
    json_builder_add_string_value(builder, "suite");
    json_builder_set_member_name(builder, "suite");
    json_builder_add_string_value(builder, build->build->suite);
    json_builder_set_member_name(builder, "archives");
    json_builder_begin_array(builder);
    for (gchar **line = lines; *line; line++)
        json_builder_add_string_value(builder, *line);
    json_builder_end_array(builder);
    if (build->script) {
        g_autofree gchar *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, build->script);

        json_builder_set_member_name(builder, "scriptSha256");
        json_builder_add_string_value(builder, digest);
    }
    json_builder_end_object(builder);
    return json_builder_get_root(builder);
}

/* The tree may be there and complete while the program that made it failed; and a stream that was cut has a reason that
 * says more than "damaged archive". */
static gboolean fill(Build *build, StorageImageMaker *maker, gint64 epoch, GError **error)
{
    g_autoptr(StorageProcess) process = start_mmdebstrap(build, epoch, error);
    g_autoptr(GError) reading = NULL;
    gboolean filled;

    /* The stream begins when the tree is complete, minutes later. */
    if (!process || !storage_process_await(process, storage_process_output(process), build->image.progress,
                                           build->image.progress_data, error))
        return FALSE;
    filled = storage_image_maker_fill(maker, storage_process_output(process), &reading) != NULL;
    if (!filled && !storage_process_ended(process)) {
        g_propagate_error(error, g_steal_pointer(&reading));
        return FALSE;
    }
    if (!storage_process_wait(process, "make the root tree", error))
        return FALSE;
    if (!filled)
        g_propagate_error(error, g_steal_pointer(&reading));
    return filled;
}

static gboolean run(Build *build, GError **error)
{
    g_autoptr(StorageImageMaker) maker = NULL;
    g_autoptr(JsonNode) source = NULL;
    g_autofree gchar *head = NULL;
    guint8 seed[STORAGE_IMAGE_SEED_SIZE];
    gint64 epoch;

    if (!check_packages(build->build->packages, error) || !read_script(build, error) || !read_snapshot(build, error) ||
        !storage_image_check_output(build->image.output, build->image.force, build->image.store, error) || !measure_hash_ready(error))
        return FALSE;
    build->workdir = storage_workdir_new(error);
    build->apt = build->workdir ? storage_apt_new(build->build->suite, build->build->mirror, build->build->keyring,
                                                  build->workdir, error)
                                : NULL;
    if (!build->apt || !check_snapshot(build, error))
        return FALSE;
    epoch = build->snapshot ? build->snapshot->epoch : build->apt->epoch;
    build->sources = storage_apt_lines(build->apt, TRUE);
    build->image.clean.sources = build->sources;
    make_seed(build, epoch, seed);
    maker = storage_image_maker_new(&build->image, seed, epoch, error);
    if (!maker || !fill(build, maker, epoch, error))
        return FALSE;
    source = describe(build);
    head = storage_snapshot_head(build->build->suite, epoch);
    return storage_image_maker_finish(maker, source, head, error);
}

gboolean storage_image_build(const StorageBuildOptions *build, const StorageImageOptions *image, GError **error)
{
    g_auto(Build) state = {.build = build, .image = *image};

    return run(&state, error);
}
