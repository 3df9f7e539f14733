/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GLib's journald writer and syslog(3) wait when the receiver's queue is full.
 * This is the same datagram, sent or dropped.
 */
#include "hooks/journal.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "measure/bytes.h"
#include "policy/text.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define SYSLOG_SOCKET "/dev/log"
#define MESSAGE_ID "7c4f3a52f0d84d0c9b6e1f5a8d2e9b31"

static gboolean send_datagram(const char *path, const void *data, gsize size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ssize_t sent;

    if (fd < 0)
        return FALSE;
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    sent = sendto(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof(address));
    close(fd);
    return sent == (ssize_t)size;
}

/* journald's native protocol: KEY=VALUE, or KEY, a 64-bit length and any bytes. The second form fits every value. */
static void add_field(GByteArray *entry, const char *key, const char *value)
{
    g_autofree gchar *line = value ? policy_one_line(value, 4096) : NULL;
    guint8 length[8];

    if (!line)
        return;
    measure_put_u64(length, strlen(line));
    g_byte_array_append(entry, (const guint8 *)key, (guint)strlen(key));
    g_byte_array_append(entry, (const guint8 *)"\n", 1);
    g_byte_array_append(entry, length, sizeof(length));
    g_byte_array_append(entry, (const guint8 *)line, (guint)strlen(line));
    g_byte_array_append(entry, (const guint8 *)"\n", 1);
}

static int priority(PolicyVerdict verdict)
{
    switch (verdict) {
    case POLICY_VERDICT_REFUSED:
        return LOG_ERR;
    case POLICY_VERDICT_OBSERVED:
        return LOG_WARNING;
    case POLICY_VERDICT_UNPINNED:
        return LOG_NOTICE;
    default:
        return LOG_INFO;
    }
}

static void add_evaluation(GByteArray *entry, const PolicyEvaluation *evaluation)
{
    g_autofree gchar *level = g_strdup_printf("%u", evaluation->level);

    add_field(entry, "VIRT_ATTEST_LEVEL", level);
    if (evaluation->confidential)
        add_field(entry, "VIRT_ATTEST_PLATFORM", measure_platform_name(evaluation->platform));
    if (evaluation->measurements->len == 1) {
        const XmlMeasurement *measurement = g_ptr_array_index(evaluation->measurements, 0);
        g_autofree gchar *digest = measure_digest_hex(&measurement->digest);

        add_field(entry, "VIRT_ATTEST_DIGEST", digest);
        add_field(entry, "VIRT_ATTEST_CPU", measurement->cpu);
    }
}

void hook_journal_decision(const PolicyDecision *decision, const char *remark)
{
    g_autoptr(GByteArray) entry = g_byte_array_new();
    g_autoptr(GString) changed = g_string_new(NULL);
    g_autofree gchar *message =
        remark ? g_strconcat(decision->summary, "; ", remark, NULL) : g_strdup(decision->summary);
    int level = remark ? MIN(LOG_WARNING, priority(decision->verdict)) : priority(decision->verdict);
    g_autofree gchar *level_text = g_strdup_printf("%d", level);

    for (guint i = 0; i < decision->changes->len; i++)
        g_string_append_printf(changed, "%s%s", i ? " " : "",
                               ((PolicyChange *)g_ptr_array_index(decision->changes, i))->what);
    add_field(entry, "MESSAGE", message);
    add_field(entry, "MESSAGE_ID", MESSAGE_ID);
    add_field(entry, "PRIORITY", level_text);
    add_field(entry, "SYSLOG_IDENTIFIER", "virt-attest");
    add_field(entry, "VIRT_ATTEST_VERDICT", policy_verdict_name(decision->verdict));
    add_field(entry, "VIRT_ATTEST_UUID", decision->uuid);
    add_field(entry, "VIRT_ATTEST_DOMAIN", decision->name);
    add_field(entry, "VIRT_ATTEST_CHANGED", changed->len ? changed->str : NULL);
    if (decision->evaluation)
        add_evaluation(entry, decision->evaluation);
    if (!send_datagram(JOURNAL_SOCKET, entry->data, entry->len)) {
        g_autofree gchar *short_message = policy_one_line(message, 1024);
        g_autofree gchar *line = g_strdup_printf("<%d>virt-attest[%d]: verdict=%s uuid=%s %s", LOG_DAEMON | level,
                                                 (int)getpid(), policy_verdict_name(decision->verdict),
                                                 decision->uuid ? decision->uuid : "-", short_message);

        send_datagram(SYSLOG_SOCKET, line, strlen(line));
    }
}
