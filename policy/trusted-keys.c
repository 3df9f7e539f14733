/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The folder with the public keys one of which must have signed every pinned reference. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/error.h"
#include "policy/envelope.h"
#include "policy/key-private.h"
#include "policy/store.h"

#define MAX_KEYS 64

static gboolean folder_error(GError **error, const char *directory, const char *reason)
{
    g_autofree gchar *shown = measure_printable(directory);

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED, "the folder of trusted keys '%s': %s", shown, reason);
    return FALSE;
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const gchar *const *)a, *(const gchar *const *)b);
}

/* Trust is never switched off in silence: only a folder that nobody has made or named may be missing. */
static gboolean may_be_missing(const PolicyConfig *config, GError **error)
{
    struct stat st;

    if (config->names_trusted_keys)
        return folder_error(error, config->trusted_keys,
                            "it is missing, and the configuration names it; make it: mkdir -m 0755 FOLDER");
    if (lstat(config->trusted_keys, &st) == 0)
        return folder_error(error, config->trusted_keys, "it is a link to something that is missing");
    return errno == ENOENT || folder_error(error, config->trusted_keys, g_strerror(errno));
}

/* A file that somebody may have meant as a key: FALSE for notes and what editors and package tools leave hidden. */
static gboolean looks_meant(int folder, const char *name)
{
    struct stat st;

    return name[0] != '.' && !g_str_has_prefix(name, "README") && fstatat(folder, name, &st, 0) == 0 &&
           S_ISREG(st.st_mode);
}

/* The names of the keys, sorted: messages and the key that is named do not depend on the file system. */
static gboolean list_names(const PolicyConfig *config, GPtrArray *names, GError **error)
{
    const char *directory = config->trusted_keys;
    g_autofree gchar *other = NULL;
    g_auto(PolicyFd) fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    DIR *folder = NULL;
    struct dirent *entry = NULL;

    if (fd < 0 && errno == ENOENT)
        return may_be_missing(config, error);
    if (fd < 0 || fstat(fd, &st) < 0)
        return folder_error(error, directory, g_strerror(errno));
    /* Who may write here decides which references count. */
    if (!policy_owner_only_writes(&st))
        return folder_error(error, directory,
                            "others than root and the user may write to it; give it to root alone: chown root: FOLDER; chmod "
                            "0755 FOLDER");
    folder = fdopendir(fd);
    if (!folder)
        return folder_error(error, directory, g_strerror(errno));
    fd = -1;
    for (errno = 0; (entry = readdir(folder)); errno = 0) {
        if (entry->d_name[0] != '.' && g_str_has_suffix(entry->d_name, ".pem")) {
            g_ptr_array_add(names, g_strdup(entry->d_name));
        } else if ((!other || strcmp(entry->d_name, other) < 0) && looks_meant(dirfd(folder), entry->d_name)) {
            g_free(other);
            other = g_strdup(entry->d_name);
        }
    }
    int failed = errno;
    closedir(folder);
    if (failed)
        return folder_error(error, directory, g_strerror(failed));
    if (!names->len && other) {
        g_autofree gchar *shown = measure_printable(other);
        g_autofree gchar *reason =
            g_strdup_printf("there is no NAME.pem in it, only '%s'; name the keys so, or take the file away", shown);

        return folder_error(error, directory, reason);
    }
    g_ptr_array_sort(names, compare_names);
    return names->len <= MAX_KEYS || folder_error(error, directory, "there are more than 64 keys in it");
}

GPtrArray *policy_trusted_keys_load(const PolicyConfig *config, GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func((GDestroyNotify)policy_key_free);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    if (!list_names(config, names, error))
        return NULL;
    for (guint i = 0; i < names->len; i++) {
        g_autofree gchar *path = g_build_filename(config->trusted_keys, g_ptr_array_index(names, i), NULL);
        g_autoptr(GError) cause = NULL;
        PolicyKey *key = policy_key_load_trusted(path, POLICY_KEY_P384 | POLICY_KEY_ED25519, "trusted key", &cause);

        /* A key that is left out in silence would make good references bad; one that cannot be read may be the one that
         * was meant to replace another. */
        if (!key) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED, "%s", cause->message);
            return NULL;
        }
        g_ptr_array_add(keys, key);
    }
    return g_steal_pointer(&keys);
}
