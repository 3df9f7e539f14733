/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The metadata element: exact text, RELAX NG schema, strict reading, and its place in a domain XML. */
#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <string.h>

#include "measure/error.h"
#include "measure/foreign-autoptr.h"
#include "xml/attestation.h"
#include "xml/domain.h"

#define ZEROS_64 "0000000000000000000000000000000000000000000000000000000000000000"

static void add_measurement(XmlAttestation *attestation, MeasurePlatform platform, const char *cpu, guint32 signature,
                            guint64 features, guint vcpus)
{
    XmlMeasurement *measurement = xml_measurement_new();

    measurement->platform = platform;
    measurement->cpu = g_strdup(cpu);
    measurement->signature = signature;
    measurement->features = features;
    measurement->vcpus = vcpus;
    measurement->digest.size = platform == MEASURE_PLATFORM_SNP ? MEASURE_SHA384_SIZE : MEASURE_SHA256_SIZE;
    measurement->digest.bytes[0] = 0xab;
    measurement->digest.bytes[measurement->digest.size - 1] = 0xcd;
    g_ptr_array_add(attestation->measurements, measurement);
}

static XmlAttestation *sample(void)
{
    XmlAttestation *attestation = xml_attestation_new();
    XmlMeasurement *measurement = NULL;
    guint8 sha256[MEASURE_SHA256_SIZE] = {0};

    attestation->level = 4;
    attestation->on_mismatch = XML_ON_MISMATCH_OBSERVE;
    add_measurement(attestation, MEASURE_PLATFORM_SNP, "EPYC-Milan", 0xa00f11, 1, 0);
    add_measurement(attestation, MEASURE_PLATFORM_SEV_ES, "EPYC", 0x800f12, 0, 4);
    measurement = g_ptr_array_index(attestation->measurements, 1);
    measurement->has_fpu = TRUE;
    measurement->fpu = MEASURE_FPU_INIT2;
    add_measurement(attestation, MEASURE_PLATFORM_SEV, NULL, 0, 0, 0);
    sha256[31] = 0x0f;
    g_ptr_array_add(attestation->inputs, xml_input_new("firmware", 4194304, sha256));
    g_ptr_array_add(attestation->inputs, xml_input_new("cmdline", 0, sha256));
    attestation->verity_root_hash = g_strdup(ZEROS_64);
    return attestation;
}

static const char sample_text[] =
    "<attestation xmlns=\"urn:virt-attest:domain:1\" level=\"4\" onMismatch=\"observe\">\n"
    "  <measurement platform=\"sev-snp\" cpu=\"EPYC-Milan\" signature=\"0xa00f11\" features=\"0x1\">"
    "ab0000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000cd</measurement>\n"
    "  <measurement platform=\"sev-es\" cpu=\"EPYC\" signature=\"0x800f12\" features=\"0x0\" vcpus=\"4\" fpu=\"init2\">"
    "ab000000000000000000000000000000000000000000000000000000000000cd</measurement>\n"
    "  <measurement platform=\"sev\">ab000000000000000000000000000000000000000000000000000000000000cd</measurement>\n"
    "  <input role=\"firmware\" size=\"4194304\""
    " sha256=\"000000000000000000000000000000000000000000000000000000000000000f\"/>\n"
    "  <input role=\"cmdline\" size=\"0\" "
    "sha256=\"000000000000000000000000000000000000000000000000000000000000000f\"/>\n"
    "  <verity rootHash=\"" ZEROS_64 "\"/>\n"
    "</attestation>";

static XmlAttestation *parse_ok(const char *text)
{
    g_autoptr(GError) error = NULL;
    XmlAttestation *attestation = xml_attestation_parse(text, -1, &error);

    g_assert_no_error(error);
    return attestation;
}

static void parse_fails(const char *text, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(XmlAttestation) attestation = xml_attestation_parse(text, -1, &error);

    g_assert_null(attestation);
    g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
    if (strstr(error->message, expected) == NULL) {
        g_error("'%s' is not in '%s'", expected, error->message);
    }
}

