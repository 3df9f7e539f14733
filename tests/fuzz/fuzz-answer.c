/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest sends over its channel. The first byte says in pieces of which size it comes: that must not matter. What
 * is taken for an answer is read as evidence.
 */
#include "tests/fuzz/appraisal-fuzz.h"

#include "virsh-wrappers/fetch-report.h"

#define NONCE "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/* (transfer full): the answer, or NULL */
static gchar *feed(const char *data, gsize size, gsize piece)
{
    g_auto(CmdAnswer) answer = {.nonce = g_strdup(NONCE)};

    for (gsize at = 0; at < size && !answer.answer; at += piece) {
        g_autoptr(GError) error = NULL;
        if (!cmd_answer_add(&answer, data + at, MIN(piece, size - at), &error)) {
            fuzz_check_error(error);
            return NULL;
        }
        if (answer.line->len > CMD_FETCH_MAX + 1)
            abort();
    }
    return g_steal_pointer(&answer.answer);
}

static void check_evidence(const char *line)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalEvidence) evidence = appraisal_evidence_parse(line, strlen(line), NULL, &error);
    guint8 digest[32];

    if (!evidence) {
        fuzz_check_error(error);
        return;
    }
    fuzz_check_report(evidence->report);
    /* It goes into a list of known hosts: one line, two words. */
    if (evidence->ssh_host_key && (!appraisal_ssh_key_digest(evidence->ssh_host_key, digest) ||
                                   strpbrk(evidence->ssh_host_key, "\n\r\t,*#\"") ||
                                   strchr(evidence->ssh_host_key, ' ') != strrchr(evidence->ssh_host_key, ' ')))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;

    if (size < 2)
        return 0;
    g_autofree gchar *pieces = feed(text + 1, size - 1, data[0] + 1u);
    g_autofree gchar *whole = feed(text + 1, size - 1, size - 1);
    if (g_strcmp0(pieces, whole) != 0)
        abort();
    if (whole) {
        if (strchr(whole, '\n') || !strstr(whole, NONCE) || strlen(whole) > CMD_FETCH_MAX)
            abort();
        check_evidence(whole);
    }
    return 0;
}
