/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* define: a new domain XML from options, and a UUID for one that has none. */
#include "virsh-wrappers/cmd-define.h"

#include "measure/error.h"
#include "virsh-wrappers/define-id-block.h"
#include "virsh-wrappers/domcaps.h"
#include "virsh-wrappers/firmware-list.h"
#include "xml/document.h"

gboolean cmd_define_wanted_level(const CmdContext *context, gint *out, GError **error)
{
    guint64 level = 0;
    if (!cmd_arguments_number(context->arguments, "level", 0, 4, &level, error)) {
        return FALSE;
    }
    *out = cmd_context_has(context, "level") ? (gint)level : -1;
    return TRUE;
}

/* A build that verifies kernels boots nothing from a disk. */
static gboolean is_fit(const CmdFirmware *firmware, guint level, gboolean disk_boot)
{
    gboolean verifies = cmd_firmware_verifies(firmware);
    return level >= 3 ? verifies : cmd_firmware_starts_snp(firmware) && !(disk_boot && verifies);
}

/* The first image of this machine that can carry the level. */
static gchar *find_firmware(guint level, gboolean disk_boot, GError **error)
{
    g_autoptr(GPtrArray) list = cmd_firmware_list("");
    for (guint i = 0; i < list->len; i++) {
        const CmdFirmware *each = g_ptr_array_index(list, i);
        if (is_fit(each, level, disk_boot)) {
            return g_strdup(each->path);
        }
    }
    g_set_error(
        error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
        "no firmware for level %u found on this machine: install one (Debian: %s) or name it with --firmware",
        level, level >= 3 ? "ovmf-amdsev" : "ovmf");
    return NULL;
}

static gboolean set_host_bits(XmlCompose *compose, virConnectPtr connection, GError **error)
{
    g_autoptr(CmdDomcaps) caps = cmd_domcaps_get(connection, compose->emulator, compose->domain_type, error);
    if (!caps) {
        return FALSE;
    }
    compose->cbitpos = caps->cbitpos;
    compose->reduced_phys_bits = caps->reduced_phys_bits;
    return TRUE;
}

static gboolean read_numbers(const CmdContext *context, XmlCompose *compose, GError **error)
{
    guint64 memory = 2048, vcpus = 1;
    if (!cmd_arguments_number(context->arguments, "memory", 64, 1024 * 1024 * 64, &memory, error) ||
        !cmd_arguments_number(context->arguments, "vcpus", 1, MEASURE_MAX_VCPUS, &vcpus, error)) {
        return FALSE;
    }
    compose->memory_mib = (guint)memory;
    compose->vcpus = (guint)vcpus;
    return TRUE;
}

static void replace(gchar **field, const char *value)
{
    if (value) {
        g_free(*field);
        *field = g_strdup(value);
    }
}

static void add_all(GPtrArray *list, const GPtrArray *values)
{
    for (guint i = 0; i < values->len; i++) {
        g_ptr_array_add(list, g_strdup(g_ptr_array_index(values, i)));
    }
}

static gboolean set_security(const CmdContext *context, XmlCompose *compose, GError **error)
{
    const char *platform = cmd_context_get(context, "platform");
    const char *policy = cmd_context_get(context, "policy");
    compose->snp = !platform || g_str_equal(platform, "sev-snp");
    MeasurePlatform kind = compose->snp ? MEASURE_PLATFORM_SNP
                           : g_str_equal(platform, "sev-es") ? MEASURE_PLATFORM_SEV_ES : MEASURE_PLATFORM_SEV;
    if (!compose->snp) {
        compose->policy = POLICY_SEV_NODBG | (kind == MEASURE_PLATFORM_SEV_ES ? POLICY_SEV_ES : 0);
    }
    return !policy || policy_guest_parse(kind, policy, &compose->policy, error);
}

XmlCompose *cmd_define_options(CmdContext *context, virConnectPtr connection, gboolean with_volume, GError **error)
{
    g_autoptr(XmlCompose) compose = xml_compose_new();
    gint level = -1;
    if (!cmd_define_wanted_level(context, &level, error) || !read_numbers(context, compose, error) ||
        !set_security(context, compose, error)) {
        return NULL;
    }
    if (level < 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--name composes a new domain and needs --level as well");
        return NULL;
    }
    compose->level = (guint)level;
    replace(&compose->name, cmd_context_get(context, "name"));
    replace(&compose->domain_type, cmd_context_get(context, "type"));
    replace(&compose->emulator, cmd_context_get(context, "emulator"));
    replace(&compose->cpu, cmd_context_get(context, "cpu-model"));
    if (!cmd_define_identity_cpu(context, compose->cpu, error)) {
        return NULL;
    }
    replace(&compose->kernel, cmd_context_get(context, "kernel"));
    replace(&compose->initrd, cmd_context_get(context, "initrd"));
    replace(&compose->cmdline, cmd_context_get(context, "cmdline"));
    replace(&compose->firmware, cmd_context_get(context, "firmware"));
    compose->console = TRUE;
    compose->report_channel = !cmd_context_has(context, "no-report-channel");
    if (cmd_context_has(context, "disk")) {
        add_all(compose->disks, cmd_arguments_all(context->arguments, "disk"));
    }
    add_all(compose->networks, cmd_arguments_all(context->arguments, "network"));
    if ((level > 0 || with_volume) && !compose->firmware) {
        compose->firmware = find_firmware(compose->level, with_volume, error);
        if (!compose->firmware) {
            return NULL;
        }
    }
    if (level > 0 && connection && !set_host_bits(compose, connection, error)) {
        return NULL;
    }
    return g_steal_pointer(&compose);
}

gchar *cmd_define_with_uuid(const char *xml, GError **error)
{
    g_autoptr(xmlDoc) document = xml_document_parse(xml, -1, error);
    xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
    xmlNode *element = NULL;
    g_autofree gchar *text = NULL;
    if (!root || !xml_find_child(root, "uuid", &element, error) || (element && !xml_read_text(element, &text, error))) {
        return NULL;
    }
    if (text) {
        return g_strdup(xml);
    }
    g_autofree gchar *uuid = g_uuid_string_random();
    if (!element) {
        element = xmlNewChild(root, NULL, (const xmlChar *)"uuid", NULL);
    }
    xmlNodeSetContent(element, (const xmlChar *)uuid);
    return xml_node_to_text(root, 0);
}
