/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading hostile XML, here and in the commands: parse without DTD, entities or
 * network, then take single elements, texts and attributes with an error for
 * everything that libvirt and we might understand differently.
 *
 * Every reader returns %FALSE with an %ATTEST_ERROR_UNREADABLE that names the line.
 */
#pragma once

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "measure/foreign-autoptr.h"
#include "xml/attestation.h"

/**
 * xml_document_parse:
 * @text: XML in UTF-8, at most %XML_MAX_SIZE bytes
 * @size: bytes, or -1 when zero-terminated
 *
 * Returns: (transfer full): the document; it has a root element and no DOCTYPE.
 */
xmlDoc *xml_document_parse(const char *text, gssize size, GError **error);

/* The subtree as text in UTF-8, without an XML declaration; @options as for xmlSaveToBuffer(). */
gchar *xml_node_to_text(xmlNode *node, int options);

/* The whole document as text in UTF-8, comments around the root included, without an XML declaration. */
gchar *xml_document_to_text(xmlDoc *document);

/* A copy of @text that is safe on a terminal and in a log: one line, unprintable characters escaped, cut when long. */
gchar *xml_printable(const char *text);
/* Whether XML 1.0 can carry @text at all: UTF-8 without control characters other than tab, newline, carriage return. */
gboolean xml_is_legal(const char *text);
gboolean xml_is_legal_char(gunichar c);

void xml_set_error(GError **error, const xmlNode *node, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* Whether @node is the element @name in no namespace (@uri %NULL) or in @uri. */
gboolean xml_is_element(const xmlNode *node, const char *uri, const char *name);
/* The one child element @name in no namespace, %NULL when there is none; two of them are an error. */
gboolean xml_find_child(xmlNode *parent, const char *name, xmlNode **out, GError **error);
/* The element's own text, verbatim; %NULL when it is empty, as libvirt reads it. Child elements are an error. */
gboolean xml_read_text(xmlNode *element, gchar **out, GError **error);
/* Both together: text of the one child @name. */
gboolean xml_read_child_text(xmlNode *parent, const char *name, gchar **out, GError **error);
/* %NULL when there is none. The same name in a namespace is an error: libvirt takes attributes by name alone. */
gboolean xml_read_attribute(xmlNode *element, const char *name, gchar **out, GError **error);
/* "yes" or "no"; @out is left alone when there is none. */
gboolean xml_read_yes_no(xmlNode *element, const char *name, gboolean *out, GError **error);

/* Digits only, in base 10 or, with an optional 0x, in base 16; nothing but blanks before, nothing after. */
gboolean xml_parse_number(const char *text, guint base, guint64 max, guint64 *out);

/* "q35", "pc-q35-10.0" */
gboolean xml_machine_is_q35(const char *machine);
/* "pc", "pc-i440fx-10.0" */
gboolean xml_machine_is_i440fx(const char *machine);

/* Reads our metadata element from a document; @element is any element. */
XmlAttestation *xml_attestation_read(xmlNode *element, GError **error);
