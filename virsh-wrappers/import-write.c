/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/import-write.h"

#include <errno.h>
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
    if (!g_utf8_validate(name, -1, NULL)) {
        return "its name is not text in UTF-8";
    }
    for (const char *at = name; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        GUnicodeType type = g_unichar_type(c);
        /* The controls of bidirectional text are among those that cannot be printed. */
        if (!g_unichar_isprint(c) || type == G_UNICODE_LINE_SEPARATOR || type == G_UNICODE_PARAGRAPH_SEPARATOR) {
            return "its name has a control character or another one that cannot be printed";
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

/**
 * Outputs:
 * Both files of a guest, open and without a name yet.
 */
typedef struct {
    gchar *xml_path, *reference_path;
    StorageOutput *xml, *reference;
} Outputs;

static void outputs_clear(Outputs *outputs)
{
    g_free(outputs->xml_path);
    g_free(outputs->reference_path);
    g_clear_pointer(&outputs->xml, storage_output_free);
    g_clear_pointer(&outputs->reference, storage_output_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outputs, outputs_clear)

static gboolean make_folder(const char *folder, GError **error)
{
    g_autofree gchar *shown = cmd_printable(folder);
    if (g_str_equal(folder, "-")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--output-dir -: two files do not fit standard output; a folder of this name is './-'");
        return FALSE;
    }
    if (g_mkdir_with_parents(folder, 0755) != 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot make folder '%s': %s", shown,
                    g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

static gboolean open_outputs(const CmdContext *context, const char *folder, const char *name, Outputs *outputs,
                             GError **error)
{
    g_autofree gchar *xml_name = g_strconcat(name, ".xml", NULL);
    g_autofree gchar *reference_name = g_strconcat(name, ".reference.json", NULL);
    gboolean force = cmd_context_has(context, "force");
    if (!make_folder(folder, error)) {
        return FALSE;
    }
    outputs->xml_path = g_build_filename(folder, xml_name, NULL);
    outputs->reference_path = g_build_filename(folder, reference_name, NULL);
    outputs->reference = storage_output_new(outputs->reference_path, force, 0644, error);
    outputs->xml = outputs->reference ? storage_output_new(outputs->xml_path, force, 0644, error) : NULL;
    return outputs->xml != NULL;
}

gboolean cmd_import_check(const CmdContext *context, const char *folder, const char *name, GError **error)
{
    g_auto(Outputs) outputs = {.xml = NULL};
    return open_outputs(context, folder, name, &outputs, error);
}

gboolean cmd_import_write(CmdContext *context, const char *folder, const char *name, const char *xml,
                          const PolicyReference *reference, gchar **xml_path, gchar **reference_path, GError **error)
{
    g_auto(Outputs) outputs = {.xml = NULL};
    g_autofree gchar *text = policy_reference_format(reference, POLICY_REFERENCE_PORTABLE);
    if (!open_outputs(context, folder, name, &outputs, error) ||
        !storage_output_write(outputs.reference, text, strlen(text), error) ||
        !storage_output_write(outputs.xml, xml, strlen(xml), error) ||
        !storage_output_commit(outputs.reference, error) || !storage_output_commit(outputs.xml, error)) {
        return FALSE;
    }
    *xml_path = g_steal_pointer(&outputs.xml_path);
    *reference_path = g_steal_pointer(&outputs.reference_path);
    return TRUE;
}

gchar *cmd_import_define_command(const char *xml_path, const char *reference_path)
{
    /* A file has a '/' in it, or define would take it for a domain. */
    g_autofree gchar *xml = strchr(xml_path, '/') ? g_strdup(xml_path) : g_strconcat("./", xml_path, NULL);
    g_autofree gchar *quoted_xml = g_shell_quote(xml);
    g_autofree gchar *quoted_reference = g_shell_quote(reference_path);
    return g_strdup_printf("virt-attest define --reference %s %s", quoted_reference, quoted_xml);
}
