/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/attested-host.h"

#include <stdio.h>
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/connection.h"
#include "virsh-wrappers/output.h"

#define SSH_PORT 22

void cmd_attested_host_clear(CmdAttestedHost *host)
{
    g_clear_pointer(&host->name, g_free);
    g_clear_pointer(&host->address, g_free);
    g_clear_pointer(&host->key, g_free);
}

/* What SSH takes for a host, and no option, pattern or list. */
static gboolean address_valid(const char *text)
{
    static const char others[] = ".-:_%";
    for (const char *c = text; *c; c++) {
        if (!g_ascii_isalnum(*c) && !strchr(others, *c)) {
            return FALSE;
        }
    }
    return *text && *text != '-' && strlen(text) < 256;
}

static gchar *first_address(virDomainInterfacePtr *interfaces, int n)
{
    gchar *found = NULL;
    for (int i = 0; i < n; i++) {
        for (guint k = 0; k < interfaces[i]->naddrs && !found; k++) {
            found = g_strdup(interfaces[i]->addrs[k].addr);
        }
        virDomainInterfaceFree(interfaces[i]);
    }
    return found;
}

/* Where libvirt knows the guest to be. A wrong answer leads to a host with another key, where SSH stops. */
static gchar *find_address(CmdContext *context, const char *word, GError **error)
{
    static const unsigned int sources[] = {VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE,
                                           VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP};
    g_autoptr(VirConnection) connection = cmd_connect(context, error);
    g_autoptr(VirDomainHandle) domain = connection ? cmd_domain_lookup(connection, word, error) : NULL;
    if (!domain) {
        return NULL;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(sources); i++) {
        virDomainInterfacePtr *interfaces = NULL;
        int n = virDomainInterfaceAddresses(domain, &interfaces, sources[i], 0);
        g_autofree gchar *found = n > 0 ? first_address(interfaces, n) : NULL;
        free(interfaces);
        if (found) {
            return g_steal_pointer(&found);
        }
    }
    g_autofree gchar *name = cmd_printable(virDomainGetName(domain));
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                "domain '%s': libvirt knows no address of it; give one with --host", name);
    return NULL;
}

static gboolean find_host(CmdContext *context, const char *domain, CmdAttestedHost *out, GError **error)
{
    const char *given = cmd_context_get(context, "host");
    guint64 port = SSH_PORT;
    if (!cmd_arguments_number(context->arguments, "port", 1, 65535, &port, error)) {
        return FALSE;
    }
    if (!given && !domain) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "%s: with --report alone, give the guest's --host",
                    context->command->name);
        return FALSE;
    }
    out->port = (guint)port;
    out->address = given ? g_strdup(given) : find_address(context, domain, error);
    if (!out->address) {
        return FALSE;
    }
    if (!address_valid(out->address)) {
        g_autofree gchar *shown = cmd_printable(out->address);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--host '%s': this is neither an address nor a host name",
                    shown);
        return FALSE;
    }
    out->name = port == SSH_PORT ? g_strdup(out->address) : g_strdup_printf("[%s]:%u", out->address, out->port);
    return TRUE;
}

static void print_failures(const AppraisalVerdict *verdict)
{
    for (guint i = 0; i < verdict->checks->len; i++) {
        const AppraisalCheck *check = g_ptr_array_index(verdict->checks, i);
        if (check->outcome == APPRAISAL_FAIL) {
            g_autofree gchar *text = cmd_printable(check->text);
            fprintf(stderr, "%s: %s\n", check->name, text);
        }
    }
}

int cmd_attested_host(CmdContext *context, CmdAttestedHost *out, GError **error)
{
    const char *report = cmd_context_get(context, "report");
    const char *domain = cmd_domain_word(context);
    g_auto(CmdJudgement) judgement = {.verdict = NULL};
    if (report && !cmd_context_has(context, "ssh-host-key")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--report needs --ssh-host-key: the key that the report has to be about");
        return -1;
    }
    const char *judged = report && cmd_context_has(context, "reference") ? NULL : domain;
    if (!find_host(context, domain, out, error) || !cmd_judge(context, report, judged, &judgement, error)) {
        return -1;
    }
    int code = cmd_judgement_code(&judgement, error);
    if (code != 0) {
        print_failures(judgement.verdict);
        if (code > 0) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "the guest's report is rejected: its key is not trusted");
        }
        return -1;
    }
    if (!judgement.evidence->ssh_host_key) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "the report is accepted, but the guest has no SSH host key that it could be about");
        return -1;
    }
    out->key = g_strdup(judgement.evidence->ssh_host_key);
    return 0;
}
