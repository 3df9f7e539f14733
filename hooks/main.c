/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QEMU hook: libvirt runs it as HOOK NAME OPERATION SUBOPERATION EXTRA with
 * the domain XML on stdin, and starts no guest that it refuses.
 *
 * What it decides, and when. `start` is the gate: it is the last call before
 * QEMU is executed, and the first one whose XML has the CPU model, the firmware
 * file and the C-bit resolved. `prepare` comes too early to measure anything and
 * `started` too late: by then the guest has run. Those, and the end of a guest,
 * only keep the record up to date and exit 0 whatever happens.
 *
 * What it must never do:
 *  - fail `reconnect`. libvirt asks again for every running guest when its daemon
 *    restarts, and kills a guest whose hook fails. So that is answered before
 *    anything else is looked at.
 *  - call libvirt. While the hook runs, libvirt holds the domain's lock: a call
 *    about this domain would wait for us, and we for it, for ever. This program
 *    does not link libvirt, and a test keeps it so.
 *  - take long. There is no timeout in libvirt, and `virsh list` is blocked
 *    meanwhile. Digests come from a cache, and an alarm ends the program: with a
 *    refusal in `start`, with success elsewhere.
 *  - start a child. One that keeps our pipes open would delay the start further.
 *  - write to stdout. `migrate` and `restore` are filters: what is written there
 *    replaces the domain's XML. Their stdin may hold passwords, and is not read.
 *  - believe its arguments. NAME is whatever a user called the domain, "--version"
 *    and "$(x)" included; it is not read at all. The domain is its UUID in the XML.
 *
 * What the user sees: libvirt shows stderr only when the exit status is not 0, and
 * puts it behind a text of its own, so the first line stands alone. The full
 * story is in the record and in the journal.
 *
 * What it protects from: drift and mistakes. Whoever is root on this host can
 * remove the hook, or change a file between the hook's look and QEMU's; against
 * the host itself only the ID block and the guest's report help.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hooks/journal.h"
#include "hooks/record.h"
#include "measure/error.h"
#include "policy/text.h"

#define DEFAULT_WATCHDOG 10u

/* ---- The process ---- */

/* A closed descriptor would be given to the next file that is opened, and a message would be written into it. */
static void open_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
    }
}

static volatile sig_atomic_t watchdog_status;

static void watchdog_bark(int number)
{
    static const char refused[] = "error: start refused; virt-attest did not finish in time (see 'watchdog' in "
                                  "virt-attest.conf): a file on slow storage, or a busy host; try again\n";

    if (watchdog_status != 0 && write(STDERR_FILENO, refused, sizeof(refused) - 1) < 0) {
        /* Nobody listens; the exit status says it all the same. */
    }
    _exit(watchdog_status);
}

static void start_watchdog(int status)
{
    struct sigaction action = {.sa_handler = watchdog_bark};
    sigset_t set;

    watchdog_status = status;
    sigaction(SIGALRM, &action, NULL);
    /* Both survive exec(), so the parent may have left them in any state. */
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    alarm(DEFAULT_WATCHDOG);
}

static void prepare_process(int watchdog)
{
    start_watchdog(watchdog);
    umask(077);
    /* A reader that has gone away must not kill us: that would be a refusal too. */
    signal(SIGPIPE, SIG_IGN);
    /* A limit on the size of files is an error that write() reports, and the record decides what it means. */
    signal(SIGXFSZ, SIG_IGN);
    g_log_writer_default_set_use_stderr(TRUE);
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

/* The whole of stdin, at most one byte more than a domain XML may have. */
static gchar *read_stdin(gsize *size)
{
    gsize room = 64 * 1024, done = 0;
    gchar *data = g_malloc(room + 1);

    while (done <= XML_MAX_SIZE) {
        ssize_t got;

        if (done == room) {
            room = MIN(room * 2, (gsize)XML_MAX_SIZE + 1);
            data = g_realloc(data, room + 1);
        }
        got = read(STDIN_FILENO, data + done, room - done);
        if (got < 0 && errno == EINTR)
            continue;
        /* An error leaves a torn XML, which is refused as such. */
        if (got <= 0)
            break;
        done += (gsize)got;
    }
    data[done] = '\0';
    *size = done;
    return data;
}

static void print_error(const char *summary, const GPtrArray *details)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const char *at = NULL;
    gsize left = 0;

    g_string_append_printf(text, "error: %s\n", summary);
    for (guint i = 0; details && i < details->len && i < 32; i++)
        g_string_append_printf(text, "  %s\n", (const char *)g_ptr_array_index(details, i));
    for (at = text->str, left = text->len; left;) {
        ssize_t put = write(STDERR_FILENO, at, left);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return;
        at += put;
        left -= (gsize)put;
    }
}

/* ---- start ---- */

/*
 * A start that is not on record did not happen as far as the owner can tell, so
 * where a check is wanted it is refused. Where nothing is wanted but to
 * observe, a full disk must not stop guests.
 */
