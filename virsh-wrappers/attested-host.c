/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/attested-host.h"

#include <stdlib.h>

#include "measure/error.h"
#include "virsh-wrappers/connection.h"
#include "virsh-wrappers/deadline.h"
#include "virsh-wrappers/known-hosts.h"
#include "virsh-wrappers/output.h"

void cmd_attested_host_clear(CmdAttestedHost *host)
{
    g_clear_pointer(&host->hosts, g_strfreev);
    g_clear_pointer(&host->reasons, g_free);
    g_clear_pointer(&host->key, g_free);
}

static gboolean check_hosts(gchar **hosts, GError **error)
{
    for (; *hosts; hosts++) {
        if (!cmd_known_hosts_valid(*hosts)) {
            g_autofree gchar *shown = cmd_printable(*hosts);
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "'%s': this is no name or address of a host", shown);
            return FALSE;
        }
    }
    return TRUE;
}

static void add_addresses(virDomainPtr domain, unsigned int source, GPtrArray *out)
{
    virDomainInterfacePtr *interfaces = NULL;
    int count = virDomainInterfaceAddresses(domain, &interfaces, source, 0);
    for (int i = 0; i < count; i++) {
        for (guint n = 0; n < interfaces[i]->naddrs; n++) {
            const char *address = interfaces[i]->addrs[n].addr;
            if (address && cmd_known_hosts_is_address(address) &&
                !g_ptr_array_find_with_equal_func(out, address, g_str_equal, NULL)) {
                g_ptr_array_add(out, g_strdup(address));
            }
        }
        virDomainInterfaceFree(interfaces[i]);
    }
    free(interfaces);
}

/*
 * Where the guest is does not matter to its identity, so the host may be believed. But only in numbers: a name could be
 * that of another machine, whose keys would go from the list, or a section of the user's configuration of ssh.
 */
static gchar **find_addresses(CmdContext *context, const char *word, GError **error)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
    g_autofree gchar *shown = cmd_printable(word);
    g_autofree gchar *what = g_strdup_printf("domain '%s', its address", shown);
    g_autoptr(CmdGuard) guard = cmd_guard_new(context, what, error);
    g_autoptr(VirConnection) connection = guard ? cmd_connect(context, error) : NULL;
    g_autoptr(VirDomainHandle) domain = connection ? cmd_domain_lookup(connection, word, error) : NULL;
    if (!domain) {
        return NULL;
    }
    add_addresses(domain, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, found);
    if (found->len == 0) {
        add_addresses(domain, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP, found);
    }
    if (found->len == 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "libvirt knows no address of domain '%s': give it with --host", shown);
        return NULL;
    }
    g_ptr_array_add(found, NULL);
    return (gchar **)g_ptr_array_free(g_steal_pointer(&found), FALSE);
}

static gboolean get_hosts(CmdContext *context, const char *domain, CmdAttestedHost *out, GError **error)
{
    const GPtrArray *given = cmd_arguments_all(context->arguments, "host");
    guint64 port = 22;
    if (!cmd_arguments_number(context->arguments, "port", 1, 65535, &port, error)) {
        return FALSE;
    }
    out->port = (guint)port;
    if (given->len > 0) {
        out->hosts = g_new0(gchar *, given->len + 1);
        for (guint i = 0; i < given->len; i++) {
            out->hosts[i] = g_strdup(g_ptr_array_index(given, i));
        }
        return check_hosts(out->hosts, error);
    }
    if (!domain || cmd_word_is_file(domain)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "%s: name a domain of libvirt, or give --host, --report and --ssh-host-key",
                    context->command->name);
        return FALSE;
    }
    out->hosts = find_addresses(context, domain, error);
    return out->hosts != NULL;
}

/* They follow the line that says what became of it. */
static gchar *reasons(const AppraisalVerdict *verdict)
{
    GString *out = g_string_new(NULL);
    for (guint i = 0; i < verdict->checks->len; i++) {
        const AppraisalCheck *check = g_ptr_array_index(verdict->checks, i);
        if (check->outcome == APPRAISAL_FAIL) {
            g_autofree gchar *text = cmd_printable(check->text);
            g_string_append_printf(out, "\n  %s: %s", check->name, text);
        }
    }
    return g_string_free(out, FALSE);
}

gboolean cmd_attested_host(CmdContext *context, const char *domain, CmdAttestedHost *out, GError **error)
{
    g_auto(CmdJudgement) judgement = {.needs_key = TRUE};
    const char *report = cmd_context_get(context, "report");
    /* A key that lies beside a report means nothing: the user has to say which one the report data must be of. */
    if ((report != NULL) != cmd_context_has(context, "ssh-host-key")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "%s: --report and --ssh-host-key go together",
                    context->command->name);
        return FALSE;
    }
    if (!get_hosts(context, domain, out, error) || !cmd_judge(context, report, domain, &judgement, error)) {
        return FALSE;
    }
    out->reasons = reasons(judgement.verdict);
    int code = cmd_judgement_code(&judgement, error);
    if (code < 0) {
        return FALSE;
    }
    out->accepted = code == 0;
    /* Whatever else may change: no key without a report data rule that names it. */
    if (out->accepted && judgement.rules.has_report_data) {
        out->key = g_strdup(judgement.evidence->ssh_host_key);
    }
    return TRUE;
}

int cmd_attested_host_rejected(const CmdAttestedHost *host, GError **error)
{
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "%s%s",
                host->accepted ? "the report is in order, but the guest has bound no SSH host key into it: is "
                                 "OpenSSH's server installed there?"
                               : "the guest's report is rejected: its key is not trusted",
                host->reasons);
    return -1;
}
