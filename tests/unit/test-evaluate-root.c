/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Level 4, and every way to spoil it. */
#include "tests/unit/confidential-fixture.h"
#include "tests/unit/initrd-fixture.h"

#define HASH "6d287813eb5222d770f75005c664e34c204f385ce832cc2ce7d0d6f354454362"
#define VERITY                                                                                                         \
    "virt_attest.roothash=" HASH " virt_attest.verity=hash-disk,uuid=11111111-2222-3333-4444-555555555555,salt=0011,"  \
    "hash=sha256,data-block=4096,hash-block=4096,data-blocks=3072 "
#define WORDS "console=ttyS0 virt_attest.level=4 virt_attest.root=root-disk:2 " VERITY
#define TMPFS WORDS "virt_attest.upper=tmpfs:512M"
#define ENCRYPTED WORDS "virt_attest.upper=encrypted:upper-disk"

#define DISK(name, serial, more)                                                                                       \
    "<disk type='file' device='disk'><source file='/images/" name "'/><target dev='" name "'/><serial>" serial         \
    "</serial>" more "</disk>"
#define ROOT DISK("vda", "root-disk", "<readonly/>")
#define TREE DISK("vdb", "hash-disk", "<readonly/>")
#define UPPER DISK("vdc", "upper-disk", "")

typedef struct {
    const char *cmdline, *disks, *rule, *says;
    PolicyOutcome outcome;
    guint level;
} Row;

static void put_bytes(const char *path, GByteArray *bytes)
{
    fixture_put(path, bytes->data, bytes->len);
    g_byte_array_unref(bytes);
}

static Fixture *root_fixture(void)
{
    Fixture *fixture = fixture_new();
    g_autofree gchar *init = g_build_filename(fixture->folder, "guest-init", NULL);
    g_autofree gchar *text =
        g_strdup_printf("[firmware]\ntrusted = %s\n[guest]\ninit = %s", fixture->firmware_sha256, init);

    fixture_put_text(init, INITRD_INIT);
    put_bytes(fixture->initrd, initrd_good("4"));
    put_bytes(fixture->kernel, initrd_kernel(INITRD_RELEASE));
    fixture_load_config(fixture, text);
    return fixture;
}

static gchar *boot_xml(const Fixture *fixture, const char *cmdline)
{
    g_autofree gchar *escaped = g_markup_escape_text(cmdline, -1);

    return g_strdup_printf("<kernel>%s</kernel><initrd>%s</initrd><cmdline>%s</cmdline>", fixture->kernel,
                           fixture->initrd, escaped);
}

static PolicyEvaluation *evaluate(const Fixture *fixture, const char *cmdline, const char *disks, const char *launch,
                                  XmlDomain **out)
{
    g_autofree gchar *os = boot_xml(fixture, cmdline);
    g_autofree gchar *rest = g_strdup_printf("<devices>%s</devices>" FIXTURE_MILAN "%s", disks, launch);
    g_autoptr(XmlDomain) domain = fixture_domain(fixture, os, rest);
    PolicyEvaluation *evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);

    if (out)
        *out = g_steal_pointer(&domain);
    return evaluation;
}

/* The rule is there once, has that outcome, and says so. */
static void check(const PolicyEvaluation *evaluation, const Row *row)
{
    guint found = 0;

    for (guint i = 0; i < evaluation->findings->len; i++) {
        const PolicyFinding *finding = g_ptr_array_index(evaluation->findings, i);

        if (strcmp(finding->rule, row->rule))
            continue;
        found++;
        if (finding->outcome != row->outcome || !strstr(finding->text, row->says))
            g_error("'%s' with '%s': %s: %s", row->cmdline, row->disks, policy_outcome_name(finding->outcome),
                    finding->text);
        g_assert_cmpuint(finding->level, ==, 4);
    }
    g_assert_cmpuint(found, ==, 1);
    if (evaluation->level != row->level)
        g_error("'%s' with '%s' has level %u", row->cmdline, row->disks, evaluation->level);
}

