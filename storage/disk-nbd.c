/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu-nbd is given a socket that already listens (the socket activation of systemd: descriptor 3, LISTEN_FDS,
 * LISTEN_PID) and to which every connection was already made, by a name that is gone again before it starts. So nobody
 * else can connect, there is nothing to wait for and nothing to clean up.
 *
 * It ends when this process does, however that ends. By itself it would leave with its last client, but not when that
 * is gone before the two have agreed on anything; so the kernel kills it when its parent dies. To the kernel the parent
 * is a thread: one that does nothing but wait for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure/error.h"
#include "storage/disk-private.h"
#include "storage/nbd-load.h"

enum {
    MAX_CONNECTIONS = 8,
    MAX_READ = 8 * 1024 * 1024,
    LISTEN_FD = 3, /* SD_LISTEN_FDS_START */
    CLEAR_FD = 16, /* our own copies lie above what the child moves them to */
};
/* A request of this length fits the protocol's 32 bits and every alignment. */
#define MAX_STATUS (G_GUINT64_CONSTANT(1) << 31)

#define CONTEXT_DEPTH "qemu:allocation-depth"
static const char *const contexts[] = {LIBNBD_CONTEXT_BASE_ALLOCATION, CONTEXT_DEPTH};
enum { ALLOCATION, DEPTH, N_CONTEXTS };

struct StorageNbd {
    const StorageLibnbd *library;
    gchar *path;
    guint64 size;
    gboolean layered;
    pid_t pid;
    GThread *keeper;
    int messages; /* what qemu-nbd prints */
    struct nbd_handle *handles[MAX_CONNECTIONS];
    guint n_handles;
    GAsyncQueue *idle; /* (element-type nbd_handle) */
};

/* The first line that qemu-nbd printed, without its name; NULL when there is none. */
static gchar *first_message(const StorageNbd *nbd)
{
    char text[4096];
    ssize_t size = pread(nbd->messages, text, sizeof text - 1, 0);
    if (size <= 0) {
        return NULL;
    }
    text[size] = '\0';
    g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", 2);
    const char *line = lines[0];
    return measure_printable(g_str_has_prefix(line, "qemu-nbd: ") ? line + strlen("qemu-nbd: ") : line);
}

static gboolean fail(const StorageNbd *nbd, GError **error)
{
    const char *number = nbd->library->get_error();
    g_autofree gchar *message = first_message(nbd);
    if (message && strstr(message, "lock")) {
        return storage_disk_fail(error, nbd->path,
                                 "in use by a writer, such as a running domain; shut that down first");
    }
    g_autofree gchar *shown = measure_printable(number ? number : "unknown error");
    return storage_disk_fail(error, nbd->path, "qemu-nbd: %s", message ? message : shown);
}

/* Listens under a name in a folder of our own, makes all connections, and removes the name. */
static gboolean connect_all(int *listener, int *clients, guint n, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_autofree gchar *folder = g_dir_make_tmp("virt-attest-XXXXXX", error);
    if (!folder) {
        (*error)->domain = ATTEST_ERROR;
        (*error)->code = ATTEST_ERROR_UNREADABLE;
        return FALSE;
    }
    g_autofree gchar *name = g_build_filename(folder, "nbd", NULL);
    gboolean good = g_strlcpy(address.sun_path, name, sizeof address.sun_path) < sizeof address.sun_path;
    if (!good) {
        errno = ENAMETOOLONG;
    }
    *listener = good ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    good = *listener >= 0 && bind(*listener, (struct sockaddr *)&address, sizeof address) == 0 &&
           listen(*listener, (int)n) == 0;
    for (guint i = 0; good && i < n; i++) {
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        good = clients[i] >= 0 && connect(clients[i], (struct sockaddr *)&address, sizeof address) == 0;
    }
    int saved = errno;
    g_unlink(name);
    g_rmdir(folder);
    return good || storage_disk_fail_errno(error, name, saved);
}

