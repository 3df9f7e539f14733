/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A verdict for people and for programs (policy/appraisal/verdict.schema.json). */
#pragma once

#include "policy/appraisal/verdict.h"

/* Every check in a table, and below it what failed, in full. @bare: the verdict's word alone (--quiet). */
void cmd_verdict_print(const AppraisalVerdict *verdict, const AppraisalCase *input, gboolean bare);
/* @domain, @uuid: (nullable): what the report was compared with */
void cmd_verdict_print_json(const AppraisalVerdict *verdict, const AppraisalCase *input, const char *domain,
                            const char *uuid);
