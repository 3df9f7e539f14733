/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/host-access.h"

#include <string.h>

#include "measure/error.h"
#include "xml/document.h"

static gchar *attribute(const xmlNode *element, const char *name)
{
    g_autoptr(GError) ignored = NULL;
    gchar *value = NULL;

    /* One in a namespace: libvirt takes it by its name alone, and the parser of domains refuses it. */
    return xml_read_attribute((xmlNode *)element, name, &value, &ignored) ? value : NULL;
}

static gboolean is(const xmlNode *node, const char *name)
{
    /* The parent of the root is the document, which is no node of this shape. */
    return node != NULL && node->type == XML_ELEMENT_NODE && xml_is_element(node, NULL, name);
}

static gboolean attribute_in(const xmlNode *element, const char *name, const char *const *values)
{
    g_autofree gchar *value = attribute(element, name);

    return value != NULL && g_strv_contains(values, value);
}

static gboolean has_child(const xmlNode *element, const char *name)
{
    for (const xmlNode *child = element->children; child != NULL; child = child->next) {
        if (is(child, name)) {
            return TRUE;
        }
    }
    return FALSE;
}

static gchar *own_text(const xmlNode *element)
{
    GString *text = g_string_new(NULL);

    for (const xmlNode *child = element->children; child != NULL; child = child->next) {
        if ((child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE) && child->content != NULL) {
            g_string_append(text, (const char *)child->content);
        }
    }
    return g_strstrip(g_string_free(text, FALSE));
}

/* ---- what must not be there ---- */

/* A static label, or none, takes the guest out of what keeps it from the host's other files. */
static gboolean changes_label(const xmlNode *seclabel)
{
    static const char *const dynamic[] = {"dynamic", NULL};
    g_autofree gchar *type = attribute(seclabel, "type");

    return type != NULL ? !g_strv_contains(dynamic, type) || has_child(seclabel, "baselabel")
                        : has_child(seclabel, "label") || has_child(seclabel, "baselabel");
}

/* The socket that libvirt makes for a channel and names in the XML of a running domain. */
static gboolean is_own_channel(const xmlNode *source)
{
    g_autofree gchar *mode = attribute(source, "mode");
    g_autofree gchar *path = attribute(source, "path");

    return g_strcmp0(mode, "bind") == 0 && path != NULL && strstr(path, "..") == NULL &&
           (g_str_has_prefix(path, "/var/lib/libvirt/qemu/channel/") ||
            g_str_has_prefix(path, "/run/libvirt/qemu/channel/"));
}

static gboolean is_refused_element(const xmlNode *node)
{
    static const char *const always[] = {"script",     "downscript", "filesystem", "hostdev", "shmem",
                                         "table",      "bootloader", "database",   "lease",   "pstore",
                                         "nvram",      "varstore",   NULL};
    static const char *const devices[] = {"passthrough", "evdev", NULL};
    static const char *const host[] = {"host", "host-certificates", NULL};
    static const char *const hostdev[] = {"hostdev", "vdpa", "vhostuser", "ethernet", NULL};
    g_autofree gchar *text = NULL;

    if (g_strv_contains(always, (const char *)node->name)) {
        text = own_text(node);
        /* libvirt adds an empty one, or drops it. */
        return strcmp((const char *)node->name, "nvram") != 0 || *text != '\0' || node->properties != NULL ||
               has_child(node, "source");
    }
    return (is(node, "seclabel") && changes_label(node)) ||
           (is(node, "input") && attribute_in(node, "type", devices)) ||
           (is(node, "smartcard") && attribute_in(node, "mode", host)) ||
           (is(node, "interface") && attribute_in(node, "type", hostdev)) ||
           (is(node, "backend") && is(node->parent, "tpm") && attribute_in(node, "type", devices));
}

