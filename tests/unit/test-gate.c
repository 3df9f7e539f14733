/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The decision about a start: what is refused, what is let through, and what the administrator is told. */
#include "tests/unit/confidential-fixture.h"

static PolicyDecision *decide(Fixture *fixture, const char *xml)
{
    PolicyDecision *decision = policy_gate_decide(xml, strlen(xml), fixture->config, NULL, fixture->store, NULL);

    g_assert_nonnull(decision->summary);
    for (const char *at = decision->summary; *at; at++)
        g_assert_false(g_ascii_iscntrl(*at));
    return decision;
}

static void expect_xml(Fixture *fixture, const char *xml, PolicyVerdict verdict, const char *says)
{
    g_autoptr(PolicyDecision) decision = decide(fixture, xml);

    if (decision->verdict != verdict || !strstr(decision->summary, says))
        g_error("verdict %s, wanted %s; summary '%s', wanted '%s'", policy_verdict_name(decision->verdict),
                policy_verdict_name(verdict), decision->summary, says);
}

static void expect(Fixture *fixture, const char *os, const char *rest, PolicyVerdict verdict, const char *says)
{
    g_autofree gchar *xml = fixture_xml(fixture, os, rest);

    expect_xml(fixture, xml, verdict, says);
}

/* Pins what the fixture's domain with @rest measures now. */
static PolicyReference *pin(Fixture *fixture, const char *rest, XmlOnMismatch on_mismatch)
{
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, NULL, rest);
    g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);
    g_autoptr(GError) error = NULL;
    PolicyReference *reference = policy_reference_new(domain, evaluation, on_mismatch, &error);

    g_assert_no_error(error);
    g_assert_true(policy_store_put_reference(fixture->store, reference, &error));
    g_assert_no_error(error);
    return reference;
}

static void pin_only(Fixture *fixture, const char *rest, XmlOnMismatch on_mismatch)
{
    policy_reference_free(pin(fixture, rest, on_mismatch));
}

/* @rest with the metadata element of @reference, edited by replacing a part of it. */
static gchar *with_metadata(const PolicyReference *reference, const char *old_part, const char *new_part,
                            const char *rest)
{
    g_autoptr(XmlAttestation) attestation = policy_reference_to_attestation(reference);
    g_autofree gchar *element = xml_attestation_format(attestation);
    g_auto(GStrv) parts = g_strsplit(element, old_part ? old_part : "\n\n", 2);
    g_autofree gchar *edited = g_strjoinv(new_part ? new_part : "", parts);

    if (old_part && !parts[1])
        g_error("'%s' is not in '%s'", old_part, element);
    return g_strconcat("<metadata>", edited, "</metadata>", rest, NULL);
}

#define REST FIXTURE_MILAN FIXTURE_SNP

static void test_none(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *xml = fixture_xml(fixture, "", "");
    g_autoptr(GError) broken = g_error_new(ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "it is broken");
    g_autoptr(PolicyDecision) decision = NULL;

    expect(fixture, "", "", POLICY_VERDICT_NONE, "no launchSecurity");
    expect(fixture, "", "<launchSecurity type='tdx'><policy>0x1</policy></launchSecurity>", POLICY_VERDICT_NONE, "");
    /* A damaged element of ours in a domain that is none of our business. */
    expect(fixture, "", "<metadata><a:attestation xmlns:a='urn:virt-attest:domain:1' level='9'/></metadata>",
           POLICY_VERDICT_NONE, "");
    decision = policy_gate_decide(xml, strlen(xml), NULL, broken, NULL, broken);
    g_assert_cmpint(decision->verdict, ==, POLICY_VERDICT_NONE);
}

