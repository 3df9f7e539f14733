/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The attestation report of SEV-SNP: 1184 bytes, read field by field and kept as they came. What is verified is always
 * the raw bytes, never a structure written back. SEV-SNP Firmware ABI (56860), ATTESTATION_REPORT.
 */
#pragma once

#include "policy/reference.h"

#define APPRAISAL_REPORT_SIZE 1184
#define APPRAISAL_SIGNED_SIZE 0x2a0

/* Which TCB layout, and whose certificates. Genoa stands for Bergamo and Siena too. */
typedef enum {
    APPRAISAL_LINE_UNKNOWN, /* version 2 has no processor identity; the certificate tells */
    APPRAISAL_LINE_MILAN,
    APPRAISAL_LINE_GENOA,
    APPRAISAL_LINE_TURIN,
} AppraisalLine;
const char *appraisal_line_name(AppraisalLine line); /* "unknown", "Milan", "Genoa", "Turin" */
gboolean appraisal_line_from_name(const char *name, AppraisalLine *out); /* product names too: "Milan-B0", "Bergamo" */

typedef enum {
    APPRAISAL_SIGNER_VCEK = 0,
    APPRAISAL_SIGNER_VLEK = 1,
    APPRAISAL_SIGNER_NONE = 7,
} AppraisalSigner;

/* TCB_VERSION: PolicyTcb with fmc -1 on lines that have none. @line UNKNOWN is read as Milan's layout. */
void appraisal_tcb_decode(AppraisalLine line, const guint8 raw[8], PolicyTcb *out);
/* Component-wise: TRUE when every component of @tcb is at least that of @minimum; an fmc asked for must be there. */
gboolean appraisal_tcb_at_least(const PolicyTcb *tcb, const PolicyTcb *minimum);
gboolean appraisal_tcb_equal(const PolicyTcb *a, const PolicyTcb *b);

/**
 * AppraisalReport:
 * @raw: the bytes as received
 * @line: by family and model (version 3 and later) or by the chip id; UNKNOWN otherwise; a certificate may settle it
 * @signer: SIGNING_KEY
 * @unusual: (element-type utf8): what newer silicon may set and this version does not know: warnings
 */
typedef struct {
    guint8 raw[APPRAISAL_REPORT_SIZE];
    guint32 version, guest_svn, vmpl, signature_algorithm;
    guint64 policy, platform_info;
    guint8 family_id[16], image_id[16];
    guint8 current_tcb[8], reported_tcb[8], committed_tcb[8], launch_tcb[8];
    gboolean author_key, mask_chip_key;
    AppraisalSigner signer;
    guint8 report_data[64], measurement[48], host_data[32], id_key_digest[48], author_key_digest[48];
    guint8 report_id[32], report_id_ma[32], chip_id[64];
    gboolean has_cpuid;
    guint8 cpuid_family, cpuid_model, cpuid_stepping;
    guint8 current_version[3], committed_version[3]; /* major, minor, build */
    gboolean has_mitigation;
    guint64 launch_mitigation, current_mitigation;
    AppraisalLine line;
    GPtrArray *unusual;
} AppraisalReport;

/**
 * appraisal_report_parse:
 * @data: exactly %APPRAISAL_REPORT_SIZE bytes, hostile
 *
 * Versions 2 to 5. Errors: %ATTEST_ERROR_UNREADABLE: another size, version or signature algorithm, reserved bits that
 * must be zero (named by their offset), a signature number of more than 384 bits.
 */
AppraisalReport *appraisal_report_parse(gconstpointer data, gsize size, GError **error);
void appraisal_report_free(AppraisalReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AppraisalReport, appraisal_report_free)

/* The 16 (Turin) or 128 hexadecimal digits by which the Key Distribution Service and HWID know the chip; NULL when
 * masked. */
gchar *appraisal_report_chip(const AppraisalReport *report, AppraisalLine line);

/**
 * AppraisalEvidence:
 * @report: the report
 * @certificates: (element-type AppraisalBlob): what came with it, not trusted; in the order of the table
 * @form: how it was written: "binary", "extended", "response", "hex", "base64", "json", "hcl", "tsm"
 * @ssh_host_key: (nullable): of an evidence document: "TYPE BASE64", whose digest the report data may hold; not trusted
 * @has_runtime: it is an Azure HCL blob, whose runtime data the report vouches for: its report data begins with their
 * SHA-256
 * @runtime_fault: (nullable): why it does not
 */
typedef struct {
    gchar *role; /* "vcek", "vlek", "ask", "ark", "crl", or the GUID */
    GBytes *data;
} AppraisalBlob;
/* A new (element-type AppraisalBlob) array that owns its elements; and one more at its end: @role is copied. */
GPtrArray *appraisal_blobs_new(void);
void appraisal_blobs_add(GPtrArray *blobs, const char *role, GBytes *data);
typedef struct {
    AppraisalReport *report;
    GPtrArray *certificates;
    const char *form;
    gchar *ssh_host_key;
    gboolean has_runtime;
    const char *runtime_fault;
} AppraisalEvidence;
/* What the program in the guest prints and answers on its channel. */
#define APPRAISAL_DOCUMENT_FORMAT "virt-attest-evidence-1"
/* SHA-256 of the key blob in a line "TYPE BASE64", as ssh-keygen -l has it; FALSE when the line is none. */
gboolean appraisal_ssh_key_digest(const char *line, guint8 digest[MEASURE_SHA256_SIZE]);

#define APPRAISAL_EVIDENCE_MAX_SIZE (1024u * 1024)
/**
 * appraisal_evidence_parse:
 * @data: a report in any of the forms above; which one is told by its contents
 * @aux: (nullable): the certificate table that configfs-tsm has beside it (auxblob)
 */
AppraisalEvidence *appraisal_evidence_parse(gconstpointer data, gsize size, GBytes *aux, GError **error);
void appraisal_evidence_free(AppraisalEvidence *evidence);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AppraisalEvidence, appraisal_evidence_free)
/**
 * appraisal_report_to_json:
 *
 * One line of JSON as virtee's Rust library (sev 1 to 5) and openend2e's get_report write it: integers, and arrays of
 * numbers for bytes, reserved ones included, so that it holds every byte of any version. It is evidence again, unless
 * PLATFORM_INFO has more than the 18 digits that policy/json.h reads.
 */
gchar *appraisal_report_to_json(const AppraisalReport *report);

/**
 * appraisal_table_parse:
 * @out: (element-type AppraisalBlob): from appraisal_blobs_new(); what was found is appended
 *
 * A certificate table: entries of GUID, offset, length, ended by one of zeros. No entry may be empty, there twice, lie
 * outside the data or overlap another. Errors: %ATTEST_ERROR_UNREADABLE.
 */
gboolean appraisal_table_parse(gconstpointer data, gsize size, GPtrArray *out, GError **error);
/* @blobs: roles as above, or GUIDs. */
GBytes *appraisal_table_format(const GPtrArray *blobs);

/**
 * appraisal_file_read:
 * @path: a regular file, of configfs too, or "-" for standard input
 *
 * Errors: %ATTEST_ERROR_UNREADABLE.
 */
GBytes *appraisal_file_read(const char *path, gsize max_size, GError **error);
