/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a hostile guest may send over its channel, and what becomes of lists of known hosts. */
#include <string.h>

#include "measure/error.h"
#include "policy/appraisal/report.h"
#include "virsh-wrappers/fetch-report.h"
#include "virsh-wrappers/known-hosts.h"

#define NONCE "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define OTHER "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
/* A blob of an Ed25519 key whose 32 bytes are 0 to 31. */
#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

static gboolean add(CmdAnswer *answer, const char *text, GError **error)
{
    return cmd_answer_add(answer, text, strlen(text), error);
}

static void test_answer_in_pieces(void)
{
    static const char line[] = "{\"nonce\":\"" NONCE "\"}\n";

    for (gsize size = 1; size < sizeof(line); size++) {
        g_auto(CmdAnswer) answer = {.nonce = g_strdup(NONCE)};
        for (gsize at = 0; at < sizeof(line) - 1; at += size) {
            g_assert_null(answer.answer);
            g_assert_true(cmd_answer_add(&answer, line + at, MIN(size, sizeof(line) - 1 - at), NULL));
        }
        g_assert_cmpstr(answer.answer, ==, "{\"nonce\":\"" NONCE "\"}");
    }
}

static void test_answer_of_others(void)
{
    g_auto(CmdAnswer) answer = {.nonce = g_strdup(NONCE)};
    g_autoptr(GError) error = NULL;

    g_assert_true(add(&answer, "\n\n\x1b[2Jlogin: \n{\"nonce\":\"" OTHER "\"}\n{\"error\":\"no request\"}\n", &error));
    g_assert_null(answer.answer);
    /* A zero byte would hide the rest of the line from whoever reads it as text. */
    g_assert_true(cmd_answer_add(&answer, NONCE "\0x\n", strlen(NONCE) + 3, &error));
    g_assert_null(answer.answer);
    g_assert_true(add(&answer, "left over by another request " OTHER, &error));
    g_assert_true(add(&answer, "\n{\"nonce\":\"" NONCE "\"}\n{\"nonce\":\"" NONCE "\",\"second\":1}\n", &error));
    g_assert_no_error(error);
    g_assert_cmpstr(answer.answer, ==, "{\"nonce\":\"" NONCE "\"}");
}

static void test_answer_floods(void)
{
    static const char *const kinds[] = {"x", "\n", OTHER "\n"};

    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_auto(CmdAnswer) answer = {.nonce = g_strdup(NONCE)};
        g_autoptr(GError) error = NULL;
        gsize sent = 0;
        while (add(&answer, kinds[i], &error)) {
            sent += strlen(kinds[i]);
            g_assert_cmpuint(answer.line->len, <=, CMD_FETCH_MAX);
            g_assert_cmpuint(sent, <=, 4 * CMD_FETCH_MAX);
        }
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        g_assert_null(answer.answer);
    }
}

/* Out of 1184 bytes that are a report only in form. */
static gchar *document(const char *before, const char *after)
{
    guint8 report[APPRAISAL_REPORT_SIZE] = {[0] = 2, [0x0a] = 3, [0x34] = 1};
    g_autofree gchar *base64 = g_base64_encode(report, sizeof(report));
    return g_strdup_printf("{%s\"report\":\"%s\"%s}", before, base64, after);
}

static void test_document(void)
{
    g_autofree gchar *text = document("\"format\":\"virt-attest-evidence-1\",\"provider\":\"sev-guest\",\"vmpl\":0,",
                                      ",\"sshHostKey\":\"" KEY "\"");
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalEvidence) evidence = appraisal_evidence_parse(text, strlen(text), NULL, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(evidence->ssh_host_key, ==, KEY);
    g_assert_cmpuint(evidence->report->version, ==, 2);
}

