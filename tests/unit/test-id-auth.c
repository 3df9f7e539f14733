/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ID authentication pages that are not good. Every byte of a page counts: one bit of it changed, and the page is
 * refused with a reason. What the reasons are is in a table, field by field.
 */
#include "measure/bytes.h"
#include "measure/error.h"
#include "tests/unit/id-block-fixture.h"

static PolicyKey *id_key, *author_key;

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

    make_page(id_key, author, flips[0].block, flips[0].page);
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

    make_page(id_key, author_key, block, page);
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

    make_page(id_key, author_key, block, page);
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

    make_page(id_key, author_key, block, page);
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

    make_page(id_key, author_key, block, page);
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

    make_page(id_key, author_key, block, page);
    g_assert_no_error(error);
    g_assert_true(policy_id_issuer_sign(issuer, block, foreign, &error));
    g_assert_true(policy_id_auth_verify(block, foreign, sizeof(foreign), TRUE, NULL, &error));
    memcpy(page + AT_AUTHOR_KEY, foreign + AT_AUTHOR_KEY, KEY_SIZE);
    g_assert_false(policy_id_auth_verify(block, page, sizeof(page), TRUE, NULL, &error));
    g_assert_nonnull(strstr(error->message, "was not made by the author key"));
    g_clear_error(&error);
    make_page(id_key, author_key, block, page);
    memcpy(page + AT_ID_KEY, foreign + AT_ID_KEY, KEY_SIZE);
    g_assert_false(policy_id_auth_verify(block, page, sizeof(page), TRUE, NULL, &error));
    g_assert_nonnull(strstr(error->message, "was not made by the ID key"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    id_key = new_key();
    author_key = new_key();
    g_test_add_func("/id-auth/flips", test_flips);
    g_test_add_func("/id-auth/block-flips", test_block_flips);
    g_test_add_func("/id-auth/sizes", test_sizes);
    g_test_add_func("/id-auth/bad-fields", test_bad_fields);
    g_test_add_func("/id-auth/problems", test_problems);
    g_test_add_func("/id-auth/mixed", test_mixed);
    int status = g_test_run();
    policy_key_free(id_key);
    policy_key_free(author_key);
    return status;
}
