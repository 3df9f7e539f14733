/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an import leaves in its output folder: NAME.xml and NAME.reference.json. */
#pragma once

#include "virsh-wrappers/reference-source.h"

/* NULL, or why @name cannot be the beginning of file names in a folder of ours. */
const char *cmd_import_name_invalid(const char *name);

/**
 * cmd_import_measure:
 * @xml: a domain XML
 * @cpus: (nullable): CPU types to measure for where the XML leaves the choice to the host
 * @source: "alman", "openend2e"
 * @reference: (out): portable, without the owner's rules
 */
CmdSubject *cmd_import_measure(CmdContext *context, const char *xml, GPtrArray *cpus, const char *source,
                               PolicyReference **reference, GError **error);
/* Makes @folder and checks that both files can be written; FALSE with @error as cmd_import_write(). */
gboolean cmd_import_check(const CmdContext *context, const char *folder, const char *name, GError **error);
/**
 * cmd_import_write:
 * @xml_path, @reference_path: (out): what was written
 *
 * Both files, mode 0644; existing ones only with --force, and where one may not be replaced neither is written.
 */
gboolean cmd_import_write(CmdContext *context, const char *folder, const char *name, const char *xml,
                          const PolicyReference *reference, gchar **xml_path, gchar **reference_path, GError **error);
/* "virt-attest define … --reference …", quoted for a shell. */
gchar *cmd_import_define_command(const char *xml_path, const char *reference_path);
