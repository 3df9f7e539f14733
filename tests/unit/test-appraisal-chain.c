/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Certificates with one thing wrong, each signed by an authority that would be trusted: what is refused is refused for
 * what it says, not for who says it.
 */
#include <glib/gstdio.h>

#include "measure/error.h"
#include "tests/unit/authority-fixture.h"

static Fixture *milan, *turin, *other;
static AppraisalAnchors *anchors;
static gchar *folder;

static gchar *anchor_path(void)
{
    return g_build_filename(folder, "anchors.pem", NULL);
}

/* Writes certificates as one PEM file; ends at NULL. */
static void write_pem(const char *path, GBytes *first, ...)
{
    g_autoptr(GString) text = g_string_new("a comment before the first\n");
    va_list args;

    va_start(args, first);
    for (GBytes *each = first; each; each = va_arg(args, GBytes *)) {
        g_autofree gchar *pem = fixture_pem(each, "CERTIFICATE");
        g_string_append(text, pem);
    }
    va_end(args);
    g_assert_true(g_file_set_contents(path, text->str, -1, NULL));
}

static void setup(void)
{
    g_autofree gchar *path = NULL;
    g_autoptr(GString) all = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    folder = g_dir_make_tmp("virt-attest-XXXXXX", NULL);
    path = anchor_path();
    milan = fixture_new(APPRAISAL_LINE_MILAN, fixture_rsa(3072), fixture_rsa(3072), fixture_rsa(3072));
    turin = fixture_new(APPRAISAL_LINE_TURIN, fixture_share(milan->ark), fixture_share(milan->ask),
                        fixture_share(milan->asvk));
    g_autoptr(EVP_PKEY) foreign = fixture_rsa(3072);
    other = fixture_new(APPRAISAL_LINE_MILAN, fixture_share(foreign), fixture_share(foreign), fixture_share(foreign));
    for (int i = 0; i < 2; i++) {
        const Fixture *fixture = i ? turin : milan;
        const FixtureCertificate *certificates[] = {&fixture->ask_certificate, &fixture->asvk_certificate,
                                                    &fixture->ark_certificate};
        for (gsize k = 0; k < G_N_ELEMENTS(certificates); k++) {
            g_autoptr(GBytes) der = fixture_certificate(certificates[k]);
            g_autofree gchar *pem = fixture_pem(der, "CERTIFICATE");
            g_string_append(all, pem);
        }
    }
    g_assert_true(g_file_set_contents(path, all->str, -1, NULL));
    anchors = appraisal_anchors_load(path, &error);
    g_assert_no_error(error);
    g_assert_false(appraisal_anchors_are_builtin(anchors));
    g_unlink(path);
}

static void teardown(void)
{
    appraisal_anchors_free(anchors);
    fixture_free(milan);
    fixture_free(turin);
    fixture_free(other);
    g_rmdir(folder);
    g_free(folder);
}

static void assert_message(const GError *error, AttestError code, const char *reason, const char *what)
{
    g_assert_error(error, ATTEST_ERROR, (int)code);
    if (!strstr(error->message, reason))
        g_error("%s: '%s' instead of '%s'", what, error->message, reason);
}

static AppraisalEndorsement *parse(GBytes *der, GError **error)
{
    return appraisal_endorsement_parse(g_bytes_get_data(der, NULL), g_bytes_get_size(der), error);
}

static AppraisalEndorsement *make(const FixtureCertificate *wanted)
{
    g_autoptr(GBytes) der = fixture_certificate(wanted);
    g_autoptr(GError) error = NULL;
    AppraisalEndorsement *endorsement = parse(der, &error);

    g_assert_no_error(error);
    return endorsement;
}

static void assert_bad_form(const FixtureCertificate *wanted, const char *reason, const char *what)
{
    g_autoptr(GBytes) der = fixture_certificate(wanted);
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalEndorsement) endorsement = parse(der, &error);

    if (endorsement)
        g_error("%s is accepted", what);
    assert_message(error, ATTEST_ERROR_UNREADABLE, reason, what);
}

static void assert_bad_chain(const FixtureCertificate *wanted, gint64 at, const char *reason)
{
    g_autoptr(AppraisalEndorsement) endorsement = make(wanted);
    g_autoptr(GError) error = NULL;

    g_assert_false(appraisal_chain_verify(endorsement, anchors, NULL, at, &error));
    assert_message(error, ATTEST_ERROR_REJECTED, reason, reason);
}

