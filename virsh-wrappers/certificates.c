/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/certificates.h"

#include <stdio.h>
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/output.h"

/* For how long a revocation list is not asked for again; AMD's hold for longer than anybody should wait to hear. */
#define CRL_REFRESH_SECONDS (24 * 60 * 60)

static void warn(CmdCertificates *job, gchar *text)
{
    if (text && !g_ptr_array_find_with_equal_func(job->warnings, text, g_str_equal, NULL)) {
        g_ptr_array_add(job->warnings, text);
    } else {
        g_free(text);
    }
}

gboolean cmd_certificates_open(CmdCertificates *job, CmdContext *context, GError **error)
{
    const char *anchor = cmd_context_get(context, "trust-anchor");
    g_autoptr(GError) cause = NULL;
    guint64 timeout = STORAGE_KDS_TIMEOUT;
    job->warnings = g_ptr_array_new_with_free_func(g_free);
    job->url = cmd_context_get(context, "kds");
    job->offline = cmd_context_has(context, "offline");
    job->refresh = cmd_context_has(context, "refresh");
    job->quiet = cmd_context_quiet(context);
    if (!cmd_arguments_number(context->arguments, "timeout", 1, 3600, &timeout, error)) {
        return FALSE;
    }
    if (job->offline && (job->url || job->refresh)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--offline asks nobody: leave out --%s",
                    job->url ? "kds" : "refresh");
        return FALSE;
    }
    /* Said at once, not only when something turns out to be missing. */
    if (job->url && !storage_kds_check_url(job->url, error)) {
        g_prefix_error(error, "--kds ");
        return FALSE;
    }
    job->timeout = (guint)timeout;
    job->anchors = anchor ? appraisal_anchors_load(anchor, error) : appraisal_anchors_builtin();
    if (!job->anchors) {
        return FALSE;
    }
    PolicyStore *store = cmd_context_store(context, &cause);
    if (!store) {
        warn(job, g_strdup_printf("nothing is kept in a cache of certificates: %s", cause->message));
    }
    job->cache = storage_certificates_new(store, job->anchors);
    return TRUE;
}

void cmd_certificates_clear(CmdCertificates *job)
{
    g_clear_pointer(&job->kds, storage_kds_free);
    g_clear_pointer(&job->cache, storage_certificates_free);
    g_clear_pointer(&job->anchors, appraisal_anchors_free);
    g_clear_pointer(&job->warnings, g_ptr_array_unref);
}

void cmd_certificates_warn(const CmdCertificates *job)
{
    for (guint i = 0; i < job->warnings->len; i++) {
        cmd_warn("%s", (const char *)g_ptr_array_index(job->warnings, i));
    }
}

/* People want to know what they are waiting for. */
static void show_notice(const char *text, gpointer user_data)
{
    const CmdCertificates *job = user_data;
    g_autofree gchar *shown = cmd_printable(text);
    if (!job->quiet) {
        fprintf(stderr, "%s\n", shown);
    }
}

/* The service; @what is missing when it may not be asked. */
static StorageKds *service(CmdCertificates *job, const char *what, AppraisalLine line, GError **error)
{
    const StorageKdsOptions options = {
        .url = job->url, .timeout = job->timeout, .notice = show_notice, .user_data = job};
    if (job->offline) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "%s of %s is not in the cache, and %s nobody is asked: fetch it where there is a network "
                    "(virt-attest certs fetch, certs export) and bring it here (certs import)",
                    what, appraisal_line_name(line), job->exporting ? "for an export" : "with --offline");
        return NULL;
    }
    if (!job->kds) {
        job->kds = storage_kds_new(&options, error);
    }
    return job->kds;
}

static gint64 now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

AppraisalEndorsement *cmd_certificates_vcek(CmdCertificates *job, AppraisalLine line, const char *chip,
                                            const PolicyTcb *tcb, const char **source, GError **error)
{
    g_autofree gchar *path = storage_kds_vcek_path(line, chip, tcb, error);
    gchar *why = NULL;
    if (!path) {
        return NULL;
    }
    g_autoptr(AppraisalEndorsement) found = storage_certificates_vcek(job->cache, line, chip, tcb, &why);
    warn(job, why);
    *source = CMD_CERTIFICATE_CACHE;
    /* Offline one that has expired is better than none: for a report of that time it is the right one. */
    if (found && (job->offline || (!job->refresh && now() <= found->not_after))) {
        return g_steal_pointer(&found);
    }
    StorageKds *kds = service(job, "the VCEK of this chip and TCB", line, error);
    if (!kds) {
        return NULL;
    }
    *source = CMD_CERTIFICATE_KDS;
    gchar *warning = NULL;
    AppraisalEndorsement *fetched = storage_kds_fetch_vcek(kds, job->cache, line, chip, tcb, &warning, error);
    warn(job, warning);
    return fetched;
}

