/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a report of another measurement than the expected one may be of. */
#pragma once

#include "policy/appraisal/verdict.h"
#include "virsh-wrappers/verify-rules.h"

/* Adds what was found out to the check "measurement" of @verdict, if that failed for a difference. */
void cmd_verify_explain(CmdContext *context, const CmdVerifyRules *rules, const AppraisalReport *report,
                        AppraisalVerdict *verdict);
