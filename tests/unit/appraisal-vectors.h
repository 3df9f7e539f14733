/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The real reports and certificates among the collected vectors, for the tests of the verifier. */
#pragma once

#include "policy/appraisal/certificate.h"

/* Inside the validity of every certificate among the vectors but the one VLEK. 2026-11-22T00:00:00Z. */
#define VECTORS_TIME G_GINT64_CONSTANT(1795305600)
/* Inside that of the VLEK, 2025-02-19T21:20:00Z. */
#define VECTORS_VLEK_TIME G_GINT64_CONSTANT(1740000000)

/* Each with the report, the certificate of its key, and when that is valid. */
static const struct {
    const char *folder, *report, *certificate;
    AppraisalLine line;
    gint64 at;
} vectors_reports[] = {
    {"milan-v2-google", "report.bin", "vcek.der", APPRAISAL_LINE_MILAN, VECTORS_TIME},
    {"milan-v2-virtee", "report.bin", "vcek.der", APPRAISAL_LINE_MILAN, VECTORS_TIME},
    {"milan-v2-azure", "report.bin", "vcek-chain.pem", APPRAISAL_LINE_MILAN, VECTORS_TIME},
    {"milan-v3-azure", "report.bin", "vcek.pem", APPRAISAL_LINE_MILAN, VECTORS_TIME},
    {"milan-v3-microsoft", "report.bin", "vcek.pem", APPRAISAL_LINE_MILAN, VECTORS_TIME},
    {"genoa-v3-microsoft", "report.bin", "vcek.pem", APPRAISAL_LINE_GENOA, VECTORS_TIME},
    {"turin-v5-microsoft", "report.bin", "vcek.pem", APPRAISAL_LINE_TURIN, VECTORS_TIME},
    {"vlek-trustee", "report.bin", "vlek.der", APPRAISAL_LINE_MILAN, VECTORS_VLEK_TIME},
};
#define VECTORS_REPORTS G_N_ELEMENTS(vectors_reports)

/* %NULL without the vectors. */
static inline const char *vectors_folder(void)
{
    const char *folder = g_getenv("VIRT_ATTEST_VECTORS");

    return folder && g_file_test(folder, G_FILE_TEST_IS_DIR) ? folder : NULL;
}

static inline GBytes *vectors_read(const char *folder, const char *name)
{
    g_autofree gchar *path = g_build_filename(vectors_folder(), folder, name, NULL);
    g_autoptr(GError) error = NULL;
    GBytes *data = appraisal_file_read(path, 1024 * 1024, &error);

    g_assert_no_error(error);
    return data;
}

static inline GBytes *vectors_read_report(const char *folder, const char *name)
{
    g_autofree gchar *below = g_build_filename("reports", folder, NULL);

    return vectors_read(below, name);
}

static inline AppraisalReport *vectors_report(gsize index)
{
    g_autoptr(GBytes) data = vectors_read_report(vectors_reports[index].folder, vectors_reports[index].report);
    g_autoptr(GError) error = NULL;
    AppraisalReport *report = appraisal_report_parse(g_bytes_get_data(data, NULL), g_bytes_get_size(data), &error);

    g_assert_no_error(error);
    return report;
}

/* The first certificate of the file; the rest, if any, into @others. */
static inline AppraisalEndorsement *vectors_endorsement(const char *folder, const char *name, GPtrArray *others)
{
    g_autoptr(GBytes) data = vectors_read_report(folder, name);
    g_autoptr(GPtrArray) found = appraisal_blobs_new();
    g_autoptr(GError) error = NULL;
    AppraisalEndorsement *endorsement = NULL;

    appraisal_certificates_read(g_bytes_get_data(data, NULL), g_bytes_get_size(data), found, &error);
    g_assert_no_error(error);
    const AppraisalBlob *first = g_ptr_array_index(found, 0);
    endorsement =
        appraisal_endorsement_parse(g_bytes_get_data(first->data, NULL), g_bytes_get_size(first->data), &error);
    g_assert_no_error(error);
    for (guint i = 1; others && i < found->len; i++) {
        const AppraisalBlob *blob = g_ptr_array_index(found, i);
        appraisal_blobs_add(others, blob->role, blob->data);
    }
    return endorsement;
}
