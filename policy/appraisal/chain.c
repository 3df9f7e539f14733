/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the endorsement key to the anchors. The anchors hold the ASKs and ASVKs themselves, whose signatures by their
 * ARK were checked when the table was made or the file was read: so one signature is left to verify, and it depends on
 * nothing but the certificate. It is remembered; times are looked at every time.
 */
#include <openssl/err.h>
#include <string.h>

#include "measure/error.h"
#include "policy/appraisal/certificate.h"

#include "measure/foreign-autoptr.h"

static gboolean reject(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean reject(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree gchar *text = g_strdup_vprintf(format, args);
    va_end(args);
    ERR_clear_error();
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "certificate chain: %s", text);
    return FALSE;
}

static gboolean check_time(const char *name, gint64 not_before, gint64 not_after, gint64 at, GError **error)
{
    g_autofree gchar *now = appraisal_time_format(at);

    if (at == APPRAISAL_ANY_TIME)
        return TRUE;
    if (at < not_before) {
        g_autofree gchar *start = appraisal_time_format(not_before);
        return reject(error, "%s is not valid before %s, and it is %s", name, start, now);
    }
    if (at > not_after) {
        g_autofree gchar *end = appraisal_time_format(not_after);
        return reject(error, "%s has expired at %s, and it is %s", name, end, now);
    }
    return TRUE;
}

static gboolean check_authority_time(const AppraisalAuthority *authority, gint64 at, GError **error)
{
    g_autofree gchar *name = appraisal_authority_name(authority->kind, authority->line);

    return check_time(name, authority->not_before, authority->not_after, at, error);
}

/*
 * A certificate that came along and says it is @authority: the very certificate of the anchors, or another one for the
 * same key, as AMD makes one when the old one nears its end.
 */
static gboolean fits(const AppraisalBlob *blob, const AppraisalAuthority *authority, const AppraisalAuthority *root,
                     gint64 at, GError **error)
{
    g_autofree gchar *name = appraisal_authority_name(authority->kind, authority->line);
    g_autoptr(GError) cause = NULL;
    g_autoptr(X509) certificate =
        appraisal_certificate_parse(g_bytes_get_data(blob->data, NULL), g_bytes_get_size(blob->data), &cause);
    guint8 digest[MEASURE_SHA256_SIZE];
    gint64 not_before = 0, not_after = 0;
    unsigned int length = 0;

    if (!certificate)
        return reject(error, "the %s that came along: %s", blob->role, cause->message);
    if (!X509_digest(certificate, EVP_sha256(), digest, &length))
        return reject(error, "the %s that came along has no digest", blob->role);
    if (memcmp(digest, authority->fingerprint, sizeof(digest)) == 0)
        return TRUE;
    if (X509_NAME_cmp(X509_get_subject_name(certificate), authority->name) != 0 ||
        X509_NAME_cmp(X509_get_issuer_name(certificate), root->name) != 0)
        return reject(error, "the %s that came along is not %s", blob->role, name);
    if (!X509_get0_pubkey(certificate) || EVP_PKEY_eq(X509_get0_pubkey(certificate), authority->key) != 1)
        return reject(error, "the %s that came along calls itself %s and has another key", blob->role, name);
    if (!appraisal_algorithm_is_pss(X509_get0_tbs_sigalg(certificate)) || X509_verify(certificate, root->key) != 1)
        return reject(error, "the %s that came along calls itself %s and is not signed by ARK-%s", blob->role, name,
                      appraisal_line_name(authority->line));
    if (!appraisal_time_read(X509_get0_notBefore(certificate), &not_before) ||
        !appraisal_time_read(X509_get0_notAfter(certificate), &not_after))
        return reject(error, "the %s that came along has a validity that cannot be read", blob->role);
    return check_time(name, not_before, not_after, at, error);
}

static gboolean check_intermediates(const GPtrArray *intermediates, const AppraisalAuthority *issuer,
                                    const AppraisalAuthority *root, gint64 at, GError **error)
{
    for (guint i = 0; intermediates && i < intermediates->len; i++) {
        const AppraisalBlob *blob = g_ptr_array_index(intermediates, i);

        if (g_str_equal(blob->role, "ask") && !fits(blob, issuer, root, at, error))
            return FALSE;
        if (g_str_equal(blob->role, "ark") && !fits(blob, root, root, at, error))
            return FALSE;
    }
    return TRUE;
}

/* SEV-VCEK or SEV-VLEK under the same organisation as its issuer. */
static gboolean subject_fits(const AppraisalEndorsement *endorsement, const AppraisalAuthority *issuer)
{
    const char *common = endorsement->kind == APPRAISAL_SIGNER_VLEK ? "SEV-VLEK" : "SEV-VCEK";
    g_autoptr(X509_NAME) name = X509_NAME_dup(issuer->name);
    int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);

    X509_NAME_ENTRY_free(X509_NAME_delete_entry(name, index));
    return X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_UTF8STRING, (const guint8 *)common, -1, index, 0) &&
           X509_NAME_cmp(name, X509_get_subject_name(endorsement->certificate)) == 0;
}

