/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/bundle-check.h"

#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/id-block.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/sign-options.h"
#include "xml/host-access.h"

void cmd_bundle_check_clear(CmdBundleCheck *check)
{
    g_clear_pointer(&check->subject, cmd_subject_free);
    g_clear_pointer(&check->bundle, storage_bundle_free);
    g_clear_pointer(&check->rows, g_ptr_array_unref);
}

static void add(GPtrArray *rows, const char *rule, PolicyOutcome outcome, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
static void add(GPtrArray *rows, const char *rule, PolicyOutcome outcome, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree gchar *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(rows, policy_finding_new(rule, 0, outcome, measure_printable(text)));
}

gchar *cmd_bundle_failures(const GPtrArray *rows)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < rows->len; i++) {
        const PolicyFinding *row = g_ptr_array_index(rows, i);
        if (row->outcome == POLICY_FAIL) {
            g_string_append_printf(text, "\n  %s: %s", row->rule, row->text);
        }
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* ---- files ---- */

static void check_files(const StorageBundle *bundle, GPtrArray *rows)
{
    for (guint i = 0; i < bundle->findings->len; i++) {
        const StorageBundleFinding *finding = g_ptr_array_index(bundle->findings, i);
        if (finding->problem) {
            add(rows, "file", POLICY_FAIL, "%s: %s", finding->what, finding->problem);
        } else {
            add(rows, "file", POLICY_PASS, "%s: %" G_GUINT64_FORMAT " bytes, as the manifest says", finding->what,
                finding->size);
        }
    }
}

/* ---- the reference, measured anew ---- */

static void add_cpu(GPtrArray *cpus, const XmlMeasurement *measurement)
{
    for (guint i = 0; i < cpus->len; i++) {
        if (((const MeasureCpu *)g_ptr_array_index(cpus, i))->signature == measurement->signature) {
            return;
        }
    }
    gboolean named = measurement->cpu && !g_str_has_prefix(measurement->cpu, "0x");
    g_ptr_array_add(cpus, measure_cpu_new(named ? measurement->cpu : NULL, measurement->signature));
}

static void add_count(GArray *vcpus, guint count)
{
    for (guint i = 0; i < vcpus->len; i++) {
        if (g_array_index(vcpus, guint, i) == count) {
            return;
        }
    }
    g_array_append_val(vcpus, count);
}

CmdSubject *cmd_bundle_measure(CmdContext *context, const char *xml, const PolicyReference *reference, GError **error)
{
    g_autoptr(GPtrArray) cpus = g_ptr_array_new_with_free_func((GDestroyNotify)measure_cpu_free);
    g_autoptr(GArray) vcpus = g_array_new(FALSE, FALSE, sizeof(guint));
    for (guint i = 0; reference->platform != MEASURE_PLATFORM_SEV && i < reference->measurements->len; i++) {
        const XmlMeasurement *each = g_ptr_array_index(reference->measurements, i);
        add_cpu(cpus, each);
        add_count(vcpus, each->vcpus);
    }
    CmdFleet fleet = {.cpus = cpus->len > 0 ? cpus : NULL, .vcpus = vcpus->len > 0 ? vcpus : NULL, .all_fpu = TRUE};
    return cmd_subject_new_fleet(context, xml, strlen(xml), NULL, &fleet, FALSE, POLICY_REFERENCE_ASSUMED, error);
}

static gboolean same_kind(const XmlMeasurement *a, const XmlMeasurement *b)
{
    return a->platform == b->platform &&
           (a->platform == MEASURE_PLATFORM_SEV ||
            (a->signature == b->signature && a->features == b->features && a->vcpus == b->vcpus));
}

static gchar *describe(const XmlMeasurement *measurement)
{
    if (measurement->platform == MEASURE_PLATFORM_SEV) {
        return g_strdup("any CPU");
    }
    return g_strdup_printf("%s (0x%x), %u vCPU%s", measurement->cpu ? measurement->cpu : "CPU", measurement->signature,
                           measurement->vcpus, measurement->vcpus == 1 ? "" : "s");
}

/* One that was measured, of the same kind, has the same digest. The two FPU variants of SEV-ES are of one kind here. */
static void compare_measurement(const XmlMeasurement *wanted, const GPtrArray *measured, GPtrArray *rows)
{
    g_autofree gchar *who = describe(wanted);
    g_autofree gchar *digest = measure_digest_hex(&wanted->digest);
    gboolean comparable = FALSE;
    for (guint i = 0; i < measured->len; i++) {
        const XmlMeasurement *found = g_ptr_array_index(measured, i);
        if (!same_kind(wanted, found)) {
            continue;
        }
        comparable = TRUE;
        if (found->digest.size == wanted->digest.size &&
            measure_digest_equal(found->digest.bytes, wanted->digest.bytes, wanted->digest.size)) {
            add(rows, "measurement", POLICY_PASS, "%s: %s", who, digest);
            return;
        }
    }
    add(rows, "measurement", POLICY_FAIL,
        comparable ? "%s: the files do not measure to %s"
                   : "%s: the domain cannot be measured for it to compare with %s",
        who, digest);
}

/* Those of @measurements that the domain itself can have: its number of vCPUs, its CPU type where the XML names one. */
static GPtrArray *own_measurements(const CmdSubject *subject, const GPtrArray *measurements)
{
    const XmlDomain *domain = subject->domain;
    gboolean fixed = domain->cpu_mode == XML_CPU_CUSTOM;
    g_autoptr(MeasureLaunch) launch = fixed ? xml_domain_to_launch(domain, NULL, NULL) : NULL;
    const MeasureCpu *cpu = launch && launch->cpus->len == 1 ? g_ptr_array_index(launch->cpus, 0) : NULL;
    GPtrArray *own = g_ptr_array_new();
    for (guint i = 0; i < measurements->len; i++) {
        XmlMeasurement *each = g_ptr_array_index(measurements, i);
        if (each->platform == MEASURE_PLATFORM_SEV ||
            (each->vcpus == domain->vcpus_boot && (!cpu || each->signature == cpu->signature))) {
            g_ptr_array_add(own, each);
        }
    }
    return own;
}

/* The measurements of a fleet say nothing of the one launch that the domain XML asks for. */
static void check_foreseen(const PolicyReference *reference, const CmdSubject *subject, GPtrArray *rows)
{
    g_autoptr(GPtrArray) own = own_measurements(subject, reference->measurements);
    if (own->len == 0) {
        add(rows, "measurement", POLICY_FAIL,
            "the domain starts with %u vCPU%s%s%s, which the reference does not foresee", subject->domain->vcpus_boot,
            subject->domain->vcpus_boot == 1 ? "" : "s", subject->domain->cpu_model ? " of type " : "",
            subject->domain->cpu_model ? subject->domain->cpu_model : "");
    }
}

/* What two hosts may have differently, or what has rows of its own. */
static gboolean has_own_row(const char *what)
{
    static const char *const others[] = {"metadata", "emulator", "cpu",         "vcpus",
                                         "digest",   "level",    "on-mismatch", NULL};
    return g_strv_contains(others, what);
}

/* Which domain it is: a good reference says nothing good of another one that has the same files. */
static guint compare_names(const PolicyReference *reference, const XmlDomain *domain, GPtrArray *rows)
{
    guint failed = 0;
    if (reference->name && g_strcmp0(reference->name, domain->name) != 0) {
        add(rows, "reference", POLICY_FAIL, "the domain is named '%s', the reference is for '%s'",
            domain->name ? domain->name : "", reference->name);
        failed++;
    }
    if (reference->uuid && (!domain->uuid || g_ascii_strcasecmp(reference->uuid, domain->uuid) != 0)) {
        add(rows, "reference", POLICY_FAIL, "the domain's UUID is %s, the reference is for %s",
            domain->uuid ? domain->uuid : "missing", reference->uuid);
        failed++;
    }
    return failed;
}

static void compare_facts(const PolicyReference *reference, const CmdSubject *subject, GPtrArray *rows)
{
    g_autoptr(GPtrArray) changes = policy_compare(reference, subject->domain, subject->evaluation);
    guint failed = compare_names(reference, subject->domain, rows);
    for (guint i = 0; i < changes->len; i++) {
        const PolicyChange *change = g_ptr_array_index(changes, i);
        if (!has_own_row(change->what)) {
            add(rows, "reference", POLICY_FAIL, "%s", change->text);
            failed++;
        }
    }
    if (failed == 0) {
        add(rows, "reference", POLICY_PASS, "name, inputs, command line and policy are those of the reference");
    }
}

void cmd_bundle_compare(const PolicyReference *reference, const CmdSubject *subject, GPtrArray *rows)
{
    const PolicyEvaluation *evaluation = subject->evaluation;
    if (evaluation->measurements->len == 0) {
        add(rows, "measurement", POLICY_FAIL, "the domain cannot be measured: %s",
            evaluation->unmeasurable ? evaluation->unmeasurable->message : "it has no launchSecurity of AMD's");
        return;
    }
    for (guint i = 0; i < reference->measurements->len; i++) {
        compare_measurement(g_ptr_array_index(reference->measurements, i), evaluation->measurements, rows);
    }
    check_foreseen(reference, subject, rows);
    compare_facts(reference, subject, rows);
    if (evaluation->level >= reference->level) {
        add(rows, "level", POLICY_PASS, "attestation level %u", evaluation->level);
    } else {
        g_autofree gchar *failing = cmd_failing_findings(evaluation->findings, reference->level);
        g_strdelimit(failing, "\n", ' ');
        add(rows, "level", POLICY_FAIL, "attestation level %u here, the reference says %u:%s", evaluation->level,
            reference->level, failing);
    }
}

static const char *original_path(const PolicyReference *reference, const char *role)
{
    for (guint i = 0; i < reference->inputs->len; i++) {
        const PolicyReferenceInput *input = g_ptr_array_index(reference->inputs, i);
        if (g_str_equal(input->role, role)) {
            return input->path;
        }
    }
    return NULL;
}

static void rename_in_findings(GPtrArray *findings, const char *from, const char *to)
{
    for (guint i = 0; i < findings->len; i++) {
        PolicyFinding *finding = g_ptr_array_index(findings, i);
        GString *text = g_string_new(finding->text);
        g_string_replace(text, from, to, 0);
        g_free(finding->text);
        finding->text = g_string_free(text, FALSE);
    }
}

void cmd_bundle_restore_paths(const StorageBundle *bundle, PolicyReference *reference)
{
    for (guint i = 0; i < reference->inputs->len; i++) {
        PolicyReferenceInput *input = g_ptr_array_index(reference->inputs, i);
        const char *path = original_path(bundle->reference, input->role);
        if (input->path && path) {
            rename_in_findings(reference->findings, input->path, path);
            g_free(input->path);
            input->path = g_strdup(path);
        }
    }
    policy_reference_set_source(reference, "bundle");
}

/* ---- signature ---- */

static GPtrArray *load_keys(CmdContext *context, GError **error)
{
    const GPtrArray *files = cmd_arguments_all(context->arguments, "key");
    g_autoptr(GPtrArray) keys = NULL;
    if (files->len == 0) {
        PolicyConfig *config = cmd_context_config(context, error);
        return config ? policy_trusted_keys_load(config, error) : NULL;
    }
    keys = g_ptr_array_new_with_free_func((GDestroyNotify)policy_key_free);
    for (guint i = 0; i < files->len; i++) {
        PolicyKey *key = policy_key_load_public(g_ptr_array_index(files, i), POLICY_KEY_P384 | POLICY_KEY_ED25519,
                                                "key", error);
        if (!key) {
            return NULL;
        }
        g_ptr_array_add(keys, key);
    }
    return g_steal_pointer(&keys);
}

static void check_signature(const StorageBundle *bundle, GPtrArray *keys, GPtrArray *rows)
{
    g_autoptr(GError) cause = NULL;
    if (!bundle->reference) {
        return;
    }
    if (keys->len == 0) {
        add(rows, "signature", POLICY_NOTE,
            bundle->envelope ? "the reference is signed, and there is no key to check it with: give --key, or put keys "
                               "into the folder of trusted keys"
                             : "the reference is not signed: whoever handed over this bundle can have made it");
    } else if (!bundle->envelope) {
        add(rows, "signature", POLICY_FAIL, "the reference is not signed, and a signature by one of %u key%s is needed",
            keys->len, keys->len == 1 ? "" : "s");
    } else if (policy_envelope_verify(bundle->envelope, keys, NULL, &cause)) {
        g_autoptr(GPtrArray) signers = cmd_signers(bundle->envelope, keys);
        g_autofree gchar *signer = cmd_signer_describe(g_ptr_array_index(signers, 0));
        add(rows, "signature", POLICY_PASS, "the reference is signed by %s", signer);
    } else {
        add(rows, "signature", POLICY_FAIL, "%s", cause->message);
    }
}

/* ---- ID block, host data ---- */

static void check_id_block(const CmdSubject *subject, GPtrArray *rows)
{
    const XmlDomain *domain = subject->domain;
    if (!domain->id_block && !domain->id_auth) {
        return;
    }
    g_autoptr(GPtrArray) own = own_measurements(subject, subject->evaluation->measurements);
    g_autoptr(GPtrArray) misfits = policy_id_block_misfits(domain, subject->evaluation->policy, own);
    for (guint i = 0; i < misfits->len; i++) {
        add(rows, "id-block", POLICY_FAIL, "%s", (const char *)g_ptr_array_index(misfits, i));
    }
    if (misfits->len == 0) {
        add(rows, "id-block", POLICY_PASS,
            "both signatures, digest and policy are right: the processor lets this launch through");
    }
}

static void check_host_data(const PolicyReference *reference, const XmlDomain *domain, GPtrArray *rows)
{
    guint8 binding[MEASURE_SHA256_SIZE];
    gsize size = 0;
    const guint8 *data = domain->host_data ? g_bytes_get_data(domain->host_data, &size) : NULL;
    if (!data) {
        return;
    }
    g_autofree gchar *hex = measure_hex_encode(data, size);
    policy_reference_binding(reference, binding);
    if (size == sizeof(binding) && measure_digest_equal(data, binding, sizeof(binding))) {
        add(rows, "host-data", POLICY_PASS, "host data binds the reference: %s", hex);
    } else if (g_strcmp0(reference->host_data, hex) == 0) {
        add(rows, "host-data", POLICY_NOTE, "host data is the owner's own, and in the reference: %s", hex);
    } else {
        add(rows, "host-data", POLICY_FAIL, "host data neither binds the reference nor is in it: %s", hex);
    }
}

/* ---- disks ---- */

static gboolean list_disks(const StorageBundle *bundle, GPtrArray *rows, GError **error)
{
    g_autoptr(GPtrArray) sources = xml_disk_sources(bundle->original_xml, -1, error);
    for (guint i = 0; sources && i < sources->len; i++) {
        add(rows, CMD_BUNDLE_DISK, POLICY_NOTE, "%s: the host opens it for the guest; no signature covers it",
            (const char *)g_ptr_array_index(sources, i));
    }
    return sources != NULL;
}

/* ---- all of it ---- */

/* The temporary folder means nothing to anybody, and is gone when the message is read. */
static void hide_folder(const StorageBundle *bundle, GPtrArray *rows, GError **error)
{
    g_autofree gchar *folder = g_strconcat(bundle->folder, "/", NULL);
    rename_in_findings(rows, folder, CMD_BUNDLE_FOLDER);
    if (error && *error) {
        g_autoptr(GString) text = g_string_new((*error)->message);
        g_string_replace(text, folder, CMD_BUNDLE_FOLDER, 0);
        g_free((*error)->message);
        (*error)->message = g_strdup(text->str);
    }
}

static gboolean check_domain(CmdContext *context, CmdBundleCheck *out, GError **error)
{
    out->subject = cmd_bundle_measure(context, out->bundle->xml, out->bundle->reference, error);
    if (!out->subject) {
        return FALSE;
    }
    cmd_bundle_compare(out->bundle->reference, out->subject, out->rows);
    check_id_block(out->subject, out->rows);
    check_host_data(out->bundle->reference, out->subject->domain, out->rows);
    return list_disks(out->bundle, out->rows, error);
}

gboolean cmd_bundle_check(CmdContext *context, const char *path, CmdBundleCheck *out, GError **error)
{
    g_autoptr(GPtrArray) keys = load_keys(context, error);
    out->bundle = keys ? storage_bundle_inspect(path, error) : NULL;
    if (!out->bundle) {
        return FALSE;
    }
    out->rows = g_ptr_array_new_with_free_func((GDestroyNotify)policy_finding_free);
    check_files(out->bundle, out->rows);
    check_signature(out->bundle, keys, out->rows);
    gboolean good = !out->bundle->domain || !out->bundle->reference || check_domain(context, out, error);
    hide_folder(out->bundle, out->rows, error);
    if (!good) {
        return FALSE;
    }
    for (guint i = 0; i < out->rows->len; i++) {
        out->failed += ((const PolicyFinding *)g_ptr_array_index(out->rows, i))->outcome == POLICY_FAIL;
    }
    return TRUE;
}
