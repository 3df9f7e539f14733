/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Documents of volumes, what is stale, what a base may be, and the store of kernels and initrds. */
#include <sys/vfs.h>

#include "measure/file.h"
#include "storage/boot-store.h"
#include "storage/volume.h"
#include "tests/unit/confidential-fixture.h"
#include "tests/unit/corpus-fixture.h"
#include "tests/unit/schema-fixture.h"

#define POOL_UUID "0b5f2c5e-6b3a-4a0e-9a7e-3c3f4e1d2c10"
#define OTHER_SHA256 "ebb26cc5d1f74e05e12b84ecbcf2ad1b8e6e4b97e15b2df8a9d0a1d4eddb9ee4"

static gboolean read_document(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(StorageVolume) volume = storage_volume_parse(text, (gssize)size, error);

    if (!volume)
        g_assert_true(error == NULL || (*error)->code == ATTEST_ERROR_UNREADABLE);
    return volume != NULL;
}

static void test_corpus(void)
{
    corpus_walk("volume", read_document, NULL);
}

/* The schema and the reader agree about every document of the corpus that is JSON at all. */
static void test_schema(void)
{
    static const char *const beyond[] = {"bad-empty", "bad-nul", "bad-utf8", "bad-torn", "bad-twice", "bad-trailing",
                                         /* The schema does not compare members with each other. */
                                         "bad-root-hash-short", NULL};
    g_autofree gchar *folder = g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), "tests", "corpus", "volume", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    g_autoptr(GPtrArray) good = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) bad = g_ptr_array_new_with_free_func(g_free);
    const char *name = NULL;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir))) {
        g_autofree gchar *path = g_build_filename(folder, name, NULL);
        gchar *text = NULL;

        if (g_strv_contains(beyond, name))
            continue;
        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        g_ptr_array_add(g_str_has_prefix(name, "ok-") ? good : bad, text);
    }
    g_assert_cmpuint(good->len, >, 5);
    g_assert_cmpuint(bad->len, >, 25);
    if (schema_check("storage/volume.schema.json", good, TRUE) == SCHEMA_UNKNOWN) {
        g_test_skip("no python3-jsonschema");
        return;
    }
    g_assert_cmpint(schema_check("storage/volume.schema.json", good, TRUE), ==, SCHEMA_AGREED);
    g_assert_cmpint(schema_check("storage/volume.schema.json", bad, FALSE), ==, SCHEMA_AGREED);
}