static gboolean check_signature(const AppraisalEndorsement *endorsement, const AppraisalAnchors *anchors,
                                const AppraisalAuthority *issuer, GError **error)
{
    guint8 digest[MEASURE_SHA256_SIZE];
    unsigned int length = 0;

    if (!X509_digest(endorsement->certificate, EVP_sha256(), digest, &length))
        return reject(error, "the certificate has no digest");
    if (appraisal_anchors_knows(anchors, digest))
        return TRUE;
    if (X509_verify(endorsement->certificate, issuer->key) != 1) {
        g_autofree gchar *name = appraisal_authority_name(issuer->kind, issuer->line);
        return reject(error, "%s has not signed this certificate", name);
    }
    appraisal_anchors_remember(anchors, digest);
    return TRUE;
}

gboolean appraisal_chain_verify(const AppraisalEndorsement *endorsement, const AppraisalAnchors *anchors,
                                const GPtrArray *intermediates, gint64 at, GError **error)
{
    gboolean vlek = endorsement->kind == APPRAISAL_SIGNER_VLEK;
    AppraisalAuthorityKind kind = vlek ? APPRAISAL_AUTHORITY_ASVK : APPRAISAL_AUTHORITY_ASK;
    const AppraisalAuthority *issuer = appraisal_anchors_find(anchors, kind, endorsement->line);
    const AppraisalAuthority *root = appraisal_anchors_find(anchors, APPRAISAL_AUTHORITY_ARK, endorsement->line);
    g_autofree gchar *name = appraisal_authority_name(kind, endorsement->line);

    if (!issuer || !root)
        return reject(error, "there is no trust anchor %s", name);
    if (X509_NAME_cmp(X509_get_issuer_name(endorsement->certificate), issuer->name) != 0 ||
        !subject_fits(endorsement, issuer))
        return reject(error, "the names in the certificate are not those under which %s signs", name);
    return check_intermediates(intermediates, issuer, root, at, error) && check_authority_time(root, at, error) &&
           check_authority_time(issuer, at, error) &&
           check_time(vlek ? "the VLEK" : "the VCEK", endorsement->not_before, endorsement->not_after, at, error) &&
           check_signature(endorsement, anchors, issuer, error);
}

gboolean appraisal_authority_check(GBytes *certificate, const AppraisalAnchors *anchors, gint64 at, const char **role,
                                   AppraisalLine *line, GError **error)
{
    static const char *const roles[] = {"ark", "ask", "asvk"};
    AppraisalAuthorityKind kind = APPRAISAL_AUTHORITY_ARK;
    g_autoptr(GError) cause = NULL;
    g_autoptr(X509) parsed =
        appraisal_certificate_parse(g_bytes_get_data(certificate, NULL), g_bytes_get_size(certificate), &cause);
    g_autofree gchar *name = parsed ? appraisal_name_common(X509_get_subject_name(parsed)) : NULL;

    if (!parsed)
        return reject(error, "%s", cause->message);
    if (!name || !appraisal_authority_from_name(name, &kind, line))
        return reject(error, "this certificate is none of an ARK, ASK or ASVK");
    *role = roles[kind];
    const AppraisalAuthority *authority = appraisal_anchors_find(anchors, kind, *line);
    const AppraisalAuthority *root = appraisal_anchors_find(anchors, APPRAISAL_AUTHORITY_ARK, *line);
    if (!authority || !root)
        return reject(error, "there is no trust anchor %s", name);
    const AppraisalBlob blob = {.role = (gchar *)*role, .data = certificate};
    return fits(&blob, authority, root, at, error) && check_authority_time(authority, at, error);
}

gboolean appraisal_intermediates_check(const GPtrArray *intermediates, const AppraisalAnchors *anchors, gint64 at,
                                       GError **error)
{
    AppraisalLine all = APPRAISAL_LINE_UNKNOWN;

    for (guint i = 0; i < intermediates->len; i++) {
        const AppraisalBlob *blob = g_ptr_array_index(intermediates, i);
        AppraisalLine line = APPRAISAL_LINE_UNKNOWN;
        const char *role = NULL;

        if (!g_str_equal(blob->role, "ask") && !g_str_equal(blob->role, "ark"))
            continue;
        if (!appraisal_authority_check(blob->data, anchors, at, &role, &line, error))
            return FALSE;
        if (g_str_equal(role, "ark") != g_str_equal(blob->role, "ark"))
            return reject(error, "the certificate given as %s is an %s", blob->role, role);
        if (all != APPRAISAL_LINE_UNKNOWN && line != all)
            return reject(error, "these are certificates of %s and of %s", appraisal_line_name(all),
                          appraisal_line_name(line));
        all = line;
    }
    return all != APPRAISAL_LINE_UNKNOWN || reject(error, "there is no ASK and no ARK in it");
}
