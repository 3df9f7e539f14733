/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the certificates and revocation lists of an appraisal come from, besides the evidence itself. */
#pragma once

#include "virsh-wrappers/certificates.h"

/**
 * CmdEndorsements:
 * @job: cache and anchors; asks the network only when told to
 * @certificates: (element-type AppraisalBlob): "vcek", "vlek", "ask", "ark"; none of them trusted
 * @signer: (nullable): the one of them whose key signed the report
 * @crls: (element-type AppraisalCrl)
 */
typedef struct {
    CmdCertificates job;
    GPtrArray *certificates, *crls;
    AppraisalEndorsement *signer;
} CmdEndorsements;
void cmd_endorsements_clear(CmdEndorsements *endorsements);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdEndorsements, cmd_endorsements_clear)

/**
 * cmd_find_endorsements:
 * @evidence: what is to be appraised: which chip, which TCB, and what came with it
 *
 * Reads --certificates (files and folders: DER, PEM with any number, certificate tables, revocation lists) and --crl. A
 * file that was named must be readable; one in a folder that is nothing of these is left alone. What is missing then
 * comes from the cache, and with --fetch or --kds from the Key Distribution Service. That nothing is found is no error:
 * the verdict says what is missing, and warnings why.
 */
gboolean cmd_find_endorsements(CmdContext *context, const AppraisalEvidence *evidence, CmdEndorsements *out,
                               GError **error);
