/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/error.h"
#include "policy/config.h"
#include "tests/unit/corpus-fixture.h"

static gchar *folder;

static gchar *put(const char *text, gssize size)
{
    gchar *path = g_build_filename(folder, "test.conf", NULL);
    g_autoptr(GError) error = NULL;

    g_file_set_contents_full(path, text, size, G_FILE_SET_CONTENTS_CONSISTENT, 0644, &error);
    g_assert_no_error(error);
    return path;
}

static PolicyConfig *load(const char *text)
{
    g_autofree gchar *path = put(text, -1);
    g_autoptr(GError) error = NULL;
    PolicyConfig *config = policy_config_load(path, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(config->path, ==, path);
    g_assert_true(config->exists);
    return config;
}

static void refused_bytes(const char *text, gssize size, const char *says)
{
    g_autofree gchar *path = put(text, size);
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyConfig) config = policy_config_load(path, &error);

    if (config)
        g_error("this was taken: %s", text);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, path) || !strstr(error->message, says))
        g_error("'%s' is not in '%s'", says, error->message);
}

static void refused(const char *text, const char *says)
{
    refused_bytes(text, -1, says);
}

static void assert_cpu(const GPtrArray *cpus, guint index, const char *name, guint32 signature)
{
    const MeasureCpu *cpu = g_ptr_array_index(cpus, index);

    g_assert_cmpuint(index, <, cpus->len);
    g_assert_cmpstr(cpu->name, ==, name);
    g_assert_cmphex(cpu->signature, ==, signature);
}

static void test_defaults(void)
{
    g_autoptr(PolicyConfig) config = load("");
    g_autoptr(GPtrArray) snp = policy_config_cpus(config, MEASURE_PLATFORM_SNP);
    g_autoptr(GPtrArray) es = policy_config_cpus(config, MEASURE_PLATFORM_SEV_ES);

    g_assert_cmpint(config->unpinned, ==, POLICY_UNPINNED_OBSERVE);
    g_assert_cmpuint(config->watchdog, ==, 10);
    g_assert_cmpuint(config->history, ==, 100);
    g_assert_cmpuint(config->guest_features, ==, 0);
    g_assert_cmpint(config->sev_es_fpu, ==, MEASURE_FPU_LEGACY);
    g_assert_cmpuint(config->trusted_firmware->len, ==, 0);
    g_assert_cmpstr(config->guest_init, ==, LIBEXEC_DIRECTORY "/guest-init");
    g_assert_cmpstr(config->guest_report, ==, LIBEXEC_DIRECTORY "/guest-report");
    g_assert_cmpuint(config->trusted_init->len, ==, 0);
    g_assert_true(g_str_has_suffix(config->trusted_keys, "/virt-attest/trusted-keys.d"));
    g_assert_false(config->names_trusted_keys);
    g_assert_true(g_path_is_absolute(config->state_directory));
    g_assert_cmpuint(snp->len, ==, 8);
    assert_cpu(snp, 0, "EPYC-Milan", 0xa00f11);
    assert_cpu(snp, 1, "EPYC-Genoa", 0xa10f10);
    assert_cpu(snp, 2, "EPYC-Turin", 0xb00f00);
    assert_cpu(snp, 7, NULL, 0xb00f21);
    g_assert_cmpuint(es->len, ==, 10);
    assert_cpu(es, 0, "EPYC", 0x800f12);
    assert_cpu(es, 1, "EPYC-Rome", 0x830f10);
}

