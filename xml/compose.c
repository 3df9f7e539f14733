/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A confidential guest must not trust the host's devices more than it has to,
 * so a composed domain has few of them: virtio disks and network cards behind
 * the IOMMU flag (their rings live in shared memory), no balloon (it could take
 * measured pages away), no USB, no graphics, no option ROM (code that nobody
 * measured), and no host entropy (the processor's own is enough).
 */
#include "xml/compose.h"

#include <libxml/xmlsave.h>
#include <string.h>

#include "measure/error.h"
#include "measure/launch.h"
#include "xml/document.h"

#define NAME_MAX_BYTES 240 /* libvirt makes file names of it */
#define CMDLINE_MAX_BYTES                                                                                              \
    2047                    /* x86 boot protocol: COMMAND_LINE_SIZE 2048 with the NUL; what is beyond is cut silently */
#define SERIAL_MAX_BYTES 20 /* virtio-blk */
#define MAX_DISKS 26        /* vda to vdz */
#define MAX_LEVEL 4
#define DEFAULT_SNP_POLICY 0x30000 /* bit 17 must be one, bit 16 allows SMT */

#define SNP_POLICY_RESERVED_ONE (G_GUINT64_CONSTANT(1) << 17)
#define SNP_POLICY_DEBUG (G_GUINT64_CONSTANT(1) << 19)
#define SEV_POLICY_NO_DEBUG (G_GUINT64_CONSTANT(1) << 0)
#define SEV_POLICY_ENCRYPTED_STATE (G_GUINT64_CONSTANT(1) << 2)

typedef struct {
    gchar *path, *format, *serial;
    gboolean readonly;
} Disk;

static void disk_free(Disk *disk)
{
    g_free(disk->path);
    g_free(disk->format);
    g_free(disk->serial);
    g_free(disk);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Disk, disk_free)

XmlCompose *xml_compose_new(void)
{
    XmlCompose *compose = g_new0(XmlCompose, 1);

    compose->domain_type = g_strdup("kvm");
    compose->machine = g_strdup("q35");
    compose->memory_mib = 2048;
    compose->vcpus = 1;
    compose->cpu = g_strdup("host-model");
    compose->snp = TRUE;
    compose->policy = DEFAULT_SNP_POLICY;
    compose->cbitpos = -1;
    compose->reduced_phys_bits = -1;
    compose->disks = g_ptr_array_new_with_free_func(g_free);
    compose->networks = g_ptr_array_new_with_free_func(g_free);
    return compose;
}

void xml_compose_free(XmlCompose *compose)
{
    if (compose == NULL) {
        return;
    }
    g_free(compose->name);
    g_free(compose->uuid);
    g_free(compose->domain_type);
    g_free(compose->machine);
    g_free(compose->emulator);
    g_free(compose->cpu);
    g_free(compose->firmware);
    g_free(compose->kernel);
    g_free(compose->initrd);
    g_free(compose->cmdline);
    g_ptr_array_unref(compose->disks);
    g_ptr_array_unref(compose->networks);
    g_free(compose);
}

/* ---- checking ---- */

static gboolean refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean refuse(GError **error, const char *format, ...)
{
    g_autofree gchar *message = NULL;
    va_list arguments;

    va_start(arguments, format);
    message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error_literal(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, message);
    return FALSE;
}

static gboolean has_controls(const char *text)
{
    for (; *text != '\0'; text++) {
        if (g_ascii_iscntrl(*text)) {
            return TRUE;
        }
    }
    return FALSE;
}

/* One line of text that XML can carry. */
static gboolean check_text(const char *what, const char *text, gsize max, GError **error)
{
    g_autofree gchar *shown = NULL;

    if (text[0] != '\0' && strlen(text) <= max && xml_is_legal(text) && !has_controls(text)) {
        return TRUE;
    }
    shown = xml_printable(text);
    return refuse(error, "%s '%s' is empty, longer than %" G_GSIZE_FORMAT " bytes, or holds control characters", what,
                  shown, max);
}

static gboolean check_path(const char *what, const char *path, GError **error)
{
    if (path == NULL) {
        return TRUE;
    }
    if (path[0] != '/') {
        g_autofree gchar *shown = xml_printable(path);

        return refuse(error, "%s '%s' is not an absolute path: libvirt needs one", what, shown);
    }
    return check_text(what, path, PATH_MAX - 1, error);
}

gboolean xml_check_name(const char *name, GError **error)
{
    if (name == NULL) {
        return refuse(error, "the domain needs a name: give --name");
    }
    if (!check_text("name", name, NAME_MAX_BYTES, error)) {
        return FALSE;
    }
    if (strchr(name, '/') != NULL || strspn(name, " ") == strlen(name) || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0) {
        g_autofree gchar *shown = xml_printable(name);

        return refuse(error, "name '%s' cannot be a domain's: libvirt makes a file name of it", shown);
    }
    return TRUE;
}

static gboolean check_machine(const XmlCompose *compose, GError **error)
{
    gboolean measured_vcpus = compose->snp || (compose->policy & SEV_POLICY_ENCRYPTED_STATE) != 0;
    g_autofree gchar *shown = NULL;

    if (strcmp(compose->domain_type, "kvm") != 0 && strcmp(compose->domain_type, "qemu") != 0) {
        shown = xml_printable(compose->domain_type);
        return refuse(error, "domain type '%s' is not 'kvm' (or 'qemu')", shown);
    }
    if (xml_machine_is_q35(compose->machine) ||
        (xml_machine_is_i440fx(compose->machine) && (compose->level == 0 || !measured_vcpus))) {
        return check_text("machine", compose->machine, NAME_MAX_BYTES, error);
    }
    shown = xml_printable(compose->machine);
    return refuse(error, "machine '%s' is not q35", shown);
}

static gboolean is_host_cpu(const char *cpu)
{
    return strcmp(cpu, "host-model") == 0 || strcmp(cpu, "host-passthrough") == 0;
}

static gboolean check_cpu(const XmlCompose *compose, GError **error)
{
    g_autoptr(MeasureCpu) cpu = NULL;

    if (!check_text("CPU", compose->cpu, NAME_MAX_BYTES, error)) {
        return FALSE;
    }
    if (compose->level == 0 || is_host_cpu(compose->cpu)) {
        return TRUE;
    }
    cpu = measure_cpu_from_name(compose->cpu, error);
    return cpu != NULL;
}

static gboolean check_policy(const XmlCompose *compose, GError **error)
{
    if (compose->snp && (compose->policy & SNP_POLICY_RESERVED_ONE) == 0) {
        return refuse(error, "policy 0x%" G_GINT64_MODIFIER "x lacks bit 17 (0x20000), which SEV-SNP demands",
                      compose->policy);
    }
    if (!compose->snp && compose->policy > G_MAXUINT32) {
        return refuse(error, "policy 0x%" G_GINT64_MODIFIER "x is longer than the 32 bits that SEV has",
                      compose->policy);
    }
    if (compose->snp ? (compose->policy & SNP_POLICY_DEBUG) != 0 : (compose->policy & SEV_POLICY_NO_DEBUG) == 0) {
        return refuse(error,
                      "policy 0x%" G_GINT64_MODIFIER "x lets the host debug the guest, which makes its level 0: %s",
                      compose->policy, compose->snp ? "clear bit 19 (0x80000)" : "set bit 0 (0x1)");
    }
    if (compose->cbitpos < -1 || compose->cbitpos > 63 || compose->reduced_phys_bits < -1 ||
        compose->reduced_phys_bits > 63) {
        return refuse(error, "cbitpos %d or reducedPhysBits %d is not a number from 0 to 63", compose->cbitpos,
                      compose->reduced_phys_bits);
    }
    return TRUE;
}

static gboolean check_boot(const XmlCompose *compose, GError **error)
{
    if (!check_path("firmware", compose->firmware, error) || !check_path("kernel", compose->kernel, error) ||
        !check_path("initrd", compose->initrd, error) || !check_path("emulator", compose->emulator, error)) {
        return FALSE;
    }
    if (compose->level > 0 && compose->firmware == NULL) {
        return refuse(error, "level %u needs a firmware file: give --firmware", compose->level);
    }
    if (compose->level >= 3 && compose->kernel == NULL) {
        return refuse(error, "level %u needs a kernel: give --kernel", compose->level);
    }
    if (compose->kernel == NULL && (compose->initrd != NULL || compose->cmdline != NULL)) {
        return refuse(error, "an initrd or a command line without a kernel: give --kernel too");
    }
    if (compose->cmdline != NULL && (!xml_is_legal(compose->cmdline) || strlen(compose->cmdline) > CMDLINE_MAX_BYTES)) {
        return refuse(error,
                      "the command line is longer than the %d bytes that a kernel reads, or holds control characters",
                      CMDLINE_MAX_BYTES);
    }
    return TRUE;
}

static gboolean check_all(const XmlCompose *compose, GError **error)
{
    if (compose->level > MAX_LEVEL) {
        return refuse(error, "level %u does not exist: give 0 to %d", compose->level, MAX_LEVEL);
    }
    if (compose->memory_mib == 0) {
        return refuse(error, "a domain needs at least 1 MiB of memory");
    }
    if (compose->vcpus == 0 || compose->vcpus > MEASURE_MAX_VCPUS) {
        return refuse(error, "%u vCPUs: give 1 to %d", compose->vcpus, MEASURE_MAX_VCPUS);
    }
    if (compose->uuid != NULL && !g_uuid_string_is_valid(compose->uuid)) {
        g_autofree gchar *shown = xml_printable(compose->uuid);

        return refuse(error, "'%s' is not a UUID", shown);
    }
    for (guint i = 0; i < compose->networks->len; i++) {
        if (!check_text("network", g_ptr_array_index(compose->networks, i), NAME_MAX_BYTES, error)) {
            return FALSE;
        }
    }
    return xml_check_name(compose->name, error) && check_machine(compose, error) && check_cpu(compose, error) &&
           (compose->level == 0 || check_policy(compose, error)) && check_boot(compose, error);
}

/* ---- disks ---- */

/* Splits at single commas; a doubled one stands for itself. */
static GPtrArray *split_commas(const char *text)
{
    GPtrArray *parts = g_ptr_array_new_with_free_func(g_free);
    GString *part = g_string_new(NULL);

    for (; *text != '\0'; text++) {
        if (*text == ',' && text[1] == ',') {
            text++;
        } else if (*text == ',') {
            g_ptr_array_add(parts, g_string_free(part, FALSE));
            part = g_string_new(NULL);
            continue;
        }
        g_string_append_c(part, *text);
    }
    g_ptr_array_add(parts, g_string_free(part, FALSE));
    return parts;
}

static gboolean is_serial(const char *text)
{
    gsize length = strlen(text);

    return length > 0 && length <= SERIAL_MAX_BYTES &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-") == length;
}

static gboolean set_disk_option(Disk *disk, const char *option, GError **error)
{
    g_autofree gchar *shown = xml_printable(option);

    if (g_str_has_prefix(option, "format=")) {
        g_free(disk->format);
        disk->format = g_strdup(option + strlen("format="));
        if (strcmp(disk->format, "raw") != 0 && strcmp(disk->format, "qcow2") != 0) {
            return refuse(error, "disk option '%s': the format is raw or qcow2", shown);
        }
    } else if (g_str_has_prefix(option, "serial=")) {
        g_free(disk->serial);
        disk->serial = g_strdup(option + strlen("serial="));
        if (!is_serial(disk->serial)) {
            return refuse(error, "disk option '%s': a serial has 1 to %d letters, digits, or _.+-", shown,
                          SERIAL_MAX_BYTES);
        }
    } else if (strcmp(option, "readonly=on") == 0 || strcmp(option, "readonly=off") == 0) {
        disk->readonly = strcmp(option, "readonly=on") == 0;
    } else {
        return refuse(error,
                      "disk option '%s' is not format=, serial= or readonly=on|off; write a comma in the path twice",
                      shown);
    }
    return TRUE;
}

static Disk *parse_disk(const char *text, guint index, GError **error)
{
    g_autoptr(GPtrArray) parts = split_commas(text);
    g_autoptr(Disk) disk = g_new0(Disk, 1);

    disk->path = g_strdup(g_ptr_array_index(parts, 0));
    if (!check_path("disk", disk->path, error)) {
        return NULL;
    }
    for (guint i = 1; i < parts->len; i++) {
        if (!set_disk_option(disk, g_ptr_array_index(parts, i), error)) {
            return NULL;
        }
    }
    if (disk->format == NULL) {
        disk->format = g_strdup(g_str_has_suffix(disk->path, ".qcow2") ? "qcow2" : "raw");
    }
    if (disk->serial == NULL) {
        disk->serial = g_strdup_printf("disk%u", index);
    }
    return g_steal_pointer(&disk);
}

static GPtrArray *parse_disks(const XmlCompose *compose, GError **error)
{
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func((GDestroyNotify)disk_free);

    if (compose->disks->len > MAX_DISKS) {
        refuse(error, "%u disks: at most %d", compose->disks->len, MAX_DISKS);
        return NULL;
    }
    for (guint i = 0; i < compose->disks->len; i++) {
        Disk *disk = parse_disk(g_ptr_array_index(compose->disks, i), i, error);

        if (disk == NULL) {
            return NULL;
        }
        g_ptr_array_add(disks, disk);
        for (guint j = 0; j < i; j++) {
            const Disk *other = g_ptr_array_index(disks, j);

            if (strcmp(other->serial, disk->serial) == 0) {
                refuse(error, "two disks with the serial '%s': the guest could not tell them apart", disk->serial);
                return NULL;
            }
        }
    }
    return g_steal_pointer(&disks);
}

/* ---- writing ---- */

/* A child element with attributes: name, value, name, value, NULL. */
static xmlNode *add(xmlNode *parent, const char *name, ...) G_GNUC_NULL_TERMINATED;
static xmlNode *add(xmlNode *parent, const char *name, ...)
{
    xmlNode *node = xmlNewChild(parent, NULL, (const xmlChar *)name, NULL);
    const char *attribute = NULL;
    va_list arguments;

    va_start(arguments, name);
    while ((attribute = va_arg(arguments, const char *)) != NULL) {
        xmlNewProp(node, (const xmlChar *)attribute, (const xmlChar *)va_arg(arguments, const char *));
    }
    va_end(arguments);
    return node;
}

static void set_text(xmlNode *node, const char *text)
{
    xmlAddChild(node, xmlNewText((const xmlChar *)text));
}

static void set_text_printf(xmlNode *node, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void set_text_printf(xmlNode *node, const char *format, ...)
{
    g_autofree gchar *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    set_text(node, text);
}

/* libvirt drops an empty element, so none is written. */
static void add_text(xmlNode *parent, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        set_text(add(parent, name, NULL), text);
    }
}

static void add_os(xmlNode *domain, const XmlCompose *compose)
{
    xmlNode *os = add(domain, "os", NULL);

    set_text(add(os, "type", "arch", "x86_64", "machine", compose->machine, NULL), "hvm");
    if (compose->firmware != NULL) {
        /* A rom image is measured whole and keeps no variables that the host could prepare. */
        set_text(add(os, "loader", "readonly", "yes", "type", "rom", "stateless", "yes", NULL), compose->firmware);
    }
    add_text(os, "kernel", compose->kernel);
    add_text(os, "initrd", compose->initrd);
    add_text(os, "cmdline", compose->cmdline);
}

static void add_cpu(xmlNode *domain, const XmlCompose *compose)
{
    xmlNode *cpu = NULL;

    if (is_host_cpu(compose->cpu)) {
        add(domain, "cpu", "mode", compose->cpu, "check", "none", NULL);
        return;
    }
    cpu = add(domain, "cpu", "mode", "custom", "match", "exact", "check", "none", NULL);
    set_text(add(cpu, "model", "fallback", "forbid", NULL), compose->cpu);
}

static void add_memory_backing(xmlNode *domain)
{
    xmlNode *backing = add(domain, "memoryBacking", NULL);

    add(backing, "source", "type", "memfd", NULL);
    add(backing, "access", "mode", "shared", NULL);
}

static void add_disk(xmlNode *devices, const Disk *disk, guint index, gboolean confidential)
{
    gboolean block = g_str_has_prefix(disk->path, "/dev/");
    const char target[] = {'v', 'd', (char)('a' + index), '\0'};
    xmlNode *node = add(devices, "disk", "type", block ? "block" : "file", "device", "disk", NULL);
    xmlNode *driver = add(node, "driver", "name", "qemu", "type", disk->format, NULL);

    if (confidential) {
        xmlNewProp(driver, (const xmlChar *)"iommu", (const xmlChar *)"on");
    }
    add(node, "source", block ? "dev" : "file", disk->path, NULL);
    add(node, "target", "dev", target, "bus", "virtio", NULL);
    if (disk->readonly) {
        add(node, "readonly", NULL);
    }
    add_text(node, "serial", disk->serial);
}

static void add_interface(xmlNode *devices, const char *network, gboolean confidential)
{
    xmlNode *node = add(devices, "interface", "type", "network", NULL);

    add(node, "source", "network", network, NULL);
    add(node, "model", "type", "virtio", NULL);
    if (confidential) {
        add(node, "driver", "iommu", "on", NULL);
    }
    add(node, "rom", "enabled", "no", NULL);
}

static void add_console(xmlNode *devices)
{
    add(add(devices, "serial", "type", "pty", NULL), "target", "type", "isa-serial", "port", "0", NULL);
    add(add(devices, "console", "type", "pty", NULL), "target", "type", "serial", "port", "0", NULL);
}

/* Nothing that comes through it is trusted by either side: the report is signed, and a request holds but a nonce. */
static void add_report_channel(xmlNode *devices)
{
    xmlNode *controller = add(devices, "controller", "type", "virtio-serial", "index", "0", NULL);

    add(controller, "driver", "iommu", "on", NULL);
    add(add(devices, "channel", "type", "unix", NULL), "target", "type", "virtio", "name", XML_REPORT_CHANNEL, NULL);
}

static void add_devices(xmlNode *domain, const XmlCompose *compose, const GPtrArray *disks)
{
    xmlNode *devices = add(domain, "devices", NULL);
    gboolean confidential = compose->level > 0;

    add_text(devices, "emulator", compose->emulator);
    for (guint i = 0; i < disks->len; i++) {
        add_disk(devices, g_ptr_array_index(disks, i), i, confidential);
    }
    add(devices, "controller", "type", "usb", "model", "none", NULL);
    for (guint i = 0; i < compose->networks->len; i++) {
        add_interface(devices, g_ptr_array_index(compose->networks, i), confidential);
    }
    if (compose->console) {
        add_console(devices);
    }
    if (compose->report_channel && compose->snp && confidential) {
        add_report_channel(devices);
    }
    add(devices, "audio", "id", "1", "type", "none", NULL);
    add(add(devices, "video", NULL), "model", "type", "none", NULL);
    add(devices, "memballoon", "model", "none", NULL);
}

static void add_launch_security(xmlNode *domain, const XmlCompose *compose)
{
    xmlNode *launch = add(domain, "launchSecurity", "type", compose->snp ? "sev-snp" : "sev", NULL);

    if (compose->level >= 3) {
        xmlNewProp(launch, (const xmlChar *)"kernelHashes", (const xmlChar *)"yes");
    }
    if (compose->cbitpos >= 0) {
        set_text_printf(add(launch, "cbitpos", NULL), "%d", compose->cbitpos);
    }
    if (compose->reduced_phys_bits >= 0) {
        set_text_printf(add(launch, "reducedPhysBits", NULL), "%d", compose->reduced_phys_bits);
    }
    set_text_printf(add(launch, "policy", NULL),
                    compose->snp ? "0x%08" G_GINT64_MODIFIER "x" : "0x%04" G_GINT64_MODIFIER "x", compose->policy);
}

gchar *xml_compose_format(const XmlCompose *compose, GError **error)
{
    g_autoptr(xmlDoc) document = NULL;
    g_autoptr(GPtrArray) disks = NULL;
    g_autofree gchar *text = NULL;
    xmlNode *domain = NULL;
    xmlNode *features = NULL;

    if (!check_all(compose, error)) {
        return NULL;
    }
    disks = parse_disks(compose, error);
    if (disks == NULL) {
        return NULL;
    }
    document = xmlNewDoc((const xmlChar *)"1.0");
    domain = xmlNewDocNode(document, NULL, (const xmlChar *)"domain", NULL);
    xmlDocSetRootElement(document, domain);
    xmlNewProp(domain, (const xmlChar *)"type", (const xmlChar *)compose->domain_type);
    add_text(domain, "name", compose->name);
    add_text(domain, "uuid", compose->uuid);
    set_text_printf(add(domain, "memory", "unit", "MiB", NULL), "%u", compose->memory_mib);
    if (compose->level > 0) {
        add_memory_backing(domain);
    }
    set_text_printf(add(domain, "vcpu", "placement", "static", NULL), "%u", compose->vcpus);
    add_os(domain, compose);
    features = add(domain, "features", NULL);
    add(features, "acpi", NULL);
    add(features, "apic", NULL);
    add_cpu(domain, compose);
    if (compose->level > 0) {
        /* Encrypted state cannot be reset in place; a reboot is a new launch, measured again. */
        set_text(add(domain, "on_reboot", NULL), "destroy");
    }
    add_devices(domain, compose, disks);
    if (compose->level > 0) {
        add_launch_security(domain, compose);
    }
    text = xml_node_to_text(domain, XML_SAVE_FORMAT);
    return g_strconcat(text, "\n", NULL);
}
