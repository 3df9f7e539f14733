/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vol-list: volumes of guests in a storage pool. */
#include "virsh-wrappers/cmd-volume.h"

#include "measure/error.h"
#include "virsh-wrappers/commands.h"
#include "virsh-wrappers/output.h"

/* What one row shows. */
typedef struct {
    const StorageVolume *volume;
    gchar *domain; /* name, or the UUID of one that is gone */
    const char *state;
    gchar *reason;
} Row;

static void row_clear(Row *row)
{
    g_free(row->domain);
    g_free(row->reason);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Row, row_clear)

static Row make_row(const CmdVolumeJob *job, const StorageVolume *volume)
{
    Row row = {.volume = volume};
    row.state = storage_volume_state(volume, job->store, &row.reason);
    if (volume->domain) {
        g_autoptr(VirDomainHandle) domain = virDomainLookupByUUIDString(job->connection, volume->domain);
        row.domain = g_strdup(domain ? virDomainGetName(domain) : NULL);
    }
    return row;
}

static void add_json(JsonBuilder *builder, const Row *row)
{
    const StorageVolume *volume = row->volume;
    json_builder_begin_object(builder);
    cmd_json_string(builder, "name", volume->name);
    cmd_json_integer(builder, "level", volume->level);
    cmd_json_string(builder, "base", volume->base_path);
    cmd_json_string(builder, "root", volume->root_path);
    cmd_json_string(builder, "rootHash", volume->seal ? volume->seal->root_hash : NULL);
    cmd_json_string(builder, "domain", row->domain);
    cmd_json_string(builder, "state", row->state);
    cmd_json_string(builder, "reason", row->reason);
    json_builder_end_object(builder);
}

static void add_table(CmdTable *table, const Row *row)
{
    g_autofree gchar *level = g_strdup_printf("%u", row->volume->level);
    cmd_table_row(table, row->volume->name, level, row->volume->base_path, row->volume->seal ? "yes" : "no", row->domain,
                  row->state);
}

int cmd_vol_list(CmdContext *context, GError **error)
{
    g_auto(CmdVolumeJob) job = {0};
    gboolean json = cmd_context_json(context);
    g_autoptr(GPtrArray) volumes =
        cmd_volume_open(&job, context, FALSE, error) ? storage_volume_list(job.store, error) : NULL;
    if (!volumes) {
        return -1;
    }
    g_autoptr(CmdTable) table = cmd_table_new("Name", "Level", "Base", "Sealed", "Domain", "State", NULL);
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    cmd_json_string(builder, "pool", job.pool->name);
    json_builder_set_member_name(builder, "volumes");
    json_builder_begin_array(builder);
    for (guint i = 0; i < volumes->len; i++) {
        const StorageVolume *volume = g_ptr_array_index(volumes, i);
        if (!g_str_equal(volume->pool_uuid, job.pool->uuid)) {
            continue;
        }
        g_auto(Row) row = make_row(&job, volume);
        if (json) {
            add_json(builder, &row);
        } else {
            add_table(table, &row);
        }
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    if (json) {
        cmd_json_print(builder);
    } else {
        cmd_table_print(table, cmd_context_quiet(context));
    }
    return 0;
}
