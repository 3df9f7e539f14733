/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/relocate.h"

#include <string.h>

#include "measure/error.h"
#include "xml/document.h"

void xml_disk_move_free(XmlDiskMove *move)
{
    if (move == NULL) {
        return;
    }
    g_free(move->target);
    g_free(move->path);
    g_free(move);
}

/* xmlNodeSetContent() would take '&' as the beginning of an entity. */
static void set_text(xmlNode *element, const char *text)
{
    xmlNodeSetContent(element, NULL);
    xmlNodeAddContent(element, (const xmlChar *)text);
}

static void remove_node(xmlNode *node)
{
    xmlUnlinkNode(node);
    xmlFreeNode(node);
}

static void remove_attribute(xmlNode *element, const char *name)
{
    xmlAttr *attribute = xmlHasNsProp(element, (const xmlChar *)name, NULL);

    if (attribute != NULL) {
        xmlRemoveProp(attribute);
    }
}

static gboolean require(xmlNode *parent, const char *name, xmlNode **out, GError **error)
{
    if (!xml_find_child(parent, name, out, error)) {
        return FALSE;
    }
    if (*out == NULL) {
        xml_set_error(error, parent, "there is no <%s> inside <%s>", name, (const char *)parent->name);
    }
    return *out != NULL;
}

/* ---- <os> ---- */

static gboolean set_boot_file(xmlNode *os, const char *element, const char *path, GError **error)
{
    xmlNode *node = NULL;

    if (path == NULL) {
        return TRUE;
    }
    if (!require(os, element, &node, error)) {
        return FALSE;
    }
    set_text(node, path);
    return TRUE;
}

static gboolean relocate_os(xmlNode *domain, const XmlRelocate *changes, GError **error)
{
    xmlNode *os = NULL;
    xmlNode *firmware = NULL;

    if (!require(domain, "os", &os, error) || !set_boot_file(os, "loader", changes->firmware, error) ||
        !set_boot_file(os, "kernel", changes->kernel, error) || !set_boot_file(os, "initrd", changes->initrd, error)) {
        return FALSE;
    }
    if (!changes->fixed_firmware) {
        return TRUE;
    }
    remove_attribute(os, "firmware");
    if (!xml_find_child(os, "firmware", &firmware, error)) {
        return FALSE;
    }
    if (firmware != NULL) {
        remove_node(firmware);
    }
    return TRUE;
}

/* ---- <name>, <uuid> ---- */

static gboolean relocate_identity(xmlNode *domain, const XmlRelocate *changes, GError **error)
{
    xmlNode *name = NULL;
    xmlNode *uuid = NULL;

    if (changes->name != NULL) {
        if (!require(domain, "name", &name, error)) {
            return FALSE;
        }
        set_text(name, changes->name);
    }
    if (changes->uuid == NULL) {
        return TRUE;
    }
    if (!xml_find_child(domain, "uuid", &uuid, error)) {
        return FALSE;
    }
    if (*changes->uuid == '\0') {
        if (uuid != NULL) {
            remove_node(uuid);
        }
    } else if (uuid != NULL) {
        set_text(uuid, changes->uuid);
    } else {
        if (!require(domain, "name", &name, error)) {
            return FALSE;
        }
        uuid = xmlNewDocNode(domain->doc, NULL, (const xmlChar *)"uuid", NULL);
        set_text(uuid, changes->uuid);
        xmlAddNextSibling(name, uuid);
    }
    return TRUE;
}

/* ---- <devices> ---- */

static gboolean relocate_emulator(xmlNode *devices, const char *path, GError **error)
{
    xmlNode *emulator = NULL;

    if (path == NULL) {
        return TRUE;
    }
    if (!xml_find_child(devices, "emulator", &emulator, error)) {
        return FALSE;
    }
    if (emulator != NULL) {
        remove_node(emulator);
    }
    if (*path != '\0') {
        emulator = xmlNewDocNode(devices->doc, NULL, (const xmlChar *)"emulator", NULL);
        set_text(emulator, path);
        if (devices->children != NULL) {
            xmlAddPrevSibling(devices->children, emulator);
        } else {
            xmlAddChild(devices, emulator);
        }
    }
    return TRUE;
}

static void drop_passwords(xmlNode *devices)
{
    for (xmlNode *child = devices->children; child != NULL; child = child->next) {
        if (xml_is_element(child, NULL, "graphics")) {
            remove_attribute(child, "passwd");
            remove_attribute(child, "passwdValidTo");
        }
    }
}

static gboolean disk_target(xmlNode *disk, gchar **out, GError **error)
{
    xmlNode *target = NULL;

    *out = NULL;
    return xml_find_child(disk, "target", &target, error) &&
           (target == NULL || xml_read_attribute(target, "dev", out, error));
}

