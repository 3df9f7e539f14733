/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* undefine: removes a domain, its pinned reference and its records; with --storage its volumes too. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hooks/record.h"
#include "measure/error.h"
#include "policy/verdict-record.h"
#include "storage/boot-store.h"
#include "virsh-wrappers/domain-volumes.h"
#include "virsh-wrappers/subject.h"
#include "virsh-wrappers/suggest.h"
#include "virsh-wrappers/undefine-volumes.h"

/* Finds every volume before anything is removed. */
static gboolean find_volumes(const CmdContext *context, virDomainPtr domain, const char *uuid, GPtrArray *ours,
                             GPtrArray **volumes, GError **error)
{
    g_autoptr(GPtrArray) kept = NULL;
    g_autoptr(GPtrArray) owned = cmd_undefine_paths(ours);
    if (virDomainIsActive(domain) != 0) {
        g_autofree gchar *command = cmd_suggest("destroy", virDomainGetName(domain), uuid);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "domain '%s' is running, so its volumes cannot be removed; nothing was removed; to stop it: %s",
                    virDomainGetName(domain), command);
        return FALSE;
    }
    if (!cmd_domain_volumes(domain, owned, volumes, &kept, error)) {
        g_prefix_error(error, "nothing was removed: ");
        return FALSE;
    }
    for (guint i = 0; i < kept->len && !cmd_context_quiet(context); i++) {
        g_autofree gchar *text = cmd_printable(g_ptr_array_index(kept, i));
        printf("%s\n", text);
    }
    return TRUE;
}

/* Goes on after a failure, so that one stubborn volume does not keep the others. */
static gboolean remove_volumes(const CmdContext *context, GPtrArray *volumes, GError **error)
{
    gboolean done = TRUE;
    for (guint i = 0; volumes && i < volumes->len; i++) {
        VirVolumeHandle *volume = g_ptr_array_index(volumes, i);
        g_autoptr(VirString) path = virStorageVolGetPath(volume);
        if (virStorageVolDelete(volume, 0) < 0) {
            g_autoptr(GError) cause = NULL;
            cmd_libvirt_error(&cause, "cannot remove volume '%s'", path ? path : virStorageVolGetName(volume));
            if (done) {
                g_propagate_error(error, g_steal_pointer(&cause));
            } else {
                cmd_warn("%s", cause->message);
            }
            done = FALSE;
        } else if (!cmd_context_quiet(context)) {
            printf("Volume '%s' removed\n", path ? path : virStorageVolGetName(volume));
        }
    }
    return done;
}

static gboolean has_state(PolicyStore *store, const char *uuid)
{
    g_autofree gchar *name = g_strconcat(uuid, ".json", NULL);
    static const char *const kinds[] = {"references", "records", "verdicts"};
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree gchar *path = g_build_filename(policy_store_directory(store), kinds[i], name, NULL);
        if (g_file_test(path, G_FILE_TEST_EXISTS)) {
            return TRUE;
        }
    }
    return FALSE;
}

/* The kernels and initrds go with the last reference that names them; if not now, then with the next domain. */
static void sweep_boot_files(const CmdContext *context)
{
    g_autoptr(GError) cause = NULL;
    if (!storage_boot_sweep(context->store, &cause) && !cmd_context_quiet(context)) {
        cmd_warn("kernels and initrds that no domain needs were kept: %s", cause->message);
    }
}

static gboolean remove_state(const CmdContext *context, const char *uuid, GError **error)
{
    if (!policy_store_remove_reference(context->store, uuid, error)) {
        return FALSE;
    }
    sweep_boot_files(context);
    return cmd_context_has(context, "keep-records") ||
           (hook_record_remove(context->store, uuid, error) && policy_verdicts_remove(context->store, uuid, error));
}

static unsigned int undefine_flags(const CmdContext *context)
{
    static const struct {
        const char *option;
        unsigned int flag;
    } known[] = {
        {"managed-save", VIR_DOMAIN_UNDEFINE_MANAGED_SAVE},
        {"snapshots-metadata", VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA},
        {"checkpoints-metadata", VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA},
        {"nvram", VIR_DOMAIN_UNDEFINE_NVRAM},
        {"keep-nvram", VIR_DOMAIN_UNDEFINE_KEEP_NVRAM},
        {"tpm", VIR_DOMAIN_UNDEFINE_TPM},
        {"keep-tpm", VIR_DOMAIN_UNDEFINE_KEEP_TPM},
    };
    unsigned int flags = 0;
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        flags |= cmd_context_has(context, known[i].option) ? known[i].flag : 0;
    }
    return flags;
}

/*
 * Whoever may not remove the pin afterwards must not lose the domain first. The lock keeps a `define` of the same
 * domain away; where nothing was ever pinned there is no folder to lock, and none is made.
 */
static gboolean open_state(CmdContext *context, virConnectPtr connection, const char *uuid, CmdLock *lock,
                           GError **error)
{
    if (!cmd_require_hook(connection, error)) {
        return FALSE;
    }
    PolicyStore *store = cmd_context_store_for(context, connection, error);
    if (!store) {
        return FALSE;
    }
    if (!g_file_test(policy_store_directory(store), G_FILE_TEST_EXISTS)) {
        return TRUE;
    }
    if (!has_state(store, uuid) && access(policy_store_directory(store), W_OK) != 0) {
        return TRUE;
    }
    store = cmd_context_store_writable_for(context, connection, error);
    return store && cmd_lock(store, uuid, lock, error);
}

