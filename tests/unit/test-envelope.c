/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signed documents: the published example, openssl on the other side, everything that is not one refused. */
#include <sys/stat.h>
#include <unistd.h>

#include "measure/error.h"
#include "policy/envelope.h"
#include "tests/unit/confidential-fixture.h"
#include "tests/unit/corpus-fixture.h"
#include "tests/unit/openssl-fixture.h"
#include "tests/unit/schema-fixture.h"

#define BOTH (POLICY_KEY_P384 | POLICY_KEY_ED25519)

static void make_keys(void)
{
    run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem;"
        "openssl genpkey -algorithm ED25519 -out ed.pem; openssl genpkey -algorithm ED25519 -out other.pem;"
        "for k in p384 ed other; do openssl pkey -in $k.pem -pubout -out $k.pub.pem; done");
}

static PolicyKey *private_key(const char *name)
{
    g_autofree gchar *path = at(name);
    g_autoptr(GError) error = NULL;
    PolicyKey *key = policy_key_load_private(path, BOTH, "key", -1, &error);

    g_assert_no_error(error);
    return key;
}

/* The public keys of some names, separated by blanks. */
static GPtrArray *public_keys(const char *names)
{
    GPtrArray *keys = g_ptr_array_new_with_free_func((GDestroyNotify)policy_key_free);
    g_auto(GStrv) words = g_strsplit(names, " ", -1);

    for (guint i = 0; words[i] && *words[i]; i++) {
        g_autofree gchar *file = g_strconcat(words[i], ".pub.pem", NULL);
        g_autofree gchar *path = at(file);
        g_autoptr(GError) error = NULL;

        g_ptr_array_add(keys, policy_key_load_public(path, BOTH, "key", &error));
        g_assert_no_error(error);
    }
    return keys;
}

static PolicyEnvelope *envelope_of(const char *type, const char *text)
{
    g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));

    return policy_envelope_new(type, bytes);
}

/* The example that the DSSE specification prints (protocol.md, "Test Vectors"). */
static void test_known_answer(void)
{
    static const char expected[] = "DSSEv1 29 http://example.com/HelloWorld 11 hello world";
    g_autoptr(PolicyEnvelope) envelope = envelope_of("http://example.com/HelloWorld", "hello world");
    g_autoptr(GByteArray) bytes = policy_envelope_signed_bytes(envelope);
    g_autofree gchar *text = policy_envelope_format(envelope, FALSE);

    g_assert_cmpmem(bytes->data, bytes->len, expected, sizeof(expected) - 1);
    g_assert_cmpstr(text, ==, "{\"payload\":\"aGVsbG8gd29ybGQ=\",\"payloadType\":\"http://example.com/HelloWorld\","
                              "\"signatures\":[]}");
    /* Lengths are bytes, not characters. */
    g_autoptr(PolicyEnvelope) umlaut = envelope_of("a", "\xc3\xbc");
    g_autoptr(GByteArray) two = policy_envelope_signed_bytes(umlaut);
    g_assert_cmpmem(two->data, two->len, "DSSEv1 1 a 2 \xc3\xbc", 15);
}

static void write_at(const char *name, gconstpointer data, gsize size)
{
    g_autofree gchar *path = at(name);

    g_assert_true(g_file_set_contents(path, data, (gssize)size, NULL));
}

static void test_openssl_verifies(void)
{
    static const char *const names[] = {"p384.pem", "ed.pem"};
    g_autoptr(PolicyEnvelope) envelope = envelope_of("text/plain", "a document\n");
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < 2; i++) {
        g_autoptr(PolicyKey) key = private_key(names[i]);

        g_assert_true(policy_envelope_sign(envelope, key, &error));
        g_assert_no_error(error);
        /* A second one by the same key takes its place. */
        g_assert_true(policy_envelope_sign(envelope, key, &error));
        g_assert_cmpuint(envelope->signatures->len, ==, i + 1);
        g_autofree gchar *id = policy_key_id(key);
        for (guint j = 0; j < envelope->signatures->len; j++) {
            const PolicySignature *signature = g_ptr_array_index(envelope->signatures, j);

            if (!strcmp(signature->key_id, id))
                write_at(i ? "ed.sig" : "p384.sig", g_bytes_get_data(signature->signature, NULL),
                         g_bytes_get_size(signature->signature));
        }
    }
    run("printf 'DSSEv1 10 text/plain 11 a document\\n' > pae;"
        "openssl dgst -sha384 -verify p384.pub.pem -signature p384.sig pae;"
        "openssl pkeyutl -verify -pubin -inkey ed.pub.pem -rawin -in pae -sigfile ed.sig");
}

