/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* known-hosts: the SSH host key of a guest, once its report is accepted. */
#include "virsh-wrappers/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/error.h"
#include "policy/appraisal/report.h"
#include "storage/output.h"
#include "virsh-wrappers/attested-host.h"
#include "virsh-wrappers/connection.h"
#include "virsh-wrappers/folder-lock.h"
#include "virsh-wrappers/known-hosts.h"

static gboolean read_file(const char *path, gchar **out, GError **error)
{
    g_autoptr(GBytes) data = appraisal_file_read(path, CMD_KNOWN_HOSTS_MAX, error);
    gsize size = 0;
    if (!data) {
        return FALSE;
    }
    const char *bytes = g_bytes_get_data(data, &size);
    if (size > 0 && memchr(bytes, '\0', size)) {
        g_autofree gchar *shown = cmd_printable(path);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s': this is no file of known hosts", shown);
        return FALSE;
    }
    *out = g_strndup(size ? bytes : "", size);
    return TRUE;
}

/*
 * Atomically: whoever reads it sees the old keys or the new ones. It stays with its owner. Under a lock: a run beside
 * this one would bring back a key that this one takes away.
 */
static gboolean edit_file(const char *path, const char *const *names, const char *key, GError **error)
{
    struct stat was = {.st_mode = 0600};
    g_autofree gchar *text = NULL;
    g_autofree gchar *shown = cmd_printable(path);
    g_auto(CmdLock) lock = -1;
    /* Nothing is there to be taken away, maybe not even the folder. */
    if (!key && lstat(path, &was) < 0 && errno == ENOENT) {
        return TRUE;
    }
    if (!cmd_lock_folder(path, &lock, error)) {
        return FALSE;
    }
    gboolean exists = lstat(path, &was) == 0;
    if (!exists && (errno != ENOENT || !key)) {
        if (errno == ENOENT) {
            return TRUE;
        }
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s': %s", shown, g_strerror(errno));
        return FALSE;
    }
    if (exists && !S_ISREG(was.st_mode)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "'%s' is no regular file: name the file itself with --output", shown);
        return FALSE;
    }
    if (exists && !read_file(path, &text, error)) {
        return FALSE;
    }
    g_autofree gchar *edited = cmd_known_hosts_edit(text, names, key);
    if (g_strcmp0(text, edited) == 0) {
        return TRUE;
    }
    g_autoptr(StorageOutput) output = storage_output_new(path, TRUE, was.st_mode & 0777, error);
    if (!output || !storage_output_write(output, edited, strlen(edited), error)) {
        return FALSE;
    }
    if (exists && geteuid() == 0 && fchown(storage_output_fd(output), was.st_uid, was.st_gid) < 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "'%s': cannot keep its owner: %s", shown,
                    g_strerror(errno));
        return FALSE;
    }
    return storage_output_commit(output, error);
}

static gchar **name_hosts(const CmdAttestedHost *host)
{
    guint count = g_strv_length(host->hosts);
    gchar **names = g_new0(gchar *, count + 1);
    for (guint i = 0; i < count; i++) {
        names[i] = cmd_known_hosts_name(host->hosts[i], host->port);
    }
    return names;
}

int cmd_known_hosts(CmdContext *context, GError **error)
{
    g_auto(CmdAttestedHost) host = {.key = NULL};
    const char *path = cmd_context_get(context, "output");
    if (!cmd_attested_host(context, cmd_domain_word(context), &host, error)) {
        return -1;
    }
    g_auto(GStrv) names = name_hosts(&host);
    const char *const *list = (const char *const *)names;
    /* Also without a key: what an earlier verdict has let in is not attested any more. */
    if (path && strcmp(path, "-")) {
        if (!edit_file(path, list, host.key, error)) {
            if (!host.key) {
                g_prefix_error(error, "%s, and an earlier key of its may still be known: ",
                               host.accepted ? "the report is about no SSH key" : "the guest's report is rejected");
            }
            return -1;
        }
    } else if (host.key) {
        g_autofree gchar *text = cmd_known_hosts_edit(NULL, list, host.key);
        fputs(text, stdout);
    }
    return host.key ? 0 : cmd_attested_host_rejected(&host, error);
}
