/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the evaluation share. */
#pragma once

#include "policy/evaluate.h"

void policy_evaluation_add(PolicyEvaluation *evaluation, const char *rule, guint level, PolicyOutcome outcome,
                           const char *format, ...) G_GNUC_PRINTF(5, 6);

/* Level 4: the findings about the root file system. Sets @evaluation->words. */
void policy_evaluate_root(PolicyEvaluation *evaluation, const XmlDomain *domain, const PolicyEvaluateOptions *options);

/* A finding about the ID block, where the domain has one: it lowers no level. */
void policy_evaluate_id_block(PolicyEvaluation *evaluation, const XmlDomain *domain);
