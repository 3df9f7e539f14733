/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The decision about a start where keys are trusted. Expectations come from who signed what, by hand. */
#include <sys/stat.h>

#include "policy/envelope.h"
#include "tests/unit/confidential-fixture.h"
#include "tests/unit/openssl-fixture.h"

#define REST FIXTURE_MILAN FIXTURE_SNP

static void load(Fixture *fixture)
{
    g_autofree gchar *keys = at("keys");
    g_autofree gchar *text = g_strdup_printf("[firmware]\ntrusted = %s\n[reference]\ntrusted-keys = %s",
                                             fixture->firmware_sha256, keys);

    fixture_load_config(fixture, text);
}

/* The folder of keys holds those of @names, separated by blanks. */
static void trust(const char *names)
{
    run("rm -rf keys; mkdir -m 755 keys; for k in %s; do cp $k.pub.pem keys/$k.pem; chmod 644 keys/$k.pem; done",
        names);
}

static PolicyReference *measured(const Fixture *fixture, const char *rest)
{
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, NULL, rest);
    g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);
    g_autoptr(GError) error = NULL;
    PolicyReference *reference = policy_reference_new(domain, evaluation, XML_ON_MISMATCH_REFUSE, &error);

    g_assert_no_error(error);
    return reference;
}

/* One line with the signatures of @names over @document in its portable form. */
static gchar *sign(const PolicyReference *document, const char *names)
{
    g_autofree gchar *text = policy_reference_format(document, POLICY_REFERENCE_PORTABLE);
    g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
    g_autoptr(PolicyEnvelope) envelope = policy_envelope_new(POLICY_ENVELOPE_TYPE_REFERENCE, bytes);
    g_auto(GStrv) words = g_strsplit(names, " ", -1);

    for (guint i = 0; words[i]; i++) {
        g_autofree gchar *file = g_strconcat(words[i], ".pem", NULL);
        g_autofree gchar *path = at(file);
        g_autoptr(GError) error = NULL;
        g_autoptr(PolicyKey) key =
            policy_key_load_private(path, POLICY_KEY_P384 | POLICY_KEY_ED25519, "key", -1, &error);

        g_assert_no_error(error);
        g_assert_true(policy_envelope_sign(envelope, key, NULL));
    }
    return policy_envelope_format(envelope, FALSE);
}

static void put(Fixture *fixture, const PolicyReference *pin)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(policy_store_put_reference(fixture->store, pin, &error));
    g_assert_no_error(error);
}

/* Pins the fixture's domain with what @names have signed of the domain with @rest; nobody for "". */
static void pin_signed(Fixture *fixture, const char *names, const char *rest, XmlOnMismatch on_mismatch)
{
    g_autoptr(PolicyReference) pin = measured(fixture, REST);
    g_autoptr(PolicyReference) document = measured(fixture, rest);

    pin->on_mismatch = on_mismatch;
    pin->signed_text = *names ? sign(document, names) : NULL;
    put(fixture, pin);
}

static void expect_of(Fixture *fixture, const char *rest, PolicyVerdict verdict, const char *says)
{
    g_autofree gchar *xml = fixture_xml(fixture, NULL, rest);
    g_autoptr(PolicyDecision) decision =
        policy_gate_decide(xml, strlen(xml), fixture->config, NULL, fixture->store, NULL);

    if (decision->verdict != verdict || !strstr(decision->summary, says) || strchr(decision->summary, '\n'))
        g_error("verdict %s, wanted %s; summary '%s', wanted '%s'", policy_verdict_name(decision->verdict),
                policy_verdict_name(verdict), decision->summary, says);
}

static void expect(Fixture *fixture, PolicyVerdict verdict, const char *says)
{
    expect_of(fixture, REST, verdict, says);
}

