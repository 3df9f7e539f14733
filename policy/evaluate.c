/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/evaluate-private.h"

#include <string.h>

#include "measure/error.h"

/* QEMU's -bios takes whole units of this many bytes (x86_bios_rom_init). */
#define ROM_UNIT 65536u
#define AMDSEV_ADVICE "use the AmdSev build (OVMF.amdsev.fd of the package ovmf-amdsev)"

const char *policy_outcome_name(PolicyOutcome outcome)
{
    switch (outcome) {
    case POLICY_PASS:
        return "pass";
    case POLICY_FAIL:
        return "fail";
    case POLICY_NOTE:
        return "note";
    }
    g_return_val_if_reached("note");
}

PolicyFinding *policy_finding_new(const char *rule, guint level, PolicyOutcome outcome, gchar *text)
{
    PolicyFinding *finding = g_new0(PolicyFinding, 1);

    finding->rule = g_strdup(rule);
    finding->level = level;
    finding->outcome = outcome;
    finding->text = text;
    return finding;
}

void policy_finding_free(PolicyFinding *finding)
{
    if (!finding)
        return;
    g_free(finding->rule);
    g_free(finding->text);
    g_free(finding);
}

void policy_evaluation_free(PolicyEvaluation *evaluation)
{
    if (!evaluation)
        return;
    g_ptr_array_unref(evaluation->findings);
    g_clear_pointer(&evaluation->launch, measure_launch_free);
    g_clear_pointer(&evaluation->inputs, measure_inputs_free);
    g_ptr_array_unref(evaluation->measurements);
    g_clear_error(&evaluation->unmeasurable);
    g_free(evaluation->words);
    g_free(evaluation);
}

void policy_evaluation_add(PolicyEvaluation *evaluation, const char *rule, guint level, PolicyOutcome outcome,
                           const char *format, ...)
{
    g_autofree gchar *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    /* Paths and names from the XML are in it. */
    g_ptr_array_add(evaluation->findings, policy_finding_new(rule, level, outcome, measure_printable(text)));
}

/* It is called on every other line here. */
#define add policy_evaluation_add

static gchar *join(const GPtrArray *words)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < words->len && i < 8; i++)
        g_string_append_printf(text, "%s%s", i ? ", " : "", (const char *)g_ptr_array_index(words, i));
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* ---- Level 1: a TEE whose memory the host cannot read ---- */

static void check_host_arguments(PolicyEvaluation *evaluation, const XmlDomain *domain)
{
    if (domain->has_qemu_commandline || domain->has_qemu_override)
        add(evaluation, "host-arguments", 1, POLICY_FAIL,
            "%s passes arguments to QEMU that can change what is launched, so nothing can be said of this domain: "
            "remove it",
            domain->has_qemu_commandline ? "<qemu:commandline>" : "<qemu:override>");
    else
        add(evaluation, "host-arguments", 1, POLICY_PASS, "no QEMU arguments are passed beside the domain XML");
}

static void check_policy(PolicyEvaluation *evaluation, const XmlDomain *domain)
{
    MeasurePlatform platform = evaluation->platform;
    g_autofree gchar *described = policy_guest_describe(platform, evaluation->policy);
    g_autofree gchar *invalid = policy_guest_invalid(platform, evaluation->policy);

    if (!domain->has_policy) {
        add(evaluation, "policy-bits", 1, POLICY_FAIL, "<launchSecurity> has no <policy>: give one, such as %s",
            platform == MEASURE_PLATFORM_SNP ? "<policy>0x30000</policy>" : "<policy>0x5</policy>");
        return;
    }
    if (policy_guest_allows_debug(platform, evaluation->policy))
        add(evaluation, "debug-policy", 1, POLICY_FAIL, "guest policy %s lets the host decrypt the guest's memory: %s",
            described, platform == MEASURE_PLATFORM_SNP ? "clear bit 19 (debug)" : "set bit 0 (nodbg)");
    else
        add(evaluation, "debug-policy", 1, POLICY_PASS, "guest policy %s forbids debugging by the host", described);
    if (invalid)
        add(evaluation, "policy-bits", 1, POLICY_FAIL, "the processor would refuse this guest policy: %s", invalid);
    else
        add(evaluation, "policy-bits", 1, POLICY_PASS, "guest policy %s is well-formed", described);
}

