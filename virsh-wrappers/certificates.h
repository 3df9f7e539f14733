/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates for commands: from the cache, and where that has none and the network may be asked, from the service. */
#pragma once

#include "storage/kds.h"
#include "virsh-wrappers/context.h"

/* Rows for the option tables of commands that call cmd_certificates_open(). */
#define CMD_CERTIFICATE_OPTIONS                                                                                        \
    {"kds", 0, CMD_VALUE, "URL", "ask this Key Distribution Service, such as a mirror (default: AMD's)"},              \
        {"offline", 0, CMD_FLAG, NULL, "never ask the network: what is not in the cache is missing"},                  \
        {"timeout", 0, CMD_VALUE, "SECONDS", "give up on a document (default: 120) or a guest (default: 60) after this time"},  \
    {                                                                                                                  \
        "trust-anchor", 0, CMD_VALUE, "FILE", "trust the roots in this PEM file instead of AMD's: of a test authority" \
    }

/**
 * CmdCertificates:
 * @offline: nothing is asked
 * @exporting: because an export asks nobody, and not by --offline
 * @refresh: ask for what is in the cache as well
 * @quiet: say nothing about waiting
 * @warnings: (element-type utf8): what has gone wrong without being an error
 */
typedef struct {
    AppraisalAnchors *anchors;
    StorageCertificates *cache;
    StorageKds *kds; /* made at the first question */
    const char *url;
    guint timeout;
    gboolean offline, exporting, refresh, quiet;
    GPtrArray *warnings;
} CmdCertificates;

/* Reads the options above. A state folder that cannot be used is a warning: then nothing is in the cache. */
gboolean cmd_certificates_open(CmdCertificates *job, CmdContext *context, GError **error);
void cmd_certificates_clear(CmdCertificates *job);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CmdCertificates, cmd_certificates_clear)

/* Where something has come from. */
#define CMD_CERTIFICATE_CACHE "cache"
#define CMD_CERTIFICATE_KDS "service"
#define CMD_CERTIFICATE_EVIDENCE "report"

/**
 * cmd_certificates_vcek / cmd_certificates_chain / cmd_certificates_crl:
 * @source: (out): one of the words above
 *
 * Errors: %ATTEST_ERROR_UNREADABLE: it is not there and cannot be had; as storage_kds_fetch_vcek(). A revocation list
 * of the cache is asked for again after a day, and is used for as long as it holds when the service does not answer.
 */
AppraisalEndorsement *cmd_certificates_vcek(CmdCertificates *job, AppraisalLine line, const char *chip,
                                            const PolicyTcb *tcb, const char **source, GError **error);
GPtrArray *cmd_certificates_chain(CmdCertificates *job, AppraisalLine line, AppraisalSigner signer, const char **source,
                                  GError **error);
AppraisalCrl *cmd_certificates_crl(CmdCertificates *job, AppraisalLine line, AppraisalSigner signer,
                                   const char **source, GError **error);
/**
 * cmd_certificates_take:
 * @blobs: (element-type AppraisalBlob): what came with a report, or out of a file
 * @kept: (element-type StorageCertificate) (nullable): gets what was good
 *
 * Puts into the cache what is signed by the anchors; the rest is a warning.
 */
void cmd_certificates_take(CmdCertificates *job, const GPtrArray *blobs, GPtrArray *kept);
/* Prints the warnings, each once. */
void cmd_certificates_warn(const CmdCertificates *job);
