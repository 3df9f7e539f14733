/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening the files of a launch: what is refused, what is remembered, and digests of the distribution's firmware. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure/cache.h"
#include "measure/error.h"
#include "measure/file.h"
#include "measure/launch.h"
#include "measure/parallel.h"
#include "measure/svsm.h"

/* A temporary folder with a firmware, a kernel and an initrd that can be measured, and a launch of them. */
typedef struct {
    gchar *folder;
    gchar *firmware, *kernel, *initrd;
    MeasureLaunch *launch;
} Fixture;

static void put(const char *path, const void *data, gsize size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, data, size), ==, (gssize)size);
    close(fd);
}

/* A file of the firmware corpus, with zeros before it up to a whole page. */
static guint8 *corpus_page(const char *name)
{
    g_autofree gchar *path =
        g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), "tests", "corpus", "firmware", name, NULL);
    g_autofree gchar *data = NULL;
    g_autoptr(GError) error = NULL;
    guint8 *page = g_malloc0(MEASURE_PAGE_SIZE);
    gsize size = 0;

    g_file_get_contents(path, &data, &size, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(size, <=, MEASURE_PAGE_SIZE);
    memcpy(page + MEASURE_PAGE_SIZE - size, data, size);
    return page;
}

static void put_firmware(Fixture *fixture, const char *name)
{
    g_autofree guint8 *page = corpus_page(name);

    put(fixture->firmware, page, MEASURE_PAGE_SIZE);
}

static void setup(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    fixture->folder = g_dir_make_tmp("virt-attest-launch-XXXXXX", &error);
    g_assert_no_error(error);
    fixture->firmware = g_build_filename(fixture->folder, "firmware", NULL);
    fixture->kernel = g_build_filename(fixture->folder, "kernel", NULL);
    fixture->initrd = g_build_filename(fixture->folder, "initrd", NULL);
    put_firmware(fixture, "ok-complete");
    put(fixture->kernel, "kernel\n", 7);
    put(fixture->initrd, "initrd\n", 7);
    fixture->launch = measure_launch_new(MEASURE_PLATFORM_SNP);
    fixture->launch->firmware = g_strdup(fixture->firmware);
    fixture->launch->kernel = g_strdup(fixture->kernel);
    fixture->launch->initrd = g_strdup(fixture->initrd);
    fixture->launch->cmdline = g_strdup("console=ttyS0");
    fixture->launch->kernel_hashes = TRUE;
}

static void teardown(Fixture *fixture, gconstpointer data)
{
    measure_launch_free(fixture->launch);
    g_unlink(fixture->firmware);
    g_rmdir(fixture->firmware);
    g_unlink(fixture->kernel);
    g_rmdir(fixture->kernel);
    g_unlink(fixture->initrd);
    g_assert_cmpint(g_rmdir(fixture->folder), ==, 0);
    g_free(fixture->firmware);
    g_free(fixture->kernel);
    g_free(fixture->initrd);
    g_free(fixture->folder);
}

static gchar *digest_of(const MeasureLaunch *launch, const MeasureInputs *inputs, guint32 signature, guint vcpus)
{
    g_autoptr(GError) error = NULL;
    MeasureDigest digest;
    gboolean measured = measure_launch_digest(launch, inputs, signature, vcpus, &digest, &error);

    g_assert_no_error(error);
    g_assert_true(measured);
    return measure_digest_hex(&digest);
}

static MeasureInputs *open_good(const MeasureLaunch *launch, const MeasureCache *cache)
{
    g_autoptr(GError) error = NULL;
    MeasureInputs *inputs = measure_inputs_open(launch, cache, MEASURE_OPEN_DEFAULT, NULL, &error);

    g_assert_no_error(error);
    return inputs;
}

static gchar *measure_once(const MeasureLaunch *launch)
{
    g_autoptr(MeasureInputs) inputs = open_good(launch, NULL);

    return digest_of(launch, inputs, 0xa00f11, launch->vcpus);
}

/* Both words have to be in the message, so that it says what and where. */
static void assert_refused(const Fixture *fixture, const MeasureCache *cache, int code, const char *what,
                           const char *where)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MeasureInputs) inputs = measure_inputs_open(fixture->launch, cache, MEASURE_OPEN_DEFAULT, NULL, &error);

    g_assert_null(inputs);
    g_assert_error(error, ATTEST_ERROR, code);
    if (!strstr(error->message, what) || (where && !strstr(error->message, where)))
        g_error("'%s' does not say '%s' of '%s'", error->message, what, where ? where : "");
}

static void assert_undigestible(const MeasureLaunch *launch, guint vcpus, int code, const char *what)
{
    g_autoptr(MeasureInputs) inputs = open_good(launch, NULL);
    g_autoptr(GError) error = NULL;
    MeasureDigest digest;

    g_assert_false(measure_launch_digest(launch, inputs, 0xa00f11, vcpus, &digest, &error));
    g_assert_error(error, ATTEST_ERROR, code);
    if (!strstr(error->message, what))
        g_error("'%s' does not say '%s'", error->message, what);
}

/* --- digests of the distribution's firmware ---------------------------------------------------------------------- */

/*
 * Numbers for Debian's OVMF 2026.08+ds-2, made with sev-snp-measure 0.0.13 on kernel and initrd files that hold
 * "kernel\n" and "initrd\n":
 *
 *   sev-snp-measure --mode snp:ovmf-hash --ovmf F
 *   sev-snp-measure --mode snp --vcpus 2 --vcpu-type EPYC-Milan --ovmf F --kernel kernel --initrd initrd
 *       --append console=ttyS0
 *   sev-snp-measure --mode snp --vcpus 4 --vcpu-type EPYC-Genoa --ovmf F
 *   sev-snp-measure --mode seves --vcpus 2 --vcpu-type EPYC-Milan --ovmf F --kernel kernel --initrd initrd
 *       --append console=ttyS0
 *   sev-snp-measure --mode sev --ovmf F --kernel kernel --initrd initrd --append console=ttyS0
 *
 * and, since that tool knows only the newer kind of SEV-ES machine, for the older kind
 *
 *   tests/platform/predict.py --platform sev-es --legacy-vm-type on --vcpus 2 --cpu EPYC-Milan --firmware F
 *       --kernel kernel --initrd initrd --append console=ttyS0
 */
