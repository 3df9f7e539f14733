/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One emulated guest whose serial console is watched for a kernel that starts. Internal to policy/. */
#pragma once

#include <gio/gio.h>

typedef struct PolicyEmulator PolicyEmulator;

typedef enum {
    POLICY_EMULATOR_RUNNING, /* and no kernel was seen yet */
    POLICY_EMULATOR_KERNEL,  /* a kernel started */
    POLICY_EMULATOR_ENDED,   /* the guest switched itself off or was reset, without a kernel */
    POLICY_EMULATOR_FAILED,  /* the emulator itself failed */
} PolicyEmulatorState;

/* @fd, not closed here, is @target in the emulator. */
typedef struct {
    int fd;
    int target;
} PolicyEmulatorFd;

/**
 * policy_emulator_start:
 * @argv: (array zero-terminated=1): program (absolute path) and arguments, with the guest's console on standard output
 * @fds: (array length=n_fds): descriptors to hand over
 * @token: a word on the kernel's command line that nothing else can know
 *
 * Starts a guest in a process group of its own; the kernel ends it when the calling thread ends. Its progress is
 * seen when the caller's thread-default context iterates.
 *
 * Errors: %ATTEST_ERROR_NOT_CONFIGURED when the program cannot be run.
 */
PolicyEmulator *policy_emulator_start(const char *const *argv, const PolicyEmulatorFd *fds, gsize n_fds,
                                      const char *token, GError **error);

/* Kills the guest if it still runs, and waits until it is gone. */
void policy_emulator_free(PolicyEmulator *emulator);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyEmulator, policy_emulator_free)

PolicyEmulatorState policy_emulator_state(const PolicyEmulator *emulator);
/* Microseconds since the start, and of processor time used (0 once the process is gone). */
gint64 policy_emulator_wall_time(const PolicyEmulator *emulator);
gint64 policy_emulator_cpu_time(const PolicyEmulator *emulator);
/* The last line that the guest printed, or the emulator when it failed; %NULL when there is none. Printable ASCII. */
gchar *policy_emulator_last_words(const PolicyEmulator *emulator);

/* A descriptor of an anonymous file with @data; @name is for messages. */
int policy_memory_file(const char *name, const void *data, gsize size, GError **error);
