/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Evidence in whatever form it was handed over; which one it is, its contents say. All of it is hostile. */
#include <string.h>

#include "measure/bytes.h"
#include "policy/appraisal/evidence-json.h"
#include "policy/appraisal/private.h"
#include "policy/json.h"

/* MSG_REPORT_RSP (56860): status, size of the report, 24 reserved bytes, the report. */
#define RESPONSE_HEADER 0x20
/* Azure keeps the report in a blob of its paravisor's: "HCLA", version, size, type, …; the report follows 32 bytes. */
#define HCL_HEADER 0x20
#define HCL_MAGIC "HCLA"
#define HCL_REQUEST_ATTESTATION 2
/* Behind the report: size of the rest, version, kind of report, digest, size of the runtime data, the runtime data. */
#define HCL_RUNTIME_HEADER 20
#define HCL_DIGEST_SHA256 1

#define refuse(error, ...) appraisal_refuse(error, "evidence", __VA_ARGS__)

static gboolean read_report(AppraisalEvidence *evidence, MeasureBytes bytes, GError **error)
{
    evidence->report = appraisal_report_parse(bytes.data, bytes.size, error);
    return evidence->report != NULL;
}

/*
 * The guest's paravisor asks for the report, with the digest of the runtime data as report data: that data, JSON with
 * the key of the virtual TPM, is worth as much as the report only when the digest is right. A blob without it was cut.
 */
static const char *runtime_fault(const AppraisalReport *report, MeasureBytes runtime)
{
    guint32 digest_kind = 0, size = 0;
    MeasureBytes data;
    guint8 digest[MEASURE_SHA256_SIZE];

    if (!measure_bytes_u32(runtime, 12, &digest_kind) || !measure_bytes_u32(runtime, 16, &size) ||
        !measure_bytes_slice(runtime, HCL_RUNTIME_HEADER, size, &data))
        return "the runtime data of the Azure HCL blob is cut off, so nothing tells what the report vouches for";
    if (digest_kind != HCL_DIGEST_SHA256)
        return "the runtime data of the Azure HCL blob is bound by a digest that is not known here (SHA-256 is)";
    policy_sha256(data.data, data.size, digest);
    return memcmp(report->report_data, digest, sizeof(digest))
               ? "the runtime data of the Azure HCL blob is not what the report vouches for: it was changed, or is of "
                 "another report"
               : NULL;
}

static gboolean read_hcl(AppraisalEvidence *evidence, MeasureBytes bytes, GError **error)
{
    MeasureBytes report, rest;
    guint32 request = 0, size = 0, kind = 0;

    /* The size in the header counts the whole blob, which a TPM may hand over in a larger room. */
    if (!measure_bytes_u32(bytes, 8, &size) || size > bytes.size || size < HCL_HEADER + APPRAISAL_REPORT_SIZE ||
        !measure_bytes_u32(bytes, 12, &request) ||
        !measure_bytes_slice(bytes, HCL_HEADER, APPRAISAL_REPORT_SIZE, &report))
        return refuse(error, "the Azure HCL blob of %" G_GSIZE_FORMAT " bytes is cut off", bytes.size);
    if (request != HCL_REQUEST_ATTESTATION)
        return refuse(error, "the Azure HCL blob has type %u; type 2 has a report", request);
    measure_bytes_slice((MeasureBytes){bytes.data, size}, HCL_HEADER + APPRAISAL_REPORT_SIZE,
                        size - HCL_HEADER - APPRAISAL_REPORT_SIZE, &rest);
    if (measure_bytes_u32(rest, 8, &kind) && kind != 2)
        return refuse(error, "the Azure HCL blob has a report of kind %u; 2 is SEV-SNP", kind);
    evidence->form = "hcl";
    if (!read_report(evidence, report, error))
        return FALSE;
    evidence->runtime_fault = runtime_fault(evidence->report, rest);
    evidence->has_runtime = TRUE;
    return TRUE;
}

static gboolean is_response(MeasureBytes bytes)
{
    guint32 size = 0;

    return bytes.size >= RESPONSE_HEADER + APPRAISAL_REPORT_SIZE && measure_bytes_u32(bytes, 4, &size) &&
           size == APPRAISAL_REPORT_SIZE && appraisal_all_zero(bytes.data + 8, 24);
}

static gboolean read_response(AppraisalEvidence *evidence, MeasureBytes bytes, GError **error)
{
    MeasureBytes report, rest;
    guint32 status = 0;
    gsize end = RESPONSE_HEADER + APPRAISAL_REPORT_SIZE;

    measure_bytes_u32(bytes, 0, &status);
    if (status)
        return refuse(error, "the firmware answered the request with status 0x%x instead of a report", status);
    if (!measure_bytes_slice(bytes, RESPONSE_HEADER, APPRAISAL_REPORT_SIZE, &report) ||
        !measure_bytes_slice(bytes, end, bytes.size - end, &rest) || !appraisal_all_zero(rest.data, rest.size))
        return refuse(error, "something follows the report in the firmware's response");
    evidence->form = "response";
    return read_report(evidence, report, error);
}

