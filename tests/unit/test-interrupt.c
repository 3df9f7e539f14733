/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signals in the middle of work that can be undone, and after its end. */
#include "storage/process.h"

#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

typedef struct {
    int status; /* of waitpid() */
    char said[64];
} Outcome;

/* A process of its own, which says what it did to a pipe, through a buffer as a command does. It ends with 7, at once:
 * what is still in the buffer then is lost. */
static Outcome run(void (*work)(int number, FILE *out), int number)
{
    Outcome outcome = {0};
    int ends[2];
    ssize_t got;
    gsize size = 0;
    pid_t child;

    fflush(NULL);
    g_assert_cmpint(pipe(ends), ==, 0);
    child = fork();
    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        FILE *out = fdopen(ends[1], "w");

        for (guint i = 0; i < G_N_ELEMENTS(signals); i++)
            signal(signals[i], SIG_DFL);
        work(number, out);
        fflush(out);
        _exit(7);
    }
    close(ends[1]);
    while ((got = read(ends[0], outcome.said + size, sizeof outcome.said - 1 - size)) > 0)
        size += (gsize)got;
    g_assert_cmpint(got, ==, 0);
    close(ends[0]);
    g_assert_cmpint(waitpid(child, &outcome.status, 0), ==, child);
    return outcome;
}

static void undone(int number, FILE *out)
{
    g_autoptr(GError) error = NULL;

    storage_interrupt_begin();
    fputs(storage_interrupt_check(&error) ? "working, " : "too early, ", out);
    raise(number);
    fputs(storage_interrupt_check(&error) ? "unnoticed" : "undone", out);
    storage_interrupt_end();
    fputs(", still here", out);
}

static void test_undone(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(signals); i++) {
        Outcome outcome = run(undone, signals[i]);

        g_assert_true(WIFSIGNALED(outcome.status));
        g_assert_cmpint(WTERMSIG(outcome.status), ==, signals[i]);
        g_assert_cmpstr(outcome.said, ==, "working, undone");
    }
}

static void too_late(int number, FILE *out)
{
    storage_interrupt_begin();
    raise(number);
    storage_interrupt_done();
    raise(number);
    storage_interrupt_end();
    raise(number);
    fputs("done", out);
}

/* A reader around a writer: the outer pair ends after the work is complete. */
static void too_late_nested(int number, FILE *out)
{
    storage_interrupt_begin();
    too_late(number, out);
    raise(number);
    storage_interrupt_end();
    raise(number);
    fputs(", nested", out);
}

static void test_too_late(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(signals); i++) {
        Outcome outcome = run(too_late, signals[i]);

        g_assert_true(WIFEXITED(outcome.status));
        g_assert_cmpint(WEXITSTATUS(outcome.status), ==, 7);
        g_assert_cmpstr(outcome.said, ==, "done");
        outcome = run(too_late_nested, signals[i]);
        g_assert_true(WIFEXITED(outcome.status));
        g_assert_cmpstr(outcome.said, ==, "done, nested");
    }
}

static void reader(int number, FILE *out)
{
    storage_interrupt_begin();
    storage_interrupt_begin();
    raise(number);
    storage_interrupt_end();
    fputs("inner", out);
    storage_interrupt_end();
    fputs(", outer", out);
}

static void test_nested(void)
{
    Outcome outcome = run(reader, SIGTERM);

    g_assert_true(WIFSIGNALED(outcome.status));
    g_assert_cmpstr(outcome.said, ==, "inner");
}

static void ignored(int number, FILE *out)
{
    signal(number, SIG_IGN);
    storage_interrupt_begin();
    raise(number);
    fputs(storage_interrupt_check(NULL) ? "goes on" : "stopped", out);
    storage_interrupt_end();
    raise(number);
}

static void test_ignored(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(signals); i++) {
        Outcome outcome = run(ignored, signals[i]);

        g_assert_true(WIFEXITED(outcome.status));
        g_assert_cmpstr(outcome.said, ==, "goes on");
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/interrupt/undone", test_undone);
    g_test_add_func("/interrupt/too-late", test_too_late);
    g_test_add_func("/interrupt/nested", test_nested);
    g_test_add_func("/interrupt/ignored", test_ignored);
    return g_test_run();
}