static void test_good(void)
{
    g_autoptr(AppraisalEndorsement) vcek = make(&milan->vcek);
    g_autoptr(AppraisalEndorsement) vlek = make(&milan->vlek);
    g_autoptr(AppraisalEndorsement) chip = make(&turin->vcek);
    g_autoptr(AppraisalAnchors) builtin = appraisal_anchors_builtin();
    AppraisalEndorsement *all[] = {vcek, vlek, chip};
    PolicyTcb milan_tcb = {.bootloader = 4, .snp = 0x18, .microcode = 0xdb, .fmc = -1};
    PolicyTcb turin_tcb = {.bootloader = 2, .tee = 3, .snp = 4, .microcode = 0x51, .fmc = 1};

    for (gsize i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autoptr(GError) error = NULL;
        appraisal_chain_verify(all[i], anchors, NULL, FIXTURE_TIME, &error);
        g_assert_no_error(error);
        /* Nothing but the file makes it trusted. */
        g_assert_false(appraisal_chain_verify(all[i], builtin, NULL, FIXTURE_TIME, &error));
        assert_message(error, ATTEST_ERROR_REJECTED, "the names in the certificate", "built-in");
    }
    g_assert_cmpint(vcek->kind, ==, APPRAISAL_SIGNER_VCEK);
    g_assert_cmpint(vcek->line, ==, APPRAISAL_LINE_MILAN);
    g_assert_cmpstr(vcek->product, ==, "Milan-B0");
    g_assert_true(appraisal_tcb_equal(&vcek->tcb, &milan_tcb));
    g_assert_cmpuint(g_bytes_get_size(vcek->hwid), ==, 64);
    g_assert_cmpint(vcek->not_before, ==, FIXTURE_TIME - FIXTURE_YEAR);
    g_assert_cmpint(vlek->kind, ==, APPRAISAL_SIGNER_VLEK);
    g_assert_cmpstr(vlek->csp_id, ==, "CN=cloud");
    g_assert_null(vlek->hwid);
    g_assert_cmpint(chip->line, ==, APPRAISAL_LINE_TURIN);
    g_assert_true(appraisal_tcb_equal(&chip->tcb, &turin_tcb));
    g_assert_cmpuint(g_bytes_get_size(chip->hwid), ==, 8);
}

/* The name alone does not make AMD's: here with AMD's organisation, and the chain fails at the key. */
static void test_impersonation(void)
{
    g_autoptr(AppraisalAnchors) builtin = appraisal_anchors_builtin();
    FixtureCertificate wanted = milan->vcek;
    g_autoptr(GError) error = NULL;

    wanted.organization = "Advanced Micro Devices";
    g_autoptr(AppraisalEndorsement) endorsement = make(&wanted);
    g_assert_false(appraisal_chain_verify(endorsement, builtin, NULL, FIXTURE_TIME, &error));
    assert_message(error, ATTEST_ERROR_REJECTED, "SEV-Milan has not signed this certificate", "impersonation");
}

#define EXTENSIONS_MAX 24

/* @base with the extension @suffix replaced by @hex, added where it is not there, left out for NULL. */
static void change(const FixtureExtension *base, const char *suffix, const char *hex, FixtureExtension *out)
{
    gboolean found = FALSE;
    gsize n = 0;

    for (; base->suffix; base++) {
        gboolean same = g_str_equal(base->suffix, suffix);
        found = found || same;
        if (same && !hex)
            continue;
        out[n] = *base;
        if (same)
            out[n].hex = hex;
        n++;
    }
    if (!found)
        out[n++] = (FixtureExtension){suffix, hex, FALSE};
    out[n] = (FixtureExtension){NULL};
    g_assert_cmpuint(n, <, EXTENSIONS_MAX);
}