/* ---- Level 2: firmware, CPU and a value to compare with ---- */

/* Whether @message is about the file of that role: errors of a file begin with its role and path. */
static gboolean is_about(const char *message, const char *role, const char *path)
{
    g_autofree gchar *shown = path ? measure_printable(path) : NULL;
    g_autofree gchar *start = shown ? g_strdup_printf("%s '%s'", role, shown) : NULL;

    return start && g_str_has_prefix(message, start);
}

/* Why nothing was measured, if it is kernel or initrd, or NULL. */
static const char *kernel_fault(const PolicyEvaluation *evaluation, const XmlDomain *domain)
{
    const char *message = evaluation->unmeasurable ? evaluation->unmeasurable->message : NULL;

    if (!message || !evaluation->launch || evaluation->inputs)
        return NULL;
    return is_about(message, "kernel", domain->kernel) || is_about(message, "initrd", domain->initrd) ? message : NULL;
}

static void check_firmware_file(PolicyEvaluation *evaluation, const XmlDomain *domain)
{
    gboolean snp = evaluation->platform == MEASURE_PLATFORM_SNP;
    const char *rule = "firmware-file";

    if (domain->loader_type == XML_LOADER_NONE)
        add(evaluation, rule, 2, POLICY_FAIL,
            "the domain names no firmware: add <loader type='rom' readonly='yes'> and " AMDSEV_ADVICE);
    else if (domain->loader_type == XML_LOADER_UNRESOLVED || !domain->loader)
        add(evaluation, rule, 2, POLICY_FAIL,
            "libvirt has not chosen the firmware file yet: define the domain first, or name "
            "it in <loader type='rom'>");
    else if (domain->loader_format && strcmp(domain->loader_format, "raw"))
        add(evaluation, rule, 2, POLICY_FAIL, "firmware '%s' has the format %s, and only a raw file can be measured",
            domain->loader, domain->loader_format);
    else if (domain->loader_type == XML_LOADER_PFLASH && snp)
        add(evaluation, rule, 2, POLICY_FAIL,
            "firmware '%s' is a pflash device, which SEV-SNP cannot start: use <loader "
            "type='rom'>",
            domain->loader);
    else if (domain->loader_type == XML_LOADER_PFLASH && domain->has_nvram)
        add(evaluation, rule, 2, POLICY_FAIL,
            "the NVRAM %s%s%s belongs to the host and is not measured: use <loader type='rom'>, or <loader "
            "type='pflash' stateless='yes'> without <nvram>",
            domain->nvram ? "'" : "", domain->nvram ? domain->nvram : "that libvirt adds", domain->nvram ? "'" : "");
    else if (kernel_fault(evaluation, domain))
        add(evaluation, rule, 2, POLICY_FAIL,
            "firmware '%s' was not measured, because another input cannot be: see rule 'kernel'", domain->loader);
    else if (!evaluation->inputs)
        add(evaluation, rule, 2, evaluation->launch ? POLICY_FAIL : POLICY_NOTE, "firmware '%s' was not measured: %s",
            domain->loader,
            evaluation->unmeasurable ? evaluation->unmeasurable->message : "the domain cannot be measured");
    else if (domain->loader_type == XML_LOADER_ROM && evaluation->inputs->firmware->size % ROM_UNIT)
        add(evaluation, rule, 2, POLICY_FAIL,
            "firmware '%s' has %" G_GUINT64_FORMAT " bytes, which is no multiple of 64 KiB: QEMU does not start a "
            "<loader type='rom'> of that size, so it is not a whole firmware file",
            domain->loader, evaluation->inputs->firmware->size);
    else
        add(evaluation, rule, 2, POLICY_PASS, "firmware '%s' is a %s file and was measured", domain->loader,
            domain->loader_type == XML_LOADER_ROM ? "rom" : "pflash");
}

