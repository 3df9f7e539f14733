/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * AMD's revocation lists: signed by the ARK of a line, they name ASKs and ASVKs. A list that is too old still revokes
 * what it revokes; it only cannot vouch for the rest.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "measure/error.h"
#include "policy/appraisal/certificate.h"

#include "measure/foreign-autoptr.h"

struct AppraisalCrl {
    X509_CRL *list;
    AppraisalLine line;
    gint64 this_update, next_update;
};

static gboolean refuse(GError **error, const char *what)
{
    ERR_clear_error();
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "revocation list: %s", what);
    return FALSE;
}

static X509_CRL *parse_der(const guint8 *data, gsize size, GError **error)
{
    const guint8 *at = data;
    g_autoptr(X509_CRL) list = d2i_X509_CRL(NULL, &at, (long)size);
    int length = list ? i2d_X509_CRL(list, NULL) : -1;
    g_autofree guint8 *copy = NULL;

    if (!list || at != data + size || length < 0 || (gsize)length != size) {
        refuse(error, list ? "it is not encoded in DER" : "this is neither DER nor PEM of one");
        return NULL;
    }
    copy = g_malloc(size);
    guint8 *to = copy;
    if (i2d_X509_CRL(list, &to) != length || memcmp(copy, data, size) != 0) {
        refuse(error, "it is not encoded in DER");
        return NULL;
    }
    return g_steal_pointer(&list);
}

/* Whether nothing but text is left: what a second list revokes must not be overlooked. */
static gboolean is_last(BIO *bio)
{
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long length = 0;
    gboolean more = PEM_read_bio(bio, &name, &header, &der, &length) == 1;
    gboolean over = !more && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    ERR_clear_error();
    return over;
}

static X509_CRL *parse_any(gconstpointer data, gsize size, GError **error)
{
    BIO *bio = NULL;
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long length = 0;
    X509_CRL *list = NULL;

    if (!g_strstr_len(data, (gssize)size, "-----BEGIN "))
        return parse_der(data, size, error);
    bio = BIO_new_mem_buf(data, (int)size);
    if (!PEM_read_bio(bio, &name, &header, &der, &length))
        refuse(error, "this PEM is damaged");
    else if (!g_str_equal(name, PEM_STRING_X509_CRL) || *header)
        refuse(error, "this PEM has something else");
    else if (!is_last(bio))
        refuse(error, "this PEM has more than one list in it: give each its own file");
    else
        list = parse_der(der, (gsize)length, error);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(bio);
    return list;
}

/* The place where a list is published may be in it; a part of a list, or one for other issuers, is none of AMD's. */
static gboolean covers_everything(const X509_CRL *list)
{
    int critical = 0;
    gboolean good = TRUE;

    for (int i = 0; good && i < X509_CRL_get_ext_count(list); i++) {
        X509_EXTENSION *extension = X509_CRL_get_ext(list, i);

        if (X509_EXTENSION_get_critical(extension))
            good = OBJ_obj2nid(X509_EXTENSION_get_object(extension)) == NID_issuing_distribution_point;
        else
            good = OBJ_obj2nid(X509_EXTENSION_get_object(extension)) != NID_delta_crl;
    }
    ISSUING_DIST_POINT *point = X509_CRL_get_ext_d2i(list, NID_issuing_distribution_point, &critical, NULL);
    if (point)
        good = good && !point->onlyuser && !point->onlyattr && !point->indirectCRL && !point->onlysomereasons;
    else
        good = good && critical == -1;
    ISSUING_DIST_POINT_free(point);
    return good;
}

AppraisalCrl *appraisal_crl_parse(gconstpointer data, gsize size, GError **error)
{
    g_autoptr(AppraisalCrl) crl = g_new0(AppraisalCrl, 1);
    AppraisalAuthorityKind kind = APPRAISAL_AUTHORITY_ARK;
    const X509_ALGOR *algorithm = NULL;
    const ASN1_BIT_STRING *signature = NULL;
    g_autofree gchar *issuer = NULL;

    if (size == 0 || size > APPRAISAL_CRL_MAX_SIZE) {
        refuse(error, size ? "it is larger than 256 KiB" : "it is empty");
        return NULL;
    }
    if (!(crl->list = parse_any(data, size, error)))
        return NULL;
    issuer = appraisal_name_common(X509_CRL_get_issuer(crl->list));
    if (!issuer || !appraisal_authority_from_name(issuer, &kind, &crl->line) || kind != APPRAISAL_AUTHORITY_ARK) {
        refuse(error, "its issuer is none of AMD's ARKs");
        return NULL;
    }
    X509_CRL_get0_signature(crl->list, &signature, &algorithm);
    if (!appraisal_algorithm_is_pss(algorithm)) {
        refuse(error, "it is not signed with RSASSA-PSS, SHA-384 and a salt of 48 bytes");
        return NULL;
    }
    if (!appraisal_time_read(X509_CRL_get0_lastUpdate(crl->list), &crl->this_update) ||
        !appraisal_time_read(X509_CRL_get0_nextUpdate(crl->list), &crl->next_update)) {
        refuse(error, "it does not say from when until when it holds");
        return NULL;
    }
    if (!covers_everything(crl->list)) {
        refuse(error, "it is only a part of a list, or has a critical extension that is not known here");
        return NULL;
    }
    return g_steal_pointer(&crl);
}

