/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keys: made by the openssl command line in every form, and everything that is no fitting key refused with what to do.
 * Signatures are checked by openssl and made by openssl, never only by our own code.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure/error.h"
#include "policy/key-private.h"
#include "tests/unit/openssl-fixture.h"

#define BOTH (POLICY_KEY_P384 | POLICY_KEY_ED25519)
#define PASSPHRASE "correct horse"

/* A descriptor that gives @text and then its end. */
static int text_fd(const char *text)
{
    int ends[2];

    if (!text)
        return -1;
    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_cmpint(write(ends[1], text, strlen(text)), ==, (gssize)strlen(text));
    close(ends[1]);
    return ends[0];
}

static PolicyKey *load(const char *name, PolicyKeyKind kinds, const char *passphrase)
{
    g_autofree gchar *path = at(name);
    g_autoptr(GError) error = NULL;
    int fd = text_fd(passphrase);
    PolicyKey *key = policy_key_load_private(path, kinds, "ID key", fd, &error);

    g_assert_no_error(error);
    g_assert_nonnull(key);
    g_assert_cmpstr(policy_key_label(key), ==, path);
    if (fd >= 0)
        close(fd);
    return key;
}

static void refused(const char *name, PolicyKeyKind kinds, const char *passphrase, const char *says,
                    const char *advises)
{
    g_autofree gchar *path = at(name);
    g_autoptr(GError) error = NULL;
    int fd = text_fd(passphrase);

    g_assert_null(policy_key_load_private(path, kinds, "ID key", fd, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!g_str_has_prefix(error->message, "ID key '") || !strstr(error->message, path) ||
        !strstr(error->message, says) || !strstr(error->message, advises) || strchr(error->message, '\n') ||
        (passphrase && *passphrase && strstr(error->message, passphrase)))
        g_error("%s: '%s' or '%s' is not in '%s'", name, says, advises, error->message);
    if (fd >= 0)
        close(fd);
}

static void make_keys(void)
{
    run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem;"
        "openssl genpkey -algorithm ED25519 -out ed.pem;"
        "for k in p384 ed; do openssl pkey -in $k.pem -pubout -out $k.pub.pem;"
        " openssl pkey -in $k.pem -pubout -outform DER -out $k.pub.der;"
        " openssl pkcs8 -topk8 -nocrypt -in $k.pem -outform DER -out $k.pkcs8.der;"
        " openssl pkcs8 -topk8 -passout 'pass:" PASSPHRASE "' -in $k.pem -out $k.enc.pem;"
        " openssl pkcs8 -topk8 -scrypt -scrypt_N 1024 -passout 'pass:" PASSPHRASE "' -in $k.pem -outform DER"
        " -out $k.enc.der;"
        "done;"
        "openssl ec -in p384.pem -out p384.sec1.pem; openssl ec -in p384.pem -outform DER -out p384.sec1.der;"
        "openssl ec -in p384.pem -aes128 -passout 'pass:" PASSPHRASE "' -out p384.sec1enc.pem;"
        "openssl ec -in p384.pem -no_public -out p384.nopub.pem;"
        "openssl ec -in p384.pem -conv_form compressed -out p384.compressed.pem;"
        "openssl ec -in p384.pem -pubout -conv_form compressed -out p384.compressed.pub.pem;"
        "(openssl ecparam -name secp384r1; cat p384.sec1.pem) > p384.params.pem;"
        "(echo 'made today'; sed 's/$/\\r/' p384.pem) > p384.crlf.pem");
}

/* The name of a key as openssl has it: SHA-256 over the DER of its public half. */
static gchar *openssl_id(const char *kind)
{
    g_autofree gchar *path = NULL;
    g_autofree gchar *text = NULL;

    run("openssl dgst -sha256 -r %s.pub.der | cut -c1-64 > %s.id", kind, kind);
    path = g_strdup_printf("%s/%s.id", openssl_folder, kind);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_strchomp(text);
    g_assert_cmpuint(strlen(text), ==, 64);
    return g_steal_pointer(&text);
}

