/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* destroy: stops a domain at once, as virsh does. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>

#include "virsh-wrappers/connection.h"

int cmd_destroy(CmdContext *context, GError **error)
{
    g_autoptr(VirConnection) connection = cmd_connect(context, error);
    g_autoptr(VirDomainHandle) domain = connection ? cmd_domain_lookup(connection, cmd_domain_word(context), error)
                                                   : NULL;
    if (!domain) {
        return -1;
    }
    /* The name is gone with a transient domain. */
    g_autofree gchar *name = g_strdup(virDomainGetName(domain));
    unsigned int flags = cmd_context_has(context, "graceful") ? VIR_DOMAIN_DESTROY_GRACEFUL : 0;
    if (virDomainDestroyFlags(domain, flags) < 0) {
        cmd_libvirt_error(error, "cannot destroy domain '%s'", name);
        return -1;
    }
    if (!cmd_context_quiet(context)) {
        printf("Domain '%s' destroyed\n", name);
    }
    return 0;
}