static void test_values(void)
{
    static const struct {
        const char *suffix, *hex, *reason; /* good without a reason */
    } rows[] = {
        {"1", NULL, "no structVersion"},
        {"2", NULL, "no productName"},
        {"3.1", NULL, "is missing"},
        {"3.2", NULL, "is missing"},
        {"3.3", NULL, "is missing"},
        {"3.8", NULL, "is missing"},
        {"4", NULL, "VCEK without a HWID"},
        {"3.4", NULL, NULL},
        /* Numbers: 0 to 255 in their one encoding. */
        {"3.8", "020200ff", NULL},
        {"3.8", "02017f", NULL},
        {"3.8", "02020100", "ucodeSPL is not a number from 0 to 255"},
        {"3.8", "0203010000", "ucodeSPL is not a number from 0 to 255"},
        {"3.8", "0201ff", "ucodeSPL is not a number from 0 to 255"},
        {"3.8", "0202007f", "ucodeSPL is not a number from 0 to 255"},
        {"3.8", "02020005", "ucodeSPL is not a number from 0 to 255"},
        {"3.8", "02810105", "ucodeSPL is not a number in DER"},
        {"3.8", "020200", "ucodeSPL is not a number in DER"},
        {"3.8", "02010500", "ucodeSPL is not a number in DER"},
        {"3.8", "0200", "ucodeSPL is not a number in DER"},
        {"3.8", "02", "ucodeSPL is not a number in DER"},
        {"3.8", "", "ucodeSPL is not a number in DER"},
        {"3.8", "0a0105", "ucodeSPL is not a number in DER"},
        {"3.1", "0403020105", "blSPL is not a number in DER"},
        {"3.4", "020101", "spl4 is reserved and is 1"},
        {"3.7", "0201", "spl7 is not a number in DER"},
        {"3.9", "020101", "an fmcSPL, which only Turin has"},
        {"1", "020101", NULL},
        {"1", "020102", "structVersion 2"},
        {"1", "0101ff", "structVersion is not a number"},
        /* Products. */
        {"2", "16054d696c616e", NULL},
        {"2", "160547656e6f61", "its product is 'Genoa', and its issuer is that of Milan"},
        {"2", "16056d696c616e", "its product is 'milan'"},
        {"2", "16064d696c616e2d", "its product is 'Milan-'"},
        {"2", "16064d696c616e42", "its product is 'MilanB'"},
        {"2", "0c054d696c616e", "productName is not a text in DER"},
        {"2", "16064d696c616e00", "productName has a character"},
        {"2", "1600", "productName is not a text"},
        {"2", "16064d696c616e", "productName is not a text"},
        /* The chip. */
        {"4", "0440" FIXTURE_HWID, NULL},
        {"4", "0102030405060708", "its HWID has 8 bytes, which no Milan has"},
        {"4", "0408" "0102030405060708", "its HWID has 8 bytes, which no Milan has"},
        {"4", "01020304050607", "the HWID has 7 bytes"},
        {"4", "00" FIXTURE_HWID, "the HWID has 65 bytes"},
        {"4", "", "the HWID has 0 bytes"},
        {"4", "0341" FIXTURE_HWID, "the HWID has 66 bytes"},
        {"5", "1608434e3d636c6f7564", "both a HWID and a CSP_ID"},
        /* What no certificate has. */
        {"6", "020100", "an extension of AMD's that this version does not know"},
        {"3.10", "020100", "an extension of AMD's that this version does not know"},
        {"3.0", "020100", "an extension of AMD's that this version does not know"},
        {"3.1.1", "020100", "an extension of AMD's that this version does not know"},
        {"4.1", "020100", "an extension of AMD's that this version does not know"},
        {"3", "020100", "an extension of AMD's that this version does not know"},
        {"200", "020100", "an extension of AMD's that this version does not know"},
        {"=1.3.6.1.4.1.3704.2.1", "020100", NULL},
        {"=1.3.6.1.4.1.3704.11", "020100", NULL},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        FixtureExtension extensions[EXTENSIONS_MAX];
        FixtureCertificate wanted = milan->vcek;
        g_autofree gchar *what = g_strdup_printf("%s=%s", rows[i].suffix, rows[i].hex ? rows[i].hex : "absent");

        change(fixture_milan, rows[i].suffix, rows[i].hex, extensions);
        wanted.extensions = extensions;
        if (rows[i].reason)
            assert_bad_form(&wanted, rows[i].reason, what);
        else
            appraisal_endorsement_free(make(&wanted));
    }
}

static void test_duplicates(void)
{
    const FixtureExtension *bases[] = {fixture_milan, fixture_vlek, fixture_turin};
    const FixtureCertificate *certificates[] = {&milan->vcek, &milan->vlek, &turin->vcek};

    for (gsize i = 0; i < G_N_ELEMENTS(bases); i++) {
        for (const FixtureExtension *twice = bases[i]; twice->suffix; twice++) {
            FixtureExtension extensions[EXTENSIONS_MAX];
            FixtureCertificate wanted = *certificates[i];
            gsize n = 0;

            for (const FixtureExtension *each = bases[i]; each->suffix; each++)
                extensions[n++] = *each;
            extensions[n++] = *twice;
            extensions[n] = (FixtureExtension){NULL};
            wanted.extensions = extensions;
            assert_bad_form(&wanted, "one of AMD's extensions twice", twice->suffix);
        }
    }
}