static void test_every_key(void)
{
    g_autoptr(PolicyConfig) config = load("# comment\n"
                                          "[gate]\nunpinned=refuse\nwatchdog = 60\nhistory=1\n"
                                          "[measure]\nallowed-cpus = epyc-milan-v2; 0xa10f11,EPYC-Genoa\n"
                                          "guest-features = 0x21\nsev-es-fpu=init2\n"
                                          "[firmware]\ntrusted = "
                                          "ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789;\n"
                                          "[guest]\ninit = /opt/an init\ntrusted-init = "
                                          "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef;"
                                          "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcde0\n"
                                          "[reference]\ntrusted-keys = /srv/the keys\n"
                                          "[paths]\nstate-directory=/srv/with blank\n");
    g_autoptr(GPtrArray) sev = policy_config_cpus(config, MEASURE_PLATFORM_SEV);

    g_assert_cmpint(config->unpinned, ==, POLICY_UNPINNED_REFUSE);
    g_assert_cmpuint(config->watchdog, ==, 60);
    g_assert_cmpuint(config->history, ==, 1);
    g_assert_cmphex(config->guest_features, ==, 0x21);
    g_assert_cmpint(config->sev_es_fpu, ==, MEASURE_FPU_INIT2);
    g_assert_cmpuint(config->trusted_firmware->len, ==, 1);
    g_assert_cmpstr(g_ptr_array_index(config->trusted_firmware, 0), ==,
                    "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789");
    g_assert_cmpstr(config->guest_init, ==, "/opt/an init");
    g_assert_cmpuint(config->trusted_init->len, ==, 2);
    g_assert_cmpstr(g_ptr_array_index(config->trusted_init, 1), ==,
                    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde0");
    g_assert_cmpstr(config->trusted_keys, ==, "/srv/the keys");
    g_assert_true(config->names_trusted_keys);
    g_assert_cmpstr(config->state_directory, ==, "/srv/with blank");
    /* A list of one's own is the whole list, for SEV too. */
    g_assert_cmpuint(sev->len, ==, 3);
    assert_cpu(sev, 0, "EPYC-Milan-v2", 0xa00f11);
    assert_cpu(sev, 1, NULL, 0xa10f11);
    assert_cpu(sev, 2, "EPYC-Genoa", 0xa10f10);
}

static void test_refused(void)
{
    g_autofree gchar *huge = g_strnfill(1024 * 1024 + 1, '#');

    refused("[gate]\nunpined = observe\n", "group [gate], key 'unpined'");
    refused("[gate]\nunpined = observe\n", "'unpinned', 'watchdog', 'history'");
    refused("[Gate]\nunpinned = observe\n", "[gate], [measure], [firmware], [guest], [reference], [paths]");
    refused("[gates]\n", "group [gates]");
    refused("unpinned = observe\n", "configuration '");
    refused("[gate]\nunpinned[de] = observe\n", "unpinned[de]");
    refused("[gate]\nunpinned = Observe\n", "'observe' or 'refuse'");
    refused("[gate]\nunpinned =\n", "'' is not known");
    refused("[gate]\nunpinned = observe\nunpinned = refuse\n", "twice");
    refused("[gate]\nunpinned = refuse\n[measure]\n[gate]\nunpinned = observe\n", "twice");
    refused("[gate]\nwatchdog = 0\n", "from 1 to 60");
    refused("[gate]\nwatchdog = 61\n", "from 1 to 60");
    refused("[gate]\nwatchdog = 1.5\n", "from 1 to 60");
    refused("[gate]\nwatchdog = -1\n", "from 1 to 60");
    refused("[gate]\nwatchdog = 99999999999999999999\n", "from 1 to 60");
    refused("[gate]\nhistory = 10001\n", "from 1 to 10000");
    refused("[measure]\nallowed-cpus = EPYC-Mailand\n", "EPYC-Mailand");
    refused("[measure]\nallowed-cpus = ;\n", "empty");
    refused("[measure]\nguest-features = yes\n", "'yes'");
    refused("[measure]\nguest-features = 0x10000000000000000\n", "is not a number");
    refused("[measure]\nsev-es-fpu = new\n", "'legacy' or 'init2'");
    refused("[firmware]\ntrusted = abc\n", "'abc' is not a SHA-256");
    refused("[firmware]\ntrusted = zbcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789\n",
            "is not a SHA-256");
    refused("[guest]\ninit = guest-init\n", "absolute");
    refused("[guest]\ninit =\n", "absolute");
    refused("[guest]\ntrusted-init = abc\n", "'abc' is not a SHA-256");
    refused("[guest]\ntrusted = abc\n", "'init', 'report', 'trusted-init'");
    refused("[reference]\ntrusted-keys = keys\n", "absolute");
    refused("[reference]\ntrusted-keys =\n", "absolute");
    refused("[reference]\ntrusted = /keys\n", "'trusted-keys'");
    refused("[paths]\nstate-directory = var/lib\n", "absolute");
    refused("[paths]\nstate-directory = /a\\qb\n", "state-directory");
    refused("nonsense\n", "nonsense");
    refused("[gate\n", "configuration '");
    refused("\xff\xfe", "UTF-8");
    refused_bytes("[gate]\n\0\n", 9, "UTF-8");
    refused(huge, "at most 1048576 bytes");
}

static void unusable(const char *path, const char *says)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyConfig) config = policy_config_load(path, &error);

    g_assert_null(config);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, says))
        g_error("'%s' is not in '%s'", says, error->message);
}

