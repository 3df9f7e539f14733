/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/define-volume.h"

#include <string.h>

#include "guest/words.h"
#include "measure/bytes.h"
#include "measure/error.h"
#include "storage/boot-store.h"
#include "storage/initrd.h"
#include "virsh-wrappers/domain-volumes.h"
#include "virsh-wrappers/output.h"

/*
 * Console for what the guest says; panic: a guest that cannot go on ends. The rest keeps systemd from taking orders from
 * the host: credentials from firmware tables and disks, partitions found by their type, a login on the host's console.
 */
#define CMDLINE "console=ttyS0 panic=-1 systemd.import_credentials=no systemd.gpt_auto=no systemd.getty_auto=no"
#define BOOT_FILE_MAX ((gsize)512 << 20)
#define WORDS_MAX 2048

/* ---- disks ---- */

static void add_disk(XmlCompose *compose, const char *path, const char *format, const char *serial, gboolean readonly)
{
    g_auto(GStrv) parts = g_strsplit(path, ",", -1);
    g_autofree gchar *quoted = g_strjoinv(",,", parts);
    g_ptr_array_add(compose->disks, g_strdup_printf("%s,format=%s,serial=%s,readonly=%s", quoted, format, serial,
                                                    readonly ? "on" : "off"));
}

static void add_disks(const StorageVolume *volume, XmlCompose *compose)
{
    /* Only a guest whose writes go nowhere else, or that boots by its own loader, writes to its root. */
    gboolean readonly = compose->level == 4 || (compose->level == 3 && volume->upper.words.upper != GUEST_UPPER_NONE);
    add_disk(compose, volume->root_path, "qcow2", CMD_SERIAL_ROOT, readonly);
    if (compose->level == 4) {
        add_disk(compose, volume->seal->path, "raw", CMD_SERIAL_VERITY, TRUE);
    }
    if (compose->level >= 3 && volume->upper_path) {
        add_disk(compose, volume->upper_path, "raw", CMD_SERIAL_UPPER, FALSE);
    }
}

/* ---- command line ---- */

static gboolean set_verity(const StorageSeal *seal, GuestWords *words, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(seal->uuid, "-", -1);
    g_autofree gchar *uuid = g_strjoinv("", parts);
    words->has_verity = true;
    g_strlcpy(words->hash_disk.serial, CMD_SERIAL_VERITY, sizeof(words->hash_disk.serial));
    g_strlcpy(words->hash_name, seal->hash, sizeof(words->hash_name));
    words->hash_size = strlen(seal->root_hash) / 2;
    words->salt_size = strlen(seal->salt) / 2;
    words->data_block_size = seal->data_block_size;
    words->hash_block_size = seal->hash_block_size;
    words->data_blocks = seal->data_blocks;
    if (words->hash_size <= sizeof(words->root_hash) && words->salt_size <= sizeof(words->salt) &&
        measure_hex_decode(seal->root_hash, words->root_hash, words->hash_size) &&
        measure_hex_decode(seal->salt, words->salt, words->salt_size) &&
        measure_hex_decode(uuid, words->uuid, sizeof(words->uuid))) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the seal of the volume cannot be written as words");
    return FALSE;
}

static gboolean set_cmdline(const StorageVolume *volume, XmlCompose *compose, GError **error)
{
    GuestWords words = volume->upper.words;
    char line[WORDS_MAX];
    if (compose->cmdline && guest_words_present(compose->cmdline)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--cmdline: the words " GUEST_WORD_PREFIX "… follow from the volume; give only others");
        return FALSE;
    }
    words.level = compose->level;
    g_strlcpy(words.root.serial, CMD_SERIAL_ROOT, sizeof(words.root.serial));
    words.root.partition = STORAGE_IMAGE_ROOT_PARTITION;
    g_strlcpy(words.fs, "ext4", sizeof(words.fs));
    words.wait_seconds = words.wait_seconds ? words.wait_seconds : 30;
    if (words.upper == GUEST_UPPER_ENCRYPTED) {
        g_strlcpy(words.upper_disk.serial, CMD_SERIAL_UPPER, sizeof(words.upper_disk.serial));
    }
    if (compose->level == 4 && !set_verity(volume->seal, &words, error)) {
        return FALSE;
    }
    if (!guest_words_format(&words, line, sizeof(line))) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the words of the command line do not fit into %d bytes",
                    WORDS_MAX);
        return FALSE;
    }
    gchar *whole = g_strconcat(CMDLINE " ", line, compose->cmdline && *compose->cmdline ? " " : NULL, compose->cmdline,
                               NULL);
    g_free(compose->cmdline);
    compose->cmdline = whole;
    return TRUE;
}

/* ---- kernel and initrd ---- */

