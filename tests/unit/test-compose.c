/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Composed domains: what libvirt's own schema says of them, what our reader makes of them, and what is refused. */
#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <string.h>

#include "measure/error.h"
#include "measure/foreign-autoptr.h"
#include "xml/compose.h"
#include "xml/domain.h"

#define LIBVIRT_SCHEMA "/usr/share/libvirt/schemas/domain.rng"

static void replace(gchar **field, const char *value)
{
    g_free(*field);
    *field = g_strdup(value);
}

static XmlCompose *composition(guint level)
{
    XmlCompose *compose = xml_compose_new();

    compose->level = level;
    replace(&compose->name, "x");
    replace(&compose->uuid, "4628b277-cd81-4b55-b30c-ba36606ea5b6");
    replace(&compose->cpu, "EPYC-Milan");
    if (level > 0) {
        replace(&compose->firmware, "/fw");
    }
    if (level > 2) {
        replace(&compose->kernel, "/k");
        replace(&compose->initrd, "/i");
        replace(&compose->cmdline, "  a=\"b c\" <&> '\xc3\xa9' ");
    }
    return compose;
}

static XmlDomain *format_and_parse(const XmlCompose *compose)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *text = xml_compose_format(compose, &error);
    XmlDomain *domain = NULL;

    g_assert_no_error(error);
    domain = xml_domain_parse(text, -1, &error);
    g_assert_no_error(error);
    return domain;
}

/* The channel comes with SEV-SNP only, behind the IOMMU, and only when it is asked for. */
static void test_report_channel(void)
{
    static const struct {
        guint level;
        gboolean snp, wanted, there;
    } rows[] = {{3, TRUE, TRUE, TRUE},   {2, TRUE, TRUE, TRUE},   {3, TRUE, FALSE, FALSE},
                {0, TRUE, TRUE, FALSE}, {3, FALSE, TRUE, FALSE}, {2, FALSE, TRUE, FALSE}};

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(XmlCompose) compose = composition(rows[i].level);
        g_autoptr(GError) error = NULL;
        g_autofree gchar *text = NULL;

        compose->snp = rows[i].snp;
        if (!compose->snp) {
            compose->policy = 5; /* no debugging, encrypted state */
        }
        compose->report_channel = rows[i].wanted;
        text = xml_compose_format(compose, &error);
        g_assert_no_error(error);
        g_assert_cmpint(strstr(text, "<target type=\"virtio\" name=\"org.virt-attest.report.0\"/>") != NULL, ==,
                        rows[i].there);
        g_assert_cmpint(strstr(text, "virtio-serial") != NULL, ==, rows[i].there);
    }
}

static void test_level_0(void)
{
    g_autoptr(XmlCompose) compose = composition(0);
    g_autoptr(XmlDomain) domain = format_and_parse(compose);

    g_assert_cmpstr(domain->type, ==, "kvm");
    g_assert_cmpstr(domain->machine, ==, "q35");
    g_assert_cmpint(domain->launch_type, ==, XML_LAUNCH_NONE);
    g_assert_cmpint(domain->loader_type, ==, XML_LOADER_NONE);
}