typedef struct {
    const char *path, *sha256;
    const char *seed, *snp_kernel, *snp_bare, *es_init2, *es_legacy, *sev;
} Known;

static const Known amdsev = {
    "/usr/share/ovmf/OVMF.amdsev.fd",
    "3e4fd0b3fe3b2dbe481c3d9e99418a034174f26cbe1f55aa212b0f18c12d2d6f",
    "9d0dd8be18c86e3fe3bf0038ed75ebf5340bee69fd2632c8ff9409964575960ae1f7e84be387d2e3467bc3508d1e4806",
    "ebf4b465b691add9591a5f35c0d776ad1ac8678a3836d2f9656ec30ef31215331a7976a084d6c7a812843a27a7d72556",
    "d505c9acd20a52ed0afd3e763d3b7b1bdd695d54d588a3e9d7957b803b457602332d5911781485b552cbbed90a20f235",
    "2c951fc53df2456a518273c26ed7ab7ef99d8a000491a966e892eaf8ede6aeee",
    "91b0476752acc695bc1e0cda32ae145496768c0d4fae48b672a64b401f7bab36",
    "1f6f7713b5bbdf8a329f61037aa42662091c0bd12851e0cd4fe7ea6d5dc20045",
};

static const Known generic = {
    "/usr/share/ovmf/OVMF.fd",
    "6a3e8f438ad7269f5dfd884647587b88391fb23965bb3aa7902b519438dba129",
    "d6f86493b34dad0be1fec5434580df7e93886e7cc7ddb88ac1d8772fb69949c2ec9ac77ab798adea8963f86e49a8a33d",
    "af536ee7ca90eb4549e89819454e63caccad6db30b6f6655993fcb555a79c0cf33992f7bf162fc21b01ba3e403a18767",
    "472ae6748d11b9cc4456c97423a8db13708685536e5a7d0bff31da735277ba9029197c431db0fbc0aa8774704d323770",
    "5dfdb17fcc00a4c72ccc80554e4569ac3f8ebcccf1b0b82d491298032bfc79d0",
    "2e6342c40601df281c583d2f4968807a62dcee3c412b7e14a4d6c2d5eb951eaf",
    "e96f22d592c59ea429fc047926adbb49f62cbfc4d1ecfdd0117eefb723d8846a",
};

static void assert_known(const Fixture *fixture, MeasurePlatform platform, MeasureFpu fpu, guint vcpus,
                         const char *expected)
{
    fixture->launch->platform = platform;
    fixture->launch->fpu = fpu;
    fixture->launch->guest_features = platform == MEASURE_PLATFORM_SNP ? 1 : 0;
    fixture->launch->vcpus = vcpus;
    g_autofree gchar *digest = measure_once(fixture->launch);
    g_assert_cmpstr(digest, ==, expected);
}

static void test_known(Fixture *fixture, gconstpointer data)
{
    const Known *known = data;
    g_autofree gchar *contents = NULL;
    gsize size = 0;

    if (!g_file_get_contents(known->path, &contents, &size, NULL)) {
        g_test_skip("the firmware is not installed");
        return;
    }
    g_autofree gchar *sha256 = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)contents, size);
    if (!g_str_equal(sha256, known->sha256)) {
        g_test_skip("another version of the firmware is installed");
        return;
    }
    g_free(fixture->launch->firmware);
    fixture->launch->firmware = g_strdup(known->path);
    assert_known(fixture, MEASURE_PLATFORM_SNP, MEASURE_FPU_INIT2, 2, known->snp_kernel);
    assert_known(fixture, MEASURE_PLATFORM_SEV_ES, MEASURE_FPU_INIT2, 2, known->es_init2);
    assert_known(fixture, MEASURE_PLATFORM_SEV_ES, MEASURE_FPU_LEGACY, 2, known->es_legacy);
    assert_known(fixture, MEASURE_PLATFORM_SEV, MEASURE_FPU_LEGACY, 1, known->sev);

    /* One opening serves every CPU type and count. */
    fixture->launch->platform = MEASURE_PLATFORM_SNP;
    fixture->launch->fpu = MEASURE_FPU_INIT2;
    fixture->launch->guest_features = 1;
    g_autoptr(MeasureInputs) inputs = open_good(fixture->launch, NULL);
    g_autofree gchar *seed = measure_hex_encode(inputs->snp_seed, sizeof inputs->snp_seed);
    g_autofree gchar *file = measure_hex_encode(inputs->firmware->sha256, sizeof inputs->firmware->sha256);
    g_autofree gchar *with_kernel = digest_of(fixture->launch, inputs, 0xa00f11, 2);
    fixture->launch->kernel_hashes = FALSE;
    g_autofree gchar *bare = digest_of(fixture->launch, inputs, 0xa10f10, 4);
    g_assert_cmpstr(seed, ==, known->seed);
    g_assert_cmpstr(file, ==, known->sha256);
    g_assert_cmpstr(with_kernel, ==, known->snp_kernel);
    g_assert_cmpstr(bare, ==, known->snp_bare);
}

static gchar *lookup_nothing(const MeasureInput *input, const char *kind, gpointer data)
{
    return NULL;
}

static void store_nothing(const MeasureInput *input, const char *kind, const char *value, gpointer data)
{
    g_error("'%s' must not be remembered", input->path);
}

/* --- files that are refused -------------------------------------------------------------------------------------- */

static void test_missing(Fixture *fixture, gconstpointer data)
{
    g_unlink(fixture->kernel);
    g_autofree gchar *line = g_strdup_printf("kernel '%s': No such file or directory", fixture->kernel);
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, line, NULL);
    g_unlink(fixture->initrd);
    put(fixture->kernel, "", 0);
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, "initrd '", fixture->initrd);
    g_unlink(fixture->firmware);
    put(fixture->initrd, "", 0);
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, "firmware '", fixture->firmware);
}

