/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/attestation.h"

#include <libxml/xmlsave.h>
#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "xml/document.h"

#define LABEL_MAX 64          /* bytes of a CPU label */
#define VERITY_DIGITS_MIN 32  /* 128-bit hash */
#define VERITY_DIGITS_MAX 128 /* 512-bit hash */
#define MAX_LEVEL 4

static const char *const input_roles[] = {"firmware", "kernel", "initrd", "cmdline", NULL};

XmlAttestation *xml_attestation_new(void)
{
    XmlAttestation *attestation = g_new0(XmlAttestation, 1);

    attestation->on_mismatch = XML_ON_MISMATCH_REFUSE;
    attestation->measurements = g_ptr_array_new_with_free_func((GDestroyNotify)xml_measurement_free);
    attestation->inputs = g_ptr_array_new_with_free_func((GDestroyNotify)xml_input_free);
    return attestation;
}

void xml_attestation_free(XmlAttestation *attestation)
{
    if (attestation == NULL) {
        return;
    }
    g_ptr_array_unref(attestation->measurements);
    g_ptr_array_unref(attestation->inputs);
    g_free(attestation->verity_root_hash);
    g_free(attestation);
}

XmlMeasurement *xml_measurement_new(void)
{
    return g_new0(XmlMeasurement, 1);
}

void xml_measurement_free(XmlMeasurement *measurement)
{
    if (measurement == NULL) {
        return;
    }
    g_free(measurement->cpu);
    g_free(measurement);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XmlMeasurement, xml_measurement_free)

XmlInput *xml_input_new(const char *role, guint64 size, const guint8 *sha256)
{
    XmlInput *input = g_new0(XmlInput, 1);

    input->role = g_strdup(role);
    input->size = size;
    memcpy(input->sha256, sha256, MEASURE_SHA256_SIZE);
    return input;
}

void xml_input_free(XmlInput *input)
{
    if (input == NULL) {
        return;
    }
    g_free(input->role);
    g_free(input);
}

static gsize digest_size(MeasurePlatform platform)
{
    return platform == MEASURE_PLATFORM_SNP ? MEASURE_SHA384_SIZE : MEASURE_SHA256_SIZE;
}

/* ---- writing ---- */

static void set_attribute(xmlNode *node, const char *name, const char *value)
{
    g_autofree gchar *valid = g_utf8_make_valid(value, -1);
    g_autoptr(GString) legal = g_string_new(NULL);

    for (const char *at = valid; *at != '\0'; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);

        g_string_append_unichar(legal, xml_is_legal_char(c) ? c : 0xfffd);
    }
    xmlNewProp(node, (const xmlChar *)name, (const xmlChar *)legal->str);
}