static void test_level_2(void)
{
    g_autoptr(XmlCompose) compose = composition(2);
    g_autoptr(XmlDomain) domain = NULL;

    compose->vcpus = 5;
    compose->cbitpos = 51;
    compose->reduced_phys_bits = 1;
    g_ptr_array_add(compose->disks, g_strdup("/a,,b.img,format=qcow2,serial=root,readonly=on"));
    g_ptr_array_add(compose->disks, g_strdup("/dev/vg/lv"));
    domain = format_and_parse(compose);
    g_assert_cmpstr(domain->name, ==, "x");
    g_assert_cmpstr(domain->uuid, ==, "4628b277-cd81-4b55-b30c-ba36606ea5b6");
    g_assert_cmpint(domain->launch_type, ==, XML_LAUNCH_SNP);
    g_assert_false(domain->kernel_hashes);
    g_assert_cmphex(domain->policy, ==, 0x30000);
    g_assert_cmpuint(domain->warnings->len, ==, 0);
    g_assert_cmpint(domain->cbitpos, ==, 51);
    g_assert_cmpint(domain->reduced_phys_bits, ==, 1);
    g_assert_cmpint(domain->loader_type, ==, XML_LOADER_ROM);
    g_assert_true(domain->loader_stateless);
    g_assert_cmpuint(domain->vcpus_boot, ==, 5);
    g_assert_cmpstr(domain->cpu_model, ==, "EPYC-Milan");
    g_assert_cmpuint(domain->disks->len, ==, 2);
    {
        const XmlDisk *first = g_ptr_array_index(domain->disks, 0);
        const XmlDisk *second = g_ptr_array_index(domain->disks, 1);

        g_assert_cmpstr(first->source, ==, "/a,b.img");
        g_assert_cmpstr(first->format, ==, "qcow2");
        g_assert_cmpstr(first->serial, ==, "root");
        g_assert_true(first->readonly);
        g_assert_cmpstr(second->type, ==, "block");
        g_assert_cmpstr(second->source, ==, "/dev/vg/lv");
        g_assert_cmpstr(second->format, ==, "raw");
        g_assert_cmpstr(second->serial, ==, "disk1");
        g_assert_false(second->readonly);
    }
}

/* Everything that the measurement of a composed domain needs is in it, byte for byte. */
static void test_level_3_launch(void)
{
    g_autoptr(XmlCompose) compose = composition(3);
    g_autoptr(XmlDomain) domain = format_and_parse(compose);
    g_autoptr(GError) error = NULL;
    g_autoptr(MeasureLaunch) launch = xml_domain_to_launch(domain, NULL, &error);

    g_assert_no_error(error);
    g_assert_cmpint(launch->platform, ==, MEASURE_PLATFORM_SNP);
    g_assert_true(launch->kernel_hashes);
    g_assert_cmpstr(launch->firmware, ==, "/fw");
    g_assert_cmpstr(launch->kernel, ==, "/k");
    g_assert_cmpstr(launch->initrd, ==, "/i");
    g_assert_cmpstr(launch->cmdline, ==, compose->cmdline);
    g_assert_cmphex(((MeasureCpu *)g_ptr_array_index(launch->cpus, 0))->signature, ==, 0xa00f11);
}

static void test_sev(void)
{
    g_autoptr(XmlCompose) compose = composition(3);
    g_autoptr(XmlDomain) domain = NULL;
    MeasurePlatform platform = MEASURE_PLATFORM_SNP;

    compose->snp = FALSE;
    compose->policy = 1;
    replace(&compose->machine, "pc");
    domain = format_and_parse(compose);
    g_assert_true(xml_domain_platform(domain, &platform));
    g_assert_cmpint(platform, ==, MEASURE_PLATFORM_SEV);
    g_assert_true(domain->kernel_hashes);
}

static void assert_refused(const XmlCompose *compose, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *text = xml_compose_format(compose, &error);

    g_assert_null(text);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE);
    if (strstr(error->message, expected) == NULL) {
        g_error("'%s' is not in '%s'", expected, error->message);
    }
    for (const char *at = error->message; *at != '\0'; at++) {
        g_assert_false(g_ascii_iscntrl(*at));
    }
}

static void test_names(void)
{
    g_autofree gchar *longest = g_strnfill(240, 'a');
    g_autofree gchar *longer = g_strnfill(241, 'a');
    const char *const good[] = {"--version", "$(x)", "a;b", "a b", "a<b", "\xc3\xa4", longest};
    const char *const bad[] = {"", " ", "a/b", "a\nb", "a\x1b[31mb", "\xff", ".", "..", longer};
    g_autoptr(XmlCompose) compose = composition(1);

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(XmlDomain) domain = NULL;

        replace(&compose->name, good[i]);
        domain = format_and_parse(compose);
        g_assert_cmpstr(domain->name, ==, good[i]);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        replace(&compose->name, bad[i]);
        assert_refused(compose, "name");
    }
    replace(&compose->name, NULL);
    assert_refused(compose, "--name");
}

