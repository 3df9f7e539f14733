/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts the helper that grows partition and file system of an overlay: libguestfs is not linked into this program. */
#include "measure/error.h"
#include "storage/process.h"
#include "virsh-wrappers/cmd-volume.h"

gboolean cmd_volume_grow(const char *path, GError **error)
{
    const char *folder = g_getenv("VIRT_ATTEST_LIBEXEC");
    g_autofree gchar *helper =
        g_build_filename(folder && g_path_is_absolute(folder) ? folder : LIBEXEC_DIRECTORY, "guestfs-grow", NULL);
    const char *const argv[] = {helper, path, NULL};
    if (storage_process_run(argv, NULL, "grow the root file system", error)) {
        return TRUE;
    }
    if (error && g_error_matches(*error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED)) {
        g_prefix_error(error, "--capacity needs libguestfs (Debian: libguestfs0, linux-image-amd64): ");
    }
    return FALSE;
}