static void test_forms(void)
{
    static const struct {
        const char *name, *kind, *passphrase;
    } forms[] = {
        {"p384.pem", "p384", NULL},
        {"p384.sec1.pem", "p384", NULL},
        {"p384.sec1.der", "p384", NULL},
        {"p384.pkcs8.der", "p384", NULL},
        {"p384.nopub.pem", "p384", NULL},
        {"p384.compressed.pem", "p384", NULL},
        {"p384.params.pem", "p384", NULL},
        {"p384.crlf.pem", "p384", NULL},
        {"p384.enc.pem", "p384", PASSPHRASE "\n"},
        {"p384.enc.der", "p384", PASSPHRASE},
        {"p384.sec1enc.pem", "p384", PASSPHRASE "\nmore\n"},
        {"ed.pem", "ed", NULL},
        {"ed.pkcs8.der", "ed", NULL},
        {"ed.enc.pem", "ed", PASSPHRASE "\n"},
        {"ed.enc.der", "ed", PASSPHRASE "\n"},
    };
    g_autofree gchar *p384 = openssl_id("p384");
    g_autofree gchar *ed = openssl_id("ed");

    for (guint i = 0; i < G_N_ELEMENTS(forms); i++) {
        gboolean is_ed = !strcmp(forms[i].kind, "ed");
        g_autoptr(PolicyKey) key = load(forms[i].name, is_ed ? POLICY_KEY_ED25519 : POLICY_KEY_P384,
                                        forms[i].passphrase);
        g_autofree gchar *id = policy_key_id(key);

        g_assert_cmpstr(id, ==, is_ed ? ed : p384);
        g_assert_cmpint(policy_key_kind(key), ==, is_ed ? POLICY_KEY_ED25519 : POLICY_KEY_P384);
    }
    g_assert_cmpstr(policy_key_kind_name(POLICY_KEY_ED25519), ==, "ed25519");
    g_assert_cmpstr(policy_key_kind_name(POLICY_KEY_P384), ==, "ecdsa-p384-sha384");
}

static void test_public(void)
{
    static const char *const good[] = {"p384.pub.pem", "p384.pub.der", "p384.compressed.pub.pem", "ed.pub.pem",
                                       "ed.pub.der"};
    static const struct {
        const char *name, *says;
    } bad[] = {
        {"p384.pem", "this is a private key"},
        {"ed.enc.pem", "this is a private key"},
        {"p384.sec1.der", "this is a private key"},
        {"rsa.pub.pem", "this is an RSA key of 2048 bits"},
        {"p256.pub.pem", "this is an EC key on the curve prime256v1"},
        {"explicit.pub.pem", "this is"},
        {"cert.pem", "this is a certificate"},
        {"empty", "it is empty"},
        {"cut.pub.pem", "damaged"},
        {"two.pub.pem", "more than one key"},
        {"long.pub.der", "this is no public key"},
        {"offcurve.pub.der", "this is no public key"},
        {"no-such", "No such file"},
    };
    g_autofree gchar *p384 = openssl_id("p384");
    g_autofree gchar *ed = openssl_id("ed");

    run("openssl genrsa -out rsa.pem 2048; openssl rsa -in rsa.pem -pubout -out rsa.pub.pem;"
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.pem;"
        "openssl pkey -in p256.pem -pubout -out p256.pub.pem;"
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -pkeyopt ec_param_enc:explicit -out "
        "explicit.pem;"
        "openssl pkey -in explicit.pem -pubout -out explicit.pub.pem;"
        "openssl req -x509 -key p384.pem -subj /CN=t -days 1 -out cert.pem; : > empty;"
        "head -c 100 p384.pub.pem > cut.pub.pem; cat p384.pub.pem ed.pub.pem > two.pub.pem;"
        "(cat p384.pub.der; printf x) > long.pub.der;"
        "(head -c 119 p384.pub.der; printf x) > offcurve.pub.der");
    for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autofree gchar *path = at(good[i]);
        g_autoptr(GError) error = NULL;
        g_autoptr(PolicyKey) key = policy_key_load_public(path, BOTH, "trusted key", &error);
        g_autofree gchar *id = key ? policy_key_id(key) : NULL;

        g_assert_no_error(error);
        g_assert_cmpstr(id, ==, g_str_has_prefix(good[i], "ed") ? ed : p384);
    }
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree gchar *path = at(bad[i].name);
        g_autoptr(GError) error = NULL;

        g_assert_null(policy_key_load_public(path, BOTH, "trusted key", &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        if (!strstr(error->message, bad[i].says))
            g_error("%s: '%s' is not in '%s'", bad[i].name, bad[i].says, error->message);
    }
}

