/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/domain.h"

#include <string.h>

#include "measure/error.h"
#include "xml/document.h"
#include "xml/launch-security.h"

#define QEMU_URI "http://libvirt.org/schemas/domain/qemu/1.0"
#define UUID_DIGITS 32

static void disk_free(XmlDisk *disk)
{
    g_free(disk->source);
    g_free(disk->target);
    g_free(disk->serial);
    g_free(disk->format);
    g_free(disk->device);
    g_free(disk->type);
    g_free(disk);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XmlDisk, disk_free)

static XmlDomain *domain_new(void)
{
    XmlDomain *domain = g_new0(XmlDomain, 1);

    domain->vcpus_max = 1;
    domain->vcpus_boot = 1;
    domain->cbitpos = -1;
    domain->reduced_phys_bits = -1;
    domain->unknown_launch = g_ptr_array_new_with_free_func(g_free);
    domain->unknown = g_ptr_array_new_with_free_func(g_free);
    domain->qemu_args = g_ptr_array_new_with_free_func(g_free);
    domain->disks = g_ptr_array_new_with_free_func((GDestroyNotify)disk_free);
    domain->warnings = g_ptr_array_new_with_free_func(g_free);
    return domain;
}

void xml_domain_free(XmlDomain *domain)
{
    if (domain == NULL) {
        return;
    }
    g_free(domain->name);
    g_free(domain->uuid);
    g_free(domain->type);
    g_free(domain->arch);
    g_free(domain->machine);
    g_free(domain->emulator);
    g_free(domain->loader);
    g_free(domain->loader_format);
    g_free(domain->nvram);
    g_free(domain->kernel);
    g_free(domain->initrd);
    g_free(domain->cmdline);
    g_free(domain->shim);
    g_free(domain->dtb);
    g_free(domain->cpu_model);
    g_free(domain->launch_type_name);
    g_free(domain->policy_text);
    g_free(domain->dh_cert);
    g_free(domain->session);
    g_clear_pointer(&domain->guest_visible_workarounds, g_bytes_unref);
    g_clear_pointer(&domain->id_block, g_bytes_unref);
    g_clear_pointer(&domain->id_auth, g_bytes_unref);
    g_clear_pointer(&domain->host_data, g_bytes_unref);
    g_ptr_array_unref(domain->unknown_launch);
    g_ptr_array_unref(domain->unknown);
    g_ptr_array_unref(domain->qemu_args);
    g_ptr_array_unref(domain->disks);
    g_ptr_array_unref(domain->warnings);
    xml_attestation_free(domain->attestation);
    g_free(domain);
}

static gboolean bad_value(xmlNode *element, const char *what, const char *value, const char *wanted, GError **error)
{
    g_autofree gchar *shown = xml_printable(value != NULL ? value : "");

    xml_set_error(error, element, "%s '%s' is not %s", what, shown, wanted);
    return FALSE;
}

/* For values that libvirt takes and a launch cannot have: a plain domain must not fail on them, a launch must. */
static void add_unknown(XmlDomain *domain, const char *what, const char *value)
{
    g_autofree gchar *shown = xml_printable(value);

    g_ptr_array_add(domain->unknown, g_strdup_printf("%s '%s'", what, shown));
}

/*
 * A text that has elements in it, too: libvirt takes it, in a way of its own, and a newer one may mean something by it.
 * What says which domain this is, and whether it is confidential, is not read like this.
 */
static gboolean read_text(XmlDomain *domain, xmlNode *element, gchar **out, GError **error)
{
    for (xmlNode *child = element->children; child != NULL; child = child->next) {
        if (child->type == XML_ELEMENT_NODE) {
            g_autofree gchar *what = g_strdup_printf("in <%s> the element", (const char *)element->name);

            add_unknown(domain, what, (const char *)child->name);
            return TRUE;
        }
    }
    return xml_read_text(element, out, error);
}

static gboolean read_child_text(XmlDomain *domain, xmlNode *parent, const char *name, gchar **out, GError **error)
{
    xmlNode *child = NULL;

    if (!xml_find_child(parent, name, &child, error)) {
        return FALSE;
    }
    return child == NULL || read_text(domain, child, out, error);
}

/* As libvirt reads numbers: blanks and a plus sign may stand in front. */
static gboolean parse_count(const char *text, guint64 max, guint64 *out)
{
    while (g_ascii_isspace(*text)) {
        text++;
    }
    if (text[0] == '+' && g_ascii_isdigit(text[1])) {
        text++;
    }
    return xml_parse_number(text, 10, max, out);
}