/* An envelope that was made with openssl, base64 and printf only. */
static void test_openssl_signs(void)
{
    g_autofree gchar *path = at("made.json");
    g_autofree gchar *text = NULL;
    g_autofree gchar *signer = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) keys = public_keys("ed p384");
    g_autoptr(GPtrArray) others = public_keys("other");
    g_autoptr(GPtrArray) none = public_keys("");

    run("printf 'DSSEv1 10 text/plain 11 a document\\n' > pae;"
        "openssl dgst -sha384 -sign p384.pem -out p384.sig pae;"
        "openssl pkeyutl -sign -inkey ed.pem -rawin -in pae -out ed.sig;"
        "id() { openssl pkey -pubin -in $1 -outform DER | sha256sum | cut -c1-64; };"
        "printf '{\"signatures\": [{\"sig\": \"%%s\", \"keyid\": \"%%s\"}, {\"keyid\": \"%%s\", \"sig\": \"%%s\"}], "
        "\"payloadType\": \"text/plain\", \"payload\": \"%%s\"}' \"$(base64 -w0 p384.sig)\" $(id p384.pub.pem) "
        "$(id ed.pub.pem) \"$(base64 -w0 ed.sig)\" \"$(printf 'a document\\n' | base64 -w0)\" > made.json");
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_true(policy_envelope_recognise(text, strlen(text)));
    g_autoptr(PolicyEnvelope) envelope = policy_envelope_parse(text, -1, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(envelope->signatures->len, ==, 2);
    g_assert_true(policy_envelope_verify(envelope, keys, &signer, &error));
    g_assert_no_error(error);
    g_assert_nonnull(signer);
    g_clear_pointer(&signer, g_free);

    /* Nobody who counts. */
    g_assert_false(policy_envelope_verify(envelope, others, &signer, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
    g_assert_null(signer);
    g_clear_error(&error);
    g_assert_false(policy_envelope_verify(envelope, none, NULL, &error));
    g_clear_error(&error);

    /* Canonical: sorted by key, whatever the order was; and the same when it is read again. */
    g_autofree gchar *first = policy_envelope_format(envelope, TRUE);
    g_autoptr(PolicyEnvelope) again = policy_envelope_parse(first, -1, &error);
    g_autofree gchar *second = policy_envelope_format(again, TRUE);
    g_assert_cmpstr(first, ==, second);
    g_assert_cmpint(strcmp(((PolicySignature *)again->signatures->pdata[0])->key_id,
                           ((PolicySignature *)again->signatures->pdata[1])->key_id), <, 0);
}

static void test_tampered(void)
{
    g_autoptr(PolicyEnvelope) envelope = envelope_of("text/plain", "a document");
    g_autoptr(PolicyKey) key = private_key("ed.pem");
    g_autoptr(PolicyKey) other = private_key("other.pem");
    g_autoptr(GPtrArray) keys = public_keys("p384 ed");
    g_autoptr(GPtrArray) both = public_keys("other ed");
    g_autoptr(GError) error = NULL;

    g_assert_true(policy_envelope_sign(envelope, key, NULL));
    g_assert_true(policy_envelope_verify(envelope, keys, NULL, NULL));

    g_autoptr(GBytes) changed = g_bytes_new("a documenT", 10);
    g_autoptr(PolicyEnvelope) document = policy_envelope_new("text/plain", changed);
    g_ptr_array_unref(document->signatures);
    document->signatures = g_ptr_array_ref(envelope->signatures);
    g_assert_false(policy_envelope_verify(document, keys, NULL, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
    g_assert_nonnull(strstr(error->message, "is not good"));
    g_clear_error(&error);

    g_autoptr(PolicyEnvelope) type = policy_envelope_new("text/plaim", envelope->payload);
    g_ptr_array_unref(type->signatures);
    type->signatures = g_ptr_array_ref(envelope->signatures);
    g_assert_false(policy_envelope_verify(type, keys, NULL, NULL));

    /* A good one does not make up for a bad one that names a key that counts. */
    g_assert_true(policy_envelope_sign(envelope, other, NULL));
    g_assert_true(policy_envelope_verify(envelope, both, NULL, NULL));
    g_autofree gchar *id = policy_key_id(other);
    for (guint i = 0; i < envelope->signatures->len; i++) {
        PolicySignature *signature = g_ptr_array_index(envelope->signatures, i);

        if (!strcmp(signature->key_id, id)) {
            g_bytes_unref(signature->signature);
            signature->signature = g_bytes_new_take(g_strnfill(64, 'x'), 64);
        }
    }
    g_assert_false(policy_envelope_verify(envelope, both, NULL, NULL));
    g_assert_true(policy_envelope_verify(envelope, keys, NULL, NULL));

    /* Nor does a new one by that key: what it would be put on is not what was signed. */
    g_assert_false(policy_envelope_sign(envelope, other, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
    g_assert_false(policy_envelope_verify(envelope, both, NULL, NULL));
    g_assert_true(policy_envelope_sign(envelope, key, NULL));
    g_clear_error(&error);
    g_assert_false(policy_envelope_sign(document, key, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED);
}

static gboolean corpus_read(const char *text, gsize size, gpointer user_data, GError **error)
{
    g_autoptr(PolicyEnvelope) envelope = policy_envelope_parse(text, (gssize)size, error);

    return envelope != NULL;
}

static void test_corpus(void)
{
    corpus_walk("envelope", corpus_read, NULL);
    g_assert_false(policy_envelope_recognise("{}", 2));
    g_assert_false(policy_envelope_recognise("", 0));
    g_assert_false(policy_envelope_recognise("[\"payloadType\"]", 15));
    g_assert_true(policy_envelope_recognise(" {\"payloadType\": 1}", 19));
}

/* The published schema says the same as the reader, but for a base64 that has bits too many, and a key that signs twice. */
static void test_schema(void)
{
    static const char *const beyond[] = {"bad-same-key", "bad-base64-bits", "bad-twice", "bad-behind"};
    g_autofree gchar *corpus = g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), "tests", "corpus", "envelope", NULL);
    g_autoptr(GDir) dir = g_dir_open(corpus, 0, NULL);
    g_autoptr(GPtrArray) good = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) bad = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(PolicyEnvelope) envelope = envelope_of("text/plain", "a document\n");
    g_autoptr(PolicyKey) one = private_key("p384.pem");
    g_autoptr(PolicyKey) two = private_key("ed.pem");
    const char *name = NULL;

    g_assert_true(policy_envelope_sign(envelope, one, NULL) && policy_envelope_sign(envelope, two, NULL));
    g_ptr_array_add(good, policy_envelope_format(envelope, TRUE));
    g_ptr_array_add(good, policy_envelope_format(envelope, FALSE));
    while ((name = g_dir_read_name(dir))) {
        g_autofree gchar *path = g_build_filename(corpus, name, NULL);
        gchar *text = NULL;
        gboolean left_out = FALSE;

        for (guint i = 0; i < G_N_ELEMENTS(beyond); i++)
            left_out |= !strcmp(name, beyond[i]);
        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        if (left_out)
            g_free(text);
        else
            g_ptr_array_add(g_str_has_prefix(name, "ok-") ? good : bad, text);
    }
    g_assert_cmpuint(bad->len, >, 15);
    if (schema_check("policy/signed.schema.json", good, TRUE) == SCHEMA_UNKNOWN) {
        g_test_skip("python3-jsonschema is not installed");
        return;
    }
    g_assert_cmpint(schema_check("policy/signed.schema.json", good, TRUE), ==, SCHEMA_AGREED);
    g_assert_cmpint(schema_check("policy/signed.schema.json", bad, FALSE), ==, SCHEMA_AGREED);
}

static void test_too_many(void)
{
    g_autoptr(PolicyEnvelope) envelope = envelope_of("text/plain", "x");
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i <= POLICY_ENVELOPE_MAX_SIGNATURES; i++) {
        EVP_PKEY *evp = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        g_autoptr(PolicyKey) key = policy_key_from_evp(evp, BOTH, "key", &error);

        g_assert_no_error(error);
        g_assert_true(policy_envelope_sign(envelope, key, &error) == (i < POLICY_ENVELOPE_MAX_SIGNATURES));
    }
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
}

/* ---- References in envelopes ---- */

static void refused_reference(const char *type, const char *payload, const char *says)
{
    g_autoptr(PolicyEnvelope) envelope = envelope_of(type, payload);
    g_autoptr(PolicyEnvelope) out = NULL;
    g_autoptr(PolicyKey) key = private_key("ed.pem");
    g_autoptr(GError) error = NULL;

    g_assert_true(policy_envelope_sign(envelope, key, NULL));
    g_autofree gchar *text = policy_envelope_format(envelope, TRUE);
    g_assert_null(policy_reference_read(text, -1, &out, &error));
    g_assert_null(out);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, says))
        g_error("'%s' is not in '%s'", says, error->message);
}

static gchar *replaced(const char *text, const char *old_part, const char *new_part)
{
    g_auto(GStrv) parts = g_strsplit(text, old_part, 2);

    if (!parts[1])
        g_error("'%s' is not in '%s'", old_part, text);
    return g_strjoinv(new_part, parts);
}

static void test_references(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, NULL, FIXTURE_MILAN FIXTURE_SNP);
    g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyReference) reference = policy_reference_new(domain, evaluation, XML_ON_MISMATCH_REFUSE, &error);
    g_autofree gchar *portable = policy_reference_format(reference, POLICY_REFERENCE_PORTABLE);
    g_autofree gchar *pinned = policy_reference_format(reference, POLICY_REFERENCE_PINNED);
    g_autofree gchar *shared = policy_reference_format(reference, POLICY_REFERENCE_SHARED);
    g_autofree gchar *blank = g_strconcat(portable, "\n", NULL);
    g_autofree gchar *reordered = replaced(portable, "\"level\" : ", "\"level\":");
    g_autoptr(PolicyKey) key = private_key("p384.pem");
    g_autoptr(PolicyEnvelope) envelope = envelope_of(POLICY_ENVELOPE_TYPE_REFERENCE, portable);
    g_autoptr(PolicyEnvelope) out = NULL;

    g_assert_true(policy_envelope_sign(envelope, key, NULL));
    g_autofree gchar *text = policy_envelope_format(envelope, TRUE);
    g_autoptr(PolicyReference) again = policy_reference_read(text, -1, &out, &error);
    g_assert_no_error(error);
    g_assert_nonnull(out);
    g_assert_cmpstr(again->name, ==, "guest1");
    g_autofree gchar *same = policy_reference_format(again, POLICY_REFERENCE_PORTABLE);
    g_assert_cmpstr(same, ==, portable);

    /* Documents without a signature are taken as they are. */
    const char *plain[] = {portable, pinned, shared, reordered};
    for (guint i = 0; i < G_N_ELEMENTS(plain); i++) {
        g_autoptr(PolicyEnvelope) nothing = NULL;
        g_autoptr(PolicyReference) read = policy_reference_read(plain[i], -1, &nothing, &error);

        g_assert_no_error(error);
        g_assert_nonnull(read);
        g_assert_null(nothing);
    }
    refused_reference(POLICY_ENVELOPE_TYPE_REFERENCE, pinned, "portable form");
    refused_reference(POLICY_ENVELOPE_TYPE_REFERENCE, shared, "portable form");
    refused_reference(POLICY_ENVELOPE_TYPE_REFERENCE, blank, "portable form");
    refused_reference(POLICY_ENVELOPE_TYPE_REFERENCE, reordered, "portable form");
    refused_reference(POLICY_ENVELOPE_TYPE_REFERENCE, "{}", "the document that is signed");
    refused_reference("text/plain", portable, "'text/plain'");
    /* An envelope inside another is no reference. */
    refused_reference(POLICY_ENVELOPE_TYPE_REFERENCE, text, "the document that is signed");
}