/* What the keeper starts. @fds: standard input, the listening socket, and where messages go. */
typedef struct {
    const char *program;
    char **argv, **envp, *pid_text;
    int fds[3];
    int error;         /* errno of fork() */
    GAsyncQueue *pids; /* one answer: the Server */
    pid_t parent, pid;
} Server;

/* Between fork() and execve(): only calls that are safe in a process that has threads. */
static void become_server(Server *server)
{
    char *pid_text = server->pid_text;
    char digits[24];
    gsize n = 0;
    sigset_t none;
    for (pid_t pid = getpid(); pid > 0 || n == 0; pid /= 10) {
        digits[n++] = (char)('0' + pid % 10);
    }
    while (n > 0) {
        *pid_text++ = digits[--n];
    }
    *pid_text = '\0';
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == server->parent &&
        dup2(server->fds[0], STDIN_FILENO) >= 0 && dup2(server->fds[2], STDOUT_FILENO) >= 0 &&
        dup2(server->fds[2], STDERR_FILENO) >= 0 && dup2(server->fds[1], LISTEN_FD) >= 0 &&
        close_range(LISTEN_FD + 1, ~0u, 0) == 0) {
        execve(server->program, server->argv, server->envp);
    }
    _exit(127);
}

static gpointer keeper_main(gpointer user_data)
{
    Server *server = user_data;
    siginfo_t ended;
    pid_t pid = fork();
    if (pid == 0) {
        become_server(server);
    }
    server->error = errno;
    server->pid = pid;
    g_async_queue_push(server->pids, server);
    /* Not reaped here: its number must stay its own until storage_nbd_free() has killed it. */
    while (pid > 0 && waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
    }
    return NULL;
}

static gchar **make_environment(char **pid_text)
{
    static const char prefix[] = "LISTEN_PID=";
    g_auto(GStrv) environment = g_get_environ();
    environment = g_environ_setenv(environment, "LC_ALL", "C", TRUE);
    environment = g_environ_setenv(environment, "LISTEN_FDS", "1", TRUE);
    environment = g_environ_unsetenv(environment, "LISTEN_FDNAMES");
    environment = g_environ_setenv(environment, "LISTEN_PID", "------------------------", TRUE);
    for (gsize i = 0; environment[i]; i++) {
        if (g_str_has_prefix(environment[i], prefix)) {
            *pid_text = environment[i] + strlen(prefix);
        }
    }
    return g_steal_pointer(&environment);
}

static gboolean start_server(StorageNbd *nbd, int listener, GError **error)
{
    g_autofree gchar *program = g_find_program_in_path("qemu-nbd");
    if (!program) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                    "no program 'qemu-nbd', which reads qcow2 images: install the package qemu-utils");
        return FALSE;
    }
    /* Named option by option, so that no part of a path is taken for a protocol or an option. */
    g_autofree gchar *absolute = g_canonicalize_filename(nbd->path, NULL);
    g_auto(GStrv) parts = g_strsplit(absolute, ",", -1);
    g_autofree gchar *doubled = g_strjoinv(",,", parts);
    struct stat status;
    const char *driver = stat(absolute, &status) == 0 && S_ISBLK(status.st_mode) ? "host_device" : "file";
    g_autofree gchar *image = g_strdup_printf("driver=qcow2,file.driver=%s,file.filename=%s", driver, doubled);
    g_autofree gchar *shared = g_strdup_printf("--shared=%u", nbd->n_handles);
    char *argv[] = {program, (char *)"--read-only", (char *)"--allocation-depth", shared, (char *)"--image-opts", image,
                    NULL};
    char *pid_text = NULL;
    g_auto(GStrv) envp = make_environment(&pid_text);
    g_autoptr(GAsyncQueue) pids = g_async_queue_new();
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    Server server = {.program = program,
                     .argv = argv,
                     .envp = envp,
                     .pid_text = pid_text,
                     .pids = pids,
                     .parent = getpid(),
                     .fds = {fcntl(null, F_DUPFD_CLOEXEC, CLEAR_FD), fcntl(listener, F_DUPFD_CLOEXEC, CLEAR_FD),
                             fcntl(nbd->messages, F_DUPFD_CLOEXEC, CLEAR_FD)}};
    int saved = errno;
    if (server.fds[0] >= 0 && server.fds[1] >= 0 && server.fds[2] >= 0) {
        nbd->keeper = g_thread_new("qemu-nbd", keeper_main, &server);
        g_async_queue_pop(pids);
        nbd->pid = server.pid;
        saved = server.error;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(server.fds); i++) {
        if (server.fds[i] >= 0) {
            close(server.fds[i]);
        }
    }
    close(null);
    return nbd->pid > 0 || storage_disk_fail_errno(error, program, saved);
}

