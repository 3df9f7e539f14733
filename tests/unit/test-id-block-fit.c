/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether an ID block goes with its domain: the finding of a level, which never changes the level itself. */
#include <openssl/ec.h>

#include "policy/id-block.h"
#include "tests/unit/confidential-fixture.h"

typedef struct {
    Fixture *fixture;
    PolicyKey *id_key;
    PolicyIdIssuer *issuer;
    PolicyIdBlock block; /* fits the domain of test_fits() */
} Case;

static PolicyKey *new_key(void)
{
    g_autoptr(GError) error = NULL;
    PolicyKey *key = policy_key_from_evp(EVP_EC_gen("P-384"), POLICY_KEY_P384, "key", &error);

    g_assert_no_error(error);
    return key;
}

static void set_up(Case *each, gconstpointer data)
{
    g_autoptr(PolicyKey) author_key = new_key();
    g_autoptr(GError) error = NULL;

    each->fixture = fixture_new();
    each->id_key = new_key();
    each->issuer = policy_id_issuer_new(each->id_key, author_key, &error);
    g_assert_no_error(error);
    g_autoptr(XmlDomain) domain = fixture_domain(each->fixture, NULL, FIXTURE_MILAN FIXTURE_SNP);
    g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(each->fixture, domain, POLICY_REFERENCE_EXISTS);
    const XmlMeasurement *measurement = g_ptr_array_index(evaluation->measurements, 0);
    each->block = (PolicyIdBlock){.version = 1, .policy = 0x30000};
    memcpy(each->block.digest, measurement->digest.bytes, 48);
}

static void tear_down(Case *each, gconstpointer data)
{
    policy_id_issuer_free(each->issuer);
    policy_key_free(each->id_key);
    fixture_free(each->fixture);
}

/* The domain with such an ID block; @policy: what its XML says, @damage: this byte of the page is another one, or -1. */
static XmlDomain *domain_with(const Case *each, const PolicyIdBlock *block, const char *policy, int damage,
                              gboolean author_key)
{
    guint8 bytes[POLICY_ID_BLOCK_SIZE], page[POLICY_ID_AUTH_SIZE];
    g_autoptr(GError) error = NULL;

    policy_id_block_format(block, bytes);
    g_assert_true(policy_id_issuer_sign(each->issuer, bytes, page, &error));
    g_assert_no_error(error);
    if (damage >= 0)
        page[damage] ^= 1;
    g_autofree gchar *block_text = g_base64_encode(bytes, sizeof(bytes));
    g_autofree gchar *page_text = g_base64_encode(page, sizeof(page));
    g_autofree gchar *rest = g_strdup_printf(
        FIXTURE_MILAN "<launchSecurity type='sev-snp' kernelHashes='yes' authorKey='%s'><policy>%s</policy>"
                      "<idBlock>%s</idBlock><idAuth>%s</idAuth></launchSecurity>",
        author_key ? "yes" : "no", policy, block_text, page_text);
    return fixture_domain(each->fixture, NULL, rest);
}

static void expect(const Case *each, const XmlDomain *domain, guint level, PolicyOutcome outcome, const char *says)
{
    g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(each->fixture, domain, POLICY_REFERENCE_EXISTS);
    guint found = 0;

    g_assert_cmpuint(evaluation->level, ==, level);
    for (guint i = 0; i < evaluation->findings->len; i++) {
        const PolicyFinding *finding = g_ptr_array_index(evaluation->findings, i);

        if (strcmp(finding->rule, "id-block"))
            continue;
        found++;
        g_assert_cmpint(finding->outcome, ==, outcome);
        if (!strstr(finding->text, says))
            g_error("'%s' is not in '%s'", says, finding->text);
    }
    g_assert_cmpuint(found, ==, 1);
}