static gboolean read_binary(AppraisalEvidence *evidence, MeasureBytes bytes, GError **error)
{
    MeasureBytes report, table;

    if (bytes.size >= 4 && memcmp(bytes.data, HCL_MAGIC, 4) == 0)
        return read_hcl(evidence, bytes, error);
    if (is_response(bytes))
        return read_response(evidence, bytes, error);
    evidence->form = "binary";
    if (!measure_bytes_slice(bytes, 0, APPRAISAL_REPORT_SIZE, &report))
        return read_report(evidence, bytes, error);
    if (!read_report(evidence, report, error))
        return FALSE;
    if (bytes.size == APPRAISAL_REPORT_SIZE)
        return TRUE;
    evidence->form = "extended";
    measure_bytes_slice(bytes, APPRAISAL_REPORT_SIZE, bytes.size - APPRAISAL_REPORT_SIZE, &table);
    return appraisal_table_parse(table.data, table.size, evidence->certificates, error);
}

/* Without the white space, when everything else is from @alphabet; %NULL otherwise. */
static gchar *letters(MeasureBytes bytes, const char *alphabet)
{
    g_autoptr(GString) text = g_string_sized_new(bytes.size);

    for (gsize i = 0; i < bytes.size; i++) {
        char c = (char)bytes.data[i];

        if (g_ascii_isspace(c))
            continue;
        if (!c || !strchr(alphabet, c))
            return NULL;
        g_string_append_c(text, c);
    }
    return text->len ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

static GByteArray *decode_hex(MeasureBytes bytes)
{
    g_autofree gchar *text = letters(bytes, "0123456789abcdefABCDEF");
    g_autoptr(GByteArray) out = g_byte_array_new();

    if (!text || strlen(text) % 2)
        return NULL;
    g_byte_array_set_size(out, (guint)(strlen(text) / 2));
    return measure_hex_decode(text, out->data, out->len) ? g_steal_pointer(&out) : NULL;
}

/* Only what an encoder would have written: GLib's decoder skips what it does not like. */
static GByteArray *decode_base64(MeasureBytes bytes)
{
    g_autofree gchar *text =
        letters(bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=");
    g_autoptr(GByteArray) out = NULL;
    g_autofree gchar *again = NULL;
    gsize size = 0;

    if (!text || strlen(text) % 4)
        return NULL;
    guint8 *data = g_base64_decode(text, &size);
    out = g_byte_array_new_take(data, size);
    again = g_base64_encode(out->data, out->len);
    return g_str_equal(again, text) ? g_steal_pointer(&out) : NULL;
}

static gboolean read_decoded(AppraisalEvidence *evidence, const GByteArray *data, const char *form, GError **error)
{
    if (!read_binary(evidence, (MeasureBytes){data->data, data->len}, error))
        return FALSE;
    evidence->form = form;
    return TRUE;
}

static gboolean read_json(AppraisalEvidence *evidence, MeasureBytes bytes, GError **error)
{
    guint8 raw[APPRAISAL_REPORT_SIZE];

    if (!appraisal_json_parse((const char *)bytes.data, bytes.size, raw, evidence->certificates,
                              &evidence->ssh_host_key, error))
        return FALSE;
    evidence->form = "json";
    return read_report(evidence, (MeasureBytes){raw, sizeof(raw)}, error);
}

/* The first byte of a report is its version, of a response its status: text starts with neither. */
static gboolean read_any(AppraisalEvidence *evidence, MeasureBytes bytes, GError **error)
{
    g_autoptr(GByteArray) decoded = NULL;
    gsize start = 0;

    while (start < bytes.size && g_ascii_isspace((char)bytes.data[start]))
        start++;
    if (start < bytes.size && bytes.data[start] == '{')
        return read_json(evidence, bytes, error);
    if ((decoded = decode_hex(bytes)))
        return read_decoded(evidence, decoded, "hex", error);
    if ((decoded = decode_base64(bytes)))
        return read_decoded(evidence, decoded, "base64", error);
    return read_binary(evidence, bytes, error);
}

static gboolean read_tsm(AppraisalEvidence *evidence, MeasureBytes bytes, GBytes *aux, GError **error)
{
    gsize size = 0;
    gconstpointer table = g_bytes_get_data(aux, &size);

    if (!read_any(evidence, bytes, error))
        return FALSE;
    if (evidence->certificates->len)
        return refuse(error, "the report already has certificates with it; a table beside it cannot be meant");
    if (g_str_equal(evidence->form, "binary"))
        evidence->form = "tsm";
    return appraisal_table_parse(table, size, evidence->certificates, error);
}

AppraisalEvidence *appraisal_evidence_parse(gconstpointer data, gsize size, GBytes *aux, GError **error)
{
    g_autoptr(AppraisalEvidence) evidence = g_new0(AppraisalEvidence, 1);
    MeasureBytes bytes = {data, size};

    evidence->certificates = appraisal_blobs_new();
    if (size > APPRAISAL_EVIDENCE_MAX_SIZE || (aux && g_bytes_get_size(aux) > APPRAISAL_EVIDENCE_MAX_SIZE)) {
        refuse(error, "it is larger than %u bytes", APPRAISAL_EVIDENCE_MAX_SIZE);
        return NULL;
    }
    if (!(aux ? read_tsm(evidence, bytes, aux, error) : read_any(evidence, bytes, error)))
        return NULL;
    return g_steal_pointer(&evidence);
}

void appraisal_evidence_free(AppraisalEvidence *evidence)
{
    if (!evidence)
        return;
    appraisal_report_free(evidence->report);
    g_ptr_array_unref(evidence->certificates);
    g_free(evidence->ssh_host_key);
    g_free(evidence);
}