static void test_unusable(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *xml = fixture_xml(fixture, NULL, REST);
    g_autofree gchar *huge = g_malloc(XML_MAX_SIZE + 2);
    g_autoptr(GError) broken = g_error_new(ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "it is broken");
    g_autoptr(PolicyDecision) no_config = policy_gate_decide(xml, strlen(xml), NULL, broken, fixture->store, NULL);
    g_autoptr(PolicyDecision) no_store = policy_gate_decide(xml, strlen(xml), fixture->config, NULL, NULL, broken);
    g_autoptr(PolicyDecision) too_large = NULL;

    g_assert_cmpint(no_config->verdict, ==, POLICY_VERDICT_REFUSED);
    g_assert_nonnull(strstr(no_config->summary, "it is broken"));
    g_assert_cmpint(no_store->verdict, ==, POLICY_VERDICT_REFUSED);
    g_assert_nonnull(strstr(no_store->summary, "it is broken"));

    expect_xml(fixture, "", POLICY_VERDICT_REFUSED, "domain XML");
    expect_xml(fixture, "<domain", POLICY_VERDICT_REFUSED, "domain XML");
    expect_xml(fixture, "<!DOCTYPE x><domain/>", POLICY_VERDICT_REFUSED, "domain XML");
    memset(huge, ' ', XML_MAX_SIZE + 1);
    huge[XML_MAX_SIZE + 1] = '\0';
    too_large = policy_gate_decide(huge, XML_MAX_SIZE + 1, fixture->config, NULL, fixture->store, NULL);
    g_assert_cmpint(too_large->verdict, ==, POLICY_VERDICT_REFUSED);
}

static void test_unpinned(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, NULL, REST);
    g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);
    g_autoptr(PolicyReference) refuse = policy_reference_new(domain, evaluation, XML_ON_MISMATCH_REFUSE, NULL);
    g_autoptr(PolicyReference) observe = policy_reference_new(domain, evaluation, XML_ON_MISMATCH_OBSERVE, NULL);
    g_autofree gchar *asking = with_metadata(refuse, NULL, NULL, REST);
    g_autofree gchar *looking = with_metadata(observe, NULL, NULL, REST);

    expect(fixture, NULL, REST, POLICY_VERDICT_UNPINNED, "virt-attest define --accept guest1");
    expect(fixture, NULL, looking, POLICY_VERDICT_UNPINNED, "observed only");
    expect(fixture, NULL, asking, POLICY_VERDICT_REFUSED,
           "no reference is pinned on this host; to pin it: virt-attest "
           "define "
           "--accept guest1");
    /* Observing does not stop what cannot be measured either. */
    expect(fixture, "<shim>/s</shim>", REST, POLICY_VERDICT_UNPINNED, "cannot be measured");
    fixture_load_config(fixture, "[gate]\nunpinned = refuse");
    expect(fixture, NULL, REST, POLICY_VERDICT_REFUSED, "unpinned = refuse");
    /* A damaged element of a confidential domain. */
    expect(fixture, NULL, "<metadata><a:attestation xmlns:a='urn:virt-attest:domain:1' level='9'/></metadata>" REST,
           POLICY_VERDICT_REFUSED, "metadata cannot be read");
}

static void test_match(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(PolicyReference) reference = pin(fixture, REST, XML_ON_MISMATCH_REFUSE);
    g_autofree gchar *rest = with_metadata(reference, NULL, NULL, REST);
    g_autofree gchar *xml = fixture_xml(fixture, NULL, rest);
    g_autofree gchar *bare = fixture_xml(fixture, NULL, REST);
    g_autoptr(PolicyDecision) decision = decide(fixture, xml);
    g_autoptr(PolicyDecision) remark = decide(fixture, bare);
    g_autofree gchar *digest = measure_digest_hex(&((XmlMeasurement *)reference->measurements->pdata[0])->digest);
    g_autofree gchar *shown = g_strdup_printf("level 3, measurement %.16s", digest);

    g_assert_cmpint(decision->verdict, ==, POLICY_VERDICT_MATCH);
    g_assert_nonnull(strstr(decision->summary, shown));
    g_assert_cmpuint(decision->details->len, ==, 0);
    g_assert_cmpstr(decision->uuid, ==, FIXTURE_UUID);
    g_assert_cmpstr(decision->name, ==, "guest1");
    /* Without the element it is allowed, with a remark. */
    g_assert_cmpint(remark->verdict, ==, POLICY_VERDICT_MATCH);
    g_assert_cmpuint(remark->details->len, ==, 1);
}

