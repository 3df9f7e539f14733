/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* console: the verdict about the running domain first, then virsh's console. */
#include "virsh-wrappers/commands.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "measure/error.h"
#include "virsh-wrappers/console.h"
#include "virsh-wrappers/subject.h"
#include "virsh-wrappers/suggest.h"

int cmd_console_exec(virConnectPtr connection, const char *name, const char *const *options, GError **error)
{
    g_autoptr(VirString) uri = virConnectGetURI(connection);
    if (!uri) {
        cmd_libvirt_error(error, "cannot tell which libvirt this is");
        return -1;
    }
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_ptr_array_add(argv, (gpointer)"virsh");
    g_ptr_array_add(argv, (gpointer)"-c");
    g_ptr_array_add(argv, uri);
    g_ptr_array_add(argv, (gpointer)"console");
    for (; options && *options; options++) {
        g_ptr_array_add(argv, (gpointer)*options);
    }
    /* A domain may be called "--force". */
    g_ptr_array_add(argv, (gpointer)"--");
    g_ptr_array_add(argv, (gpointer)name);
    g_ptr_array_add(argv, NULL);
    fflush(stdout);
    execvp("virsh", (char **)argv->pdata);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED, "cannot run 'virsh': %s; install libvirt-clients",
                g_strerror(errno));
    return -1;
}

static void print_trust(CmdContext *context, virDomainPtr domain)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(PolicyReference) pinned = NULL;
    g_autoptr(HookRecord) record = NULL;
    g_autofree gchar *uuid = NULL;
    if (cmd_pinned_reference(context, domain, &pinned, &problem) && cmd_domain_uuid(domain, &uuid, &problem)) {
        record = hook_record_read(context->store, uuid, &problem);
    }
    if (problem) {
        cmd_warn("%s", problem->message);
    }
    /* A launch that is over is not the one that runs: the hook did not see this one start. */
    const HookLaunch *last = cmd_last_launch(record);
    last = last && !g_str_equal(last->state, "stopped") ? last : NULL;
    g_autofree gchar *level = pinned ? g_strdup_printf("%u", pinned->level) : g_strdup("not pinned");
    cmd_print_field("Level", level);
    cmd_print_field("Verdict", last ? last->verdict : "nothing recorded about this launch");
    if (last) {
        cmd_print_field("Launched", last->time);
        cmd_print_field("Measured", last->digest);
    }
    printf("The host sees and can change everything on this console: type no secret on it.\n\n");
}

int cmd_console(CmdContext *context, GError **error)
{
    g_autoptr(VirConnection) connection = cmd_connect(context, error);
    g_autoptr(VirDomainHandle) domain = connection ? cmd_domain_lookup(connection, cmd_domain_word(context), error)
                                                   : NULL;
    if (!domain) {
        return -1;
    }
    if (virDomainIsActive(domain) != 1) {
        g_autofree gchar *uuid = NULL;
        cmd_domain_uuid(domain, &uuid, NULL);
        g_autofree gchar *command = cmd_suggest("start", virDomainGetName(domain), uuid);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT, "domain '%s' is not running; to start it: %s",
                    virDomainGetName(domain), command);
        return -1;
    }
    if (!cmd_context_quiet(context)) {
        print_trust(context, domain);
    }
    const char *options[5] = {NULL};
    guint n = 0;
    if (cmd_context_has(context, "force")) {
        options[n++] = "--force";
    }
    if (cmd_context_has(context, "safe")) {
        options[n++] = "--safe";
    }
    if (cmd_context_has(context, "devname")) {
        options[n++] = "--devname";
        options[n++] = cmd_context_get(context, "devname");
    }
    return cmd_console_exec(connection, virDomainGetName(domain), options, error);
}
