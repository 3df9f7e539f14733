/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lies in a folder of ALman. Everything in it is somebody else's text. */
#include "virsh-wrappers/alman-folder.h"

#include <errno.h>
#include <string.h>

#include "measure/error.h"
#include "policy/exchange/json-text.h"
#include "virsh-wrappers/import-write.h"

#define MAX_GUESTS 4096

const char *cmd_alman_result_name(CmdAlmanResult result)
{
    static const char *const names[] = {"match", "differs", "unrecorded", "broken"};
    return names[result];
}

static void measured_free(CmdAlmanMeasured *measured)
{
    g_free(measured->label);
    g_free(measured->recorded);
    g_free(measured->measured);
    g_free(measured->why);
    g_free(measured);
}

static void guest_free(CmdAlmanGuest *guest)
{
    g_free(guest->name);
    g_free(guest->why);
    g_free(guest->xml);
    g_clear_pointer(&guest->reference, policy_reference_free);
    g_ptr_array_unref(guest->measured);
    g_ptr_array_unref(guest->notes);
    g_free(guest);
}

void cmd_alman_folder_free(CmdAlmanFolder *folder)
{
    if (!folder) {
        return;
    }
    g_free(folder->path);
    g_clear_pointer(&folder->conf, exchange_alman_conf_free);
    g_clear_pointer(&folder->cpus, g_ptr_array_unref);
    g_clear_pointer(&folder->guests, g_ptr_array_unref);
    g_clear_pointer(&folder->records, g_ptr_array_unref);
    g_ptr_array_unref(folder->notes);
    g_free(folder);
}

/* The file's text; NULL when it is not there, or with a note. */
static gchar *read_part(CmdAlmanFolder *folder, const char *name, gsize max, gsize *size)
{
    g_autofree gchar *path = g_build_filename(folder->path, name, NULL);
    g_autoptr(GError) cause = NULL;
    gchar *text = NULL;
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        g_ptr_array_add(folder->notes, g_strdup_printf("there is no %s", name));
        return NULL;
    }
    /* A pipe would keep us waiting. */
    if (!g_file_test(path, G_FILE_TEST_IS_REGULAR)) {
        g_ptr_array_add(folder->notes, g_strdup_printf("%s is no file", name));
    } else if (!cmd_read_file(path, name, max, &text, size, &cause)) {
        g_ptr_array_add(folder->notes, g_strdup(cause->message));
    }
    return text;
}

static void note_error(CmdAlmanFolder *folder, const GError *cause)
{
    if (cause) {
        g_ptr_array_add(folder->notes, g_strdup(cause->message));
    }
}

static void read_conf(CmdAlmanFolder *folder)
{
    g_autoptr(GError) cause = NULL;
    gsize size = 0;
    g_autofree gchar *text = read_part(folder, "alman.conf", EXCHANGE_ALMAN_CONF_MAX_SIZE, &size);
    folder->conf = text ? exchange_alman_conf_parse(text, (gssize)size, &cause) : NULL;
    note_error(folder, cause);
}

static void read_cpus(CmdAlmanFolder *folder)
{
    g_autoptr(GError) cause = NULL;
    gsize size = 0;
    g_autofree gchar *text = read_part(folder, "cpu-types.json", EXCHANGE_JSON_MAX_SIZE, &size);
    folder->cpus = text ? exchange_alman_cpus_parse(text, (gssize)size, &cause) : NULL;
    note_error(folder, cause);
}

static void read_records(CmdAlmanFolder *folder)
{
    g_autoptr(GError) cause = NULL;
    gsize size = 0;
    g_autofree gchar *text = read_part(folder, "expected-measurements.json", EXCHANGE_JSON_MAX_SIZE, &size);
    folder->records = text ? exchange_alman_expected_parse(text, (gssize)size, &cause) : NULL;
    folder->torn = cause != NULL;
    note_error(folder, cause);
}

static CmdAlmanGuest *find_guest(const CmdAlmanFolder *folder, const char *name)
{
    for (guint i = 0; i < folder->guests->len; i++) {
        CmdAlmanGuest *guest = g_ptr_array_index(folder->guests, i);
        if (g_str_equal(guest->name, name)) {
            return guest;
        }
    }
    return NULL;
}

static CmdAlmanGuest *add_guest(CmdAlmanFolder *folder, const char *name)
{
    CmdAlmanGuest *guest = find_guest(folder, name);
    if (guest || folder->guests->len >= MAX_GUESTS) {
        return guest;
    }
    guest = g_new0(CmdAlmanGuest, 1);
    guest->name = g_strdup(name);
    guest->result = CMD_ALMAN_BROKEN;
    guest->measured = g_ptr_array_new_with_free_func((GDestroyNotify)measured_free);
    guest->notes = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(folder->guests, guest);
    return guest;
}

/* Guests after the files in @below that are called NAME@suffix. */
static void add_files(CmdAlmanFolder *folder, const char *below, const char *suffix)
{
    g_autofree gchar *path = g_build_filename(folder->path, "work", below, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *file = NULL;
    while (dir && (file = g_dir_read_name(dir))) {
        if (!g_str_has_suffix(file, suffix) || !g_utf8_validate(file, -1, NULL)) {
            continue;
        }
        g_autofree gchar *name = g_strndup(file, strlen(file) - strlen(suffix));
        if (!cmd_import_name_invalid(name)) {
            add_guest(folder, name);
        }
    }
}

static gint compare_guests(gconstpointer a, gconstpointer b)
{
    const CmdAlmanGuest *const *first = a;
    const CmdAlmanGuest *const *second = b;
    return strcmp((*first)->name, (*second)->name);
}

CmdAlmanFolder *cmd_alman_folder_read(CmdContext *context, const char *path, GError **error)
{
    g_autoptr(CmdAlmanFolder) folder = g_new0(CmdAlmanFolder, 1);
    folder->path = g_canonicalize_filename(path, NULL);
    folder->notes = g_ptr_array_new_with_free_func(g_free);
    folder->guests = g_ptr_array_new_with_free_func((GDestroyNotify)guest_free);
    if (!g_file_test(folder->path, G_FILE_TEST_IS_DIR)) {
        g_autofree gchar *shown = cmd_printable(folder->path);
        g_set_error(error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
                    "'%s' is no folder: name the one that alman.sh lies in", shown);
        return NULL;
    }
    read_conf(folder);
    read_cpus(folder);
    read_records(folder);
    for (guint i = 0; folder->records && i < folder->records->len; i++) {
        const ExchangeAlmanGuest *record = g_ptr_array_index(folder->records, i);
        CmdAlmanGuest *guest = add_guest(folder, record->name);
        if (guest) {
            guest->record = record;
        }
    }
    add_files(folder, "xml", ".xml");
    add_files(folder, "disks", "-root.qcow2");
    g_ptr_array_sort(folder->guests, compare_guests);
    if (folder->guests->len == 0) {
        g_autofree gchar *shown = cmd_printable(folder->path);
        g_autofree gchar *notes =
            folder->notes->len ? cmd_printable(g_ptr_array_index(folder->notes, folder->notes->len - 1)) : g_strdup("");
        g_set_error(
            error, ATTEST_ERROR, ATTEST_ERROR_UNREADABLE,
            "'%s' holds no guest of ALman: no entry in expected-measurements.json, no domain XML in work/xml, no root "
            "disk in work/disks\n%s",
            shown, notes);
        return NULL;
    }
    return g_steal_pointer(&folder);
}
