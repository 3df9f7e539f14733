/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * firmware-check: what a guest firmware file says about itself, whether the
 * verifier of the kernel hashes is inside, and the level that follows. The level comes from the same
 * evaluation as everywhere else: of a domain that is perfect but for this firmware.
 */
#include "virsh-wrappers/commands.h"

#include <stdio.h>
#include <string.h>

#include "measure/error.h"
#include "policy/firmware-boot.h"
#include "virsh-wrappers/firmware-list.h"
#include "virsh-wrappers/report.h"

/* The lowest level of a firmware for which this command is content. */
#define WANTED_LEVEL 3

typedef struct {
    CmdFirmware *firmware;
    PolicyEvaluation *evaluation;
    gboolean booted;
    PolicyFirmwareBootResult boot;
} Checked;

static void checked_clear(Checked *checked)
{
    g_clear_pointer(&checked->firmware, cmd_firmware_free);
    g_clear_pointer(&checked->evaluation, policy_evaluation_free);
    if (checked->booted) {
        policy_firmware_boot_result_clear(&checked->boot);
    }
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Checked, checked_clear)

static PolicyEvaluation *evaluate_firmware(CmdContext *context, const char *path, GError **error)
{
    PolicyConfig *config = cmd_context_config(context, error);
    g_autofree gchar *absolute = g_canonicalize_filename(path, NULL);
    g_autofree gchar *xml = g_strdup_printf(
        "<domain type='kvm'><name>firmware</name><vcpu>1</vcpu><os><type arch='x86_64' machine='q35'>hvm</type>"
        "<loader type='rom'>/dev/null</loader><kernel>/dev/null</kernel></os><cpu "
        "mode='custom'><model>EPYC-Milan</model></cpu>"
        "<launchSecurity type='sev-snp' kernelHashes='yes'><policy>0x%" G_GINT64_MODIFIER
        "x</policy></launchSecurity></domain>",
        POLICY_SNP_DEFAULT);
    g_autoptr(XmlDomain) domain = config ? xml_domain_parse(xml, -1, error) : NULL;
    if (!domain) {
        return NULL;
    }
    /* Not through the XML: the name of a file may have bytes that no XML can hold. */
    g_free(domain->loader);
    domain->loader = g_steal_pointer(&absolute);
    PolicyEvaluateOptions options = {.config = config, .reference = POLICY_REFERENCE_ASSUMED};
    return policy_evaluate(domain, &options);
}

/* Only what the firmware is responsible for. */
static gboolean is_firmware_rule(const PolicyFinding *finding)
{
    static const char *const rules[] = {"firmware-file", "firmware-metadata", "hash-area", "hash-verifier", NULL};
    return g_strv_contains(rules, finding->rule);
}

static GPtrArray *firmware_findings(const PolicyEvaluation *evaluation)
{
    GPtrArray *findings = g_ptr_array_new();
    for (guint i = 0; i < evaluation->findings->len; i++) {
        if (is_firmware_rule(g_ptr_array_index(evaluation->findings, i))) {
            g_ptr_array_add(findings, g_ptr_array_index(evaluation->findings, i));
        }
    }
    return findings;
}

/* A domain can be no better than its firmware: level 4 is not the firmware's business. */
static guint firmware_level(const Checked *checked)
{
    guint level = WANTED_LEVEL;
    for (guint i = 0; i < checked->evaluation->findings->len; i++) {
        const PolicyFinding *finding = g_ptr_array_index(checked->evaluation->findings, i);
        if (is_firmware_rule(finding) && finding->outcome == POLICY_FAIL && finding->level <= level &&
            finding->level > 0) {
            level = finding->level - 1;
        }
    }
    if (level >= 3 && checked->booted && checked->boot.verdict != POLICY_BOOT_VERDICT_WORKS) {
        level = 2;
    }
    return level;
}

static void print_progress(const char *text, gpointer user_data)
{
    fprintf(stderr, "%s\n", text);
}

static gboolean prove_by_boot(CmdContext *context, Checked *checked, GError **error)
{
    PolicyFirmwareBootOptions options = {
        .kernel = cmd_context_get(context, "kernel"),
        .initrd = cmd_context_get(context, "initrd"),
        .progress = cmd_context_quiet(context) ? NULL : print_progress,
    };
    checked->booted = policy_firmware_boot_proof(checked->firmware->path, &options, &checked->boot, error);
    return checked->booted;
}