static void test_format(void)
{
    g_autoptr(XmlAttestation) attestation = sample();
    g_autoptr(XmlAttestation) empty = xml_attestation_new();
    g_autofree gchar *text = xml_attestation_format(attestation);
    g_autofree gchar *again = xml_attestation_format(attestation);
    g_autofree gchar *empty_text = xml_attestation_format(empty);

    g_assert_cmpstr(text, ==, sample_text);
    g_assert_cmpstr(again, ==, text);
    g_assert_cmpstr(empty_text, ==,
                    "<attestation xmlns=\"urn:virt-attest:domain:1\" level=\"0\" onMismatch=\"refuse\"/>");
}

static void test_parse_every_field(void)
{
    g_autoptr(XmlAttestation) attestation = parse_ok(sample_text);
    const XmlMeasurement *measurement = NULL;
    const XmlInput *input = NULL;

    g_assert_cmpuint(attestation->level, ==, 4);
    g_assert_cmpint(attestation->on_mismatch, ==, XML_ON_MISMATCH_OBSERVE);
    g_assert_cmpuint(attestation->measurements->len, ==, 3);
    measurement = g_ptr_array_index(attestation->measurements, 0);
    g_assert_cmpint(measurement->platform, ==, MEASURE_PLATFORM_SNP);
    g_assert_cmpstr(measurement->cpu, ==, "EPYC-Milan");
    g_assert_cmphex(measurement->signature, ==, 0xa00f11);
    g_assert_cmphex(measurement->features, ==, 1);
    g_assert_cmpuint(measurement->vcpus, ==, 0);
    g_assert_false(measurement->has_fpu);
    g_assert_cmpuint(measurement->digest.size, ==, 48);
    g_assert_cmphex(measurement->digest.bytes[0], ==, 0xab);
    g_assert_cmphex(measurement->digest.bytes[47], ==, 0xcd);
    measurement = g_ptr_array_index(attestation->measurements, 1);
    g_assert_cmpint(measurement->platform, ==, MEASURE_PLATFORM_SEV_ES);
    g_assert_cmpuint(measurement->vcpus, ==, 4);
    g_assert_true(measurement->has_fpu);
    g_assert_cmpint(measurement->fpu, ==, MEASURE_FPU_INIT2);
    g_assert_cmpuint(measurement->digest.size, ==, 32);
    measurement = g_ptr_array_index(attestation->measurements, 2);
    g_assert_cmpint(measurement->platform, ==, MEASURE_PLATFORM_SEV);
    g_assert_null(measurement->cpu);
    g_assert_cmpuint(attestation->inputs->len, ==, 2);
    input = g_ptr_array_index(attestation->inputs, 0);
    g_assert_cmpstr(input->role, ==, "firmware");
    g_assert_cmpuint(input->size, ==, 4194304);
    g_assert_cmphex(input->sha256[31], ==, 0x0f);
    g_assert_cmpstr(attestation->verity_root_hash, ==, ZEROS_64);
}

/* What virDomainGetMetadata() of libvirt 11.3 returned for such an element, with and without a declaration of its own.
 */
static void test_as_libvirt_returns_it(void)
{
    g_autoptr(XmlAttestation) bare =
        parse_ok("<attestation level=\"3\" onMismatch=\"refuse\">\n"
                 "  <measurement platform=\"sev\">" ZEROS_64 "</measurement>\n</attestation>\n");
    g_autoptr(XmlAttestation) declared =
        parse_ok("<attestation xmlns:attest=\"urn:virt-attest:domain:1\" level=\"3\">\n"
                 "  <measurement platform=\"sev\">" ZEROS_64 "</measurement>\n</attestation>\n");

    g_assert_cmpuint(bare->measurements->len, ==, 1);
    g_assert_cmpuint(declared->measurements->len, ==, 1);
    g_assert_cmpint(declared->on_mismatch, ==, XML_ON_MISMATCH_REFUSE);
}

