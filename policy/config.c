/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/error.h"
#include "policy/text.h"

#define CONFIG_MAX_SIZE (1024u * 1024)

static const char *const default_snp_cpus[] = {
    /* QEMU's models of SNP-capable processors, then what the silicon itself says where that differs from the models:
     * Milan-X, Genoa, Genoa-X, Bergamo and Siena, Turin. */
    "EPYC-Milan", "EPYC-Genoa", "EPYC-Turin", "0xa00f12", "0xa10f11", "0xa10f12", "0xaa0f02", "0xb00f21", NULL,
};
static const char *const default_sev_cpus[] = {"EPYC", "EPYC-Rome", NULL};

static gboolean config_error(GError **error, const PolicyConfig *config, const char *group, const char *key,
                             const char *format, ...) G_GNUC_PRINTF(5, 6);

static gboolean config_error(GError **error, const PolicyConfig *config, const char *group, const char *key,
                             const char *format, ...)
{
    g_autofree gchar *text = NULL;
    g_autofree gchar *whole = NULL;
    g_autofree gchar *line = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    if (key)
        whole = g_strdup_printf("configuration '%s', group [%s], key '%s': %s", config->path, group, key, text);
    else
        whole = g_strdup_printf("configuration '%s': %s", config->path, text);
    /* It quotes names, values and lines of the file. */
    line = policy_one_line(whole, 2048);
    g_set_error_literal(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, line);
    return FALSE;
}

/* Lists are separated by ';', ',' or blanks: none of our words has one inside. */
static gchar **split_list(const char *text)
{
    g_auto(GStrv) words = g_strsplit_set(text, ";, \t", -1);
    GPtrArray *kept = g_ptr_array_new();

    for (guint i = 0; words[i]; i++) {
        if (*words[i])
            g_ptr_array_add(kept, g_strdup(words[i]));
    }
    g_ptr_array_add(kept, NULL);
    return (gchar **)g_ptr_array_free(kept, FALSE);
}

static void add_cpus(GPtrArray *cpus, const char *const *texts)
{
    for (guint i = 0; texts[i]; i++) {
        g_autoptr(GError) error = NULL;
        MeasureCpu *cpu = measure_cpu_from_text(texts[i], &error);

        /* The list is a constant of this file; a name that the catalogue does not know would be a defect. */
        if (cpu)
            g_ptr_array_add(cpus, cpu);
        else
            g_warning("default CPU type: %s", error->message);
    }
}

static gboolean read_choice(const PolicyConfig *config, const char *group, const char *key, const char *value,
                            const char *const *choices, guint *out, GError **error)
{
    for (guint i = 0; choices[i]; i++) {
        if (!strcmp(value, choices[i])) {
            *out = i;
            return TRUE;
        }
    }
    g_autofree gchar *known = g_strjoinv("' or '", (gchar **)choices);
    return config_error(error, config, group, key, "'%s' is not known: use '%s'", value, known);
}

static gboolean read_number(const PolicyConfig *config, const char *group, const char *key, const char *value,
                            guint min, guint max, guint *out, GError **error)
{
    guint64 number = 0;

    if (!g_ascii_string_to_unsigned(value, 10, min, max, &number, NULL))
        return config_error(error, config, group, key, "'%s' is not a whole number from %u to %u", value, min, max);
    *out = (guint)number;
    return TRUE;
}

static gboolean read_unpinned(PolicyConfig *config, const char *group, const char *key, const char *value,
                              GError **error)
{
    static const char *const choices[] = {"observe", "refuse", NULL};
    guint choice = 0;

    if (!read_choice(config, group, key, value, choices, &choice, error))
        return FALSE;
    config->unpinned = choice == 0 ? POLICY_UNPINNED_OBSERVE : POLICY_UNPINNED_REFUSE;
    return TRUE;
}

static gboolean read_watchdog(PolicyConfig *config, const char *group, const char *key, const char *value,
                              GError **error)
{
    return read_number(config, group, key, value, 1, 60, &config->watchdog, error);
}

static gboolean read_history(PolicyConfig *config, const char *group, const char *key, const char *value,
                             GError **error)
{
    return read_number(config, group, key, value, 1, 10000, &config->history, error);
}