/* libvirt takes 32 digits with hyphens anywhere between them. */
static gboolean read_uuid(xmlNode *root, XmlDomain *domain, GError **error)
{
    g_autofree gchar *text = NULL;
    g_autoptr(GString) uuid = g_string_new(NULL);
    guint digits = 0;

    if (!xml_read_child_text(root, "uuid", &text, error)) {
        return FALSE;
    }
    if (text == NULL) {
        return TRUE;
    }
    g_strstrip(text);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '-') {
            continue;
        }
        if (!g_ascii_isxdigit(*at) || digits == UUID_DIGITS) {
            return bad_value(root, "<uuid>", text, "a UUID", error);
        }
        if (digits == 8 || digits == 12 || digits == 16 || digits == 20) {
            g_string_append_c(uuid, '-');
        }
        g_string_append_c(uuid, g_ascii_tolower(*at));
        digits++;
    }
    if (digits != UUID_DIGITS) {
        return bad_value(root, "<uuid>", text, "a UUID", error);
    }
    domain->uuid = g_string_free(g_steal_pointer(&uuid), FALSE);
    return TRUE;
}

/* The <source> of a disk or an NVRAM of @type: a path, "POOL/VOLUME" or "PROTOCOL:NAME". */
static gboolean read_source(xmlNode *source, const char *type, gchar **out, GError **error)
{
    g_autofree gchar *first = NULL;
    g_autofree gchar *second = NULL;

    if (g_strcmp0(type, "file") == 0) {
        return xml_read_attribute(source, "file", out, error);
    }
    if (g_strcmp0(type, "block") == 0) {
        return xml_read_attribute(source, "dev", out, error);
    }
    if (g_strcmp0(type, "dir") == 0) {
        return xml_read_attribute(source, "dir", out, error);
    }
    if (g_strcmp0(type, "volume") == 0) {
        if (!xml_read_attribute(source, "pool", &first, error) ||
            !xml_read_attribute(source, "volume", &second, error)) {
            return FALSE;
        }
        *out = first != NULL && second != NULL ? g_strconcat(first, "/", second, NULL) : NULL;
    } else if (g_strcmp0(type, "network") == 0) {
        if (!xml_read_attribute(source, "protocol", &first, error) ||
            !xml_read_attribute(source, "name", &second, error)) {
            return FALSE;
        }
        *out = first != NULL ? g_strconcat(first, ":", second, NULL) : NULL;
    }
    return TRUE;
}

static gboolean read_loader(xmlNode *os, XmlDomain *domain, GError **error)
{
    xmlNode *loader = NULL;
    g_autofree gchar *firmware = NULL;
    g_autofree gchar *type = NULL;
    g_autofree gchar *stateless = NULL;

    if (!xml_read_attribute(os, "firmware", &firmware, error) || !xml_find_child(os, "loader", &loader, error)) {
        return FALSE;
    }
    if (g_strcmp0(firmware, "efi") == 0) {
        domain->loader_type = XML_LOADER_UNRESOLVED;
    } else if (firmware != NULL && strcmp(firmware, "bios") != 0) {
        add_unknown(domain, "<os> firmware", firmware);
    }
    if (loader == NULL) {
        return TRUE;
    }
    if (!xml_read_attribute(loader, "type", &type, error) ||
        !xml_read_attribute(loader, "format", &domain->loader_format, error) ||
        !xml_read_attribute(loader, "stateless", &stateless, error) ||
        !read_text(domain, loader, &domain->loader, error)) {
        return FALSE;
    }
    if (type != NULL && strcmp(type, "rom") != 0 && strcmp(type, "pflash") != 0) {
        add_unknown(domain, "loader type", type);
    }
    domain->loader_stateless = g_strcmp0(stateless, "yes") == 0;
    if (stateless != NULL && !domain->loader_stateless && strcmp(stateless, "no") != 0) {
        add_unknown(domain, "loader stateless", stateless);
    }
    if (domain->loader == NULL) {
        domain->loader_type = XML_LOADER_UNRESOLVED;
    } else {
        domain->loader_type = g_strcmp0(type, "pflash") == 0 ? XML_LOADER_PFLASH : XML_LOADER_ROM;
    }
    /* libvirt adds the <nvram> when it defines the domain. */
    domain->has_nvram = g_strcmp0(type, "pflash") == 0 && !domain->loader_stateless;
    return TRUE;
}

