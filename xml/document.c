/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xml/document.h"

#include <libxml/xmlsave.h>
#include <string.h>

#include "measure/error.h"
#include "xml/domain.h"

#define PRINTABLE_MAX 200  /* characters of foreign text in a message */
#define MAX_ATTRIBUTES 128 /* of one element, namespace declarations included */

gchar *xml_printable(const char *text)
{
    GString *out = g_string_new(NULL);
    guint count = 0;

    while (*text != '\0') {
        gunichar c = g_utf8_get_char_validated(text, -1);

        if (++count > PRINTABLE_MAX) {
            g_string_append(out, "...");
            break;
        }
        if (c == (gunichar)-1 || c == (gunichar)-2) {
            g_string_append_printf(out, "\\x%02x", (guint8)*text);
            text++;
            continue;
        }
        if (g_unichar_isprint(c)) {
            g_string_append_unichar(out, c);
        } else {
            g_string_append_printf(out, c < 0x80 ? "\\x%02x" : "\\u%04x", c);
        }
        text = g_utf8_next_char(text);
    }
    return g_string_free(out, FALSE);
}

gboolean xml_is_legal_char(gunichar c)
{
    return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c != 0xfffe && c != 0xffff);
}

gboolean xml_is_legal(const char *text)
{
    if (!g_utf8_validate(text, -1, NULL)) {
        return FALSE;
    }
    for (; *text != '\0'; text = g_utf8_next_char(text)) {
        if (!xml_is_legal_char(g_utf8_get_char(text))) {
            return FALSE;
        }
    }
    return TRUE;
}

void xml_set_error(GError **error, const xmlNode *node, const char *format, ...)
{
    g_autofree gchar *message = NULL;
    va_list arguments;

    va_start(arguments, format);
    message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "line %ld: %s", xmlGetLineNo(node), message);
}

/* A document type declaration is the door to entities and external files; no domain XML needs one. */
static void refuse_doctype(void *data, const xmlChar *name, const xmlChar *external_id, const xmlChar *system_id)
{
    xmlParserCtxt *parser = data;

    *(gboolean *)parser->_private = TRUE;
    xmlStopParser(parser);
}

static void set_parse_error(xmlParserCtxt *parser, GError **error)
{
    const xmlError *cause = xmlCtxtGetLastError(parser);
    g_autofree gchar *raw = g_strdup(cause != NULL && cause->message != NULL ? cause->message : "not XML");
    g_autofree gchar *message = xml_printable(g_strchomp(raw));

    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "line %d: %s", cause != NULL ? cause->line : 1, message);
}

static gboolean is_utf8_name(const xmlChar *encoding)
{
    const char *name = (const char *)encoding;

    return name == NULL || g_ascii_strcasecmp(name, "UTF-8") == 0 || g_ascii_strcasecmp(name, "US-ASCII") == 0;
}

static const char *skip_past(const char *at, const char *end, const char *mark)
{
    const char *found = g_strstr_len(at, end - at, mark);

    return found != NULL ? found + strlen(mark) : end;
}

static gboolean starts_with(const char *at, const char *end, const char *mark)
{
    return (gsize)(end - at) >= strlen(mark) && memcmp(at, mark, strlen(mark)) == 0;
}

/* The '=' outside of quotes from @at, the start of a tag, to its end, which is put into @after. */
static guint count_attributes(const char *at, const char *end, const char **after)
{
    char quote = '\0';
    guint count = 0;

    for (; at < end && (quote != '\0' || *at != '>'); at++) {
        if (quote != '\0') {
            quote = *at == quote ? '\0' : quote;
        } else if (*at == '"' || *at == '\'') {
            quote = *at;
        } else if (*at == '=') {
            count++;
        }
    }
    *after = at;
    return count;
}

/*
 * libxml2 before 2.12 compares every attribute of an element with every other
 * one: a few megabytes of them would keep it busy for an hour. No domain comes
 * near the cap.
 */