/* ---- The folder of trusted keys ---- */

/* @named: the configuration says so, and it is not the default. */
static void trusted_in(const char *name, gboolean named, gint expected, const char *says)
{
    g_autofree gchar *path = at(name);
    PolicyConfig config = {.trusted_keys = path, .names_trusted_keys = named};
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) keys = policy_trusted_keys_load(&config, &error);

    if (expected >= 0) {
        g_assert_no_error(error);
        g_assert_cmpint((gint)keys->len, ==, expected);
        return;
    }
    g_assert_null(keys);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_NOT_CONFIGURED);
    if (!strstr(error->message, says) || !strstr(error->message, name))
        g_error("'%s' is not in '%s'", says, error->message);
}

static void trusted(const char *name, gint expected, const char *says)
{
    trusted_in(name, TRUE, expected, says);
    trusted_in(name, FALSE, expected, says);
}

static void test_trusted(void)
{
    g_autofree gchar *z = at("t/z.pem");

    run("mkdir -m 755 t t/folder none notes; echo readme | tee t/README notes/README notes/README.txt notes/.new;"
        "cp ed.pub.pem t/.hidden.pem; ln -s no-such-folder dangling");
    trusted_in("no-such-folder", FALSE, 0, NULL);
    trusted_in("no-such-folder", TRUE, -1, "the configuration names it");
    trusted_in("no-such-folder/deeper", FALSE, 0, NULL);
    trusted_in("dangling", FALSE, -1, "a link to something that is missing");
    trusted_in("dangling", TRUE, -1, "the configuration names it");
    trusted("none", 0, NULL);
    trusted("notes", 0, NULL);
    trusted("t", 0, NULL);
    /* Somebody meant these as keys, or took the last one away in a way that looks like a slip. */
    run("cp ed.pub.pem t/old.pem.disabled");
    trusted("t", -1, "there is no NAME.pem in it, only 'old.pem.disabled'");
    run("cp p384.pub.pem t/a.pub");
    trusted("t", -1, "only 'a.pub'");
    run("rm t/a.pub t/old.pem.disabled; ln -s ../ed.pub.pem t/linked.pub");
    trusted("t", -1, "only 'linked.pub'");
    run("cp p384.pem t/p384.key");
    run("cp p384.pub.pem t/z.pem; cp ed.pub.pem t/a.pem; chmod 644 t/*.pem; ln -s ../other.pub.pem t/linked.pem");
    trusted("t", 3, NULL);
    g_autofree gchar *path = at("t");
    PolicyConfig config = {.trusted_keys = path};
    g_autoptr(GPtrArray) keys = policy_trusted_keys_load(&config, NULL);
    g_assert_true(g_str_has_suffix(policy_key_label(keys->pdata[0]), "/t/a.pem"));
    g_assert_true(g_str_has_suffix(policy_key_label(keys->pdata[2]), "/t/z.pem"));

    trusted("ed.pem", -1, "Not a directory");
    static const int modes[] = {0755, 0757, 0775, 0750, 0770};
    for (guint i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_assert_cmpint(chmod(path, (mode_t)modes[i]), ==, 0);
        trusted("t", modes[i] & 022 ? -1 : 3, "others than root and the user may write to it");
    }
    g_assert_cmpint(chmod(path, 0755), ==, 0);
    /* Root's own group too: the bit may be the mask of an access control list that names anybody. */
    for (guint i = 0; i < 2; i++) {
        g_assert_cmpint(chmod(z, i ? 0646 : 0664), ==, 0);
        trusted("t", -1, "others than root and the user may write to it");
    }
    g_assert_cmpint(chmod(z, 0644), ==, 0);
    if (geteuid() == 0) {
        g_assert_cmpint(chown(z, 12345, 0), ==, 0);
        trusted("t", -1, "others than root and the user may write to it");
        g_assert_cmpint(chown(z, 0, 0), ==, 0);
        g_assert_cmpint(chown(path, 12345, 0), ==, 0);
        trusted("t", -1, "others than root and the user may write to it");
        g_assert_cmpint(chown(path, 0, 12345) | chmod(path, 0775), ==, 0);
        trusted("t", -1, "others than root and the user may write to it");
        g_assert_cmpint(chown(path, 0, 0) | chmod(path, 0755), ==, 0);
    }
    trusted("t", 3, NULL);
    /* One that cannot be used makes all of them useless. */
    run("cp p384.pem t/private.pem");
    trusted("t", -1, "this is a private key");
    run("rm t/private.pem; mkfifo t/fifo.pem");
    trusted("t", -1, "this is a pipe");
    run("rm t/fifo.pem; ln -s nowhere t/dangling.pem");
    trusted("t", -1, "No such file");
    run("rm t/dangling.pem; : > t/empty.pem");
    trusted("t", -1, "it is empty");
    run("rm t/empty.pem; for i in $(seq 62); do cp t/a.pem t/n$i.pem; done");
    trusted("t", -1, "more than 64 keys");
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    openssl_folder_new();
    make_keys();
    g_test_add_func("/envelope/known-answer", test_known_answer);
    g_test_add_func("/envelope/openssl-verifies", test_openssl_verifies);
    g_test_add_func("/envelope/openssl-signs", test_openssl_signs);
    g_test_add_func("/envelope/tampered", test_tampered);
    g_test_add_func("/envelope/corpus", test_corpus);
    g_test_add_func("/envelope/schema", test_schema);
    g_test_add_func("/envelope/too-many", test_too_many);
    g_test_add_func("/envelope/references", test_references);
    g_test_add_func("/envelope/trusted", test_trusted);
    result = g_test_run();
    openssl_folder_free();
    return result;
}
