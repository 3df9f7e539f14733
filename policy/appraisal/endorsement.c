/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The certificate of the key that signs reports. What it says is read here; who signed it, chain.c checks. */
#include <openssl/err.h>
#include <string.h>

#include "policy/appraisal/certificate.h"
#include "policy/appraisal/extensions.h"

#include "measure/foreign-autoptr.h"
#include "policy/appraisal/private.h"

/* Parts of the TCB that every certificate has: boot loader, TEE, SNP, microcode. */
#define LEVELS_REQUIRED (1u << 1 | 1u << 2 | 1u << 3 | 1u << 8)
#define LEVEL_FMC 9
#define LEVEL_RESERVED_FIRST 4
#define LEVEL_RESERVED_LAST 7
#define STRUCT_VERSION_MAX 1
/* An uncompressed point of P-384. */
#define POINT_SIZE 97

/* What OpenSSL has to say about it stays in its queue for nobody. */
#define refuse(error, ...) (ERR_clear_error(), appraisal_refuse(error, "certificate", __VA_ARGS__))

/* P-384 by its name, so that no key brings a curve of its own. */
static gboolean check_key(const AppraisalEndorsement *endorsement, GError **error)
{
    X509_PUBKEY *key = X509_get_X509_PUBKEY(endorsement->certificate);
    X509_ALGOR *algorithm = NULL;
    const ASN1_OBJECT *object = NULL;
    const guint8 *point = NULL;
    const void *curve = NULL;
    int size = 0, type = V_ASN1_UNDEF;

    if (!key || !X509_PUBKEY_get0_param(NULL, &point, &size, &algorithm, key))
        return refuse(error, "it has no public key");
    X509_ALGOR_get0(&object, &type, &curve, algorithm);
    if (OBJ_obj2nid(object) != NID_X9_62_id_ecPublicKey || type != V_ASN1_OBJECT ||
        OBJ_obj2nid(curve) != NID_secp384r1 || size != POINT_SIZE || point[0] != POINT_CONVERSION_UNCOMPRESSED ||
        !X509_get0_pubkey(endorsement->certificate))
        return refuse(error, "its key is not an ECDSA key on P-384");
    return TRUE;
}

static gboolean read_names(AppraisalEndorsement *endorsement, GError **error)
{
    g_autofree gchar *subject = appraisal_name_common(X509_get_subject_name(endorsement->certificate));
    g_autofree gchar *issuer = appraisal_name_common(X509_get_issuer_name(endorsement->certificate));
    AppraisalAuthorityKind kind = APPRAISAL_AUTHORITY_ARK;
    gboolean vlek = g_strcmp0(subject, "SEV-VLEK") == 0;

    if (!vlek && g_strcmp0(subject, "SEV-VCEK") != 0)
        return refuse(error, "its subject is '%s', neither SEV-VCEK nor SEV-VLEK", subject ? subject : "");
    if (!issuer || !appraisal_authority_from_name(issuer, &kind, &endorsement->line) ||
        kind != (vlek ? APPRAISAL_AUTHORITY_ASVK : APPRAISAL_AUTHORITY_ASK))
        return refuse(error, "its issuer is '%s', who signs no %s", issuer ? issuer : "", subject);
    endorsement->kind = vlek ? APPRAISAL_SIGNER_VLEK : APPRAISAL_SIGNER_VCEK;
    return TRUE;
}

static gboolean check_levels(const AppraisalExtensions *found, gboolean turin, GError **error)
{
    gboolean fmc = (found->present >> LEVEL_FMC) & 1;

    if ((found->present & LEVELS_REQUIRED) != LEVELS_REQUIRED)
        return refuse(error, "one of blSPL, teeSPL, snpSPL and ucodeSPL is missing");
    if (fmc != turin)
        return refuse(error, turin ? "fmcSPL is missing" : "it has an fmcSPL, which only Turin has");
    for (int i = LEVEL_RESERVED_FIRST; i <= LEVEL_RESERVED_LAST; i++) {
        if (found->spl[i])
            return refuse(error, "spl%d is reserved and is %u instead of 0", i, found->spl[i]);
    }
    return TRUE;
}

