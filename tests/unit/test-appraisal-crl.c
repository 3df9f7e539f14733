/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Revocation lists: what they revoke, when they are too old to vouch for anything, and which are none of AMD's. */
#include <glib/gstdio.h>

#include "measure/error.h"
#include "policy/appraisal/rules.h"
#include "tests/unit/authority-fixture.h"

#define DAY 86400

typedef struct {
    const char *issuer;
    EVP_PKEY *signer;
    FixtureSignature signature;
    gint64 this_update, next_update; /* 0: not said */
    guint64 revoked[3];
    const FixtureExtension *extension; /* (nullable) */
} List;

static Fixture *milan, *turin;
static AppraisalAnchors *anchors;
static AppraisalEndorsement *vcek, *vlek;

static List usual(void)
{
    return (List){
        .issuer = "ARK-Milan",
        .signer = milan->ark,
        .this_update = FIXTURE_TIME - DAY,
        .next_update = FIXTURE_TIME + DAY,
    };
}

static GBytes *make_der(const List *wanted)
{
    g_autoptr(X509_CRL) list = X509_CRL_new();
    g_autoptr(X509_NAME) name = X509_NAME_new();
    ASN1_TIME *time = ASN1_TIME_new();
    EVP_MD_CTX *context = fixture_signer(wanted->signer, wanted->signature);
    guint8 *der = NULL;

    X509_CRL_set_version(list, X509_CRL_VERSION_2);
    fixture_name(name, FIXTURE_ORGANIZATION, wanted->issuer);
    X509_CRL_set_issuer_name(list, name);
    ASN1_TIME_set(time, (time_t)wanted->this_update);
    X509_CRL_set1_lastUpdate(list, time);
    if (wanted->next_update) {
        ASN1_TIME_set(time, (time_t)wanted->next_update);
        X509_CRL_set1_nextUpdate(list, time);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(wanted->revoked) && wanted->revoked[i]; i++) {
        X509_REVOKED *entry = X509_REVOKED_new();
        ASN1_INTEGER *serial = ASN1_INTEGER_new();

        ASN1_INTEGER_set_uint64(serial, wanted->revoked[i]);
        X509_REVOKED_set_serialNumber(entry, serial);
        ASN1_TIME_set(time, (time_t)wanted->this_update);
        X509_REVOKED_set_revocationDate(entry, time);
        X509_CRL_add0_revoked(list, entry);
        ASN1_INTEGER_free(serial);
    }
    if (wanted->extension) {
        X509_EXTENSION *extension = fixture_extension(wanted->extension);
        X509_CRL_add_ext(list, extension, -1);
        X509_EXTENSION_free(extension);
    }
    g_assert_cmpint(X509_CRL_sign_ctx(list, context), >, 0);
    EVP_MD_CTX_free(context);
    ASN1_TIME_free(time);
    int size = i2d_X509_CRL(list, &der);
    g_assert_cmpint(size, >, 0);
    GBytes *bytes = g_bytes_new(der, (gsize)size);
    OPENSSL_free(der);
    return bytes;
}

static AppraisalCrl *make(const List *wanted)
{
    g_autoptr(GBytes) der = make_der(wanted);
    g_autoptr(GError) error = NULL;
    AppraisalCrl *crl = appraisal_crl_parse(g_bytes_get_data(der, NULL), g_bytes_get_size(der), &error);

    g_assert_no_error(error);
    return crl;
}

static void setup(void)
{
    g_autofree gchar *folder = g_dir_make_tmp("virt-attest-XXXXXX", NULL);
    g_autofree gchar *path = g_build_filename(folder, "anchors.pem", NULL);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    milan = fixture_new(APPRAISAL_LINE_MILAN, fixture_rsa(3072), fixture_rsa(3072), NULL);
    milan->asvk = fixture_share(milan->ask);
    milan->asvk_certificate.key = milan->vlek.signer = milan->ask;
    turin = fixture_new(APPRAISAL_LINE_TURIN, fixture_share(milan->ark), fixture_share(milan->ask),
                        fixture_share(milan->ask));
    const FixtureCertificate *all[] = {&milan->ark_certificate, &milan->ask_certificate, &milan->asvk_certificate,
                                       &turin->ark_certificate, &turin->ask_certificate};
    for (gsize i = 0; i < G_N_ELEMENTS(all); i++) {
        g_autoptr(GBytes) der = fixture_certificate(all[i]);
        g_autofree gchar *pem = fixture_pem(der, "CERTIFICATE");
        g_string_append(text, pem);
    }
    g_assert_true(g_file_set_contents(path, text->str, -1, NULL));
    anchors = appraisal_anchors_load(path, &error);
    g_assert_no_error(error);
    g_unlink(path);
    g_rmdir(folder);
    g_autoptr(GBytes) chip = fixture_certificate(&milan->vcek);
    g_autoptr(GBytes) loaded = fixture_certificate(&milan->vlek);
    vcek = appraisal_endorsement_parse(g_bytes_get_data(chip, NULL), g_bytes_get_size(chip), &error);
    g_assert_no_error(error);
    vlek = appraisal_endorsement_parse(g_bytes_get_data(loaded, NULL), g_bytes_get_size(loaded), &error);
    g_assert_no_error(error);
}