static const MeasureSection *first_empty(const MeasureFirmware *footer)
{
    for (guint i = 0; i < footer->n_sections; i++) {
        if (footer->sections[i].size == 0)
            return &footer->sections[i];
    }
    return NULL;
}

static void check_firmware_metadata(PolicyEvaluation *evaluation)
{
    const MeasureInputs *inputs = evaluation->inputs;
    const char *rule = "firmware-metadata";

    if (evaluation->platform != MEASURE_PLATFORM_SNP)
        add(evaluation, rule, 2, POLICY_PASS, "%s needs no metadata in the firmware",
            measure_platform_name(evaluation->platform));
    else if (!inputs)
        add(evaluation, rule, 2, POLICY_NOTE,
            "the firmware's metadata was not looked at, since the domain cannot be measured");
    else if (!inputs->footer->has_metadata)
        add(evaluation, rule, 2, POLICY_FAIL,
            "firmware '%s' has no SEV metadata, without which SEV-SNP cannot start: " AMDSEV_ADVICE,
            inputs->firmware->path);
    else if (first_empty(inputs->footer))
        add(evaluation, rule, 2, POLICY_FAIL,
            "firmware '%s' has an empty SEV metadata section (%s), so QEMU cannot start SEV-SNP with "
            "it: " AMDSEV_ADVICE,
            inputs->firmware->path, measure_section_type_name(first_empty(inputs->footer)->type));
    else
        add(evaluation, rule, 2, POLICY_PASS, "firmware '%s' has SEV metadata with %u sections", inputs->firmware->path,
            inputs->footer->n_sections);
}

static gboolean is_allowed(const GPtrArray *allowed, guint32 signature)
{
    for (guint i = 0; i < allowed->len; i++) {
        if (((const MeasureCpu *)g_ptr_array_index(allowed, i))->signature == signature)
            return TRUE;
    }
    return FALSE;
}

/* The first CPU type that is not among the allowed ones, or NULL. */
static const MeasureCpu *first_foreign(const GPtrArray *cpus, const GPtrArray *allowed)
{
    for (guint i = 0; i < cpus->len; i++) {
        const MeasureCpu *cpu = g_ptr_array_index(cpus, i);

        if (!is_allowed(allowed, cpu->signature))
            return cpu;
    }
    return NULL;
}

static void check_cpu(PolicyEvaluation *evaluation, const XmlDomain *domain, const PolicyEvaluateOptions *options)
{
    g_autoptr(GPtrArray) allowed = policy_config_cpus(options->config, evaluation->platform);
    const MeasureCpu *foreign = NULL;

    if (evaluation->platform == MEASURE_PLATFORM_SEV) {
        add(evaluation, "cpu", 2, POLICY_PASS, "plain SEV measures no vCPU state, so the CPU does not matter");
        return;
    }
    if (!evaluation->launch) {
        g_autoptr(MeasureCpu) cpu = NULL;
        g_autoptr(GError) error = NULL;
        const char *model = domain->cpu_mode == XML_CPU_CUSTOM ? domain->cpu_model : NULL;

        if (model && !(cpu = measure_cpu_from_name(model, &error)))
            add(evaluation, "cpu", 2, POLICY_FAIL, "CPU model '%s' cannot be predicted: %s", model, error->message);
        else
            add(evaluation, "cpu", 2, POLICY_NOTE, "the CPU was not looked at, since the domain cannot be measured");
        return;
    }
    foreign = first_foreign(evaluation->launch->cpus, allowed);
    if (foreign) {
        g_autofree gchar *label = measure_cpu_label(foreign);

        add(evaluation, "cpu", 2, POLICY_FAIL,
            "CPU type %s (signature 0x%x) is not allowed: choose another, or add it to "
            "'allowed-cpus' in group [measure] of '%s'",
            label, foreign->signature, options->config->path);
    } else if (evaluation->launch->cpus->len == 1) {
        g_autofree gchar *label = measure_cpu_label(g_ptr_array_index(evaluation->launch->cpus, 0));

        add(evaluation, "cpu", 2, POLICY_PASS, "CPU type %s is known and allowed", label);
    } else {
        add(evaluation, "cpu", 2, POLICY_PASS, "%s: each of the %u allowed ones was measured",
            options->every_cpu ? "several CPU types were asked for" : "the host chooses the CPU type",
            evaluation->launch->cpus->len);
    }
}

