/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEPT_LINES 20
#define LINE_MAX_BYTES 400
#define GRACE_SECONDS 20
#define RUNNING_MAX 4

struct StorageProcess {
    gchar *name;
    pid_t pid; /* and process group; 0 when it was waited for */
    int status, output, facts;
    GThread *reader;
    int errors; /* the reading end of its standard error; belongs to @reader */
    GQueue lines;
    GMutex mutex;
    gchar *phase; /* what it last said that it does */
};

/* What the signal handler reads. */
static volatile sig_atomic_t interrupted;
static volatile pid_t running[RUNNING_MAX];
static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
static struct sigaction saved[G_N_ELEMENTS(signals)];
static guint depth; /* of storage_interrupt_begin() */
static gboolean complete; /* storage_interrupt_done() */

static void note_signal(int number)
{
    int saved_errno = errno;

    interrupted = number;
    for (guint i = 0; i < RUNNING_MAX; i++) {
        if (running[i] > 0)
            kill(-running[i], SIGTERM);
    }
    errno = saved_errno;
}

void storage_interrupt_begin(void)
{
    struct sigaction action = {.sa_handler = note_signal};

    if (depth++)
        return;
    interrupted = 0;
    complete = FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(signals); i++) {
        sigaction(signals[i], NULL, &saved[i]);
        /* What was ignored when we were started (nohup) stays ignored. */
        if (saved[i].sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

gboolean storage_interrupt_check(GError **error)
{
    if (!interrupted)
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "interrupted (%s)", g_strsignal(interrupted));
    return FALSE;
}

void storage_interrupt_done(void)
{
    complete = TRUE;
    for (guint i = 0; i < G_N_ELEMENTS(signals); i++)
        signal(signals[i], SIG_IGN);
}

void storage_interrupt_end(void)
{
    if (--depth || complete)
        return;
    for (guint i = 0; i < G_N_ELEMENTS(signals); i++)
        sigaction(signals[i], &saved[i], NULL);
    if (interrupted) {
        /* What was said already is not lost. */
        fflush(NULL);
        raise(interrupted);
    }
}

static void keep_line(StorageProcess *process, const char *text)
{
    g_mutex_lock(&process->mutex);
    if (g_str_has_prefix(text, "I: ")) {
        g_free(process->phase);
        process->phase = g_strndup(text + 3, strcspn(text + 3, "."));
    }
    g_queue_push_tail(&process->lines, measure_printable(text));
    if (process->lines.length > KEPT_LINES)
        g_free(g_queue_pop_head(&process->lines));
    g_mutex_unlock(&process->mutex);
}

/* A thread of its own: a program that nobody listens to would stand still once the pipe is full. */
static gpointer read_errors(gpointer data)
{
    StorageProcess *process = data;
    g_autoptr(GString) line = g_string_new(NULL);
    char buffer[4096];
    ssize_t got;

    while ((got = read(process->errors, buffer, sizeof buffer)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        for (ssize_t i = 0; i < got; i++) {
            /* Progress bars rewrite their line. */
            if (buffer[i] != '\n' && buffer[i] != '\r') {
                if (line->len < LINE_MAX_BYTES)
                    g_string_append_c(line, buffer[i]);
            } else if (line->len) {
                keep_line(process, line->str);
                g_string_truncate(line, 0);
            }
        }
    }
    if (line->len)
        keep_line(process, line->str);
    close(process->errors);
    return NULL;
}

/* In the child: nothing but what is allowed between fork and exec in a program with threads. */
static G_GNUC_NORETURN void become(const char *path, char **argv, char **environment, const int fds[4], int report,
                                   pid_t parent)
{
    sigset_t none;
    int code;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    /* It may have died before that. */
    if (getppid() != parent)
        _exit(127);
    for (guint i = 0; i < G_N_ELEMENTS(signals); i++)
        signal(signals[i], SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 0; i < 4; i++) {
        if (fds[i] >= 0 && dup2(fds[i], i) < 0)
            _exit(127);
    }
    execve(path, argv, environment);
    code = errno;
    if (write(report, &code, sizeof code) < 0)
        _exit(126);
    _exit(127);
}

/* Above the numbers that a child's own descriptors will have, so that placing one never overwrites another. */
static gboolean high_pipe(int ends[2])
{
    int low[2];

    ends[0] = ends[1] = -1;
    if (pipe2(low, O_CLOEXEC) < 0)
        return FALSE;
    for (guint i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 10);
        close(low[i]);
    }
    return ends[0] >= 0 && ends[1] >= 0;
}

static void close_all(int *fds, guint count)
{
    for (guint i = 0; i < count; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

/* Written before the program starts: it must fit into the pipe. */
static gboolean give_input(int fd, const char *text)
{
    gsize size = strlen(text);

    return size <= 64 * 1024 && write(fd, text, size) == (ssize_t)size;
}

static int null_device(int flags)
{
    int fd = open("/dev/null", flags | O_CLOEXEC);
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);

    if (fd >= 0)
        close(fd);
    return high;
}

static void note_running(pid_t pid, gboolean runs)
{
    for (guint i = 0; i < RUNNING_MAX; i++) {
        if (running[i] == (runs ? 0 : pid)) {
            running[i] = runs ? pid : 0;
            return;
        }
    }
}

enum { INPUT, OUTPUT, ERRORS, FACTS, REPORT, PIPES };

StorageProcess *storage_process_start(const char *const *argv, const StorageProcessOptions *options, GError **error)
{
    static const StorageProcessOptions nothing;
    g_autofree gchar *path = g_find_program_in_path(argv[0]);
    g_autoptr(StorageProcess) process = NULL;
    g_auto(GStrv) environment = g_get_environ();
    int ends[PIPES * 2], mine = getpid(), code = 0;
    gboolean made = TRUE;

    if (!storage_interrupt_check(error))
        return NULL;
    if (!path) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED, "program '%s' not found: install the package that has it",
                    argv[0]);
        return NULL;
    }
    options = options ? options : &nothing;
    for (guint i = 0; options->environment && options->environment[i]; i++) {
        g_auto(GStrv) pair = g_strsplit(options->environment[i], "=", 2);

        environment = g_environ_setenv(environment, pair[0], pair[1] ? pair[1] : "", TRUE);
    }
    for (guint i = 0; i < PIPES; i++)
        made &= high_pipe(ends + 2 * i);
    if (!made || (options->input && !give_input(ends[2 * INPUT + 1], options->input))) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot start '%s': %s", argv[0], g_strerror(errno));
        close_all(ends, PIPES * 2);
        return NULL;
    }
    process = g_new0(StorageProcess, 1);
    process->name = g_path_get_basename(argv[0]);
    process->output = process->facts = process->errors = -1;
    g_mutex_init(&process->mutex);
    if (!options->input || !options->want_output) {
        int input = null_device(O_RDONLY), output = null_device(O_WRONLY);

        if (!options->input) {
            close(ends[2 * INPUT]);
            ends[2 * INPUT] = input;
        } else if (input >= 0) {
            close(input);
        }
        if (!options->want_output) {
            close(ends[2 * OUTPUT + 1]);
            ends[2 * OUTPUT + 1] = output;
        } else if (output >= 0) {
            close(output);
        }
    }
    {
        const int fds[4] = {ends[2 * INPUT], ends[2 * OUTPUT + 1], ends[2 * ERRORS + 1],
                            options->want_facts ? ends[2 * FACTS + 1] : -1};

        process->pid = fork();
        if (process->pid == 0)
            become(path, (char **)argv, environment, fds, ends[2 * REPORT + 1], mine);
    }
    if (process->pid > 0) {
        setpgid(process->pid, process->pid);
        note_running(process->pid, TRUE);
        /* Came between the check above and now. */
        if (interrupted)
            kill(-process->pid, SIGTERM);
        close(ends[2 * REPORT + 1]);
        ends[2 * REPORT + 1] = -1;
        while (read(ends[2 * REPORT], &code, sizeof code) < 0 && errno == EINTR)
            continue;
        process->errors = ends[2 * ERRORS];
        process->output = options->want_output ? ends[2 * OUTPUT] : -1;
        process->facts = options->want_facts ? ends[2 * FACTS] : -1;
        ends[2 * ERRORS] = -1;
        ends[2 * OUTPUT] = options->want_output ? -1 : ends[2 * OUTPUT];
        ends[2 * FACTS] = options->want_facts ? -1 : ends[2 * FACTS];
        process->reader = g_thread_new("errors", read_errors, process);
    } else {
        code = errno;
        process->pid = 0;
    }
    close_all(ends, PIPES * 2);
    if (code) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot start '%s': %s", path, g_strerror(code));
        return NULL;
    }
    return g_steal_pointer(&process);
}