static gboolean record_is_needed(const PolicyDecision *decision, const PolicyConfig *config)
{
    return decision->reference || decision->verdict == POLICY_VERDICT_REFUSED || !config ||
           config->unpinned == POLICY_UNPINNED_REFUSE;
}

/* Without a configuration only where a pin shows that this is the right place; and then nothing old is dropped. */
static gboolean write_record(const PolicyDecision *decision, const PolicyConfig *config, PolicyStore *store,
                             const GError *config_error, const GError *store_error, GError **error)
{
    const GError *cause = store ? config_error : store_error;

    if (store && (config || decision->reference))
        return hook_record_decision(store, decision, config ? config->history : G_MAXUINT, error);
    if (cause)
        g_propagate_error(error, g_error_copy(cause));
    return FALSE;
}

/*
 * Not made here: for a domain without launchSecurity nothing is written. A
 * configuration that cannot be read must not hide a pin: it is looked for where
 * it is unless the configuration says otherwise.
 */
static PolicyStore *open_store(const PolicyConfig *config, GError **error)
{
    g_autofree gchar *directory =
        config ? g_strdup(config->state_directory) : policy_config_default_state_directory();

    return policy_store_open(directory, FALSE, error);
}

static int run_start(void)
{
    g_autoptr(GError) config_error = NULL;
    g_autoptr(GError) store_error = NULL;
    g_autoptr(GError) record_error = NULL;
    g_autoptr(PolicyConfig) config = NULL;
    g_autoptr(PolicyStore) store = NULL;
    g_autoptr(PolicyDecision) decision = NULL;
    g_autofree gchar *xml = NULL;
    g_autofree gchar *remark = NULL;
    gboolean refused = FALSE;
    gsize size = 0;

    config = policy_config_load(NULL, &config_error);
    if (config)
        alarm(config->watchdog);
    store = open_store(config, &store_error);
    xml = read_stdin(&size);
    decision = policy_gate_decide(xml, size, config, config_error, store, store_error);
    if (decision->verdict == POLICY_VERDICT_NONE)
        return 0;
    refused = decision->verdict == POLICY_VERDICT_REFUSED;
    if (!write_record(decision, config, store, config_error, store_error, &record_error)) {
        remark = g_strdup_printf("this start could not be recorded: %s",
                                 record_error ? record_error->message : "there is no state folder");
        if (!refused && record_is_needed(decision, config)) {
            g_autofree gchar *summary = g_steal_pointer(&decision->summary);
            g_autofree gchar *whole = g_strdup_printf("start refused; %s; the decision was: %s", remark, summary);

            decision->verdict = POLICY_VERDICT_REFUSED;
            decision->summary = policy_one_line(whole, 4096);
            g_clear_pointer(&remark, g_free);
            refused = TRUE;
        }
    }
    hook_journal_decision(decision, remark);
    if (refused)
        print_error(decision->summary, decision->details);
    return refused ? 1 : 0;
}

/* ---- Everything else ---- */

static int run_update(const char *operation, const char *extra)
{
    g_autoptr(PolicyConfig) config = policy_config_load(NULL, NULL);
    g_autoptr(PolicyStore) store = NULL;
    g_autoptr(XmlDomain) domain = NULL;
    g_autoptr(GError) damaged = NULL;
    g_autofree gchar *xml = NULL;
    gsize size = 0;

    if (!config)
        return 0;
    alarm(config->watchdog);
    store = open_store(config, NULL);
    if (!store)
        return 0;
    xml = read_stdin(&size);
    domain = policy_gate_read_domain(xml, size, &damaged, NULL);
    if (!domain || !domain->uuid)
        return 0;
    if (!strcmp(operation, "prepare"))
        hook_record_prepared(store, domain->uuid, NULL);
    else if (!strcmp(operation, "started"))
        hook_record_running(store, domain->uuid, NULL);
    else if (!strcmp(operation, "stopped"))
        hook_record_stopped(store, domain, config->history, NULL);
    else
        hook_record_released(store, domain, extra, config->history, NULL);
    return 0;
}

int main(int argc, char **argv)
{
    const char *operation = argc > 2 ? argv[2] : "";

    if (!strcmp(operation, "reconnect"))
        return 0;
    open_standard_files();
    if (argc != 5) {
        print_error("this is a libvirt hook: libvirt runs it with exactly four arguments, NAME OPERATION SUBOPERATION "
                    "EXTRA",
                    NULL);
        return ATTEST_ERROR_USAGE;
    }
    if (!strcmp(operation, "start")) {
        prepare_process(1);
        return run_start();
    }
    if (!strcmp(operation, "prepare") || !strcmp(operation, "started") || !strcmp(operation, "stopped") ||
        !strcmp(operation, "release")) {
        prepare_process(0);
        return run_update(operation, argv[4]);
    }
    return 0;
}
