/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * measure: the expected launch measurement, of a domain XML or of explicit
 * options. Offline: no libvirt, no state folder.
 */
#include "virsh-wrappers/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "measure/error.h"
#include "measure/svsm.h"
#include "measure/vmsa.h"
#include "virsh-wrappers/bundle-check.h"
#include "virsh-wrappers/report.h"

/* Options that only one of the two forms of the command understands. */
static const char *const explicit_only[] = {
    "vcpus",  "vcpu-type", "vcpu-sig",      "vcpu-family", "vcpu-model", "vcpu-stepping", "vmm-type",  "ovmf", "kernel",
    "initrd", "append",    "snp-ovmf-hash", "svsm",        "vars-size",  "vars-file",     "dump-vmsa", NULL};
static const char *const svsm_only[] = {"svsm", "vars-size", "vars-file", NULL};
static const char *const not_svsm[] = {"kernel",   "initrd",         "append",    "snp-ovmf-hash",
                                       "vmm-type", "guest-features", "dump-vmsa", NULL};
static const char *const xml_only[] = {"cpu", "format", NULL};

static gboolean usage(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean usage(GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree gchar *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "%s", text);
    return FALSE;
}

static void print_digest(const CmdContext *context, const guint8 *bytes, gsize size)
{
    gboolean base64 = g_strcmp0(cmd_context_get(context, "output-format"), "base64") == 0;
    g_autofree gchar *text = base64 ? g_base64_encode(bytes, size) : measure_hex_encode(bytes, size);
    printf("%s\n", text);
}

/* ---- explicit options ---- */

static MeasurePlatform mode_platform(const char *mode)
{
    if (g_str_equal(mode, "sev")) {
        return MEASURE_PLATFORM_SEV;
    }
    return g_str_equal(mode, "seves") ? MEASURE_PLATFORM_SEV_ES : MEASURE_PLATFORM_SNP;
}

/* Family, model and stepping win over a signature, and that over a name, as in the tool whose options these are. */
static MeasureCpu *cpu_from_options(const CmdArguments *arguments, GError **error)
{
    guint64 family = 0, model = 0, stepping = 0, signature = 0;
    if (cmd_arguments_has(arguments, "vcpu-family")) {
        if (!cmd_arguments_has(arguments, "vcpu-model") || !cmd_arguments_has(arguments, "vcpu-stepping")) {
            usage(error, "--vcpu-family needs --vcpu-model and --vcpu-stepping");
            return NULL;
        }
        if (!cmd_arguments_number(arguments, "vcpu-family", 0, 0xf + 0xff, &family, error) ||
            !cmd_arguments_number(arguments, "vcpu-model", 0, 0xff, &model, error) ||
            !cmd_arguments_number(arguments, "vcpu-stepping", 0, 0xf, &stepping, error)) {
            return NULL;
        }
        return measure_cpu_new(NULL, measure_cpu_signature((guint)family, (guint)model, (guint)stepping));
    }
    if (cmd_arguments_has(arguments, "vcpu-model") || cmd_arguments_has(arguments, "vcpu-stepping")) {
        usage(error, "--vcpu-model and --vcpu-stepping need --vcpu-family");
        return NULL;
    }
    if (cmd_arguments_has(arguments, "vcpu-sig")) {
        if (!cmd_arguments_number(arguments, "vcpu-sig", 0, G_MAXUINT32, &signature, error)) {
            return NULL;
        }
        return measure_cpu_new(NULL, (guint32)signature);
    }
    const char *name = cmd_arguments_get(arguments, "vcpu-type");
    if (!name) {
        usage(error,
              "no CPU type: give --vcpu-type, --vcpu-sig, or --vcpu-family with --vcpu-model and --vcpu-stepping");
        return NULL;
    }
    return measure_cpu_from_name(name, error);
}

static gboolean launch_set_vmm(MeasureLaunch *launch, const CmdArguments *arguments, GError **error)
{
    const char *name = cmd_arguments_get(arguments, "vmm-type");
    if (!name || g_str_equal(name, "QEMU")) {
        launch->vmm = MEASURE_VMM_QEMU;
        return TRUE;
    }
    launch->vmm = g_str_equal(name, "ec2") ? MEASURE_VMM_EC2 : MEASURE_VMM_GCE;
    if (launch->platform != MEASURE_PLATFORM_SNP) {
        return usage(error, "--vmm-type %s goes with --mode snp only", name);
    }
    return TRUE;
}