static void check_reference(PolicyEvaluation *evaluation, const PolicyEvaluateOptions *options)
{
    switch (options->reference) {
    case POLICY_REFERENCE_ABSENT:
        add(evaluation, "reference", 2, POLICY_FAIL,
            "no reference value is pinned, so nobody would notice a change: run "
            "'virt-attest define'");
        break;
    case POLICY_REFERENCE_EXISTS:
        add(evaluation, "reference", 2, POLICY_PASS, "a reference value is pinned");
        break;
    case POLICY_REFERENCE_ASSUMED:
        add(evaluation, "reference", 2, POLICY_PASS, "this measurement is taken as the reference value");
        break;
    }
}

/* Whatever else stands in the way of a prediction: not the fault of a rule that has a name of its own. */
static void check_measurable(PolicyEvaluation *evaluation, const XmlDomain *domain)
{
    if (domain->unknown_launch->len) {
        g_autofree gchar *names = join(domain->unknown_launch);

        add(evaluation, "launch-security", 2, POLICY_FAIL,
            "<launchSecurity> has settings that are not known here and may "
            "change the measurement (%s): remove them, or use a newer virt-attest",
            names);
        return;
    }
    if (!evaluation->unmeasurable)
        return;
    for (guint i = 0; i < evaluation->findings->len; i++) {
        const PolicyFinding *finding = g_ptr_array_index(evaluation->findings, i);

        if (finding->outcome == POLICY_FAIL && finding->level <= 2 && strcmp(finding->rule, "reference") &&
            strcmp(finding->rule, "debug-policy") && (strcmp(finding->rule, "policy-bits") || !domain->has_policy))
            return;
    }
    add(evaluation, "launch-security", 2, POLICY_FAIL, "%s", evaluation->unmeasurable->message);
}

/* ---- Level 3: kernel, initrd and command line ---- */

static gboolean is_trusted(const PolicyConfig *config, const MeasureInput *firmware)
{
    g_autofree gchar *digest = measure_hex_encode(firmware->sha256, sizeof(firmware->sha256));

    for (guint i = 0; i < config->trusted_firmware->len; i++) {
        if (!strcmp(g_ptr_array_index(config->trusted_firmware, i), digest))
            return TRUE;
    }
    return FALSE;
}

static void check_hash_area(PolicyEvaluation *evaluation)
{
    const MeasureInputs *inputs = evaluation->inputs;
    const char *rule = "hash-area";

    if (!inputs)
        add(evaluation, rule, 3, POLICY_NOTE,
            "the firmware's hash table area was not looked at, since the domain cannot be "
            "measured");
    else if (!inputs->footer->has_hash_table_area)
        add(evaluation, rule, 3, POLICY_FAIL, "firmware '%s' has no area for kernel hashes: " AMDSEV_ADVICE,
            inputs->firmware->path);
    else if (evaluation->platform == MEASURE_PLATFORM_SNP &&
             !measure_firmware_find_section(inputs->footer, MEASURE_SECTION_KERNEL_HASHES))
        add(evaluation, rule, 3, POLICY_FAIL,
            "firmware '%s' has no KERNEL_HASHES section, so SEV-SNP would not measure the "
            "kernel hashes: " AMDSEV_ADVICE,
            inputs->firmware->path);
    else
        add(evaluation, rule, 3, POLICY_PASS, "firmware '%s' has an area for kernel hashes", inputs->firmware->path);
}