static void assert_state(const AppraisalCrl *crl, const AppraisalEndorsement *endorsement, gint64 at,
                         AppraisalCrlState expected, const char *reason)
{
    g_autofree gchar *detail = NULL;
    AppraisalCrlState state = appraisal_crl_check(crl, endorsement, anchors, at, &detail);

    g_assert_nonnull(detail);
    if (state != expected || !strstr(detail, reason))
        g_error("state %d '%s' instead of %d '%s'", state, detail, expected, reason);
}

static void test_times(void)
{
    List wanted = usual();
    g_autoptr(AppraisalCrl) crl = make(&wanted);

    g_assert_cmpint(appraisal_crl_line(crl), ==, APPRAISAL_LINE_MILAN);
    g_assert_cmpint(appraisal_crl_this_update(crl), ==, wanted.this_update);
    g_assert_cmpint(appraisal_crl_next_update(crl), ==, wanted.next_update);
    assert_state(crl, vcek, FIXTURE_TIME, APPRAISAL_CRL_GOOD, "SEV-Milan is not on the revocation list");
    assert_state(crl, vlek, FIXTURE_TIME, APPRAISAL_CRL_GOOD, "SEV-VLEK-Milan is not on the revocation list");
    assert_state(crl, vcek, wanted.this_update, APPRAISAL_CRL_GOOD, "not on");
    assert_state(crl, vcek, wanted.this_update - 1, APPRAISAL_CRL_STALE, "holds from 2025-12-31T00:00:00Z until");
    assert_state(crl, vcek, wanted.next_update - 1, APPRAISAL_CRL_GOOD, "not on");
    assert_state(crl, vcek, wanted.next_update, APPRAISAL_CRL_STALE, "until 2026-01-02T00:00:00Z only");
    assert_state(crl, vcek, APPRAISAL_ANY_TIME, APPRAISAL_CRL_GOOD, "not on");
    assert_state(NULL, vcek, FIXTURE_TIME, APPRAISAL_CRL_ABSENT, "there is no revocation list of Milan");
    assert_state(crl, NULL, FIXTURE_TIME, APPRAISAL_CRL_GOOD, "that of Milan");
    assert_state(crl, NULL, wanted.next_update, APPRAISAL_CRL_STALE, "only");
}

static void test_revoked(void)
{
    List wanted = usual();

    wanted.revoked[0] = 7;
    wanted.revoked[1] = 101; /* ASK */
    g_autoptr(AppraisalCrl) ask = make(&wanted);
    assert_state(ask, vcek, FIXTURE_TIME, APPRAISAL_CRL_REVOKED, "SEV-Milan has been revoked");
    assert_state(ask, vlek, FIXTURE_TIME, APPRAISAL_CRL_GOOD, "not on");
    /* Too old to say that something is good, not to say that it is bad. */
    assert_state(ask, vcek, FIXTURE_TIME + 30 * DAY, APPRAISAL_CRL_REVOKED, "SEV-Milan has been revoked");
    wanted.revoked[1] = 102; /* ASVK */
    g_autoptr(AppraisalCrl) asvk = make(&wanted);
    assert_state(asvk, vlek, FIXTURE_TIME, APPRAISAL_CRL_REVOKED, "SEV-VLEK-Milan has been revoked");
    assert_state(asvk, vcek, FIXTURE_TIME, APPRAISAL_CRL_GOOD, "not on");
    wanted.revoked[1] = 100; /* ARK */
    g_autoptr(AppraisalCrl) ark = make(&wanted);
    assert_state(ark, vcek, FIXTURE_TIME, APPRAISAL_CRL_REVOKED, "the ARK has been revoked");
}