static void test_bad_keys(void)
{
    static const char *const p384_command = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out FILE";
    static const char *const ed_command = "openssl genpkey -algorithm ED25519 -out FILE";

    run("openssl genrsa -traditional -out rsa1.pem 2048;"
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.pem;"
        "openssl genpkey -algorithm ED448 -out ed448.pem; openssl ecparam -name secp384r1 -out params.pem;"
        "openssl req -x509 -key p384.pem -subj /CN=t -days 1 -out cert2.pem;"
        "openssl x509 -in cert2.pem -outform DER -out cert2.der;"
        "openssl req -new -key p384.pem -subj /CN=t -out request.pem; : > nothing; head -c 200 p384.pem > cut.pem;"
        "head -c 100 p384.sec1.der > cut.der; (cat p384.pkcs8.der; printf x) > long.der; echo hello > text;"
        "head -c 70000 /dev/zero > huge; mkdir d; mkfifo fifo; cat p384.pem ed.pem > two.pem;"
        "printf '%%s\\n' '-----BEGIN OPENSSH PRIVATE KEY-----' b3BlbnNzaC1rZXktdjEA '-----END OPENSSH PRIVATE KEY-----'"
        " > openssh.pem;"
        "sed '1a Comment: made today\\n' p384.sec1.pem > noted.pem;"
        "sed '1a Proc-Type: 4,MIC-ONLY\\n' p384.sec1.pem > proc.pem;"
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -pkeyopt ec_param_enc:explicit -out "
        "explicit2.pem");
    refused("rsa1.pem", POLICY_KEY_P384, NULL, "this is an RSA key of 2048 bits; it must be an ECDSA key",
            p384_command);
    refused("p256.pem", POLICY_KEY_P384, NULL, "this is an EC key on the curve prime256v1", p384_command);
    refused("p256.pem", BOTH, NULL, "it must be an Ed25519 key or an ECDSA key on the curve P-384", ed_command);
    refused("ed.pem", POLICY_KEY_P384, NULL, "this is a key of the type ED25519", p384_command);
    refused("p384.pem", POLICY_KEY_ED25519, NULL, "this is an EC key on the curve secp384r1", ed_command);
    refused("ed448.pem", BOTH, NULL, "this is a key of the type ED448", ed_command);
    refused("explicit2.pem", POLICY_KEY_P384, NULL, "this is", p384_command);
    refused("p384.pub.pem", POLICY_KEY_P384, NULL, "this is a public key and no private key", p384_command);
    refused("p384.pub.der", POLICY_KEY_P384, NULL, "this is a public key", p384_command);
    run("cp p384.pub.pem shown.pem; chmod 644 shown.pem");
    refused("shown.pem", POLICY_KEY_P384, NULL, "this is a public key", p384_command);
    refused("cert2.pem", POLICY_KEY_P384, NULL, "this is a certificate", p384_command);
    refused("cert2.der", POLICY_KEY_P384, NULL, "this is a certificate", p384_command);
    refused("request.pem", POLICY_KEY_P384, NULL, "this is a certificate request", p384_command);
    refused("params.pem", POLICY_KEY_P384, NULL, "only the parameters", p384_command);
    refused("openssh.pem", BOTH, NULL, "OpenSSH's own form", ed_command);
    refused("nothing", POLICY_KEY_P384, NULL, "it is empty", p384_command);
    refused("cut.pem", POLICY_KEY_P384, NULL, "damaged or incomplete", p384_command);
    refused("cut.der", POLICY_KEY_P384, NULL, "damaged, incomplete", p384_command);
    refused("long.der", POLICY_KEY_P384, NULL, "damaged, incomplete", p384_command);
    refused("text", POLICY_KEY_P384, NULL, "damaged, incomplete or no key", p384_command);
    refused("huge", POLICY_KEY_P384, NULL, "larger than 65536 bytes", p384_command);
    refused("two.pem", BOTH, NULL, "more than one private key", "a file of its own");
    refused("noted.pem", POLICY_KEY_P384, NULL, "headers that do not belong to an encrypted key", "take them out");
    refused("proc.pem", POLICY_KEY_P384, NULL, "headers that do not belong to an encrypted key", "take them out");
    refused("d", POLICY_KEY_P384, NULL, "this is a folder", p384_command);
    refused("fifo", POLICY_KEY_P384, NULL, "this is a pipe", p384_command);
    refused("../../../../../../../../dev/zero", POLICY_KEY_P384, NULL, "this is a device", p384_command);
    refused("no-such.pem", POLICY_KEY_P384, NULL, "No such file or directory", p384_command);
}

