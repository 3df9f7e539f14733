/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the parts of 'certs'. */
#pragma once

#include "virsh-wrappers/certificates.h"
#include "virsh-wrappers/output.h"

int cmd_certs_fetch(CmdContext *context, CmdCertificates *job, GError **error);
int cmd_certs_list(CmdContext *context, CmdCertificates *job, GError **error);
int cmd_certs_import(CmdContext *context, CmdCertificates *job, GError **error);
int cmd_certs_export(CmdContext *context, CmdCertificates *job, GError **error);

/* The report in a file, in any form that 'report-show' reads. */
AppraisalEvidence *cmd_certs_read_report(const char *path, GError **error);

/**
 * CmdCertsSubject:
 * @chip: (nullable): %NULL: only chain and revocation list are wanted, or the key is a VLEK
 *
 * Whose certificates are meant.
 */
typedef struct {
    AppraisalLine line;
    AppraisalSigner signer;
    gchar *chip;
    PolicyTcb tcb;
} CmdCertsSubject;
void cmd_certs_subject_clear(CmdCertsSubject *subject);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdCertsSubject, cmd_certs_subject_clear)
/* What @evidence needs; --product and --chip say what a report does not. */
gboolean cmd_certs_subject_from_report(CmdCertsSubject *subject, const CmdContext *context,
                                       const AppraisalEvidence *evidence, GError **error);
/* From --product, --chip and --tcb alone. */
gboolean cmd_certs_subject_from_options(CmdCertsSubject *subject, const CmdContext *context, GError **error);