static void test_turin_and_vlek(void)
{
    static const struct {
        gboolean vlek;
        const char *suffix, *hex, *reason;
    } rows[] = {
        {FALSE, "3.9", NULL, "fmcSPL is missing"},
        {FALSE, "3.4", "020100", NULL},
        {FALSE, "4", FIXTURE_HWID, "its HWID has 64 bytes, which no Turin has"},
        {FALSE, "4", "04080102030405060708", NULL},
        {FALSE, "2", "16054d696c616e", "its product is 'Milan', and its issuer is that of Turin"},
        {TRUE, "5", NULL, "a VLEK without a CSP_ID"},
        {TRUE, "4", FIXTURE_HWID, "both a HWID and a CSP_ID"},
        {TRUE, "5", "1600", "CSP_ID is not a text"},
        {TRUE, "5", "160107", "CSP_ID has a character"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        FixtureExtension extensions[EXTENSIONS_MAX];
        FixtureCertificate wanted = rows[i].vlek ? milan->vlek : turin->vcek;

        change(wanted.extensions, rows[i].suffix, rows[i].hex, extensions);
        wanted.extensions = extensions;
        if (rows[i].reason)
            assert_bad_form(&wanted, rows[i].reason, rows[i].suffix);
        else
            appraisal_endorsement_free(make(&wanted));
    }
}

static void test_critical(void)
{
    FixtureExtension extensions[EXTENSIONS_MAX];
    FixtureCertificate wanted = milan->vcek;

    change(fixture_milan, "=1.2.3.4", "0500", extensions);
    wanted.extensions = extensions;
    appraisal_endorsement_free(make(&wanted));
    for (FixtureExtension *each = extensions; each->suffix; each++)
        each->critical = *each->suffix == '=';
    assert_bad_form(&wanted, "a critical extension that no VCEK or VLEK has", "critical");
}

static void test_names(void)
{
    static const struct {
        const char *subject, *issuer, *reason;
    } rows[] = {
        {"SEV-VCEX", "SEV-Milan", "its subject is 'SEV-VCEX'"},
        {"SEV-Milan", "ARK-Milan", "its subject is 'SEV-Milan'"},
        {"SEV-VCEK", "SEV-VLEK-Milan", "its issuer is 'SEV-VLEK-Milan', who signs no SEV-VCEK"},
        {"SEV-VLEK", "SEV-Milan", "its issuer is 'SEV-Milan', who signs no SEV-VLEK"},
        {"SEV-VCEK", "ARK-Milan", "its issuer is 'ARK-Milan', who signs no SEV-VCEK"},
        {"SEV-VCEK", "SEV-Rome", "its issuer is 'SEV-Rome'"},
        {"SEV-VCEK", "SEV-Genoa", "its product is 'Milan-B0', and its issuer is that of Genoa"},
        {"SEV-VCEK", "SEV-Milan-B0", "its issuer is 'SEV-Milan-B0'"},
        {"SEV-VCEK\n", "SEV-Milan", "its subject is ''"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        FixtureCertificate wanted = milan->vcek;
        wanted.subject = rows[i].subject;
        wanted.issuer = rows[i].issuer;
        assert_bad_form(&wanted, rows[i].reason, rows[i].subject);
    }
}

static void test_algorithms(void)
{
    static const FixtureSignature forms[] = {FIXTURE_PSS_SHA256, FIXTURE_PSS_MGF1_SHA256, FIXTURE_PSS_SALT_32,
                                             FIXTURE_PKCS1};
    FixtureCertificate wanted = milan->vcek;

    for (gsize i = 0; i < G_N_ELEMENTS(forms); i++) {
        g_autofree gchar *what = g_strdup_printf("form %u", forms[i]);
        wanted.signature = forms[i];
        assert_bad_form(&wanted, "not signed with RSASSA-PSS, SHA-384 and a salt of 48 bytes", what);
    }
    wanted.signature = FIXTURE_ECDSA;
    wanted.signer = milan->chip;
    assert_bad_form(&wanted, "not signed with RSASSA-PSS", "ECDSA");
}

static void test_keys(void)
{
    g_autoptr(EVP_PKEY) small = fixture_ec("P-256");
    g_autoptr(EVP_PKEY) large = fixture_ec("P-521");
    g_autoptr(EVP_PKEY) explicit = NULL;
    g_autoptr(EVP_PKEY) compressed = fixture_ec("P-384");
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);

    EVP_PKEY_keygen_init(context);
    EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_secp384r1);
    EVP_PKEY_CTX_set_ec_param_enc(context, OPENSSL_EC_EXPLICIT_CURVE);
    g_assert_cmpint(EVP_PKEY_keygen(context, &explicit), ==, 1);
    EVP_PKEY_CTX_free(context);
    g_assert_cmpint(EVP_PKEY_set_utf8_string_param(compressed, "point-format", "compressed"), ==, 1);
    /* Both as long as what is right. */
    g_autoptr(EVP_PKEY) brainpool = fixture_ec("brainpoolP384r1");
    g_autoptr(EVP_PKEY) hybrid = fixture_ec("P-384");
    g_assert_cmpint(EVP_PKEY_set_utf8_string_param(hybrid, "point-format", "hybrid"), ==, 1);
    EVP_PKEY *keys[] = {small, large, explicit, compressed, hybrid, brainpool, milan->ask};
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree gchar *what = g_strdup_printf("key %" G_GSIZE_FORMAT, i);
        FixtureCertificate wanted = milan->vcek;
        wanted.key = keys[i];
        assert_bad_form(&wanted, "its key is not an ECDSA key on P-384", what);
    }
}