/* A VCEK names its chip, a VLEK the provider that it was made for. */
static gboolean check_identity(const AppraisalExtensions *found, const AppraisalEndorsement *endorsement,
                               GError **error)
{
    gboolean vlek = endorsement->kind == APPRAISAL_SIGNER_VLEK;

    if (found->hwid && found->csp_id)
        return refuse(error, "it has both a HWID and a CSP_ID");
    if (vlek ? !found->csp_id : !found->hwid)
        return refuse(error, vlek ? "it is a VLEK without a CSP_ID" : "it is a VCEK without a HWID");
    if (!vlek && (g_bytes_get_size(found->hwid) == 8) != (endorsement->line == APPRAISAL_LINE_TURIN))
        return refuse(error, "its HWID has %" G_GSIZE_FORMAT " bytes, which no %s has", g_bytes_get_size(found->hwid),
                      appraisal_line_name(endorsement->line));
    return TRUE;
}

static gboolean read_amd(AppraisalEndorsement *endorsement, GError **error)
{
    g_auto(AppraisalExtensions) found = {0};
    gboolean turin = endorsement->line == APPRAISAL_LINE_TURIN;
    AppraisalLine line = APPRAISAL_LINE_UNKNOWN;

    if (!appraisal_extensions_read(endorsement->certificate, &found, error))
        return FALSE;
    if (found.struct_version > STRUCT_VERSION_MAX)
        return refuse(error, "structVersion %u; this program knows 0 and 1", found.struct_version);
    if (!appraisal_line_from_name(found.product, &line) || line != endorsement->line)
        return refuse(error, "its product is '%s', and its issuer is that of %s", found.product,
                      appraisal_line_name(endorsement->line));
    if (!check_levels(&found, turin, error) || !check_identity(&found, endorsement, error))
        return FALSE;
    endorsement->tcb = (PolicyTcb){
        .bootloader = found.spl[1],
        .tee = found.spl[2],
        .snp = found.spl[3],
        .microcode = found.spl[8],
        .fmc = turin ? found.spl[LEVEL_FMC] : -1,
    };
    endorsement->product = g_steal_pointer(&found.product);
    endorsement->hwid = g_steal_pointer(&found.hwid);
    endorsement->csp_id = g_steal_pointer(&found.csp_id);
    return TRUE;
}

AppraisalEndorsement *appraisal_endorsement_parse(gconstpointer data, gsize size, GError **error)
{
    g_autoptr(AppraisalEndorsement) endorsement = g_new0(AppraisalEndorsement, 1);
    X509 *certificate = endorsement->certificate = appraisal_certificate_parse(data, size, error);

    if (!certificate || !read_names(endorsement, error) || !check_key(endorsement, error) ||
        !read_amd(endorsement, error))
        return NULL;
    if (!appraisal_algorithm_is_pss(X509_get0_tbs_sigalg(certificate))) {
        refuse(error, "it is not signed with RSASSA-PSS, SHA-384 and a salt of 48 bytes");
        return NULL;
    }
    if (!appraisal_time_read(X509_get0_notBefore(certificate), &endorsement->not_before) ||
        !appraisal_time_read(X509_get0_notAfter(certificate), &endorsement->not_after)) {
        refuse(error, "its validity cannot be read");
        return NULL;
    }
    return g_steal_pointer(&endorsement);
}

void appraisal_endorsement_free(AppraisalEndorsement *endorsement)
{
    if (!endorsement)
        return;
    X509_free(endorsement->certificate);
    g_free(endorsement->product);
    g_free(endorsement->csp_id);
    g_clear_pointer(&endorsement->hwid, g_bytes_unref);
    g_free(endorsement);
}
