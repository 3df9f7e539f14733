/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For targets that read a history (policy/history.h): a state folder with one file in it. The checksum would stop nearly
 * every mutation at the door, so each input is read as it is and once more with the checksum put right.
 */
#pragma once

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/store.h"

#define UUID "4628b277-cd81-4b55-b30c-ba36606ea5b6"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *kind;
static gchar *folder;
static PolicyStore *store;

static gchar *history_path(void)
{
    return g_build_filename(folder, kind, UUID ".json", NULL);
}

static void history_clean_up(void)
{
    static const char *const folders[] = {"references",   "records", "volumes",  "cache",
                                          "certificates", "nonces",  "verdicts", ""};
    g_autofree gchar *path = history_path();
    g_autofree gchar *lock = g_build_filename(folder, kind, ".lock", NULL);

    g_remove(path);
    g_remove(lock);
    for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree gchar *name = g_build_filename(folder, folders[i], NULL);

        g_remove(name);
    }
    policy_store_free(store);
    g_free(folder);
}

/* @of: "records" or "verdicts" */
static void history_set_up(const char *of)
{
    if (store)
        return;
    kind = of;
    folder = g_dir_make_tmp("virt-attest-XXXXXX", NULL);
    store = policy_store_open(folder, TRUE, NULL);
    if (!store)
        abort();
    atexit(history_clean_up);
}

static void history_put(const char *text, gsize size)
{
    g_autofree gchar *path = history_path();
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || (size && write(fd, text, size) != (ssize_t)size))
        abort();
    close(fd);
}

/* Calls @read after each of the two is there. */
static void history_feed(const uint8_t *data, size_t size, void (*read)(void))
{
    g_autofree gchar *text = g_strndup(data ? (const char *)data : "", size);
    gchar *tail = g_strrstr(text, "],\"sha256\"");
    g_autofree gchar *digest = NULL;
    g_autofree gchar *whole = NULL;

    history_put(data ? (const char *)data : "", size);
    read();
    if (tail)
        *tail = '\0';
    digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
    whole = g_strdup_printf("%s],\"sha256\":\"%s\"}\n", text, digest);
    history_put(whole, strlen(whole));
    read();
}
