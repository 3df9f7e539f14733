/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nonce journal: good once, for a day, and never lost. */
#include "policy/appraisal/nonce.h"

#include <glib/gstdio.h>
#include <string.h>

#include "measure/error.h"

#define NOW G_GINT64_CONSTANT(1795305600)

typedef struct {
    gchar *folder;
    PolicyStore *store;
} Fixture;

static void set_up(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    fixture->folder = g_dir_make_tmp("virt-attest-XXXXXX", &error);
    g_assert_no_error(error);
    g_autofree gchar *state = g_build_filename(fixture->folder, "state", NULL);
    fixture->store = policy_store_open(state, TRUE, &error);
    g_assert_no_error(error);
}

/* Only what this test has made: two levels, files by their names. */
static void empty_folder(const char *path, guint depth)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name = NULL;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree gchar *child = g_build_filename(path, name, NULL);

        if (depth > 0 && g_file_test(child, G_FILE_TEST_IS_DIR))
            empty_folder(child, depth - 1);
        else
            g_unlink(child);
    }
    g_rmdir(path);
}

static void tear_down(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    policy_store_free(fixture->store);
    empty_folder(fixture->folder, 2);
    g_free(fixture->folder);
}

static void issue(Fixture *fixture, gint64 now, guint8 nonce[APPRAISAL_NONCE_SIZE])
{
    g_autoptr(GError) error = NULL;

    appraisal_nonce_issue(fixture->store, now, nonce, &error);
    g_assert_no_error(error);
}

static AppraisalNonce *claim(Fixture *fixture, const guint8 nonce[APPRAISAL_NONCE_SIZE], gint64 now)
{
    g_autoptr(GError) error = NULL;
    AppraisalNonce *result = appraisal_nonce_claim(fixture->store, nonce, now, &error);

    g_assert_no_error(error);
    return result;
}

static void test_once(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    guint8 nonce[APPRAISAL_NONCE_SIZE], other[APPRAISAL_NONCE_SIZE];
    g_autoptr(GError) error = NULL;

    issue(fixture, NOW, nonce);
    issue(fixture, NOW, other);
    g_assert_cmpint(memcmp(nonce, other, sizeof(nonce)), !=, 0);
    /* Looked at without being used: still good. */
    for (guint i = 0; i < 2; i++) {
        g_autoptr(AppraisalNonce) first = claim(fixture, nonce, NOW + 5);

        g_assert_null(first->fault);
        g_assert_cmpint(first->issued, ==, NOW);
        if (i == 1)
            g_assert_true(appraisal_nonce_spend(first, NOW + 5, &error));
    }
    g_assert_no_error(error);
    g_autoptr(AppraisalNonce) again = claim(fixture, nonce, NOW + 6);
    g_assert_nonnull(strstr(again->fault, "replayed"));
    g_assert_cmpint(again->issued, ==, NOW);
    /* The other one is as good as before. */
    g_autoptr(AppraisalNonce) second = claim(fixture, other, NOW + 6);
    g_assert_null(second->fault);
}

static void test_unknown(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    guint8 nonce[APPRAISAL_NONCE_SIZE] = {1};
    g_autoptr(AppraisalNonce) unknown = claim(fixture, nonce, NOW);

    g_assert_nonnull(strstr(unknown->fault, "not issued here"));
    g_assert_cmpint(unknown->issued, ==, -1);
}

static void test_lifetime(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    guint8 nonce[APPRAISAL_NONCE_SIZE];

    issue(fixture, NOW, nonce);
    const struct {
        gint64 at;
        gboolean good;
    } rows[] = {
        {NOW + APPRAISAL_NONCE_LIFETIME, TRUE},
        {NOW + APPRAISAL_NONCE_LIFETIME + 1, FALSE},
        {NOW - 300, TRUE},
        {NOW - 301, FALSE},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(AppraisalNonce) each = claim(fixture, nonce, rows[i].at);

        g_assert_cmpint(each->fault == NULL, ==, rows[i].good);
    }
}

