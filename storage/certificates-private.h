/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the parts of the certificate cache. */
#pragma once

#include "storage/certificates.h"

struct StorageCertificates {
    PolicyStore *store;
    const AppraisalAnchors *anchors;
};

/* Names of files in the cache. */
gchar *storage_certificate_vcek_name(AppraisalLine line, const char *chip, const PolicyTcb *tcb);
gchar *storage_certificate_authority_name(AppraisalLine line, StorageCertificateKind kind);
gchar *storage_certificate_crl_name(const StorageCertificates *cache, AppraisalLine line, AppraisalSigner signer);
/* TCB_VERSION as it stands in a report of @line, hexadecimal. */
gchar *storage_certificate_tcb_name(AppraisalLine line, const PolicyTcb *tcb);

/* storage_certificate_read() of DER to its last byte. */
StorageCertificate *storage_certificate_read_der(const StorageCertificates *cache, const guint8 *data, gsize size,
                                                 AppraisalSigner signer_hint, GError **error);
