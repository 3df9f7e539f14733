/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A libvirt stream to the channel, driven by libvirt's event loop: a guest that says nothing, or too much, or is in nobody's
 * hurry costs at most the time that the user has given it.
 */
#include "virsh-wrappers/fetch-report.h"

#include <libxml/xpath.h>
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/output.h"
#include "xml/document.h"

#define TIMEOUT_DEFAULT 60
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

static gboolean converse(Talk *talk, const char *name, guint timeout, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout * G_USEC_PER_SEC;
    int timer = virEventAddTimeout(TICK_MS, tick, NULL, NULL);
    if (virStreamEventAddCallback(talk->stream,
                                  VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_WRITABLE | VIR_STREAM_EVENT_HANGUP |
                                      VIR_STREAM_EVENT_ERROR,
                                  on_event, talk, NULL) < 0) {
        virEventRemoveTimeout(timer);
        return cmd_libvirt_error(error, "domain '%s': cannot use its channel", name);
    }
    while (!talk->answer.answer && !talk->failed && !talk->closed && g_get_monotonic_time() < deadline) {
        if (virEventRunDefaultImpl() < 0) {
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
        g_propagate_prefixed_error(error, g_steal_pointer(&talk->error), "domain '%s': ", name);
    } else if (talk->closed) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "domain '%s': the channel was closed before the guest had answered", name);
    } else {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "domain '%s': the guest has not answered within %u seconds: is it up, and does its image have the "
                    "report program (virt-attest-guest(7))? --timeout gives it more time",
                    name, timeout);
    }
    return FALSE;
}

/* Whether the running domain has the channel. */
static gboolean check_channel(virDomainPtr domain, const char *name, GError **error)
{
    if (virDomainIsActive(domain) != 1) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "domain '%s' is not running: start it, or give a report", name);
        return FALSE;
    }
    g_autoptr(VirString) text = virDomainGetXMLDesc(domain, 0);
    if (!text) {
        return cmd_libvirt_error(error, "domain '%s': cannot read its definition", name);
    }
    if (strstr(text, "name='" CMD_FETCH_CHANNEL "'")) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                "domain '%s' has no channel over which it could be asked; add to its <devices> and start it anew: "
                "<channel type='unix'><target type='virtio' name='" CMD_FETCH_CHANNEL "'/></channel>",
                name);
    return FALSE;
}

/* Somebody else may have the channel: they will be done soon. */
static gboolean open_channel(virDomainPtr domain, virStreamPtr stream, const char *name, guint timeout, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout * G_USEC_PER_SEC;
    while (virDomainOpenChannel(domain, CMD_FETCH_CHANNEL, stream, 0) < 0) {
        if (virGetLastErrorCode() != VIR_ERR_OPERATION_FAILED || g_get_monotonic_time() >= deadline) {
            return cmd_libvirt_error(error, "domain '%s': cannot open the channel " CMD_FETCH_CHANNEL, name);
        }
        g_usleep(TICK_MS * 1000);
    }
    return TRUE;
}

static gboolean talk_to(virDomainPtr domain, const char *name, Talk *talk, guint timeout, GError **error)
{
    VirConnection *connection = virDomainGetConnect(domain);
    talk->stream = virStreamNew(connection, VIR_STREAM_NONBLOCK);
    if (!talk->stream) {
        return cmd_libvirt_error(error, "domain '%s': no stream", name);
    }
    gboolean good = open_channel(domain, talk->stream, name, timeout, error) && converse(talk, name, timeout, error);
    virStreamFree(talk->stream);
    return good;
}

gchar *cmd_fetch_report(CmdContext *context, const char *word, const guint8 nonce[CMD_FETCH_NONCE_SIZE], GError **error)
{
    guint64 timeout = TIMEOUT_DEFAULT;
    if (!cmd_arguments_number(context->arguments, "timeout", 1, 3600, &timeout, error) || !cmd_libvirt_load(error)) {
        return NULL;
    }
    /* Before the connection: what answers to it has to be there. */
    if (virEventRegisterDefaultImpl() < 0) {
        cmd_libvirt_error(error, "cannot wait for events");
        return NULL;
    }
    g_autoptr(VirConnection) connection = cmd_connect(context, error);
    g_autoptr(VirDomainHandle) domain = connection ? cmd_domain_lookup(connection, word, error) : NULL;
    if (!domain) {
        return NULL;
    }
    g_autofree gchar *name = cmd_printable(virDomainGetName(domain));
    Talk talk = {.answer = {.nonce = measure_hex_encode(nonce, CMD_FETCH_NONCE_SIZE)}};
    /* The first newline ends what somebody else has left unfinished. */
    talk.request = g_strdup_printf("\nvirt-attest-report-1 %s\n", talk.answer.nonce);
    gchar *answer = NULL;
    if (check_channel(domain, name, error) && talk_to(domain, name, &talk, (guint)timeout, error)) {
        answer = g_steal_pointer(&talk.answer.answer);
    }
    g_free(talk.request);
    cmd_answer_clear(&talk.answer);
    return answer;
}