/* The path stands in the element, or, since libvirt 8.5, in a <source> below it; both may be absent. Not measured. */
static gboolean read_nvram(xmlNode *os, XmlDomain *domain, GError **error)
{
    xmlNode *nvram = NULL;
    xmlNode *source = NULL;
    g_autofree gchar *type = NULL;

    if (!xml_find_child(os, "nvram", &nvram, error)) {
        return FALSE;
    }
    if (nvram == NULL) {
        return TRUE;
    }
    domain->has_nvram = TRUE;
    if (!xml_read_attribute(nvram, "type", &type, error) || !xml_find_child(nvram, "source", &source, error)) {
        return FALSE;
    }
    if (source != NULL) {
        return read_source(source, type != NULL ? type : "file", &domain->nvram, error);
    }
    return read_text(domain, nvram, &domain->nvram, error);
}

static void collect_unknown_os(xmlNode *os, XmlDomain *domain)
{
    static const char *const known[] = {"type",    "firmware", "loader",    "nvram", "kernel",  "initrd",
                                        "cmdline", "root",     "shim",      "dtb",   "boot",    "bootmenu",
                                        "smbios",  "bios",     "acpi",      "init",  "initarg", "initenv",
                                        "initdir", "inituser", "initgroup", NULL};

    for (xmlNode *child = os->children; child != NULL; child = child->next) {
        if (child->type == XML_ELEMENT_NODE &&
            (child->ns != NULL || !g_strv_contains(known, (const char *)child->name))) {
            add_unknown(domain, "<os> child", (const char *)child->name);
        }
    }
}

static gboolean read_os(xmlNode *root, XmlDomain *domain, GError **error)
{
    xmlNode *os = NULL;
    xmlNode *type = NULL;

    if (!xml_find_child(root, "os", &os, error)) {
        return FALSE;
    }
    if (os == NULL) {
        return TRUE;
    }
    if (!xml_find_child(os, "type", &type, error)) {
        return FALSE;
    }
    if (type != NULL && (!xml_read_attribute(type, "arch", &domain->arch, error) ||
                         !xml_read_attribute(type, "machine", &domain->machine, error))) {
        return FALSE;
    }
    collect_unknown_os(os, domain);
    return read_loader(os, domain, error) && read_nvram(os, domain, error) &&
           read_child_text(domain, os, "kernel", &domain->kernel, error) &&
           read_child_text(domain, os, "initrd", &domain->initrd, error) &&
           read_child_text(domain, os, "cmdline", &domain->cmdline, error) &&
           read_child_text(domain, os, "shim", &domain->shim, error) &&
           read_child_text(domain, os, "dtb", &domain->dtb, error);
}

/* Counts the enabled ones of <vcpus>, if there are any at all in @count; a vCPU that is not listed is disabled. */
static gboolean count_listed(xmlNode *vcpus, XmlDomain *domain, guint *count, GError **error)
{
    g_autoptr(GHashTable) listed = g_hash_table_new(NULL, NULL);
    guint enabled_count = 0;

    for (xmlNode *child = vcpus != NULL ? vcpus->children : NULL; child != NULL; child = child->next) {
        g_autofree gchar *id = NULL;
        g_autofree gchar *enabled = NULL;
        gboolean is_enabled = FALSE;
        guint64 number = 0;

        if (!xml_is_element(child, NULL, "vcpu")) {
            continue;
        }
        if (!xml_read_attribute(child, "id", &id, error) || !xml_read_attribute(child, "enabled", &enabled, error) ||
            !xml_read_yes_no(child, "enabled", &is_enabled, error)) {
            return FALSE;
        }
        if (id == NULL || !parse_count(id, domain->vcpus_max - 1, &number)) {
            return bad_value(child, "vcpu id", id, "a number below the maximum", error);
        }
        if (enabled == NULL) {
            xml_set_error(error, child, "<vcpu> in <vcpus> has no attribute 'enabled'");
            return FALSE;
        }
        /* libvirt goes by the last one. */
        if (!g_hash_table_add(listed, GUINT_TO_POINTER((guint)number))) {
            add_unknown(domain, "a second vcpu id", id);
        }
        enabled_count += is_enabled ? 1 : 0;
        (*count)++;
    }
    if (*count > 0) {
        domain->vcpus_boot = enabled_count;
    }
    return TRUE;
}

