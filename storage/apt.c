/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * apt is asked, not its files: it knows every form of a sources list and every place that one can lie in.
 */
#include "storage/apt.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "storage/process.h"

#define OUTPUT_MAX (64 * 1024 * 1024)
#define APT_HELPER "/usr/lib/apt/apt-helper"

/* One archive and suite that this machine uses. */
typedef struct {
    gchar *uri, *suite, *keyring;
} Used;

static void used_free(gpointer data)
{
    Used *used = data;

    g_free(used->uri);
    g_free(used->suite);
    g_free(used->keyring);
    g_free(used);
}

static void source_free(gpointer data)
{
    StorageAptSource *source = data;

    g_free(source->uri);
    g_free(source->suite);
    g_free(source);
}

void storage_apt_free(StorageApt *apt)
{
    if (!apt)
        return;
    g_free(apt->keyring);
    g_clear_pointer(&apt->sources, g_ptr_array_unref);
    g_free(apt);
}

/* Standard output of a program. */
static gchar *read_output(const char *const *argv, const char *what, GError **error)
{
    static const char *const environment[] = {"LC_ALL=C", NULL};
    const StorageProcessOptions options = {.environment = environment, .want_output = TRUE};
    g_autoptr(StorageProcess) process = storage_process_start(argv, &options, error);
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[4096];
    ssize_t got;

    if (!process)
        return NULL;
    while ((got = read(storage_process_output(process), buffer, sizeof buffer)) != 0 && text->len < OUTPUT_MAX) {
        if (got > 0)
            g_string_append_len(text, buffer, got);
        else if (!storage_interrupt_check(error))
            return NULL;
    }
    return storage_process_wait(process, what, error) ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

static GPtrArray *read_used(GError **error)
{
    static const char *const argv[] = {"apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(SIGNED_BY)|",
                                       "Created-By: Packages", NULL};
    g_autofree gchar *text = read_output(argv, "name its sources", error);
    g_auto(GStrv) lines = text ? g_strsplit(text, "\n", -1) : NULL;
    GPtrArray *list;

    if (!lines)
        return NULL;
    list = g_ptr_array_new_with_free_func(used_free);
    for (gchar **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, "|", 4);

        if (g_strv_length(words) == 4) {
            Used *used = g_new0(Used, 1);

            used->uri = g_strdup(words[0]);
            used->suite = g_strdup(words[1]);
            /* apt leaves the name of what is not set. */
            used->keyring = *words[2] == '/' ? g_strdup(words[2]) : NULL;
            g_ptr_array_add(list, used);
        }
    }
    return list;
}

static StorageDistribution own_distribution(void)
{
    g_autofree gchar *id = g_get_os_info(G_OS_INFO_KEY_ID);

    return g_strcmp0(id, "ubuntu") == 0 ? STORAGE_DISTRIBUTION_UBUNTU : STORAGE_DISTRIBUTION_DEBIAN;
}

/* By its name, and by this machine's distribution for a name that is not known yet. */
static StorageDistribution distribution_of(const char *suite)
{
    static const char *const debian[] = {"buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid", "oldstable",
                                         "stable", "testing", "unstable", NULL};
    static const char *const ubuntu[] = {"focal", "jammy", "noble", "plucky", "questing", "resolute", NULL};

    if (g_strv_contains(debian, suite))
        return STORAGE_DISTRIBUTION_DEBIAN;
    return g_strv_contains(ubuntu, suite) ? STORAGE_DISTRIBUTION_UBUNTU : own_distribution();
}

static gboolean is_suite_of(const char *suite, const char *ending)
{
    return g_str_has_suffix(suite, ending) && strlen(suite) > strlen(ending);
}

/*
 * The archive that this machine takes a suite without ending ("bookworm", @ending "") or its updates ("-updates",
 * "-security") from. Suites of other origins (backports and third parties have endings or unknown names) do not count.
 */
static const Used *find_used(GPtrArray *list, StorageDistribution distribution, const char *ending)
{
    for (guint i = 0; i < list->len; i++) {
        const Used *used = g_ptr_array_index(list, i);
        g_autofree gchar *name = NULL;

        if (*ending && !is_suite_of(used->suite, ending))
            continue;
        name = g_strndup(used->suite, strlen(used->suite) - strlen(ending));
        if (strspn(name, "abcdefghijklmnopqrstuvwxyz") == strlen(name) && distribution_of(name) == distribution &&
            (distribution == own_distribution() || strcmp(name, "stable") != 0))
            return used;
    }
    return NULL;
}