static void test_special_files(Fixture *fixture, gconstpointer data)
{
    g_unlink(fixture->kernel);
    g_assert_cmpint(g_mkdir(fixture->kernel, 0755), ==, 0);
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, "is a directory", fixture->kernel);
    g_rmdir(fixture->kernel);
    g_assert_cmpint(mkfifo(fixture->kernel, 0644), ==, 0);
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, "is a FIFO", fixture->kernel);
    g_unlink(fixture->kernel);
    g_assert_cmpint(symlink("/dev/zero", fixture->kernel), ==, 0);
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, "is a character device", fixture->kernel);
    g_unlink(fixture->kernel);
    g_assert_cmpint(symlink(fixture->kernel, fixture->kernel), ==, 0);
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, "symbolic links", fixture->kernel);
}

static void test_null_device(Fixture *fixture, gconstpointer data)
{
    put(fixture->kernel, "", 0);
    put(fixture->initrd, "", 0);
    g_autofree gchar *empty = measure_once(fixture->launch);
    g_unlink(fixture->kernel);
    g_unlink(fixture->initrd);
    g_assert_cmpint(symlink("/dev/null", fixture->kernel), ==, 0);
    g_assert_cmpint(symlink("/dev/null", fixture->initrd), ==, 0);
    g_autofree gchar *null_device = measure_once(fixture->launch);
    g_assert_cmpstr(empty, ==, null_device);

    MeasureCache cache = { lookup_nothing, store_nothing, NULL };
    g_autoptr(MeasureInputs) inputs = open_good(fixture->launch, &cache);
    g_assert_cmpuint(inputs->kernel->size, ==, 0);
    g_assert_cmpint(inputs->kernel->mtime_ns, ==, 0);
}

static void test_unreadable(Fixture *fixture, gconstpointer data)
{
    gboolean root = geteuid() == 0;

    g_assert_cmpint(g_chmod(fixture->folder, 0755), ==, 0);
    g_assert_cmpint(g_chmod(fixture->initrd, 0), ==, 0);
    /* Root reads everything; nobody does not. */
    if (root)
        g_assert_cmpint(seteuid(65534), ==, 0);
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, "Permission denied", fixture->initrd);
    if (root)
        g_assert_cmpint(seteuid(0), ==, 0);
}

static void test_firmware_sizes(Fixture *fixture, gconstpointer data)
{
    static const guint8 zeros[MEASURE_PAGE_SIZE + 1] = { 0 };

    put(fixture->firmware, zeros, 0);
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, "is empty", fixture->firmware);
    put(fixture->firmware, zeros, sizeof zeros);
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, "4097 bytes, which is no multiple", fixture->firmware);
    put(fixture->firmware, zeros, 1);
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, "1 bytes", fixture->firmware);
    g_assert_cmpint(truncate(fixture->firmware, MEASURE_FIRMWARE_MAX_SIZE + MEASURE_PAGE_SIZE), ==, 0);
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, "at most 67108864", fixture->firmware);
    g_unlink(fixture->firmware);
    g_assert_cmpint(symlink("/dev/null", fixture->firmware), ==, 0);
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, "is empty", fixture->firmware);
}

static void test_huge_kernel(Fixture *fixture, gconstpointer data)
{
    if (truncate(fixture->kernel, (off_t)1 << 32) != 0) {
        g_test_skip("the temporary folder cannot hold a sparse file of 4 GiB");
        return;
    }
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, "at most 4294967295", fixture->kernel);
}

static void test_broken_firmware(Fixture *fixture, gconstpointer data)
{
    put_firmware(fixture, "bad-entry-length-0");
    assert_refused(fixture, NULL, ATTEST_ERROR_UNREADABLE, "broken firmware table", fixture->firmware);
}

static void test_usage(Fixture *fixture, gconstpointer data)
{
    g_clear_pointer(&fixture->launch->kernel, g_free);
    assert_refused(fixture, NULL, ATTEST_ERROR_USAGE, "initrd was given without a kernel", NULL);
    g_clear_pointer(&fixture->launch->initrd, g_free);
    assert_refused(fixture, NULL, ATTEST_ERROR_USAGE, "command line was given without a kernel", NULL);
    g_free(fixture->launch->cmdline);
    fixture->launch->cmdline = g_strdup("");
    g_autofree gchar *digest = measure_once(fixture->launch);
    g_assert_cmpuint(strlen(digest), ==, 96);
    g_clear_pointer(&fixture->launch->firmware, g_free);
    assert_refused(fixture, NULL, ATTEST_ERROR_USAGE, "no firmware", NULL);
}

/* --- a file that changes while it is read ------------------------------------------------------------------------ */

/* The cache is asked after a file was opened and before it is read: the place to change it. */
typedef struct {
    const char *path;
    enum { GROW, SHRINK, REWRITE } how;
} Change;

static gchar *lookup_and_change(const MeasureInput *input, const char *kind, gpointer data)
{
    const Change *change = data;

    if (!g_str_equal(input->path, change->path))
        return NULL;
    int fd = open(change->path, O_WRONLY | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    if (change->how == GROW)
        g_assert_cmpint(pwrite(fd, "x", 1, (off_t)input->size), ==, 1);
    else if (change->how == SHRINK)
        g_assert_cmpint(ftruncate(fd, (off_t)input->size - 1), ==, 0);
    else
        g_assert_cmpint(pwrite(fd, "x", 1, 0), ==, 1);
    close(fd);
    return NULL;
}

static void test_changing(Fixture *fixture, gconstpointer data)
{
    const char *const paths[] = { fixture->firmware, fixture->kernel, fixture->initrd };

    for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
        for (guint how = GROW; how <= REWRITE; how++) {
            Change change = { paths[i], how };
            MeasureCache cache = { lookup_and_change, store_nothing, &change };

            put_firmware(fixture, "ok-complete");
            put(fixture->kernel, "kernel\n", 7);
            put(fixture->initrd, "initrd\n", 7);
            g_usleep(20 * 1000); /* longer than a tick of the file system's clock */
            assert_refused(fixture, &cache, ATTEST_ERROR_UNREADABLE, "changed while it was being read", paths[i]);
        }
    }
}