static void test_encoding(void)
{
    g_autoptr(GBytes) der = fixture_certificate(&milan->vcek);
    g_autofree gchar *pem = fixture_pem(der, "CERTIFICATE");
    g_autofree gchar *twice = g_strconcat(pem, pem, NULL);
    g_autofree gchar *key = fixture_pem(der, "PRIVATE KEY");
    g_autofree gchar *open = g_strndup(pem, strlen(pem) - 40);
    g_autofree gchar *encrypted = NULL;
    g_autofree gchar *spaces = g_strnfill(17 * 1024, ' ');
    g_autofree gchar *large = g_strconcat(pem, spaces, NULL);
    g_autoptr(GByteArray) longer = g_byte_array_new();
    gsize size = 0;
    const guint8 *data = g_bytes_get_data(der, &size);
    FixtureCertificate first = milan->vcek;

    {
        g_auto(GStrv) parts = g_strsplit(pem, "\n", 2);
        encrypted = g_strconcat(parts[0], "\nProc-Type: 4,ENCRYPTED\n",
                                "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n", parts[1], NULL);
    }
    const struct {
        const char *text, *reason;
    } rows[] = {
        {pem, NULL},
        {twice, "does not hold exactly one"},
        {key, "something else than"},
        {open, "this PEM is damaged"},
        {encrypted, "something else than"},
        {large, "larger than 16 KiB"},
        {"", "it is empty"},
        {"-----BEGIN ", "does not hold exactly one"},
        {"hello", "neither DER nor PEM"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(AppraisalEndorsement) endorsement =
            appraisal_endorsement_parse(rows[i].text, strlen(rows[i].text), &error);
        if (!rows[i].reason) {
            g_assert_no_error(error);
            continue;
        }
        g_assert_null(endorsement);
        assert_message(error, ATTEST_ERROR_UNREADABLE, rows[i].reason, "PEM");
    }
    /* A byte behind it; and BER: the length of the outer sequence, 0x82 with two bytes, written with three. */
    g_byte_array_append(longer, data, (guint)size);
    g_byte_array_append(longer, (const guint8 *)"", 1);
    g_autoptr(GError) error = NULL;
    g_assert_null(appraisal_endorsement_parse(longer->data, longer->len, &error));
    assert_message(error, ATTEST_ERROR_UNREADABLE, "something follows it", "a byte more");
    g_byte_array_set_size(longer, 0);
    g_byte_array_append(longer, (const guint8 *)"\x30\x83\x00", 3);
    g_byte_array_append(longer, data + 2, (guint)size - 2);
    g_clear_error(&error);
    g_assert_null(appraisal_endorsement_parse(longer->data, longer->len, &error));
    assert_message(error, ATTEST_ERROR_UNREADABLE, "not encoded in DER", "BER");
    first.version = X509_VERSION_1;
    assert_bad_form(&first, "not of X.509 version 3", "version 1");
}

static void test_chain(void)
{
    FixtureCertificate wanted = milan->vcek;

    wanted.signer = milan->ark;
    assert_bad_chain(&wanted, FIXTURE_TIME, "SEV-Milan has not signed this certificate");
    wanted.signer = milan->asvk;
    assert_bad_chain(&wanted, FIXTURE_TIME, "SEV-Milan has not signed this certificate");
    wanted.signer = other->ask;
    assert_bad_chain(&wanted, FIXTURE_TIME, "SEV-Milan has not signed this certificate");
    wanted = milan->vcek;
    wanted.organization = "TEST AUTHORITI";
    assert_bad_chain(&wanted, FIXTURE_TIME, "the names in the certificate are not those");
    wanted = milan->vcek;
    wanted.owner = "SOMEBODY ELSE";
    assert_bad_chain(&wanted, FIXTURE_TIME, "the names in the certificate are not those");
    wanted = milan->vcek;
    wanted.not_before = FIXTURE_TIME + 1;
    assert_bad_chain(&wanted, FIXTURE_TIME, "the VCEK is not valid before 2026-01-01T00:00:01Z");
    wanted.not_before = FIXTURE_TIME - 2;
    wanted.not_after = FIXTURE_TIME - 1;
    assert_bad_chain(&wanted, FIXTURE_TIME, "the VCEK has expired at 2025-12-31T23:59:59Z");
    wanted.not_after = FIXTURE_TIME + 3 * FIXTURE_YEAR;
    assert_bad_chain(&wanted, FIXTURE_TIME + 2 * FIXTURE_YEAR, "ARK-Milan has expired");
    /* Genoa has no keys in this file. */
    FixtureExtension extensions[EXTENSIONS_MAX];
    change(fixture_milan, "2", "160547656e6f61", extensions);
    wanted = milan->vcek;
    wanted.issuer = "SEV-Genoa";
    wanted.extensions = extensions;
    assert_bad_chain(&wanted, FIXTURE_TIME, "there is no trust anchor SEV-Genoa");
    /* Kept without a look at the clock, and without one only when that is said. */
    g_autoptr(AppraisalEndorsement) vcek = make(&milan->vcek);
    g_autoptr(GError) error = NULL;
    g_assert_true(appraisal_chain_verify(vcek, anchors, NULL, APPRAISAL_ANY_TIME, &error));
    g_assert_false(appraisal_chain_verify(vcek, anchors, NULL, -1, &error));
}

/* Remembered signatures are those of the very certificate, under the very anchors. */
static void test_remembered(void)
{
    g_autoptr(AppraisalEndorsement) good = make(&milan->vcek);
    FixtureCertificate wanted = milan->vcek;
    g_autoptr(GError) error = NULL;

    for (int i = 0; i < 3; i++)
        g_assert_true(appraisal_chain_verify(good, anchors, NULL, FIXTURE_TIME, &error));
    wanted.signer = other->ask;
    for (int i = 0; i < 3; i++)
        assert_bad_chain(&wanted, FIXTURE_TIME, "SEV-Milan has not signed this certificate");
    g_assert_false(appraisal_chain_verify(good, anchors, NULL, FIXTURE_TIME + 2 * FIXTURE_YEAR, &error));
}

static gboolean chain_with(const char *role, const FixtureCertificate *certificate, GError **error)
{
    g_autoptr(AppraisalEndorsement) vcek = make(&milan->vcek);
    g_autoptr(GPtrArray) blobs = appraisal_blobs_new();
    g_autoptr(GBytes) der = fixture_certificate(certificate);

    appraisal_blobs_add(blobs, role, der);
    return appraisal_chain_verify(vcek, anchors, blobs, FIXTURE_TIME, error);
}

static void assert_bad_intermediate(const char *role, const FixtureCertificate *certificate, const char *reason)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(chain_with(role, certificate, &error));
    assert_message(error, ATTEST_ERROR_REJECTED, reason, reason);
}

