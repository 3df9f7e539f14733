/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * build: from a base image to a defined domain in one go: vol-create, vol-seal, initrd and define, with one lock over
 * all of it. What fails, or is interrupted, is undone; what a killed run leaves is what the killed command of that step
 * would have left, and vol-create or vol-delete removes it.
 */
#include <stdio.h>

#include "measure/error.h"
#include "storage/boot-store.h"
#include "storage/process.h"
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/define-id-block.h"
#include "virsh-wrappers/define-signed.h"
#include "virsh-wrappers/define-volume.h"
#include "virsh-wrappers/output.h"

/* Nothing is made for a domain that libvirt would not take in the end. */
static gboolean check_name_free(const CmdVolumeJob *job, const char *name, GError **error)
{
    g_autoptr(VirDomainHandle) domain = NULL;
    if (!cmd_domain_lookup_name(job->connection, name, &domain, error)) {
        return FALSE;
    }
    if (domain) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_LIBVIRT,
                    "domain '%s' exists already: choose another name, or remove it with 'virt-attest undefine "
                    "--storage %s'", name, name);
        return FALSE;
    }
    return TRUE;
}

static int define_domain(const CmdVolumeJob *job, StorageVolume *volume, XmlCompose *compose, GError **error)
{
    CmdDefineVolume from = {.job = job, .volume = volume, .boot_lock = -1};
    g_autofree gchar *source = g_strdup_printf("base image '%s'", volume->base_path);
    g_autofree gchar *xml = NULL;
    int done = -1;
    if (cmd_define_volume_compose(&from, compose, error) && storage_interrupt_check(error)) {
        xml = xml_compose_format(compose, error);
    }
    if (xml && cmd_define_volume_claim(&from, compose->uuid, error)) {
        cmd_volume_step(job, "Defining the domain");
        done = cmd_define_composed(job->context, job->connection, compose->level, xml, source, error);
    }
    cmd_lock_release(&from.boot_lock);
    return done;
}

static int make_all(const CmdVolumeJob *job, StorageVolume *volume, XmlCompose *compose, GError **error)
{
    if (volume->level == 4) {
        cmd_volume_step(job, "Sealing the root file system");
        if (!cmd_volume_seal(job, volume, NULL, NULL, error)) {
            return -1;
        }
    }
    return storage_interrupt_check(error) ? define_domain(job, volume, compose, error) : -1;
}

static void undo(const CmdVolumeJob *job, const StorageVolume *volume)
{
    g_autoptr(GError) error = NULL;
    if (!cmd_volume_remove(job, volume, &error) || !storage_boot_sweep(job->store, &error)) {
        cmd_warn("cannot undo everything: %s; 'virt-attest vol-delete --pool %s %s' removes what is left",
                 error->message, job->pool->name, volume->name);
    }
}

int cmd_build(CmdContext *context, GError **error)
{
    g_auto(CmdVolumeJob) job = {0};
    g_auto(CmdLock) lock = -1;
    g_autofree gchar *base = NULL;
    const char *name = cmd_context_get(context, "name");
    StorageUpper upper;
    guint64 capacity = 0;
    guint level = 0;
    if (!name) {
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "build: the option --name is missing");
        return -1;
    }
    if (!storage_volume_check_name(name, error) ||
        !cmd_volume_wish(context, &level, &base, &capacity, &upper, error) ||
        !cmd_volume_open(&job, context, TRUE, error) || !cmd_volume_lock(&job, name, &lock, error)) {
        return -1;
    }
    /* The options of the domain and its keys are read before anything is made. */
    g_autoptr(XmlCompose) compose = cmd_define_options(context, job.connection, TRUE, error);
    if (!compose || !cmd_define_identity(context, error) || !cmd_define_signing(context, error) ||
        (level > 0 && !cmd_define_signing_expected(context, NULL, error)) || !check_name_free(&job, name, error)) {
        return -1;
    }
    storage_interrupt_begin();
    g_autoptr(StorageVolume) volume = cmd_volume_create(&job, name, level, base, capacity, &upper, error);
    int done = volume ? make_all(&job, volume, compose, error) : -1;
    if (done == 0) {
        storage_interrupt_done();
    } else if (volume) {
        undo(&job, volume);
    }
    storage_interrupt_end();
    return done;
}