int storage_process_output(const StorageProcess *process) { return process->output; }
int storage_process_facts(const StorageProcess *process) { return process->facts; }

static void reap(StorageProcess *process)
{
    pid_t pid = process->pid;

    while (waitpid(pid, &process->status, 0) < 0 && errno == EINTR)
        continue;
    note_running(pid, FALSE);
    /* What it left behind in its group has no business any more, and would keep the pipe open. */
    kill(-pid, SIGKILL);
    process->pid = 0;
    if (process->reader)
        g_thread_join(g_steal_pointer(&process->reader));
}

gchar *storage_process_last_lines(StorageProcess *process, guint count)
{
    g_autoptr(GString) text = g_string_new(NULL);

    g_mutex_lock(&process->mutex);
    for (GList *each = g_queue_peek_nth_link(&process->lines, process->lines.length > count ? process->lines.length - count : 0);
         each; each = each->next)
        g_string_append_printf(text, "%s%s", text->len ? "\n" : "", (const char *)each->data);
    g_mutex_unlock(&process->mutex);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

gboolean storage_process_wait(StorageProcess *process, const char *what, GError **error)
{
    g_autofree gchar *lines = NULL;

    reap(process);
    if (!storage_interrupt_check(error))
        return FALSE;
    if (WIFEXITED(process->status) && WEXITSTATUS(process->status) == 0)
        return TRUE;
    lines = storage_process_last_lines(process, 8);
    if (WIFSIGNALED(process->status))
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s failed to %s: killed by signal %d%s%s", process->name,
                    what, WTERMSIG(process->status), *lines ? "\n" : "", lines);
    else
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "%s failed to %s (exit status %d)%s%s", process->name,
                    what, WEXITSTATUS(process->status), *lines ? ":\n" : "", lines);
    return FALSE;
}