/* A public half of another key beside the private one. */
static void test_halves(void)
{
    run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out other.pem;"
        "openssl ec -in other.pem -outform DER -out other.sec1.der;"
        /* SEC1 of P-384 ends with the 97 bytes of its public point. */
        "(head -c -97 p384.sec1.der; tail -c 97 other.sec1.der) > mixed.der");
    refused("mixed.der", POLICY_KEY_P384, NULL, "halves do not belong together", "openssl genpkey");
}

static void test_passphrases(void)
{
    g_autofree gchar *long_line = g_strnfill(1025, 'x');
    g_autofree gchar *path = at("p384.enc.pem");
    g_autofree gchar *ed = at("ed.enc.pem");
    g_autoptr(GError) error = NULL;
    int fd;

    refused("p384.enc.pem", POLICY_KEY_P384, NULL, "encrypted and no passphrase was given", "--passphrase-fd");
    refused("p384.sec1enc.pem", POLICY_KEY_P384, NULL, "encrypted and no passphrase was given", "--passphrase-fd");
    refused("p384.enc.der", POLICY_KEY_P384, NULL, "encrypted and no passphrase was given", "--passphrase-fd");
    refused("p384.enc.pem", POLICY_KEY_P384, "wrong1", "the passphrase is wrong", "damaged");
    refused("p384.enc.der", POLICY_KEY_P384, "wrong2", "the passphrase is wrong", "damaged");
    refused("p384.sec1enc.pem", POLICY_KEY_P384, "wrong3", "the passphrase is wrong", "damaged");
    refused("p384.enc.pem", POLICY_KEY_P384, "", "no line left", "--passphrase-fd");
    refused("p384.enc.pem", POLICY_KEY_P384, long_line, "longer than 1024 bytes", "--passphrase-fd");

    g_assert_null(policy_key_load_private(path, POLICY_KEY_P384, "ID key", 4095, &error));
    g_assert_nonnull(strstr(error->message, "is not open"));
    g_clear_error(&error);

    /* Two keys, two lines: the first takes no byte of the second's. */
    fd = text_fd(PASSPHRASE "\n" PASSPHRASE "\n");
    g_autoptr(PolicyKey) first = policy_key_load_private(path, POLICY_KEY_P384, "ID key", fd, &error);
    g_assert_no_error(error);
    g_autoptr(PolicyKey) second = policy_key_load_private(ed, POLICY_KEY_ED25519, "ID key", fd, &error);
    g_assert_no_error(error);
    g_assert_nonnull(first);
    g_assert_nonnull(second);
    close(fd);

    /* A terminal would show what is typed, and a program that asks would wait. */
    fd = posix_openpt(O_RDWR | O_NOCTTY);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(grantpt(fd) | unlockpt(fd), ==, 0);
    int terminal = open(ptsname(fd), O_RDWR | O_NOCTTY);
    g_assert_cmpint(terminal, >=, 0);
    g_assert_null(policy_key_load_private(path, POLICY_KEY_P384, "ID key", terminal, &error));
    g_assert_nonnull(strstr(error->message, "is a terminal"));
    close(terminal);
    close(fd);
}

