/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/identity.h"

#include <string.h>

#include "xml/document.h"

#define ID_BLOCK_SIZE 96
#define ID_AUTH_SIZE 4096
#define HOST_DATA_SIZE 32

/* The order in which libvirt writes them; its schema takes any. */
static const char *const order[] = {"cbitpos", "reducedPhysBits", "policy", "guestVisibleWorkarounds",
                                    "idBlock", "idAuth",          "hostData"};

static gsize rank(const xmlNode *element)
{
    gsize i = 0;

    while (i < G_N_ELEMENTS(order) && strcmp(order[i], (const char *)element->name) != 0) {
        i++;
    }
    return i;
}

/* A copy of the blanks before the children of @parent, so that a new one stands where they do; NULL for none. */
static xmlNode *copy_blanks(xmlNode *parent)
{
    for (xmlNode *child = parent->children; child != NULL; child = child->next) {
        if (child->type == XML_ELEMENT_NODE && child->prev != NULL && xmlIsBlankNode(child->prev)) {
            return xmlCopyNode(child->prev, 1);
        }
    }
    return NULL;
}

static xmlNode *add_child(xmlNode *parent, const char *name)
{
    xmlNode *element = xmlNewDocNode(parent->doc, NULL, (const xmlChar *)name, NULL);
    xmlNode *blanks = copy_blanks(parent);
    xmlNode *before = NULL;

    for (xmlNode *child = parent->children; child != NULL; child = child->next) {
        if (child->type == XML_ELEMENT_NODE && rank(child) < rank(element)) {
            before = child;
        }
    }
    if (before != NULL) {
        xmlAddNextSibling(before, element);
    } else if (parent->children != NULL) {
        xmlAddPrevSibling(parent->children, element);
    } else {
        xmlAddChild(parent, element);
    }
    if (blanks != NULL) {
        xmlAddPrevSibling(element, blanks);
    }
    return element;
}

static gboolean set_bytes(xmlNode *parent, const char *name, const guint8 *bytes, gsize size, GError **error)
{
    g_autofree gchar *base64 = g_base64_encode(bytes, size);
    xmlNode *element = NULL;

    if (!xml_find_child(parent, name, &element, error)) {
        return FALSE;
    }
    if (element == NULL) {
        element = add_child(parent, name);
    }
    xmlNodeSetContent(element, (const xmlChar *)base64);
    return TRUE;
}

/* The one <launchSecurity type='sev-snp'>. */
static xmlNode *find_launch(xmlNode *domain, GError **error)
{
    xmlNode *launch = NULL;
    g_autofree gchar *type = NULL;

    if (!xml_is_element(domain, NULL, "domain")) {
        xml_set_error(error, domain, "the root element is not <domain>: give a libvirt domain XML");
        return NULL;
    }
    if (!xml_find_child(domain, "launchSecurity", &launch, error) ||
        (launch != NULL && !xml_read_attribute(launch, "type", &type, error))) {
        return NULL;
    }
    if (g_strcmp0(type, "sev-snp") != 0) {
        xml_set_error(error, launch != NULL ? launch : domain,
                      "only a domain with <launchSecurity type='sev-snp'> has an ID block and host data");
        return NULL;
    }
    return launch;
}

static gboolean set_all(xmlNode *launch, const XmlIdentity *identity, GError **error)
{
    if (identity->id_block != NULL) {
        g_autofree gchar *former = NULL;

        if (!xml_read_attribute(launch, "authorKey", &former, error) ||
            !set_bytes(launch, "idBlock", identity->id_block, ID_BLOCK_SIZE, error) ||
            !set_bytes(launch, "idAuth", identity->id_auth, ID_AUTH_SIZE, error)) {
            return FALSE;
        }
        xmlSetProp(launch, (const xmlChar *)"authorKey", (const xmlChar *)(identity->author_key ? "yes" : "no"));
    }
    return identity->host_data == NULL || set_bytes(launch, "hostData", identity->host_data, HOST_DATA_SIZE, error);
}

gchar *xml_document_set_identity(const char *domain_xml, gssize size, const XmlIdentity *identity, GError **error)
{
    g_autoptr(xmlDoc) document = xml_document_parse(domain_xml, size, error);
    xmlNode *launch = document != NULL ? find_launch(xmlDocGetRootElement(document), error) : NULL;

    if (launch == NULL || !set_all(launch, identity, error)) {
        g_prefix_error(error, "domain XML, ");
        return NULL;
    }
    return xml_document_to_text(document);
}