static gboolean names_path(const xmlNode *node)
{
    static const char *const paths[] = {"path",       "file",       "dir",      "socket",    "logFile",
                                        "rendernode", "template",   "evdev",    "cert_file", NULL};
    static const char *const random[] = {"/dev/urandom", "/dev/random", "/dev/hwrng", NULL};
    static const char *const pty[] = {"pty", NULL};
    static const char *const texts[] = {"partition", "entry",   "loader",   "kernel",
                                        "initrd",    "cmdline", "emulator", NULL};
    /* libvirt chooses these itself, and writes down what it chose; whatever is written there it does not read. */
    gboolean chosen = attribute_in(node, "type", pty) ||
                      (is(node, "source") && (attribute_in(node->parent, "type", pty) || is_own_channel(node)));
    g_autofree gchar *text = own_text(node);

    for (const xmlAttr *each = node->properties; each != NULL && !chosen; each = each->next) {
        g_autofree gchar *value = attribute(node, (const char *)each->name);

        if (value != NULL && *value != '\0' &&
            (*value == '/' || g_strv_contains(paths, (const char *)each->name))) {
            return TRUE;
        }
    }
    /* What is in base64 may begin with a '/'. */
    if (g_strv_contains(texts, (const char *)node->name) || is(node->parent, "launchSecurity") ||
        (is(node, "backend") && is(node->parent, "rng") && g_strv_contains(random, text))) {
        return FALSE;
    }
    return *text == '/' || (is(node, "path") && *text != '\0');
}

static gboolean refuse(const xmlNode *node, const char *why, GError **error)
{
    g_autofree gchar *name = xml_printable((const char *)node->name);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                "<%s> (line %ld) %s, which no measurement and no signature covers", name, xmlGetLineNo((xmlNode *)node),
                why);
    return FALSE;
}

static gboolean check(const xmlNode *node, gboolean disk, GError **error)
{
    static const char *const prose[] = {"metadata", "title", "description", NULL};

    if (node->ns != NULL) {
        return refuse(node, "goes around libvirt", error);
    }
    if (node->parent != NULL && is(node->parent, "domain") && g_strv_contains(prose, (const char *)node->name)) {
        return TRUE;
    }
    disk = disk || is(node, "disk");
    if (is_refused_element(node)) {
        return refuse(node, "gives the guest something of its host", error);
    }
    if (!disk && names_path(node)) {
        return refuse(node, "names a file or a device of its host", error);
    }
    for (const xmlNode *child = node->children; child != NULL; child = child->next) {
        if (child->type == XML_ELEMENT_NODE && !check(child, disk, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean xml_check_host_access(const char *text, gssize size, GError **error)
{
    xmlDoc *document = xml_document_parse(text, size, error);
    gboolean good = document != NULL && check(xmlDocGetRootElement(document), FALSE, error);

    g_clear_pointer(&document, xmlFreeDoc);
    return good;
}

/* ---- disks ---- */

static void add_sources(const xmlNode *node, const char *target, GPtrArray *out)
{
    for (const xmlNode *child = node->children; child != NULL; child = child->next) {
        g_autoptr(GString) line = g_string_new(NULL);

        if (child->type != XML_ELEMENT_NODE) {
            continue;
        }
        for (const xmlAttr *each = child->properties; each != NULL; each = each->next) {
            g_autofree gchar *value = attribute(child, (const char *)each->name);

            if (value != NULL && strcmp((const char *)each->name, "index") != 0 &&
                (is(child, "source") || *value == '/')) {
                g_string_append_printf(line, "%s%s '%s'", line->len > 0 ? ", " : "", (const char *)each->name, value);
            }
        }
        if (line->len > 0) {
            g_ptr_array_add(out, g_strdup_printf("%s: %s", target, line->str));
        }
        add_sources(child, target, out);
    }
}

static gboolean add_disk(xmlNode *disk, GPtrArray *out, GError **error)
{
    g_autofree gchar *dev = NULL;
    xmlNode *target = NULL;

    if (!xml_find_child(disk, "target", &target, error)) {
        return FALSE;
    }
    dev = target != NULL ? attribute(target, "dev") : NULL;
    add_sources(disk, dev != NULL ? dev : "?", out);
    return TRUE;
}

GPtrArray *xml_disk_sources(const char *text, gssize size, GError **error)
{
    g_autoptr(GPtrArray) out = g_ptr_array_new_with_free_func(g_free);
    xmlDoc *document = xml_document_parse(text, size, error);
    xmlNode *devices = NULL;
    gboolean good = document != NULL && xml_find_child(xmlDocGetRootElement(document), "devices", &devices, error);

    for (xmlNode *child = devices != NULL ? devices->children : NULL; good && child != NULL; child = child->next) {
        good = !is(child, "disk") || add_disk(child, out, error);
    }
    g_clear_pointer(&document, xmlFreeDoc);
    return good ? g_steal_pointer(&out) : NULL;
}
