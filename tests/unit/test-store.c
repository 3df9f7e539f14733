/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state folder: what is written is there whole, what is not ours is not believed. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/confidential-fixture.h"

#define NAME FIXTURE_UUID ".json"

static gchar *state_path(const Fixture *fixture, const char *kind, const char *name)
{
    return g_build_filename(fixture->state, kind, name, NULL);
}

static void write_ok(Fixture *fixture, const char *kind, const char *name, const char *text)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(policy_store_write(fixture->store, kind, name, text, strlen(text), TRUE, &error));
    g_assert_no_error(error);
}

static gchar *read_ok(Fixture *fixture, const char *kind, const char *name)
{
    g_autoptr(GError) error = NULL;
    gchar *text = NULL;
    gsize size = 77;

    g_assert_true(policy_store_read(fixture->store, kind, name, 1000, &text, &size, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(size, ==, text ? strlen(text) : 0);
    return text;
}

static void read_refused(Fixture *fixture, const char *kind, const char *name, const char *says)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *text = NULL;

    g_assert_false(policy_store_read(fixture->store, kind, name, 1000, &text, NULL, &error));
    g_assert_null(text);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, says))
        g_error("'%s' is not in '%s'", says, error->message);
}

static void test_files(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *path = state_path(fixture, "records", NAME);
    g_autofree gchar *absent = read_ok(fixture, "records", NAME);
    g_autofree gchar *first = NULL;
    g_autofree gchar *second = NULL;
    g_autoptr(GPtrArray) names = NULL;
    g_autoptr(GError) error = NULL;
    struct stat st;
    int lock;

    g_assert_null(absent);
    write_ok(fixture, "records", NAME, "one");
    first = read_ok(fixture, "records", NAME);
    g_assert_cmpstr(first, ==, "one");
    write_ok(fixture, "records", NAME, "");
    second = read_ok(fixture, "records", NAME);
    g_assert_cmpstr(second, ==, "");
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0600);
    g_assert_cmpint(stat(fixture->state, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0700);

    write_ok(fixture, "records", "b.json", "b");
    write_ok(fixture, "records", "a.json", "a");
    lock = policy_store_lock(fixture->store, "records", NAME, 0, &error);
    g_assert_no_error(error);
    names = policy_store_list(fixture->store, "records", &error);
    g_assert_no_error(error);
    g_assert_cmpuint(names->len, ==, 3);
    g_assert_cmpstr(names->pdata[0], ==, NAME);
    g_assert_cmpstr(names->pdata[1], ==, "a.json");
    g_assert_cmpstr(names->pdata[2], ==, "b.json");
    close(lock);

    g_assert_true(policy_store_remove(fixture->store, "records", NAME, &error));
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_true(policy_store_remove(fixture->store, "records", NAME, &error));
    g_assert_no_error(error);
}

static void test_names(void)
{
    static const char *const bad[] = {"", ".", "..", ".hidden", "a/b", "../x", "a b", "a\n", "ü"};
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *long_name = g_strnfill(161, 'a');

    for (gsize i = 0; i <= G_N_ELEMENTS(bad); i++) {
        const char *name = i < G_N_ELEMENTS(bad) ? bad[i] : long_name;
        g_autofree gchar *text = NULL;
        g_autoptr(GError) error = NULL;

        g_assert_false(policy_store_write(fixture->store, "records", name, "x", 1, TRUE, NULL));
        g_assert_false(policy_store_remove(fixture->store, "records", name, NULL));
        g_assert_cmpint(policy_store_lock(fixture->store, "records", name, 0, NULL), ==, -1);
        g_assert_false(policy_store_read(fixture->store, "records", name, 10, &text, NULL, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
}

static void test_unusable_files(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *path = state_path(fixture, "records", NAME);
    g_autofree gchar *other = state_path(fixture, "records", "other.json");
    g_autofree gchar *huge = g_strnfill(1001, 'x');
    g_autofree gchar *kept = NULL;

    fixture_put_text(other, "secret");
    g_assert_cmpint(symlink(other, path), ==, 0);
    read_refused(fixture, "records", NAME, "symbolic link");
    /* Writing replaces the link, never what it points to. */
    write_ok(fixture, "records", NAME, "new");
    kept = read_ok(fixture, "records", "other.json");
    g_assert_cmpstr(kept, ==, "secret");
    g_unlink(path);

    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    read_refused(fixture, "records", NAME, "regular file");
    g_unlink(path);
    g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
    read_refused(fixture, "records", NAME, "regular file");
    g_rmdir(path);
    fixture_put_text(path, huge);
    read_refused(fixture, "records", NAME, "larger");
    fixture_put_text(path, "x");
    g_assert_cmpint(chmod(path, 0620), ==, 0);
    read_refused(fixture, "records", NAME, "not to be trusted");
    g_assert_cmpint(chmod(path, 0600), ==, 0);
    if (geteuid() == 0) {
        g_assert_cmpint(chown(path, 12345, -1), ==, 0);
        read_refused(fixture, "records", NAME, "not to be trusted");
    }
}

static void open_refused(const char *directory, const char *says)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyStore) store = policy_store_open(directory, TRUE, &error);

    g_assert_null(store);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED);
    if (!strstr(error->message, says))
        g_error("'%s' is not in '%s'", says, error->message);
}