static void test_who(void)
{
    g_autoptr(Fixture) fixture = fixture_new();

    load(fixture);
    trust("");
    pin_signed(fixture, "", REST, XML_ON_MISMATCH_REFUSE);
    expect(fixture, POLICY_VERDICT_MATCH, "matches its reference");
    /* The configuration names the folder. */
    run("rm -r keys");
    expect(fixture, POLICY_VERDICT_REFUSED, "it is missing");
    run("mkdir -m 755 keys; cp ed.pub.pem keys/ed.pub");
    expect(fixture, POLICY_VERDICT_REFUSED, "there is no NAME.pem in it, only 'ed.pub'");
    trust("ed p384");
    expect(fixture, POLICY_VERDICT_REFUSED, "its reference is not signed");
    expect(fixture, POLICY_VERDICT_REFUSED, "virt-attest define --accept --sign-key KEY guest1");
    /* What is not pinned is not asked for a signature. */
    g_assert_true(policy_store_remove_reference(fixture->store, FIXTURE_UUID, NULL));
    expect(fixture, POLICY_VERDICT_UNPINNED, "observed only");
    expect_of(fixture, "", POLICY_VERDICT_NONE, "");

    pin_signed(fixture, "ed", REST, XML_ON_MISMATCH_REFUSE);
    expect(fixture, POLICY_VERDICT_MATCH, ", signed by the key ");
    pin_signed(fixture, "p384", REST, XML_ON_MISMATCH_REFUSE);
    expect(fixture, POLICY_VERDICT_MATCH, "matches its reference");
    pin_signed(fixture, "other p384", REST, XML_ON_MISMATCH_REFUSE);
    expect(fixture, POLICY_VERDICT_MATCH, "matches its reference");
    pin_signed(fixture, "other", REST, XML_ON_MISMATCH_REFUSE);
    expect(fixture, POLICY_VERDICT_REFUSED, "none of the 2 keys that count is among them");
    /* The key is taken away, and comes back. */
    pin_signed(fixture, "ed", REST, XML_ON_MISMATCH_REFUSE);
    trust("p384");
    expect(fixture, POLICY_VERDICT_REFUSED, "none of the 1 keys that count");
    trust("ed");
    expect(fixture, POLICY_VERDICT_MATCH, "");
}

static void test_what(void)
{
    static const char genoa[] = "<cpu mode='custom' match='exact'><model fallback='forbid'>EPYC-Genoa</model></cpu>"
        FIXTURE_SNP;
    static const char no_smt[] = FIXTURE_MILAN
        "<launchSecurity type='sev-snp' kernelHashes='yes'><policy>0x20000</policy></launchSecurity>";
    g_autoptr(Fixture) fixture = fixture_new();

    load(fixture);
    trust("ed");
    /* The pin is what the launch is; what was signed is something else. */
    pin_signed(fixture, "ed", genoa, XML_ON_MISMATCH_REFUSE);
    expect(fixture, POLICY_VERDICT_REFUSED, "has signed: CPU type");
    pin_signed(fixture, "ed", no_smt, XML_ON_MISMATCH_REFUSE);
    expect(fixture, POLICY_VERDICT_REFUSED, "has signed: guest policy changed");
    /* "observe" is the host's word, and nobody has signed it. */
    pin_signed(fixture, "ed", no_smt, XML_ON_MISMATCH_OBSERVE);
    expect(fixture, POLICY_VERDICT_REFUSED, "has signed: guest policy changed");
    pin_signed(fixture, "", REST, XML_ON_MISMATCH_OBSERVE);
    expect(fixture, POLICY_VERDICT_REFUSED, "is not signed");
    pin_signed(fixture, "ed", REST, XML_ON_MISMATCH_OBSERVE);
    expect(fixture, POLICY_VERDICT_MATCH, "");

    /* A file changes after it was signed. */
    pin_signed(fixture, "ed", REST, XML_ON_MISMATCH_REFUSE);
    fixture_put_text(fixture->kernel, "another kernel");
    expect(fixture, POLICY_VERDICT_REFUSED, "kernel '");
    expect_of(fixture, "", POLICY_VERDICT_REFUSED, "<launchSecurity> was removed");
}