static gboolean read_allowed_cpus(PolicyConfig *config, const char *group, const char *key, const char *value,
                                  GError **error)
{
    g_auto(GStrv) words = split_list(value);
    g_autoptr(GPtrArray) cpus = g_ptr_array_new_with_free_func((GDestroyNotify)measure_cpu_free);

    for (guint i = 0; words[i]; i++) {
        g_autoptr(GError) cause = NULL;
        MeasureCpu *cpu = measure_cpu_from_text(words[i], &cause);

        if (!cpu)
            return config_error(error, config, group, key, "%s", cause->message);
        g_ptr_array_add(cpus, cpu);
    }
    if (!cpus->len)
        return config_error(error, config, group, key, "the list is empty: name at least one CPU model or signature");
    g_clear_pointer(&config->allowed_cpus, g_ptr_array_unref);
    config->allowed_cpus = g_steal_pointer(&cpus);
    config->default_cpus = FALSE;
    return TRUE;
}

static gboolean read_guest_features(PolicyConfig *config, const char *group, const char *key, const char *value,
                                    GError **error)
{
    gboolean hex = g_str_has_prefix(value, "0x");

    if (!g_ascii_string_to_unsigned(hex ? value + 2 : value, hex ? 16 : 10, 0, G_MAXUINT64, &config->guest_features,
                                    NULL))
        return config_error(error, config, group, key, "'%s' is not a number such as 0x1", value);
    return TRUE;
}

static gboolean read_sev_es_fpu(PolicyConfig *config, const char *group, const char *key, const char *value,
                                GError **error)
{
    static const char *const choices[] = {"legacy", "init2", NULL};
    guint choice = 0;

    if (!read_choice(config, group, key, value, choices, &choice, error))
        return FALSE;
    config->sev_es_fpu = choice == 0 ? MEASURE_FPU_LEGACY : MEASURE_FPU_INIT2;
    return TRUE;
}

static gboolean read_digests(const PolicyConfig *config, GPtrArray *digests, const char *group, const char *key,
                             const char *value, GError **error)
{
    g_auto(GStrv) words = split_list(value);

    for (guint i = 0; words[i]; i++) {
        guint8 digest[MEASURE_SHA256_SIZE];

        if (!measure_hex_decode(words[i], digest, sizeof(digest)))
            return config_error(error, config, group, key, "'%s' is not a SHA-256 digest of 64 hexadecimal digits",
                                words[i]);
        g_ptr_array_add(digests, measure_hex_encode(digest, sizeof(digest)));
    }
    return TRUE;
}

static gboolean read_trusted(PolicyConfig *config, const char *group, const char *key, const char *value,
                             GError **error)
{
    return read_digests(config, config->trusted_firmware, group, key, value, error);
}

static gboolean read_trusted_init(PolicyConfig *config, const char *group, const char *key, const char *value,
                                  GError **error)
{
    return read_digests(config, config->trusted_init, group, key, value, error);
}

static gboolean read_path(const PolicyConfig *config, gchar **out, const char *group, const char *key,
                          const char *value, GError **error)
{
    if (!g_path_is_absolute(value))
        return config_error(error, config, group, key, "'%s' is not an absolute path", value);
    g_free(*out);
    *out = g_strdup(value);
    return TRUE;
}

static gboolean read_guest_init(PolicyConfig *config, const char *group, const char *key, const char *value,
                                GError **error)
{
    return read_path(config, &config->guest_init, group, key, value, error);
}

static gboolean read_guest_report(PolicyConfig *config, const char *group, const char *key, const char *value,
                                  GError **error)
{
    return read_path(config, &config->guest_report, group, key, value, error);
}

static gboolean read_state_directory(PolicyConfig *config, const char *group, const char *key, const char *value,
                                     GError **error)
{
    return read_path(config, &config->state_directory, group, key, value, error);
}

static gboolean read_trusted_keys(PolicyConfig *config, const char *group, const char *key, const char *value,
                                  GError **error)
{
    config->names_trusted_keys = TRUE;
    return read_path(config, &config->trusted_keys, group, key, value, error);
}

typedef struct {
    const char *group, *key;
    gboolean (*read)(PolicyConfig *config, const char *group, const char *key, const char *value, GError **error);
} ConfigKey;

static const ConfigKey known_keys[] = {
    {"gate", "unpinned", read_unpinned},
    {"gate", "watchdog", read_watchdog},
    {"gate", "history", read_history},
    {"measure", "allowed-cpus", read_allowed_cpus},
    {"measure", "guest-features", read_guest_features},
    {"measure", "sev-es-fpu", read_sev_es_fpu},
    {"firmware", "trusted", read_trusted},
    {"guest", "init", read_guest_init},
    {"guest", "report", read_guest_report},
    {"guest", "trusted-init", read_trusted_init},
    {"reference", "trusted-keys", read_trusted_keys},
    {"paths", "state-directory", read_state_directory},
};

