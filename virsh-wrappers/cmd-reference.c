/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reference: the reference document of a domain, or of a whole fleet. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/reference-source.h"

int cmd_reference(CmdContext *context, GError **error)
{
    const char *format = cmd_context_get(context, "format");
    const char *word = cmd_domain_word(context);
    g_auto(CmdReferenceSource) source = {.reference = NULL};
    if (!word) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "no domain: give its name, or a file");
        return -1;
    }
    if (!cmd_reference_source_load(context, word, &source, error) ||
        !policy_guest_check(source.reference->platform, source.reference->policy,
                            cmd_context_has(context, "allow-debug"), error)) {
        return -1;
    }
    PolicyReferenceForm form =
        g_strcmp0(format, "binding") == 0 ? POLICY_REFERENCE_BINDING : POLICY_REFERENCE_PORTABLE;
    g_autofree gchar *text = g_strcmp0(format, "table") == 0
                                 ? cmd_reference_table(source.reference, cmd_context_quiet(context))
                                 : policy_reference_format(source.reference, form);
    return cmd_write_output(context, text, strlen(text), FALSE, error) ? 0 : -1;
}