static void test_folders(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *missing = g_build_filename(fixture->folder, "a", "b", NULL);
    g_autofree gchar *records = g_build_filename(fixture->state, "records", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyStore) store = policy_store_open(missing, FALSE, &error);
    g_autoptr(GPtrArray) names = NULL;
    g_autofree gchar *text = NULL;

    /* A missing folder is an empty store, and stays missing until something is written. */
    g_assert_no_error(error);
    names = policy_store_list(store, "references", &error);
    g_assert_cmpuint(names->len, ==, 0);
    g_assert_true(policy_store_read(store, "references", NAME, 10, &text, NULL, &error));
    g_assert_null(text);
    g_assert_false(g_file_test(missing, G_FILE_TEST_EXISTS));
    g_assert_true(policy_store_write(store, "records", NAME, "x", 1, TRUE, &error));
    g_assert_no_error(error);

    open_refused(fixture->kernel, "Not a directory");
    g_assert_cmpint(chmod(fixture->state, 0770), ==, 0);
    open_refused(fixture->state, "chmod");
    g_assert_cmpint(chmod(fixture->state, 0702), ==, 0);
    open_refused(fixture->state, "chmod");
    g_assert_cmpint(chmod(fixture->state, 0700), ==, 0);
    g_assert_cmpint(chmod(records, 0707), ==, 0);
    open_refused(fixture->state, "records");
    g_assert_cmpint(chmod(records, 0700), ==, 0);
    if (geteuid() == 0) {
        g_assert_cmpint(chown(fixture->state, 12345, -1), ==, 0);
        open_refused(fixture->state, "another user");
        g_assert_cmpint(chown(fixture->state, 0, -1), ==, 0);
    }
}

/* Whoever makes the state folder makes all of it; what is missing from it afterwards was taken away. */
static void test_permission(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    uid_t user = geteuid();

    g_assert_cmpint(chmod(fixture->state, 0), ==, 0);
    /* Root may open everything, so somebody else tries. */
    if (user == 0)
        g_assert_cmpint(seteuid(65534), ==, 0);
    open_refused(fixture->state, "Permission denied; run this as root");
    if (user == 0)
        g_assert_cmpint(seteuid(user), ==, 0);
    g_assert_cmpint(chmod(fixture->state, 0700), ==, 0);
}

static void test_vanished(void)
{
    static const char *const kinds[] = {"references", "records", "cache"};
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *made = g_build_filename(fixture->folder, "made", NULL);
    g_autofree gchar *slashes = g_strconcat(made, "//", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyStore) store = policy_store_open(slashes, FALSE, &error);
    g_autoptr(GDir) dir = NULL;

    g_assert_no_error(error);
    g_assert_true(policy_store_write(store, "records", NAME, "x", 1, TRUE, &error));
    g_assert_no_error(error);
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree gchar *path = g_build_filename(made, kinds[i], NULL);
        g_autofree gchar *text = NULL;
        struct stat st;

        g_assert_cmpint(lstat(path, &st), ==, 0);
        g_assert_cmpint(st.st_mode, ==, S_IFDIR | 0700);
        fixture_remove_tree(path);
        g_assert_false(policy_store_read(store, kinds[i], NAME, 10, &text, NULL, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED);
        g_assert_nonnull(strstr(error->message, path));
        g_clear_error(&error);
        g_assert_null(policy_store_list(store, kinds[i], &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED);
        g_clear_error(&error);
        g_assert_false(policy_store_remove(store, kinds[i], NAME, NULL));
        /* Reading does not make it again. */
        g_assert_cmpint(lstat(path, &st), <, 0);
    }
    /* Nothing else was left beside it: no folder that was being made. */
    dir = g_dir_open(fixture->folder, 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir));)
        g_assert_false(g_str_has_prefix(name, "made."));
}