/* libvirt takes any number of vCPUs here, and 0 of them at the start: what cannot be launched so fails later. */
static gboolean read_vcpus(xmlNode *root, XmlDomain *domain, GError **error)
{
    xmlNode *vcpu = NULL;
    xmlNode *vcpus = NULL;
    g_autofree gchar *text = NULL;
    g_autofree gchar *current = NULL;
    guint64 max = 1;
    guint64 boot = 0;
    guint listed = 0;

    if (!xml_find_child(root, "vcpu", &vcpu, error) || !xml_find_child(root, "vcpus", &vcpus, error)) {
        return FALSE;
    }
    if (vcpu != NULL && (!xml_read_text(vcpu, &text, error) || !xml_read_attribute(vcpu, "current", &current, error))) {
        return FALSE;
    }
    if (vcpu != NULL && (text == NULL || !parse_count(text, G_MAXUINT32, &max) || max == 0)) {
        return bad_value(vcpu, "<vcpu>", text, "a number of vCPUs from 1 to " G_STRINGIFY(MEASURE_MAX_VCPUS), error);
    }
    if (max > MEASURE_MAX_VCPUS) {
        add_unknown(domain, "<vcpu>", text);
    }
    boot = max;
    if (current != NULL && !parse_count(current, G_MAXUINT32, &boot)) {
        return bad_value(vcpu, "attribute current of <vcpu>", current, "a number of vCPUs", error);
    }
    domain->vcpus_max = (guint)max;
    domain->vcpus_boot = (guint)boot;
    if (!count_listed(vcpus, domain, &listed, error)) {
        return FALSE;
    }
    /* Where the vCPUs are listed, libvirt does not look at the attribute. */
    if (listed == 0 && boot > max) {
        return bad_value(vcpu, "attribute current of <vcpu>", current, "a number of vCPUs up to the maximum", error);
    }
    if (domain->vcpus_boot == 0) {
        add_unknown(domain, "number of enabled vCPUs", "0");
    }
    return TRUE;
}

static gboolean read_cpu(xmlNode *root, XmlDomain *domain, GError **error)
{
    xmlNode *cpu = NULL;
    g_autofree gchar *mode = NULL;

    if (!xml_find_child(root, "cpu", &cpu, error)) {
        return FALSE;
    }
    if (cpu == NULL) {
        return TRUE;
    }
    if (!xml_read_attribute(cpu, "mode", &mode, error) ||
        !read_child_text(domain, cpu, "model", &domain->cpu_model, error)) {
        return FALSE;
    }
    if (mode == NULL || strcmp(mode, "custom") == 0) {
        domain->cpu_mode = domain->cpu_model != NULL ? XML_CPU_CUSTOM : XML_CPU_DEFAULT;
    } else if (strcmp(mode, "host-model") == 0) {
        domain->cpu_mode = XML_CPU_HOST_MODEL;
    } else if (strcmp(mode, "host-passthrough") == 0 || strcmp(mode, "maximum") == 0) {
        domain->cpu_mode = XML_CPU_HOST_PASSTHROUGH;
    } else {
        add_unknown(domain, "cpu mode", mode);
    }
    return TRUE;
}

static XmlDisk *read_disk(XmlDomain *domain, xmlNode *node, GError **error)
{
    g_autoptr(XmlDisk) disk = g_new0(XmlDisk, 1);
    xmlNode *driver = NULL;
    xmlNode *source = NULL;
    xmlNode *target = NULL;
    xmlNode *readonly = NULL;

    if (!xml_read_attribute(node, "type", &disk->type, error) ||
        !xml_read_attribute(node, "device", &disk->device, error) || !xml_find_child(node, "driver", &driver, error) ||
        !xml_find_child(node, "source", &source, error) || !xml_find_child(node, "target", &target, error) ||
        !xml_find_child(node, "readonly", &readonly, error) ||
        !read_child_text(domain, node, "serial", &disk->serial, error)) {
        return NULL;
    }
    if (disk->type == NULL) {
        disk->type = g_strdup("file");
    }
    if (disk->device == NULL) {
        disk->device = g_strdup("disk");
    }
    if ((driver != NULL && !xml_read_attribute(driver, "type", &disk->format, error)) ||
        (source != NULL && !read_source(source, disk->type, &disk->source, error)) ||
        (target != NULL && !xml_read_attribute(target, "dev", &disk->target, error))) {
        return NULL;
    }
    disk->readonly = readonly != NULL || strcmp(disk->device, "cdrom") == 0;
    return g_steal_pointer(&disk);
}

