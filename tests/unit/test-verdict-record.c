/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verdicts that are kept: what goes in comes out, nothing damaged is believed, and nothing is lost. */
#include "policy/verdict-record.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/confidential-fixture.h"
#include "tests/unit/corpus-fixture.h"
#include "tests/unit/schema-fixture.h"
#include "virsh-wrappers/verdict-keep.h"

#define SCHEMA "policy/verdicts.schema.json"

static PolicyVerdictEntry *make(const char *verdict)
{
    PolicyVerdictEntry *entry = policy_verdict_entry_new();

    entry->time = g_strdup("2026-11-28T05:40:12Z");
    entry->verdict = g_strdup(verdict);
    entry->source = g_strdup("channel");
    entry->form = g_strdup("tsm");
    entry->trust_anchor = g_strdup("amd");
    entry->fresh = TRUE;
    entry->report = g_strnfill(64, 'a');
    entry->report_id = g_strnfill(64, 'b');
    entry->measurement = g_strnfill(96, 'c');
    entry->reported_tcb = g_strdup("bootloader=3,tee=0,snp=14,microcode=209");
    entry->chip = g_strnfill(128, 'd');
    entry->reference = g_strnfill(64, 'e');
    entry->launch = g_strdup("1795305600000000-17");
    if (strcmp(verdict, "accepted"))
        policy_verdict_entry_fail(entry, "measurement", "something else was launched");
    return entry;
}

static gboolean append(Fixture *fixture, const PolicyVerdictEntry *entry, guint history, gchar **aside, GError **error)
{
    g_autofree gchar *ignored = NULL;

    return policy_verdicts_append(fixture->store, FIXTURE_UUID, "guest1", entry, history, aside ? aside : &ignored,
                                  error);
}

static void put(Fixture *fixture, const char *verdict)
{
    g_autoptr(PolicyVerdictEntry) entry = make(verdict);
    g_autoptr(GError) error = NULL;

    append(fixture, entry, 10, NULL, &error);
    g_assert_no_error(error);
}

static GPtrArray *get(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    GPtrArray *entries = policy_verdicts_read(fixture->store, FIXTURE_UUID, &error);

    g_assert_no_error(error);
    return entries;
}

static gchar *file_path(const Fixture *fixture)
{
    return g_build_filename(fixture->state, "verdicts", FIXTURE_UUID ".json", NULL);
}

static void test_round_trip(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(GPtrArray) none = get(fixture);
    g_autoptr(GPtrArray) entries = NULL;
    g_autofree gchar *path = file_path(fixture);
    g_autofree gchar *text = NULL;
    g_autofree gchar *chip = g_strnfill(128, 'd');
    const PolicyVerdictEntry *entry = NULL;

    g_assert_cmpuint(none->len, ==, 0);
    put(fixture, "accepted");
    put(fixture, "rejected");
    {
        g_autoptr(PolicyVerdictEntry) old = make("incomplete");
        g_autoptr(GError) error = NULL;

        old->at = g_strdup("2025-01-01T00:00:00Z");
        g_clear_pointer(&old->launch, g_free);
        g_clear_pointer(&old->chip, g_free);
        g_free(old->trust_anchor);
        old->trust_anchor = g_strdup("file");
        old->fresh = FALSE;
        append(fixture, old, 10, NULL, &error);
        g_assert_no_error(error);
    }
    entries = get(fixture);
    g_assert_cmpuint(entries->len, ==, 3);
    entry = entries->pdata[0];
    g_assert_cmpstr(entry->verdict, ==, "accepted");
    g_assert_cmpstr(entry->time, ==, "2026-11-28T05:40:12Z");
    g_assert_null(entry->at);
    g_assert_cmpstr(entry->source, ==, "channel");
    g_assert_cmpstr(entry->form, ==, "tsm");
    g_assert_cmpstr(entry->trust_anchor, ==, "amd");
    g_assert_true(entry->fresh);
    g_assert_cmpstr(entry->chip, ==, chip);
    g_assert_cmpstr(entry->launch, ==, "1795305600000000-17");
    g_assert_cmpstr(entry->reported_tcb, ==, "bootloader=3,tee=0,snp=14,microcode=209");
    g_assert_cmpuint(entry->failed->len, ==, 0);
    entry = entries->pdata[1];
    g_assert_cmpuint(entry->failed->len, ==, 1);
    g_assert_cmpstr(((PolicyVerdictCheck *)entry->failed->pdata[0])->name, ==, "measurement");
    g_assert_cmpstr(((PolicyVerdictCheck *)entry->failed->pdata[0])->text, ==, "something else was launched");
    entry = entries->pdata[2];
    g_assert_cmpstr(entry->at, ==, "2025-01-01T00:00:00Z");
    g_assert_cmpstr(entry->trust_anchor, ==, "file");
    g_assert_null(entry->launch);
    g_assert_null(entry->chip);
    g_assert_false(entry->fresh);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpint(schema_validate(SCHEMA, text), !=, SCHEMA_CONTRADICTED);
    /* That there is no launch is said. */
    g_assert_nonnull(strstr(text, "\"launch\":null"));
}