/* --- the cache --------------------------------------------------------------------------------------------------- */

static gchar *cache_key(const MeasureInput *input, const char *kind)
{
    return g_strdup_printf("%s %s", kind, input->path);
}

static gchar *table_lookup(const MeasureInput *input, const char *kind, gpointer data)
{
    g_autofree gchar *key = cache_key(input, kind);

    return g_strdup(g_hash_table_lookup(data, key));
}

static void table_store(const MeasureInput *input, const char *kind, const char *value, gpointer data)
{
    g_assert_cmpuint(strlen(value), <=, 4096);
    g_hash_table_replace(data, cache_key(input, kind), g_strdup(value));
}

static void assert_cached(const Fixture *fixture, const MeasureCache *cache, gboolean firmware, gboolean kernel,
                          gboolean initrd, const char *expected)
{
    g_autoptr(MeasureInputs) inputs = open_good(fixture->launch, cache);
    g_autofree gchar *digest = digest_of(fixture->launch, inputs, 0xa00f11, 1);

    g_assert_cmpint(inputs->firmware->cached, ==, firmware);
    g_assert_cmpint(inputs->kernel->cached, ==, kernel);
    g_assert_cmpint(inputs->initrd->cached, ==, initrd);
    g_assert_cmpstr(digest, ==, expected);
}

static gchar *copy_value(GHashTable *table, const char *kind, const char *path)
{
    g_autofree gchar *key = g_strdup_printf("%s %s", kind, path);
    const gchar *value = g_hash_table_lookup(table, key);

    g_assert_nonnull(value);
    return g_strdup(value);
}

static void set_value(GHashTable *table, const char *kind, const char *path, const char *value)
{
    g_hash_table_replace(table, g_strdup_printf("%s %s", kind, path), g_strdup(value));
}

/* What coreutils make of the test folder's file system: whether it is one of those that the cache is used on. */
static gboolean caches_here(const Fixture *fixture)
{
    static const char *const known[] = { "ext2/ext3", "xfs", "btrfs", "f2fs", "tmpfs", "zfs", "bcachefs", NULL };
    const char *const argv[] = { "stat", "-f", "-c", "%T", fixture->folder, NULL };
    g_autofree gchar *name = NULL;
    g_autoptr(GError) error = NULL;

    g_spawn_sync(NULL, (gchar **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &name, NULL, NULL, &error);
    g_assert_no_error(error);
    return g_strv_contains(known, g_strchomp(name));
}

static gboolean skip_without_cache(const Fixture *fixture)
{
    if (caches_here(fixture))
        return FALSE;
    g_test_skip("the cache is not used on the file system of the temporary folder");
    return TRUE;
}

static void touch(const char *path)
{
    g_assert_cmpint(utimensat(AT_FDCWD, path, NULL, 0), ==, 0);
}

static void test_cache(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GHashTable) table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    MeasureCache cache = { table_lookup, table_store, table };
    g_autofree gchar *expected = measure_once(fixture->launch);

    if (skip_without_cache(fixture))
        return;
    /* Written a moment ago: measured, not remembered. Tried again where it was not done within that moment. */
    for (gint64 took = G_MAXINT64; took > G_USEC_PER_SEC;) {
        gint64 before = g_get_monotonic_time();

        touch(fixture->firmware);
        touch(fixture->kernel);
        touch(fixture->initrd);
        g_hash_table_remove_all(table);
        assert_cached(fixture, &cache, FALSE, FALSE, FALSE, expected);
        took = g_get_monotonic_time() - before;
        g_assert_true(took > G_USEC_PER_SEC || g_hash_table_size(table) == 0);
    }

    g_usleep(2200 * 1000);
    assert_cached(fixture, &cache, FALSE, FALSE, FALSE, expected);
    g_assert_cmpuint(g_hash_table_size(table), ==, 3);
    assert_cached(fixture, &cache, TRUE, TRUE, TRUE, expected);
    MeasureCache full = { table_lookup, store_nothing, table };
    assert_cached(fixture, &full, TRUE, TRUE, TRUE, expected);

    /* Any damage to a value, and any value of another file or kind, is a miss and is replaced. */
    g_autofree gchar *kernel = copy_value(table, "file", fixture->kernel);
    g_autofree gchar *initrd = copy_value(table, "file", fixture->initrd);
    g_autofree gchar *firmware = copy_value(table, "firmware", fixture->firmware);
    for (gsize i = 0; i < strlen(kernel); i++) {
        g_autofree gchar *damaged = g_strdup(kernel);

        damaged[i] = damaged[i] == '0' ? '1' : '0';
        set_value(table, "file", fixture->kernel, damaged);
        assert_cached(fixture, &cache, TRUE, FALSE, TRUE, expected);
    }
    const char *const wrong[] = { "", "\t", "\t\t\t\t", initrd, firmware };
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        set_value(table, "file", fixture->kernel, wrong[i]);
        assert_cached(fixture, &cache, TRUE, FALSE, TRUE, expected);
    }
    for (gsize i = 0; i < strlen(firmware); i++) {
        g_autofree gchar *cut = g_strndup(firmware, i);

        set_value(table, "firmware", fixture->firmware, cut);
        assert_cached(fixture, &cache, FALSE, TRUE, TRUE, expected);
    }
    assert_cached(fixture, &cache, TRUE, TRUE, TRUE, expected);

    /* A new file under the same name. */
    put(fixture->kernel, "KERNEL\n", 7);
    g_autofree gchar *changed = measure_once(fixture->launch);
    g_assert_cmpstr(changed, !=, expected);
    assert_cached(fixture, &cache, TRUE, FALSE, TRUE, changed);
}

