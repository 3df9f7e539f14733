/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Everything on the partition comes out of the image itself, but the initrd, which is ours. Nothing measures what lies
 * here: that is what levels 3 and 4 start the kernel directly for.
 */
#include "storage/image-boot.h"

#include <string.h>

#include "storage/initrd.h"

#define LOADER_MAX (16 * 1024 * 1024)

static const char systemd_boot[] = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";
static const char *const grubs[] = {"/usr/lib/grub/x86_64-efi/monolithic/grubx64.efi",
                                    "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", NULL};

/* The files of one partition, as storage_esp_write() takes them. */
typedef struct {
    StorageEspFile files[8];
    guint count;
    gchar *grub_path;
} BootFiles;

static void boot_files_clear(BootFiles *boot)
{
    for (guint i = 0; i < boot->count; i++)
        g_bytes_unref(boot->files[i].data);
    g_free(boot->grub_path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BootFiles, boot_files_clear)

static void add(BootFiles *boot, const char *path, GBytes *data)
{
    boot->files[boot->count++] = (StorageEspFile){path, data};
}

static void add_text(BootFiles *boot, const char *path, gchar *text)
{
    add(boot, path, g_bytes_new_take(text, strlen(text)));
}

static gboolean add_systemd_boot(BootFiles *boot, StorageImage *image, const char *release, const char *words)
{
    g_autoptr(GBytes) loader = storage_image_read_file(image, systemd_boot, LOADER_MAX, NULL);

    if (!loader)
        return FALSE;
    add(boot, "EFI/BOOT/BOOTX64.EFI", g_steal_pointer(&loader));
    /* No menu and no editor: the words cannot be changed from the console. */
    add_text(boot, "loader/loader.conf", g_strdup("timeout 0\ndefault virt-attest.conf\neditor no\n"));
    add_text(boot, "loader/entries/virt-attest.conf",
             g_strdup_printf("title virt-attest\nversion %s\nlinux /vmlinuz\ninitrd initrd\noptions %s\n", release, words));
    return TRUE;
}

static gboolean add_grub(BootFiles *boot, StorageImage *image, const char *id, const char *words)
{
    for (const char *const *path = grubs; *path; path++) {
        g_autoptr(GBytes) loader = storage_image_read_file(image, *path, LOADER_MAX, NULL);

        if (!loader)
            continue;
        boot->grub_path = g_strdup_printf("EFI/%s/grub.cfg", id);
        add(boot, "EFI/BOOT/BOOTX64.EFI", g_steal_pointer(&loader));
        add_text(boot, boot->grub_path, g_strdup_printf("linux /vmlinuz %s\ninitrd /initrd\nboot\n", words));
        return TRUE;
    }
    return FALSE;
}

static gboolean collect(BootFiles *boot, StorageImage *image, const char *root_uuid, const char *id, const char *init,
                        const char **loader, GError **error)
{
    g_autoptr(StorageInitrd) highest = storage_initrd_build(image, NULL, 4, init, error);
    g_autoptr(StorageInitrd) initrd = highest ? storage_initrd_build(image, NULL, 0, init, error) : NULL;
    g_autoptr(GBytes) kernel = initrd ? storage_initrd_kernel(image, initrd->kernel, error) : NULL;
    g_autofree gchar *words = g_strdup_printf("virt_attest.level=0 virt_attest.root=partuuid:%s console=ttyS0", root_uuid);

    if (!kernel)
        return FALSE;
    add(boot, "vmlinuz", g_steal_pointer(&kernel));
    add(boot, "initrd", g_bytes_ref(initrd->data));
    if (add_systemd_boot(boot, image, initrd->kernel, words))
        *loader = "systemd-boot";
    else
        *loader = add_grub(boot, image, id, words) ? "grub" : NULL;
    return TRUE;
}

gboolean storage_image_boot_write(int fd, guint64 offset, guint64 length, guint32 serial, gint64 epoch, const char *root_uuid,
                                  const char *id, const char *init, const char **loader, GError **error)
{
    g_auto(BootFiles) boot = {.count = 0};
    g_autofree gchar *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autoptr(StorageImage) image = storage_image_open(path, STORAGE_FORMAT_RAW, error);

    return image && collect(&boot, image, root_uuid, id, init, loader, error) &&
           storage_esp_write(fd, offset, length, serial, epoch, boot.files, boot.count, error);
}