/* Whether the archive has the suite: fetches its Release file to @path. */
static gboolean fetch_release(const char *uri, const char *suite, const char *path, GError **error)
{
    g_autofree gchar *address = g_strdup_printf("%sdists/%s/InRelease", uri, suite);
    const char *argv[] = {APT_HELPER, "-q", "-oAPT::Sandbox::User=root", "download-file", address, path, NULL};

    return storage_process_run(argv, NULL, "fetch the suite's Release file", error);
}

/* "Date: Sat, 21 Nov 2026 09:15:44 UTC" */
static gboolean read_date(const char *path, gint64 *epoch, GError **error)
{
    g_autofree gchar *text = NULL;
    const char *line;
    struct tm date = {0};
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char month[4] = "";
    const char *at;

    if (!g_file_get_contents(path, &text, NULL, error))
        return FALSE;
    line = strstr(text, "\nDate: ");
    if (line && sscanf(line + 7, "%*3s, %d %3s %d %d:%d:%d", &date.tm_mday, month, &date.tm_year, &date.tm_hour,
                       &date.tm_min, &date.tm_sec) == 6 &&
        (at = strstr(months, month)) && (at - months) % 3 == 0) {
        date.tm_mon = (int)((at - months) / 3);
        date.tm_year -= 1900;
        *epoch = (gint64)timegm(&date);
        if (*epoch > 0)
            return TRUE;
    }
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the mirror's Release file has no date");
    return FALSE;
}

static void add_source(StorageApt *apt, const char *uri, const char *suite)
{
    StorageAptSource *source = g_new0(StorageAptSource, 1);

    source->uri = g_str_has_suffix(uri, "/") ? g_strdup(uri) : g_strconcat(uri, "/", NULL);
    source->suite = g_strdup(suite);
    g_ptr_array_add(apt->sources, source);
}

static gboolean no_mirror(const char *suite, StorageDistribution distribution, GError **error)
{
    const char *name = distribution == STORAGE_DISTRIBUTION_UBUNTU ? "Ubuntu" : "Debian";

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                "this machine's apt sources name no %s mirror, and '%s' is a suite of %s: give one with --mirror URI", name,
                suite, name);
    return FALSE;
}

/* The suite, and with it the updates that the machine itself takes, where the mirror has them for this suite. */
static gboolean choose_sources(StorageApt *apt, const char *suite, const char *mirror, StorageWorkdir *workdir, GError **error)
{
    static const char *const endings[] = {"-updates", "-security"};
    g_autoptr(GPtrArray) used = mirror ? NULL : read_used(error);
    const Used *main_one = used ? find_used(used, apt->distribution, "") : NULL;
    g_autofree gchar *release = g_build_filename(storage_workdir_path(workdir), "InRelease", NULL);
    const StorageAptSource *first;

    if (!mirror && !used)
        return FALSE;
    if (!mirror && !main_one)
        return no_mirror(suite, apt->distribution, error);
    add_source(apt, mirror ? mirror : main_one->uri, suite);
    first = g_ptr_array_index(apt->sources, 0);
    if (!fetch_release(first->uri, suite, release, error)) {
        g_autofree gchar *public = storage_apt_public_uri(first->uri);

        g_prefix_error(error, "cannot get suite '%s' from %s: ", suite, public);
        return FALSE;
    }
    if (!read_date(release, &apt->epoch, error))
        return FALSE;
    if (main_one && !apt->keyring)
        apt->keyring = g_strdup(main_one->keyring);
    for (gsize i = 0; i < G_N_ELEMENTS(endings); i++) {
        g_autofree gchar *name = g_strconcat(suite, endings[i], NULL);
        const Used *like = used ? find_used(used, apt->distribution, endings[i]) : NULL;
        const char *uri = like ? like->uri : mirror && apt->distribution == STORAGE_DISTRIBUTION_UBUNTU ? first->uri : NULL;
        g_autofree gchar *path = g_build_filename(storage_workdir_path(workdir), name, NULL);

        /* sid has neither, testing may lack one. */
        if (uri && fetch_release(uri, name, path, NULL))
            add_source(apt, uri, name);
        if (!storage_interrupt_check(error))
            return FALSE;
    }
    return TRUE;
}