/* A value of another release, whose check is right: it may mean something else there. */
static void test_cache_format(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GHashTable) table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    MeasureCache cache = { table_lookup, table_store, table };
    g_autofree gchar *expected = measure_once(fixture->launch);

    if (skip_without_cache(fixture))
        return;
    g_usleep(2200 * 1000);
    assert_cached(fixture, &cache, FALSE, FALSE, FALSE, expected);
    g_autoptr(MeasureInputs) inputs = open_good(fixture->launch, &cache);
    const MeasureInput *kernel = inputs->kernel;
    g_autofree gchar *value = copy_value(table, "file", fixture->kernel);
    g_autofree gchar *identity =
        g_strdup_printf("file\t%" G_GUINT64_FORMAT "\t%" G_GUINT64_FORMAT "\t%" G_GUINT64_FORMAT "\t%" G_GINT64_FORMAT
                        "\t%" G_GINT64_FORMAT "\n",
                        kernel->size, kernel->device, kernel->inode, kernel->mtime_ns, kernel->ctime_ns);

    *strrchr(value, '\t') = '\0';
    for (guint other = 0; other < 2; other++) {
        if (other)
            value[strlen("measure-")]++;
        g_autofree gchar *checked = g_strconcat(identity, value, NULL);
        g_autofree gchar *check = g_compute_checksum_for_string(G_CHECKSUM_SHA256, checked, -1);
        g_autofree gchar *whole = g_strconcat(value, "\t", check, NULL);

        set_value(table, "file", fixture->kernel, whole);
        assert_cached(fixture, &cache, TRUE, other == 0, TRUE, expected);
    }
}

/* A value that is whole but wrong: found out whenever the firmware is read anyway, and then nothing of it counts. */
static void test_cache_wrong_firmware(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GHashTable) table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    MeasureCache cache = { table_lookup, table_store, table };
    g_autofree gchar *snp = measure_once(fixture->launch);
    g_autoptr(GError) error = NULL;

    if (skip_without_cache(fixture))
        return;
    fixture->launch->platform = MEASURE_PLATFORM_SEV;
    g_autofree gchar *sev = measure_once(fixture->launch);
    g_usleep(2200 * 1000);
    for (guint run = 0; run < 2; run++) {
        g_autoptr(MeasureInputs) inputs = open_good(fixture->launch, NULL);
        g_auto(MeasureFirmwareFacts) wrong = { .known = TRUE, .sha256 = { 1 }, .has_seed = TRUE, .seed = { 2 } };

        if (run == 0)
            wrong.build = measure_firmware_build_new(MEASURE_VERIFIER_PRESENT, "1", "not true");
        measure_cache_put_firmware(&cache, inputs->firmware, &wrong);
        g_autofree gchar *before = copy_value(table, "firmware", fixture->firmware);
        fixture->launch->platform = run == 0 ? MEASURE_PLATFORM_SEV : MEASURE_PLATFORM_SNP;
        g_autoptr(MeasureInputs) judged =
            measure_inputs_open(fixture->launch, &cache, MEASURE_OPEN_JUDGE_FIRMWARE, NULL, &error);
        g_assert_no_error(error);
        g_autofree gchar *digest = digest_of(fixture->launch, judged, 0xa00f11, 1);
        g_autofree gchar *after = copy_value(table, "firmware", fixture->firmware);

        g_assert_cmpstr(digest, ==, run == 0 ? sev : snp);
        g_assert_cmpmem(judged->firmware->sha256, MEASURE_SHA256_SIZE, inputs->firmware->sha256, MEASURE_SHA256_SIZE);
        g_assert_cmpint(judged->build->verifier, ==, MEASURE_VERIFIER_UNKNOWN);
        g_assert_cmpstr(before, !=, after);
        fixture->launch->platform = MEASURE_PLATFORM_SEV;
    }
}

/* Firmware facts are gathered over several runs, and a given seed is never mistaken for a computed one. */
static void test_cache_firmware(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GHashTable) table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    MeasureCache cache = { table_lookup, table_store, table };
    g_autofree gchar *snp = measure_once(fixture->launch);
    guint8 seed[MEASURE_SHA384_SIZE] = { 1, 2, 3 };
    g_autoptr(GError) error = NULL;

    if (skip_without_cache(fixture))
        return;
    fixture->launch->platform = MEASURE_PLATFORM_SEV;
    g_autofree gchar *sev = measure_once(fixture->launch);
    g_usleep(2200 * 1000);
    assert_cached(fixture, &cache, FALSE, FALSE, FALSE, sev);
    assert_cached(fixture, &cache, FALSE, TRUE, TRUE, sev);
    g_autofree gchar *without_seed = copy_value(table, "firmware", fixture->firmware);

    fixture->launch->platform = MEASURE_PLATFORM_SNP;
    g_autoptr(MeasureInputs) given =
        measure_inputs_open(fixture->launch, &cache, MEASURE_OPEN_DEFAULT, seed, &error);
    g_assert_no_error(error);
    g_autofree gchar *other = digest_of(fixture->launch, given, 0xa00f11, 1);
    g_assert_cmpstr(other, !=, snp);
    g_assert_cmpmem(given->snp_seed, sizeof given->snp_seed, seed, sizeof seed);
    g_autofree gchar *still_without = copy_value(table, "firmware", fixture->firmware);
    g_assert_cmpstr(still_without, ==, without_seed);

    assert_cached(fixture, &cache, FALSE, TRUE, TRUE, snp);
    assert_cached(fixture, &cache, TRUE, TRUE, TRUE, snp);

    for (guint run = 0; run < 2; run++) {
        g_autoptr(MeasureInputs) judged =
            measure_inputs_open(fixture->launch, &cache, MEASURE_OPEN_JUDGE_FIRMWARE, NULL, &error);

        g_assert_no_error(error);
        g_assert_nonnull(judged->build);
        g_assert_cmpint(judged->build->verifier, ==, MEASURE_VERIFIER_UNKNOWN);
        g_assert_nonnull(judged->build->reason);
        g_assert_cmpint(judged->firmware->cached, ==, run == 1);
    }
}