/* A writer that was killed leaves its temporary file; it goes when it is old, and not while a start waits. */
static void test_leftovers(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *old_file = state_path(fixture, "records", ".tmp-1-00000000-x.json");
    g_autofree gchar *new_file = state_path(fixture, "records", ".tmp-2-00000000-x.json");
    g_autofree gchar *data_file = state_path(fixture, "records", NAME);
    g_autoptr(PolicyStore) store = NULL;
    struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};

    fixture_put_text(old_file, "half");
    fixture_put_text(new_file, "half");
    g_assert_cmpint(utimensat(AT_FDCWD, old_file, times, 0), ==, 0);
    write_ok(fixture, "records", NAME, "x");
    g_assert_true(g_file_test(old_file, G_FILE_TEST_EXISTS));
    policy_store_sweep(fixture->store, "records");
    g_assert_false(g_file_test(old_file, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(new_file, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(data_file, G_FILE_TEST_EXISTS));
    g_assert_cmpint(utimensat(AT_FDCWD, new_file, times, 0), ==, 0);
    g_assert_cmpint(utimensat(AT_FDCWD, data_file, times, 0), ==, 0);
    store = policy_store_open(fixture->state, TRUE, NULL);
    g_assert_false(g_file_test(new_file, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(data_file, G_FILE_TEST_EXISTS));
}

static void test_lock(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(GError) error = NULL;
    gint64 before;
    pid_t child;
    int status;
    int lock = policy_store_lock(fixture->store, "records", NAME, 0, &error);
    int second;

    g_assert_no_error(error);
    g_assert_cmpint(lock, >=, 0);
    before = g_get_monotonic_time();
    g_assert_cmpint(policy_store_lock(fixture->store, "records", NAME, 50, &error), ==, -1);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_assert_cmpint(g_get_monotonic_time() - before, >=, 50000);
    g_clear_error(&error);
    /* Another name is another lock. */
    second = policy_store_lock(fixture->store, "records", "b.json", 0, &error);
    g_assert_no_error(error);
    close(second);
    close(lock);

    /* A lock dies with its holder. */
    child = fork();
    if (child == 0) {
        policy_store_lock(fixture->store, "records", NAME, 0, NULL);
        _exit(0);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    lock = policy_store_lock(fixture->store, "records", NAME, 0, &error);
    g_assert_no_error(error);
    close(lock);
}

static void test_references(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, NULL, FIXTURE_MILAN FIXTURE_SNP);
    g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyReference) reference = policy_reference_new(domain, evaluation, XML_ON_MISMATCH_REFUSE, &error);
    g_autoptr(PolicyReference) back = NULL;
    g_autofree gchar *path = state_path(fixture, "references", NAME);
    g_autofree gchar *copy = state_path(fixture, "references", "11111111-2222-3333-4444-555555555555.json");
    g_autofree gchar *text = NULL;

    g_assert_no_error(error);
    g_assert_null(policy_store_get_reference(fixture->store, FIXTURE_UUID, &error));
    g_assert_no_error(error);
    g_assert_true(policy_store_put_reference(fixture->store, reference, &error));
    back = policy_store_get_reference(fixture->store, FIXTURE_UUID, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(back->name, ==, "guest1");

    /* A copy under another domain's name is not that domain's pin. */
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    fixture_put_text(copy, text);
    g_assert_null(policy_store_get_reference(fixture->store, "11111111-2222-3333-4444-555555555555", &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_clear_error(&error);
    fixture_put_text(path, "{");
    g_assert_null(policy_store_get_reference(fixture->store, FIXTURE_UUID, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_assert_nonnull(strstr(error->message, path));
    g_clear_error(&error);
    g_assert_null(policy_store_get_reference(fixture->store, "../../etc/passwd", &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_clear_error(&error);

    g_assert_true(policy_store_remove_reference(fixture->store, FIXTURE_UUID, &error));
    g_assert_no_error(error);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    /* What could not be read back is not pinned. */
    g_free(reference->created);
    reference->created = g_strdup("now");
    g_assert_false(policy_store_put_reference(fixture->store, reference, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* ---- The digest cache ---- */

static char known_path[] = "/f";
static MeasureInput known = {
    .path = known_path, .size = 5, .device = 0x801, .inode = 77, .mtime_ns = 1234567, .ctime_ns = -5};

static gchar *lookup(Fixture *fixture, const MeasureInput *input, const char *kind)
{
    const MeasureCache *cache = policy_store_cache(fixture->store);

    return cache->lookup(input, kind, cache->user_data);
}

static void remember(Fixture *fixture, const MeasureInput *input, const char *kind, const char *value)
{
    const MeasureCache *cache = policy_store_cache(fixture->store);

    cache->store(input, kind, value, cache->user_data);
}

static void assert_miss(Fixture *fixture, MeasureInput input)
{
    g_autofree gchar *value = lookup(fixture, &input, "file");

    g_assert_null(value);
}

static void test_cache(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *huge = g_strnfill(4097, 'v');
    g_autofree gchar *hit = NULL;
    g_autofree gchar *lines = NULL;
    g_autofree gchar *other_kind = NULL;
    MeasureInput input = known;

    assert_miss(fixture, known);
    remember(fixture, &known, "file", "value");
    hit = lookup(fixture, &known, "file");
    g_assert_cmpstr(hit, ==, "value");
    other_kind = lookup(fixture, &known, "firmware");
    g_assert_null(other_kind);
    remember(fixture, &known, "firmware", "two\nlines\n");
    lines = lookup(fixture, &known, "firmware");
    g_assert_cmpstr(lines, ==, "two\nlines\n");

    /* Any part of the identity that differs is another file, or another state of it. */
    input.size++;
    assert_miss(fixture, input);
    input = known;
    input.mtime_ns++;
    assert_miss(fixture, input);
    input = known;
    input.ctime_ns++;
    assert_miss(fixture, input);
    input = known;
    input.inode++;
    assert_miss(fixture, input);
    input = known;
    input.device++;
    assert_miss(fixture, input);

    input = known;
    input.inode = 78;
    remember(fixture, &input, "file", huge);
    assert_miss(fixture, input);
}

static void test_cache_poisoned(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *path = state_path(fixture, "cache", "file-801-4d");
    g_autofree gchar *other = state_path(fixture, "cache", "file-801-4e");
    g_autofree gchar *good = NULL;
    g_autofree gchar *foreign = NULL;
    g_autofree gchar *hit = NULL;
    MeasureInput input = known;
    gsize size = 0;

    remember(fixture, &known, "file", "value");
    g_assert_true(g_file_get_contents(path, &good, &size, NULL));
    /* Torn at every length, and every byte turned over. */
    for (gsize i = 0; i < size; i++) {
        g_autofree gchar *bad = g_memdup2(good, size);

        fixture_put(path, bad, i);
        assert_miss(fixture, known);
        bad[i] ^= 1;
        fixture_put(path, bad, size);
        assert_miss(fixture, known);
    }
    /* The entry of another file. */
    input.inode = 78;
    remember(fixture, &input, "file", "other");
    g_assert_true(g_file_get_contents(other, &foreign, &size, NULL));
    fixture_put_text(path, foreign);
    assert_miss(fixture, known);

    fixture_put_text(path, good);
    hit = lookup(fixture, &known, "file");
    g_assert_cmpstr(hit, ==, "value");
    g_assert_cmpint(chmod(path, 0640), ==, 0);
    assert_miss(fixture, known);
    g_assert_cmpint(chmod(path, 0600), ==, 0);
    if (geteuid() == 0) {
        g_assert_cmpint(chown(path, 12345, -1), ==, 0);
        assert_miss(fixture, known);
        g_assert_cmpint(chown(path, 0, -1), ==, 0);
    }
    g_unlink(other);
    g_assert_cmpint(rename(path, other), ==, 0);
    g_assert_cmpint(symlink(other, path), ==, 0);
    assert_miss(fixture, known);
}

static void test_cache_bounded(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(GPtrArray) names = NULL;
    g_autofree gchar *newest = NULL;
    MeasureInput input = known;

    for (input.inode = 1; input.inode <= 300; input.inode++)
        remember(fixture, &input, "file", "value");
    names = policy_store_list(fixture->store, "cache", NULL);
    g_assert_cmpuint(names->len, >=, 192);
    g_assert_cmpuint(names->len, <=, 256);
    input.inode = 300;
    newest = lookup(fixture, &input, "file");
    g_assert_cmpstr(newest, ==, "value");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    umask(022);
    g_test_add_func("/store/files", test_files);
    g_test_add_func("/store/names", test_names);
    g_test_add_func("/store/unusable-files", test_unusable_files);
    g_test_add_func("/store/folders", test_folders);
    g_test_add_func("/store/permission", test_permission);
    g_test_add_func("/store/vanished", test_vanished);
    g_test_add_func("/store/leftovers", test_leftovers);
    g_test_add_func("/store/lock", test_lock);
    g_test_add_func("/store/references", test_references);
    g_test_add_func("/store/cache", test_cache);
    g_test_add_func("/store/cache-poisoned", test_cache_poisoned);
    g_test_add_func("/store/cache-bounded", test_cache_bounded);
    return g_test_run();
}
