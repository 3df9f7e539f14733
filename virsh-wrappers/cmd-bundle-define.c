/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bundle-define: a domain of this host from a bundle.
 *
 *   bundle -> checked whole -> files into the boot store -> XML with this host's paths -> as `define --reference`
 *
 * The boot store's lock is held from before the first file is there until the reference that names it is pinned, so
 * that nobody sweeps it away in between. What was put there for nothing is swept at the end.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "policy/guest-policy.h"
#include "storage/boot-store.h"
#include "virsh-wrappers/bundle-check.h"
#include "virsh-wrappers/cmd-define.h"
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/output.h"
#include "xml/compose.h"
#include "xml/host-access.h"
#include "xml/relocate.h"

/**
 * Move:
 * @firmware, @kernel, @initrd: paths on this host
 * @disks: (element-type XmlDiskMove): --disk
 * @uuid: (nullable): a new one
 * @emulator: what XmlRelocate takes
 */
typedef struct {
    const CmdBundleCheck *check;
    gchar *firmware, *kernel, *initrd;
    GPtrArray *disks;
    gchar *uuid, *emulator;
} Move;

static void move_clear(Move *move)
{
    g_clear_pointer(&move->firmware, g_free);
    g_clear_pointer(&move->kernel, g_free);
    g_clear_pointer(&move->initrd, g_free);
    g_clear_pointer(&move->disks, g_ptr_array_unref);
    g_clear_pointer(&move->uuid, g_free);
    g_clear_pointer(&move->emulator, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Move, move_clear)

static gboolean refuse_disk(GError **error, const char *given, const char *why)
{
    g_autofree gchar *shown = cmd_printable(given);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--disk %s: %s", shown, why);
    return FALSE;
}

/* ---- disks ---- */

/* --disk TARGET=PATH, as often as wanted, each target once. */
static gboolean read_disks(CmdContext *context, Move *move, GError **error)
{
    const GPtrArray *given = cmd_arguments_all(context->arguments, "disk");
    move->disks = g_ptr_array_new_with_free_func((GDestroyNotify)xml_disk_move_free);
    for (guint i = 0; i < given->len; i++) {
        const char *text = g_ptr_array_index(given, i);
        const char *equals = strchr(text, '=');
        if (!equals || equals == text || equals[1] != '/') {
            return refuse_disk(error, text, "write TARGET=PATH with an absolute path, such as vda=/images/guest.qcow2");
        }
        XmlDiskMove *disk = g_new0(XmlDiskMove, 1);
        disk->target = g_strndup(text, (gsize)(equals - text));
        disk->path = g_strdup(equals + 1);
        for (guint j = 0; j < i; j++) {
            if (g_str_equal(((XmlDiskMove *)g_ptr_array_index(move->disks, j))->target, disk->target)) {
                xml_disk_move_free(disk);
                return refuse_disk(error, text, "this disk was given twice");
            }
        }
        g_ptr_array_add(move->disks, disk);
    }
    return TRUE;
}

/* libvirt defines a domain whose disks are not there, and says so at its start only. */
static gboolean check_disks(const char *xml, GError **error)
{
    g_autoptr(XmlDomain) domain = xml_domain_parse(xml, -1, error);
    g_autoptr(GString) missing = g_string_new(NULL);
    struct stat st;
    if (!domain) {
        return FALSE;
    }
    for (guint i = 0; i < domain->disks->len; i++) {
        const XmlDisk *disk = g_ptr_array_index(domain->disks, i);
        gboolean local = g_str_equal(disk->type, "file") || g_str_equal(disk->type, "block");
        if (!local || !disk->source || stat(disk->source, &st) == 0) {
            continue;
        }
        g_autofree gchar *target = cmd_printable(disk->target ? disk->target : "?");
        g_autofree gchar *source = cmd_printable(disk->source);
        g_string_append_printf(missing, "\n  %s: '%s'", target, source);
    }
    if (missing->len > 0) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "disks of the domain are not on this host: say with --disk TARGET=PATH where they are%s",
                    missing->str);
    }
    return missing->len == 0;
}

