/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ID block and ID authentication page. Expected values: known answers of other implementations (virtee/sev-snp-measure,
 * virtee/sev, and an independent one), and signatures that this test cuts out of the page with its own layout and
 * verifies by itself (id-block-fixture.h) or with the openssl program.
 */
#include <glib/gstdio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/id-block.h"
#include "tests/unit/id-block-fixture.h"

#define BLOCKS 10000

static PolicyKey *id_key, *author_key;

static PolicyKey *new_key(void)
{
    g_autoptr(GError) error = NULL;
    PolicyKey *key = policy_key_from_evp(EVP_EC_gen("P-384"), POLICY_KEY_P384, "key", &error);

    g_assert_no_error(error);
    return key;
}

static PolicyIdBlock example_block(void)
{
    PolicyIdBlock block = {.version = 1, .guest_svn = 7, .policy = 0x13001f};

    for (guint i = 0; i < sizeof(block.digest); i++)
        block.digest[i] = (guint8)i;
    for (guint i = 0; i < sizeof(block.family_id); i++) {
        block.family_id[i] = (guint8)(0x11 * i);
        block.image_id[i] = (guint8)(0xff - 0x11 * i);
    }
    return block;
}

/* A page that another part of the test has to find good. */
static void make_page(const PolicyKey *author, guint8 block[POLICY_ID_BLOCK_SIZE], guint8 page[POLICY_ID_AUTH_SIZE])
{
    PolicyIdBlock facts = example_block();
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyIdIssuer) issuer = policy_id_issuer_new(id_key, author, &error);

    g_assert_no_error(error);
    policy_id_block_format(&facts, block);
    g_assert_true(policy_id_issuer_sign(issuer, block, page, &error));
    g_assert_no_error(error);
}

/* ---- the block ---- */

typedef struct {
    const char *digest, *family_id, *image_id;
    guint32 svn;
    guint64 policy;
    const char *base64;
} KnownBlock;

/* From the tests of virtee/sev-snp-measure and virtee/sev; the last from an implementation of its own. */
static const KnownBlock known_blocks[] = {
    {"076f052d08bda7a700aa2a608c5caa6b00ebad297b6d68a85a45b1e669a558b67e1b91d284a301fe63c4fa0750467eed",
     "00000000000000000000000000000000", "00000000000000000000000000000000", 0, 0x30000,
     "B28FLQi9p6cAqipgjFyqawDrrSl7bWioWkWx5mmlWLZ+G5HShKMB/mPE+gdQRn7tAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAAAA"
     "AAAAAAAAAwAAAAAA"},
    {"a14d638341e5674628fe1e02fbedebe5e5ab4faf1dd72d8966068e615bb99efd13d214b35c231715b38e263dc6059745",
     "00000000000000000000000000000000", "00000000000000000000000000000000", 0, 0x30000,
     "oU1jg0HlZ0Yo/h4C++3r5eWrT68d1y2JZgaOYVu5nv0T0hSzXCMXFbOOJj3GBZdFAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAAAA"
     "AAAAAAAAAwAAAAAA"},
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f",
     "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100", 7, 0x13001f,
     "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vABEiM0RVZneImaq7zN3u///u3cy7qpmId2ZVRDMiEQABAAAA"
     "BwAAAB8AEwAAAAAA"},
};

static void test_block(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(known_blocks); i++) {
        const KnownBlock *known = &known_blocks[i];
        PolicyIdBlock block = {.version = 1, .guest_svn = known->svn, .policy = known->policy}, back;
        guint8 bytes[POLICY_ID_BLOCK_SIZE];
        g_autoptr(GError) error = NULL;

        g_assert_true(measure_hex_decode(known->digest, block.digest, sizeof(block.digest)));
        g_assert_true(measure_hex_decode(known->family_id, block.family_id, sizeof(block.family_id)));
        g_assert_true(measure_hex_decode(known->image_id, block.image_id, sizeof(block.image_id)));
        policy_id_block_format(&block, bytes);
        g_autofree gchar *base64 = g_base64_encode(bytes, sizeof(bytes));
        g_assert_cmpstr(base64, ==, known->base64);
        g_assert_true(policy_id_block_parse(bytes, sizeof(bytes), &back, &error));
        g_assert_no_error(error);
        g_assert_cmpmem(&back, sizeof(back), &block, sizeof(block));
    }
}

