/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* certs list: what is in the certificate cache, and until when it can be used. */
#include "virsh-wrappers/cmd-certs.h"

#include "measure/error.h"
#include "policy/text.h"

static gchar *date(gint64 time)
{
    g_autoptr(GDateTime) at = g_date_time_new_from_unix_utc(time);
    return at ? g_date_time_format(at, "%Y-%m-%dT%H:%M:%SZ") : NULL;
}

static const char *state(const StorageCertificate *each)
{
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    gboolean list = each->kind == STORAGE_CERTIFICATE_CRL;
    if (each->problem) {
        return "unusable";
    }
    if (now < each->not_before) {
        return "early";
    }
    if (list) {
        return now < each->not_after ? "fresh" : "stale";
    }
    return now <= each->not_after ? "valid" : "expired";
}

/* Whose a revocation list is stands where a certificate's kind does. */
static const char *kind(const StorageCertificate *each)
{
    if (each->problem) {
        return NULL;
    }
    if (each->kind == STORAGE_CERTIFICATE_CRL) {
        return each->signer == APPRAISAL_SIGNER_VLEK ? "crl (vlek)" : "crl";
    }
    return storage_certificate_kind_name(each->kind);
}

/* An entry's name with the digits of its chip shortened, as everywhere else. */
static gchar *short_name(const char *name)
{
    g_auto(GStrv) words = g_strsplit(name, ".", -1);
    for (gchar **word = words; *word; word++) {
        gchar *brief = policy_short_digest(*word);
        g_free(*word);
        *word = brief;
    }
    return g_strjoinv(".", words);
}

static void add_json(JsonBuilder *builder, const StorageCertificate *each)
{
    g_autofree gchar *before = each->problem ? NULL : date(each->not_before);
    g_autofree gchar *after = each->problem ? NULL : date(each->not_after);
    g_autofree gchar *fetched = each->problem ? NULL : date(each->fetched);
    gboolean key = !each->problem && (each->chip || each->csp);
    g_autofree gchar *tcb = key ? policy_tcb_describe(&each->tcb) : NULL;
    json_builder_begin_object(builder);
    cmd_json_string(builder, "name", each->name);
    cmd_json_string(builder, "kind", each->problem ? NULL : storage_certificate_kind_name(each->kind));
    cmd_json_string(builder, "signer",
                    each->problem ? NULL : each->signer == APPRAISAL_SIGNER_VLEK ? "vlek" : "vcek");
    cmd_json_string(builder, "product", each->problem ? NULL : appraisal_line_name(each->line));
    cmd_json_string(builder, "chip", each->chip);
    cmd_json_string(builder, "operator", each->csp);
    cmd_json_string(builder, "tcb", tcb);
    cmd_json_string(builder, "notBefore", before);
    cmd_json_string(builder, "notAfter", after);
    cmd_json_string(builder, "fetched", fetched);
    cmd_json_string(builder, "state", state(each));
    cmd_json_string(builder, "problem", each->problem);
    json_builder_end_object(builder);
}

int cmd_certs_list(CmdContext *context, CmdCertificates *job, GError **error)
{
    g_autoptr(GPtrArray) list = storage_certificates_list(job->cache, error);
    if (!list) {
        return -1;
    }
    g_autoptr(CmdTable) table = cmd_table_new("Kind", "Product", "Chip or operator", "TCB", "Until", "State", NULL);
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "certificates");
    json_builder_begin_array(builder);
    for (guint i = 0; i < list->len; i++) {
        const StorageCertificate *each = g_ptr_array_index(list, i);
        g_autofree gchar *whose = each->problem ? short_name(each->name)
                                  : each->chip  ? policy_short_digest(each->chip)
                                                : g_strdup(each->csp);
        g_autofree gchar *tcb = each->chip || each->csp ? policy_tcb_describe(&each->tcb) : NULL;
        g_autofree gchar *until = each->problem ? NULL : date(each->not_after);
        add_json(builder, each);
        if (each->problem && !cmd_context_json(context)) {
            g_ptr_array_add(job->warnings, g_strdup_printf("%s is not used: %s", whose, each->problem));
        }
        cmd_table_row(table, kind(each), each->problem ? NULL : appraisal_line_name(each->line),
                      whose, tcb, until, state(each));
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    if (cmd_context_json(context)) {
        cmd_json_print(builder);
    } else {
        cmd_table_print(table, cmd_context_quiet(context));
    }
    return 0;
}