static void test_fits(Case *each, gconstpointer data)
{
    g_autoptr(XmlDomain) domain = domain_with(each, &each->block, "0x30000", -1, TRUE);
    g_autoptr(XmlDomain) without = domain_with(each, &each->block, "0x30000", -1, FALSE);

    expect(each, domain, 3, POLICY_PASS, "the processor itself refuses");
    expect(each, without, 3, POLICY_PASS, "the processor itself refuses");
}

static void test_digest(Case *each, gconstpointer data)
{
    PolicyIdBlock block = each->block;

    block.digest[0] ^= 1;
    g_autoptr(XmlDomain) domain = domain_with(each, &block, "0x30000", -1, TRUE);
    expect(each, domain, 3, POLICY_NOTE, "it is for launch digest ");
    expect(each, domain, 3, POLICY_NOTE, "virt-attest define --id-key");
    /* What is measured changes, the block stays. */
    fixture_put_text(each->fixture->kernel, "another kernel");
    g_autoptr(XmlDomain) stale = domain_with(each, &each->block, "0x30000", -1, TRUE);
    expect(each, stale, 3, POLICY_NOTE, "it is for launch digest ");
}

static void test_policy(Case *each, gconstpointer data)
{
    g_autoptr(XmlDomain) domain = domain_with(each, &each->block, "0x20000", -1, TRUE);

    expect(each, domain, 3, POLICY_NOTE, "it is for guest policy 0x30000 (smt), and the domain has 0x20000");
}

static void test_signature(Case *each, gconstpointer data)
{
    g_autoptr(XmlDomain) domain = domain_with(each, &each->block, "0x30000", 0x40, TRUE);
    g_autoptr(XmlDomain) reserved = domain_with(each, &each->block, "0x30000", 0xfff, TRUE);

    expect(each, domain, 3, POLICY_NOTE, "the signature of the ID block was not made by the ID key");
    expect(each, reserved, 3, POLICY_NOTE, "reserved byte 0xfff");
}

static void test_halves(Case *each, gconstpointer data)
{
    guint8 bytes[POLICY_ID_BLOCK_SIZE];

    policy_id_block_format(&each->block, bytes);
    g_autofree gchar *text = g_base64_encode(bytes, sizeof(bytes));
    g_autofree gchar *rest = g_strdup_printf(FIXTURE_MILAN "<launchSecurity type='sev-snp' kernelHashes='yes'>"
                                                           "<policy>0x30000</policy><idBlock>%s</idBlock>"
                                                           "</launchSecurity>",
                                             text);
    g_autoptr(XmlDomain) domain = fixture_domain(each->fixture, NULL, rest);
    expect(each, domain, 3, POLICY_NOTE, "<idAuth> is missing beside <idBlock>");
}

/* A domain that cannot be measured: keys and policy are judged all the same. */
static void test_unmeasured(Case *each, gconstpointer data)
{
    g_assert_cmpint(g_remove(each->fixture->kernel), ==, 0);
    g_autoptr(XmlDomain) domain = domain_with(each, &each->block, "0x30000", -1, TRUE);
    g_autoptr(XmlDomain) damaged = domain_with(each, &each->block, "0x30000", 0x240 + 4, TRUE);

    expect(each, domain, 1, POLICY_PASS, "cannot be told");
    expect(each, damaged, 1, POLICY_NOTE, "the ID key is not a point");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/id-block-fit/fits", Case, NULL, set_up, test_fits, tear_down);
    g_test_add("/id-block-fit/digest", Case, NULL, set_up, test_digest, tear_down);
    g_test_add("/id-block-fit/policy", Case, NULL, set_up, test_policy, tear_down);
    g_test_add("/id-block-fit/signature", Case, NULL, set_up, test_signature, tear_down);
    g_test_add("/id-block-fit/halves", Case, NULL, set_up, test_halves, tear_down);
    g_test_add("/id-block-fit/unmeasured", Case, NULL, set_up, test_unmeasured, tear_down);
    return g_test_run();
}
