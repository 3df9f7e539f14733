/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vol-info: what is known of a volume, and whether it is still that. */
#include "virsh-wrappers/cmd-volume.h"

#include "measure/bytes.h"
#include "measure/error.h"
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/output.h"

static gchar *domain_name(const CmdVolumeJob *job, const StorageVolume *volume)
{
    g_autoptr(VirDomainHandle) domain =
        volume->domain ? virDomainLookupByUUIDString(job->connection, volume->domain) : NULL;
    return g_strdup(domain ? virDomainGetName(domain) : NULL);
}

static void print_seal(const StorageSeal *seal)
{
    g_autofree gchar *blocks = g_strdup_printf("%" G_GUINT64_FORMAT " of %u bytes", seal->data_blocks,
                                               seal->data_block_size);
    cmd_print_field("Root hash", seal->root_hash);
    cmd_print_field("Salt", *seal->salt ? seal->salt : NULL);
    cmd_print_field("Hash UUID", seal->uuid);
    cmd_print_field("Hash", seal->hash);
    cmd_print_field("Data blocks", blocks);
    cmd_print_field("Hash tree", seal->path);
    cmd_print_field("Sealed", seal->created);
}

static void print_fields(const CmdVolumeJob *job, const StorageVolume *volume, const char *state, const char *reason)
{
    g_autofree gchar *level = g_strdup_printf("%u", volume->level);
    g_autofree gchar *upper = storage_upper_format(&volume->upper);
    g_autofree gchar *digest = measure_hex_encode(volume->base.sha256, sizeof(volume->base.sha256));
    g_autofree gchar *domain = domain_name(job, volume);
    cmd_print_field("Name", volume->name);
    cmd_print_field("Pool", volume->pool);
    cmd_print_field("Level", level);
    cmd_print_field("State", state);
    if (reason) {
        cmd_print_field("Reason", reason);
    }
    cmd_print_field("Domain", domain);
    cmd_print_field("Root", volume->root_path);
    cmd_print_field("Upper", upper);
    if (volume->upper_path) {
        cmd_print_field("Upper disk", volume->upper_path);
    }
    cmd_print_field("Base", volume->base_path);
    cmd_print_field("Base SHA-256", digest);
    cmd_print_field("Kernel", volume->kernel);
    cmd_print_field("Created", volume->created);
    if (volume->seal) {
        print_seal(volume->seal);
    }
}

static void print_json(const CmdVolumeJob *job, const StorageVolume *volume, const char *state, const char *reason)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autofree gchar *document = storage_volume_format(volume);
    g_autofree gchar *domain = domain_name(job, volume);
    json_builder_begin_object(builder);
    cmd_json_string(builder, "state", state);
    cmd_json_string(builder, "reason", reason);
    cmd_json_string(builder, "domainName", domain);
    cmd_json_document(builder, "volume", document);
    json_builder_end_object(builder);
    cmd_json_print(builder);
}

int cmd_vol_info(CmdContext *context, GError **error)
{
    g_auto(CmdVolumeJob) job = {0};
    g_autoptr(StorageVolume) volume = NULL;
    g_autofree gchar *reason = NULL;
    const char *name = cmd_context_word(context, 0);
    if (!storage_volume_check_name(name, error) || !cmd_volume_open(&job, context, FALSE, error) ||
        !(volume = cmd_volume_get(&job, name, error))) {
        return -1;
    }
    const char *state = storage_volume_state(volume, job.store, &reason);
    if (cmd_context_json(context)) {
        print_json(&job, volume, state, reason);
    } else {
        print_fields(&job, volume, state, reason);
    }
    return 0;
}