/* Numbers of statfs(2) and of the file systems' own headers. */
static void test_file_systems(void)
{
    static const guint32 good[] = { 0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x01021994, 0x2fc12fc1, 0xca451a4e };
    /* squashfs, erofs, iso9660, cramfs, romfs, udf, overlayfs, fuse, nfs, cifs, 9p, ceph, vfat, exfat, proc, sysfs */
    static const guint32 bad[] = { 0x73717368, 0xe0f5e1e2, 0x9660,     0x28cd3d45, 0x7275,     0x15013346,
                                   0x794c7630, 0x65735546, 0x6969,     0xff534d42, 0x01021997, 0x00c36400,
                                   0x4d44,     0x2011bab0, 0x9fa0,     0x62656572, 0,          G_MAXUINT32 };

    for (guint i = 0; i < G_N_ELEMENTS(good); i++)
        g_assert_true(measure_file_system_keeps_ctime(good[i]));
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(measure_file_system_keeps_ctime(bad[i]));
}

static gchar *count_lookup(const MeasureInput *input, const char *kind, gpointer user_data)
{
    guint *calls = user_data;

    (*calls)++;
    return NULL;
}

static void count_store(const MeasureInput *input, const char *kind, const char *value, gpointer user_data)
{
    guint *calls = user_data;

    (*calls)++;
}

/* Times and inode numbers of procfs say nothing about a file's content: the cache must not hear of it. */
static void test_cache_file_system(Fixture *fixture, gconstpointer data)
{
    int held = open("/proc/version", O_RDONLY | O_CLOEXEC); /* keeps the inode, and with it the times, as they are */
    guint calls = 0;
    MeasureCache cache = { count_lookup, count_store, &calls };
    struct stat status;

    g_assert_cmpint(held, >=, 0);
    g_assert_cmpint(fstat(held, &status), ==, 0);
    g_assert_true(S_ISREG(status.st_mode));
    g_usleep(2200 * 1000);
    g_free(fixture->launch->kernel);
    fixture->launch->kernel = g_strdup("/proc/version");
    g_free(fixture->launch->initrd);
    fixture->launch->initrd = g_strdup("/dev/null");
    g_autoptr(MeasureInputs) inputs = open_good(fixture->launch, &cache);
    g_assert_false(inputs->kernel->cached);
    close(held);
    g_assert_cmpuint(calls, ==, caches_here(fixture) ? 2 : 0); /* of the firmware: once asked for, once stored */
}

/* --- launches that the firmware cannot carry --------------------------------------------------------------------- */

/* Replaces two little-endian numbers that stand side by side. */
static void patch_pair(guint8 *page, guint32 first, guint32 second, guint32 new_first, guint32 new_second)
{
    guint found = 0;

    for (gsize i = 0; i + 8 <= MEASURE_PAGE_SIZE; i++) {
        MeasureBytes bytes = { page, MEASURE_PAGE_SIZE };
        guint32 a = 0, b = 0;

        g_assert_true(measure_bytes_u32(bytes, i, &a) && measure_bytes_u32(bytes, i + 4, &b));
        if (a != first || b != second)
            continue;
        measure_put_u32(page + i, new_first);
        measure_put_u32(page + i + 4, new_second);
        found++;
    }
    g_assert_cmpuint(found, ==, 1);
}

static void test_hash_area(Fixture *fixture, gconstpointer data)
{
    static const struct {
        guint32 base, size;
        const char *snp, *sev; /* what is refused, NULL for nothing */
    } rows[] = {
        { 0x810c00, 176, NULL, NULL },
        { 0x810c00, 175, "175 bytes for kernel hashes where 176 are needed", "175 bytes" },
        { 0x810f50, 0x400, NULL, NULL },
        { 0x810f51, 0x400, "across the end of a page", NULL },
        { 0x810f60, 0x400, "across the end of a page", NULL },
        { 0x811c00, 0x400, "outside its section at 0x810000", NULL },
        { 0, 0x400, "has no area for kernel hashes", "has no area for kernel hashes" },
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree guint8 *page = corpus_page("ok-complete");

        patch_pair(page, 0x810c00, 0x400, rows[i].base, rows[i].size);
        put(fixture->firmware, page, MEASURE_PAGE_SIZE);
        for (guint sev = 0; sev < 2; sev++) {
            const char *refused = sev ? rows[i].sev : rows[i].snp;

            fixture->launch->platform = sev ? MEASURE_PLATFORM_SEV : MEASURE_PLATFORM_SNP;
            fixture->launch->kernel_hashes = TRUE;
            if (refused) {
                assert_undigestible(fixture->launch, 1, ATTEST_ERROR_UNREADABLE, refused);
                fixture->launch->kernel_hashes = FALSE;
            }
            /* Without kernel hashes the same firmware is good enough. */
            g_autofree gchar *digest = measure_once(fixture->launch);
            g_assert_cmpuint(strlen(digest), ==, sev ? 64 : 96);
        }
    }
}

static void test_incapable(Fixture *fixture, gconstpointer data)
{
    put_firmware(fixture, "ok-no-metadata");
    assert_undigestible(fixture->launch, 1, ATTEST_ERROR_UNREADABLE, "no SEV metadata");
    put_firmware(fixture, "ok-section-empty");
    assert_undigestible(fixture->launch, 1, ATTEST_ERROR_UNREADABLE, "empty SEV metadata section");
    fixture->launch->platform = MEASURE_PLATFORM_SEV_ES;
    g_autofree gchar *es = measure_once(fixture->launch);
    g_assert_cmpuint(strlen(es), ==, 64);

    put_firmware(fixture, "ok-svsm");
    fixture->launch->platform = MEASURE_PLATFORM_SNP;
    assert_undigestible(fixture->launch, 1, ATTEST_ERROR_UNREADABLE, "has no area for kernel hashes");
    fixture->launch->kernel_hashes = FALSE;
    assert_undigestible(fixture->launch, 2, ATTEST_ERROR_UNREADABLE, "no SEV-ES reset block");
    g_autofree gchar *one = measure_once(fixture->launch);
    g_assert_cmpuint(strlen(one), ==, 96);
}