static gchar *address_range(gboolean present, guint32 base, guint32 size)
{
    return present ? g_strdup_printf("0x%x, %u bytes", base, size) : NULL;
}

static void print_boot(const PolicyFirmwareBootResult *boot)
{
    g_autoptr(CmdTable) table = cmd_table_new("Booted with", "Expected", "Happened", "Seconds", "Console", NULL);
    for (int i = 0; i < POLICY_BOOT_CASES; i++) {
        const PolicyFirmwareBootRun *run = &boot->runs[i];
        g_autofree gchar *seconds = g_strdup_printf("%.1f", run->seconds);
        cmd_table_row(table, policy_boot_case_name((PolicyBootCase)i), policy_boot_outcome_name(run->expected),
                      policy_boot_outcome_name(run->outcome), seconds, run->detail);
    }
    cmd_table_print(table, FALSE);
    printf("%s\n\n", boot->reason);
}

static void print_sections(const MeasureFirmware *footer)
{
    if (footer->n_sections == 0) {
        return;
    }
    g_autoptr(CmdTable) table = cmd_table_new("SEV metadata section", "Address", "Size", NULL);
    for (guint i = 0; i < footer->n_sections; i++) {
        const MeasureSection *section = &footer->sections[i];
        g_autofree gchar *address = g_strdup_printf("0x%x", section->gpa);
        g_autofree gchar *size = g_strdup_printf("%u", section->size);
        cmd_table_row(table, measure_section_type_name(section->type), address, size);
    }
    cmd_table_print(table, FALSE);
}

static void print_table(const Checked *checked, GPtrArray *findings)
{
    const MeasureInputs *inputs = checked->firmware->inputs;
    const MeasureFirmware *footer = inputs->footer;
    g_autofree gchar *size = g_strdup_printf("%" G_GUINT64_FORMAT, inputs->firmware->size);
    g_autofree gchar *digest = measure_hex_encode(inputs->firmware->sha256, sizeof(inputs->firmware->sha256));
    g_autofree gchar *reset = footer->has_reset_block ? g_strdup_printf("0x%x", footer->ap_reset_address) : NULL;
    g_autofree gchar *hashes = address_range(footer->has_hash_table_area, footer->hash_table_base,
                                             footer->hash_table_size);
    g_autofree gchar *secret = address_range(footer->has_secret_area, footer->secret_base, footer->secret_size);
    g_autofree gchar *level = g_strdup_printf("%u", firmware_level(checked));
    cmd_print_field("Firmware", checked->firmware->path);
    cmd_print_field("Size", size);
    cmd_print_field("SHA-256", digest);
    cmd_print_field("Build", inputs->build->version);
    cmd_print_field("Footer table", footer->has_table ? "yes" : "no");
    cmd_print_field("SEV metadata", footer->has_metadata ? "yes" : "no");
    cmd_print_field("Reset vector", reset);
    cmd_print_field("Hash table", hashes);
    cmd_print_field("Secret area", secret);
    cmd_print_field("Hash verifier", measure_verifier_name(inputs->build->verifier));
    cmd_print_field("Judged", inputs->build->reason);
    cmd_print_field("Carries level", level);
    printf("\n");
    print_sections(footer);
    for (guint i = 0; i < footer->warnings->len; i++) {
        cmd_warn("%s", (const char *)g_ptr_array_index(footer->warnings, i));
    }
    if (checked->booted) {
        print_boot(&checked->boot);
    }
    cmd_report_findings(findings, FALSE, FALSE);
}

static void json_address(JsonBuilder *builder, const char *name, guint32 address)
{
    g_autofree gchar *text = g_strdup_printf("0x%x", address);
    cmd_json_string(builder, name, text);
}

static void json_area(JsonBuilder *builder, const char *name, gboolean present, guint32 base, guint32 size)
{
    json_builder_set_member_name(builder, name);
    if (!present) {
        json_builder_add_null_value(builder);
        return;
    }
    json_builder_begin_object(builder);
    json_address(builder, "address", base);
    cmd_json_integer(builder, "size", size);
    json_builder_end_object(builder);
}