static void assert_refused_for(Fixture *fixture, const char *os, const char *rest, const char *what, const char *says)
{
    g_autofree gchar *xml = fixture_xml(fixture, os, rest);
    g_autoptr(PolicyDecision) decision = decide(fixture, xml);
    gboolean found = FALSE;
    const char *remedy;

    g_assert_cmpint(decision->verdict, ==, POLICY_VERDICT_REFUSED);
    for (guint i = 0; i < decision->changes->len; i++)
        found = found || !strcmp(((PolicyChange *)decision->changes->pdata[i])->what, what);
    if (!found)
        g_error("no change '%s' in '%s'", what, decision->summary);
    if (!strstr(decision->summary, says))
        g_error("'%s' is not in '%s'", says, decision->summary);
    /* What cannot be measured cannot be accepted; what is no longer confidential has level 0. */
    remedy = !decision->evaluation->confidential    ? "to accept this: virt-attest define --accept --level 0 guest1"
             : decision->evaluation->unmeasurable ? "put this right first"
                                                  : "to accept this: virt-attest define --accept guest1";
    g_assert_nonnull(strstr(decision->summary, remedy));
    g_assert_cmpuint(decision->details->len, ==, decision->changes->len);
}

static void test_drift_files(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *other = g_build_filename(fixture->folder, "other", NULL);
    g_autofree gchar *moved = g_strdup_printf("<kernel>%s</kernel><initrd>%s</initrd><cmdline>console=ttyS0</cmdline>",
                                              other, fixture->initrd);
    g_autofree gchar *no_initrd =
        g_strdup_printf("<kernel>%s</kernel><cmdline>console=ttyS0</cmdline>", fixture->kernel);
    g_autofree gchar *cmdline = g_strdup_printf("<kernel>%s</kernel><initrd>%s</initrd><cmdline>console=ttyS0 "
                                                "single</cmdline>",
                                                fixture->kernel, fixture->initrd);
    g_autofree gchar *says = g_strdup_printf("initrd '%s' changed: SHA-256 was ", fixture->initrd);

    pin_only(fixture, REST, XML_ON_MISMATCH_REFUSE);
    /* A copy elsewhere is the same kernel: the measurement knows no paths. */
    fixture_put_text(other, "a kernel");
    expect(fixture, moved, REST, POLICY_VERDICT_MATCH, "matches");
    fixture_put_text(other, "another kernel");
    assert_refused_for(fixture, moved, REST, "kernel", "kernel changed: was '");
    assert_refused_for(fixture, no_initrd, REST, "initrd", "was removed");
    assert_refused_for(fixture, cmdline, REST, "cmdline", "was 'console=ttyS0' (SHA-256 ");
    assert_refused_for(fixture, cmdline, REST, "digest", "is 'console=ttyS0 single'");
    fixture_put_text(fixture->initrd, "another initrd");
    assert_refused_for(fixture, NULL, REST, "initrd", says);
    /* SHA-256 of "an initrd" and "another initrd", by sha256sum. */
    assert_refused_for(fixture, NULL, REST, "initrd", "was d52742203e8e42f1…, is 29a8a9ecc52e040e…");
    fixture_put_text(fixture->initrd, "an initrd");
    expect(fixture, NULL, REST, POLICY_VERDICT_MATCH, "matches");

    g_unlink(fixture->kernel);
    assert_refused_for(fixture, NULL, REST, "digest", fixture->kernel);
    fixture_put_text(fixture->kernel, "a kernel");
    fixture_firmware(fixture, FIXTURE_WHOLE);
    expect(fixture, NULL, REST, POLICY_VERDICT_MATCH, "matches");
    /* Another firmware, trusted too, of the same level. */
    {
        g_autofree gchar *data = NULL;
        g_autofree gchar *text = NULL;
        g_autofree gchar *sum = NULL;
        gsize size = 0;

        g_assert_true(g_file_get_contents(fixture->firmware, &data, &size, NULL));
        data[5] ^= 1;
        fixture_put(fixture->firmware, data, size);
        sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)data, size);
        text = g_strdup_printf("[firmware]\ntrusted = %s", sum);
        fixture_load_config(fixture, text);
    }
    assert_refused_for(fixture, NULL, REST, "firmware", "firmware '");
}