static void test_names(void)
{
    static const char *const good[] = {"a", "guest", "Guest_1.2-3", "0", "_x", "a-root.qcow2"};
    static const char *const bad[] = {"", ".", "..", ".hidden", "-x", "--help", "a/b", "../a", "a b", "a\nb", "$(x)",
                                      "a;b", "a\tb", "\xff", "gäst", "a*"};
    g_autofree gchar *longest = g_strnfill(100, 'x');
    g_autofree gchar *too_long = g_strnfill(101, 'x');

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
        g_assert_true(storage_volume_check_name(good[i], NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(storage_volume_check_name(bad[i], &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
        g_assert_null(strpbrk(error->message, "\n\t"));
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
    }
    g_assert_true(storage_volume_check_name(longest, NULL));
    g_assert_false(storage_volume_check_name(too_long, NULL));
}

static void test_sizes(void)
{
    static const struct {
        const char *text;
        guint64 size; /* 0: refused */
    } cases[] = {{"1", 1},       {"4096", 4096},         {"1K", 1024},          {"1k", 1024},
                 {"12G", 12884901888}, {"1T", 1099511627776}, {"512M", 536870912}, {"0", 0},
                 {"0G", 0},      {"", 0},                {"G", 0},              {"-1", 0},
                 {"+1", 0},      {" 1", 0},              {"1 G", 0},            {"1.5G", 0},
                 {"0x10", 0},    {"1GB", 0},             {"9223372036854775807", 9223372036854775807},
                 {"9223372036854775808", 0}, {"8388608T", 0}, {"99999999999999999999", 0}, {"10%", 0}};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        guint64 size = 0;
        gboolean taken = storage_size_parse(cases[i].text, &size);

        if (taken != (cases[i].size != 0) || size != cases[i].size)
            g_error("'%s' gives %d, %" G_GUINT64_FORMAT, cases[i].text, taken, size);
    }
}

static void test_upper(void)
{
    static const struct {
        const char *text, *again; /* NULL: refused */
    } cases[] = {{"none", "none"},
                 {"tmpfs", "tmpfs"},
                 {"tmpfs:1G", "tmpfs:1G"},
                 {"tmpfs:50%", "tmpfs:50%"},
                 {"encrypted", "encrypted:4294967296"},
                 {"encrypted:64M", "encrypted:67108864"},
                 {"dirs", "dirs"},
                 {"dirs:home=512M,tmp=10%", "dirs:home=512M,tmp=10%"},
                 {"", NULL},
                 {"disk", NULL},
                 {"encrypted:1M", NULL},
                 {"encrypted:67108865", NULL},
                 {"encrypted:", NULL},
                 {"encrypted:va-upper", NULL},
                 {"tmpfs:", NULL},
                 {"tmpfs:0", NULL},
                 {"tmpfs:101%", NULL},
                 {"tmpfs virt_attest.wait=600", NULL},
                 {"tmpfs\tinit=/bin/sh", NULL},
                 {"dirs:root=1G", NULL}};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        StorageUpper upper;
        g_autoptr(GError) error = NULL;
        gboolean taken = storage_upper_parse(cases[i].text, &upper, &error);
        g_autofree gchar *again = taken ? storage_upper_format(&upper) : NULL;

        if (g_strcmp0(again, cases[i].again))
            g_error("'%s' gives '%s', not '%s'", cases[i].text, again, cases[i].again);
        if (!taken)
            g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
    }
}

/* ---- bases and staleness ---- */

/* Old enough for its identity to count. */
static void put_old(const char *path, const char *text)
{
    struct timespec old[2] = {{.tv_sec = 1600000000}, {.tv_sec = 1600000000}};

    fixture_put_text(path, text);
    g_assert_cmpint(utimensat(AT_FDCWD, path, old, 0), ==, 0);
}

static gboolean keeps_ctime(const char *path)
{
    struct statfs system;

    g_assert_cmpint(statfs(path, &system), ==, 0);
    return measure_file_system_keeps_ctime((guint32)system.f_type);
}

static void test_fact(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *path = g_build_filename(fixture->folder, "image.raw", NULL);
    g_autoptr(GError) error = NULL;
    StorageFact fact, again;
    g_autofree gchar *hex = NULL;

    put_old(path, "abc");
    g_assert_true(storage_fact_read("image", path, fixture->store, NULL, 0, &fact, &error));
    g_assert_no_error(error);
    hex = measure_hex_encode(fact.sha256, sizeof(fact.sha256));
    /* FIPS 180-2, appendix B.1. */
    g_assert_cmpstr(hex, ==, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    g_assert_cmpuint(fact.identity.size, ==, 3);
    /* What is known counts when nothing changed; a wrong digest shows that it was not read. */
    memset(fact.sha256, 7, sizeof(fact.sha256));
    g_assert_true(storage_fact_read("image", path, NULL, &fact, G_MAXINT32, &again, &error));
    g_assert_cmpint(memcmp(fact.sha256, again.sha256, sizeof(fact.sha256)) == 0, ==, keeps_ctime(path));
    /* Known too soon after its last change: read. */
    memset(fact.sha256, 7, sizeof(fact.sha256));
    g_assert_true(storage_fact_read("image", path, NULL, &fact, fact.identity.ctime_ns / 1000000000, &again, &error));
    g_assert_cmpmem(again.sha256, 1, "\xba", 1);
    /* Same size, same mtime, other content: the change time tells. */
    put_old(path, "abd");
    g_assert_true(storage_fact_read("image", path, NULL, &fact, G_MAXINT32, &again, &error));
    g_assert_cmpmem(again.sha256, 2, "\xa5\x2d", 2);
    g_assert_false(storage_fact_read("image", fixture->folder, NULL, NULL, 0, &again, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
}

static StorageVolume *make_volume(Fixture *fixture, const char *name, const char *base)
{
    g_autofree gchar *root_name = storage_volume_root_name(name);
    StorageVolume *volume = storage_volume_new();

    volume->name = g_strdup(name);
    volume->pool = g_strdup("default");
    volume->pool_uuid = g_strdup(POOL_UUID);
    volume->level = 4;
    volume->base_path = g_strdup(base);
    volume->kernel = g_strdup("6.1.0-test");
    volume->root_path = g_build_filename(fixture->folder, root_name, NULL);
    volume->created = storage_volume_now();
    volume->complete = TRUE;
    g_assert_true(storage_upper_parse("none", &volume->upper, NULL));
    g_assert_true(storage_fact_read("base", base, NULL, NULL, 0, &volume->base, NULL));
    put_old(volume->root_path, "root");
    return volume;
}

static void seal(Fixture *fixture, StorageVolume *volume)
{
    g_autofree gchar *name = storage_volume_verity_name(volume->name);
    StorageSeal *made = g_new0(StorageSeal, 1);

    made->root_hash = g_strnfill(64, 'a');
    made->salt = g_strdup("");
    made->uuid = g_strdup(POOL_UUID);
    made->hash = g_strdup("sha256");
    made->data_blocks = 1;
    made->data_block_size = made->hash_block_size = 4096;
    made->path = g_build_filename(fixture->folder, name, NULL);
    made->created = storage_volume_now();
    fixture_put_text(made->path, "tree");
    g_assert_true(storage_fact_read("root", volume->root_path, NULL, NULL, 0, &made->root, NULL));
    volume->seal = made;
}

static void expect(StorageVolume *volume, Fixture *fixture, const char *state, guint level, const char *says)
{
    g_autofree gchar *reason = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpstr(storage_volume_state(volume, fixture->store, &reason), ==, state);
    g_assert_true(storage_volume_check(volume, level, fixture->store, &error) == (says == NULL));
    if (says) {
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
        if (!strstr(error->message, says))
            g_error("'%s' is not in '%s'", says, error->message);
    }
}

static void test_stale(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *base = g_build_filename(fixture->folder, "base.raw", NULL);
    g_autoptr(StorageVolume) volume = NULL;

    put_old(base, "base");
    volume = make_volume(fixture, "guest", base);
    expect(volume, fixture, "new", 3, NULL);
    expect(volume, fixture, "new", 4, "run 'virt-attest vol-seal --pool default guest' first");
    seal(fixture, volume);
    expect(volume, fixture, "sealed", 4, NULL);
    /* libvirt changes the owner: the change time is another one, the content is not. */
    g_assert_cmpint(chmod(volume->root_path, 0640), ==, 0);
    g_assert_cmpint(chmod(base, 0640), ==, 0);
    expect(volume, fixture, "sealed", 4, NULL);
    put_old(volume->root_path, "rooT");
    expect(volume, fixture, "stale", 4, "changed after it was sealed: run 'virt-attest vol-seal");
    expect(volume, fixture, "stale", 3, NULL);
    put_old(volume->root_path, "root");
    expect(volume, fixture, "sealed", 4, NULL);
    put_old(base, "bass");
    expect(volume, fixture, "base changed", 0, "changed since volume 'guest' was based on it");
    put_old(base, "base");
    volume->level = 3;
    expect(volume, fixture, "sealed", 4, "was made for level 3, not 4");
    volume->level = 4;
    g_unlink(volume->seal->path);
    expect(volume, fixture, "stale", 4, "is missing: run 'virt-attest vol-seal");
    g_unlink(volume->root_path);
    expect(volume, fixture, "missing", 0, "is missing: run 'virt-attest vol-delete");
    volume->complete = FALSE;
    expect(volume, fixture, "incomplete", 0, "is incomplete");
}

static void test_store(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *base = g_build_filename(fixture->folder, "base.raw", NULL);
    g_autofree gchar *other = g_strconcat(fixture->state, "/volumes/" POOL_UUID ".other.json", NULL);
    g_autofree gchar *file = g_strconcat(fixture->state, "/volumes/" POOL_UUID ".guest.json", NULL);
    g_autofree gchar *text = NULL;
    g_autofree gchar *wanted = NULL;
    g_autoptr(StorageVolume) volume = NULL;
    g_autoptr(StorageVolume) again = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = NULL;

    put_old(base, "base");
    volume = make_volume(fixture, "guest", base);
    g_assert_true(storage_volume_put(fixture->store, volume, &error));
    g_assert_no_error(error);
    again = storage_volume_get(fixture->store, POOL_UUID, "guest", &error);
    g_assert_no_error(error);
    wanted = storage_volume_format(volume);
    text = storage_volume_format(again);
    g_assert_cmpstr(text, ==, wanted);
    g_assert_null(storage_volume_get(fixture->store, POOL_UUID, "none", &error));
    g_assert_no_error(error);
    /* A copy under another name speaks for nobody, and is not passed over. */
    fixture_put_text(other, wanted);
    g_assert_null(storage_volume_get(fixture->store, POOL_UUID, "other", &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_clear_error(&error);
    g_assert_null(storage_volume_list(fixture->store, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_clear_error(&error);
    g_assert_true(storage_base_in_use("/nowhere", fixture->store, NULL));
    g_unlink(other);
    list = storage_volume_list(fixture->store, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(list->len, ==, 1);
    /* Nothing that cannot be read back is written. */
    g_free(volume->kernel);
    volume->kernel = g_strdup("");
    g_assert_false(storage_volume_put(fixture->store, volume, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_assert_true(storage_volume_remove(fixture->store, volume, NULL));
    g_assert_false(g_file_test(file, G_FILE_TEST_EXISTS));
    /* A state folder of an older release has no such folder. */
    g_free(other);
    other = g_build_filename(fixture->state, "volumes", NULL);
    fixture_remove_tree(other);
    g_ptr_array_unref(list);
    list = storage_volume_list(fixture->store, NULL);
    g_assert_cmpuint(list->len, ==, 0);
}

static void base_refused(Fixture *fixture, const char *path, int code, const char *says)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *warning = NULL;
    StorageFact fact;

    g_assert_false(storage_base_check(path, fixture->store, &fact, &warning, &error));
    g_assert_error(error, ATTEST_ERROR, code);
    if (!strstr(error->message, says))
        g_error("'%s' is not in '%s'", says, error->message);
}

static void test_base(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *base = g_build_filename(fixture->folder, "base.raw", NULL);
    g_autofree gchar *link = g_build_filename(fixture->folder, "link.raw", NULL);
    g_autofree gchar *moved = g_build_filename(fixture->folder, "moved.raw", NULL);
    g_autofree gchar *manifest = g_strconcat(base, ".manifest.json", NULL);
    g_autofree gchar *image = g_build_filename(fixture->folder, "overlay.qcow2", NULL);
    g_autofree gchar *warning = NULL;
    g_autoptr(StorageVolume) volume = NULL;
    g_autoptr(GError) error = NULL;
    guint8 header[512] = {'Q', 'F', 'I', 0xfb, 0, 0, 0, 3};
    StorageFact fact;

    put_old(base, "a base image, which is at least as long as the longest header that somebody looks at: eighty bytes");
    g_assert_cmpint(symlink("base.raw", link), ==, 0);
    g_assert_false(storage_base_in_use(base, fixture->store, &error));
    g_assert_no_error(error);
    g_assert_true(storage_base_check(base, fixture->store, &fact, &warning, &error));
    g_assert_no_error(error);
    g_assert_null(warning);
    g_assert_cmpint(chmod(base, 0666), ==, 0);
    g_assert_true(storage_base_check(base, fixture->store, &fact, &warning, &error));
    g_assert_nonnull(strstr(warning, "chmod go-w"));
    g_assert_cmpint(chmod(base, 0644), ==, 0);

    volume = make_volume(fixture, "guest", base);
    g_assert_true(storage_volume_put(fixture->store, volume, NULL));
    /* By its path, by a link, by another name of the file. */
    g_assert_true(storage_base_in_use(base, fixture->store, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
    g_assert_nonnull(strstr(error->message, "'guest' (pool 'default')"));
    g_clear_error(&error);
    g_assert_true(storage_base_in_use(link, fixture->store, NULL));
    g_assert_cmpint(rename(base, moved), ==, 0);
    g_assert_true(storage_base_in_use(moved, fixture->store, NULL));
    g_assert_true(storage_base_in_use(base, fixture->store, NULL));
    g_assert_cmpint(rename(moved, base), ==, 0);
    g_assert_false(storage_base_in_use(fixture->kernel, fixture->store, &error));
    g_assert_no_error(error);

    put_old(base, "A base image, which is at least as long as the longest header that somebody looks at: eighty bytes");
    base_refused(fixture, base, ATTEST_ERROR_REJECTED, "changed since 'guest' (pool 'default') was based on it");
    base_refused(fixture, link, ATTEST_ERROR_REJECTED, "changed since 'guest'");
    g_assert_true(storage_volume_remove(fixture->store, volume, NULL));
    g_free(warning);
    warning = NULL;
    g_assert_true(storage_base_check(base, fixture->store, &fact, &warning, &error));

    fixture_put_text(manifest, "{\"image\": {\"sha256\": \"" OTHER_SHA256 "\"}, \"more\": [1]}");
    base_refused(fixture, base, ATTEST_ERROR_REJECTED, "is not what its manifest says");
    fixture_put_text(manifest, "{\"image\": {\"sha256\": 1}}");
    base_refused(fixture, base, ATTEST_ERROR_UNREADABLE, "base.raw.manifest.json");
    fixture_put_text(manifest, "{");
    base_refused(fixture, base, ATTEST_ERROR_UNREADABLE, "base.raw.manifest.json");
    g_unlink(manifest);

    base_refused(fixture, "base.raw", ATTEST_ERROR_USAGE, "not an absolute path");
    base_refused(fixture, fixture->folder, ATTEST_ERROR_UNREADABLE, "directory");
    fixture_put(image, header, sizeof(header));
    g_assert_true(storage_base_check(image, fixture->store, &fact, &warning, &error));
    g_assert_no_error(error);
    header[15] = 1; /* backing file name at offset 1 */
    fixture_put(image, header, sizeof(header));
    base_refused(fixture, image, ATTEST_ERROR_USAGE, "itself based on another image");
    header[15] = 0;
    header[79] = 4; /* external data file */
    fixture_put(image, header, sizeof(header));
    base_refused(fixture, image, ATTEST_ERROR_USAGE, "keeps its data in another file");
    fixture_put(base, header, sizeof(header));
    base_refused(fixture, base, ATTEST_ERROR_UNREADABLE, "does not end in .qcow2");
    put_old(image, "no qcow2 image, but longer than eighty bytes, so that there is a header to look at: it is none");
    base_refused(fixture, image, ATTEST_ERROR_UNREADABLE, "no qcow2 image");
}

/* ---- boot store ---- */

static guint mode_of(const char *path)
{
    struct stat st;

    g_assert_cmpint(stat(path, &st), ==, 0);
    return st.st_mode & 07777;
}

static void test_boot_store(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *folder = g_build_filename(fixture->state, "boot", NULL);
    g_autofree gchar *references = g_build_filename(fixture->state, "references", NULL);
    g_autofree gchar *foreign = g_build_filename(folder, "README", NULL);
    g_autofree gchar *wanted = NULL;
    g_autofree gchar *path = NULL;
    g_autofree gchar *again = NULL;
    g_autofree gchar *text = NULL;
    g_autoptr(GBytes) data = g_bytes_new_static("abc", 3);
    g_autoptr(GBytes) empty = g_bytes_new_static("", 0);
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(mode_of(fixture->state), ==, 0700);
    g_assert_true(storage_boot_sweep(fixture->store, &error));
    g_assert_no_error(error);
    path = storage_boot_put(fixture->store, data, "kernel", &error);
    g_assert_no_error(error);
    wanted = g_strconcat(folder, "/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.kernel", NULL);
    g_assert_cmpstr(path, ==, wanted);
    /* Others pass through, and see nothing but what they know the name of. */
    g_assert_cmpuint(mode_of(fixture->state), ==, 0711);
    g_assert_cmpuint(mode_of(folder), ==, 0711);
    g_assert_cmpuint(mode_of(references), ==, 0700);
    g_assert_cmpuint(mode_of(path), ==, 0444);
    again = storage_boot_put(fixture->store, data, "kernel", &error);
    g_assert_cmpstr(again, ==, path);
    g_assert_null(storage_boot_put(fixture->store, empty, "kernel", NULL));

    fixture_put_text(path, "abd");
    g_assert_null(storage_boot_put(fixture->store, data, "kernel", &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
    g_clear_error(&error);
    fixture_put_text(foreign, "not ours");
    g_assert_true(storage_boot_sweep(fixture->store, &error));
    g_assert_no_error(error);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(foreign, G_FILE_TEST_EXISTS));
    /* A reference that cannot be read may name anything. */
    g_free(again);
    again = storage_boot_put(fixture->store, data, "kernel", &error);
    g_assert_true(policy_store_write(fixture->store, "references", FIXTURE_UUID ".json", "{", 1, FALSE, NULL));
    g_assert_false(storage_boot_sweep(fixture->store, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_assert_true(g_file_get_contents(again, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "abc");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/volume/corpus", test_corpus);
    g_test_add_func("/volume/schema", test_schema);
    g_test_add_func("/volume/names", test_names);
    g_test_add_func("/volume/sizes", test_sizes);
    g_test_add_func("/volume/upper", test_upper);
    g_test_add_func("/volume/fact", test_fact);
    g_test_add_func("/volume/stale", test_stale);
    g_test_add_func("/volume/store", test_store);
    g_test_add_func("/volume/base", test_base);
    g_test_add_func("/volume/boot-store", test_boot_store);
    return g_test_run();
}