static gboolean read_devices(xmlNode *root, XmlDomain *domain, GError **error)
{
    xmlNode *devices = NULL;

    if (!xml_find_child(root, "devices", &devices, error)) {
        return FALSE;
    }
    if (devices == NULL) {
        return TRUE;
    }
    for (xmlNode *child = devices->children; child != NULL; child = child->next) {
        XmlDisk *disk = NULL;

        if (!xml_is_element(child, NULL, "disk")) {
            continue;
        }
        disk = read_disk(domain, child, error);
        if (disk == NULL) {
            return FALSE;
        }
        g_ptr_array_add(domain->disks, disk);
    }
    return read_child_text(domain, devices, "emulator", &domain->emulator, error);
}

static gboolean read_qemu_arguments(xmlNode *commandline, XmlDomain *domain, GError **error)
{
    for (xmlNode *child = commandline->children; child != NULL; child = child->next) {
        gchar *value = NULL;

        if (!xml_is_element(child, QEMU_URI, "arg")) {
            continue;
        }
        if (!xml_read_attribute(child, "value", &value, error)) {
            return FALSE;
        }
        g_ptr_array_add(domain->qemu_args, value != NULL ? value : g_strdup(""));
    }
    return TRUE;
}

/* <qemu:deprecation> only says what QEMU does with deprecated options; the other elements change its command line. */
static gboolean read_qemu_namespace(xmlNode *root, XmlDomain *domain, GError **error)
{
    for (xmlNode *child = root->children; child != NULL; child = child->next) {
        if (!xml_is_element(child, QEMU_URI, NULL) || xml_is_element(child, QEMU_URI, "deprecation")) {
            continue;
        }
        if (!xml_is_element(child, QEMU_URI, "commandline")) {
            domain->has_qemu_override = TRUE;
            continue;
        }
        domain->has_qemu_commandline = TRUE;
        if (!read_qemu_arguments(child, domain, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean read_metadata(xmlNode *root, XmlDomain *domain, GError **error)
{
    xmlNode *metadata = NULL;

    if (!xml_find_child(root, "metadata", &metadata, error)) {
        return FALSE;
    }
    for (xmlNode *child = metadata != NULL ? metadata->children : NULL; child != NULL; child = child->next) {
        if (!xml_is_element(child, XML_ATTESTATION_URI, NULL)) {
            continue;
        }
        if (domain->attestation != NULL) {
            xml_set_error(error, child,
                          "a second element of the namespace " XML_ATTESTATION_URI " in <metadata>: keep one");
            return FALSE;
        }
        domain->attestation = xml_attestation_read(child, error);
        if (domain->attestation == NULL) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean read_domain(xmlNode *root, XmlDomain *domain, GError **error)
{
    if (!xml_is_element(root, NULL, "domain")) {
        g_autofree gchar *shown = xml_printable((const char *)root->name);

        xml_set_error(error, root, "the root element is <%s>, not <domain>: give a libvirt domain XML", shown);
        return FALSE;
    }
    if (!xml_read_attribute(root, "type", &domain->type, error)) {
        return FALSE;
    }
    if (domain->type == NULL) {
        xml_set_error(error, root, "<domain> has no attribute 'type', such as 'kvm'");
        return FALSE;
    }
    return xml_read_child_text(root, "name", &domain->name, error) && read_uuid(root, domain, error) &&
           read_os(root, domain, error) && read_vcpus(root, domain, error) && read_cpu(root, domain, error) &&
           xml_read_launch_security(root, domain, error) && read_devices(root, domain, error) &&
           read_qemu_namespace(root, domain, error) && read_metadata(root, domain, error);
}

XmlDomain *xml_domain_parse(const char *text, gssize size, GError **error)
{
    g_autoptr(xmlDoc) document = xml_document_parse(text, size, error);
    g_autoptr(XmlDomain) domain = domain_new();

    if (document == NULL || !read_domain(xmlDocGetRootElement(document), domain, error)) {
        g_prefix_error(error, "domain XML, ");
        return NULL;
    }
    return g_steal_pointer(&domain);
}

gboolean xml_domain_platform(const XmlDomain *domain, MeasurePlatform *out)
{
    const guint64 encrypted_state = 1 << 2; /* SEV API (55766), guest policy: ES */

    switch (domain->launch_type) {
    case XML_LAUNCH_SNP:
        *out = MEASURE_PLATFORM_SNP;
        return TRUE;
    case XML_LAUNCH_SEV:
        *out = (domain->policy & encrypted_state) != 0 ? MEASURE_PLATFORM_SEV_ES : MEASURE_PLATFORM_SEV;
        return TRUE;
    case XML_LAUNCH_NONE:
    case XML_LAUNCH_OTHER:
        break;
    }
    return FALSE;
}