static void test_numbers(void)
{
    g_autoptr(XmlCompose) compose = composition(1);

    compose->level = 5;
    assert_refused(compose, "level 5");
    compose->level = 1;
    compose->vcpus = 0;
    assert_refused(compose, "0 vCPUs");
    compose->vcpus = 4097;
    assert_refused(compose, "4097 vCPUs");
    compose->vcpus = 1;
    compose->memory_mib = 0;
    assert_refused(compose, "memory");
    compose->memory_mib = 1;
    compose->cbitpos = 64;
    assert_refused(compose, "cbitpos");
    compose->cbitpos = -2;
    assert_refused(compose, "cbitpos");
    compose->cbitpos = -1;
    compose->reduced_phys_bits = 64;
    assert_refused(compose, "reducedPhysBits");
}

static void test_policies(void)
{
    static const struct {
        gboolean snp;
        guint64 policy;
        const char *refused;
    } rows[] = {
        {TRUE, 0x30000, NULL},     {TRUE, 0x20000, NULL}, {TRUE, 0x10000, "bit 17"},
        {TRUE, 0xb0000, "bit 19"}, {FALSE, 0x1, NULL},    {FALSE, 0x5, NULL},
        {FALSE, 0x4, "bit 0"},     {FALSE, 0, "bit 0"},   {FALSE, 0x100000001, "32 bits"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(XmlCompose) compose = composition(1);

        compose->snp = rows[i].snp;
        compose->policy = rows[i].policy;
        if (rows[i].refused != NULL) {
            assert_refused(compose, rows[i].refused);
        } else {
            g_autoptr(XmlDomain) domain = format_and_parse(compose);

            g_assert_cmphex(domain->policy, ==, rows[i].policy);
        }
        /* Without launchSecurity the policy is nobody's. */
        compose->level = 0;
        {
            g_autoptr(XmlDomain) domain = format_and_parse(compose);

            g_assert_false(domain->has_policy);
        }
    }
}

static void test_boot_combinations(void)
{
    g_autofree gchar *longest = g_strnfill(2047, 'a');
    g_autofree gchar *longer = g_strnfill(2048, 'a');
    g_autoptr(XmlCompose) compose = composition(3);
    g_autoptr(XmlDomain) domain = NULL;

    replace(&compose->cmdline, longer);
    assert_refused(compose, "2047");
    replace(&compose->cmdline, "a\x01");
    assert_refused(compose, "control");
    replace(&compose->cmdline, longest);
    domain = format_and_parse(compose);
    g_assert_cmpstr(domain->cmdline, ==, longest);
    replace(&compose->kernel, NULL);
    assert_refused(compose, "--kernel");
    compose->level = 2;
    assert_refused(compose, "without a kernel");
    replace(&compose->kernel, "k");
    assert_refused(compose, "absolute");
    replace(&compose->kernel, "/k");
    replace(&compose->initrd, "i");
    assert_refused(compose, "absolute");
    replace(&compose->initrd, NULL);
    replace(&compose->firmware, "fw");
    assert_refused(compose, "absolute");
    replace(&compose->firmware, NULL);
    assert_refused(compose, "--firmware");
    replace(&compose->firmware, "/fw");
    replace(&compose->emulator, "qemu");
    assert_refused(compose, "absolute");
}

static void test_other_values(void)
{
    g_autoptr(XmlCompose) compose = composition(1);

    replace(&compose->uuid, "1234");
    assert_refused(compose, "UUID");
    replace(&compose->uuid, NULL);
    replace(&compose->cpu, "EPYC-Nowhere");
    assert_refused(compose, "EPYC-Nowhere");
    replace(&compose->cpu, "");
    assert_refused(compose, "CPU");
    replace(&compose->cpu, "host-passthrough");
    replace(&compose->machine, "pc");
    assert_refused(compose, "not q35");
    replace(&compose->machine, "microvm");
    assert_refused(compose, "not q35");
    replace(&compose->machine, "q35");
    replace(&compose->domain_type, "xen");
    assert_refused(compose, "'xen'");
    replace(&compose->domain_type, "qemu");
    g_ptr_array_add(compose->networks, g_strdup("a\nb"));
    assert_refused(compose, "network");
}

static void test_disk_errors(void)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"", "absolute"},
        {"a.img", "absolute"},
        {"/a.img,format=vmdk", "raw or qcow2"},
        {"/a.img,serial=", "serial"},
        {"/a.img,serial=a/b", "serial"},
        {"/a.img,serial=aaaaaaaaaaaaaaaaaaaaa", "serial"},
        {"/a.img,readonly=yes", "readonly"},
        {"/a.img,cache=none", "cache=none"},
        {"/a.img,", "disk option"},
        {"/a\x01.img", "control"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(XmlCompose) compose = composition(1);

        g_ptr_array_add(compose->disks, g_strdup(rows[i].text));
        assert_refused(compose, rows[i].expected);
    }
    {
        g_autoptr(XmlCompose) compose = composition(1);

        g_ptr_array_add(compose->disks, g_strdup("/a.img,serial=disk1"));
        g_ptr_array_add(compose->disks, g_strdup("/b.img"));
        assert_refused(compose, "two disks");
    }
    {
        g_autoptr(XmlCompose) compose = composition(1);

        for (guint i = 0; i < 27; i++) {
            g_ptr_array_add(compose->disks, g_strdup("/a.img"));
        }
        assert_refused(compose, "27 disks");
    }
}

