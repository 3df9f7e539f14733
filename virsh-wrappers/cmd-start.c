/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* start: as virsh, with what is expected before and the hook's verdict after. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/console.h"
#include "virsh-wrappers/subject.h"
#include "virsh-wrappers/suggest.h"

typedef struct {
    CmdContext *context;
    virDomainPtr domain;
    const char *name;
    gchar *uuid;
    gchar *last_id;           /* of the newest launch before this start */
    PolicyReference *pinned;
    gboolean confidential;
    gboolean wants_check; /* by its metadata, which the hook heeds where nothing is pinned */
} Start;

static void start_clear(Start *start)
{
    g_free(start->uuid);
    g_free(start->last_id);
    g_clear_pointer(&start->pinned, policy_reference_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Start, start_clear)

static gboolean start_prepare(Start *start, GError **error)
{
    if (!cmd_domain_uuid(start->domain, &start->uuid, error) ||
        !cmd_pinned_reference(start->context, start->domain, &start->pinned, error)) {
        return FALSE;
    }
    /* An unreadable record is not a reason not to start: the hook deals with it, and so does `show`. */
    g_autoptr(HookRecord) record = hook_record_read(start->context->store, start->uuid, NULL);
    const HookLaunch *last = cmd_last_launch(record);
    start->last_id = last ? g_strdup(last->id) : NULL;
    g_autofree gchar *xml = cmd_domain_xml(start->domain, error);
    g_autoptr(XmlDomain) parsed = xml ? xml_domain_parse(xml, -1, error) : NULL;
    if (!parsed) {
        return FALSE;
    }
    start->confidential = parsed->launch_type == XML_LAUNCH_SEV || parsed->launch_type == XML_LAUNCH_SNP;
    start->wants_check = parsed->attestation && parsed->attestation->on_mismatch == XML_ON_MISMATCH_REFUSE;
    return TRUE;
}

static void print_before(const Start *start)
{
    if (cmd_context_quiet(start->context)) {
        return;
    }
    if (start->pinned) {
        g_autofree gchar *level = g_strdup_printf("%u", start->pinned->level);
        cmd_print_field("Pinned level", level);
        cmd_print_expected(start->pinned->measurements);
        fflush(stdout);
    } else if (start->confidential && start->wants_check) {
        g_autofree gchar *command = cmd_suggest("define --accept", start->name, start->uuid);
        cmd_warn("the metadata of domain '%s' asks for a check, but no reference is pinned on this host; to pin it: %s",
                 start->name, command);
    } else if (start->confidential) {
        g_autofree gchar *command = cmd_suggest("define", start->name, start->uuid);
        cmd_warn("domain '%s' has no pinned reference: its start is compared with nothing; to pin one: %s",
                 start->name, command);
    }
}

/* What the hook recorded about this start; @launch belongs to @record. */
static const HookLaunch *find_launch(const Start *start, HookRecord **record)
{
    g_autoptr(GError) problem = NULL;
    *record = hook_record_read(start->context->store, start->uuid, &problem);
    if (problem) {
        cmd_warn("%s", problem->message);
    }
    const HookLaunch *last = cmd_last_launch(*record);
    return last && g_strcmp0(last->id, start->last_id) != 0 ? last : NULL;
}

static gboolean fail_start(const Start *start, GError **error)
{
    g_autofree gchar *message = g_strdup(virGetLastErrorMessage());
    g_autoptr(HookRecord) record = NULL;
    const HookLaunch *launch = find_launch(start, &record);
    gboolean refused = launch && g_str_equal(launch->verdict, policy_verdict_name(POLICY_VERDICT_REFUSED));
    /* The message has the environment in it too, where a PATH may name a folder of ours. */
    if (refused || (strstr(message, "Hook script") && strstr(message, CMD_HOOK_FILE " "))) {
        const char *summary = refused && launch->summary ? launch->summary : message;
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "start of domain '%s' was refused: %s%s%s", start->name,
                    summary, summary == message ? "" : "\n", summary == message ? "" : message);
        return FALSE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT, "cannot start domain '%s': %s", start->name, message);
    return FALSE;
}

static void print_verdict(const Start *start, const HookLaunch *launch)
{
    if (cmd_context_quiet(start->context)) {
        return;
    }
    cmd_print_field("Measured", launch->digest);
    cmd_print_field("Verdict", launch->verdict);
    if (!g_str_equal(launch->verdict, policy_verdict_name(POLICY_VERDICT_MATCH)) && launch->summary) {
        cmd_warn("%s", launch->summary);
    }
}

/* The domain runs, but nothing looked at its start: that must not look like success. */
static gboolean fail_unwatched(const Start *start, GError **error)
{
    gboolean strict = cmd_context_has(start->context, "strict");
    gboolean stopped = strict && virDomainDestroy(start->domain) == 0;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                "the hook did not run for this start of domain '%s': nothing was measured, and the domain %s\n"
                "Find out why with 'virt-attest host-check'; a hook that was installed while the daemon ran needs "
                "'systemctl reload libvirtd'",
                start->name, stopped ? "was stopped again (--strict)" : "is RUNNING unchecked");
    return FALSE;
}

int cmd_start(CmdContext *context, GError **error)
{
    g_autoptr(VirConnection) connection = cmd_connect(context, error);
    g_autoptr(VirDomainHandle) domain = connection ? cmd_domain_lookup(connection, cmd_domain_word(context), error)
                                                   : NULL;
    if (!domain) {
        return -1;
    }
    g_auto(Start) start = {.context = context, .domain = domain, .name = virDomainGetName(domain)};
    if (!start_prepare(&start, error)) {
        return -1;
    }
    print_before(&start);
    unsigned int flags = cmd_context_has(context, "paused") ? VIR_DOMAIN_START_PAUSED : 0;
    if (virDomainCreateWithFlags(domain, flags) < 0) {
        return fail_start(&start, error) ? 0 : -1;
    }
    g_autoptr(HookRecord) record = NULL;
    const HookLaunch *launch = find_launch(&start, &record);
    if (!launch && (start.pinned || start.confidential)) {
        return fail_unwatched(&start, error) ? 0 : -1;
    }
    if (launch) {
        print_verdict(&start, launch);
    }
    if (!cmd_context_quiet(context)) {
        printf("Domain '%s' started\n", start.name);
    }
    return cmd_context_has(context, "console") ? cmd_console_exec(connection, start.name, NULL, error) : 0;
}
