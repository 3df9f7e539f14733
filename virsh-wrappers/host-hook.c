/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Is the hook installed, and will the running daemon run it?
 *
 * A daemon looks for hooks when it starts and when it is told to reload, and
 * remembers only whether there was *any*. If there was none then, a hook
 * installed later is silently not run: guests start unchecked. From outside
 * that memory cannot be read, so this looks for evidence that the daemon knows:
 *
 *   - a hook file whose inode has not changed since before the daemon started (ctime), or
 *   - a reload after the hook was installed (systemd remembers when), or
 *   - a launch recorded since the daemon started: only the hook writes those.
 *
 * Without any of them the row fails.
 */
#include "virsh-wrappers/host-check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HOOK_NAME "50-virt-attest"
#define HOOK_FILE CMD_LIBVIRT_HOOKS "/" HOOK_NAME
/* The kernel gives a process's start in ticks of 10 ms. */
#define TOLERANCE_US 20000

typedef struct {
    const char *name;    /* "libvirtd" */
    const char *pidfile; /* where its process id is */
} Daemon;

static const Daemon daemons[] = {{"libvirtd", "/run/libvirtd.pid"}, {"virtqemud", "/run/virtqemud.pid"}};

static gint64 ctime_us(const struct stat *status)
{
    return (gint64)status->st_ctim.tv_sec * G_USEC_PER_SEC + status->st_ctim.tv_nsec / 1000;
}

/* When this machine booted, in microseconds since the epoch; 0 when that cannot be told. */
static gint64 boot_time(const char *root)
{
    if (!*root) {
        struct timespec now, since_boot;
        clock_gettime(CLOCK_REALTIME, &now);
        clock_gettime(CLOCK_BOOTTIME, &since_boot);
        return ((gint64)now.tv_sec - since_boot.tv_sec) * G_USEC_PER_SEC + (now.tv_nsec - since_boot.tv_nsec) / 1000;
    }
    g_autofree gchar *path = g_strconcat(root, "/proc/stat", NULL);
    g_autofree gchar *text = NULL;
    const char *line = g_file_get_contents(path, &text, NULL, NULL) ? strstr(text, "btime ") : NULL;
    return line ? g_ascii_strtoll(line + strlen("btime "), NULL, 10) * G_USEC_PER_SEC : 0;
}

/* Start of a process, microseconds since the epoch; 0 when it does not run or is another program. proc(5), stat. */
static gint64 process_start(const char *root, guint64 pid, const char *name)
{
    g_autofree gchar *path = g_strdup_printf("/proc/%" G_GUINT64_FORMAT "/stat", pid);
    g_autofree gchar *line = cmd_host_read_line(root, path);
    /* The second field is the program's name in parentheses, which may contain anything. */
    const char *open = line ? strchr(line, '(') : NULL;
    const char *close = line ? strrchr(line, ')') : NULL;
    gint64 boot = boot_time(root);
    if (!open || !close || close < open || boot == 0 || strncmp(open + 1, name, strlen(name)) != 0) {
        return 0;
    }
    g_auto(GStrv) fields = g_strsplit(close + 1, " ", -1);
    /* close + 1 starts with the blank before field 3 */
    if (g_strv_length(fields) <= 20) {
        return 0;
    }
    guint64 ticks = g_ascii_strtoull(fields[20], NULL, 10);
    long per_second = sysconf(_SC_CLK_TCK);
    return per_second > 0 ? boot + (gint64)(ticks * G_USEC_PER_SEC / (guint64)per_second) : 0;
}

static gint64 daemon_start(const char *root, const Daemon *daemon)
{
    g_autofree gchar *line = cmd_host_read_line(root, daemon->pidfile);
    guint64 pid;
    if (!line || !g_ascii_string_to_unsigned(g_strstrip(line), 10, 1, G_MAXINT32, &pid, NULL)) {
        return 0;
    }
    return process_start(root, pid, daemon->name);
}

static gboolean is_hook(const char *path, struct stat *status)
{
    return stat(path, status) == 0 && S_ISREG(status->st_mode) && (status->st_mode & 0111);
}