/* What libvirt has found out about the former disk does not hold for the new one: its chain of backing files. */
static gboolean move_disk(xmlNode *disk, const char *path, GError **error)
{
    gboolean block = g_str_has_prefix(path, "/dev/");
    xmlNode *source = NULL;
    xmlNode *target = NULL;
    xmlNode *chain = NULL;

    if (!xml_find_child(disk, "source", &source, error) || !require(disk, "target", &target, error) ||
        !xml_find_child(disk, "backingStore", &chain, error)) {
        return FALSE;
    }
    if (source != NULL) {
        remove_node(source);
    }
    if (chain != NULL) {
        remove_node(chain);
    }
    source = xmlNewDocNode(disk->doc, NULL, (const xmlChar *)"source", NULL);
    xmlSetProp(source, (const xmlChar *)(block ? "dev" : "file"), (const xmlChar *)path);
    xmlAddPrevSibling(target, source);
    xmlSetProp(disk, (const xmlChar *)"type", (const xmlChar *)(block ? "block" : "file"));
    return TRUE;
}

static gboolean relocate_disk(xmlNode *devices, const XmlDiskMove *move, GError **error)
{
    g_autoptr(GString) known = g_string_new(NULL);

    for (xmlNode *child = devices != NULL ? devices->children : NULL; child != NULL; child = child->next) {
        g_autofree gchar *target = NULL;

        if (!xml_is_element(child, NULL, "disk")) {
            continue;
        }
        if (!disk_target(child, &target, error)) {
            return FALSE;
        }
        if (target != NULL && strcmp(target, move->target) == 0) {
            return move_disk(child, move->path, error);
        }
        g_string_append_printf(known, "%s%s", known->len > 0 ? ", " : "", target != NULL ? target : "?");
    }
    g_autofree gchar *shown = xml_printable(move->target);
    g_autofree gchar *list = xml_printable(known->str);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "the domain has no disk '%s': it has %s", shown,
                known->len > 0 ? list : "none");
    return FALSE;
}

static gboolean relocate_devices(xmlNode *domain, const XmlRelocate *changes, GError **error)
{
    xmlNode *devices = NULL;

    if (!xml_find_child(domain, "devices", &devices, error)) {
        return FALSE;
    }
    for (guint i = 0; changes->disks != NULL && i < changes->disks->len; i++) {
        if (!relocate_disk(devices, g_ptr_array_index(changes->disks, i), error)) {
            return FALSE;
        }
    }
    if (devices == NULL) {
        if (changes->emulator == NULL || *changes->emulator == '\0') {
            return TRUE;
        }
        devices = xmlNewChild(domain, NULL, (const xmlChar *)"devices", NULL);
    }
    if (changes->drop_secrets) {
        drop_passwords(devices);
    }
    return relocate_emulator(devices, changes->emulator, error);
}

static gboolean check_values(const XmlRelocate *changes, GError **error)
{
    const char *const values[] = {changes->firmware, changes->kernel, changes->initrd,
                                  changes->name,     changes->uuid,   changes->emulator};

    for (guint i = 0; i < G_N_ELEMENTS(values); i++) {
        if (values[i] != NULL && !xml_is_legal(values[i])) {
            g_autofree gchar *shown = xml_printable(values[i]);

            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "'%s' cannot be written in XML", shown);
            return FALSE;
        }
    }
    for (guint i = 0; changes->disks != NULL && i < changes->disks->len; i++) {
        const XmlDiskMove *move = g_ptr_array_index(changes->disks, i);

        if (!xml_is_legal(move->path)) {
            g_autofree gchar *shown = xml_printable(move->path);

            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "'%s' cannot be written in XML", shown);
            return FALSE;
        }
    }
    return TRUE;
}

gchar *xml_relocate(const char *text, gssize size, const XmlRelocate *changes, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(xmlDoc) document = check_values(changes, error) ? xml_document_parse(text, size, error) : NULL;
    xmlNode *domain = document != NULL ? xmlDocGetRootElement(document) : NULL;

    if (domain == NULL || !relocate_os(domain, changes, error) || !relocate_identity(domain, changes, error) ||
        !relocate_devices(domain, changes, error)) {
        if (error != NULL && g_error_matches(*error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE)) {
            g_prefix_error(error, "domain XML, ");
        }
        return NULL;
    }
    /* Node by node: a comment before or after the root stays, and no XML declaration is invented. */
    for (xmlNode *node = document->children; node != NULL; node = node->next) {
        g_autofree gchar *part = xml_node_to_text(node, 0);

        g_string_append(out, part);
        g_string_append_c(out, '\n');
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}