static gboolean choose_keyring(StorageApt *apt, const char *keyring, GError **error)
{
    static const char *const known[2][3] = {
        {"/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp", NULL},
        {"/usr/share/keyrings/ubuntu-archive-keyring.gpg", "/usr/share/keyrings/ubuntu-archive-keyring.pgp", NULL}};
    const char *package = apt->distribution == STORAGE_DISTRIBUTION_UBUNTU ? "ubuntu-keyring" : "debian-archive-keyring";

    if (keyring) {
        g_free(apt->keyring);
        apt->keyring = g_canonicalize_filename(keyring, NULL);
        if (access(apt->keyring, R_OK) == 0 && !strpbrk(apt->keyring, " \t[],"))
            return TRUE;
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "cannot read the keyring given with --keyring (or there is a blank in its name)");
        return FALSE;
    }
    for (const char *const *path = known[apt->distribution]; *path && !apt->keyring; path++) {
        if (access(*path, R_OK) == 0)
            apt->keyring = g_strdup(*path);
    }
    if (apt->keyring && access(apt->keyring, R_OK) == 0)
        return TRUE;
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED,
                "the keys that sign this distribution's suites are not here: install %s or give --keyring FILE", package);
    return FALSE;
}

static gboolean check_names(const char *suite, const char *mirror, GError **error)
{
    static const char *const schemes[] = {"http://", "https://", "file:///", NULL};
    gboolean known = !mirror;

    if (!*suite || strspn(suite, "abcdefghijklmnopqrstuvwxyz0123456789.-") != strlen(suite) || *suite == '-' || *suite == '.') {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--suite: a suite is a name such as trixie");
        return FALSE;
    }
    for (const char *const *scheme = schemes; *scheme && mirror; scheme++)
        known |= g_str_has_prefix(mirror, *scheme);
    for (const char *c = mirror; c && *c; c++)
        known = known && g_ascii_isgraph(*c) && *c != '[' && *c != ']';
    if (!known)
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--mirror: give the address of an archive, http:// or https://");
    return known;
}

StorageApt *storage_apt_new(const char *suite, const char *mirror, const char *keyring, StorageWorkdir *workdir, GError **error)
{
    g_autoptr(StorageApt) apt = g_new0(StorageApt, 1);

    if (!check_names(suite, mirror, error))
        return NULL;
    apt->distribution = distribution_of(suite);
    /* The boot loader is in universe. */
    apt->components = apt->distribution == STORAGE_DISTRIBUTION_UBUNTU ? "main universe" : "main";
    apt->sources = g_ptr_array_new_with_free_func(source_free);
    if (!choose_sources(apt, suite, mirror, workdir, error) || !choose_keyring(apt, keyring, error))
        return NULL;
    return g_steal_pointer(&apt);
}

gchar *storage_apt_public_uri(const char *uri)
{
    const char *host = strstr(uri, "://");
    gsize authority = host ? strcspn(host + 3, "/") : 0;
    const char *at = host ? g_strrstr_len(host + 3, (gssize)authority, "@") : NULL;

    return at ? g_strdup_printf("%.*s%s", (int)(host + 3 - uri), uri, at + 1) : g_strdup(uri);
}

gchar *storage_apt_lines(const StorageApt *apt, gboolean inside)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < apt->sources->len; i++) {
        const StorageAptSource *source = g_ptr_array_index(apt->sources, i);
        g_autofree gchar *public = storage_apt_public_uri(source->uri);

        if (inside)
            g_string_append_printf(text, "deb %s %s %s\n", public, source->suite, apt->components);
        else
            g_string_append_printf(text, "deb [arch=amd64 signed-by=%s] %s %s %s\n", apt->keyring, source->uri, source->suite,
                                   apt->components);
    }
    return g_string_free(text, FALSE);
}

gchar *storage_apt_settings(GError **error)
{
    /* Not the ones that accept what is unsigned. */
    static const char *const wanted[] = {"Acquire::http", "Acquire::https", "Acquire::Check-Valid-Until", "Acquire::Check-Date",
                                         "Acquire::Max-FutureTime", "Acquire::Retries", "Acquire::Queue-Mode",
                                         "Acquire::ForceIPv4", "Acquire::ForceIPv6", "Acquire::By-Hash", "Acquire::Timeout",
                                         NULL};
    static const char *const argv[] = {"apt-config", "dump", NULL};
    g_autofree gchar *text = read_output(argv, "say its settings", error);
    g_auto(GStrv) lines = text ? g_strsplit(text, "\n", -1) : NULL;
    GString *out;

    if (!lines)
        return NULL;
    out = g_string_new("Acquire::Languages \"none\";\nAPT::Install-Recommends \"false\";\n");
    for (gchar **line = lines; *line; line++) {
        gsize name = strcspn(*line, " ");

        for (const char *const *each = wanted; *each; each++) {
            gsize length = strlen(*each);

            if (g_ascii_strncasecmp(*line, *each, length) == 0 && (name == length || (*line)[length] == ':') &&
                !g_str_has_suffix(*line, " \"\";"))
                g_string_append_printf(out, "%s\n", *line);
        }
    }
    return g_string_free(out, FALSE);
}