static void set_attribute_printf(xmlNode *node, const char *name, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void set_attribute_printf(xmlNode *node, const char *name, const char *format, ...)
{
    g_autofree gchar *value = NULL;
    va_list arguments;

    va_start(arguments, format);
    value = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    set_attribute(node, name, value);
}

static void add_line_break(xmlNode *parent, guint depth)
{
    g_autofree gchar *blanks = g_strnfill(depth * 2, ' ');
    g_autofree gchar *text = g_strconcat("\n", blanks, NULL);

    xmlAddChild(parent, xmlNewText((const xmlChar *)text));
}

static xmlNode *add_line(xmlNode *parent, const char *name, guint depth)
{
    add_line_break(parent, depth);
    return xmlNewChild(parent, parent->ns, (const xmlChar *)name, NULL);
}

static void add_measurement(xmlNode *root, const XmlMeasurement *measurement, guint depth)
{
    xmlNode *node = add_line(root, "measurement", depth);
    g_autofree gchar *digest = measure_hex_encode(measurement->digest.bytes, digest_size(measurement->platform));

    set_attribute(node, "platform", measure_platform_name(measurement->platform));
    if (measurement->cpu != NULL) {
        set_attribute(node, "cpu", measurement->cpu);
        set_attribute_printf(node, "signature", "0x%x", measurement->signature);
        set_attribute_printf(node, "features", "0x%" G_GINT64_MODIFIER "x", measurement->features);
    }
    if (measurement->vcpus != 0) {
        set_attribute_printf(node, "vcpus", "%u", measurement->vcpus);
    }
    if (measurement->has_fpu) {
        set_attribute(node, "fpu", measure_fpu_name(measurement->fpu));
    }
    xmlAddChild(node, xmlNewText((const xmlChar *)digest));
}

static void add_input(xmlNode *root, const XmlInput *input, guint depth)
{
    xmlNode *node = add_line(root, "input", depth);
    g_autofree gchar *digest = measure_hex_encode(input->sha256, MEASURE_SHA256_SIZE);

    set_attribute(node, "role", input->role);
    set_attribute_printf(node, "size", "%" G_GUINT64_FORMAT, input->size);
    set_attribute(node, "sha256", digest);
}

/* Line breaks and indentation are text nodes of ours, so that the result is the same wherever it stands. */
static xmlNode *build_element(xmlDoc *document, const XmlAttestation *attestation, const char *prefix, guint depth)
{
    xmlNode *root = xmlNewDocNode(document, NULL, (const xmlChar *)"attestation", NULL);

    xmlSetNs(root, xmlNewNs(root, (const xmlChar *)XML_ATTESTATION_URI, (const xmlChar *)prefix));
    set_attribute_printf(root, "level", "%u", attestation->level);
    set_attribute(root, "onMismatch", attestation->on_mismatch == XML_ON_MISMATCH_OBSERVE ? "observe" : "refuse");
    for (guint i = 0; i < attestation->measurements->len; i++) {
        add_measurement(root, g_ptr_array_index(attestation->measurements, i), depth + 1);
    }
    for (guint i = 0; i < attestation->inputs->len; i++) {
        add_input(root, g_ptr_array_index(attestation->inputs, i), depth + 1);
    }
    if (attestation->verity_root_hash != NULL) {
        set_attribute(add_line(root, "verity", depth + 1), "rootHash", attestation->verity_root_hash);
    }
    if (root->children != NULL) {
        add_line_break(root, depth);
    }
    return root;
}

gchar *xml_attestation_format(const XmlAttestation *attestation)
{
    g_autoptr(xmlDoc) document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNode *root = build_element(document, attestation, NULL, 0);

    xmlDocSetRootElement(document, root);
    return xml_node_to_text(root, 0);
}

/* ---- reading ---- */

#define NEWER "it was written by a newer version or by hand"

static gboolean check_attributes(xmlNode *element, const char *const *known, GError **error)
{
    for (xmlAttr *attribute = element->properties; attribute != NULL; attribute = attribute->next) {
        if (attribute->ns != NULL || !g_strv_contains(known, (const char *)attribute->name)) {
            g_autofree gchar *shown = xml_printable((const char *)attribute->name);

            xml_set_error(error, element, "unknown attribute '%s' in the attestation's <%s>: " NEWER, shown,
                          (const char *)element->name);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean bad_attribute(xmlNode *element, const char *name, const char *value, const char *wanted, GError **error)
{
    if (value == NULL) {
        xml_set_error(error, element, "the attestation's <%s> has no attribute '%s' (%s)", (const char *)element->name,
                      name, wanted);
    } else {
        g_autofree gchar *shown = xml_printable(value);

        xml_set_error(error, element, "attribute '%s' of the attestation's <%s> is '%s', which is not %s", name,
                      (const char *)element->name, shown, wanted);
    }
    return FALSE;
}

/* An absent @optional attribute leaves @out alone; base 16 demands its 0x. */
static gboolean read_number(xmlNode *element, const char *name, guint base, guint64 min, guint64 max, gboolean optional,
                            guint64 *out, GError **error)
{
    g_autofree gchar *value = NULL;
    g_autofree gchar *wanted =
        base == 16 ? g_strdup_printf("a hexadecimal number such as 0x1, at most 0x%" G_GINT64_MODIFIER "x", max)
                   : g_strdup_printf("a number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, min, max);

    if (!xml_read_attribute(element, name, &value, error)) {
        return FALSE;
    }
    if (value == NULL && optional) {
        return TRUE;
    }
    if (value == NULL || g_ascii_isspace(*value) || (base == 16 && !g_str_has_prefix(value, "0x")) ||
        !xml_parse_number(value, base, max, out) || *out < min) {
        return bad_attribute(element, name, value, wanted, error);
    }
    return TRUE;
}

static gboolean is_label(const char *text)
{
    gsize length = strlen(text);

    if (length == 0 || length > LABEL_MAX) {
        return FALSE;
    }
    for (; *text != '\0'; text++) {
        if (!g_ascii_isalnum(*text) && strchr("._+-", *text) == NULL) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean read_platform(xmlNode *element, MeasurePlatform *out, GError **error)
{
    g_autofree gchar *value = NULL;

    if (!xml_read_attribute(element, "platform", &value, error)) {
        return FALSE;
    }
    if (value == NULL || !measure_platform_from_name(value, out)) {
        return bad_attribute(element, "platform", value, "sev, sev-es or sev-snp", error);
    }
    return TRUE;
}

/* Plain SEV measures no vCPU and may go without; otherwise label, signature and features come together. */
static gboolean read_cpu(xmlNode *element, XmlMeasurement *measurement, GError **error)
{
    gboolean optional = measurement->platform == MEASURE_PLATFORM_SEV;
    guint64 signature = 0;

    if (!xml_read_attribute(element, "cpu", &measurement->cpu, error)) {
        return FALSE;
    }
    if (measurement->cpu == NULL && optional) {
        static const char *const without[] = {"platform", "vcpus", "fpu", NULL};

        return check_attributes(element, without, error);
    }
    if (measurement->cpu == NULL || !is_label(measurement->cpu)) {
        return bad_attribute(element, "cpu", measurement->cpu, "a CPU model or signature", error);
    }
    if (!read_number(element, "signature", 16, 0, G_MAXUINT32, FALSE, &signature, error) ||
        !read_number(element, "features", 16, 0, G_MAXUINT64, FALSE, &measurement->features, error)) {
        return FALSE;
    }
    measurement->signature = (guint32)signature;
    return TRUE;
}

static gboolean read_fpu(xmlNode *element, XmlMeasurement *measurement, GError **error)
{
    g_autofree gchar *value = NULL;

    if (!xml_read_attribute(element, "fpu", &value, error)) {
        return FALSE;
    }
    if (value == NULL) {
        return TRUE;
    }
    measurement->has_fpu = TRUE;
    for (MeasureFpu fpu = MEASURE_FPU_LEGACY; fpu <= MEASURE_FPU_INIT2; fpu++) {
        if (strcmp(value, measure_fpu_name(fpu)) == 0) {
            measurement->fpu = fpu;
            return TRUE;
        }
    }
    return bad_attribute(element, "fpu", value, "legacy or init2", error);
}

static gboolean read_digest(xmlNode *element, XmlMeasurement *measurement, GError **error)
{
    g_autofree gchar *text = NULL;
    gsize size = digest_size(measurement->platform);

    if (!xml_read_text(element, &text, error)) {
        return FALSE;
    }
    if (text == NULL || !measure_hex_decode(g_strstrip(text), measurement->digest.bytes, size)) {
        xml_set_error(error, element,
                      "a %s measurement has %" G_GSIZE_FORMAT " hexadecimal digits; this one is something else",
                      measure_platform_name(measurement->platform), size * 2);
        return FALSE;
    }
    measurement->digest.size = size;
    return TRUE;
}

static gboolean read_measurement(xmlNode *element, XmlAttestation *attestation, GHashTable *seen, GError **error)
{
    static const char *const known[] = {"platform", "cpu", "signature", "features", "vcpus", "fpu", NULL};
    g_autoptr(XmlMeasurement) measurement = xml_measurement_new();
    guint64 vcpus = 0;
    gchar *key = NULL;

    if (attestation->measurements->len == XML_ATTESTATION_MAX_MEASUREMENTS) {
        xml_set_error(error, element, "more than %d measurements in one attestation", XML_ATTESTATION_MAX_MEASUREMENTS);
        return FALSE;
    }
    if (!check_attributes(element, known, error) || !read_platform(element, &measurement->platform, error) ||
        !read_cpu(element, measurement, error) ||
        !read_number(element, "vcpus", 10, 1, MEASURE_MAX_VCPUS, TRUE, &vcpus, error) ||
        !read_fpu(element, measurement, error) || !read_digest(element, measurement, error)) {
        return FALSE;
    }
    measurement->vcpus = (guint)vcpus;
    key = g_strdup_printf("%d %s %x %" G_GINT64_MODIFIER "x %u %d", measurement->platform,
                          measurement->cpu != NULL ? measurement->cpu : "", measurement->signature,
                          measurement->features, measurement->vcpus, measurement->has_fpu ? (int)measurement->fpu : -1);
    if (!g_hash_table_add(seen, key)) {
        xml_set_error(error, element, "two measurements of the same platform and CPU in one attestation");
        return FALSE;
    }
    g_ptr_array_add(attestation->measurements, g_steal_pointer(&measurement));
    return TRUE;
}

static gboolean read_input(xmlNode *element, XmlAttestation *attestation, GError **error)
{
    static const char *const known[] = {"role", "size", "sha256", NULL};
    g_autofree gchar *role = NULL;
    g_autofree gchar *digest = NULL;
    guint8 sha256[MEASURE_SHA256_SIZE];
    guint64 size = 0;

    if (!check_attributes(element, known, error) || !xml_read_attribute(element, "role", &role, error) ||
        !xml_read_attribute(element, "sha256", &digest, error) ||
        !read_number(element, "size", 10, 0, G_MAXINT64, FALSE, &size, error)) {
        return FALSE;
    }
    if (role == NULL || !g_strv_contains(input_roles, role)) {
        return bad_attribute(element, "role", role, "firmware, kernel, initrd or cmdline", error);
    }
    if (digest == NULL || !measure_hex_decode(digest, sha256, sizeof sha256)) {
        return bad_attribute(element, "sha256", digest, "64 hexadecimal digits", error);
    }
    for (guint i = 0; i < attestation->inputs->len; i++) {
        const XmlInput *other = g_ptr_array_index(attestation->inputs, i);

        if (strcmp(other->role, role) == 0) {
            xml_set_error(error, element, "two inputs with the role '%s' in one attestation", role);
            return FALSE;
        }
    }
    g_ptr_array_add(attestation->inputs, xml_input_new(role, size, sha256));
    return TRUE;
}

static gboolean read_verity(xmlNode *element, XmlAttestation *attestation, GError **error)
{
    static const char *const known[] = {"rootHash", NULL};
    g_autofree gchar *hash = NULL;
    gsize length = 0;

    if (attestation->verity_root_hash != NULL) {
        xml_set_error(error, element, "two <verity> in one attestation");
        return FALSE;
    }
    if (!check_attributes(element, known, error) || !xml_read_attribute(element, "rootHash", &hash, error)) {
        return FALSE;
    }
    length = hash != NULL ? strspn(hash, "0123456789abcdefABCDEF") : 0;
    if (hash == NULL || hash[length] != '\0' || length % 2 != 0 || length < VERITY_DIGITS_MIN ||
        length > VERITY_DIGITS_MAX) {
        return bad_attribute(element, "rootHash", hash, "32 to 128 hexadecimal digits", error);
    }
    attestation->verity_root_hash = g_steal_pointer(&hash);
    return TRUE;
}

/* Everything of <input> and <verity> is in attributes. */
static gboolean check_empty(xmlNode *element, GError **error)
{
    g_autofree gchar *text = NULL;

    if (!xml_read_text(element, &text, error)) {
        return FALSE;
    }
    if (text != NULL && *g_strstrip(text) != '\0') {
        xml_set_error(error, element, "text in the attestation's <%s>: " NEWER, (const char *)element->name);
        return FALSE;
    }
    return TRUE;
}

static gboolean read_child(xmlNode *child, XmlAttestation *attestation, GHashTable *seen, GError **error)
{
    if (xml_is_element(child, XML_ATTESTATION_URI, "measurement")) {
        return read_measurement(child, attestation, seen, error);
    }
    if (xml_is_element(child, XML_ATTESTATION_URI, "input")) {
        return check_empty(child, error) && read_input(child, attestation, error);
    }
    if (xml_is_element(child, XML_ATTESTATION_URI, "verity")) {
        return check_empty(child, error) && read_verity(child, attestation, error);
    }
    if (child->type == XML_COMMENT_NODE || child->type == XML_PI_NODE || xmlIsBlankNode(child)) {
        return TRUE;
    }
    if (child->type == XML_ELEMENT_NODE) {
        g_autofree gchar *shown = xml_printable((const char *)child->name);

        xml_set_error(error, child, "unknown element <%s> in the attestation: " NEWER, shown);
    } else {
        xml_set_error(error, child, "text between the elements of the attestation");
    }
    return FALSE;
}

XmlAttestation *xml_attestation_read(xmlNode *element, GError **error)
{
    static const char *const known[] = {"level", "onMismatch", NULL};
    g_autoptr(XmlAttestation) attestation = xml_attestation_new();
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree gchar *on_mismatch = NULL;
    guint64 level = 0;

    if (!xml_is_element(element, XML_ATTESTATION_URI, "attestation")) {
        g_autofree gchar *shown = xml_printable((const char *)element->name);

        xml_set_error(error, element, "<%s> is not the element <attestation> of the namespace " XML_ATTESTATION_URI,
                      shown);
        return NULL;
    }
    if (!check_attributes(element, known, error) ||
        !read_number(element, "level", 10, 0, MAX_LEVEL, FALSE, &level, error) ||
        !xml_read_attribute(element, "onMismatch", &on_mismatch, error)) {
        return NULL;
    }
    attestation->level = (guint)level;
    if (g_strcmp0(on_mismatch, "observe") == 0) {
        attestation->on_mismatch = XML_ON_MISMATCH_OBSERVE;
    } else if (on_mismatch != NULL && strcmp(on_mismatch, "refuse") != 0) {
        bad_attribute(element, "onMismatch", on_mismatch, "refuse or observe", error);
        return NULL;
    }
    for (xmlNode *child = element->children; child != NULL; child = child->next) {
        if (!read_child(child, attestation, seen, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&attestation);
}

/* The parser's cap on nesting bounds the recursion. */
static void adopt_namespace(xmlNode *element, xmlNs *namespace)
{
    if (element->ns == NULL) {
        xmlSetNs(element, namespace);
    }
    for (xmlNode *child = element->children; child != NULL; child = child->next) {
        if (child->type == XML_ELEMENT_NODE) {
            adopt_namespace(child, namespace);
        }
    }
}

XmlAttestation *xml_attestation_parse(const char *text, gssize size, GError **error)
{
    g_autoptr(xmlDoc) document = xml_document_parse(text, size, error);
    XmlAttestation *attestation = NULL;

    if (document != NULL) {
        xmlNode *root = xmlDocGetRootElement(document);

        if (root->ns == NULL) {
            adopt_namespace(root, xmlNewNs(root, (const xmlChar *)XML_ATTESTATION_URI, NULL));
        }
        attestation = xml_attestation_read(root, error);
    }
    if (attestation == NULL) {
        g_prefix_error(error, "attestation metadata, ");
    }
    return attestation;
}

/* ---- putting it into a domain ---- */

/* The blanks before an element belong to it: without them no empty line is left behind. */
static void remove_with_blanks(xmlNode *node)
{
    xmlNode *before = node->prev;

    if (before != NULL && before->type == XML_TEXT_NODE && xmlIsBlankNode(before)) {
        xmlUnlinkNode(before);
        xmlFreeNode(before);
    }
    xmlUnlinkNode(node);
    xmlFreeNode(node);
}

static xmlNode *new_blanks(guint depth)
{
    g_autofree gchar *blanks = g_strnfill(depth * 2, ' ');
    g_autofree gchar *text = g_strconcat("\n", blanks, NULL);

    return xmlNewText((const xmlChar *)text);
}

/* After the elements that name the domain, as libvirt's own order has it. */
static xmlNode *add_metadata(xmlNode *domain)
{
    static const char *const leading[] = {"name", "uuid", "genid", "hwuuid", "title", "description", NULL};
    xmlNode *metadata = xmlNewDocNode(domain->doc, NULL, (const xmlChar *)"metadata", NULL);
    xmlNode *last = NULL;

    for (xmlNode *child = domain->children; child != NULL; child = child->next) {
        if (xml_is_element(child, NULL, NULL) && g_strv_contains(leading, (const char *)child->name)) {
            last = child;
        }
    }
    if (last != NULL) {
        xmlAddNextSibling(last, metadata);
    } else if (domain->children != NULL) {
        xmlAddPrevSibling(domain->children, metadata);
    } else {
        xmlAddChild(domain, metadata);
    }
    xmlAddPrevSibling(metadata, new_blanks(1));
    if (metadata->next == NULL) {
        xmlAddChild(domain, new_blanks(0));
    }
    return metadata;
}

/* @out is %NULL where the domain has no <metadata> yet. */
static gboolean find_metadata(xmlNode *domain, xmlNode **out, GError **error)
{
    if (!xml_is_element(domain, NULL, "domain")) {
        xml_set_error(error, domain, "the root element is not <domain>: give a libvirt domain XML");
        return FALSE;
    }
    return xml_find_child(domain, "metadata", out, error);
}

static void replace_element(xmlNode *metadata, xmlNode *wanted)
{
    xmlNode *next = NULL;

    for (xmlNode *child = metadata->children; child != NULL; child = next) {
        next = child->next;
        if (!xml_is_element(child, XML_ATTESTATION_URI, NULL)) {
            continue;
        }
        if (wanted != NULL) {
            xmlAddPrevSibling(child, wanted);
            wanted = NULL;
            xmlUnlinkNode(child);
            xmlFreeNode(child);
        } else {
            remove_with_blanks(child);
        }
    }
    if (wanted == NULL) {
        return;
    }
    if (metadata->last != NULL && metadata->last->type == XML_TEXT_NODE && xmlIsBlankNode(metadata->last)) {
        xmlAddPrevSibling(metadata->last, wanted);
    } else {
        xmlAddChild(metadata, wanted);
        xmlAddChild(metadata, new_blanks(1));
    }
    xmlAddPrevSibling(wanted, new_blanks(2));
}

gchar *xml_document_set_attestation(const char *domain_xml, gssize size, const XmlAttestation *attestation,
                                    GError **error)
{
    g_autoptr(xmlDoc) document = xml_document_parse(domain_xml, size, error);
    xmlNode *domain = NULL;
    xmlNode *metadata = NULL;

    if (document != NULL) {
        domain = xmlDocGetRootElement(document);
    }
    if (domain == NULL || !find_metadata(domain, &metadata, error)) {
        g_prefix_error(error, "domain XML, ");
        return NULL;
    }
    if (metadata == NULL && attestation != NULL) {
        metadata = add_metadata(domain);
    }
    if (metadata != NULL) {
        replace_element(metadata,
                        attestation != NULL ? build_element(document, attestation, XML_ATTESTATION_PREFIX, 2) : NULL);
    }
    return xml_document_to_text(document);
}
