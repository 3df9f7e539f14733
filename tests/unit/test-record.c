/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The record through its library: what goes in comes out, in order, and nothing damaged is believed. */
#include "hooks/record.h"
#include "tests/unit/confidential-fixture.h"
#include "tests/unit/corpus-fixture.h"
#include "tests/unit/schema-fixture.h"

#define REST FIXTURE_MILAN FIXTURE_SNP

static PolicyDecision *decide(Fixture *fixture, const char *os, const char *rest)
{
    g_autofree gchar *xml = fixture_xml(fixture, os, rest);

    return policy_gate_decide(xml, strlen(xml), fixture->config, NULL, fixture->store, NULL);
}

static void put(Fixture *fixture, const char *os, const char *rest, guint history)
{
    g_autoptr(PolicyDecision) decision = decide(fixture, os, rest);
    g_autoptr(GError) error = NULL;

    g_assert_true(hook_record_decision(fixture->store, decision, history, &error));
    g_assert_no_error(error);
}

static HookRecord *get(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    HookRecord *record = hook_record_read(fixture->store, FIXTURE_UUID, &error);

    g_assert_no_error(error);
    return record;
}

static gchar *record_path(const Fixture *fixture)
{
    return g_build_filename(fixture->state, "records", FIXTURE_UUID ".json", NULL);
}

static void test_round_trip(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(PolicyDecision) decision = decide(fixture, NULL, REST);
    const XmlMeasurement *measured = g_ptr_array_index(decision->evaluation->measurements, 0);
    g_autofree gchar *digest = measure_digest_hex(&measured->digest);
    g_autofree gchar *path = record_path(fixture);
    g_autofree gchar *text = NULL;
    g_autoptr(HookRecord) empty = get(fixture);
    g_autoptr(HookRecord) record = NULL;
    const HookLaunch *launch = NULL;
    const PolicyReferenceInput *initrd = NULL;

    g_assert_null(empty);
    put(fixture, NULL, REST, 10);
    record = get(fixture);
    g_assert_cmpstr(record->uuid, ==, FIXTURE_UUID);
    g_assert_cmpstr(record->name, ==, "guest1");
    g_assert_cmpuint(record->launches->len, ==, 1);
    launch = g_ptr_array_index(record->launches, 0);
    g_assert_cmpstr(launch->state, ==, "decided");
    g_assert_cmpstr(launch->verdict, ==, "unpinned");
    g_assert_cmpstr(launch->platform, ==, "sev-snp");
    g_assert_cmpstr(launch->cpu, ==, "EPYC-Milan");
    g_assert_cmphex(launch->signature, ==, 0xa00f11);
    g_assert_cmphex(launch->features, ==, 1);
    g_assert_cmphex(launch->policy, ==, 0x30000);
    g_assert_cmpuint(launch->vcpus, ==, 2);
    g_assert_cmpuint(launch->level, ==, 1);
    g_assert_cmpstr(launch->digest, ==, digest);
    g_assert_cmpuint(launch->inputs->len, ==, 4);
    initrd = g_ptr_array_index(launch->inputs, 2);
    g_assert_cmpstr(initrd->role, ==, "initrd");
    g_assert_cmpuint(initrd->size, ==, 9);
    g_assert_cmpstr(((PolicyReferenceInput *)launch->inputs->pdata[3])->text, ==, "console=ttyS0");
    g_assert_null(launch->ended);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpint(schema_validate("hooks/record.schema.json", text), !=, SCHEMA_CONTRADICTED);
}

static void running(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(hook_record_running(fixture->store, FIXTURE_UUID, &error));
    g_assert_no_error(error);
}

static void prepared(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(hook_record_prepared(fixture->store, FIXTURE_UUID, &error));
    g_assert_no_error(error);
}

/* What libvirt says at the end of the domain with @rest; @reason %NULL: `stopped` alone. */
static void end(Fixture *fixture, const char *rest, const char *reason)
{
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, *rest ? NULL : "", rest);
    g_autoptr(GError) error = NULL;

    g_assert_true(hook_record_stopped(fixture->store, domain, 10, &error));
    g_assert_no_error(error);
    if (reason)
        g_assert_true(hook_record_released(fixture->store, domain, reason, 10, &error));
    g_assert_no_error(error);
}