static void test_good(void)
{
    static const Row rows[] = {
        {TMPFS, ROOT TREE, "guest-words", "verify its root", POLICY_PASS, 4},
        {TMPFS, ROOT TREE, "root-hash", HASH, POLICY_PASS, 4},
        {TMPFS, ROOT TREE, "boot-shell", "nothing", POLICY_PASS, 4},
        {TMPFS, ROOT TREE, "initrd", "level 4 for kernel " INITRD_RELEASE ": 2 modules", POLICY_PASS, 4},
        {TMPFS, ROOT TREE, "root-disks", "'root-disk'", POLICY_PASS, 4},
        {TMPFS, ROOT TREE, "writable-layer", "memory", POLICY_PASS, 4},
        {WORDS, ROOT TREE, "writable-layer", "nothing", POLICY_PASS, 4},
        {WORDS "virt_attest.upper=dirs:var=1G", ROOT TREE, "writable-layer", "/var", POLICY_PASS, 4},
        {ENCRYPTED, ROOT TREE UPPER, "writable-layer", "gone at the next one", POLICY_PASS, 4},
        /* Other disks are the guest's own business. */
        {TMPFS, ROOT TREE DISK("vdd", "data", "") DISK("vde", "cidata", ""), "root-disks", "once", POLICY_PASS, 4},
    };
    g_autoptr(Fixture) fixture = root_fixture();

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(PolicyEvaluation) evaluation = evaluate(fixture, rows[i].cmdline, rows[i].disks, FIXTURE_SNP, NULL);

        check(evaluation, &rows[i]);
        g_assert_nonnull(evaluation->words);
        g_assert_cmpuint(evaluation->words->data_blocks, ==, 3072);
    }
}