static void check_verifier(PolicyEvaluation *evaluation, const PolicyEvaluateOptions *options)
{
    const MeasureInputs *inputs = evaluation->inputs;
    const MeasureFirmwareBuild *build = inputs ? inputs->build : NULL;
    const char *rule = "hash-verifier";
    const char *path = inputs ? inputs->firmware->path : NULL;
    const char *fault = NULL;

    if (!inputs) {
        add(evaluation, rule, 3, POLICY_NOTE,
            "the firmware's code was not looked at, since the domain cannot be measured");
        return;
    }
    if (build && build->verifier == MEASURE_VERIFIER_PRESENT) {
        add(evaluation, rule, 3, POLICY_PASS, "firmware '%s' verifies the kernel hashes and halts on a mismatch (%s)",
            path, build->reason);
        return;
    }
    if (is_trusted(options->config, inputs->firmware)) {
        add(evaluation, rule, 3, POLICY_NOTE,
            "firmware '%s' verifies the kernel hashes on the word of its owner, who trusts "
            "its SHA-256 in '%s'; virt-attest itself found: %s",
            path, options->config->path, build ? build->reason : "nothing");
        return;
    }
    switch (build ? build->verifier : MEASURE_VERIFIER_UNKNOWN) {
    case MEASURE_VERIFIER_ABSENT:
        add(evaluation, rule, 3, POLICY_FAIL,
            "firmware '%s' %s, so it would boot any kernel: " AMDSEV_ADVICE, path,
            inputs->footer->has_hash_table_area ? "advertises kernel hashes but has no code to verify them"
                                                : "has no code to verify kernel hashes either");
        return;
    case MEASURE_VERIFIER_WEAK:
        fault = "verifies the kernel hashes but boots on when they do not match";
        break;
    case MEASURE_VERIFIER_UNDATED:
        fault = "verifies the kernel hashes, but its version, and so whether it halts on a mismatch, cannot be read";
        break;
    default:
        fault = "cannot be judged: nobody knows whether it verifies the kernel hashes";
        break;
    }
    add(evaluation, rule, 3, POLICY_FAIL,
        "firmware '%s' %s (%s): use an AmdSev build of edk2-stable202408 or later, or add its "
        "SHA-256 to 'trusted' in group [firmware] of '%s' if you vouch for it",
        path, fault, build ? build->reason : "it was not examined", options->config->path);
}

static void check_kernel(PolicyEvaluation *evaluation, const XmlDomain *domain, const PolicyEvaluateOptions *options)
{
    if (kernel_fault(evaluation, domain))
        add(evaluation, "kernel", 3, POLICY_FAIL, "%s", kernel_fault(evaluation, domain));
    else if (domain->kernel)
        add(evaluation, "kernel", 3, POLICY_PASS, "kernel '%s' is started directly", domain->kernel);
    else
        add(evaluation, "kernel", 3, POLICY_FAIL,
            "the domain boots from its disk, which the host can change: give it <kernel>, "
            "<initrd> and <cmdline>");
    if (domain->kernel_hashes)
        add(evaluation, "kernel-hashes", 3, POLICY_PASS, "kernel, initrd and command line are part of the measurement");
    else
        add(evaluation, "kernel-hashes", 3, POLICY_FAIL,
            "kernel, initrd and command line are not measured: set "
            "kernelHashes='yes' in <launchSecurity>");
    check_hash_area(evaluation);
    check_verifier(evaluation, options);
}

/* ---- Putting it together ---- */