static void test_foreign(void)
{
    List wanted = usual();

    wanted.signer = milan->ask;
    g_autoptr(AppraisalCrl) forged = make(&wanted);
    assert_state(forged, vcek, FIXTURE_TIME, APPRAISAL_CRL_BAD, "not signed by ARK-Milan");
    assert_state(forged, NULL, FIXTURE_TIME, APPRAISAL_CRL_BAD, "not signed by ARK-Milan");
    wanted.revoked[0] = 101;
    g_autoptr(AppraisalCrl) revoking = make(&wanted);
    assert_state(revoking, vcek, FIXTURE_TIME, APPRAISAL_CRL_BAD, "not signed by ARK-Milan");
    wanted = usual();
    wanted.issuer = "ARK-Turin";
    g_autoptr(AppraisalCrl) other = make(&wanted);
    assert_state(other, vcek, FIXTURE_TIME, APPRAISAL_CRL_BAD, "not that of Milan");
    wanted.issuer = "ARK-Genoa";
    g_autoptr(AppraisalCrl) unknown = make(&wanted);
    assert_state(unknown, NULL, FIXTURE_TIME, APPRAISAL_CRL_BAD, "another ARK-Genoa than the trust anchors");
    /* AMD's own keys have not signed it. */
    g_autoptr(AppraisalAnchors) builtin = appraisal_anchors_builtin();
    wanted = usual();
    g_autoptr(AppraisalCrl) mine = make(&wanted);
    g_autofree gchar *detail = NULL;
    g_assert_cmpint(appraisal_crl_check(mine, vcek, builtin, FIXTURE_TIME, &detail), ==, APPRAISAL_CRL_BAD);
}

static void assert_refused(gconstpointer data, gsize size, const char *reason)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalCrl) crl = appraisal_crl_parse(data, size, &error);

    g_assert_null(crl);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (!strstr(error->message, reason))
        g_error("'%s' instead of '%s'", error->message, reason);
}

static void assert_list_refused(const List *wanted, const char *reason)
{
    g_autoptr(GBytes) der = make_der(wanted);

    assert_refused(g_bytes_get_data(der, NULL), g_bytes_get_size(der), reason);
}

static void test_refused(void)
{
    static const FixtureSignature forms[] = {FIXTURE_PKCS1, FIXTURE_PSS_SHA256, FIXTURE_PSS_SALT_32,
                                             FIXTURE_PSS_MGF1_SHA256};
    static const FixtureExtension part = {"=2.5.29.27", "020101", TRUE};               /* delta CRL indicator */
    static const FixtureExtension quiet_part = {"=2.5.29.27", "020101", FALSE};
    static const FixtureExtension unknown = {"=1.2.3.4", "0500", TRUE};
    static const FixtureExtension harmless = {"=2.5.29.20", "020101", FALSE};          /* CRL number */
    static const FixtureExtension indirect = {"=2.5.29.28", "30038401ff", TRUE};       /* indirectCRL */
    static const FixtureExtension some_reasons = {"=2.5.29.28", "300483020640", TRUE}; /* onlySomeReasons */
    static const FixtureExtension users = {"=2.5.29.28", "30038101ff", TRUE};          /* onlyContainsUserCerts */
    static const FixtureExtension place = {"=2.5.29.28", "300aa008a006860461626364", TRUE}; /* a name of the place */
    static const FixtureExtension broken = {"=2.5.29.28", "3003", TRUE};
    const FixtureExtension *bad[] = {&part, &quiet_part, &unknown, &indirect, &some_reasons, &users, &broken};
    List wanted = usual();

    for (gsize i = 0; i < G_N_ELEMENTS(forms); i++) {
        wanted.signature = forms[i];
        assert_list_refused(&wanted, "not signed with RSASSA-PSS");
    }
    wanted = usual();
    wanted.issuer = "SEV-Milan";
    assert_list_refused(&wanted, "none of AMD's ARKs");
    wanted = usual();
    wanted.next_update = 0;
    assert_list_refused(&wanted, "from when until when");
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        wanted = usual();
        wanted.extension = bad[i];
        assert_list_refused(&wanted, "only a part of a list, or has a critical extension");
    }
    wanted.extension = &harmless;
    appraisal_crl_free(make(&wanted));
    wanted.extension = &place;
    appraisal_crl_free(make(&wanted));
}

