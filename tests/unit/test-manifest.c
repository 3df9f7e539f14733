/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The manifest of a bundle: corpus, canonical text, published schema. */
#include "storage/bundle-manifest.h"

#include <string.h>

#include "measure/error.h"
#include "tests/unit/corpus-fixture.h"
#include "tests/unit/schema-fixture.h"

#define SCHEMA "storage/bundle.schema.json"
/* SHA-256 of "" and of "abc" (FIPS 180-4). */
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static gboolean read_one(const char *text, gsize size, gpointer texts, GError **error)
{
    g_autoptr(StorageManifest) manifest = storage_manifest_parse(text, (gssize)size, error);

    if (manifest)
        g_ptr_array_add(texts, storage_manifest_format(manifest));
    return manifest != NULL;
}

static void test_corpus(void)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

    corpus_walk("manifest", read_one, texts);
    for (guint i = 0; i < texts->len; i++) {
        g_autoptr(StorageManifest) manifest = storage_manifest_parse(texts->pdata[i], -1, NULL);
        g_autofree gchar *again = manifest ? storage_manifest_format(manifest) : NULL;

        g_assert_cmpstr(again, ==, texts->pdata[i]);
    }
    g_assert_cmpint(schema_check(SCHEMA, texts, TRUE), !=, SCHEMA_CONTRADICTED);
}

static void test_format(void)
{
    g_autoptr(StorageManifest) manifest = storage_manifest_new();
    g_autofree gchar *text = NULL;
    g_autofree gchar *wanted = NULL;
    guint8 empty[32], abc[32];

    policy_sha256("", 0, empty);
    policy_sha256("abc", 3, abc);
    storage_manifest_add(manifest, "reference.json", 0, empty);
    storage_manifest_add(manifest, "domain.xml", 3, abc);
    text = storage_manifest_format(manifest);
    wanted = g_strdup("{\n  \"files\" : {\n    \"domain.xml\" : {\n      \"sha256\" : \"" ABC "\",\n      \"size\" : 3\n"
                      "    },\n    \"reference.json\" : {\n      \"sha256\" : \"" EMPTY "\",\n      \"size\" : 0\n    }\n"
                      "  },\n  \"format\" : \"virt-attest-bundle-1\",\n  \"tool\" : \"virt-attest " VERSION "\"\n}\n");
    g_assert_cmpstr(text, ==, wanted);
    g_assert_cmpuint(storage_manifest_find(manifest, "domain.xml")->size, ==, 3);
    g_assert_null(storage_manifest_find(manifest, "kernel"));
}

/* What the reader refuses for its shape, the schema refuses too. */
static void test_schema(void)
{
    static const char *const wrong[] = {
        "{}",
        "{\"files\": {}, \"format\": \"virt-attest-bundle-2\", \"tool\": \"t\"}",
        "{\"files\": {\"evil\": {\"sha256\": \"" EMPTY "\", \"size\": 0}}, \"format\": \"virt-attest-bundle-1\", "
        "\"tool\": \"t\"}",
        "{\"files\": {\"kernel\": {\"sha256\": \"" EMPTY "\"}}, \"format\": \"virt-attest-bundle-1\", \"tool\": \"t\"}",
        "{\"files\": {\"kernel\": {\"sha256\": \"00\", \"size\": 1}}, \"format\": \"virt-attest-bundle-1\", \"tool\": "
        "\"t\"}",
        "{\"files\": {\"kernel\": {\"sha256\": \"" EMPTY "\", \"size\": -1}}, \"format\": \"virt-attest-bundle-1\", "
        "\"tool\": \"t\"}",
    };
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(storage_manifest_parse(wrong[i], -1, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        g_ptr_array_add(texts, g_strdup(wrong[i]));
    }
    g_assert_cmpint(schema_check(SCHEMA, texts, FALSE), !=, SCHEMA_CONTRADICTED);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/manifest/corpus", test_corpus);
    g_test_add_func("/manifest/format", test_format);
    g_test_add_func("/manifest/schema", test_schema);
    return g_test_run();
}