/* TRUE when a program that the daemon counts as a hook has been there, unchanged, since before @start. */
static gboolean hook_before(const char *root, gint64 start)
{
    struct stat status;
    g_autofree gchar *folder = g_strconcat(root, CMD_LIBVIRT_HOOKS, NULL);
    g_autofree gchar *parent = g_path_get_dirname(folder);
    g_autofree gchar *single = g_build_filename(parent, "qemu", NULL);
    if (is_hook(single, &status) && ctime_us(&status) + TOLERANCE_US < start) {
        return TRUE;
    }
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name = dir ? g_dir_read_name(dir) : NULL; name; name = g_dir_read_name(dir)) {
        g_autofree gchar *path = g_build_filename(folder, name, NULL);
        if (is_hook(path, &status) && ctime_us(&status) + TOLERANCE_US < start) {
            return TRUE;
        }
    }
    return FALSE;
}

/* TRUE when a launch was recorded since @start. */
static gboolean recorded_since(const CmdHostProbe *probe, gint64 start)
{
    g_autofree gchar *folder = g_strconcat(probe->root, probe->config->state_directory, "/records", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name = dir ? g_dir_read_name(dir) : NULL; name; name = g_dir_read_name(dir)) {
        g_autofree gchar *path = g_build_filename(folder, name, NULL);
        struct stat status;
        if (g_str_has_suffix(name, ".json") && stat(path, &status) == 0 && ctime_us(&status) > start) {
            return TRUE;
        }
    }
    return FALSE;
}

/*
 * When systemd last reloaded the daemon, microseconds since the epoch; 0 for never, -1 when there is no systemd to ask.
 * ExecReload={ path=… ; start_time=[Sun 2026-11-22 12:00:00 UTC] ; … } has the time as text, in UTC when TZ says so.
 */
static gint64 reload_time(const CmdHostProbe *probe, const char *daemon)
{
    if (*probe->root || !g_file_test("/run/systemd/system", G_FILE_TEST_IS_DIR)) {
        return -1;
    }
    g_autofree gchar *unit = g_strconcat(daemon, ".service", NULL);
    const char *argv[] = {"systemctl", "show", "--property=ExecReload", "--value", unit, NULL};
    g_auto(GStrv)
        environment = g_environ_setenv(g_environ_setenv(g_get_environ(), "TZ", "UTC", TRUE), "LC_ALL", "C", TRUE);
    g_autofree gchar *output = NULL;
    if (!g_spawn_sync(NULL, (gchar **)argv, environment, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL,
                      &output, NULL, NULL, NULL)) {
        return -1;
    }
    const char *at = output ? strstr(output, "start_time=[") : NULL;
    struct tm when = {0};
    /* "[n/a]" when it never happened. */
    if (!at || !strptime(at + strlen("start_time=["), "%a %Y-%m-%d %H:%M:%S", &when)) {
        return 0;
    }
    return (gint64)timegm(&when) * G_USEC_PER_SEC;
}