static void test_document_refused(void)
{
    static const char good[] = "\"format\":\"virt-attest-evidence-1\",";
    static const struct {
        const char *before, *after;
    } cases[] = {
        {"\"format\":\"virt-attest-evidence-2\",", ""},
        {"\"format\":7,", ""},
        {good, ",\"report\":\"AAAA\""},
        {good, ",\"surprise\":1"},
        {good, ",\"error\":\"no device\""},
        {good, ",\"auxblob\":\"AAAA\""},
        {good, ",\"auxblob\":\"!\""},
        {good, ",\"sshHostKey\":\"ssh-ed25519 AAAA\""},
        {good, ",\"sshHostKey\":\"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\""},
        {good, ",\"sshHostKey\":\"" KEY "\\n* " KEY "\""},
        {good, ",\"sshHostKey\":\"" KEY " comment\""},
        {good, ",\"sshHostKey\":\"ssh-dss AAAAB3NzaC1kc3MAAAAA\""},
        {good, ",\"sshHostKey\":[]"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree gchar *text = document(cases[i].before, cases[i].after);
        g_autoptr(GError) error = NULL;
        g_assert_null(appraisal_evidence_parse(text, strlen(text), NULL, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        g_assert_null(strpbrk(error->message, "\n\r\x1b"));
    }
}

static void test_key_digest(void)
{
    /* SHA-256 of the 51 bytes, from sha256sum. */
    static const char expected[] = "66402c9468c58941dd19ffd650bf2b42f9226f83d3bd06ad515d0e5104a77020";
    guint8 digest[32];

    g_assert_true(appraisal_ssh_key_digest(KEY, digest));
    g_autofree gchar *hex = measure_hex_encode(digest, sizeof(digest));
    g_assert_cmpstr(hex, ==, expected);
    g_assert_false(appraisal_ssh_key_digest("", digest));
    g_assert_false(appraisal_ssh_key_digest("ssh-ed25519", digest));
    g_assert_false(appraisal_ssh_key_digest("ssh-ed25519 ", digest));
}

static void test_hosts_valid(void)
{
    static const char *const good[] = {"guest", "10.0.0.5", "fe80::1%eth0", "a.example"};
    static const char *const bad[] = {"",   "-oProxyCommand=x", "a b", "a,b", "*",  "a\nb",
                                      "!a", "[a]",              "a#",  "|1|x", "a;b"};

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
        g_assert_true(cmd_known_hosts_valid(good[i]));
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(cmd_known_hosts_valid(bad[i]));
    /* What a host says of where its guest is. */
    static const char *const addresses[] = {"192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"};
    static const char *const names[] = {"",          "github.com", "web",          "1",         "0x7f000001", "10.0.0",
                                        "10.0.0.08", "10.0.0.1 ",  "fe80::1%eth0", "10.0.0.1,x"};
    for (gsize i = 0; i < G_N_ELEMENTS(addresses); i++)
        g_assert_true(cmd_known_hosts_is_address(addresses[i]));
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        g_assert_false(cmd_known_hosts_is_address(names[i]));
    g_autofree gchar *plain = cmd_known_hosts_name("Guest", 22);
    g_autofree gchar *other = cmd_known_hosts_name("fe80::1", 2222);
    g_assert_cmpstr(plain, ==, "guest");
    g_assert_cmpstr(other, ==, "[fe80::1]:2222");
}

static void check_edit(const char *text, const char *key, const char *expected)
{
    static const char *const names[] = {"guest", "10.0.0.5", NULL};
    g_autofree gchar *edited = cmd_known_hosts_edit(text, names, key);
    g_assert_cmpstr(edited, ==, expected);
}

#define OURS "guest " KEY " virt-attest\n10.0.0.5 " KEY " virt-attest\n"

static void test_hosts_written(void)
{
    check_edit(NULL, KEY, OURS);
    check_edit("", KEY, OURS);
    check_edit(OURS, KEY, OURS);
    check_edit("guest ssh-rsa AAAA\nGUEST ssh-rsa AAAA\n\tguest ssh-rsa AAAA", KEY, OURS);
    check_edit("other,guest,10.0.0.5 ssh-rsa AAAA x\n", KEY, "other ssh-rsa AAAA x\n" OURS);
    check_edit("# guest\n\nguest2 ssh-rsa AAAA\n[guest]:22 ssh-rsa AAAA\n@revoked guest ssh-rsa AAAA\n", KEY,
               "# guest\n\nguest2 ssh-rsa AAAA\n[guest]:22 ssh-rsa AAAA\n@revoked guest ssh-rsa AAAA\n" OURS);
    /* Made by: ssh-keygen -H -f FILE */
    check_edit("|1|xEBER1zGCWzt2jKnHdJr7s/eomI=|ZEsU24RPuwru0foNcLmk6/CqNbI= ssh-rsa AAAA\n"
               "|1|AAAA|AAAA ssh-rsa AAAA\n|1|| x\n", KEY,
               "|1|AAAA|AAAA ssh-rsa AAAA\n|1|| x\n" OURS);
}

static void test_hosts_removed(void)
{
    check_edit(NULL, NULL, "");
    check_edit(OURS "other " KEY " virt-attest\n", NULL, "other " KEY " virt-attest\n");
    /* What the user has put there is the user's. */
    check_edit("guest ssh-rsa AAAA\nguest ssh-rsa AAAA not-virt-attest\n", NULL,
               "guest ssh-rsa AAAA\nguest ssh-rsa AAAA not-virt-attest\n");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fetch/answer/pieces", test_answer_in_pieces);
    g_test_add_func("/fetch/answer/others", test_answer_of_others);
    g_test_add_func("/fetch/answer/floods", test_answer_floods);
    g_test_add_func("/fetch/document/good", test_document);
    g_test_add_func("/fetch/document/refused", test_document_refused);
    g_test_add_func("/fetch/key", test_key_digest);
    g_test_add_func("/fetch/hosts/valid", test_hosts_valid);
    g_test_add_func("/fetch/hosts/written", test_hosts_written);
    g_test_add_func("/fetch/hosts/removed", test_hosts_removed);
    return g_test_run();
}
