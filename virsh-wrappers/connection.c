/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/connection.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure/error.h"
#include "virsh-wrappers/deadline.h"

/* libvirt would print its errors itself; every one reaches the user through ours. */
static void ignore_error(void *user_data, virErrorPtr error)
{
}

gboolean cmd_libvirt_error(GError **error, const char *what, ...)
{
    va_list args;
    va_start(args, what);
    g_autofree gchar *context = g_strdup_vprintf(what, args);
    va_end(args);
    const char *message = virGetLastErrorMessage();
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT, "%s: %s", context, message);
    return FALSE;
}

static const char *environment_uri(void)
{
    static const char *const names[] = {"VIRSH_DEFAULT_CONNECT_URI", "LIBVIRT_DEFAULT_URI", NULL};
    for (const char *const *name = names; *name; name++) {
        const char *value = g_getenv(*name);
        if (value && *value) {
            return value;
        }
    }
    return NULL;
}

/* What usually helps, from the kind of failure. */
static const char *connection_hint(void)
{
    const virError *last = virGetLastError();
    const char *text = last && last->message ? last->message : "";
    if (last && (last->code == VIR_ERR_AUTH_CANCELLED || last->code == VIR_ERR_AUTH_FAILED ||
                 last->code == VIR_ERR_AUTH_UNAVAILABLE)) {
        return "run it as root, as a member of the group 'libvirt', or name another libvirt with --connect";
    }
    if (strstr(text, "Permission denied")) {
        return "run it as root, as a member of the group 'libvirt', or name another libvirt with --connect";
    }
    if (strstr(text, "No such file") || strstr(text, "Connection refused")) {
        return "is libvirt running? try 'systemctl start libvirtd.socket' (or virtqemud.socket)";
    }
    return "name the libvirt to use with --connect, such as qemu:///system";
}

typedef struct {
    virConnectAuthPtr original;
    CmdGuard *guard;
} Ask;

/* Who types a password takes his time. */
static int ask(virConnectCredentialPtr credentials, unsigned int count, void *data)
{
    const Ask *job = data;
    cmd_guard_pause(job->guard);
    int result = job->original->cb(credentials, count, job->original->cbdata);
    cmd_guard_resume(job->guard);
    return result;
}

VirConnection *cmd_connect(const CmdContext *context, GError **error)
{
    if (!cmd_libvirt_load(error)) {
        return NULL;
    }
    virSetErrorFunc(NULL, ignore_error);
    const char *uri = cmd_context_get(context, "connect");
    if (!uri) {
        uri = environment_uri();
    }
    unsigned int flags = cmd_context_has(context, "readonly") ? VIR_CONNECT_RO : 0;
    Ask job = {.original = cmd_libvirt_auth(), .guard = context->guard};
    virConnectAuth auth = *job.original;
    auth.cb = ask;
    auth.cbdata = &job;
    VirConnection *connection = virConnectOpenAuth(uri, &auth, flags);
    if (!connection) {
        const char *hint = connection_hint();
        cmd_libvirt_error(error, "cannot connect to %s", uri ? uri : "libvirt");
        if (error) {
            g_autofree gchar *text = g_strdup_printf("%s\n%s", (*error)->message, hint);
            g_free((*error)->message);
            (*error)->message = g_steal_pointer(&text);
        }
    }
    return connection;
}

gboolean cmd_require_local(virConnectPtr connection, GError **error)
{
    g_autoptr(VirString) text = virConnectGetURI(connection);
    if (!text) {
        return cmd_libvirt_error(error, "cannot tell which libvirt this is");
    }
    g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_PARSE_RELAXED, NULL);
    const char *host = uri ? g_uri_get_host(uri) : NULL;
    if (host && *host && !g_str_equal(host, "localhost")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "'%s' is another machine, and measuring reads firmware and kernel where the domain starts: run "
                    "virt-attest there",
                    text);
        return FALSE;
    }
    return TRUE;
}

