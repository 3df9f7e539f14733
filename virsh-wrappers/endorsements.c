/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/endorsements.h"

#include "measure/error.h"
#include "virsh-wrappers/output.h"

/* A table, and a folder of somebody who collects them. */
#define MAX_FILE_SIZE (1024u * 1024)
#define MAX_FILES 1024

void cmd_endorsements_clear(CmdEndorsements *endorsements)
{
    g_clear_pointer(&endorsements->certificates, g_ptr_array_unref);
    g_clear_pointer(&endorsements->crls, g_ptr_array_unref);
}

static gboolean add_crl(CmdEndorsements *out, GBytes *data, GError **error)
{
    gsize size = 0;
    gconstpointer bytes = g_bytes_get_data(data, &size);
    AppraisalCrl *crl = appraisal_crl_parse(bytes, size, error);
    if (crl) {
        g_ptr_array_add(out->crls, crl);
    }
    return crl != NULL;
}

/* Told by what is in it. The error is that of a certificate, which most of them are. */
static gboolean add_data(CmdEndorsements *out, GBytes *data, GError **error)
{
    gsize size = 0;
    gconstpointer bytes = g_bytes_get_data(data, &size);
    g_autoptr(GError) cause = NULL;
    if (appraisal_certificates_read(bytes, size, out->certificates, &cause) || add_crl(out, data, NULL) ||
        appraisal_table_parse(bytes, size, out->certificates, NULL)) {
        return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&cause));
    return FALSE;
}

static gboolean add_file(CmdEndorsements *out, const char *path, GError **error)
{
    g_autoptr(GBytes) data = appraisal_file_read(path, MAX_FILE_SIZE, error);
    if (!data) {
        return FALSE;
    }
    if (!add_data(out, data, error)) {
        g_autofree gchar *shown = cmd_printable(path);
        g_prefix_error(error, "certificates '%s': ", shown);
        return FALSE;
    }
    return TRUE;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return g_strcmp0(*(const char *const *)a, *(const char *const *)b);
}

static gboolean add_folder(CmdEndorsements *out, const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GDir) dir = g_dir_open(path, 0, &cause);
    if (!dir) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s", cause->message);
        return FALSE;
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name = NULL;
    while ((name = g_dir_read_name(dir)) && names->len < MAX_FILES) {
        g_ptr_array_add(names, g_build_filename(path, name, NULL));
    }
    g_ptr_array_sort(names, by_name);
    for (guint i = 0; i < names->len; i++) {
        g_autoptr(GBytes) data = appraisal_file_read(g_ptr_array_index(names, i), MAX_FILE_SIZE, NULL);
        if (data) {
            add_data(out, data, NULL);
        }
    }
    return TRUE;
}

gboolean cmd_find_endorsements(CmdContext *context, G_GNUC_UNUSED const AppraisalEvidence *evidence, CmdEndorsements *out,
                               GError **error)
{
    const GPtrArray *places = cmd_arguments_all(context->arguments, "certificates");
    const GPtrArray *crls = cmd_arguments_all(context->arguments, "crl");
    out->certificates = appraisal_blobs_new();
    out->crls = g_ptr_array_new_with_free_func((GDestroyNotify)appraisal_crl_free);
    for (guint i = 0; i < places->len; i++) {
        const char *path = g_ptr_array_index(places, i);
        gboolean folder = g_file_test(path, G_FILE_TEST_IS_DIR);
        if (!(folder ? add_folder(out, path, error) : add_file(out, path, error))) {
            return FALSE;
        }
    }
    for (guint i = 0; i < crls->len; i++) {
        const char *path = g_ptr_array_index(crls, i);
        g_autoptr(GBytes) data = appraisal_file_read(path, MAX_FILE_SIZE, error);
        if (!data) {
            return FALSE;
        }
        if (!add_crl(out, data, error)) {
            g_autofree gchar *shown = cmd_printable(path);
            g_prefix_error(error, "revocation list '%s': ", shown);
            return FALSE;
        }
    }
    return TRUE;
}