static void json_boot(JsonBuilder *builder, const PolicyFirmwareBootResult *boot)
{
    json_builder_set_member_name(builder, "boot");
    json_builder_begin_object(builder);
    cmd_json_string(builder, "kernel", boot->kernel);
    cmd_json_string(builder, "verdict", policy_boot_verdict_name(boot->verdict));
    cmd_json_string(builder, "reason", boot->reason);
    json_builder_set_member_name(builder, "runs");
    json_builder_begin_array(builder);
    for (int i = 0; i < POLICY_BOOT_CASES; i++) {
        json_builder_begin_object(builder);
        cmd_json_string(builder, "case", policy_boot_case_name((PolicyBootCase)i));
        cmd_json_string(builder, "expected", policy_boot_outcome_name(boot->runs[i].expected));
        cmd_json_string(builder, "outcome", policy_boot_outcome_name(boot->runs[i].outcome));
        json_builder_set_member_name(builder, "seconds");
        json_builder_add_double_value(builder, boot->runs[i].seconds);
        cmd_json_string(builder, "detail", boot->runs[i].detail);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
}

static void print_json(const Checked *checked, GPtrArray *findings)
{
    const MeasureInputs *inputs = checked->firmware->inputs;
    const MeasureFirmware *footer = inputs->footer;
    g_autofree gchar *digest = measure_hex_encode(inputs->firmware->sha256, sizeof(inputs->firmware->sha256));
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    cmd_json_string(builder, "path", checked->firmware->path);
    cmd_json_integer(builder, "size", (gint64)inputs->firmware->size);
    cmd_json_string(builder, "sha256", digest);
    cmd_json_string(builder, "version", inputs->build->version);
    cmd_json_string(builder, "verifier", measure_verifier_name(inputs->build->verifier));
    cmd_json_string(builder, "verifierReason", inputs->build->reason);
    cmd_json_boolean(builder, "footerTable", footer->has_table);
    cmd_json_boolean(builder, "sevMetadata", footer->has_metadata);
    g_autofree gchar *reset = footer->has_reset_block ? g_strdup_printf("0x%x", footer->ap_reset_address) : NULL;
    cmd_json_string(builder, "resetAddress", reset);
    json_area(builder, "hashTable", footer->has_hash_table_area, footer->hash_table_base, footer->hash_table_size);
    json_area(builder, "secretArea", footer->has_secret_area, footer->secret_base, footer->secret_size);
    json_builder_set_member_name(builder, "sections");
    json_builder_begin_array(builder);
    for (guint i = 0; i < footer->n_sections; i++) {
        json_builder_begin_object(builder);
        cmd_json_string(builder, "type", measure_section_type_name(footer->sections[i].type));
        json_address(builder, "address", footer->sections[i].gpa);
        cmd_json_integer(builder, "size", footer->sections[i].size);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    cmd_json_integer(builder, "level", firmware_level(checked));
    cmd_json_findings(builder, "findings", findings);
    if (checked->booted) {
        json_boot(builder, &checked->boot);
    }
    json_builder_end_object(builder);
    cmd_json_print(builder);
}

int cmd_firmware_check(CmdContext *context, GError **error)
{
    g_auto(Checked) checked = {.firmware = cmd_firmware_inspect(cmd_context_word(context, 0))};
    if (!cmd_context_has(context, "boot") &&
        (cmd_context_has(context, "kernel") || cmd_context_has(context, "initrd"))) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--kernel and --initrd go with --boot");
        return -1;
    }
    if (!checked.firmware->inputs) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s", checked.firmware->problem);
        return -1;
    }
    checked.evaluation = evaluate_firmware(context, checked.firmware->path, error);
    if (!checked.evaluation || (cmd_context_has(context, "boot") && !prove_by_boot(context, &checked, error))) {
        return -1;
    }
    g_autoptr(GPtrArray) findings = firmware_findings(checked.evaluation);
    if (cmd_context_json(context)) {
        print_json(&checked, findings);
    } else {
        print_table(&checked, findings);
    }
    return firmware_level(&checked) >= WANTED_LEVEL ? 0 : ATTEST_ERROR_REJECTED;
}