static gboolean launch_set_vcpus(MeasureLaunch *launch, const CmdArguments *arguments, GError **error)
{
    if (launch->platform == MEASURE_PLATFORM_SEV) {
        return TRUE;
    }
    if (!cmd_arguments_has(arguments, "vcpus")) {
        return usage(error, "--mode %s needs --vcpus", cmd_arguments_get(arguments, "mode"));
    }
    guint64 vcpus = 1;
    if (!cmd_arguments_number(arguments, "vcpus", 1, MEASURE_MAX_VCPUS, &vcpus, error)) {
        return FALSE;
    }
    launch->vcpus = (guint)vcpus;
    if (launch->vmm == MEASURE_VMM_QEMU) {
        MeasureCpu *cpu = cpu_from_options(arguments, error);
        if (!cpu) {
            return FALSE;
        }
        g_ptr_array_add(launch->cpus, cpu);
    }
    return TRUE;
}

static gboolean launch_set_features(MeasureLaunch *launch, const CmdArguments *arguments, GError **error)
{
    guint64 features = launch->guest_features;
    if (!cmd_arguments_number(arguments, "guest-features", 0, G_MAXUINT64, &features, error)) {
        return FALSE;
    }
    /* Bit 0 says "SNP is active": a VMSA of SEV-ES cannot have it, and 0x1 is only the option's usual value for SNP. */
    launch->guest_features = launch->platform == MEASURE_PLATFORM_SNP ? features : features & ~G_GUINT64_CONSTANT(1);
    const char *fpu = cmd_arguments_get(arguments, "vmsa-fpu");
    launch->fpu = g_strcmp0(fpu, "legacy") == 0 ? MEASURE_FPU_LEGACY : MEASURE_FPU_INIT2;
    return TRUE;
}

static gboolean launch_set_files(MeasureLaunch *launch, const CmdArguments *arguments, GError **error)
{
    const char *firmware = cmd_arguments_get(arguments, "ovmf");
    const char *kernel = cmd_arguments_get(arguments, "kernel");
    const char *initrd = cmd_arguments_get(arguments, "initrd");
    const char *append = cmd_arguments_get(arguments, "append");
    if (!firmware) {
        return usage(error, "no firmware: give --ovmf FILE");
    }
    gboolean has_kernel = kernel && *kernel;
    if (!has_kernel && ((initrd && *initrd) || (append && *append))) {
        return usage(error, "--initrd and --append need --kernel: without one QEMU measures neither");
    }
    launch->firmware = g_strdup(firmware);
    if (has_kernel) {
        launch->kernel = g_strdup(kernel);
        launch->initrd = initrd && *initrd ? g_strdup(initrd) : NULL;
        launch->cmdline = g_strdup(append);
        launch->kernel_hashes = TRUE;
    }
    return TRUE;
}

static int measure_firmware_pages(CmdContext *context, GError **error)
{
    g_autoptr(MeasureLaunch) launch = measure_launch_new(MEASURE_PLATFORM_SNP);
    if (!launch_set_files(launch, context->arguments, error)) {
        return -1;
    }
    g_autoptr(MeasureInputs) inputs = measure_inputs_open(launch, NULL, MEASURE_OPEN_DEFAULT, NULL, error);
    if (!inputs) {
        return -1;
    }
    print_digest(context, inputs->snp_seed, sizeof(inputs->snp_seed));
    return 0;
}

static MeasureVmsaProfile vmsa_profile(MeasureVmm vmm)
{
    switch (vmm) {
    case MEASURE_VMM_EC2:
        return MEASURE_VMSA_EC2;
    case MEASURE_VMM_GCE:
        return MEASURE_VMSA_GCE;
    case MEASURE_VMM_QEMU:
        return MEASURE_VMSA_QEMU;
    }
    g_assert_not_reached();
}

/* vmsaN.bin in the current folder: what to compare byte for byte when a digest is not the expected one. */
static gboolean dump_vmsa(const MeasureLaunch *launch, const MeasureInputs *inputs, guint32 signature, GError **error)
{
    for (guint i = 0; i < launch->vcpus; i++) {
        MeasureVmsa vmsa = {
            .profile = vmsa_profile(launch->vmm),
            .fpu = launch->fpu,
            .application_processor = i > 0,
            .address = i > 0 ? inputs->footer->ap_reset_address : MEASURE_RESET_ADDRESS,
            .signature = signature,
            .features = launch->guest_features,
        };
        guint8 page[MEASURE_PAGE_SIZE];
        measure_vmsa_fill(page, &vmsa);
        g_autofree gchar *name = g_strdup_printf("vmsa%u.bin", i);
        g_autoptr(GError) cause = NULL;
        if (!g_file_set_contents(name, (const gchar *)page, sizeof(page), &cause)) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot write '%s': %s", name, cause->message);
            return FALSE;
        }
    }
    return TRUE;
}