static gboolean check_attribute_counts(const char *text, gsize size, GError **error)
{
    const char *end = text + size;
    const char *at = text;

    while ((at = memchr(at, '<', (gsize)(end - at))) != NULL) {
        if (starts_with(at, end, "<!--")) {
            at = skip_past(at + 4, end, "-->");
        } else if (starts_with(at, end, "<![CDATA[")) {
            at = skip_past(at, end, "]]>");
        } else if (starts_with(at, end, "<?")) {
            at = skip_past(at, end, "?>");
        } else if (count_attributes(at, end, &at) > MAX_ATTRIBUTES) {
            guint line = 1;

            for (const char *before = text; before < at; before++) {
                line += *before == '\n' ? 1 : 0;
            }
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                        "line %u: an element with more than %d attributes", line, MAX_ATTRIBUTES);
            return FALSE;
        }
    }
    return TRUE;
}

xmlDoc *xml_document_parse(const char *text, gssize size, GError **error)
{
    g_autoptr(xmlParserCtxt) parser = NULL;
    g_autoptr(xmlDoc) document = NULL;
    gboolean has_doctype = FALSE;
    gsize length = size < 0 ? strlen(text) : (gsize)size;

    if (length == 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "line 1: empty, where XML should be");
        return NULL;
    }
    if (length > XML_MAX_SIZE) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "line 1: %" G_GSIZE_FORMAT " bytes of XML, more than the %u that are read", length, XML_MAX_SIZE);
        return NULL;
    }
    if (memchr(text, '\0', length) != NULL || !g_utf8_validate(text, (gssize)length, NULL)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "line 1: not UTF-8 text: save it as UTF-8");
        return NULL;
    }
    if (!check_attribute_counts(text, length, error)) {
        return NULL;
    }
    parser = xmlNewParserCtxt();
    if (parser == NULL) {
        g_error("out of memory");
    }
    parser->_private = &has_doctype;
    parser->sax->internalSubset = refuse_doctype;
    /* Without XML_PARSE_HUGE libxml2 keeps its own caps, on nesting (256) for one: the tree may be walked recursively.
     */
    document = xmlCtxtReadMemory(parser, text, (int)length, NULL, NULL,
                                 XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_BIG_LINES);
    if (has_doctype) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "line 1: a document type declaration (DOCTYPE) is not allowed: remove it");
        return NULL;
    }
    if (document == NULL || !parser->wellFormed || !parser->nsWellFormed || xmlDocGetRootElement(document) == NULL) {
        set_parse_error(parser, error);
        return NULL;
    }
    if (!is_utf8_name(document->encoding)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "line 1: encoding other than UTF-8: save it as UTF-8");
        return NULL;
    }
    return g_steal_pointer(&document);
}

