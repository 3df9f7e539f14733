/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder of ALman, and every guest in it, measured again. */
#pragma once

#include "virsh-wrappers/alman-explain.h"
#include "virsh-wrappers/subject.h"

typedef enum {
    CMD_ALMAN_MATCH,
    CMD_ALMAN_DIFFERS,
    CMD_ALMAN_UNRECORDED, /* ALman has no measurement of it */
    CMD_ALMAN_BROKEN,     /* cannot be taken over */
} CmdAlmanResult;
const char *cmd_alman_result_name(CmdAlmanResult result); /* "match", "differs", "unrecorded", "broken" */

/**
 * CmdAlmanMeasured:
 * @label: ALman's name of the CPU
 * @recorded, @measured: (nullable): hexadecimal
 * @result: match, differs, unrecorded (by ALman), broken (by us)
 * @why: (nullable): explanation of the last three
 */
typedef struct {
    gchar *label, *recorded, *measured, *why;
    CmdAlmanResult result;
} CmdAlmanMeasured;

/**
 * CmdAlmanGuest:
 * @record: (nullable): its entry in expected-measurements.json
 * @result: differs when one of @measured does, else match when one does, else unrecorded; or broken
 * @why: (nullable): with broken
 * @xml, @reference: (nullable): when measured: the domain, and a portable reference for every CPU type of the record
 * @measured: (element-type CmdAlmanMeasured)
 * @notes: (element-type utf8): what had to be assumed or replaced
 */
typedef struct {
    gchar *name;
    const ExchangeAlmanGuest *record;
    CmdAlmanResult result;
    gchar *why;
    gchar *xml;
    PolicyReference *reference;
    GPtrArray *measured, *notes;
} CmdAlmanGuest;

/**
 * CmdAlmanFolder:
 * @path: absolute
 * @conf, @cpus, @records: (nullable): alman.conf, cpu-types.json, expected-measurements.json
 * @torn: there are records, and they cannot be read: nothing was compared
 * @notes: (element-type utf8): what could not be read
 * @guests: (element-type CmdAlmanGuest): by name
 */
typedef struct {
    gchar *path;
    ExchangeAlmanConf *conf;
    GPtrArray *cpus, *records;
    gboolean torn;
    GPtrArray *notes, *guests;
} CmdAlmanFolder;

/**
 * cmd_alman_folder_read:
 *
 * A guest is what has an entry in expected-measurements.json, a domain XML in work/xml or a root disk in work/disks.
 * Its domain is that XML where it is there and can be measured; otherwise one composed of the record, the disks and
 * ALman's own defaults.
 *
 * Errors: %ATTEST_ERROR_UNREADABLE when the folder is none of ALman's.
 */
CmdAlmanFolder *cmd_alman_folder_read(CmdContext *context, const char *path, GError **error);
void cmd_alman_folder_free(CmdAlmanFolder *folder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CmdAlmanFolder, cmd_alman_folder_free)

/* Measures @guest, and compares with its record. What fails is said in @guest. */
void cmd_alman_guest_measure(CmdContext *context, const CmdAlmanFolder *folder, CmdAlmanGuest *guest);