static void test_encoding(void)
{
    List wanted = usual();
    g_autoptr(GBytes) der = make_der(&wanted);
    g_autofree gchar *pem = fixture_pem(der, "X509 CRL");
    g_autofree gchar *other = fixture_pem(der, "CERTIFICATE");
    gsize size = 0;
    const guint8 *data = g_bytes_get_data(der, &size);
    g_autofree guint8 *copy = g_malloc(size + 1);
    g_autofree guint8 *large = g_malloc0(APPRAISAL_CRL_MAX_SIZE + 1);
    g_autoptr(GError) error = NULL;
    g_autoptr(AppraisalCrl) crl = appraisal_crl_parse(pem, strlen(pem), &error);

    g_assert_no_error(error);
    assert_state(crl, vcek, FIXTURE_TIME, APPRAISAL_CRL_GOOD, "not on");
    assert_refused(other, strlen(other), "this PEM has something else");
    assert_refused(pem, strlen(pem) - 30, "this PEM is damaged");
    g_autofree gchar *two = g_strconcat(pem, pem, NULL);
    g_autofree gchar *with_text = g_strconcat("# a list\n", pem, "# and no other\n", NULL);
    g_autofree gchar *cut = g_strndup(two, strlen(two) - 30);
    assert_refused(two, strlen(two), "more than one list");
    assert_refused(cut, strlen(cut), "more than one list");
    appraisal_crl_free(appraisal_crl_parse(with_text, strlen(with_text), &error));
    g_assert_no_error(error);
    assert_refused(large, APPRAISAL_CRL_MAX_SIZE + 1, "larger than 256 KiB");
    assert_refused("", 0, "it is empty");
    memcpy(copy, data, size);
    copy[size] = 0;
    assert_refused(copy, size + 1, "not encoded in DER");
    for (gsize i = 0; i < size; i++) {
        g_autoptr(AppraisalCrl) changed = NULL;
        g_autofree gchar *detail = NULL;

        copy[i] ^= 0xff;
        changed = appraisal_crl_parse(copy, size, NULL);
        if (changed && appraisal_crl_check(changed, vcek, anchors, FIXTURE_TIME, &detail) == APPRAISAL_CRL_GOOD)
            g_error("a list is good with byte %" G_GSIZE_FORMAT " changed", i);
        copy[i] ^= 0xff;
        g_assert_null(appraisal_crl_parse(copy, i, NULL));
    }
}

/* A host sends more lists along than are looked at: none of them hides the one that the verifier has. */
static void test_flood(void)
{
    List wanted = usual();
    g_autoptr(GBytes) good = make_der(&wanted);
    wanted.revoked[0] = milan->ask_certificate.serial;
    g_autoptr(GBytes) revoking = make_der(&wanted);
    g_autoptr(AppraisalRules) rules = appraisal_rules_new();
    g_autoptr(GPtrArray) certificates = appraisal_blobs_new();
    guint8 raw[APPRAISAL_REPORT_SIZE];
    g_autoptr(GError) error = NULL;

    fixture_report(raw, 3);
    fixture_sign(raw, milan->chip);
    g_autoptr(AppraisalEvidence) evidence = appraisal_evidence_parse(raw, sizeof(raw), NULL, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < 100; i++)
        appraisal_blobs_add(evidence->certificates, "crl", good);
    AppraisalCase input = {.evidence = evidence, .endorsement = vcek, .certificates = certificates,
                           .anchors = anchors, .rules = rules, .at = FIXTURE_TIME, .nonce_issued = -1};
    g_autoptr(AppraisalVerdict) before = appraisal_verdict_new(&input);
    g_assert_cmpint(appraisal_verdict_find(before, "revocation")->outcome, ==, APPRAISAL_PASS);
    appraisal_blobs_add(certificates, "crl", revoking);
    g_autoptr(AppraisalVerdict) after = appraisal_verdict_new(&input);
    const AppraisalCheck *check = appraisal_verdict_find(after, "revocation");
    g_assert_cmpint(check->outcome, ==, APPRAISAL_FAIL);
    g_assert_cmpstr(check->text, ==, "SEV-Milan has been revoked");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    setup();
    g_test_add_func("/appraisal-crl/times", test_times);
    g_test_add_func("/appraisal-crl/revoked", test_revoked);
    g_test_add_func("/appraisal-crl/foreign", test_foreign);
    g_test_add_func("/appraisal-crl/refused", test_refused);
    g_test_add_func("/appraisal-crl/encoding", test_encoding);
    g_test_add_func("/appraisal-crl/flood", test_flood);
    int result = g_test_run();
    appraisal_endorsement_free(vcek);
    appraisal_endorsement_free(vlek);
    appraisal_anchors_free(anchors);
    fixture_free(milan);
    fixture_free(turin);
    return result;
}
