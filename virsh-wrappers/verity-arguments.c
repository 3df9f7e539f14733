/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virsh-wrappers/verity-arguments.h"

#include <string.h>

#include "measure/bytes.h"
#include "measure/error.h"
#include "storage/gpt.h"
#include "virsh-wrappers/output.h"

StorageDisk *cmd_verity_open_data(const CmdContext *context, StorageVerityOptions *options, GError **error)
{
    const char *format = cmd_context_get(context, "format");
    guint64 partition = 0;
    if (!cmd_arguments_number(context->arguments, "partition", 1, STORAGE_GPT_MAX_PARTITION, &partition, error)) {
        return NULL;
    }
    StorageFormat which = !format                          ? STORAGE_FORMAT_BY_NAME
                          : g_str_equal(format, "qcow2") ? STORAGE_FORMAT_QCOW2
                                                           : STORAGE_FORMAT_RAW;
    g_autoptr(StorageDisk) disk = storage_disk_open(cmd_context_word(context, 0), which, error);
    if (!disk || !storage_disk_partition(disk, (guint)partition, &options->offset, &options->length, error)) {
        return NULL;
    }
    return g_steal_pointer(&disk);
}

gsize cmd_verity_root_hash(const char *text, guint8 *out, GError **error)
{
    gsize digits = strlen(text);
    if (digits == 0 || digits % 2 != 0 || digits / 2 > STORAGE_VERITY_MAX_DIGEST ||
        !measure_hex_decode(text, out, digits / 2)) {
        g_autofree gchar *shown = cmd_printable(text);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_USAGE, "'%s' is no root hash: hexadecimal digits are expected",
                    shown);
        return 0;
    }
    return digits / 2;
}
