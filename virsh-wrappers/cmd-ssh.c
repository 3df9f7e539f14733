/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ssh: to a guest that has been attested, and to no other: nothing that is secret leaves before. */
#include "virsh-wrappers/commands.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure/error.h"
#include "virsh-wrappers/attested-host.h"
#include "virsh-wrappers/connection.h"
#include "virsh-wrappers/output.h"

/* What the key is looked up by, whatever the user's configuration makes of address and port. */
#define ALIAS "virt-attest-guest"
#define NO_KERBEROS "GSSAPIKeyExchange=no"

static gboolean login_valid(const char *text)
{
    return *text && *text != '-' && strlen(text) < 128 && !strpbrk(text, " \t\n@%'\"\\");
}

/*
 * A list of its own, so that neither an older entry nor the user's files can add a key. It is in memory: however this
 * program ends, no file stays behind. ssh closes what it inherits, but can open what its parent has open.
 */
static gchar *write_list(const CmdAttestedHost *host, GError **error)
{
    g_autofree gchar *text = g_strdup_printf(ALIAS " %s\n", host->key);
    gssize size = (gssize)strlen(text);
    int fd = memfd_create("known_hosts", MFD_CLOEXEC);
    if (fd < 0 || write(fd, text, (gsize)size) != size) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "no memory for a list of known hosts: %s",
                    g_strerror(errno));
        return NULL;
    }
    return g_strdup_printf("/proc/%d/fd/%d", getpid(), fd);
}

/* Beside --report or --domain no word names a domain: all of them are the command. */
static guint command_start(const CmdContext *context)
{
    return cmd_context_has(context, "report") || cmd_context_has(context, "domain") ? 0 : 1;
}

/* Asks ssh itself, without the user's files. */
static gboolean ssh_knows(const char *option)
{
    const char *argv[] = {"ssh", "-F", "/dev/null", "-G", "-o", option, "--", ALIAS, NULL};
    GSpawnFlags flags = G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL;
    int status = -1;
    return g_spawn_sync(NULL, (gchar **)argv, NULL, flags, NULL, NULL, NULL, NULL, &status, NULL) && status == 0;
}

static GPtrArray *command_line(CmdContext *context, const char *list, const CmdAttestedHost *host)
{
    static const char *const fixed[] = {"StrictHostKeyChecking=yes", "GlobalKnownHostsFile=/dev/null",
                                        "UpdateHostKeys=no",         "VerifyHostKeyDNS=no",
                                        "CheckHostIP=no",            "KnownHostsCommand=none",
                                        "ControlPath=none",          "NoHostAuthenticationForLocalhost=no",
                                        "ControlMaster=no",          "HashKnownHosts=no",
                                        NULL};
    const char *login = cmd_context_get(context, "login");
    const char *identity = cmd_context_get(context, "identity");
    const char *space = strchr(host->key, ' ');
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(argv, g_strdup("ssh"));
    for (const char *const *option = fixed; *option; option++) {
        g_ptr_array_add(argv, g_strdup("-o"));
        g_ptr_array_add(argv, g_strdup(*option));
    }
    /* Where Kerberos vouches for the server, as the ssh of some distributions can have it, no host key is looked at. */
    if (ssh_knows(NO_KERBEROS)) {
        g_ptr_array_add(argv, g_strdup("-o"));
        g_ptr_array_add(argv, g_strdup(NO_KERBEROS));
    }
    g_ptr_array_add(argv, g_strdup("-o"));
    g_ptr_array_add(argv, g_strdup_printf("UserKnownHostsFile=\"%s\"", list));
    g_ptr_array_add(argv, g_strdup("-o"));
    g_ptr_array_add(argv, g_strdup("HostKeyAlias=" ALIAS));
    /* An RSA key signs with SHA-2. */
    g_ptr_array_add(argv, g_strdup("-o"));
    g_ptr_array_add(argv, g_str_has_prefix(host->key, "ssh-rsa ")
                              ? g_strdup("HostKeyAlgorithms=rsa-sha2-512,rsa-sha2-256")
                              : g_strdup_printf("HostKeyAlgorithms=%.*s", (int)(space - host->key), host->key));
    g_ptr_array_add(argv, g_strdup("-p"));
    g_ptr_array_add(argv, g_strdup_printf("%u", host->port));
    if (login) {
        g_ptr_array_add(argv, g_strdup("-l"));
        g_ptr_array_add(argv, g_strdup(login));
    }
    if (identity) {
        g_ptr_array_add(argv, g_strdup("-i"));
        g_ptr_array_add(argv, g_strdup(identity));
    }
    g_ptr_array_add(argv, g_strdup("--"));
    g_ptr_array_add(argv, g_strdup(host->hosts[0]));
    for (guint i = command_start(context); cmd_context_word(context, i); i++) {
        g_ptr_array_add(argv, g_strdup(cmd_context_word(context, i)));
    }
    g_ptr_array_add(argv, NULL);
    return argv;
}

/* In the child: what is ignored stays so across exec, and ssh is to end when this program is ended. */
static void prepare(gpointer parent)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != GPOINTER_TO_INT(parent)) {
        _exit(255);
    }
}

/* ssh has the terminal: keys that end something are for it. Its exit codes are ours, all of them. */
static int run(char **argv, GError **error)
{
    g_autoptr(GError) cause = NULL;
    int status = 0;
    fflush(stdout);
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    GSpawnFlags flags = G_SPAWN_SEARCH_PATH | G_SPAWN_CHILD_INHERITS_STDIN;
    if (!g_spawn_sync(NULL, argv, NULL, flags, prepare, GINT_TO_POINTER(getpid()), NULL, NULL, &status, &cause)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED, "cannot run 'ssh': %s; install openssh-client",
                    cause->message);
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int cmd_ssh(CmdContext *context, GError **error)
{
    const char *login = cmd_context_get(context, "login");
    g_auto(CmdAttestedHost) host = {.key = NULL};
    if (login && !login_valid(login)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--login: this is no name of a user");
        return -1;
    }
    const char *domain = command_start(context) ? cmd_domain_word(context) : cmd_context_get(context, "domain");
    if (!cmd_attested_host(context, domain, &host, error)) {
        return -1;
    }
    if (!host.key) {
        return cmd_attested_host_rejected(&host, error);
    }
    g_autofree gchar *list = write_list(&host, error);
    if (!list) {
        return -1;
    }
    g_autoptr(GPtrArray) argv = command_line(context, list, &host);
    return run((char **)argv->pdata, error);
}