/* A file that the user gave must be what belongs to the volume. */
static gboolean check_given(const char *what, const char *path, GBytes *wanted, const StorageVolume *volume,
                            const char *release, guint level, GError **error)
{
    g_autoptr(GMappedFile) file = NULL;
    g_autoptr(GError) cause = NULL;
    if (!path) {
        return TRUE;
    }
    g_autofree gchar *shown = cmd_printable(path);
    file = g_mapped_file_new(path, FALSE, &cause);
    if (!file) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s '%s': %s", what, shown, cause->message);
        return FALSE;
    }
    if (g_mapped_file_get_length(file) == g_bytes_get_size(wanted) && g_mapped_file_get_length(file) <= BOOT_FILE_MAX &&
        memcmp(g_mapped_file_get_contents(file), g_bytes_get_data(wanted, NULL), g_bytes_get_size(wanted)) == 0) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "%s '%s' is not the one of volume '%s' (kernel %s, level %u): it is for another kernel, or older than the "
                "image or the init; leave --%s out, or make it again with 'virt-attest initrd --level %u --image %s'",
                what, shown, volume->name, release, level, what, level, volume->root_path);
    return FALSE;
}

static gboolean set_boot_files(CmdDefineVolume *from, XmlCompose *compose, GError **error)
{
    const CmdVolumeJob *job = from->job;
    const StorageVolume *volume = from->volume;
    PolicyConfig *config = cmd_context_config(job->context, error);
    cmd_volume_step(job, "Building the initrd");
    g_autoptr(StorageImage) image =
        config ? storage_image_open(volume->root_path, STORAGE_FORMAT_QCOW2, error) : NULL;
    g_autoptr(StorageInitrd) initrd =
        image ? storage_initrd_build(image, NULL, compose->level, config->guest_init, error) : NULL;
    g_autoptr(GBytes) kernel = initrd ? storage_initrd_kernel(image, initrd->kernel, error) : NULL;
    if (!kernel ||
        !check_given("kernel", compose->kernel, kernel, volume, initrd->kernel, compose->level, error) ||
        !check_given("initrd", compose->initrd, initrd->data, volume, initrd->kernel, compose->level, error)) {
        return FALSE;
    }
    from->boot_lock = storage_boot_lock(job->store, error);
    if (from->boot_lock < 0) {
        return FALSE;
    }
    g_free(compose->kernel);
    g_free(compose->initrd);
    compose->initrd = NULL;
    compose->kernel = storage_boot_put(job->store, kernel, "kernel", error);
    compose->initrd = compose->kernel ? storage_boot_put(job->store, initrd->data, "initrd", error) : NULL;
    return compose->initrd != NULL;
}

/* ---- whose it is ---- */

/* The UUID that the domain had, so that defining it again is what it says; else a new one. */
static gboolean set_uuid(const CmdDefineVolume *from, XmlCompose *compose, GError **error)
{
    const StorageVolume *volume = from->volume;
    if (volume->domain) {
        g_autoptr(VirDomainHandle) former = virDomainLookupByUUIDString(from->job->connection, volume->domain);
        if (!former && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN) {
            return cmd_libvirt_error(error, "cannot look for the domain of volume '%s'", volume->name);
        }
        if (former && g_strcmp0(virDomainGetName(former), compose->name) == 0) {
            compose->uuid = g_strdup(volume->domain);
        }
    }
    if (!compose->uuid) {
        compose->uuid = g_uuid_string_random();
    }
    return TRUE;
}

/* Two guests that write to one file system destroy it, and a seal with it. */
static gboolean check_not_shared(const CmdDefineVolume *from, const XmlCompose *compose, GError **error)
{
    g_auto(GStrv) paths = cmd_volume_paths(from->job, from->volume);
    g_autofree gchar *who = NULL;
    if (!cmd_file_users(from->job->connection, (const char *const *)paths, CMD_USERS_DEFINED, compose->uuid, &who,
                        error)) {
        return FALSE;
    }
    if (!who) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "volume '%s' already belongs to %s: a volume is for one domain; make another one with 'virt-attest "
                "vol-create'",
                from->volume->name, who);
    return FALSE;
}

gboolean cmd_define_volume_compose(CmdDefineVolume *from, XmlCompose *compose, GError **error)
{
    const StorageVolume *volume = from->volume;
    if (compose->disks->len > 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--disk and --volume do not go together: more disks can be added to the domain XML afterwards");
        return FALSE;
    }
    if (compose->level < 3 && (compose->kernel || compose->initrd || compose->cmdline)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "at level %u the guest starts by the boot loader of its disk: leave --kernel, --initrd and --cmdline out",
                    compose->level);
        return FALSE;
    }
    if (!storage_volume_check(volume, compose->level, from->job->store, error) || !set_uuid(from, compose, error) ||
        !check_not_shared(from, compose, error)) {
        return FALSE;
    }
    add_disks(volume, compose);
    return compose->level < 3 || (set_cmdline(volume, compose, error) && set_boot_files(from, compose, error));
}

gboolean cmd_define_volume_claim(CmdDefineVolume *from, const char *uuid, GError **error)
{
    g_free(from->volume->domain);
    from->volume->domain = g_strdup(uuid);
    return storage_volume_put(from->job->store, from->volume, error);
}
