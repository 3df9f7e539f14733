/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/emulator.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "measure/error.h"

#define CONSOLE_MAX (256 * 1024) /* bytes of console output that are kept */
#define LINE_MAX_LENGTH 160      /* characters of a line for a message */

struct PolicyEmulator {
    GSubprocess *process;
    GMainContext *context;
    GCancellable *cancel;
    guint pending; /* callbacks still to come */
    GInputStream *console;
    guint8 buffer[4096];
    GString *text;
    gchar *token;
    int error_fd;
    gint64 started;
    PolicyEmulatorState state;
};

/* The last line with text on it, without control characters; NULL when there is none. */
static gchar *last_line(const char *text)
{
    g_auto(GStrv) lines = g_strsplit_set(text, "\r\n", -1);
    for (guint i = g_strv_length(lines); i > 0; i--) {
        g_autoptr(GString) line = g_string_new(NULL);
        for (const char *at = lines[i - 1]; *at != '\0' && line->len < LINE_MAX_LENGTH; at++) {
            if (at[0] == '\033' && at[1] == '[') { /* a terminal sequence: parameters, then a letter */
                for (at += 2; *at != '\0' && !g_ascii_isalpha(*at);)
                    at++;
                if (*at == '\0')
                    break;
            } else if (g_ascii_isprint(*at)) {
                g_string_append_c(line, *at);
            }
        }
        g_strstrip(line->str);
        if (*line->str != '\0')
            return g_strdup(line->str);
    }
    return NULL;
}

/* Takes in console output. A firmware's own message may show the token, but not behind a kernel's version. */
static void console_append(PolicyEmulator *emulator, const guint8 *bytes, gsize size)
{
    for (gsize i = 0; i < size; i++)
        g_string_append_c(emulator->text, bytes[i] == 0 ? '?' : (gchar)bytes[i]);
    if (emulator->text->len > CONSOLE_MAX)
        g_string_erase(emulator->text, 0, (gssize)(emulator->text->len - CONSOLE_MAX / 2));
    const char *version = strstr(emulator->text->str, "Linux version ");
    if (version && strstr(version, emulator->token))
        emulator->state = POLICY_EMULATOR_KERNEL;
}

static void on_console(GObject *stream, GAsyncResult *result, gpointer data)
{
    PolicyEmulator *emulator = data;
    emulator->pending--;
    gssize size = g_input_stream_read_finish(G_INPUT_STREAM(stream), result, NULL);
    if (size <= 0)
        return; /* closed: the end of the process tells more */
    console_append(emulator, emulator->buffer, (gsize)size);
    if (emulator->state != POLICY_EMULATOR_RUNNING)
        return;
    emulator->pending++;
    g_input_stream_read_async(emulator->console, emulator->buffer, sizeof emulator->buffer, G_PRIORITY_DEFAULT,
                              emulator->cancel, on_console, emulator);
}

static void on_end(GObject *process, GAsyncResult *result, gpointer data)
{
    PolicyEmulator *emulator = data;
    emulator->pending--;
    g_subprocess_wait_finish(G_SUBPROCESS(process), result, NULL);
    if (emulator->state == POLICY_EMULATOR_RUNNING)
        emulator->state = g_subprocess_get_successful(emulator->process) ? POLICY_EMULATOR_ENDED
                                                                         : POLICY_EMULATOR_FAILED;
}

/* Between fork and exec. The parent's death ends the guest; its own group keeps it out of the terminal's signals. */
static void child_setup(gpointer data)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != GPOINTER_TO_INT(data))
        _exit(127);
}

static int duplicate(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 100); /* above every target */
}

