/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which of the ways to a guest its domain has, from the XML of the running domain. */
#include "measure/error.h"
#include "virsh-wrappers/fetch-report.h"
#include "xml/document.h"

/* <channel><target type='virtio' name='…' state='connected|disconnected'/></channel> */
static gboolean read_target(xmlNode *target, CmdPorts *ports, GError **error)
{
    g_autofree gchar *type = NULL;
    g_autofree gchar *name = NULL;
    g_autofree gchar *state = NULL;
    if (!xml_read_attribute(target, "type", &type, error) || !xml_read_attribute(target, "name", &name, error) ||
        !xml_read_attribute(target, "state", &state, error)) {
        return FALSE;
    }
    CmdPort *port = g_strcmp0(name, CMD_FETCH_CHANNEL) == 0 ? &ports->channel
                    : g_strcmp0(name, CMD_FETCH_AGENT) == 0 ? &ports->agent
                                                            : NULL;
    /* Of two with one name libvirt takes the first. */
    if (port && *port == CMD_PORT_ABSENT && g_strcmp0(type, "virtio") == 0) {
        *port = g_strcmp0(state, "connected") == 0      ? CMD_PORT_OPEN
                : g_strcmp0(state, "disconnected") == 0 ? CMD_PORT_CLOSED
                                                        : CMD_PORT_UNKNOWN;
    }
    return TRUE;
}

gboolean cmd_ports_read(const char *xml, CmdPorts *out, GError **error)
{
    xmlNode *devices = NULL;
    *out = (CmdPorts){.channel = CMD_PORT_ABSENT};
    g_autoptr(xmlDoc) document = xml_document_parse(xml, -1, error);
    if (!document || !xml_find_child(xmlDocGetRootElement(document), "devices", &devices, error)) {
        return FALSE;
    }
    for (xmlNode *node = devices ? devices->children : NULL; node; node = node->next) {
        xmlNode *target = NULL;
        if (xml_is_element(node, NULL, "channel") && (!xml_find_child(node, "target", &target, error) ||
                                                      (target && !read_target(target, out, error)))) {
            return FALSE;
        }
    }
    return TRUE;
}