gchar *xml_node_to_text(xmlNode *node, int options)
{
    xmlBuffer *buffer = xmlBufferCreate();
    xmlSaveCtxt *save = xmlSaveToBuffer(buffer, "UTF-8", options | XML_SAVE_NO_DECL);
    gchar *text = NULL;

    if (save == NULL) {
        g_error("out of memory");
    }
    /* Without it libxml2 writes character references for whatever is not ASCII in an attribute. */
    if (node->doc->encoding == NULL) {
        node->doc->encoding = xmlStrdup((const xmlChar *)"UTF-8");
    }
    xmlSaveTree(save, node);
    xmlSaveClose(save);
    text = g_strdup((const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    return text;
}

/* Node by node: a comment before or after the root stays, and no XML declaration is invented. */
gchar *xml_document_to_text(xmlDoc *document)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (xmlNode *node = document->children; node != NULL; node = node->next) {
        g_autofree gchar *part = xml_node_to_text(node, 0);

        g_string_append(text, part);
        g_string_append_c(text, '\n');
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

gboolean xml_is_element(const xmlNode *node, const char *uri, const char *name)
{
    const char *own = node->ns != NULL ? (const char *)node->ns->href : NULL;

    return node->type == XML_ELEMENT_NODE && g_strcmp0(own, uri) == 0 &&
           (name == NULL || strcmp((const char *)node->name, name) == 0);
}

gboolean xml_find_child(xmlNode *parent, const char *name, xmlNode **out, GError **error)
{
    *out = NULL;
    for (xmlNode *child = parent->children; child != NULL; child = child->next) {
        if (!xml_is_element(child, NULL, name)) {
            continue;
        }
        if (*out != NULL) {
            xml_set_error(error, child, "a second <%s> inside <%s>: libvirt would ignore it, keep one", name,
                          (const char *)parent->name);
            return FALSE;
        }
        *out = child;
    }
    return TRUE;
}

gboolean xml_read_text(xmlNode *element, gchar **out, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);

    *out = NULL;
    for (xmlNode *child = element->children; child != NULL; child = child->next) {
        if (child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE) {
            g_string_append(text, (const char *)child->content);
        } else if (child->type != XML_COMMENT_NODE && child->type != XML_PI_NODE) {
            xml_set_error(error, child, "<%s> has something else than text in it", (const char *)element->name);
            return FALSE;
        }
    }
    if (text->len > 0) {
        *out = g_string_free(g_steal_pointer(&text), FALSE);
    }
    return TRUE;
}

gboolean xml_read_child_text(xmlNode *parent, const char *name, gchar **out, GError **error)
{
    xmlNode *child = NULL;

    *out = NULL;
    if (!xml_find_child(parent, name, &child, error)) {
        return FALSE;
    }
    return child == NULL || xml_read_text(child, out, error);
}

gboolean xml_read_attribute(xmlNode *element, const char *name, gchar **out, GError **error)
{
    *out = NULL;
    for (xmlAttr *attribute = element->properties; attribute != NULL; attribute = attribute->next) {
        g_autoptr(XmlString) value = NULL;

        if (strcmp((const char *)attribute->name, name) != 0) {
            continue;
        }
        if (attribute->ns != NULL || *out != NULL) {
            g_clear_pointer(out, g_free);
            xml_set_error(error, element, "attribute '%s' of <%s> is in a namespace: remove its prefix", name,
                          (const char *)element->name);
            return FALSE;
        }
        value = xmlNodeListGetString(element->doc, attribute->children, 1);
        *out = g_strdup(value != NULL ? (const char *)value : "");
    }
    return TRUE;
}

gboolean xml_read_yes_no(xmlNode *element, const char *name, gboolean *out, GError **error)
{
    g_autofree gchar *value = NULL;

    if (!xml_read_attribute(element, name, &value, error)) {
        return FALSE;
    }
    if (value == NULL) {
        return TRUE;
    }
    if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0) {
        g_autofree gchar *shown = xml_printable(value);

        xml_set_error(error, element, "attribute '%s' of <%s> is '%s': write 'yes' or 'no'", name,
                      (const char *)element->name, shown);
        return FALSE;
    }
    *out = strcmp(value, "yes") == 0;
    return TRUE;
}

gboolean xml_parse_number(const char *text, guint base, guint64 max, guint64 *out)
{
    guint64 value = 0;

    while (g_ascii_isspace(*text)) {
        text++;
    }
    if (base == 16 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        text += 2;
    }
    if (*text == '\0') {
        return FALSE;
    }
    for (; *text != '\0'; text++) {
        int digit = base == 16 ? g_ascii_xdigit_value(*text) : g_ascii_digit_value(*text);

        if (digit < 0 || value > (G_MAXUINT64 - (guint64)digit) / base) {
            return FALSE;
        }
        value = value * base + (guint64)digit;
    }
    if (value > max) {
        return FALSE;
    }
    *out = value;
    return TRUE;
}

gboolean xml_machine_is_q35(const char *machine)
{
    return machine != NULL && (strcmp(machine, "q35") == 0 || g_str_has_prefix(machine, "pc-q35-"));
}

gboolean xml_machine_is_i440fx(const char *machine)
{
    return machine != NULL && (strcmp(machine, "pc") == 0 || g_str_has_prefix(machine, "pc-i440fx-"));
}
