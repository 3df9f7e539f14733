/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `virt-attest complete -- WORDS…`: what could stand at the last word, one candidate a line. The shell's file only calls
 * it.
 */
#pragma once

#include <glib.h>

/* @words: (array zero-terminated=1): behind "complete". Never fails: nothing to offer prints nothing. */
int cmd_complete(const char *const *words);
