/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's end of the channel. The host writes one line for every report that it wants; nothing that it sends, leaves
 * out or does not read may do more than keep an answer from it. The report data is the digest of this guest's own SSH host
 * key and the nonce of the request: the only part that the host chooses is the one that says how fresh the report is.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest/report/report.h"

/* A request has 21 characters and 64 digits. */
#define LINE_MAX_BYTES 128
/* While the host is away a channel has nothing but its end to read. */
#define AWAY_MS 200
/* Answers are not to use up the firmware's patience, which others need too. */
#define REPORT_INTERVAL_MS 1000
/* How long a host that does not read holds up an answer. */
#define WRITE_MS 10000

static int64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sleep_ms(int64_t ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    if (ms > 0)
        nanosleep(&pause, NULL);
}

bool guest_report_request_parse(const char *line, size_t size, uint8_t nonce[GUEST_REPORT_NONCE_SIZE])
{
    static const char word[] = GUEST_REPORT_REQUEST " ";
    size_t start = sizeof(word) - 1;

    if (size != start + 2 * GUEST_REPORT_NONCE_SIZE || memcmp(line, word, start) != 0)
        return false;
    for (size_t i = start; i < size; i++) {
        if (line[i] >= 'A' && line[i] <= 'F')
            return false;
    }
    return guest_report_hex(line + start, size - start, nonce, GUEST_REPORT_NONCE_SIZE) == GUEST_REPORT_NONCE_SIZE;
}

/* Gives up on a host that does not read; the number of bytes that it has. */
static size_t send_text(int port, const char *text)
{
    int64_t deadline = clock_ms() + WRITE_MS;
    size_t size = strlen(text), left = size;

    while (left > 0) {
        ssize_t n = write(port, text, left);
        struct pollfd wait = {.fd = port, .events = POLLOUT};
        int64_t rest = deadline - clock_ms();

        if (n > 0) {
            text += n;
            left -= (size_t)n;
        } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
            break;
        } else if (rest <= 0) {
            break;
        } else if (poll(&wait, 1, (int)rest) > 0 && (wait.revents & POLLHUP)) {
            break;
        }
    }
    return size - left;
}

static char *answer(const GuestReportRequest *ways, const uint8_t nonce[GUEST_REPORT_NONCE_SIZE])
{
    GuestReportRequest request = {.vmpl = ways->vmpl, .tsm = ways->tsm, .device = ways->device};
    GuestReportError error = {.code = 0};
    GuestReport report = {.table = NULL};
    GuestReportKey key;
    bool has_key = guest_report_key_own(&key, &error);
    char *text;

    if (!has_key && error.code)
        return guest_report_error_document(nonce, error.text);
    if (has_key)
        memcpy(request.data, key.digest, sizeof(key.digest));
    memcpy(request.data + sizeof(key.digest), nonce, GUEST_REPORT_NONCE_SIZE);
    if (!guest_report_fetch(&request, &report, &error))
        return guest_report_error_document(nonce, error.text);
    text = guest_report_document(&request, &report, has_key ? &key : NULL, nonce);
    /* The verifier has other ways to certificates, but none to a longer answer. */
    if (text && strlen(text) > GUEST_REPORT_ANSWER_MAX) {
        free(text);
        guest_report_clear(&report);
        text = guest_report_document(&request, &report, has_key ? &key : NULL, nonce);
    }
    guest_report_clear(&report);
    return text;
}

/* @last: when a report was last asked for; @cut: the last answer broke off within its line */
typedef struct {
    int64_t last;
    bool cut;
} State;

static void handle(int port, const GuestReportRequest *ways, const char *line, size_t size, bool too_long, State *state)
{
    uint8_t nonce[GUEST_REPORT_NONCE_SIZE];
    char *text;

    if (!size && !too_long)
        return;
    sleep_ms(state->last + REPORT_INTERVAL_MS - clock_ms());
    state->last = clock_ms();
    if (too_long || !guest_report_request_parse(line, size, nonce))
        text = guest_report_error_document(NULL, "this is no request: " GUEST_REPORT_REQUEST " and 64 digits are one");
    else
        text = answer(ways, nonce);
    /* Whoever reads next must not take the rest of an old line for the beginning of this one. */
    if (state->cut && send_text(port, "\n") == 1)
        state->cut = false;
    if (text && !state->cut) {
        size_t sent = send_text(port, text);

        state->cut = sent > 0 && sent < strlen(text);
    }
    free(text);
}

bool guest_report_serve(const char *port_path, const GuestReportRequest *ways, bool stop_at_end,
                        GuestReportError *error)
{
    int port = open(port_path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    char line[LINE_MAX_BYTES], data[256];
    size_t used = 0;
    bool too_long = false;
    State state = {.last = clock_ms() - REPORT_INTERVAL_MS};

    if (port < 0)
        return guest_report_fail(error, 3, "channel '%.200s': %s", port_path, strerror(errno));
    for (;;) {
        struct pollfd wait = {.fd = port, .events = POLLIN};
        ssize_t n = read(port, data, sizeof(data));

        if (n < 0 && errno == EAGAIN) {
            if (poll(&wait, 1, -1) > 0 && !(wait.revents & POLLIN))
                sleep_ms(AWAY_MS);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            guest_report_fail(error, 3, "channel '%.200s': %s", port_path, strerror(errno));
            close(port);
            return false;
        }
        if (n == 0) {
            /* Half a line belongs to somebody who has left. */
            used = 0;
            too_long = false;
            if (stop_at_end)
                break;
            sleep_ms(AWAY_MS);
        }
        for (ssize_t i = 0; i < n; i++) {
            if (data[i] == '\n') {
                handle(port, ways, line, used, too_long, &state);
                used = 0;
                too_long = false;
            } else if (used < sizeof(line)) {
                line[used++] = data[i];
            } else {
                too_long = true;
            }
        }
    }
    close(port);
    return true;
}