static void test_permissions(void)
{
    g_autofree gchar *path = at("open.pem");

    run("cp p384.pem open.pem; cp p384.pem closed.pem; ln -s closed.pem link.pem; ln -s open.pem openlink.pem;"
        "cp p384.pem 'a b.pem'; chmod 0644 'a b.pem'; chmod 0400 closed.pem");
    for (guint mode = 0; mode < 0100; mode++) {
        g_assert_cmpint(chmod(path, 0600 | mode), ==, 0);
        if (!mode) {
            policy_key_free(load("open.pem", POLICY_KEY_P384, NULL));
        } else {
            refused("open.pem", POLICY_KEY_P384, NULL,
                    mode & 7 ? "everybody on this machine may use it" : "its group may",
                    "chmod 0600 ");
        }
    }
    /* A link is as good as what it leads to. */
    policy_key_free(load("link.pem", POLICY_KEY_P384, NULL));
    refused("openlink.pem", POLICY_KEY_P384, NULL, "everybody on this machine may use it", "chmod 0600 ");
    refused("a b.pem", POLICY_KEY_P384, NULL, "(mode 0644)", "a b.pem'");

    if (geteuid() != 0) {
        g_test_skip("the file of another user needs root");
        return;
    }
    g_assert_cmpint(chown(path, 12345, 0), ==, 0);
    g_assert_cmpint(chmod(path, 0600), ==, 0);
    refused("open.pem", POLICY_KEY_P384, NULL, "it belongs to another user (12345)", "chown 0 ");
}

/* ---- Signatures ---- */

static void test_we_sign(void)
{
    g_autofree gchar *data_path = at("data");
    g_autofree gchar *p384_path = at("p384.sig");
    g_autofree gchar *ed_path = at("ed.sig");
    g_autoptr(PolicyKey) p384 = load("p384.pem", BOTH, NULL);
    g_autoptr(PolicyKey) ed = load("ed.pem", BOTH, NULL);
    g_autoptr(GError) error = NULL;

    /* Different lengths, and short r and s now and then. */
    for (gsize size = 1; size < 40; size++) {
        g_autofree gchar *data = g_strnfill(size * size, (gchar)('A' + size));
        g_autoptr(GBytes) one = policy_key_sign(p384, data, size * size, &error);
        g_assert_no_error(error);
        g_autoptr(GBytes) two = policy_key_sign(ed, data, size * size, &error);
        g_assert_no_error(error);
        gsize one_size = 0, two_size = 0;
        const gchar *one_data = g_bytes_get_data(one, &one_size);
        const gchar *two_data = g_bytes_get_data(two, &two_size);

        g_assert_cmpuint(two_size, ==, 64);
        g_assert_true(policy_key_verify(p384, data, size * size, one_data, one_size));
        g_assert_true(policy_key_verify(ed, data, size * size, two_data, two_size));
        if (size % 13)
            continue;
        g_assert_true(g_file_set_contents(data_path, data, (gssize)(size * size), NULL));
        g_assert_true(g_file_set_contents(p384_path, one_data, (gssize)one_size, NULL));
        g_assert_true(g_file_set_contents(ed_path, two_data, (gssize)two_size, NULL));
        run("openssl dgst -sha384 -verify p384.pub.pem -signature p384.sig data;"
            "openssl pkeyutl -verify -pubin -inkey ed.pub.pem -rawin -in data -sigfile ed.sig");
    }
}

static gboolean verify_all_but(const PolicyKey *key, const char *data, gsize size, const guint8 *signature,
                               gsize signature_size)
{
    g_autofree guint8 *copy = g_malloc(signature_size + 1);

    memcpy(copy, signature, signature_size);
    copy[signature_size] = 0;
    for (gsize i = 0; i < signature_size; i++) {
        copy[i] ^= 1;
        if (policy_key_verify(key, data, size, copy, signature_size))
            return FALSE;
        copy[i] ^= 1;
    }
    return !policy_key_verify(key, data, size, copy, signature_size + 1) &&
           !policy_key_verify(key, data, size, copy, signature_size - 1) &&
           !policy_key_verify(key, data, size, copy, 0) &&
           !policy_key_verify(key, data, size - 1, copy, signature_size);
}