/* Options that make apt-get and apt-cache work on a state of their own below @folder. */
static GPtrArray *private_apt(const char *program, const char *folder)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(argv, g_strdup(program));
    g_ptr_array_add(argv, g_strdup("-qq"));
    g_ptr_array_add(argv, g_strdup_printf("-oDir::State=%s/state", folder));
    g_ptr_array_add(argv, g_strdup_printf("-oDir::Cache=%s/cache", folder));
    g_ptr_array_add(argv, g_strdup_printf("-oDir::State::status=%s/status", folder));
    g_ptr_array_add(argv, g_strdup_printf("-oDir::Etc::SourceList=%s/sources.list", folder));
    g_ptr_array_add(argv, g_strdup("-oDir::Etc::SourceParts=/dev/null"));
    g_ptr_array_add(argv, g_strdup("-oDir::Etc::Preferences=/dev/null"));
    g_ptr_array_add(argv, g_strdup("-oDir::Etc::PreferencesParts=/dev/null"));
    g_ptr_array_add(argv, g_strdup("-oAPT::Architecture=amd64"));
    g_ptr_array_add(argv, g_strdup("-oAPT::Architectures::=amd64"));
    g_ptr_array_add(argv, g_strdup("-oAcquire::Languages=none"));
    g_ptr_array_add(argv, g_strdup("-oAPT::Sandbox::User=root"));
    g_ptr_array_add(argv, g_strdup("-oAPT::Update::Error-Mode=any"));
    return argv;
}

static gboolean update_lists(const StorageApt *apt, StorageWorkdir *workdir, GError **error)
{
    static const char *const folders[] = {"state/lists/partial", "cache/archives/partial"};
    const char *folder = storage_workdir_path(workdir);
    g_autofree gchar *lines = storage_apt_lines(apt, FALSE);
    g_autofree gchar *sources = storage_workdir_put(workdir, "sources.list", 0600, lines, strlen(lines), error);
    g_autofree gchar *status = sources ? storage_workdir_put(workdir, "status", 0600, "", 0, error) : NULL;
    g_autoptr(GPtrArray) argv = private_apt("apt-get", folder);

    for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree gchar *path = g_build_filename(folder, folders[i], NULL);

        g_mkdir_with_parents(path, 0700);
    }
    g_ptr_array_add(argv, g_strdup("update"));
    g_ptr_array_add(argv, NULL);
    return status && storage_process_run((const char *const *)argv->pdata, NULL, "read the mirror's lists of packages", error);
}

GPtrArray *storage_apt_missing(const StorageApt *apt, GPtrArray *wanted, StorageWorkdir *workdir, GError **error)
{
    g_autoptr(GPtrArray) argv = private_apt("apt-cache", storage_workdir_path(workdir));
    g_autoptr(GHashTable) there = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree gchar *text = NULL;
    g_auto(GStrv) lines = NULL;
    GPtrArray *missing;

    if (!update_lists(apt, workdir, error))
        return NULL;
    g_ptr_array_add(argv, g_strdup("madison"));
    for (guint i = 0; i < wanted->len; i++) {
        const char *word = g_ptr_array_index(wanted, i);

        g_ptr_array_add(argv, g_strndup(word, strcspn(word, ":=")));
    }
    g_ptr_array_add(argv, NULL);
    text = read_output((const char *const *)argv->pdata, "look up versions", error);
    if (!text)
        return NULL;
    /* "  NAME | VERSION | ADDRESS SUITE/COMPONENT ARCHITECTURE Packages" */
    lines = g_strsplit(text, "\n", -1);
    for (gchar **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, "|", 3);

        if (g_strv_length(words) == 3)
            g_hash_table_add(there, g_strdup_printf("%s=%s", g_strstrip(words[0]), g_strstrip(words[1])));
    }
    missing = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < wanted->len; i++) {
        const char *word = g_ptr_array_index(wanted, i);
        g_autofree gchar *key = g_strdup_printf("%.*s%s", (int)strcspn(word, ":="), word, strchr(word, '=') ? strchr(word, '=') : "");

        if (!g_hash_table_contains(there, key))
            g_ptr_array_add(missing, g_strdup(word));
    }
    return missing;
}