void appraisal_crl_free(AppraisalCrl *crl)
{
    if (!crl)
        return;
    X509_CRL_free(crl->list);
    g_free(crl);
}

AppraisalLine appraisal_crl_line(const AppraisalCrl *crl)
{
    return crl->line;
}

gint64 appraisal_crl_this_update(const AppraisalCrl *crl)
{
    return crl->this_update;
}

gint64 appraisal_crl_next_update(const AppraisalCrl *crl)
{
    return crl->next_update;
}

/* Every entry counts, whatever its reason says. */
static gboolean lists(const AppraisalCrl *crl, const ASN1_INTEGER *serial)
{
    STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(crl->list);

    for (int i = 0; i < sk_X509_REVOKED_num(revoked); i++) {
        if (ASN1_INTEGER_cmp(X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(revoked, i)), serial) == 0)
            return TRUE;
    }
    return FALSE;
}

/* The list itself: whose it is, and from when until when it holds. */
static AppraisalCrlState check_list(const AppraisalCrl *crl, const AppraisalAuthority *root, gchar **detail)
{
    const char *line = appraisal_line_name(crl->line);

    if (!root || X509_NAME_cmp(X509_CRL_get_issuer(crl->list), root->name) != 0) {
        *detail = g_strdup_printf("the revocation list names another ARK-%s than the trust anchors", line);
        return APPRAISAL_CRL_BAD;
    }
    if (X509_CRL_verify(crl->list, root->key) != 1) {
        ERR_clear_error();
        *detail = g_strdup_printf("the revocation list is not signed by ARK-%s", line);
        return APPRAISAL_CRL_BAD;
    }
    return APPRAISAL_CRL_GOOD;
}

static AppraisalCrlState check_dates(const AppraisalCrl *crl, gint64 at, gchar **detail)
{
    g_autofree gchar *from = appraisal_time_format(crl->this_update);
    g_autofree gchar *until = appraisal_time_format(crl->next_update);

    if (at != APPRAISAL_ANY_TIME && (at < crl->this_update || at >= crl->next_update)) {
        *detail = g_strdup_printf("the revocation list holds from %s until %s only", from, until);
        return APPRAISAL_CRL_STALE;
    }
    return APPRAISAL_CRL_GOOD;
}

AppraisalCrlState appraisal_crl_check(const AppraisalCrl *crl, const AppraisalEndorsement *endorsement,
                                      const AppraisalAnchors *anchors, gint64 at, gchar **detail)
{
    gboolean vlek = endorsement && endorsement->kind == APPRAISAL_SIGNER_VLEK;
    AppraisalAuthorityKind kind = vlek ? APPRAISAL_AUTHORITY_ASVK : APPRAISAL_AUTHORITY_ASK;
    AppraisalLine line = endorsement ? endorsement->line : crl ? crl->line : APPRAISAL_LINE_UNKNOWN;
    const AppraisalAuthority *issuer = appraisal_anchors_find(anchors, kind, line);
    const AppraisalAuthority *root = appraisal_anchors_find(anchors, APPRAISAL_AUTHORITY_ARK, line);
    g_autofree gchar *name = appraisal_authority_name(kind, line);
    AppraisalCrlState state = APPRAISAL_CRL_ABSENT;

    if (!crl) {
        *detail = g_strdup_printf("there is no revocation list of %s", appraisal_line_name(line));
        return APPRAISAL_CRL_ABSENT;
    }
    if (crl->line != line || (endorsement && !issuer)) {
        *detail = g_strdup_printf("the revocation list is not that of %s", appraisal_line_name(line));
        return APPRAISAL_CRL_BAD;
    }
    if ((state = check_list(crl, root, detail)) != APPRAISAL_CRL_GOOD)
        return state;
    if (endorsement && (lists(crl, issuer->serial) || lists(crl, root->serial))) {
        *detail = g_strdup_printf("%s has been revoked", lists(crl, issuer->serial) ? name : "the ARK");
        return APPRAISAL_CRL_REVOKED;
    }
    if ((state = check_dates(crl, at, detail)) != APPRAISAL_CRL_GOOD)
        return state;
    *detail = endorsement ? g_strdup_printf("%s is not on the revocation list", name)
                          : g_strdup_printf("the revocation list is that of %s", appraisal_line_name(line));
    return APPRAISAL_CRL_GOOD;
}
