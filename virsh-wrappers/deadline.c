/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/deadline.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "measure/error.h"

#define TIMEOUT_DEFAULT 60
/* Seconds for a guard that begins when hardly any time is left. */
#define LEAST 5

struct CmdGuard {
    CmdContext *context;
    gchar *what;
    GThread *thread;
    GMutex lock; /* of what follows */
    GCond changed;
    gint64 end;    /* monotonic time in microseconds */
    gint64 paused; /* since then; 0: it is not */
    gboolean done;
    /* The terminal as it was, when it is ours; -1: there is none. */
    int terminal;
    struct termios modes;
};

/* ssh, which libvirt may have started, switches the echo off to ask for a password, and is then left alone with it. */
static void keep_terminal(CmdGuard *guard)
{
    guard->terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (guard->terminal >= 0 && tcgetattr(guard->terminal, &guard->modes) != 0) {
        close(guard->terminal);
        guard->terminal = -1;
    }
}

/* In the background the terminal is somebody else's. */
static void restore_terminal(const CmdGuard *guard)
{
    if (guard->terminal >= 0 && tcgetpgrp(guard->terminal) == getpgrp()) {
        signal(SIGTTOU, SIG_IGN);
        tcsetattr(guard->terminal, TCSANOW, &guard->modes);
    }
}

/* Not through stdio, whose locks the other thread may hold. */
static void give_up(const CmdGuard *guard)
{
    restore_terminal(guard);
    dprintf(STDERR_FILENO,
            "error: %s: libvirt has not answered within %u seconds: is its daemon stopped, or busy with something? "
            "'systemctl status libvirtd' (or virtqemud) and 'virsh domjobinfo' may tell; --timeout gives it more "
            "time\n",
            guard->what, guard->context->timeout);
    _exit(ATTEST_ERROR_LIBVIRT);
}

static gpointer watch(gpointer data)
{
    CmdGuard *guard = data;
    g_mutex_lock(&guard->lock);
    while (!guard->done) {
        if (guard->paused) {
            g_cond_wait(&guard->changed, &guard->lock);
        } else if (g_get_monotonic_time() >= guard->end) {
            /* With the lock: who comes to say that it is done comes too late, and waits for the end. */
            give_up(guard);
        } else {
            g_cond_wait_until(&guard->changed, &guard->lock, guard->end);
        }
    }
    g_mutex_unlock(&guard->lock);
    return NULL;
}

static gboolean begin(CmdContext *context, GError **error)
{
    guint64 timeout = TIMEOUT_DEFAULT;
    if (context->timeout) {
        return TRUE;
    }
    if (!cmd_arguments_number(context->arguments, "timeout", 1, 3600, &timeout, error)) {
        return FALSE;
    }
    context->timeout = (guint)timeout;
    context->deadline = g_get_monotonic_time() + (gint64)timeout * G_USEC_PER_SEC;
    return TRUE;
}

CmdGuard *cmd_guard_new(CmdContext *context, const char *what, GError **error)
{
    g_assert(!context->guard);
    if (!begin(context, error)) {
        return NULL;
    }
    CmdGuard *guard = g_new0(CmdGuard, 1);
    guard->context = context;
    guard->what = g_strdup(what);
    guard->end = MAX(context->deadline + CMD_DEADLINE_GRACE * G_USEC_PER_SEC,
                     g_get_monotonic_time() + LEAST * G_USEC_PER_SEC);
    g_mutex_init(&guard->lock);
    g_cond_init(&guard->changed);
    keep_terminal(guard);
    context->guard = guard;
    guard->thread = g_thread_new("deadline", watch, guard);
    return guard;
}

void cmd_guard_free(CmdGuard *guard)
{
    if (!guard) {
        return;
    }
    g_mutex_lock(&guard->lock);
    guard->done = TRUE;
    g_cond_signal(&guard->changed);
    g_mutex_unlock(&guard->lock);
    g_thread_join(guard->thread);
    guard->context->guard = NULL;
    if (guard->terminal >= 0) {
        close(guard->terminal);
    }
    g_cond_clear(&guard->changed);
    g_mutex_clear(&guard->lock);
    g_free(guard->what);
    g_free(guard);
}

void cmd_guard_pause(CmdGuard *guard)
{
    if (guard) {
        g_mutex_lock(&guard->lock);
        guard->paused = g_get_monotonic_time();
        g_cond_signal(&guard->changed);
        g_mutex_unlock(&guard->lock);
    }
}

void cmd_guard_resume(CmdGuard *guard)
{
    if (guard) {
        g_mutex_lock(&guard->lock);
        gint64 lost = g_get_monotonic_time() - guard->paused;
        guard->paused = 0;
        guard->end += lost;
        guard->context->deadline += lost;
        g_cond_signal(&guard->changed);
        g_mutex_unlock(&guard->lock);
    }
}