PolicyEmulator *policy_emulator_start(const char *const *argv, const PolicyEmulatorFd *fds, gsize n_fds,
                                      const char *token, GError **error)
{
    g_autoptr(PolicyEmulator) emulator = g_new0(PolicyEmulator, 1);
    emulator->context = g_main_context_ref_thread_default();
    emulator->cancel = g_cancellable_new();
    emulator->text = g_string_new(NULL);
    emulator->token = g_strdup(token);
    emulator->error_fd = policy_memory_file("messages", "", 0, error);
    if (emulator->error_fd < 0)
        return NULL;

    g_autoptr(GError) spawn_error = NULL;
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE);
    g_subprocess_launcher_set_child_setup(launcher, child_setup, GINT_TO_POINTER(getpid()), NULL);
    g_subprocess_launcher_setenv(launcher, "LC_ALL", "C", TRUE);
    g_subprocess_launcher_take_stderr_fd(launcher, duplicate(emulator->error_fd));
    for (gsize i = 0; i < n_fds; i++)
        g_subprocess_launcher_take_fd(launcher, duplicate(fds[i].fd), fds[i].target);
    emulator->started = g_get_monotonic_time();
    emulator->process = g_subprocess_launcher_spawnv(launcher, argv, &spawn_error);
    if (!emulator->process) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED, "program '%s' cannot be run: %s", argv[0],
                    spawn_error->message);
        return NULL;
    }
    emulator->console = g_subprocess_get_stdout_pipe(emulator->process);
    emulator->pending = 2;
    g_subprocess_wait_async(emulator->process, NULL, on_end, emulator);
    g_input_stream_read_async(emulator->console, emulator->buffer, sizeof emulator->buffer, G_PRIORITY_DEFAULT,
                              emulator->cancel, on_console, emulator);
    return g_steal_pointer(&emulator);
}

/* 0 once the process is reaped. */
static pid_t emulator_pid(const PolicyEmulator *emulator)
{
    const char *text = emulator->process ? g_subprocess_get_identifier(emulator->process) : NULL;
    return text ? (pid_t)g_ascii_strtoll(text, NULL, 10) : 0;
}

void policy_emulator_free(PolicyEmulator *emulator)
{
    if (!emulator)
        return;
    pid_t pid = emulator_pid(emulator);
    if (pid > 0)
        kill(-pid, SIGKILL); /* the group: the program may be a wrapper */
    g_cancellable_cancel(emulator->cancel);
    while (emulator->pending > 0)
        g_main_context_iteration(emulator->context, TRUE);
    g_clear_object(&emulator->process);
    g_object_unref(emulator->cancel);
    g_string_free(emulator->text, TRUE);
    g_free(emulator->token);
    if (emulator->error_fd >= 0)
        close(emulator->error_fd);
    g_main_context_unref(emulator->context);
    g_free(emulator);
}

PolicyEmulatorState policy_emulator_state(const PolicyEmulator *emulator)
{
    return emulator->state;
}

gint64 policy_emulator_wall_time(const PolicyEmulator *emulator)
{
    return g_get_monotonic_time() - emulator->started;
}

/* User and system time over all threads: fields 14 and 15 of /proc/PID/stat, proc(5). */
gint64 policy_emulator_cpu_time(const PolicyEmulator *emulator)
{
    pid_t pid = emulator_pid(emulator);
    g_autofree gchar *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree gchar *contents = NULL;
    if (pid <= 0 || !g_file_get_contents(path, &contents, NULL, NULL))
        return 0;
    const char *after_name = strrchr(contents, ')');
    g_auto(GStrv) fields = g_strsplit(after_name ? after_name : "", " ", 15); /* the 3rd field of all is the 2nd here */
    if (g_strv_length(fields) < 15)
        return 0;
    guint64 ticks = g_ascii_strtoull(fields[12], NULL, 10) + g_ascii_strtoull(fields[13], NULL, 10);
    return (gint64)(ticks * G_USEC_PER_SEC / (guint64)sysconf(_SC_CLK_TCK));
}

gchar *policy_emulator_last_words(const PolicyEmulator *emulator)
{
    if (emulator->state != POLICY_EMULATOR_FAILED)
        return last_line(emulator->text->str);
    gchar text[4096];
    off_t end = lseek(emulator->error_fd, 0, SEEK_END);
    gssize size = pread(emulator->error_fd, text, sizeof text - 1, MAX(end - (off_t)sizeof text + 1, 0));
    text[MAX(size, 0)] = '\0';
    return last_line(text);
}

int policy_memory_file(const char *name, const void *data, gsize size, GError **error)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd >= 0 && (size == 0 || pwrite(fd, data, size, 0) == (gssize)size))
        return fd;
    int saved = errno;
    if (fd >= 0)
        close(fd);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "cannot keep the guest's %s in memory: %s", name,
                g_strerror(saved));
    return -1;
}
