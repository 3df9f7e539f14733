/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one table of commands. --help, the manual pages, the completion and the
 * dispatcher all read it, so none of them can forget an option.
 */
#pragma once

#include "virsh-wrappers/context.h"

/* What every command understands, before or behind its name. */
extern const CmdOption cmd_global_options[];
/* In the order in which people read about them; the last row has no name. */
extern const CmdCommand cmd_commands[];

const CmdCommand *cmd_command_find(const char *name);
/* The tables that are valid behind @command's name, for cmd_arguments_parse(): NULL-terminated. */
void cmd_command_tables(const CmdCommand *command, const CmdOption *tables[3]);

int cmd_measure(CmdContext *context, GError **error);
int cmd_level(CmdContext *context, GError **error);
int cmd_define(CmdContext *context, GError **error);
int cmd_start(CmdContext *context, GError **error);
int cmd_console(CmdContext *context, GError **error);
int cmd_destroy(CmdContext *context, GError **error);
int cmd_undefine(CmdContext *context, GError **error);
int cmd_list(CmdContext *context, GError **error);
int cmd_show(CmdContext *context, GError **error);
int cmd_check(CmdContext *context, GError **error);
int cmd_host_check_command(CmdContext *context, GError **error);
int cmd_firmware_check(CmdContext *context, GError **error);
int cmd_build(CmdContext *context, GError **error);
int cmd_image_build(CmdContext *context, GError **error);
int cmd_image_import(CmdContext *context, GError **error);
int cmd_vol_create(CmdContext *context, GError **error);
int cmd_vol_list(CmdContext *context, GError **error);
int cmd_vol_info(CmdContext *context, GError **error);
int cmd_vol_seal(CmdContext *context, GError **error);
int cmd_vol_delete(CmdContext *context, GError **error);
int cmd_verity_format(CmdContext *context, GError **error);
int cmd_verity_verify(CmdContext *context, GError **error);
int cmd_initrd(CmdContext *context, GError **error);
int cmd_reference(CmdContext *context, GError **error);
int cmd_reference_sign(CmdContext *context, GError **error);
int cmd_reference_verify(CmdContext *context, GError **error);
int cmd_reference_diff(CmdContext *context, GError **error);
int cmd_id_block(CmdContext *context, GError **error);
int cmd_id_block_verify(CmdContext *context, GError **error);
int cmd_export(CmdContext *context, GError **error);
int cmd_import(CmdContext *context, GError **error);
int cmd_import_alman(CmdContext *context, GError **error);
int cmd_bundle(CmdContext *context, GError **error);
int cmd_bundle_verify(CmdContext *context, GError **error);
int cmd_bundle_define(CmdContext *context, GError **error);
int cmd_report_show(CmdContext *context, GError **error);
int cmd_certs(CmdContext *context, GError **error);
int cmd_verify(CmdContext *context, GError **error);
int cmd_report_get(CmdContext *context, GError **error);
int cmd_known_hosts(CmdContext *context, GError **error);
int cmd_ssh(CmdContext *context, GError **error);
int cmd_nonce(CmdContext *context, GError **error);