static gchar *state_file(const Fixture *fixture)
{
    return g_strdup_printf("%s/references/" FIXTURE_UUID ".json", fixture->state);
}

static void edit(const Fixture *fixture, const char *old_part, const char *new_part)
{
    g_autofree gchar *path = state_file(fixture);
    g_autofree gchar *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_auto(GStrv) parts = g_strsplit(text, old_part, 2);
    if (!parts[1])
        g_error("'%s' is not in '%s'", old_part, text);
    g_autofree gchar *edited = g_strjoinv(new_part, parts);
    fixture_put_text(path, edited);
}

static void test_edited(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(PolicyReference) pin = NULL;

    load(fixture);
    trust("ed");
    pin_signed(fixture, "ed", REST, XML_ON_MISMATCH_REFUSE);
    edit(fixture, "\"sig\" : \"", "\"sig\" : \"AAAA");
    expect(fixture, POLICY_VERDICT_REFUSED, "is not good");
    pin_signed(fixture, "ed", REST, XML_ON_MISMATCH_REFUSE);
    edit(fixture, "\"payload\" : \"", "\"payload\" : \"AAAA");
    expect(fixture, POLICY_VERDICT_REFUSED, "cannot be used");
    pin_signed(fixture, "ed", REST, XML_ON_MISMATCH_REFUSE);
    edit(fixture, POLICY_ENVELOPE_TYPE_REFERENCE, "text/plain");
    expect(fixture, POLICY_VERDICT_REFUSED, "payloadType");
    pin_signed(fixture, "ed", REST, XML_ON_MISMATCH_REFUSE);
    edit(fixture, "\"keyid\" : \"", "\"key\" : \"");
    expect(fixture, POLICY_VERDICT_REFUSED, "start refused");

    /* The owner's rules, which no launch shows. */
    pin = measured(fixture, REST);
    pin->has_minimum_tcb = TRUE;
    pin->minimum_tcb = (PolicyTcb){3, 0, 8, 115, -1};
    pin->signed_text = sign(pin, "ed");
    put(fixture, pin);
    expect(fixture, POLICY_VERDICT_MATCH, "");
    pin->minimum_tcb.snp = 7;
    put(fixture, pin);
    expect(fixture, POLICY_VERDICT_REFUSED, "minimum TCB");
    pin->has_minimum_tcb = FALSE;
    put(fixture, pin);
    expect(fixture, POLICY_VERDICT_REFUSED, "minimum TCB");
}

/* The host chooses the CPU type when nobody looks any more: what is foreseen is signed, and nothing was compared. */
static void test_unresolved(void)
{
    static const char host_model[] = "<cpu mode='host-model' check='partial'/>" FIXTURE_SNP;
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(PolicyReference) pin = NULL;

    load(fixture);
    pin = measured(fixture, host_model);
    g_assert_cmpuint(pin->measurements->len, >, 1);
    pin->on_mismatch = XML_ON_MISMATCH_OBSERVE;
    pin->signed_text = sign(pin, "ed");
    put(fixture, pin);
    trust("");
    expect_of(fixture, host_model, POLICY_VERDICT_OBSERVED, "its CPU type is not resolved");
    trust("ed");
    expect_of(fixture, host_model, POLICY_VERDICT_REFUSED, "start refused; its CPU type is not resolved");
    /* One of those that are signed. */
    expect(fixture, POLICY_VERDICT_MATCH, "signed by the key");
}