static void test_vcpus(Fixture *fixture, gconstpointer data)
{
    assert_undigestible(fixture->launch, 0, ATTEST_ERROR_USAGE, "0 vCPUs");
    assert_undigestible(fixture->launch, MEASURE_MAX_VCPUS + 1, ATTEST_ERROR_USAGE, "4097 vCPUs");
    assert_undigestible(fixture->launch, G_MAXUINT, ATTEST_ERROR_USAGE, "4294967295 vCPUs");
    fixture->launch->vcpus = MEASURE_MAX_VCPUS;
    g_autofree gchar *most = measure_once(fixture->launch);
    g_assert_cmpuint(strlen(most), ==, 96);
    fixture->launch->platform = MEASURE_PLATFORM_SEV;
    fixture->launch->vcpus = 0; /* plain SEV measures no vCPU */
    g_autofree gchar *sev = measure_once(fixture->launch);
    g_assert_cmpuint(strlen(sev), ==, 64);
}

/* Kernel hashes that are off, or on without a kernel, leave no trace in the digest. */
static void test_no_hashes(Fixture *fixture, gconstpointer data)
{
    static const MeasurePlatform platforms[] = { MEASURE_PLATFORM_SEV, MEASURE_PLATFORM_SEV_ES, MEASURE_PLATFORM_SNP };
    g_autoptr(MeasureLaunch) bare = measure_launch_new(MEASURE_PLATFORM_SNP);

    bare->firmware = g_strdup(fixture->firmware);
    bare->kernel_hashes = TRUE;
    for (guint i = 0; i < G_N_ELEMENTS(platforms); i++) {
        bare->platform = fixture->launch->platform = platforms[i];
        fixture->launch->kernel_hashes = TRUE;
        g_autofree gchar *with = measure_once(fixture->launch);
        fixture->launch->kernel_hashes = FALSE;
        g_autofree gchar *off = measure_once(fixture->launch);
        g_autofree gchar *without_kernel = measure_once(bare);

        g_assert_cmpstr(off, ==, without_kernel);
        g_assert_cmpstr(off, !=, with);
    }
}

static void test_wrong_platform(Fixture *fixture, gconstpointer data)
{
    g_autoptr(MeasureInputs) inputs = open_good(fixture->launch, NULL);
    g_autoptr(GError) error = NULL;
    MeasureDigest digest;

    fixture->launch->platform = MEASURE_PLATFORM_SEV;
    g_assert_false(measure_launch_digest(fixture->launch, inputs, 0, 1, &digest, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
}

static void test_svsm_errors(Fixture *fixture, gconstpointer data)
{
    static const struct {
        const char *image;
        guint64 vars_size;
        guint vcpus;
        int code;
        const char *what;
    } rows[] = {
        { "ok-complete", 0, 1, ATTEST_ERROR_UNREADABLE, "is no SVSM image" },
        { "ok-svsm-entry-point-outside", 0, 1, ATTEST_ERROR_UNREADABLE, "is no SVSM image" },
        { "bad-offset-0", 0, 1, ATTEST_ERROR_UNREADABLE, "SVSM image '" },
        { "ok-svsm", 1, 1, ATTEST_ERROR_USAGE, "whole pages" },
        { "ok-svsm", G_GUINT64_CONSTANT(1) << 32, 1, ATTEST_ERROR_USAGE, "fit below 4 GiB" },
        { "ok-svsm", G_MAXUINT64 - 4095, 1, ATTEST_ERROR_USAGE, "fit below 4 GiB" },
        { "ok-svsm", 0, 0, ATTEST_ERROR_USAGE, "0 vCPUs" },
        { "ok-svsm", 0, 1, 0, NULL },
    };
    g_autoptr(MeasureInputs) inputs = open_good(fixture->launch, NULL);

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree guint8 *page = corpus_page(rows[i].image);
        g_autoptr(GError) error = NULL;
        MeasureDigest digest;

        put(fixture->initrd, page, MEASURE_PAGE_SIZE);
        gboolean measured = measure_svsm_digest(inputs, fixture->initrd, rows[i].vars_size, 0xa00f11, rows[i].vcpus,
                                                &digest, &error);
        g_assert_cmpint(measured, ==, rows[i].what == NULL);
        if (rows[i].what) {
            g_assert_error(error, ATTEST_ERROR, rows[i].code);
            g_assert_nonnull(strstr(error->message, rows[i].what));
        }
    }
}

/* --- names, and the order of work -------------------------------------------------------------------------------- */

/* A path is somebody else's text: it must not make a line, a colour or a direction of its own. */
static void test_printable(void)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        { NULL, "" },
        { "/boot/vmlinuz \303\244", "/boot/vmlinuz \303\244" },
        { "a\nerror: b\r\033[31m\177", "a\\x0aerror: b\\x0d\\x1b[31m\\x7f" },
        { "\302\205\342\200\256\342\200\250", "\\x85\\u{202e}\\u{2028}" },
        { "\377", "\357\277\275" },
        { "\\x0a", "\\x0a" },
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) kind = NULL;
    g_autoptr(GError) cpu = NULL;
    g_autofree gchar *folder = g_dir_make_tmp("test-\n\033-XXXXXX", NULL);

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree gchar *shown = measure_printable(cases[i].text);

        g_assert_cmpstr(shown, ==, cases[i].shown);
    }
    g_assert_null(measure_file_open("kernel", "/nowhere/a\nerror: all is well\033[2J", 1, &error));
    g_assert_nonnull(strstr(error->message, "'/nowhere/a\\x0aerror: all is well\\x1b[2J'"));
    g_assert_null(measure_file_open("kernel", folder, 1, &kind));
    g_assert_null(strpbrk(kind->message, "\n\033"));
    g_assert_nonnull(strstr(kind->message, "a directory"));
    g_assert_null(measure_cpu_from_name("a\nb", &cpu));
    g_assert_nonnull(strstr(cpu->message, "'a\\x0ab'"));
    g_rmdir(folder);
}

