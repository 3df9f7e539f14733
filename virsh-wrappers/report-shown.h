/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What report-show prints, gathered before: a report and the certificates that came with it, unverified. */
#pragma once

#include "policy/appraisal/chain.h"

/**
 * CmdShownCertificate:
 * @role: as it came: "vcek", "vlek", "ask", "ark", "crl" or a GUID
 * @sha256: of the bytes, hexadecimal
 * @subject, @issuer: (nullable): common names
 * @endorsement: (nullable): of a VCEK or VLEK that can be read
 * @problem: (nullable): why it cannot be read
 */
typedef struct {
    gchar *role, *sha256, *subject, *issuer, *problem;
    gsize size;
    gboolean has_validity;
    gint64 not_before, not_after;
    AppraisalEndorsement *endorsement;
} CmdShownCertificate;

/**
 * CmdShown:
 * @line: that of the report, or else of a VCEK or VLEK that came along
 * @certificates: (element-type CmdShownCertificate)
 */
typedef struct {
    AppraisalEvidence *evidence;
    AppraisalLine line;
    GPtrArray *certificates;
} CmdShown;

/* @aux: (nullable): path of a certificate table beside the report, or of certificates in PEM or DER */
CmdShown *cmd_shown_read(const char *path, const char *aux, GError **error);
void cmd_shown_free(CmdShown *shown);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CmdShown, cmd_shown_free)

void cmd_shown_print_table(const CmdShown *shown);
void cmd_shown_print_json(const CmdShown *shown);