/* ---- boot files ---- */

/* Where the boot store keeps, or would keep, an input of the domain. */
static gchar *stored_path(PolicyStore *store, const MeasureInput *input, const char *suffix)
{
    g_autofree gchar *hex = measure_hex_encode(input->sha256, sizeof(input->sha256));
    g_autofree gchar *name = g_strdup_printf("%s.%s", hex, suffix);
    return g_build_filename(policy_store_directory(store), POLICY_STORE_BOOT, name, NULL);
}

/* @store_it: %FALSE only names the file */
static gboolean place(PolicyStore *store, const MeasureInput *input, const char *suffix, gboolean store_it, gchar **out,
                      GError **error)
{
    if (!input) {
        return TRUE;
    }
    *out = stored_path(store, input, suffix);
    if (!store_it) {
        return TRUE;
    }
    g_autoptr(GError) cause = NULL;
    g_autoptr(GMappedFile) file = g_mapped_file_new(input->path, FALSE, &cause);
    if (!file) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE, "the unpacked %s cannot be read: %s", suffix,
                    cause->message);
        return FALSE;
    }
    g_autoptr(GBytes) data = g_mapped_file_get_bytes(file);
    g_autofree gchar *path = storage_boot_put(store, data, suffix, error);
    if (path && !g_str_equal(path, *out)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED,
                    "the unpacked %s changed after it was checked: somebody else writes to the temporary folder",
                    suffix);
        return FALSE;
    }
    return path != NULL;
}

static gboolean place_files(Move *move, PolicyStore *store, gboolean store_it, GError **error)
{
    const MeasureInputs *inputs = move->check->subject->evaluation->inputs;
    return place(store, inputs->firmware, "firmware", store_it, &move->firmware, error) &&
           place(store, inputs->kernel, "kernel", store_it, &move->kernel, error) &&
           place(store, inputs->initrd, "initrd", store_it, &move->initrd, error);
}

/* ---- the XML ---- */

static gchar *localise(const CmdContext *context, const Move *move, GError **error)
{
    XmlRelocate changes = {
        .firmware = move->firmware,
        .kernel = move->kernel,
        .initrd = move->initrd,
        .fixed_firmware = TRUE,
        .name = cmd_context_get(context, "name"),
        .uuid = move->uuid,
        .emulator = move->emulator,
        .disks = move->disks,
    };
    g_autofree gchar *xml = xml_relocate(move->check->bundle->original_xml, -1, &changes, error);
    return xml && check_disks(xml, error) ? g_steal_pointer(&xml) : NULL;
}

/* Another name makes it another domain, which may stand beside the first one. */
static void choose_uuid(const CmdContext *context, Move *move)
{
    const char *name = cmd_context_get(context, "name");
    if (name && g_strcmp0(name, move->check->subject->domain->name) != 0) {
        move->uuid = g_uuid_string_random();
    }
}

/* The one of --emulator, else that of the domain which is defined again here, else libvirt's choice. */
static gboolean choose_emulator(const CmdContext *context, Move *move, PolicyStore *store, GError **error)
{
    const char *given = cmd_context_get(context, "emulator");
    const char *uuid = move->uuid ? move->uuid : move->check->subject->domain->uuid;
    g_autoptr(GError) cause = NULL;
    g_autoptr(PolicyReference) pinned = uuid && !given ? policy_store_get_reference(store, uuid, &cause) : NULL;
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return FALSE;
    }
    move->emulator = g_strdup(given ? given : pinned && pinned->emulator ? pinned->emulator : "");
    return TRUE;
}

/* ---- the command ---- */

/* Before anything of it is there: what the owner of this host should know, and no signature says. */
static gboolean print_disks(const CmdContext *context, const char *xml, GError **error)
{
    g_autoptr(GPtrArray) sources = xml_disk_sources(xml, -1, error);
    for (guint i = 0; sources && !cmd_context_quiet(context) && i < sources->len; i++) {
        g_autofree gchar *shown = cmd_printable(g_ptr_array_index(sources, i));
        printf("The domain opens disk %s\n", shown);
    }
    return sources != NULL;
}