gboolean cmd_require_hook(virConnectPtr connection, GError **error)
{
    if (!cmd_require_local(connection, error)) {
        return FALSE;
    }
    g_autoptr(VirString) text = virConnectGetURI(connection);
    g_autoptr(GUri) uri = text ? g_uri_parse(text, G_URI_FLAGS_PARSE_RELAXED, NULL) : NULL;
    const char *scheme = uri ? g_uri_get_scheme(uri) : "";
    const char *path = uri ? g_uri_get_path(uri) : "";
    if ((g_str_equal(scheme, "qemu") || g_str_has_prefix(scheme, "qemu+")) &&
        (g_str_equal(path, "/system") || g_str_equal(path, "/session"))) {
        return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                "'%s' is not the libvirt whose hook reads what is pinned here: use qemu:///system%s", text ? text : "",
                geteuid() == 0 ? "" : " or qemu:///session");
    return FALSE;
}

/* "/system" or "/session"; "" when it cannot be told. */
static gchar *uri_path(virConnectPtr connection)
{
    g_autoptr(VirString) text = virConnectGetURI(connection);
    g_autoptr(GUri) uri = text ? g_uri_parse(text, G_URI_FLAGS_PARSE_RELAXED, NULL) : NULL;
    return g_strdup(uri ? g_uri_get_path(uri) : "");
}

/* An ordinary user who talks to the system's daemon means the domains that the system's hook decides about. */
static gboolean use_system_state(CmdContext *context, virConnectPtr connection, GError **error)
{
    if (geteuid() == 0 || context->store) {
        return TRUE;
    }
    g_autofree gchar *path = uri_path(connection);
    if (!g_str_equal(path, "/system")) {
        return TRUE;
    }
    if (!cmd_context_get(context, "config") && !g_getenv("VIRT_ATTEST_CONFIG") &&
        g_file_test(CONFIG_FILE, G_FILE_TEST_EXISTS)) {
        g_clear_pointer(&context->config, policy_config_free);
        context->config = policy_config_load(CONFIG_FILE, error);
    }
    PolicyConfig *config = cmd_context_config(context, error);
    if (!config) {
        return FALSE;
    }
    g_autofree gchar *own = g_build_filename(g_get_user_state_dir(), "virt-attest", NULL);
    if (g_str_equal(config->state_directory, own)) {
        g_free(config->state_directory);
        config->state_directory = g_strdup(STATE_DIRECTORY);
    }
    return TRUE;
}

static gboolean same_folder(const char *left, const char *right)
{
    g_autofree gchar *a = g_canonicalize_filename(left, "/");
    g_autofree gchar *b = g_canonicalize_filename(right, "/");
    g_autoptr(VirString) real_a = realpath(a, NULL);
    g_autoptr(VirString) real_b = realpath(b, NULL);
    return g_str_equal(a, b) || (real_a && real_b && g_str_equal(real_a, real_b));
}

static gboolean refuse_folder(const char *variable, const char *folder, const char *what, const char *hook_folder,
                              GError **error)
{
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                "%s is '%s', but libvirt does not tell its hooks: the hook would look for %s in '%s', so what is "
                "pinned would not count; unset %s and run this command again",
                variable, folder, what, hook_folder, variable);
    return FALSE;
}

/* Of a user's own environment libvirt hands HOME to the hook, and no XDG_… variable. */
static gboolean check_session_folders(CmdContext *context, GError **error)
{
    PolicyConfig *config = cmd_context_config(context, error);
    if (!config) {
        return FALSE;
    }
    g_autofree gchar *state = g_build_filename(g_get_user_state_dir(), "virt-attest", NULL);
    g_autofree gchar *hook_state_home = g_build_filename(g_get_home_dir(), ".local", "state", NULL);
    if (g_str_equal(config->state_directory, state) && !same_folder(g_get_user_state_dir(), hook_state_home)) {
        return refuse_folder("XDG_STATE_HOME", g_get_user_state_dir(), "the pinned reference", hook_state_home, error);
    }
    g_autofree gchar *hook_config_home = g_build_filename(g_get_home_dir(), ".config", NULL);
    g_autofree gchar *file = g_build_filename(g_get_user_config_dir(), "virt-attest", "virt-attest.conf", NULL);
    g_autofree gchar *hook_file = g_build_filename(hook_config_home, "virt-attest", "virt-attest.conf", NULL);
    gboolean chosen = cmd_context_get(context, "config") || g_getenv("VIRT_ATTEST_CONFIG");
    gboolean exists = g_file_test(file, G_FILE_TEST_EXISTS) || g_file_test(hook_file, G_FILE_TEST_EXISTS);
    if (!chosen && exists && !same_folder(g_get_user_config_dir(), hook_config_home)) {
        return refuse_folder("XDG_CONFIG_HOME", g_get_user_config_dir(), "its configuration", hook_config_home, error);
    }
    return TRUE;
}

