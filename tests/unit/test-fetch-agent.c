/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports in a domain's XML, and what a guest agent, or a host in its place, may answer. */
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/agent-answer.h"
#include "virsh-wrappers/fetch-report.h"

#define CHANNEL "<channel type='unix'><source mode='bind' path='/x'/><target type='virtio' name='" CMD_FETCH_CHANNEL "'"
#define AGENT "<channel type='unix'><target type='virtio' name='" CMD_FETCH_AGENT "'"
#define END "/></channel>"

static void check_ports(const char *devices, CmdPort channel, CmdPort agent)
{
    g_autofree gchar *xml = g_strdup_printf("<domain type='kvm'><name>a</name>%s</domain>", devices);
    g_autoptr(GError) error = NULL;
    CmdPorts ports;

    g_assert_true(cmd_ports_read(xml, &ports, &error));
    g_assert_no_error(error);
    g_assert_cmpint(ports.channel, ==, channel);
    g_assert_cmpint(ports.agent, ==, agent);
}

static void test_ports(void)
{
    check_ports("", CMD_PORT_ABSENT, CMD_PORT_ABSENT);
    check_ports("<devices/>", CMD_PORT_ABSENT, CMD_PORT_ABSENT);
    check_ports("<devices>" CHANNEL END "</devices>", CMD_PORT_UNKNOWN, CMD_PORT_ABSENT);
    check_ports("<devices>" CHANNEL " state='connected'" END "</devices>", CMD_PORT_OPEN, CMD_PORT_ABSENT);
    check_ports("<devices>" CHANNEL " state='disconnected'" END AGENT " state='connected'" END "</devices>",
                CMD_PORT_CLOSED, CMD_PORT_OPEN);
    check_ports("<devices>" AGENT " state='something'" END CHANNEL " state=''" END "</devices>", CMD_PORT_UNKNOWN,
                CMD_PORT_UNKNOWN);
    check_ports("<devices>" CHANNEL " state='connected'" END CHANNEL " state='disconnected'" END "</devices>",
                CMD_PORT_OPEN, CMD_PORT_ABSENT);
}

/* The name alone, somewhere in the XML, is no channel. */
static void test_ports_elsewhere(void)
{
    check_ports("<title>name='" CMD_FETCH_CHANNEL "'</title><devices/>", CMD_PORT_ABSENT, CMD_PORT_ABSENT);
    check_ports("<devices><!-- " CHANNEL END " --></devices>", CMD_PORT_ABSENT, CMD_PORT_ABSENT);
    check_ports("<metadata><x:y xmlns:x='z'>" CHANNEL END "</x:y></metadata><devices/>", CMD_PORT_ABSENT, CMD_PORT_ABSENT);
    check_ports("<devices><channel type='unix'><target type='guestfwd' name='" CMD_FETCH_CHANNEL "'" END "</devices>",
                CMD_PORT_ABSENT, CMD_PORT_ABSENT);
    check_ports("<devices><console><target type='virtio' name='" CMD_FETCH_CHANNEL "'/></console></devices>",
                CMD_PORT_ABSENT, CMD_PORT_ABSENT);
    check_ports("<devices><x:channel xmlns:x='z'><target type='virtio' name='" CMD_FETCH_CHANNEL "'/></x:channel></devices>",
                CMD_PORT_ABSENT, CMD_PORT_ABSENT);
}