static void warn_notes(const GPtrArray *rows)
{
    for (guint i = 0; i < rows->len; i++) {
        const PolicyFinding *row = g_ptr_array_index(rows, i);
        /* Disks are printed as they are on this host. */
        if (row->outcome == POLICY_NOTE && !g_str_equal(row->rule, CMD_BUNDLE_DISK)) {
            cmd_warn("%s", row->text);
        }
    }
}

static gboolean check_options(CmdContext *context, GError **error)
{
    const char *emulator = cmd_context_get(context, "emulator");
    if (cmd_context_has(context, "readonly") && !cmd_context_has(context, "print-xml")) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "bundle-define changes the domain: it cannot work with --readonly");
        return FALSE;
    }
    if (emulator && *emulator != '/') {
        g_autofree gchar *shown = cmd_printable(emulator);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "--emulator '%s' is not an absolute path", shown);
        return FALSE;
    }
    return !cmd_context_has(context, "name") || xml_check_name(cmd_context_get(context, "name"), error);
}

static int define(CmdContext *context, Move *move, virConnectPtr connection, PolicyStore *store, GError **error)
{
    const StorageBundle *bundle = move->check->bundle;
    g_autofree gchar *shown = cmd_printable(cmd_context_word(context, 0));
    g_autofree gchar *from = g_strdup_printf("bundle '%s'", shown);
    g_auto(CmdLock) lock = storage_boot_lock(store, error);
    if (lock < 0 || !choose_emulator(context, move, store, error) || !place_files(move, store, TRUE, error)) {
        return -1;
    }
    g_autofree gchar *xml = localise(context, move, error);
    if (!xml || !print_disks(context, xml, error)) {
        return -1;
    }
    return cmd_define_with_reference(context, connection, bundle->reference->level, xml, from, bundle->reference,
                                     bundle->envelope, error);
}

static int define_and_sweep(CmdContext *context, Move *move, GError **error)
{
    g_autoptr(VirConnection) connection = cmd_connect(context, error);
    if (!connection || !cmd_require_local(connection, error)) {
        return -1;
    }
    PolicyStore *store = cmd_context_store_writable_for(context, connection, error);
    if (!store) {
        return -1;
    }
    int done = define(context, move, connection, store, error);
    g_autoptr(GError) cause = NULL;
    /* Whatever did not come to be pinned, of this run or of a former definition of the domain. */
    if (!storage_boot_sweep(store, &cause) && !cmd_context_quiet(context)) {
        cmd_warn("%s", cause->message);
    }
    return done;
}

static int print_xml(CmdContext *context, Move *move, GError **error)
{
    PolicyStore *store = cmd_context_store(context, error);
    if (!store || !choose_emulator(context, move, store, error) || !place_files(move, store, FALSE, error)) {
        return -1;
    }
    g_autofree gchar *xml = localise(context, move, error);
    if (!xml) {
        return -1;
    }
    g_strchomp(xml);
    printf("%s\n", xml);
    return 0;
}

int cmd_bundle_define(CmdContext *context, GError **error)
{
    const char *path = cmd_context_word(context, 0);
    gboolean printing = cmd_context_has(context, "print-xml");
    g_auto(CmdBundleCheck) check = {NULL};
    g_auto(Move) move = {.check = &check};
    if (!check_options(context, error) || !read_disks(context, &move, error) ||
        !cmd_bundle_check(context, path, &check, error)) {
        return -1;
    }
    if (check.failed > 0) {
        g_autofree gchar *failures = cmd_bundle_failures(check.rows);
        g_autofree gchar *shown = cmd_printable(path);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_REJECTED, "bundle '%s' is not good; nothing was changed%s", shown,
                    failures);
        return -1;
    }
    if (!policy_guest_check(check.bundle->reference->platform, check.bundle->reference->policy,
                            cmd_context_has(context, "allow-debug"), error)) {
        return -1;
    }
    warn_notes(check.rows);
    choose_uuid(context, &move);
    return printing ? print_xml(context, &move, error) : define_and_sweep(context, &move, error);
}