/* Old ones go away in the end, and a used one that is forgotten is not good again. */
static void test_forgotten(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    guint8 old[APPRAISAL_NONCE_SIZE], fresh[APPRAISAL_NONCE_SIZE];
    g_autoptr(GError) error = NULL;
    guint left = 2;

    issue(fixture, NOW, old);
    {
        g_autoptr(AppraisalNonce) used = claim(fixture, old, NOW);
        g_assert_true(appraisal_nonce_spend(used, NOW, &error));
    }
    /* It is done now and then: not to be seen in 500 times is less likely than a broken processor. */
    for (guint i = 0; i < 500; i++) {
        g_autoptr(AppraisalNonce) each = NULL;

        issue(fixture, NOW + APPRAISAL_NONCE_LIFETIME + 10, fresh);
        each = claim(fixture, old, NOW);
        if (each->issued < 0) {
            left = 0;
            g_assert_nonnull(strstr(each->fault, "not issued here"));
            break;
        }
    }
    g_assert_cmpuint(left, ==, 0);
    g_autoptr(AppraisalNonce) last = claim(fixture, fresh, NOW + APPRAISAL_NONCE_LIFETIME + 10);
    g_assert_null(last->fault);
}

/* A damaged entry is an error, never a good nonce. */
static void test_damaged(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    static const char *const texts[] = {
        "",
        "{}",
        "{\"format\":\"virt-attest-nonce-1\"}",
        "{\"format\":\"virt-attest-nonce-2\",\"issued\":1}",
        "{\"format\":\"virt-attest-nonce-1\",\"issued\":-1}",
        "{\"format\":\"virt-attest-nonce-1\",\"issued\":1,\"x\":1}",
        "{\"format\":\"virt-attest-nonce-1\",\"issued\":1,\"used\":null}",
    };
    guint8 nonce[APPRAISAL_NONCE_SIZE];

    issue(fixture, NOW, nonce);
    g_autoptr(GPtrArray) names = policy_store_list(fixture->store, "nonces", NULL);
    g_assert_cmpuint(names->len, ==, 1);
    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(AppraisalNonce) each = NULL;

        g_assert_true(policy_store_write(fixture->store, "nonces", g_ptr_array_index(names, 0), texts[i],
                                         strlen(texts[i]), FALSE, NULL));
        each = appraisal_nonce_claim(fixture->store, nonce, NOW, &error);
        g_assert_null(each);
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
}

/* Two at the same time: the second has to wait until the first has decided, and then finds it used. */
static gpointer second_claim(gpointer data)
{
    Fixture *fixture = ((gpointer *)data)[0];
    const guint8 *nonce = ((gpointer *)data)[1];
    g_autofree gchar *state = g_build_filename(fixture->folder, "state", NULL);
    g_autoptr(PolicyStore) store = policy_store_open(state, FALSE, NULL);
    g_autoptr(AppraisalNonce) mine = NULL;

    /* On a busy machine its patience with the other one may end. */
    for (guint i = 0; !mine && i < 20; i++)
        mine = appraisal_nonce_claim(store, nonce, NOW, NULL);
    return mine && mine->fault ? g_strdup(mine->fault) : NULL;
}

static void test_race(Fixture *fixture, G_GNUC_UNUSED gconstpointer data)
{
    guint8 nonce[APPRAISAL_NONCE_SIZE];
    gpointer arguments[] = {fixture, nonce};
    g_autoptr(GError) error = NULL;

    issue(fixture, NOW, nonce);
    g_autoptr(AppraisalNonce) first = claim(fixture, nonce, NOW);
    GThread *thread = g_thread_new("second", second_claim, arguments);
    g_usleep(100000);
    g_assert_true(appraisal_nonce_spend(first, NOW, &error));
    g_clear_pointer(&first, appraisal_nonce_free);
    g_autofree gchar *fault = g_thread_join(thread);
    g_assert_nonnull(fault);
    g_assert_nonnull(strstr(fault, "used before"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/appraisal-nonce/once", Fixture, NULL, set_up, test_once, tear_down);
    g_test_add("/appraisal-nonce/unknown", Fixture, NULL, set_up, test_unknown, tear_down);
    g_test_add("/appraisal-nonce/lifetime", Fixture, NULL, set_up, test_lifetime, tear_down);
    g_test_add("/appraisal-nonce/forgotten", Fixture, NULL, set_up, test_forgotten, tear_down);
    g_test_add("/appraisal-nonce/damaged", Fixture, NULL, set_up, test_damaged, tear_down);
    g_test_add("/appraisal-nonce/race", Fixture, NULL, set_up, test_race, tear_down);
    return g_test_run();
}