gboolean storage_process_await(StorageProcess *process, int fd, StorageProgress progress, gpointer progress_data,
                               GError **error)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    for (;;) {
        int ready = poll(&wait, 1, 200);
        g_autofree gchar *phase = NULL;

        if (!storage_interrupt_check(error))
            return FALSE;
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return TRUE;
        g_mutex_lock(&process->mutex);
        phase = g_strdup(process->phase);
        g_mutex_unlock(&process->mutex);
        if (phase && progress)
            progress(phase, 0, 0, progress_data);
    }
}

int storage_process_exit_code(const StorageProcess *process)
{
    return WIFEXITED(process->status) ? WEXITSTATUS(process->status) : -1;
}

static gboolean await_end(const StorageProcess *process, guint seconds)
{
    siginfo_t info = {0};

    for (guint i = 0; process->pid > 0 && i < seconds * 50; i++) {
        info.si_pid = 0;
        if (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid)
            return TRUE;
        g_usleep(20000);
    }
    return process->pid <= 0;
}

gboolean storage_process_ended(const StorageProcess *process) { return await_end(process, 1); }

void storage_process_free(StorageProcess *process)
{
    if (!process)
        return;
    if (process->output >= 0)
        close(process->output);
    if (process->facts >= 0)
        close(process->facts);
    if (process->pid > 0) {
        kill(-process->pid, SIGTERM);
        await_end(process, GRACE_SECONDS);
        kill(-process->pid, SIGKILL);
        reap(process);
    }
    g_queue_clear_full(&process->lines, g_free);
    g_mutex_clear(&process->mutex);
    g_free(process->phase);
    g_free(process->name);
    g_free(process);
}

gboolean storage_process_run(const char *const *argv, const StorageProcessOptions *options, const char *what,
                             GError **error)
{
    g_autoptr(StorageProcess) process = storage_process_start(argv, options, error);

    return process && storage_process_wait(process, what, error);
}