static void test_names(void)
{
    MeasurePlatform platform = MEASURE_PLATFORM_SEV;

    g_assert_true(measure_platform_from_name("sev-snp", &platform));
    g_assert_cmpint(platform, ==, MEASURE_PLATFORM_SNP);
    g_assert_true(measure_platform_from_name("sev-es", &platform));
    g_assert_cmpint(platform, ==, MEASURE_PLATFORM_SEV_ES);
    g_assert_true(measure_platform_from_name("sev", &platform));
    g_assert_cmpint(platform, ==, MEASURE_PLATFORM_SEV);
    g_assert_false(measure_platform_from_name("snp", &platform));
    g_assert_false(measure_platform_from_name("", &platform));
    g_assert_cmpstr(measure_platform_name(MEASURE_PLATFORM_SEV_ES), ==, "sev-es");
    g_assert_cmpstr(measure_fpu_name(MEASURE_FPU_LEGACY), ==, "legacy");
    g_assert_cmpstr(measure_fpu_name(MEASURE_FPU_INIT2), ==, "init2");
}

typedef struct {
    GThread *thread;
    gint runs;
    gboolean patient;
} Work;

static GThread *first_thread; /* that had a piece of the work */
static gint second_seen;

static void note_thread(gpointer data)
{
    Work *work = data;

    work->thread = g_thread_self();
    g_atomic_int_inc(&work->runs);
    if (!g_atomic_pointer_compare_and_exchange(&first_thread, NULL, work->thread) &&
        g_atomic_pointer_get(&first_thread) != work->thread)
        g_atomic_int_set(&second_seen, 1);
    /* Until another thread has had its turn, which may be late on a busy machine. */
    for (guint i = 0; work->patient && i < 60 * 1000 && !g_atomic_int_get(&second_seen); i++)
        g_usleep(1000);
    /* Nobody waits again for one that does not come. */
    if (work->patient)
        g_atomic_int_set(&second_seen, 1);
}

static void run_work(Work *work, guint n, guint64 cost, gboolean patient)
{
    g_autoptr(GArray) jobs = g_array_new(FALSE, FALSE, sizeof(MeasureJob));

    memset(work, 0, n * sizeof *work);
    first_thread = NULL;
    second_seen = 0;
    for (guint i = 0; i < n; i++) {
        work[i].patient = patient;
        MeasureJob job = { note_thread, &work[i], cost };
        g_array_append_val(jobs, job);
    }
    measure_parallel_run(jobs);
    for (guint i = 0; i < n; i++)
        g_assert_cmpint(work[i].runs, ==, 1);
}

static void test_parallel(void)
{
    Work work[40];
    guint elsewhere = 0;

    run_work(work, 0, 0, FALSE);
    /* Little work, or one piece of it, starts no thread. */
    run_work(work, G_N_ELEMENTS(work), 4096, FALSE);
    for (guint i = 0; i < G_N_ELEMENTS(work); i++)
        g_assert_true(work[i].thread == g_thread_self());
    run_work(work, 1, G_GUINT64_CONSTANT(1) << 40, FALSE);
    g_assert_true(work[0].thread == g_thread_self());
    run_work(work, G_N_ELEMENTS(work), G_GUINT64_CONSTANT(1) << 40, g_get_num_processors() > 1);
    for (guint i = 0; i < G_N_ELEMENTS(work); i++)
        elsewhere += work[i].thread != g_thread_self();
    if (g_get_num_processors() > 1)
        g_assert_cmpuint(elsewhere, >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/launch/known/amdsev", Fixture, &amdsev, setup, test_known, teardown);
    g_test_add("/launch/known/generic", Fixture, &generic, setup, test_known, teardown);
    g_test_add("/launch/missing", Fixture, NULL, setup, test_missing, teardown);
    g_test_add("/launch/special-files", Fixture, NULL, setup, test_special_files, teardown);
    g_test_add("/launch/null-device", Fixture, NULL, setup, test_null_device, teardown);
    g_test_add("/launch/unreadable", Fixture, NULL, setup, test_unreadable, teardown);
    g_test_add("/launch/firmware-sizes", Fixture, NULL, setup, test_firmware_sizes, teardown);
    g_test_add("/launch/huge-kernel", Fixture, NULL, setup, test_huge_kernel, teardown);
    g_test_add("/launch/broken-firmware", Fixture, NULL, setup, test_broken_firmware, teardown);
    g_test_add("/launch/usage", Fixture, NULL, setup, test_usage, teardown);
    g_test_add("/launch/changing", Fixture, NULL, setup, test_changing, teardown);
    g_test_add("/launch/cache", Fixture, NULL, setup, test_cache, teardown);
    g_test_add("/launch/cache-format", Fixture, NULL, setup, test_cache_format, teardown);
    g_test_add("/launch/cache-wrong-firmware", Fixture, NULL, setup, test_cache_wrong_firmware, teardown);
    g_test_add("/launch/cache-firmware", Fixture, NULL, setup, test_cache_firmware, teardown);
    g_test_add("/launch/cache-file-system", Fixture, NULL, setup, test_cache_file_system, teardown);
    g_test_add("/launch/hash-area", Fixture, NULL, setup, test_hash_area, teardown);
    g_test_add("/launch/incapable", Fixture, NULL, setup, test_incapable, teardown);
    g_test_add("/launch/vcpus", Fixture, NULL, setup, test_vcpus, teardown);
    g_test_add("/launch/no-hashes", Fixture, NULL, setup, test_no_hashes, teardown);
    g_test_add("/launch/wrong-platform", Fixture, NULL, setup, test_wrong_platform, teardown);
    g_test_add("/launch/svsm-errors", Fixture, NULL, setup, test_svsm_errors, teardown);
    g_test_add_func("/launch/file-systems", test_file_systems);
    g_test_add_func("/launch/names", test_names);
    g_test_add_func("/launch/printable", test_printable);
    g_test_add_func("/launch/parallel", test_parallel);
    return g_test_run();
}