static void test_ports_refused(void)
{
    static const char *const bad[] = {"", "<domain>", "<!DOCTYPE d [<!ENTITY e 'x'>]><domain/>", "<domain/>x",
                                      "<domain><devices/><devices/></domain>"};

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        CmdPorts ports;
        g_assert_false(cmd_ports_read(bad[i], &ports, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
}

static void test_exec(void)
{
    static const char *const bad[] = {
        "", "{}", "[]", "{\"return\":{}}", "{\"return\":[]}", "{\"return\":{\"pid\":-1}}", "{\"return\":{\"pid\":1.5}}",
        "{\"return\":{\"pid\":\"1\"}}", "{\"return\":{\"pid\":4294967296}}", "{\"return\":{\"pid\":1,\"pid\":2}}",
        "{\"return\":{\"pid\":1}}{\"return\":{\"pid\":1}}", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"\\u001b[31m\"}}"};
    guint64 pid = 0;

    g_assert_true(cmd_agent_read_exec("{\"return\":{\"pid\":1234}}", &pid, NULL));
    g_assert_cmpuint(pid, ==, 1234);
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(cmd_agent_read_exec(bad[i], &pid, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        g_assert_null(strpbrk(error->message, "\n\x1b"));
    }
}

static void test_status(void)
{
    static const struct {
        const char *text;
        gboolean exited;
        int code;
        const char *output, *errors;
    } cases[] = {
        {"{\"return\":{\"exited\":false}}", FALSE, 0, NULL, NULL},
        {"{\"return\":{\"exited\":true,\"exitcode\":0}}", TRUE, 0, NULL, NULL},
        /* base64 of "{}\n", and of "error: no device\nmore\n" */
        {"{\"return\":{\"exitcode\":0,\"out-data\":\"e30K\",\"exited\":true}}", TRUE, 0, "{}", NULL},
        {"{\"return\":{\"exitcode\":4,\"err-data\":\"ZXJyb3I6IG5vIGRldmljZQptb3JlCg==\",\"exited\":true}}", TRUE, 4, NULL,
         "no device"},
        {"{\"return\":{\"signal\":9,\"exited\":true,\"later\":[1]}}", TRUE, -1, NULL, NULL},
        {"{\"return\":{\"exitcode\":0,\"out-data\":\"\",\"out-truncated\":false,\"exited\":true}}", TRUE, 0, NULL, NULL},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(CmdAgentStatus) status = {.exited = FALSE};
        g_autoptr(GError) error = NULL;
        g_assert_true(cmd_agent_read_status(cases[i].text, &status, &error));
        g_assert_no_error(error);
        g_assert_cmpint(status.exited, ==, cases[i].exited);
        g_assert_cmpint(status.code, ==, cases[i].code);
        g_assert_cmpstr(status.output, ==, cases[i].output);
        g_assert_cmpstr(status.errors, ==, cases[i].errors);
    }
}

#define ENDED(members) "{\"return\":{\"exited\":true" members "}}"

static void test_status_refused(void)
{
    static const char *const bad[] = {
        "{\"return\":{\"exited\":1}}", "{\"return\":{\"exitcode\":0}}", ENDED(""), ENDED(",\"exitcode\":-1"),
        ENDED(",\"exitcode\":0,\"signal\":9"), ENDED(",\"exitcode\":0,\"out-data\":7"),
        ENDED(",\"exitcode\":0,\"out-data\":\"e30\""), ENDED(",\"exitcode\":0,\"out-data\":\"e3 K\""),
        /* bits that no encoder leaves over; a zero byte */
        ENDED(",\"exitcode\":0,\"out-data\":\"e31=\""), ENDED(",\"exitcode\":0,\"out-data\":\"ewB9\""),
        ENDED(",\"exitcode\":0,\"out-data\":\"e30K\",\"out-truncated\":true"),
        ENDED(",\"exitcode\":1,\"err-data\":\"!\""), "{\"return\":{\"exited\":true,\"exitcode\":0},}"};

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_auto(CmdAgentStatus) status = {.exited = FALSE};
        g_autoptr(GError) error = NULL;
        g_assert_false(cmd_agent_read_status(bad[i], &status, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        g_assert_null(strpbrk(error->message, "\n\x1b"));
    }
}

static gchar *status_with(const char *name, gsize size)
{
    g_autofree gchar *data = g_strnfill(size, 'x');
    g_autofree gchar *base64 = g_base64_encode((const guchar *)data, size);
    return g_strdup_printf(ENDED(",\"exitcode\":0,\"%s\":\"%s\""), name, base64);
}

static void test_status_sizes(void)
{
    g_autofree gchar *largest = status_with("out-data", CMD_FETCH_MAX);
    g_autofree gchar *larger = status_with("out-data", CMD_FETCH_MAX + 1);
    g_autofree gchar *words = status_with("err-data", 100000);
    g_auto(CmdAgentStatus) good = {.exited = FALSE};
    g_auto(CmdAgentStatus) bad = {.exited = FALSE};
    g_auto(CmdAgentStatus) wordy = {.exited = FALSE};
    g_autoptr(GError) error = NULL;

    g_assert_true(cmd_agent_read_status(largest, &good, NULL));
    g_assert_cmpuint(strlen(good.output), ==, CMD_FETCH_MAX);
    g_assert_false(cmd_agent_read_status(larger, &bad, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_assert_true(cmd_agent_read_status(words, &wordy, NULL));
    g_assert_cmpuint(strlen(wordy.errors), <=, 304);
}

/* What it says on standard error cannot change a terminal. */
static void test_status_words(void)
{
    static const char said[] = "error: \x1b[2J\r\xff\xe2\x80\xae" "no\nsecond";
    g_autofree gchar *base64 = g_base64_encode((const guchar *)said, strlen(said));
    g_autofree gchar *text = g_strdup_printf(ENDED(",\"exitcode\":3,\"err-data\":\"%s\""), base64);
    g_auto(CmdAgentStatus) status = {.exited = FALSE};

    g_assert_true(cmd_agent_read_status(text, &status, NULL));
    g_assert_nonnull(strstr(status.errors, "no"));
    g_assert_null(strstr(status.errors, "second"));
    g_assert_null(strpbrk(status.errors, "\x1b\r\n\xff"));
    g_assert_true(g_utf8_validate(status.errors, -1, NULL));
}

static void test_info(void)
{
    static const char text[] = "{\"return\":{\"version\":\"10.0.2\",\"supported_commands\":["
                               "{\"enabled\":true,\"name\":\"guest-ping\",\"success-response\":true},"
                               "{\"enabled\":false,\"name\":\"guest-exec\",\"success-response\":true}]}}";
    static const char *const bad[] = {"{\"return\":{}}", "{\"return\":{\"supported_commands\":{}}}",
                                      "{\"return\":{\"supported_commands\":[1]}}",
                                      "{\"return\":{\"supported_commands\":[{\"name\":\"guest-exec\"}]}}"};
    gboolean allowed = FALSE;

    g_assert_true(cmd_agent_read_info(text, "guest-ping", &allowed, NULL));
    g_assert_true(allowed);
    g_assert_true(cmd_agent_read_info(text, "guest-exec", &allowed, NULL));
    g_assert_false(allowed);
    g_assert_true(cmd_agent_read_info(text, "guest-else", &allowed, NULL));
    g_assert_false(allowed);
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(cmd_agent_read_info(bad[i], "guest-exec", &allowed, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fetch-agent/ports", test_ports);
    g_test_add_func("/fetch-agent/ports/elsewhere", test_ports_elsewhere);
    g_test_add_func("/fetch-agent/ports/refused", test_ports_refused);
    g_test_add_func("/fetch-agent/exec", test_exec);
    g_test_add_func("/fetch-agent/status", test_status);
    g_test_add_func("/fetch-agent/status/refused", test_status_refused);
    g_test_add_func("/fetch-agent/status/sizes", test_status_sizes);
    g_test_add_func("/fetch-agent/status/words", test_status_words);
    g_test_add_func("/fetch-agent/info", test_info);
    return g_test_run();
}