static void test_openssl_signs(void)
{
    g_autofree gchar *p384_path = at("p384.sig");
    g_autofree gchar *ed_path = at("ed.sig");
    g_autofree gchar *p384_public = at("p384.pub.pem");
    g_autofree gchar *ed_public = at("ed.pub.pem");
    g_autofree gchar *one = NULL;
    g_autofree gchar *two = NULL;
    gsize one_size = 0, two_size = 0;
    g_autoptr(PolicyKey) p384 = policy_key_load_public(p384_public, BOTH, "key", NULL);
    g_autoptr(PolicyKey) ed = policy_key_load_public(ed_public, BOTH, "key", NULL);
    g_autoptr(GError) error = NULL;

    run("printf 'what is signed' > data; openssl dgst -sha384 -sign p384.pem -out p384.sig data;"
        "openssl pkeyutl -sign -inkey ed.pem -rawin -in data -out ed.sig");
    g_assert_true(g_file_get_contents(p384_path, &one, &one_size, NULL));
    g_assert_true(g_file_get_contents(ed_path, &two, &two_size, NULL));
    g_assert_true(policy_key_verify(p384, "what is signed", 14, one, one_size));
    g_assert_true(policy_key_verify(ed, "what is signed", 14, two, two_size));
    g_assert_false(policy_key_verify(p384, "what is signed", 14, two, two_size));
    g_assert_false(policy_key_verify(ed, "what is signed", 14, one, one_size));
    g_assert_true(verify_all_but(p384, "what is signed", 14, (guint8 *)one, one_size));
    g_assert_true(verify_all_but(ed, "what is signed", 14, (guint8 *)two, two_size));
    /* A public key signs nothing. */
    g_assert_null(policy_key_sign(p384, "x", 1, &error));
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
}

/* ---- Core dumps ---- */

/* A child that holds a key dies of a signal that dumps; whether a dump was made. */
static gboolean dumps(gboolean with_key)
{
    g_autofree gchar *path = at("p384.pem");
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

        if (getrlimit(RLIMIT_CORE, &limit) == 0) {
            limit.rlim_cur = limit.rlim_max;
            setrlimit(RLIMIT_CORE, &limit);
        }
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        if (chdir(openssl_folder) < 0)
            _exit(9);
        if (with_key) {
            /* Kept on purpose: it is in memory when the process dies. */
            PolicyKey *key = policy_key_load_private(path, POLICY_KEY_P384, "ID key", -1, NULL);

            if (!key || getrlimit(RLIMIT_CORE, &limit) < 0 || limit.rlim_cur || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
                _exit(9);
        }
        signal(SIGQUIT, SIG_DFL);
        raise(SIGQUIT);
        _exit(9);
    }
    g_assert_cmpint(child, >, 0);
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFSIGNALED(status));
    g_assert_cmpint(WTERMSIG(status), ==, SIGQUIT);
    return WCOREDUMP(status);
}

static void test_core_dump(void)
{
    if (!dumps(FALSE))
        g_test_message("this machine makes no core dumps at all: only the limit and the flag were tried");
    g_assert_false(dumps(TRUE));
}

