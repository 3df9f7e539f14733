/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Has the QEMU guest agent run the report program in the guest.
 *
 * An agent that runs programs for the host is the end of every secret in the guest, so this is the second way, for
 * guests that have such an agent anyway. The report itself is as good as any other: the processor has signed it. But
 * whoever may run programs in the guest may have a report about an SSH key of his own; so no key is asked for here, and
 * none is taken.
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
/* Seconds of one call: every one is answered at once, and an agent that was started anew does not know of it. */
#define CALL_MAX 10
/* How often an agent may have forgotten the program, because it was started anew. */
#define FORGOTTEN_MAX 5
#define WORDS_MAX 300
/* What libvirt has called by their names since 11.2; before, a time that is up was an agent that is unresponsive. */
#if !LIBVIR_CHECK_VERSION(11, 2, 0)
#define VIR_ERR_AGENT_COMMAND_TIMEOUT 112
#define VIR_ERR_AGENT_COMMAND_FAILED 113
#endif

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

/**
 * Failure: what libvirt says of a command that was not answered
 * @refused: the agent has been asked, and says no
 * @lost: it is not there, or what it was asked or has answered is lost; it may be back at once
 * @paused: the domain stands still
 * @words: libvirt's, which may be the agent's own; one printable line
 */
typedef struct {
    gboolean refused, lost, paused;
    gchar *words;
} Failure;

static void failure_clear(Failure *failure)
{
    g_clear_pointer(&failure->words, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Failure, failure_clear)

static void failure_take(Failure *failure, const CmdFetch *fetch, const char *name)
{
    int code = virGetLastErrorCode();
    const virError *last = virGetLastError();
    /* The connection is broken, and does not come back. */
    gboolean broken = last && (last->domain == VIR_FROM_RPC || last->domain == VIR_FROM_REMOTE);
    failure_clear(failure);
    failure->words = policy_one_line(virGetLastErrorMessage(), WORDS_MAX);
    /* Older daemons have no code for it, but name the command. */
    failure->refused = code == VIR_ERR_AGENT_COMMAND_FAILED ||
                       (code == VIR_ERR_INTERNAL_ERROR && strstr(virGetLastErrorMessage(), name));
    failure->lost = code == VIR_ERR_AGENT_UNRESPONSIVE || code == VIR_ERR_AGENT_COMMAND_TIMEOUT ||
                    code == VIR_ERR_AGENT_UNSYNCED ||
                    (code == VIR_ERR_INTERNAL_ERROR && !failure->refused && !broken);
    /* To libvirt its agent is then no agent of a running domain. */
    failure->paused = code == VIR_ERR_OPERATION_INVALID && cmd_fetch_paused(fetch);
}

/* @name: of the guest agent command that @command is. %NULL with @failure. */
static VirString *call(const CmdFetch *fetch, const char *name, const char *command, Failure *failure)
{
    gint64 left = (fetch->deadline - g_get_monotonic_time()) / G_USEC_PER_SEC;
    VirString *text = virDomainQemuAgentCommand(fetch->domain, command, (int)CLAMP(left, 1, CALL_MAX), 0);
    if (!text) {
        failure_take(failure, fetch, name);
    }
    return text;
}

static void set_refused(const CmdFetch *fetch, const char *command, const Failure *failure, GError **error)
{
    if (failure->paused) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "domain '%s': its guest agent does not answer: " CMD_FETCH_PAUSED, fetch->name);
    } else if (failure->lost) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "domain '%s': its guest agent does not answer: is the guest up, and does qemu-guest-agent run in "
                    "it? --timeout gives it more time; libvirt says: %s",
                    fetch->name, failure->words);
    } else {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT, "domain '%s': guest agent, %s: %s", fetch->name, command,
                    failure->words);
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
static void explain(const CmdFetch *fetch, const Failure *why, GError **error)
{
    g_auto(Failure) failure = {.words = NULL};
    g_autofree gchar *command = command_text("guest-info", NULL);
    g_autoptr(VirString) text = call(fetch, "guest-info", command, &failure);
    gboolean allowed = TRUE;
    if (text && cmd_agent_read_info(text, "guest-exec", &allowed, NULL) && !allowed) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "domain '%s': the guest lets its agent run no programs (guest-exec), for good reasons: give the "
                    "domain the channel " CMD_FETCH_CHANNEL " instead (virt-attest-guest(7))",
                    fetch->name);
    } else {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "domain '%s': the guest agent cannot run " PROGRAM ": does its image have the report program "
                    "(virt-attest-guest(7))? It says: %s",
                    fetch->name, why->words);
    }
}