static void test_libvirt_schema(void)
{
    xmlRelaxNGParserCtxt *parser = NULL;
    xmlRelaxNG *schema = NULL;

    if (!g_file_test(LIBVIRT_SCHEMA, G_FILE_TEST_EXISTS)) {
        g_test_skip("libvirt's schema is not installed");
        return;
    }
    parser = xmlRelaxNGNewParserCtxt(LIBVIRT_SCHEMA);
    schema = xmlRelaxNGParse(parser);
    xmlRelaxNGFreeParserCtxt(parser);
    g_assert_nonnull(schema);
    for (guint i = 0; i < 20; i++) {
        g_autoptr(XmlCompose) compose = composition(i / 4);
        g_autofree gchar *text = NULL;
        g_autoptr(xmlDoc) document = NULL;
        xmlRelaxNGValidCtxt *context = xmlRelaxNGNewValidCtxt(schema);

        compose->console = compose->report_channel = i % 2 == 1;
        compose->cbitpos = i % 2 == 1 ? 51 : -1;
        compose->reduced_phys_bits = compose->cbitpos > 0 ? 1 : -1;
        if (i % 4 > 1) {
            compose->snp = FALSE;
            compose->policy = 5;
            replace(&compose->cpu, "host-model");
            g_ptr_array_add(compose->disks, g_strdup("/a.qcow2,readonly=on"));
            g_ptr_array_add(compose->disks, g_strdup("/dev/b"));
            g_ptr_array_add(compose->networks, g_strdup("default"));
        }
        text = xml_compose_format(compose, NULL);
        g_assert_nonnull(text);
        document = xmlReadMemory(text, (int)strlen(text), NULL, NULL, XML_PARSE_NONET);
        g_assert_nonnull(document);
        g_assert_cmpint(xmlRelaxNGValidateDoc(context, document), ==, 0);
        xmlRelaxNGFreeValidCtxt(context);
    }
    xmlRelaxNGFree(schema);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/compose/report-channel", test_report_channel);
    g_test_add_func("/compose/level-0", test_level_0);
    g_test_add_func("/compose/level-2", test_level_2);
    g_test_add_func("/compose/level-3-launch", test_level_3_launch);
    g_test_add_func("/compose/sev", test_sev);
    g_test_add_func("/compose/names", test_names);
    g_test_add_func("/compose/numbers", test_numbers);
    g_test_add_func("/compose/policies", test_policies);
    g_test_add_func("/compose/boot-combinations", test_boot_combinations);
    g_test_add_func("/compose/other-values", test_other_values);
    g_test_add_func("/compose/disk-errors", test_disk_errors);
    g_test_add_func("/compose/libvirt-schema", test_libvirt_schema);
    return g_test_run();
}
