/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The prerequisites of a host, one row each; readable from a folder that stands for "/". */
#pragma once

#include "policy/config.h"
#include "virsh-wrappers/domcaps.h"

/**
 * CmdHostResult:
 * @CMD_HOST_PASS: there
 * @CMD_HOST_FAIL: missing, and needed
 * @CMD_HOST_WARN: works, or cannot be told, but somebody should look
 * @CMD_HOST_SKIP: not asked here
 */
typedef enum {
    CMD_HOST_PASS,
    CMD_HOST_FAIL,
    CMD_HOST_WARN,
    CMD_HOST_SKIP,
} CmdHostResult;
const char *cmd_host_result_name(CmdHostResult result);

/**
 * CmdHostRow:
 * @check: stable identifier
 * @why: what was found
 * @todo: (nullable): what to do about it
 */
typedef struct {
    gchar *check;
    CmdHostResult result;
    gchar *why, *todo;
} CmdHostRow;
void cmd_host_row_free(CmdHostRow *row);
/* Appends a row; takes @why. */
void cmd_host_add(GPtrArray *rows, const char *check, CmdHostResult result, gchar *why, const char *todo);

/* libvirt's folder of QEMU hooks. It is compiled into libvirt, and no setting changes it. */
#define CMD_LIBVIRT_HOOKS "/etc/libvirt/hooks/qemu.d"

/**
 * CmdHostProbe:
 * @root: "" for this machine, or the folder that stands for "/"
 * @config: configuration; its state folder is looked at inside @root
 * @config_problem: (nullable): why the file could not be read; @config has the defaults then
 * @hook_directory: (nullable): where this build installs its hook; %NULL for what it was configured with
 * @caps: (nullable): domain capabilities
 * @caps_problem: (nullable): why there are none
 * @libvirt_version: as virConnectGetLibVersion() has it (10005000 is 10.5.0), 0 when unknown
 */
typedef struct {
    const char *root;
    const PolicyConfig *config;
    const char *config_problem;
    const char *hook_directory;
    const CmdDomcaps *caps;
    const char *caps_problem;
    unsigned long libvirt_version;
} CmdHostProbe;

/* (element-type CmdHostRow): every row, in a fixed order. */
GPtrArray *cmd_host_check(const CmdHostProbe *probe);
/* TRUE when no row failed. */
gboolean cmd_host_rows_good(const GPtrArray *rows);

/* The rows about the hook: installed, known to the running daemon, other programs beside it. */
void cmd_host_check_hook(GPtrArray *rows, const CmdHostProbe *probe);

/* First line of a small file below @root, without its newline; NULL when it cannot be read. */
gchar *cmd_host_read_line(const char *root, const char *path);
