/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a domain XML, and showing what was found in it: used by every command that measures. */
#pragma once

#include "policy/gate.h"
#include "virsh-wrappers/output.h"
#include "virsh-wrappers/context.h"

/* Reads a file, or standard input for "-"; at most %XML_MAX_SIZE bytes. */
gboolean cmd_read_xml(const char *path, gchar **text, gsize *size, GError **error);
/* Reads a file, at most @max_size bytes; @label: "domain XML 'x.xml'", fit to be printed. Of pipes and devices only what
 * the caller has opened: standard input, the pipe behind /dev/fd/N. */
gboolean cmd_read_file(const char *path, const char *label, gsize max_size, gchar **text, gsize *size, GError **error);
/* TRUE when a word names a file rather than a domain: "-", or with a '/' or the ending ".xml" or ".tar". */
gboolean cmd_word_is_file(const char *word);
/* After a domain could not be looked up: adds to the error what to do if its word was meant to be a file.
 * @endings: of the files that the command takes: "'.xml' or '.tar'" */
void cmd_hint_file(const CmdContext *context, const char *word, const char *endings, GError **error);

/* Prints what the parser remarked, on standard error. */
void cmd_report_warnings(const CmdContext *context, const XmlDomain *domain);

/* "sev-snp", "none", or the TEE that is not ours. */
const char *cmd_platform_label(const XmlDomain *domain, const PolicyEvaluation *evaluation);

/* Table of measurements; (element-type XmlMeasurement). */
void cmd_report_measurements(GPtrArray *measurements, gboolean bare);
/* The same tables as text. */
gchar *cmd_measurements_format(const GPtrArray *measurements, gboolean bare);
gchar *cmd_inputs_format(const GPtrArray *inputs, gboolean bare);
/* Table of inputs; (element-type PolicyReferenceInput). */
void cmd_report_inputs(GPtrArray *inputs, gboolean bare);
/* Table of findings; (element-type PolicyFinding). @only_bad leaves out what passed. */
void cmd_report_findings(GPtrArray *findings, gboolean only_bad, gboolean bare);
/* Table of changes; (element-type PolicyChange). */
void cmd_report_changes(GPtrArray *changes, gboolean bare);
/* The same between two references. */
void cmd_report_differences(GPtrArray *changes, gboolean bare);
/* JSON arrays of the same. */
void cmd_json_findings(JsonBuilder *builder, const char *name, GPtrArray *findings);
void cmd_json_changes(JsonBuilder *builder, const char *name, GPtrArray *changes);

/* Every finding that keeps the level below @level, one line each, for an error message. */
gchar *cmd_failing_findings(GPtrArray *findings, guint level);