/* How much room the variable store takes between SVSM and firmware: a number, or the size of the file that it is. */
static gboolean read_vars_size(const CmdArguments *arguments, guint64 *out, GError **error)
{
    const char *file = cmd_arguments_get(arguments, "vars-file");
    struct stat status;
    if (!file == !cmd_arguments_has(arguments, "vars-size")) {
        return usage(error, "--mode snp:svsm needs the size of the variable store: either --vars-size or --vars-file");
    }
    if (file && stat(file, &status) != 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "variable store '%s': %s", file, g_strerror(errno));
        return FALSE;
    }
    *out = file ? (guint64)status.st_size : 0;
    return cmd_arguments_number(arguments, "vars-size", 0, MEASURE_FIRMWARE_MAX_SIZE, out, error);
}

static int measure_svsm(CmdContext *context, GError **error)
{
    const CmdArguments *arguments = context->arguments;
    const char *image = cmd_arguments_get(arguments, "svsm");
    const char *foreign = cmd_arguments_first_of(arguments, not_svsm);
    guint64 vars_size = 0;
    if (foreign || !image) {
        usage(error,
              foreign ? "--%s does not go with --mode snp:svsm"
                      : "--mode snp:svsm needs the image of the SVSM: --%s FILE",
              foreign ? foreign : "svsm");
        return -1;
    }
    g_autoptr(MeasureLaunch) launch = measure_launch_new(MEASURE_PLATFORM_SNP);
    if (!launch_set_files(launch, arguments, error) || !launch_set_vcpus(launch, arguments, error) ||
        !read_vars_size(arguments, &vars_size, error)) {
        return -1;
    }
    g_autoptr(MeasureInputs) inputs = measure_inputs_open(launch, NULL, MEASURE_OPEN_DEFAULT, NULL, error);
    if (!inputs) {
        return -1;
    }
    const MeasureCpu *cpu = g_ptr_array_index(launch->cpus, 0);
    MeasureDigest digest;
    if (!measure_svsm_digest(inputs, image, vars_size, cpu->signature, launch->vcpus, &digest, error)) {
        return -1;
    }
    print_digest(context, digest.bytes, digest.size);
    return 0;
}

static int measure_options(CmdContext *context, GError **error)
{
    const CmdArguments *arguments = context->arguments;
    const char *mode = cmd_arguments_get(arguments, "mode");
    if (g_str_equal(mode, "snp:svsm")) {
        return measure_svsm(context, error);
    }
    const char *foreign = cmd_arguments_first_of(arguments, svsm_only);
    if (foreign) {
        usage(error, "--%s goes with --mode snp:svsm only", foreign);
        return -1;
    }
    if (g_str_equal(mode, "snp:ovmf-hash")) {
        return measure_firmware_pages(context, error);
    }
    g_autoptr(MeasureLaunch) launch = measure_launch_new(mode_platform(mode));
    if (!launch_set_files(launch, arguments, error) || !launch_set_vmm(launch, arguments, error) ||
        !launch_set_vcpus(launch, arguments, error) || !launch_set_features(launch, arguments, error)) {
        return -1;
    }
    const char *seed_text = cmd_arguments_get(arguments, "snp-ovmf-hash");
    guint8 seed[MEASURE_SHA384_SIZE];
    if (seed_text && launch->platform != MEASURE_PLATFORM_SNP) {
        usage(error, "--snp-ovmf-hash goes with --mode snp only");
        return -1;
    }
    if (seed_text && !measure_hex_decode(seed_text, seed, sizeof(seed))) {
        usage(error, "--snp-ovmf-hash: '%s' is not 96 hexadecimal digits", seed_text);
        return -1;
    }
    g_autoptr(MeasureInputs)
        inputs = measure_inputs_open(launch, NULL, MEASURE_OPEN_DEFAULT, seed_text ? seed : NULL, error);
    if (!inputs) {
        return -1;
    }
    const MeasureCpu *cpu = launch->cpus->len > 0 ? g_ptr_array_index(launch->cpus, 0) : NULL;
    MeasureDigest digest;
    if (!measure_launch_digest(launch, inputs, cpu ? cpu->signature : 0, launch->vcpus, &digest, error)) {
        return -1;
    }
    if (cmd_context_has(context, "dump-vmsa")) {
        if (launch->platform == MEASURE_PLATFORM_SEV) {
            usage(error, "--dump-vmsa: plain SEV measures no VMSA");
            return -1;
        }
        if (!dump_vmsa(launch, inputs, cpu ? cpu->signature : 0, error)) {
            return -1;
        }
    }
    print_digest(context, digest.bytes, digest.size);
    return 0;
}

/* ---- a domain XML ---- */

static gboolean config_override(CmdContext *context, PolicyConfig *config, GError **error)
{
    if (!cmd_arguments_number(context->arguments, "guest-features", 0, G_MAXUINT64, &config->guest_features, error)) {
        return FALSE;
    }
    const char *fpu = cmd_context_get(context, "vmsa-fpu");
    if (fpu) {
        config->sev_es_fpu = g_str_equal(fpu, "legacy") ? MEASURE_FPU_LEGACY : MEASURE_FPU_INIT2;
    }
    return TRUE;
}

