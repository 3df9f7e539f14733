/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The strict reader of the attestation report. Everything outside the signed part (the upper bytes of both numbers of
 * the signature, the room behind them) is forced to the one value it can have: nobody's signature covers it.
 */
#include "policy/appraisal/report.h"

#include <string.h>

#include "measure/bytes.h"
#include "policy/appraisal/private.h"

#define VERSION_MIN 2
#define VERSION_MAX 5
#define ALGORITHM_ECDSA_P384_SHA384 1
#define VMPL_MAX 3
#define VMPL_HOST 0xffffffffu /* asked for by the host: SNP_HV_REPORT_REQ */

#define POLICY_MUST_BE_ONE (G_GUINT64_CONSTANT(1) << 17)
#define POLICY_KNOWN ((G_GUINT64_CONSTANT(1) << 26) - 1)
/* Bits 0 to 5 and 7; a Turin of 2026 sets bit 6, which no published specification names. */
#define PLATFORM_INFO_KNOWN G_GUINT64_CONSTANT(0xbf)

#define SIGNATURE_OFFSET APPRAISAL_SIGNED_SIZE
#define SIGNATURE_NUMBER_ROOM 72
#define SIGNATURE_NUMBER_SIZE 48
#define SIGNATURE_END (SIGNATURE_OFFSET + 2 * SIGNATURE_NUMBER_ROOM)

#define refuse(error, ...) appraisal_refuse(error, "attestation report", __VA_ARGS__)