static void check_known(GPtrArray *rows, const CmdHostProbe *probe, const struct stat *hook)
{
    gboolean running = FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(daemons); i++) {
        const Daemon *daemon = &daemons[i];
        gint64 start = daemon_start(probe->root, daemon);
        if (start == 0) {
            continue;
        }
        running = TRUE;
        gint64 reload = reload_time(probe, daemon->name);
        g_autofree gchar *todo = g_strdup_printf("systemctl reload %s", daemon->name);
        if (hook_before(probe->root, start)) {
            cmd_host_add(rows, "hook-known", CMD_HOST_PASS,
                         g_strdup_printf("%s had a hook when it started", daemon->name), NULL);
        } else if (reload > ctime_us(hook)) {
            cmd_host_add(rows, "hook-known", CMD_HOST_PASS,
                         g_strdup_printf("%s was reloaded after the hook was installed", daemon->name), NULL);
        } else if (recorded_since(probe, start)) {
            cmd_host_add(rows, "hook-known", CMD_HOST_PASS,
                         g_strdup_printf("%s has run the hook since it started", daemon->name), NULL);
        } else {
            cmd_host_add(
                rows, "hook-known", CMD_HOST_FAIL,
                g_strdup_printf(
                    "the hook was installed after %s started, and nothing shows that it knows: starts are not checked",
                    daemon->name),
                todo);
        }
    }
    if (!running) {
        cmd_host_add(rows, "hook-known", CMD_HOST_PASS,
                     g_strdup("no libvirt daemon runs: it looks for hooks when it starts"), NULL);
    }
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every executable in the folder is run, backups and package leftovers too: ours would run twice, an old one decide. */
static void check_strays(GPtrArray *rows, const CmdHostProbe *probe)
{
    g_autofree gchar *folder = g_strconcat(probe->root, CMD_LIBVIRT_HOOKS, NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    struct stat status;
    for (const char *name = dir ? g_dir_read_name(dir) : NULL; name; name = g_dir_read_name(dir)) {
        g_autofree gchar *path = g_build_filename(folder, name, NULL);
        if (!g_str_equal(name, HOOK_NAME) && is_hook(path, &status)) {
            g_ptr_array_add(names, g_strdup(name));
        }
    }
    if (names->len == 0) {
        cmd_host_add(rows, "hook-strays", CMD_HOST_PASS, g_strdup("no other program is in the hook folder"), NULL);
        return;
    }
    g_ptr_array_sort(names, by_name);
    g_ptr_array_add(names, NULL);
    g_autofree gchar *list = g_strjoinv("', '", (gchar **)names->pdata);
    cmd_host_add(rows, "hook-strays", CMD_HOST_WARN,
                 g_strdup_printf("libvirt runs these programs at every start as well: '%s'", list),
                 "remove what is not meant to be a hook, backups and package leftovers above all");
}

/* A build that was configured with another folder installs its hook where libvirt never looks. */
static void add_missing(GPtrArray *rows, const CmdHostProbe *probe)
{
    const char *configured = probe->hook_directory ? probe->hook_directory : HOOK_DIRECTORY;
    g_autofree gchar *own = g_canonicalize_filename(configured, "/");
    if (g_str_equal(own, CMD_LIBVIRT_HOOKS)) {
        cmd_host_add(rows, "hook-installed", CMD_HOST_FAIL,
                     g_strdup("'" HOOK_FILE "' does not exist: no start is checked"),
                     "install it ('meson install', or the package) and reload the daemon");
        return;
    }
    g_autofree gchar *source = g_build_filename(own, HOOK_NAME, NULL);
    g_autofree gchar *quoted = g_shell_quote(source);
    g_autofree gchar *todo = g_strdup_printf("install -D -m 0755 %s " HOOK_FILE ", and reload the daemon", quoted);
    cmd_host_add(rows, "hook-installed", CMD_HOST_FAIL,
                 g_strdup_printf("'" HOOK_FILE "' does not exist: libvirt runs hooks only from " CMD_LIBVIRT_HOOKS
                                 ", this build installs its hook in '%s': no start is checked",
                                 own),
                 todo);
}

void cmd_host_check_hook(GPtrArray *rows, const CmdHostProbe *probe)
{
    g_autofree gchar *path = g_strconcat(probe->root, HOOK_FILE, NULL);
    struct stat status, root_status;
    uid_t owner = 0;
    if (*probe->root && stat(probe->root, &root_status) == 0) {
        owner = root_status.st_uid;
    }
    const char *where = HOOK_FILE;
    if (lstat(path, &status) != 0) {
        add_missing(rows, probe);
    } else if (!S_ISREG(status.st_mode)) {
        cmd_host_add(rows, "hook-installed", CMD_HOST_FAIL,
                     g_strdup_printf("'%s' is not a regular file: AppArmor may not let it run", where),
                     "put the program itself there, not a link");
    } else if (!(status.st_mode & 0111)) {
        cmd_host_add(rows, "hook-installed", CMD_HOST_FAIL,
                     g_strdup_printf("'%s' is not executable: libvirt ignores it", where),
                     "chmod 0755 " HOOK_FILE);
    } else if (status.st_uid != owner || (status.st_mode & 0022)) {
        cmd_host_add(rows, "hook-installed", CMD_HOST_FAIL,
                     g_strdup_printf("'%s' can be changed by others than root", where),
                     "chown root: and chmod 0755 " HOOK_FILE);
    } else {
        cmd_host_add(rows, "hook-installed", CMD_HOST_PASS, g_strdup_printf("'%s' is there", where), NULL);
        check_known(rows, probe, &status);
    }
    check_strays(rows, probe);
}
