/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* known-hosts: a line for SSH's list of known hosts, once the guest has been attested. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>
#include <string.h>

#include "measure/error.h"
#include "storage/output.h"
#include "virsh-wrappers/attested-host.h"
#include "virsh-wrappers/output.h"

#define LIST_MAX (4u * 1024 * 1024)

/* Lines that name exactly this host: they are replaced. Others may be about it too, in patterns and digests. */
static gboolean is_about(const char *line, const char *name)
{
    gsize length = strlen(name);
    return !strncmp(line, name, length) && (line[length] == ' ' || line[length] == '\t');
}

/* The other lines of the file, in their order. */
static GString *other_lines(const char *path, const char *name, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        return g_steal_pointer(&out);
    }
    g_autoptr(GBytes) data = appraisal_file_read(path, LIST_MAX, error);
    if (!data) {
        return NULL;
    }
    gsize size = 0;
    const char *text = g_bytes_get_data(data, &size);
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        gsize length = end ? (gsize)(end - text) : size;
        g_autofree gchar *line = g_strndup(text, length);
        if (!is_about(line, name)) {
            g_string_append_len(out, text, (gssize)length);
            g_string_append_c(out, '\n');
        }
        length += end != NULL;
        text += length;
        size -= length;
    }
    return g_steal_pointer(&out);
}

static gboolean write_list(const char *path, const CmdAttestedHost *host, GError **error)
{
    g_autoptr(GString) text = other_lines(path, host->name, error);
    g_autoptr(StorageOutput) output = text ? storage_output_new(path, TRUE, 0600, error) : NULL;
    if (!output) {
        return FALSE;
    }
    g_string_append_printf(text, "%s %s\n", host->name, host->key);
    return storage_output_write(output, text->str, text->len, error) && storage_output_commit(output, error);
}

int cmd_known_hosts(CmdContext *context, GError **error)
{
    const char *path = cmd_context_get(context, "output");
    g_auto(CmdAttestedHost) host = {.name = NULL};
    int code = cmd_attested_host(context, &host, error);
    if (code != 0) {
        return code;
    }
    if (!path) {
        printf("%s %s\n", host.name, host.key);
        return 0;
    }
    return write_list(path, &host, error) ? 0 : -1;
}