static void test_drift_settings(void)
{
    static const struct {
        const char *rest, *what, *says;
    } rows[] = {
        {"<cpu mode='custom'><model>EPYC-Genoa</model></cpu>" FIXTURE_SNP, "cpu",
         "it has EPYC-Milan (signature 0xa00f11), this is "
         "EPYC-Genoa (signature 0xa10f10)"},
        {FIXTURE_MILAN "<launchSecurity type='sev-snp' kernelHashes='yes'><policy>0x20000</policy></launchSecurity>",
         "policy", "guest policy changed: was 0x30000 (smt), is 0x20000"},
        {FIXTURE_MILAN "<launchSecurity type='sev-snp' kernelHashes='yes'><policy>0xb0000</policy></launchSecurity>",
         "level", "guest policy changed"},
        {FIXTURE_MILAN "<launchSecurity type='sev-snp'><policy>0x30000</policy></launchSecurity>", "kernel-hashes",
         "kernel"},
        {FIXTURE_MILAN "<launchSecurity type='sev' kernelHashes='yes'><policy>0x5</policy></launchSecurity>",
         "platform", "platform changed: was sev-snp, is sev-es"},
        {FIXTURE_MILAN "<launchSecurity type='sev-snp' kernelHashes='yes'><policy>0x30000</policy>"
                       "<hostData>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</hostData></launchSecurity>",
         "host-data", "host data changed: was absent, is 0000000000000000…"},
        {"", "platform", "<launchSecurity> was removed"},
        {FIXTURE_MILAN FIXTURE_SNP "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
                                   "<qemu:arg value='-S'/></qemu:commandline>",
         "digest", "<qemu:commandline>"},
    };
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *xml = fixture_xml(fixture, NULL, REST);
    g_auto(GStrv) parts = g_strsplit(xml, "<vcpu>2</vcpu>", 2);
    g_autofree gchar *three = g_strjoinv("<vcpu current='3'>8</vcpu>", parts);
    g_autofree gchar *same = g_strjoinv("<vcpu current='2'>8</vcpu>", parts);

    pin_only(fixture, REST, XML_ON_MISMATCH_REFUSE);
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
        assert_refused_for(fixture, NULL, rows[i].rest, rows[i].what, rows[i].says);
    expect_xml(fixture, three, POLICY_VERDICT_REFUSED, "number of vCPUs at start changed: was 2, is 3");
    expect_xml(fixture, same, POLICY_VERDICT_MATCH, "matches");
    expect(fixture, NULL, "<cpu mode='host-model'/>" FIXTURE_SNP, POLICY_VERDICT_REFUSED, "CPU type is not resolved");
    /* Features come from the configuration: the owner changed what the host does. */
    {
        g_autofree gchar *text =
            g_strdup_printf("[measure]\nguest-features=0x21\n[firmware]\ntrusted = %s", fixture->firmware_sha256);
        fixture_load_config(fixture, text);
    }
    assert_refused_for(fixture, NULL, REST, "features", "SEV features of the vCPUs changed: was 0x1, is 0x21");
    /* The firmware lost its owner's trust: same measurement, lower level. */
    fixture_load_config(fixture, "");
    assert_refused_for(fixture, NULL, REST, "level", "attestation level fell from 3 to 2: firmware '");
}