/* An answer that cannot be read. */
static gboolean name_domain(const CmdFetch *fetch, GError **error)
{
    g_prefix_error(error, "domain '%s': ", fetch->name);
    return FALSE;
}

/*
 * AGAIN: the agent has gone away meanwhile, or was started anew and has forgotten the program. Whether it ran does not
 * matter: the question stays the same, and a report more costs nothing.
 */
typedef enum { DONE, FAILED, AGAIN } Step;

/* Starts the program, as soon as the agent is there. */
static Step start(const CmdFetch *fetch, guint64 *pid, GError **error)
{
    g_autofree gchar *command = exec_text(fetch->nonce);
    g_auto(Failure) failure = {.words = NULL};
    for (;;) {
        g_autoptr(VirString) text = call(fetch, "guest-exec", command, &failure);
        if (text) {
            return cmd_agent_read_exec(text, pid, error) || name_domain(fetch, error) ? DONE : FAILED;
        }
        if (failure.refused) {
            explain(fetch, &failure, error);
            return FAILED;
        }
        if (!(failure.lost || failure.paused) || cmd_fetch_over(fetch)) {
            set_refused(fetch, "guest-exec", &failure, error);
            return FAILED;
        }
        pause_for(fetch, PAUSE_MAX_MS);
    }
}

static Step wait_for(const CmdFetch *fetch, guint64 pid, guint *forgotten, CmdAgentStatus *status, GError **error)
{
    g_autofree gchar *command = status_text(pid);
    g_auto(Failure) failure = {.words = NULL};
    for (guint pause = PAUSE_FIRST_MS;; pause = MIN(2 * pause, PAUSE_MAX_MS)) {
        pause_for(fetch, pause);
        g_autoptr(VirString) text = call(fetch, "guest-exec-status", command, &failure);
        if (!text) {
            gboolean again = failure.lost || failure.paused || (failure.refused && ++*forgotten <= FORGOTTEN_MAX);
            if (again && !cmd_fetch_over(fetch)) {
                return AGAIN;
            }
            set_refused(fetch, "guest-exec-status", &failure, error);
            return FAILED;
        }
        if (!cmd_agent_read_status(text, status, error)) {
            name_domain(fetch, error);
            return FAILED;
        }
        if (status->exited) {
            return DONE;
        }
        if (cmd_fetch_over(fetch)) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                        "domain '%s': " PROGRAM " has not ended in the guest within %u seconds; --timeout gives it "
                        "more time",
                        fetch->name, fetch->timeout);
            return FAILED;
        }
    }
}

static gchar *take_output(const CmdFetch *fetch, CmdAgentStatus *status, GError **error)
{
    if (status->code == 0 && status->output) {
        return g_steal_pointer(&status->output);
    }
    g_autofree gchar *end = status->code < 0 ? g_strdup("a signal") : g_strdup_printf("exit code %d", status->code);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                "domain '%s': " PROGRAM " has made no report in the guest (%s); it says: %s", fetch->name, end,
                status->errors ? status->errors : "nothing");
    return NULL;
}

gchar *cmd_fetch_agent(const CmdFetch *fetch, GError **error)
{
    g_auto(CmdAgentStatus) status = {.exited = FALSE};
    guint forgotten = 0;
    Step step = AGAIN;
    if (!cmd_libvirt_qemu_load(error)) {
        return NULL;
    }
    while (step == AGAIN) {
        guint64 pid = 0;
        step = start(fetch, &pid, error);
        if (step == DONE) {
            step = wait_for(fetch, pid, &forgotten, &status, error);
        }
    }
    return step == DONE ? take_output(fetch, &status, error) : NULL;
}
