/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A record file. Its checksum would stop nearly every mutation at the door, so
 * each input is read as it is and once more with the checksum put right.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooks/record.h"

#define UUID "4628b277-cd81-4b55-b30c-ba36606ea5b6"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static gchar *folder;
static gchar *path;
static PolicyStore *store;
static XmlDomain *domain;
static const char domain_xml[] = "<domain type='kvm'><name>guest1</name><uuid>" UUID "</uuid><vcpu>1</vcpu>"
                                 "<os><type arch='x86_64' machine='q35'>hvm</type></os>"
                                 "<launchSecurity type='sev-snp'><policy>0x30000</policy></launchSecurity></domain>";

static void clean_up(void)
{
    static const char *const names[] = {
        "records/" UUID ".json", "records/.lock", "records",  "references", "cache",
        "volumes",               "certificates",  "nonces",   "verdicts",   ""};

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree gchar *name = g_build_filename(folder, names[i], NULL);

        g_remove(name);
    }
    policy_store_free(store);
    xml_domain_free(domain);
    g_free(folder);
    g_free(path);
}

static void set_up(void)
{
    if (store)
        return;
    folder = g_dir_make_tmp("virt-attest-XXXXXX", NULL);
    store = policy_store_open(folder, TRUE, NULL);
    path = g_build_filename(folder, "records", UUID ".json", NULL);
    domain = xml_domain_parse(domain_xml, -1, NULL);
    if (!store || !domain)
        abort();
    atexit(clean_up);
}

static void read_record(const char *text, gsize size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(HookRecord) record = NULL;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || (size && write(fd, text, size) != (ssize_t)size))
        abort();
    close(fd);
    record = hook_record_read(store, UUID, &error);
    if (!record && !error)
        abort();
    if (record && strcmp(record->uuid, UUID))
        abort();
    /* What can be read can be brought up to date, and read again. */
    if (record && record->launches->len && record->launches->len < 4) {
        const HookLaunch *newest = g_ptr_array_index(record->launches, record->launches->len - 1);
        gboolean added = !strcmp(newest->state, "stopped");
        g_autoptr(HookRecord) again = NULL;

        if (!hook_record_stopped(store, domain, 10, &error))
            abort();
        if (!hook_record_released(store, domain, "destroyed", 10, &error))
            abort();
        again = hook_record_read(store, UUID, &error);
        if (!again || again->launches->len != record->launches->len + (added ? 1 : 0))
            abort();
    } else if (!record) {
        hook_record_stopped(store, domain, 10, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree gchar *text = g_strndup(data ? (const char *)data : "", size);
    gchar *tail = g_strrstr(text, "],\"sha256\"");
    g_autofree gchar *digest = NULL;
    g_autofree gchar *whole = NULL;

    set_up();
    read_record(data ? (const char *)data : "", size);
    if (tail)
        *tail = '\0';
    digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
    whole = g_strdup_printf("%s],\"sha256\":\"%s\"}\n", text, digest);
    read_record(whole, strlen(whole));
    return 0;
}
