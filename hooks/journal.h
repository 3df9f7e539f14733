/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/gate.h"

/**
 * hook_journal_decision:
 * @remark: (nullable): a second sentence, such as why the record could not be written
 *
 * One structured entry for the system's log: journald's native protocol, or a line for syslog where there is no
 * journald. Never waits and never fails: a log that does not listen must not stop a domain.
 */
void hook_journal_decision(const PolicyDecision *decision, const char *remark);