static void test_drift_identity(void)
{
    g_autofree guchar *id = g_malloc0(96);
    g_autofree guchar *auth = g_malloc0(4096);
    g_autofree gchar *id_text = g_base64_encode(id, 96);
    g_autofree gchar *auth_text = g_base64_encode(auth, 4096);
    g_autofree gchar *rest =
        g_strdup_printf(FIXTURE_MILAN "<launchSecurity type='sev-snp' "
                                      "kernelHashes='yes'><policy>0x30000"
                                      "</policy><idBlock>%s</idBlock><idAuth>%s</idAuth></launchSecurity>",
                        id_text, auth_text);
    g_autoptr(Fixture) fixture = fixture_new();

    pin_only(fixture, rest, XML_ON_MISMATCH_REFUSE);
    expect(fixture, NULL, rest, POLICY_VERDICT_MATCH, "matches");
    assert_refused_for(fixture, NULL, REST, "id-block", "ID block changed: was ");
    assert_refused_for(fixture, NULL, REST, "id-auth", "is absent");
}

#define EMULATOR(path) "<devices><emulator>" path "</emulator></devices>"
#define SNP(attributes, children)                                                                                      \
    FIXTURE_MILAN "<launchSecurity type='sev-snp' kernelHashes='yes'" attributes "><policy>0x30000</policy>" children  \
                  "</launchSecurity>"
#define SESSION(text)                                                                                                  \
    FIXTURE_MILAN "<launchSecurity type='sev' kernelHashes='yes'><policy>0x5</policy>"                                 \
                  "<dhCert>" text "</dhCert><session>" text "</session></launchSecurity>"
#define NO_SESSION                                                                                                     \
    FIXTURE_MILAN "<launchSecurity type='sev' kernelHashes='yes'><policy>0x5</policy></launchSecurity>"

/* What no measurement covers, and what changes all the same who can do what to the guest. */
static void test_drift_unmeasured(void)
{
    static const struct {
        const char *pinned, *found, *what, *says;
    } rows[] = {
        {REST EMULATOR("/usr/bin/qemu"), REST EMULATOR("/tmp/qemu"), "emulator",
         "emulator changed: was '/usr/bin/qemu', is '/tmp/qemu'"},
        {REST EMULATOR("/usr/bin/qemu"), REST, "emulator", "is ''"},
        {SNP("", ""), SNP(" authorKey='yes'", ""), "author-key", "authorKey changed: was no, is yes"},
        {SNP(" vcek='yes'", ""), SNP(" vcek='no'", ""), "vcek", "vcek changed: was yes, is no"},
        {SNP("", "<guestVisibleWorkarounds>AAAAAAAAAAAAAAAAAAAAAA==</guestVisibleWorkarounds>"), SNP("", ""),
         "guest-visible-workarounds", "was 0000000000000000…, is absent"},
        {SESSION("AAAA"), NO_SESSION, "session", "session was removed"},
    };
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *xml = NULL;
    g_auto(GStrv) parts = NULL;
    g_autofree gchar *emulated = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        pin_only(fixture, rows[i].pinned, XML_ON_MISMATCH_REFUSE);
        expect(fixture, NULL, rows[i].pinned, POLICY_VERDICT_MATCH, "matches");
        assert_refused_for(fixture, NULL, rows[i].found, rows[i].what, rows[i].says);
        pin_only(fixture, rows[i].pinned, XML_ON_MISMATCH_OBSERVE);
        expect(fixture, NULL, rows[i].found, POLICY_VERDICT_OBSERVED, rows[i].says);
    }
    /* A reference without an emulator leaves it open; so does one without a session. */
    pin_only(fixture, REST, XML_ON_MISMATCH_REFUSE);
    expect(fixture, NULL, REST EMULATOR("/tmp/qemu"), POLICY_VERDICT_MATCH, "matches");
    pin_only(fixture, SESSION("AAAA"), XML_ON_MISMATCH_REFUSE);
    expect(fixture, NULL, SESSION("BBBB"), POLICY_VERDICT_MATCH, "matches");
    pin_only(fixture, NO_SESSION, XML_ON_MISMATCH_REFUSE);
    expect(fixture, NULL, SESSION("BBBB"), POLICY_VERDICT_MATCH, "matches");

    pin_only(fixture, REST, XML_ON_MISMATCH_REFUSE);
    xml = fixture_xml(fixture, NULL, REST);
    parts = g_strsplit(xml, "type='kvm'", 2);
    emulated = g_strjoinv("type='qemu'", parts);
    expect_xml(fixture, emulated, POLICY_VERDICT_REFUSED, "type of the domain changed: was 'kvm', is 'qemu'");
}