/* State folders that an older release has made, and one that is not there at all. */
static void test_late(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *folder = g_build_filename(fixture->state, "verdicts", NULL);
    g_autoptr(GPtrArray) none = NULL;
    g_autoptr(GPtrArray) one = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(g_rmdir(folder), ==, 0);
    none = get(fixture);
    g_assert_cmpuint(none->len, ==, 0);
    g_assert_true(policy_verdicts_remove(fixture->store, FIXTURE_UUID, &error));
    g_assert_false(g_file_test(folder, G_FILE_TEST_EXISTS));
    put(fixture, "accepted");
    one = get(fixture);
    g_assert_cmpuint(one->len, ==, 1);
}

static void test_history(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(GPtrArray) entries = NULL;

    for (guint i = 0; i < 5; i++) {
        g_autoptr(PolicyVerdictEntry) entry = make("accepted");

        g_free(entry->launch);
        entry->launch = g_strdup_printf("%u", i);
        g_assert_true(append(fixture, entry, 3, NULL, NULL));
    }
    entries = get(fixture);
    g_assert_cmpuint(entries->len, ==, 3);
    g_assert_cmpstr(((PolicyVerdictEntry *)entries->pdata[0])->launch, ==, "2");
    g_assert_cmpstr(((PolicyVerdictEntry *)entries->pdata[2])->launch, ==, "4");
}

/* Texts are about hostile evidence; a list of verdicts has one line for each whatever is in them. */
static void test_hostile(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(PolicyVerdictEntry) entry = make("rejected");
    g_autofree gchar *huge = g_strnfill(100000, 'x');
    g_autoptr(GPtrArray) entries = NULL;
    g_autofree gchar *path = file_path(fixture);
    g_autofree gchar *text = NULL;
    g_autofree gchar *aside = NULL;
    const PolicyVerdictCheck *check = NULL;

    policy_verdict_entry_fail(entry, "nonce", "],\"sha256\":\"\n\033[2J\xff\"}");
    policy_verdict_entry_fail(entry, "form", huge);
    g_assert_true(policy_verdicts_append(fixture->store, FIXTURE_UUID, "a\n\"b\033", entry, 10, &aside, NULL));
    entries = get(fixture);
    check = ((PolicyVerdictEntry *)entries->pdata[0])->failed->pdata[1];
    g_assert_null(strpbrk(check->text, "\n\033\xff"));
    check = ((PolicyVerdictEntry *)entries->pdata[0])->failed->pdata[2];
    g_assert_cmpuint(strlen(check->text), <=, 1024);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpint(schema_validate(SCHEMA, text), !=, SCHEMA_CONTRADICTED);
}