/* Only "there is none", said by the libvirt whose hook reads this state, makes a pin a leftover. */
static gboolean is_gone(virConnectPtr connection, const char *uuid, GError **error)
{
    g_autoptr(VirDomainHandle) domain = virDomainLookupByUUIDString(connection, uuid);
    if (domain) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "there is a domain with the UUID %s, '%s': --leftover is for what a domain left that is gone", uuid,
                    virDomainGetName(domain));
        return FALSE;
    }
    return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN ||
           cmd_libvirt_error(error, "cannot tell whether there is a domain %s; nothing was removed", uuid);
}

/* A domain that was undefined by other means leaves its pin behind; its UUID still reaches it. */
static int undefine_leftover(CmdContext *context, virConnectPtr connection, const char *word, GError **error)
{
    g_autofree gchar *uuid = g_ascii_strdown(word, -1);
    g_auto(CmdLock) lock = -1;
    if (!g_uuid_string_is_valid(uuid)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE,
                    "--leftover needs the UUID of the domain that is gone, '%s' is none", word);
        return -1;
    }
    if (!is_gone(connection, uuid, error) || !open_state(context, connection, uuid, &lock, error)) {
        return -1;
    }
    if (!has_state(context->store, uuid)) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT, "there is no domain %s, and it left nothing behind",
                    uuid);
        return -1;
    }
    /* Looked up again: before the lock was ours somebody may have defined and pinned it. */
    if (!is_gone(connection, uuid, error) || !remove_state(context, uuid, error)) {
        return -1;
    }
    if (!cmd_context_quiet(context)) {
        printf("There is no domain %s any more; its pinned reference and records were removed\n", uuid);
    }
    return 0;
}

/* After a lookup that found nothing: is there something to remove all the same? */
static void hint_leftover(CmdContext *context, virConnectPtr connection, const char *word, GError **error)
{
    g_autofree gchar *uuid = g_ascii_strdown(word, -1);
    if (virGetLastErrorCode() != VIR_ERR_NO_DOMAIN || !g_uuid_string_is_valid(uuid) ||
        !cmd_require_hook(connection, NULL) || !cmd_context_store_for(context, connection, NULL) ||
        !has_state(context->store, uuid)) {
        return;
    }
    g_clear_error(error);
    g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                "there is no domain %s, but its pinned reference or records are left; to remove them: virt-attest "
                "undefine --leftover %s",
                uuid, uuid);
}

int cmd_undefine(CmdContext *context, GError **error)
{
    const char *word = cmd_domain_word(context);
    g_autoptr(VirConnection) connection = cmd_connect(context, error);
    if (!connection) {
        return -1;
    }
    if (cmd_context_has(context, "leftover")) {
        return undefine_leftover(context, connection, word, error);
    }
    g_autoptr(VirDomainHandle) domain = cmd_domain_lookup(connection, word, error);
    if (!domain) {
        hint_leftover(context, connection, word, error);
        return -1;
    }
    g_autofree gchar *uuid = NULL;
    g_autofree gchar *name = g_strdup(virDomainGetName(domain));
    g_autoptr(GPtrArray) ours = NULL;
    g_autoptr(GPtrArray) volumes = NULL;
    g_auto(CmdLock) lock = -1;
    if (!cmd_domain_uuid(domain, &uuid, error) || !open_state(context, connection, uuid, &lock, error)) {
        return -1;
    }
    /* Without a lock there is no state of ours, or nothing in it about this domain that could be read. */
    ours = lock >= 0 ? cmd_undefine_find(context->store, uuid, error) : g_ptr_array_new();
    if (!ours) {
        return -1;
    }
    if (cmd_context_has(context, "storage") && !find_volumes(context, domain, uuid, ours, &volumes, error)) {
        return -1;
    }
    gboolean running = virDomainIsActive(domain) == 1;
    if (virDomainUndefineFlags(domain, undefine_flags(context)) < 0) {
        gboolean nvram = strstr(virGetLastErrorMessage(), "nvram") != NULL;
        cmd_libvirt_error(
            error, nvram ? "cannot undefine domain '%s' (use --nvram or --keep-nvram)" : "cannot undefine domain '%s'",
            name);
        return -1;
    }
    if (!cmd_context_quiet(context)) {
        printf("Domain '%s' has been undefined\n", name);
    }
    gboolean volumes_gone = remove_volumes(context, volumes, error);
    /* Whatever fails, the rest is done: the first error is the one that is told. */
    g_autoptr(GError) state_error = NULL;
    gboolean forgotten = cmd_undefine_forget(context->store, connection, ours, &state_error);
    g_autoptr(GError) pin_error = NULL;
    gboolean state_gone = remove_state(context, uuid, &pin_error) && forgotten;
    if (!state_error) {
        state_error = g_steal_pointer(&pin_error);
    } else if (pin_error) {
        cmd_warn("%s", pin_error->message);
    }
    if (!state_gone) {
        if (volumes_gone) {
            g_propagate_error(error, g_steal_pointer(&state_error));
        } else {
            cmd_warn("%s", state_error->message);
        }
        return -1;
    }
    if (running && !cmd_context_quiet(context)) {
        cmd_warn("domain '%s' keeps running, now without a pinned reference, and is gone when it stops", name);
    }
    return volumes_gone ? 0 : -1;
}
