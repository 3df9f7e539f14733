/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * AMD's Key Distribution Service (VCEK Certificate and KDS Interface, 57230), or a mirror of it: certificates of chips,
 * the intermediates above them, and what was revoked. What it answers is believed only after it was checked against the
 * roots that are known already, so the worst that it, or somebody in between, can do is to answer nothing useful.
 */
#pragma once

#include "storage/certificates.h"

/* AMD's own. */
#define STORAGE_KDS_URL "https://kdsintf.amd.com"
/* Seconds for one document, all waiting and asking again included. */
#define STORAGE_KDS_TIMEOUT 120
#define STORAGE_KDS_CHAIN_MAX_SIZE (64u * 1024)

typedef struct StorageKds StorageKds;

/**
 * StorageKdsOptions:
 * @url: (nullable): base address; %NULL for %STORAGE_KDS_URL. "https://HOST[:PORT][/PATH]", or "http://…" for a mirror
 *   that somebody chose
 * @timeout: seconds for one document, 1 to 3600; 0 for %STORAGE_KDS_TIMEOUT
 * @notice: (nullable): told, as one sentence, that the service wants us to wait
 */
typedef struct {
    const char *url;
    guint timeout;
    void (*notice)(const char *text, gpointer user_data);
    gpointer user_data;
} StorageKdsOptions;

/**
 * storage_kds_check_url:
 *
 * Whether @url can be the base address of a service. Nothing is asked. Errors: %ATTEST_ERROR_USAGE.
 */
gboolean storage_kds_check_url(const char *url, GError **error);

/**
 * storage_kds_new:
 *
 * Nothing is asked yet. Errors: %ATTEST_ERROR_USAGE: not such an address; %ATTEST_ERROR_NOT_CONFIGURED: libcurl is
 * missing.
 */
StorageKds *storage_kds_new(const StorageKdsOptions *options, GError **error);
void storage_kds_free(StorageKds *kds);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageKds, storage_kds_free)

/**
 * storage_kds_get:
 * @path: with its leading '/'; a program constant or made by one of the functions below
 * @max_size: of the answer, bytes
 *
 * A GET with TLS verification, through the proxy of the environment (https_proxy, no_proxy, …), following at most three
 * redirects that keep the scheme. Status 429 and 5xx and broken connections are tried again: after Retry-After where
 * the answer has one, else with growing pauses, until the timeout would be passed.
 *
 * Returns: (transfer full): the body of an answer with status 200. Errors: %ATTEST_ERROR_UNREADABLE: anything else.
 */
GBytes *storage_kds_get(StorageKds *kds, const char *path, gsize max_size, GError **error);

/**
 * storage_kds_vcek_path:
 * @chip: lower-case hexadecimal digits, 16 on Turin, else 128
 * @tcb: REPORTED_TCB, with an fmc on Turin
 *
 * Returns: "/vcek/v1/Milan/…?blSPL=…". Errors: %ATTEST_ERROR_USAGE: chip or TCB do not fit @line.
 */
gchar *storage_kds_vcek_path(AppraisalLine line, const char *chip, const PolicyTcb *tcb, GError **error);

/**
 * storage_kds_fetch_vcek / storage_kds_fetch_chain / storage_kds_fetch_crl:
 * @cache: gets what was fetched, once it was checked: signed by the roots of the cache, of this line, chip and TCB
 * @warning: (out) (nullable): why it could not be kept, when only that has failed
 *
 * Errors: as storage_kds_get(); %ATTEST_ERROR_REJECTED: the answer is not what was asked for, or not signed by the
 * roots.
 */
AppraisalEndorsement *storage_kds_fetch_vcek(StorageKds *kds, StorageCertificates *cache, AppraisalLine line,
                                             const char *chip, const PolicyTcb *tcb, gchar **warning, GError **error);
/* Returns: (element-type AppraisalBlob): ASK or ASVK, and ARK. */
GPtrArray *storage_kds_fetch_chain(StorageKds *kds, StorageCertificates *cache, AppraisalLine line,
                                   AppraisalSigner signer, gchar **warning, GError **error);
AppraisalCrl *storage_kds_fetch_crl(StorageKds *kds, StorageCertificates *cache, AppraisalLine line,
                                    AppraisalSigner signer, gchar **warning, GError **error);
