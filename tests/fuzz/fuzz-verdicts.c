/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A list of verdicts. Its checksum would stop nearly every mutation at the door, so each input is read as it is and
 * once more with the checksum put right.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/verdict-record.h"

#define UUID "4628b277-cd81-4b55-b30c-ba36606ea5b6"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static gchar *folder;
static gchar *path;
static PolicyStore *store;

static void clean_up(void)
{
    static const char *const names[] = {"verdicts/" UUID ".json", "verdicts/.lock", "verdicts", "records",
                                        "references",             "volumes",        "cache",    "certificates",
                                        "nonces",                 ""};

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree gchar *name = g_build_filename(folder, names[i], NULL);

        g_remove(name);
    }
    policy_store_free(store);
    g_free(folder);
    g_free(path);
}

static void set_up(void)
{
    if (store)
        return;
    folder = g_dir_make_tmp("virt-attest-XXXXXX", NULL);
    store = policy_store_open(folder, TRUE, NULL);
    path = g_build_filename(folder, "verdicts", UUID ".json", NULL);
    if (!store)
        abort();
    atexit(clean_up);
}

/* What can be read can be added to, and read again. */
static void read_verdicts(const char *text, gsize size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = NULL;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || (size && write(fd, text, size) != (ssize_t)size))
        abort();
    close(fd);
    entries = policy_verdicts_read(store, UUID, &error);
    if (!entries && !error)
        abort();
    for (guint i = 0; entries && i < MIN(entries->len, 4); i++) {
        g_autoptr(GPtrArray) again = NULL;
        g_autofree gchar *aside = NULL;

        if (!policy_verdicts_append(store, UUID, "guest1", g_ptr_array_index(entries, i), 1000, &aside, NULL) || aside)
            abort();
        again = policy_verdicts_read(store, UUID, NULL);
        if (!again || again->len != MIN(entries->len + i + 1, 1000))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree gchar *text = g_strndup(data ? (const char *)data : "", size);
    gchar *tail = g_strrstr(text, "],\"sha256\"");
    g_autofree gchar *digest = NULL;
    g_autofree gchar *whole = NULL;

    set_up();
    read_verdicts(data ? (const char *)data : "", size);
    if (tail)
        *tail = '\0';
    digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
    whole = g_strdup_printf("%s],\"sha256\":\"%s\"}\n", text, digest);
    read_verdicts(whole, strlen(whole));
    return 0;
}