static const ConfigKey *find_key(const char *group, const char *key)
{
    for (gsize i = 0; i < G_N_ELEMENTS(known_keys); i++) {
        if (!strcmp(known_keys[i].group, group) && (!key || !strcmp(known_keys[i].key, key)))
            return &known_keys[i];
    }
    return NULL;
}

/* The keys of @group, or every group when it is %NULL, as "'a', 'b'". */
static gchar *known_words(const char *group)
{
    g_autoptr(GString) words = g_string_new(NULL);
    const char *last = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(known_keys); i++) {
        if (group ? strcmp(group, known_keys[i].group) != 0 : last && !strcmp(last, known_keys[i].group))
            continue;
        last = known_keys[i].group;
        g_string_append_printf(words, group ? "%s'%s'" : "%s[%s]", words->len ? ", " : "",
                               group ? known_keys[i].key : last);
    }
    return g_string_free(g_steal_pointer(&words), FALSE);
}

/*
 * GKeyFile lets the last of two equal keys win, in silence. In a file that
 * decides what may start, two answers to one question are an error.
 */
static gboolean refuse_duplicates(const PolicyConfig *config, const char *text, GError **error)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree gchar *group = g_strdup("");

    for (guint i = 0; lines[i]; i++) {
        gchar *line = g_strstrip(lines[i]);
        gchar *equals = strchr(line, '=');

        if (*line == '[') {
            gchar *end = strchr(line, ']');

            g_free(group);
            group = g_strndup(line + 1, end ? (gsize)(end - line - 1) : strlen(line + 1));
            if (!g_hash_table_add(seen, g_strdup_printf("[%s]", group)))
                return config_error(error, config, NULL, NULL, "line %u: group [%s] is there twice", i + 1, group);
        } else if (*line != '#' && equals) {
            g_autofree gchar *key = g_strchomp(g_strndup(line, (gsize)(equals - line)));

            if (!g_hash_table_add(seen, g_strdup_printf("%s\n%s", group, key)))
                return config_error(error, config, NULL, NULL, "line %u: key '%s' of group [%s] is there twice", i + 1,
                                    key, group);
        }
    }
    return TRUE;
}

static gboolean config_parse(PolicyConfig *config, const char *text, gsize size, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) cause = NULL;

    if (!g_utf8_validate_len(text, size, NULL))
        return config_error(error, config, NULL, NULL, "it is not a text file in UTF-8");
    /* Without the flag a key such as "unpinned[de]" would be dropped without a word. */
    if (!g_key_file_load_from_data(file, text, size, G_KEY_FILE_KEEP_TRANSLATIONS, &cause))
        return config_error(error, config, NULL, NULL, "%s", cause->message);
    if (!refuse_duplicates(config, text, error))
        return FALSE;

    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    for (guint g = 0; groups[g]; g++) {
        g_auto(GStrv) keys = g_key_file_get_keys(file, groups[g], NULL, NULL);

        if (!find_key(groups[g], NULL)) {
            g_autofree gchar *known = known_words(NULL);
            return config_error(error, config, NULL, NULL, "group [%s] is not known: the groups are %s", groups[g],
                                known);
        }
        for (guint k = 0; keys && keys[k]; k++) {
            const ConfigKey *key = find_key(groups[g], keys[k]);
            g_autofree gchar *value = NULL;

            if (!key) {
                g_autofree gchar *known = known_words(groups[g]);
                return config_error(error, config, groups[g], keys[k], "this key is not known: the group has %s",
                                    known);
            }
            value = g_key_file_get_string(file, groups[g], keys[k], &cause);
            /* A wrong escape sets the error and returns a string all the same. */
            if (!value || cause)
                return config_error(error, config, groups[g], keys[k], "%s",
                                    cause ? cause->message : "it has no value");
            if (!key->read(config, groups[g], keys[k], g_strstrip(value), error))
                return FALSE;
        }
    }
    return TRUE;
}

/*
 * Reads the file through one descriptor, so that what was checked is what is
 * read. Who may write here decides which firmware is trusted: only root and the
 * user who runs the program.
 */
