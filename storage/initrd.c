/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From an image to the initrd of a level: which modules its kernel has and needs, then one archive of the init, the
 * list that the init obeys, and the modules in load order. What comes out is judged by policy/initrd.c like any other
 * initrd before anybody gets it.
 */
#include "storage/initrd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/initrd-list.h"
#include "measure/bytes.h"
#include "policy/initrd.h"
#include "policy/json.h"
#include "storage/initrd-modules.h"
#include "storage/modules.h"
#include "storage/newc.h"
#include "storage/unpack.h"

enum {
    MAX_TEXT = 16 * 1024 * 1024,
    MAX_INIT = 16 * 1024 * 1024,
    MAX_MODULE = 64 * 1024 * 1024,
    MAX_KERNEL = 256 * 1024 * 1024,
};

typedef struct {
    StorageImage *image;
    const char *release;
    gchar *folder; /* of the modules, in the image */
    gchar *config; /* (nullable): the kernel's configuration */
    StorageModules *modules;
} Kernel;

static void kernel_clear(Kernel *kernel)
{
    g_free(kernel->folder);
    g_free(kernel->config);
    storage_modules_free(kernel->modules);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Kernel, kernel_clear)

void storage_initrd_free(StorageInitrd *initrd)
{
    if (!initrd)
        return;
    g_free(initrd->kernel);
    g_clear_pointer(&initrd->data, g_bytes_unref);
    g_free(initrd->compression);
    g_clear_pointer(&initrd->modules, g_ptr_array_unref);
    g_free(initrd->init_sha256);
    g_free(initrd);
}

static gboolean refuse(const Kernel *kernel, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);

static gboolean refuse(const Kernel *kernel, GError **error, const char *format, ...)
{
    g_autofree gchar *disk = measure_printable(storage_disk_path(storage_image_disk(kernel->image)));
    g_autofree gchar *text = NULL;
    g_autofree gchar *shown = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    shown = measure_printable(text);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "image '%s': %s", disk, shown);
    return FALSE;
}