/* Candidates where the XML leaves the CPU to the host: one per signature. */
static GPtrArray *candidate_cpus(const XmlDomain *domain, MeasurePlatform platform,
                                 const PolicyEvaluateOptions *options)
{
    g_autoptr(GPtrArray) allowed = policy_config_cpus(options->config, platform);
    GPtrArray *chosen = g_ptr_array_new_with_free_func((GDestroyNotify)measure_cpu_free);

    /* host-model always becomes a named model; only host-passthrough shows the silicon's own signature. */
    for (guint pass = domain->cpu_mode == XML_CPU_HOST_MODEL ? 0 : 1; pass < 2 && !chosen->len; pass++) {
        for (guint i = 0; i < allowed->len; i++) {
            const MeasureCpu *cpu = g_ptr_array_index(allowed, i);

            if ((pass == 1 || cpu->name) && !is_allowed(chosen, cpu->signature))
                g_ptr_array_add(chosen, measure_cpu_copy(cpu));
        }
    }
    return chosen;
}

static void add_measurement(PolicyEvaluation *evaluation, const MeasureLaunch *launch, const MeasureCpu *cpu,
                            guint vcpus, const MeasureDigest *digest)
{
    XmlMeasurement *measurement = xml_measurement_new();

    g_ptr_array_add(evaluation->measurements, measurement);
    measurement->platform = launch->platform;
    measurement->digest = *digest;
    if (cpu) {
        measurement->cpu = measure_cpu_label(cpu);
        measurement->signature = cpu->signature;
        measurement->features = launch->guest_features;
        measurement->vcpus = vcpus;
    }
    if (launch->platform == MEASURE_PLATFORM_SEV_ES) {
        measurement->has_fpu = TRUE;
        measurement->fpu = launch->fpu;
    }
}

/* Every CPU type and vCPU count of @launch from the same inputs. */
static gboolean add_measurements(PolicyEvaluation *evaluation, const MeasureLaunch *launch, const GArray *vcpus,
                                 GError **error)
{
    const GPtrArray *cpus = launch->cpus;
    gboolean sev = launch->platform == MEASURE_PLATFORM_SEV;
    guint n_cpus = sev ? 1 : cpus->len;
    g_autofree guint32 *signatures = g_new0(guint32, MAX(n_cpus, 1));
    guint one = MAX(launch->vcpus, 1);
    const guint *counts = sev || !vcpus || !vcpus->len ? &one : (const guint *)(gconstpointer)vcpus->data;
    guint n_counts = sev || !vcpus || !vcpus->len ? 1 : vcpus->len;
    g_autofree MeasureDigest *digests = g_new0(MeasureDigest, MAX((gsize)n_cpus * n_counts, 1));

    for (guint i = 0; !sev && i < n_cpus; i++)
        signatures[i] = ((const MeasureCpu *)g_ptr_array_index(cpus, i))->signature;
    if (!measure_launch_digests(launch, evaluation->inputs, signatures, n_cpus, counts, n_counts, digests, error))
        return FALSE;
    for (guint i = 0; i < n_cpus; i++) {
        for (guint j = 0; j < n_counts; j++)
            add_measurement(evaluation, launch, sev ? NULL : g_ptr_array_index(cpus, i), counts[j],
                            &digests[(gsize)i * n_counts + j]);
    }
    return TRUE;
}