/* What is taken for a public key may be a private one by mistake: the memory is closed before it is read. */
static void test_closed_first(void)
{
    static const char *const files[] = {"p384.pem", "p384.pub.pem", "no-such.pem"};

    for (guint i = 0; i < 3 * G_N_ELEMENTS(files); i++) {
        g_autofree gchar *path = at(files[i % G_N_ELEMENTS(files)]);
        int status = 0;
        pid_t child = fork();

        if (child == 0) {
            const struct rlimit open = {1, 1};

            if (setrlimit(RLIMIT_CORE, &open) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
                _exit(2);
            switch (i / G_N_ELEMENTS(files)) {
            case 0:
                policy_key_free(policy_key_load_public(path, BOTH, "key", NULL));
                break;
            case 1:
                policy_key_free(policy_key_load_trusted(path, BOTH, "key", NULL));
                break;
            default:
                policy_key_file_is_private(path);
            }
            struct rlimit now = open;
            _exit(getrlimit(RLIMIT_CORE, &now) < 0 || now.rlim_cur || prctl(PR_GET_DUMPABLE) != 0);
        }
        g_assert_cmpint(child, >, 0);
        g_assert_cmpint(waitpid(child, &status, 0), ==, child);
        g_assert_cmpint(status, ==, 0);
    }
}

static void test_is_private(void)
{
    static const char *const yes[] = {"p384.pem", "p384.enc.pem", "p384.enc.der", "p384.sec1.der", "ed.pkcs8.der",
                                      "p384.sec1enc.pem"};
    static const char *const no[] = {"p384.pub.pem", "ed.pub.der", "no-such.pem", "p384.id"};

    for (guint i = 0; i < G_N_ELEMENTS(yes); i++) {
        g_autofree gchar *path = at(yes[i]);

        if (!policy_key_file_is_private(path))
            g_error("%s is private", yes[i]);
    }
    for (guint i = 0; i < G_N_ELEMENTS(no); i++) {
        g_autofree gchar *path = at(no[i]);

        if (policy_key_file_is_private(path))
            g_error("%s is not private", no[i]);
    }
}

/* ---- Tokens ---- */

#define PIN "123456"

/* The provider loads the token's module with RTLD_DEEPBIND, which AddressSanitizer refuses for whole programs. */
__attribute__((visibility("default"))) void *dlopen(const char *file, int mode);
__attribute__((visibility("default"))) void *dlopen(const char *file, int mode)
{
    void *(*real)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");

    return real(file, mode & ~RTLD_DEEPBIND);
}

static PolicyKey *load_token(const char *uri, const char *pin, GError **error)
{
    int fd = text_fd(pin);
    PolicyKey *key = policy_key_load_private(uri, BOTH, "signing key", fd, error);

    if (fd >= 0)
        close(fd);
    return key;
}

static void token_refused(const char *uri, const char *pin, gint code, const char *says)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(load_token(uri, pin, &error));
    g_assert_error(error, ATTEST_ERROR, code);
    if (!strstr(error->message, says) || strstr(error->message, PIN))
        g_error("'%s' is not in '%s'", says, error->message);
}

/* In a process of its own, so that the provider is configured for it and its memory is its own. */
static void test_token_child(void)
{
    static const char *const both[] = {"p384", "ed"};

    token_refused("pkcs11:token=virt-attest;object=p384?pin-value=" PIN, NULL, ATTEST_ERROR_USAGE, "change the PIN");
    if (!g_getenv("PKCS11_PROVIDER_MODULE")) {
        token_refused("pkcs11:token=virt-attest;object=p384;type=private", PIN, ATTEST_ERROR_NOT_CONFIGURED,
                      "install the package pkcs11-provider");
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(both); i++) {
        g_autofree gchar *uri = g_strdup_printf("pkcs11:token=virt-attest;object=%s;type=private", both[i]);
        g_autofree gchar *out = g_strdup_printf("%s/token-%s.sig", g_getenv("TEST_KEY_FOLDER"), both[i]);
        g_autoptr(GError) error = NULL;
        g_autoptr(PolicyKey) key = load_token(uri, PIN "\n", &error);

        g_assert_no_error(error);
        g_autofree gchar *id = policy_key_id(key);
        g_autoptr(GBytes) signature = policy_key_sign(key, "token", 5, &error);
        g_assert_no_error(error);
        g_autofree gchar *id_path = g_strdup_printf("%s/token-%s.id", g_getenv("TEST_KEY_FOLDER"), both[i]);
        g_assert_true(g_file_set_contents(out, g_bytes_get_data(signature, NULL), (gssize)g_bytes_get_size(signature),
                                          NULL));
        g_assert_true(g_file_set_contents(id_path, id, -1, NULL));
    }
    token_refused("pkcs11:token=virt-attest;object=p384;type=private", NULL, ATTEST_ERROR_UNREADABLE,
                  "--passphrase-fd");
    token_refused("pkcs11:token=virt-attest;object=p384;type=private", "9999", ATTEST_ERROR_UNREADABLE, "PIN");
    token_refused("pkcs11:token=virt-attest;object=none;type=private", PIN, ATTEST_ERROR_UNREADABLE, "no private key");
    token_refused("pkcs11:token=none;object=p384;type=private", PIN, ATTEST_ERROR_UNREADABLE, "no private key");
    token_refused("pkcs11:token=virt-attest;type=private", PIN, ATTEST_ERROR_UNREADABLE, "2 private keys");
    token_refused("pkcs11:token=virt-attest;object=rsa;type=private", PIN, ATTEST_ERROR_UNREADABLE, "no private key");
}

