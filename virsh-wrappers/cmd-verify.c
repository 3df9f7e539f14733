/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* verify: judges an attestation report. */
#include "virsh-wrappers/commands.h"

#include "virsh-wrappers/judge.h"
#include "virsh-wrappers/verify-show.h"

int cmd_verify(CmdContext *context, GError **error)
{
    g_auto(CmdJudgement) judgement = {.verdict = NULL};
    if (!cmd_judge(context, cmd_context_word(context, 0), cmd_context_get(context, "domain"), &judgement, error)) {
        return -1;
    }
    const PolicyReference *reference = judgement.rules.reference;
    if (cmd_context_json(context)) {
        cmd_verdict_print_json(judgement.verdict, &judgement.input, reference ? reference->name : NULL,
                               reference ? reference->uuid : NULL);
    } else {
        cmd_verdict_print(judgement.verdict, &judgement.input, cmd_context_quiet(context));
    }
    return cmd_judgement_code(&judgement, error);
}