static void take_measurements(PolicyEvaluation *evaluation, const XmlDomain *domain,
                              const PolicyEvaluateOptions *options)
{
    gboolean given = options->cpus && options->cpus->len;
    gboolean every_cpu = given && options->every_cpu;
    g_autoptr(GPtrArray) candidates =
        given ? g_ptr_array_ref(options->cpus) : candidate_cpus(domain, evaluation->platform, options);
    XmlLaunchOptions launch_options = {
        .cpus = candidates,
        .on_launch_host = options->on_launch_host && !every_cpu,
        .guest_features = options->config->guest_features,
        .fpu = options->config->sev_es_fpu,
    };
    GError **error = &evaluation->unmeasurable;
    MeasureLaunch *launch = NULL;

    evaluation->launch = launch = xml_domain_to_launch(domain, &launch_options, error);
    if (!launch)
        return;
    if (every_cpu && evaluation->platform != MEASURE_PLATFORM_SEV) {
        g_ptr_array_set_size(launch->cpus, 0);
        for (guint i = 0; i < options->cpus->len; i++)
            g_ptr_array_add(launch->cpus, measure_cpu_copy(g_ptr_array_index(options->cpus, i)));
    }
    evaluation->inputs = measure_inputs_open(launch, options->cache, MEASURE_OPEN_JUDGE_FIRMWARE, NULL, error);
    if (!evaluation->inputs)
        return;
    if (add_measurements(evaluation, launch, options->vcpus, error) && options->all_fpu &&
        evaluation->platform == MEASURE_PLATFORM_SEV_ES) {
        MeasureLaunch other = *launch;

        other.fpu = launch->fpu == MEASURE_FPU_LEGACY ? MEASURE_FPU_INIT2 : MEASURE_FPU_LEGACY;
        add_measurements(evaluation, &other, options->vcpus, error);
    }
    if (evaluation->unmeasurable)
        g_ptr_array_set_size(evaluation->measurements, 0);
}

static guint derive_level(const PolicyEvaluation *evaluation)
{
    guint level = evaluation->measurements->len ? 4 : 1;

    for (guint i = 0; i < evaluation->findings->len; i++) {
        const PolicyFinding *finding = g_ptr_array_index(evaluation->findings, i);

        if (finding->outcome == POLICY_FAIL && finding->level <= level)
            level = finding->level - 1;
    }
    return level;
}

static gint by_level(gconstpointer a, gconstpointer b)
{
    const PolicyFinding *left = *(const PolicyFinding *const *)a;
    const PolicyFinding *right = *(const PolicyFinding *const *)b;

    return (gint)left->level - (gint)right->level;
}

PolicyEvaluation *policy_evaluate(const XmlDomain *domain, const PolicyEvaluateOptions *options)
{
    PolicyEvaluation *evaluation = g_new0(PolicyEvaluation, 1);

    evaluation->findings = g_ptr_array_new_with_free_func((GDestroyNotify)policy_finding_free);
    evaluation->measurements = g_ptr_array_new_with_free_func((GDestroyNotify)xml_measurement_free);
    evaluation->confidential = xml_domain_platform(domain, &evaluation->platform);
    if (!evaluation->confidential) {
        if (domain->launch_type == XML_LAUNCH_OTHER)
            add(evaluation, "launch-security", 1, POLICY_FAIL,
                "launchSecurity of type '%s' is not one that virt-attest "
                "measures: it knows sev and sev-snp",
                domain->launch_type_name);
        else
            add(evaluation, "launch-security", 1, POLICY_FAIL,
                "the domain has no <launchSecurity>: add <launchSecurity "
                "type='sev-snp'> to run it in a TEE");
        g_set_error_literal(&evaluation->unmeasurable, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                            ((PolicyFinding *)g_ptr_array_index(evaluation->findings, 0))->text);
        return evaluation;
    }
    evaluation->policy = domain->policy;
    take_measurements(evaluation, domain, options);

    add(evaluation, "launch-security", 1, POLICY_PASS, "launchSecurity asks for %s",
        measure_platform_name(evaluation->platform));
    check_host_arguments(evaluation, domain);
    check_policy(evaluation, domain);
    check_firmware_file(evaluation, domain);
    check_firmware_metadata(evaluation);
    check_cpu(evaluation, domain, options);
    check_reference(evaluation, options);
    policy_evaluate_id_block(evaluation, domain);
    check_kernel(evaluation, domain, options);
    policy_evaluate_root(evaluation, domain, options);
    check_measurable(evaluation, domain);
    /* The last check speaks of level 2. This sort is stable. */
    g_ptr_array_sort(evaluation->findings, by_level);
    evaluation->level = derive_level(evaluation);
    return evaluation;
}