static void test_intermediates(void)
{
    FixtureCertificate wanted = milan->ask_certificate;
    g_autoptr(GError) error = NULL;

    /* A salt makes every signature another: the same facts, another certificate, the same key. */
    chain_with("ask", &wanted, &error);
    g_assert_no_error(error);
    chain_with("ark", &milan->ark_certificate, &error);
    g_assert_no_error(error);
    wanted.serial = 4711;
    chain_with("ask", &wanted, &error);
    g_assert_no_error(error);
    wanted.not_after = FIXTURE_TIME - 1;
    assert_bad_intermediate("ask", &wanted, "SEV-Milan has expired");
    wanted = milan->ask_certificate;
    wanted.key = other->ask;
    assert_bad_intermediate("ask", &wanted, "calls itself SEV-Milan and has another key");
    wanted = milan->ask_certificate;
    wanted.signer = other->ark;
    assert_bad_intermediate("ask", &wanted, "is not signed by ARK-Milan");
    wanted = milan->ask_certificate;
    wanted.signature = FIXTURE_PKCS1;
    assert_bad_intermediate("ask", &wanted, "is not signed by ARK-Milan");
    assert_bad_intermediate("ask", &milan->asvk_certificate, "is not SEV-Milan");
    assert_bad_intermediate("ask", &turin->ask_certificate, "is not SEV-Milan");
    assert_bad_intermediate("ark", &other->ark_certificate, "calls itself ARK-Milan and has another key");
    assert_bad_intermediate("ask", &milan->ark_certificate, "is not SEV-Milan");
}