static void test_spoilt(void)
{
    static const Row rows[] = {
        /* Command line. */
        {"console=ttyS0", ROOT TREE, "guest-words", "says nothing", POLICY_FAIL, 3},
        {"console=ttyS0", ROOT TREE, "root-hash", "vol-seal", POLICY_FAIL, 3},
        {"console=ttyS0", ROOT TREE, "root-disks", "not looked at", POLICY_NOTE, 3},
        {TMPFS " virt_attest.debug=1", ROOT TREE, "guest-words", "virt_attest.debug", POLICY_FAIL, 3},
        {TMPFS " virt_attest.level=4", ROOT TREE, "guest-words", "virt_attest.level", POLICY_FAIL, 3},
        {WORDS "virt_attest.upper=plain:upper-disk", ROOT TREE UPPER, "guest-words", "virt_attest.upper", POLICY_FAIL,
         3},
        {"virt_attest.level=4 virt_attest.root=root-disk:2", ROOT TREE, "guest-words", "roothash", POLICY_FAIL, 3},
        {"virt_attest.level=4 virt_attest.root=root-disk:2", ROOT TREE, "root-hash", "no dm-verity root hash",
         POLICY_FAIL, 3},
        {"virt_attest.level=3 virt_attest.root=root-disk:2", ROOT TREE, "guest-words", "level 3", POLICY_FAIL, 3},
        {"virt_attest.level=3 virt_attest.root=root-disk:2", ROOT TREE, "root-hash", "no dm-verity", POLICY_FAIL, 3},
        {"virt_attest.level=4 virt_attest.root=partuuid:11111111-2222-3333-4444-555555555555 " VERITY, ROOT TREE,
         "guest-words", "virt_attest.root", POLICY_FAIL, 3},
        {TMPFS " init=/bin/sh", ROOT TREE, "boot-shell", "'init=/bin/sh'", POLICY_FAIL, 3},
        {TMPFS " rd.break", ROOT TREE, "boot-shell", "'rd.break'", POLICY_FAIL, 3},
        {TMPFS " systemd.unit=emergency.target", ROOT TREE, "boot-shell", "emergency.target", POLICY_FAIL, 3},
        {TMPFS " single", ROOT TREE, "boot-shell", "'single'", POLICY_FAIL, 3},
        /* Disks. */
        {TMPFS, TREE, "root-disks", "no disk has the serial 'root-disk'", POLICY_FAIL, 3},
        {TMPFS, ROOT, "root-disks", "no disk has the serial 'hash-disk'", POLICY_FAIL, 3},
        {TMPFS, DISK("vda", "root-disk", "") TREE, "root-disks", "add <readonly/>", POLICY_FAIL, 3},
        {TMPFS, ROOT DISK("vdb", "hash-disk", ""), "root-disks", "'vdb' with the hash tree", POLICY_FAIL, 3},
        {TMPFS, ROOT TREE DISK("vdc", "root-disk", "<readonly/>"), "root-disks", "more than one", POLICY_FAIL, 3},
        {TMPFS, ROOT TREE DISK("vdc", "x", "") DISK("vdd", "x", ""), "root-disks", "more than one", POLICY_FAIL, 3},
        /* A guest sees the first 20 characters. */
        {TMPFS, ROOT TREE DISK("vdc", "12345678901234567890a", "") DISK("vdd", "12345678901234567890b", ""),
         "root-disks", "'12345678901234567890'", POLICY_FAIL, 3},
        {TMPFS,
         ROOT TREE "<disk type='file'><source file='/images/vda'/><target dev='vdc'/><serial>other</serial></disk>",
         "root-disks", "'vdc' writes to the file of disk 'vda'", POLICY_FAIL, 3},
        {TMPFS,
         "<disk type='file' device='cdrom'><source file='/images/vda'/><target dev='sda'/><serial>root-disk</serial>"
         "</disk>" TREE,
         "root-disks", "is a cdrom", POLICY_FAIL, 3},
        /* The writable layer. */
        {ENCRYPTED, ROOT TREE, "writable-layer", "no disk has the serial 'upper-disk'", POLICY_FAIL, 3},
        {ENCRYPTED, ROOT TREE DISK("vdc", "upper-disk", "<readonly/>"), "writable-layer", "remove its <readonly/>",
         POLICY_FAIL, 3},
        {ENCRYPTED, ROOT TREE UPPER DISK("vdd", "upper-disk", ""), "writable-layer", "more than one", POLICY_FAIL, 3},
    };
    g_autoptr(Fixture) fixture = root_fixture();

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(PolicyEvaluation) evaluation = evaluate(fixture, rows[i].cmdline, rows[i].disks, FIXTURE_SNP, NULL);

        check(evaluation, &rows[i]);
    }
}

/* What is wrong below level 4 counts first. */
static void test_below(void)
{
    static const Row words = {TMPFS, ROOT TREE, "root-hash", HASH, POLICY_PASS, 2};
    static const Row no_kernel = {"", "", "guest-words", "no measured command line", POLICY_FAIL, 2};
    g_autoptr(Fixture) fixture = root_fixture();
    g_autoptr(PolicyEvaluation) unhashed =
        evaluate(fixture, TMPFS, ROOT TREE,
                 "<launchSecurity type='sev-snp' kernelHashes='no'><policy>0x30000</policy></launchSecurity>", NULL);
    g_autoptr(XmlDomain) domain = fixture_domain(
        fixture, "", FIXTURE_MILAN "<launchSecurity type='sev-snp'><policy>0x30000</policy></launchSecurity>");
    g_autoptr(PolicyEvaluation) from_disk = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);

    check(unhashed, &words);
    check(from_disk, &no_kernel);
    g_assert_null(from_disk->words);
}

static void expect_initrd(Fixture *fixture, PolicyOutcome outcome, guint level, const char *says)
{
    Row row = {TMPFS, ROOT TREE, "initrd", says, outcome, level};
    g_autoptr(PolicyEvaluation) evaluation = evaluate(fixture, TMPFS, ROOT TREE, FIXTURE_SNP, NULL);

    check(evaluation, &row);
}

