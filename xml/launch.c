/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a domain to its launch description; whatever cannot be predicted exactly is an error that says what to do. */
#include <string.h>

#include "measure/error.h"
#include "xml/document.h"
#include "xml/domain.h"

/* QEMU's model where the domain names none. */
#define DEFAULT_CPU "qemu64"

static gboolean refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean refuse(GError **error, const char *format, ...)
{
    g_autofree gchar *message = NULL;
    va_list arguments;

    va_start(arguments, format);
    message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "this domain cannot be measured: %s", message);
    return FALSE;
}

static gchar *join_names(const GPtrArray *names)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < names->len && i < 8; i++) {
        g_string_append_printf(text, "%s%s", i > 0 ? ", " : "", (const char *)g_ptr_array_index(names, i));
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static gboolean check_launch_security(const XmlDomain *domain, GError **error)
{
    if (domain->launch_type == XML_LAUNCH_NONE) {
        return refuse(error, "it has no <launchSecurity>; add <launchSecurity type='sev-snp'>");
    }
    if (domain->launch_type == XML_LAUNCH_OTHER) {
        g_autofree gchar *shown = xml_printable(domain->launch_type_name);

        return refuse(error, "launchSecurity type '%s' is not measured here; only 'sev' and 'sev-snp' are", shown);
    }
    if (!domain->has_policy) {
        return refuse(
            error, "<launchSecurity> has no <policy>, which libvirt demands; add one such as <policy>0x30000</policy>");
    }
    if (domain->unknown_launch->len > 0) {
        g_autofree gchar *names = join_names(domain->unknown_launch);

        return refuse(error,
                      "<launchSecurity> holds '%s', not known for type '%s'; remove it, or use a newer virt-attest",
                      names, domain->launch_type_name);
    }
    return TRUE;
}

static gboolean check_machine(const XmlDomain *domain, MeasurePlatform platform, GError **error)
{
    gboolean any_pc = platform == MEASURE_PLATFORM_SEV;
    g_autofree gchar *shown = NULL;

    if (domain->arch != NULL && strcmp(domain->arch, "x86_64") != 0) {
        shown = xml_printable(domain->arch);
        return refuse(error, "its architecture is '%s'; SEV exists on x86_64 only", shown);
    }
    if (xml_machine_is_q35(domain->machine) ||
        (any_pc && (domain->machine == NULL || xml_machine_is_i440fx(domain->machine)))) {
        return TRUE;
    }
    shown = xml_printable(domain->machine != NULL ? domain->machine : "");
    return refuse(error, "machine '%s' is not q35; set <type arch='x86_64' machine='q35'>", shown);
}

/* Whatever reaches QEMU past the elements that were read here. */
static gboolean check_side_doors(const XmlDomain *domain, GError **error)
{
    if (domain->has_qemu_commandline) {
        return refuse(error, "<qemu:commandline> can change what is launched; remove it");
    }
    if (domain->has_qemu_override) {
        return refuse(error, "<qemu:override> or <qemu:capabilities> can change what is launched; remove it");
    }
    if (domain->unknown->len > 0) {
        g_autofree gchar *names = join_names(domain->unknown);

        return refuse(error, "it has %s, not known here; remove it, or use a newer virt-attest", names);
    }
    if (domain->shim != NULL) {
        return refuse(error, "<shim> puts a file between firmware and kernel that no measurement covers; remove it");
    }
    if (domain->dtb != NULL) {
        return refuse(error, "<dtb> has no meaning on x86_64; remove it");
    }
    return TRUE;
}

static gboolean check_vcpus(const XmlDomain *domain, GError **error)
{
    if (domain->vcpus_max > MEASURE_MAX_VCPUS) {
        return refuse(error, "it has %u vCPUs; set at most " G_STRINGIFY(MEASURE_MAX_VCPUS), domain->vcpus_max);
    }
    if (domain->vcpus_boot == 0) {
        return refuse(error, "none of its vCPUs is enabled; enable at least one");
    }
    return TRUE;
}

static gboolean check_path(const char *role, const char *path, GError **error)
{
    g_autofree gchar *shown = NULL;

    if (path == NULL || path[0] == '/') {
        return TRUE;
    }
    shown = xml_printable(path);
    return refuse(error, "%s '%s' is not an absolute path; write one", role, shown);
}

static gboolean check_firmware(const XmlDomain *domain, MeasurePlatform platform, GError **error)
{
    switch (domain->loader_type) {
    case XML_LOADER_NONE:
        return refuse(error,
                      "it names no firmware; add <loader type='rom' readonly='yes'> with the path of a SEV firmware");
    case XML_LOADER_UNRESOLVED:
        return refuse(error,
                      "its firmware is chosen by libvirt and not resolved yet; define the domain and measure what "
                      "'virsh dumpxml' shows, or add a <loader type='rom'> with a path");
    case XML_LOADER_PFLASH:
        if (platform == MEASURE_PLATFORM_SNP) {
            return refuse(
                error, "its firmware is a pflash device, which does not start with sev-snp; use <loader type='rom'>");
        }
        break;
    case XML_LOADER_ROM:
        break;
    }
    if (domain->loader_format != NULL && strcmp(domain->loader_format, "raw") != 0) {
        g_autofree gchar *shown = xml_printable(domain->loader_format);

        return refuse(error, "its firmware has the format '%s'; use a raw file", shown);
    }
    return check_path("firmware", domain->loader, error);
}

static gboolean check_kernel(const XmlDomain *domain, MeasurePlatform platform, GError **error)
{
    if (domain->kernel != NULL) {
        return check_path("kernel", domain->kernel, error) && check_path("initrd", domain->initrd, error);
    }
    if (domain->kernel_hashes) {
        return refuse(error, "kernelHashes='yes' without a <kernel>: %s; add a kernel, or remove kernelHashes",
                      platform == MEASURE_PLATFORM_SNP ? "QEMU stops at the start" : "there is nothing to hash");
    }
    if (domain->initrd != NULL || domain->cmdline != NULL) {
        return refuse(error, "it has <%s> without a <kernel>, which QEMU refuses; add a kernel, or remove it",
                      domain->initrd != NULL ? "initrd" : "cmdline");
    }
    return TRUE;
}

/* The CPU types that @options name in place of what the XML leaves to the host. */
static gboolean add_given_cpus(MeasureLaunch *launch, const XmlLaunchOptions *options)
{
    if (options->cpus == NULL || options->cpus->len == 0) {
        return FALSE;
    }
    for (guint i = 0; i < options->cpus->len; i++) {
        g_ptr_array_add(launch->cpus, measure_cpu_copy(g_ptr_array_index(options->cpus, i)));
    }
    return TRUE;
}

static gboolean add_named_cpu(MeasureLaunch *launch, const char *name, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(MeasureCpu) cpu = measure_cpu_from_name(name, &cause);

    if (cpu == NULL) {
        g_autofree gchar *shown = xml_printable(name);

        return refuse(error, "CPU model '%s': %s", shown, cause->message);
    }
    g_ptr_array_add(launch->cpus, g_steal_pointer(&cpu));
    return TRUE;
}

static gboolean add_host_cpu(MeasureLaunch *launch, GError **error)
{
    guint32 signature = measure_cpu_host_signature();

    if (signature == 0 || !measure_cpu_host_is_amd()) {
        return refuse(error, "its CPU is the host's own, and this host's processor has no SEV; "
                             "set <cpu mode='custom'> with a model such as EPYC-Milan");
    }
    g_ptr_array_add(launch->cpus, measure_cpu_new(NULL, signature));
    return TRUE;
}

static gboolean add_cpus(const XmlDomain *domain, const XmlLaunchOptions *options, MeasureLaunch *launch,
                         GError **error)
{
    switch (domain->cpu_mode) {
    case XML_CPU_DEFAULT:
        return add_named_cpu(launch, DEFAULT_CPU, error);
    case XML_CPU_CUSTOM:
        return add_named_cpu(launch, domain->cpu_model, error);
    case XML_CPU_HOST_MODEL:
        return add_given_cpus(launch, options) ||
               refuse(error, "its CPU is 'host-model', which libvirt turns into a model when it starts the domain; "
                             "name the model with --cpu, or set <cpu mode='custom'> with a model such as EPYC-Milan");
    case XML_CPU_HOST_PASSTHROUGH:
        if (options->on_launch_host) {
            return add_host_cpu(launch, error);
        }
        return add_given_cpus(launch, options) ||
               refuse(error,
                      "its CPU is the host's own, whose signature is known on the launching host only; give that with "
                      "--cpu (such as 0xa00f11), or set <cpu mode='custom'> with a model such as EPYC-Milan");
    }
    return FALSE;
}

MeasureLaunch *xml_domain_to_launch(const XmlDomain *domain, const XmlLaunchOptions *options, GError **error)
{
    static const XmlLaunchOptions none = {0};
    g_autoptr(MeasureLaunch) launch = NULL;
    MeasurePlatform platform = MEASURE_PLATFORM_SEV;

    if (options == NULL) {
        options = &none;
    }
    if (!check_launch_security(domain, error) || !xml_domain_platform(domain, &platform) ||
        !check_machine(domain, platform, error) || !check_vcpus(domain, error) || !check_side_doors(domain, error) ||
        !check_firmware(domain, platform, error) || !check_kernel(domain, platform, error)) {
        return NULL;
    }
    launch = measure_launch_new(platform);
    if (platform != MEASURE_PLATFORM_SEV && !add_cpus(domain, options, launch, error)) {
        return NULL;
    }
    if (platform == MEASURE_PLATFORM_SEV_ES) {
        launch->fpu = options->fpu;
    }
    if (options->guest_features != 0) {
        launch->guest_features = options->guest_features;
    }
    launch->vcpus = domain->vcpus_boot;
    launch->firmware = g_strdup(domain->loader);
    launch->kernel = g_strdup(domain->kernel);
    launch->initrd = g_strdup(domain->initrd);
    launch->cmdline = g_strdup(domain->cmdline);
    launch->kernel_hashes = domain->kernel_hashes;
    return g_steal_pointer(&launch);
}