/* The newest of @n launches. */
static void assert_newest(Fixture *fixture, guint n, const char *verdict, const char *state, const char *reason)
{
    g_autoptr(HookRecord) record = get(fixture);
    const HookLaunch *newest = NULL;

    g_assert_nonnull(record);
    g_assert_cmpuint(record->launches->len, ==, n);
    newest = record->launches->pdata[n - 1];
    g_assert_cmpstr(newest->verdict, ==, verdict);
    g_assert_cmpstr(newest->state, ==, state);
    g_assert_cmpstr(newest->end_reason, ==, reason);
}

static void test_states(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(GError) error = NULL;

    /* Nothing is recorded of a domain that never was, and no trace is left of one that is not confidential. */
    running(fixture);
    prepared(fixture);
    end(fixture, "", "destroyed");
    g_assert_true(hook_record_running(fixture->store, "../../x", &error));
    g_assert_true(hook_record_running(fixture->store, NULL, &error));
    g_assert_no_error(error);
    {
        g_autofree gchar *folder = g_build_filename(fixture->state, "records", NULL);
        g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);

        g_assert_null(g_dir_read_name(dir));
    }

    put(fixture, NULL, REST, 10);
    assert_newest(fixture, 1, "unpinned", "decided", NULL);
    put(fixture, NULL, REST, 10);
    running(fixture);
    assert_newest(fixture, 2, "unpinned", "running", NULL);
    {
        g_autoptr(HookRecord) record = get(fixture);

        g_assert_cmpstr(((HookLaunch *)record->launches->pdata[0])->state, ==, "decided");
    }
    end(fixture, REST, NULL);
    assert_newest(fixture, 2, "unpinned", "stopped", NULL);
    {
        g_autoptr(XmlDomain) domain = fixture_domain(fixture, NULL, REST);

        /* Before libvirt 10.5 there was no reason. */
        g_assert_true(hook_record_released(fixture->store, domain, "-", 10, NULL));
        assert_newest(fixture, 2, "unpinned", "stopped", NULL);
        g_assert_true(hook_record_released(fixture->store, domain, "crashed\n\033[1m", 10, NULL));
    }
    running(fixture);
    prepared(fixture);
    assert_newest(fixture, 2, "unpinned", "stopped", "crashed ?[1m");
}

static void pin(Fixture *fixture)
{
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, NULL, REST);
    g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);
    g_autoptr(PolicyReference) reference = policy_reference_new(domain, evaluation, XML_ON_MISMATCH_REFUSE, NULL);

    g_assert_true(policy_store_put_reference(fixture->store, reference, NULL));
}