static void test_initrds(void)
{
    static const InitrdEntry shell[] = {{"bin", 0040755},
                                        {"bin/busybox", 0100755, "\177ELF"},
                                        {"bin/sh", 0120777, "busybox"},
                                        INITRD_DEV,
                                        INITRD_INIT_ENTRY,
                                        {"TRAILER!!!", 0}};
    static const InitrdEntry other[] = {INITRD_DEV, {"etc", 0040755}, INITRD_INIT_ENTRY, {"TRAILER!!!", 0}};
    g_autoptr(Fixture) fixture = root_fixture();
    g_autofree gchar *init = g_build_filename(fixture->folder, "guest-init", NULL);
    g_autofree gchar *no_initrd = g_strdup_printf("<kernel>%s</kernel><cmdline>%s</cmdline>", fixture->kernel, TMPFS);
    g_autoptr(XmlDomain) domain =
        fixture_domain(fixture, no_initrd, "<devices>" ROOT TREE "</devices>" FIXTURE_MILAN FIXTURE_SNP);
    g_autoptr(PolicyEvaluation) evaluation = fixture_evaluate(fixture, domain, POLICY_REFERENCE_ASSUMED);
    static const Row none = {TMPFS, ROOT TREE, "initrd", "no measured initrd", POLICY_FAIL, 3};
    g_autofree gchar *trusted = NULL;

    check(evaluation, &none);
    put_bytes(fixture->initrd, initrd_archive(shell, G_N_ELEMENTS(shell)));
    expect_initrd(fixture, POLICY_FAIL, 3, "holds 'bin/busybox', which is not part of a virt-attest initrd");
    put_bytes(fixture->initrd, initrd_archive(other, G_N_ELEMENTS(other)));
    expect_initrd(fixture, POLICY_FAIL, 3, "holds 'etc', which is not part of a virt-attest initrd");
    put_bytes(fixture->initrd, initrd_good("3"));
    expect_initrd(fixture, POLICY_FAIL, 3, "for level 3");
    put_bytes(fixture->initrd, initrd_good("4"));
    expect_initrd(fixture, POLICY_PASS, 4, "level 4");
    put_bytes(fixture->kernel, initrd_kernel("6.1.0-other-amd64"));
    expect_initrd(fixture, POLICY_FAIL, 3, "is 6.1.0-other-amd64, which does not take its modules");
    /* A kernel that does not say what it is may be any. */
    fixture_put_text(fixture->kernel, "a kernel");
    expect_initrd(fixture, POLICY_PASS, 4, "level 4");

    /* An upgrade brings another init: the finding names both ways out. */
    fixture_put_text(init, "\177ELF another init");
    expect_initrd(fixture, POLICY_FAIL, 3, "rebuild the initrd with 'virt-attest initrd'");
    expect_initrd(fixture, POLICY_FAIL, 3, "'trusted-init' in group [guest]");
    g_unlink(init);
    expect_initrd(fixture, POLICY_FAIL, 3, "No such file");
    trusted = g_compute_checksum_for_string(G_CHECKSUM_SHA256, INITRD_INIT, -1);
    {
        g_autofree gchar *text = g_strdup_printf("[firmware]\ntrusted = %s\n[guest]\ninit = %s\ntrusted-init = %s",
                                                 fixture->firmware_sha256, init, trusted);
        fixture_load_config(fixture, text);
    }
    expect_initrd(fixture, POLICY_PASS, 4, trusted);
}

/* The same domain, pinned at level 4, after an upgrade of virt-attest: refused, with what to do. */
static void test_upgrade(void)
{
    g_autoptr(Fixture) fixture = root_fixture();
    g_autofree gchar *init = g_build_filename(fixture->folder, "guest-init", NULL);
    g_autoptr(XmlDomain) domain = NULL;
    g_autoptr(PolicyEvaluation) before = evaluate(fixture, TMPFS, ROOT TREE, FIXTURE_SNP, &domain);
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyReference) reference = policy_reference_new(domain, before, XML_ON_MISMATCH_REFUSE, &error);
    g_autoptr(GPtrArray) same = NULL;
    g_autoptr(GPtrArray) changed = NULL;
    g_autoptr(PolicyEvaluation) after = NULL;
    const PolicyChange *change = NULL;

    g_assert_no_error(error);
    g_assert_cmpuint(reference->level, ==, 4);
    same = policy_compare(reference, domain, before);
    g_assert_cmpuint(same->len, ==, 0);
    fixture_put_text(init, "\177ELF another init");
    after = fixture_evaluate(fixture, domain, POLICY_REFERENCE_EXISTS);
    changed = policy_compare(reference, domain, after);
    g_assert_cmpuint(changed->len, ==, 1);
    change = g_ptr_array_index(changed, 0);
    g_assert_cmpstr(change->what, ==, "level");
    g_assert_nonnull(strstr(change->text, "fell from 4 to 3"));
    g_assert_nonnull(strstr(change->text, "rebuild the initrd"));
    g_assert_nonnull(strstr(change->text, "'trusted-init'"));
}

