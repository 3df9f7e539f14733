/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Programs that do part of the work: started without a shell, in a process group of their own, stopped with us. What they
 * say on standard error is kept, so that a failure can be told in their own words.
 */
#pragma once

#include <glib.h>

#include "storage/disk.h"

typedef struct StorageProcess StorageProcess;

/**
 * StorageProcessOptions:
 * @environment: (nullable) (array zero-terminated=1): "NAME=VALUE" to add to this process's environment
 * @input: (nullable): what the program reads on standard input; at most a pipe full (64 KiB)
 * @want_output: standard output goes to storage_process_output(); else it is thrown away
 * @want_facts: descriptor 3 of the program goes to storage_process_facts()
 */
typedef struct {
    const char *const *environment;
    const char *input;
    gboolean want_output, want_facts;
} StorageProcessOptions;

/**
 * storage_process_start:
 * @argv: (array zero-terminated=1): the program by its path or by its name on PATH
 * @options: (nullable)
 *
 * The program gets SIGTERM when this process ends, however that happens. Descriptors that are not close-on-exec are
 * inherited. Errors: %ATTEST_ERROR_NOT_CONFIGURED when there is no such program, %ATTEST_ERROR_UNREADABLE when it cannot
 * be started.
 */
StorageProcess *storage_process_start(const char *const *argv, const StorageProcessOptions *options, GError **error);
int storage_process_output(const StorageProcess *process); /* to read from; belongs to @process */
int storage_process_facts(const StorageProcess *process);  /* as well */

/**
 * storage_process_await:
 * @fd: output or facts of @process
 *
 * Waits until there is something to read, or the end. Meanwhile @progress (nullable) is told what the program does: its
 * last line on standard error that begins with "I: ". Errors: as storage_interrupt_check().
 */
gboolean storage_process_await(StorageProcess *process, int fd, StorageProgress progress, gpointer progress_data,
                               GError **error);
/* After storage_process_wait(): the exit status, or -1 when a signal ended it. */
int storage_process_exit_code(const StorageProcess *process);
/* Whether it has come to its end by itself; waits a second for that. */
gboolean storage_process_ended(const StorageProcess *process);

/**
 * storage_process_wait:
 * @what: what the program was to do, as "NAME failed to …" would continue: "make the file system"
 *
 * Waits for the end. Errors: %ATTEST_ERROR_UNREADABLE for an exit status other than 0, with the last lines that the
 * program wrote; what storage_interrupt_check() sets when we were interrupted.
 */
gboolean storage_process_wait(StorageProcess *process, const char *what, GError **error);
/* The last lines of standard error, joined by newlines; complete after storage_process_wait(). */
gchar *storage_process_last_lines(StorageProcess *process, guint count);

/* Ends the whole process group when it still runs: SIGTERM, 20 seconds, SIGKILL. */
void storage_process_free(StorageProcess *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageProcess, storage_process_free)

/* Start and wait in one. */
gboolean storage_process_run(const char *const *argv, const StorageProcessOptions *options, const char *what,
                             GError **error);

/**
 * storage_interrupt_begin / storage_interrupt_end / storage_interrupt_done:
 *
 * Between the two SIGINT, SIGTERM and SIGHUP are noted and passed on to the programs that run, instead of ending this
 * process; storage_interrupt_check() is then an error, so that everything is undone on the way out. _end restores the
 * handlers and, when a signal came, dies of it as it would have. Pairs may be nested: the outermost counts.
 *
 * storage_interrupt_done() says that the work is complete and stays. A signal that comes too late to undo it is ignored
 * from then on, also after _end: only the result is still to be said, and to die of it would say that there is none.
 */
void storage_interrupt_begin(void);
gboolean storage_interrupt_check(GError **error);
void storage_interrupt_done(void);
void storage_interrupt_end(void);