/* Takes over @socket. */
static gboolean open_handle(StorageNbd *nbd, int socket, struct nbd_handle **out, GError **error)
{
    struct nbd_handle *handle = nbd->library->create();
    *out = handle;
    if (!handle) {
        close(socket);
        return fail(nbd, error);
    }
    for (guint i = 0; i < N_CONTEXTS; i++) {
        if (nbd->library->add_meta_context(handle, contexts[i]) != 0) {
            close(socket);
            return fail(nbd, error);
        }
    }
    if (nbd->library->connect_socket(handle, socket) != 0) {
        return fail(nbd, error);
    }
    for (guint i = 0; i < N_CONTEXTS; i++) {
        if (nbd->library->can_meta_context(handle, contexts[i]) != 1) {
            return storage_disk_fail(error, nbd->path, "qemu-nbd does not tell '%s': a newer one is needed",
                                     contexts[i]);
        }
    }
    return TRUE;
}

static gboolean open_handles(StorageNbd *nbd, int *clients, GError **error)
{
    for (guint i = 0; i < nbd->n_handles; i++) {
        int client = clients[i];
        clients[i] = -1;
        if (!open_handle(nbd, client, &nbd->handles[i], error)) {
            return FALSE;
        }
        g_async_queue_push(nbd->idle, nbd->handles[i]);
    }
    gint64 size = nbd->library->get_size(nbd->handles[0]);
    if (size < 0) {
        return fail(nbd, error);
    }
    nbd->size = (guint64)size;
    return TRUE;
}

StorageNbd *storage_nbd_open(const char *path, gboolean layered, GError **error)
{
    StorageNbd *nbd = g_new0(StorageNbd, 1);
    int listener = -1, clients[MAX_CONNECTIONS];
    nbd->path = g_strdup(path);
    nbd->layered = layered;
    nbd->n_handles = CLAMP(g_get_num_processors(), 1, MAX_CONNECTIONS);
    nbd->idle = g_async_queue_new();
    nbd->messages = memfd_create("qemu-nbd", MFD_CLOEXEC);
    for (guint i = 0; i < MAX_CONNECTIONS; i++) {
        clients[i] = -1;
    }
    nbd->library = storage_libnbd_load(error);
    gboolean good = nbd->library && connect_all(&listener, clients, nbd->n_handles, error) &&
                    start_server(nbd, listener, error);
    if (listener >= 0) {
        close(listener);
    }
    good = good && open_handles(nbd, clients, error);
    for (guint i = 0; i < MAX_CONNECTIONS; i++) {
        if (clients[i] >= 0) {
            close(clients[i]);
        }
    }
    if (!good) {
        g_clear_pointer(&nbd, storage_nbd_free);
    }
    return nbd;
}