static void test_authorities(void)
{
    const struct {
        const FixtureCertificate *certificate;
        const char *role, *reason;
    } rows[] = {
        {&milan->ark_certificate, "ark", NULL},  {&milan->ask_certificate, "ask", NULL},
        {&turin->asvk_certificate, "asvk", NULL}, {&other->ask_certificate, NULL, "has another key"},
        {&milan->vcek, NULL, "none of an ARK, ASK or ASVK"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GBytes) der = fixture_certificate(rows[i].certificate);
        g_autoptr(GError) error = NULL;
        AppraisalLine line = APPRAISAL_LINE_UNKNOWN;
        const char *role = NULL;
        gboolean good = appraisal_authority_check(der, anchors, FIXTURE_TIME, &role, &line, &error);

        if (rows[i].reason) {
            g_assert_false(good);
            assert_message(error, ATTEST_ERROR_REJECTED, rows[i].reason, "authority");
        } else {
            g_assert_no_error(error);
            g_assert_cmpstr(role, ==, rows[i].role);
        }
    }
    g_autoptr(GBytes) ask = fixture_certificate(&milan->ask_certificate);
    g_autoptr(GBytes) ark = fixture_certificate(&turin->ark_certificate);
    g_autoptr(GPtrArray) blobs = appraisal_blobs_new();
    g_autoptr(GError) error = NULL;
    g_assert_false(appraisal_intermediates_check(blobs, anchors, FIXTURE_TIME, &error));
    g_clear_error(&error);
    appraisal_blobs_add(blobs, "ask", ask);
    g_assert_true(appraisal_intermediates_check(blobs, anchors, FIXTURE_TIME, &error));
    appraisal_blobs_add(blobs, "ark", ark);
    g_assert_false(appraisal_intermediates_check(blobs, anchors, FIXTURE_TIME, &error));
    assert_message(error, ATTEST_ERROR_REJECTED, "certificates of Milan and of Turin", "two lines");
}

static void assert_bad_anchors(const char *reason, GBytes *first, GBytes *second, GBytes *third)
{
    g_autofree gchar *path = anchor_path();
    g_autoptr(GError) error = NULL;

    write_pem(path, first, second, third, NULL);
    g_autoptr(AppraisalAnchors) loaded = appraisal_anchors_load(path, &error);
    g_unlink(path);
    if (!reason) {
        g_assert_no_error(error);
        return;
    }
    g_assert_null(loaded);
    assert_message(error, ATTEST_ERROR_UNREADABLE, reason, reason);
}

static void test_anchor_files(void)
{
    g_autoptr(GBytes) ark = fixture_certificate(&milan->ark_certificate);
    g_autoptr(GBytes) ask = fixture_certificate(&milan->ask_certificate);
    g_autoptr(GBytes) asvk = fixture_certificate(&milan->asvk_certificate);
    g_autoptr(GBytes) vcek = fixture_certificate(&milan->vcek);
    g_autoptr(GBytes) foreign = fixture_certificate(&other->ask_certificate);
    g_autoptr(GBytes) second = fixture_certificate(&other->ark_certificate);
    g_autoptr(EVP_PKEY) small = fixture_rsa(2048);
    FixtureCertificate wanted = milan->ask_certificate;
    g_autofree gchar *missing = g_build_filename(folder, "nosuch", NULL);
    g_autoptr(GError) error = NULL;

    assert_bad_anchors(NULL, ark, ask, NULL);
    assert_bad_anchors(NULL, asvk, ark, NULL);
    assert_bad_anchors("neither an ASK nor an ASVK", ark, NULL, NULL);
    assert_bad_anchors("there is no ARK for Milan", ask, asvk, NULL);
    assert_bad_anchors("two certificates of ARK-Milan", ark, ask, second);
    assert_bad_anchors("it may hold ARK, ASK and ASVK only", ark, ask, vcek);
    assert_bad_anchors("certificate 2 is not signed by its ARK-Milan", ark, foreign, NULL);
    wanted.authority = FALSE;
    g_autoptr(GBytes) leaf = fixture_certificate(&wanted);
    assert_bad_anchors("SEV-Milan is no authority", ark, leaf, NULL);
    wanted = milan->ask_certificate;
    wanted.key = small;
    g_autoptr(GBytes) weak = fixture_certificate(&wanted);
    assert_bad_anchors("SEV-Milan is no authority", ark, weak, NULL);
    wanted = milan->ask_certificate;
    wanted.signature = FIXTURE_PKCS1;
    g_autoptr(GBytes) old = fixture_certificate(&wanted);
    assert_bad_anchors("SEV-Milan is no authority", ark, old, NULL);
    g_assert_null(appraisal_anchors_load(missing, &error));
    assert_message(error, ATTEST_ERROR_UNREADABLE, "No such file", "missing");
    g_clear_error(&error);
    g_assert_null(appraisal_anchors_load(folder, &error));
    assert_message(error, ATTEST_ERROR_UNREADABLE, "not a regular file", "a folder");
}