static void test_block_refused(void)
{
    PolicyIdBlock facts = example_block(), out = {.guest_svn = 77};
    guint8 bytes[POLICY_ID_BLOCK_SIZE + 1] = {0};

    policy_id_block_format(&facts, bytes);
    for (gsize size = 0; size <= sizeof(bytes); size++) {
        g_autoptr(GError) error = NULL;
        g_autofree guint8 *exact = g_memdup2(bytes, size);

        if (size == POLICY_ID_BLOCK_SIZE)
            continue;
        g_assert_false(policy_id_block_parse(exact, size, &out, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
    static const guint32 versions[] = {0, 2, 256, 0x01000000, G_MAXUINT32};
    for (gsize i = 0; i < G_N_ELEMENTS(versions); i++) {
        g_autoptr(GError) error = NULL;

        facts.version = versions[i];
        policy_id_block_format(&facts, bytes);
        g_assert_false(policy_id_block_parse(bytes, POLICY_ID_BLOCK_SIZE, &out, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
    g_assert_cmpuint(out.guest_svn, ==, 77);
}

/* ---- known answers that need the key files ---- */

static gchar *vector_path(const char *name)
{
    const char *folder = g_getenv("VIRT_ATTEST_VECTORS");

    return folder && *folder ? g_build_filename(folder, "idblock", name, NULL) : NULL;
}

static PolicyKey *vector_key(const char *name)
{
    g_autofree gchar *path = vector_path(name);
    g_autofree gchar *pem = NULL;
    g_autoptr(GError) error = NULL;

    g_file_get_contents(path, &pem, NULL, &error);
    g_assert_no_error(error);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    g_assert_nonnull(key);
    PolicyKey *loaded = policy_key_from_evp(key, POLICY_KEY_P384, "key", &error);
    g_assert_no_error(error);
    return loaded;
}

static void assert_key_digest(const PolicyKey *key, const char *expected)
{
    guint8 digest[48];
    g_autoptr(GError) error = NULL;

    g_assert_true(policy_id_key_digest(key, digest, &error));
    g_assert_no_error(error);
    g_autofree gchar *hex = measure_hex_encode(digest, sizeof(digest));
    g_assert_cmpstr(hex, ==, expected);
}

#define SSM_ID "870b7e35c53f8a72d0d322f75ab2af8262792aaf6579622ce4131c3f21f289e77cb0560a5e3b90b3932e674ec709cb14"
#define SSM_AUTHOR "63111c34bbfc0a4938f9a009bd074980d8172323e61599c9fd336da8673248e1dca98d0be8f76376a106b8afd4c0a057"
#define VIRTEE_ID "59fb2c686dfa4fef49f38339aa775c90051c28d57383ddc3baf3b5eb4b1496df3b0dbbdcbae5fe27677a644820773fe2"
#define VIRTEE_AUTHOR "eed81169fb0cb5e0ec34794f128fd4e0c4a46f67c65a1adfa81fcb24bcc088c272369b7ffc3eb2b6af6a4284a1b36c5f"

static void assert_hex(const guint8 *bytes, gsize size, const char *expected)
{
    g_autofree gchar *hex = measure_hex_encode(bytes, size);

    g_assert_cmpstr(hex, ==, expected);
}

static gboolean have_vectors(void)
{
    g_autofree gchar *path = vector_path("idblock.tsv");

    if (path && g_file_test(path, G_FILE_TEST_EXISTS))
        return TRUE;
    g_test_skip("VIRT_ATTEST_VECTORS names no folder of vectors");
    return FALSE;
}

static void test_known_keys(void)
{
    if (!have_vectors())
        return;
    g_autoptr(PolicyKey) ssm_id = vector_key("sev-snp-measure_id_key_test.pem");
    g_autoptr(PolicyKey) ssm_author = vector_key("sev-snp-measure_author_key_test.pem");
    g_autoptr(PolicyKey) virtee_id = vector_key("virtee-sev_test_id_key.pem");
    g_autoptr(PolicyKey) virtee_author = vector_key("virtee-sev_test_auth_key.pem");

    assert_key_digest(ssm_id, SSM_ID);
    assert_key_digest(ssm_author, SSM_AUTHOR);
    assert_key_digest(virtee_id, VIRTEE_ID);
    assert_key_digest(virtee_author, VIRTEE_AUTHOR);
}

/* A page that another implementation made: it is good, and ours has the same bytes but for the two signatures. */
static void test_known_page(void)
{
    if (!have_vectors())
        return;
    g_autofree gchar *path = vector_path("virtee-sev_test_auth_block.bin");
    g_autofree gchar *page = NULL;
    gsize size = 0;
    g_autoptr(GError) error = NULL;
    PolicyIdentity identity;
    gsize block_size = 0;
    g_autofree guchar *block = g_base64_decode(known_blocks[1].base64, &block_size);

    g_file_get_contents(path, &page, &size, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(size, ==, PAGE_SIZE);
    g_assert_true(policy_id_auth_verify(block, page, size, TRUE, &identity, &error));
    g_assert_no_error(error);
    assert_hex(identity.id_key_digest, 48, VIRTEE_ID);
    g_assert_true(identity.has_author_key);
    assert_hex(identity.author_key_digest, 48, VIRTEE_AUTHOR);
    /* Of a launch that does not ask for the author the report shows none. */
    g_assert_true(policy_id_auth_verify(block, page, size, FALSE, &identity, &error));
    g_assert_no_error(error);
    g_assert_false(identity.has_author_key);

    g_autoptr(PolicyKey) id = vector_key("virtee-sev_test_id_key.pem");
    g_autoptr(PolicyKey) author = vector_key("virtee-sev_test_auth_key.pem");
    g_autoptr(PolicyIdIssuer) issuer = policy_id_issuer_new(id, author, &error);
    guint8 own[PAGE_SIZE];
    g_assert_no_error(error);
    g_assert_true(policy_id_issuer_sign(issuer, block, own, &error));
    memset(own + AT_BLOCK_SIGNATURE, 0, 512);
    memset(own + AT_KEY_SIGNATURE, 0, 512);
    memset(page + AT_BLOCK_SIGNATURE, 0, 512);
    memset(page + AT_KEY_SIGNATURE, 0, 512);
    g_assert_cmpmem(own, sizeof(own), page, sizeof(own));
}

/* ---- pages of our own ---- */

static void test_identity(void)
{
    guint8 block[POLICY_ID_BLOCK_SIZE], page[PAGE_SIZE], digest[48];
    PolicyIdentity identity;
    g_autoptr(GError) error = NULL;

    make_page(author_key, block, page);
    g_assert_true(policy_id_auth_verify(block, page, sizeof(page), TRUE, &identity, &error));
    g_assert_no_error(error);
    assert_hex(identity.family_id, 16, known_blocks[2].family_id);
    assert_hex(identity.image_id, 16, known_blocks[2].image_id);
    g_assert_cmpuint(identity.guest_svn, ==, 7);
    EVP_Digest(page + AT_ID_KEY, KEY_SIZE, digest, NULL, EVP_sha384(), NULL);
    g_assert_cmpmem(identity.id_key_digest, 48, digest, 48);
    EVP_Digest(page + AT_AUTHOR_KEY, KEY_SIZE, digest, NULL, EVP_sha384(), NULL);
    g_assert_cmpmem(identity.author_key_digest, 48, digest, 48);

    make_page(NULL, block, page);
    g_assert_true(policy_id_auth_verify(block, page, sizeof(page), FALSE, &identity, &error));
    g_assert_no_error(error);
    g_assert_false(identity.has_author_key);
    for (gsize i = AT_KEY_SIGNATURE; i < sizeof(page); i++)
        g_assert_cmpuint(page[i], ==, 0);
    g_assert_false(policy_id_auth_verify(block, page, sizeof(page), TRUE, NULL, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
    g_assert_nonnull(strstr(error->message, "author key"));
}

typedef struct {
    const PolicyIdIssuer *issuer;
    EVP_PKEY *id;
    guint first, count, seen;
    guint short_r, short_s, zero_low; /* bytes at the high and the low end of a number that are zero */
    guint bad;
} Batch;

static void check_generated(Batch *batch, const guint8 *block, const guint8 *page)
{
    const guint8 *signature = page + AT_BLOCK_SIGNATURE;
    gboolean short_r = signature[47] == 0, short_s = signature[72 + 47] == 0;
    gboolean zero_low = signature[0] == 0 || signature[72] == 0;

    batch->short_r += short_r;
    batch->short_s += short_s;
    batch->zero_low += zero_low;
    /* "-m slow" verifies every one; otherwise those that are special and every fifth. */
    if (short_r || short_s || zero_low || batch->seen++ % 5 == 0 || g_test_slow())
        batch->bad += !verify_der(batch->id, signature, block, POLICY_ID_BLOCK_SIZE);
    if (short_r || short_s || zero_low)
        batch->bad += !policy_id_auth_verify(block, page, PAGE_SIZE, TRUE, NULL, NULL);
}

static gpointer generate(gpointer data)
{
    Batch *batch = data;

    for (guint i = 0; i < batch->count; i++) {
        PolicyIdBlock facts = example_block();
        guint8 block[POLICY_ID_BLOCK_SIZE], page[PAGE_SIZE];

        facts.guest_svn = batch->first + i;
        policy_id_block_format(&facts, block);
        if (!policy_id_issuer_sign(batch->issuer, block, page, NULL))
            batch->bad++;
        else
            check_generated(batch, block, page);
    }
    return NULL;
}

/* A number below 2^376 comes once in 256: in 10,000 signatures each kind is all but sure to be there ten times. */
static void test_many(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyIdIssuer) issuer = policy_id_issuer_new(id_key, author_key, &error);
    Batch halves[2] = {{.first = 0, .count = BLOCKS / 2}, {.first = BLOCKS / 2, .count = BLOCKS / 2}};
    GThread *threads[2];

    g_assert_no_error(error);
    for (guint i = 0; i < 2; i++) {
        halves[i].issuer = issuer;
        halves[i].id = policy_key_evp(id_key);
        threads[i] = g_thread_new("blocks", generate, &halves[i]);
    }
    for (guint i = 0; i < 2; i++)
        g_thread_join(threads[i]);
    g_assert_cmpuint(halves[0].bad + halves[1].bad, ==, 0);
    g_assert_cmpuint(halves[0].short_r + halves[1].short_r, >=, 10);
    g_assert_cmpuint(halves[0].short_s + halves[1].short_s, >=, 10);
    g_assert_cmpuint(halves[0].zero_low + halves[1].zero_low, >=, 10);
}

/* The author signs the key once an issuer, so here short numbers need many issuers. */
static void test_many_authors(void)
{
    guint shorter = 0;

    for (guint i = 0; i < 4000 && shorter < 1; i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(PolicyIdIssuer) issuer = policy_id_issuer_new(id_key, author_key, &error);
        guint8 block[POLICY_ID_BLOCK_SIZE] = {0}, page[PAGE_SIZE];

        g_assert_no_error(error);
        g_assert_true(policy_id_issuer_sign(issuer, block, page, &error));
        g_assert_true(verify_der(policy_key_evp(author_key), page + AT_KEY_SIGNATURE, page + AT_ID_KEY, KEY_SIZE));
        shorter += page[AT_KEY_SIGNATURE + 47] == 0 || page[AT_KEY_SIGNATURE + 72 + 47] == 0;
    }
    g_assert_cmpuint(shorter, ==, 1);
}

/* ---- pages that are not good ---- */

typedef struct {
    guint8 block[POLICY_ID_BLOCK_SIZE], page[PAGE_SIZE];
    gboolean author_key_enabled;
    gsize first, step;
    gsize taken; /* offset + 1 of a flip that was taken, or that had no reason */
} Flips;

static gpointer flip(gpointer data)
{
    Flips *flips = data;

    for (gsize i = flips->first; i < PAGE_SIZE && !flips->taken; i += flips->step) {
        g_autoptr(GError) error = NULL;

        flips->page[i] ^= (guint8)(1u << (i % 8));
        if (policy_id_auth_verify(flips->block, flips->page, PAGE_SIZE, flips->author_key_enabled, NULL, &error) ||
            error->code != ATTEST_ERROR_REJECTED || strlen(error->message) < 20)
            flips->taken = i + 1;
        flips->page[i] ^= (guint8)(1u << (i % 8));
    }
    return NULL;
}

static void assert_every_flip_refused(const PolicyKey *author, gboolean author_key_enabled)
{
    Flips flips[2] = {0};
    GThread *threads[2];

    make_page(author, flips[0].block, flips[0].page);
    flips[0].author_key_enabled = author_key_enabled;
    flips[0].step = 2;
    flips[1] = flips[0];
    flips[1].first = 1;
    for (guint i = 0; i < 2; i++)
        threads[i] = g_thread_new("flips", flip, &flips[i]);
    for (guint i = 0; i < 2; i++) {
        g_thread_join(threads[i]);
        g_assert_cmpuint(flips[i].taken, ==, 0);
    }
}

static void test_flips(void)
{
    assert_every_flip_refused(author_key, TRUE);
    assert_every_flip_refused(NULL, FALSE);
}

static void test_block_flips(void)
{
    guint8 block[POLICY_ID_BLOCK_SIZE], page[PAGE_SIZE];

    make_page(author_key, block, page);
    for (gsize i = 0; i < sizeof(block); i++) {
        block[i] ^= 0x10;
        g_assert_false(policy_id_auth_verify(block, page, sizeof(page), TRUE, NULL, NULL));
        block[i] ^= 0x10;
    }
    g_assert_true(policy_id_auth_verify(block, page, sizeof(page), TRUE, NULL, NULL));
}

static void test_sizes(void)
{
    guint8 block[POLICY_ID_BLOCK_SIZE], page[PAGE_SIZE + 1] = {0};
    static const gsize sizes[] = {0, 1, 64, 2048, 4095, 4097};

    make_page(author_key, block, page);
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree guint8 *exact = g_memdup2(page, sizes[i]);

        g_assert_false(policy_id_auth_verify(block, exact, sizes[i], TRUE, NULL, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
}

/* SEC 2, secp384r1: the order n and the prime p, little-endian. */
static void put_hex(const char *big_endian, guint8 *out)
{
    guint8 bytes[48];

    g_assert_true(measure_hex_decode(big_endian, bytes, sizeof(bytes)));
    memset(out, 0, 72);
    for (gsize i = 0; i < sizeof(bytes); i++)
        out[i] = bytes[47 - i];
}

#define ORDER "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"
#define ABOVE "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52974"
#define PRIME "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff"
#define ZERO "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
#define ONE "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"

typedef struct {
    gsize at;
    const char *number; /* or NULL: */
    guint32 word;
    const char *says;
} BadField;

static const BadField bad_fields[] = {
    {AT_BLOCK_SIGNATURE, ZERO, 0, "has R = 0"},
    {AT_BLOCK_SIGNATURE, ORDER, 0, "has R = 0 or not below the order"},
    {AT_BLOCK_SIGNATURE, ABOVE, 0, "not below the order"},
    {AT_BLOCK_SIGNATURE + 72, ZERO, 0, "has S = 0"},
    {AT_BLOCK_SIGNATURE + 72, ORDER, 0, "not below the order"},
    {AT_KEY_SIGNATURE, ZERO, 0, "signature of the ID key has R = 0"},
    {AT_KEY_SIGNATURE + 72, ORDER, 0, "signature of the ID key has S = 0 or not below"},
    {AT_ID_KEY + 4, ZERO, 0, "the ID key is not a point"},
    {AT_ID_KEY + 4, PRIME, 0, "the ID key is not a point"},
    {AT_ID_KEY + 4, ONE, 0, "the ID key is not a point"},
    {AT_ID_KEY + 4 + 72, PRIME, 0, "the ID key is not a point"},
    {AT_AUTHOR_KEY + 4, ONE, 0, "the author key is not a point"},
    {0, NULL, 0, "has no ID key"},
    {0, NULL, 2, "the ID key is for algorithm 2"},
    {4, NULL, 0, "has no author key"},
    {4, NULL, 0x100, "the author key is for algorithm 256"},
    {8, NULL, 1, "reserved byte 0x8"},
    {60, NULL, 0x80000000, "reserved byte 0x3f"},
    {AT_ID_KEY, NULL, 1, "the ID key is on curve 1"},
    {AT_ID_KEY, NULL, 0, "the ID key is on curve 0"},
    {AT_AUTHOR_KEY, NULL, 3, "the author key is on curve 3"},
    {AT_BLOCK_SIGNATURE + 68, NULL, 1, "not below the order"},
    {AT_BLOCK_SIGNATURE + 144, NULL, 1, "reserved byte 0xd0"},
    {AT_ID_KEY + 4 + 48, NULL, 1, "the ID key is not a point"},
    {AT_ID_KEY + KEY_SIZE, NULL, 1, "reserved byte 0x644"},
    {AT_AUTHOR_KEY + KEY_SIZE, NULL, 1, "reserved byte 0xc84"},
    {PAGE_SIZE - 4, NULL, 1, "reserved byte 0xffc"},
    {AT_KEY_SIGNATURE + 144, NULL, 1, "reserved byte 0x710"},
    {AT_ID_KEY + 148, NULL, 1, "reserved byte 0x2d4"},
    {AT_AUTHOR_KEY + 148, NULL, 1, "reserved byte 0x914"},
};

static void test_bad_fields(void)
{
    guint8 block[POLICY_ID_BLOCK_SIZE], page[PAGE_SIZE];

    make_page(author_key, block, page);
    for (gsize i = 0; i < G_N_ELEMENTS(bad_fields); i++) {
        const BadField *field = &bad_fields[i];
        guint8 bad[PAGE_SIZE];
        g_autoptr(GError) error = NULL;

        memcpy(bad, page, sizeof(bad));
        if (field->number)
            put_hex(field->number, bad + field->at);
        else
            measure_put_u32(bad + field->at, field->word);
        g_assert_false(policy_id_auth_verify(block, bad, sizeof(bad), TRUE, NULL, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
        if (!strstr(error->message, field->says))
            g_error("row %" G_GSIZE_FORMAT ": '%s' is not in '%s'", i, field->says, error->message);
    }
}

/* Every problem is listed, not only the first; and what a report would show is there all the same. */
static void test_problems(void)
{
    guint8 block[POLICY_ID_BLOCK_SIZE], page[PAGE_SIZE];
    PolicyIdentity identity;

    make_page(author_key, block, page);
    page[8] = 1;
    page[AT_BLOCK_SIGNATURE] ^= 1;
    page[AT_KEY_SIGNATURE] ^= 1;
    g_autoptr(GPtrArray) problems = policy_id_auth_problems(block, page, sizeof(page), TRUE, &identity);
    g_assert_cmpuint(problems->len, ==, 3);
    g_assert_cmpuint(identity.guest_svn, ==, 7);
    page[8] = 0;
    page[AT_BLOCK_SIGNATURE] ^= 1;
    page[AT_KEY_SIGNATURE] ^= 1;
    g_autoptr(GPtrArray) none = policy_id_auth_problems(block, page, sizeof(page), TRUE, &identity);
    g_assert_cmpuint(none->len, ==, 0);
}

/* Signed well, by somebody else: the halves of two pages do not go together. */
static void test_mixed(void)
{
    guint8 block[POLICY_ID_BLOCK_SIZE], page[PAGE_SIZE], foreign[PAGE_SIZE];
    g_autoptr(PolicyKey) other = new_key();
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyIdIssuer) issuer = policy_id_issuer_new(other, other, &error);

    make_page(author_key, block, page);
    g_assert_no_error(error);
    g_assert_true(policy_id_issuer_sign(issuer, block, foreign, &error));
    g_assert_true(policy_id_auth_verify(block, foreign, sizeof(foreign), TRUE, NULL, &error));
    memcpy(page + AT_AUTHOR_KEY, foreign + AT_AUTHOR_KEY, KEY_SIZE);
    g_assert_false(policy_id_auth_verify(block, page, sizeof(page), TRUE, NULL, &error));
    g_assert_nonnull(strstr(error->message, "was not made by the author key"));
    g_clear_error(&error);
    make_page(author_key, block, page);
    memcpy(page + AT_ID_KEY, foreign + AT_ID_KEY, KEY_SIZE);
    g_assert_false(policy_id_auth_verify(block, page, sizeof(page), TRUE, NULL, &error));
    g_assert_nonnull(strstr(error->message, "was not made by the ID key"));
}

static void test_wrong_keys(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyKey) ed25519 =
        policy_key_from_evp(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), POLICY_KEY_ED25519, "key", &error);
    guint8 digest[48];

    g_assert_no_error(error);
    g_assert_null(policy_id_issuer_new(ed25519, NULL, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    g_assert_nonnull(strstr(error->message, "the ID key is a key for ed25519"));
    g_clear_error(&error);
    g_assert_null(policy_id_issuer_new(id_key, ed25519, &error));
    g_assert_nonnull(strstr(error->message, "the author key is a key for ed25519"));
    g_clear_error(&error);
    g_assert_false(policy_id_key_digest(ed25519, digest, &error));
    g_clear_error(&error);

    /* A public key has a digest, and signs nothing. */
    g_autofree guint8 *der = NULL;
    int size = i2d_PUBKEY(policy_key_evp(id_key), NULL);
    guint8 *at = der = g_malloc((gsize)size);
    i2d_PUBKEY(policy_key_evp(id_key), &at);
    const guint8 *from = der;
    g_autoptr(PolicyKey) half = policy_key_from_evp(d2i_PUBKEY(NULL, &from, size), POLICY_KEY_P384, "key", &error);
    g_assert_no_error(error);
    g_assert_true(policy_id_key_digest(half, digest, &error));
    g_assert_null(policy_id_issuer_new(id_key, half, &error));
    g_assert_nonnull(strstr(error->message, "author key does not sign"));
    g_clear_error(&error);
    g_autoptr(PolicyIdIssuer) issuer = policy_id_issuer_new(half, NULL, &error);
    guint8 block[POLICY_ID_BLOCK_SIZE] = {0}, page[PAGE_SIZE];
    g_assert_no_error(error);
    g_assert_false(policy_id_issuer_sign(issuer, block, page, &error));
    g_assert_nonnull(strstr(error->message, "ID key does not sign"));
}

/* ---- the openssl program ---- */

static void write_file(const char *folder, const char *name, gconstpointer data, gsize size)
{
    g_autofree gchar *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, data, (gssize)size, &error);
    g_assert_no_error(error);
}

static gboolean openssl_verifies(const char *folder)
{
    const char *const argv[] = {"openssl",    "dgst",      "-sha384", "-verify", "key.der", "-keyform", "DER",
                                "-signature", "signature", "data",    NULL};
    g_autofree gchar *said = NULL;
    gint status = 0;
    g_autoptr(GError) error = NULL;

    g_spawn_sync(folder, (gchar **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &said,
                 NULL, &status, &error);
    g_assert_no_error(error);
    return g_spawn_check_wait_status(status, NULL) && g_str_has_prefix(said, "Verified OK");
}

/* Nothing of the program under test but the page's bytes comes along: key, signature and data are cut out of it. */
static gboolean openssl_accepts(const char *folder, const guint8 *key, const guint8 *signature, gconstpointer data,
                                gsize size)
{
    guint8 der[160], spki[120];
    gsize length = der_signature(signature, der);

    der_public_key(key, spki);
    write_file(folder, "key.der", spki, sizeof(spki));
    write_file(folder, "signature", der, length);
    write_file(folder, "data", data, size);
    return openssl_verifies(folder);
}

static void test_openssl(void)
{
    guint8 block[POLICY_ID_BLOCK_SIZE], page[PAGE_SIZE];
    g_autofree gchar *openssl = g_find_program_in_path("openssl");
    g_autoptr(GError) error = NULL;

    if (!openssl) {
        g_test_skip("no openssl program");
        return;
    }
    g_autofree gchar *folder = g_dir_make_tmp("id-block-XXXXXX", &error);
    g_assert_no_error(error);
    make_page(author_key, block, page);
    g_assert_true(openssl_accepts(folder, page + AT_ID_KEY, page + AT_BLOCK_SIGNATURE, block, sizeof(block)));
    g_assert_true(openssl_accepts(folder, page + AT_AUTHOR_KEY, page + AT_KEY_SIGNATURE, page + AT_ID_KEY, KEY_SIZE));
    block[0] ^= 1;
    g_assert_false(openssl_accepts(folder, page + AT_ID_KEY, page + AT_BLOCK_SIGNATURE, block, sizeof(block)));
    static const char *const names[] = {"key.der", "signature", "data"};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree gchar *path = g_build_filename(folder, names[i], NULL);
        g_unlink(path);
    }
    g_rmdir(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    id_key = new_key();
    author_key = new_key();
    g_test_add_func("/id-block/block", test_block);
    g_test_add_func("/id-block/block-refused", test_block_refused);
    g_test_add_func("/id-block/known-keys", test_known_keys);
    g_test_add_func("/id-block/known-page", test_known_page);
    g_test_add_func("/id-block/identity", test_identity);
    g_test_add_func("/id-block/many", test_many);
    g_test_add_func("/id-block/many-authors", test_many_authors);
    g_test_add_func("/id-block/flips", test_flips);
    g_test_add_func("/id-block/block-flips", test_block_flips);
    g_test_add_func("/id-block/sizes", test_sizes);
    g_test_add_func("/id-block/bad-fields", test_bad_fields);
    g_test_add_func("/id-block/problems", test_problems);
    g_test_add_func("/id-block/mixed", test_mixed);
    g_test_add_func("/id-block/wrong-keys", test_wrong_keys);
    g_test_add_func("/id-block/openssl", test_openssl);
    int status = g_test_run();
    policy_key_free(id_key);
    policy_key_free(author_key);
    return status;
}