static const char *find_module(void)
{
    static const char *const places[] = {"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
                                         "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"};

    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        if (g_file_test(places[i], G_FILE_TEST_EXISTS))
            return places[i];
    }
    return NULL;
}

static gboolean provider_is_there(void)
{
    g_autofree gchar *text = NULL;
    gint status = 1;

    return g_spawn_command_line_sync("openssl list -providers -provider pkcs11 -provider default", &text, NULL, &status,
                                     NULL) &&
           status == 0 && strstr(text, "pkcs11");
}

static void test_token(void)
{
    const char *module = find_module();
    g_autofree gchar *util = g_find_program_in_path("softhsm2-util");
    g_autofree gchar *configuration = at("softhsm2.conf");
    g_autofree gchar *text =
        g_strdup_printf("directories.tokendir = %s/tokens\nobjectstore.backend = file\n", openssl_folder);

    if (!module || !util) {
        g_test_skip("softhsm2 is not installed");
        return;
    }
    g_setenv("SOFTHSM2_CONF", configuration, TRUE);
    g_assert_true(g_file_set_contents(configuration, text, -1, NULL));
    run("mkdir tokens; softhsm2-util --init-token --free --label virt-attest --pin " PIN " --so-pin 654321;"
        "softhsm2-util --import p384.pkcs8.pem --token virt-attest --label p384 --id 01 --pin " PIN " 2>/dev/null || "
        "softhsm2-util --import p384.pem --token virt-attest --label p384 --id 01 --pin " PIN ";"
        "softhsm2-util --import ed.pem --token virt-attest --label ed --id 02 --pin " PIN);
    if (!provider_is_there()) {
        g_test_skip("pkcs11-provider is not installed");
        return;
    }
    g_setenv("PKCS11_PROVIDER_MODULE", module, TRUE);
    g_setenv("TEST_KEY_FOLDER", openssl_folder, TRUE);
    g_test_trap_subprocess("/key/child/subprocess", 0, 0);
    g_test_trap_assert_passed();
    run("printf token > token.data;"
        "openssl dgst -sha384 -verify p384.pub.pem -signature token-p384.sig token.data;"
        "openssl pkeyutl -verify -pubin -inkey ed.pub.pem -rawin -in token.data -sigfile token-ed.sig;"
        "[ $(cat token-p384.id) = $(openssl dgst -sha256 -r p384.pub.der | cut -c1-64) ];"
        "[ $(cat token-ed.id) = $(openssl dgst -sha256 -r ed.pub.der | cut -c1-64) ]");
}

/* Where OpenSSL knows no such store, the message says what is missing. */
static void test_no_store(void)
{
    g_unsetenv("PKCS11_PROVIDER_MODULE");
    g_setenv("OPENSSL_MODULES", openssl_folder, TRUE);
    g_test_trap_subprocess("/key/child/subprocess", 0, 0);
    g_test_trap_assert_passed();
    g_unsetenv("OPENSSL_MODULES");
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    if (g_test_subprocess()) {
        g_test_add_func("/key/child/subprocess", test_token_child);
        return g_test_run();
    }
    openssl_folder_new();
    make_keys();
    g_test_add_func("/key/core-dump", test_core_dump);
    g_test_add_func("/key/closed-first", test_closed_first);
    g_test_add_func("/key/is-private", test_is_private);
    g_test_add_func("/key/forms", test_forms);
    g_test_add_func("/key/public", test_public);
    g_test_add_func("/key/bad", test_bad_keys);
    g_test_add_func("/key/halves", test_halves);
    g_test_add_func("/key/passphrases", test_passphrases);
    g_test_add_func("/key/permissions", test_permissions);
    g_test_add_func("/key/we-sign", test_we_sign);
    g_test_add_func("/key/openssl-signs", test_openssl_signs);
    g_test_add_func("/key/token", test_token);
    g_test_add_func("/key/no-store", test_no_store);
    g_test_add_func("/key/child/subprocess", test_token_child);
    result = g_test_run();
    openssl_folder_free();
    return result;
}
