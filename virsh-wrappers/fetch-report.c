/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which domain is asked, which way, and until when. */
#include "virsh-wrappers/fetch-report.h"

#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/deadline.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/suggest.h"

CmdVia cmd_via(const CmdContext *context)
{
    const char *word = cmd_context_get(context, "via");
    return g_strcmp0(word, "channel") == 0 ? CMD_VIA_CHANNEL
           : g_strcmp0(word, "agent") == 0 ? CMD_VIA_AGENT
                                           : CMD_VIA_AUTO;
}

gboolean cmd_fetch_over(const CmdFetch *fetch)
{
    return g_get_monotonic_time() >= fetch->deadline;
}

gboolean cmd_fetch_ports(const CmdFetch *fetch, CmdPorts *out, GError **error)
{
    g_autoptr(VirString) text = virDomainGetXMLDesc(fetch->domain, 0);
    if (!text) {
        return cmd_libvirt_error(error, "domain '%s': cannot read its definition", fetch->name);
    }
    if (!cmd_ports_read(text, out, error)) {
        g_prefix_error(error, "domain '%s': libvirt's XML of it: ", fetch->name);
        return FALSE;
    }
    return TRUE;
}

static gboolean check_running(const CmdFetch *fetch, GError **error)
{
    g_autofree gchar *uuid = NULL;
    if (virDomainIsActive(fetch->domain) == 1) {
        return TRUE;
    }
    cmd_domain_uuid(fetch->domain, &uuid, NULL);
    g_autofree gchar *command = cmd_suggest("start", virDomainGetName(fetch->domain), uuid);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                "domain '%s' is not running, so it cannot be asked for a report; to start it: %s", fetch->name,
                command);
    return FALSE;
}

/* The way that the domain has, or what to add to it. */
static gboolean choose(const CmdFetch *fetch, CmdVia *via, GError **error)
{
    CmdPorts ports;
    if (!cmd_fetch_ports(fetch, &ports, error)) {
        return FALSE;
    }
    if (*via == CMD_VIA_AUTO) {
        *via = ports.channel == CMD_PORT_ABSENT && ports.agent != CMD_PORT_ABSENT ? CMD_VIA_AGENT : CMD_VIA_CHANNEL;
    }
    if ((*via == CMD_VIA_AGENT ? ports.agent : ports.channel) != CMD_PORT_ABSENT) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                "domain '%s' has no channel %s; add to its <devices> and start it anew: "
                "<channel type='unix'><target type='virtio' name='%s'/></channel>",
                fetch->name, *via == CMD_VIA_AGENT ? "to a guest agent" : "over which it could be asked",
                *via == CMD_VIA_AGENT ? CMD_FETCH_AGENT : CMD_FETCH_CHANNEL);
    return FALSE;
}

gchar *cmd_fetch_report(CmdContext *context, const char *word, const guint8 nonce[CMD_FETCH_NONCE_SIZE], CmdVia *via,
                        GError **error)
{
    g_autofree gchar *shown = cmd_printable(word);
    g_autofree gchar *what = g_strdup_printf("domain '%s', its report", shown);
    g_autoptr(CmdGuard) guard = cmd_guard_new(context, what, error);
    if (!guard || !cmd_libvirt_load(error)) {
        return NULL;
    }
    /* Before the connection: what answers to it has to be there. */
    if (virEventRegisterDefaultImpl() < 0) {
        cmd_libvirt_error(error, "cannot wait for events");
        return NULL;
    }
    g_autoptr(VirConnection) connection = cmd_connect(context, error);
    g_autoptr(VirDomainHandle) domain = connection ? cmd_domain_lookup(connection, word, error) : NULL;
    if (!domain) {
        return NULL;
    }
    g_autofree gchar *name = cmd_printable(virDomainGetName(domain));
    /* Only now: before it somebody may have had to type a password. */
    CmdFetch fetch = {.domain = domain,
                      .name = name,
                      .deadline = context->deadline,
                      .timeout = context->timeout};
    memcpy(fetch.nonce, nonce, CMD_FETCH_NONCE_SIZE);
    if (!check_running(&fetch, error) || !choose(&fetch, via, error)) {
        return NULL;
    }
    return *via == CMD_VIA_AGENT ? cmd_fetch_agent(&fetch, error) : cmd_fetch_channel(&fetch, error);
}
