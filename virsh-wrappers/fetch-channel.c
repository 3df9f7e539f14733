/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A libvirt stream to the channel, driven by libvirt's event loop: a guest that says nothing, or too much, or is in
 * nobody's hurry costs at most the time that the user has given it.
 */
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/fetch-report.h"

#define TICK_MS 200

typedef struct {
    virStreamPtr stream;
    CmdAnswer answer;
    gchar *request;
    gsize sent;
    gboolean failed; /* with @error */
    gboolean closed;
    GError *error;
} Talk;

/* Only to wake the loop up. */
static void tick(int timer, void *data)
{
}

static void receive(Talk *talk)
{
    char data[4096];
    for (;;) {
        int n = virStreamRecv(talk->stream, data, sizeof(data));
        if (n == -2) {
            return;
        }
        if (n <= 0) {
            talk->closed = TRUE;
            return;
        }
        if (!cmd_answer_add(&talk->answer, data, (gsize)n, &talk->error)) {
            talk->failed = TRUE;
            return;
        }
        if (talk->answer.answer) {
            return;
        }
    }
}

static void send_request(Talk *talk)
{
    gsize left = strlen(talk->request) - talk->sent;
    int n = left ? virStreamSend(talk->stream, talk->request + talk->sent, left) : 0;
    if (n == -2) {
        return;
    }
    if (n < 0) {
        talk->closed = TRUE;
        return;
    }
    talk->sent += (gsize)n;
    if (!talk->request[talk->sent]) {
        virStreamEventUpdateCallback(talk->stream, VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_HANGUP |
                                                       VIR_STREAM_EVENT_ERROR);
    }
}

static void on_event(virStreamPtr stream, int events, void *data)
{
    Talk *talk = data;
    if (events & VIR_STREAM_EVENT_READABLE) {
        receive(talk);
    }
    if (!talk->closed && !talk->failed && (events & VIR_STREAM_EVENT_WRITABLE)) {
        send_request(talk);
    }
    if (events & (VIR_STREAM_EVENT_HANGUP | VIR_STREAM_EVENT_ERROR)) {
        talk->closed = TRUE;
    }
}

/* What the time ran out on: libvirt knows whether anybody in the guest has the port open. */
static void set_silent(const CmdFetch *fetch, GError **error)
{
    CmdPorts ports = {.channel = CMD_PORT_UNKNOWN};
    if (cmd_fetch_paused(fetch)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "domain '%s': the guest has not answered within %u seconds: " CMD_FETCH_PAUSED, fetch->name,
                    fetch->timeout);
        return;
    }
    cmd_fetch_ports(fetch, &ports, NULL);
    const char *why = ports.channel == CMD_PORT_CLOSED
                          ? "nothing in it has the channel " CMD_FETCH_CHANNEL " open, so it is not up yet, or its "
                            "report service does not run (virt-attest-guest(7))"
                      : ports.channel == CMD_PORT_OPEN
                          ? "its report service has the channel open but is silent"
                          : "is it up, and does its image have the report program (virt-attest-guest(7))?";
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                "domain '%s': the guest has not answered within %u seconds: %s; --timeout gives it more time",
                fetch->name, fetch->timeout, why);
}

static void set_closed(const CmdFetch *fetch, GError **error)
{
    if (virConnectIsAlive(virDomainGetConnect(fetch->domain)) == 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "domain '%s': the connection to libvirt has ended before the guest had answered: its daemon has "
                    "ended, or was started anew; ask again",
                    fetch->name);
        return;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                "domain '%s': the channel was closed before the guest had answered: it was stopped, has moved to "
                "another machine, or somebody has taken the channel; if it still runs here, ask again",
                fetch->name);
}

static gboolean converse(Talk *talk, const CmdFetch *fetch, GError **error)
{
    virConnectPtr connection = virDomainGetConnect(fetch->domain);
    int timer = virEventAddTimeout(TICK_MS, tick, NULL, NULL);
    if (virStreamEventAddCallback(talk->stream,
                                  VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_WRITABLE | VIR_STREAM_EVENT_HANGUP |
                                      VIR_STREAM_EVENT_ERROR,
                                  on_event, talk, NULL) < 0) {
        virEventRemoveTimeout(timer);
        return cmd_libvirt_error(error, "domain '%s': cannot use its channel", fetch->name);
    }
    while (!talk->answer.answer && !talk->failed && !talk->closed && !cmd_fetch_over(fetch)) {
        /* A stream is not told that its connection has ended. */
        if (virEventRunDefaultImpl() < 0 || virConnectIsAlive(connection) == 0) {
            talk->closed = TRUE;
        }
    }
    virStreamEventRemoveCallback(talk->stream);
    virEventRemoveTimeout(timer);
    virStreamAbort(talk->stream);
    if (talk->answer.answer) {
        return TRUE;
    }
    if (talk->failed) {
        g_propagate_prefixed_error(error, g_steal_pointer(&talk->error), "domain '%s': ", fetch->name);
    } else if (talk->closed) {
        set_closed(fetch, error);
    } else {
        set_silent(fetch, error);
    }
    return FALSE;
}

/* Somebody else may have the channel: they will be done soon. */
static gboolean open_channel(const CmdFetch *fetch, virStreamPtr stream, GError **error)
{
    while (virDomainOpenChannel(fetch->domain, CMD_FETCH_CHANNEL, stream, 0) < 0) {
        if (virGetLastErrorCode() != VIR_ERR_OPERATION_FAILED || cmd_fetch_over(fetch)) {
            return cmd_libvirt_error(error, "domain '%s': cannot open the channel " CMD_FETCH_CHANNEL, fetch->name);
        }
        g_usleep(TICK_MS * 1000);
    }
    return TRUE;
}

gchar *cmd_fetch_channel(const CmdFetch *fetch, GError **error)
{
    Talk talk = {.stream = virStreamNew(virDomainGetConnect(fetch->domain), VIR_STREAM_NONBLOCK)};
    gchar *found = NULL;
    if (!talk.stream) {
        cmd_libvirt_error(error, "domain '%s': no stream", fetch->name);
        return NULL;
    }
    talk.answer.nonce = measure_hex_encode(fetch->nonce, CMD_FETCH_NONCE_SIZE);
    /* The first newline ends what somebody else has left unfinished. */
    talk.request = g_strdup_printf("\nvirt-attest-report-1 %s\n", talk.answer.nonce);
    if (open_channel(fetch, talk.stream, error) && converse(&talk, fetch, error)) {
        found = g_steal_pointer(&talk.answer.answer);
    }
    virStreamFree(talk.stream);
    g_free(talk.request);
    cmd_answer_clear(&talk.answer);
    return found;
}
