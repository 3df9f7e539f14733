/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Has the QEMU guest agent run the report program in the guest.
 *
 * An agent that runs programs for the host is the end of every secret in the guest, so this is the second way, for guests
 * that have such an agent anyway. The report itself is as good as any other: the processor has signed it. But whoever may
 * run programs in the guest may have a report about an SSH key of his own; so no key is asked for here, and none is taken.
 */
#include <libvirt/libvirt-qemu.h>
#include <string.h>

#include "measure/error.h"
#include "policy/json.h"
#include "policy/text.h"
#include "virsh-wrappers/agent-answer.h"
#include "virsh-wrappers/fetch-report.h"

#define PROGRAM "/usr/bin/virt-attest"
#define PAUSE_FIRST_MS 50
#define PAUSE_MAX_MS 500
#define WORDS_MAX 300

/* @name: of a guest agent command; @arguments: (nullable) (transfer full) */
static gchar *command_text(const char *name, JsonObject *arguments)
{
    JsonObject *command = json_object_new();
    json_object_set_string_member(command, "execute", name);
    if (arguments) {
        json_object_set_object_member(command, "arguments", arguments);
    }
    return policy_json_format(command, FALSE);
}

/* The nonce goes in on standard input; zeros stand where the channel's service has the digest of a key. */
static gchar *exec_text(const guint8 nonce[CMD_FETCH_NONCE_SIZE])
{
    static const char *const words[] = {"report-get", "--format", "json", "--nonce", "-", NULL};
    guint8 data[2 * CMD_FETCH_NONCE_SIZE] = {0};
    memcpy(data + CMD_FETCH_NONCE_SIZE, nonce, CMD_FETCH_NONCE_SIZE);
    g_autofree gchar *hex = measure_hex_encode(data, sizeof(data));
    g_autofree gchar *input = g_base64_encode((const guchar *)hex, strlen(hex));
    JsonObject *arguments = json_object_new();
    JsonArray *list = json_array_new();
    for (const char *const *word = words; *word; word++) {
        json_array_add_string_element(list, *word);
    }
    json_object_set_string_member(arguments, "path", PROGRAM);
    json_object_set_array_member(arguments, "arg", list);
    json_object_set_string_member(arguments, "input-data", input);
    json_object_set_boolean_member(arguments, "capture-output", TRUE);
    return command_text("guest-exec", arguments);
}

static gchar *status_text(guint64 pid)
{
    JsonObject *arguments = json_object_new();
    json_object_set_int_member(arguments, "pid", (gint64)pid);
    return command_text("guest-exec-status", arguments);
}

/* %NULL with libvirt's own error set. */
static VirString *call(const CmdFetch *fetch, const char *command)
{
    gint64 left = (fetch->deadline - g_get_monotonic_time()) / G_USEC_PER_SEC;
    return virDomainQemuAgentCommand(fetch->domain, command, (int)CLAMP(left, 1, 3600), 0);
}

/* libvirt's last error: its text may be the agent's own words. */
static void set_refused(const CmdFetch *fetch, const char *command, GError **error)
{
    g_autofree gchar *words = policy_one_line(virGetLastErrorMessage(), WORDS_MAX);
    int code = virGetLastErrorCode();
    if (code == VIR_ERR_AGENT_UNRESPONSIVE || code == VIR_ERR_AGENT_COMMAND_TIMEOUT) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "domain '%s': its guest agent does not answer: is the guest up, and does qemu-guest-agent run in it? "
                    "--timeout gives it more time; libvirt says: %s",
                    fetch->name, words);
    } else {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT, "domain '%s': guest agent, %s: %s", fetch->name, command,
                    words);
    }
}

static void pause_for(const CmdFetch *fetch, guint ms)
{
    gint64 left = fetch->deadline - g_get_monotonic_time();
    if (left > 0) {
        g_usleep((gulong)MIN((gint64)ms * 1000, left));
    }
}

/* The agent has refused to start the program: it may not, or there is none. */
static void explain(const CmdFetch *fetch, GError **error)
{
    g_autofree gchar *words = policy_one_line(virGetLastErrorMessage(), WORDS_MAX);
    g_autofree gchar *command = command_text("guest-info", NULL);
    g_autoptr(VirString) text = call(fetch, command);
    gboolean allowed = TRUE;
    if (text && cmd_agent_read_info(text, "guest-exec", &allowed, NULL) && !allowed) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "domain '%s': the guest lets its agent run no programs (guest-exec), for good reasons: give the domain "
                    "the channel " CMD_FETCH_CHANNEL " instead (virt-attest-guest(7))",
                    fetch->name);
    } else {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "domain '%s': the guest agent cannot run " PROGRAM ": does its image have the report program "
                    "(virt-attest-guest(7))? It says: %s",
                    fetch->name, words);
    }
}

/* An answer that cannot be read. */
static gboolean name_domain(const CmdFetch *fetch, GError **error)
{
    g_prefix_error(error, "domain '%s': ", fetch->name);
    return FALSE;
}

/* Starts the program, as soon as the agent is there. */
static gboolean start(const CmdFetch *fetch, guint64 *pid, GError **error)
{
    g_autofree gchar *command = exec_text(fetch->nonce);
    for (;;) {
        g_autoptr(VirString) text = call(fetch, command);
        if (text) {
            return cmd_agent_read_exec(text, pid, error) || name_domain(fetch, error);
        }
        int code = virGetLastErrorCode();
        /* An error of the agent's own has no better code. */
        if (code == VIR_ERR_INTERNAL_ERROR) {
            explain(fetch, error);
            return FALSE;
        }
        if (code != VIR_ERR_AGENT_UNRESPONSIVE || cmd_fetch_over(fetch)) {
            set_refused(fetch, "guest-exec", error);
            return FALSE;
        }
        pause_for(fetch, PAUSE_MAX_MS);
    }
}

static gboolean wait_for(const CmdFetch *fetch, guint64 pid, CmdAgentStatus *status, GError **error)
{
    g_autofree gchar *command = status_text(pid);
    for (guint pause = PAUSE_FIRST_MS;; pause = MIN(2 * pause, PAUSE_MAX_MS)) {
        pause_for(fetch, pause);
        g_autoptr(VirString) text = call(fetch, command);
        if (!text) {
            set_refused(fetch, "guest-exec-status", error);
            return FALSE;
        }
        if (!cmd_agent_read_status(text, status, error)) {
            return name_domain(fetch, error);
        }
        if (status->exited) {
            return TRUE;
        }
        if (cmd_fetch_over(fetch)) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                        "domain '%s': " PROGRAM " has not ended in the guest within %u seconds; --timeout gives it more time",
                        fetch->name, fetch->timeout);
            return FALSE;
        }
    }
}

static gchar *take_output(const CmdFetch *fetch, CmdAgentStatus *status, GError **error)
{
    if (status->code == 0 && status->output) {
        return g_steal_pointer(&status->output);
    }
    g_autofree gchar *end = status->code < 0 ? g_strdup("a signal") : g_strdup_printf("exit code %d", status->code);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "domain '%s': " PROGRAM " has made no report in the guest "
                "(%s); it says: %s", fetch->name, end, status->errors ? status->errors : "nothing");
    return NULL;
}

gchar *cmd_fetch_agent(const CmdFetch *fetch, GError **error)
{
    g_auto(CmdAgentStatus) status = {.exited = FALSE};
    guint64 pid = 0;
    if (!cmd_libvirt_qemu_load(error) || !start(fetch, &pid, error) || !wait_for(fetch, pid, &status, error)) {
        return NULL;
    }
    return take_output(fetch, &status, error);
}
