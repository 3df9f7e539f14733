/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/import-write.h"

#include <string.h>

#include "measure/error.h"
#include "storage/output.h"

#define NAME_MAX_BYTES 200

const char *cmd_import_name_invalid(const char *name)
{
    gsize length = strlen(name);
    if (length == 0 || length > NAME_MAX_BYTES) {
        return "its name is empty or too long for a file name";
    }
    if (*name == '.' || *name == '-' || strchr(name, '/')) {
        return "its name begins with a '.' or a '-', or has a '/' in it, so no file can be called after it";
    }
    for (const char *at = name; *at; at++) {
        if (g_ascii_iscntrl(*at)) {
            return "its name has a control character";
        }
    }
    return NULL;
}

CmdSubject *cmd_import_measure(CmdContext *context, const char *xml, GPtrArray *cpus, const char *source,
                               PolicyReference **reference, GError **error)
{
    g_autoptr(CmdSubject) subject =
        cmd_subject_new(context, xml, strlen(xml), NULL, cpus, FALSE, POLICY_REFERENCE_ASSUMED, error);
    if (!subject) {
        return NULL;
    }
    *reference = policy_reference_new(subject->domain, subject->evaluation, XML_ON_MISMATCH_REFUSE, error);
    if (!*reference) {
        return NULL;
    }
    (*reference)->form = POLICY_REFERENCE_PORTABLE;
    policy_reference_set_source(*reference, source);
    return g_steal_pointer(&subject);
}

static gboolean write_file(const CmdContext *context, const char *path, const char *text, GError **error)
{
    g_autoptr(StorageOutput) output = storage_output_new(path, cmd_context_has(context, "force"), 0644, error);
    return output && storage_output_write(output, text, strlen(text), error) && storage_output_commit(output, error);
}

gboolean cmd_import_write(CmdContext *context, const char *folder, const char *name, const char *xml,
                          const PolicyReference *reference, gchar **xml_path, gchar **reference_path, GError **error)
{
    g_autofree gchar *xml_name = g_strconcat(name, ".xml", NULL);
    g_autofree gchar *reference_name = g_strconcat(name, ".reference.json", NULL);
    g_autofree gchar *text = policy_reference_format(reference, POLICY_REFERENCE_PORTABLE);
    /* What cannot be made shows when the first file is opened in it, with the reason. */
    g_mkdir_with_parents(folder, 0755);
    *xml_path = g_build_filename(folder, xml_name, NULL);
    *reference_path = g_build_filename(folder, reference_name, NULL);
    return write_file(context, *reference_path, text, error) && write_file(context, *xml_path, xml, error);
}

gchar *cmd_import_define_command(const char *xml_path, const char *reference_path)
{
    /* A file has a '/' in it, or define would take it for a domain. */
    g_autofree gchar *xml = strchr(xml_path, '/') ? g_strdup(xml_path) : g_strconcat("./", xml_path, NULL);
    g_autofree gchar *quoted_xml = g_shell_quote(xml);
    g_autofree gchar *quoted_reference = g_shell_quote(reference_path);
    return g_strdup_printf("virt-attest define --reference %s %s", quoted_reference, quoted_xml);
}
