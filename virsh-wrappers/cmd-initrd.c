/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* initrd: builds the initrd of a level for the kernel of an image, and copies that kernel. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>
#include <unistd.h>

#include "measure/error.h"
#include "storage/initrd.h"
#include "storage/output.h"
#include "virsh-wrappers/output.h"

static gboolean write_data(StorageOutput *output, GBytes *data, GError **error)
{
    gsize size = 0;
    gconstpointer bytes = g_bytes_get_data(data, &size);

    return storage_output_write(output, bytes, size, error);
}

/* Both files are written before either gets its name, so that a full disk leaves neither. */
static gboolean write_outputs(const CmdContext *context, StorageImage *image, const StorageInitrd *initrd,
                              GError **error)
{
    gboolean force = cmd_context_has(context, "force");
    const char *kernel_path = cmd_context_get(context, "kernel-output");
    g_autoptr(StorageOutput) output = storage_output_new(cmd_context_get(context, "output"), force, 0644, error);
    g_autoptr(StorageOutput) kernel_output = NULL;

    if (!output || !write_data(output, initrd->data, error)) {
        return FALSE;
    }
    if (kernel_path) {
        g_autoptr(GBytes) kernel = storage_initrd_kernel(image, initrd->kernel, error);
        kernel_output = kernel ? storage_output_new(kernel_path, force, 0644, error) : NULL;
        if (!kernel_output || !write_data(kernel_output, kernel, error) ||
            !storage_output_commit(kernel_output, error)) {
            return FALSE;
        }
    }
    if (storage_output_commit(output, error)) {
        return TRUE;
    }
    /* Somebody else made that file meanwhile. */
    if (kernel_path && !force) {
        unlink(kernel_path);
    }
    return FALSE;
}

static void print_summary(const CmdContext *context, const StorageInitrd *initrd)
{
    g_autofree gchar *size =
        g_strdup_printf("%" G_GSIZE_FORMAT " bytes, %s", g_bytes_get_size(initrd->data), initrd->compression);
    g_autofree gchar *modules = g_strdup_printf("%u", initrd->modules->len);

    if (cmd_context_quiet(context)) {
        return;
    }
    cmd_print_field("Initrd", cmd_context_get(context, "output"));
    cmd_print_field("Size", size);
    cmd_print_field("Kernel", initrd->kernel);
    cmd_print_field("Modules", modules);
    cmd_print_field("Init", initrd->init_sha256);
}

static gboolean check_options(const CmdContext *context, GError **error)
{
    static const char *const needed[] = {"level", "image", "output"};

    for (gsize i = 0; i < G_N_ELEMENTS(needed); i++) {
        if (!cmd_context_get(context, needed[i])) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "initrd: the option --%s is missing", needed[i]);
            return FALSE;
        }
    }
    const char *output = cmd_context_get(context, "output");
    const char *kernel_output = cmd_context_get(context, "kernel-output");
    if (kernel_output && g_str_equal(kernel_output, output)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "initrd: --output and --kernel-output name the same file");
        return FALSE;
    }
    return TRUE;
}

int cmd_initrd(CmdContext *context, GError **error)
{
    if (!check_options(context, error)) {
        return -1;
    }
    guint level = (guint)g_ascii_strtoull(cmd_context_get(context, "level"), NULL, 10);
    const char *format = cmd_context_get(context, "format");
    StorageFormat kind = !format                      ? STORAGE_FORMAT_BY_NAME
                         : g_str_equal(format, "raw") ? STORAGE_FORMAT_RAW
                                                      : STORAGE_FORMAT_QCOW2;
    const PolicyConfig *config = cmd_context_config(context, error);
    g_autoptr(StorageImage) image = config ? storage_image_open(cmd_context_get(context, "image"), kind, error) : NULL;
    g_autoptr(StorageInitrd) initrd =
        image ? storage_initrd_build(image, cmd_context_get(context, "kernel"), level, config->guest_init, error)
              : NULL;
    if (!initrd || !write_outputs(context, image, initrd, error)) {
        return -1;
    }
    print_summary(context, initrd);
    return 0;
}
