/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/snpguard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "storage/process.h"

enum {
    CONFIG_MAX = 64 * 1024,
    CMDLINE_MAX = 4096,
    ID_BLOCK_SIZE = 96,
    ID_AUTH_SIZE = 4096,
};
#define BOOT_FILE_MAX (G_GUINT64_CONSTANT(512) << 20)

static const StorageArchiveMember members[] = {
    {STORAGE_SNPGUARD_CONFIG, CONFIG_MAX, FALSE},
    {STORAGE_SNPGUARD_FIRMWARE, MEASURE_FIRMWARE_MAX_SIZE, FALSE},
    {STORAGE_SNPGUARD_KERNEL, BOOT_FILE_MAX, FALSE},
    {STORAGE_SNPGUARD_INITRD, BOOT_FILE_MAX, FALSE},
    {STORAGE_SNPGUARD_CMDLINE, CMDLINE_MAX, FALSE},
    {STORAGE_SNPGUARD_ID_BLOCK, ID_BLOCK_SIZE, FALSE},
    {STORAGE_SNPGUARD_ID_AUTH, ID_AUTH_SIZE, FALSE},
    {NULL},
};

void storage_snpguard_free(StorageSnpguard *archive)
{
    if (!archive)
        return;
    g_clear_pointer(&archive->config, g_bytes_unref);
    g_clear_pointer(&archive->cmdline, g_bytes_unref);
    g_clear_pointer(&archive->id_block, g_bytes_unref);
    g_clear_pointer(&archive->id_auth, g_bytes_unref);
    g_free(archive->firmware);
    g_free(archive->kernel);
    g_free(archive->initrd);
    g_clear_pointer(&archive->workdir, storage_workdir_free);
    g_free(archive);
    storage_interrupt_end();
}

/* @exact: bytes that it must have, 0 for any number. */
static GBytes *read_member(const StorageSnpguard *archive, const char *name, gsize exact, GError **error)
{
    g_autofree gchar *path = g_build_filename(storage_workdir_path(archive->workdir), name, NULL);
    g_autofree gchar *data = NULL;
    g_autoptr(GError) cause = NULL;
    gsize size = 0;

    if (!g_file_get_contents(path, &data, &size, &cause)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the unpacked '%s' cannot be read: %s", name,
                    cause->message);
        return NULL;
    }
    if (exact && size != exact) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "'%s' has %" G_GSIZE_FORMAT " bytes, not %" G_GSIZE_FORMAT ": this is no archive of SnpGuard", name,
                    size, exact);
        return NULL;
    }
    return g_bytes_new_take(g_steal_pointer(&data), size);
}

static gboolean read_members(StorageSnpguard *archive, GError **error)
{
    const char *folder = storage_workdir_path(archive->workdir);

    archive->firmware = g_build_filename(folder, STORAGE_SNPGUARD_FIRMWARE, NULL);
    archive->kernel = g_build_filename(folder, STORAGE_SNPGUARD_KERNEL, NULL);
    archive->initrd = g_build_filename(folder, STORAGE_SNPGUARD_INITRD, NULL);
    archive->config = read_member(archive, STORAGE_SNPGUARD_CONFIG, 0, error);
    archive->cmdline = archive->config ? read_member(archive, STORAGE_SNPGUARD_CMDLINE, 0, error) : NULL;
    archive->id_block =
        archive->cmdline ? read_member(archive, STORAGE_SNPGUARD_ID_BLOCK, ID_BLOCK_SIZE, error) : NULL;
    archive->id_auth = archive->id_block ? read_member(archive, STORAGE_SNPGUARD_ID_AUTH, ID_AUTH_SIZE, error) : NULL;
    return archive->id_auth != NULL;
}

StorageSnpguard *storage_snpguard_open(const char *path, GError **error)
{
    g_autoptr(StorageSnpguard) archive = g_new0(StorageSnpguard, 1);
    gboolean good;
    int folder;

    storage_interrupt_begin();
    archive->workdir = storage_workdir_new(error);
    if (!archive->workdir)
        return NULL;
    folder = open(storage_workdir_path(archive->workdir), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot use the temporary folder '%s': %s",
                    storage_workdir_path(archive->workdir), g_strerror(errno));
        return NULL;
    }
    good = storage_archive_unpack(path, members, STORAGE_ARCHIVE_ABSOLUTE_NAMES, folder, error) &&
           read_members(archive, error);
    close(folder);
    return good ? g_steal_pointer(&archive) : NULL;
}

static StorageArchiveEntry from_input(const char *name, const MeasureInput *input)
{
    return (StorageArchiveEntry){.name = name, .path = input->path, .size = input->size, .sha256 = input->sha256};
}

gboolean storage_snpguard_write(GBytes *config, GBytes *cmdline, GBytes *id_block, GBytes *id_auth,
                                const MeasureInputs *inputs, StorageOutput *output, StorageProgress progress,
                                gpointer progress_data, GError **error)
{
    const StorageArchiveEntry entries[] = {
        {.name = STORAGE_SNPGUARD_CONFIG, .data = config},
        from_input(STORAGE_SNPGUARD_FIRMWARE, inputs->firmware),
        from_input(STORAGE_SNPGUARD_KERNEL, inputs->kernel),
        from_input(STORAGE_SNPGUARD_INITRD, inputs->initrd),
        {.name = STORAGE_SNPGUARD_CMDLINE, .data = cmdline},
        {.name = STORAGE_SNPGUARD_ID_BLOCK, .data = id_block},
        {.name = STORAGE_SNPGUARD_ID_AUTH, .data = id_auth},
    };

    if (!storage_archive_check_sizes(entries, G_N_ELEMENTS(entries), members, error))
        return FALSE;
    return storage_archive_write(entries, G_N_ELEMENTS(entries), TRUE, output, progress, progress_data, error);
}