static void test_files(void)
{
    g_autofree gchar *absent = g_build_filename(folder, "absent.conf", NULL);
    g_autofree gchar *fifo = g_build_filename(folder, "fifo.conf", NULL);
    g_autofree gchar *path = put("", -1);
    g_autoptr(PolicyConfig) config = NULL;

    unusable(absent, "No such file");
    unusable(folder, "regular file");
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    unusable(fifo, "regular file");
    g_assert_cmpint(chmod(path, 0646), ==, 0);
    unusable(path, "everybody may write");
    g_assert_cmpint(chmod(path, 0644), ==, 0);
    if (geteuid() == 0) {
        g_assert_cmpint(chown(path, 12345, -1), ==, 0);
        unusable(path, "another user");
        g_assert_cmpint(chown(path, 0, 12345), ==, 0);
        g_assert_cmpint(chmod(path, 0664), ==, 0);
        unusable(path, "a group other than root's may write");
        /* Whoever is in root's group is as good as root. */
        g_assert_cmpint(chown(path, 0, 0), ==, 0);
        config = policy_config_load(path, NULL);
        g_assert_nonnull(config);
    }
    g_unlink(path);

    /* The environment names it explicitly too. */
    g_setenv("VIRT_ATTEST_CONFIG", absent, TRUE);
    unusable(NULL, "absent.conf");
    g_unsetenv("VIRT_ATTEST_CONFIG");
}

/* The file that is installed shows the defaults: it must load as it is, and with every key switched on. */
static void test_sample(void)
{
    g_autofree gchar *sample = g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), "policy", "virt-attest.conf", NULL);
    g_autofree gchar *text = NULL;
    g_autoptr(GRegex) commented = g_regex_new("^#([a-z-]+ =)", G_REGEX_MULTILINE, 0, NULL);
    g_autofree gchar *active = NULL;
    g_autoptr(PolicyConfig) defaults = NULL;
    g_autoptr(PolicyConfig) config = NULL;

    g_assert_true(g_file_get_contents(sample, &text, NULL, NULL));
    defaults = load(text);
    active = g_regex_replace(commented, text, -1, 0, "\\1", 0, NULL);
    config = load(active);
    g_assert_false(config->default_cpus);
    g_assert_true(defaults->default_cpus);
    g_assert_cmpint(config->unpinned, ==, defaults->unpinned);
    g_assert_cmpuint(config->watchdog, ==, defaults->watchdog);
    g_assert_cmpuint(config->history, ==, defaults->history);
    g_assert_cmpuint(config->guest_features, ==, defaults->guest_features);
    g_assert_cmpint(config->sev_es_fpu, ==, defaults->sev_es_fpu);
    g_assert_cmpuint(config->trusted_firmware->len, ==, 0);
    g_assert_cmpstr(config->guest_init, ==, "/usr/libexec/virt-attest/guest-init");
    g_assert_cmpuint(config->trusted_init->len, ==, 0);
    g_assert_cmpstr(config->trusted_keys, ==, "/etc/virt-attest/trusted-keys.d");
    g_assert_cmpstr(config->state_directory, ==, "/var/lib/virt-attest");
    g_assert_cmpuint(config->allowed_cpus->len, ==, defaults->allowed_cpus->len);
    for (guint i = 0; i < config->allowed_cpus->len; i++) {
        const MeasureCpu *cpu = g_ptr_array_index(config->allowed_cpus, i);
        assert_cpu(defaults->allowed_cpus, i, cpu->name, cpu->signature);
    }
}

static gboolean corpus_read(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autofree gchar *path = put(text, (gssize)size);
    g_autoptr(PolicyConfig) config = policy_config_load(path, error);

    return config != NULL;
}

static void test_corpus(void)
{
    corpus_walk("config", corpus_read, NULL);
}

int main(int argc, char **argv)
{
    int result;
    g_autofree gchar *path = NULL;
    g_autofree gchar *fifo = NULL;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("virt-attest-XXXXXX", NULL);
    path = g_build_filename(folder, "test.conf", NULL);
    fifo = g_build_filename(folder, "fifo.conf", NULL);
    g_test_add_func("/config/defaults", test_defaults);
    g_test_add_func("/config/every-key", test_every_key);
    g_test_add_func("/config/refused", test_refused);
    g_test_add_func("/config/files", test_files);
    g_test_add_func("/config/sample", test_sample);
    g_test_add_func("/config/corpus", test_corpus);
    result = g_test_run();
    g_unlink(path);
    g_unlink(fifo);
    g_rmdir(folder);
    g_free(folder);
    return result;
}