static gboolean read_file(PolicyConfig *config, gboolean must_exist, gchar **text, gsize *size, GError **error)
{
    struct stat st;
    g_autofree gchar *data = NULL;
    gsize done = 0;
    int fd = open(config->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        if (errno == ENOENT && !must_exist)
            return TRUE;
        return config_error(error, config, NULL, NULL, "%s", g_strerror(errno));
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > CONFIG_MAX_SIZE) {
        close(fd);
        return config_error(error, config, NULL, NULL, "it is not a regular file of at most %u bytes", CONFIG_MAX_SIZE);
    }
    if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & S_IWOTH) ||
        ((st.st_mode & S_IWGRP) && st.st_gid != 0)) {
        close(fd);
        return config_error(error, config, NULL, NULL, "%s: give it to root and take the write permission from others",
                            st.st_mode & S_IWOTH                      ? "everybody may write to it"
                            : st.st_uid != 0 && st.st_uid != geteuid() ? "it belongs to another user"
                                                                       : "a group other than root's may write to it");
    }
    data = g_malloc(CONFIG_MAX_SIZE + 1);
    for (;;) {
        ssize_t got = read(fd, data + done, CONFIG_MAX_SIZE + 1 - done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || done + (gsize)got > CONFIG_MAX_SIZE) {
            int saved = got < 0 ? errno : EFBIG;
            close(fd);
            return config_error(error, config, NULL, NULL, "%s", g_strerror(saved));
        }
        if (got == 0)
            break;
        done += (gsize)got;
    }
    close(fd);
    data[done] = '\0';
    config->exists = TRUE;
    *size = done;
    *text = g_steal_pointer(&data);
    return TRUE;
}

static gchar *default_path(void)
{
    if (geteuid() != 0) {
        g_autofree gchar *own = g_build_filename(g_get_user_config_dir(), "virt-attest", "virt-attest.conf", NULL);

        if (g_file_test(own, G_FILE_TEST_EXISTS))
            return g_steal_pointer(&own);
    }
    return g_strdup(CONFIG_FILE);
}

static gchar *default_trusted_keys(void)
{
    g_autofree gchar *folder = g_path_get_dirname(CONFIG_FILE);

    return g_build_filename(folder, "trusted-keys.d", NULL);
}

gchar *policy_config_default_state_directory(void)
{
    return geteuid() == 0 ? g_strdup(STATE_DIRECTORY)
                          : g_build_filename(g_get_user_state_dir(), "virt-attest", NULL);
}

PolicyConfig *policy_config_load(const char *path, GError **error)
{
    g_autoptr(PolicyConfig) config = g_new0(PolicyConfig, 1);
    g_autofree gchar *text = NULL;
    gsize size = 0;

    if (!path)
        path = g_getenv("VIRT_ATTEST_CONFIG");
    config->path = path ? g_strdup(path) : default_path();
    config->unpinned = POLICY_UNPINNED_OBSERVE;
    config->watchdog = 10;
    config->history = 100;
    config->default_cpus = TRUE;
    config->sev_es_fpu = MEASURE_FPU_LEGACY;
    config->trusted_firmware = g_ptr_array_new_with_free_func(g_free);
    config->guest_init = g_strdup(LIBEXEC_DIRECTORY "/guest-init");
    config->guest_report = g_strdup(LIBEXEC_DIRECTORY "/guest-report");
    config->trusted_init = g_ptr_array_new_with_free_func(g_free);
    config->trusted_keys = default_trusted_keys();
    config->state_directory = policy_config_default_state_directory();
    config->allowed_cpus = g_ptr_array_new_with_free_func((GDestroyNotify)measure_cpu_free);
    add_cpus(config->allowed_cpus, default_snp_cpus);

    if (!read_file(config, path != NULL, &text, &size, error))
        return NULL;
    if (text && !config_parse(config, text, size, error))
        return NULL;
    return g_steal_pointer(&config);
}

GPtrArray *policy_config_cpus(const PolicyConfig *config, MeasurePlatform platform)
{
    GPtrArray *cpus = g_ptr_array_new_with_free_func((GDestroyNotify)measure_cpu_free);

    if (config->default_cpus && platform != MEASURE_PLATFORM_SNP)
        add_cpus(cpus, default_sev_cpus);
    for (guint i = 0; i < config->allowed_cpus->len; i++)
        g_ptr_array_add(cpus, measure_cpu_copy(g_ptr_array_index(config->allowed_cpus, i)));
    return cpus;
}

void policy_config_free(PolicyConfig *config)
{
    if (!config)
        return;
    g_free(config->path);
    g_free(config->state_directory);
    g_clear_pointer(&config->allowed_cpus, g_ptr_array_unref);
    g_clear_pointer(&config->trusted_firmware, g_ptr_array_unref);
    g_free(config->guest_init);
    g_free(config->guest_report);
    g_clear_pointer(&config->trusted_init, g_ptr_array_unref);
    g_free(config->trusted_keys);
    g_free(config);
}