/* A document from another host: other name, other emulator. */
static void test_travelled(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(PolicyReference) pin = NULL;
    g_autoptr(PolicyReference) document = NULL;

    load(fixture);
    trust("ed");
    pin = measured(fixture, REST);
    document = measured(fixture, REST);
    g_free(document->name);
    document->name = g_strdup("elsewhere");
    g_clear_pointer(&document->uuid, g_free);
    document->emulator = g_strdup("/opt/qemu");
    pin->signed_text = sign(document, "ed");
    put(fixture, pin);
    expect(fixture, POLICY_VERDICT_MATCH, "");
}

/* Whatever is wrong with the keys stops every pinned start, and no other. */
static void test_closed(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *keys = at("keys");
    g_autofree gchar *key = at("keys/ed.pem");

    load(fixture);
    trust("ed");
    pin_signed(fixture, "ed", REST, XML_ON_MISMATCH_OBSERVE);
    g_assert_cmpint(chmod(keys, 0770), ==, 0);
    expect(fixture, POLICY_VERDICT_REFUSED, "others than root and the user may write to it");
    g_assert_cmpint(chmod(keys, 0777), ==, 0);
    expect(fixture, POLICY_VERDICT_REFUSED, "others than root and the user may write to it");
    g_assert_cmpint(chmod(keys, 0755), ==, 0);
    g_assert_cmpint(chmod(key, 0666), ==, 0);
    expect(fixture, POLICY_VERDICT_REFUSED, "others than root and the user may write to it");
    trust("ed");
    run("echo nonsense > keys/new.pem; chmod 644 keys/new.pem");
    expect(fixture, POLICY_VERDICT_REFUSED, "new.pem");
    expect_of(fixture, "", POLICY_VERDICT_REFUSED, "new.pem");
    run("rm -r keys; : > keys");
    expect(fixture, POLICY_VERDICT_REFUSED, "Not a directory");
    g_assert_true(policy_store_remove_reference(fixture->store, FIXTURE_UUID, NULL));
    expect_of(fixture, "", POLICY_VERDICT_NONE, "");
    expect(fixture, POLICY_VERDICT_UNPINNED, "");
    run("rm keys");
}

/* The quickest of ten starts, in microseconds: the others may have had to wait for the processor. */
static gint64 quickest(Fixture *fixture)
{
    gint64 best = G_MAXINT64;

    for (guint i = 0; i < 10; i++) {
        gint64 before = g_get_monotonic_time();

        expect(fixture, POLICY_VERDICT_MATCH, "");
        best = MIN(best, g_get_monotonic_time() - before);
    }
    return best;
}

/* What it costs: 16 trusted keys of the slower kind. */
static void test_cost(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    gint64 without, with;

    load(fixture);
    trust("");
    pin_signed(fixture, "p384", REST, XML_ON_MISMATCH_REFUSE);
    without = quickest(fixture);
    trust("p384");
    run("for i in $(seq 15); do cp other384.pub.pem keys/a$i.pem; chmod 644 keys/a$i.pem; done");
    with = quickest(fixture);
    g_test_message("16 trusted P-384 keys and one signature cost %.2f ms a start", (gdouble)(with - without) / 1000);
    /* A bound for a busy machine with sanitizers; the figure is in the message. */
    g_assert_cmpint(with - without, <, 200000);
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    openssl_folder_new();
    run("for k in p384 other384; do openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out $k.pem; done;"
        "for k in ed other; do openssl genpkey -algorithm ED25519 -out $k.pem; done;"
        "for k in p384 other384 ed other; do openssl pkey -in $k.pem -pubout -out $k.pub.pem; done");
    g_test_add_func("/gate-signed/who", test_who);
    g_test_add_func("/gate-signed/what", test_what);
    g_test_add_func("/gate-signed/edited", test_edited);
    g_test_add_func("/gate-signed/unresolved", test_unresolved);
    g_test_add_func("/gate-signed/travelled", test_travelled);
    g_test_add_func("/gate-signed/closed", test_closed);
    g_test_add_func("/gate-signed/cost", test_cost);
    result = g_test_run();
    openssl_folder_free();
    return result;
}
