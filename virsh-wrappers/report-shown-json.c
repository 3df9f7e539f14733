/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report for programs. Schema: policy/appraisal/report.schema.json. */
#include "measure/bytes.h"
#include "policy/appraisal/certificate.h"
#include "policy/appraisal/words.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/report-shown.h"

static void add_bytes(JsonBuilder *builder, const char *name, const guint8 *data, gsize size)
{
    g_autofree gchar *hex = measure_hex_encode(data, size);

    cmd_json_string(builder, name, hex);
}

static void add_hex(JsonBuilder *builder, const char *name, guint64 value)
{
    g_autofree gchar *text = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", value);

    cmd_json_string(builder, name, text);
}

static void begin(JsonBuilder *builder, const char *name)
{
    json_builder_set_member_name(builder, name);
    json_builder_begin_object(builder);
}

static void add_null(JsonBuilder *builder, const char *name)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_null_value(builder);
}

static void add_processor(JsonBuilder *builder, const AppraisalReport *report)
{
    if (!report->has_cpuid) {
        add_null(builder, "processor");
        return;
    }
    begin(builder, "processor");
    cmd_json_integer(builder, "family", report->cpuid_family);
    cmd_json_integer(builder, "model", report->cpuid_model);
    cmd_json_integer(builder, "stepping", report->cpuid_stepping);
    json_builder_end_object(builder);
}

static void add_bits(JsonBuilder *builder, const AppraisalBit *bits, guint64 value)
{
    for (; bits->key; bits++)
        cmd_json_boolean(builder, bits->key, value >> bits->bit & 1);
}

static void add_policy(JsonBuilder *builder, const AppraisalReport *report)
{
    g_autofree gchar *abi = g_strdup_printf("%u.%u", (guint)(report->policy >> 8) & 0xff, (guint)report->policy & 0xff);

    begin(builder, "policy");
    add_hex(builder, "value", report->policy);
    cmd_json_string(builder, "minimumAbi", abi);
    add_bits(builder, appraisal_policy_bits, report->policy);
    json_builder_end_object(builder);
}

static void add_platform(JsonBuilder *builder, const AppraisalReport *report)
{
    begin(builder, "platformInfo");
    add_hex(builder, "value", report->platform_info);
    add_bits(builder, appraisal_platform_bits, report->platform_info);
    add_hex(builder, "unknown", appraisal_bits_unknown(appraisal_platform_bits, report->platform_info));
    json_builder_end_object(builder);
}

static void add_tcb_parts(JsonBuilder *builder, const PolicyTcb *tcb)
{
    cmd_json_integer(builder, "bootloader", tcb->bootloader);
    cmd_json_integer(builder, "tee", tcb->tee);
    cmd_json_integer(builder, "snp", tcb->snp);
    cmd_json_integer(builder, "microcode", tcb->microcode);
    if (tcb->fmc >= 0)
        cmd_json_integer(builder, "fmc", tcb->fmc);
}

static void add_tcb(JsonBuilder *builder, const CmdShown *shown, const char *name, const guint8 raw[8])
{
    PolicyTcb tcb;

    appraisal_tcb_decode(shown->line, raw, &tcb);
    begin(builder, name);
    add_bytes(builder, "raw", raw, 8);
    add_tcb_parts(builder, &tcb);
    json_builder_end_object(builder);
}

static void add_tcbs(JsonBuilder *builder, const CmdShown *shown)
{
    const AppraisalReport *report = shown->evidence->report;

    begin(builder, "tcb");
    add_tcb(builder, shown, "current", report->current_tcb);
    add_tcb(builder, shown, "committed", report->committed_tcb);
    add_tcb(builder, shown, "reported", report->reported_tcb);
    add_tcb(builder, shown, "launch", report->launch_tcb);
    json_builder_end_object(builder);
}

static void add_firmware(JsonBuilder *builder, const AppraisalReport *report)
{
    const guint8 *current = report->current_version, *committed = report->committed_version;
    g_autofree gchar *now = g_strdup_printf("%u.%u.%u", current[0], current[1], current[2]);
    g_autofree gchar *floor = g_strdup_printf("%u.%u.%u", committed[0], committed[1], committed[2]);

    begin(builder, "firmware");
    cmd_json_string(builder, "current", now);
    cmd_json_string(builder, "committed", floor);
    json_builder_end_object(builder);
}