/* What makes no sense is not written, so that it cannot spoil what is there. */
static void test_refused(void)
{
    g_autoptr(Fixture) fixture = fixture_new();

    put(fixture, "accepted");
    for (guint i = 0; i < 10; i++) {
        g_autoptr(PolicyVerdictEntry) entry = make(i == 1 ? "rejected" : "accepted");
        gchar **const fields[] = {NULL,
                                  NULL,
                                  &entry->time,
                                  &entry->verdict,
                                  &entry->source,
                                  &entry->report,
                                  &entry->chip,
                                  &entry->launch,
                                  &entry->trust_anchor,
                                  &entry->report_id};
        g_autoptr(GPtrArray) entries = NULL;
        g_autoptr(GError) error = NULL;

        if (i == 0)
            policy_verdict_entry_fail(entry, "nonce", "failed, and accepted");
        else if (i == 1)
            g_ptr_array_set_size(entry->failed, 0);
        else if (fields[i] == &entry->launch)
            entry->at = g_strdup("2025-01-01T00:00:00Z");
        else {
            g_free(*fields[i]);
            *fields[i] = g_strdup("0");
        }
        g_assert_false(append(fixture, entry, 10, NULL, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        entries = get(fixture);
        g_assert_cmpuint(entries->len, ==, 1);
    }
    {
        g_autoptr(PolicyVerdictEntry) entry = make("accepted");
        g_autofree gchar *aside = NULL;
        g_autoptr(GError) error = NULL;

        g_assert_false(policy_verdicts_append(fixture->store, "../../x", "x", entry, 10, &aside, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
}

/* Every byte of the file that is missing or different is noticed; the next verdict keeps the damaged file. */
static void test_damaged(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *path = file_path(fixture);
    g_autofree gchar *good = NULL;
    g_autofree gchar *aside = NULL;
    g_autofree gchar *kept = NULL;
    g_autofree gchar *kept_path = NULL;
    g_autoptr(PolicyVerdictEntry) entry = make("accepted");
    g_autoptr(GPtrArray) entries = NULL;
    gsize size = 0, kept_size = 0;

    put(fixture, "rejected");
    g_assert_true(g_file_get_contents(path, &good, &size, NULL));
    for (gsize i = 0; i < size; i++) {
        g_autofree gchar *bad = g_memdup2(good, size);
        g_autoptr(GError) torn = NULL;
        g_autoptr(GError) turned = NULL;

        fixture_put(path, bad, i);
        g_assert_null(policy_verdicts_read(fixture->store, FIXTURE_UUID, &torn));
        g_assert_error(torn, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        bad[i] ^= 1;
        fixture_put(path, bad, size);
        g_assert_null(policy_verdicts_read(fixture->store, FIXTURE_UUID, &turned));
        g_assert_error(turned, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
    fixture_put(path, good, size / 2);
    g_assert_true(append(fixture, entry, 10, &aside, NULL));
    g_assert_true(g_str_has_prefix(aside, FIXTURE_UUID ".json.corrupt-"));
    kept_path = g_build_filename(fixture->state, "verdicts", aside, NULL);
    g_assert_true(g_file_get_contents(kept_path, &kept, &kept_size, NULL));
    g_assert_cmpmem(kept, (int)kept_size, good, (int)(size / 2));
    entries = get(fixture);
    g_assert_cmpuint(entries->len, ==, 1);
    g_assert_true(policy_verdicts_remove(fixture->store, FIXTURE_UUID, NULL));
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_false(g_file_test(kept_path, G_FILE_TEST_EXISTS));
}

/* In a process of its own, with a store of its own. */
static pid_t writer(const char *state, guint number, guint rounds)
{
    pid_t child = fork();

    g_assert_cmpint(child, >=, 0);
    if (child)
        return child;
    for (guint i = 0; i < rounds; i++) {
        g_autoptr(PolicyStore) store = policy_store_open(state, FALSE, NULL);
        g_autoptr(PolicyVerdictEntry) entry = make("accepted");
        g_autofree gchar *aside = NULL;

        g_free(entry->launch);
        entry->launch = g_strdup_printf("%u.%u", number, i);
        if (!policy_verdicts_append(store, FIXTURE_UUID, "guest1", entry, 1000, &aside, NULL) || aside)
            _exit(1);
    }
    _exit(0);
}

static void test_concurrent(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) entries = NULL;
    pid_t children[4];

    for (guint i = 0; i < G_N_ELEMENTS(children); i++)
        children[i] = writer(fixture->state, i, 15);
    for (guint i = 0; i < G_N_ELEMENTS(children); i++) {
        int status = 0;

        g_assert_cmpint(waitpid(children[i], &status, 0), ==, children[i]);
        g_assert_cmpint(status, ==, 0);
    }
    entries = get(fixture);
    g_assert_cmpuint(entries->len, ==, 60);
    for (guint i = 0; i < entries->len; i++)
        g_assert_true(g_hash_table_add(seen, ((PolicyVerdictEntry *)entries->pdata[i])->launch));
}

/* kill -9 at any time: a whole file, and no verdict of it lost. */
static void test_killed(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    guint before = 0;

    /* Further on, with more and more time, where not even one was written in that of a good machine. */
    for (guint i = 0; i < 25 || (before == 0 && i < 250); i++) {
        pid_t child = writer(fixture->state, i, 1000);
        g_autoptr(GPtrArray) entries = NULL;
        int status = 0;

        g_usleep(1000 + 900 * i);
        g_assert_cmpint(kill(child, SIGKILL), ==, 0);
        g_assert_cmpint(waitpid(child, &status, 0), ==, child);
        g_assert_true(WIFSIGNALED(status));
        entries = get(fixture);
        g_assert_cmpuint(entries->len, >=, before);
        before = entries->len;
    }
    g_assert_cmpuint(before, >, 0);
    put(fixture, "accepted");
    policy_store_sweep(fixture->store, "verdicts");
}

typedef struct {
    Fixture *fixture;
    gchar *path;
} Reader;

static gboolean read_corpus(const char *text, gsize size, gpointer data, GError **error)
{
    Reader *reader = data;
    g_autoptr(GPtrArray) entries = NULL;

    fixture_put(reader->path, text, size);
    entries = policy_verdicts_read(reader->fixture->store, FIXTURE_UUID, error);
    return entries != NULL;
}

static void test_corpus(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *path = file_path(fixture);
    Reader reader = {fixture, path};

    corpus_walk("verdicts", read_corpus, &reader);
}

static HookRecord *record_of(const char *id, const char *time)
{
    HookRecord *record = g_new0(HookRecord, 1);
    HookLaunch *launch = g_new0(HookLaunch, 1);

    launch->id = g_strdup(id);
    launch->time = g_strdup(time);
    record->launches = g_ptr_array_new_with_free_func((GDestroyNotify)hook_launch_free);
    g_ptr_array_add(record->launches, launch);
    return record;
}

static void assert_cell(const PolicyVerdictEntry *entry, const HookRecord *record, const char *expected)
{
    g_autofree gchar *cell = cmd_verdict_cell(entry, record);

    g_assert_cmpstr(cell, ==, expected);
}

/* What 'list' says: a verdict is about one launch, and one that rests on less than AMD's word and a nonce says so. */
static void test_cell(void)
{
    g_autoptr(PolicyVerdictEntry) entry = make("accepted");
    g_autoptr(PolicyVerdictEntry) rejected = make("rejected");
    g_autoptr(HookRecord) same = record_of("1795305600000000-17", "2026-11-28T05:40:12Z");
    g_autoptr(HookRecord) later = record_of("1795305700000000-18", "2026-11-28T05:40:13Z");
    g_autoptr(HookRecord) at_once = record_of("2", "2026-11-28T05:40:12Z");
    g_autoptr(HookRecord) before = record_of("3", "2026-11-28T05:40:11Z");

    assert_cell(NULL, same, NULL);
    assert_cell(entry, same, "accepted 2026-11-28 05:40");
    assert_cell(entry, NULL, "accepted 2026-11-28 05:40");
    assert_cell(entry, later, "stale: accepted 2026-11-28 05:40");
    assert_cell(rejected, same, "rejected 2026-11-28 05:40");
    assert_cell(rejected, later, "stale: rejected 2026-11-28 05:40");
    /* The id counts, whatever the clock says. */
    assert_cell(entry, before, "stale: accepted 2026-11-28 05:40");
    g_clear_pointer(&entry->launch, g_free);
    assert_cell(entry, before, "accepted 2026-11-28 05:40 (launch not on record)");
    /* In the same second nobody can tell which was first. */
    assert_cell(entry, at_once, "stale: accepted 2026-11-28 05:40 (launch not on record)");
    entry->fresh = FALSE;
    g_free(entry->trust_anchor);
    entry->trust_anchor = g_strdup("file");
    assert_cell(entry, before, "accepted 2026-11-28 05:40 (own trust anchor, no nonce, launch not on record)");
    entry->at = g_strdup("2025-01-01T00:00:00Z");
    assert_cell(entry, before, "accepted 2026-11-28 05:40 (own trust anchor, old evidence)");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/verdict-record/round-trip", test_round_trip);
    g_test_add_func("/verdict-record/late", test_late);
    g_test_add_func("/verdict-record/history", test_history);
    g_test_add_func("/verdict-record/hostile", test_hostile);
    g_test_add_func("/verdict-record/refused", test_refused);
    g_test_add_func("/verdict-record/damaged", test_damaged);
    g_test_add_func("/verdict-record/concurrent", test_concurrent);
    g_test_add_func("/verdict-record/killed", test_killed);
    g_test_add_func("/verdict-record/cell", test_cell);
    g_test_add_func("/verdict-record/corpus", test_corpus);
    return g_test_run();
}
