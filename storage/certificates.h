/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Certificates and revocation lists that were seen before, in STATE/certificates: what AMD's service has answered and
 * what was brought in by hand. Only what is signed by the roots gets in, and everything is checked again on its way
 * out. An entry that is torn, changed or foreign is as good as none: it is asked for again and replaced, or, offline,
 * missing.
 *
 * File names: Milan.CHIP.TCB.vcek (hexadecimal, TCB as in the report), Milan.NAME.TCB.vlek, Milan.ark, Milan.ask,
 * Milan.asvk, Milan.vcek.crl, Milan.vlek.crl; Milan.KEY.vcek.crl of another authority than AMD, by its key. Contents:
 * a line with the digest of what follows, and DER.
 */
#pragma once

#include "policy/appraisal/chain.h"
#include "policy/store.h"

/* The subfolder of the state folder. */
#define STORAGE_CERTIFICATES "certificates"
#define STORAGE_CERTIFICATE_MAX_SIZE (16u * 1024)
#define STORAGE_CRL_MAX_SIZE (256u * 1024)

typedef enum {
    STORAGE_CERTIFICATE_ARK,
    STORAGE_CERTIFICATE_ASK,
    STORAGE_CERTIFICATE_ASVK,
    STORAGE_CERTIFICATE_VCEK,
    STORAGE_CERTIFICATE_VLEK,
    STORAGE_CERTIFICATE_CRL,
} StorageCertificateKind;
/* "ark", "ask", "asvk", "vcek", "vlek", "crl" */
const char *storage_certificate_kind_name(StorageCertificateKind kind);

/**
 * StorageCertificate:
 * @name: of the file in the cache
 * @signer: of a list: whose intermediate it is about; of a VCEK or ASK and a VLEK or ASVK as one expects
 * @chip: (nullable): of a VCEK, 16 or 128 hexadecimal digits
 * @csp: (nullable): of a VLEK: the operator that it was given to
 * @tcb: of a VCEK or VLEK
 * @not_before, @not_after: validity, Unix seconds; of a list: this and next update
 * @fetched: when it came into the cache, Unix seconds
 * @problem: (nullable): why it is not used; then only @name, and what the name says, is known
 * @data: (nullable): DER
 */
typedef struct {
    gchar *name;
    StorageCertificateKind kind;
    AppraisalLine line;
    AppraisalSigner signer;
    gchar *chip, *csp;
    PolicyTcb tcb;
    gint64 not_before, not_after, fetched;
    gchar *problem;
    GBytes *data;
} StorageCertificate;
void storage_certificate_free(StorageCertificate *certificate);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageCertificate, storage_certificate_free)

typedef struct StorageCertificates StorageCertificates;

/**
 * storage_certificates_new:
 * @store: (nullable): the state folder; with %NULL there is nothing in the cache, and nothing stays in it
 * @anchors: what chains have to end in
 *
 * Both are borrowed and have to live as long.
 */
StorageCertificates *storage_certificates_new(PolicyStore *store, const AppraisalAnchors *anchors);
void storage_certificates_free(StorageCertificates *cache);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageCertificates, storage_certificates_free)

/**
 * storage_certificate_read:
 * @data: one certificate or list in DER or PEM; hostile
 * @signer_hint: of a list, which does not say it itself: whose it is
 *
 * Tells what it is and checks it against the anchors: signature, names, fields; not the dates, which are the business
 * of whoever uses it. @name is set.
 *
 * Errors: %ATTEST_ERROR_UNREADABLE: nothing of the kind; %ATTEST_ERROR_REJECTED: not signed by the anchors.
 */
StorageCertificate *storage_certificate_read(const StorageCertificates *cache, gconstpointer data, gsize size,
                                             AppraisalSigner signer_hint, GError **error);
/**
 * storage_certificates_split:
 * @data: PEM with any number of certificates and lists up to 32, or DER with one; hostile
 *
 * Returns: (element-type GBytes): each of them in DER. Errors: %ATTEST_ERROR_UNREADABLE.
 */
GPtrArray *storage_certificates_split(gconstpointer data, gsize size, GError **error);

/**
 * storage_certificates_put:
 * @certificate: from storage_certificate_read()
 *
 * Atomic; the last of two writers wins, which is no harm. A revocation list that is older than the one that is there
 * stays outside, and that is no error: it could hide what the newer one revokes. So lists are kept under a lock.
 *
 * Errors: %ATTEST_ERROR_NOT_CONFIGURED, %ATTEST_ERROR_UNREADABLE: the state folder cannot be written.
 */
gboolean storage_certificates_put(StorageCertificates *cache, const StorageCertificate *certificate, GError **error);

/**
 * storage_certificates_vcek:
 * @why: (out) (optional) (nullable): what was wrong with an entry that is there
 *
 * Returns: (nullable): the certificate of this chip and TCB, with a good chain; maybe one that is out of date.
 */
AppraisalEndorsement *storage_certificates_vcek(const StorageCertificates *cache, AppraisalLine line, const char *chip,
                                                const PolicyTcb *tcb, gchar **why);
/* (element-type AppraisalEndorsement): all VLEKs of this TCB: a report does not tell whose it is. Never NULL. */
GPtrArray *storage_certificates_vleks(const StorageCertificates *cache, AppraisalLine line, const PolicyTcb *tcb);
/* (element-type AppraisalBlob), for appraisal_chain_verify(): "ask" (which is the ASVK for a VLEK) and "ark", as far as
 * they are there. Never NULL. */
GPtrArray *storage_certificates_intermediates(const StorageCertificates *cache, AppraisalLine line,
                                              AppraisalSigner signer);
/* @fetched: (out) (optional): when it came. The list may be stale. */
AppraisalCrl *storage_certificates_crl(const StorageCertificates *cache, AppraisalLine line, AppraisalSigner signer,
                                       gint64 *fetched, gchar **why);

/* (element-type StorageCertificate): everything, sorted by name, with what is not used. */
GPtrArray *storage_certificates_list(const StorageCertificates *cache, GError **error);
