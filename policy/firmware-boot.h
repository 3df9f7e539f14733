/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Proves what a firmware build does with the kernel-hash table by booting it, without SEV: QEMU emulates the guest, a
 * generic loader puts the table where the firmware looks for it, and a real kernel either starts or does not.
 */
#pragma once

#include <glib.h>

/* The runs, in the order in which they are reported. */
typedef enum {
    POLICY_BOOT_RIGHT_TABLE,
    POLICY_BOOT_WRONG_KERNEL,
    POLICY_BOOT_WRONG_INITRD,
    POLICY_BOOT_WRONG_CMDLINE,
    POLICY_BOOT_NO_TABLE,
} PolicyBootCase;

#define POLICY_BOOT_CASES 5

/**
 * PolicyBootOutcome:
 * @POLICY_BOOT_UNDECIDED: the run did not happen, or QEMU failed
 * @POLICY_BOOT_BOOTED: the kernel printed its version and the run's own token on the serial console
 * @POLICY_BOOT_HALTED: it did not, within the time that the right table's run gives (or the guest gave up by itself)
 */
typedef enum {
    POLICY_BOOT_UNDECIDED,
    POLICY_BOOT_BOOTED,
    POLICY_BOOT_HALTED,
} PolicyBootOutcome;

/**
 * PolicyBootVerdict:
 * @POLICY_BOOT_VERDICT_UNDECIDED: a run was undecided, or even the right table does not boot
 * @POLICY_BOOT_VERDICT_WORKS: boots with the right table and with none of the others
 * @POLICY_BOOT_VERDICT_PARTLY: refuses some wrong tables and boots with others: not to be relied on
 * @POLICY_BOOT_VERDICT_NOTHING: boots whatever the table says: level 3 on this firmware is void
 */
typedef enum {
    POLICY_BOOT_VERDICT_UNDECIDED,
    POLICY_BOOT_VERDICT_WORKS,
    POLICY_BOOT_VERDICT_PARTLY,
    POLICY_BOOT_VERDICT_NOTHING,
} PolicyBootVerdict;

/**
 * PolicyFirmwareBootOptions:
 * @qemu: (nullable): QEMU program; %NULL: qemu-system-x86_64 in PATH
 * @kernel: (nullable): kernel with an EFI stub and a serial console; %NULL: the newest readable one of this host
 * @initrd: (nullable): initrd; %NULL: an empty archive, since the kernel's first output is all that is waited for
 * @timeout: seconds to wait for the right table's run; 0: 180
 * @progress: (nullable): told about each run that ended, with one line of text
 * @progress_data: passed to @progress
 */
typedef struct {
    const char *qemu;
    const char *kernel;
    const char *initrd;
    guint timeout;
    void (*progress)(const char *text, gpointer user_data);
    gpointer progress_data;
} PolicyFirmwareBootOptions;

/**
 * PolicyFirmwareBootRun:
 * @expected: what a firmware that verifies does
 * @outcome: what happened
 * @seconds: how long it took to see that
 * @detail: (nullable): last line on the serial console of a run that did not boot, or QEMU's error
 */
typedef struct {
    PolicyBootOutcome expected;
    PolicyBootOutcome outcome;
    double seconds;
    gchar *detail;
} PolicyFirmwareBootRun;

/**
 * PolicyFirmwareBootResult:
 * @kernel: the kernel that was booted
 * @runs: indexed by #PolicyBootCase
 * @verdict: the conclusion
 * @reason: the conclusion as one sentence
 */
typedef struct {
    gchar *kernel;
    PolicyFirmwareBootRun runs[POLICY_BOOT_CASES];
    PolicyBootVerdict verdict;
    gchar *reason;
} PolicyFirmwareBootResult;

void policy_firmware_boot_result_clear(PolicyFirmwareBootResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PolicyFirmwareBootResult, policy_firmware_boot_result_clear)

/**
 * policy_firmware_boot_proof:
 * @firmware_path: a firmware file that QEMU takes as -bios, with a kernel-hash area in its footer
 * @options: (nullable): %NULL for the defaults
 * @out: (out caller-allocates): the result, set only on success (also when the verdict is undecided)
 *
 * Boots the firmware five times under TCG: with the right table, with a wrong kernel, initrd and command-line hash, and
 * with no table. Takes about four times as long as one boot of the right table plus 10 s. Nothing is written
 * to disk, no guest survives the call or the caller, and SIGINT, SIGTERM and SIGHUP, where the program leaves them at
 * their default, end it as an error.
 *
 * What it shows is how the firmware's code treats the table. It cannot show that the table in a confidential
 * guest is the measured one (the launch digest does), and a firmware made to deceive could tell TCG from SEV.
 *
 * Errors: %ATTEST_ERROR_UNREADABLE for files that cannot be read, a firmware without hash area or one that QEMU
 * refuses, and an interruption; %ATTEST_ERROR_NOT_CONFIGURED when QEMU or a kernel is missing.
 */
gboolean policy_firmware_boot_proof(const char *firmware_path, const PolicyFirmwareBootOptions *options,
                                    PolicyFirmwareBootResult *out, GError **error);

/* "right table", "wrong kernel hash", … */
const char *policy_boot_case_name(PolicyBootCase which);
/* "booted", "halted", "undecided" */
const char *policy_boot_outcome_name(PolicyBootOutcome outcome);
/* "works", "partly", "nothing", "undecided" */
const char *policy_boot_verdict_name(PolicyBootVerdict verdict);