GPtrArray *cmd_certificates_chain(CmdCertificates *job, AppraisalLine line, AppraisalSigner signer, const char **source,
                                  GError **error)
{
    g_autoptr(GPtrArray) found = storage_certificates_intermediates(job->cache, line, signer);
    *source = CMD_CERTIFICATE_CACHE;
    if (found->len == 2 && !job->refresh) {
        return g_steal_pointer(&found);
    }
    const char *what = signer == APPRAISAL_SIGNER_VLEK ? "the certificate chain (ASVK and ARK)"
                                                       : "the certificate chain (ASK and ARK)";
    StorageKds *kds = service(job, what, line, error);
    if (!kds) {
        return NULL;
    }
    *source = CMD_CERTIFICATE_KDS;
    gchar *warning = NULL;
    GPtrArray *fetched = storage_kds_fetch_chain(kds, job->cache, line, signer, &warning, error);
    warn(job, warning);
    return fetched;
}

AppraisalCrl *cmd_certificates_crl(CmdCertificates *job, AppraisalLine line, AppraisalSigner signer,
                                   const char **source, GError **error)
{
    gint64 fetched_at = 0;
    gchar *why = NULL;
    g_autoptr(GError) cause = NULL;
    g_autoptr(AppraisalCrl) found = storage_certificates_crl(job->cache, line, signer, &fetched_at, &why);
    gboolean holds = found && now() < appraisal_crl_next_update(found);
    warn(job, why);
    *source = CMD_CERTIFICATE_CACHE;
    /* Offline a stale one is given too: what it revokes is revoked, and whoever uses it sees its dates. */
    if (found && (job->offline ||
                  (holds && !job->refresh && fetched_at <= now() && now() - fetched_at < CRL_REFRESH_SECONDS))) {
        return g_steal_pointer(&found);
    }
    StorageKds *kds = service(job, "the revocation list", line, error);
    if (!kds) {
        return NULL;
    }
    gchar *warning = NULL;
    AppraisalCrl *fetched = storage_kds_fetch_crl(kds, job->cache, line, signer, &warning, &cause);
    warn(job, warning);
    if (fetched) {
        *source = CMD_CERTIFICATE_KDS;
        return fetched;
    }
    if (holds && !job->refresh && cause->code == ATTEST_ERROR_UNREADABLE) {
        warn(job, g_strdup_printf("the revocation list of the cache is used, which still holds: %s", cause->message));
        return g_steal_pointer(&found);
    }
    g_propagate_error(error, g_steal_pointer(&cause));
    return NULL;
}

void cmd_certificates_take(CmdCertificates *job, const GPtrArray *blobs, GPtrArray *kept)
{
    AppraisalSigner signer = APPRAISAL_SIGNER_VCEK;
    for (guint i = 0; i < blobs->len; i++) {
        const AppraisalBlob *blob = g_ptr_array_index(blobs, i);
        signer = g_str_equal(blob->role, "vlek") ? APPRAISAL_SIGNER_VLEK : signer;
    }
    for (guint i = 0; i < blobs->len; i++) {
        const AppraisalBlob *blob = g_ptr_array_index(blobs, i);
        g_autoptr(GError) error = NULL;
        /* Hosts may put more than certificates into a table. */
        if (strchr(blob->role, '-')) {
            continue;
        }
        StorageCertificate *found = storage_certificate_read(job->cache, g_bytes_get_data(blob->data, NULL),
                                                             g_bytes_get_size(blob->data), signer, &error);
        if (found && !storage_certificates_put(job->cache, found, &error)) {
            warn(job, g_strdup_printf("what came with the report could not be kept: %s", error->message));
        } else if (!found) {
            warn(job, g_strdup_printf("the %s that came along is not used: %s", blob->role, error->message));
        }
        if (found && kept) {
            g_ptr_array_add(kept, found);
        } else {
            storage_certificate_free(found);
        }
    }
}