/* Everything of this domain goes, and nothing of another one. */
static void test_remove(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *folder = g_build_filename(fixture->state, "records", NULL);
    g_autofree gchar *path = record_path(fixture);
    g_autofree gchar *aside = g_strconcat(path, ".corrupt-123", NULL);
    g_autofree gchar *foreign = g_build_filename(folder, "11111111-2222-3333-4444-555555555555.json.corrupt-1", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_true(hook_record_remove(fixture->store, FIXTURE_UUID, &error));
    g_assert_no_error(error);
    put(fixture, NULL, REST, 10);
    g_assert_true(g_file_set_contents(aside, "x", 1, NULL));
    g_assert_true(g_file_set_contents(foreign, "x", 1, NULL));
    g_assert_true(hook_record_remove(fixture->store, FIXTURE_UUID, &error));
    g_assert_no_error(error);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_false(g_file_test(aside, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(foreign, G_FILE_TEST_EXISTS));
    g_assert_false(hook_record_remove(fixture->store, "../../x", &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
}

/* The start that ends now is not on record: the one before it is left alone. */
static void test_undecided(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *path = record_path(fixture);
    g_autofree gchar *first = NULL;
    g_autofree gchar *text = NULL;
    g_autofree gchar *old_line = NULL;

    /* The very first start ran into the watchdog: that shows once there is a pin, or a record already. */
    end(fixture, REST, "failed");
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    pin(fixture);
    end(fixture, REST, "failed");
    g_assert_true(policy_store_remove_reference(fixture->store, FIXTURE_UUID, NULL));
    assert_newest(fixture, 1, "undecided", "stopped", "failed");
    {
        g_autoptr(HookRecord) record = get(fixture);
        const HookLaunch *launch = record->launches->pdata[0];

        g_assert_cmpstr(record->name, ==, "guest1");
        g_assert_cmpstr(launch->platform, ==, "sev-snp");
        g_assert_cmphex(launch->policy, ==, 0x30000);
        g_assert_nonnull(strstr(launch->summary, "domain 'guest1': ended before a decision about it was recorded"));
        g_assert_nonnull(launch->ended);
        g_assert_null(launch->digest);
    }
    put(fixture, NULL, REST, 10);
    running(fixture);
    end(fixture, REST, "shutdown");
    assert_newest(fixture, 2, "unpinned", "stopped", "shutdown");
    g_assert_true(g_file_get_contents(path, &first, NULL, NULL));
    end(fixture, REST, "failed");
    assert_newest(fixture, 3, "undecided", "stopped", "failed");
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    old_line = g_strndup(first, (gsize)(strstr(first, "\n],") - first));
    g_assert_true(g_str_has_prefix(text, old_line));
    g_assert_cmpint(schema_validate("hooks/record.schema.json", text), !=, SCHEMA_CONTRADICTED);

    /* The host crashed under a running guest: the next start tells, before it fails. */
    put(fixture, NULL, REST, 10);
    running(fixture);
    prepared(fixture);
    assert_newest(fixture, 4, "unpinned", "stopped", "unknown");
    end(fixture, REST, "failed");
    assert_newest(fixture, 5, "undecided", "stopped", "failed");

    /* Not confidential and not pinned, although there is a record. */
    end(fixture, "", "failed");
    assert_newest(fixture, 5, "undecided", "stopped", "failed");
    /* Pinned, and launchSecurity is gone. */
    pin(fixture);
    end(fixture, "", "failed");
    assert_newest(fixture, 6, "undecided", "stopped", "failed");
    /* Not more than the history. */
    for (guint i = 0; i < 20; i++)
        end(fixture, REST, "failed");
    assert_newest(fixture, 10, "undecided", "stopped", "failed");
}

static void test_refusal(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, NULL, REST);
    g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);
    g_autoptr(PolicyReference) reference = policy_reference_new(domain, evaluation, XML_ON_MISMATCH_REFUSE, NULL);
    g_autoptr(HookRecord) record = NULL;
    const HookLaunch *launch = NULL;
    const PolicyChange *change = NULL;

    g_assert_true(policy_store_put_reference(fixture->store, reference, NULL));
    fixture_put_text(fixture->initrd, "another initrd");
    put(fixture, NULL, REST, 10);
    put(fixture, "", "", 10);
    record = get(fixture);
    launch = g_ptr_array_index(record->launches, 0);
    g_assert_cmpstr(launch->verdict, ==, "refused");
    g_assert_cmpuint(launch->changes->len, ==, 2);
    change = g_ptr_array_index(launch->changes, 0);
    g_assert_cmpstr(change->what, ==, "initrd");
    g_assert_cmpuint(strlen(change->pinned), ==, 64);
    g_assert_cmpstr(change->pinned, !=, change->found);
    /* launchSecurity was removed: nothing was measured. */
    launch = g_ptr_array_index(record->launches, 1);
    g_assert_cmpstr(launch->verdict, ==, "refused");
    g_assert_null(launch->platform);
    g_assert_null(launch->digest);
    g_assert_cmpuint(launch->level, ==, 0);
}

/* However long the history may be, a record stays below a size that can be read back. */
static void test_bounded(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(PolicyDecision) decision = decide(fixture, NULL, REST);
    g_autofree gchar *huge = g_strnfill(1000000, 's');
    g_autofree gchar *path = record_path(fixture);
    g_autoptr(HookRecord) record = NULL;
    struct stat st;

    g_free(decision->summary);
    decision->summary = g_steal_pointer(&huge);
    for (guint i = 0; i < 20; i++)
        g_assert_true(hook_record_decision(fixture->store, decision, 10000, NULL));
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, <, 9000000);
    record = get(fixture);
    g_assert_cmpuint(record->launches->len, ==, 8);
}

static void test_damaged(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *path = record_path(fixture);
    g_autofree gchar *good = NULL;
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, NULL, REST);
    gsize size = 0;

    put(fixture, NULL, REST, 10);
    g_assert_true(g_file_get_contents(path, &good, &size, NULL));
    for (gsize i = 0; i < size; i++) {
        g_autofree gchar *bad = g_memdup2(good, size);
        g_autoptr(GError) torn = NULL;
        g_autoptr(GError) turned = NULL;
        g_autofree gchar *after = NULL;
        gsize after_size = 0;

        fixture_put(path, bad, i);
        g_assert_null(hook_record_read(fixture->store, FIXTURE_UUID, &torn));
        g_assert_error(torn, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        g_assert_nonnull(strstr(torn->message, path));
        g_assert_nonnull(strstr(torn->message, "the next start of the domain moves it aside"));
        bad[i] ^= 1;
        fixture_put(path, bad, size);
        g_assert_null(hook_record_read(fixture->store, FIXTURE_UUID, &turned));
        g_assert_error(turned, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        if (i % 50)
            continue;
        /* Updating does not replace it. */
        g_assert_false(hook_record_stopped(fixture->store, domain, 10, NULL));
        g_assert_true(g_file_get_contents(path, &after, &after_size, NULL));
        g_assert_cmpuint(after_size, ==, size);
        g_assert_cmpint(memcmp(after, bad, size), ==, 0);
    }
}

/* A whole checksum over facts that the reader does not know. */
static void test_strict(void)
{
    static const struct {
        const char *old_part, *new_part;
    } rows[] = {
        {"\"verdict\":\"unpinned\"", "\"verdict\":\"none\""},
        {"\"state\":\"decided\"", "\"state\":\"flying\""},
        {"\"changes\":[]", "\"changes\":[],\"endReason\":\"failed\""},
        {"\"level\":1", "\"level\":5"},
        {"\"level\":1", "\"level\":1,\"level\":1"},
        {"\"vcpus\":2", "\"vcpus\":5000"},
        {"\"platform\":\"sev-snp\"", "\"platform\":\"tdx\""},
        {"\"platform\":\"sev-snp\"", "\"platform\":\"sev-es\""},
        {"\"summary\"", "\"novelty\""},
        {"\"changes\":[]", "\"changes\":[1]"},
        {"\"changes\":[]", "\"changes\":[{\"what\":\"x\"}]"},
        {"\"initrd\":{", "\"ramdisk\":{"},
        {"\"signature\":\"0xa00f11\"", "\"signature\":\"0x1a0000f11\""},
        {"console=ttyS0", "console=ttyS1"},
    };
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *path = record_path(fixture);
    g_autofree gchar *good = NULL;

    put(fixture, NULL, REST, 10);
    g_assert_true(g_file_get_contents(path, &good, NULL, NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_auto(GStrv) parts = g_strsplit(good, rows[i].old_part, 2);
        g_autofree gchar *changed = g_strjoinv(rows[i].new_part, parts);
        gchar *tail = g_strrstr(changed, "],\"sha256\"");
        g_autofree gchar *digest = NULL;
        g_autofree gchar *text = NULL;
        g_autoptr(GError) error = NULL;

        g_assert_nonnull(parts[1]);
        g_assert_nonnull(tail);
        *tail = '\0';
        digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, changed, -1);
        text = g_strdup_printf("%s],\"sha256\":\"%s\"}\n", changed, digest);
        fixture_put_text(path, text);
        if (hook_record_read(fixture->store, FIXTURE_UUID, &error))
            g_error("this was taken: %s", rows[i].new_part);
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    }
}

static gboolean corpus_read(const char *text, gsize size, gpointer user_data, GError **error)
{
    Fixture *fixture = user_data;
    g_autofree gchar *path = record_path(fixture);
    g_autoptr(HookRecord) record = NULL;

    fixture_put(path, text, size);
    record = hook_record_read(fixture->store, FIXTURE_UUID, error);
    return record != NULL;
}

static void test_corpus(void)
{
    g_autoptr(Fixture) fixture = fixture_new();

    corpus_walk("record", corpus_read, fixture);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/record/round-trip", test_round_trip);
    g_test_add_func("/record/states", test_states);
    g_test_add_func("/record/remove", test_remove);
    g_test_add_func("/record/undecided", test_undecided);
    g_test_add_func("/record/refusal", test_refusal);
    g_test_add_func("/record/bounded", test_bounded);
    g_test_add_func("/record/damaged", test_damaged);
    g_test_add_func("/record/strict", test_strict);
    g_test_add_func("/record/corpus", test_corpus);
    return g_test_run();
}
