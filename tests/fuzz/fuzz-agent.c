/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest agent answers. What it says that the report program has printed is read as evidence. */
#include "tests/fuzz/appraisal-fuzz.h"

#include "virsh-wrappers/agent-answer.h"
#include "virsh-wrappers/fetch-report.h"

static void check_error(gboolean good, const GError *error)
{
    if (good == (error != NULL))
        abort();
    if (error)
        fuzz_check_error(error);
}

static void check_status(const char *text)
{
    g_auto(CmdAgentStatus) status = {.exited = FALSE};
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) problem = NULL;
    gboolean good = cmd_agent_read_status(text, &status, &error);

    check_error(good, error);
    if (!good)
        return;
    if (!status.exited && (status.output || status.errors))
        abort();
    if (status.errors && (strpbrk(status.errors, "\n\r\x1b") || !g_utf8_validate(status.errors, -1, NULL) ||
                          strlen(status.errors) > 400))
        abort();
    if (!status.output)
        return;
    if (strlen(status.output) > CMD_FETCH_MAX)
        abort();
    g_autoptr(AppraisalEvidence) evidence = appraisal_evidence_parse(status.output, strlen(status.output), NULL, &problem);
    check_error(evidence != NULL, problem);
    if (evidence)
        fuzz_check_report(evidence->report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree gchar *text = g_strndup((const char *)data, size);
    g_autoptr(GError) exec_error = NULL;
    g_autoptr(GError) info_error = NULL;
    gboolean allowed = FALSE;
    guint64 pid = 0;

    gboolean good = cmd_agent_read_exec(text, &pid, &exec_error);
    check_error(good, exec_error);
    if (good && pid > G_MAXINT32)
        abort();
    good = cmd_agent_read_info(text, "guest-exec", &allowed, &info_error);
    check_error(good, info_error);
    check_status(text);
    return 0;
}
