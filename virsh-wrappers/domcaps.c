/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/domcaps.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

#include "measure/error.h"
#include "measure/foreign-autoptr.h"

void cmd_domcaps_free(CmdDomcaps *caps)
{
    if (!caps) {
        return;
    }
    g_free(caps->emulator);
    g_ptr_array_unref(caps->loaders);
    g_free(caps);
}

static xmlNode *child(xmlNode *parent, const char *name)
{
    for (xmlNode *at = parent ? parent->children : NULL; at; at = at->next) {
        if (at->type == XML_ELEMENT_NODE && g_str_equal((const char *)at->name, name)) {
            return at;
        }
    }
    return NULL;
}

static gboolean supported(xmlNode *node)
{
    g_autoptr(XmlString) value = node ? xmlGetNoNsProp(node, (const xmlChar *)"supported") : NULL;
    return value && g_str_equal((const char *)value, "yes");
}

static gint child_number(xmlNode *parent, const char *name)
{
    xmlNode *node = child(parent, name);
    g_autoptr(XmlString) text = node ? xmlNodeGetContent(node) : NULL;
    guint64 value;
    return text && g_ascii_string_to_unsigned((const char *)text, 10, 0, 1024, &value, NULL) ? (gint)value : -1;
}

/* <enum name='NAME'> holds <value>VALUE</value> */
static gboolean enum_has(xmlNode *parent, const char *name, const char *value)
{
    for (xmlNode *at = parent ? parent->children : NULL; at; at = at->next) {
        g_autoptr(XmlString) its_name = at->type == XML_ELEMENT_NODE ? xmlGetNoNsProp(at, (const xmlChar *)"name")
                                                                     : NULL;
        if (!its_name || !g_str_equal((const char *)its_name, name)) {
            continue;
        }
        for (xmlNode *each = at->children; each; each = each->next) {
            g_autoptr(XmlString) text = each->type == XML_ELEMENT_NODE ? xmlNodeGetContent(each) : NULL;
            if (text && g_str_equal((const char *)text, value)) {
                return TRUE;
            }
        }
    }
    return FALSE;
}

CmdDomcaps *cmd_domcaps_parse(const char *xml, gsize size, GError **error)
{
    g_autoptr(xmlDoc) document = NULL;
    if (size <= XML_MAX_SIZE) {
        document = xmlReadMemory(xml, (int)size, NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    }
    xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
    if (!root || document->intSubset || !g_str_equal((const char *)root->name, "domainCapabilities")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "not a domain capabilities document of libvirt");
        return NULL;
    }
    CmdDomcaps *caps = g_new0(CmdDomcaps, 1);
    caps->loaders = g_ptr_array_new_with_free_func(g_free);
    xmlNode *path = child(root, "path");
    g_autoptr(XmlString) emulator = path ? xmlNodeGetContent(path) : NULL;
    caps->emulator = g_strdup((const char *)emulator);
    xmlNode *features = child(root, "features");
    xmlNode *sev = child(features, "sev");
    xmlNode *security = child(features, "launchSecurity");
    caps->snp = supported(security) && enum_has(security, "sectype", "sev-snp");
    caps->sev = supported(sev);
    caps->sev_es = caps->sev && child_number(sev, "maxESGuests") > 0;
    caps->cbitpos = caps->sev ? child_number(sev, "cbitpos") : -1;
    caps->reduced_phys_bits = caps->sev ? child_number(sev, "reducedPhysBits") : -1;
    xmlNode *loader = child(child(root, "os"), "loader");
    for (xmlNode *at = loader ? loader->children : NULL; at; at = at->next) {
        if (at->type == XML_ELEMENT_NODE && g_str_equal((const char *)at->name, "value")) {
            g_autoptr(XmlString) text = xmlNodeGetContent(at);
            g_ptr_array_add(caps->loaders, g_strdup((const char *)text));
        }
    }
    return caps;
}

CmdDomcaps *cmd_domcaps_get(virConnectPtr connection, const char *emulator, const char *type, GError **error)
{
    g_autoptr(VirString) xml = virConnectGetDomainCapabilities(connection, emulator, "x86_64", "q35", type, 0);
    if (!xml) {
        cmd_libvirt_error(error, "cannot read the domain capabilities");
        return NULL;
    }
    return cmd_domcaps_parse(xml, strlen(xml), error);
}