static void test_messages(void)
{
    parse_fails("<attestation xmlns='urn:virt-attest:domain:1' level='3' colour='red'/>", "newer version");
    parse_fails("<attestation xmlns='urn:virt-attest:domain:1' level='3'>\n<svsm/></attestation>",
                "line 2: unknown element <svsm>");
    parse_fails("<attestation xmlns='urn:virt-attest:domain:1' level='3'><measurement platform='sev-snp' cpu='EPYC' "
                "signature='0x1' features='0x1'>" ZEROS_64 "</measurement></attestation>",
                "96 hexadecimal digits");
    parse_fails("<attestation xmlns='urn:virt-attest:domain:1' level='3'><input role='dtb' size='0' sha256='" ZEROS_64
                "'/></attestation>",
                "firmware, kernel, initrd or cmdline");
    parse_fails("<attestation xmlns='urn:virt-attest:domain:2' level='3'/>", "urn:virt-attest:domain:1");
}

static void test_too_many(void)
{
    g_autoptr(XmlAttestation) attestation = xml_attestation_new();
    g_autofree gchar *most = NULL;
    g_autofree gchar *more = NULL;
    g_autoptr(XmlAttestation) again = NULL;

    for (guint i = 1; i <= 4096; i++) {
        add_measurement(attestation, MEASURE_PLATFORM_SNP, "EPYC", i, 1, i);
    }
    most = xml_attestation_format(attestation);
    again = parse_ok(most);
    g_assert_cmpuint(again->measurements->len, ==, 4096);
    add_measurement(attestation, MEASURE_PLATFORM_SNP, "EPYC", 5000, 1, 1);
    more = xml_attestation_format(attestation);
    parse_fails(more, "more than 4096");
}

static void test_hostile_label(void)
{
    g_autoptr(XmlAttestation) attestation = xml_attestation_new();
    g_autofree gchar *text = NULL;

    add_measurement(attestation, MEASURE_PLATFORM_SNP, "<&\"'>\x01\xff", 1, 1, 0);
    text = xml_attestation_format(attestation);
    g_assert_nonnull(strstr(text, "cpu=\"&lt;&amp;&quot;'&gt;\xef\xbf\xbd\xef\xbf\xbd\""));
    /* Well-formed, and still not accepted as a label. */
    parse_fails(text, "CPU model or signature");
}

static xmlRelaxNG *load_schema(void)
{
    g_autofree gchar *path = g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), "xml", "virt-attest-domain.rng", NULL);
    xmlRelaxNGParserCtxt *parser = xmlRelaxNGNewParserCtxt(path);
    xmlRelaxNG *schema = xmlRelaxNGParse(parser);

    g_assert_nonnull(schema);
    xmlRelaxNGFreeParserCtxt(parser);
    return schema;
}

static void ignore_error(void *data, const char *format, ...)
{
}