static void assert_signature(guint8 *raw, const AppraisalEndorsement *endorsement, const char *reason)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalReport) report = appraisal_report_parse(raw, APPRAISAL_REPORT_SIZE, &error);

    g_assert_no_error(error);
    gboolean good = appraisal_signature_verify(report, endorsement, &error);
    if (!reason) {
        g_assert_no_error(error);
        g_assert_true(good);
        return;
    }
    g_assert_false(good);
    assert_message(error, ATTEST_ERROR_REJECTED, reason, reason);
}

/* Every version, both kinds of key; and numbers that start with zeros, which one in 256 does. */
static void test_signature(void)
{
    g_autoptr(AppraisalEndorsement) vcek = make(&milan->vcek);
    g_autoptr(AppraisalEndorsement) vlek = make(&milan->vlek);
    guint8 raw[APPRAISAL_REPORT_SIZE];
    guint short_r = 0, short_s = 0;

    for (guint32 version = 2; version <= 5; version++) {
        fixture_report(raw, version);
        fixture_sign(raw, milan->chip);
        assert_signature(raw, vcek, NULL);
        assert_signature(raw, vlek, "made with a VCEK, and this is a VLEK");
        raw[0x48] = APPRAISAL_SIGNER_VLEK << 2;
        assert_signature(raw, vlek, "this certificate's key has not made it");
        fixture_sign(raw, milan->chip);
        assert_signature(raw, vlek, NULL);
        fixture_sign(raw, other->chip);
        assert_signature(raw, vlek, "this certificate's key has not made it");
    }
    fixture_report(raw, 3);
    for (guint i = 0; i < 20000 && (!short_r || !short_s); i++) {
        measure_put_u32(raw + 0x50, i);
        fixture_sign(raw, milan->chip);
        if (raw[APPRAISAL_SIGNED_SIZE + 47] && raw[APPRAISAL_SIGNED_SIZE + 72 + 47])
            continue;
        assert_signature(raw, vcek, NULL);
        short_r += raw[APPRAISAL_SIGNED_SIZE + 47] == 0;
        short_s += raw[APPRAISAL_SIGNED_SIZE + 72 + 47] == 0;
    }
    g_assert_cmpuint(short_r, >, 0);
    g_assert_cmpuint(short_s, >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    setup();
    g_test_add_func("/appraisal-chain/good", test_good);
    g_test_add_func("/appraisal-chain/impersonation", test_impersonation);
    g_test_add_func("/appraisal-chain/values", test_values);
    g_test_add_func("/appraisal-chain/duplicates", test_duplicates);
    g_test_add_func("/appraisal-chain/turin-and-vlek", test_turin_and_vlek);
    g_test_add_func("/appraisal-chain/critical", test_critical);
    g_test_add_func("/appraisal-chain/names", test_names);
    g_test_add_func("/appraisal-chain/algorithms", test_algorithms);
    g_test_add_func("/appraisal-chain/keys", test_keys);
    g_test_add_func("/appraisal-chain/encoding", test_encoding);
    g_test_add_func("/appraisal-chain/chain", test_chain);
    g_test_add_func("/appraisal-chain/remembered", test_remembered);
    g_test_add_func("/appraisal-chain/intermediates", test_intermediates);
    g_test_add_func("/appraisal-chain/authorities", test_authorities);
    g_test_add_func("/appraisal-chain/anchor-files", test_anchor_files);
    g_test_add_func("/appraisal-chain/signature", test_signature);
    int result = g_test_run();
    teardown();
    return result;
}