static void test_reference(void)
{
    g_autoptr(Fixture) fixture = root_fixture();
    g_autoptr(XmlDomain) domain = NULL;
    g_autoptr(PolicyEvaluation) evaluation = evaluate(fixture, TMPFS, ROOT TREE, FIXTURE_SNP, &domain);
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyReference) reference = policy_reference_new(domain, evaluation, XML_ON_MISMATCH_REFUSE, &error);
    g_autofree gchar *text = NULL;
    g_autoptr(PolicyReference) again = NULL;
    g_autoptr(GPtrArray) changes = NULL;

    g_assert_no_error(error);
    text = policy_reference_format(reference, POLICY_REFERENCE_PINNED);
    again = policy_reference_parse(text, -1, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(again->verity->root_hash, ==, HASH);
    g_assert_cmpstr(again->verity->hash, ==, "sha256");
    g_assert_cmpstr(again->verity->salt, ==, "0011");
    g_assert_cmpstr(again->verity->uuid, ==, "11111111-2222-3333-4444-555555555555");
    g_assert_cmpuint(again->verity->data_blocks, ==, 3072);
    g_assert_cmpuint(again->verity->data_block_size, ==, 4096);

    /* The metadata element carries the root hash, and is believed only as far as it agrees. */
    domain->attestation = policy_reference_to_attestation(reference);
    g_assert_cmpstr(domain->attestation->verity_root_hash, ==, HASH);
    changes = policy_compare(reference, domain, evaluation);
    g_assert_cmpuint(changes->len, ==, 0);
    for (guint i = 0; i < 2; i++) {
        g_autoptr(GPtrArray) contradiction = NULL;

        g_free(domain->attestation->verity_root_hash);
        domain->attestation->verity_root_hash = i ? g_strdup("00112233445566778899aabbccddeeff") : NULL;
        contradiction = policy_compare(reference, domain, evaluation);
        g_assert_cmpuint(contradiction->len, ==, 1);
        g_assert_nonnull(strstr(((PolicyChange *)g_ptr_array_index(contradiction, 0))->text, "root hash"));
    }
}

/* A command line that is not measured promises nothing. */
static void test_unmeasured_reference(void)
{
    g_autoptr(Fixture) fixture = root_fixture();
    g_autoptr(XmlDomain) domain = NULL;
    g_autoptr(PolicyEvaluation) evaluation = evaluate(
        fixture, TMPFS, ROOT TREE, "<launchSecurity type='sev-snp'><policy>0x30000</policy></launchSecurity>", &domain);
    g_autoptr(PolicyReference) reference = policy_reference_new(domain, evaluation, XML_ON_MISMATCH_REFUSE, NULL);

    g_assert_nonnull(reference);
    g_assert_null(reference->verity);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/evaluate-root/good", test_good);
    g_test_add_func("/evaluate-root/spoilt", test_spoilt);
    g_test_add_func("/evaluate-root/below", test_below);
    g_test_add_func("/evaluate-root/initrds", test_initrds);
    g_test_add_func("/evaluate-root/upgrade", test_upgrade);
    g_test_add_func("/evaluate-root/reference", test_reference);
    g_test_add_func("/evaluate-root/unmeasured-reference", test_unmeasured_reference);
    return g_test_run();
}
