/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/folder-lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "measure/error.h"

#define LOCK_SECONDS 10
#define LOCK_STEP_MICROSECONDS 20000

static gboolean fail(GError **error, const char *folder, const char *what)
{
    g_autofree gchar *shown = measure_printable(folder);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s': %s", shown, what);
    return FALSE;
}

gboolean cmd_lock_folder(const char *path, CmdLock *lock, GError **error)
{
    g_autofree gchar *folder = g_path_get_dirname(path);
    *lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock < 0) {
        return fail(error, folder, g_strerror(errno));
    }
    gint64 end = g_get_monotonic_time() + LOCK_SECONDS * G_USEC_PER_SEC;
    while (flock(*lock, LOCK_EX | LOCK_NB) < 0) {
        int failed = errno;
        gboolean busy = failed == EWOULDBLOCK || failed == EINTR;
        if (!busy || g_get_monotonic_time() > end) {
            cmd_lock_release(lock);
            return fail(error, folder, busy ? "another run of this program holds the folder's lock: try again when it is done"
                                            : g_strerror(failed));
        }
        g_usleep(LOCK_STEP_MICROSECONDS);
    }
    return TRUE;
}