static gboolean validates(xmlRelaxNG *schema, const char *text)
{
    g_autoptr(xmlDoc) document =
        xmlReadMemory(text, (int)strlen(text), NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlRelaxNGValidCtxt *context = NULL;
    int result = -1;

    if (document == NULL || document->intSubset != NULL) {
        return FALSE;
    }
    context = xmlRelaxNGNewValidCtxt(schema);
    xmlRelaxNGSetValidErrors(context, ignore_error, ignore_error, NULL);
    result = xmlRelaxNGValidateDoc(context, document);
    xmlRelaxNGFreeValidCtxt(context);
    return result == 0;
}

static void test_schema(void)
{
    xmlRelaxNG *schema = load_schema();
    g_autoptr(XmlAttestation) attestation = sample();
    g_autoptr(XmlAttestation) empty = xml_attestation_new();
    g_autofree gchar *text = xml_attestation_format(attestation);
    g_autofree gchar *empty_text = xml_attestation_format(empty);

    g_assert_true(validates(schema, text));
    g_assert_true(validates(schema, empty_text));
    g_assert_false(validates(schema, "<attestation xmlns='urn:virt-attest:domain:1' level='5'/>"));
    g_assert_false(validates(schema, "<attestation xmlns='urn:virt-attest:domain:2' level='3'/>"));
    xmlRelaxNGFree(schema);
}

/*
 * Names that begin with ok- are read, those with bad- are refused. The schema agrees, except where it cannot: it
 * knows nothing of libvirt taking the namespace away, and it does not look for duplicates.
 */
static void test_corpus(void)
{
    static const char *const beyond_schema[] = {"ok-no-namespace.xml", "bad-two-measurements.xml", "bad-two-roles.xml",
                                                NULL};
    g_autofree gchar *folder = g_build_filename(g_getenv("VIRT_ATTEST_SOURCE"), "tests", "corpus", "attestation", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
    xmlRelaxNG *schema = load_schema();
    const char *name = NULL;
    guint count = 0;

    g_assert_no_error(error);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree gchar *path = g_build_filename(folder, name, NULL);
        g_autofree gchar *data = NULL;
        gsize size = 0;
        g_autoptr(XmlAttestation) attestation = NULL;

        g_file_get_contents(path, &data, &size, &error);
        g_assert_no_error(error);
        attestation = xml_attestation_parse(data, (gssize)size, &error);
        if (g_str_has_prefix(name, "ok-") && attestation == NULL) {
            g_error("%s: %s", name, error->message);
        }
        if (g_str_has_prefix(name, "bad-") && attestation != NULL) {
            g_error("%s was read", name);
        }
        if (!g_strv_contains(beyond_schema, name) && validates(schema, data) != (attestation != NULL)) {
            g_error("%s: reader and schema disagree", name);
        }
        g_clear_error(&error);
        count++;
    }
    g_assert_cmpuint(count, >=, 40);
    xmlRelaxNGFree(schema);
}

static gchar *set_ok(const char *domain_xml, const XmlAttestation *attestation)
{
    g_autoptr(GError) error = NULL;
    gchar *text = xml_document_set_attestation(domain_xml, -1, attestation, &error);

    g_assert_no_error(error);
    return text;
}

#define OURS "<attest:attestation xmlns:attest=\"urn:virt-attest:domain:1\" level=\"0\" onMismatch=\"refuse\"/>"

static void test_set(void)
{
    static const struct {
        const char *name, *before, *with, *without;
    } rows[] = {
        {"no metadata",
         "<domain type=\"kvm\">\n  <name>x</name>\n  <uuid>u</uuid>\n  <title>t</title>\n  "
         "<memory>1</memory>\n</domain>\n",
         "<domain type=\"kvm\">\n  <name>x</name>\n  <uuid>u</uuid>\n  <title>t</title>\n  <metadata>\n    " OURS
         "\n  </metadata>\n  <memory>1</memory>\n</domain>\n",
         "<domain type=\"kvm\">\n  <name>x</name>\n  <uuid>u</uuid>\n  <title>t</title>\n  "
         "<memory>1</memory>\n</domain>\n"},
        {"no children", "<domain type=\"kvm\"/>",
         "<domain type=\"kvm\">\n  <metadata>\n    " OURS "\n  </metadata>\n</domain>\n", "<domain type=\"kvm\"/>\n"},
        {"no name", "<domain type=\"kvm\"><memory>1</memory></domain>",
         "<domain type=\"kvm\">\n  <metadata>\n    " OURS "\n  </metadata><memory>1</memory></domain>\n",
         "<domain type=\"kvm\"><memory>1</memory></domain>\n"},
        {"empty metadata", "<domain type=\"kvm\"><metadata/></domain>",
         "<domain type=\"kvm\"><metadata>\n    " OURS "\n  </metadata></domain>\n",
         "<domain type=\"kvm\"><metadata/></domain>\n"},
        {"others kept",
         "<!-- top --><domain type=\"kvm\"><!-- a --><metadata>\n    <o:x xmlns:o=\"urn:o\" "
         "e=\"\xc3\xa9\">a<![CDATA[<b>]]>&amp; </o:x>\n"
         "  </metadata><!-- b --></domain><!-- end -->",
         "<!-- top -->\n<domain type=\"kvm\"><!-- a --><metadata>\n    <o:x xmlns:o=\"urn:o\" "
         "e=\"\xc3\xa9\">a<![CDATA[<b>]]>&amp; </o:x>\n    " OURS "\n  </metadata><!-- b --></domain>\n<!-- end -->\n",
         "<!-- top -->\n<domain type=\"kvm\"><!-- a --><metadata>\n    <o:x xmlns:o=\"urn:o\" "
         "e=\"\xc3\xa9\">a<![CDATA[<b>]]>&amp; </o:x>\n"
         "  </metadata><!-- b --></domain>\n<!-- end -->\n"},
        {"ours replaced, whatever its prefix, damaged or twice",
         "<domain type=\"kvm\"><metadata>\n    <z:attestation xmlns:z=\"urn:virt-attest:domain:1\" colour=\"red\"/>\n"
         "    <o xmlns=\"urn:o\"/>\n    <attestation xmlns=\"urn:virt-attest:domain:1\"/>\n  </metadata></domain>",
         "<domain type=\"kvm\"><metadata>\n    " OURS "\n    <o xmlns=\"urn:o\"/>\n  </metadata></domain>\n",
         "<domain type=\"kvm\"><metadata>\n    <o xmlns=\"urn:o\"/>\n  </metadata></domain>\n"},
        {"only the URI counts",
         "<domain type=\"kvm\"><metadata><attest:attestation "
         "xmlns:attest=\"urn:virt-attest:domain:10\"/></metadata></domain>",
         "<domain type=\"kvm\"><metadata><attest:attestation xmlns:attest=\"urn:virt-attest:domain:10\"/>\n    " OURS
         "\n  </metadata></domain>\n",
         "<domain type=\"kvm\"><metadata><attest:attestation "
         "xmlns:attest=\"urn:virt-attest:domain:10\"/></metadata></domain>\n"},
    };
    g_autoptr(XmlAttestation) attestation = xml_attestation_new();

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree gchar *with = set_ok(rows[i].before, attestation);
        g_autofree gchar *twice = set_ok(with, attestation);
        g_autofree gchar *without = set_ok(rows[i].before, NULL);

        g_test_message("%s", rows[i].name);
        g_assert_cmpstr(with, ==, rows[i].with);
        g_assert_cmpstr(twice, ==, with);
        g_assert_cmpstr(without, ==, rows[i].without);
    }
}