static void add_mitigation(JsonBuilder *builder, const AppraisalReport *report)
{
    if (!report->has_mitigation) {
        add_null(builder, "mitigations");
        return;
    }
    begin(builder, "mitigations");
    add_hex(builder, "launch", report->launch_mitigation);
    add_hex(builder, "current", report->current_mitigation);
    json_builder_end_object(builder);
}

static void add_report(JsonBuilder *builder, const CmdShown *shown)
{
    const AppraisalReport *report = shown->evidence->report;
    g_autofree gchar *chip = appraisal_report_chip(report, shown->line);
    g_autofree gchar *signer = g_ascii_strdown(appraisal_signer_name(report->signer), -1);

    begin(builder, "report");
    cmd_json_integer(builder, "version", report->version);
    cmd_json_string(builder, "line",
                    shown->line == APPRAISAL_LINE_UNKNOWN ? NULL : appraisal_line_name(shown->line));
    add_processor(builder, report);
    cmd_json_string(builder, "chip", chip);
    if (report->vmpl > 3)
        add_null(builder, "vmpl");
    else
        cmd_json_integer(builder, "vmpl", report->vmpl);
    cmd_json_integer(builder, "guestSvn", report->guest_svn);
    add_policy(builder, report);
    add_bytes(builder, "measurement", report->measurement, sizeof(report->measurement));
    add_bytes(builder, "reportData", report->report_data, sizeof(report->report_data));
    add_bytes(builder, "hostData", report->host_data, sizeof(report->host_data));
    add_bytes(builder, "familyId", report->family_id, sizeof(report->family_id));
    add_bytes(builder, "imageId", report->image_id, sizeof(report->image_id));
    add_bytes(builder, "idKeyDigest", report->id_key_digest, sizeof(report->id_key_digest));
    cmd_json_boolean(builder, "authorKeyUsed", report->author_key);
    add_bytes(builder, "authorKeyDigest", report->author_key_digest, sizeof(report->author_key_digest));
    add_bytes(builder, "reportId", report->report_id, sizeof(report->report_id));
    add_bytes(builder, "reportIdMigrationAgent", report->report_id_ma, sizeof(report->report_id_ma));
    cmd_json_string(builder, "signingKey", signer);
    cmd_json_boolean(builder, "signingKeyMasked", report->mask_chip_key);
    add_tcbs(builder, shown);
    add_firmware(builder, report);
    add_platform(builder, report);
    add_mitigation(builder, report);
    json_builder_set_member_name(builder, "unusual");
    json_builder_begin_array(builder);
    for (guint i = 0; i < report->unusual->len; i++)
        json_builder_add_string_value(builder, g_ptr_array_index(report->unusual, i));
    json_builder_end_array(builder);
    json_builder_end_object(builder);
}

static void add_certificate(JsonBuilder *builder, const CmdShownCertificate *shown)
{
    g_autofree gchar *from = shown->has_validity ? appraisal_time_format(shown->not_before) : NULL;
    g_autofree gchar *until = shown->has_validity ? appraisal_time_format(shown->not_after) : NULL;
    const AppraisalEndorsement *endorsement = shown->endorsement;

    json_builder_begin_object(builder);
    cmd_json_string(builder, "role", shown->role);
    cmd_json_integer(builder, "size", (gint64)shown->size);
    cmd_json_string(builder, "sha256", shown->sha256);
    cmd_json_string(builder, "subject", shown->subject);
    cmd_json_string(builder, "issuer", shown->issuer);
    cmd_json_string(builder, "notBefore", from);
    cmd_json_string(builder, "notAfter", until);
    cmd_json_string(builder, "problem", shown->problem);
    if (endorsement) {
        cmd_json_string(builder, "product", endorsement->product);
        begin(builder, "tcb");
        add_tcb_parts(builder, &endorsement->tcb);
        json_builder_end_object(builder);
        if (endorsement->hwid)
            add_bytes(builder, "chip", g_bytes_get_data(endorsement->hwid, NULL), g_bytes_get_size(endorsement->hwid));
        else
            cmd_json_string(builder, "provider", endorsement->csp_id);
    }
    json_builder_end_object(builder);
}

void cmd_shown_print_json(const CmdShown *shown)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    cmd_json_boolean(builder, "verified", FALSE);
    cmd_json_string(builder, "form", shown->evidence->form);
    add_report(builder, shown);
    json_builder_set_member_name(builder, "certificates");
    json_builder_begin_array(builder);
    for (guint i = 0; i < shown->certificates->len; i++)
        add_certificate(builder, g_ptr_array_index(shown->certificates, i));
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    cmd_json_print(builder);
}
