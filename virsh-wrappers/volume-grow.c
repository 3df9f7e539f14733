/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts the helper that grows partition and file system of an overlay: libguestfs is not linked into this program. */
#include <gio/gio.h>
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/cmd-volume.h"

#define HELPER LIBEXEC_DIRECTORY "/virt-attest-grow"

/* A build folder has it elsewhere. It runs as this user, from this user's environment: no privilege is at stake. */
static const char *helper_path(void)
{
    const char *path = g_getenv("VIRT_ATTEST_GROW");
    return path && *path ? path : HELPER;
}

gboolean cmd_volume_grow(const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GSubprocess) process = NULL;
    g_autofree gchar *messages = NULL;
    if (!g_file_test(helper_path(), G_FILE_TEST_IS_EXECUTABLE)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "cannot grow the file system: '%s' is not installed; it needs libguestfs (Debian: libguestfs0, "
                    "linux-image-amd64)",
                    helper_path());
        return FALSE;
    }
    process = g_subprocess_new(G_SUBPROCESS_FLAGS_STDERR_PIPE | G_SUBPROCESS_FLAGS_STDOUT_SILENCE, &cause, helper_path(),
                               path, NULL);
    if (!process || !g_subprocess_communicate_utf8(process, NULL, NULL, NULL, &messages, &cause)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot run '%s': %s", helper_path(), cause->message);
        return FALSE;
    }
    if (g_subprocess_get_successful(process)) {
        return TRUE;
    }
    g_strchomp(messages);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot grow the file system of '%s': %s", path,
                *messages ? messages : "the helper was killed");
    return FALSE;
}