static int print_digests(CmdContext *context, GPtrArray *measurements, GError **error)
{
    if (measurements->len != 1) {
        usage(error,
              "the domain has a measurement for each of %u CPU types: choose one with --cpu, or use --format json",
              measurements->len);
        return -1;
    }
    const XmlMeasurement *only = g_ptr_array_index(measurements, 0);
    print_digest(context, only->digest.bytes, only->digest.size);
    return 0;
}

static void print_report(const CmdContext *context, const XmlDomain *domain, const PolicyEvaluation *evaluation,
                         const PolicyReference *reference)
{
    gboolean bare = cmd_context_quiet(context);
    g_autofree gchar *policy = policy_guest_describe(evaluation->platform, evaluation->policy);
    g_autofree gchar *level = g_strdup_printf("%u", evaluation->level);
    if (!bare) {
        cmd_print_field("Name", domain->name);
        cmd_print_field("Platform", measure_platform_name(evaluation->platform));
        cmd_print_field("Level", level);
        cmd_print_field("Policy", policy);
        printf("\n");
    }
    cmd_report_measurements(reference->measurements, bare);
    if (!bare) {
        cmd_report_inputs(reference->inputs, bare);
        cmd_report_findings(evaluation->findings, TRUE, bare);
    }
}

static int measure_xml(CmdContext *context, const char *path, GError **error)
{
    g_autofree gchar *text = NULL;
    gsize size = 0;
    g_autoptr(GPtrArray) cpus = NULL;
    g_autoptr(StorageBundle) bundle = NULL;
    if (!cmd_context_cpus(context, &cpus, error)) {
        return -1;
    }
    if (!g_str_equal(path, "-") && storage_bundle_recognise(path)) {
        bundle = storage_bundle_open(path, error);
        if (!bundle) {
            return -1;
        }
        text = g_strdup(bundle->xml);
        size = strlen(text);
    } else if (!cmd_read_xml(path, &text, &size, error)) {
        return -1;
    }
    PolicyConfig *config = cmd_context_config(context, error);
    if (!config || !config_override(context, config, error)) {
        return -1;
    }
    g_autoptr(XmlDomain) domain = xml_domain_parse(text, (gssize)size, error);
    if (!domain) {
        g_autofree gchar *where = g_str_equal(path, "-") ? g_strdup("standard input") : g_strdup_printf("'%s'", path);
        g_prefix_error(error, "%s: ", where);
        return -1;
    }
    cmd_report_warnings(context, domain);
    PolicyEvaluateOptions options = {.config = config, .cpus = cpus, .reference = POLICY_REFERENCE_ASSUMED};
    g_autoptr(PolicyEvaluation) evaluation = policy_evaluate(domain, &options);
    if (evaluation->unmeasurable) {
        g_propagate_error(error, g_error_copy(evaluation->unmeasurable));
        return -1;
    }
    if (cmd_context_has(context, "output-format")) {
        return print_digests(context, evaluation->measurements, error);
    }
    XmlOnMismatch on_mismatch = domain->attestation ? domain->attestation->on_mismatch : XML_ON_MISMATCH_REFUSE;
    g_autoptr(PolicyReference) reference = policy_reference_new(domain, evaluation, on_mismatch, error);
    if (!reference) {
        return -1;
    }
    if (bundle) {
        cmd_bundle_restore_paths(bundle, reference);
    }
    if (cmd_context_json(context)) {
        g_autofree gchar *json = policy_reference_format(reference, POLICY_REFERENCE_SHARED);
        g_strchomp(json);
        printf("%s\n", json);
    } else {
        print_report(context, domain, evaluation, reference);
    }
    return 0;
}

int cmd_measure(CmdContext *context, GError **error)
{
    const char *path = cmd_context_word(context, 0);
    gboolean by_options = cmd_context_has(context, "mode");
    if (!path && !by_options) {
        usage(error, "nothing to measure: name a domain XML, or give --mode and the options that go with it");
        return -1;
    }
    if (path && by_options) {
        usage(error, "measure takes a domain XML or --mode, not both");
        return -1;
    }
    const char *foreign = cmd_arguments_first_of(context->arguments, by_options ? xml_only : explicit_only);
    if (foreign) {
        usage(error,
              by_options ? "--%s goes with a domain XML, not with --mode"
                         : "--%s goes with --mode, not with a domain XML",
              foreign);
        return -1;
    }
    if (cmd_context_has(context, "format") && cmd_context_has(context, "output-format")) {
        usage(error, "--format shapes the whole report, --output-format prints the digest alone: give one of them");
        return -1;
    }
    return by_options ? measure_options(context, error) : measure_xml(context, path, error);
}