static void test_set_reads_back(void)
{
    g_autoptr(XmlAttestation) attestation = sample();
    g_autofree gchar *text = set_ok("<domain type='kvm'><name>x</name></domain>", attestation);
    g_autoptr(GError) error = NULL;
    g_autoptr(XmlDomain) domain = xml_domain_parse(text, -1, &error);
    g_autofree gchar *again = NULL;

    g_assert_no_error(error);
    again = xml_attestation_format(domain->attestation);
    g_assert_cmpstr(again, ==, sample_text);
}

static void test_set_errors(void)
{
    static const char *const rows[] = {
        "",
        "<domain type='kvm'>",
        "<network/>",
        "<!DOCTYPE domain><domain type='kvm'/>",
        "<domain type='kvm'><metadata/><metadata/></domain>",
    };
    g_autoptr(XmlAttestation) attestation = xml_attestation_new();

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(xml_document_set_attestation(rows[i], -1, attestation, &error));
        g_assert_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE);
        g_assert_true(g_str_has_prefix(error->message, "domain XML, line "));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/attestation/format", test_format);
    g_test_add_func("/attestation/parse-every-field", test_parse_every_field);
    g_test_add_func("/attestation/as-libvirt-returns-it", test_as_libvirt_returns_it);
    g_test_add_func("/attestation/messages", test_messages);
    g_test_add_func("/attestation/too-many", test_too_many);
    g_test_add_func("/attestation/hostile-label", test_hostile_label);
    g_test_add_func("/attestation/schema", test_schema);
    g_test_add_func("/attestation/corpus", test_corpus);
    g_test_add_func("/attestation/set", test_set);
    g_test_add_func("/attestation/set-reads-back", test_set_reads_back);
    g_test_add_func("/attestation/set-errors", test_set_errors);
    return g_test_run();
}
