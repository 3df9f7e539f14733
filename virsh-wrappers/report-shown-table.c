/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A report for people. */
#include <stdio.h>

#include "measure/bytes.h"
#include "policy/appraisal/certificate.h"
#include "policy/appraisal/words.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/report-shown.h"

static void print_bytes(const char *name, const guint8 *data, gsize size)
{
    g_autofree gchar *hex = measure_hex_encode(data, size);

    cmd_print_field(name, hex);
}

static void print_head(const CmdShown *shown)
{
    const AppraisalReport *report = shown->evidence->report;
    g_autofree gchar *version = g_strdup_printf("%u", report->version);
    g_autofree gchar *svn = g_strdup_printf("%u", report->guest_svn);
    g_autofree gchar *vmpl = report->vmpl > 3 ? g_strdup("asked for by the host") : g_strdup_printf("%u", report->vmpl);
    g_autofree gchar *cpu = report->has_cpuid ? g_strdup_printf("family 0x%x, model 0x%x, stepping %u",
                                                                report->cpuid_family, report->cpuid_model,
                                                                report->cpuid_stepping)
                                              : NULL;
    g_autofree gchar *chip = appraisal_report_chip(report, shown->line);
    g_autofree gchar *mitigations =
        report->has_mitigation ? g_strdup_printf("0x%" G_GINT64_MODIFIER "x at launch, 0x%" G_GINT64_MODIFIER "x now",
                                                 report->launch_mitigation, report->current_mitigation)
                               : NULL;

    cmd_print_field("Form", shown->evidence->form);
    cmd_print_field("Version", version);
    cmd_print_field("Product line", appraisal_line_name(shown->line));
    cmd_print_field("Processor", cpu);
    cmd_print_field("Chip", chip ? chip : "not told");
    cmd_print_field("VMPL", vmpl);
    cmd_print_field("Guest SVN", svn);
    print_bytes("Measurement", report->measurement, sizeof(report->measurement));
    print_bytes("Report data", report->report_data, sizeof(report->report_data));
    print_bytes("Host data", report->host_data, sizeof(report->host_data));
    print_bytes("Family id", report->family_id, sizeof(report->family_id));
    print_bytes("Image id", report->image_id, sizeof(report->image_id));
    print_bytes("ID key", report->id_key_digest, sizeof(report->id_key_digest));
    if (report->author_key)
        print_bytes("Author key", report->author_key_digest, sizeof(report->author_key_digest));
    else
        cmd_print_field("Author key", "not used");
    print_bytes("Report id", report->report_id, sizeof(report->report_id));
    print_bytes("Migration agent", report->report_id_ma, sizeof(report->report_id_ma));
    cmd_print_field("Signing key", appraisal_signer_name(report->signer));
    cmd_print_field("Masked key", report->mask_chip_key ? "yes: the report is not signed" : "no");
    cmd_print_field("Mitigations", mitigations);
}

static void print_policy(const AppraisalReport *report)
{
    g_autofree gchar *title = g_strdup_printf("Guest policy 0x%" G_GINT64_MODIFIER "x", report->policy);
    g_autofree gchar *abi = g_strdup_printf("%u.%u", (guint)(report->policy >> 8) & 0xff, (guint)report->policy & 0xff);
    g_autoptr(CmdTable) table = cmd_table_new(title, "", NULL);

    cmd_table_row(table, "Lowest firmware ABI", abi);
    for (const AppraisalBit *bit = appraisal_policy_bits; bit->key; bit++)
        cmd_table_row(table, bit->name, report->policy >> bit->bit & 1 ? bit->set : bit->clear);
    cmd_table_print(table, FALSE);
}