/* The libvirt of one user, which that user's own daemon runs. */
static gboolean is_user_session(virConnectPtr connection)
{
    g_autofree gchar *path = uri_path(connection);
    return geteuid() != 0 && g_str_equal(path, "/session");
}

PolicyStore *cmd_context_store_for(CmdContext *context, virConnectPtr connection, GError **error)
{
    return use_system_state(context, connection, error) ? cmd_context_store(context, error) : NULL;
}

PolicyStore *cmd_context_store_writable_for(CmdContext *context, virConnectPtr connection, GError **error)
{
    if (!cmd_require_hook(connection, error) || !use_system_state(context, connection, error) ||
        (is_user_session(connection) && !check_session_folders(context, error))) {
        return NULL;
    }
    return cmd_context_store_writable(context, error);
}

const char *cmd_domain_word(const CmdContext *context)
{
    const char *named = cmd_context_get(context, "domain");
    return named ? named : cmd_context_word(context, 0);
}

gboolean cmd_domain_lookup_name(virConnectPtr connection, const char *name, VirDomainHandle **out, GError **error)
{
    *out = virDomainLookupByName(connection, name);
    if (!*out && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN) {
        return cmd_libvirt_error(error, "cannot look for domain '%s'", name);
    }
    return TRUE;
}

VirDomainHandle *cmd_domain_lookup(virConnectPtr connection, const char *word, GError **error)
{
    guint64 id;
    VirDomainHandle *domain = NULL;
    if (g_ascii_string_to_unsigned(word, 10, 0, G_MAXINT, &id, NULL)) {
        domain = virDomainLookupByID(connection, (int)id);
    }
    if (!domain && strlen(word) == VIR_UUID_STRING_BUFLEN - 1) {
        domain = virDomainLookupByUUIDString(connection, word);
    }
    if (!domain) {
        domain = virDomainLookupByName(connection, word);
    }
    if (!domain) {
        cmd_libvirt_error(error, "cannot find domain '%s'", word);
        if (virGetLastErrorCode() == VIR_ERR_NO_DOMAIN) {
            g_clear_error(error);
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                        "there is no domain '%s': 'virt-attest list --all' shows the domains of this libvirt", word);
        }
    }
    return domain;
}

gchar *cmd_domain_xml(virDomainPtr domain, GError **error)
{
    unsigned int flags = virDomainIsPersistent(domain) == 1 ? VIR_DOMAIN_XML_INACTIVE : 0;
    /* Secrets are part of what is defined again, but a connection for reading only does not get them. */
    g_autoptr(VirString) xml = virDomainGetXMLDesc(domain, flags | VIR_DOMAIN_XML_SECURE);
    if (!xml) {
        xml = virDomainGetXMLDesc(domain, flags);
    }
    if (!xml) {
        cmd_libvirt_error(error, "cannot read the XML of domain '%s'", virDomainGetName(domain));
        return NULL;
    }
    return g_strdup(xml);
}

const char *cmd_domain_state(virDomainPtr domain)
{
    static const char *const words[] = {"no state",    "running",  "idle",    "paused",
                                        "in shutdown", "shut off", "crashed", "pmsuspended"};
    int state = 0;
    if (virDomainGetState(domain, &state, NULL, 0) < 0 || state < 0 || state >= (int)G_N_ELEMENTS(words)) {
        return "unknown";
    }
    return words[state];
}

gboolean cmd_domain_uuid(virDomainPtr domain, gchar **out, GError **error)
{
    char text[VIR_UUID_STRING_BUFLEN];
    if (virDomainGetUUIDString(domain, text) < 0) {
        return cmd_libvirt_error(error, "cannot read the UUID of domain '%s'", virDomainGetName(domain));
    }
    *out = g_strdup(text);
    return TRUE;
}