static void note(AppraisalReport *report, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void note(AppraisalReport *report, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(report->unusual, g_strdup_vprintf(format, args));
    va_end(args);
}

static gboolean must_be_zero(const AppraisalReport *report, gsize from, gsize to, GError **error)
{
    for (gsize i = from; i < to; i++) {
        if (report->raw[i])
            return refuse(error, "byte 0x%" G_GSIZE_MODIFIER "x is reserved, must be zero and is 0x%02x", i,
                          report->raw[i]);
    }
    return TRUE;
}

static guint32 get_u32(const AppraisalReport *report, gsize offset)
{
    guint32 value = 0;

    measure_bytes_u32((MeasureBytes){report->raw, sizeof(report->raw)}, offset, &value);
    return value;
}

static guint64 get_u64(const AppraisalReport *report, gsize offset)
{
    guint64 value = 0;

    measure_bytes_u64((MeasureBytes){report->raw, sizeof(report->raw)}, offset, &value);
    return value;
}

static void get_bytes(const AppraisalReport *report, gsize offset, guint8 *out, gsize size)
{
    g_assert(offset + size <= sizeof(report->raw));
    memcpy(out, report->raw + offset, size);
}

static void get_version(const AppraisalReport *report, gsize offset, guint8 out[3])
{
    out[0] = report->raw[offset + 2];
    out[1] = report->raw[offset + 1];
    out[2] = report->raw[offset];
}

static void read_fields(AppraisalReport *report)
{
    report->version = get_u32(report, 0x000);
    report->guest_svn = get_u32(report, 0x004);
    report->policy = get_u64(report, 0x008);
    get_bytes(report, 0x010, report->family_id, sizeof(report->family_id));
    get_bytes(report, 0x020, report->image_id, sizeof(report->image_id));
    report->vmpl = get_u32(report, 0x030);
    report->signature_algorithm = get_u32(report, 0x034);
    get_bytes(report, 0x038, report->current_tcb, sizeof(report->current_tcb));
    report->platform_info = get_u64(report, 0x040);
    get_bytes(report, 0x050, report->report_data, sizeof(report->report_data));
    get_bytes(report, 0x090, report->measurement, sizeof(report->measurement));
    get_bytes(report, 0x0c0, report->host_data, sizeof(report->host_data));
    get_bytes(report, 0x0e0, report->id_key_digest, sizeof(report->id_key_digest));
    get_bytes(report, 0x110, report->author_key_digest, sizeof(report->author_key_digest));
    get_bytes(report, 0x140, report->report_id, sizeof(report->report_id));
    get_bytes(report, 0x160, report->report_id_ma, sizeof(report->report_id_ma));
    get_bytes(report, 0x180, report->reported_tcb, sizeof(report->reported_tcb));
    get_bytes(report, 0x1a0, report->chip_id, sizeof(report->chip_id));
    get_bytes(report, 0x1e0, report->committed_tcb, sizeof(report->committed_tcb));
    get_version(report, 0x1e8, report->current_version);
    get_version(report, 0x1ec, report->committed_version);
    get_bytes(report, 0x1f0, report->launch_tcb, sizeof(report->launch_tcb));
    report->has_cpuid = report->version >= 3;
    if (report->has_cpuid) {
        report->cpuid_family = report->raw[0x188];
        report->cpuid_model = report->raw[0x189];
        report->cpuid_stepping = report->raw[0x18a];
    }
    report->has_mitigation = report->version >= 5;
    if (report->has_mitigation) {
        report->launch_mitigation = get_u64(report, 0x1f8);
        report->current_mitigation = get_u64(report, 0x200);
    }
}

static gboolean read_key_info(AppraisalReport *report, GError **error)
{
    guint32 info = get_u32(report, 0x048);
    guint32 key = (info >> 2) & 7;

    if (info >> 5)
        return refuse(error, "bits 31:5 of the key information at 0x48 are reserved, must be zero and are 0x%x",
                      info >> 5);
    if (key != APPRAISAL_SIGNER_VCEK && key != APPRAISAL_SIGNER_VLEK && key != APPRAISAL_SIGNER_NONE)
        return refuse(error, "signing key %u at 0x48 is reserved", key);
    report->author_key = info & 1;
    report->mask_chip_key = (info >> 1) & 1;
    report->signer = (AppraisalSigner)key;
    return TRUE;
}

static gboolean check_reserved(const AppraisalReport *report, GError **error)
{
    return must_be_zero(report, 0x04c, 0x050, error) &&
           must_be_zero(report, report->has_cpuid ? 0x18b : 0x188, 0x1a0, error) &&
           must_be_zero(report, 0x1eb, 0x1ec, error) && must_be_zero(report, 0x1ef, 0x1f0, error) &&
           must_be_zero(report, report->has_mitigation ? 0x208 : 0x1f8, APPRAISAL_SIGNED_SIZE, error) &&
           must_be_zero(report, SIGNATURE_END, APPRAISAL_REPORT_SIZE, error);
}

static gboolean check_signature_form(const AppraisalReport *report, GError **error)
{
    for (int i = 0; i < 2; i++) {
        gsize at = SIGNATURE_OFFSET + (gsize)i * SIGNATURE_NUMBER_ROOM;

        if (!appraisal_all_zero(report->raw + at + SIGNATURE_NUMBER_SIZE,
                                SIGNATURE_NUMBER_ROOM - SIGNATURE_NUMBER_SIZE))
            return refuse(error, "%s of the signature at 0x%" G_GSIZE_MODIFIER "x has more than 384 bits",
                          i == 0 ? "R" : "S", at);
    }
    return TRUE;
}

static gboolean check_policy(const AppraisalReport *report, GError **error)
{
    if (!(report->policy & POLICY_MUST_BE_ONE))
        return refuse(error, "bit 17 of the guest policy at 0x8 must be one and is zero");
    if (report->policy & ~POLICY_KNOWN)
        return refuse(error, "bits 63:26 of the guest policy at 0x8 must be zero, and it is 0x%" G_GINT64_MODIFIER "x",
                      report->policy);
    return TRUE;
}

/* Family 19h models 00h-0Fh are Milan, 10h-1Fh and A0h-AFh Genoa and its kin; family 1Ah models 00h-11h Turin. */
static AppraisalLine line_of_cpu(guint8 family, guint8 model)
{
    if (family == 0x19 && model <= 0x0f)
        return APPRAISAL_LINE_MILAN;
    if (family == 0x19 && ((model >= 0x10 && model <= 0x1f) || (model >= 0xa0 && model <= 0xaf)))
        return APPRAISAL_LINE_GENOA;
    if (family == 0x1a && model <= 0x11)
        return APPRAISAL_LINE_TURIN;
    return APPRAISAL_LINE_UNKNOWN;
}

/* Only a Turin has a chip id of 8 bytes. A masked one, all zero, says nothing. */
static gboolean chip_is_short(const AppraisalReport *report)
{
    return appraisal_all_zero(report->chip_id + 8, sizeof(report->chip_id) - 8) &&
           !appraisal_all_zero(report->chip_id, 8);
}

static void decide_line(AppraisalReport *report)
{
    if (!report->has_cpuid) {
        report->line = chip_is_short(report) ? APPRAISAL_LINE_TURIN : APPRAISAL_LINE_UNKNOWN;
        return;
    }
    report->line = line_of_cpu(report->cpuid_family, report->cpuid_model);
    if (report->line == APPRAISAL_LINE_UNKNOWN)
        note(report, "processor family 0x%x model 0x%x is not known to this version", report->cpuid_family,
             report->cpuid_model);
}

static void note_tcb(AppraisalReport *report, const char *name, const guint8 raw[8])
{
    gsize from = report->line == APPRAISAL_LINE_TURIN ? 4 : 2;
    gsize to = report->line == APPRAISAL_LINE_TURIN ? 7 : 6;

    if (report->line != APPRAISAL_LINE_UNKNOWN && !appraisal_all_zero(raw + from, to - from))
        note(report, "reserved bytes of the %s TCB are set", name);
}

static void note_unusual(AppraisalReport *report)
{
    guint64 unknown = report->platform_info & ~PLATFORM_INFO_KNOWN;

    if (unknown)
        note(report, "platform information has bits that this version does not know: 0x%" G_GINT64_MODIFIER "x",
             unknown);
    note_tcb(report, "current", report->current_tcb);
    note_tcb(report, "reported", report->reported_tcb);
    note_tcb(report, "committed", report->committed_tcb);
    note_tcb(report, "launch", report->launch_tcb);
    if (!report->author_key && !appraisal_all_zero(report->author_key_digest, sizeof(report->author_key_digest)))
        note(report, "there is a digest of an author key, although the report says that none was used");
    if (report->line == APPRAISAL_LINE_TURIN && !appraisal_all_zero(report->chip_id + 8, sizeof(report->chip_id) - 8))
        note(report, "the chip id has more than the 8 bytes of a Turin");
}

AppraisalReport *appraisal_report_parse(gconstpointer data, gsize size, GError **error)
{
    g_autoptr(AppraisalReport) report = NULL;

    if (size != APPRAISAL_REPORT_SIZE) {
        refuse(error, "it has %" G_GSIZE_FORMAT " bytes instead of %d", size, APPRAISAL_REPORT_SIZE);
        return NULL;
    }
    report = g_new0(AppraisalReport, 1);
    report->unusual = g_ptr_array_new_with_free_func(g_free);
    memcpy(report->raw, data, sizeof(report->raw));
    read_fields(report);
    if (report->version < VERSION_MIN || report->version > VERSION_MAX) {
        refuse(error, "version %u; this program knows versions %d to %d", report->version, VERSION_MIN, VERSION_MAX);
        return NULL;
    }
    if (report->signature_algorithm != ALGORITHM_ECDSA_P384_SHA384) {
        refuse(error, "unsupported signature algorithm %u; only 1, ECDSA P-384 with SHA-384, is defined",
               report->signature_algorithm);
        return NULL;
    }
    if (report->vmpl > VMPL_MAX && report->vmpl != VMPL_HOST) {
        refuse(error, "there is no VMPL %u", report->vmpl);
        return NULL;
    }
    if (!read_key_info(report, error) || !check_policy(report, error) || !check_reserved(report, error) ||
        !check_signature_form(report, error))
        return NULL;
    decide_line(report);
    note_unusual(report);
    return g_steal_pointer(&report);
}

void appraisal_report_free(AppraisalReport *report)
{
    if (!report)
        return;
    g_ptr_array_unref(report->unusual);
    g_free(report);
}

gchar *appraisal_report_chip(const AppraisalReport *report, AppraisalLine line)
{
    if (appraisal_all_zero(report->chip_id, sizeof(report->chip_id)))
        return NULL;
    return measure_hex_encode(report->chip_id, line == APPRAISAL_LINE_TURIN ? 8 : sizeof(report->chip_id));
}
