/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* undefine: removes a domain, its pinned reference and its records; with --storage its volumes too. */
#include "virsh-wrappers/commands.h"

#include <stdio.h>
#include <string.h>

#include "measure/error.h"
#include "virsh-wrappers/subject.h"
#include "virsh-wrappers/suggest.h"

static gboolean is_removable(const XmlDisk *disk) {
    return disk->source && !disk->readonly && (!disk->device || g_str_equal(disk->device, "disk"));
}

/* TRUE when another domain of this libvirt names @path as a disk's source. */
static gboolean used_elsewhere(virConnectPtr connection, const char *uuid, const char *path, gchar **by) {
    virDomainPtr *domains = NULL;
    int n = virConnectListAllDomains(connection, &domains, 0);
    for (int i = 0; i < n; i++) {
        g_autofree gchar *its_uuid = NULL;
        g_autofree gchar *xml = NULL;
        g_autoptr(XmlDomain) parsed = NULL;
        if (!*by && cmd_domain_uuid(domains[i], &its_uuid, NULL) && g_strcmp0(its_uuid, uuid) != 0) {
            xml = cmd_domain_xml(domains[i], NULL);
            parsed = xml ? xml_domain_parse(xml, -1, NULL) : NULL;
        }
        for (guint d = 0; parsed && d < parsed->disks->len; d++) {
            const XmlDisk *disk = g_ptr_array_index(parsed->disks, d);
            if (disk->source && g_str_equal(disk->source, path)) {
                *by = g_strdup(virDomainGetName(domains[i]));
                break;
            }
        }
        virDomainFree(domains[i]);
    }
    free(domains);
    return *by != NULL;
}

/* Finds every volume before anything is removed: a disk that is no volume, or is shared, stops it all. */
static gboolean find_volumes(virConnectPtr connection, virDomainPtr domain, const char *uuid, GPtrArray *volumes,
                             GError **error) {
    g_autofree gchar *xml = cmd_domain_xml(domain, error);
    g_autoptr(XmlDomain) parsed = xml ? xml_domain_parse(xml, -1, error) : NULL;
    if (!parsed) {
        return FALSE;
    }
    if (virDomainIsActive(domain) == 1) {
        g_autofree gchar *command = cmd_suggest("destroy", parsed->name, uuid);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "domain '%s' is running, so its volumes cannot be removed; nothing was removed; to stop it: %s",
                    parsed->name, command);
        return FALSE;
    }
    for (guint i = 0; i < parsed->disks->len; i++) {
        const XmlDisk *disk = g_ptr_array_index(parsed->disks, i);
        g_autofree gchar *other = NULL;
        if (!is_removable(disk)) {
            continue;
        }
        if (used_elsewhere(connection, uuid, disk->source, &other)) {
            g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                        "'%s' is also a disk of domain '%s'; nothing was removed", disk->source, other);
            return FALSE;
        }
        VirVolumeHandle *volume = virStorageVolLookupByPath(connection, disk->source);
        if (!volume) {
            return cmd_libvirt_error(
                error, "'%s' is in no storage pool (try 'virsh pool-refresh'); nothing was removed", disk->source);
        }
        g_ptr_array_add(volumes, volume);
    }
    return TRUE;
}

/* Goes on after a failure, so that one stubborn volume does not keep the others. */
static gboolean remove_volumes(const CmdContext *context, GPtrArray *volumes, GError **error) {
    gboolean done = TRUE;
    for (guint i = 0; i < volumes->len; i++) {
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

static gboolean has_state(PolicyStore *store, const char *uuid) {
    g_autofree gchar *name = g_strconcat(uuid, ".json", NULL);
    static const char *const kinds[] = {"references", "records"};
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree gchar *path = g_build_filename(policy_store_directory(store), kinds[i], name, NULL);
        if (g_file_test(path, G_FILE_TEST_EXISTS)) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean remove_state(const CmdContext *context, const char *uuid, GError **error) {
    g_autofree gchar *record = g_strconcat(uuid, ".json", NULL);
    if (!policy_store_remove_reference(context->store, uuid, error)) {
        return FALSE;
    }
    return cmd_context_has(context, "keep-records") || policy_store_remove(context->store, "records", record, error);
}

static unsigned int undefine_flags(const CmdContext *context) {
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

/* Whoever may not remove the pin afterwards must not lose the domain first. */
static gboolean open_state(CmdContext *context, virConnectPtr connection, const char *uuid, GError **error) {
    PolicyStore *store = cmd_context_store_for(context, connection, error);
    if (!store) {
        return FALSE;
    }
    return !has_state(store, uuid) || cmd_context_store_writable_for(context, connection, error) != NULL;
}

/* A domain that was undefined by other means leaves its pin behind; its UUID still reaches it. */
static gboolean undefine_leftover(CmdContext *context, virConnectPtr connection, const char *word, gboolean *done,
                                  GError **error) {
    *done = FALSE;
    if (strlen(word) != VIR_UUID_STRING_BUFLEN - 1 || !g_uuid_string_is_valid(word)) {
        return TRUE;
    }
    g_autofree gchar *uuid = g_ascii_strdown(word, -1);
    if (!open_state(context, connection, uuid, error)) {
        return FALSE;
    }
    if (has_state(context->store, uuid)) {
        *done = remove_state(context, uuid, error);
        return *done;
    }
    return TRUE;
}

int cmd_undefine(CmdContext *context, GError **error) {
    const char *word = cmd_domain_word(context);
    g_autoptr(VirConnection) connection = cmd_connect(context, error);
    if (!connection) {
        return -1;
    }
    g_autoptr(GError) missing = NULL;
    g_autoptr(VirDomainHandle) domain = cmd_domain_lookup(connection, word, &missing);
    if (!domain) {
        gboolean done = FALSE;
        if (!undefine_leftover(context, connection, word, &done, error)) {
            return -1;
        }
        if (!done) {
            g_propagate_error(error, g_steal_pointer(&missing));
            return -1;
        }
        if (!cmd_context_quiet(context)) {
            printf("There is no domain %s any more; its pinned reference and records were removed\n", word);
        }
        return 0;
    }
    g_autofree gchar *uuid = NULL;
    g_autofree gchar *name = g_strdup(virDomainGetName(domain));
    g_autoptr(GPtrArray) volumes = g_ptr_array_new_with_free_func((GDestroyNotify)vir_volume_release);
    if (!cmd_domain_uuid(domain, &uuid, error) || !open_state(context, connection, uuid, error)) {
        return -1;
    }
    if (cmd_context_has(context, "storage") && !find_volumes(connection, domain, uuid, volumes, error)) {
        return -1;
    }
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
    g_autoptr(GError) state_error = NULL;
    if (!remove_state(context, uuid, &state_error)) {
        if (volumes_gone) {
            g_propagate_error(error, g_steal_pointer(&state_error));
        } else {
            cmd_warn("%s", state_error->message);
        }
        return -1;
    }
    return volumes_gone ? 0 : -1;
}