static gboolean check_release(const char *release, GError **error)
{
    gsize size = strlen(release);
    g_autofree gchar *shown = measure_printable(release);

    if (size && size < GUEST_RELEASE_MAX && *release != '.' &&
        strspn(release, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+~-") == size)
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "'%s' is no kernel release: it looks like 6.12.57-amd64",
                shown);
    return FALSE;
}

/* A text of the image, zero-terminated; NULL without @error when it is missing and @optional. */
static gchar *read_text(StorageImage *image, const char *path, gboolean optional, GError **error)
{
    g_autoptr(GBytes) data = NULL;
    gsize size = 0;
    const char *text = NULL;

    if (optional && !storage_image_has_file(image, path))
        return NULL;
    data = storage_image_read_file(image, path, MAX_TEXT, error);
    if (!data)
        return NULL;
    text = g_bytes_get_data(data, &size);
    return g_strndup(text ? text : "", size);
}

static gchar *kernel_path(StorageImage *image, const char *release)
{
    gchar *path = g_strdup_printf("/boot/vmlinuz-%s", release);

    if (storage_image_has_file(image, path))
        return path;
    g_free(path);
    return g_strdup_printf("/usr/lib/modules/%s/vmlinuz", release);
}

GBytes *storage_initrd_kernel(StorageImage *image, const char *release, GError **error)
{
    g_autofree gchar *path = NULL;

    if (!check_release(release, error))
        return NULL;
    path = kernel_path(image, release);
    return storage_image_read_file(image, path, MAX_KERNEL, error);
}

static gboolean kernel_read(Kernel *kernel, GError **error)
{
    static const char *const names[] = {"modules.dep", "modules.builtin", "modules.softdep", "modules.alias"};
    gchar *texts[G_N_ELEMENTS(names)] = {NULL};
    g_autofree gchar *boot_config = g_strdup_printf("/boot/config-%s", kernel->release);
    g_autofree gchar *own_config = g_strdup_printf("/usr/lib/modules/%s/config", kernel->release);
    g_autoptr(GError) cause = NULL;

    kernel->folder = g_strdup_printf("/usr/lib/modules/%s", kernel->release);
    kernel->config = read_text(kernel->image, boot_config, TRUE, &cause);
    if (!kernel->config && !cause)
        kernel->config = read_text(kernel->image, own_config, TRUE, &cause);
    for (gsize i = 0; i < G_N_ELEMENTS(names) && !cause; i++) {
        g_autofree gchar *path = g_strdup_printf("%s/%s", kernel->folder, names[i]);

        texts[i] = read_text(kernel->image, path, i > 0, &cause);
    }
    if (!cause) {
        StorageModuleTexts all = {texts[0], texts[1], texts[2], texts[3]};

        kernel->modules = storage_modules_parse(&all, &cause);
        if (cause) {
            g_autofree gchar *disk = measure_printable(storage_disk_path(storage_image_disk(kernel->image)));

            g_prefix_error(&cause, "image '%s', kernel %s: ", disk, kernel->release);
        }
    }
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        g_free(texts[i]);
    if (cause)
        g_propagate_error(error, g_steal_pointer(&cause));
    return kernel->modules != NULL;
}

/* 'y', 'm', 'n'; 0 when nobody knows, since there is no configuration. */
static char kernel_option(const Kernel *kernel, const char *option)
{
    g_autofree gchar *start = g_strdup_printf("CONFIG_%s=", option);

    if (!kernel->config)
        return 0;
    for (const char *at = strstr(kernel->config, start); at; at = strstr(at + 1, start)) {
        char value = at[strlen(start)];

        if (at == kernel->config || at[-1] == '\n')
            return value == 'y' || value == 'm' ? value : 'n';
    }
    return 'n';
}

static gboolean take_feature(const Kernel *kernel, const StorageFeature *feature, GError **error)
{
    char option = kernel_option(kernel, feature->config);

    if (feature->module && storage_modules_has(kernel->modules, feature->module))
        return storage_modules_want(kernel->modules, feature->module, feature->need != STORAGE_USEFUL, error);
    if (feature->need != STORAGE_NEEDED || option == 'y' ||
        (feature->module && storage_modules_builtin(kernel->modules, feature->module)))
        return TRUE;
    if (option == 'm')
        return refuse(kernel, error,
                      "kernel %s has %s (CONFIG_%s=m), but the module %s is not in %s: install all of its "
                      "modules",
                      kernel->release, feature->what, feature->config, feature->module ? feature->module : "for it",
                      kernel->folder);
    /* Without a configuration a feature that is no module cannot be looked up; the guest would power off without it. */
    if (!option && !feature->module)
        return TRUE;
    return refuse(kernel, error, "kernel %s lacks %s (CONFIG_%s): install another kernel in the image", kernel->release,
                  feature->what, feature->config);
}

static const char *choose_compression(const Kernel *kernel)
{
    if (kernel_option(kernel, "RD_ZSTD") == 'y')
        return "zstd";
    return kernel_option(kernel, "RD_GZIP") == 'y' ? "gzip" : "none";
}

static GBytes *read_init(const char *path, GError **error)
{
    g_autofree gchar *shown = measure_printable(path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    g_autofree guint8 *data = NULL;
    struct stat st = {0};
    gsize done = 0;
    gssize got = 0;

    if (fd < 0) {
        g_set_error(
            error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
            "the guest's init '%s': %s: install all of virt-attest, or name the file in 'init' of group [guest] "
            "of the configuration",
            shown, g_strerror(errno));
        return NULL;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= MAX_INIT) {
        data = g_malloc((gsize)st.st_size);
        while (done < (gsize)st.st_size) {
            got = pread(fd, data + done, (gsize)st.st_size - done, (off_t)done);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                break;
            done += (gsize)got;
        }
    }
    close(fd);
    /* A script would need an interpreter, which is not in the archive. */
    if (done < 4 || done != (gsize)st.st_size || memcmp(data, "\177ELF", 4)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "the guest's init '%s' is no program (an ELF file of at most 16 MiB): install virt-attest again",
                    shown);
        return NULL;
    }
    return g_bytes_new_take(g_steal_pointer(&data), done);
}

static GBytes *read_module(const Kernel *kernel, const StorageModule *module, GError **error)
{
    g_autofree gchar *path = g_strdup_printf("%s/%s", kernel->folder, module->path);
    g_autoptr(GBytes) packed = storage_image_read_file(kernel->image, path, MAX_MODULE, error);
    g_autoptr(GBytes) data = packed ? storage_unpack(path, packed, MAX_MODULE, error) : NULL;
    gsize size = 0;
    const guint8 *bytes = data ? g_bytes_get_data(data, &size) : NULL;

    if (data && (size < 4 || memcmp(bytes, "\177ELF", 4))) {
        refuse(kernel, error, "'%s' is no kernel module: install the kernel package again", path);
        return NULL;
    }
    return g_steal_pointer(&data);
}

static GBytes *make_list(const Kernel *kernel, guint level, const GPtrArray *modules, const GPtrArray *names)
{
    g_autoptr(GString) text = g_string_new("virt-attest-initrd 1\n");

    g_string_append_printf(text, "level %u\nkernel %s\n", level, kernel->release);
    for (guint i = 0; i < modules->len; i++) {
        const StorageModule *module = g_ptr_array_index(modules, i);

        g_string_append_printf(text, "module %s %s\n", module->required ? "required" : "optional",
                               (const char *)g_ptr_array_index(names, i));
    }
    return g_string_free_to_bytes(g_steal_pointer(&text));
}

/* @names: "0000-virtio.ko", in load order. */
static GBytes *make_archive(const Kernel *kernel, guint level, GBytes *init, GPtrArray *names, GError **error)
{
    const GPtrArray *modules = storage_modules_wanted(kernel->modules);
    g_autoptr(StorageNewc) archive = storage_newc_new();
    g_autoptr(GBytes) list = NULL;
    gsize total = g_bytes_get_size(init);

    for (guint i = 0; i < modules->len; i++)
        g_ptr_array_add(names, g_strdup_printf("%04u-%s", i, ((const StorageModule *)modules->pdata[i])->name));
    list = make_list(kernel, level, modules, names);
    storage_newc_add_folder(archive, "dev");
    storage_newc_add_file(archive, "init", init, TRUE);
    storage_newc_add_file(archive, "initrd.list", list, FALSE);
    storage_newc_add_folder(archive, "modules");
    for (guint i = 0; i < modules->len; i++) {
        g_autofree gchar *name = g_strconcat("modules/", g_ptr_array_index(names, i), NULL);
        g_autoptr(GBytes) data = read_module(kernel, g_ptr_array_index(modules, i), error);

        if (!data)
            return NULL;
        total += g_bytes_get_size(data);
        if (total > POLICY_INITRD_MAX_UNPACKED / 2) {
            refuse(kernel, error, "the modules of kernel %s are too large for an initrd", kernel->release);
            return NULL;
        }
        storage_newc_add_file(archive, name, data, FALSE);
    }
    storage_newc_add_folder(archive, "proc");
    storage_newc_add_folder(archive, "run");
    storage_newc_add_folder(archive, "sys");
    storage_newc_add_folder(archive, "sysroot");
    return storage_newc_finish(archive);
}

/* Whoever starts a guest with it will ask the same: it is better to hear the answer now. */
static gboolean check_result(const Kernel *kernel, const StorageInitrd *initrd, guint level, GError **error)
{
    MeasureBytes bytes = {0};
    g_autoptr(PolicyInitrd) judged = NULL;

    bytes.data = g_bytes_get_data(initrd->data, &bytes.size);
    judged = policy_initrd_judge(bytes, NULL);
    if (judged->ours && judged->level == level && !strcmp(judged->kernel, initrd->kernel))
        return TRUE;
    return refuse(kernel, error, "the initrd that was built %s: report this as a fault of virt-attest",
                  judged->reason ? judged->reason : "is another one");
}

StorageInitrd *storage_initrd_build(StorageImage *image, const char *kernel_release, guint level, const char *init,
                                    GError **error)
{
    g_autoptr(StorageInitrd) initrd = g_new0(StorageInitrd, 1);
    g_auto(Kernel) kernel = {.image = image};
    g_autoptr(GBytes) program = NULL;
    g_autoptr(GBytes) archive = NULL;
    guint8 digest[MEASURE_SHA256_SIZE];

    g_return_val_if_fail(level == 0 || level == 3 || level == 4, NULL);
    program = read_init(init, error);
    if (!program)
        return NULL;
    initrd->kernel = kernel_release ? g_strdup(kernel_release) : storage_image_kernel_release(image, error);
    if (!initrd->kernel || !check_release(initrd->kernel, error))
        return NULL;
    kernel.release = initrd->kernel;
    if (!kernel_read(&kernel, error))
        return NULL;
    for (const StorageFeature *feature = storage_features; feature->config; feature++) {
        if (feature->levels & 1u << level && !take_feature(&kernel, feature, error))
            return NULL;
    }
    initrd->modules = g_ptr_array_new_with_free_func(g_free);
    archive = make_archive(&kernel, level, program, initrd->modules, error);
    if (!archive)
        return NULL;
    initrd->compression = g_strdup(choose_compression(&kernel));
    initrd->data = storage_pack(initrd->compression, archive, error);
    if (!initrd->data)
        return NULL;
    if (g_bytes_get_size(initrd->data) > POLICY_INITRD_MAX_SIZE) {
        refuse(&kernel, error, "the initrd of kernel %s would be too large", kernel.release);
        return NULL;
    }
    policy_sha256(g_bytes_get_data(program, NULL), g_bytes_get_size(program), digest);
    initrd->init_sha256 = measure_hex_encode(digest, sizeof digest);
    return check_result(&kernel, initrd, level, error) ? g_steal_pointer(&initrd) : NULL;
}