/* A measurement that differs although every input agrees: a pin that was edited by hand. */
static void test_forged_digest(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(PolicyReference) reference = pin(fixture, REST, XML_ON_MISMATCH_REFUSE);

    ((XmlMeasurement *)reference->measurements->pdata[0])->digest.bytes[47] ^= 1;
    g_assert_true(policy_store_put_reference(fixture->store, reference, NULL));
    assert_refused_for(fixture, NULL, REST, "digest", "although no input did");
}

static void test_observe(void)
{
    g_autoptr(Fixture) fixture = fixture_new();

    pin_only(fixture, REST, XML_ON_MISMATCH_OBSERVE);
    expect(fixture, NULL, REST, POLICY_VERDICT_MATCH, "matches");
    fixture_put_text(fixture->initrd, "another initrd");
    expect(fixture, NULL, REST, POLICY_VERDICT_OBSERVED, "differs from its reference; initrd");
    expect(fixture, "", "", POLICY_VERDICT_OBSERVED, "<launchSecurity> was removed");
    g_unlink(fixture->initrd);
    expect(fixture, NULL, REST, POLICY_VERDICT_OBSERVED, "cannot be computed");
}

static void test_metadata(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(PolicyReference) reference = pin(fixture, REST, XML_ON_MISMATCH_REFUSE);
    static const struct {
        const char *old_part, *new_part, *says;
    } rows[] = {
        {"level=\"3\"", "level=\"2\"", "another level"},
        {"onMismatch=\"refuse\"", "onMismatch=\"observe\"", "another onMismatch"},
        {"signature=\"0xa00f11\"", "signature=\"0xa00f12\"", "another measurement"},
        {"vcpus=\"2\"", "vcpus=\"1\"", "another measurement"},
        {"size=\"9\"", "size=\"10\"", "another input"},
        {"role=\"initrd\"", "role=\"kernel2\"", ""},
        {"\n</",
         "<verity xmlns='" XML_ATTESTATION_URI "' "
         "rootHash='e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'/>"
         "\n</",
         "dm-verity"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree gchar *rest = with_metadata(reference, rows[i].old_part, rows[i].new_part, REST);

        expect(fixture, NULL, rest, POLICY_VERDICT_REFUSED, rows[i].says);
    }
}

static void test_corrupt_pin(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *path = g_build_filename(fixture->state, "references", FIXTURE_UUID ".json", NULL);
    g_autofree gchar *way_out = g_strdup_printf(
        "; restore it from a backup, or remove '%s' and run 'virt-attest define " FIXTURE_UUID "' again", path);

    pin_only(fixture, REST, XML_ON_MISMATCH_REFUSE);
    fixture_put_text(path, "{}");
    expect(fixture, NULL, REST, POLICY_VERDICT_REFUSED, "its reference cannot be used");
    expect(fixture, NULL, REST, POLICY_VERDICT_REFUSED, way_out);
    /* Its level is unknown now, so removing launchSecurity must not get around it. */
    expect(fixture, "", "", POLICY_VERDICT_REFUSED, "its reference cannot be used");
    g_unlink(path);
    expect(fixture, NULL, REST, POLICY_VERDICT_UNPINNED, "no pinned reference");
}

/* The verdict when configuration, store or neither can be used. */
static void expect_broken(Fixture *fixture, const char *rest, gboolean config, gboolean store, PolicyVerdict verdict,
                          const char *says)
{
    g_autofree gchar *xml = fixture_xml(fixture, "", rest);
    g_autoptr(GError) broken = g_error_new(ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "it is broken");
    g_autoptr(PolicyDecision) decision =
        policy_gate_decide(xml, strlen(xml), config ? fixture->config : NULL, config ? NULL : broken,
                           store ? fixture->store : NULL, store ? NULL : broken);

    if (decision->verdict != verdict || !strstr(decision->summary, says))
        g_error("verdict %s, wanted %s; summary '%s', wanted '%s'", policy_verdict_name(decision->verdict),
                policy_verdict_name(verdict), decision->summary, says);
}

#define DAMAGED "<metadata><a:attestation xmlns:a='urn:virt-attest:domain:1' level='9'/></metadata>"

/* launchSecurity is gone; what is left must still stop the start. */
static void test_lost(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(PolicyReference) reference = pin(fixture, REST, XML_ON_MISMATCH_REFUSE);
    g_autofree gchar *asking = with_metadata(reference, NULL, NULL, "");
    g_autofree gchar *looking = with_metadata(reference, "onMismatch=\"refuse\"", "onMismatch=\"observe\"", "");
    g_autofree gchar *references = g_build_filename(fixture->state, "references", NULL);

    /* The pin is found without a configuration too. */
    expect_broken(fixture, "", TRUE, TRUE, POLICY_VERDICT_REFUSED, "<launchSecurity> was removed");
    expect_broken(fixture, "", FALSE, TRUE, POLICY_VERDICT_REFUSED, "it is broken");
    expect_broken(fixture, asking, FALSE, TRUE, POLICY_VERDICT_REFUSED, "it is broken");

    g_assert_true(policy_store_remove_reference(fixture->store, FIXTURE_UUID, NULL));
    for (guint usable = 0; usable < 3; usable++) {
        gboolean config = usable & 1, store = usable & 2;

        expect_broken(fixture, "", config, store, POLICY_VERDICT_NONE, "no launchSecurity");
        expect_broken(fixture, asking, config, store, POLICY_VERDICT_REFUSED, "nobody can tell");
        expect_broken(fixture, looking, config, store, POLICY_VERDICT_REFUSED, "it is broken");
        expect_broken(fixture, DAMAGED, config, store, POLICY_VERDICT_REFUSED, "it is broken");
    }
    /* Pin and launchSecurity are both gone, and everything works. */
    expect(fixture, "", "", POLICY_VERDICT_NONE, "no launchSecurity");
    expect(fixture, "", looking, POLICY_VERDICT_NONE, "no launchSecurity");
    expect(fixture, "", DAMAGED, POLICY_VERDICT_NONE, "no launchSecurity");
    expect(fixture, "", asking, POLICY_VERDICT_REFUSED, "run: virt-attest define --accept guest1; to start it");
    expect(fixture, "", asking, POLICY_VERDICT_REFUSED,
           "remove the metadata: virsh metadata guest1 urn:virt-attest:domain:1 --remove --config");
    {
        g_autofree gchar *xml = fixture_xml(fixture, "", asking);
        g_auto(GStrv) parts = g_strsplit(xml, "guest1", 2);
        g_autofree gchar *dashed = g_strjoinv("-1", parts);
        g_autofree gchar *blank = g_strjoinv("a b", parts);

        expect_xml(fixture, dashed, POLICY_VERDICT_REFUSED, "virsh metadata " FIXTURE_UUID " urn:");
        expect_xml(fixture, blank, POLICY_VERDICT_REFUSED, "virsh metadata 'a b' urn:");
    }

    /* All pins are gone, with the folder that they were in. */
    fixture_remove_tree(references);
    expect(fixture, "", "", POLICY_VERDICT_NONE, "no launchSecurity");
    expect(fixture, "", looking, POLICY_VERDICT_REFUSED, "missing from the state folder");
    expect(fixture, "", DAMAGED, POLICY_VERDICT_REFUSED, "missing from the state folder");
    expect(fixture, NULL, REST, POLICY_VERDICT_REFUSED, "missing from the state folder");
}

/* A pin of level 0: debugging by the host was allowed, and still the measurement is to stay what it is. */
static void test_level_zero(void)
{
    const char *debug =
        FIXTURE_MILAN "<launchSecurity type='sev-snp' kernelHashes='yes'><policy>0xb0000</policy></launchSecurity>";
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(PolicyReference) reference = pin(fixture, debug, XML_ON_MISMATCH_REFUSE);

    g_assert_cmpuint(reference->level, ==, 0);
    expect(fixture, NULL, debug, POLICY_VERDICT_MATCH, "level 0");
    expect(fixture, "", "", POLICY_VERDICT_REFUSED, "<launchSecurity> was removed");
    pin_only(fixture, debug, XML_ON_MISMATCH_OBSERVE);
    expect(fixture, "", "", POLICY_VERDICT_OBSERVED, "<launchSecurity> was removed");
}

static void test_names(void)
{
    static const struct {
        const char *name, *says;
    } rows[] = {
        {"web", "--accept web"},         {"-web", "--accept -- -web"},   {"--version", "--accept -- --version"},
        {"a b", "--accept 'a b'"},       {"$(x)", "--accept '$(x)'"},    {"a;b", "--accept 'a;b'"},
        {"it's", "--accept 'it'\\''s'"}, {"-a b", "--accept -- '-a b'"}, {"ümlaut", "--accept 'ümlaut'"},
        {"-", "--accept --domain=-"},    {"a.xml", "--accept --domain=a.xml"},
        /* Somebody else's ID or UUID. */
        {"1", "--accept " FIXTURE_UUID}, {"007", "--accept " FIXTURE_UUID}, {"+7", "--accept " FIXTURE_UUID},
        {"11111111-2222-3333-4444-555555555555", "--accept " FIXTURE_UUID},
        {"11111111222233334444555555555555", "--accept " FIXTURE_UUID},
        {"1a", "--accept 1a"},
    };
    g_autoptr(Fixture) fixture = fixture_new();
    g_autofree gchar *xml = fixture_xml(fixture, NULL, REST);
    g_auto(GStrv) parts = g_strsplit(xml, "guest1", 2);

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree gchar *named = g_strjoinv(rows[i].name, parts);

        expect_xml(fixture, named, POLICY_VERDICT_UNPINNED, rows[i].says);
    }
    /* The same in what a refusal suggests. */
    pin_only(fixture, REST, XML_ON_MISMATCH_REFUSE);
    fixture_put_text(fixture->initrd, "another initrd");
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree gchar *named = g_strjoinv(rows[i].name, parts);

        expect_xml(fixture, named, POLICY_VERDICT_REFUSED, rows[i].says);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gate/none", test_none);
    g_test_add_func("/gate/unusable", test_unusable);
    g_test_add_func("/gate/unpinned", test_unpinned);
    g_test_add_func("/gate/match", test_match);
    g_test_add_func("/gate/drift-files", test_drift_files);
    g_test_add_func("/gate/drift-settings", test_drift_settings);
    g_test_add_func("/gate/drift-identity", test_drift_identity);
    g_test_add_func("/gate/drift-unmeasured", test_drift_unmeasured);
    g_test_add_func("/gate/forged-digest", test_forged_digest);
    g_test_add_func("/gate/observe", test_observe);
    g_test_add_func("/gate/metadata", test_metadata);
    g_test_add_func("/gate/corrupt-pin", test_corrupt_pin);
    g_test_add_func("/gate/lost", test_lost);
    g_test_add_func("/gate/level-zero", test_level_zero);
    g_test_add_func("/gate/names", test_names);
    return g_test_run();
}