void storage_nbd_free(StorageNbd *nbd)
{
    if (!nbd) {
        return;
    }
    for (guint i = 0; i < nbd->n_handles; i++) {
        if (nbd->handles[i]) {
            nbd->library->close(nbd->handles[i]);
        }
    }
    if (nbd->pid > 0) {
        /* It only reads. SIGTERM is lost while it starts. */
        kill(nbd->pid, SIGKILL);
        g_thread_join(nbd->keeper);
        while (waitpid(nbd->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    if (nbd->pid <= 0 && nbd->keeper) {
        g_thread_join(nbd->keeper);
    }
    if (nbd->messages >= 0) {
        close(nbd->messages);
    }
    g_async_queue_unref(nbd->idle);
    g_free(nbd->path);
    g_free(nbd);
}

guint64 storage_nbd_size(const StorageNbd *nbd)
{
    return nbd->size;
}

gboolean storage_nbd_read(StorageNbd *nbd, guint64 offset, guint8 *out, gsize size, GError **error)
{
    struct nbd_handle *handle = g_async_queue_pop(nbd->idle);
    gboolean good = TRUE;
    while (good && size > 0) {
        gsize n = MIN(size, MAX_READ);
        good = nbd->library->pread(handle, out, n, offset, 0) == 0 || fail(nbd, error);
        out += n;
        offset += n;
        size -= n;
    }
    g_async_queue_push(nbd->idle, handle);
    return good;
}

/* Both answers to one request: numbers in pairs, a length and what holds for it. */
typedef struct {
    GArray *pairs[N_CONTEXTS];
} Status;

static int take_status(void *user_data, const char *context, uint64_t offset, uint32_t *entries, size_t n, int *error)
{
    Status *status = user_data;
    for (guint i = 0; i < N_CONTEXTS; i++) {
        if (g_str_equal(context, contexts[i])) {
            g_array_append_vals(status->pairs[i], entries, (guint)n);
        }
    }
    return 0;
}

/* Goes along both lists, which need not cut at the same places nor be of the same length. Returns the bytes covered. */
static guint64 merge_status(const StorageNbd *nbd, const Status *status, guint64 offset, guint64 length,
                            GArray *extents)
{
    guint at[N_CONTEXTS] = {0};
    guint64 used[N_CONTEXTS] = {0}; /* of the current pair */
    guint64 done = 0;
    while (done < length && at[0] + 1 < status->pairs[0]->len && at[1] + 1 < status->pairs[1]->len) {
        guint64 step = length - done;
        guint32 flags[N_CONTEXTS];
        for (guint i = 0; i < N_CONTEXTS; i++) {
            step = MIN(step, g_array_index(status->pairs[i], guint32, at[i]) - used[i]);
            flags[i] = g_array_index(status->pairs[i], guint32, at[i] + 1);
        }
        gboolean own = !nbd->layered || flags[DEPTH] == 1;
        storage_extents_add(extents, offset + done, step, (flags[ALLOCATION] & LIBNBD_STATE_ZERO) != 0, own);
        done += step;
        for (guint i = 0; i < N_CONTEXTS; i++) {
            used[i] += step;
            if (used[i] == g_array_index(status->pairs[i], guint32, at[i])) {
                at[i] += 2;
                used[i] = 0;
            }
        }
    }
    return done;
}

gboolean storage_nbd_extents(StorageNbd *nbd, guint64 offset, guint64 length, GArray *extents, GError **error)
{
    struct nbd_handle *handle = g_async_queue_pop(nbd->idle);
    Status status = {{g_array_new(FALSE, FALSE, sizeof(guint32)), g_array_new(FALSE, FALSE, sizeof(guint32))}};
    gboolean good = TRUE;
    while (good && length > 0) {
        nbd_extent_callback callback = {.callback = take_status, .user_data = &status};
        for (guint i = 0; i < N_CONTEXTS; i++) {
            g_array_set_size(status.pairs[i], 0);
        }
        guint64 n = MIN(length, MAX_STATUS);
        good = nbd->library->block_status(handle, n, offset, callback, 0) == 0 || fail(nbd, error);
        guint64 done = good ? merge_status(nbd, &status, offset, n, extents) : 0;
        if (good && done == 0) {
            good = storage_disk_fail(error, nbd->path, "qemu-nbd does not say where its data are");
        }
        offset += done;
        length -= done;
    }
    for (guint i = 0; i < N_CONTEXTS; i++) {
        g_array_unref(status.pairs[i]);
    }
    g_async_queue_push(nbd->idle, handle);
    return good;
}