static void print_platform(const AppraisalReport *report)
{
    g_autofree gchar *title = g_strdup_printf("Platform 0x%" G_GINT64_MODIFIER "x", report->platform_info);
    guint64 unknown = appraisal_bits_unknown(appraisal_platform_bits, report->platform_info);
    g_autoptr(CmdTable) table = cmd_table_new(title, "", NULL);

    for (const AppraisalBit *bit = appraisal_platform_bits; bit->key; bit++)
        cmd_table_row(table, bit->name, report->platform_info >> bit->bit & 1 ? bit->set : bit->clear);
    if (unknown) {
        g_autofree gchar *bits = g_strdup_printf("0x%" G_GINT64_MODIFIER "x", unknown);
        cmd_table_row(table, "Not known here", bits);
    }
    cmd_table_print(table, FALSE);
}

static void tcb_row(CmdTable *table, const CmdShown *shown, const char *name, const guint8 raw[8],
                    const guint8 version[3])
{
    PolicyTcb tcb;
    g_autofree gchar *hex = measure_hex_encode(raw, 8);
    g_autofree gchar *firmware = version ? g_strdup_printf("%u.%u.%u", version[0], version[1], version[2]) : NULL;

    appraisal_tcb_decode(shown->line, raw, &tcb);
    g_autofree gchar *fmc = tcb.fmc >= 0 ? g_strdup_printf("%d", tcb.fmc) : NULL;
    g_autofree gchar *bootloader = g_strdup_printf("%u", tcb.bootloader);
    g_autofree gchar *tee = g_strdup_printf("%u", tcb.tee);
    g_autofree gchar *snp = g_strdup_printf("%u", tcb.snp);
    g_autofree gchar *microcode = g_strdup_printf("%u", tcb.microcode);
    cmd_table_row(table, name, fmc, bootloader, tee, snp, microcode, hex, firmware);
}

static void print_tcbs(const CmdShown *shown)
{
    const AppraisalReport *report = shown->evidence->report;
    g_autoptr(CmdTable) table =
        cmd_table_new("TCB", "FMC", "Boot loader", "TEE", "SNP", "Microcode", "Bytes", "Firmware", NULL);

    tcb_row(table, shown, "current", report->current_tcb, report->current_version);
    tcb_row(table, shown, "committed", report->committed_tcb, report->committed_version);
    tcb_row(table, shown, "reported", report->reported_tcb, NULL);
    tcb_row(table, shown, "launch", report->launch_tcb, NULL);
    cmd_table_print(table, FALSE);
}

static void print_certificates(const CmdShown *shown)
{
    g_autoptr(CmdTable) table = cmd_table_new("Certificate", "Subject", "Issuer", "From", "Until", "TCB", NULL);

    if (shown->certificates->len == 0)
        return;
    for (guint i = 0; i < shown->certificates->len; i++) {
        const CmdShownCertificate *each = g_ptr_array_index(shown->certificates, i);
        g_autofree gchar *from = each->has_validity ? appraisal_time_format(each->not_before) : NULL;
        g_autofree gchar *until = each->has_validity ? appraisal_time_format(each->not_after) : NULL;
        g_autofree gchar *tcb = each->endorsement ? policy_tcb_describe(&each->endorsement->tcb) : NULL;

        cmd_table_row(table, each->role, each->subject, each->issuer, from, until, tcb);
    }
    cmd_table_print(table, FALSE);
    for (guint i = 0; i < shown->certificates->len; i++) {
        const CmdShownCertificate *each = g_ptr_array_index(shown->certificates, i);

        if (each->problem)
            cmd_warn("%s: %s", each->role, each->problem);
    }
}

void cmd_shown_print_table(const CmdShown *shown)
{
    const AppraisalReport *report = shown->evidence->report;

    printf("NOT VERIFIED: anybody can have written this. No signature, certificate or rule was checked.\n\n");
    print_head(shown);
    printf("\n");
    print_policy(report);
    print_tcbs(shown);
    print_platform(report);
    print_certificates(shown);
    for (guint i = 0; i < report->unusual->len; i++)
        cmd_warn("%s", (const char *)g_ptr_array_index(report->unusual, i));
}
